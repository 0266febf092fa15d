#ifndef TCPKI_PKI_FILE_H
#define TCPKI_PKI_FILE_H

#include <sys/types.h>

#include "bytes.h"

/* Nothing that is read here is larger: a bundle of 16 384 certificates has about 32 MB. */
enum { PKI_FILE_LIMIT = 64 * 1024 * 1024 };

bool pki_file_read(pki_buffer *content, const char *path, pki_fault *fault);

/*
** Writes the whole content or nothing: a temporary file in the same directory, created with its
** mode, synced, then given its name in one step, and the directory synced. Without overwrite an
** existing target is a fault, and so is a symbolic link either way.
*/
bool pki_file_write(const char *path, const void *content, size_t length, mode_t mode,
                    bool overwrite, pki_fault *fault);

#endif

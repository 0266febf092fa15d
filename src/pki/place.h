#ifndef TCPKI_PKI_PLACE_H
#define TCPKI_PKI_PLACE_H

#include <sys/stat.h>

#include "bytes.h"

/* Where a file is to be written: its directory, opened, so that every step works on one. */
typedef struct pki_place {
    int directory;    /* -1 while closed */
    const char *name; /* within path */
    const char *path;
} pki_place;

bool pki_place_open(pki_place *where, const char *path, pki_fault *fault);
void pki_place_close(pki_place *where);

/*
** What is there now: nothing, or a regular file that may be replaced. A link is refused, because
** replacing it would leave the file behind it as it was, in silence.
*/
bool pki_place_check_target(const pki_place *where, bool overwrite, bool *exists,
                            struct stat *status, pki_fault *fault);

/* Creates name in the directory, whole and synced; on a fault nothing of that name is left. */
bool pki_place_write_new(const pki_place *where, const char *name, const void *content,
                         size_t length, mode_t mode, const struct stat *former, pki_fault *fault);

/* "cannot DOING: reason of errno", with the path and the code that fits. */
bool pki_place_fail_errno(pki_fault *fault, int error, const char *path, const char *doing);
bool pki_place_fail(pki_fault *fault, pki_code code, const char *path, const char *message);

#endif

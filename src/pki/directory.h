#ifndef TCPKI_PKI_DIRECTORY_H
#define TCPKI_PKI_DIRECTORY_H

#include "bytes.h"

/* Makes one directory; what has the name already is a fault. */
bool pki_directory_make(const char *path, pki_fault *fault);

/*
** The entries, in no order, without . and ..: the type of an item says what it is ("file",
** "directory", "link" or "other"), its value the name, its number the permission bits.
*/
bool pki_directory_list(pki_list *entries, const char *path, pki_fault *fault);

/*
** Gives each of two files or directories the name of the other, in one step. Where the system or
** the file system knows no such step, it is three, and a crash in between leaves the first under
** its name with ".exchange" behind it.
*/
bool pki_directory_exchange(const char *first, const char *second, pki_fault *fault);

/*
** Gives a file or directory of ours the permission bits of another one and, where the process is
** root's, its owner: what takes the place of that one stays readable to who could read it.
*/
bool pki_directory_adopt(const char *path, const char *like, pki_fault *fault);

#endif

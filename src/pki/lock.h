#ifndef TCPKI_PKI_LOCK_H
#define TCPKI_PKI_LOCK_H

#include "fault.h"

/* A file that one process at a time holds; the system releases it when its holder ends, however. */
typedef struct pki_lock pki_lock;

/*
** Makes the file and holds it, or fails at once with PKI_BUSY and a message that says who does and
** since when. The purpose is for that message. NULL on a fault.
*/
pki_lock *pki_lock_take(const char *path, const char *purpose, pki_fault *fault);

/* Also removes the file. NULL is no lock. */
void pki_lock_release(pki_lock *lock);

const char *pki_lock_path(const pki_lock *lock);

#endif

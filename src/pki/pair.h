#ifndef TCPKI_PKI_PAIR_H
#define TCPKI_PKI_PAIR_H

#include <sys/types.h>

#include "bytes.h"

typedef struct pki_pair_half {
    const char *path;
    const void *content;
    size_t length;
    mode_t mode;
} pki_pair_half;

/* What an earlier writer of the same pair, killed between its steps, left behind. */
typedef enum pki_pair_found {
    PKI_PAIR_CLEAN,
    PKI_PAIR_UNDONE,  /* it had not finished: the old pair is back under its names */
    PKI_PAIR_FINISHED /* the first writing of a pair was carried to its end */
} pki_pair_found;

/*
** Writes a key and its certificate so that at every moment a whole pair can be found: beside the
** paths lie PATH.tcpki-new (complete, until it takes the name) and PATH.tcpki-old (the former
** file, until both have their names). found says what had to be mended first.
*/
bool pki_pair_write(const pki_pair_half *key, const pki_pair_half *certificate, bool overwrite,
                    pki_pair_found *found, pki_fault *fault);

/* Mends what an interrupted pki_pair_write left, and writes nothing else. */
bool pki_pair_mend(const char *key_path, const char *certificate_path, pki_pair_found *found,
                   pki_fault *fault);

#endif

#ifndef TCPKI_PKI_ENCRYPTION_H
#define TCPKI_PKI_ENCRYPTION_H

#include <openssl/x509.h>
#include <stdint.h>

#include "bytes.h"

/* What decrypting by a passphrase would take, read from its parameters before any work is done. */
typedef struct pki_encryption {
    const char *cipher;     /* libcrypto's short name; NULL where it knows none */
    const char *derivation; /* "PBKDF2", "scrypt", "PKCS#12", "PBKDF1"; NULL where unknown */
    uint64_t iterations;    /* of scrypt: its cost; UINT64_MAX for what does not fit */
    uint64_t parallel;      /* of scrypt, else 1 */
    bool bytes;             /* the passphrase goes in as its bytes, not as UTF-16 */
} pki_encryption;

/* False, with the fault, where the parameters are damaged. */
bool pki_encryption_describe(const X509_ALGOR *algorithm, pki_encryption *encryption,
                             pki_fault *fault);

/*
** Encrypted PKCS#8 of go.step.sm/crypto up to v0.26, and so of certstrap, has 00 00 where the
** parameters of PBKDF2's PRF are to be NULL, 05 00; libcrypto takes that for an end of contents
** and reads nothing. mended is a copy with NULL, or stays empty where nothing is to be mended.
*/
bool pki_encryption_mend(pki_view der, pki_buffer *mended, pki_fault *fault);

/* Zero and below count as damage: no iteration is no derivation. */
bool pki_iterations(const ASN1_INTEGER *number, uint64_t *iterations, pki_fault *fault);

/* Whether libcrypto has the cipher in the providers that are loaded; if not, why is in its queue. */
bool pki_encryption_available(const pki_encryption *encryption);

#endif

#ifndef TCPKI_PKI_KEY_H
#define TCPKI_PKI_KEY_H

#include <openssl/evp.h>

#include "bytes.h"

/* Bounds of what is computed with: EVP_PKEY_check takes seconds at 8192 bits already. */
enum { PKI_RSA_MINIMUM = 2048, PKI_RSA_MAXIMUM = 8192, PKI_RSA_READ_LIMIT = 16384 };

typedef struct pki_key_kind {
    const char *type;  /* "ec", "rsa", "ed25519", or "other" in a certificate of others */
    const char *curve; /* "P-256" …, NULL but for ec */
    int bits;
    bool private_key;
} pki_key_kind;

/* type as above; curve for ec, bits for rsa. */
EVP_PKEY *pki_key_generate(const char *type, const char *curve, int bits, pki_fault *fault);

/*
** Reads PKCS#8 (encrypted or not), SEC1, PKCS#1, traditionally encrypted PEM and SubjectPublicKeyInfo,
** as PEM or DER. passphrase is NULL where none is at hand: an encrypted key is then the fault
** PKI_PASSPHRASE_REQUIRED, and the caller may ask for one and try again.
*/
EVP_PKEY *pki_key_parse(const char *text, size_t length, const pki_view *passphrase,
                        pki_fault *fault);

bool pki_key_describe(const EVP_PKEY *key, pki_key_kind *kind, pki_fault *fault);

/* PKCS#8 (or SEC1 and PKCS#1 where traditional); a public key as SubjectPublicKeyInfo. */
bool pki_key_pem(const EVP_PKEY *key, bool traditional, const pki_view *passphrase, pki_buffer *pem,
                 pki_fault *fault);
bool pki_key_der(const EVP_PKEY *key, pki_buffer *der, pki_fault *fault);
EVP_PKEY *pki_key_public(const EVP_PKEY *key, pki_fault *fault);
/* Lowercase hex of the SHA-256 of SubjectPublicKeyInfo; text has room for 65. */
bool pki_key_fingerprint(const EVP_PKEY *key, char *text, pki_fault *fault);

/* What to sign with: NULL for Ed25519, which has its own; else the digest, SHA-256 by default. */
bool pki_key_digest(const EVP_PKEY *key, const char *name, const EVP_MD **digest, pki_fault *fault);

/* Refuses a SubjectPublicKeyInfo that is too large or has explicit parameters, unparsed. */
bool pki_key_guard_public(const unsigned char *der, size_t length, pki_fault *fault);

#endif

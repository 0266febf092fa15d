#ifndef TCPKI_PKI_PKCS12_H
#define TCPKI_PKI_PKCS12_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "bytes.h"

/*
** Of all derivations in a file together: a hostile one must not burn a minute. NSS and GnuTLS write
** 600 000 for each of three, and again for each further key.
*/
enum { PKI_PKCS12_ITERATIONS_LIMIT = 10000000 };

typedef enum pki_pkcs12_kind {
    PKI_PKCS12_KEY,
    PKI_PKCS12_CERTIFICATE,
    PKI_PKCS12_CRL,
    PKI_PKCS12_SECRET,
    PKI_PKCS12_OTHER
} pki_pkcs12_kind;

/* One bag. What it does not have is NULL or empty. */
typedef struct pki_pkcs12_entry {
    pki_pkcs12_kind kind;
    EVP_PKEY *key;
    X509 *certificate;
    pki_buffer name;         /* friendlyName as UTF-8; data is NULL where there is none */
    pki_buffer local_key_id; /* likewise */
    char encryption[96];     /* "AES-256-CBC, PBKDF2 with 2048 iterations"; empty: in the clear */
    char oid[80];            /* of OTHER */
    bool trusted;            /* Java's mark of a trust anchor */
} pki_pkcs12_entry;

typedef struct pki_pkcs12 {
    pki_pkcs12_entry *entries;
    size_t count;
    size_t capacity;
    char mac[32]; /* its digest; empty: none */
    long long mac_iterations;
    const char *passphrase; /* "utf8", "bytes", "empty", "null": the form that opened it; or NULL */
} pki_pkcs12;

/*
** Reads DER (or BER). passphrase is NULL where none is at hand: the empty one and none are tried,
** and PKI_PASSPHRASE_REQUIRED is the fault where neither opens the file. Anything but one PKCS#12
** is a fault that says what it is.
*/
bool pki_pkcs12_read(pki_pkcs12 *file, const char *text, size_t length, const pki_view *passphrase,
                     pki_fault *fault);
void pki_pkcs12_free(pki_pkcs12 *file);

/* Whether the text may be PKCS#12; what is surely something else is a fault that says what. */
bool pki_pkcs12_recognise(const char *text, size_t length, pki_fault *fault);

typedef struct pki_pkcs12_profile {
    const char *name;
    int scheme; /* for certificates and key alike; NID_undef: in the clear */
    const char *digest;
    int iterations;
    int salt;
    bool passphrase; /* whether it takes one */
} pki_pkcs12_profile;

/* NULL for an unknown name. */
const pki_pkcs12_profile *pki_pkcs12_profile_named(const char *name);

typedef struct pki_pkcs12_template {
    EVP_PKEY *key;
    X509 *const *certificates; /* the first is the key's */
    size_t count;
    const pki_view *name; /* UTF-8; NULL for none */
    const pki_pkcs12_profile *profile;
    int iterations; /* 0 for those of the profile */
    const pki_view *passphrase;
} pki_pkcs12_template;

bool pki_pkcs12_make(const pki_pkcs12_template *form, pki_buffer *der, pki_fault *fault);

#endif

#ifndef TCPKI_PKI_CHAIN_H
#define TCPKI_PKI_CHAIN_H

#include <openssl/x509.h>

#include "bytes.h"

/* What became of each certificate of a heap. */
typedef enum pki_chain_role {
    PKI_CHAIN_FOREIGN = -1,  /* not on the path of the leaf */
    PKI_CHAIN_DUPLICATE = -2 /* the same DER stands before it */
} pki_chain_role;

/*
** Orders a heap of certificates: place[i] is the place of certificate i in the chain (0 is the
** leaf), or a role. leaf is the index of the leaf, or -1 for the one that issued none of the
** others. *complete says that the chain ends in a self-signed certificate.
*/
bool pki_chain_order(X509 *const *certificates, size_t count, long leaf, int *place,
                     size_t *chain_length, bool *complete, pki_fault *fault);

/* A trust store over some certificates: built once, asked often. */
X509_STORE *pki_store_make(X509 *const *certificates, size_t count, pki_fault *fault);

typedef struct pki_verification {
    X509_STORE *roots;
    X509 *leaf;
    STACK_OF(X509) * untrusted;
    STACK_OF(X509_CRL) * crls; /* NULL: revocation is not asked */
    int purpose;               /* X509_PURPOSE_… */
    const char *name_type;     /* "dns", "ip", "email"; NULL: no name is asked */
    const char *name;
    size_t name_length;
    bool at_set;
    long long at; /* seconds since the epoch */
    bool partial; /* an intermediate among the roots is enough */
    bool lax;     /* without libcrypto's strict checks, as most TLS servers verify */
    long depth;   /* most intermediates; -1 for libcrypto's 100 */
} pki_verification;

/*
** RFC 5280 in full: libcrypto's strict checks, security level 2, no partial wildcards, the subject
** never used as a host name. Where the first path fails, each other path through the untrusted
** certificates is tried by itself, since libcrypto does not come back from a dead end.
*/
bool pki_chain_verify(const pki_verification *request, pki_fault *fault);

#endif

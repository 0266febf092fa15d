#ifndef TCPKI_PKI_CERTIFICATE_H
#define TCPKI_PKI_CERTIFICATE_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "bytes.h"

/* Exactly one certificate, from PEM or DER. More than one, or anything beside it, is a fault. */
X509 *pki_certificate_parse(const char *text, size_t length, pki_fault *fault);
/* The certificate of one PEM block or one DER text, whole: trailing bytes are a fault. */
X509 *pki_certificate_from_der(const unsigned char *der, size_t length, pki_fault *fault);

/*
** The DER as it was read. Re-encoding changes the bytes of certificates that were not strict DER
** (facts: pem.md, "Also measured"), so these keep theirs. *owned is NULL or to be freed.
*/
bool pki_certificate_der(const X509 *certificate, pki_view *der, unsigned char **owned,
                         pki_fault *fault);

/* What a new certificate is to say; the pointers stay the caller's. */
typedef struct pki_certificate_template {
    const pki_list *subject;
    pki_view subject_der; /* instead of subject where it has bytes: they are kept as they are */
    const pki_list *subject_alt_names;
    const pki_list *extended_key_usage; /* words or OIDs as types */
    const pki_list *permitted;          /* name constraints */
    const pki_list *excluded;
    const pki_list *crl_distribution_points; /* URIs as values */
    const pki_list *extensions;              /* type is the OID, value its DER, flag is critical */
    const char *serial;                      /* hex; NULL for a random one of 159 bits */
    const char *digest;                      /* NULL for SHA-256 */
    long long not_before;                    /* seconds since the epoch */
    long long not_after;
    unsigned key_usage; /* bits of pki_key_usage_bit; 0 leaves the extension out */
    bool unconstrained; /* no basicConstraints at all, which RFC 5280 allows for leaves */
    bool authority;
    long path_length; /* -1 for none */
    EVP_PKEY *public_key;
    X509 *issuer; /* NULL for self-signed */
    EVP_PKEY *issuer_key;
} pki_certificate_template;

X509 *pki_certificate_make(const pki_certificate_template *form, pki_fault *fault);

/* By DER, to the byte. */
bool pki_certificate_equal(const X509 *one, const X509 *other);
/* Whether other signed certificate: names, key identifiers, CA bits, and the signature itself. */
bool pki_certificate_issued_by(X509 *certificate, X509 *other);
/* The name constraints of issuer hold for the names of certificate. */
bool pki_certificate_permits(X509 *issuer, X509 *certificate, pki_fault *fault);

/* Lowercase hex of the serial number; to be freed with OPENSSL_free. */
char *pki_serial_text(const ASN1_INTEGER *serial, pki_fault *fault);
ASN1_INTEGER *pki_serial_make(const char *hex, pki_fault *fault);
/* Seconds since the epoch, UTC. */
bool pki_time_read(const ASN1_TIME *time, long long *seconds, pki_fault *fault);
bool pki_time_set(ASN1_TIME *time, long long seconds, pki_fault *fault);

bool pki_certificate_fingerprint(const X509 *certificate, const EVP_MD *digest, char *text,
                                 pki_fault *fault);
bool pki_certificate_text(X509 *certificate, pki_buffer *text, pki_fault *fault);

#endif

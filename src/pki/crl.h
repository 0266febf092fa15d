#ifndef TCPKI_PKI_CRL_H
#define TCPKI_PKI_CRL_H

#include <openssl/x509.h>

#include "bytes.h"

X509_CRL *pki_crl_parse(const char *text, size_t length, pki_fault *fault);
X509_CRL *pki_crl_from_der(const unsigned char *der, size_t length, pki_fault *fault);

/*
** Version 2, with number and authority key identifier (RFC 5280, section 5.2). An entry's type is
** the reason word or empty, its value the serial in hex, its number the time of revocation.
*/
X509_CRL *pki_crl_make(X509 *issuer, EVP_PKEY *key, const char *number, long long this_update,
                       long long next_update, const pki_list *entries, const char *digest,
                       pki_fault *fault);
/* The entries in the same form, in the order of the CRL. */
bool pki_crl_entries(X509_CRL *crl, pki_list *entries, pki_fault *fault);
/* The entry of one certificate, or an empty list. */
bool pki_crl_lists(X509_CRL *crl, X509 *certificate, pki_list *entries, pki_fault *fault);
bool pki_crl_verify(X509_CRL *crl, X509 *issuer, pki_fault *fault);
/* Lowercase hex of the CRL number; NULL with *present = false where there is none. */
char *pki_crl_number(X509_CRL *crl, bool *present, pki_fault *fault);
bool pki_crl_der(X509_CRL *crl, pki_buffer *der, pki_fault *fault);

#endif

#ifndef TCPKI_PKI_CSR_H
#define TCPKI_PKI_CSR_H

#include <openssl/x509.h>

#include "bytes.h"

/* A certificate signing request from PEM, DER, or the bare base64 that Azure Key Vault gives. */
X509_REQ *pki_csr_parse(const char *text, size_t length, pki_fault *fault);
X509_REQ *pki_csr_make(const pki_list *subject, const pki_list *subject_alt_names, EVP_PKEY *key,
                       const char *digest, pki_fault *fault);
/* The holder of the key signed it: proof of possession. */
bool pki_csr_verify(X509_REQ *csr, pki_fault *fault);
/* The public key, after the guards of pki_key_guard_public. The caller frees it. */
EVP_PKEY *pki_csr_public_key(X509_REQ *csr, pki_fault *fault);
/* The requested extensions, NULL for none; the caller frees them. A damaged request is a fault. */
bool pki_csr_extensions(X509_REQ *csr, STACK_OF(X509_EXTENSION) * *extensions, pki_fault *fault);
bool pki_csr_der(const X509_REQ *csr, pki_buffer *der, pki_fault *fault);

#endif

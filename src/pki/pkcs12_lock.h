#ifndef TCPKI_PKI_PKCS12_LOCK_H
#define TCPKI_PKI_PKCS12_LOCK_H

#include <openssl/x509.h>

#include "encryption.h"

/*
** One way of turning a passphrase into what a derivation takes. The PKCS#12 ones take UTF-16: of
** the text (OpenSSL 1.1, Java, everybody), or of each byte for itself (OpenSSL 1.0). `null` is no
** bytes at all, where `empty` is the two zero bytes of RFC 7292, B.1; .NET writes the former.
*/
typedef struct pki_pkcs12_form {
    const char *word;
    const char *text;
    int length;
} pki_pkcs12_form;

/* A passphrase at work on one file: how it fits, and what that has cost. */
typedef struct pki_pkcs12_lock {
    pki_pkcs12_form forms[2];
    size_t form_count;
    size_t form;      /* the one that fitted last: it is tried first */
    const char *word; /* of the one that fitted first; NULL: none was needed */
    pki_view bytes;
    char *widened;
    size_t widened_length;
    uint64_t work;  /* iterations so far */
    bool encrypted; /* some part of the file is */
    bool opened;    /* something fitted: the passphrase is right, and what fails is damaged */
} pki_pkcs12_lock;

/* passphrase as for pki_pkcs12_read; its bytes stay the caller's. */
bool pki_pkcs12_lock_begin(pki_pkcs12_lock *lock, const pki_view *passphrase, pki_fault *fault);
void pki_pkcs12_lock_end(pki_pkcs12_lock *lock);
void pki_pkcs12_lock_fits(pki_pkcs12_lock *lock, size_t form);

/* Each checks before anything is computed. `what` is the part of the file, for messages. */
bool pki_pkcs12_lock_add_work(pki_pkcs12_lock *lock, uint64_t iterations, const char *what,
                              pki_fault *fault);
bool pki_pkcs12_lock_guard(pki_pkcs12_lock *lock, const X509_ALGOR *algorithm, const char *what,
                           pki_encryption *encryption, pki_fault *fault);

/* Decrypts what the guard has let through, to one SEQUENCE. */
bool pki_pkcs12_lock_decrypt(pki_pkcs12_lock *lock, const X509_ALGOR *algorithm,
                             const ASN1_OCTET_STRING *content, const pki_encryption *encryption,
                             const char *what, pki_buffer *plain, pki_fault *fault);

#endif

#include "csr.h"

#include <openssl/x509v3.h>
#include <string.h>

#include "base64.h"
#include "der.h"
#include "foreign.h"
#include "general_name.h"
#include "key.h"
#include "name.h"
#include "pem.h"

/* As for a certificate: d2i_X509_REQ computes with the key at once. */
static bool guard_public_key(const unsigned char *der, size_t length, pki_fault *fault) {
    pki_view view = {der, length};
    pki_view outer;
    pki_view body;
    pki_view skipped;
    if (!der_expect(&view, DER_SEQUENCE, &outer) || !der_expect(&outer, DER_SEQUENCE, &body) ||
        !der_expect(&body, DER_INTEGER, &skipped) || !der_expect(&body, DER_SEQUENCE, &skipped)) {
        return true;
    }
    if (pki_key_guard_public(body.data, body.length, fault) ||
        (fault->code != PKI_KEY_TOO_LARGE && fault->code != PKI_EXPLICIT_PARAMETERS)) {
        pki_begin(fault);
        return true;
    }
    return false;
}

static X509_REQ *from_der(const unsigned char *der, size_t length, pki_fault *fault) {
    if (!pki_foreign_refuse((pki_view){der, length}, "a CSR", fault)) {
        return NULL;
    }
    const unsigned char *at = der;
    if (!guard_public_key(der, length, fault)) {
        return NULL;
    }
    X509_REQ *csr = d2i_X509_REQ(NULL, &at, (long)length);
    if (csr == NULL) {
        (void)pki_fail_libcrypto(fault, PKI_BAD_DER, "it is not a CSR, or damaged");
    } else if (at != der + length) {
        (void)pki_fail(fault, PKI_TRAILING_DATA, "%zu bytes follow the CSR",
                       (size_t)(der + length - at));
        X509_REQ_free(csr);
        csr = NULL;
    }
    return csr;
}

/* MII is how the base64 of every DER SEQUENCE of 256 to 65535 bytes begins. */
static bool is_bare_base64(const char *text, size_t length) {
    size_t blank = 0;
    while (blank < length && (text[blank] == ' ' || text[blank] == '\n' || text[blank] == '\r' ||
                              text[blank] == '\t')) {
        blank++;
    }
    return length - blank > 3 && text[blank] == 'M' && text[blank + 1] == 'I';
}

static void *read_der(const unsigned char *der, size_t length, pki_fault *fault) {
    return from_der(der, length, fault);
}

static void release(void *object) {
    X509_REQ_free(object);
}

X509_REQ *pki_csr_parse(const char *text, size_t length, pki_fault *fault) {
    static const pki_pem_form form = {{"CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"},
                                      "CSR",
                                      "keep one CSR in a file",
                                      read_der,
                                      release};
    /* Checked first: DER never looks so. */
    if (is_bare_base64(text, length)) {
        X509_REQ *csr = NULL;
        pki_buffer der = {NULL, 0};
        if (pki_base64_decode(&der, text, length, fault)) {
            csr = from_der(der.data, der.length, fault);
        }
        pki_buffer_free(&der);
        return csr;
    }
    return pki_pem_read_one(&form, text, length, fault);
}

static bool add_alternative_names(X509_REQ *csr, const pki_list *list, bool critical,
                                  pki_fault *fault) {
    if (list->count == 0) {
        return true;
    }
    STACK_OF(X509_EXTENSION) *extensions = NULL;
    GENERAL_NAMES *names = pki_general_names_make(list, false, fault);
    bool done =
        names != NULL && ((X509V3_add1_i2d(&extensions, NID_subject_alt_name, names, critical,
                                           X509V3_ADD_DEFAULT) == 1 &&
                           X509_REQ_add_extensions(csr, extensions) == 1) ||
                          pki_fail_libcrypto(fault, PKI_LIBCRYPTO, "the names could not be added"));
    GENERAL_NAMES_free(names);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    return done;
}

X509_REQ *pki_csr_make(const pki_list *subject, const pki_list *subject_alt_names, EVP_PKEY *key,
                       const char *digest, pki_fault *fault) {
    const EVP_MD *method = NULL;
    X509_NAME *name = pki_name_make(subject, fault);
    /* libcrypto keeps the very key that it is given: the private half would come out of the CSR. */
    EVP_PKEY *public_key = name != NULL ? pki_key_public(key, fault) : NULL;
    X509_REQ *csr = X509_REQ_new();
    bool done = public_key != NULL && csr != NULL;
    if (!done && fault->code == PKI_OK) {
        (void)pki_fail_memory(fault);
    }
    done = done && ((X509_REQ_set_version(csr, X509_REQ_VERSION_1) == 1 &&
                     X509_REQ_set_subject_name(csr, name) == 1 &&
                     X509_REQ_set_pubkey(csr, public_key) == 1) ||
                    pki_fail_libcrypto(fault, PKI_LIBCRYPTO, "the key cannot go into a CSR"));
    done = done && add_alternative_names(csr, subject_alt_names, subject->count == 0, fault) &&
           pki_key_digest(key, digest, &method, fault) &&
           (X509_REQ_sign(csr, key, method) > 0 ||
            pki_fail_libcrypto(fault, PKI_LIBCRYPTO, "the CSR could not be signed"));
    X509_NAME_free(name);
    EVP_PKEY_free(public_key);
    if (!done) {
        X509_REQ_free(csr);
        return NULL;
    }
    return csr;
}

EVP_PKEY *pki_csr_public_key(X509_REQ *csr, pki_fault *fault) {
    unsigned char *der = NULL;
    EVP_PKEY *key = NULL;
    int length = i2d_X509_PUBKEY(X509_REQ_get_X509_PUBKEY(csr), &der);
    if (length <= 0) {
        (void)pki_fail_libcrypto(fault, PKI_BAD_DER, "the public key of the CSR is damaged");
    } else if (pki_key_guard_public(der, (size_t)length, fault)) {
        key = X509_REQ_get_pubkey(csr);
        if (key == NULL) {
            (void)pki_fail_libcrypto(fault, PKI_BAD_DER, "the public key of the CSR is damaged");
        }
    }
    OPENSSL_free(der);
    return key;
}

bool pki_csr_verify(X509_REQ *csr, pki_fault *fault) {
    EVP_PKEY *key = pki_csr_public_key(csr, fault);
    if (key == NULL) {
        return false;
    }
    bool done = X509_REQ_verify(csr, key) == 1;
    EVP_PKEY_free(key);
    if (!done) {
        (void)pki_fail_libcrypto(fault, PKI_BAD_SIGNATURE,
                                 "the CSR is not signed by the key that it names");
        pki_fault_set_hint(fault, "have the CSR made again; it was changed on its way");
    }
    return done;
}

bool pki_csr_extensions(X509_REQ *csr, STACK_OF(X509_EXTENSION) * *extensions, pki_fault *fault) {
    *extensions = X509_REQ_get_extensions(csr);
    /* libcrypto says NULL for none and for damaged ones: without names it would be signed then. */
    return *extensions != NULL ||
           (X509_REQ_get_attr_by_NID(csr, NID_ext_req, -1) < 0 &&
            X509_REQ_get_attr_by_NID(csr, NID_ms_ext_req, -1) < 0) ||
           pki_fail_libcrypto(fault, PKI_BAD_EXTENSION,
                              "the extensions that the CSR asks for are damaged");
}

bool pki_csr_der(const X509_REQ *csr, pki_buffer *der, pki_fault *fault) {
    int length = i2d_X509_REQ(csr, &der->data);
    if (length <= 0) {
        return pki_fail_libcrypto(fault, PKI_LIBCRYPTO, "the CSR could not be encoded");
    }
    der->length = (size_t)length;
    return true;
}

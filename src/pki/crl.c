#include "crl.h"

#include <openssl/x509v3.h>
#include <string.h>

#include "certificate.h"
#include "foreign.h"
#include "key.h"
#include "name.h"
#include "pem.h"

/* RFC 5280, section 5.3.1; the place is the value, 7 is not used. */
static const char *const reasons[] = {
    "unspecified",     "key_compromise",         "ca_compromise",    "affiliation_changed",
    "superseded",      "cessation_of_operation", "certificate_hold", NULL,
    "remove_from_crl", "privilege_withdrawn",    "aa_compromise"};

enum { REASONS = sizeof reasons / sizeof reasons[0] };

X509_CRL *pki_crl_from_der(const unsigned char *der, size_t length, pki_fault *fault) {
    if (!pki_foreign_refuse((pki_view){der, length}, "a CRL", fault)) {
        return NULL;
    }
    const unsigned char *at = der;
    X509_CRL *crl = d2i_X509_CRL(NULL, &at, (long)length);
    if (crl == NULL) {
        (void)pki_fail_libcrypto(fault, PKI_BAD_DER, "it is not a CRL, or damaged");
    } else if (at != der + length) {
        (void)pki_fail(fault, PKI_TRAILING_DATA, "%zu bytes follow the CRL",
                       (size_t)(der + length - at));
        X509_CRL_free(crl);
        crl = NULL;
    }
    return crl;
}

static void *read_der(const unsigned char *der, size_t length, pki_fault *fault) {
    return pki_crl_from_der(der, length, fault);
}

static void release(void *object) {
    X509_CRL_free(object);
}

X509_CRL *pki_crl_parse(const char *text, size_t length, pki_fault *fault) {
    static const pki_pem_form form = {
        {"X509 CRL", NULL}, "CRL", "keep one CRL in a file", read_der, release};
    return pki_pem_read_one(&form, text, length, fault);
}

static bool add_reason(X509_REVOKED *revoked, const char *word, pki_fault *fault) {
    /* Unspecified is said by silence: RFC 5280, section 5.3.1. */
    if (word[0] == '\0' || strcmp(word, "unspecified") == 0) {
        return true;
    }
    for (int i = 0; i < REASONS; i++) {
        if (reasons[i] != NULL && strcmp(reasons[i], word) == 0) {
            ASN1_ENUMERATED *reason = ASN1_ENUMERATED_new();
            bool done = reason != NULL && ASN1_ENUMERATED_set(reason, i) == 1 &&
                        X509_REVOKED_add1_ext_i2d(revoked, NID_crl_reason, reason, 0,
                                                  X509V3_ADD_DEFAULT) == 1;
            ASN1_ENUMERATED_free(reason);
            return done || pki_fail_memory(fault);
        }
    }
    (void)pki_fail(fault, PKI_BAD_NAME, "%s is not a reason for a revocation", word);
    pki_fault_set_hint(fault, "use key_compromise, superseded, cessation_of_operation, …");
    return false;
}

static bool add_entry(X509_CRL *crl, const pki_list *entries, size_t index, pki_fault *fault) {
    X509_REVOKED *revoked = X509_REVOKED_new();
    ASN1_INTEGER *serial = pki_serial_make(pki_item_value(entries, index), fault);
    ASN1_TIME *time = ASN1_TIME_new();
    bool done = serial != NULL && revoked != NULL && time != NULL;
    if (!done && fault->code == PKI_OK) {
        (void)pki_fail_memory(fault);
    }
    done = done && pki_time_set(time, entries->items[index].number, fault) &&
           add_reason(revoked, pki_item_type(entries, index), fault);
    done = done && ((X509_REVOKED_set_serialNumber(revoked, serial) == 1 &&
                     X509_REVOKED_set_revocationDate(revoked, time) == 1 &&
                     X509_CRL_add0_revoked(crl, revoked) == 1) ||
                    pki_fail_memory(fault));
    if (!done) {
        X509_REVOKED_free(revoked);
    }
    ASN1_INTEGER_free(serial);
    ASN1_TIME_free(time);
    return done;
}

static bool add_extensions(X509_CRL *crl, X509 *issuer, const char *number, pki_fault *fault) {
    ASN1_INTEGER *value = pki_serial_make(number, fault);
    bool done = value != NULL &&
                (X509_CRL_add1_ext_i2d(crl, NID_crl_number, value, 0, X509V3_ADD_DEFAULT) == 1 ||
                 pki_fail_memory(fault));
    ASN1_INTEGER_free(value);
    if (!done || X509_get0_subject_key_id(issuer) == NULL) {
        return done;
    }
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, NULL, NULL, crl, 0);
    X509_EXTENSION *extension =
        X509V3_EXT_conf_nid(NULL, &context, NID_authority_key_identifier, "keyid:always");
    done = extension != NULL && X509_CRL_add_ext(crl, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return done ||
           pki_fail_libcrypto(fault, PKI_LIBCRYPTO, "the key identifier could not be added");
}

static bool set_times(X509_CRL *crl, long long this_update, long long next_update,
                      pki_fault *fault) {
    if (next_update <= this_update) {
        return pki_fail(fault, PKI_BAD_TIME, "next_update does not lie after this_update");
    }
    ASN1_TIME *time = ASN1_TIME_new();
    bool done = time != NULL || pki_fail_memory(fault);
    done = done && pki_time_set(time, this_update, fault) &&
           (X509_CRL_set1_lastUpdate(crl, time) == 1 || pki_fail_memory(fault)) &&
           pki_time_set(time, next_update, fault) &&
           (X509_CRL_set1_nextUpdate(crl, time) == 1 || pki_fail_memory(fault));
    ASN1_TIME_free(time);
    return done;
}

X509_CRL *pki_crl_make(X509 *issuer, EVP_PKEY *key, const char *number, long long this_update,
                       long long next_update, const pki_list *entries, const char *digest,
                       pki_fault *fault) {
    const EVP_MD *method = NULL;
    X509_CRL *crl = X509_CRL_new();
    if (crl == NULL) {
        (void)pki_fail_memory(fault);
        return NULL;
    }
    bool done = (X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1 &&
                 X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer)) == 1) ||
                pki_fail_memory(fault);
    done = done && set_times(crl, this_update, next_update, fault);
    for (size_t i = 0; done && i < entries->count; i++) {
        done = add_entry(crl, entries, i, fault);
    }
    done = done && add_extensions(crl, issuer, number, fault) &&
           (X509_CRL_sort(crl) == 1 || pki_fail_memory(fault)) &&
           pki_key_digest(key, digest, &method, fault) &&
           (X509_CRL_sign(crl, key, method) > 0 ||
            pki_fail_libcrypto(fault, PKI_LIBCRYPTO, "the CRL could not be signed"));
    if (!done) {
        X509_CRL_free(crl);
        return NULL;
    }
    return crl;
}

static bool list_entry(const X509_REVOKED *revoked, pki_list *entries, pki_fault *fault) {
    long long time = 0;
    const char *word = "";
    int critical = 0;
    if (!pki_time_read(X509_REVOKED_get0_revocationDate(revoked), &time, fault)) {
        return false;
    }
    ASN1_ENUMERATED *reason = X509_REVOKED_get_ext_d2i(revoked, NID_crl_reason, &critical, NULL);
    if (reason != NULL) {
        long value = ASN1_ENUMERATED_get(reason);
        word = value >= 0 && value < REASONS && reasons[value] != NULL ? reasons[value] : "other";
        ASN1_ENUMERATED_free(reason);
    }
    char *serial = pki_serial_text(X509_REVOKED_get0_serialNumber(revoked), fault);
    bool done = serial != NULL && pki_list_add(entries, word, serial, strlen(serial), fault);
    OPENSSL_free(serial);
    if (done) {
        pki_list_last(entries)->number = time;
    }
    return done;
}

bool pki_crl_entries(X509_CRL *crl, pki_list *entries, pki_fault *fault) {
    STACK_OF(X509_REVOKED) *all = X509_CRL_get_REVOKED(crl);
    for (int i = 0; i < sk_X509_REVOKED_num(all); i++) {
        if (!list_entry(sk_X509_REVOKED_value(all, i), entries, fault)) {
            return false;
        }
    }
    return true;
}

bool pki_crl_lists(X509_CRL *crl, X509 *certificate, pki_list *entries, pki_fault *fault) {
    if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_issuer_name(certificate)) != 0) {
        (void)pki_fail(fault, PKI_ISSUER_MISMATCH,
                       "the CRL is not of the issuer of this certificate");
        pki_fault_set_hint(fault, "ask the CRL of the certificate's own issuer");
        pki_name_text(X509_CRL_get_issuer(crl), fault->subject, sizeof fault->subject);
        return false;
    }
    X509_REVOKED *revoked = NULL;
    /* 2 means removed from the CRL again: not revoked. */
    return X509_CRL_get0_by_cert(crl, &revoked, certificate) != 1 ||
           list_entry(revoked, entries, fault);
}

bool pki_crl_verify(X509_CRL *crl, X509 *issuer, pki_fault *fault) {
    if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(issuer)) != 0) {
        return pki_fail(fault, PKI_ISSUER_MISMATCH, "the CRL names another issuer");
    }
    EVP_PKEY *key = X509_get0_pubkey(issuer);
    return (key != NULL && X509_CRL_verify(crl, key) == 1) ||
           pki_fail_libcrypto(fault, PKI_BAD_SIGNATURE, "the CRL is not signed by this issuer");
}

char *pki_crl_number(X509_CRL *crl, bool *present, pki_fault *fault) {
    int critical = 0;
    ASN1_INTEGER *number = X509_CRL_get_ext_d2i(crl, NID_crl_number, &critical, NULL);
    *present = number != NULL;
    if (number == NULL) {
        if (critical != -1) {
            (void)pki_fail_libcrypto(fault, PKI_BAD_EXTENSION, "the CRL number is damaged");
        }
        return NULL;
    }
    char *text = pki_serial_text(number, fault);
    ASN1_INTEGER_free(number);
    return text;
}

bool pki_crl_der(X509_CRL *crl, pki_buffer *der, pki_fault *fault) {
    int length = i2d_X509_CRL(crl, &der->data);
    if (length <= 0) {
        return pki_fail_libcrypto(fault, PKI_LIBCRYPTO, "the CRL could not be encoded");
    }
    der->length = (size_t)length;
    return true;
}

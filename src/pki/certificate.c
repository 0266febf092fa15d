#include "certificate.h"

#include <openssl/bn.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "der.h"
#include "foreign.h"
#include "key.h"
#include "pem.h"

/* ---- the bytes that were read ---- */

static int original_index = -1;
static CRYPTO_ONCE original_once = CRYPTO_ONCE_STATIC_INIT;

static void free_original(void *parent, void *value, CRYPTO_EX_DATA *data, int index, long argument,
                          void *pointer) {
    (void)parent;
    (void)data;
    (void)index;
    (void)argument;
    (void)pointer;
    ASN1_OCTET_STRING_free(value);
}

static void make_original_index(void) {
    original_index = X509_get_ex_new_index(0, NULL, NULL, NULL, free_original);
}

/* Keeps the bytes where encoding the certificate again would change them. */
static bool keep_original(X509 *certificate, const unsigned char *der, size_t length,
                          pki_fault *fault) {
    unsigned char small[4096];
    unsigned char *again = small;
    unsigned char *at = small;
    int size = i2d_X509(certificate, NULL);
    bool same = size > 0 && (size_t)size == length;
    if (same) {
        if (length > sizeof small) {
            again = OPENSSL_malloc(length);
            if (again == NULL) {
                return pki_fail_memory(fault);
            }
            at = again;
        }
        same = i2d_X509(certificate, &at) == size && memcmp(again, der, length) == 0;
        if (again != small) {
            OPENSSL_free(again);
        }
    }
    if (same) {
        return true;
    }
    ASN1_OCTET_STRING *original = ASN1_OCTET_STRING_new();
    if (original == NULL || ASN1_OCTET_STRING_set(original, der, (int)length) != 1 ||
        !CRYPTO_THREAD_run_once(&original_once, make_original_index) || original_index < 0 ||
        X509_set_ex_data(certificate, original_index, original) != 1) {
        ASN1_OCTET_STRING_free(original);
        return pki_fail_memory(fault);
    }
    return true;
}

bool pki_certificate_der(const X509 *certificate, pki_view *der, unsigned char **owned,
                         pki_fault *fault) {
    *owned = NULL;
    const ASN1_OCTET_STRING *original =
        original_index < 0 ? NULL : X509_get_ex_data(certificate, original_index);
    if (original != NULL) {
        der->data = ASN1_STRING_get0_data(original);
        der->length = (size_t)ASN1_STRING_length(original);
        return true;
    }
    int length = i2d_X509(certificate, owned);
    if (length <= 0) {
        (void)pki_fail_libcrypto(fault, PKI_LIBCRYPTO, "the certificate could not be encoded");
        return false;
    }
    der->data = *owned;
    der->length = (size_t)length;
    return true;
}

/* ---- reading ---- */

/*
** d2i_X509 decodes the public key at once, and would compute with the curve that a hostile
** certificate spells out: the key is looked at first. What is no certificate is left to d2i.
*/
static bool guard_public_key(const unsigned char *der, size_t length, pki_fault *fault) {
    enum { BEFORE_KEY = 5 }; /* serial number, signature, issuer, validity, subject */
    pki_view view = {der, length};
    pki_view outer;
    pki_view body;
    pki_view skipped;
    int tag = 0;
    if (!der_expect(&view, DER_SEQUENCE, &outer) || !der_expect(&outer, DER_SEQUENCE, &body)) {
        return true;
    }
    (void)der_expect(&body, DER_CONTEXT_0, &skipped);
    for (int i = 0; i < BEFORE_KEY; i++) {
        if (!der_next(&body, &tag, &skipped)) {
            return true;
        }
    }
    if (pki_key_guard_public(body.data, body.length, fault) ||
        (fault->code != PKI_KEY_TOO_LARGE && fault->code != PKI_EXPLICIT_PARAMETERS)) {
        pki_begin(fault);
        return true;
    }
    return false;
}

X509 *pki_certificate_from_der(const unsigned char *der, size_t length, pki_fault *fault) {
    if (!pki_foreign_refuse((pki_view){der, length}, "a certificate", fault)) {
        return NULL;
    }
    const unsigned char *at = der;
    if (!guard_public_key(der, length, fault)) {
        return NULL;
    }
    X509 *certificate = d2i_X509(NULL, &at, (long)length);
    if (certificate == NULL) {
        (void)pki_fail_libcrypto(fault, PKI_BAD_DER, "it is not a certificate, or damaged");
        return NULL;
    }
    if (at != der + length) {
        (void)pki_fail(fault, PKI_TRAILING_DATA, "%zu bytes follow the certificate",
                       (size_t)(der + length - at));
        X509_free(certificate);
        return NULL;
    }
    if (!keep_original(certificate, der, length, fault)) {
        X509_free(certificate);
        return NULL;
    }
    return certificate;
}

static void *read_der(const unsigned char *der, size_t length, pki_fault *fault) {
    return pki_certificate_from_der(der, length, fault);
}

static void release(void *object) {
    X509_free(object);
}

X509 *pki_certificate_parse(const char *text, size_t length, pki_fault *fault) {
    static const pki_pem_form form = {
        {"CERTIFICATE", NULL}, "certificate", NULL, read_der, release};
    return pki_pem_read_one(&form, text, length, fault);
}

char *pki_serial_text(const ASN1_INTEGER *serial, pki_fault *fault) {
    BIGNUM *number = ASN1_INTEGER_to_BN(serial, NULL);
    char *text = number == NULL ? NULL : BN_bn2hex(number);
    BN_free(number);
    if (text == NULL) {
        (void)pki_fail_libcrypto(fault, PKI_BAD_DER, "the serial number is damaged");
        return NULL;
    }
    for (char *at = text; *at != '\0'; at++) {
        if (*at >= 'A' && *at <= 'F') {
            *at = (char)(*at - 'A' + 'a');
        }
    }
    return text;
}

ASN1_INTEGER *pki_serial_make(const char *hex, pki_fault *fault) {
    BIGNUM *number = NULL;
    ASN1_INTEGER *serial = NULL;
    int digits = BN_hex2bn(&number, hex);
    if (digits > 0 && hex[digits] == '\0' && !BN_is_negative(number) &&
        BN_num_bits(number) <= 159) {
        serial = BN_to_ASN1_INTEGER(number, NULL);
        if (serial == NULL) {
            (void)pki_fail_memory(fault);
        }
    } else {
        /* RFC 5280, section 4.1.2.2: positive, at most 20 octets. */
        (void)pki_fail(fault, PKI_BAD_NAME, "the serial number is not hex of at most 159 bits");
        pki_fault_set_hint(fault, "write it as lowercase hex without colons");
    }
    BN_free(number);
    return serial;
}

bool pki_time_read(const ASN1_TIME *time, long long *seconds, pki_fault *fault) {
    /* From the epoch by day and second: timegm is not in C11, and mktime is local time. */
    struct tm tm;
    if (ASN1_TIME_to_tm(time, &tm) != 1) {
        return pki_fail_libcrypto(fault, PKI_BAD_TIME, "a time is damaged");
    }
    long long year = (long long)tm.tm_year + 1900 - (tm.tm_mon < 2 ? 1 : 0);
    long long era = (year >= 0 ? year : year - 399) / 400;
    long long of_era = year - era * 400;
    long long month = tm.tm_mon + (tm.tm_mon < 2 ? 10 : -2);
    long long day = (153 * month + 2) / 5 + tm.tm_mday - 1;
    long long days = era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + day - 719468;
    *seconds = ((days * 24 + tm.tm_hour) * 60 + tm.tm_min) * 60 + tm.tm_sec;
    return true;
}

bool pki_time_set(ASN1_TIME *time, long long seconds, pki_fault *fault) {
    /* 9999-12-31T23:59:59Z: RFC 5280, section 4.1.2.5, has nothing later. */
    if (seconds < -2208988800LL || seconds > 253402300799LL ||
        ASN1_TIME_set(time, (time_t)seconds) == NULL) {
        return pki_fail(fault, PKI_BAD_TIME, "%lld is not a time between 1900 and 9999", seconds);
    }
    return true;
}

bool pki_certificate_fingerprint(const X509 *certificate, const EVP_MD *digest, char *text,
                                 pki_fault *fault) {
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    pki_view der = {NULL, 0};
    unsigned char *owned = NULL;
    bool done = pki_certificate_der(certificate, &der, &owned, fault);
    if (done && EVP_Digest(der.data, der.length, hash, &length, digest, NULL) != 1) {
        done = pki_fail_libcrypto(fault, PKI_LIBCRYPTO, "the fingerprint could not be computed");
    }
    OPENSSL_free(owned);
    if (done) {
        pki_hex(text, hash, length);
    }
    return done;
}

bool pki_certificate_text(X509 *certificate, pki_buffer *text, pki_fault *fault) {
    bool done = false;
    char *data = NULL;
    BIO *memory = BIO_new(BIO_s_mem());
    if (memory != NULL &&
        X509_print_ex(memory, certificate, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB, 0) == 1) {
        long length = BIO_get_mem_data(memory, &data);
        done = pki_buffer_copy(text, data, (size_t)length, fault);
    } else {
        (void)pki_fail_libcrypto(fault, PKI_LIBCRYPTO, "the certificate could not be shown");
    }
    BIO_free(memory);
    return done;
}

/* ---- relations ---- */

bool pki_certificate_equal(const X509 *one, const X509 *other) {
    pki_fault fault;
    pki_view a = {NULL, 0};
    pki_view b = {NULL, 0};
    unsigned char *owned_a = NULL;
    unsigned char *owned_b = NULL;
    /* The quick answer is about the content; the bytes around it may still differ. */
    bool equal = X509_cmp(one, other) == 0 && pki_certificate_der(one, &a, &owned_a, &fault) &&
                 pki_certificate_der(other, &b, &owned_b, &fault) && a.length == b.length &&
                 memcmp(a.data, b.data, a.length) == 0;
    OPENSSL_free(owned_a);
    OPENSSL_free(owned_b);
    return equal;
}

bool pki_certificate_issued_by(X509 *certificate, X509 *other) {
    if (X509_check_issued(other, certificate) != X509_V_OK) {
        return false;
    }
    EVP_PKEY *key = X509_get0_pubkey(other);
    return key != NULL && X509_verify(certificate, key) == 1;
}

/*
** Whether a common name can stand for a host name, and is bound by constraints on these: libcrypto
** asks so of the last certificate of a chain, where that has no alternative name of the kind.
*/
static bool common_name_counts(X509 *certificate) {
    bool counts = (X509_get_extension_flags(certificate) & EXFLAG_CA) == 0;
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; counts && i < sk_GENERAL_NAME_num(names); i++) {
        counts = sk_GENERAL_NAME_value(names, i)->type != GEN_DNS;
    }
    GENERAL_NAMES_free(names);
    return counts;
}

bool pki_certificate_permits(X509 *issuer, X509 *certificate, pki_fault *fault) {
    int critical = 0;
    NAME_CONSTRAINTS *constraints = X509_get_ext_d2i(issuer, NID_name_constraints, &critical, NULL);
    if (constraints == NULL) {
        return critical == -1 ||
               pki_fail_libcrypto(fault, PKI_BAD_EXTENSION,
                                  "the name constraints of the issuer are damaged");
    }
    /* The names that are checked are cached only once the extensions have been looked at. */
    (void)X509_check_purpose(certificate, -1, 0);
    int result = NAME_CONSTRAINTS_check(certificate, constraints);
    if (result == X509_V_OK && common_name_counts(certificate)) {
        result = NAME_CONSTRAINTS_check_CN(certificate, constraints);
    }
    NAME_CONSTRAINTS_free(constraints);
    return result == X509_V_OK ||
           pki_fail(fault, PKI_NAME_NOT_PERMITTED,
                    "a name of the certificate breaks the name constraints of its issuer: %s",
                    X509_verify_cert_error_string(result));
}

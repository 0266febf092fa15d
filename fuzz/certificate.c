#include "pki/certificate.h"

#include <openssl/crypto.h>
#include <string.h>

#include "extensions.h"
#include "fuzz.h"
#include "pki/name.h"

static void read_name(const X509_NAME *name) {
    pki_fault fault;
    pki_begin(&fault);
    pki_list entries = {0};
    if (!pki_name_read(name, &entries, &fault)) {
        fuzz_check_fault(&fault);
    }
    pki_list_free(&entries);
    char text[64];
    pki_name_text(name, text, sizeof text);
    REQUIRE(memchr(text, '\0', sizeof text) != NULL);
}

static void read_time(const ASN1_TIME *time) {
    pki_fault fault;
    pki_begin(&fault);
    long long seconds = 0;
    if (!pki_time_read(time, &seconds, &fault)) {
        fuzz_check_fault(&fault);
    }
}

/* The bytes that were read are the bytes that are given back. */
static void check_der(const X509 *certificate) {
    pki_fault fault;
    pki_begin(&fault);
    pki_view der;
    unsigned char *owned = NULL;
    if (!pki_certificate_der(certificate, &der, &owned, &fault)) {
        fuzz_check_fault(&fault);
        return;
    }
    X509 *again = pki_certificate_from_der(der.data, der.length, &fault);
    REQUIRE(again != NULL);
    REQUIRE(X509_cmp(certificate, again) == 0);
    X509_free(again);
    OPENSSL_free(owned);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    pki_fault fault;
    pki_begin(&fault);
    X509 *certificate = pki_certificate_parse((const char *)data, size, &fault);
    if (certificate == NULL) {
        fuzz_check_fault(&fault);
        return 0;
    }
    check_der(certificate);
    read_name(X509_get_subject_name(certificate));
    read_name(X509_get_issuer_name(certificate));
    read_time(X509_get0_notBefore(certificate));
    read_time(X509_get0_notAfter(certificate));
    fuzz_read_extensions(X509_get0_extensions(certificate));

    pki_begin(&fault);
    char *serial = pki_serial_text(X509_get0_serialNumber(certificate), &fault);
    if (serial == NULL) {
        fuzz_check_fault(&fault);
    }
    OPENSSL_free(serial);

    pki_begin(&fault);
    char fingerprint[65];
    REQUIRE(pki_certificate_fingerprint(certificate, EVP_sha256(), fingerprint, &fault));

    pki_begin(&fault);
    pki_buffer text = {0};
    if (!pki_certificate_text(certificate, &text, &fault)) {
        fuzz_check_fault(&fault);
    }
    pki_buffer_free(&text);

    pki_certificate_issued_by(certificate, certificate);
    pki_begin(&fault);
    if (!pki_certificate_permits(certificate, certificate, &fault)) {
        fuzz_check_fault(&fault);
    }
    X509_free(certificate);
    return 0;
}

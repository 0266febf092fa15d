#include "pki/crl.h"

#include <openssl/crypto.h>

#include "extensions.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    pki_fault fault;
    pki_begin(&fault);
    X509_CRL *crl = pki_crl_parse((const char *)data, size, &fault);
    if (crl == NULL) {
        fuzz_check_fault(&fault);
        return 0;
    }
    pki_begin(&fault);
    pki_list entries = {0};
    if (!pki_crl_entries(crl, &entries, &fault)) {
        fuzz_check_fault(&fault);
    }
    pki_list_free(&entries);
    pki_begin(&fault);
    bool present = false;
    char *number = pki_crl_number(crl, &present, &fault);
    if (number == NULL && present) {
        fuzz_check_fault(&fault);
    }
    OPENSSL_free(number);
    pki_begin(&fault);
    pki_buffer der = {0};
    if (!pki_crl_der(crl, &der, &fault)) {
        fuzz_check_fault(&fault);
    }
    pki_buffer_free(&der);
    fuzz_read_extensions(X509_CRL_get0_extensions(crl));
    X509_CRL_free(crl);
    return 0;
}

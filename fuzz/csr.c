#include "pki/csr.h"

#include "extensions.h"
#include "fuzz.h"
#include "pki/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    pki_fault fault;
    pki_begin(&fault);
    X509_REQ *csr = pki_csr_parse((const char *)data, size, &fault);
    if (csr == NULL) {
        fuzz_check_fault(&fault);
        return 0;
    }
    pki_begin(&fault);
    if (!pki_csr_verify(csr, &fault)) {
        fuzz_check_fault(&fault);
    }
    pki_begin(&fault);
    EVP_PKEY *key = pki_csr_public_key(csr, &fault);
    if (key == NULL) {
        fuzz_check_fault(&fault);
    }
    EVP_PKEY_free(key);
    pki_begin(&fault);
    pki_buffer der = {0};
    if (!pki_csr_der(csr, &der, &fault)) {
        fuzz_check_fault(&fault);
    }
    pki_buffer_free(&der);
    pki_begin(&fault);
    pki_list subject = {0};
    if (!pki_name_read(X509_REQ_get_subject_name(csr), &subject, &fault)) {
        fuzz_check_fault(&fault);
    }
    pki_list_free(&subject);
    pki_extensions *extensions = X509_REQ_get_extensions(csr);
    fuzz_read_extensions(extensions);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    X509_REQ_free(csr);
    return 0;
}

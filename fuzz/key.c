#include "pki/key.h"

#include <string.h>

#include "fuzz.h"

static void use(const EVP_PKEY *key) {
    pki_fault fault;
    pki_key_kind kind;
    REQUIRE(pki_key_describe(key, &kind, &fault));
    REQUIRE(kind.type != NULL);
    char fingerprint[65];
    pki_begin(&fault);
    if (pki_key_fingerprint(key, fingerprint, &fault)) {
        REQUIRE(strlen(fingerprint) == 64);
    }
    for (int traditional = 0; traditional < 2; traditional++) {
        pki_buffer pem = {0};
        pki_begin(&fault);
        if (pki_key_pem(key, traditional, NULL, &pem, &fault)) {
            EVP_PKEY *again = pki_key_parse((const char *)pem.data, pem.length, NULL, &fault);
            REQUIRE(again != NULL);
            REQUIRE(EVP_PKEY_eq(key, again) == 1);
            EVP_PKEY_free(again);
        } else {
            fuzz_check_fault(&fault);
        }
        pki_buffer_free(&pem);
    }
    pki_buffer der = {0};
    pki_begin(&fault);
    if (!pki_key_der(key, &der, &fault)) {
        fuzz_check_fault(&fault);
    }
    pki_buffer_free(&der);
    pki_begin(&fault);
    EVP_PKEY_free(pki_key_public(key, &fault));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const pki_view secret = {(const unsigned char *)"secret", 6};
    const pki_view *passphrases[] = {NULL, &secret};
    for (size_t i = 0; i < 2; i++) {
        pki_fault fault;
        pki_begin(&fault);
        EVP_PKEY *key = pki_key_parse((const char *)data, size, passphrases[i], &fault);
        if (key != NULL) {
            use(key);
            EVP_PKEY_free(key);
            break;
        }
        fuzz_check_fault(&fault);
        if (fault.code != PKI_PASSPHRASE_REQUIRED) {
            break;
        }
    }
    return 0;
}

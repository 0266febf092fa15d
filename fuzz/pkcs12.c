#include "pki/pkcs12.h"

#include <string.h>

#include "fuzz.h"
#include "pki/key.h"

static bool is_utf8(const pki_buffer *text) {
    const unsigned char *at = text->data;
    size_t left = text->length;
    while (left > 0) {
        unsigned long character = 0;
        int used = UTF8_getc(at, (int)left, &character);
        if (used <= 0) {
            return false;
        }
        at += used;
        left -= (size_t)used;
    }
    return true;
}

/* What was read is written again, and read again, to the same key and certificate. */
static void write_again(const pki_pkcs12_entry *key, const pki_pkcs12_entry *certificate) {
    static const pki_view secret = {(const unsigned char *)"secret", 6};
    pki_fault fault;
    pki_buffer der = {NULL, 0};
    pki_pkcs12 again;
    pki_view name = {key->name.data, key->name.length};
    pki_pkcs12_template form = {
        .key = key->key,
        .certificates = &certificate->certificate,
        .count = 1,
        .name = name.data != NULL ? &name : NULL,
        .profile = pki_pkcs12_profile_named("modern"),
        .iterations = 1,
        .passphrase = &secret,
    };
    pki_begin(&fault);
    if (!pki_pkcs12_make(&form, &der, &fault)) {
        fuzz_check_fault(&fault); /* a NUL in the name, or a key without its private half */
        return;
    }
    REQUIRE(pki_pkcs12_read(&again, (const char *)der.data, der.length, &secret, &fault));
    REQUIRE(again.count == 2);
    REQUIRE(EVP_PKEY_eq(again.entries[1].key, key->key) == 1);
    REQUIRE(X509_cmp(again.entries[0].certificate, certificate->certificate) == 0);
    REQUIRE(again.entries[1].name.length == name.length);
    REQUIRE(name.data == NULL || memcmp(again.entries[1].name.data, name.data, name.length) == 0);
    pki_pkcs12_free(&again);
    pki_buffer_free(&der);
}

static void use(const pki_pkcs12 *file) {
    const pki_pkcs12_entry *key = NULL;
    const pki_pkcs12_entry *certificate = NULL;
    for (size_t i = 0; i < file->count; i++) {
        const pki_pkcs12_entry *entry = &file->entries[i];
        REQUIRE((entry->kind == PKI_PKCS12_KEY) == (entry->key != NULL));
        REQUIRE((entry->kind == PKI_PKCS12_CERTIFICATE) == (entry->certificate != NULL));
        REQUIRE(entry->name.data == NULL || is_utf8(&entry->name));
        REQUIRE(memchr(entry->encryption, '\0', sizeof entry->encryption) != NULL);
        key = entry->key != NULL ? entry : key;
        certificate = entry->certificate != NULL ? entry : certificate;
    }
    if (key != NULL && certificate != NULL) {
        write_again(key, certificate);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const pki_view secret = {(const unsigned char *)"secret", 6};
    static const pki_view accented = {(const unsigned char *)"\xc3\xa9", 2};
    const pki_view *passphrases[] = {NULL, &secret, &accented};
    for (size_t i = 0; i < sizeof passphrases / sizeof passphrases[0]; i++) {
        pki_fault fault;
        pki_pkcs12 file;
        pki_begin(&fault);
        if (pki_pkcs12_read(&file, (const char *)data, size, passphrases[i], &fault)) {
            use(&file);
            pki_pkcs12_free(&file);
            break;
        }
        fuzz_check_fault(&fault);
        REQUIRE(file.entries == NULL);
        if (fault.code != PKI_PASSPHRASE_REQUIRED && fault.code != PKI_BAD_PASSPHRASE) {
            break;
        }
    }
    return 0;
}

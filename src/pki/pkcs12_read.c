#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/pkcs12.h>
#include <stdio.h>
#include <string.h>

#include "certificate.h"
#include "der.h"
#include "file.h"
#include "key.h"
#include "pbmac1.h"
#include "pkcs12.h"
#include "pkcs12_lock.h"

/* safeContentsBag nests; nobody nests more than once. */
enum { NESTING_LIMIT = 8 };

typedef struct reader {
    pki_pkcs12 *file;
    pki_pkcs12_lock lock;
    bool pbmac1;
} reader;

/* ---- entries ---- */

static void entry_free(pki_pkcs12_entry *entry) {
    EVP_PKEY_free(entry->key);
    X509_free(entry->certificate);
    pki_buffer_free(&entry->name);
    pki_buffer_free(&entry->local_key_id);
}

void pki_pkcs12_free(pki_pkcs12 *file) {
    for (size_t i = 0; i < file->count; i++) {
        entry_free(&file->entries[i]);
    }
    OPENSSL_free(file->entries);
    memset(file, 0, sizeof *file);
}

static pki_pkcs12_entry *add_entry(pki_pkcs12 *file, pki_fault *fault) {
    if (file->count == file->capacity) {
        size_t capacity = file->capacity == 0 ? 4 : 2 * file->capacity;
        pki_pkcs12_entry *entries =
            OPENSSL_realloc(file->entries, capacity * sizeof *file->entries);
        if (entries == NULL) {
            (void)pki_fail_memory(fault);
            return NULL;
        }
        file->entries = entries;
        file->capacity = capacity;
    }
    pki_pkcs12_entry *entry = &file->entries[file->count++];
    memset(entry, 0, sizeof *entry);
    return entry;
}

/* BMPString is UTF-16 in practice; a lone surrogate becomes U+FFFD. */
static bool take_name(pki_buffer *name, const ASN1_STRING *text, pki_fault *fault) {
    const unsigned char *data = ASN1_STRING_get0_data(text);
    size_t length = (size_t)ASN1_STRING_length(text) / 2;
    unsigned char *out = OPENSSL_malloc(3 * length + 1);
    if (out == NULL) {
        return pki_fail_memory(fault);
    }
    name->data = out;
    for (size_t i = 0; i < length; i++) {
        unsigned long unit = (unsigned long)data[2 * i] << 8 | data[2 * i + 1];
        if (unit >= 0xd800 && unit < 0xdc00 && i + 1 < length) {
            unsigned long low = (unsigned long)data[2 * i + 2] << 8 | data[2 * i + 3];
            if (low >= 0xdc00 && low < 0xe000) {
                unit = 0x10000 + ((unit - 0xd800) << 10 | (low - 0xdc00));
                i++;
            }
        }
        if (unit >= 0xd800 && unit < 0xe000) {
            unit = 0xfffd;
        }
        name->length += (size_t)UTF8_putc(out + name->length, 4, unit);
    }
    return true;
}

static bool has_java_trust(const PKCS12_SAFEBAG *bag) {
    static const char oid[] = "2.16.840.1.113894.746875.1.1";
    char text[sizeof oid + 1];
    const STACK_OF(X509_ATTRIBUTE) *attributes = PKCS12_SAFEBAG_get0_attrs(bag);
    for (int i = 0; i < sk_X509_ATTRIBUTE_num(attributes); i++) {
        const ASN1_OBJECT *object =
            X509_ATTRIBUTE_get0_object(sk_X509_ATTRIBUTE_value(attributes, i));
        if (OBJ_obj2txt(text, sizeof text, object, 1) == (int)sizeof oid - 1 &&
            strcmp(text, oid) == 0) {
            return true;
        }
    }
    return false;
}

static bool take_attributes(pki_pkcs12_entry *entry, const PKCS12_SAFEBAG *bag, pki_fault *fault) {
    const ASN1_TYPE *name = PKCS12_SAFEBAG_get0_attr(bag, NID_friendlyName);
    const ASN1_TYPE *id = PKCS12_SAFEBAG_get0_attr(bag, NID_localKeyID);
    entry->trusted = has_java_trust(bag);
    return (name == NULL || name->type != V_ASN1_BMPSTRING ||
            take_name(&entry->name, name->value.bmpstring, fault)) &&
           (id == NULL || id->type != V_ASN1_OCTET_STRING ||
            pki_buffer_copy(&entry->local_key_id, ASN1_STRING_get0_data(id->value.octet_string),
                            (size_t)ASN1_STRING_length(id->value.octet_string), fault));
}

/* Says which entry a fault is about: the file has no lines. */
static bool in_entry(const pki_pkcs12 *file, const char *kind, pki_fault *fault) {
    char message[sizeof fault->message];
    if (fault->code != PKI_OUT_OF_MEMORY) {
        (void)snprintf(message, sizeof message, "entry %zu, a %s: %.400s", file->count, kind,
                       fault->message);
        memcpy(fault->message, message, sizeof message);
    }
    return false;
}

static bool take_key(reader *state, pki_pkcs12_entry *entry, const unsigned char *der,
                     size_t length, pki_fault *fault) {
    entry->kind = PKI_PKCS12_KEY;
    entry->key = pki_key_parse((const char *)der, length, NULL, fault);
    return entry->key != NULL || in_entry(state->file, "private key", fault);
}

static void describe_encryption(pki_pkcs12_entry *entry, const pki_encryption *encryption) {
    (void)snprintf(entry->encryption, sizeof entry->encryption,
                   "%s, %s with %" PRIu64 " iterations", encryption->cipher, encryption->derivation,
                   encryption->iterations);
}

static bool take_encrypted_key(reader *state, pki_pkcs12_entry *entry, const PKCS12_SAFEBAG *bag,
                               pki_fault *fault) {
    static const char what[] = "the private key";
    const X509_ALGOR *algorithm = NULL;
    const ASN1_OCTET_STRING *content = NULL;
    pki_encryption encryption;
    pki_buffer plain = {NULL, 0};
    const X509_SIG *sealed = PKCS12_SAFEBAG_get0_pkcs8(bag);
    if (sealed == NULL) {
        return pki_fail(fault, PKI_BAD_DER, "the PKCS#12 file is damaged");
    }
    X509_SIG_get0(sealed, &algorithm, &content);
    bool done = pki_pkcs12_lock_guard(&state->lock, algorithm, what, &encryption, fault) &&
                pki_pkcs12_lock_decrypt(&state->lock, algorithm, content, &encryption, what, &plain,
                                        fault) &&
                take_key(state, entry, plain.data, plain.length, fault);
    if (done) {
        describe_encryption(entry, &encryption);
    }
    pki_buffer_free(&plain);
    return done;
}

static bool take_plain_key(reader *state, pki_pkcs12_entry *entry, const PKCS12_SAFEBAG *bag,
                           pki_fault *fault) {
    unsigned char *der = NULL;
    const PKCS8_PRIV_KEY_INFO *info = PKCS12_SAFEBAG_get0_p8inf(bag);
    int length = info == NULL ? -1 : i2d_PKCS8_PRIV_KEY_INFO(info, &der);
    if (length <= 0) {
        return pki_fail_libcrypto(fault, PKI_BAD_DER, "the private key is damaged");
    }
    bool done = take_key(state, entry, der, (size_t)length, fault);
    OPENSSL_clear_free(der, (size_t)length);
    return done;
}

/*
** The octets of the certificate, which libcrypto's accessor would decode unguarded: SafeBag, its
** value, CertBag, its value (RFC 7292, section 4.2.3). Encoded anew by libcrypto, so no BER.
*/
static bool find_certificate(pki_view der, pki_view *octets) {
    pki_view outer;
    pki_view part;
    pki_view value;
    return der_expect(&der, DER_SEQUENCE, &outer) && der_expect(&outer, DER_OID, &part) &&
           der_expect(&outer, DER_CONTEXT_0, &value) && der_expect(&value, DER_SEQUENCE, &outer) &&
           der_expect(&outer, DER_OID, &part) && der_expect(&outer, DER_CONTEXT_0, &value) &&
           der_expect(&value, DER_OCTET_STRING, octets);
}

static bool take_certificate(reader *state, pki_pkcs12_entry *entry, const PKCS12_SAFEBAG *bag,
                             pki_fault *fault) {
    unsigned char *der = NULL;
    pki_view octets = {NULL, 0};
    entry->kind = PKI_PKCS12_CERTIFICATE;
    int length = ASN1_item_i2d((const ASN1_VALUE *)bag, &der, ASN1_ITEM_rptr(PKCS12_SAFEBAG));
    if (length <= 0) {
        return pki_fail_libcrypto(fault, PKI_BAD_DER, "a certificate is damaged");
    }
    if (find_certificate((pki_view){der, (size_t)length}, &octets)) {
        entry->certificate = pki_certificate_from_der(octets.data, octets.length, fault);
    } else {
        (void)pki_fail(fault, PKI_BAD_DER, "it is damaged");
    }
    OPENSSL_free(der);
    return entry->certificate != NULL || in_entry(state->file, "certificate", fault);
}

static bool take_bags(reader *state, const STACK_OF(PKCS12_SAFEBAG) * bags,
                      const pki_encryption *around, int depth, pki_fault *fault);

static bool take_bag(reader *state, const PKCS12_SAFEBAG *bag, const pki_encryption *around,
                     int depth, pki_fault *fault) {
    int kind = PKCS12_SAFEBAG_get_nid(bag);
    if (kind == NID_safeContentsBag) {
        return take_bags(state, PKCS12_SAFEBAG_get0_safes(bag), around, depth + 1, fault);
    }
    pki_pkcs12_entry *entry = add_entry(state->file, fault);
    if (entry == NULL || !take_attributes(entry, bag, fault)) {
        return false;
    }
    if (around != NULL) {
        describe_encryption(entry, around);
    }
    switch (kind) {
    case NID_keyBag:
        return take_plain_key(state, entry, bag, fault);
    case NID_pkcs8ShroudedKeyBag:
        return take_encrypted_key(state, entry, bag, fault);
    case NID_certBag:
        if (PKCS12_SAFEBAG_get_bag_nid(bag) == NID_x509Certificate) {
            return take_certificate(state, entry, bag, fault);
        }
        break;
    case NID_crlBag:
        entry->kind = PKI_PKCS12_CRL;
        return true;
    case NID_secretBag:
        entry->kind = PKI_PKCS12_SECRET;
        return true;
    default:
        break;
    }
    entry->kind = PKI_PKCS12_OTHER;
    (void)OBJ_obj2txt(entry->oid, sizeof entry->oid, PKCS12_SAFEBAG_get0_type(bag), 1);
    return true;
}

static bool take_bags(reader *state, const STACK_OF(PKCS12_SAFEBAG) * bags,
                      const pki_encryption *around, int depth, pki_fault *fault) {
    if (depth > NESTING_LIMIT) {
        return pki_fail(fault, PKI_TOO_COSTLY, "the bags are nested more than %d deep",
                        NESTING_LIMIT);
    }
    for (int i = 0; i < sk_PKCS12_SAFEBAG_num(bags); i++) {
        if (!take_bag(state, sk_PKCS12_SAFEBAG_value(bags, i), around, depth, fault)) {
            return false;
        }
    }
    return true;
}

/* ---- safes ---- */

static bool take_encrypted_safe(reader *state, const PKCS7 *safe, pki_fault *fault) {
    static const char what[] = "a part with certificates";
    pki_encryption encryption;
    pki_buffer plain = {NULL, 0};
    if (safe->d.encrypted == NULL || safe->d.encrypted->enc_data == NULL ||
        safe->d.encrypted->enc_data->enc_data == NULL) {
        return pki_fail(fault, PKI_BAD_DER, "an encrypted part of the PKCS#12 file is empty");
    }
    const PKCS7_ENC_CONTENT *content = safe->d.encrypted->enc_data;
    if (!pki_pkcs12_lock_guard(&state->lock, content->algorithm, what, &encryption, fault) ||
        !pki_pkcs12_lock_decrypt(&state->lock, content->algorithm, content->enc_data, &encryption,
                                 what, &plain, fault)) {
        return false;
    }
    const unsigned char *at = plain.data;
    STACK_OF(PKCS12_SAFEBAG) *bags = (STACK_OF(PKCS12_SAFEBAG) *)ASN1_item_d2i(
        NULL, &at, (long)plain.length, ASN1_ITEM_rptr(PKCS12_SAFEBAGS));
    bool done = bags == NULL
                    ? pki_fail_libcrypto(fault, PKI_BAD_DER,
                                         "the passphrase is right, but %s is damaged", what)
                    : take_bags(state, bags, &encryption, 0, fault);
    sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
    pki_buffer_free(&plain);
    return done;
}

static bool take_safe(reader *state, PKCS7 *safe, pki_fault *fault) {
    if (PKCS7_type_is_encrypted(safe)) {
        return take_encrypted_safe(state, safe, fault);
    }
    if (!PKCS7_type_is_data(safe)) {
        pki_fault_set_hint(fault, "export it with a passphrase instead");
        return pki_fail(fault, PKI_UNSUPPORTED_ENCRYPTION,
                        "a part of the PKCS#12 file is encrypted for a public key");
    }
    STACK_OF(PKCS12_SAFEBAG) *bags = PKCS12_unpack_p7data(safe);
    bool done = bags == NULL ? pki_fail_libcrypto(fault, PKI_BAD_DER,
                                                  "a part of the PKCS#12 file is damaged")
                             : take_bags(state, bags, NULL, 0, fault);
    sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
    return done;
}

/*
** Whether the passphrase decrypts any part of a file whose MAC does not hold: then the passphrase
** is right and the file was changed.
*/
static bool fits_somewhere(reader *state, const STACK_OF(PKCS7) * safes) {
    pki_fault ignored;
    for (int i = 0; i < sk_PKCS7_num(safes) && !state->lock.opened; i++) {
        PKCS7 *safe = sk_PKCS7_value(safes, i);
        pki_begin(&ignored);
        (void)take_safe(state, safe, &ignored);
    }
    pki_begin(&ignored);
    return state->lock.opened;
}

static bool mac_of(reader *state, const PKCS12 *parsed, pki_fault *fault) {
    const ASN1_INTEGER *count = NULL;
    const X509_ALGOR *algorithm = NULL;
    const ASN1_OBJECT *object = NULL;
    uint64_t iterations = 1;
    PKCS12_get0_mac(NULL, &algorithm, NULL, &count, parsed);
    X509_ALGOR_get0(&object, NULL, NULL, algorithm);
    (void)OBJ_obj2txt(state->file->mac, sizeof state->file->mac, object, 0);
    if (OBJ_obj2nid(object) == NID_pbmac1) {
        pki_encryption derivation;
        if (!pki_encryption_describe(algorithm, &derivation, fault)) {
            return false;
        }
        iterations = derivation.iterations;
        state->pbmac1 = true;
    } else if (count != NULL && !pki_iterations(count, &iterations, fault)) {
        return false;
    }
    state->file->mac_iterations = (long long)(iterations & INT64_MAX);
    return pki_pkcs12_lock_add_work(&state->lock, iterations, "the MAC", fault);
}

static bool mac_holds(const reader *state, PKCS12 *parsed, const pki_pkcs12_form *tried,
                      bool *holds, pki_fault *fault) {
    if (state->pbmac1) {
        return pki_pbmac1_holds(parsed, state->lock.bytes, holds, fault);
    }
    *holds = PKCS12_verify_mac(parsed, tried->text, tried->length) == 1;
    /* A MAC that differs leaves nothing in the queue. */
    if (*holds || ERR_peek_error() == 0) {
        return true;
    }
    (void)pki_fail_libcrypto(fault, PKI_UNSUPPORTED_ENCRYPTION,
                             "the MAC of the PKCS#12 file (%s) cannot be computed here",
                             state->file->mac);
    if (fault->code == PKI_UNSUPPORTED_ENCRYPTION) {
        pki_fault_set_hint(fault, "export it again with a MAC over SHA-256: openssl pkcs12 -export "
                                  "-macalg sha256");
    }
    return false;
}

/* Finds the form of the passphrase by the MAC; PBMAC1 takes its bytes, so there is but one. */
static bool check_mac(reader *state, PKCS12 *parsed, const STACK_OF(PKCS7) * safes,
                      pki_fault *fault) {
    size_t count = state->pbmac1 ? 1 : state->lock.form_count;
    for (size_t i = 0; i < count; i++) {
        bool holds = false;
        if (!mac_holds(state, parsed, &state->lock.forms[i], &holds, fault)) {
            return false;
        }
        if (holds) {
            pki_pkcs12_lock_fits(&state->lock, i);
            return true;
        }
    }
    if (fits_somewhere(state, safes)) {
        return pki_fail(fault, PKI_BAD_DER,
                        "the passphrase is right, but the PKCS#12 file was changed: its MAC does "
                        "not hold");
    }
    if (state->lock.bytes.length == 0) {
        return pki_fail(fault, PKI_PASSPHRASE_REQUIRED, "the PKCS#12 file has a passphrase");
    }
    return pki_fail(fault, PKI_BAD_PASSPHRASE,
                    state->lock.encrypted
                        ? "the passphrase does not open the PKCS#12 file"
                        : "the passphrase does not fit the MAC of the PKCS#12 file, "
                          "or the file was changed");
}

static bool read_safes(reader *state, PKCS12 *parsed, pki_fault *fault) {
    STACK_OF(PKCS7) *safes = PKCS12_unpack_authsafes(parsed);
    if (safes == NULL) {
        return pki_fail_libcrypto(fault, PKI_BAD_DER,
                                  "the PKCS#12 file is damaged, or signed instead of MACed");
    }
    bool done = PKCS12_mac_present(parsed) == 0 ||
                (mac_of(state, parsed, fault) && check_mac(state, parsed, safes, fault));
    for (int i = 0; done && i < sk_PKCS7_num(safes); i++) {
        done = take_safe(state, sk_PKCS7_value(safes, i), fault);
    }
    sk_PKCS7_pop_free(safes, PKCS7_free);
    return done;
}

bool pki_pkcs12_read(pki_pkcs12 *file, const char *text, size_t length, const pki_view *passphrase,
                     pki_fault *fault) {
    reader state = {.file = file};
    PKCS12 *parsed = NULL;
    bool done = false;
    const unsigned char *at = (const unsigned char *)text;
    memset(file, 0, sizeof *file);
    if (length > PKI_FILE_LIMIT) {
        return pki_fail(fault, PKI_TOO_LARGE, "it has more than 64 MiB");
    }
    if (!pki_pkcs12_recognise(text, length, fault)) {
        return false;
    }
    parsed = d2i_PKCS12(NULL, &at, (long)length);
    if (parsed == NULL) {
        (void)pki_fail_libcrypto(fault, PKI_BAD_DER,
                                 "it is a PKCS#12 file that is damaged or cut short");
        goto end;
    }
    size_t left = length - (size_t)(at - (const unsigned char *)text);
    if (left > 0) {
        (void)pki_fail(fault, PKI_TRAILING_DATA, "%zu bytes follow the PKCS#12 file", left);
        goto end;
    }
    done =
        pki_pkcs12_lock_begin(&state.lock, passphrase, fault) && read_safes(&state, parsed, fault);
    file->passphrase = state.lock.word;
end:
    if (!done) {
        pki_pkcs12_free(file);
    }
    pki_pkcs12_lock_end(&state.lock);
    PKCS12_free(parsed);
    return done;
}

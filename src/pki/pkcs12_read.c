#include <inttypes.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pkcs12.h>
#include <stdio.h>
#include <string.h>

#include "certificate.h"
#include "der.h"
#include "encryption.h"
#include "file.h"
#include "key.h"
#include "pkcs12.h"

/* safeContentsBag nests; nobody nests more than once. */
enum { NESTING_LIMIT = 8 };

/*
** One way of turning a passphrase into what a derivation takes. The PKCS#12 ones take UTF-16:
** of the text (OpenSSL 1.1, Java, everybody), or of each byte for itself (OpenSSL 1.0). `null` is
** no bytes at all, where `empty` is the two zero bytes of RFC 7292, B.1; .NET writes the former.
*/
typedef struct form {
    const char *word;
    const char *text;
    int length;
} form;

enum { FORMS = 2 };

typedef struct reader {
    pki_pkcs12 *file;
    form forms[FORMS];
    size_t form_count;
    size_t form; /* the one that fitted last: it is tried first */
    pki_view bytes;
    char *widened;
    size_t widened_length;
    uint64_t work;  /* iterations so far */
    bool encrypted; /* some part of the file is */
    bool opened; /* something was decrypted: the passphrase is right, and what fails is damaged */
} reader;

/* ---- passphrases ---- */

static bool is_ascii(pki_view text) {
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

/* Each byte as a character of its own, in the UTF-8 that libcrypto asks for. */
static bool widen(reader *state, pki_fault *fault) {
    state->widened = OPENSSL_malloc(2 * state->bytes.length + 1);
    if (state->widened == NULL) {
        return pki_fail_memory(fault);
    }
    for (size_t i = 0; i < state->bytes.length; i++) {
        unsigned char byte = state->bytes.data[i];
        if (byte < 0x80) {
            state->widened[state->widened_length++] = (char)byte;
        } else {
            state->widened[state->widened_length++] = (char)(0xc0 | byte >> 6);
            state->widened[state->widened_length++] = (char)(0x80 | (byte & 0x3f));
        }
    }
    return true;
}

static bool take_passphrase(reader *state, const pki_view *passphrase, pki_fault *fault) {
    static const unsigned char none[1] = {0};
    state->bytes = passphrase != NULL ? *passphrase : (pki_view){none, 0};
    if (state->bytes.length > INT_MAX / 4) {
        return pki_fail(fault, PKI_BAD_PASSPHRASE, "the passphrase has more than 2^29 bytes");
    }
    if (state->bytes.length == 0) {
        state->forms[0] = (form){"empty", "", 0};
        state->forms[1] = (form){"null", NULL, 0};
        state->form_count = 2;
        return true;
    }
    state->forms[0] = (form){"utf8", (const char *)state->bytes.data, (int)state->bytes.length};
    state->form_count = 1;
    if (!is_ascii(state->bytes)) {
        if (!widen(state, fault)) {
            return false;
        }
        state->forms[1] = (form){"bytes", state->widened, (int)state->widened_length};
        state->form_count = 2;
    }
    return true;
}

/* ---- what it will cost ---- */

static bool add_work(reader *state, uint64_t iterations, const char *what, pki_fault *fault) {
    if (iterations > PKI_PKCS12_ITERATIONS_LIMIT) {
        char count[32];
        (void)snprintf(count, sizeof count, iterations == UINT64_MAX ? "2^64" : "%" PRIu64,
                       iterations);
        (void)pki_fail(
            fault, PKI_TOO_COSTLY, "%s asks for %s%s iterations; at most %d are computed", what,
            iterations == UINT64_MAX ? "more than " : "", count, PKI_PKCS12_ITERATIONS_LIMIT);
    } else if ((state->work += iterations) > PKI_PKCS12_ITERATIONS_LIMIT) {
        (void)pki_fail(fault, PKI_TOO_COSTLY,
                       "the file asks for %" PRIu64 " iterations in all; at most %d are computed",
                       state->work, PKI_PKCS12_ITERATIONS_LIMIT);
    } else {
        return true;
    }
    pki_fault_set_hint(fault, "export it again with fewer iterations: openssl pkcs12 -iter 100000");
    return false;
}

/* Says which algorithm is missing, and where it went: RC2, RC4 and DES moved out in OpenSSL 3. */
static bool unavailable(const X509_ALGOR *algorithm, const pki_encryption *encryption,
                        const char *what, pki_fault *fault) {
    const ASN1_OBJECT *object = NULL;
    char scheme[80];
    X509_ALGOR_get0(&object, NULL, NULL, algorithm);
    (void)OBJ_obj2txt(scheme, sizeof scheme, object, 0);
    const char *cipher = encryption->cipher != NULL ? encryption->cipher : "an unknown cipher";
    bool legacy = strncmp(cipher, "RC2", 3) == 0 || strncmp(cipher, "RC4", 3) == 0 ||
                  strcmp(cipher, "DES-CBC") == 0;
    if (legacy) {
        (void)pki_fail_libcrypto(fault, PKI_UNSUPPORTED_ENCRYPTION,
                                 "%s is encrypted with %s (%s), which OpenSSL 3 reads only with "
                                 "its legacy provider, and that is not loaded",
                                 what, cipher, scheme);
    } else {
        (void)pki_fail_libcrypto(fault, PKI_UNSUPPORTED_ENCRYPTION,
                                 "%s is encrypted with %s (%s), which OpenSSL does not offer here",
                                 what, cipher, scheme);
    }
    if (fault->code == PKI_UNSUPPORTED_ENCRYPTION) {
        pki_fault_set_hint(fault, legacy
                                      ? "write it anew: openssl pkcs12 -legacy -in OLD -out "
                                        "ALL.pem; openssl pkcs12 -export -in ALL.pem -out NEW; or "
                                        "activate the legacy provider in openssl.cnf"
                                      : "write it anew with AES: openssl pkcs12 -export -keypbe "
                                        "AES-256-CBC -certpbe AES-256-CBC");
    }
    return false;
}

/* The scheme with its parameters, checked before anything is computed by it. */
static bool guard(reader *state, const X509_ALGOR *algorithm, const char *what,
                  pki_encryption *encryption, pki_fault *fault) {
    if (!pki_encryption_describe(algorithm, encryption, fault)) {
        return false;
    }
    uint64_t work = encryption->iterations;
    if (encryption->parallel > 1) {
        work = work > UINT64_MAX / encryption->parallel ? UINT64_MAX : work * encryption->parallel;
    }
    if (!add_work(state, work, what, fault)) {
        return false;
    }
    state->encrypted = true;
    return pki_encryption_available(encryption) || unavailable(algorithm, encryption, what, fault);
}

/* ---- decryption ---- */

/*
** Whether the bytes are one SEQUENCE: chance passes the padding once in 256 times, not this. Some
** writers stream BER, whose length is not said.
*/
static bool is_sequence(const unsigned char *data, size_t length) {
    pki_view view = {data, length};
    pki_view content;
    if (length >= 4 && data[0] == DER_SEQUENCE && data[1] == 0x80) {
        return data[length - 1] == 0 && data[length - 2] == 0;
    }
    return der_expect(&view, DER_SEQUENCE, &content) && view.length == 0;
}

static bool decrypt_as(const X509_ALGOR *algorithm, const ASN1_OCTET_STRING *content,
                       const char *text, int length, pki_buffer *plain) {
    unsigned char *data = NULL;
    int data_length = 0;
    if (PKCS12_pbe_crypt(algorithm, text, length, ASN1_STRING_get0_data(content),
                         ASN1_STRING_length(content), &data, &data_length, 0) == NULL) {
        return false;
    }
    plain->data = data;
    plain->length = (size_t)data_length;
    if (is_sequence(data, plain->length)) {
        return true;
    }
    pki_buffer_free(plain);
    return false;
}

static bool memory_ran_out(void) {
    unsigned long error;
    bool memory = false;
    while ((error = ERR_get_error()) != 0) {
        memory = memory || ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE;
    }
    return memory;
}

static bool wrong_passphrase(const reader *state, const char *what, pki_fault *fault) {
    if (state->opened) {
        return pki_fail(fault, PKI_BAD_DER, "the passphrase is right, but %s is damaged", what);
    }
    if (state->bytes.length == 0) {
        return pki_fail(fault, PKI_PASSPHRASE_REQUIRED, "the PKCS#12 file has a passphrase");
    }
    return pki_fail(fault, PKI_BAD_PASSPHRASE,
                    "the passphrase does not open the PKCS#12 file (%s cannot be decrypted)", what);
}

static bool decrypt(reader *state, const X509_ALGOR *algorithm, const ASN1_OCTET_STRING *content,
                    const pki_encryption *encryption, const char *what, pki_buffer *plain,
                    pki_fault *fault) {
    for (size_t i = 0; i < state->form_count; i++) {
        /* PBKDF2 takes the bytes as they are, whatever the MAC took; null and empty are one there. */
        size_t which = encryption->bytes ? i : (state->form + i) % state->form_count;
        const form *tried = &state->forms[which];
        if (encryption->bytes && tried->text == NULL) {
            continue;
        }
        if (decrypt_as(algorithm, content, tried->text, tried->length, plain)) {
            ERR_clear_error();
            state->opened = true;
            if (!encryption->bytes || state->file->passphrase == NULL) {
                state->form = which;
                state->file->passphrase = tried->word;
            }
            return true;
        }
        if (memory_ran_out()) {
            return pki_fail_memory(fault);
        }
    }
    return wrong_passphrase(state, what, fault);
}

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
    bool done = guard(state, algorithm, what, &encryption, fault) &&
                decrypt(state, algorithm, content, &encryption, what, &plain, fault) &&
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
    if (!guard(state, content->algorithm, what, &encryption, fault) ||
        !decrypt(state, content->algorithm, content->enc_data, &encryption, what, &plain, fault)) {
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
    for (int i = 0; i < sk_PKCS7_num(safes) && !state->opened; i++) {
        PKCS7 *safe = sk_PKCS7_value(safes, i);
        pki_begin(&ignored);
        (void)take_safe(state, safe, &ignored);
    }
    pki_begin(&ignored);
    return state->opened;
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
    } else if (count != NULL && !pki_iterations(count, &iterations, fault)) {
        return false;
    }
    state->file->mac_iterations = (long long)(iterations & INT64_MAX);
    return add_work(state, iterations, "the MAC", fault);
}

/* Finds the form of the passphrase by the MAC. */
static bool check_mac(reader *state, PKCS12 *parsed, const STACK_OF(PKCS7) * safes,
                      pki_fault *fault) {
    for (size_t i = 0; i < state->form_count; i++) {
        const form *tried = &state->forms[i];
        if (PKCS12_verify_mac(parsed, tried->text, tried->length) == 1) {
            state->form = i;
            state->file->passphrase = tried->word;
            state->opened = true;
            return true;
        }
        /* A MAC that differs leaves nothing in the queue. */
        if (ERR_peek_error() != 0) {
            pki_fault_set_hint(fault, "export it again with a MAC over SHA-256: openssl pkcs12 "
                                      "-export -macalg sha256");
            return pki_fail_libcrypto(fault, PKI_UNSUPPORTED_ENCRYPTION,
                                      "the MAC of the PKCS#12 file (%s) cannot be computed here",
                                      state->file->mac);
        }
    }
    if (fits_somewhere(state, safes)) {
        return pki_fail(fault, PKI_BAD_DER,
                        "the passphrase is right, but the PKCS#12 file was changed: its MAC does "
                        "not hold");
    }
    if (state->bytes.length == 0) {
        return pki_fail(fault, PKI_PASSPHRASE_REQUIRED, "the PKCS#12 file has a passphrase");
    }
    return pki_fail(fault, PKI_BAD_PASSPHRASE,
                    state->encrypted ? "the passphrase does not open the PKCS#12 file"
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
    done = take_passphrase(&state, passphrase, fault) && read_safes(&state, parsed, fault);
end:
    if (!done) {
        pki_pkcs12_free(file);
    }
    if (state.widened != NULL) {
        OPENSSL_clear_free(state.widened, state.widened_length);
    }
    PKCS12_free(parsed);
    return done;
}

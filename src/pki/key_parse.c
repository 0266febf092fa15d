#include <limits.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <string.h>

#include "der.h"
#include "encryption.h"
#include "foreign.h"
#include "key.h"
#include "pem.h"

/* A hostile file must not burn a minute: about two seconds of PBKDF2. */
enum {
    PBKDF2_ITERATIONS_LIMIT = 10000000,
    SCRYPT_COST_LIMIT = 1 << 20,
    SCRYPT_PARALLEL_LIMIT = 16
};

/* ---- guards: what a key is, before libcrypto computes with it ---- */

static bool guard_modulus(pki_view rsa, pki_fault *fault) {
    pki_view modulus;
    /* The private numbers have no bound of their own: all nine take 4.5 times the modulus. */
    if (rsa.length > (size_t)PKI_RSA_READ_LIMIT) {
        return pki_fail(fault, PKI_KEY_TOO_LARGE,
                        "the RSA key has numbers of more than 16384 bits");
    }
    if (!der_expect(&rsa, DER_INTEGER, &modulus)) {
        return pki_fail(fault, PKI_BAD_DER, "the RSA key is damaged");
    }
    if (modulus.length > PKI_RSA_READ_LIMIT / 8 + 1) {
        return pki_fail(fault, PKI_KEY_TOO_LARGE, "the RSA key has more than 16384 bits");
    }
    return true;
}

static bool guard_curve(int tag, pki_fault *fault) {
    return tag == DER_OID || pki_fail(fault, PKI_EXPLICIT_PARAMETERS,
                                      "the EC key spells its curve out instead of naming it");
}

static const unsigned char oid_rsa[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01};
static const unsigned char oid_ec[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};
static const unsigned char oid_ed25519[] = {0x2b, 0x65, 0x70};

enum algorithm { ALGORITHM_RSA, ALGORITHM_EC, ALGORITHM_ED25519 };

static bool view_is(pki_view view, const unsigned char *bytes, size_t length) {
    return view.length == length && memcmp(view.data, bytes, length) == 0;
}

static bool guard_algorithm(pki_view algorithm, enum algorithm *which, pki_fault *fault) {
    pki_view oid;
    if (!der_expect(&algorithm, DER_OID, &oid)) {
        return pki_fail(fault, PKI_BAD_DER, "the key is damaged");
    }
    if (view_is(oid, oid_rsa, sizeof oid_rsa)) {
        *which = ALGORITHM_RSA;
        return true;
    }
    if (view_is(oid, oid_ec, sizeof oid_ec)) {
        *which = ALGORITHM_EC;
        return guard_curve(algorithm.length > 0 ? algorithm.data[0] : 0, fault);
    }
    if (view_is(oid, oid_ed25519, sizeof oid_ed25519)) {
        *which = ALGORITHM_ED25519;
        return true;
    }
    const char *name = "unknown";
    const unsigned char *at = oid.data - 2;
    ASN1_OBJECT *object =
        oid.length < 128 ? d2i_ASN1_OBJECT(NULL, &at, (long)oid.length + 2) : NULL;
    if (object != NULL && OBJ_obj2nid(object) != NID_undef) {
        name = OBJ_nid2ln(OBJ_obj2nid(object));
    }
    (void)pki_fail(fault, PKI_UNSUPPORTED_KEY, "the key is of the type %s", name);
    ASN1_OBJECT_free(object);
    return false;
}

bool pki_key_guard_public(const unsigned char *der, size_t length, pki_fault *fault) {
    pki_view view = {der, length};
    pki_view outer;
    pki_view algorithm;
    pki_view bits;
    enum algorithm which = ALGORITHM_RSA;
    int tag = 0;
    if (!der_expect(&view, DER_SEQUENCE, &outer) || !der_expect(&outer, DER_SEQUENCE, &algorithm) ||
        !der_next(&outer, &tag, &bits)) {
        return pki_fail(fault, PKI_BAD_DER, "the public key is damaged");
    }
    if (!guard_algorithm(algorithm, &which, fault)) {
        return false;
    }
    if (which == ALGORITHM_RSA && bits.length > 1) {
        pki_view content = {bits.data + 1, bits.length - 1};
        pki_view rsa;
        if (der_expect(&content, DER_SEQUENCE, &rsa)) {
            return guard_modulus(rsa, fault);
        }
    }
    return true;
}

/* ---- parsing ---- */

enum shape { SHAPE_UNKNOWN, SHAPE_PKCS8, SHAPE_ENCRYPTED, SHAPE_PKCS1, SHAPE_SEC1, SHAPE_PUBLIC };

/* The kind of a key by its structure; labels are wrong too often (facts: pem.md, "Split"). */
static enum shape shape_of(pki_view der, pki_view *rest) {
    pki_view outer;
    pki_view first;
    int tag = 0;
    if (!der_expect(&der, DER_SEQUENCE, &outer) || !der_next(&outer, &tag, &first) ||
        outer.length == 0) {
        return SHAPE_UNKNOWN;
    }
    *rest = outer;
    int second = outer.data[0];
    if (tag == DER_INTEGER && first.length == 1) {
        return second == DER_SEQUENCE       ? SHAPE_PKCS8
               : second == DER_INTEGER      ? SHAPE_PKCS1
               : second == DER_OCTET_STRING ? SHAPE_SEC1
                                            : SHAPE_UNKNOWN;
    }
    if (tag == DER_SEQUENCE) {
        return second == DER_OCTET_STRING ? SHAPE_ENCRYPTED
               : second == 0x03           ? SHAPE_PUBLIC
                                          : SHAPE_UNKNOWN;
    }
    return SHAPE_UNKNOWN;
}

static bool guard_pkcs8(pki_view rest, pki_fault *fault) {
    pki_view algorithm;
    pki_view octets;
    pki_view inner;
    pki_view version;
    pki_view private_key;
    pki_view parameters;
    enum algorithm which = ALGORITHM_RSA;
    if (!der_expect(&rest, DER_SEQUENCE, &algorithm) ||
        !der_expect(&rest, DER_OCTET_STRING, &octets)) {
        return pki_fail(fault, PKI_BAD_DER, "the private key is damaged");
    }
    if (!guard_algorithm(algorithm, &which, fault)) {
        return false;
    }
    if (which == ALGORITHM_ED25519) {
        return true;
    }
    if (!der_expect(&octets, DER_SEQUENCE, &inner) || !der_expect(&inner, DER_INTEGER, &version)) {
        return pki_fail(fault, PKI_BAD_DER, "the private key is damaged");
    }
    if (which == ALGORITHM_RSA) {
        return guard_modulus(inner, fault);
    }
    if (der_expect(&inner, DER_OCTET_STRING, &private_key) && inner.length > 0 &&
        inner.data[0] == DER_CONTEXT_0 && der_expect(&inner, DER_CONTEXT_0, &parameters)) {
        return guard_curve(parameters.length > 0 ? parameters.data[0] : 0, fault);
    }
    return true;
}

static bool guard_sec1(pki_view rest, pki_fault *fault) {
    pki_view private_key;
    pki_view parameters;
    if (!der_expect(&rest, DER_OCTET_STRING, &private_key) ||
        !der_expect(&rest, DER_CONTEXT_0, &parameters)) {
        return pki_fail(fault, PKI_UNSUPPORTED_KEY, "the EC key does not name its curve");
    }
    return guard_curve(parameters.length > 0 ? parameters.data[0] : 0, fault);
}

static bool guard_encryption(const X509_ALGOR *algorithm, pki_fault *fault) {
    pki_encryption encryption;
    if (!pki_encryption_describe(algorithm, &encryption, fault)) {
        return false;
    }
    bool scrypt = encryption.derivation != NULL && strcmp(encryption.derivation, "scrypt") == 0;
    bool bounded = scrypt ? encryption.iterations <= SCRYPT_COST_LIMIT &&
                                encryption.parallel <= SCRYPT_PARALLEL_LIMIT
                          : encryption.iterations <= PBKDF2_ITERATIONS_LIMIT;
    return bounded || pki_fail(fault, PKI_TOO_COSTLY,
                               "the key is encrypted with more work than 10,000,000 iterations");
}

static EVP_PKEY *from_pkcs8(pki_view der, pki_view rest, pki_fault *fault) {
    if (!guard_pkcs8(rest, fault)) {
        return NULL;
    }
    const unsigned char *at = der.data;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)der.length);
    EVP_PKEY *key = info == NULL ? NULL : EVP_PKCS82PKEY(info);
    PKCS8_PRIV_KEY_INFO_free(info);
    if (key == NULL) {
        (void)pki_fail_libcrypto(fault, PKI_BAD_DER, "the private key is damaged");
    }
    return key;
}

static bool passphrase_required(pki_fault *fault) {
    return pki_fail(fault, PKI_PASSPHRASE_REQUIRED, "the private key is encrypted");
}

static EVP_PKEY *from_encrypted(pki_view der, const pki_view *passphrase, pki_fault *fault) {
    EVP_PKEY *key = NULL;
    PKCS8_PRIV_KEY_INFO *info = NULL;
    unsigned char *plain = NULL;
    int plain_length = 0;
    const X509_ALGOR *algorithm = NULL;
    X509_SIG *encrypted = NULL;
    pki_buffer mended = {NULL, 0};
    if (!pki_encryption_mend(der, &mended, fault)) {
        goto end;
    }
    const unsigned char *at = mended.data != NULL ? mended.data : der.data;
    encrypted = d2i_X509_SIG(NULL, &at, (long)der.length);
    if (encrypted == NULL) {
        (void)pki_fail_libcrypto(fault, PKI_BAD_DER, "the encrypted private key is damaged");
        goto end;
    }
    X509_SIG_get0(encrypted, &algorithm, NULL);
    if (!guard_encryption(algorithm, fault)) {
        goto end;
    }
    if (passphrase == NULL) {
        (void)passphrase_required(fault);
        goto end;
    }
    if (passphrase->length > INT_MAX) {
        (void)pki_fail(fault, PKI_BAD_PASSPHRASE, "the passphrase has more than 2^31 bytes");
        goto end;
    }
    info = PKCS8_decrypt(encrypted, (const char *)passphrase->data, (int)passphrase->length);
    if (info == NULL) {
        (void)pki_fail_libcrypto(fault, PKI_BAD_PASSPHRASE,
                                 "the passphrase does not open the private key");
        if (strstr(fault->openssl, "unsupported") != NULL ||
            strstr(fault->openssl, "unknown") != NULL) {
            fault->code = PKI_UNSUPPORTED_ENCRYPTION;
            (void)strcpy(fault->message, "the private key is encrypted with an algorithm that "
                                         "OpenSSL does not offer here");
        }
        goto end;
    }
    plain_length = i2d_PKCS8_PRIV_KEY_INFO(info, &plain);
    if (plain_length <= 0) {
        (void)pki_fail_libcrypto(fault, PKI_BAD_DER, "the private key is damaged");
        goto end;
    }
    pki_view view = {plain, (size_t)plain_length};
    pki_view rest = {NULL, 0};
    if (shape_of(view, &rest) != SHAPE_PKCS8) {
        (void)pki_fail(fault, PKI_BAD_DER, "the private key is damaged");
        goto end;
    }
    key = from_pkcs8(view, rest, fault);
end:
    if (plain != NULL) {
        OPENSSL_clear_free(plain, (size_t)plain_length);
    }
    PKCS8_PRIV_KEY_INFO_free(info);
    X509_SIG_free(encrypted);
    pki_buffer_free(&mended);
    return key;
}

static EVP_PKEY *from_der(pki_view der, const pki_view *passphrase, pki_fault *fault) {
    if (!pki_foreign_refuse(der, "a key", fault)) {
        return NULL;
    }
    EVP_PKEY *key = NULL;
    pki_view outer;
    pki_view rest = der;
    if (der_expect(&rest, DER_SEQUENCE, &outer) && rest.length > 0) {
        (void)pki_fail(fault, PKI_TRAILING_DATA, "%zu bytes follow the key", rest.length);
        return NULL;
    }
    enum shape shape = shape_of(der, &rest);
    const unsigned char *at = der.data;
    switch (shape) {
    case SHAPE_PKCS8:
        return from_pkcs8(der, rest, fault);
    case SHAPE_ENCRYPTED:
        return from_encrypted(der, passphrase, fault);
    case SHAPE_PKCS1:
        if (guard_modulus(rest, fault)) {
            key = d2i_PrivateKey(EVP_PKEY_RSA, NULL, &at, (long)der.length);
        }
        break;
    case SHAPE_SEC1:
        if (guard_sec1(rest, fault)) {
            key = d2i_PrivateKey(EVP_PKEY_EC, NULL, &at, (long)der.length);
        }
        break;
    case SHAPE_PUBLIC:
        if (pki_key_guard_public(der.data, der.length, fault)) {
            key = d2i_PUBKEY(NULL, &at, (long)der.length);
        }
        break;
    case SHAPE_UNKNOWN:
        (void)pki_fail(fault, PKI_BAD_DER, "it is not a key");
        return NULL;
    }
    if (key == NULL && fault->code == PKI_OK) {
        (void)pki_fail_libcrypto(fault, PKI_BAD_DER, "the key is damaged");
    }
    return key;
}

/* PEM_do_header asks through a callback; the passphrase is at hand already. */
static int give_passphrase(char *buffer, int size, int writing, void *context) {
    const pki_view *passphrase = context;
    (void)writing;
    if (passphrase->length > (size_t)size) {
        return -1;
    }
    memcpy(buffer, passphrase->data, passphrase->length);
    return (int)passphrase->length;
}

static EVP_PKEY *from_traditional(pki_pem_part *block, const pki_view *passphrase,
                                  pki_fault *fault) {
    EVP_CIPHER_INFO cipher;
    long length = (long)block->der.length;
    char headers[512];
    if (block->headers.length >= sizeof headers - 1) {
        (void)pki_fail(fault, PKI_BAD_PEM, "the headers of the key are too long");
        return NULL;
    }
    memcpy(headers, block->headers.data, block->headers.length);
    headers[block->headers.length] = '\n';
    headers[block->headers.length + 1] = '\0';
    if (PEM_get_EVP_CIPHER_INFO(headers, &cipher) != 1) {
        (void)pki_fail_libcrypto(fault, PKI_UNSUPPORTED_ENCRYPTION,
                                 "the encryption headers of the key are not usable");
        return NULL;
    }
    if (cipher.cipher != NULL && passphrase == NULL) {
        (void)passphrase_required(fault);
        return NULL;
    }
    if (PEM_do_header(&cipher, block->der.data, &length, give_passphrase, (void *)passphrase) !=
        1) {
        (void)pki_fail_libcrypto(fault, PKI_BAD_PASSPHRASE,
                                 "the passphrase does not open the private key");
        return NULL;
    }
    EVP_PKEY *key = from_der((pki_view){block->der.data, (size_t)length}, passphrase, fault);
    /* Wrong padding goes unseen once in 256 times; the bytes are no key then. */
    if (key == NULL && (fault->code == PKI_BAD_DER || fault->code == PKI_TRAILING_DATA)) {
        (void)pki_fail(fault, PKI_BAD_PASSPHRASE, "the passphrase does not open the private key");
    }
    return key;
}

static bool is_key_label(const char *label) {
    size_t length = strlen(label);
    static const char suffix[] = "PRIVATE KEY";
    return (length >= sizeof suffix - 1 &&
            strcmp(label + length - (sizeof suffix - 1), suffix) == 0) ||
           strcmp(label, "PUBLIC KEY") == 0;
}

EVP_PKEY *pki_key_parse(const char *text, size_t length, const pki_view *passphrase,
                        pki_fault *fault) {
    EVP_PKEY *key = NULL;
    pki_pem_reader reader;
    pki_pem_part block;
    bool found = false;
    if (pki_pem_is_der(text, length)) {
        return from_der((pki_view){(const unsigned char *)text, length}, passphrase, fault);
    }
    pki_pem_open(&reader, text, length);
    while (pki_pem_next(&reader, &block, fault) == PKI_PEM_READ) {
        bool is_key = is_key_label(block.label);
        /* `openssl ecparam -genkey` writes the curve's name once more in front of the key. */
        if (is_key && !found) {
            found = true;
            if (strcmp(block.label, "OPENSSH PRIVATE KEY") == 0) {
                (void)pki_fail(fault, PKI_UNSUPPORTED_KEY, "it is an OpenSSH key");
                pki_fault_set_hint(fault, "convert it: ssh-keygen -p -m PKCS8 -f FILE");
            } else {
                key =
                    block.headers.length > 0
                        ? from_traditional(&block, passphrase, fault)
                        : from_der((pki_view){block.der.data, block.der.length}, passphrase, fault);
            }
        } else if (strcmp(block.label, "EC PARAMETERS") != 0) {
            (void)pki_fail(fault, is_key || found ? PKI_SEVERAL : PKI_WRONG_KIND,
                           is_key ? "it holds more than one key" : "it holds a %s", block.label);
            pki_fault_set_hint(fault, is_key ? "keep one key in a file"
                                             : "a key is read from a text of its own; "
                                               "tcpki.pem.blocks tells the parts apart");
        }
        pki_buffer_free(&block.der);
        if (fault->code != PKI_OK) {
            if (fault->line == 0) {
                fault->line = block.line;
            }
            break;
        }
    }
    if (fault->code == PKI_OK && !found) {
        (void)pki_fail(fault, PKI_WRONG_KIND, "it holds no key");
    }
    if (fault->code != PKI_OK) {
        EVP_PKEY_free(key);
        return NULL;
    }
    return key;
}

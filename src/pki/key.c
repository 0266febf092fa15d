#include "key.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>

#include "pem.h"

/* OWASP's figure for PBKDF2-HMAC-SHA256; design.md, section 2. */
enum { PBKDF2_ITERATIONS = 600000, PBKDF2_SALT = 16 };
enum { PASSPHRASE_LIMIT = PEM_BUFSIZE };
static const struct {
    const char *name;
    const char *group;
} curves[] = {{"P-256", "prime256v1"}, {"P-384", "secp384r1"}, {"P-521", "secp521r1"}};

enum { CURVES = sizeof curves / sizeof curves[0] };

EVP_PKEY *pki_key_generate(const char *type, const char *curve, int bits, pki_fault *fault) {
    EVP_PKEY *key = NULL;
    if (strcmp(type, "ec") == 0) {
        key = EVP_EC_gen(curve);
    } else if (strcmp(type, "rsa") == 0) {
        key = EVP_RSA_gen((unsigned int)bits);
    } else {
        key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    }
    if (key == NULL) {
        (void)pki_fail_libcrypto(fault, PKI_LIBCRYPTO, "the key could not be generated");
    }
    return key;
}

/* Whether the key has its private half: libcrypto 3.0 has no other test than to ask for it. */
static bool has_private(const EVP_PKEY *key, int type, bool *answer) {
    OSSL_PARAM probe[2] = {OSSL_PARAM_END, OSSL_PARAM_END};
    if (type == EVP_PKEY_ED25519) {
        probe[0] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, NULL, 0);
    } else {
        probe[0] = OSSL_PARAM_construct_BN(
            type == EVP_PKEY_RSA ? OSSL_PKEY_PARAM_RSA_D : OSSL_PKEY_PARAM_PRIV_KEY, NULL, 0);
    }
    bool asked = EVP_PKEY_get_params(key, probe) == 1;
    *answer = asked && OSSL_PARAM_modified(&probe[0]) && probe[0].return_size > 0;
    return asked;
}

static bool curve_of(const EVP_PKEY *key, const char **curve) {
    char group[64];
    size_t length = 0;
    if (EVP_PKEY_get_group_name(key, group, sizeof group, &length) != 1) {
        return false;
    }
    *curve = OBJ_nid2sn(OBJ_sn2nid(group));
    for (size_t i = 0; i < CURVES; i++) {
        if (strcmp(group, curves[i].group) == 0) {
            *curve = curves[i].name;
        }
    }
    return true;
}

bool pki_key_describe(const EVP_PKEY *key, pki_key_kind *kind, pki_fault *fault) {
    bool known = true;
    int type = EVP_PKEY_get_base_id(key);
    kind->curve = NULL;
    kind->private_key = false;
    kind->bits = EVP_PKEY_get_bits(key);
    switch (type) {
    case EVP_PKEY_EC:
        kind->type = "ec";
        known = curve_of(key, &kind->curve) && has_private(key, type, &kind->private_key);
        break;
    case EVP_PKEY_RSA:
        kind->type = "rsa";
        known = has_private(key, type, &kind->private_key);
        break;
    case EVP_PKEY_ED25519:
        kind->type = "ed25519";
        known = has_private(key, type, &kind->private_key);
        break;
    default:
        kind->type = "other";
        break;
    }
    return known || pki_fail_libcrypto(fault, PKI_LIBCRYPTO, "the key could not be looked at");
}

static bool encode_encrypted(const EVP_PKEY *key, const pki_view *passphrase, pki_buffer *pem,
                             pki_fault *fault) {
    bool done = false;
    unsigned char salt[PBKDF2_SALT];
    unsigned char *der = NULL;
    int length = 0;
    X509_SIG *encrypted = NULL;
    X509_ALGOR *scheme = NULL;
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
    if (info == NULL || RAND_bytes(salt, sizeof salt) != 1) {
        goto end;
    }
    scheme = PKCS5_pbe2_set_iv(EVP_aes_256_cbc(), PBKDF2_ITERATIONS, salt, sizeof salt, NULL,
                               NID_hmacWithSHA256);
    if (scheme == NULL) {
        goto end;
    }
    encrypted =
        PKCS8_set0_pbe((const char *)passphrase->data, (int)passphrase->length, info, scheme);
    if (encrypted == NULL) {
        goto end;
    }
    scheme = NULL; /* owned by encrypted from here on */
    length = i2d_X509_SIG(encrypted, &der);
    if (length > 0) {
        done = pki_pem_encode(pem, "ENCRYPTED PRIVATE KEY", der, (size_t)length, fault);
    }
end:
    if (!done && fault->code == PKI_OK) {
        (void)pki_fail_libcrypto(fault, PKI_LIBCRYPTO, "the key could not be encrypted");
    }
    OPENSSL_free(der);
    X509_ALGOR_free(scheme);
    X509_SIG_free(encrypted);
    PKCS8_PRIV_KEY_INFO_free(info);
    return done;
}

static bool encode_traditional(EVP_PKEY *key, const pki_view *passphrase, pki_buffer *pem,
                               pki_fault *fault) {
    bool done = false;
    char *text = NULL;
    BIO *memory = BIO_new(BIO_s_secmem());
    const EVP_CIPHER *cipher = passphrase != NULL ? EVP_aes_256_cbc() : NULL;
    if (memory != NULL && PEM_write_bio_PrivateKey_traditional(
                              memory, key, cipher, passphrase != NULL ? passphrase->data : NULL,
                              passphrase != NULL ? (int)passphrase->length : 0, NULL, NULL) == 1) {
        long length = BIO_get_mem_data(memory, &text);
        done = pki_buffer_copy(pem, text, (size_t)length, fault);
    } else {
        (void)pki_fail_libcrypto(fault, PKI_LIBCRYPTO, "the key could not be written");
    }
    BIO_free(memory);
    return done;
}

static bool encode_public(const EVP_PKEY *key, pki_buffer *der, pki_fault *fault) {
    unsigned char *bytes = NULL;
    int length = i2d_PUBKEY(key, &bytes);
    if (length <= 0) {
        return pki_fail_libcrypto(fault, PKI_LIBCRYPTO, "the public key could not be encoded");
    }
    der->data = bytes;
    der->length = (size_t)length;
    return true;
}

bool pki_key_der(const EVP_PKEY *key, pki_buffer *der, pki_fault *fault) {
    pki_key_kind kind;
    if (!pki_key_describe(key, &kind, fault)) {
        return false;
    }
    if (!kind.private_key) {
        return encode_public(key, der, fault);
    }
    unsigned char *bytes = NULL;
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
    int length = info == NULL ? -1 : i2d_PKCS8_PRIV_KEY_INFO(info, &bytes);
    PKCS8_PRIV_KEY_INFO_free(info);
    if (length <= 0) {
        return pki_fail_libcrypto(fault, PKI_LIBCRYPTO, "the key could not be encoded");
    }
    der->data = bytes;
    der->length = (size_t)length;
    return true;
}

bool pki_key_pem(const EVP_PKEY *key, bool traditional, const pki_view *passphrase, pki_buffer *pem,
                 pki_fault *fault) {
    pki_key_kind kind;
    pki_buffer der = {NULL, 0};
    if (!pki_key_describe(key, &kind, fault)) {
        return false;
    }
    if (kind.private_key && traditional && strcmp(kind.type, "ed25519") == 0) {
        (void)pki_fail(fault, PKI_UNSUPPORTED_KEY, "Ed25519 has no traditional form");
        pki_fault_set_hint(fault, "use format = \"pkcs8\"");
        return false;
    }
    if (passphrase != NULL && passphrase->length > PASSPHRASE_LIMIT) {
        (void)pki_fail(fault, PKI_BAD_PASSPHRASE, "the passphrase has more than 1024 bytes");
        pki_fault_set_hint(fault, "take a shorter one: OpenSSL's own reader takes no longer one");
        return false;
    }
    if (kind.private_key && traditional) {
        return encode_traditional((EVP_PKEY *)key, passphrase, pem, fault);
    }
    if (kind.private_key && passphrase != NULL) {
        return encode_encrypted(key, passphrase, pem, fault);
    }
    bool done = pki_key_der(key, &der, fault) &&
                pki_pem_encode(pem, kind.private_key ? "PRIVATE KEY" : "PUBLIC KEY", der.data,
                               der.length, fault);
    pki_buffer_free(&der);
    return done;
}

EVP_PKEY *pki_key_public(const EVP_PKEY *key, pki_fault *fault) {
    pki_buffer der = {NULL, 0};
    if (!encode_public(key, &der, fault)) {
        return NULL;
    }
    const unsigned char *at = der.data;
    EVP_PKEY *public_key = d2i_PUBKEY(NULL, &at, (long)der.length);
    pki_buffer_free(&der);
    if (public_key == NULL) {
        (void)pki_fail_libcrypto(fault, PKI_LIBCRYPTO, "the public key could not be decoded");
    }
    return public_key;
}

bool pki_key_fingerprint(const EVP_PKEY *key, char *text, pki_fault *fault) {
    pki_buffer der = {NULL, 0};
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    bool done = encode_public(key, &der, fault);
    if (done && EVP_Digest(der.data, der.length, hash, &length, EVP_sha256(), NULL) != 1) {
        done = pki_fail_libcrypto(fault, PKI_LIBCRYPTO, "the fingerprint could not be computed");
    }
    if (done) {
        pki_hex(text, hash, length);
    }
    pki_buffer_free(&der);
    return done;
}

bool pki_key_digest(const EVP_PKEY *key, const char *name, const EVP_MD **digest,
                    pki_fault *fault) {
    *digest = NULL;
    if (EVP_PKEY_is_a(key, "ED25519")) {
        return true;
    }
    *digest = EVP_get_digestbyname(name != NULL ? name : "SHA256");
    return *digest != NULL ||
           pki_fail_libcrypto(fault, PKI_LIBCRYPTO, "the digest %s is not there", name);
}

#include "pbmac1.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "der.h"

/* No digest gives more, and HMAC would hash a longer key first. */
enum { KEY_LIMIT = EVP_MAX_MD_SIZE };

typedef struct parameters {
    const EVP_MD *derivation;
    const EVP_MD *mac;
    PBKDF2PARAM *pbkdf2;
    uint64_t key_length;
} parameters;

static const EVP_MD *digest_of(const X509_ALGOR *hmac) {
    const ASN1_OBJECT *object = NULL;
    int digest = NID_undef;
    if (hmac == NULL) {
        return EVP_sha1(); /* the default of RFC 8018, appendix A.2 */
    }
    X509_ALGOR_get0(&object, NULL, NULL, hmac);
    return EVP_PBE_find(EVP_PBE_TYPE_PRF, OBJ_obj2nid(object), NULL, &digest, NULL) == 1
               ? EVP_get_digestbynid(digest)
               : NULL;
}

/* RFC 8018, appendix A.5: a derivation and a MAC where PBES2 has a derivation and a cipher. */
static bool take_parameters(const X509_ALGOR *algorithm, parameters *taken, pki_fault *fault) {
    const ASN1_OBJECT *object = NULL;
    const void *value = NULL;
    int type = 0;
    X509_ALGOR_get0(NULL, &type, &value, algorithm);
    PBE2PARAM *both =
        type == V_ASN1_SEQUENCE ? ASN1_item_unpack(value, ASN1_ITEM_rptr(PBE2PARAM)) : NULL;
    if (both == NULL) {
        return pki_fail_libcrypto(fault, PKI_BAD_DER, "the parameters of the MAC are damaged");
    }
    X509_ALGOR_get0(&object, &type, &value, both->keyfunc);
    if (OBJ_obj2nid(object) == NID_id_pbkdf2 && type == V_ASN1_SEQUENCE) {
        taken->pbkdf2 = ASN1_item_unpack(value, ASN1_ITEM_rptr(PBKDF2PARAM));
    }
    taken->mac = digest_of(both->encryption);
    PBE2PARAM_free(both);
    if (taken->pbkdf2 == NULL || taken->pbkdf2->salt->type != V_ASN1_OCTET_STRING ||
        taken->pbkdf2->keylength == NULL ||
        ASN1_INTEGER_get_uint64(&taken->key_length, taken->pbkdf2->keylength) != 1 ||
        taken->key_length == 0 || taken->key_length > KEY_LIMIT) {
        return pki_fail_libcrypto(fault, PKI_BAD_DER, "the parameters of the MAC are damaged");
    }
    taken->derivation = digest_of(taken->pbkdf2->prf);
    return (taken->derivation != NULL && taken->mac != NULL) ||
           pki_fail_libcrypto(fault, PKI_UNSUPPORTED_ENCRYPTION,
                              "the digest of the MAC is not one that OpenSSL offers here");
}

/* What the MAC is over, which no accessor gives: version, then the data of PKCS#7. */
static bool find_content(pki_view der, pki_view *content) {
    pki_view outer;
    pki_view part;
    pki_view value;
    return der_expect(&der, DER_SEQUENCE, &outer) && der_expect(&outer, DER_INTEGER, &part) &&
           der_expect(&outer, DER_SEQUENCE, &part) && der_expect(&part, DER_OID, &value) &&
           der_expect(&part, DER_CONTEXT_0, &value) &&
           der_expect(&value, DER_OCTET_STRING, content);
}

static bool compute(const parameters *taken, pki_view passphrase, pki_view content,
                    unsigned char *mac, unsigned int *length) {
    unsigned char key[KEY_LIMIT];
    const ASN1_OCTET_STRING *salt = taken->pbkdf2->salt->value.octet_string;
    bool done = PKCS5_PBKDF2_HMAC((const char *)passphrase.data, (int)passphrase.length,
                                  ASN1_STRING_get0_data(salt), ASN1_STRING_length(salt),
                                  (int)ASN1_INTEGER_get(taken->pbkdf2->iter), taken->derivation,
                                  (int)taken->key_length, key) == 1 &&
                HMAC(taken->mac, key, (int)taken->key_length, content.data, content.length, mac,
                     length) != NULL;
    OPENSSL_cleanse(key, sizeof key);
    return done;
}

bool pki_pbmac1_holds(const PKCS12 *file, pki_view passphrase, bool *holds, pki_fault *fault) {
    parameters taken = {0};
    const ASN1_OCTET_STRING *written = NULL;
    const X509_ALGOR *algorithm = NULL;
    pki_view content = {NULL, 0};
    unsigned char *der = NULL;
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    bool done = false;
    *holds = false;
    PKCS12_get0_mac(&written, &algorithm, NULL, NULL, file);
    int der_length = i2d_PKCS12(file, &der);
    if (der_length <= 0 || !take_parameters(algorithm, &taken, fault) || taken.pbkdf2 == NULL) {
        goto end;
    }
    done = find_content((pki_view){der, (size_t)der_length}, &content) &&
           compute(&taken, passphrase, content, mac, &length);
    *holds = done && ASN1_STRING_length(written) == (int)length &&
             CRYPTO_memcmp(mac, ASN1_STRING_get0_data(written), length) == 0;
end:
    if (!done && fault->code == PKI_OK) {
        (void)pki_fail_libcrypto(fault, PKI_LIBCRYPTO, "the MAC could not be computed");
    }
    if (der != NULL) {
        OPENSSL_clear_free(der, (size_t)der_length);
    }
    PBKDF2PARAM_free(taken.pbkdf2);
    return done;
}

#include "encryption.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pkcs12.h>

bool pki_iterations(const ASN1_INTEGER *number, uint64_t *iterations, pki_fault *fault) {
    if (ASN1_STRING_type(number) == V_ASN1_NEG_INTEGER || ASN1_STRING_length(number) == 0) {
        return pki_fail(fault, PKI_BAD_DER, "the number of iterations is not positive");
    }
    if (ASN1_INTEGER_get_uint64(iterations, number) != 1) {
        *iterations = UINT64_MAX;
        ERR_clear_error();
    }
    return *iterations > 0 ||
           pki_fail(fault, PKI_BAD_DER, "the number of iterations is not positive");
}

static bool damaged(pki_fault *fault) {
    return pki_fail_libcrypto(fault, PKI_BAD_DER, "the encryption parameters are damaged");
}

static bool describe_derivation(const X509_ALGOR *function, pki_encryption *encryption,
                                pki_fault *fault) {
    const ASN1_OBJECT *object = NULL;
    const void *value = NULL;
    int type = 0;
    bool done = true;
    X509_ALGOR_get0(&object, &type, &value, function);
    int nid = OBJ_obj2nid(object);
    if (nid == NID_id_pbkdf2) {
        PBKDF2PARAM *parameters =
            type == V_ASN1_SEQUENCE ? ASN1_item_unpack(value, ASN1_ITEM_rptr(PBKDF2PARAM)) : NULL;
        encryption->derivation = "PBKDF2";
        done = parameters == NULL
                   ? damaged(fault)
                   : pki_iterations(parameters->iter, &encryption->iterations, fault);
        PBKDF2PARAM_free(parameters);
    } else if (nid == NID_id_scrypt) {
        SCRYPT_PARAMS *parameters =
            type == V_ASN1_SEQUENCE ? ASN1_item_unpack(value, ASN1_ITEM_rptr(SCRYPT_PARAMS)) : NULL;
        encryption->derivation = "scrypt";
        done = parameters == NULL
                   ? damaged(fault)
                   : pki_iterations(parameters->costParameter, &encryption->iterations, fault) &&
                         pki_iterations(parameters->parallelizationParameter, &encryption->parallel,
                                        fault);
        SCRYPT_PARAMS_free(parameters);
    }
    return done;
}

static const char *short_name(int nid) {
    return nid == NID_undef ? NULL : OBJ_nid2sn(nid);
}

static bool describe_pbes2(const ASN1_STRING *packed, pki_encryption *encryption,
                           pki_fault *fault) {
    const ASN1_OBJECT *object = NULL;
    PBE2PARAM *parameters =
        packed == NULL ? NULL : ASN1_item_unpack(packed, ASN1_ITEM_rptr(PBE2PARAM));
    if (parameters == NULL) {
        return damaged(fault);
    }
    X509_ALGOR_get0(&object, NULL, NULL, parameters->encryption);
    encryption->cipher = short_name(OBJ_obj2nid(object));
    encryption->bytes = true;
    bool done = describe_derivation(parameters->keyfunc, encryption, fault);
    PBE2PARAM_free(parameters);
    return done;
}

bool pki_encryption_describe(const X509_ALGOR *algorithm, pki_encryption *encryption,
                             pki_fault *fault) {
    const ASN1_OBJECT *object = NULL;
    const void *value = NULL;
    int type = 0;
    int cipher = NID_undef;
    *encryption = (pki_encryption){.parallel = 1};
    X509_ALGOR_get0(&object, &type, &value, algorithm);
    int scheme = OBJ_obj2nid(object);
    /* PBMAC1 (RFC 8018, A.5) has a derivation and a MAC where PBES2 has a cipher. */
    if (scheme == NID_pbes2 || scheme == NID_pbmac1) {
        return describe_pbes2(type == V_ASN1_SEQUENCE ? value : NULL, encryption, fault);
    }
    if (EVP_PBE_find(EVP_PBE_TYPE_OUTER, scheme, &cipher, NULL, NULL) != 1) {
        return true;
    }
    PBEPARAM *parameters =
        type == V_ASN1_SEQUENCE ? ASN1_item_unpack(value, ASN1_ITEM_rptr(PBEPARAM)) : NULL;
    if (parameters == NULL) {
        return damaged(fault);
    }
    /* PKCS#5 v1 schemes are 1.2.840.113549.1.5.x, those of PKCS#12 1.2.840.113549.1.12.1.x. */
    bool first = scheme == NID_pbeWithMD2AndDES_CBC || scheme == NID_pbeWithMD5AndDES_CBC ||
                 scheme == NID_pbeWithMD2AndRC2_CBC || scheme == NID_pbeWithMD5AndRC2_CBC ||
                 scheme == NID_pbeWithSHA1AndDES_CBC || scheme == NID_pbeWithSHA1AndRC2_CBC;
    encryption->cipher = short_name(cipher);
    encryption->derivation = first ? "PBKDF1" : "PKCS#12";
    encryption->bytes = first;
    bool done = pki_iterations(parameters->iter, &encryption->iterations, fault);
    PBEPARAM_free(parameters);
    return done;
}

bool pki_encryption_available(const pki_encryption *encryption) {
    if (encryption->cipher == NULL || encryption->derivation == NULL) {
        return false;
    }
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, encryption->cipher, NULL);
    EVP_CIPHER_free(cipher);
    return cipher != NULL;
}

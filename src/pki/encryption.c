#include "encryption.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pkcs12.h>
#include <string.h>

#include "der.h"

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

static bool expect_oid(pki_view *view, const unsigned char *bytes, size_t length) {
    pki_view oid;
    return der_expect(view, DER_OID, &oid) && oid.length == length &&
           memcmp(oid.data, bytes, length) == 0;
}

/* Where 00 00 stands for NULL behind the PRF, and only there; NULL for any other structure. */
static const unsigned char *zeros_for_null(pki_view der) {
    static const unsigned char pbes2[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d};
    static const unsigned char pbkdf2[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c};
    pki_view whole;
    pki_view algorithm;
    pki_view scheme;
    pki_view derivation;
    pki_view parameters;
    pki_view ignored;
    pki_view prf;
    bool found = der_expect(&der, DER_SEQUENCE, &whole) &&
                 der_expect(&whole, DER_SEQUENCE, &algorithm) &&
                 expect_oid(&algorithm, pbes2, sizeof pbes2) &&
                 der_expect(&algorithm, DER_SEQUENCE, &scheme) &&
                 der_expect(&scheme, DER_SEQUENCE, &derivation) &&
                 expect_oid(&derivation, pbkdf2, sizeof pbkdf2) &&
                 der_expect(&derivation, DER_SEQUENCE, &parameters) &&
                 der_expect(&parameters, DER_OCTET_STRING, &ignored) &&
                 der_expect(&parameters, DER_INTEGER, &ignored);
    if (found && parameters.length > 0 && parameters.data[0] == DER_INTEGER) {
        found = der_expect(&parameters, DER_INTEGER, &ignored);
    }
    found = found && der_expect(&parameters, DER_SEQUENCE, &prf) && parameters.length == 0 &&
            der_expect(&prf, DER_OID, &ignored) && prf.length == 2 && prf.data[0] == 0 &&
            prf.data[1] == 0;
    return found ? prf.data : NULL;
}

bool pki_encryption_mend(pki_view der, pki_buffer *mended, pki_fault *fault) {
    const unsigned char *zeros = zeros_for_null(der);
    if (zeros == NULL) {
        return true;
    }
    if (!pki_buffer_copy(mended, der.data, der.length, fault)) {
        return false;
    }
    mended->data[zeros - der.data] = DER_NULL;
    return true;
}

bool pki_encryption_available(const pki_encryption *encryption) {
    if (encryption->cipher == NULL || encryption->derivation == NULL) {
        return false;
    }
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, encryption->cipher, NULL);
    EVP_CIPHER_free(cipher);
    return cipher != NULL;
}

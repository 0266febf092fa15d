#include "extension.h"

#include <string.h>

#include "general_name.h"
#include "name.h"

enum { OID_SIZE = 128 };

/* RFC 5280, section 4.2.1.3: the words in the order of their bits. */
static const char *const key_usages[] = {
    "digital_signature", "content_commitment", "key_encipherment",
    "data_encipherment", "key_agreement",      "key_cert_sign",
    "crl_sign",          "encipher_only",      "decipher_only"};

static const struct {
    const char *word;
    int nid;
} extended_key_usages[] = {
    {"server_auth", NID_server_auth},  {"client_auth", NID_client_auth},
    {"code_signing", NID_code_sign},   {"email_protection", NID_email_protect},
    {"time_stamping", NID_time_stamp}, {"ocsp_signing", NID_OCSP_sign},
    {"any", NID_anyExtendedKeyUsage}};

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

int pki_key_usage_bit(const char *word) {
    for (size_t i = 0; i < LENGTH(key_usages); i++) {
        if (strcmp(word, key_usages[i]) == 0) {
            return (int)i;
        }
    }
    return -1;
}

ASN1_OBJECT *pki_extended_key_usage_object(const char *word) {
    for (size_t i = 0; i < LENGTH(extended_key_usages); i++) {
        if (strcmp(word, extended_key_usages[i].word) == 0) {
            return OBJ_nid2obj(extended_key_usages[i].nid);
        }
    }
    return OBJ_txt2obj(word, 1);
}

/* One decoded extension, or NULL with *present telling absence from damage. */
static void *decode(const pki_extensions *all, int nid, bool *present, pki_fault *fault) {
    int critical = 0;
    void *value = X509V3_get_d2i(all, nid, &critical, NULL);
    *present = value != NULL;
    if (value == NULL && critical != -1) {
        (void)pki_fail_libcrypto(fault, PKI_BAD_EXTENSION,
                                 critical == -2 ? "the extension %s occurs twice"
                                                : "the extension %s is damaged",
                                 OBJ_nid2ln(nid));
    }
    return value;
}

bool pki_extension_key_usage(const pki_extensions *all, bool *present, pki_list *list,
                             pki_fault *fault) {
    ASN1_BIT_STRING *bits = decode(all, NID_key_usage, present, fault);
    bool done = fault->code == PKI_OK;
    for (size_t i = 0; done && bits != NULL && i < LENGTH(key_usages); i++) {
        if (ASN1_BIT_STRING_get_bit(bits, (int)i) == 1) {
            done = pki_list_add(list, "", key_usages[i], strlen(key_usages[i]), fault);
        }
    }
    ASN1_BIT_STRING_free(bits);
    return done;
}

static bool add_extended(const ASN1_OBJECT *object, pki_list *list, pki_fault *fault) {
    int nid = OBJ_obj2nid(object);
    for (size_t i = 0; i < LENGTH(extended_key_usages); i++) {
        if (nid == extended_key_usages[i].nid) {
            const char *word = extended_key_usages[i].word;
            return pki_list_add(list, "", word, strlen(word), fault);
        }
    }
    char oid[OID_SIZE];
    if (OBJ_obj2txt(oid, sizeof oid, object, 1) <= 0) {
        oid[0] = '\0';
    }
    return pki_list_add(list, "", oid, strlen(oid), fault);
}

bool pki_extension_extended_key_usage(const pki_extensions *all, bool *present, pki_list *list,
                                      pki_fault *fault) {
    EXTENDED_KEY_USAGE *usages = decode(all, NID_ext_key_usage, present, fault);
    bool done = fault->code == PKI_OK;
    for (int i = 0; done && i < sk_ASN1_OBJECT_num(usages); i++) {
        done = add_extended(sk_ASN1_OBJECT_value(usages, i), list, fault);
    }
    EXTENDED_KEY_USAGE_free(usages);
    return done;
}

bool pki_extension_basic_constraints(const pki_extensions *all, bool *present, bool *authority,
                                     long *path_length, pki_fault *fault) {
    BASIC_CONSTRAINTS *constraints = decode(all, NID_basic_constraints, present, fault);
    *authority = false;
    *path_length = -1;
    if (constraints != NULL) {
        *authority = constraints->ca != 0;
        if (constraints->pathlen != NULL) {
            *path_length = ASN1_INTEGER_get(constraints->pathlen);
        }
        BASIC_CONSTRAINTS_free(constraints);
    }
    return fault->code == PKI_OK;
}

bool pki_extension_subject_alt_names(const pki_extensions *all, bool *present, pki_list *list,
                                     pki_fault *fault) {
    GENERAL_NAMES *names = decode(all, NID_subject_alt_name, present, fault);
    bool done =
        fault->code == PKI_OK && (names == NULL || pki_general_names_read(names, list, fault));
    GENERAL_NAMES_free(names);
    return done;
}

static bool add_identifier(const ASN1_OCTET_STRING *identifier, pki_list *list, pki_fault *fault) {
    size_t length = (size_t)ASN1_STRING_length(identifier);
    char *hex = OPENSSL_malloc(2 * length + 1);
    if (hex == NULL) {
        return pki_fail_memory(fault);
    }
    pki_hex(hex, ASN1_STRING_get0_data(identifier), length);
    bool done = pki_list_add(list, "", hex, 2 * length, fault);
    OPENSSL_free(hex);
    return done;
}

bool pki_extension_subject_key_id(const pki_extensions *all, bool *present, pki_list *list,
                                  pki_fault *fault) {
    ASN1_OCTET_STRING *identifier = decode(all, NID_subject_key_identifier, present, fault);
    bool done =
        fault->code == PKI_OK && (identifier == NULL || add_identifier(identifier, list, fault));
    ASN1_OCTET_STRING_free(identifier);
    return done;
}

bool pki_extension_authority_key_id(const pki_extensions *all, bool *present, pki_list *list,
                                    pki_fault *fault) {
    AUTHORITY_KEYID *identifier = decode(all, NID_authority_key_identifier, present, fault);
    bool done = fault->code == PKI_OK;
    if (identifier != NULL) {
        *present = identifier->keyid != NULL;
        done = !*present || add_identifier(identifier->keyid, list, fault);
    }
    AUTHORITY_KEYID_free(identifier);
    return done;
}

static bool add_subtrees(STACK_OF(GENERAL_SUBTREE) * trees, pki_list *list, pki_fault *fault) {
    for (int i = 0; i < sk_GENERAL_SUBTREE_num(trees); i++) {
        if (!pki_general_name_read(sk_GENERAL_SUBTREE_value(trees, i)->base, true, list, fault)) {
            return false;
        }
    }
    return true;
}

bool pki_extension_name_constraints(const pki_extensions *all, bool *present, pki_list *permitted,
                                    pki_list *excluded, pki_fault *fault) {
    NAME_CONSTRAINTS *constraints = decode(all, NID_name_constraints, present, fault);
    bool done =
        fault->code == PKI_OK &&
        (constraints == NULL || (add_subtrees(constraints->permittedSubtrees, permitted, fault) &&
                                 add_subtrees(constraints->excludedSubtrees, excluded, fault)));
    NAME_CONSTRAINTS_free(constraints);
    return done;
}

bool pki_extension_crl_distribution_points(const pki_extensions *all, bool *present, pki_list *list,
                                           pki_fault *fault) {
    CRL_DIST_POINTS *points = decode(all, NID_crl_distribution_points, present, fault);
    bool done = fault->code == PKI_OK;
    for (int i = 0; done && i < sk_DIST_POINT_num(points); i++) {
        const DIST_POINT *point = sk_DIST_POINT_value(points, i);
        /* type 1 is a name relative to the issuer, which has no text of its own */
        if (point->distpoint != NULL && point->distpoint->type == 0) {
            done = pki_general_names_read(point->distpoint->name.fullname, list, fault);
        }
    }
    CRL_DIST_POINTS_free(points);
    return done;
}

bool pki_extension_list(const pki_extensions *all, pki_list *list, pki_fault *fault) {
    for (int i = 0; i < sk_X509_EXTENSION_num(all); i++) {
        X509_EXTENSION *extension = sk_X509_EXTENSION_value(all, i);
        const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(extension);
        char oid[OID_SIZE];
        if (OBJ_obj2txt(oid, sizeof oid, X509_EXTENSION_get_object(extension), 1) <= 0) {
            oid[0] = '\0';
        }
        if (!pki_list_add(list, oid, ASN1_STRING_get0_data(value),
                          (size_t)ASN1_STRING_length(value), fault)) {
            return false;
        }
        pki_list_last(list)->flag = X509_EXTENSION_get_critical(extension) != 0;
    }
    return true;
}

const char *pki_extension_name(const char *oid) {
    int nid = OBJ_txt2nid(oid);
    return nid == NID_undef ? oid : OBJ_nid2sn(nid);
}

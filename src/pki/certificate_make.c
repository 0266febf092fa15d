#include <openssl/bn.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "certificate.h"
#include "extension.h"
#include "general_name.h"
#include "key.h"
#include "name.h"

static bool add(X509 *certificate, int nid, void *value, bool critical, pki_fault *fault) {
    return X509_add1_ext_i2d(certificate, nid, value, critical, X509V3_ADD_DEFAULT) == 1 ||
           pki_fail_libcrypto(fault, PKI_LIBCRYPTO, "the extension %s could not be added",
                              OBJ_nid2ln(nid));
}

static bool set_serial(X509 *certificate, const char *hex, pki_fault *fault) {
    ASN1_INTEGER *serial = NULL;
    bool done = false;
    if (hex != NULL) {
        serial = pki_serial_make(hex, fault);
        if (serial != NULL && hex[strspn(hex, "0")] == '\0') {
            (void)pki_fail(fault, PKI_BAD_NAME, "the serial number is zero");
            pki_fault_set_hint(fault, "RFC 5280, section 4.1.2.2: a serial number is positive");
            ASN1_INTEGER_free(serial);
            serial = NULL;
        }
    } else {
        /* 159 bits: positive and within the 20 octets of RFC 5280, section 4.1.2.2. */
        BIGNUM *number = BN_new();
        if (number != NULL && BN_rand(number, 159, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
            (!BN_is_zero(number) || BN_one(number))) {
            serial = BN_to_ASN1_INTEGER(number, NULL);
        }
        BN_free(number);
        if (serial == NULL) {
            (void)pki_fail_libcrypto(fault, PKI_LIBCRYPTO, "no serial number could be made");
        }
    }
    done = serial != NULL &&
           (X509_set_serialNumber(certificate, serial) == 1 || pki_fail_memory(fault));
    ASN1_INTEGER_free(serial);
    return done;
}

static bool set_subject(X509 *certificate, const pki_certificate_template *form, pki_fault *fault) {
    X509_NAME *subject = form->subject_der.length > 0 ? pki_name_parse(form->subject_der, fault)
                                                      : pki_name_make(form->subject, fault);
    if (subject == NULL) {
        return false;
    }
    const X509_NAME *issuer = form->issuer != NULL ? X509_get_subject_name(form->issuer) : subject;
    bool done = (X509_set_subject_name(certificate, subject) == 1 &&
                 X509_set_issuer_name(certificate, issuer) == 1) ||
                pki_fail_memory(fault);
    X509_NAME_free(subject);
    return done;
}

static bool set_times(X509 *certificate, const pki_certificate_template *form, pki_fault *fault) {
    if (form->not_after < form->not_before) {
        return pki_fail(fault, PKI_BAD_TIME, "not_after lies before not_before");
    }
    return pki_time_set(X509_getm_notBefore(certificate), form->not_before, fault) &&
           pki_time_set(X509_getm_notAfter(certificate), form->not_after, fault);
}

static bool add_basic_constraints(X509 *certificate, const pki_certificate_template *form,
                                  pki_fault *fault) {
    if (form->unconstrained) {
        return true;
    }
    BASIC_CONSTRAINTS *constraints = BASIC_CONSTRAINTS_new();
    bool done = constraints != NULL;
    if (done) {
        constraints->ca = form->authority ? 0xff : 0; /* DER: X.690, section 11.1; Go refuses 1 */
        if (form->authority && form->path_length >= 0) {
            constraints->pathlen = ASN1_INTEGER_new();
            done = constraints->pathlen != NULL &&
                   ASN1_INTEGER_set(constraints->pathlen, form->path_length) == 1;
        }
    }
    done = done ? add(certificate, NID_basic_constraints, constraints, true, fault)
                : pki_fail_memory(fault);
    BASIC_CONSTRAINTS_free(constraints);
    return done;
}

static bool add_key_usage(X509 *certificate, unsigned usage, pki_fault *fault) {
    if (usage == 0) {
        return true;
    }
    ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();
    bool done = bits != NULL;
    for (int bit = 0; done && bit < 9; bit++) {
        if ((usage >> bit & 1) != 0) {
            done = ASN1_BIT_STRING_set_bit(bits, bit, 1) == 1;
        }
    }
    done = done ? add(certificate, NID_key_usage, bits, true, fault) : pki_fail_memory(fault);
    ASN1_BIT_STRING_free(bits);
    return done;
}

static bool add_extended_key_usage(X509 *certificate, const pki_list *words, pki_fault *fault) {
    if (words->count == 0) {
        return true;
    }
    EXTENDED_KEY_USAGE *usages = sk_ASN1_OBJECT_new_null();
    bool done = usages != NULL || pki_fail_memory(fault);
    for (size_t i = 0; done && i < words->count; i++) {
        ASN1_OBJECT *object = pki_extended_key_usage_object(pki_item_value(words, i));
        if (object == NULL) {
            done = pki_fail(fault, PKI_BAD_NAME, "%s is not an extended key usage",
                            pki_item_value(words, i));
            pki_fault_set_hint(fault, "use client_auth, server_auth, … or a dotted OID");
        } else if (sk_ASN1_OBJECT_push(usages, object) == 0) {
            ASN1_OBJECT_free(object);
            done = pki_fail_memory(fault);
        }
    }
    done = done && add(certificate, NID_ext_key_usage, usages, false, fault);
    EXTENDED_KEY_USAGE_free(usages);
    return done;
}

static bool add_alternative_names(X509 *certificate, const pki_certificate_template *form,
                                  pki_fault *fault) {
    if (form->subject_alt_names->count == 0) {
        return true;
    }
    GENERAL_NAMES *names = pki_general_names_make(form->subject_alt_names, false, fault);
    /* RFC 5280, section 4.2.1.6: critical where the subject is empty. */
    bool done = names != NULL &&
                add(certificate, NID_subject_alt_name, names, form->subject->count == 0, fault);
    GENERAL_NAMES_free(names);
    return done;
}

static bool add_subtrees(STACK_OF(GENERAL_SUBTREE) * *trees, const pki_list *list,
                         pki_fault *fault) {
    if (list->count == 0) {
        return true;
    }
    *trees = sk_GENERAL_SUBTREE_new_null();
    if (*trees == NULL) {
        return pki_fail_memory(fault);
    }
    for (size_t i = 0; i < list->count; i++) {
        GENERAL_NAME *base = pki_general_name_make(pki_item_type(list, i), pki_item_value(list, i),
                                                   list->items[i].value_length, true, fault);
        if (base == NULL) {
            return false;
        }
        GENERAL_SUBTREE *tree = GENERAL_SUBTREE_new();
        if (tree == NULL) {
            GENERAL_NAME_free(base);
            return pki_fail_memory(fault);
        }
        GENERAL_NAME_free(tree->base);
        tree->base = base;
        if (sk_GENERAL_SUBTREE_push(*trees, tree) == 0) {
            GENERAL_SUBTREE_free(tree);
            return pki_fail_memory(fault);
        }
    }
    return true;
}

static bool add_name_constraints(X509 *certificate, const pki_certificate_template *form,
                                 pki_fault *fault) {
    if (form->permitted->count == 0 && form->excluded->count == 0) {
        return true;
    }
    NAME_CONSTRAINTS *constraints = NAME_CONSTRAINTS_new();
    bool done = constraints != NULL
                    ? add_subtrees(&constraints->permittedSubtrees, form->permitted, fault) &&
                          add_subtrees(&constraints->excludedSubtrees, form->excluded, fault) &&
                          add(certificate, NID_name_constraints, constraints, true, fault)
                    : pki_fail_memory(fault);
    NAME_CONSTRAINTS_free(constraints);
    return done;
}

/* SKI and AKI by libcrypto's own rules: the AKI repeats the SKI of the issuer. */
static bool add_key_identifiers(X509 *certificate, const pki_certificate_template *form,
                                pki_fault *fault) {
    static const struct {
        int nid;
        const char *value;
    } identifiers[] = {{NID_subject_key_identifier, "hash"},
                       {NID_authority_key_identifier, "keyid:always"}};
    X509V3_CTX context;
    X509V3_set_ctx(&context, form->issuer != NULL ? form->issuer : certificate, certificate, NULL,
                   NULL, 0);
    for (size_t i = 0; i < sizeof identifiers / sizeof identifiers[0]; i++) {
        X509_EXTENSION *extension =
            X509V3_EXT_conf_nid(NULL, &context, identifiers[i].nid, identifiers[i].value);
        bool done = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
        X509_EXTENSION_free(extension);
        if (!done) {
            (void)pki_fail_libcrypto(fault, PKI_LIBCRYPTO, "the extension %s could not be added",
                                     OBJ_nid2ln(identifiers[i].nid));
            /* An issuer without a key identifier, as old tools made them. */
            if (i == 1 && form->issuer != NULL && X509_get0_subject_key_id(form->issuer) == NULL &&
                fault->code != PKI_OUT_OF_MEMORY) {
                pki_begin(fault);
                continue;
            }
            return false;
        }
    }
    return true;
}

static bool add_distribution_points(X509 *certificate, const pki_list *addresses,
                                    pki_fault *fault) {
    if (addresses->count == 0) {
        return true;
    }
    CRL_DIST_POINTS *points = sk_DIST_POINT_new_null();
    bool done = points != NULL || pki_fail_memory(fault);
    for (size_t i = 0; done && i < addresses->count; i++) {
        GENERAL_NAME *name = pki_general_name_make("uri", pki_item_value(addresses, i),
                                                   addresses->items[i].value_length, false, fault);
        DIST_POINT *point = DIST_POINT_new();
        done = name != NULL && point != NULL;
        if (done) {
            point->distpoint = DIST_POINT_NAME_new();
            done = point->distpoint != NULL;
        }
        if (done) {
            point->distpoint->type = 0;
            point->distpoint->name.fullname = sk_GENERAL_NAME_new_null();
            done = point->distpoint->name.fullname != NULL &&
                   sk_GENERAL_NAME_push(point->distpoint->name.fullname, name) > 0;
        }
        if (done) {
            name = NULL;
            done = sk_DIST_POINT_push(points, point) > 0;
        }
        if (!done) {
            GENERAL_NAME_free(name);
            DIST_POINT_free(point);
            if (fault->code == PKI_OK) {
                (void)pki_fail_memory(fault);
            }
        }
    }
    done = done && add(certificate, NID_crl_distribution_points, points, false, fault);
    CRL_DIST_POINTS_free(points);
    return done;
}

static bool add_extra(X509 *certificate, const pki_list *extensions, pki_fault *fault) {
    for (size_t i = 0; i < extensions->count; i++) {
        ASN1_OBJECT *object = OBJ_txt2obj(pki_item_type(extensions, i), 1);
        if (object == NULL) {
            return pki_fail_libcrypto(fault, PKI_BAD_NAME, "%s is not an OID",
                                      pki_item_type(extensions, i));
        }
        if (X509_get_ext_by_OBJ(certificate, object, -1) >= 0) {
            ASN1_OBJECT_free(object);
            return pki_fail(fault, PKI_BAD_EXTENSION, "the extension %s is there already",
                            pki_item_type(extensions, i));
        }
        ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
        X509_EXTENSION *extension = NULL;
        bool done =
            value != NULL &&
            ASN1_OCTET_STRING_set(value, (const unsigned char *)pki_item_value(extensions, i),
                                  (int)extensions->items[i].value_length) == 1;
        if (done) {
            extension =
                X509_EXTENSION_create_by_OBJ(NULL, object, extensions->items[i].flag, value);
            done = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
        }
        X509_EXTENSION_free(extension);
        ASN1_OCTET_STRING_free(value);
        ASN1_OBJECT_free(object);
        if (!done) {
            return pki_fail_memory(fault);
        }
    }
    return true;
}

static bool sign(X509 *certificate, const pki_certificate_template *form, pki_fault *fault) {
    const EVP_MD *digest = NULL;
    return pki_key_digest(form->issuer_key, form->digest, &digest, fault) &&
           (X509_sign(certificate, form->issuer_key, digest) > 0 ||
            pki_fail_libcrypto(fault, PKI_LIBCRYPTO, "the certificate could not be signed"));
}

/* libcrypto keeps the very key that it is given: from a pair the private half would come out. */
static bool set_public_key(X509 *certificate, const EVP_PKEY *key, pki_fault *fault) {
    EVP_PKEY *public_key = pki_key_public(key, fault);
    bool done = public_key != NULL &&
                (X509_set_pubkey(certificate, public_key) == 1 ||
                 pki_fail_libcrypto(fault, PKI_LIBCRYPTO, "the key cannot go into a certificate"));
    EVP_PKEY_free(public_key);
    return done;
}

X509 *pki_certificate_make(const pki_certificate_template *form, pki_fault *fault) {
    X509 *certificate = X509_new();
    if (certificate == NULL) {
        (void)pki_fail_memory(fault);
        return NULL;
    }
    bool done = X509_set_version(certificate, X509_VERSION_3) == 1 ||
                pki_fail_libcrypto(fault, PKI_LIBCRYPTO, "the certificate cannot be of version 3");
    done = done && set_public_key(certificate, form->public_key, fault) &&
           set_serial(certificate, form->serial, fault) && set_subject(certificate, form, fault) &&
           set_times(certificate, form, fault) && add_basic_constraints(certificate, form, fault) &&
           add_key_usage(certificate, form->key_usage, fault) &&
           add_extended_key_usage(certificate, form->extended_key_usage, fault) &&
           add_alternative_names(certificate, form, fault) &&
           add_name_constraints(certificate, form, fault) &&
           add_key_identifiers(certificate, form, fault) &&
           add_distribution_points(certificate, form->crl_distribution_points, fault) &&
           add_extra(certificate, form->extensions, fault) && sign(certificate, form, fault);
    if (!done) {
        X509_free(certificate);
        return NULL;
    }
    return certificate;
}

#include "chain.h"

#include <openssl/x509v3.h>
#include <string.h>

#include "certificate.h"
#include "name.h"

static bool signed_by(X509 *certificate, X509 *issuer) {
    EVP_PKEY *key = X509_get0_pubkey(issuer);
    return key != NULL && X509_verify(certificate, key) == 1;
}

/*
** Whether one issued the other, as far as putting them in order asks. Names that fit and key
** identifiers that agree settle it; without identifiers (RFC 5280 has them in all but roots, old
** tools in none) authorities of one name with several keys are told apart by the signature alone.
** That takes as long as half a verification, which looks at every signature anyhow.
*/
static bool issued(X509 *certificate, X509 *issuer) {
    if (X509_check_issued(issuer, certificate) != X509_V_OK) {
        return false;
    }
    return (X509_get0_authority_key_id(certificate) != NULL &&
            X509_get0_subject_key_id(issuer) != NULL) ||
           signed_by(certificate, issuer);
}

/*
** The certificate of the heap that issued this one and is not yet on the path. Key identifiers can
** be copied: where two certificates claim to be the issuer, the signature decides.
*/
static long issuer_of(X509 *const *certificates, size_t count, const int *place, size_t child) {
    long first = -1;
    for (size_t i = 0; i < count; i++) {
        if (i == child || place[i] != PKI_CHAIN_FOREIGN ||
            !issued(certificates[child], certificates[i])) {
            continue;
        }
        if (first < 0 || (!signed_by(certificates[child], certificates[first]) &&
                          signed_by(certificates[child], certificates[i]))) {
            first = (long)i;
        }
    }
    return first;
}

/* The certificate that is the issuer of none: there must be exactly one. */
static bool find_leaf(X509 *const *certificates, size_t count, const int *place, long *leaf,
                      pki_fault *fault) {
    *leaf = -1;
    for (size_t i = 0; i < count; i++) {
        bool issues = false;
        for (size_t j = 0; j < count && !issues; j++) {
            issues = i != j && place[i] != PKI_CHAIN_DUPLICATE && place[j] != PKI_CHAIN_DUPLICATE &&
                     issued(certificates[j], certificates[i]);
        }
        if (issues || place[i] == PKI_CHAIN_DUPLICATE) {
            continue;
        }
        if (*leaf >= 0) {
            char first[200];
            char second[200];
            pki_name_text(X509_get_subject_name(certificates[*leaf]), first, sizeof first);
            pki_name_text(X509_get_subject_name(certificates[i]), second, sizeof second);
            return pki_fail(fault, PKI_SEVERAL_LEAVES, "two certificates can be the leaf: %s; %s",
                            first, second);
        }
        *leaf = (long)i;
    }
    return *leaf >= 0 || pki_fail(fault, PKI_SEVERAL_LEAVES, "no certificate can be the leaf");
}

static void mark_duplicates(X509 *const *certificates, size_t count, int *place) {
    for (size_t i = 0; i < count; i++) {
        place[i] = PKI_CHAIN_FOREIGN;
        for (size_t j = 0; j < i; j++) {
            if (X509_cmp(certificates[i], certificates[j]) == 0) {
                place[i] = PKI_CHAIN_DUPLICATE;
                break;
            }
        }
    }
}

bool pki_chain_order(X509 *const *certificates, size_t count, long leaf, int *place,
                     size_t *chain_length, bool *complete, pki_fault *fault) {
    *chain_length = 0;
    *complete = false;
    if (count == 0) {
        return pki_fail(fault, PKI_EMPTY, "there is no certificate");
    }
    mark_duplicates(certificates, count, place);
    bool done = leaf >= 0 || find_leaf(certificates, count, place, &leaf, fault);
    for (long at = leaf; done && at >= 0;) {
        place[at] = (int)(*chain_length)++;
        X509 *certificate = certificates[at];
        *complete = pki_certificate_issued_by(certificate, certificate);
        at = *complete ? -1 : issuer_of(certificates, count, place, (size_t)at);
    }
    return done;
}

#include "chain.h"

#include <openssl/x509v3.h>
#include <string.h>

#include "certificate.h"
#include "name.h"

/*
** What a heap may cost, in comparisons of names: a heap of strangers, or of many authorities of one
** name without key identifiers, would take the square of its size.
*/
enum { COST_LIMIT = 1000000, SIGNATURE_COST = 1000 };

typedef struct issuer_heap {
    X509 *const *certificates;
    size_t count;
    int *place;
    long cost;
} issuer_heap;

static bool signed_by(issuer_heap *heap, size_t child, size_t issuer) {
    EVP_PKEY *key = X509_get0_pubkey(heap->certificates[issuer]);
    heap->cost += SIGNATURE_COST;
    return heap->cost <= COST_LIMIT && key != NULL &&
           X509_verify(heap->certificates[child], key) == 1;
}

/*
** Whether one issued the other, as far as putting them in order asks. Names that fit and key
** identifiers that agree settle it; without identifiers (RFC 5280 has them in all but roots, old
** tools in none) authorities of one name with several keys are told apart by the signature alone.
** That takes as long as half a verification, which looks at every signature anyhow.
*/
static bool issued(issuer_heap *heap, size_t child, size_t issuer) {
    X509 *certificate = heap->certificates[child];
    X509 *other = heap->certificates[issuer];
    if (++heap->cost > COST_LIMIT || X509_check_issued(other, certificate) != X509_V_OK) {
        return false;
    }
    return (X509_get0_authority_key_id(certificate) != NULL &&
            X509_get0_subject_key_id(other) != NULL) ||
           signed_by(heap, child, issuer);
}

static bool check_cost(const issuer_heap *heap, pki_fault *fault) {
    if (heap->cost <= COST_LIMIT) {
        return true;
    }
    pki_fault_set_hint(fault, "keep the certificates of one chain");
    return pki_fail(fault, PKI_TOO_COSTLY, "%zu certificates are too many to put in order",
                    heap->count);
}

/*
** The certificate of the heap that issued this one and is not yet on the path. Key identifiers can
** be copied: where two certificates claim to be the issuer, the signature decides.
*/
static long issuer_of(issuer_heap *heap, size_t child) {
    long first = -1;
    for (size_t i = 0; i < heap->count; i++) {
        if (i == child || heap->place[i] != PKI_CHAIN_FOREIGN || !issued(heap, child, i)) {
            continue;
        }
        if (first < 0 || (!signed_by(heap, child, (size_t)first) && signed_by(heap, child, i))) {
            first = (long)i;
        }
    }
    return first;
}

/* The certificate that is the issuer of none: there must be exactly one. */
static bool find_leaf(issuer_heap *heap, long *leaf, pki_fault *fault) {
    const int *place = heap->place;
    *leaf = -1;
    for (size_t i = 0; i < heap->count; i++) {
        bool issues = false;
        for (size_t j = 0; j < heap->count && !issues; j++) {
            issues = i != j && place[i] != PKI_CHAIN_DUPLICATE && place[j] != PKI_CHAIN_DUPLICATE &&
                     issued(heap, j, i);
        }
        if (!check_cost(heap, fault)) {
            return false;
        }
        if (issues || place[i] == PKI_CHAIN_DUPLICATE) {
            continue;
        }
        if (*leaf >= 0) {
            char first[200];
            char second[200];
            pki_name_text(X509_get_subject_name(heap->certificates[*leaf]), first, sizeof first);
            pki_name_text(X509_get_subject_name(heap->certificates[i]), second, sizeof second);
            return pki_fail(fault, PKI_SEVERAL_LEAVES, "two certificates can be the leaf: %s; %s",
                            first, second);
        }
        *leaf = (long)i;
    }
    return *leaf >= 0 || pki_fail(fault, PKI_SEVERAL_LEAVES, "no certificate can be the leaf");
}

static void mark_duplicates(issuer_heap *heap) {
    for (size_t i = 0; i < heap->count; i++) {
        heap->place[i] = PKI_CHAIN_FOREIGN;
        for (size_t j = 0; j < i; j++) {
            heap->cost++;
            if (heap->cost <= COST_LIMIT &&
                X509_cmp(heap->certificates[i], heap->certificates[j]) == 0) {
                heap->place[i] = PKI_CHAIN_DUPLICATE;
                break;
            }
        }
    }
}

bool pki_chain_order(X509 *const *certificates, size_t count, long leaf, int *place,
                     size_t *chain_length, bool *complete, pki_fault *fault) {
    issuer_heap heap = {certificates, count, place, 0};
    *chain_length = 0;
    *complete = false;
    if (count == 0) {
        return pki_fail(fault, PKI_EMPTY, "there is no certificate");
    }
    mark_duplicates(&heap);
    bool done = check_cost(&heap, fault) && (leaf >= 0 || find_leaf(&heap, &leaf, fault));
    for (long at = leaf; done && at >= 0;) {
        place[at] = (int)(*chain_length)++;
        X509 *certificate = certificates[at];
        *complete = pki_certificate_issued_by(certificate, certificate);
        at = *complete ? -1 : issuer_of(&heap, (size_t)at);
        done = check_cost(&heap, fault);
    }
    return done;
}

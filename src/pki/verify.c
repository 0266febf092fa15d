#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "chain.h"
#include "name.h"

enum { SECURITY_LEVEL = 2 };
/* Other paths are tried one by one; a hostile heap must not make that exponential. */
enum { PATH_LENGTH_LIMIT = 12, PATH_LIMIT = 64 };

X509_STORE *pki_store_make(X509 *const *certificates, size_t count, pki_fault *fault) {
    X509_STORE *store = X509_STORE_new();
    if (store == NULL) {
        (void)pki_fail_memory(fault);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        if (X509_STORE_add_cert(store, certificates[i]) != 1) {
            (void)pki_fail_libcrypto(fault, PKI_LIBCRYPTO, "a root could not be stored");
            X509_STORE_free(store);
            return NULL;
        }
    }
    return store;
}

static pki_code code_of(int error) {
    switch (error) {
    case X509_V_ERR_OUT_OF_MEM:
        return PKI_OUT_OF_MEMORY;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return PKI_EXPIRED;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return PKI_NOT_YET_VALID;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return PKI_NO_ISSUER;
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_CERT_REJECTED:
        return PKI_UNTRUSTED_ROOT;
    case X509_V_ERR_INVALID_PURPOSE:
        return PKI_WRONG_PURPOSE;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_EMAIL_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return PKI_NAME_MISMATCH;
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
    case X509_V_ERR_CA_MD_TOO_WEAK:
        return PKI_WEAK;
    case X509_V_ERR_CERT_REVOKED:
        return PKI_REVOKED;
    case X509_V_ERR_UNABLE_TO_GET_CRL:
    case X509_V_ERR_CRL_NOT_YET_VALID:
    case X509_V_ERR_CRL_HAS_EXPIRED:
    case X509_V_ERR_CRL_SIGNATURE_FAILURE:
    case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
    case X509_V_ERR_DIFFERENT_CRL_SCOPE:
    case X509_V_ERR_CRL_PATH_VALIDATION_ERROR:
        return PKI_CRL_UNUSABLE;
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        return PKI_BAD_SIGNATURE;
    case X509_V_ERR_INVALID_CA:
    case X509_V_ERR_KEYUSAGE_NO_CERTSIGN:
        return PKI_NOT_AN_AUTHORITY;
    case X509_V_ERR_PATH_LENGTH_EXCEEDED:
        return PKI_PATH_LENGTH_EXCEEDED;
    case X509_V_ERR_CERT_CHAIN_TOO_LONG:
        return PKI_CHAIN_TOO_LONG;
    case X509_V_ERR_PERMITTED_VIOLATION:
    case X509_V_ERR_EXCLUDED_VIOLATION:
    case X509_V_ERR_SUBTREE_MINMAX:
    case X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE:
    case X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX:
    case X509_V_ERR_UNSUPPORTED_NAME_SYNTAX:
        return PKI_NAME_NOT_PERMITTED;
    case X509_V_ERR_EC_KEY_EXPLICIT_PARAMS:
        return PKI_EXPLICIT_PARAMETERS;
    default:
        return PKI_NOT_VERIFIED;
    }
}

static void explain(X509_STORE_CTX *context, const pki_verification *request, pki_fault *fault) {
    int error = X509_STORE_CTX_get_error(context);
    X509 *at = X509_STORE_CTX_get_current_cert(context);
    pki_code code = code_of(error);
    if (code == PKI_NAME_MISMATCH) {
        (void)pki_fail(fault, code, "the certificate does not bear the name %s", request->name);
    } else {
        (void)pki_fail(fault, code, "%s", X509_verify_cert_error_string(error));
    }
    fault->depth = X509_STORE_CTX_get_error_depth(context);
    (void)snprintf(fault->openssl, sizeof fault->openssl, "%s",
                   X509_verify_cert_error_string(error));
    if (at == NULL) {
        return;
    }
    pki_name_text(X509_get_subject_name(at), fault->subject, sizeof fault->subject);
    if (code == PKI_NO_ISSUER) {
        char issuer[200];
        pki_name_text(X509_get_issuer_name(at), issuer, sizeof issuer);
        pki_fault_set_hint(fault, "add the certificate of %s to the chain or to the roots", issuer);
    }
}

static bool set_name(X509_VERIFY_PARAM *parameters, const pki_verification *request) {
    if (request->name_type == NULL) {
        return true;
    }
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                                    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (strcmp(request->name_type, "ip") == 0) {
        return X509_VERIFY_PARAM_set1_ip_asc(parameters, request->name) == 1;
    }
    if (strcmp(request->name_type, "email") == 0) {
        return X509_VERIFY_PARAM_set1_email(parameters, request->name, request->name_length) == 1;
    }
    return X509_VERIFY_PARAM_set1_host(parameters, request->name, request->name_length) == 1;
}

static bool verify_with(const pki_verification *request, STACK_OF(X509) * untrusted,
                        pki_fault *fault) {
    bool done = false;
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    if (context == NULL ||
        X509_STORE_CTX_init(context, request->roots, request->leaf, untrusted) != 1) {
        X509_STORE_CTX_free(context);
        return pki_fail_memory(fault);
    }
    X509_VERIFY_PARAM *parameters = X509_STORE_CTX_get0_param(context);
    unsigned long flags = request->lax ? 0UL : X509_V_FLAG_X509_STRICT;
    flags |= request->partial ? X509_V_FLAG_PARTIAL_CHAIN : 0UL;
    if (request->crls != NULL) {
        flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL;
        X509_STORE_CTX_set0_crls(context, request->crls);
    }
    X509_VERIFY_PARAM_set_auth_level(parameters, SECURITY_LEVEL);
    if (request->depth >= 0) {
        X509_VERIFY_PARAM_set_depth(parameters, (int)request->depth);
    }
    if (request->at_set) {
        X509_VERIFY_PARAM_set_time(parameters, (time_t)request->at);
    }
    if (X509_VERIFY_PARAM_set_flags(parameters, flags) != 1 ||
        X509_VERIFY_PARAM_set_purpose(parameters, request->purpose) != 1) {
        (void)pki_fail_memory(fault);
    } else if (request->name_type != NULL && request->name_length == 0) {
        /* libcrypto takes it for the wish to check no name. */
        (void)pki_fail(fault, PKI_BAD_NAME, "the name that is asked is empty");
        pki_fault_set_hint(fault, "pass the name that was dialled, or no name at all");
    } else if (request->name_type != NULL && request->name[0] == '.') {
        /* libcrypto takes it for the wish that any name below would do. */
        (void)pki_fail(fault, PKI_BAD_NAME, "%s is not a name that can be dialled", request->name);
        pki_fault_set_hint(fault, "pass the whole name, without the dot before it");
    } else if (!set_name(parameters, request)) {
        (void)pki_fail_libcrypto(fault, PKI_BAD_NAME, "%s is not a name that can be asked",
                                 request->name);
    } else {
        done = X509_verify_cert(context) == 1;
        if (!done) {
            explain(context, request, fault);
        }
    }
    X509_STORE_CTX_free(context);
    return done;
}

/* One step of the walk over all paths: path holds the intermediates from the leaf upwards. */
typedef struct walk {
    const pki_verification *request;
    STACK_OF(X509) * path;
    int tried;
} walk;

static bool on_path(const walk *state, const X509 *certificate) {
    for (int i = 0; i < sk_X509_num(state->path); i++) {
        if (X509_cmp(sk_X509_value(state->path, i), certificate) == 0) {
            return true;
        }
    }
    return X509_cmp(state->request->leaf, certificate) == 0;
}

/*
** Depth first and without recursion: choice[d] is the next untrusted certificate to try as the
** issuer at depth d. Each path is verified as soon as it grows, so that the shortest come first.
*/
static bool try_paths(walk *state) {
    STACK_OF(X509) *untrusted = state->request->untrusted;
    int choice[PATH_LENGTH_LIMIT] = {0};
    int depth = 0;
    while (depth >= 0 && state->tried < PATH_LIMIT) {
        X509 *child = depth == 0 ? state->request->leaf : sk_X509_value(state->path, depth - 1);
        X509 *issuer = NULL;
        while (choice[depth] < sk_X509_num(untrusted) && issuer == NULL) {
            X509 *candidate = sk_X509_value(untrusted, choice[depth]++);
            if (X509_check_issued(candidate, child) == X509_V_OK && !on_path(state, candidate)) {
                issuer = candidate;
            }
        }
        if (issuer == NULL) {
            depth--;
            (void)sk_X509_pop(state->path);
            continue;
        }
        pki_fault ignored;
        pki_begin(&ignored);
        if (sk_X509_push(state->path, issuer) == 0) {
            return false;
        }
        state->tried++;
        if (verify_with(state->request, state->path, &ignored)) {
            return true;
        }
        if (depth + 1 < PATH_LENGTH_LIMIT) {
            choice[++depth] = 0;
        } else {
            (void)sk_X509_pop(state->path);
        }
    }
    return false;
}

bool pki_chain_verify(const pki_verification *request, pki_fault *fault) {
    if (verify_with(request, request->untrusted, fault)) {
        return true;
    }
    /* With one candidate there is one path, and it was tried. */
    if (fault->code == PKI_OUT_OF_MEMORY || fault->code == PKI_BAD_NAME ||
        sk_X509_num(request->untrusted) < 2) {
        return false;
    }
    walk state = {.request = request, .path = sk_X509_new_null(), .tried = 0};
    bool done = state.path != NULL &&
                (verify_with(request, state.path, &(pki_fault){0}) || try_paths(&state));
    sk_X509_free(state.path);
    if (done) {
        pki_begin(fault);
    }
    return done;
}

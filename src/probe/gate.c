#include "gate.h"

#include <string.h>

#include "certificates.h"

/* Properties of the auth context, which gRPC core keeps as long as the connection. */
static const char judged_property[] = "tcpki_judged";
static const char namespace_property[] = "tcpki_namespace";

enum {
    MOST_CERTIFICATES = 16, /* of a client that sends more, the rest is not looked at */
    MOST_INTERMEDIATES = 64,
};

void gate_open(gate *opened) {
    (void)pthread_mutex_init(&opened->lock, NULL);
    opened->rules = NULL;
    opened->intermediates = sk_X509_new_null();
}

void gate_change(gate *opened, admission *rules) {
    (void)pthread_mutex_lock(&opened->lock);
    admission *former = opened->rules;
    opened->rules = rules;
    (void)pthread_mutex_unlock(&opened->lock);
    admission_free(former);
}

void gate_close(gate *opened) {
    (void)pthread_mutex_destroy(&opened->lock);
    admission_free(opened->rules);
    sk_X509_pop_free(opened->intermediates, X509_free);
}

static const grpc_auth_property *find_property(const grpc_auth_context *context, const char *name) {
    grpc_auth_property_iterator properties =
        grpc_auth_context_find_properties_by_name(context, name);
    return grpc_auth_property_iterator_next(&properties);
}

static STACK_OF(X509) *
    read_property(const grpc_auth_context *context, const char *name, int most) {
    const grpc_auth_property *property = find_property(context, name);
    return property != NULL ? certificates_read(property->value, property->value_length, most)
                            : NULL;
}

static void admit(void *argument, const char *name) {
    grpc_auth_context_add_cstring_property(argument, namespace_property, name);
}

static void remember(STACK_OF(X509) * known, STACK_OF(X509) * chain) {
    for (int i = 0; i < sk_X509_num(chain); i++) {
        X509 *certificate = sk_X509_value(chain, i);
        bool is_new = known != NULL && sk_X509_num(known) < MOST_INTERMEDIATES;
        for (int j = 0; is_new && j < sk_X509_num(known); j++) {
            is_new = X509_cmp(certificate, sk_X509_value(known, j)) != 0;
        }
        if (is_new && X509_up_ref(certificate) == 1 && sk_X509_push(known, certificate) <= 0) {
            X509_free(certificate);
        }
    }
}

/*
** A ticket holds the leaf without its chain (SSL_get_peer_cert_chain(3)), and rustls, so most SDKs,
** resumes where it can: then the path goes through what was sent when the ticket was earned.
*/
static void judge_leaf(gate *opened, X509 *leaf, grpc_auth_context *context) {
    const grpc_auth_property *resumed = find_property(context, GRPC_SSL_SESSION_REUSED_PROPERTY);
    if (resumed != NULL && strcmp(resumed->value, "true") == 0) {
        admission_judge(opened->rules, leaf, opened->intermediates, admit, context);
        return;
    }
    STACK_OF(X509) *chain =
        read_property(context, GRPC_X509_PEM_CERT_CHAIN_PROPERTY_NAME, MOST_CERTIFICATES);
    remember(opened->intermediates, chain);
    admission_judge(opened->rules, leaf, chain, admit, context);
    sk_X509_pop_free(chain, X509_free);
}

/* Only the server's one thread comes here, so that nobody else reads what is being added. */
static void judge(gate *opened, grpc_auth_context *context) {
    STACK_OF(X509) *leaf = read_property(context, GRPC_X509_PEM_CERT_PROPERTY_NAME, 1);
    if (sk_X509_num(leaf) == 1) {
        judge_leaf(opened, sk_X509_value(leaf, 0), context);
    }
    sk_X509_pop_free(leaf, X509_free);
    grpc_auth_context_add_cstring_property(context, judged_property, "");
}

gate_peer gate_judge(gate *opened, grpc_call *call) {
    (void)pthread_mutex_lock(&opened->lock);
    gate_peer peer = {.unguarded = opened->rules == NULL};
    if (!peer.unguarded) {
        peer.verdict = grpc_call_auth_context(call);
    }
    if (peer.verdict != NULL && find_property(peer.verdict, judged_property) == NULL) {
        judge(opened, peer.verdict);
    }
    (void)pthread_mutex_unlock(&opened->lock);
    return peer;
}

bool gate_admits(const gate_peer *peer, const char *name) {
    if (peer->unguarded || peer->verdict == NULL) {
        return peer->unguarded;
    }
    grpc_auth_property_iterator properties =
        grpc_auth_context_find_properties_by_name(peer->verdict, namespace_property);
    const grpc_auth_property *property;
    while ((property = grpc_auth_property_iterator_next(&properties)) != NULL) {
        if (name == NULL || (strlen(name) == property->value_length &&
                             memcmp(name, property->value, property->value_length) == 0)) {
            return true;
        }
    }
    return false;
}

void gate_forget(gate_peer *peer) {
    if (peer->verdict != NULL) {
        grpc_auth_context_release(peer->verdict);
        peer->verdict = NULL;
    }
}

#include "gate.h"

#include <string.h>

#include "certificates.h"

/* Properties of the auth context, which gRPC core keeps as long as the connection. */
static const char judged_property[] = "tcpki_judged";
static const char namespace_property[] = "tcpki_namespace";

/* Of a client that sends more beside its leaf, the rest is not looked at. */
enum { MOST_CERTIFICATES = 16 };

void gate_open(gate *opened) {
    (void)pthread_mutex_init(&opened->lock, NULL);
    opened->rules = NULL;
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

/* Only the server's one thread comes here, so that nobody else reads what is being added. */
static void judge(const admission *rules, grpc_auth_context *context) {
    STACK_OF(X509) *leaf = read_property(context, GRPC_X509_PEM_CERT_PROPERTY_NAME, 1);
    if (sk_X509_num(leaf) == 1) {
        STACK_OF(X509) *chain =
            read_property(context, GRPC_X509_PEM_CERT_CHAIN_PROPERTY_NAME, MOST_CERTIFICATES);
        admission_judge(rules, sk_X509_value(leaf, 0), chain, admit, context);
        sk_X509_pop_free(chain, X509_free);
    }
    sk_X509_pop_free(leaf, X509_free);
    grpc_auth_context_add_cstring_property(context, judged_property, "");
}

gate_peer gate_judge(gate *opened, grpc_call *call) {
    gate_peer peer = {NULL};
    (void)pthread_mutex_lock(&opened->lock);
    if (opened->rules != NULL) {
        peer.verdict = grpc_call_auth_context(call);
        if (find_property(peer.verdict, judged_property) == NULL) {
            judge(opened->rules, peer.verdict);
        }
    }
    (void)pthread_mutex_unlock(&opened->lock);
    return peer;
}

bool gate_admits(const gate_peer *peer, const char *name) {
    if (peer->verdict == NULL) {
        return true;
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
    grpc_auth_context_release(peer->verdict);
    peer->verdict = NULL;
}

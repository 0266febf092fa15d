#ifndef TCPKI_PROBE_GATE_H
#define TCPKI_PROBE_GATE_H

#include <pthread.h>
#include <stdbool.h>

#include "admission.h"
#include "compat.h"

/*
** The rules of admission in force, and what they say of the peer of a call. A connection is judged
** once, with its first call, and keeps the verdict: Temporal Cloud, too, looks at a certificate when
** a connection is made, so that a removed CA is noticed when connections are made anew.
*/
typedef struct gate {
    pthread_mutex_t lock;
    admission *rules;               /* NULL: everybody may see everything */
    STACK_OF(X509) * intermediates; /* that clients sent in full handshakes */
} gate;

/* Without rules. */
void gate_open(gate *opened);
/* Takes the rules. */
void gate_change(gate *opened, admission *rules);
void gate_close(gate *opened);

/* What one call's peer may see; lives as long as the call. */
typedef struct gate_peer {
    bool unguarded; /* everything */
    grpc_auth_context *verdict;
} gate_peer;

gate_peer gate_judge(gate *opened, grpc_call *call);
/* Whether it may see a namespace, or, of NULL, any at all. */
bool gate_admits(const gate_peer *peer, const char *name);
void gate_forget(gate_peer *peer);

#endif

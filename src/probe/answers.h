#ifndef TCPKI_PROBE_ANSWERS_H
#define TCPKI_PROBE_ANSWERS_H

#include <stddef.h>

#include "gate.h"

/* What the embedded frontend says: the words of a Temporal server, for the RPCs of a smoke test. */

typedef struct answers_known {
    const char *server_version;
    const char *const *namespaces;
    size_t namespace_count;
} answers_known;

enum { ANSWERS_MESSAGE_SIZE = 320 };

typedef struct answers_reply {
    int code; /* of gRPC */
    char message[ANSWERS_MESSAGE_SIZE];
    unsigned char *body; /* from malloc; NULL: none */
    size_t body_length;
    unsigned char *details; /* google.rpc.Status, from malloc; NULL: none */
    size_t details_length;
} answers_reply;

void answers_to(const answers_known *known, const gate_peer *peer, const char *method,
                size_t method_length, const unsigned char *request, size_t request_length,
                answers_reply *reply);
void answers_free(answers_reply *reply);

#endif

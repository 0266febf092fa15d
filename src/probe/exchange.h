#ifndef TCPKI_PROBE_EXCHANGE_H
#define TCPKI_PROBE_EXCHANGE_H

#include <stdbool.h>

#include "answers.h"
#include "compat.h"
#include "gate.h"

/* What all exchanges of one frontend share. */
typedef struct exchange_context {
    grpc_completion_queue *queue;
    grpc_server *server;
    answers_known known;
    gate *gate;
} exchange_context;

typedef enum exchange_step { STEP_IDLE, STEP_ACCEPT, STEP_READ, STEP_REPLY } exchange_step;

/*
** One call after the other: accept, read the request, reply. It is zeroed at first, and the tag of
** all its events; the thread that drives it allocates nothing to do so.
*/
typedef struct exchange {
    exchange_step step;
    grpc_call *call;
    grpc_call_details details;
    grpc_metadata_array metadata;
    grpc_byte_buffer *request;
    grpc_byte_buffer *response;
    answers_reply reply;
    int cancelled;
} exchange;

/* Waits for a call; idle again if the server takes none any more. */
void exchange_accept(const exchange_context *context, exchange *serving);
/* Takes the next step after an event. */
void exchange_go_on(const exchange_context *context, exchange *serving, bool succeeded);

#endif

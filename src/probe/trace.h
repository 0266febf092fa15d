#ifndef TCPKI_PROBE_TRACE_H
#define TCPKI_PROBE_TRACE_H

#include "record.h"
#include "waker.h"

/*
** A TLS connection of our own, made to explain what gRPC core hides. It runs in a thread that knows
** nothing of Lua; what is said on it is the matter of conversation.h.
*/
typedef struct trace trace;

typedef struct trace_options {
    const char *address; /* numeric */
    int port;
    const char *server_name;
    const char *roots;       /* PEM, or NULL for those of the path */
    const char *roots_path;  /* or NULL for those that OpenSSL finds */
    const char *certificate; /* PEM, the leaf first, or NULL */
    const char *key;
    bool ask_http; /* of a server that speaks HTTP/2: a request, for the status of its answer */
    double seconds;
    double connect_seconds; /* of that, each stage may take so much; 0: all of it */
    double tls_seconds;
    double settings_seconds;
} trace_options;

/* Copies what it needs. NULL: out of memory, threads or descriptors. */
trace *trace_start(const trace_options *options);
/* The record, which lives as long as the trace, or NULL while it is being made. */
const record *trace_wait(trace *running, double seconds);
/* Awake once the record is made. */
const waker *trace_done(const trace *running);
/* Stops it wherever it is, and frees it. */
void trace_stop(trace *running);

#endif

#ifndef TCPKI_PROBE_TRACE_H
#define TCPKI_PROBE_TRACE_H

#include "record.h"
#include "waker.h"

/*
** A TLS connection of our own, made to explain what gRPC core hides: over TLS 1.3 the server judges
** the client's certificate after the client has finished, and a client that then writes before it
** reads loses the alert to a reset half of the time (RFC 8446 4.4.2.4; golang/go#28779). This one
** is silent until the server has spoken. It runs in a thread that knows nothing of Lua.
*/
typedef struct trace trace;

typedef struct trace_options {
    const char *address; /* numeric */
    int port;
    const char *server_name;
    const char *roots;       /* PEM, or NULL for the system's */
    const char *certificate; /* PEM, the leaf first, or NULL */
    const char *key;
    double seconds;
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

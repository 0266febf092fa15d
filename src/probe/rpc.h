#ifndef TCPKI_PROBE_RPC_H
#define TCPKI_PROBE_RPC_H

#include <stdbool.h>
#include <stddef.h>

/* One connection of gRPC core to one address, with exactly the PEM bytes that it is given. */
typedef struct rpc_channel rpc_channel;

typedef struct rpc_options {
    const char *target;      /* ipv4:127.0.0.1:7233, ipv6:[::1]:7233 */
    const char *server_name; /* SNI, the name that is verified, and the authority of the calls */
    const char *roots;       /* PEM, or NULL for the roots that gRPC core finds on the system */
    const char *certificate; /* PEM, the leaf first, or NULL */
    const char *key;         /* PEM, or NULL */
    double seconds;          /* longer than any wait that follows */
} rpc_options;

typedef enum rpc_state {
    RPC_CONNECTING,
    RPC_READY, /* TCP, TLS and the server's SETTINGS: grpc/grpc e310d4366c */
    RPC_FAILED,
} rpc_state;

/* NULL: out of memory or threads. Nothing is sent before rpc_wait or rpc_call. */
rpc_channel *rpc_open(const rpc_options *options);
void rpc_close(rpc_channel *channel);

/* Connects, and returns once the state is settled or time is up. There is one attempt a channel. */
rpc_state rpc_wait(rpc_channel *channel, double seconds);

typedef struct rpc_metadata {
    const char *key;
    const char *value;
} rpc_metadata;

typedef struct rpc_bytes {
    unsigned char *data; /* NUL-terminated as well */
    size_t length;
} rpc_bytes;

typedef struct rpc_reply {
    int code;             /* of gRPC; OK is 0 */
    bool answered;        /* the status came from the peer, not from our own library */
    bool session_resumed; /* a resumed session proves nothing about a certificate */
    double seconds;
    rpc_bytes message; /* grpc-message */
    rpc_bytes details; /* grpc-status-details-bin, or empty */
    rpc_bytes body;
    rpc_bytes peer;  /* address as gRPC core prints it, or empty */
    rpc_bytes chain; /* PEM, as the server sent it, or empty */
} rpc_reply;

/* One unary call that fails at once where there is no connection. False: out of memory. */
bool rpc_call(rpc_channel *channel, const char *method, const void *request, size_t length,
              const rpc_metadata *metadata, size_t metadata_count, double seconds,
              rpc_reply *reply);
void rpc_reply_free(rpc_reply *reply);

#endif

#ifndef TCPKI_BENCH_TARGET_H
#define TCPKI_BENCH_TARGET_H

#include <stdbool.h>

/* A frontend, and what to show it; the last three are PEM. */
typedef struct target {
    const char *address; /* an IPv4 address */
    const char *port;
    const char *server_name;
    const char *namespace;
    const char *roots;
    const char *certificate;
    const char *key;
} target;

/* What a client of gRPC core does for the same two RPCs, and nothing else. */
bool bare_probe(const target *to);

/* TCP, TLS with both certificates verified, and the server's first bytes: over TLS 1.3 it judges
** the client's certificate after the client is done. */
bool handshake_probe(const target *to);

#endif

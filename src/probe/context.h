#ifndef TCPKI_PROBE_CONTEXT_H
#define TCPKI_PROBE_CONTEXT_H

#include <openssl/ssl.h>

/* What a TLS client brings: PEM texts, each of which may be NULL. */
typedef struct context_options {
    const char *roots;
    const char *roots_path;  /* where there are no roots; without it, OpenSSL's own */
    const char *certificate; /* the leaf first */
    const char *key;
} context_options;

/*
** A TLS client's context that behaves as gRPC core's does: the same versions, ciphers, ALPN, roots
** and chain. NULL: OpenSSL's queue says what it refused.
*/
SSL_CTX *context_create(const context_options *options);

#endif

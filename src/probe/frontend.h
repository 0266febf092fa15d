#ifndef TCPKI_PROBE_FRONTEND_H
#define TCPKI_PROBE_FRONTEND_H

#include <stdbool.h>
#include <stddef.h>

#include "admission.h"

/*
** A gRPC-core server that answers the smoke test as a Temporal frontend does, for demonstrations
** and for tests where no Temporal is at hand. It lives on a thread of its own, which knows nothing
** of Lua, until it is closed; whatever is still open when the process exits is closed then.
*/
typedef struct frontend frontend;

typedef struct frontend_identity {
    const char *certificate; /* PEM, the leaf first */
    const char *key;         /* PEM */
    const char *client_ca;   /* PEM, or NULL: no client certificate is asked for */
} frontend_identity;

typedef struct frontend_options {
    frontend_identity identity;
    bool require_client_certificate;
    const char *address; /* HOST:PORT; port 0: a free one */
    const char *server_version;
    const char *const *namespaces;
    size_t namespace_count;
    admission *admission; /* the namespaces of each certificate; NULL: all of them */
    int connection_age; /* milliseconds until a connection is closed, give or take a tenth; 0: never */
} frontend_options;

typedef enum frontend_outcome {
    FRONTEND_OK,
    FRONTEND_MEMORY,
    FRONTEND_CANNOT_LISTEN,
} frontend_outcome;

/* Copies what it needs, but takes the admission, whatever the outcome. */
frontend_outcome frontend_open(const frontend_options *options, frontend **opened);
int frontend_port(const frontend *open);
/* New connections are judged by the new identity and admission from now on, open ones stay as they
** are; a server that asks for client certificates needs client_ca again, and one with an admission
** another one, which it takes in any case. False: out of memory, nothing changed. */
bool frontend_reload(frontend *open, const frontend_identity *identity, admission *rules);
/* Ends every connection, waits for the thread, and frees it. */
void frontend_close(frontend *open);

#endif

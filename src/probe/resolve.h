#ifndef TCPKI_PROBE_RESOLVE_H
#define TCPKI_PROBE_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>

enum {
    RESOLVE_ADDRESSES = 32,
    RESOLVE_ADDRESS_SIZE = 80, /* an IPv6 literal, '%' and the name of an interface */
};

typedef enum resolve_outcome {
    RESOLVE_OK,
    RESOLVE_UNKNOWN, /* the resolver says that there is no such name or no address for it */
    RESOLVE_FAILED,  /* the resolver could not say */
    RESOLVE_TIMEOUT,
    RESOLVE_BUSY, /* too many lookups that timed out are still under way */
    RESOLVE_MEMORY,
} resolve_outcome;

typedef struct resolve_result {
    resolve_outcome outcome;
    char message[128]; /* of the resolver */
    size_t count;
    char address[RESOLVE_ADDRESSES][RESOLVE_ADDRESS_SIZE]; /* numeric, in the resolver's order */
} resolve_result;

/*
** The addresses of a host under a deadline, which getaddrinfo has not: it runs in a thread that is
** left behind when time is up.
*/
void resolve(const char *host, double seconds, resolve_result *result);

#endif

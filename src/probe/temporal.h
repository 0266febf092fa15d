#ifndef TCPKI_PROBE_TEMPORAL_H
#define TCPKI_PROBE_TEMPORAL_H

#include <stdint.h>

#include "rpc.h"

/* The RPCs of the smoke test: what a Temporal client sends first, and what comes back. */

typedef struct temporal_capability {
    const char *name;
    bool has;
} temporal_capability;

typedef struct temporal_system {
    const char *server_version;
    temporal_capability capabilities[12]; /* ends with a NULL name; empty if none were sent */
} temporal_system;

typedef struct temporal_namespace {
    const char *name;
    int state; /* temporal.api.enums.v1.NamespaceState */
    const char *description;
    const char *owner_email;
    const char *id;
    double retention; /* seconds; negative: not told */
    const char *active_cluster;
    bool is_global;
} temporal_namespace;

typedef struct temporal_detail {
    const char *type;  /* the message's full name, or empty */
    const char *value; /* its one useful field: the namespace, the reason, the versions */
} temporal_detail;

typedef enum temporal_method {
    TEMPORAL_GET_SYSTEM_INFO,
    TEMPORAL_DESCRIBE_NAMESPACE,
    TEMPORAL_CHECK_HEALTH,
} temporal_method;

typedef struct temporal_answer {
    temporal_method method;
    bool damaged; /* status OK, but the body is not the message that belongs to the method */
    rpc_reply reply;
    temporal_detail detail;
    union {
        temporal_system system;
        temporal_namespace namespace;
        int health; /* grpc.health.v1.HealthCheckResponse.ServingStatus */
    };
    void *message; /* parsed: the strings above point into these two */
    void *status;
    void *failure;
} temporal_answer;

/* subject: the namespace to describe, the service to check, or NULL. False: out of memory. */
bool temporal_ask(rpc_channel *channel, temporal_method method, const char *subject, double seconds,
                  temporal_answer *answer);
void temporal_answer_free(temporal_answer *answer);

#endif

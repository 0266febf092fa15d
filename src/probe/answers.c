#include "answers.h"

#include <grpc/status.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "messages.pb-c.h"

enum {
    NAMESPACE_REGISTERED = 1,
    HEALTH_SERVING = 1,
    RETENTION = 3 * 24 * 3600, /* seconds: what `temporal operator namespace create` sets */
};

static const char temporal_service[] = "temporal.api.workflowservice.v1.WorkflowService";

static void refuse(answers_reply *reply, int code, const char *message) {
    reply->code = code;
    (void)snprintf(reply->message, sizeof reply->message, "%s", message);
}

static unsigned char *pack(const ProtobufCMessage *message, size_t *length) {
    *length = protobuf_c_message_get_packed_size(message);
    unsigned char *packed = malloc(*length + 1);
    if (packed != NULL) {
        (void)protobuf_c_message_pack(message, packed);
    }
    return packed;
}

static void accept(answers_reply *reply, const ProtobufCMessage *message) {
    reply->body = pack(message, &reply->body_length);
    if (reply->body == NULL) {
        refuse(reply, GRPC_STATUS_RESOURCE_EXHAUSTED, "out of memory");
    }
}

/* One detail beside the status; where there is no memory for it, the status says it as well. */
static void add_detail(answers_reply *reply, const char *type_url,
                       const ProtobufCMessage *failure) {
    Tcpki__Any detail = TCPKI__ANY__INIT;
    detail.type_url = (char *)type_url;
    detail.value.data = pack(failure, &detail.value.len);
    if (detail.value.data == NULL) {
        return;
    }
    Tcpki__Any *details[] = {&detail};
    Tcpki__Status status = TCPKI__STATUS__INIT;
    status.code = reply->code;
    status.message = reply->message;
    status.n_details = 1;
    status.details = details;
    reply->details = pack(&status.base, &reply->details_length);
    free(detail.value.data);
}

/* The words of Temporal Cloud: temporalio/sdk-typescript#1765. */
static void deny(const char *namespace, answers_reply *reply) {
    char reason[320] = "";
    if (namespace != NULL) {
        (void)snprintf(reason, sizeof reason,
                       "caller has insufficient permissions for namespace '%.255s'", namespace);
    }
    refuse(reply, GRPC_STATUS_PERMISSION_DENIED, "Request unauthorized.");
    Tcpki__PermissionDeniedFailure failure = TCPKI__PERMISSION_DENIED_FAILURE__INIT;
    failure.reason = reason;
    add_detail(reply, "type.googleapis.com/temporal.api.errordetails.v1.PermissionDeniedFailure",
               &failure.base);
}

static void tell_system(const answers_known *known, const gate_peer *peer, answers_reply *reply) {
    if (!gate_admits(peer, NULL)) {
        deny(NULL, reply);
        return;
    }
    Tcpki__Capabilities capabilities = TCPKI__CAPABILITIES__INIT;
    capabilities.internal_error_differentiation = 1;
    capabilities.encoded_failure_attributes = 1;
    capabilities.supports_schedules = 1;
    Tcpki__GetSystemInfoResponse system = TCPKI__GET_SYSTEM_INFO_RESPONSE__INIT;
    system.server_version = (char *)known->server_version;
    system.capabilities = &capabilities;
    accept(reply, &system.base);
}

/* Any bytes will do, as long as a namespace keeps its own: FNV-1a in the shape of a UUID. */
static void identify(char id[37], const char *name) {
    uint64_t hash = 14695981039346656037u;
    for (; *name != '\0'; name++) {
        hash = (hash ^ (unsigned char)*name) * 1099511628211u;
    }
    (void)snprintf(id, 37, "%08x-0000-4000-8000-%012llx", (unsigned)(hash >> 32),
                   (unsigned long long)(hash & 0xffffffffffffu));
}

static void describe_namespace(const char *name, answers_reply *reply) {
    char id[37];
    identify(id, name);
    Tcpki__NamespaceInfo info = TCPKI__NAMESPACE_INFO__INIT;
    info.name = (char *)name;
    info.state = NAMESPACE_REGISTERED;
    info.id = id;
    Tcpki__Duration retention = TCPKI__DURATION__INIT;
    retention.seconds = RETENTION;
    Tcpki__NamespaceConfig config = TCPKI__NAMESPACE_CONFIG__INIT;
    config.workflow_execution_retention_ttl = &retention;
    Tcpki__NamespaceReplicationConfig replication = TCPKI__NAMESPACE_REPLICATION_CONFIG__INIT;
    replication.active_cluster_name = (char *)"active";
    Tcpki__DescribeNamespaceResponse response = TCPKI__DESCRIBE_NAMESPACE_RESPONSE__INIT;
    response.namespace_info = &info;
    response.config = &config;
    response.replication_config = &replication;
    accept(reply, &response.base);
}

static void miss_namespace(const char *name, answers_reply *reply) {
    reply->code = GRPC_STATUS_NOT_FOUND;
    (void)snprintf(reply->message, sizeof reply->message, "Namespace %.255s is not found.", name);
    Tcpki__NamespaceNotFoundFailure failure = TCPKI__NAMESPACE_NOT_FOUND_FAILURE__INIT;
    failure.namespace_ = (char *)name;
    add_detail(reply, "type.googleapis.com/temporal.api.errordetails.v1.NamespaceNotFoundFailure",
               &failure.base);
}

static void tell_namespace(const answers_known *known, const gate_peer *peer,
                           const unsigned char *request, size_t length, answers_reply *reply) {
    Tcpki__DescribeNamespaceRequest *asked =
        tcpki__describe_namespace_request__unpack(NULL, length, request);
    if (asked == NULL) {
        refuse(reply, GRPC_STATUS_INVALID_ARGUMENT, "the request does not parse");
        return;
    }
    bool found = false;
    for (size_t i = 0; i < known->namespace_count && !found; i++) {
        found = strcmp(known->namespaces[i], asked->namespace_) == 0;
    }
    if (asked->namespace_[0] == '\0') {
        refuse(reply, GRPC_STATUS_INVALID_ARGUMENT, "Namespace not set on request.");
    } else if (!gate_admits(peer, asked->namespace_)) {
        deny(asked->namespace_,
             reply); /* of one that is not there, too: it tells nobody which are */
    } else if (found) {
        describe_namespace(asked->namespace_, reply);
    } else {
        miss_namespace(asked->namespace_, reply);
    }
    tcpki__describe_namespace_request__free_unpacked(asked, NULL);
}

static void tell_health(const unsigned char *request, size_t length, answers_reply *reply) {
    Tcpki__HealthCheckRequest *asked = tcpki__health_check_request__unpack(NULL, length, request);
    if (asked == NULL) {
        refuse(reply, GRPC_STATUS_INVALID_ARGUMENT, "the request does not parse");
        return;
    }
    if (asked->service[0] == '\0' || strcmp(asked->service, temporal_service) == 0) {
        Tcpki__HealthCheckResponse health = TCPKI__HEALTH_CHECK_RESPONSE__INIT;
        health.status = HEALTH_SERVING;
        accept(reply, &health.base);
    } else {
        refuse(reply, GRPC_STATUS_NOT_FOUND, "unknown service");
    }
    tcpki__health_check_request__free_unpacked(asked, NULL);
}

void answers_to(const answers_known *known, const gate_peer *peer, const char *method,
                size_t method_length, const unsigned char *request, size_t request_length,
                answers_reply *reply) {
    memset(reply, 0, sizeof *reply);
    char path[128];
    (void)snprintf(path, sizeof path, "%.*s", (int)(method_length < 120 ? method_length : 120),
                   method);
    if (strcmp(path, "/temporal.api.workflowservice.v1.WorkflowService/GetSystemInfo") == 0) {
        tell_system(known, peer, reply);
    } else if (strcmp(path, "/temporal.api.workflowservice.v1.WorkflowService/"
                            "DescribeNamespace") == 0) {
        tell_namespace(known, peer, request, request_length, reply);
    } else if (strcmp(path, "/grpc.health.v1.Health/Check") == 0) {
        tell_health(request, request_length, reply);
    } else {
        reply->code = GRPC_STATUS_UNIMPLEMENTED;
        (void)snprintf(reply->message, sizeof reply->message, "unknown method %s", path);
    }
}

void answers_free(answers_reply *reply) {
    free(reply->body);
    free(reply->details);
    memset(reply, 0, sizeof *reply);
}

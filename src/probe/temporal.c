#include "temporal.h"

#include <stdlib.h>
#include <string.h>

#include "messages.pb-c.h"

#ifndef TCPKI_VERSION
#define TCPKI_VERSION "0.1.0"
#endif

#define SERVICE "/temporal.api.workflowservice.v1.WorkflowService/"

static const char *const paths[] = {
    [TEMPORAL_GET_SYSTEM_INFO] = SERVICE "GetSystemInfo",
    [TEMPORAL_DESCRIBE_NAMESPACE] = SERVICE "DescribeNamespace",
    [TEMPORAL_CHECK_HEALTH] = "/grpc.health.v1.Health/Check",
};

static const ProtobufCMessageDescriptor *answer_descriptor(temporal_method method) {
    switch (method) {
    case TEMPORAL_GET_SYSTEM_INFO:
        return &tcpki__get_system_info_response__descriptor;
    case TEMPORAL_DESCRIBE_NAMESPACE:
        return &tcpki__describe_namespace_response__descriptor;
    default:
        return &tcpki__health_check_response__descriptor;
    }
}

/* False: out of memory. */
static bool encode(temporal_method method, const char *subject, rpc_bytes *encoded) {
    Tcpki__GetSystemInfoRequest system = TCPKI__GET_SYSTEM_INFO_REQUEST__INIT;
    Tcpki__DescribeNamespaceRequest namespace = TCPKI__DESCRIBE_NAMESPACE_REQUEST__INIT;
    Tcpki__HealthCheckRequest health = TCPKI__HEALTH_CHECK_REQUEST__INIT;
    const ProtobufCMessage *message = &system.base;
    /* protobuf-c has no const strings in its messages, and changes none that it packs. */
    if (method == TEMPORAL_DESCRIBE_NAMESPACE) {
        namespace.namespace_ = (char *)subject;
        message = &namespace.base;
    } else if (method == TEMPORAL_CHECK_HEALTH) {
        health.service = (char *)subject;
        message = &health.base;
    }
    encoded->length = protobuf_c_message_get_packed_size(message);
    encoded->data = malloc(encoded->length + 1);
    if (encoded->data == NULL) {
        return false;
    }
    (void)protobuf_c_message_pack(message, encoded->data);
    return true;
}

static void read_system(temporal_system *system, const Tcpki__GetSystemInfoResponse *message) {
    system->server_version = message->server_version;
    const Tcpki__Capabilities *told = message->capabilities;
    if (told == NULL) {
        return;
    }
    const temporal_capability capabilities[] = {
        {"signal_and_query_header", told->signal_and_query_header},
        {"internal_error_differentiation", told->internal_error_differentiation},
        {"activity_failure_include_heartbeat", told->activity_failure_include_heartbeat},
        {"supports_schedules", told->supports_schedules},
        {"encoded_failure_attributes", told->encoded_failure_attributes},
        {"build_id_based_versioning", told->build_id_based_versioning},
        {"upsert_memo", told->upsert_memo},
        {"eager_workflow_start", told->eager_workflow_start},
        {"sdk_metadata", told->sdk_metadata},
        {"count_group_by_execution_status", told->count_group_by_execution_status},
        {"nexus", told->nexus},
        {NULL, false},
    };
    memcpy(system->capabilities, capabilities, sizeof capabilities);
}

static void read_namespace(temporal_namespace *namespace,
                           const Tcpki__DescribeNamespaceResponse *message) {
    static const Tcpki__NamespaceInfo nothing = TCPKI__NAMESPACE_INFO__INIT;
    const Tcpki__NamespaceInfo *info =
        message->namespace_info != NULL ? message->namespace_info : &nothing;
    namespace->name = info->name;
    namespace->state = info->state;
    namespace->description = info->description;
    namespace->owner_email = info->owner_email;
    namespace->id = info->id;
    namespace->is_global = message->is_global_namespace;
    namespace->retention = -1;
    namespace->active_cluster = "";
    if (message->config != NULL && message->config->workflow_execution_retention_ttl != NULL) {
        const Tcpki__Duration *kept = message->config->workflow_execution_retention_ttl;
        namespace->retention = (double)kept->seconds + (double)kept->nanos / 1e9;
    }
    if (message->replication_config != NULL) {
        namespace->active_cluster = message->replication_config->active_cluster_name;
    }
}

static void read_body(temporal_answer *answer) {
    const rpc_bytes *body = &answer->reply.body;
    answer->message = protobuf_c_message_unpack(answer_descriptor(answer->method), NULL,
                                                body->length, body->data);
    answer->damaged = answer->message == NULL;
    if (answer->damaged) {
        return;
    }
    switch (answer->method) {
    case TEMPORAL_GET_SYSTEM_INFO:
        read_system(&answer->system, answer->message);
        break;
    case TEMPORAL_DESCRIBE_NAMESPACE:
        read_namespace(&answer->namespace, answer->message);
        break;
    case TEMPORAL_CHECK_HEALTH:
        answer->health = ((const Tcpki__HealthCheckResponse *)answer->message)->status;
        break;
    }
}

static bool type_is(const Tcpki__Any *detail, const char *name) {
    const char *slash = strrchr(detail->type_url, '/');
    return strcmp(slash != NULL ? slash + 1 : detail->type_url, name) == 0;
}

/* Details only embellish a status that is known already: what does not parse is left out. */
static void read_details(temporal_answer *answer) {
    const rpc_bytes *details = &answer->reply.details;
    Tcpki__Status *status = tcpki__status__unpack(NULL, details->length, details->data);
    answer->status = status;
    if (status == NULL || status->n_details == 0) {
        return;
    }
    const Tcpki__Any *first = status->details[0];
    const char *slash = strrchr(first->type_url, '/');
    answer->detail.type = slash != NULL ? slash + 1 : first->type_url;
    size_t length = first->value.len;
    const uint8_t *value = first->value.data;
    if (type_is(first, "temporal.api.errordetails.v1.NamespaceNotFoundFailure")) {
        Tcpki__NamespaceNotFoundFailure *failure =
            tcpki__namespace_not_found_failure__unpack(NULL, length, value);
        answer->failure = failure;
        answer->detail.value = failure != NULL ? failure->namespace_ : NULL;
    } else if (type_is(first, "temporal.api.errordetails.v1.PermissionDeniedFailure")) {
        Tcpki__PermissionDeniedFailure *failure =
            tcpki__permission_denied_failure__unpack(NULL, length, value);
        answer->failure = failure;
        answer->detail.value = failure != NULL ? failure->reason : NULL;
    } else if (type_is(first, "temporal.api.errordetails.v1.ClientVersionNotSupportedFailure")) {
        Tcpki__ClientVersionNotSupportedFailure *failure =
            tcpki__client_version_not_supported_failure__unpack(NULL, length, value);
        answer->failure = failure;
        answer->detail.value = failure != NULL ? failure->supported_versions : NULL;
    }
}

bool temporal_ask(rpc_channel *channel, temporal_method method, const char *subject, double seconds,
                  temporal_answer *answer) {
    memset(answer, 0, sizeof *answer);
    answer->method = method;
    rpc_bytes request = {0};
    if (!encode(method, subject != NULL ? subject : "", &request)) {
        return false;
    }
    /* A name that the server does not know is not checked against the versions that it supports. */
    rpc_metadata metadata[] = {
        {"client-name", "tcpki"},
        {"client-version", TCPKI_VERSION},
        {"temporal-namespace", subject},
    };
    bool asked = rpc_call(channel, paths[method], request.data, request.length, metadata,
                          method == TEMPORAL_DESCRIBE_NAMESPACE ? 3 : 2, seconds, &answer->reply);
    free(request.data);
    if (!asked) {
        return false;
    }
    if (answer->reply.code == 0) {
        read_body(answer);
    } else if (answer->reply.details.length > 0) {
        read_details(answer);
    }
    return true;
}

void temporal_answer_free(temporal_answer *answer) {
    if (answer->message != NULL) {
        protobuf_c_message_free_unpacked(answer->message, NULL);
    }
    if (answer->status != NULL) {
        protobuf_c_message_free_unpacked(answer->status, NULL);
    }
    if (answer->failure != NULL) {
        protobuf_c_message_free_unpacked(answer->failure, NULL);
    }
    rpc_reply_free(&answer->reply);
    memset(answer, 0, sizeof *answer);
}

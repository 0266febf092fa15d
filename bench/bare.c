#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/time.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "../src/probe/compat.h"
#include "target.h"

#define SERVICE "/temporal.api.workflowservice.v1.WorkflowService/"

static void start(void) {
    compat_silence_grpc();
    grpc_init();
}

static grpc_arg integer(const char *key, int value) {
    return (grpc_arg){.type = GRPC_ARG_INTEGER, .key = (char *)key, .value.integer = value};
}

static grpc_arg string(const char *key, const char *value) {
    return (grpc_arg){.type = GRPC_ARG_STRING, .key = (char *)key, .value.string = (char *)value};
}

/* The arguments of src/probe/channel.c. */
static grpc_channel *open_channel(const target *to) {
    char uri[128];
    (void)snprintf(uri, sizeof uri, "ipv4:%s:%s", to->address, to->port);
    grpc_resource_quota *quota = grpc_resource_quota_create(NULL);
    grpc_resource_quota_resize(quota, 16 << 20);
    grpc_arg arguments[] = {
        string(GRPC_SSL_TARGET_NAME_OVERRIDE_ARG, to->server_name),
        string(GRPC_ARG_DEFAULT_AUTHORITY, to->server_name),
        integer(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1),
        integer(GRPC_ARG_ENABLE_RETRIES, 0),
        integer(GRPC_ARG_ENABLE_HTTP_PROXY, 0),
        integer(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1),
        integer(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 70000),
        integer(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 70000),
        integer(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 70000),
        integer(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, 1 << 20),
        integer(GRPC_ARG_ENABLE_CHANNELZ, 0),
        integer(GRPC_ARG_HTTP2_BDP_PROBE, 0),
        integer(GRPC_ARG_KEEPALIVE_TIME_MS, 70000),
        integer(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 70000),
        {.type = GRPC_ARG_POINTER,
         .key = (char *)GRPC_ARG_RESOURCE_QUOTA,
         .value.pointer = {quota, grpc_resource_quota_arg_vtable()}},
    };
    grpc_channel_args list = {.num_args = sizeof arguments / sizeof *arguments, .args = arguments};
    grpc_ssl_pem_key_cert_pair pair = {to->key, to->certificate};
    grpc_channel_credentials *credentials =
        grpc_ssl_credentials_create_ex(to->roots, &pair, NULL, NULL);
    grpc_channel *channel = grpc_channel_create(uri, credentials, &list);
    grpc_channel_credentials_release(credentials);
    grpc_resource_quota_unref(quota);
    return channel;
}

static bool ask(grpc_channel *channel, grpc_completion_queue *queue, const char *method,
                const void *request, size_t length) {
    gpr_timespec deadline =
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_seconds(10, GPR_TIMESPAN));
    grpc_slice sent = grpc_slice_from_copied_buffer(request, length);
    grpc_byte_buffer *body = grpc_raw_byte_buffer_create(&sent, 1);
    grpc_slice_unref(sent);
    grpc_metadata_array header, trailer;
    grpc_metadata_array_init(&header);
    grpc_metadata_array_init(&trailer);
    grpc_byte_buffer *answer = NULL;
    grpc_status_code code = GRPC_STATUS_UNKNOWN;
    grpc_slice message = grpc_empty_slice();
    grpc_op operations[6] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = body},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA,
         .data.recv_initial_metadata.recv_initial_metadata = &header},
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &answer},
        {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
         .data.recv_status_on_client = {.trailing_metadata = &trailer,
                                        .status = &code,
                                        .status_details = &message}},
    };
    grpc_call *call =
        grpc_channel_create_call(channel, NULL, GRPC_PROPAGATE_DEFAULTS, queue,
                                 grpc_slice_from_static_string(method), NULL, deadline, NULL);
    bool done = grpc_call_start_batch(call, operations, 6, call, NULL) == GRPC_CALL_OK;
    if (done) {
        (void)grpc_completion_queue_next(queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    }
    done = done && code == GRPC_STATUS_OK && answer != NULL;
    grpc_call_unref(call);
    grpc_slice_unref(message);
    grpc_byte_buffer_destroy(answer);
    grpc_byte_buffer_destroy(body);
    grpc_metadata_array_destroy(&header);
    grpc_metadata_array_destroy(&trailer);
    return done;
}

bool bare_probe(const target *to) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, start);
    /* DescribeNamespaceRequest: field 1, a string shorter than 128 bytes. */
    unsigned char request[130];
    size_t length = strlen(to->namespace);
    if (length > 127) {
        return false;
    }
    request[0] = 0x0a;
    request[1] = (unsigned char)length;
    memcpy(request + 2, to->namespace, length);
    grpc_completion_queue *queue = grpc_completion_queue_create_for_next(NULL);
    grpc_channel *channel = open_channel(to);
    bool done = ask(channel, queue, SERVICE "GetSystemInfo", "", 0) &&
                ask(channel, queue, SERVICE "DescribeNamespace", request, length + 2);
    grpc_channel_destroy(channel);
    grpc_completion_queue_shutdown(queue);
    while (grpc_completion_queue_next(queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).type !=
           GRPC_QUEUE_SHUTDOWN) {}
    grpc_completion_queue_destroy(queue);
    return done;
}

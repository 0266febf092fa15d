#include "channel.h"

#include <grpc/support/time.h>
#include <stdbool.h>
#include <stdlib.h>

#include "clock.h"
#include "compat.h"
#include "guard.h"
#include "library.h"

/* A frontend's answers are a few kilobytes; more is somebody who wishes us ill. */
enum { LARGEST_ANSWER = 1 << 20 };

/* gRPC core sizes its reads by what comes, up to 4 MB each. */
enum { MOST_MEMORY = 16 << 20 };

/* How much longer than all its waits a connection may live: each of them ends by itself. */
static const double GRACE_SECONDS = 0.25;

struct rpc_channel {
    grpc_completion_queue *queue;
    grpc_channel *channel;
    guarded guard;
    bool watched;
};

static grpc_arg integer_argument(const char *key, int value) {
    grpc_arg argument = {.type = GRPC_ARG_INTEGER, .key = (char *)key, .value.integer = value};
    return argument;
}

static grpc_arg string_argument(const char *key, const char *value) {
    grpc_arg argument = {
        .type = GRPC_ARG_STRING, .key = (char *)key, .value.string = (char *)value};
    return argument;
}

static grpc_channel *create_channel(const rpc_options *options, int mark) {
    /*
    ** The time that a connection may take is ours to limit, and a second attempt is ours to make:
    ** both of gRPC core's own are put beyond the end of the probe.
    */
    double milliseconds = options->seconds * 1000 + 60000;
    int beyond = milliseconds < 1e9 ? (int)milliseconds : 1000000000;
    grpc_resource_quota *quota = grpc_resource_quota_create(NULL);
    grpc_resource_quota_resize(quota, MOST_MEMORY);
    grpc_arg arguments[] = {
        string_argument(GRPC_SSL_TARGET_NAME_OVERRIDE_ARG, options->server_name),
        string_argument(GRPC_ARG_DEFAULT_AUTHORITY, options->server_name),
        integer_argument(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1),
        integer_argument(GRPC_ARG_ENABLE_RETRIES, 0),
        integer_argument(GRPC_ARG_ENABLE_HTTP_PROXY, 0),
        integer_argument(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1),
        integer_argument(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, beyond),
        integer_argument(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, beyond),
        integer_argument(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, beyond),
        integer_argument(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, LARGEST_ANSWER),
        integer_argument(GRPC_ARG_ENABLE_CHANNELZ, 0),
        integer_argument(GRPC_ARG_HTTP2_BDP_PROBE, 0),
        integer_argument(GRPC_ARG_KEEPALIVE_TIME_MS, beyond), /* none is ever sent */
        integer_argument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, mark),
        {.type = GRPC_ARG_POINTER,
         .key = (char *)GRPC_ARG_RESOURCE_QUOTA,
         .value.pointer = {quota, grpc_resource_quota_arg_vtable()}},
    };
    grpc_channel_args list = {.num_args = sizeof arguments / sizeof *arguments, .args = arguments};
    grpc_ssl_pem_key_cert_pair pair = {options->key, options->certificate};
    grpc_channel_credentials *credentials = grpc_ssl_credentials_create_ex(
        options->roots, options->certificate != NULL ? &pair : NULL, NULL, NULL);
    grpc_channel *channel = grpc_channel_create(options->target, credentials, &list);
    grpc_channel_credentials_release(credentials);
    grpc_resource_quota_unref(quota);
    return channel;
}

rpc_channel *rpc_open(const rpc_options *options) {
    rpc_channel *opened = calloc(1, sizeof *opened);
    if (opened == NULL) {
        return NULL;
    }
    library_start();
    opened->queue = grpc_completion_queue_create_for_next(NULL);
    opened->guard.mark = guard_mark();
    opened->channel = create_channel(options, opened->guard.mark);
    opened->guard.moment = clock_now() + options->seconds + GRACE_SECONDS;
    opened->watched = guard_enter(&opened->guard);
    if (!opened->watched) {
        rpc_close(opened);
        return NULL;
    }
    return opened;
}

void rpc_close(rpc_channel *channel) {
    if (channel == NULL) {
        return;
    }
    grpc_channel_destroy(channel->channel);
    grpc_completion_queue_shutdown(channel->queue);
    while (grpc_completion_queue_next(channel->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL)
               .type != GRPC_QUEUE_SHUTDOWN) {}
    grpc_completion_queue_destroy(channel->queue);
    if (channel->watched) {
        guard_leave(&channel->guard);
    }
    free(channel);
}

grpc_completion_queue *channel_queue(const rpc_channel *channel) {
    return channel->queue;
}

grpc_channel *channel_of(const rpc_channel *channel) {
    return channel->channel;
}

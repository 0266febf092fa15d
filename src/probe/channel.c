#include "channel.h"

#include <dirent.h>
#include <grpc/support/time.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "compat.h"
#include "library.h"
#include "waker.h"

/* A frontend's answers are a few kilobytes; more is somebody who wishes us ill. */
enum { LARGEST_ANSWER = 1 << 20 };

/* gRPC core sizes its reads by what comes, up to 4 MB each, and keeps many of them. */
enum { MOST_MEMORY = 16 << 20 };

/*
** How much longer than all its waits a connection may live: each of them ends by itself, unless the
** server keeps gRPC core from it.
*/
static const double GRACE_SECONDS = 0.25;

struct rpc_channel {
    grpc_completion_queue *queue;
    grpc_channel *channel;
    double seconds;
    int mark; /* of its socket */
    pthread_t guard;
    bool guarded;
    waker over;
};

/* ---- a server that does not let go ---- */

/*
** gRPC core keeps its sockets to itself, but sets TCP_USER_TIMEOUT as we tell it to (A18 of its
** proposals), and so a number that no other channel has finds the one that is ours.
*/
static int next_mark(int beyond) {
    static atomic_uint marks;
    return beyond + (int)(atomic_fetch_add(&marks, 1) % 1000000);
}

#ifdef TCP_USER_TIMEOUT
static void cut_if_marked(int descriptor, int mark) {
    unsigned timeout = 0;
    socklen_t size = sizeof timeout;
    if (getsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, &size) == 0 &&
        timeout == (unsigned)mark) {
        (void)shutdown(descriptor, SHUT_RDWR);
    }
}

static void cut(const rpc_channel *channel) {
    DIR *directory = opendir("/proc/self/fd");
    const struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        char *end = NULL;
        long descriptor = strtol(entry->d_name, &end, 10);
        if (end != entry->d_name && *end == '\0') {
            cut_if_marked((int)descriptor, channel->mark);
        }
    }
    if (directory != NULL) {
        (void)closedir(directory);
    }
}
#else
static void cut(const rpc_channel *channel) {
    (void)channel;
}
#endif

static void *guard(void *argument) {
    const rpc_channel *guarded = argument;
    double patience = guarded->seconds + GRACE_SECONDS;
    while (!waker_wait(&guarded->over, patience)) {
        cut(guarded);
        patience = GRACE_SECONDS;
    }
    return NULL;
}

/* ---- the channel ---- */

static grpc_arg integer_argument(const char *key, int value) {
    grpc_arg argument = {.type = GRPC_ARG_INTEGER, .key = (char *)key, .value.integer = value};
    return argument;
}

static grpc_arg string_argument(const char *key, const char *value) {
    grpc_arg argument = {
        .type = GRPC_ARG_STRING, .key = (char *)key, .value.string = (char *)value};
    return argument;
}

static grpc_channel *create_channel(const rpc_options *options, int *mark) {
    /*
    ** The time that a connection may take is ours to limit, and a second attempt is ours to make:
    ** both of gRPC core's own are put beyond the end of the probe.
    */
    double milliseconds = options->seconds * 1000 + 60000;
    int beyond = milliseconds < 1e9 ? (int)milliseconds : 1000000000;
    *mark = next_mark(beyond);
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
        integer_argument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, *mark),
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

static bool start_guard(rpc_channel *channel) {
    sigset_t all, former;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &former);
    channel->guarded = pthread_create(&channel->guard, NULL, guard, channel) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &former, NULL);
    return channel->guarded;
}

rpc_channel *channel_open(const rpc_options *options) {
    rpc_channel *opened = calloc(1, sizeof *opened);
    if (opened == NULL) {
        return NULL;
    }
    library_start();
    opened->over = (waker)WAKER_CLOSED;
    opened->seconds = options->seconds;
    opened->queue = grpc_completion_queue_create_for_next(NULL);
    opened->channel = create_channel(options, &opened->mark);
    if (!waker_open(&opened->over) || !start_guard(opened)) {
        channel_close(opened);
        return NULL;
    }
    return opened;
}

void channel_close(rpc_channel *channel) {
    if (channel == NULL) {
        return;
    }
    grpc_channel_destroy(channel->channel);
    grpc_completion_queue_shutdown(channel->queue);
    while (grpc_completion_queue_next(channel->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL)
               .type != GRPC_QUEUE_SHUTDOWN) {}
    grpc_completion_queue_destroy(channel->queue);
    if (channel->guarded) {
        waker_wake(&channel->over);
        (void)pthread_join(channel->guard, NULL);
    }
    waker_close(&channel->over);
    free(channel);
}

grpc_completion_queue *channel_queue(const rpc_channel *channel) {
    return channel->queue;
}

grpc_channel *channel_of(const rpc_channel *channel) {
    return channel->channel;
}

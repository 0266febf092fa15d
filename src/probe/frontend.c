#include "frontend.h"

#include <grpc/support/time.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compat.h"
#include "exchange.h"
#include "gate.h"
#include "library.h"
#include "secret.h"
#include "thread.h"

enum {
    EXCHANGES = 8, /* calls served at a time; more wait inside gRPC core */
    LARGEST_REQUEST = 1 << 16,
    AGED_CALLS = 5000, /* milliseconds that the calls of a connection get when its time is up */
};

struct frontend {
    frontend *next; /* in the list of those that are open */
    pid_t process;
    int port;
    pthread_t thread;
    exchange_context calls;
    gate gate;
    pthread_mutex_t lock; /* of the identity, which gRPC core's threads fetch */
    frontend_identity identity;
    bool reloaded;
    char **namespaces;
    exchange exchanges[EXCHANGES];
};

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t list_once = PTHREAD_ONCE_INIT;
static frontend *list_head;

/* ---- the identity ---- */

static bool copy_text(const char **copy, const char *text) {
    *copy = text != NULL ? strdup(text) : NULL;
    return text == NULL || *copy != NULL;
}

static void identity_free(frontend_identity *identity) {
    secret_free((char *)identity->certificate);
    secret_free((char *)identity->key);
    free((void *)identity->client_ca);
    memset(identity, 0, sizeof *identity);
}

static bool identity_copy(frontend_identity *copy, const frontend_identity *identity) {
    memset(copy, 0, sizeof *copy);
    bool copied = copy_text(&copy->certificate, identity->certificate) &&
                  copy_text(&copy->key, identity->key) &&
                  copy_text(&copy->client_ca, identity->client_ca);
    if (!copied) {
        identity_free(copy);
    }
    return copied;
}

/* gRPC core asks at the start and before each handshake. */
static grpc_ssl_certificate_config_reload_status fetch_identity(
    void *argument, grpc_ssl_server_certificate_config **config) {
    frontend *open = argument;
    grpc_ssl_certificate_config_reload_status status = GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    (void)pthread_mutex_lock(&open->lock);
    if (open->reloaded) {
        grpc_ssl_pem_key_cert_pair pair = {open->identity.key, open->identity.certificate};
        /* A fetched identity must have roots (assertion in ssl_security_connector.cc), also where
        ** nobody is asked for a certificate that they could judge. */
        const char *roots = open->identity.client_ca;
        *config = grpc_ssl_server_certificate_config_create(
            roots != NULL ? roots : open->identity.certificate, &pair, 1);
        status = GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
        open->reloaded = false;
    }
    (void)pthread_mutex_unlock(&open->lock);
    return status;
}

bool frontend_reload(frontend *open, const frontend_identity *identity, admission *rules) {
    frontend_identity fresh, former;
    if (!identity_copy(&fresh, identity)) {
        admission_free(rules);
        return false;
    }
    /* The rules first: a connection that the former ones had judged would keep their verdict. */
    gate_change(&open->gate, rules);
    (void)pthread_mutex_lock(&open->lock);
    former = open->identity;
    open->identity = fresh;
    open->reloaded = true;
    (void)pthread_mutex_unlock(&open->lock);
    identity_free(&former);
    return true;
}

static bool is_busy(const frontend *open) {
    for (size_t i = 0; i < EXCHANGES; i++) {
        if (open->exchanges[i].step != STEP_IDLE) {
            return true;
        }
    }
    return false;
}

static void *serve(void *argument) {
    frontend *open = argument;
    bool stopping = false;
    for (size_t i = 0; i < EXCHANGES; i++) {
        exchange_accept(&open->calls, &open->exchanges[i]);
    }
    while (!stopping || is_busy(open)) {
        grpc_event event = grpc_completion_queue_next(open->calls.queue,
                                                      gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        if (event.tag == open) {
            stopping = true;
        } else {
            exchange_go_on(&open->calls, event.tag, event.success != 0);
        }
    }
    return NULL;
}

/* ---- the life ---- */

static void list_remove(const frontend *open) {
    (void)pthread_mutex_lock(&list_lock);
    for (frontend **link = &list_head; *link != NULL; link = &(*link)->next) {
        if (*link == open) {
            *link = open->next;
            break;
        }
    }
    (void)pthread_mutex_unlock(&list_lock);
}

/* At exit, before the clean-up of OpenSSL and gRPC core, which their threads must not meet. */
static void close_all(void) {
    for (;;) {
        (void)pthread_mutex_lock(&list_lock);
        frontend *open = list_head;
        (void)pthread_mutex_unlock(&list_lock);
        /* A forked child has the list, but neither the threads nor the right to end them. */
        if (open == NULL || open->process != getpid()) {
            return;
        }
        frontend_close(open);
    }
}

static void list_start(void) {
    (void)atexit(close_all);
}

static void list_add(frontend *open) {
    (void)pthread_once(&list_once, list_start);
    (void)pthread_mutex_lock(&list_lock);
    open->next = list_head;
    list_head = open;
    (void)pthread_mutex_unlock(&list_lock);
}

static void frontend_free(frontend *open) {
    if (open->calls.server != NULL) {
        grpc_server_destroy(open->calls.server);
    }
    if (open->calls.queue != NULL) {
        grpc_completion_queue_shutdown(open->calls.queue);
        while (
            grpc_completion_queue_next(open->calls.queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL)
                .type != GRPC_QUEUE_SHUTDOWN) {}
        grpc_completion_queue_destroy(open->calls.queue);
    }
    (void)pthread_mutex_destroy(&open->lock);
    gate_close(&open->gate);
    identity_free(&open->identity);
    for (size_t i = 0; open->namespaces != NULL && i < open->calls.known.namespace_count; i++) {
        free(open->namespaces[i]);
    }
    free(open->namespaces);
    free((void *)open->calls.known.server_version);
    free(open);
}

static frontend *frontend_new(const frontend_options *options) {
    frontend *open = calloc(1, sizeof *open);
    if (open == NULL) {
        return NULL;
    }
    (void)pthread_mutex_init(&open->lock, NULL);
    gate_open(&open->gate);
    open->calls.gate = &open->gate;
    open->process = getpid();
    open->reloaded = true;
    open->namespaces = calloc(options->namespace_count + 1, sizeof *open->namespaces);
    bool copied = open->namespaces != NULL &&
                  copy_text(&open->calls.known.server_version, options->server_version) &&
                  identity_copy(&open->identity, &options->identity);
    open->calls.known.namespaces = (const char *const *)open->namespaces;
    for (size_t i = 0; copied && i < options->namespace_count; i++) {
        open->namespaces[i] = strdup(options->namespaces[i]);
        open->calls.known.namespace_count++;
        copied = open->namespaces[i] != NULL;
    }
    if (!copied) {
        frontend_free(open);
        return NULL;
    }
    return open;
}

static bool listen_on(frontend *open, const frontend_options *options) {
    grpc_ssl_client_certificate_request_type request =
        options->identity.client_ca == NULL ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
        : options->require_client_certificate
            ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
            : GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY;
    grpc_server_credentials *credentials = grpc_ssl_server_credentials_create_with_options(
        grpc_ssl_server_credentials_create_options_using_config_fetcher(request, fetch_identity,
                                                                        open));
    open->port = credentials != NULL
                     ? grpc_server_add_http2_port(open->calls.server, options->address, credentials)
                     : 0;
    grpc_server_credentials_release(credentials);
    return open->port > 0;
}

static void create_server(frontend *open, int connection_age) {
    grpc_arg arguments[] = {
        /* Two servers on one port would share the connections between them in silence. */
        {.type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_ALLOW_REUSEPORT, .value.integer = 0},
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
         .value.integer = LARGEST_REQUEST},
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)GRPC_ARG_MAX_CONNECTION_AGE_MS,
         .value.integer = connection_age},
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS,
         .value.integer = AGED_CALLS},
    };
    size_t count = sizeof arguments / sizeof *arguments;
    /* Without an age gRPC core shall not have the filter that keeps the time. */
    grpc_channel_args list = {.num_args = connection_age > 0 ? count : count - 2,
                              .args = arguments};
    open->calls.queue = grpc_completion_queue_create_for_next(NULL);
    open->calls.server = grpc_server_create(&list, NULL);
    grpc_server_register_completion_queue(open->calls.server, open->calls.queue, NULL);
}

static void stop_server(frontend *open) {
    grpc_server_shutdown_and_notify(open->calls.server, open->calls.queue, open);
    grpc_server_cancel_all_calls(open->calls.server);
}

/* A server must be shut down before it is destroyed, even one that never served. */
static void discard_server(frontend *open) {
    stop_server(open);
    (void)grpc_completion_queue_next(open->calls.queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    frontend_free(open);
}

frontend_outcome frontend_open(const frontend_options *options, frontend **opened) {
    frontend *open = frontend_new(options);
    if (open == NULL) {
        admission_free(options->admission);
        return FRONTEND_MEMORY;
    }
    gate_change(&open->gate, options->admission);
    library_start();
    create_server(open, options->connection_age);
    if (!listen_on(open, options)) {
        discard_server(open);
        return FRONTEND_CANNOT_LISTEN;
    }
    grpc_server_start(open->calls.server);
    if (!thread_start(&open->thread, serve, open)) {
        discard_server(open);
        return FRONTEND_MEMORY;
    }
    list_add(open);
    *opened = open;
    return FRONTEND_OK;
}

int frontend_port(const frontend *open) {
    return open->port;
}

void frontend_close(frontend *open) {
    if (open == NULL || open->process != getpid()) {
        return;
    }
    list_remove(open);
    stop_server(open);
    (void)pthread_join(open->thread, NULL);
    frontend_free(open);
}

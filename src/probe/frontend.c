#include "frontend.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/slice.h>
#include <grpc/support/time.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "answers.h"
#include "compat.h"
#include "library.h"

enum {
    EXCHANGES = 8, /* calls served at a time; more wait inside gRPC core */
    LARGEST_REQUEST = 1 << 16,
};

typedef enum exchange_step { STEP_IDLE, STEP_ACCEPT, STEP_READ, STEP_REPLY } exchange_step;

/* One call after the other; the thread allocates nothing of ours to serve them. */
typedef struct exchange {
    exchange_step step;
    grpc_call *call;
    grpc_call_details details;
    grpc_metadata_array metadata;
    grpc_byte_buffer *request;
    grpc_byte_buffer *response;
    answers_reply reply;
    int cancelled;
} exchange;

struct frontend {
    frontend *next; /* in the list of those that are open */
    pid_t process;
    int port;
    pthread_t thread;
    grpc_completion_queue *queue;
    grpc_server *server;
    pthread_mutex_t lock; /* of the identity, which gRPC core's threads fetch */
    frontend_identity identity;
    bool reloaded;
    answers_known known;
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
    free((void *)identity->certificate);
    free((void *)identity->client_ca);
    if (identity->key != NULL) {
        volatile char *key = (volatile char *)identity->key;
        for (size_t length = strlen(identity->key); length > 0; length--) {
            key[length - 1] = '\0';
        }
    }
    free((void *)identity->key);
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

bool frontend_reload(frontend *open, const frontend_identity *identity) {
    frontend_identity fresh, former;
    if (!identity_copy(&fresh, identity)) {
        return false;
    }
    (void)pthread_mutex_lock(&open->lock);
    former = open->identity;
    open->identity = fresh;
    open->reloaded = true;
    (void)pthread_mutex_unlock(&open->lock);
    identity_free(&former);
    return true;
}

/* ---- the calls ---- */

static void exchange_accept(frontend *open, exchange *serving) {
    grpc_call_details_init(&serving->details);
    grpc_metadata_array_init(&serving->metadata);
    serving->step = STEP_ACCEPT;
    if (grpc_server_request_call(open->server, &serving->call, &serving->details,
                                 &serving->metadata, open->queue, open->queue,
                                 serving) != GRPC_CALL_OK) {
        grpc_call_details_destroy(&serving->details);
        grpc_metadata_array_destroy(&serving->metadata);
        serving->step = STEP_IDLE;
    }
}

static void exchange_finish(exchange *serving) {
    if (serving->call != NULL) {
        grpc_call_unref(serving->call);
    }
    grpc_byte_buffer_destroy(serving->request);
    grpc_byte_buffer_destroy(serving->response);
    answers_free(&serving->reply);
    grpc_call_details_destroy(&serving->details);
    grpc_metadata_array_destroy(&serving->metadata);
    memset(serving, 0, sizeof *serving);
}

static bool exchange_read(exchange *serving) {
    grpc_op read = {.op = GRPC_OP_RECV_MESSAGE,
                    .data.recv_message.recv_message = &serving->request};
    serving->step = STEP_READ;
    return grpc_call_start_batch(serving->call, &read, 1, serving, NULL) == GRPC_CALL_OK;
}

static void prepare_reply(const frontend *open, exchange *serving) {
    grpc_slice body = grpc_empty_slice();
    grpc_byte_buffer_reader reader;
    if (serving->request != NULL && grpc_byte_buffer_reader_init(&reader, serving->request)) {
        body = grpc_byte_buffer_reader_readall(&reader);
        grpc_byte_buffer_reader_destroy(&reader);
    }
    const grpc_slice *method = &serving->details.method;
    answers_to(&open->known, (const char *)GRPC_SLICE_START_PTR(*method),
               GRPC_SLICE_LENGTH(*method), GRPC_SLICE_START_PTR(body), GRPC_SLICE_LENGTH(body),
               &serving->reply);
    grpc_slice_unref(body);
    if (serving->reply.body != NULL) {
        grpc_slice slice = grpc_slice_from_copied_buffer((const char *)serving->reply.body,
                                                         serving->reply.body_length);
        serving->response = grpc_raw_byte_buffer_create(&slice, 1);
        grpc_slice_unref(slice);
    }
}

static bool exchange_reply(const frontend *open, exchange *serving) {
    prepare_reply(open, serving);
    const answers_reply *reply = &serving->reply;
    grpc_slice message = grpc_slice_from_copied_string(reply->message);
    grpc_metadata details = {0};
    if (reply->details != NULL) {
        details.key = grpc_slice_from_static_string("grpc-status-details-bin");
        details.value =
            grpc_slice_from_copied_buffer((const char *)reply->details, reply->details_length);
    }
    grpc_op operations[4] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_SEND_STATUS_FROM_SERVER,
         .data.send_status_from_server = {.trailing_metadata_count = reply->details != NULL,
                                          .trailing_metadata = &details,
                                          .status = (grpc_status_code)reply->code,
                                          .status_details = &message}},
        {.op = GRPC_OP_RECV_CLOSE_ON_SERVER,
         .data.recv_close_on_server.cancelled = &serving->cancelled},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = serving->response},
    };
    serving->step = STEP_REPLY;
    bool sent = grpc_call_start_batch(serving->call, operations, serving->response != NULL ? 4 : 3,
                                      serving, NULL) == GRPC_CALL_OK;
    grpc_slice_unref(message);
    if (reply->details != NULL) {
        grpc_slice_unref(details.value);
    }
    return sent;
}

static void exchange_go_on(frontend *open, exchange *serving, bool succeeded) {
    bool going = false;
    if (serving->step == STEP_ACCEPT && !succeeded) {
        exchange_finish(serving); /* the server shuts down */
        return;
    }
    if (succeeded && serving->step == STEP_ACCEPT) {
        going = exchange_read(serving);
    } else if (succeeded && serving->step == STEP_READ) {
        going = exchange_reply(open, serving);
    }
    if (!going) {
        exchange_finish(serving);
        exchange_accept(open, serving);
    }
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
        exchange_accept(open, &open->exchanges[i]);
    }
    while (!stopping || is_busy(open)) {
        grpc_event event =
            grpc_completion_queue_next(open->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        if (event.tag == open) {
            stopping = true;
        } else {
            exchange_go_on(open, event.tag, event.success != 0);
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
    if (open->server != NULL) {
        grpc_server_destroy(open->server);
    }
    if (open->queue != NULL) {
        grpc_completion_queue_shutdown(open->queue);
        while (grpc_completion_queue_next(open->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL)
                   .type != GRPC_QUEUE_SHUTDOWN) {}
        grpc_completion_queue_destroy(open->queue);
    }
    (void)pthread_mutex_destroy(&open->lock);
    identity_free(&open->identity);
    for (size_t i = 0; open->namespaces != NULL && i < open->known.namespace_count; i++) {
        free(open->namespaces[i]);
    }
    free(open->namespaces);
    free((void *)open->known.server_version);
    free(open);
}

static frontend *frontend_new(const frontend_options *options) {
    frontend *open = calloc(1, sizeof *open);
    if (open == NULL) {
        return NULL;
    }
    (void)pthread_mutex_init(&open->lock, NULL);
    open->process = getpid();
    open->reloaded = true;
    open->namespaces = calloc(options->namespace_count + 1, sizeof *open->namespaces);
    bool copied = open->namespaces != NULL &&
                  copy_text(&open->known.server_version, options->server_version) &&
                  identity_copy(&open->identity, &options->identity);
    open->known.namespaces = (const char *const *)open->namespaces;
    for (size_t i = 0; copied && i < options->namespace_count; i++) {
        open->namespaces[i] = strdup(options->namespaces[i]);
        open->known.namespace_count++;
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
                     ? grpc_server_add_http2_port(open->server, options->address, credentials)
                     : 0;
    grpc_server_credentials_release(credentials);
    return open->port > 0;
}

static void create_server(frontend *open) {
    grpc_arg arguments[] = {
        /* Two servers on one port would share the connections between them in silence. */
        {.type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_ALLOW_REUSEPORT, .value.integer = 0},
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
         .value.integer = LARGEST_REQUEST},
    };
    grpc_channel_args list = {.num_args = sizeof arguments / sizeof *arguments, .args = arguments};
    open->queue = grpc_completion_queue_create_for_next(NULL);
    open->server = grpc_server_create(&list, NULL);
    grpc_server_register_completion_queue(open->server, open->queue, NULL);
}

static void stop_server(frontend *open) {
    grpc_server_shutdown_and_notify(open->server, open->queue, open);
    grpc_server_cancel_all_calls(open->server);
}

/* A server must be shut down before it is destroyed, even one that never served. */
static void discard_server(frontend *open) {
    stop_server(open);
    (void)grpc_completion_queue_next(open->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    frontend_free(open);
}

static bool start_thread(frontend *open) {
    sigset_t all, former;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &former);
    bool started = pthread_create(&open->thread, NULL, serve, open) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &former, NULL);
    return started;
}

frontend_outcome frontend_open(const frontend_options *options, frontend **opened) {
    frontend *open = frontend_new(options);
    if (open == NULL) {
        return FRONTEND_MEMORY;
    }
    library_start();
    create_server(open);
    if (!listen_on(open, options)) {
        discard_server(open);
        return FRONTEND_CANNOT_LISTEN;
    }
    grpc_server_start(open->server);
    if (!start_thread(open)) {
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

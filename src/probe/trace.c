#include "trace.h"

#include <errno.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "context.h"
#include "conversation.h"
#include "secret.h"
#include "thread.h"

struct trace {
    pthread_t thread;
    bool started;
    waker cancel;
    waker done;
    char *address;
    int port;
    char *server_name;
    char *roots;
    char *roots_path;
    char *certificate;
    char *key;
    bool ask_http;
    double seconds;
    double connect_seconds;
    double tls_seconds;
    double settings_seconds;
    double deadline;
    int descriptor;
    record seen;
    struct trace *next; /* of those whose thread runs */
    pid_t process;
};

/* ---- the end of the process ---- */

/*
** OpenSSL cleans up at exit whether threads use it or not, and a program may end in the middle of a
** probe: so every thread is ended before. (A handler that is registered later runs earlier.)
*/
static pthread_once_t running_once = PTHREAD_ONCE_INIT;
static pthread_mutex_t running_lock = PTHREAD_MUTEX_INITIALIZER;
static trace *running_head;

static void leave(trace *running) {
    (void)pthread_mutex_lock(&running_lock);
    trace **link = &running_head;
    while (*link != NULL && *link != running) {
        link = &(*link)->next;
    }
    if (*link != NULL) {
        *link = running->next;
    }
    (void)pthread_mutex_unlock(&running_lock);
}

static void end_thread(trace *running) {
    leave(running);
    /* A forked child has the record, and not the thread. */
    if (running->started && running->process == getpid()) {
        waker_wake(&running->cancel);
        (void)pthread_join(running->thread, NULL);
    }
    running->started = false;
}

static void end_all(void) {
    for (;;) {
        (void)pthread_mutex_lock(&running_lock);
        trace *running = running_head;
        (void)pthread_mutex_unlock(&running_lock);
        if (running == NULL) {
            return;
        }
        end_thread(running);
    }
}

static void register_end(void) {
    (void)OPENSSL_init_ssl(0, NULL);
    (void)atexit(end_all);
}

static void enter(trace *running) {
    (void)pthread_once(&running_once, register_end);
    (void)pthread_mutex_lock(&running_lock);
    running->next = running_head;
    running_head = running;
    (void)pthread_mutex_unlock(&running_lock);
}

/* ---- the thread ---- */

static SSL *create_connection(trace *running, SSL_CTX *context, int descriptor) {
    SSL *connection = SSL_new(context);
    if (connection == NULL || SSL_set_fd(connection, descriptor) != 1 ||
        SSL_set_tlsext_host_name(connection, running->server_name) != 1) {
        SSL_free(connection);
        return NULL;
    }
    record_attach(&running->seen, context, connection);
    return connection;
}

static tcp_wait wait_for_socket(void *argument, short events, double until) {
    const trace *running = argument;
    return tcp_wait_for(running->descriptor, events, until, &running->cancel);
}

static void talk(trace *running, SSL *connection) {
    conversation with = {
        .connection = connection,
        .seen = &running->seen,
        .server_name = running->server_name,
        .deadline = running->deadline,
        .tls_seconds = running->tls_seconds,
        .settings_seconds = running->settings_seconds,
        .ask_http = running->ask_http,
        .wait = wait_for_socket,
        .argument = running,
    };
    conversation_hold(&with);
    (void)SSL_shutdown(connection);
}

static void follow(trace *running, SSL_CTX *context) {
    record *seen = &running->seen;
    double start = clock_now();
    double until = running->deadline;
    if (running->connect_seconds > 0 && start + running->connect_seconds < until) {
        until = start + running->connect_seconds;
    }
    running->descriptor =
        tcp_connect(running->address, running->port, until, &running->cancel, &seen->system_error);
    if (running->descriptor < 0) {
        seen->end = seen->system_error == ECANCELED ? RECORD_CANCELLED : RECORD_UNREACHED;
        return;
    }
    seen->connect_seconds = clock_now() - start;
    SSL *connection = create_connection(running, context, running->descriptor);
    if (connection == NULL) {
        record_openssl(seen);
    } else {
        talk(running, connection);
    }
    SSL_free(connection);
    (void)close(running->descriptor);
}

static void *run(void *argument) {
    trace *running = argument;
    double start = clock_now();
    running->deadline = start + running->seconds;
    ERR_clear_error();
    context_options options = {.roots = running->roots,
                               .roots_path = running->roots_path,
                               .certificate = running->certificate,
                               .key = running->key};
    SSL_CTX *context = context_create(&options);
    if (context == NULL) {
        record_openssl(&running->seen);
    } else {
        follow(running, context);
    }
    SSL_CTX_free(context);
    ERR_clear_error();
    running->seen.total_seconds = clock_now() - start;
    waker_wake(&running->done);
    return NULL;
}

static bool start_thread(trace *running) {
    running->process = getpid();
    running->started = thread_start(&running->thread, run, running);
    if (running->started) {
        enter(running);
    }
    return running->started;
}

static bool copy_text(char **copy, const char *text) {
    *copy = text != NULL ? strdup(text) : NULL;
    return text == NULL || *copy != NULL;
}

trace *trace_start(const trace_options *options) {
    trace *running = calloc(1, sizeof *running);
    if (running == NULL) {
        return NULL;
    }
    running->cancel = running->done = (waker)WAKER_CLOSED;
    running->port = options->port;
    running->seconds = options->seconds;
    running->connect_seconds = options->connect_seconds;
    running->tls_seconds = options->tls_seconds;
    running->settings_seconds = options->settings_seconds;
    running->ask_http = options->ask_http;
    running->seen.ended_seconds = -1;
    running->seen.connect_seconds = running->seen.tls_seconds = -1;
    running->seen.answer_seconds = -1;
    bool ready = copy_text(&running->address, options->address) &&
                 copy_text(&running->server_name, options->server_name) &&
                 copy_text(&running->roots, options->roots) &&
                 copy_text(&running->roots_path, options->roots_path) &&
                 copy_text(&running->certificate, options->certificate) &&
                 copy_text(&running->key, options->key) && waker_open(&running->cancel) &&
                 waker_open(&running->done);
    if (!ready || !start_thread(running)) {
        trace_stop(running);
        return NULL;
    }
    return running;
}

const record *trace_wait(trace *running, double seconds) {
    return waker_wait(&running->done, seconds) ? &running->seen : NULL;
}

const waker *trace_done(const trace *running) {
    return &running->done;
}

void trace_stop(trace *running) {
    if (running == NULL) {
        return;
    }
    end_thread(running);
    waker_close(&running->cancel);
    waker_close(&running->done);
    free(running->address);
    free(running->server_name);
    free(running->roots);
    free(running->roots_path);
    secret_free(running->certificate);
    secret_free(running->key);
    record_free(&running->seen);
    free(running);
}

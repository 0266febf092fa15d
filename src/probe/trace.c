#include "trace.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "tcp.h"

/* An honest server sends two tickets after the handshake, and a flight of at most seven before. */
enum { MOST_HANDSHAKE_MESSAGES = 64 };

/* gRPC core's own list, so that both see the same refusals: src/core/lib/security/ssl_utils.cc. */
static const char ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
                              "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384";
/* gRPC core offers P-256 alone before 1.81; the others come second, and the record tells. */
static const char groups[] = "P-256:X25519:P-384:P-521";

static const unsigned char http2_preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                             "\0\0\0\4\0\0\0\0"; /* and an empty SETTINGS */

struct trace {
    pthread_t thread;
    bool started;
    waker cancel;
    waker done;
    char *address;
    int port;
    char *server_name;
    char *roots;
    char *certificate;
    char *key;
    double seconds;
    double deadline;
    record seen;
};

static BIO *memory_of(const char *text) {
    return BIO_new_mem_buf(text, -1);
}

/* Never asks a terminal: an encrypted key is refused before it comes here. */
static int no_passphrase(char *buffer, int size, int writing, void *argument) {
    (void)buffer, (void)size, (void)writing, (void)argument;
    return -1;
}

/* As gRPC core reads it: the first certificate is the leaf, the rest are sent in their order. */
static bool use_certificate(SSL_CTX *context, const char *pem) {
    BIO *memory = memory_of(pem);
    X509 *leaf = memory != NULL ? PEM_read_bio_X509(memory, NULL, no_passphrase, NULL) : NULL;
    bool used = leaf != NULL && SSL_CTX_use_certificate(context, leaf) == 1;
    X509_free(leaf);
    X509 *next;
    while (used && (next = PEM_read_bio_X509(memory, NULL, no_passphrase, NULL)) != NULL) {
        used = SSL_CTX_add_extra_chain_cert(context, next) == 1;
        if (!used) {
            X509_free(next);
        }
    }
    if (used) {
        ERR_clear_error(); /* PEM_R_NO_START_LINE: the end of the text */
    }
    BIO_free(memory);
    return used;
}

static bool use_key(SSL_CTX *context, const char *pem) {
    BIO *memory = memory_of(pem);
    EVP_PKEY *key =
        memory != NULL ? PEM_read_bio_PrivateKey(memory, NULL, no_passphrase, NULL) : NULL;
    bool used = key != NULL && SSL_CTX_use_PrivateKey(context, key) == 1;
    EVP_PKEY_free(key);
    BIO_free(memory);
    return used;
}

/* The file that gRPC core would take in place of the system's roots, where it is named. */
static bool use_system_roots(SSL_CTX *context) {
    const char *named = getenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH");
    bool used = named != NULL && SSL_CTX_load_verify_locations(context, named, NULL) == 1;
    return used || SSL_CTX_set_default_verify_paths(context) == 1;
}

static bool use_given_roots(X509_STORE *store, const char *pem) {
    BIO *memory = memory_of(pem);
    bool used = memory != NULL;
    X509 *root;
    while (used && (root = PEM_read_bio_X509(memory, NULL, no_passphrase, NULL)) != NULL) {
        used = X509_STORE_add_cert(store, root) == 1;
        X509_free(root);
    }
    BIO_free(memory);
    return used;
}

static bool use_roots(SSL_CTX *context, const char *pem) {
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    bool used = pem != NULL ? use_given_roots(store, pem) : use_system_roots(context);
    if (used) {
        ERR_clear_error();
    }
    /* As gRPC core does: whatever is given is an anchor, an intermediate or a leaf as well. */
    return used &&
           X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST) == 1;
}

static SSL_CTX *create_context(const trace *running) {
    static const unsigned char protocols[] = "\2h2";
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    bool made = context != NULL && SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
                SSL_CTX_set_cipher_list(context, ciphers) == 1 &&
                SSL_CTX_set1_groups_list(context, groups) == 1 &&
                SSL_CTX_set_alpn_protos(context, protocols, sizeof protocols - 1) == 0 &&
                use_roots(context, running->roots) &&
                (running->certificate == NULL || (use_certificate(context, running->certificate) &&
                                                  use_key(context, running->key)));
    if (!made) {
        SSL_CTX_free(context);
        return NULL;
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    /* Each message comes back to our loop, so that an endless row of them meets the deadline. */
    SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
    return context;
}

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

static bool was_alerted(const record *seen) {
    for (size_t i = 0; i < seen->alert_count; i++) {
        /* A warning, such as unrecognized_name, ends nothing. */
        if (!seen->alerts[i].sent && seen->alerts[i].level == SSL3_AL_FATAL) {
            return true;
        }
    }
    return false;
}

static record_end failure_of(record *seen, int reason, int error) {
    unsigned long code = ERR_peek_error();
    record_openssl(seen);
    if (was_alerted(seen)) {
        return RECORD_ALERTED;
    }
    if (reason == SSL_ERROR_ZERO_RETURN) {
        return RECORD_CLOSED;
    }
    if (ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        /* OpenSSL 3 answers a FIN with a decode_error of its own, which says nothing. */
        if (seen->alert_count > 0 && seen->alerts[seen->alert_count - 1].sent) {
            seen->alert_count--;
        }
        return RECORD_CLOSED;
    }
    if (reason == SSL_ERROR_SYSCALL) {
        return error == 0 ? RECORD_CLOSED : RECORD_RESET;
    }
    if (seen->verified && seen->verify_error != X509_V_OK) {
        return RECORD_UNTRUSTED;
    }
    return RECORD_BROKEN;
}

/*
** Waits for what OpenSSL asked for. True: call it again; false: *end says why not. Until is the
** moment to return at in any case.
*/
static bool wait_for_tls(trace *running, SSL *connection, int result, double until,
                         record_end *end) {
    int error = errno;
    int reason = SSL_get_error(connection, result);
    if (reason != SSL_ERROR_WANT_READ && reason != SSL_ERROR_WANT_WRITE) {
        *end = failure_of(&running->seen, reason, error);
        return false;
    }
    if (running->seen.handshake_messages > MOST_HANDSHAKE_MESSAGES) {
        *end = RECORD_FLOOD;
        return false;
    }
    int descriptor = SSL_get_fd(connection);
    short events = reason == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
    switch (tcp_wait_for(descriptor, events, until, &running->cancel)) {
    case TCP_READY:
        return true;
    case TCP_CANCELLED:
        *end = RECORD_CANCELLED;
        return false;
    default:
        *end = RECORD_SILENT;
        return false;
    }
}

static bool shake_hands(trace *running, SSL *connection, record_end *end) {
    running->seen.stage = RECORD_TLS;
    double start = clock_now();
    int result;
    do {
        ERR_clear_error();
        errno = 0;
        result = SSL_connect(connection);
    } while (result != 1 && wait_for_tls(running, connection, result, running->deadline, end));
    /* Also of a handshake that failed: in TLS 1.2 the refusal comes before its end. */
    record_request(&running->seen, connection);
    record_handshake(&running->seen, connection, running->server_name);
    if (result == 1) {
        running->seen.tls_seconds = clock_now() - start;
    }
    return result == 1;
}

/* Reads until the server has said enough, or until the moment. */
static record_end read_until(trace *running, SSL *connection, double until) {
    record *seen = &running->seen;
    record_end end = RECORD_SILENT;
    for (;;) {
        ERR_clear_error();
        errno = 0;
        int result = SSL_read(connection, seen->answer_bytes + seen->answer_length,
                              (int)(sizeof seen->answer_bytes - seen->answer_length));
        if (result <= 0) {
            if (!wait_for_tls(running, connection, result, until, &end)) {
                return end;
            }
            continue;
        }
        seen->answer_length += (size_t)result;
        if (record_is_settings(seen->answer_bytes, seen->answer_length)) {
            return RECORD_SETTINGS;
        }
        if (seen->answer_length >= 9) {
            return RECORD_DATA;
        }
    }
}

/*
** A server is to send SETTINGS first (RFC 9113, 3.4), but one that waits for the client's preface
** is not broken. Four handshakes' time is more than a refusal needs: it costs the server one
** verification and the wire half a round trip.
*/
static record_end await_answer(trace *running, SSL *connection) {
    record *seen = &running->seen;
    seen->stage = RECORD_ANSWER;
    double start = clock_now();
    double patience = 4 * (seen->connect_seconds + seen->tls_seconds);
    double quiet_until = start + (patience < 0.3 ? 0.3 : patience);
    if (quiet_until > running->deadline) {
        quiet_until = running->deadline;
    }
    record_end end = read_until(running, connection, quiet_until);
    if (end == RECORD_SILENT && seen->answer_length == 0 && clock_now() < running->deadline) {
        seen->spoke_first = true;
        ERR_clear_error();
        (void)SSL_write(connection, http2_preface, sizeof http2_preface);
        end = read_until(running, connection, running->deadline);
    }
    if (end == RECORD_SILENT && seen->answer_length > 0) {
        end = RECORD_DATA;
    }
    seen->answer_seconds = clock_now() - start;
    return end;
}

static record_end follow(trace *running, SSL_CTX *context) {
    record *seen = &running->seen;
    double start = clock_now();
    int descriptor = tcp_connect(running->address, running->port, running->deadline,
                                 &running->cancel, &seen->system_error);
    if (descriptor < 0) {
        return seen->system_error == ECANCELED ? RECORD_CANCELLED : RECORD_UNREACHED;
    }
    seen->connect_seconds = clock_now() - start;
    record_end end = RECORD_LOCAL;
    SSL *connection = create_connection(running, context, descriptor);
    if (connection == NULL) {
        record_openssl(seen);
    } else if (shake_hands(running, connection, &end)) {
        end = await_answer(running, connection);
        (void)SSL_shutdown(connection);
    }
    SSL_free(connection);
    (void)close(descriptor);
    return end;
}

static void *run(void *argument) {
    trace *running = argument;
    double start = clock_now();
    running->deadline = start + running->seconds;
    ERR_clear_error();
    SSL_CTX *context = create_context(running);
    if (context == NULL) {
        running->seen.end = RECORD_LOCAL;
        record_openssl(&running->seen);
    } else {
        running->seen.end = follow(running, context);
    }
    SSL_CTX_free(context);
    ERR_clear_error();
    running->seen.total_seconds = clock_now() - start;
    waker_wake(&running->done);
    return NULL;
}

static bool start_thread(trace *running) {
    sigset_t all, former;
    /*
    ** The thread takes no signal of the host's; and SIGPIPE, which OpenSSL's write raises in the
    ** thread that writes, stays pending there until it ends.
    */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &former);
    running->started = pthread_create(&running->thread, NULL, run, running) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &former, NULL);
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
    running->seen.connect_seconds = running->seen.tls_seconds = -1;
    running->seen.answer_seconds = -1;
    bool ready = copy_text(&running->address, options->address) &&
                 copy_text(&running->server_name, options->server_name) &&
                 copy_text(&running->roots, options->roots) &&
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
    if (running->started) {
        waker_wake(&running->cancel);
        (void)pthread_join(running->thread, NULL);
    }
    waker_close(&running->cancel);
    waker_close(&running->done);
    if (running->key != NULL) {
        OPENSSL_cleanse(running->key, strlen(running->key));
    }
    free(running->address);
    free(running->server_name);
    free(running->roots);
    free(running->certificate);
    free(running->key);
    record_free(&running->seen);
    free(running);
}

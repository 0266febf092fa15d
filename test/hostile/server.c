/*
** A server that means harm: hostile KIND CERTIFICATE KEY CA listens on a free port of 127.0.0.1,
** says "ACCEPT 127.0.0.1:PORT", and does the same to each connection, in a process of its own.
** What it sends without end, it sends until the other side hangs up.
*/
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char *certificate_path, *key_path, *ca_path;

static void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static void pause_for(long milliseconds) {
    struct timespec pause = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    (void)nanosleep(&pause, NULL);
}

/* ---- without TLS: what is said before keys are agreed on can be made by hand ------------------ */

static void send_all(int socket, const void *bytes, size_t length) {
    const char *left = bytes;
    while (length > 0) {
        ssize_t sent = write(socket, left, length);
        if (sent <= 0) {
            exit(0);
        }
        left += sent;
        length -= (size_t)sent;
    }
}

static void hear_hello(int socket) {
    char hello[4096];
    (void)!read(socket, hello, sizeof hello);
}

static void send_record(int socket, unsigned char type, const void *bytes, size_t length) {
    unsigned char header[5] = {type, 3, 3, (unsigned char)(length >> 8), (unsigned char)length};
    send_all(socket, header, sizeof header);
    send_all(socket, bytes, length);
}

/* TLS 1.2, ECDHE-ECDSA-AES128-GCM-SHA256, no session, an empty renegotiation_info. */
static void send_server_hello(int socket) {
    static const unsigned char end[] = {0, 0xC0, 0x2B, 0, 0, 5, 0xFF, 1, 0, 1, 0};
    unsigned char hello[38 + sizeof end] = {2, 0, 0, 34 + sizeof end, 3, 3};
    memset(hello + 6, 0x5A, 32);
    memcpy(hello + 38, end, sizeof end);
    send_record(socket, 22, hello, sizeof hello);
}

/* A handshake message that says it is as long as one can be, and begins like one. */
static void send_endless(int socket, unsigned char type) {
    unsigned char bytes[16384] = {type, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFC, 0xFF, 0xFF, 0xF9};
    send_record(socket, 22, bytes, sizeof bytes);
    memset(bytes, 0x30, 16);
    for (;;) {
        send_record(socket, 22, bytes, sizeof bytes);
    }
}

static void huge_certificate(int socket) {
    hear_hello(socket);
    send_server_hello(socket);
    send_endless(socket, 11);
}

static void compressed_certificate(int socket) {
    hear_hello(socket);
    send_server_hello(socket);
    send_endless(socket, 25);
}

/* HelloRequests amid a handshake, which a client is to ignore: RFC 5246, 7.4.1.1. */
static void hello_requests(int socket) {
    static const unsigned char requests[16384]; /* 0 0 0 0: a HelloRequest each */
    hear_hello(socket);
    send_server_hello(socket);
    for (;;) {
        send_record(socket, 22, requests, sizeof requests);
    }
}

static void warnings(int socket) {
    hear_hello(socket);
    send_server_hello(socket);
    for (;;) {
        send_record(socket, 21, "\1\x5A", 2); /* user_canceled */
    }
}

static void empty_records(int socket) {
    hear_hello(socket);
    send_server_hello(socket);
    for (;;) {
        send_record(socket, 22, "", 0);
    }
}

static void plain_flood(int socket) {
    char bytes[16384];
    memset(bytes, 'x', sizeof bytes);
    for (;;) {
        send_all(socket, bytes, sizeof bytes);
    }
}

/* ---- with TLS --------------------------------------------------------------------------------- */

static void write_tls(SSL *tls, const void *bytes, size_t length) {
    if (SSL_write(tls, bytes, (int)length) <= 0) {
        exit(0);
    }
}

static const char settings[] = "\0\0\0\4\0\0\0\0";   /* and the 0 of the string: 9 bytes */
static const char accepted[] = "\0\0\0\4\1\0\0\0\0"; /* theirs: 9, and one more */

static void greet(SSL *tls) {
    write_tls(tls, settings, 9);
    write_tls(tls, accepted, 9);
}

static void repeat_frame(SSL *tls, const char *frame, size_t length) {
    char many[16384];
    size_t filled = 0;
    while (filled + length <= sizeof many) {
        memcpy(many + filled, frame, length);
        filled += length;
    }
    for (;;) {
        write_tls(tls, many, filled);
    }
}

static void pings(SSL *tls) {
    greet(tls);
    repeat_frame(tls, "\0\0\x08\6\0\0\0\0\0abcdefgh", 17);
}

static void many_settings(SSL *tls) {
    greet(tls);
    repeat_frame(tls, settings, 9);
}

static void resets(SSL *tls) {
    greet(tls);
    repeat_frame(tls, "\0\0\4\3\0\0\0\0\1\0\0\0\1", 13);
}

/* A header block that never ends: RFC 9113, 10.5.1. */
static void continuations(SSL *tls, bool indexed) {
    static const char status[8] = {'\x88', '\x88', '\x88', '\x88', '\x88', '\x88', '\x88', '\x88'};
    static const char field[8] = {0, 1, 'a', 4, 'b', 'c', 'd', 'e'}; /* a literal, "a: bcde" */
    char frame[9 + 16000];
    greet(tls);
    pause_for(200); /* until the call is there */
    memset(frame, 0, sizeof frame);
    for (size_t i = 9; i < sizeof frame; i += 8) {
        memcpy(frame + i, indexed ? status : field, 8);
    }
    frame[1] = (char)(16000 >> 8);
    frame[2] = (char)(16000 & 0xFF);
    frame[8] = 1; /* stream 1 */
    frame[3] = 1; /* HEADERS, without END_HEADERS */
    write_tls(tls, frame, sizeof frame);
    frame[3] = 9; /* CONTINUATION */
    for (;;) {
        write_tls(tls, frame, sizeof frame);
    }
}

static void endless_headers(SSL *tls) {
    continuations(tls, false);
}

static void endless_statuses(SSL *tls) {
    continuations(tls, true);
}

/* An answer that is longer than flow control lets it be. */
static void endless_data(SSL *tls) {
    static const char headers[] = "\0\0\x20\1\4\0\0\0\1\x88\0\x0c"
                                  "content-type\x10"
                                  "application/grpc";
    static const unsigned char message[5] = {0, 0x7F, 0xFF, 0xFF, 0xFF}; /* of 2 GB */
    char frame[9 + 16384] = {0, 0x40, 0, 0, 0, 0, 0, 0, 1};
    greet(tls);
    pause_for(200);
    write_tls(tls, headers, 9 + 32);
    memcpy(frame + 9, message, sizeof message);
    for (;;) {
        write_tls(tls, frame, sizeof frame);
    }
}

static void tickets(SSL *tls) {
    for (;;) {
        if (SSL_new_session_ticket(tls) != 1 || SSL_do_handshake(tls) != 1) {
            exit(0);
        }
    }
}

static void key_updates(SSL *tls) {
    for (;;) {
        if (SSL_key_update(tls, SSL_KEY_UPDATE_REQUESTED) != 1 || SSL_do_handshake(tls) != 1) {
            exit(0);
        }
    }
}

/* After SETTINGS, so that the flood meets whoever goes on from there. */
static void late_key_updates(SSL *tls) {
    greet(tls);
    key_updates(tls);
}

static void renegotiations(SSL *tls) {
    for (;;) {
        if (SSL_renegotiate(tls) != 1 || SSL_do_handshake(tls) != 1) {
            exit(0);
        }
    }
}

/* Frames of SETTINGS that take for ever to come. */
static void drip_settings(SSL *tls) {
    for (;;) {
        for (size_t i = 0; i < 9; i++) {
            write_tls(tls, i < 3 ? "\xFF" : settings + i, 1);
            pause_for(1000);
        }
    }
}

/* Not hostile, only polite: a close_notify before the end. */
static void good_bye(SSL *tls) {
    (void)SSL_shutdown(tls);
}

static void quiet(SSL *tls) {
    char bytes[256];
    while (SSL_read(tls, bytes, sizeof bytes) > 0) {}
}

static void add_names(SSL_CTX *context) {
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    for (int i = 0; i < 64 * 1024 / 26; i++) {
        char text[16];
        X509_NAME *name = X509_NAME_new();
        (void)snprintf(text, sizeof text, "CA %07d", i);
        (void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)text, -1,
                                         -1, 0);
        (void)sk_X509_NAME_push(names, name);
    }
    SSL_CTX_set_client_CA_list(context, names);
}

/* The CA again and again, as far as OpenSSL's client takes it, or beyond. */
static void add_chain(SSL_CTX *context, int bytes) {
    FILE *file = fopen(ca_path, "r");
    X509 *ca = file != NULL ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
    if (ca == NULL) {
        fail("no CA");
    }
    (void)fclose(file);
    for (int left = bytes; left > 0; left -= i2d_X509(ca, NULL) + 5) {
        (void)X509_up_ref(ca);
        (void)SSL_CTX_add_extra_chain_cert(context, ca);
    }
}

typedef struct kind {
    const char *name;
    void (*plain)(int socket);
    void (*talk)(SSL *tls);
    bool old; /* TLS 1.2 */
    bool names;
    int chain;
} kind;

static const kind kinds[] = {
    {.name = "huge_certificate", .plain = huge_certificate},
    {.name = "compressed_certificate", .plain = compressed_certificate},
    {.name = "hello_requests", .plain = hello_requests},
    {.name = "warnings", .plain = warnings},
    {.name = "empty_records", .plain = empty_records},
    {.name = "plain_flood", .plain = plain_flood},
    {.name = "pings", .talk = pings},
    {.name = "many_settings", .talk = many_settings},
    {.name = "resets", .talk = resets},
    {.name = "endless_headers", .talk = endless_headers},
    {.name = "endless_statuses", .talk = endless_statuses},
    {.name = "endless_data", .talk = endless_data},
    {.name = "tickets", .talk = tickets},
    {.name = "key_updates", .talk = key_updates},
    {.name = "late_key_updates", .talk = late_key_updates},
    {.name = "renegotiations", .talk = renegotiations, .old = true},
    {.name = "drip_settings", .talk = drip_settings},
    {.name = "good_bye", .talk = good_bye},
    {.name = "ca_names", .talk = quiet, .names = true},
    {.name = "long_chain", .talk = quiet, .chain = 90 * 1024},
    {.name = "longer_chain", .talk = quiet, .chain = 2 * 1024 * 1024},
};

static int choose_protocol(SSL *tls, const unsigned char **out, unsigned char *length,
                           const unsigned char *in, unsigned in_length, void *argument) {
    (void)tls, (void)argument, (void)in_length;
    *out = in + 1;
    *length = in[0];
    return SSL_TLSEXT_ERR_OK;
}

static void serve(const kind *served, int socket) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (SSL_CTX_use_certificate_chain_file(context, certificate_path) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key_path, SSL_FILETYPE_PEM) != 1) {
        fail("no certificate");
    }
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    if (served->old) {
        (void)SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    }
    if (served->names) {
        add_names(context);
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    }
    if (served->chain > 0) {
        add_chain(context, served->chain);
    }
    SSL *tls = SSL_new(context);
    (void)SSL_set_fd(tls, socket);
    if (SSL_accept(tls) == 1) {
        served->talk(tls);
    }
}

int main(int count, char **arguments) {
    const kind *served = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (count == 5 && strcmp(arguments[1], kinds[i].name) == 0) {
            served = &kinds[i];
        }
    }
    if (served == NULL) {
        fail("usage: hostile KIND CERTIFICATE KEY CA");
    }
    certificate_path = arguments[2];
    key_path = arguments[3];
    ca_path = arguments[4];
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGCHLD, SIG_IGN);
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof where;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&where, size) != 0 || listen(listener, 16) != 0 ||
        getsockname(listener, (struct sockaddr *)&where, &size) != 0) {
        fail("cannot listen");
    }
    printf("ACCEPT 127.0.0.1:%d\n", ntohs(where.sin_port));
    (void)fflush(stdout);
    for (;;) {
        int connection = accept(listener, NULL, NULL);
        if (connection >= 0 && fork() == 0) {
            if (served->plain != NULL) {
                served->plain(connection);
            } else {
                serve(served, connection);
            }
            exit(0);
        }
        (void)close(connection);
    }
}

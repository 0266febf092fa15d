/*
** What a server may send to a trace. An input is a row of items, each { kind, length (2 bytes), bytes }:
**
**   0  bytes as they come over TCP
**   1  a TLS 1.3 record, { content type, content }, sealed with the server's handshake secret
**   2  the same, sealed with its application secret
**   3  silence
**   4  the end
**
** The client draws the same random numbers in every run, so that what was recorded of a real server
** can be played to it again, beyond the handshake; and items that are sealed here reach what stands
** behind the encryption. fuzz/make-corpus records: FUZZ_RECORD=PORT:FILE build/fuzz/trace.
*/
#define OPENSSL_SUPPRESS_DEPRECATED /* RAND_METHOD */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "fuzz.h"
#include "probe/context.h"
#include "probe/conversation.h"
#include "probe/scheme.h"

/* ---- the same random numbers every time ---- */

static uint64_t drawn;

static int draw(unsigned char *bytes, int count) {
    for (int i = 0; i < count; i++) {
        drawn = drawn * 6364136223846793005U + 1442695040888963407U;
        bytes[i] = (unsigned char)(drawn >> 56);
    }
    return 1;
}

static int is_seeded(void) {
    return 1;
}

static const RAND_METHOD drawing = {.bytes = draw, .pseudorand = draw, .status = is_seeded};

/* ---- the client ---- */

static SSL_CTX *context;

/* The secrets of the server's side, by the names of NSS's key log. */
typedef struct secret {
    const char *name;
    size_t length;
    unsigned char bytes[EVP_MAX_MD_SIZE];
    uint64_t records; /* that it has sealed */
} secret;

static secret handshake_secret, application_secret;

static void on_secret(const SSL *connection, const char *line) {
    (void)connection;
    secret *const known[] = {&handshake_secret, &application_secret};
    for (size_t i = 0; i < 2; i++) {
        size_t name = strlen(known[i]->name);
        const char *hex = strrchr(line, ' ');
        if (strncmp(line, known[i]->name, name) == 0 && line[name] == ' ' && hex != NULL) {
            (void)OPENSSL_hexstr2buf_ex(known[i]->bytes, sizeof known[i]->bytes, &known[i]->length,
                                        hex + 1, '\0');
        }
    }
}

static X509 *make_certificate(EVP_PKEY *key) {
    X509 *made = X509_new();
    (void)X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_ASC,
                                     (const unsigned char *)"worker", -1, -1, 0);
    (void)X509_NAME_add_entry_by_txt(X509_get_issuer_name(made), "CN", MBSTRING_ASC,
                                     (const unsigned char *)"Acme CA", -1, -1, 0);
    (void)X509_set_version(made, X509_VERSION_3);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(made), 1);
    (void)ASN1_TIME_set(X509_getm_notBefore(made), 1700000000);
    (void)ASN1_TIME_set(X509_getm_notAfter(made), 4000000000);
    (void)X509_set_pubkey(made, key);
    (void)X509_sign(made, key, EVP_sha256());
    return made;
}

static void start(void) {
    handshake_secret.name = "SERVER_HANDSHAKE_TRAFFIC_SECRET";
    application_secret.name = "SERVER_TRAFFIC_SECRET_0";
    REQUIRE(RAND_set_rand_method(&drawing) == 1);
    const context_options options = {.roots = ""};
    context = context_create(&options);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = make_certificate(key);
    REQUIRE(SSL_CTX_use_certificate(context, certificate) == 1);
    REQUIRE(SSL_CTX_use_PrivateKey(context, key) == 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
    /* Who trusts nobody and goes on all the same sees the most. */
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_keylog_callback(context, on_secret);
}

/* ---- what is sent to it ---- */

typedef struct script {
    const uint8_t *data;
    size_t left;
    BIO *to; /* what the client reads */
} script;

static bool expand(const EVP_MD *hash, const secret *from, const char *label, unsigned char *bytes,
                   size_t length) {
    /* HkdfLabel of RFC 8446, 7.1: length, label, an empty context. */
    unsigned char info[64] = {(unsigned char)(length >> 8), (unsigned char)length};
    int size = snprintf((char *)info + 3, sizeof info - 3, "tls13 %s", label);
    info[2] = (unsigned char)size;
    EVP_PKEY_CTX *way = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
    bool done = EVP_PKEY_derive_init(way) == 1 &&
                EVP_PKEY_CTX_set_hkdf_mode(way, EVP_PKEY_HKDEF_MODE_EXPAND_ONLY) == 1 &&
                EVP_PKEY_CTX_set_hkdf_md(way, hash) == 1 &&
                EVP_PKEY_CTX_set1_hkdf_key(way, from->bytes, (int)from->length) == 1 &&
                EVP_PKEY_CTX_add1_hkdf_info(way, info, 4 + size) == 1 &&
                EVP_PKEY_derive(way, bytes, &length) == 1;
    EVP_PKEY_CTX_free(way);
    return done;
}

/* RFC 8446, 5.2 and 5.3; AES-256-GCM with SHA-384 and AES-128-GCM with SHA-256 are told by the secret's length. */
static void send_sealed(script *playing, secret *with, const uint8_t *bytes, size_t length) {
    enum { TAG = 16, IV = 12 };
    if (with->length == 0 || length == 0 || length > 16384) {
        return;
    }
    bool long_hash = with->length == 48;
    const EVP_MD *hash = long_hash ? EVP_sha384() : EVP_sha256();
    unsigned char key[32], iv[IV];
    if (!expand(hash, with, "key", key, long_hash ? 32 : 16) ||
        !expand(hash, with, "iv", iv, sizeof iv)) {
        return;
    }
    for (unsigned i = 0; i < 8; i++) {
        iv[IV - 1 - i] ^= (unsigned char)(with->records >> (8 * i));
    }
    with->records++;
    /* The content type comes first in an item, and last in a record. */
    size_t sealed = length + TAG;
    unsigned char header[5] = {23, 3, 3, (unsigned char)(sealed >> 8), (unsigned char)sealed};
    unsigned char *output = malloc(sealed);
    int done = 0;
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    if (output != NULL && cipher != NULL &&
        EVP_EncryptInit_ex(cipher, long_hash ? EVP_aes_256_gcm() : EVP_aes_128_gcm(), NULL, key,
                           iv) == 1 &&
        EVP_EncryptUpdate(cipher, NULL, &done, header, sizeof header) == 1 &&
        EVP_EncryptUpdate(cipher, output, &done, bytes + 1, (int)length - 1) == 1 &&
        EVP_EncryptUpdate(cipher, output + length - 1, &done, bytes, 1) == 1 &&
        EVP_EncryptFinal_ex(cipher, output + length, &done) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, TAG, output + length) == 1) {
        (void)BIO_write(playing->to, header, sizeof header);
        (void)BIO_write(playing->to, output, (int)sealed);
    }
    EVP_CIPHER_CTX_free(cipher);
    free(output);
}

static void send_raw(script *playing, const uint8_t *bytes, size_t length) {
    secret *with = application_secret.length > 0 ? &application_secret : &handshake_secret;
    for (size_t at = 0; at + 5 <= length; at += 5 + ((size_t)bytes[at + 3] << 8 | bytes[at + 4])) {
        with->records += bytes[at] == 23 && with->length > 0;
    }
    if (length > 0) {
        (void)BIO_write(playing->to, bytes, (int)length);
    }
}

static tcp_wait play(void *argument, short events, double until) {
    (void)events, (void)until;
    script *playing = argument;
    if (playing->left < 3) {
        return TCP_TIMEOUT;
    }
    unsigned kind = playing->data[0];
    size_t length = (size_t)playing->data[1] << 8 | playing->data[2];
    const uint8_t *bytes = playing->data + 3;
    playing->left -= 3;
    length = length < playing->left ? length : playing->left;
    playing->left -= length;
    playing->data = bytes + length;
    if (kind == 0) {
        send_raw(playing, bytes, length);
    } else if (kind == 1) {
        send_sealed(playing, &handshake_secret, bytes, length);
    } else if (kind == 2) {
        send_sealed(playing, &application_secret, bytes, length);
    } else if (kind == 4) {
        (void)BIO_set_mem_eof_return(playing->to, 0);
    }
    ERR_clear_error();
    return kind == 3 ? TCP_TIMEOUT : TCP_READY;
}

/* ---- a run ---- */

static void check(const record *seen) {
    const char *const texts[] = {seen->server_name,    seen->version,        seen->cipher,
                                 seen->group,          seen->alpn,           seen->openssl,
                                 seen->verify_message, seen->verify_subject, seen->fingerprint};
    const size_t sizes[] = {RECORD_TEXT, 16, 64, 32, 32, RECORD_TEXT, RECORD_TEXT, RECORD_TEXT, 65};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        REQUIRE(memchr(texts[i], '\0', sizes[i]) != NULL);
    }
    REQUIRE(seen->end <= RECORD_CANCELLED && seen->by <= RECORD_BY_SILENCE);
    REQUIRE(seen->alert_count <= RECORD_ALERTS && seen->scheme_count <= RECORD_SCHEMES);
    REQUIRE(seen->first_length <= RECORD_BYTES && seen->answer_length <= RECORD_BYTES);
    REQUIRE(seen->http.body_length <= HTTP_BODY);
    REQUIRE(seen->http.status >= 0 && seen->http.status <= 999);
    REQUIRE(seen->end != RECORD_ALERTED || record_was_alerted(seen));
    REQUIRE(seen->end != RECORD_SETTINGS || seen->tls_seconds >= 0);
    for (size_t i = 0; i < RECORD_NAMES && seen->names[i] != NULL; i++) {
        REQUIRE(memchr(seen->names[i], '\0', RECORD_NAME_SIZE) != NULL);
        REQUIRE(i < seen->name_count);
    }
    for (size_t i = 0; i < seen->scheme_count; i++) {
        (void)scheme_name(seen->schemes[i]);
    }
}

static void hold(SSL *connection, record *seen, tcp_wait (*wait)(void *, short, double),
                 void *argument) {
    seen->connect_seconds = seen->tls_seconds = seen->answer_seconds = -1;
    if (SSL_set_tlsext_host_name(connection, "localhost") != 1) {
        return;
    }
    record_attach(seen, context, connection);
    conversation with = {.connection = connection,
                         .seen = seen,
                         .server_name = "localhost",
                         .deadline = 1e12,
                         .ask_http = true,
                         .wait = wait,
                         .argument = argument};
    conversation_hold(&with);
}

static SSL *connect_to(BIO *from, BIO *to) {
    drawn = 1;
    handshake_secret.length = application_secret.length = 0;
    handshake_secret.records = application_secret.records = 0;
    SSL *connection = SSL_new(context);
    if (connection == NULL || from == NULL || to == NULL) {
        SSL_free(connection);
        (void)BIO_free(from);
        (void)BIO_free(to);
        return NULL;
    }
    SSL_set_bio(connection, from, to);
    return connection;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static record seen;
    BIO *from = BIO_new(BIO_s_mem());
    (void)BIO_set_mem_eof_return(from, -1);
    SSL *connection = connect_to(from, BIO_new(BIO_s_mem()));
    if (connection != NULL) { /* test/oom/trace.c makes memory fail */
        script playing = {.data = data, .left = size, .to = from};
        hold(connection, &seen, play, &playing);
        check(&seen);
        SSL_free(connection);
    }
    record_free(&seen);
    ERR_clear_error();
    return 0;
}

/* ---- the recorder ---- */

static FILE *recording;

static long on_read(BIO *bio, int operation, const char *bytes, size_t size, int number, long more,
                    int result, size_t *transferred) {
    (void)bio, (void)size, (void)number, (void)more;
    if (operation == (BIO_CB_READ | BIO_CB_RETURN) && result > 0) {
        (void)fputc(0, recording);
        (void)fputc((int)(*transferred >> 8), recording);
        (void)fputc((int)(*transferred & 0xFF), recording);
        (void)fwrite(bytes, 1, *transferred, recording);
    } else if (operation == (BIO_CB_READ | BIO_CB_RETURN) && result == 0) {
        (void)fwrite("\4\0\0", 1, 3, recording);
    }
    return result;
}

static tcp_wait no_wait(void *argument, short events, double until) {
    (void)argument, (void)events, (void)until;
    return TCP_TIMEOUT;
}

/* "PORT:FILE": what the server at the port says to this client. */
static void record_server(const char *what) {
    static record seen;
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    where.sin_port = htons((unsigned short)strtol(what, NULL, 10));
    int server = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval patience = {1, 0};
    (void)setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    REQUIRE(connect(server, (struct sockaddr *)&where, sizeof where) == 0);
    recording = fopen(strchr(what, ':') + 1, "wb");
    REQUIRE(recording != NULL);
    /* The record's callback is on the outer one. */
    BIO *inner = BIO_new_socket(server, BIO_CLOSE);
    BIO *outer = BIO_push(BIO_new(BIO_f_null()), inner);
    BIO_set_callback_ex(inner, on_read);
    SSL *connection = connect_to(outer, outer);
    REQUIRE(connection != NULL);
    hold(connection, &seen, no_wait, NULL);
    printf("%s: ended %d by %d, %s\n", what, (int)seen.end, (int)seen.by, seen.version);
    SSL_free(connection);
    record_free(&seen);
    (void)fclose(recording);
}

int LLVMFuzzerInitialize(int *count, char ***arguments);

int LLVMFuzzerInitialize(int *count, char ***arguments) {
    (void)count, (void)arguments;
    start();
    const char *what = getenv("FUZZ_RECORD");
    if (what != NULL) {
        record_server(what);
        exit(0);
    }
    return 0;
}

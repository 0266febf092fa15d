#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "target.h"

static BIO *memory(const char *text) {
    return BIO_new_mem_buf(text, -1);
}

static bool load_roots(SSL_CTX *context, const char *text) {
    BIO *bio = memory(text);
    X509 *root = NULL;
    bool done = true;
    while (done && (root = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        done = X509_STORE_add_cert(SSL_CTX_get_cert_store(context), root) == 1;
        X509_free(root);
    }
    ERR_clear_error(); /* the end of the text is an error */
    BIO_free(bio);
    return done;
}

static bool load_pair(SSL_CTX *context, const target *to) {
    BIO *bio = memory(to->certificate);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    bool done = certificate != NULL && SSL_CTX_use_certificate(context, certificate) == 1;
    X509_free(certificate);
    while (done && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        done = SSL_CTX_add0_chain_cert(context, certificate) == 1;
    }
    ERR_clear_error();
    BIO_free(bio);
    bio = memory(to->key);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    done = done && key != NULL && SSL_CTX_use_PrivateKey(context, key) == 1;
    EVP_PKEY_free(key);
    BIO_free(bio);
    return done;
}

static int connect_to(const target *to) {
    int one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_port = htons((unsigned short)strtol(to->port, NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || inet_pton(AF_INET, to->address, &address.sin_addr) != 1 ||
        connect(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static bool talk(SSL *ssl, const target *to, int fd) {
    char first[9]; /* the header of SETTINGS */
    return SSL_set_fd(ssl, fd) == 1 && SSL_set_tlsext_host_name(ssl, to->server_name) == 1 &&
           SSL_set1_host(ssl, to->server_name) == 1 && SSL_connect(ssl) == 1 &&
           SSL_read(ssl, first, sizeof first) > 0;
}

bool handshake_probe(const target *to) {
    static const unsigned char protocols[] = "\x02h2";
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    bool done = SSL_CTX_set_alpn_protos(context, protocols, sizeof protocols - 1) == 0 &&
                load_roots(context, to->roots) && load_pair(context, to);
    int fd = done ? connect_to(to) : -1;
    SSL *ssl = SSL_new(context);
    done = fd >= 0 && talk(ssl, to, fd);
    SSL_free(ssl);
    SSL_CTX_free(context);
    if (fd >= 0) {
        (void)close(fd);
    }
    return done;
}

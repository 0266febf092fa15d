/* What the OpenSSL and the BoringSSL reader share: files in, lines out. */
#ifndef READERS_READ_BIO_H
#define READERS_READ_BIO_H

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void begin_line(const char *reader, const char *path, const char *kind) {
    printf("%s\t%s\t%s\t", reader, path, kind);
}

static inline void print_hash(const unsigned char *bytes, size_t length) {
    unsigned char hash[SHA256_DIGEST_LENGTH];
    SHA256(bytes, length, hash);
    for (size_t i = 0; i < sizeof hash; i++) {
        printf("%02x", hash[i]);
    }
}

static inline void print_certificate(X509 *certificate, int *count) {
    unsigned char *der = NULL;
    const int length = i2d_X509(certificate, &der);
    if ((*count)++ > 0) {
        putchar(',');
    }
    print_hash(der, length > 0 ? (size_t)length : 0);
    OPENSSL_free(der);
}

static inline void print_error(int count, const char *message) {
    printf("%serror: %s", count > 0 ? " " : "", message);
}

static inline const char *last_reason(void) {
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason != NULL ? reason : "no reason given";
}

static inline void print_key(EVP_PKEY *key) {
    unsigned char *der = NULL;
    const int length = i2d_PUBKEY(key, &der);
    printf("spki:");
    print_hash(der, length > 0 ? (size_t)length : 0);
    OPENSSL_free(der);
}

/* The whole file, with a NUL after it. */
static inline char *read_file(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    size_t size = 0;
    size_t used = 0;
    char *bytes = NULL;
    for (;;) {
        if (used + 1 >= size) {
            size = size * 2 + 4096;
            bytes = realloc(bytes, size);
            if (bytes == NULL) {
                abort();
            }
        }
        const size_t got = fread(bytes + used, 1, size - used - 1, file);
        if (got == 0) {
            break;
        }
        used += got;
    }
    fclose(file);
    bytes[used] = '\0';
    *length = used;
    return bytes;
}

/* gRPC core (src/core/tsi/ssl_transport_security.cc) takes C strings: what follows a NUL is not
   seen. Its loops take any failure after the first certificate for the end of the text. */
static inline void grpc_certificates(const char *reader, const char *path, char *text) {
    char no_passphrase[] = "";

    /* ssl_ctx_use_certificate_chain */
    begin_line(reader, path, "chain");
    int count = 0;
    BIO *bio = BIO_new_mem_buf(text, (int)strlen(text));
    X509 *certificate = PEM_read_bio_X509_AUX(bio, NULL, NULL, no_passphrase);
    if (certificate == NULL) {
        print_error(count, last_reason());
    }
    while (certificate != NULL) {
        print_certificate(certificate, &count);
        X509_free(certificate);
        certificate = PEM_read_bio_X509(bio, NULL, NULL, no_passphrase);
    }
    BIO_free(bio);
    ERR_clear_error();
    putchar('\n');

    /* x509_store_load_certs */
    begin_line(reader, path, "roots");
    count = 0;
    bio = BIO_new_mem_buf(text, (int)strlen(text));
    while ((certificate = PEM_read_bio_X509_AUX(bio, NULL, NULL, no_passphrase)) != NULL) {
        print_certificate(certificate, &count);
        X509_free(certificate);
    }
    if (count == 0) {
        print_error(count, last_reason());
    }
    BIO_free(bio);
    ERR_clear_error();
    putchar('\n');
}

/* ssl_ctx_use_private_key */
static inline void grpc_key(const char *reader, const char *path, char *text) {
    char no_passphrase[] = "";
    begin_line(reader, path, "key");
    BIO *bio = BIO_new_mem_buf(text, (int)strlen(text));
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, no_passphrase);
    if (key != NULL) {
        print_key(key);
        EVP_PKEY_free(key);
    } else {
        print_error(0, last_reason());
    }
    BIO_free(bio);
    ERR_clear_error();
    putchar('\n');
}

static inline void grpc_reader(const char *reader, const char *path, int certificates, int keys) {
    size_t length;
    char *text = read_file(path, &length);
    if (certificates) {
        grpc_certificates(reader, path, text);
    }
    if (keys) {
        grpc_key(reader, path, text);
    }
    free(text);
}

/* A line is a path, and if it is to be read as one thing only, a tab and `certificates` or `key`. */
static inline void each_path(void (*read_one)(const char *path, int certificates, int keys)) {
    char line[4096];
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *tab = strchr(line, '\t');
        if (tab != NULL) {
            *tab++ = '\0';
        }
        read_one(line, tab == NULL || strcmp(tab, "certificates") == 0,
                 tab == NULL || strcmp(tab, "key") == 0);
    }
}

#endif

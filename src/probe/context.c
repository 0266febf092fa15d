#include "context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdbool.h>

/* gRPC core's own list, so that both see the same refusals: src/core/lib/security/ssl_utils.cc. */
static const char ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
                              "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384";
/* gRPC core offers P-256 alone before 1.81; the others come second, and the record tells. */
static const char groups[] = "P-256:X25519:P-384:P-521";

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

static bool use_installed_roots(SSL_CTX *context, const char *path) {
    bool used = path != NULL && SSL_CTX_load_verify_locations(context, path, NULL) == 1;
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

static bool use_roots(SSL_CTX *context, const context_options *options) {
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    bool used = options->roots != NULL ? use_given_roots(store, options->roots)
                                       : use_installed_roots(context, options->roots_path);
    if (used) {
        ERR_clear_error();
    }
    /* As gRPC core does: whatever is given is an anchor, an intermediate or a leaf as well. */
    return used &&
           X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST) == 1;
}

static void be_strict(SSL_CTX *context) {
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
#ifdef SSL_OP_NO_RX_CERTIFICATE_COMPRESSION
    /* OpenSSL 3.2 offers it; gRPC core does not, and who may compress can send much for little. */
    SSL_CTX_set_options(context, SSL_OP_NO_RX_CERTIFICATE_COMPRESSION);
#endif
    /* Each message comes back to our loop, so that an endless row of them meets the deadline. */
    SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
}

SSL_CTX *context_create(const context_options *options) {
    static const unsigned char protocols[] = "\2h2";
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    bool made = context != NULL && SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
                SSL_CTX_set_cipher_list(context, ciphers) == 1 &&
                SSL_CTX_set1_groups_list(context, groups) == 1 &&
                SSL_CTX_set_alpn_protos(context, protocols, sizeof protocols - 1) == 0 &&
                use_roots(context, options) &&
                (options->certificate == NULL || (use_certificate(context, options->certificate) &&
                                                  use_key(context, options->key)));
    if (!made) {
        SSL_CTX_free(context);
        return NULL;
    }
    be_strict(context);
    return context;
}

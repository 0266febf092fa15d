/* The system's OpenSSL, as its own functions read files, and as gRPC core reads through it. */
#include "read_bio.h"

static int no_passphrase(char *buffer, int size, int writing, void *context) {
    (void)buffer, (void)size, (void)writing, (void)context;
    return -1;
}

static BIO *open_file(const char *path) {
    BIO *bio = BIO_new_file(path, "rb");
    if (bio == NULL) {
        fprintf(stderr, "%s: cannot be opened\n", path);
        exit(1);
    }
    return bio;
}

/* As SSL_CTX_use_certificate_chain_file: PEM_R_NO_START_LINE is the end, any other error is one. */
static void chain(const char *path) {
    begin_line("openssl", path, "chain");
    int count = 0;
    BIO *bio = open_file(path);
    ERR_clear_error();
    X509 *certificate = PEM_read_bio_X509_AUX(bio, NULL, no_passphrase, NULL);
    if (certificate == NULL) {
        print_error(count, last_reason());
    } else {
        while (certificate != NULL) {
            print_certificate(certificate, &count);
            X509_free(certificate);
            certificate = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
        }
        const unsigned long error = ERR_peek_last_error();
        if (ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE) {
            print_error(count, last_reason());
        }
    }
    BIO_free(bio);
    putchar('\n');
}

/* As X509_load_cert_crl_file, which SSL_CTX_load_verify_locations ends in. */
static void roots(const char *path) {
    begin_line("openssl", path, "roots");
    int count = 0;
    BIO *bio = open_file(path);
    ERR_clear_error();
    STACK_OF(X509_INFO) *found = PEM_X509_INFO_read_bio(bio, NULL, no_passphrase, NULL);
    if (found == NULL) {
        print_error(count, last_reason());
    } else {
        for (int i = 0; i < sk_X509_INFO_num(found); i++) {
            X509 *certificate = sk_X509_INFO_value(found, i)->x509;
            if (certificate != NULL) {
                print_certificate(certificate, &count);
            }
        }
        if (count == 0) {
            print_error(count, "no certificate or crl found");
        }
        sk_X509_INFO_pop_free(found, X509_INFO_free);
    }
    BIO_free(bio);
    putchar('\n');
}

/* As SSL_CTX_use_PrivateKey_file. */
static void key(const char *path) {
    begin_line("openssl", path, "key");
    BIO *bio = open_file(path);
    ERR_clear_error();
    EVP_PKEY *found = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    if (found != NULL) {
        print_key(found);
        EVP_PKEY_free(found);
    } else {
        print_error(0, last_reason());
    }
    BIO_free(bio);
    putchar('\n');
}

static void read_one(const char *path, int certificates, int keys) {
    if (certificates) {
        chain(path);
        roots(path);
    }
    if (keys) {
        key(path);
    }
    ERR_clear_error();
    grpc_reader("grpc-openssl", path, certificates, keys);
}

int main(void) {
    each_path(read_one);
    return 0;
}

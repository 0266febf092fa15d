#include "certificates.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdbool.h>

/* Without it, PEM_read_bio would ask at the terminal. */
static int no_passphrase(char *buffer, int size, int writing, void *argument) {
    (void)buffer, (void)size, (void)writing, (void)argument;
    return 0;
}

STACK_OF(X509) * certificates_read(const char *text, size_t length, int most) {
    STACK_OF(X509) *list = sk_X509_new_null();
    BIO *memory = length <= INT_MAX ? BIO_new_mem_buf(text, (int)length) : NULL;
    bool complete = list != NULL && memory != NULL;
    X509 *certificate;
    while (complete && sk_X509_num(list) < most &&
           (certificate = PEM_read_bio_X509(memory, NULL, no_passphrase, NULL)) != NULL) {
        complete = sk_X509_push(list, certificate) > 0;
        if (!complete) {
            X509_free(certificate);
        }
    }
    BIO_free(memory);
    ERR_clear_error(); /* PEM_R_NO_START_LINE: the end of the text */
    if (!complete) {
        sk_X509_pop_free(list, X509_free);
        return NULL;
    }
    return list;
}

#include "library.h"

#include <openssl/ssl.h>
#include <pthread.h>

#include "compat.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void start(void) {
    /* OpenSSL first: its clean-up at exit is registered before, and so runs after, all of ours. */
    (void)OPENSSL_init_ssl(0, NULL);
    compat_silence_grpc();
    grpc_init();
}

void library_start(void) {
    (void)pthread_once(&once, start);
}

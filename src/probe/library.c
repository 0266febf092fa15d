#include "library.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#include "compat.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;

static pid_t process;

/*
** At exit gRPC core's threads may still take a connection down, and then meet the clean-up of
** OpenSSL and the destructors of gRPC core's own objects. Frontends and traces have been closed by
** now: their handlers were registered later. A forked child has none of these threads.
*/
static void finish(void) {
    if (process == getpid()) {
        grpc_shutdown_blocking();
    }
}

static void start(void) {
    /* OpenSSL first: its clean-up at exit is registered before, and so runs after, all of ours. */
    (void)OPENSSL_init_ssl(0, NULL);
    compat_silence_grpc();
    grpc_init();
    process = getpid();
    (void)atexit(finish);
}

void library_start(void) {
    (void)pthread_once(&once, start);
}

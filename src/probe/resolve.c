#include "resolve.h"

#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "thread.h"
#include "waker.h"

/* A resolver that hangs must not fill the process with threads. */
enum { LOOKUPS_LEFT_BEHIND = 16 };

static atomic_int lookups_left_behind;

enum { LOOKUP_RUNNING, LOOKUP_DONE, LOOKUP_LEFT_BEHIND };

/* Shared by the caller and its thread; whoever lets go last frees it. */
typedef struct lookup {
    atomic_int holders;
    atomic_int state;
    waker done;
    resolve_result result;
    char host[];
} lookup;

static void lookup_release(lookup *shared) {
    if (atomic_fetch_sub(&shared->holders, 1) == 1) {
        waker_close(&shared->done);
        free(shared);
    }
}

static void add_address(resolve_result *result, const struct addrinfo *entry) {
    char text[RESOLVE_ADDRESS_SIZE];
    if (result->count == RESOLVE_ADDRESSES ||
        getnameinfo(entry->ai_addr, entry->ai_addrlen, text, sizeof text, NULL, 0,
                    NI_NUMERICHOST) != 0) {
        return;
    }
    for (size_t i = 0; i < result->count; i++) {
        if (strcmp(result->address[i], text) == 0) {
            return;
        }
    }
    memcpy(result->address[result->count++], text, sizeof text);
}

static void look_up(const char *host, int flags, resolve_result *result) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    struct addrinfo *list = NULL;
    int error = getaddrinfo(host, NULL, &hints, &list);
    if (error == 0) {
        for (const struct addrinfo *entry = list; entry != NULL; entry = entry->ai_next) {
            add_address(result, entry);
        }
        freeaddrinfo(list);
    }
    if (result->count > 0) {
        result->outcome = RESOLVE_OK;
        return;
    }
    bool unknown = error == 0 || error == EAI_NONAME;
#ifdef EAI_NODATA
    unknown = unknown || error == EAI_NODATA;
#endif
    result->outcome = error == EAI_MEMORY ? RESOLVE_MEMORY
                      : unknown           ? RESOLVE_UNKNOWN
                                          : RESOLVE_FAILED;
    (void)snprintf(result->message, sizeof result->message, "%s",
                   error == 0 ? "no address" : gai_strerror(error));
}

static void *look_up_aside(void *argument) {
    lookup *shared = argument;
    look_up(shared->host, 0, &shared->result);
    waker_wake(&shared->done);
    if (atomic_exchange(&shared->state, LOOKUP_DONE) == LOOKUP_LEFT_BEHIND) {
        atomic_fetch_sub(&lookups_left_behind, 1);
    }
    lookup_release(shared);
    return NULL;
}

static bool start_detached(void *(*run)(void *), void *argument) {
    pthread_t thread;
    bool started = thread_start(&thread, run, argument);
    if (started) {
        (void)pthread_detach(thread);
    }
    return started;
}

void resolve(const char *host, double seconds, resolve_result *result) {
    memset(result, 0, sizeof *result);
    look_up(host, AI_NUMERICHOST, result);
    if (result->outcome == RESOLVE_OK || result->outcome == RESOLVE_MEMORY) {
        return;
    }
    if (atomic_load(&lookups_left_behind) >= LOOKUPS_LEFT_BEHIND) {
        result->outcome = RESOLVE_BUSY;
        return;
    }
    result->outcome = RESOLVE_MEMORY;
    lookup *shared = calloc(1, sizeof *shared + strlen(host) + 1);
    if (shared == NULL) {
        return;
    }
    memcpy(shared->host, host, strlen(host) + 1);
    atomic_init(&shared->holders, 1);
    if (waker_open(&shared->done)) {
        atomic_store(&shared->holders, 2);
        if (!start_detached(look_up_aside, shared)) {
            atomic_store(&shared->holders, 1);
        } else if (waker_wait(&shared->done, seconds)) {
            *result = shared->result;
        } else {
            /* Counted before it is marked: the thread that sees the mark takes the count back. */
            int running = LOOKUP_RUNNING;
            atomic_fetch_add(&lookups_left_behind, 1);
            if (!atomic_compare_exchange_strong(&shared->state, &running, LOOKUP_LEFT_BEHIND)) {
                atomic_fetch_sub(&lookups_left_behind, 1);
            }
            result->outcome = RESOLVE_TIMEOUT;
        }
    }
    lookup_release(shared);
}

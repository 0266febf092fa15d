#include "guard.h"

#include <dirent.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#if defined(__linux__) && defined(__has_include)
#if __has_include(<linux/tcp.h>)
#include <linux/tcp.h> /* netinet/tcp.h's tcp_info ends before tcpi_bytes_received */
#define COUNTS_BYTES
#endif
#endif
#ifndef COUNTS_BYTES
#include <netinet/tcp.h>
#endif

#include "clock.h"
#include "thread.h"

/* Longer than any probe may take, so that it times out nothing: eleven days. */
enum { FIRST_MARK = 1000000000, MARKS = 1000000 };

int guard_mark(void) {
    static atomic_uint marks;
    return FIRST_MARK + (int)(atomic_fetch_add(&marks, 1) % MARKS);
}

#ifdef TCP_USER_TIMEOUT

/* How often the connections are looked at; nobody looks at one that is younger. */
static const double TICK_SECONDS = 0.1;
/* A frontend sends kilobytes, and an answer that we take is a megabyte at most. */
enum { MOST_RECEIVED = 8 << 20 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static guarded *head;
static bool started;
static bool idle; /* nobody is watched, and the thread waits to be told */

#ifdef COUNTS_BYTES
static bool has_flooded(int descriptor) {
    struct tcp_info told;
    socklen_t size = sizeof told;
    memset(&told, 0, sizeof told);
    return getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &told, &size) == 0 &&
           told.tcpi_bytes_received > MOST_RECEIVED;
}
#else
static bool has_flooded(int descriptor) {
    (void)descriptor;
    return false;
}
#endif

static void look_at(int descriptor, double now) {
    int mark = 0;
    socklen_t size = sizeof mark;
    if (getsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &mark, &size) != 0) {
        return;
    }
    for (const guarded *watched = head; watched != NULL; watched = watched->next) {
        if (watched->mark == mark && (watched->moment <= now || has_flooded(descriptor))) {
            (void)shutdown(descriptor, SHUT_RDWR);
        }
    }
}

static void look_at_all(double now) {
    DIR *directory = opendir("/proc/self/fd");
    const struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        char *end = NULL;
        long descriptor = strtol(entry->d_name, &end, 10);
        if (end != entry->d_name && *end == '\0') {
            look_at((int)descriptor, now);
        }
    }
    if (directory != NULL) {
        (void)closedir(directory);
    }
}

static bool has_old(double now) {
    const guarded *watched = head;
    while (watched != NULL && watched->since > now - TICK_SECONDS) {
        watched = watched->next;
    }
    return watched != NULL;
}

static void wait_for_tick(void) {
    double moment = clock_now() + TICK_SECONDS;
    struct timespec until = {.tv_sec = (time_t)moment};
    until.tv_nsec = (long)((moment - (double)until.tv_sec) * 1e9);
    (void)pthread_cond_timedwait(&changed, &lock, &until);
}

static void *watch(void *argument) {
    (void)argument;
    (void)pthread_mutex_lock(&lock);
    for (;;) {
        idle = head == NULL;
        if (idle) {
            (void)pthread_cond_wait(&changed, &lock);
        } else {
            wait_for_tick();
        }
        double now = clock_now();
        if (has_old(now)) {
            look_at_all(now);
        }
    }
    return NULL;
}

static bool start(void) {
    pthread_condattr_t monotonic;
    pthread_t thread;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC); /* clock_now's */
    (void)pthread_cond_init(&changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    bool made = thread_start(&thread, watch, NULL);
    if (made) {
        (void)pthread_detach(thread);
    } else {
        (void)pthread_cond_destroy(&changed);
    }
    return made;
}

bool guard_enter(guarded *watched) {
    (void)pthread_mutex_lock(&lock);
    started = started || start();
    bool entered = started;
    if (entered) {
        watched->next = head;
        head = watched;
        watched->since = clock_now();
        if (idle) {
            (void)pthread_cond_signal(&changed);
        }
    }
    (void)pthread_mutex_unlock(&lock);
    return entered;
}

void guard_leave(guarded *watched) {
    (void)pthread_mutex_lock(&lock);
    guarded **link = &head;
    while (*link != NULL && *link != watched) {
        link = &(*link)->next;
    }
    if (*link != NULL) {
        *link = watched->next;
    }
    (void)pthread_mutex_unlock(&lock);
}

#else

bool guard_enter(guarded *watched) {
    (void)watched;
    return true;
}

void guard_leave(guarded *watched) {
    (void)watched;
}

#endif

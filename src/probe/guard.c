#include "guard.h"

#include <dirent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "clock.h"

int guard_mark(int milliseconds) {
    static atomic_uint marks;
    return milliseconds + (int)(atomic_fetch_add(&marks, 1) % 1000000);
}

#ifdef TCP_USER_TIMEOUT

/* A connection that is still there after it was cut may have been made since. */
static const double AGAIN_SECONDS = 0.25;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static guarded *head;
static bool started;
static double next_moment; /* that the thread waits for */

static void cut_if_marked(int descriptor, int mark) {
    unsigned timeout = 0;
    socklen_t size = sizeof timeout;
    if (getsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, &size) == 0 &&
        timeout == (unsigned)mark) {
        (void)shutdown(descriptor, SHUT_RDWR);
    }
}

static void cut(int mark) {
    DIR *directory = opendir("/proc/self/fd");
    const struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        char *end = NULL;
        long descriptor = strtol(entry->d_name, &end, 10);
        if (end != entry->d_name && *end == '\0') {
            cut_if_marked((int)descriptor, mark);
        }
    }
    if (directory != NULL) {
        (void)closedir(directory);
    }
}

/* Until somebody comes whose moment is earlier, or the next moment. */
static void wait_for_next(void) {
    if (next_moment > 1e12) {
        (void)pthread_cond_wait(&changed, &lock);
        return;
    }
    struct timespec until = {.tv_sec = (time_t)next_moment};
    until.tv_nsec = (long)((next_moment - (double)until.tv_sec) * 1e9);
    (void)pthread_cond_timedwait(&changed, &lock, &until);
}

static void *watch(void *argument) {
    (void)argument;
    (void)pthread_mutex_lock(&lock);
    for (;;) {
        double now = clock_now();
        next_moment = 1e300;
        for (guarded *watched = head; watched != NULL; watched = watched->next) {
            if (watched->moment <= now) {
                cut(watched->mark);
                watched->moment = now + AGAIN_SECONDS;
            }
            next_moment = watched->moment < next_moment ? watched->moment : next_moment;
        }
        wait_for_next();
    }
    return NULL;
}

static bool start(void) {
    sigset_t all, former;
    pthread_condattr_t monotonic;
    pthread_t thread;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC); /* clock_now's */
    (void)pthread_cond_init(&changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &former);
    bool made = pthread_create(&thread, NULL, watch, NULL) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &former, NULL);
    if (made) {
        (void)pthread_detach(thread);
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
        if (watched->moment < next_moment) {
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

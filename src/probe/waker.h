#ifndef TCPKI_PROBE_WAKER_H
#define TCPKI_PROBE_WAKER_H

#include <stdbool.h>

/*
** An event that stays: one thread wakes, any number of polls see it. A pipe rather than a condition
** variable, because it is waited for beside sockets, and by the monotonic clock on every system.
*/
typedef struct waker {
    int ends[2]; /* read, write; -1 while closed */
} waker;

#define WAKER_CLOSED \
    {                \
        { -1, -1 }   \
    }

bool waker_open(waker *event);
void waker_close(waker *event);
void waker_wake(const waker *event);
bool waker_wait(const waker *event, double seconds);

#endif

#ifndef TCPKI_PROBE_CLOCK_H
#define TCPKI_PROBE_CLOCK_H

#include <time.h>

/* Seconds on a clock that nobody sets, from an arbitrary start. */
static inline double clock_now(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* What poll wants: at least one millisecond while time is left, so that no wait spins. */
static inline int clock_milliseconds_until(double deadline) {
    double left = (deadline - clock_now()) * 1000;
    if (left <= 0) {
        return 0;
    }
    return left >= 1e9 ? 1000000000 : (int)left + 1;
}

#endif

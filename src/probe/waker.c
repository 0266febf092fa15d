#include "waker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "clock.h"

bool waker_open(waker *event) {
    if (pipe(event->ends) != 0) {
        event->ends[0] = event->ends[1] = -1;
        return false;
    }
    for (int i = 0; i < 2; i++) {
        (void)fcntl(event->ends[i], F_SETFD, FD_CLOEXEC);
        (void)fcntl(event->ends[i], F_SETFL, O_NONBLOCK);
    }
    return true;
}

void waker_close(waker *event) {
    for (int i = 0; i < 2; i++) {
        if (event->ends[i] >= 0) {
            (void)close(event->ends[i]);
            event->ends[i] = -1;
        }
    }
}

void waker_wake(const waker *event) {
    while (write(event->ends[1], "", 1) < 0 && errno == EINTR) {}
}

bool waker_wait(const waker *event, double seconds) {
    double deadline = clock_now() + seconds;
    struct pollfd waited = {.fd = event->ends[0], .events = POLLIN};
    for (;;) {
        int ready = poll(&waited, 1, clock_milliseconds_until(deadline));
        if (ready > 0) {
            return true;
        }
        if (ready == 0 || errno != EINTR) {
            return false;
        }
    }
}

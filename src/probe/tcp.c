#include "tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"

tcp_wait tcp_wait_for(int socket, short events, double deadline, const waker *cancel) {
    struct pollfd waited[2] = {
        {.fd = socket, .events = events},
        {.fd = cancel->ends[0], .events = POLLIN},
    };
    for (;;) {
        int ready = poll(waited, 2, clock_milliseconds_until(deadline));
        if (ready > 0) {
            return waited[1].revents != 0 ? TCP_CANCELLED : TCP_READY;
        }
        if (ready == 0 || errno != EINTR) {
            return TCP_TIMEOUT;
        }
    }
}

static int finish_connecting(int descriptor, double deadline, const waker *cancel) {
    switch (tcp_wait_for(descriptor, POLLOUT, deadline, cancel)) {
    case TCP_TIMEOUT:
        return ETIMEDOUT;
    case TCP_CANCELLED:
        return ECANCELED;
    default:
        break;
    }
    int error = 0;
    socklen_t size = sizeof error;
    return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

static int open_socket(const struct addrinfo *where, int *error) {
    int descriptor = socket(where->ai_family, where->ai_socktype, where->ai_protocol);
    if (descriptor < 0) {
        *error = errno;
        return -1;
    }
    int on = 1;
    (void)fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    (void)fcntl(descriptor, F_SETFL, O_NONBLOCK);
    (void)setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return descriptor;
}

int tcp_connect(const char *address, int port, double deadline, const waker *cancel, int *error) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *where = NULL;
    char service[16];
    (void)snprintf(service, sizeof service, "%d", port);
    if (getaddrinfo(address, service, &hints, &where) != 0) {
        *error = EINVAL;
        return -1;
    }
    int descriptor = open_socket(where, error);
    if (descriptor >= 0) {
        *error = connect(descriptor, where->ai_addr, where->ai_addrlen) == 0 ? 0 : errno;
        if (*error == EINPROGRESS || *error == EINTR) {
            *error = finish_connecting(descriptor, deadline, cancel);
        }
        if (*error != 0) {
            (void)close(descriptor);
            descriptor = -1;
        }
    }
    freeaddrinfo(where);
    return descriptor;
}

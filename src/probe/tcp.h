#ifndef TCPKI_PROBE_TCP_H
#define TCPKI_PROBE_TCP_H

#include "waker.h"

typedef enum tcp_wait { TCP_TIMEOUT, TCP_READY, TCP_CANCELLED } tcp_wait;

/* Until the socket has the poll events, the deadline of clock_now passes, or somebody cancels. */
tcp_wait tcp_wait_for(int socket, short events, double deadline, const waker *cancel);

/* A non-blocking socket, connected to a numeric address. On failure -1, and *error is an errno:
** ETIMEDOUT at the deadline, ECANCELED when cancelled. */
int tcp_connect(const char *address, int port, double deadline, const waker *cancel, int *error);

#endif

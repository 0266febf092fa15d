#ifndef TCPKI_PROBE_CONVERSATION_H
#define TCPKI_PROBE_CONVERSATION_H

#include "record.h"
#include "tcp.h"

/*
** What is said on one connection, from the ClientHello to the server's first words. It reads before
** it writes: over TLS 1.3 the server judges the client's certificate after the client has finished,
** and who then writes first may lose the alert to a reset (RFC 8446 4.4.2.4; golang/go#28779).
**
** It knows of no socket: the bytes come and go through the BIO of the connection, and `wait` says
** when to try again, so that recorded bytes can be played to it as well.
*/
typedef struct conversation {
    SSL *connection;
    record *seen;
    const char *server_name;
    double deadline;    /* of clock_now */
    double tls_seconds; /* of that, each stage may take so much; 0: all of it */
    double settings_seconds;
    bool ask_http; /* once the server has spoken HTTP/2, ask it something, and keep its answer */
    tcp_wait (*wait)(void *argument, short events, double until);
    void *argument;
} conversation;

/* Holds it, and fills the record. */
void conversation_hold(conversation *with);

#endif

#ifndef TCPKI_PROBE_GUARD_H
#define TCPKI_PROBE_GUARD_H

#include <stdbool.h>

/*
** Cuts connections of gRPC core when their time is up, or when a flood comes over them. gRPC core
** reads and answers HTTP/2 in the thread that waits for its queue, and that thread does not come
** back from its wait, whatever the deadline, for as long as the server sends more PINGs, SETTINGS
** or RST_STREAMs, or while it sends and does not read (1.51: ExecCtx::Flush goes on while there is
** work; a batch waits for the write under way). Meanwhile it keeps more and more of what it reads:
** 285 MB in two seconds.
**
** gRPC core keeps its sockets to itself, but sets TCP_USER_TIMEOUT as we tell it to (A18 of its
** proposals), and so a number that no other channel has finds the one that is ours. That is Linux;
** elsewhere we know no way, and this does nothing.
**
** One thread watches over all of them. It starts with the first one, and stays.
*/
typedef struct guarded {
    struct guarded *next;
    double moment; /* of clock_now */
    double since;  /* likewise; filled by guard_enter */
    int mark;      /* the TCP_USER_TIMEOUT of its socket, in milliseconds */
} guarded;

/* A mark that no other channel has. */
int guard_mark(void);

/* From its moment on, the socket is shut down. False: no thread could be started. */
bool guard_enter(guarded *watched);
void guard_leave(guarded *watched);

#endif

#ifndef TCPKI_PROBE_ERRAND_H
#define TCPKI_PROBE_ERRAND_H

#include "temporal.h"
#include "waker.h"

/*
** One step of a client on a thread of its own, so that several clients can be waited for at once:
** a wait for the connection, or one RPC. The channel must outlive it, and is used by nobody else
** meanwhile. The thread knows nothing of Lua.
*/
typedef struct errand errand;

/* NULL: out of memory, threads or descriptors. */
errand *errand_wait(rpc_channel *channel, double seconds);
/* Copies the subject. */
errand *errand_ask(rpc_channel *channel, temporal_method method, const char *subject,
                   double seconds);

/* Awake once it is over. */
const waker *errand_done(const errand *running);
bool errand_is_question(const errand *running);
/* Of one that is over: how the wait ended; the answer, or NULL where memory ran out. */
rpc_state errand_state(const errand *over);
const temporal_answer *errand_answer(const errand *over);

/* Ends it and frees it. A wait ends at once; an RPC comes back by its deadline at the latest. */
void errand_end(errand *running);

#endif

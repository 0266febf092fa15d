#ifndef TCPKI_PROBE_CHANNEL_H
#define TCPKI_PROBE_CHANNEL_H

#include <grpc/grpc.h>

#include "rpc.h"

/*
** A channel of gRPC core with its queue, that gets away from a server which does not let go. gRPC
** core reads and answers HTTP/2 in the thread that waits for the queue, and that thread does not
** come back from its wait, whatever the deadline, for as long as the server sends more PINGs,
** SETTINGS or RST_STREAMs, or while it sends and does not read (1.51: ExecCtx::Flush goes on while
** there is work; a batch waits for the write under way). So a thread of ours shuts the socket down
** when all the time is up, on Linux; elsewhere we know no way.
*/

/* NULL: out of memory, threads or descriptors. */
rpc_channel *channel_open(const rpc_options *options);
void channel_close(rpc_channel *channel);

grpc_completion_queue *channel_queue(const rpc_channel *channel);
grpc_channel *channel_of(const rpc_channel *channel);

#endif

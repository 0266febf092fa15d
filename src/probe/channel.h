#ifndef TCPKI_PROBE_CHANNEL_H
#define TCPKI_PROBE_CHANNEL_H

#include <grpc/grpc.h>

#include "rpc.h"

/* A channel of gRPC core with its queue, whose connection ends with the time of the options: guard.h. */

/* NULL: out of memory or threads. */
rpc_channel *channel_open(const rpc_options *options);
void channel_close(rpc_channel *channel);

grpc_completion_queue *channel_queue(const rpc_channel *channel);
grpc_channel *channel_of(const rpc_channel *channel);

#endif

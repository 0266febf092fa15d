#ifndef TCPKI_PROBE_CHANNEL_H
#define TCPKI_PROBE_CHANNEL_H

#include <grpc/grpc.h>

#include "rpc.h"

/*
** What an rpc_channel is inside: a channel of gRPC core and its queue, whose connection ends with
** the time of its options (guard.h).
*/
grpc_completion_queue *channel_queue(const rpc_channel *channel);
grpc_channel *channel_of(const rpc_channel *channel);

#endif

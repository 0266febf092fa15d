#include "rpc.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "clock.h"
#include "compat.h"

enum { RPC_METADATA = 4 };

static gpr_timespec deadline_after(double seconds) {
    double bounded = seconds < 0 ? 0 : seconds > 1e6 ? 1e6 : seconds;
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                        gpr_time_from_micros((int64_t)(bounded * 1e6), GPR_TIMESPAN));
}

rpc_state rpc_wait(rpc_channel *channel, double seconds) {
    gpr_timespec deadline = deadline_after(seconds);
    for (;;) {
        grpc_connectivity_state state =
            grpc_channel_check_connectivity_state(channel_of(channel), 1);
        if (state == GRPC_CHANNEL_READY) {
            return RPC_READY;
        }
        if (state == GRPC_CHANNEL_TRANSIENT_FAILURE || state == GRPC_CHANNEL_SHUTDOWN) {
            return RPC_FAILED;
        }
        /* A watch ends by its deadline at the latest, so the queue is empty when this returns. */
        grpc_channel_watch_connectivity_state(channel_of(channel), state, deadline,
                                              channel_queue(channel), channel);
        grpc_event event = grpc_completion_queue_next(channel_queue(channel),
                                                      gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        if (!event.success) {
            return RPC_CONNECTING;
        }
    }
}

static bool bytes_copy(rpc_bytes *bytes, const void *data, size_t length) {
    bytes->data = malloc(length + 1);
    if (bytes->data == NULL) {
        return false;
    }
    if (length > 0) {
        memcpy(bytes->data, data, length);
    }
    bytes->data[length] = '\0';
    bytes->length = length;
    return true;
}

static bool bytes_copy_slice(rpc_bytes *bytes, grpc_slice slice) {
    return bytes_copy(bytes, GRPC_SLICE_START_PTR(slice), GRPC_SLICE_LENGTH(slice));
}

static bool bytes_copy_buffer(rpc_bytes *bytes, grpc_byte_buffer *buffer) {
    grpc_byte_buffer_reader reader;
    if (!grpc_byte_buffer_reader_init(&reader, buffer)) {
        return true;
    }
    grpc_slice all = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    bool copied = bytes_copy_slice(bytes, all);
    grpc_slice_unref(all);
    return copied;
}

static bool find_details(rpc_bytes *bytes, const grpc_metadata_array *trailer) {
    for (size_t i = 0; i < trailer->count; i++) {
        if (grpc_slice_str_cmp(trailer->metadata[i].key, "grpc-status-details-bin") == 0) {
            return bytes_copy_slice(bytes, trailer->metadata[i].value);
        }
    }
    return true;
}

static const grpc_auth_property *find_property(const grpc_auth_context *context, const char *name) {
    grpc_auth_property_iterator found = grpc_auth_context_find_properties_by_name(context, name);
    return grpc_auth_property_iterator_next(&found);
}

static bool describe_peer(rpc_reply *reply, grpc_call *call) {
    bool copied = true;
    char *peer = grpc_call_get_peer(call);
    if (peer != NULL) {
        copied = bytes_copy(&reply->peer, peer, strlen(peer));
        gpr_free(peer);
    }
    grpc_auth_context *context = grpc_call_auth_context(call);
    if (context != NULL) {
        const grpc_auth_property *chain =
            find_property(context, GRPC_X509_PEM_CERT_CHAIN_PROPERTY_NAME);
        const grpc_auth_property *resumed =
            find_property(context, GRPC_SSL_SESSION_REUSED_PROPERTY);
        reply->session_resumed = resumed != NULL && strcmp(resumed->value, "true") == 0;
        if (copied && chain != NULL) {
            copied = bytes_copy(&reply->chain, chain->value, chain->value_length);
        }
        grpc_auth_context_release(context);
    }
    return copied;
}

/*
** What gRPC core's transport says in the place of a peer that did not answer, on a connection that
** stood: chttp2_transport.cc, http_client_filter.cc, tcp_posix.cc.
*/
static bool is_of_transport(const char *message) {
    static const char *const texts[] = {
        "Deadline Exceeded",
        "Received http2 header with status",
        "Received RST_STREAM",
        "GOAWAY",
        "Stream removed",
        "Stream refused",
        "Transport closed",
        "Transport destroyed",
        "Socket closed",
        "FD shutdown",
        "Endpoint read failed",
        "endpoint shutdown",
        "Connection reset",
        "Broken pipe",
        "Failed parsing HTTP",
        "keepalive",
        "ping timeout",
        "No status received",
        "metadata size exceeds",
        "overflows local window",
        "overflows current window",
        "larger than max",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (strstr(message, texts[i]) != NULL) {
            return true;
        }
    }
    return false;
}

/*
** Whether the peer itself sent the status. gRPC core makes statuses of its own for a lost
** connection, a deadline or a broken answer. Without a connection its error string tells them
** apart; on one that stood it says "received from peer" of them as well, and only the message is
** left. Where in doubt it is no answer: an answer is a proof.
*/
static bool is_answer(grpc_status_code code, const char *error, const char *message) {
    switch (code) {
    case GRPC_STATUS_OK:
        return true;
    case GRPC_STATUS_UNAVAILABLE:
    case GRPC_STATUS_DEADLINE_EXCEEDED:
    case GRPC_STATUS_CANCELLED:
    case GRPC_STATUS_INTERNAL:
    case GRPC_STATUS_UNKNOWN:
    case GRPC_STATUS_RESOURCE_EXHAUSTED:
    case GRPC_STATUS_UNIMPLEMENTED:
    case GRPC_STATUS_UNAUTHENTICATED:
    case GRPC_STATUS_PERMISSION_DENIED:
        /* The last four: it makes them of HTTP statuses, of a proxy as well as of a peer. */
        return error != NULL && strstr(error, "rror received from peer") != NULL &&
               !is_of_transport(message);
    default:
        return true;
    }
}

bool rpc_call(rpc_channel *channel, const char *method, const void *request, size_t length,
              const rpc_metadata *metadata, size_t metadata_count, double seconds,
              rpc_reply *reply) {
    memset(reply, 0, sizeof *reply);
    grpc_metadata headers[RPC_METADATA] = {0};
    for (size_t i = 0; i < metadata_count && i < RPC_METADATA; i++) {
        headers[i].key = grpc_slice_from_static_string(metadata[i].key);
        headers[i].value = grpc_slice_from_copied_string(metadata[i].value);
    }
    grpc_slice sent = grpc_slice_from_copied_buffer(request, length);
    grpc_byte_buffer *body = grpc_raw_byte_buffer_create(&sent, 1);
    grpc_slice_unref(sent);

    grpc_metadata_array header, trailer;
    grpc_metadata_array_init(&header);
    grpc_metadata_array_init(&trailer);
    grpc_byte_buffer *answer = NULL;
    grpc_status_code code = GRPC_STATUS_UNKNOWN;
    grpc_slice message = grpc_empty_slice();
    const char *error = NULL;

    grpc_op operations[6] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA,
         .data.send_initial_metadata = {.count = metadata_count, .metadata = headers}},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = body},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA,
         .data.recv_initial_metadata.recv_initial_metadata = &header},
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &answer},
        {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
         .data.recv_status_on_client = {.trailing_metadata = &trailer,
                                        .status = &code,
                                        .status_details = &message,
                                        .error_string = &error}},
    };

    double start = clock_now();
    grpc_call *call = grpc_channel_create_call(
        channel_of(channel), NULL, GRPC_PROPAGATE_DEFAULTS, channel_queue(channel),
        grpc_slice_from_static_string(method), NULL, deadline_after(seconds), NULL);
    if (grpc_call_start_batch(call, operations, 6, call, NULL) == GRPC_CALL_OK) {
        /* Ends by the deadline of the call, or when the guard cuts the connection. */
        (void)grpc_completion_queue_next(channel_queue(channel),
                                         gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    } else {
        message = grpc_slice_from_static_string("gRPC core cannot send these headers");
    }
    reply->seconds = clock_now() - start;
    reply->code = (int)code;
    bool copied =
        bytes_copy_slice(&reply->message, message) && find_details(&reply->details, &trailer) &&
        (answer == NULL || bytes_copy_buffer(&reply->body, answer)) && describe_peer(reply, call);

    grpc_call_unref(call);
    grpc_slice_unref(message);
    grpc_byte_buffer_destroy(answer);
    grpc_byte_buffer_destroy(body);
    grpc_metadata_array_destroy(&header);
    grpc_metadata_array_destroy(&trailer);
    for (size_t i = 0; i < metadata_count && i < RPC_METADATA; i++) {
        grpc_slice_unref(headers[i].value);
    }
    if (copied) {
        reply->answered = is_answer(code, error, (const char *)reply->message.data);
    } else {
        rpc_reply_free(reply);
    }
    gpr_free((void *)error);
    return copied;
}

void rpc_reply_free(rpc_reply *reply) {
    free(reply->message.data);
    free(reply->details.data);
    free(reply->body.data);
    free(reply->peer.data);
    free(reply->chain.data);
    memset(reply, 0, sizeof *reply);
}

#include "exchange.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/slice.h>
#include <string.h>

void exchange_accept(const exchange_context *context, exchange *serving) {
    grpc_call_details_init(&serving->details);
    grpc_metadata_array_init(&serving->metadata);
    serving->step = STEP_ACCEPT;
    if (grpc_server_request_call(context->server, &serving->call, &serving->details,
                                 &serving->metadata, context->queue, context->queue,
                                 serving) != GRPC_CALL_OK) {
        grpc_call_details_destroy(&serving->details);
        grpc_metadata_array_destroy(&serving->metadata);
        serving->step = STEP_IDLE;
    }
}

static void exchange_finish(exchange *serving) {
    if (serving->call != NULL) {
        grpc_call_unref(serving->call);
    }
    grpc_byte_buffer_destroy(serving->request);
    grpc_byte_buffer_destroy(serving->response);
    answers_free(&serving->reply);
    grpc_call_details_destroy(&serving->details);
    grpc_metadata_array_destroy(&serving->metadata);
    memset(serving, 0, sizeof *serving);
}

static bool exchange_read(exchange *serving) {
    grpc_op read = {.op = GRPC_OP_RECV_MESSAGE,
                    .data.recv_message.recv_message = &serving->request};
    serving->step = STEP_READ;
    return grpc_call_start_batch(serving->call, &read, 1, serving, NULL) == GRPC_CALL_OK;
}

static void prepare_reply(const exchange_context *context, exchange *serving) {
    grpc_slice body = grpc_empty_slice();
    grpc_byte_buffer_reader reader;
    if (serving->request != NULL && grpc_byte_buffer_reader_init(&reader, serving->request)) {
        body = grpc_byte_buffer_reader_readall(&reader);
        grpc_byte_buffer_reader_destroy(&reader);
    }
    const grpc_slice *method = &serving->details.method;
    gate_peer peer = gate_judge(context->gate, serving->call);
    answers_to(&context->known, &peer, (const char *)GRPC_SLICE_START_PTR(*method),
               GRPC_SLICE_LENGTH(*method), GRPC_SLICE_START_PTR(body), GRPC_SLICE_LENGTH(body),
               &serving->reply);
    gate_forget(&peer);
    grpc_slice_unref(body);
    if (serving->reply.body != NULL) {
        grpc_slice slice = grpc_slice_from_copied_buffer((const char *)serving->reply.body,
                                                         serving->reply.body_length);
        serving->response = grpc_raw_byte_buffer_create(&slice, 1);
        grpc_slice_unref(slice);
    }
}

static bool exchange_reply(const exchange_context *context, exchange *serving) {
    prepare_reply(context, serving);
    const answers_reply *reply = &serving->reply;
    grpc_slice message = grpc_slice_from_copied_string(reply->message);
    grpc_metadata details = {0};
    if (reply->details != NULL) {
        details.key = grpc_slice_from_static_string("grpc-status-details-bin");
        details.value =
            grpc_slice_from_copied_buffer((const char *)reply->details, reply->details_length);
    }
    grpc_op operations[4] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_SEND_STATUS_FROM_SERVER,
         .data.send_status_from_server = {.trailing_metadata_count = reply->details != NULL,
                                          .trailing_metadata = &details,
                                          .status = (grpc_status_code)reply->code,
                                          .status_details = &message}},
        {.op = GRPC_OP_RECV_CLOSE_ON_SERVER,
         .data.recv_close_on_server.cancelled = &serving->cancelled},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = serving->response},
    };
    serving->step = STEP_REPLY;
    bool sent = grpc_call_start_batch(serving->call, operations, serving->response != NULL ? 4 : 3,
                                      serving, NULL) == GRPC_CALL_OK;
    grpc_slice_unref(message);
    if (reply->details != NULL) {
        grpc_slice_unref(details.value);
    }
    return sent;
}

void exchange_go_on(const exchange_context *context, exchange *serving, bool succeeded) {
    bool going = false;
    if (serving->step == STEP_ACCEPT && !succeeded) {
        exchange_finish(serving); /* the server shuts down */
        return;
    }
    if (succeeded && serving->step == STEP_ACCEPT) {
        going = exchange_read(serving);
    } else if (succeeded && serving->step == STEP_READ) {
        going = exchange_reply(context, serving);
    }
    if (!going) {
        exchange_finish(serving);
        exchange_accept(context, serving);
    }
}

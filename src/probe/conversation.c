#include "conversation.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <string.h>

#include "clock.h"
#include "http.h"

/* How the other side ended it, as far as the error of a read tells. */
static record_end failure_of(record *seen, int reason, int error) {
    unsigned long code = ERR_peek_error();
    record_openssl(seen);
    if (record_was_alerted(seen)) {
        seen->by = RECORD_BY_ALERT;
        return RECORD_ALERTED;
    }
    if (seen->flooded) {
        return RECORD_FLOOD;
    }
    if (reason == SSL_ERROR_ZERO_RETURN) {
        seen->by = RECORD_BY_CLOSE_NOTIFY;
        return RECORD_CLOSED;
    }
    if (ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        /* OpenSSL 3 answers a FIN with a decode_error of its own, which says nothing. */
        if (seen->alert_count > 0 && seen->alerts[seen->alert_count - 1].sent) {
            seen->alert_count--;
        }
        seen->by = RECORD_BY_FIN;
        return RECORD_CLOSED;
    }
    if (reason == SSL_ERROR_SYSCALL) {
        seen->by = error == 0 ? RECORD_BY_FIN : RECORD_BY_RST;
        return error == 0 ? RECORD_CLOSED : RECORD_RESET;
    }
    return seen->verified && seen->verify_error != X509_V_OK ? RECORD_UNTRUSTED : RECORD_BROKEN;
}

/*
** Waits for what OpenSSL asked for. True: call it again; false: *end says why not. Until is the
** moment to return at in any case.
*/
static bool wait_for_tls(conversation *with, int result, double until, record_end *end) {
    int error = errno;
    int reason = SSL_get_error(with->connection, result);
    if (reason != SSL_ERROR_WANT_READ && reason != SSL_ERROR_WANT_WRITE) {
        *end = failure_of(with->seen, reason, error);
        return false;
    }
    if (record_is_flooded(with->seen)) {
        *end = RECORD_FLOOD;
        return false;
    }
    switch (with->wait(with->argument, reason == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, until)) {
    case TCP_READY:
        return true;
    case TCP_CANCELLED:
        *end = RECORD_CANCELLED;
        return false;
    default:
        with->seen->by = RECORD_BY_SILENCE;
        *end = RECORD_SILENT;
        return false;
    }
}

/* The moment by which a stage that begins now has to end. */
static double limit_of(const conversation *with, double now, double seconds) {
    return seconds > 0 && now + seconds < with->deadline ? now + seconds : with->deadline;
}

static bool shake_hands(conversation *with, record_end *end) {
    record *seen = with->seen;
    seen->stage = RECORD_TLS;
    double start = clock_now();
    double until = limit_of(with, start, with->tls_seconds);
    int result;
    do {
        ERR_clear_error();
        errno = 0;
        result = SSL_connect(with->connection);
    } while (result != 1 && wait_for_tls(with, result, until, end));
    /* Also of a handshake that failed: in TLS 1.2 the refusal comes before its end. */
    record_request(seen, with->connection);
    record_handshake(seen, with->connection, with->server_name);
    if (result == 1) {
        seen->tls_seconds = clock_now() - start;
    }
    return result == 1;
}

/* Reads once, as much as there is room for. False: *end says why. */
static bool read_some(conversation *with, unsigned char *bytes, size_t size, size_t *length,
                      double until, record_end *end) {
    for (;;) {
        ERR_clear_error();
        errno = 0;
        int result = SSL_read(with->connection, bytes, (int)size);
        if (result > 0) {
            *length = (size_t)result;
            return true;
        }
        if (!wait_for_tls(with, result, until, end)) {
            return false;
        }
    }
}

/* Reads until the server has said enough, or until the moment. */
static record_end read_until(conversation *with, double until) {
    record *seen = with->seen;
    record_end end = RECORD_SILENT;
    while (seen->answer_length < 9) { /* the header of a frame */
        size_t length = 0;
        if (!read_some(with, seen->answer_bytes + seen->answer_length,
                       sizeof seen->answer_bytes - seen->answer_length, &length, until, &end)) {
            return end;
        }
        seen->answer_length += length;
    }
    return http_is_settings(seen->answer_bytes, seen->answer_length) ? RECORD_SETTINGS
                                                                     : RECORD_DATA;
}

/* What cannot be written is no news: what the server said before it hung up can still be read. */
static void say(conversation *with, const void *bytes, size_t length) {
    ERR_clear_error();
    (void)SSL_write(with->connection, bytes, (int)length);
    ERR_clear_error();
}

/*
** A server is to send SETTINGS first (RFC 9113, 3.4), but one that waits for the client's preface
** (HAProxy, Envoy) is not broken, and no event tells it from one that is about to refuse. So the
** client waits for as long as a refusal takes: half a round trip and one verification, for which
** the connection and the handshake, both measured here, are more than enough. If it speaks too
** early all the same, little is lost: what it cannot write is no error of the connection's, and an
** alert that came before a reset can still be read (on Linux: 303 alerts of 303 early words).
*/
static double quiet_until(const conversation *with, double now, double limit) {
    const record *seen = with->seen;
    double moment = now + seen->connect_seconds + seen->tls_seconds;
    return moment < limit ? moment : limit;
}

/* What gRPC core looks at after the handshake: where it does not hold, it goes no further. */
static bool has_identity(const record *seen) {
    return seen->name_in != RECORD_NAME_NOWHERE && strcmp(seen->alpn, "h2") == 0;
}

static record_end await_answer(conversation *with) {
    record *seen = with->seen;
    seen->stage = RECORD_ANSWER;
    double start = clock_now();
    double limit = limit_of(with, start, with->settings_seconds);
    record_end end = read_until(with, quiet_until(with, start, limit));
    if (end == RECORD_SILENT && seen->answer_length == 0 && clock_now() < limit) {
        seen->spoke_first = true;
        seen->by = RECORD_BY_US;
        say(with, http_preface, http_preface_length);
        end = read_until(with, limit);
    }
    if (end == RECORD_SILENT && seen->answer_length > 0) {
        end = RECORD_DATA;
    }
    seen->answer_seconds = clock_now() - start;
    return end;
}

/* Asks what gRPC core asked, for the status and the text that it does not tell of the answer. */
static void ask_http(conversation *with) {
    record *seen = with->seen;
    record_by by = seen->by; /* the connection has ended as it has: this is an epilogue */
    unsigned char request[HTTP_REQUEST];
    size_t length = http_request(request, sizeof request, with->server_name);
    if (length == 0) {
        return;
    }
    if (!seen->spoke_first) {
        say(with, http_preface, http_preface_length);
    }
    say(with, request, length);
    http_reader reader = {.answer = &seen->http};
    http_read(&reader, seen->answer_bytes, seen->answer_length);
    record_end end = RECORD_SETTINGS;
    unsigned char bytes[4096];
    while (!reader.ended && read_some(with, bytes, sizeof bytes, &length, with->deadline, &end)) {
        http_read(&reader, bytes, length);
    }
    seen->by = by;
}

void conversation_hold(conversation *with) {
    record *seen = with->seen;
    double start = clock_now();
    if (shake_hands(with, &seen->end)) {
        start = clock_now();
        seen->end = has_identity(seen) ? await_answer(with) : RECORD_STRANGER;
    }
    seen->ended_seconds = clock_now() - start;
    if (seen->end == RECORD_DATA) {
        seen->http.status = http_plain_status(seen->answer_bytes, seen->answer_length);
    } else if (seen->end == RECORD_SETTINGS && with->ask_http) {
        ask_http(with);
    }
}

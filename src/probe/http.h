#ifndef TCPKI_PROBE_HTTP_H
#define TCPKI_PROBE_HTTP_H

#include <stdbool.h>
#include <stddef.h>

/*
** As much of HTTP/2 (RFC 9113) as it takes to hear why a server refuses in HTTP what it let pass in
** TLS: one request, and of what comes back the status and the beginning of the body. nginx does
** that ("400 No required SSL certificate was sent"), and gRPC core keeps the number alone.
*/

enum { HTTP_BODY = 1024, HTTP_REQUEST = 1024 };

typedef struct http_answer {
    int status; /* 0: none came */
    size_t body_length;
    char body[HTTP_BODY];
} http_answer;

typedef struct http_reader {
    http_answer *answer;
    bool ended; /* nothing more will come for the request */
    size_t header_length;
    unsigned char header[9]; /* of the frame at hand */
    size_t seen;             /* bytes of its payload */
    size_t block_length;
    unsigned char block[64]; /* the beginning of a header block */
} http_reader;

/* The client's preface with an empty SETTINGS frame. */
extern const unsigned char http_preface[];
extern const size_t http_preface_length;

/* A request for GetSystemInfo with an empty message; its length, or 0 if there is no room. */
size_t http_request(unsigned char *bytes, size_t size, const char *authority);

/* Takes bytes of the server in the order in which they come, from its first one on. */
void http_read(http_reader *reader, const unsigned char *bytes, size_t length);

/* Whether bytes start with a SETTINGS frame, as a server's have to: RFC 9113, 3.4 and 6.5. */
bool http_is_settings(const unsigned char *bytes, size_t length);

/* The status of bytes that are HTTP/1 all the same, or 0. */
int http_plain_status(const unsigned char *bytes, size_t length);

#endif

#ifndef TCPKI_PROBE_RECORD_H
#define TCPKI_PROBE_RECORD_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#include "http.h"

/*
** What one TLS connection showed: the evidence that the diagnosis reads. Everything in it is
** bounded, because the other side chooses most of it.
*/

enum {
    RECORD_ALERTS = 8,
    RECORD_NAMES = 64,
    RECORD_NAME_SIZE = 512,
    RECORD_BYTES = 32,
    RECORD_TEXT = 256,
    RECORD_SCHEMES = 64,
};

typedef enum record_stage { RECORD_CONNECT, RECORD_TLS, RECORD_ANSWER } record_stage;

typedef enum record_end {
    RECORD_LOCAL,     /* our own OpenSSL refused the certificate, the key or the roots */
    RECORD_UNREACHED, /* no TCP connection: system_error says why */
    RECORD_UNTRUSTED, /* we refused the server's certificate */
    RECORD_STRANGER,  /* it bears another name, or agreed on no HTTP/2: gRPC core goes no further */
    RECORD_ALERTED,   /* the server sent a fatal alert */
    RECORD_BROKEN,    /* what came was not TLS as we speak it: openssl says why */
    RECORD_CLOSED,    /* close_notify or FIN */
    RECORD_RESET,
    RECORD_SILENT, /* nothing more until time was up */
    RECORD_SETTINGS,
    RECORD_DATA,  /* application data that is not HTTP/2 */
    RECORD_FLOOD, /* more handshake messages than any honest server sends */
    RECORD_CANCELLED,
} record_end;

/* Who ended the connection, and how. */
typedef enum record_by {
    RECORD_BY_US,
    RECORD_BY_ALERT,
    RECORD_BY_CLOSE_NOTIFY,
    RECORD_BY_FIN,
    RECORD_BY_RST,
    RECORD_BY_SILENCE,
} record_by;

/* Where in the server's certificate its name was found: gRPC core still takes a common name. */
typedef enum record_name_in {
    RECORD_NAME_NOWHERE,
    RECORD_NAME_IN_SAN,
    RECORD_NAME_IN_COMMON_NAME,
} record_name_in;

typedef struct record_alert {
    bool sent; /* by us */
    unsigned char level;
    unsigned char number;
    record_stage stage;
} record_alert;

typedef struct record {
    record_stage stage; /* the last one entered */
    record_end end;
    record_by by;
    int system_error;
    double connect_seconds; /* each: how long the stage took, negative while not completed */
    double tls_seconds;
    double answer_seconds;
    double total_seconds;
    double ended_seconds; /* since TLS was done, or since the connection stood */

    char server_name[RECORD_TEXT]; /* as it was sent */
    char version[16];
    char cipher[64];
    char group[32];
    char alpn[32];
    bool session_resumed;
    bool spoke_first; /* the server kept quiet, so we sent our HTTP/2 preface */

    bool verified;    /* the server's chain was judged */
    int verify_error; /* X509_V_OK is 0 */
    int verify_depth;
    char verify_message[RECORD_TEXT];
    char verify_subject[RECORD_TEXT];
    record_name_in name_in;
    char *chain; /* PEM, as the server sent it */

    bool certificate_requested;
    bool certificate_sent;
    char fingerprint[2 * 32 + 1]; /* SHA-256 of the leaf that was sent */
    bool issuer_listed; /* a certificate that we sent is, or is issued by, one of the names */
    size_t name_count;  /* of CA names in the request; the texts are bounded */
    char *names[RECORD_NAMES];
    size_t scheme_count; /* of signature algorithms in the request */
    unsigned short schemes[RECORD_SCHEMES];

    size_t alert_count;
    record_alert alerts[RECORD_ALERTS];
    size_t handshake_messages; /* received */
    size_t bytes;              /* received over TCP */
    bool flooded;
    size_t first_length;
    unsigned char first_bytes[RECORD_BYTES]; /* of the server, as they came over TCP */
    size_t answer_length;
    unsigned char answer_bytes[RECORD_BYTES]; /* of the server, decrypted */
    http_answer http;

    unsigned long openssl_code; /* the first in the queue */
    char openssl[RECORD_TEXT];
} record;

/* Sets the callbacks that fill the record from now on. */
void record_attach(record *seen, SSL_CTX *context, SSL *connection);
/* Whether the server sent a fatal alert. */
bool record_was_alerted(const record *seen);
/* Whether it sent more than any honest server does; from then on nothing more is read. */
bool record_is_flooded(record *seen);
/* What can be asked only once the handshake is over. */
void record_handshake(record *seen, SSL *connection, const char *server_name);
/* The CA names and the algorithms of the request, whether our chain reaches one, what we sent. */
void record_request(record *seen, SSL *connection);
/* Takes the first error of OpenSSL's queue, and empties the queue. */
void record_openssl(record *seen);
void record_free(record *seen);

#endif

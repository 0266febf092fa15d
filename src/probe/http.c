#include "http.h"

#include <string.h>

enum {
    FRAME_HEADER = 9,
    DATA = 0,
    HEADERS = 1,
    RST_STREAM = 3,
    SETTINGS = 4,
    END_STREAM = 0x1,
    PADDED = 0x8,
    PRIORITY = 0x20,
    STATUS_NAME = 8, /* the first of the static table's seven of ":status": RFC 7541, A */
};

const unsigned char http_preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                     "\0\0\0\4\0\0\0\0"; /* and the 0 that ends the string */
const size_t http_preface_length = sizeof http_preface;

/* ---- what is sent ---- */

typedef struct writer {
    unsigned char *bytes;
    size_t size;
    size_t length; /* past the size where there was no room */
} writer;

static void put(writer *to, const void *bytes, size_t length) {
    if (to->length <= to->size && length <= to->size - to->length) {
        memcpy(to->bytes + to->length, bytes, length);
        to->length += length;
    } else {
        to->length = to->size + 1;
    }
}

/* A literal field without indexing: RFC 7541, 6.2.2. More than 126 bytes need a prefix. */
static void put_string(writer *to, const char *text) {
    size_t length = strlen(text);
    unsigned char prefix[2] = {(unsigned char)length, 0};
    if (length >= 127) {
        prefix[0] = 127;
        prefix[1] = (unsigned char)(length - 127);
        if (length - 127 > 127) {
            to->length = to->size + 1;
            return;
        }
    }
    put(to, prefix, length >= 127 ? 2 : 1);
    put(to, text, length);
}

static void put_field(writer *to, const char *name, const char *value) {
    put(to, "\0", 1);
    put_string(to, name);
    put_string(to, value);
}

size_t http_request(unsigned char *bytes, size_t size, const char *authority) {
    writer to = {.bytes = bytes, .size = size};
    put(&to, "\0\0\0\1\4\0\0\0\1", FRAME_HEADER); /* HEADERS, END_HEADERS, stream 1 */
    put_field(&to, ":method", "POST");
    put_field(&to, ":scheme", "https");
    put_field(&to, ":path", "/temporal.api.workflowservice.v1.WorkflowService/GetSystemInfo");
    put_field(&to, ":authority", authority);
    put_field(&to, "content-type", "application/grpc");
    put_field(&to, "te", "trailers");
    size_t payload = to.length - FRAME_HEADER;
    put(&to, "\0\0\5\0\1\0\0\0\1\0\0\0\0\0", FRAME_HEADER + 5); /* DATA, END_STREAM: no bytes */
    if (to.length > size) {
        return 0;
    }
    bytes[1] = (unsigned char)(payload >> 8);
    bytes[2] = (unsigned char)payload;
    return to.length;
}

/* ---- what comes back ---- */

/* The digits' codes of HPACK's Huffman table: RFC 7541, B. */
static int huffman_digit(const unsigned char *bytes, size_t length, size_t *bit) {
    unsigned code = 0;
    for (unsigned count = 1; count <= 6 && *bit < length * 8; count++, (*bit)++) {
        code = code << 1 | ((unsigned)bytes[*bit / 8] >> (7 - *bit % 8) & 1U);
        if (count == 5 && code <= 2) {
            (*bit)++;
            return (int)code;
        }
        if (count == 6 && code >= 0x19 && code <= 0x1F) {
            (*bit)++;
            return (int)code - 0x19 + 3;
        }
    }
    return -1;
}

static int status_of_digits(const unsigned char *bytes, size_t length, bool huffman) {
    int status = 0;
    size_t bit = 0;
    for (size_t i = 0; i < 3; i++) {
        int digit = huffman                         ? huffman_digit(bytes, length, &bit)
                    : i < length && bytes[i] >= '0' ? bytes[i] - '0'
                                                    : -1;
        if (digit < 0 || digit > 9) {
            return 0;
        }
        status = status * 10 + digit;
    }
    return status;
}

/* The status stands first of all fields: RFC 9113, 8.3. */
static int status_of_block(const unsigned char *block, size_t length) {
    static const int known[] = {200, 204, 206, 304, 400, 404, 500};
    static const unsigned char spelt[] = "\7:status";
    size_t at = 0;
    while (at < length && (block[at] & 0xE0) == 0x20) {
        at++; /* a new size of the table; one that takes more bytes is nobody's first word */
    }
    if (at >= length) {
        return 0;
    }
    if (block[at] & 0x80) {
        size_t index = block[at] & 0x7FU;
        return index >= STATUS_NAME && index < STATUS_NAME + 7 ? known[index - STATUS_NAME] : 0;
    }
    size_t index = block[at] & ((block[at] & 0x40) ? 0x3FU : 0x0FU);
    at++;
    if (index == 0 && length - at >= sizeof spelt - 1 &&
        memcmp(block + at, spelt, sizeof spelt - 1) == 0) {
        at += sizeof spelt - 1;
    } else if (index < STATUS_NAME || index >= STATUS_NAME + 7) {
        return 0;
    }
    if (at >= length) {
        return 0;
    }
    size_t value = block[at] & 0x7FU;
    bool huffman = (block[at] & 0x80) != 0;
    at++;
    return value <= length - at ? status_of_digits(block + at, value, huffman) : 0;
}

static size_t payload_of(const unsigned char *header) {
    return (size_t)header[0] << 16 | (size_t)header[1] << 8 | header[2];
}

static unsigned long stream_of(const unsigned char *header) {
    return (unsigned long)(header[5] & 0x7F) << 24 | (unsigned long)header[6] << 16 |
           (unsigned long)header[7] << 8 | header[8];
}

bool http_is_settings(const unsigned char *bytes, size_t length) {
    return length >= FRAME_HEADER && bytes[3] == SETTINGS && stream_of(bytes) == 0 &&
           payload_of(bytes) % 6 == 0 && payload_of(bytes) <= 16384;
}

int http_plain_status(const unsigned char *bytes, size_t length) {
    bool plain = length >= 12 && memcmp(bytes, "HTTP/1.", 7) == 0 && bytes[8] == ' ';
    return plain ? status_of_digits(bytes + 9, 3, false) : 0;
}

static void take_headers(http_reader *reader) {
    unsigned char flags = reader->header[4];
    size_t skipped = ((flags & PADDED) ? 1U : 0U) + ((flags & PRIORITY) ? 5U : 0U);
    if (reader->answer->status == 0 && reader->block_length > skipped) {
        reader->answer->status =
            status_of_block(reader->block + skipped, reader->block_length - skipped);
    }
}

static void take_body(http_reader *reader, const unsigned char *bytes, size_t length) {
    http_answer *answer = reader->answer;
    size_t room = sizeof answer->body - answer->body_length;
    size_t kept = length < room ? length : room;
    memcpy(answer->body + answer->body_length, bytes, kept);
    answer->body_length += kept;
}

static void take_block(http_reader *reader, const unsigned char *bytes, size_t length) {
    size_t room = sizeof reader->block - reader->block_length;
    size_t kept = length < room ? length : room;
    memcpy(reader->block + reader->block_length, bytes, kept);
    reader->block_length += kept;
}

static void end_frame(http_reader *reader) {
    unsigned char kind = reader->header[3];
    bool ours = stream_of(reader->header) == 1;
    if (kind == HEADERS && ours) {
        take_headers(reader);
    }
    bool last = (kind == HEADERS || kind == DATA) && (reader->header[4] & END_STREAM) != 0;
    reader->ended = reader->ended || (ours && (last || kind == RST_STREAM));
    reader->header_length = reader->seen = reader->block_length = 0;
}

void http_read(http_reader *reader, const unsigned char *bytes, size_t length) {
    while (length > 0 && !reader->ended) {
        if (reader->header_length < FRAME_HEADER) {
            reader->header[reader->header_length++] = *bytes++;
            length--;
        } else {
            size_t left = payload_of(reader->header) - reader->seen;
            size_t taken = length < left ? length : left;
            bool ours = stream_of(reader->header) == 1;
            if (ours && reader->header[3] == DATA) {
                take_body(reader, bytes, taken);
            } else if (ours && reader->header[3] == HEADERS) {
                take_block(reader, bytes, taken);
            }
            reader->seen += taken;
            bytes += taken;
            length -= taken;
        }
        if (reader->header_length == FRAME_HEADER && reader->seen == payload_of(reader->header)) {
            end_frame(reader);
        }
    }
}

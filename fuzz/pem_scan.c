#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "pki/pem.h"

static bool is_within(const pki_view *whole, const pki_view *part) {
    return part->length == 0 ||
           (part->data >= whole->data && part->data + part->length <= whole->data + whole->length);
}

/* The headers give names and values that lie within them, in order, and come to an end. */
static void take_headers(pki_view text, pki_view headers) {
    pki_view name;
    pki_view value;
    REQUIRE(is_within(&text, &headers));
    pki_view before = headers;
    while (pki_pem_next_header(&headers, &name, &value)) {
        REQUIRE(headers.length < before.length);
        REQUIRE(is_within(&before, &name) && is_within(&before, &value));
        before = headers;
    }
}

/* Counted anew from the start of the text, by the bytes alone. */
typedef struct place {
    size_t at;
    long line;
    size_t line_begin;
} place;

static void count_to(place *here, const uint8_t *data, size_t size, size_t at) {
    if (at < here->at) {
        *here = (place){0, 1, 0};
    }
    for (;;) {
        size_t end = here->line_begin;
        while (end < size && data[end] != '\n' && data[end] != '\r') {
            end++;
        }
        size_t next = end;
        if (end < size && data[end] == '\r') {
            bool feed = end + 1 < size && data[end + 1] == '\n';
            bool late = end + 2 < size && data[end + 1] == '\r' && data[end + 2] == '\n';
            next = end + (late ? 3 : feed ? 2 : 1);
        } else if (end < size) {
            next = end + 1;
        }
        if (next > at || next == end) {
            break;
        }
        here->line++;
        here->line_begin = next;
    }
    here->at = at;
}

/* Whether nothing was noted that any reader would stumble over. */
static bool is_plain(const pki_pem_part *part) {
    for (int i = 0; i < PKI_PEM_NOTE_COUNT; i++) {
        if (part->marks[i].count > 0 && i != PKI_PEM_LINE_LF && i != PKI_PEM_LINE_CRLF &&
            i != PKI_PEM_UNEVEN && i != PKI_PEM_END_UNTERMINATED && i != PKI_PEM_DER_TRAILING) {
            return false;
        }
    }
    return part->decoded;
}

/* A block without a blemish is to libcrypto what it is to us. */
static void compare_with_libcrypto(const uint8_t *data, const pki_pem_part *part) {
    BIO *text = BIO_new_mem_buf(data + part->begin, (int)(part->end - part->begin));
    char *label = NULL;
    char *headers = NULL;
    unsigned char *der = NULL;
    long length = 0;
    REQUIRE(text != NULL);
    REQUIRE(PEM_read_bio(text, &label, &headers, &der, &length) == 1);
    REQUIRE(strcmp(label, part->label) == 0);
    REQUIRE((size_t)length == part->der.length && memcmp(der, part->der.data, (size_t)length) == 0);
    OPENSSL_free(label);
    OPENSSL_free(headers);
    OPENSSL_free(der);
    BIO_free(text);
}

/*
** The parts of any text put together are the text, to the byte; every note lies within its part, at
** the line and column that counting finds.
*/
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    pki_fault fault;
    pki_pem_scanner scanner;
    pki_pem_part part;
    place here = {0, 1, 0};
    size_t mark = 0;
    REQUIRE(pki_pem_encoding((const char *)data, size, &mark) != NULL && mark <= size);
    char *together = malloc(size + 1);
    size_t length = 0;
    REQUIRE(together != NULL);
    pki_begin(&fault);
    pki_pem_scan(&scanner, (const char *)data, size);
    while (pki_pem_next_part(&scanner, &part, &fault)) {
        REQUIRE(part.begin == length);
        REQUIRE(part.end > part.begin && part.end <= size);
        memcpy(together + length, data + part.begin, part.end - part.begin);
        length += part.end - part.begin;
        for (int i = 0; i < PKI_PEM_NOTE_COUNT; i++) {
            const pki_pem_mark *noted = &part.marks[i];
            if (noted->count > 0) {
                REQUIRE(noted->offset >= part.begin && noted->offset <= part.end);
                count_to(&here, data, size, noted->offset);
                REQUIRE(noted->line == here.line);
                REQUIRE(noted->column == (long)(noted->offset - here.line_begin) + 1);
            }
        }
        count_to(&here, data, size, part.begin);
        REQUIRE(part.line == here.line);
        if (part.kind == PKI_PEM_BLOCK) {
            size_t begin = here.line_begin + (size_t)part.column - 1;
            REQUIRE(begin >= part.begin && memcmp(data + begin, "-----BEGIN ", 11) == 0);
        }
        REQUIRE(part.kind == PKI_PEM_BLOCK || part.der.data == NULL);
        REQUIRE(part.decoded == (part.der.data != NULL));
        REQUIRE(part.der.length <= (part.end - part.begin) / 4 * 3);
        REQUIRE(part.marks[PKI_PEM_DER_TRAILING].count <= (long)part.der.length);
        REQUIRE((part.pad_bits != 0) == (part.marks[PKI_PEM_STRAY_BITS].count > 0));
        take_headers((pki_view){data + part.begin, part.end - part.begin}, part.headers);
        if (part.kind == PKI_PEM_BLOCK && is_plain(&part)) {
            compare_with_libcrypto(data, &part);
        }
        pki_buffer_free(&part.der);
    }
    REQUIRE(fault.code == PKI_OK);
    REQUIRE(length == size && memcmp(together, data, size) == 0);
    free(together);
    ERR_clear_error();
    return 0;
}

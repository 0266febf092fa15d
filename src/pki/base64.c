#include "base64.h"

#include <openssl/crypto.h>

/* RFC 4648, section 4. */
const unsigned char pki_base64_digits[256] = {
    66, 66, 66, 66, 66, 66, 66, 66, 66, 65, 65, 66, 66, 65, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66,
    66, 66, 66, 66, 66, 66, 66, 66, 65, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 62, 66, 66, 66, 63,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 66, 66, 66, 64, 66, 66, 66, 0,  1,  2,  3,  4,  5,  6,
    7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 66, 66, 66, 66, 66,
    66, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48,
    49, 50, 51, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66,
    66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66,
    66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66,
    66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66,
    66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66,
    66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66};

size_t pki_base64_add_groups(pki_base64 *state, const char *text, size_t length) {
    if (state->digits != 0 || state->pads != 0) {
        return 0;
    }
    const unsigned char *in = (const unsigned char *)text;
    unsigned char *out = state->out + state->length;
    size_t at = 0;
    for (; length - at >= 4; at += 4) {
        unsigned a = pki_base64_digits[in[at]];
        unsigned b = pki_base64_digits[in[at + 1]];
        unsigned c = pki_base64_digits[in[at + 2]];
        unsigned d = pki_base64_digits[in[at + 3]];
        if ((a | b | c | d) >= PKI_BASE64_PAD) {
            break;
        }
        *out++ = (unsigned char)(a << 2 | b >> 4);
        *out++ = (unsigned char)(b << 4 | c >> 2);
        *out++ = (unsigned char)(c << 6 | d);
    }
    state->length += at / 4 * 3;
    return at;
}

pki_base64_fault pki_base64_finish(pki_base64 *state) {
    if (state->digits == 0 && state->pads == 0) {
        return state->length == 0 ? PKI_BASE64_EMPTY : PKI_BASE64_FINE;
    }
    if (state->digits < 2 || state->digits + state->pads != 4) {
        return PKI_BASE64_BAD_PADDING;
    }
    state->spare = state->digits == 2 ? state->accumulator & 15 : state->accumulator & 3;
    if (state->digits == 2) {
        state->out[state->length++] = (unsigned char)(state->accumulator >> 4);
    } else {
        state->out[state->length++] = (unsigned char)(state->accumulator >> 10);
        state->out[state->length++] = (unsigned char)(state->accumulator >> 2);
    }
    return state->spare != 0 ? PKI_BASE64_STRAY_BITS : PKI_BASE64_FINE;
}

bool pki_base64_decode(pki_buffer *der, const char *text, size_t length, pki_fault *fault) {
    static const char *const messages[] = {
        [PKI_BASE64_BAD_CHARACTER] = "this character is not base64",
        [PKI_BASE64_AFTER_PADDING] = "base64 goes on after its padding",
        [PKI_BASE64_BAD_PADDING] = "base64 is cut off or badly padded",
        [PKI_BASE64_STRAY_BITS] = "base64 ends with stray bits",
        [PKI_BASE64_EMPTY] = "there is nothing to decode"};
    size_t capacity = length / 4 * 3 + 3;
    pki_base64 state = {.out = OPENSSL_malloc(capacity)};
    if (state.out == NULL) {
        return pki_fail_memory(fault);
    }
    pki_base64_fault wrong = PKI_BASE64_FINE;
    long line = 1;
    size_t line_begin = 0;
    size_t i = 0;
    for (; i < length && wrong == PKI_BASE64_FINE; i++) {
        unsigned char digit = pki_base64_digits[(unsigned char)text[i]];
        if (text[i] == '\n') {
            line++;
            line_begin = i + 1;
        } else if (digit != PKI_BASE64_BLANK) {
            wrong = pki_base64_add(&state, digit);
        }
    }
    if (wrong == PKI_BASE64_FINE) {
        wrong = pki_base64_finish(&state);
        i++;
    }
    der->data = state.out;
    der->length = capacity;
    if (wrong != PKI_BASE64_FINE) {
        pki_buffer_free(der);
        (void)pki_fail(fault, PKI_BAD_PEM, "%s", messages[wrong]);
        fault->line = line;
        fault->column = (long)(i - line_begin);
        return false;
    }
    der->length = state.length;
    return true;
}

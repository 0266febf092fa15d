#ifndef TCPKI_PKI_BASE64_H
#define TCPKI_PKI_BASE64_H

#include "bytes.h"

/* The value of a base64 digit for each byte, or one of these. */
enum { PKI_BASE64_PAD = 64, PKI_BASE64_BLANK = 65, PKI_BASE64_OTHER = 66 };
extern const unsigned char pki_base64_digits[256];

typedef enum pki_base64_fault {
    PKI_BASE64_FINE,
    PKI_BASE64_BAD_CHARACTER,
    PKI_BASE64_AFTER_PADDING,
    PKI_BASE64_BAD_PADDING,
    PKI_BASE64_STRAY_BITS, /* decoded all the same */
    PKI_BASE64_EMPTY
} pki_base64_fault;

/* Decodes digit by digit, so that the caller knows the place of a fault. */
typedef struct pki_base64 {
    unsigned char *out; /* room for 3 bytes in 4 digits, and 3 more */
    size_t length;
    unsigned accumulator;
    int digits;
    int pads;
    unsigned spare; /* the bits that are left over behind the last byte, once it is finished */
} pki_base64;

static inline pki_base64_fault pki_base64_add(pki_base64 *state, unsigned char digit) {
    if (digit == PKI_BASE64_PAD) {
        state->pads++;
        return PKI_BASE64_FINE;
    }
    if (digit > PKI_BASE64_PAD) {
        return PKI_BASE64_BAD_CHARACTER;
    }
    if (state->pads > 0) {
        return PKI_BASE64_AFTER_PADDING;
    }
    state->accumulator = state->accumulator << 6 | digit;
    if (++state->digits == 4) {
        state->out[state->length++] = (unsigned char)(state->accumulator >> 16);
        state->out[state->length++] = (unsigned char)(state->accumulator >> 8);
        state->out[state->length++] = (unsigned char)state->accumulator;
        state->accumulator = 0;
        state->digits = 0;
    }
    return PKI_BASE64_FINE;
}

/* Decodes as many whole groups of 4 digits as the text begins with: how many digits those are. */
size_t pki_base64_add_groups(pki_base64 *state, const char *text, size_t length);

pki_base64_fault pki_base64_finish(pki_base64 *state);

/* Decodes base64 with white space anywhere, as in the bare CSR of Azure Key Vault. */
bool pki_base64_decode(pki_buffer *der, const char *text, size_t length, pki_fault *fault);

#endif

#ifndef TCPKI_PKI_PEM_H
#define TCPKI_PKI_PEM_H

#include "bytes.h"

/*
** Reads the armour of RFC 7468 as the strictest common reader of a Temporal client does: what
** OpenSSL, Go, rustls and gRPC core read alike passes, and what any of them would drop in silence
** (a BEGIN that is not at the start of its line, a byte-order mark) is a fault with its place.
** Text between the blocks is allowed, as `openssl x509 -text` writes it.
*/
typedef struct pki_pem_reader {
    const char *text;
    size_t length;
    size_t position;
    long line;  /* of position, from 1 */
    bool found; /* a block was read */
} pki_pem_reader;

enum { PKI_PEM_LABEL_SIZE = 64 };

typedef struct pki_pem_block {
    char label[PKI_PEM_LABEL_SIZE];
    size_t begin; /* byte range in the text, the line ends included */
    size_t end;
    long line;
    pki_view headers; /* RFC 1421 headers of a traditionally encrypted key, or empty */
    pki_buffer der;
} pki_pem_block;

typedef enum pki_pem_outcome { PKI_PEM_BLOCK, PKI_PEM_END, PKI_PEM_FAULT } pki_pem_outcome;

void pki_pem_open(pki_pem_reader *reader, const char *text, size_t length);
/* The next block, whose der the caller frees. A text without any block is a fault, not an END. */
pki_pem_outcome pki_pem_next(pki_pem_reader *reader, pki_pem_block *block, pki_fault *fault);

/* The canonical form: RFC 7468 strict, 64 columns, LF, a final newline. */
bool pki_pem_encode(pki_buffer *pem, const char *label, const unsigned char *der, size_t length,
                    pki_fault *fault);

/* Whether the text is DER, not armour: every object of ours is a SEQUENCE. */
static inline bool pki_pem_is_der(const char *text, size_t length) {
    return length > 1 && text[0] == 0x30 && ((unsigned char)text[1] >= 0x80 || text[1] < 0x20);
}

/* Decodes base64 with white space anywhere, as in the bare CSR of Azure Key Vault. */
bool pki_base64_decode(pki_buffer *der, const char *text, size_t length, pki_fault *fault);

#endif

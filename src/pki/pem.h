#ifndef TCPKI_PKI_PEM_H
#define TCPKI_PKI_PEM_H

#include "bytes.h"

/*
** What can be noted of a text beside well-formed armour. The words are an interface: the rules of
** tcpki.pem speak of them.
*/
#define PKI_PEM_NOTES(X)                     \
    /* of the text between blocks */         \
    X(TEXT, "text")                          \
    X(BYTE_ORDER_MARK, "byte_order_mark")    \
    X(NUL, "nul")                            \
    X(CONTROL, "control")                    \
    X(CONTROL_Z, "control_z")                \
    X(NON_ASCII, "non_ascii")                \
    X(BARE_BASE64, "bare_base64")            \
    X(ORPHAN_END, "orphan_end")              \
    X(LIKE_ARMOUR, "like_armour")            \
    /* anywhere: see pki_pem_encoding */     \
    X(WIDE_BLANK, "wide_blank")              \
    X(ZERO_WIDTH, "zero_width")              \
    X(SMART_DASH, "smart_dash")              \
    /* of the BEGIN line */                  \
    X(BEGIN_INDENTED, "begin_indented")      \
    X(BEGIN_PREFIXED, "begin_prefixed")      \
    X(BEGIN_AFTER_CR, "begin_after_cr")      \
    X(BEGIN_UNCLOSED, "begin_unclosed")      \
    X(BEGIN_LABEL, "begin_label")            \
    X(BEGIN_BLANKS, "begin_blanks")          \
    X(BEGIN_TABS, "begin_tabs")              \
    X(BEGIN_TRAILED, "begin_trailed")        \
    /* of what lies between BEGIN and END */ \
    X(HEADERS, "headers")                    \
    X(HEADERS_UNENDED, "headers_unended")    \
    X(LINE_CRLF, "line_crlf")                \
    X(LINE_LF, "line_lf")                    \
    X(LINE_CR, "line_cr")                    \
    X(LINE_CRCRLF, "line_crcrlf")            \
    X(BLANK_FIRST, "blank_first")            \
    X(BLANK_INSIDE, "blank_inside")          \
    X(BLANK_LAST, "blank_last")              \
    X(LEADING_BLANKS, "leading_blanks")      \
    X(UNEVEN, "uneven")                      \
    X(INNER_BLANKS, "inner_blanks")          \
    X(TRAILING_SPACES, "trailing_spaces")    \
    X(TRAILING_TABS, "trailing_tabs")        \
    X(BAD_CHARACTER, "bad_character")        \
    X(AFTER_PADDING, "after_padding")        \
    X(BAD_PADDING, "bad_padding")            \
    X(STRAY_BITS, "stray_bits")              \
    X(EMPTY_BODY, "empty_body")              \
    /* of the END line */                    \
    X(END_MISSING, "end_missing")            \
    X(END_INDENTED, "end_indented")          \
    X(END_PREFIXED, "end_prefixed")          \
    X(END_MISMATCH, "end_mismatch")          \
    X(END_BLANKS, "end_blanks")              \
    X(END_TRAILED, "end_trailed")            \
    X(END_GLUED, "end_glued")                \
    X(END_UNTERMINATED, "end_unterminated")  \
    /* of the decoded bytes */               \
    X(DER_TRAILING, "der_trailing")

typedef enum pki_pem_note {
#define PKI_PEM_NOTE(constant, word) PKI_PEM_##constant,
    PKI_PEM_NOTES(PKI_PEM_NOTE)
#undef PKI_PEM_NOTE
        PKI_PEM_NOTE_COUNT
} pki_pem_note;

const char *pki_pem_note_word(pki_pem_note note);

/* How often something was noted, and where first. */
typedef struct pki_pem_mark {
    long count;
    long line;   /* from 1 */
    long column; /* from 1, in bytes */
    size_t offset;
} pki_pem_mark;

enum { PKI_PEM_LABEL_SIZE = 64 };

/*
** One part of a text. The parts of a text follow one another without a gap: put together they are
** the text, to the byte.
*/
typedef struct pki_pem_part {
    enum { PKI_PEM_BETWEEN, PKI_PEM_BLOCK } kind;
    size_t begin;
    size_t end; /* exclusive; the line end of the last line included */
    long line;
    long column; /* of a block: where its BEGIN stands; otherwise that of the first byte */
    pki_pem_mark marks[PKI_PEM_NOTE_COUNT];
    /* of a block */
    char label[PKI_PEM_LABEL_SIZE];
    pki_view headers; /* RFC 1421 headers of a traditionally encrypted key, or empty */
    size_t width;     /* base64 digits in the longest line */
    bool decoded;     /* der is what the body holds; damage leaves it empty */
    pki_buffer der;
    int padding;       /* how many = the body ends with, where it decodes */
    unsigned pad_bits; /* the bits behind the last byte, as a number: 0 in what is well encoded */
} pki_pem_part;

typedef struct pki_pem_scanner {
    const char *text;
    size_t length;
    size_t position;
    long line; /* of position, from 1 */
    size_t line_begin;
    size_t next_feed;   /* offset of the next LF, or the length */
    size_t next_return; /* and of the next CR */
} pki_pem_scanner;

void pki_pem_scan(pki_pem_scanner *scanner, const char *text, size_t length);
/*
** Describes the next part, in time linear in its length and without state beyond it. False at the
** end of the text, or with the fault set where memory ran out. The caller frees part->der.
*/
bool pki_pem_next_part(pki_pem_scanner *scanner, pki_pem_part *part, pki_fault *fault);

/*
** Takes the next header off the headers of a block: its name, and its value without the blanks
** around it. A line without a colon belongs to the value before it.
*/
bool pki_pem_next_header(pki_view *headers, pki_view *name, pki_view *value);

/*
** How the characters of a text are written: "ascii", "utf-8", "utf-16le", "utf-16be", "utf-32le",
** "utf-32be" or "other", and how many bytes of byte-order mark it begins with.
*/
const char *pki_pem_encoding(const char *text, size_t length, size_t *mark);

/*
** Reads the armour of RFC 7468 as the strictest common reader of a Temporal client does: what
** OpenSSL, Go, rustls and gRPC core read alike passes, and what any of them would drop in silence
** (a BEGIN that is not at the start of its line, a byte-order mark) is a fault with its place.
** Text between the blocks is allowed, as `openssl x509 -text` writes it.
*/
typedef struct pki_pem_reader {
    pki_pem_scanner scanner;
    bool found;       /* a block was read */
    pki_pem_mark nul; /* the first NUL behind what was read */
} pki_pem_reader;

typedef enum pki_pem_outcome { PKI_PEM_READ, PKI_PEM_END, PKI_PEM_FAULT } pki_pem_outcome;

void pki_pem_open(pki_pem_reader *reader, const char *text, size_t length);
/* The next block, whose der the caller frees. A text without any block is a fault, not an END. */
pki_pem_outcome pki_pem_next(pki_pem_reader *reader, pki_pem_part *block, pki_fault *fault);

/* What a text with exactly one object is read by: a certificate, a CSR or a CRL. */
typedef struct pki_pem_form {
    const char *labels[2]; /* the second may be NULL */
    const char *what;      /* for messages, "certificate" */
    const char *hint;      /* where there are several; NULL for the hint of the code */
    void *(*from_der)(const unsigned char *der, size_t length, pki_fault *fault);
    void (*release)(void *object);
} pki_pem_form;

/* The one object of a text, PEM or DER; anything beside it is a fault. */
void *pki_pem_read_one(const pki_pem_form *form, const char *text, size_t length, pki_fault *fault);

/* Whether the text is DER, not armour: every object of ours is a SEQUENCE. */
bool pki_pem_is_der(const char *text, size_t length);

/* The canonical form: RFC 7468 strict, 64 columns, LF, a final newline. */
bool pki_pem_encode(pki_buffer *pem, const char *label, const unsigned char *der, size_t length,
                    pki_fault *fault);

#endif

#include "pem.h"

#include <openssl/crypto.h>
#include <string.h>

#include "foreign.h"

/* Why the strict reader stops at a note, and what to do; where it passes there is no row. */
static const struct {
    const char *message;
    const char *hint;
} refusals[PKI_PEM_NOTE_COUNT] = {
    [PKI_PEM_BYTE_ORDER_MARK] = {"a byte-order mark stands before the text",
                                 "save the file as UTF-8 without a byte-order mark: Go and rustls "
                                 "lose the first block"},
    [PKI_PEM_ORPHAN_END] = {"an END line without its BEGIN line",
                            "the text is cut off or damaged; copy it again, whole"},
    [PKI_PEM_LIKE_ARMOUR] = {"a line looks like armour and is not",
                             "armour is five dashes, BEGIN, a space, the label, five dashes"},
    [PKI_PEM_BEGIN_INDENTED] = {"the BEGIN line does not start at the beginning of its line",
                                "remove what stands before it: most readers skip such a block in "
                                "silence"},
    [PKI_PEM_BEGIN_PREFIXED] = {"the BEGIN line does not start at the beginning of its line",
                                "remove what stands before it: most readers skip such a block in "
                                "silence"},
    [PKI_PEM_BEGIN_AFTER_CR] = {"a CR without its LF stands before the BEGIN line",
                                "convert the line ends to LF: most readers skip such a block in "
                                "silence"},
    [PKI_PEM_BEGIN_UNCLOSED] = {"the BEGIN line lacks its closing dashes", NULL},
    [PKI_PEM_BEGIN_LABEL] = {"the label of the BEGIN line is unusable", NULL},
    [PKI_PEM_BEGIN_TRAILED] = {"the BEGIN line goes on after its dashes",
                               "the newlines were lost; restore the line ends"},
    [PKI_PEM_BEGIN_TABS] = {"a tab stands after the BEGIN line",
                            "remove it: rustls-based SDKs refuse the text"},
    [PKI_PEM_HEADERS_UNENDED] = {"the headers of the block do not end with an empty line", NULL},
    [PKI_PEM_LINE_CR] = {"a CR stands without its LF",
                         "convert the line ends to LF: most readers skip or refuse such a block"},
    [PKI_PEM_LINE_CRCRLF] = {"a CR stands without its LF",
                             "convert the line ends to LF: most readers skip or refuse such a "
                             "block"},
    [PKI_PEM_BLANK_INSIDE] = {"there is a blank line inside the block",
                              "remove it: OpenSSL and gRPC stop there"},
    [PKI_PEM_BLANK_LAST] = {"there is a blank line inside the block",
                            "remove it: OpenSSL and gRPC stop there"},
    [PKI_PEM_BAD_CHARACTER] = {"this character is not base64", NULL},
    [PKI_PEM_AFTER_PADDING] = {"base64 goes on after its padding",
                               "the body is damaged; copy it again, whole"},
    [PKI_PEM_BAD_PADDING] = {"base64 is cut off or badly padded",
                             "the body is damaged or cut off; copy it again, whole"},
    [PKI_PEM_STRAY_BITS] = {"base64 ends with stray bits",
                            "the body is damaged or cut off; copy it again, whole"},
    [PKI_PEM_EMPTY_BODY] = {"the body is empty", NULL},
    [PKI_PEM_END_MISSING] = {"the END line is missing",
                             "the text is cut off; copy it again, whole"},
    [PKI_PEM_END_INDENTED] = {"the END line does not start at the beginning of a line", NULL},
    [PKI_PEM_END_PREFIXED] = {"the END line does not start at the beginning of a line", NULL},
    [PKI_PEM_END_MISMATCH] = {"the END line does not match its BEGIN line", NULL},
    [PKI_PEM_END_TRAILED] = {"the END line goes on after its dashes", NULL},
    [PKI_PEM_END_GLUED] = {"the next block begins on the END line",
                           "put a newline between the blocks: the first file lacks its final one"},
};

/*
** After an empty line OpenSSL and gRPC take lines of exactly 64 columns, and a shorter last one; a
** second empty line they take for none.
*/
static bool is_blank_first_bad(const pki_pem_part *part) {
    const pki_pem_mark *blank = &part->marks[PKI_PEM_BLANK_FIRST];
    return blank->count > 1 ||
           (blank->count == 1 && (part->width > 64 || part->marks[PKI_PEM_UNEVEN].count > 0 ||
                                  (part->width < 64 && part->der.length > 48)));
}

/* The line ends of the text between blocks are nobody's business. */
static bool is_line_end(pki_pem_note note) {
    return note == PKI_PEM_LINE_CR || note == PKI_PEM_LINE_CRCRLF;
}

/* The first note of the part that the strict reader stops at; false where there is none. */
static bool first_refusal(const pki_pem_part *part, pki_pem_note *first) {
    bool found = false;
    for (int i = 0; i < PKI_PEM_NOTE_COUNT; i++) {
        const pki_pem_mark *mark = &part->marks[i];
        if (mark->count == 0 || refusals[i].message == NULL ||
            (part->kind == PKI_PEM_BETWEEN && is_line_end((pki_pem_note)i))) {
            continue;
        }
        if (!found || mark->offset < part->marks[*first].offset) {
            *first = (pki_pem_note)i;
            found = true;
        }
    }
    return found;
}

static void refuse(const pki_pem_reader *reader, const pki_pem_part *part, pki_pem_note note,
                   pki_fault *fault) {
    /* Its armour has headers and a checksum of its own (RFC 4880, section 6.2). */
    if (part->kind == PKI_PEM_BLOCK && strncmp(part->label, "PGP ", 4) == 0) {
        (void)pki_fail(fault, PKI_WRONG_KIND, "it is a %s of GPG, not PEM", part->label);
        pki_fault_set_hint(fault, "pass a key or a certificate that was made for TLS");
        fault->line = part->line;
        return;
    }
    const pki_pem_mark *mark = &part->marks[note];
    const char *text = reader->scanner.text;
    char at = mark->offset < reader->scanner.length ? text[mark->offset] : '\0';
    const char *hint = refusals[note].hint;
    const char *message = refusals[note].message;
    if ((note == PKI_PEM_BEGIN_TRAILED || note == PKI_PEM_BAD_CHARACTER) &&
        (at == '\\' || (at == '/' && note == PKI_PEM_BEGIN_TRAILED))) {
        message = "the newlines are the two characters \\n, not line ends";
        hint = "write real line ends: printf '%b' \"$VALUE\"";
    }
    (void)pki_fail(fault, PKI_BAD_PEM, "%s", message);
    fault->line = mark->line;
    fault->column = mark->column;
    if (hint != NULL) {
        pki_fault_set_hint(fault, "%s", hint);
    }
}

static bool fail_at(const pki_pem_mark *mark, const char *message, const char *hint,
                    pki_fault *fault) {
    (void)pki_fail(fault, PKI_BAD_PEM, "%s", message);
    fault->line = mark->line;
    fault->column = mark->column;
    pki_fault_set_hint(fault, "%s", hint);
    return false;
}

static bool is_private_key(const char *label) {
    static const char suffix[] = "PRIVATE KEY";
    size_t length = strlen(label);
    return length >= sizeof suffix - 1 && strcmp(label + length - (sizeof suffix - 1), suffix) == 0;
}

static bool is_control(char c) {
    return (unsigned char)c >= 0x80 || (c >= 0 && c < 0x20 && c != '\t' && c != '\n' && c != '\r');
}

/*
** The length of a short object (an Ed25519 key has 48 bytes) may look like a letter; what follows
** does not.
*/
bool pki_pem_is_der(const char *text, size_t length) {
    return length > 1 && text[0] == 0x30 &&
           (is_control(text[1]) || (length > 3 && (is_control(text[2]) || is_control(text[3]))));
}

static bool starts_with(const char *text, size_t length, const char *mark, size_t mark_length) {
    return length >= mark_length && memcmp(text, mark, mark_length) == 0;
}

/* Why a text holds no block: the commonest manglings, told by their first bytes. */
static void explain_absence(const pki_pem_reader *reader, pki_fault *fault) {
    const char *text = reader->scanner.text;
    size_t length = reader->scanner.length;
    size_t blank = 0;
    while (blank < length && text[blank] != '\0' && strchr(" \t\r\n", text[blank]) != NULL) {
        blank++;
    }
    if (blank == length) {
        (void)pki_fail(fault, PKI_EMPTY, length == 0 ? "it is empty" : "it holds only blanks");
        return;
    }
    const pki_foreign *foreign = pki_foreign_of((pki_view){(const unsigned char *)text, length});
    if (foreign != NULL) {
        (void)pki_fail(fault, PKI_NOT_PEM, "it is %s, not PEM", foreign->name);
        pki_fault_set_hint(fault, "%s", foreign->hint);
        return;
    }
    (void)pki_fail(fault, PKI_NOT_PEM, "there is no BEGIN line");
    fault->line = 1;
    fault->column = 1;
    if (starts_with(text, length, "\xff\xfe", 2) || starts_with(text, length, "\xfe\xff", 2)) {
        pki_fault_set_hint(fault, "it is UTF-16 text: save it as UTF-8 or ASCII");
    } else if (starts_with(text + blank, length - blank, "LS0tLS1", 7)) {
        pki_fault_set_hint(fault, "it is the base64 of a PEM text: decode it once (base64 -d)");
    } else if (pki_pem_is_der(text, length)) {
        pki_fault_set_hint(fault, "it is DER (binary): convert it with openssl to PEM");
    }
}

void pki_pem_open(pki_pem_reader *reader, const char *text, size_t length) {
    pki_pem_scan(&reader->scanner, text, length);
    reader->found = false;
    reader->nul.count = 0;
}

/* What is wrong with a block only beside something else. */
static bool check_block(const pki_pem_reader *reader, const pki_pem_part *block, pki_fault *fault) {
    /* Readers of files, and gRPC core, take a NUL for the end of the text. */
    if (reader->nul.count > 0) {
        return fail_at(&reader->nul, "a NUL stands before a block",
                       "remove it: gRPC and readers of files stop there in silence", fault);
    }
    if (is_blank_first_bad(block)) {
        return fail_at(&block->marks[PKI_PEM_BLANK_FIRST], "there is a blank line inside the block",
                       "remove it: OpenSSL and gRPC stop there", fault);
    }
    /* Go's AppendCertsFromPEM skips a certificate with RFC 1421 headers in silence. */
    return block->headers.length == 0 || is_private_key(block->label) ||
           fail_at(&block->marks[PKI_PEM_HEADERS],
                   "the block has headers, which only keys may have",
                   "remove the lines up to the empty one: Go skips such a block", fault);
}

pki_pem_outcome pki_pem_next(pki_pem_reader *reader, pki_pem_part *block, pki_fault *fault) {
    while (pki_pem_next_part(&reader->scanner, block, fault)) {
        pki_pem_note note = PKI_PEM_TEXT;
        if (first_refusal(block, &note)) {
            refuse(reader, block, note, fault);
            pki_buffer_free(&block->der);
            return PKI_PEM_FAULT;
        }
        if (block->kind == PKI_PEM_BLOCK && !check_block(reader, block, fault)) {
            pki_buffer_free(&block->der);
            return PKI_PEM_FAULT;
        }
        if (reader->nul.count == 0) {
            reader->nul = block->marks[PKI_PEM_NUL];
        }
        if (block->kind == PKI_PEM_BETWEEN) {
            continue;
        }
        reader->found = true;
        return PKI_PEM_READ;
    }
    if (fault->code != PKI_OK) {
        return PKI_PEM_FAULT;
    }
    if (!reader->found) {
        explain_absence(reader, fault);
        return PKI_PEM_FAULT;
    }
    return PKI_PEM_END;
}

static bool has_label(const pki_pem_form *form, const char *label) {
    return strcmp(label, form->labels[0]) == 0 ||
           (form->labels[1] != NULL && strcmp(label, form->labels[1]) == 0);
}

void *pki_pem_read_one(const pki_pem_form *form, const char *text, size_t length,
                       pki_fault *fault) {
    void *object = NULL;
    pki_pem_reader reader;
    pki_pem_part block;
    if (pki_pem_is_der(text, length)) {
        return form->from_der((const unsigned char *)text, length, fault);
    }
    pki_pem_open(&reader, text, length);
    while (pki_pem_next(&reader, &block, fault) == PKI_PEM_READ) {
        if (!has_label(form, block.label)) {
            (void)pki_fail(fault, PKI_WRONG_KIND, "it holds a %s, not a %s", block.label,
                           form->what);
        } else if (object != NULL) {
            (void)pki_fail(fault, PKI_SEVERAL, "it holds more than one %s", form->what);
            if (form->hint != NULL) {
                pki_fault_set_hint(fault, "%s", form->hint);
            }
        } else {
            object = form->from_der(block.der.data, block.der.length, fault);
        }
        pki_buffer_free(&block.der);
        if (fault->code != PKI_OK) {
            fault->line = block.line;
            break;
        }
    }
    if (fault->code != PKI_OK && object != NULL) {
        form->release(object);
        object = NULL;
    }
    return object;
}

bool pki_pem_encode(pki_buffer *pem, const char *label, const unsigned char *der, size_t length,
                    pki_fault *fault) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    enum { COLUMNS = 64 };
    static const char begin_mark[] = "-----BEGIN ";
    static const char end_mark[] = "-----END ";
    static const char dashes[] = "-----";
    enum { BEGIN_LENGTH = sizeof begin_mark - 1, END_LENGTH = sizeof end_mark - 1, DASHES = 5 };
    size_t label_length = strlen(label);
    size_t body = (length + 2) / 3 * 4;
    size_t lines = (body + COLUMNS - 1) / COLUMNS;
    size_t armour = (size_t)BEGIN_LENGTH + END_LENGTH + 2 * (label_length + DASHES + 1);
    size_t total = armour + body + lines;
    char *text = OPENSSL_malloc(total + 1);
    if (text == NULL) {
        return pki_fail_memory(fault);
    }
    char *out = text;
#define PUT(bytes, count) (memcpy(out, bytes, count), out += (count))
    PUT(begin_mark, BEGIN_LENGTH);
    PUT(label, label_length);
    PUT(dashes, DASHES);
    *out++ = '\n';
    size_t column = 0;
    for (size_t i = 0; i < length; i += 3) {
        unsigned group = (unsigned)der[i] << 16;
        if (i + 1 < length) {
            group |= (unsigned)der[i + 1] << 8;
        }
        if (i + 2 < length) {
            group |= der[i + 2];
        }
        *out++ = digits[group >> 18];
        *out++ = digits[group >> 12 & 63];
        *out++ = i + 1 < length ? digits[group >> 6 & 63] : '=';
        *out++ = i + 2 < length ? digits[group & 63] : '=';
        column += 4;
        if (column == COLUMNS && i + 3 < length) {
            *out++ = '\n';
            column = 0;
        }
    }
    if (length > 0) {
        *out++ = '\n';
    }
    PUT(end_mark, END_LENGTH);
    PUT(label, label_length);
    PUT(dashes, DASHES);
    *out++ = '\n';
#undef PUT
    *out = '\0';
    pem->data = (unsigned char *)text;
    pem->length = (size_t)(out - text);
    return true;
}

#include "pem.h"

#include <openssl/crypto.h>
#include <string.h>

static const char begin_mark[] = "-----BEGIN ";
static const char end_mark[] = "-----END ";
static const char dashes[] = "-----";

enum { BEGIN_LENGTH = sizeof begin_mark - 1, END_LENGTH = sizeof end_mark - 1, DASHES = 5 };

/* The value of a base64 digit, or one of these. */
enum { BLANK = 64, NEWLINE = 65, PAD = 66, OTHER = 67 };

static unsigned char digit_of(unsigned char c) {
    if (c >= 'A' && c <= 'Z') {
        return (unsigned char)(c - 'A');
    }
    if (c >= 'a' && c <= 'z') {
        return (unsigned char)(c - 'a' + 26);
    }
    if (c >= '0' && c <= '9') {
        return (unsigned char)(c - '0' + 52);
    }
    switch (c) {
    case '+':
        return 62;
    case '/':
        return 63;
    case ' ':
    case '\t':
    case '\r':
        return BLANK;
    case '\n':
        return NEWLINE;
    case '=':
        return PAD;
    default:
        return OTHER;
    }
}

static bool starts_with(const char *text, size_t length, const char *mark, size_t mark_length) {
    return length >= mark_length && memcmp(text, mark, mark_length) == 0;
}

static size_t find(const char *text, size_t length, const char *mark, size_t mark_length) {
    const char *at = text;
    const char *end = text + length;
    while ((size_t)(end - at) >= mark_length &&
           (at = memchr(at, mark[0], (size_t)(end - at) - mark_length + 1)) != NULL) {
        if (memcmp(at, mark, mark_length) == 0) {
            return (size_t)(at - text);
        }
        at++;
    }
    return length;
}

static size_t line_length(const char *text, size_t length) {
    const char *newline = memchr(text, '\n', length);
    return newline == NULL ? length : (size_t)(newline - text);
}

/* A CR that no LF follows: Go does not know armour that ends so, and drops the block in silence. */
static bool has_lone_return(const char *text, size_t length) {
    return length > 1 && memchr(text, '\r', length - 1) != NULL;
}

static size_t trimmed(const char *text, size_t length) {
    while (length > 0 &&
           (text[length - 1] == ' ' || text[length - 1] == '\t' || text[length - 1] == '\r')) {
        length--;
    }
    return length;
}

void pki_pem_open(pki_pem_reader *reader, const char *text, size_t length) {
    reader->text = text;
    reader->length = length;
    reader->position = 0;
    reader->line = 1;
    reader->found = false;
}

static bool bad(pki_fault *fault, long line, size_t column, const char *message, const char *hint) {
    (void)pki_fail(fault, PKI_BAD_PEM, "%s", message);
    fault->line = line;
    fault->column = (long)column + 1;
    if (hint != NULL) {
        pki_fault_set_hint(fault, "%s", hint);
    }
    return false;
}

static bool bad_return(pki_fault *fault, long line, size_t column) {
    return bad(fault, line, column, "a CR stands without its LF",
               "convert the line ends to LF: most readers skip or refuse such a block");
}

/* Why a text holds no block: the commonest manglings, told by their first bytes. */
static void explain_absence(const pki_pem_reader *reader, pki_fault *fault) {
    const char *text = reader->text;
    size_t length = reader->length;
    size_t blank = 0;
    while (blank < length && strchr(" \t\r\n", text[blank]) != NULL && text[blank] != '\0') {
        blank++;
    }
    if (blank == length) {
        (void)pki_fail(fault, PKI_EMPTY, length == 0 ? "it is empty" : "it holds only blanks");
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

/* The armour line at the reader's position: its label, or a fault. */
static bool read_begin(const pki_pem_reader *reader, size_t line_end, pki_pem_block *block,
                       pki_fault *fault) {
    const char *line = reader->text + reader->position;
    size_t length = line_end - reader->position;
    const char *label = line + BEGIN_LENGTH;
    size_t label_length = find(label, length - BEGIN_LENGTH, dashes, DASHES);
    if (label_length == length - BEGIN_LENGTH) {
        return bad(fault, reader->line, length, "the BEGIN line lacks its closing dashes", NULL);
    }
    if (label_length == 0 || label_length >= sizeof block->label) {
        return bad(fault, reader->line, BEGIN_LENGTH, "the label of the BEGIN line is unusable",
                   NULL);
    }
    size_t after = BEGIN_LENGTH + label_length + DASHES;
    const char *rest = line + after;
    size_t rest_length = trimmed(rest, length - after);
    if (rest_length > 0) {
        if (rest[0] == '\\' || rest[0] == '/') {
            return bad(fault, reader->line, after,
                       "the newlines are the two characters \\n, not line ends",
                       "write real line ends: printf '%b' \"$VALUE\"");
        }
        return bad(fault, reader->line, after, "the BEGIN line goes on after its dashes",
                   "the newlines were lost; restore the line ends");
    }
    if (has_lone_return(rest, length - after)) {
        return bad_return(fault, reader->line, after);
    }
    for (size_t i = 0; i < label_length; i++) {
        if ((unsigned char)label[i] < 0x20 || (unsigned char)label[i] > 0x7e) {
            return bad(fault, reader->line, BEGIN_LENGTH + i,
                       "the label of the BEGIN line is unusable", NULL);
        }
    }
    memcpy(block->label, label, label_length);
    block->label[label_length] = '\0';
    return true;
}

static bool is_private_key(const char *label) {
    static const char suffix[] = "PRIVATE KEY";
    size_t length = strlen(label);
    return length >= sizeof suffix - 1 && strcmp(label + length - (sizeof suffix - 1), suffix) == 0;
}

/* RFC 1421 headers end at the first blank line; only a traditional private key has them. */
static bool read_headers(pki_pem_reader *reader, pki_pem_block *block, pki_fault *fault) {
    size_t start = reader->position;
    size_t length = line_length(reader->text + start, reader->length - start);
    if (memchr(reader->text + start, ':', length) == NULL) {
        /* An empty line after BEGIN is an empty header section: every reader skips it. */
        if (trimmed(reader->text + start, length) == 0 && start + length < reader->length) {
            reader->position += length + 1;
            reader->line++;
        }
        return true;
    }
    if (!is_private_key(block->label)) {
        return bad(fault, reader->line, 0, "the block has headers, which only private keys have",
                   "remove the lines up to the empty one: OpenSSL refuses them, and Go drops the "
                   "block in silence");
    }
    while (reader->position < reader->length) {
        const char *line = reader->text + reader->position;
        length = line_length(line, reader->length - reader->position);
        bool blank = trimmed(line, length) == 0;
        if (starts_with(line, length, dashes, DASHES)) {
            break;
        }
        if (!blank) {
            block->headers.data = (const unsigned char *)reader->text + start;
            block->headers.length = reader->position + length - start;
        }
        reader->position += length;
        if (reader->position < reader->length) {
            reader->position++;
            reader->line++;
        }
        if (blank) {
            return true;
        }
    }
    return bad(fault, reader->line, 0, "the headers of the block do not end with an empty line",
               NULL);
}

/* The state of a base64 body; positions are for the fault. */
typedef struct decoder {
    unsigned char *out;
    size_t length;
    unsigned accumulator;
    int digits;
    int pads;
} decoder;

static const char *decode_one(decoder *state, unsigned char digit) {
    if (digit == PAD) {
        state->pads++;
        return NULL;
    }
    if (digit == OTHER) {
        return "this character is not base64";
    }
    if (state->pads > 0) {
        return "base64 goes on after its padding";
    }
    state->accumulator = state->accumulator << 6 | digit;
    if (++state->digits == 4) {
        state->out[state->length++] = (unsigned char)(state->accumulator >> 16);
        state->out[state->length++] = (unsigned char)(state->accumulator >> 8);
        state->out[state->length++] = (unsigned char)state->accumulator;
        state->accumulator = 0;
        state->digits = 0;
    }
    return NULL;
}

static const char *decode_finish(decoder *state) {
    if (state->digits == 0 && state->pads == 0) {
        return state->length == 0 ? "the body is empty" : NULL;
    }
    if (state->digits < 2 || state->digits + state->pads != 4) {
        return "base64 is cut off or badly padded";
    }
    unsigned spare = state->digits == 2 ? state->accumulator & 15 : state->accumulator & 3;
    if (spare != 0) {
        return "base64 ends with stray bits";
    }
    if (state->digits == 2) {
        state->out[state->length++] = (unsigned char)(state->accumulator >> 4);
    } else {
        state->out[state->length++] = (unsigned char)(state->accumulator >> 10);
        state->out[state->length++] = (unsigned char)(state->accumulator >> 2);
    }
    return NULL;
}

static bool read_body(pki_pem_reader *reader, pki_pem_block *block, pki_fault *fault) {
    const unsigned char *body = (const unsigned char *)reader->text + reader->position;
    size_t rest = reader->length - reader->position;
    /* Base64 has no dash: the body ends at the next one, well formed or not. */
    const unsigned char *dash = memchr(body, '-', rest);
    size_t length = dash == NULL ? rest : (size_t)(dash - body);
    decoder state = {.out = OPENSSL_malloc(length / 4 * 3 + 3)};
    if (state.out == NULL) {
        return pki_fail_memory(fault);
    }
    block->der.data = state.out;
    block->der.length = length / 4 * 3 + 3; /* what to wipe if this fails */
    size_t line_start = 0;
    bool line_empty = true;
    const char *fault_message = NULL;
    size_t i = 0;
    for (; i < length && fault_message == NULL; i++) {
        unsigned char digit = digit_of(body[i]);
        if (digit < BLANK) {
            line_empty = false;
            fault_message = decode_one(&state, digit);
        } else if (digit == NEWLINE) {
            if (line_empty) {
                return bad(fault, reader->line, 0, "there is a blank line inside the block",
                           "remove it: OpenSSL and gRPC stop there");
            }
            line_empty = true;
            line_start = i + 1;
            reader->line++;
        } else if (digit != BLANK) {
            line_empty = false;
            fault_message = decode_one(&state, digit);
        } else if (body[i] == '\r' && i + 1 < length && body[i + 1] != '\n') {
            return bad_return(fault, reader->line, i - line_start);
        }
    }
    if (fault_message != NULL) {
        return bad(fault, reader->line, i - 1 - line_start, fault_message,
                   body[i - 1] == '\\' ? "the newlines are the two characters \\n: write real ones"
                                       : NULL);
    }
    if (dash == NULL) {
        return bad(fault, reader->line, length - line_start, "the END line is missing",
                   "the text is cut off; copy it again, whole");
    }
    if (!starts_with((const char *)dash, rest - length, end_mark, END_LENGTH)) {
        return bad(fault, reader->line, length - line_start,
                   starts_with((const char *)dash, rest - length, begin_mark, BEGIN_LENGTH)
                       ? "a block begins before the last one ended"
                       : "this character is not base64",
                   NULL);
    }
    if (length != line_start) {
        return bad(fault, reader->line, length - line_start,
                   "the END line does not start at the beginning of a line", NULL);
    }
    fault_message = decode_finish(&state);
    if (fault_message != NULL) {
        return bad(fault, reader->line, 0, fault_message,
                   "the body is damaged or cut off; copy it again, whole");
    }
    block->der.length = state.length;
    reader->position += length;
    return true;
}

static bool read_end(pki_pem_reader *reader, const pki_pem_block *block, pki_fault *fault) {
    const char *line = reader->text + reader->position;
    size_t length = line_length(line, reader->length - reader->position);
    size_t label_length = strlen(block->label);
    const char *label = line + END_LENGTH;
    size_t rest = length - END_LENGTH;
    if (!starts_with(label, rest, block->label, label_length) ||
        !starts_with(label + label_length, rest - label_length, dashes, DASHES)) {
        return bad(fault, reader->line, END_LENGTH, "the END line does not match its BEGIN line",
                   NULL);
    }
    size_t after = END_LENGTH + label_length + DASHES;
    size_t tail = trimmed(line + after, length - after);
    if (tail > 0 && line[after] == '-') {
        return bad(fault, reader->line, after, "the next block begins on the END line",
                   "put a newline between the blocks: the first file lacks its final one");
    }
    /* A NUL or Ctrl-Z after the last block is read over by all readers. */
    bool closed = tail > 0 && (line[after] == '\0' || line[after] == 0x1a);
    if (closed && find(line + after, tail, begin_mark, BEGIN_LENGTH) < tail) {
        return bad(fault, reader->line, after, "the next block begins on the END line",
                   "put a newline between the blocks in place of what stands there");
    }
    if (tail > 0 && !closed) {
        return bad(fault, reader->line, after, "the END line goes on after its dashes", NULL);
    }
    if (has_lone_return(line + after, length - after)) {
        return bad_return(fault, reader->line, after);
    }
    reader->position += length;
    if (reader->position < reader->length) {
        reader->position++;
        reader->line++;
    }
    return true;
}

/* A line between blocks that would be armour if it were not damaged must not be skipped. */
static bool check_between(const pki_pem_reader *reader, size_t length, pki_fault *fault) {
    const char *line = reader->text + reader->position;
    size_t at = find(line, length, begin_mark, BEGIN_LENGTH);
    if (at < length) {
        bool mark = reader->position == 0 && starts_with(line, length, "\xef\xbb\xbf", 3);
        return bad(fault, reader->line, at,
                   mark ? "a byte-order mark stands before the BEGIN line"
                        : "the BEGIN line does not start at the beginning of its line",
                   mark ? "save the file as UTF-8 without a byte-order mark: Go and rustls lose "
                          "this block"
                        : "remove what stands before it: most readers skip such a block in "
                          "silence");
    }
    at = find(line, length, end_mark, END_LENGTH);
    if (at < length) {
        return bad(fault, reader->line, at, "an END line without its BEGIN line",
                   "the text is cut off or damaged; copy it again, whole");
    }
    return true;
}

pki_pem_outcome pki_pem_next(pki_pem_reader *reader, pki_pem_block *block, pki_fault *fault) {
    memset(block, 0, sizeof *block);
    while (reader->position < reader->length) {
        const char *line = reader->text + reader->position;
        size_t length = line_length(line, reader->length - reader->position);
        size_t line_end = reader->position + length;
        if (starts_with(line, length, begin_mark, BEGIN_LENGTH)) {
            block->begin = reader->position;
            block->line = reader->line;
            if (!read_begin(reader, line_end, block, fault)) {
                return PKI_PEM_FAULT;
            }
            reader->position = line_end < reader->length ? line_end + 1 : line_end;
            reader->line++;
            if (!read_headers(reader, block, fault) || !read_body(reader, block, fault) ||
                !read_end(reader, block, fault)) {
                pki_buffer_free(&block->der);
                return PKI_PEM_FAULT;
            }
            block->end = reader->position;
            reader->found = true;
            return PKI_PEM_BLOCK;
        }
        if (!check_between(reader, length, fault)) {
            return PKI_PEM_FAULT;
        }
        reader->position = line_end < reader->length ? line_end + 1 : line_end;
        reader->line++;
    }
    if (!reader->found) {
        explain_absence(reader, fault);
        return PKI_PEM_FAULT;
    }
    return PKI_PEM_END;
}

bool pki_base64_decode(pki_buffer *der, const char *text, size_t length, pki_fault *fault) {
    decoder state = {.out = OPENSSL_malloc(length / 4 * 3 + 3)};
    if (state.out == NULL) {
        return pki_fail_memory(fault);
    }
    der->data = state.out;
    der->length = length / 4 * 3 + 3;
    const char *message = NULL;
    long line = 1;
    size_t line_start = 0;
    size_t i = 0;
    for (; i < length && message == NULL; i++) {
        unsigned char digit = digit_of((unsigned char)text[i]);
        if (digit == NEWLINE) {
            line++;
            line_start = i + 1;
        } else if (digit != BLANK) {
            message = decode_one(&state, digit);
        }
    }
    if (message == NULL) {
        i++;
        message = decode_finish(&state);
    }
    if (message != NULL) {
        pki_buffer_free(der);
        return bad(fault, line, i - 1 - line_start, message, NULL);
    }
    der->length = state.length;
    return true;
}

bool pki_pem_encode(pki_buffer *pem, const char *label, const unsigned char *der, size_t length,
                    pki_fault *fault) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    enum { COLUMNS = 64 };
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

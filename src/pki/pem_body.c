#include <openssl/crypto.h>
#include <string.h>

#include "base64.h"
#include "der.h"
#include "pem_line.h"

/* RFC 1421 headers stand before an empty line, on lines that have a colon. */
static void read_headers(pki_pem_scanner *scanner, pki_pem_part *part, size_t stop) {
    size_t begin = scanner->position;
    pem_line here = pem_line_at(scanner, begin);
    if (here.end >= stop || memchr(scanner->text + begin, ':', here.end - begin) == NULL) {
        return;
    }
    pem_note(scanner, part, PKI_PEM_HEADERS, begin);
    size_t end = begin;
    while (scanner->position < stop) {
        here = pem_line_at(scanner, scanner->position);
        if (here.end > stop) {
            break;
        }
        bool blank = true;
        for (size_t i = scanner->position; i < here.end; i++) {
            blank = blank && pem_is_blank(scanner->text[i]);
        }
        if (!blank) {
            end = here.end;
        }
        pem_advance(scanner, part, &here);
        if (blank) {
            part->headers = (pki_view){(const unsigned char *)scanner->text + begin, end - begin};
            return;
        }
    }
    pem_note(scanner, part, PKI_PEM_HEADERS_UNENDED, scanner->position);
}

static bool is_space(unsigned char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static pki_view trim(const unsigned char *begin, const unsigned char *end) {
    while (begin < end && is_space(*begin)) {
        begin++;
    }
    while (end > begin && is_space(end[-1])) {
        end--;
    }
    return (pki_view){begin, (size_t)(end - begin)};
}

static const unsigned char *line_end(const unsigned char *at, const unsigned char *end) {
    while (at < end && *at != '\n' && *at != '\r') {
        at++;
    }
    return at;
}

bool pki_pem_next_header(pki_view *headers, pki_view *name, pki_view *value) {
    if (headers->length == 0) {
        return false;
    }
    const unsigned char *begin = headers->data;
    const unsigned char *end = begin + headers->length;
    const unsigned char *colon = memchr(begin, ':', headers->length);
    if (colon == NULL) {
        return false;
    }
    const unsigned char *next = line_end(colon, end);
    while (next < end) {
        const unsigned char *line = next;
        while (line < end && (*line == '\n' || *line == '\r')) {
            line++;
        }
        const unsigned char *stop = line_end(line, end);
        if (memchr(line, ':', (size_t)(stop - line)) != NULL) {
            break;
        }
        next = stop;
    }
    *name = trim(begin, colon);
    *value = trim(colon + 1, next);
    *headers = (pki_view){next, (size_t)(end - next)};
    return true;
}

/* Notes the blanks of one line of the body, [at, end) without its line end. */
static void describe_blanks(const pki_pem_scanner *scanner, pki_pem_part *part, size_t at,
                            size_t end) {
    const char *text = scanner->text;
    size_t last = end;
    while (last > at && pem_is_blank(text[last - 1])) {
        last--;
    }
    if (last < end) {
        bool tab = memchr(text + last, '\t', end - last) != NULL;
        pem_note(scanner, part, tab ? PKI_PEM_TRAILING_TABS : PKI_PEM_TRAILING_SPACES, last);
    }
    size_t first = at;
    while (first < last && pem_is_blank(text[first])) {
        first++;
    }
    if (first > at) {
        pem_note(scanner, part, PKI_PEM_LEADING_BLANKS, at);
    }
    for (; first < last; first++) {
        if (pem_is_blank(text[first])) {
            pem_note(scanner, part, PKI_PEM_INNER_BLANKS, first);
            break;
        }
    }
}

static const pki_pem_note base64_notes[] = {[PKI_BASE64_BAD_CHARACTER] = PKI_PEM_BAD_CHARACTER,
                                            [PKI_BASE64_AFTER_PADDING] = PKI_PEM_AFTER_PADDING,
                                            [PKI_BASE64_BAD_PADDING] = PKI_PEM_BAD_PADDING,
                                            [PKI_BASE64_STRAY_BITS] = PKI_PEM_STRAY_BITS,
                                            [PKI_BASE64_EMPTY] = PKI_PEM_EMPTY_BODY};

typedef struct body {
    pki_base64 base64;
    bool any;     /* a line with content was seen */
    bool damaged; /* what was decoded is not what was meant */
    bool shorter; /* the last line was shorter than those before it */
    bool first;   /* the next line is the first one after BEGIN */
    pki_pem_mark
        blank; /* blank lines of which is not known yet whether a line with content follows */
} body;

static void read_body_line(pki_pem_scanner *scanner, pki_pem_part *part, body *state,
                           const pem_line *here) {
    size_t end = here->end;
    /* Digits alone, as nearly all lines have, in groups; what is left of the line one by one. */
    size_t digits = pki_base64_add_groups(&state->base64, scanner->text + scanner->position,
                                          end - scanner->position);
    size_t at = scanner->position + digits;
    bool content = digits > 0;
    bool blanks = false;
    for (; at < end; at++) {
        unsigned char c = (unsigned char)scanner->text[at];
        unsigned char digit = pki_base64_digits[c];
        if (digit == PKI_BASE64_BLANK) {
            blanks = true;
            continue;
        }
        content = true;
        digits++;
        pki_base64_fault wrong = pki_base64_add(&state->base64, digit);
        if (wrong != PKI_BASE64_FINE) {
            pem_note(scanner, part, base64_notes[wrong], at);
            state->damaged = true;
        }
    }
    if (!content && here->ending < 0) {
        return; /* what indents the END line is no blank line */
    }
    if (!content) {
        if (state->first) {
            pem_note(scanner, part, PKI_PEM_BLANK_FIRST, scanner->position);
        } else if (state->blank.count++ == 0) {
            state->blank.line = scanner->line;
            state->blank.column = 1;
            state->blank.offset = scanner->position;
        }
        return;
    }
    if (blanks) {
        describe_blanks(scanner, part, scanner->position, end);
    }
    if (state->blank.count > 0) {
        pki_pem_mark *mark = &part->marks[state->any ? PKI_PEM_BLANK_INSIDE : PKI_PEM_BLANK_FIRST];
        long before = mark->count;
        if (before == 0) {
            *mark = state->blank;
        }
        mark->count = before + state->blank.count;
        state->blank.count = 0;
    }
    /* A line that is not as long as the first one, and not the shorter last one. */
    if (state->any && (digits > part->width || state->shorter)) {
        pem_note(scanner, part, PKI_PEM_UNEVEN, scanner->position);
    }
    state->shorter = state->any && digits < part->width;
    state->any = true;
    if (digits > part->width) {
        part->width = digits;
    }
}

static bool is_encrypted(pki_view headers) {
    static const char word[] = "ENCRYPTED";
    enum { LENGTH = sizeof word - 1 };
    for (size_t i = 0; i + LENGTH <= headers.length; i++) {
        if (memcmp(headers.data + i, word, LENGTH) == 0) {
            return true;
        }
    }
    return false;
}

/* The bytes after the one object that a block is to hold. */
static void note_trailing(const pki_pem_scanner *scanner, pki_pem_part *part) {
    if (is_encrypted(part->headers)) {
        return; /* what looks like an object there is chance */
    }
    pki_view view = {part->der.data, part->der.length};
    pki_view content;
    if (der_expect(&view, DER_SEQUENCE, &content) && view.length > 0) {
        pem_note(scanner, part, PKI_PEM_DER_TRAILING, scanner->position);
        part->marks[PKI_PEM_DER_TRAILING].count = (long)view.length;
    }
}

/* Reads from the scanner's position, which is behind BEGIN's dashes, up to stop. */
bool pem_read_body(pki_pem_scanner *scanner, pki_pem_part *part, size_t stop, pki_fault *fault) {
    body state = {.first = true};
    pem_line here = pem_line_at(scanner, scanner->position);
    if (here.end < stop) {
        size_t rest = scanner->position;
        while (rest < here.end && pem_is_blank(scanner->text[rest])) {
            rest++;
        }
        if (rest == here.end) {
            if (rest > scanner->position) {
                bool tab = memchr(scanner->text + scanner->position, '\t',
                                  rest - scanner->position) != NULL;
                pem_note(scanner, part, tab ? PKI_PEM_BEGIN_TABS : PKI_PEM_BEGIN_BLANKS,
                         scanner->position);
            }
            pem_advance(scanner, part, &here);
            read_headers(scanner, part, stop);
        } else {
            pem_note(scanner, part, PKI_PEM_BEGIN_TRAILED, scanner->position);
        }
    } else if (here.end > scanner->position) {
        pem_note(scanner, part, PKI_PEM_BEGIN_TRAILED, scanner->position);
    }
    size_t capacity = (stop - scanner->position) / 4 * 3 + 3;
    state.base64.out = OPENSSL_malloc(capacity);
    if (state.base64.out == NULL) {
        return pki_fail_memory(fault);
    }
    while (scanner->position < stop) {
        here = pem_line_at(scanner, scanner->position);
        if (here.end >= stop) {
            here = (pem_line){stop, stop, -1};
        }
        if (here.end > scanner->position || here.ending >= 0) {
            read_body_line(scanner, part, &state, &here);
        }
        state.first = false;
        pem_advance(scanner, part, &here);
    }
    if (state.blank.count > 0) {
        part->marks[PKI_PEM_BLANK_LAST] = state.blank;
    }
    pki_base64_fault wrong = pki_base64_finish(&state.base64);
    if (wrong != PKI_BASE64_FINE && !state.damaged) {
        pem_note(scanner, part, base64_notes[wrong], scanner->position);
        state.damaged = wrong != PKI_BASE64_STRAY_BITS;
    }
    part->padding = state.damaged ? 0 : state.base64.pads;
    part->pad_bits = state.damaged ? 0 : state.base64.spare;
    part->der.data = state.base64.out;
    part->der.length = state.damaged ? capacity : state.base64.length;
    if (state.damaged) {
        pki_buffer_free(&part->der);
    } else {
        part->decoded = true;
        note_trailing(scanner, part);
    }
    return true;
}

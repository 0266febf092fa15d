#include <openssl/crypto.h>
#include <string.h>

#include "base64.h"
#include "der.h"
#include "pem.h"

static const char begin_mark[] = "-----BEGIN ";
static const char end_mark[] = "-----END ";
static const char dashes[] = "-----";

enum { BEGIN_LENGTH = sizeof begin_mark - 1, END_LENGTH = sizeof end_mark - 1, DASHES = 5 };
enum { BARE_BASE64_LINE = 40 }; /* a shorter line of letters may be a word */

static const size_t NOWHERE = (size_t)-1;

const char *pki_pem_note_word(pki_pem_note note) {
    static const char *const words[] = {
#define PKI_PEM_NOTE(constant, word) word,
        PKI_PEM_NOTES(PKI_PEM_NOTE)
#undef PKI_PEM_NOTE
    };
    return words[note];
}

void pki_pem_scan(pki_pem_scanner *scanner, const char *text, size_t length) {
    scanner->text = text;
    scanner->length = length;
    scanner->position = 0;
    scanner->line = 1;
    scanner->line_begin = 0;
    scanner->next_feed = 0;
    scanner->next_return = 0;
}

static bool is_at(const pki_pem_scanner *scanner, size_t at, size_t end, const char *mark,
                  size_t length) {
    return end - at >= length && memcmp(scanner->text + at, mark, length) == 0;
}

static size_t find(const pki_pem_scanner *scanner, size_t at, size_t end, const char *mark,
                   size_t length) {
    while (end - at >= length) {
        const char *found = memchr(scanner->text + at, mark[0], end - at - length + 1);
        if (found == NULL) {
            return NOWHERE;
        }
        at = (size_t)(found - scanner->text);
        if (memcmp(found, mark, length) == 0) {
            return at;
        }
        at++;
    }
    return NOWHERE;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

static void note_at(pki_pem_part *part, pki_pem_note note, long line, size_t line_begin,
                    size_t offset) {
    pki_pem_mark *mark = &part->marks[note];
    if (mark->count++ == 0) {
        mark->line = line;
        mark->column = (long)(offset - line_begin) + 1;
        mark->offset = offset;
    }
}

static void note(const pki_pem_scanner *scanner, pki_pem_part *part, pki_pem_note what,
                 size_t offset) {
    note_at(part, what, scanner->line, scanner->line_begin, offset);
}

/* ---- lines ---- */

typedef struct line {
    size_t end;  /* of its content */
    size_t next; /* after its line end */
    int ending;  /* a note of LINE_…, or -1 at the end of the text */
} line;

/*
** The rest of the line at the offset. The next LF and CR are remembered, or a text with only one of
** them, or with one long line, would be searched to its end again and again.
*/
static line line_at(pki_pem_scanner *scanner, size_t at) {
    if (scanner->next_feed < at || scanner->next_feed == 0) {
        const char *feed = memchr(scanner->text + at, '\n', scanner->length - at);
        scanner->next_feed = feed == NULL ? scanner->length : (size_t)(feed - scanner->text);
    }
    if (scanner->next_return < at || scanner->next_return == 0) {
        const char *found = memchr(scanner->text + at, '\r', scanner->length - at);
        scanner->next_return = found == NULL ? scanner->length : (size_t)(found - scanner->text);
    }
    if (scanner->next_return >= scanner->next_feed) {
        bool ended = scanner->next_feed < scanner->length;
        return (line){scanner->next_feed, scanner->next_feed + (ended ? 1 : 0),
                      ended ? (int)PKI_PEM_LINE_LF : -1};
    }
    size_t end = scanner->next_return;
    if (end + 1 == scanner->next_feed && scanner->next_feed < scanner->length) {
        return (line){end, end + 2, PKI_PEM_LINE_CRLF};
    }
    if (end + 2 == scanner->next_feed && scanner->next_feed < scanner->length &&
        scanner->text[end + 1] == '\r') {
        return (line){end, end + 3, PKI_PEM_LINE_CRCRLF};
    }
    return (line){end, end + 1, PKI_PEM_LINE_CR};
}

static void advance(pki_pem_scanner *scanner, pki_pem_part *part, const line *here) {
    if (here->ending >= 0) {
        note(scanner, part, (pki_pem_note)here->ending, here->end);
        scanner->line++;
        scanner->line_begin = here->next;
    }
    scanner->position = here->next;
}

/* ---- between blocks ---- */

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool has_word(const char *text, size_t length, const char *word, size_t word_length) {
    for (size_t i = 0; i + word_length <= length; i++) {
        size_t j = 0;
        while (j < word_length && lower(text[i + j]) == word[j]) {
            j++;
        }
        if (j == word_length) {
            return true;
        }
    }
    return false;
}

/* Dashes of any kind, then BEGIN or END in any case: armour that somebody's editor improved. */
static bool is_like_armour(const char *text, size_t length) {
    size_t dash = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '-') {
            dash++;
        } else if (i + 2 < length && memcmp(text + i, "\xe2\x80", 2) == 0 &&
                   (unsigned char)text[i + 2] >= 0x90 && (unsigned char)text[i + 2] <= 0x95) {
            dash += 2;
        } else if (i + 2 < length && (memcmp(text + i, "\xe2\x88\x92", 3) == 0 ||
                                      memcmp(text + i, "\xef\xbc\x8d", 3) == 0)) {
            dash += 2;
        }
    }
    return dash >= 4 && (has_word(text, length, "begin", 5) || has_word(text, length, "end", 3));
}

static void describe_between(const pki_pem_scanner *scanner, pki_pem_part *part, size_t end) {
    size_t begin = scanner->position;
    const char *text = scanner->text;
    size_t digits = 0;
    bool dash = false;
    size_t at = begin;
    if (begin == 0 && is_at(scanner, 0, end, "\xef\xbb\xbf", 3)) {
        note(scanner, part, PKI_PEM_BYTE_ORDER_MARK, 0);
        at = begin = 3;
    }
    for (; at < end; at++) {
        unsigned char c = (unsigned char)text[at];
        if (c == 0) {
            note(scanner, part, PKI_PEM_NUL, at);
        } else if (c == 0x1a) {
            note(scanner, part, PKI_PEM_CONTROL_Z, at);
        } else if (!is_blank((char)c)) {
            if (part->marks[PKI_PEM_TEXT].count == 0 || at == begin) {
                note(scanner, part, PKI_PEM_TEXT, at);
            }
            if (c >= 0x80) {
                note(scanner, part, PKI_PEM_NON_ASCII, at);
            } else if (c < 0x20 || c == 0x7f) {
                note(scanner, part, PKI_PEM_CONTROL, at);
            }
            dash = dash || c == '-' || c >= 0x80;
        }
        digits += pki_base64_digits[c] <= PKI_BASE64_PAD ? 1 : 0;
    }
    if (digits >= BARE_BASE64_LINE && digits == end - begin) {
        note(scanner, part, PKI_PEM_BARE_BASE64, begin);
    }
    if (dash) {
        size_t orphan = find(scanner, begin, end, end_mark, END_LENGTH);
        if (orphan != NOWHERE) {
            note(scanner, part, PKI_PEM_ORPHAN_END, orphan);
        } else if (is_like_armour(text + begin, end - begin)) {
            note(scanner, part, PKI_PEM_LIKE_ARMOUR, begin);
        }
    }
}

/* ---- a block ---- */

/* Sets the label; the offset after the closing dashes, or of the end of the line without them. */
static size_t read_begin(const pki_pem_scanner *scanner, pki_pem_part *part, size_t at,
                         size_t line_end) {
    size_t label = at + BEGIN_LENGTH;
    size_t closing = find(scanner, label, line_end, dashes, DASHES);
    size_t label_end = closing == NOWHERE ? line_end : closing;
    size_t length = label_end - label;
    bool usable = length > 0 && length < PKI_PEM_LABEL_SIZE;
    if (closing == NOWHERE) {
        note(scanner, part, PKI_PEM_BEGIN_UNCLOSED, line_end);
        while (usable && length > 0 &&
               (scanner->text[label + length - 1] == '-' ||
                is_blank(scanner->text[label + length - 1]))) {
            length--;
        }
    }
    for (size_t i = 0; usable && i < length; i++) {
        unsigned char c = (unsigned char)scanner->text[label + i];
        usable = c >= 0x20 && c <= 0x7e;
    }
    if (!usable) {
        note(scanner, part, PKI_PEM_BEGIN_LABEL, label);
        return closing == NOWHERE ? line_end : closing + DASHES;
    }
    memcpy(part->label, scanner->text + label, length);
    part->label[length] = '\0';
    return closing == NOWHERE ? line_end : closing + DASHES;
}

static void note_before_begin(const pki_pem_scanner *scanner, pki_pem_part *part, size_t at) {
    size_t begin = scanner->line_begin;
    if (at == begin) {
        return;
    }
    if (begin == 0 && at == 3 && is_at(scanner, 0, at, "\xef\xbb\xbf", 3)) {
        note(scanner, part, PKI_PEM_BYTE_ORDER_MARK, 0);
        return;
    }
    /* Behind the END of another block the line began long ago. */
    bool blanks = part->begin == begin;
    for (size_t i = begin; blanks && i < at; i++) {
        blanks = is_blank(scanner->text[i]);
    }
    note(scanner, part, blanks ? PKI_PEM_BEGIN_INDENTED : PKI_PEM_BEGIN_PREFIXED, at);
}

/* The END mark of the block, NOWHERE without one, and where the block then stops. */
static size_t find_end(const pki_pem_scanner *scanner, size_t at, size_t *stop) {
    *stop = scanner->length;
    for (;;) {
        size_t dash = find(scanner, at, scanner->length, dashes, DASHES);
        if (dash == NOWHERE) {
            return NOWHERE;
        }
        if (is_at(scanner, dash, scanner->length, end_mark, END_LENGTH)) {
            *stop = dash;
            return dash;
        }
        if (is_at(scanner, dash, scanner->length, begin_mark, BEGIN_LENGTH)) {
            *stop = dash;
            while (*stop > at && scanner->text[*stop - 1] != '\n' &&
                   scanner->text[*stop - 1] != '\r') {
                (*stop)--;
            }
            return NOWHERE;
        }
        at = dash + 1;
    }
}

/* RFC 1421 headers stand before an empty line, on lines that have a colon. */
static void read_headers(pki_pem_scanner *scanner, pki_pem_part *part, size_t stop) {
    size_t begin = scanner->position;
    line here = line_at(scanner, begin);
    if (here.end >= stop || memchr(scanner->text + begin, ':', here.end - begin) == NULL) {
        return;
    }
    note(scanner, part, PKI_PEM_HEADERS, begin);
    size_t end = begin;
    while (scanner->position < stop) {
        here = line_at(scanner, scanner->position);
        if (here.end > stop) {
            break;
        }
        bool blank = true;
        for (size_t i = scanner->position; i < here.end; i++) {
            blank = blank && is_blank(scanner->text[i]);
        }
        if (!blank) {
            end = here.end;
        }
        advance(scanner, part, &here);
        if (blank) {
            part->headers = (pki_view){(const unsigned char *)scanner->text + begin, end - begin};
            return;
        }
    }
    note(scanner, part, PKI_PEM_HEADERS_UNENDED, scanner->position);
}

/* Notes the blanks of one line of the body, [at, end) without its line end. */
static void describe_blanks(const pki_pem_scanner *scanner, pki_pem_part *part, size_t at,
                            size_t end) {
    const char *text = scanner->text;
    size_t last = end;
    while (last > at && is_blank(text[last - 1])) {
        last--;
    }
    if (last < end) {
        bool tab = memchr(text + last, '\t', end - last) != NULL;
        note(scanner, part, tab ? PKI_PEM_TRAILING_TABS : PKI_PEM_TRAILING_SPACES, last);
    }
    size_t first = at;
    while (first < last && is_blank(text[first])) {
        first++;
    }
    if (first > at) {
        note(scanner, part, PKI_PEM_LEADING_BLANKS, at);
    }
    for (; first < last; first++) {
        if (is_blank(text[first])) {
            note(scanner, part, PKI_PEM_INNER_BLANKS, first);
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

static void read_body_line(pki_pem_scanner *scanner, pki_pem_part *part, body *state, size_t end) {
    size_t at = scanner->position;
    size_t digits = 0;
    bool content = false;
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
            note(scanner, part, base64_notes[wrong], at);
            state->damaged = true;
        }
    }
    if (!content) {
        if (state->first) {
            note(scanner, part, PKI_PEM_BLANK_FIRST, scanner->position);
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
        note(scanner, part, PKI_PEM_UNEVEN, scanner->position);
    }
    state->shorter = state->any && digits < part->width;
    state->any = true;
    if (digits > part->width) {
        part->width = digits;
    }
}

/* The bytes after the one object that a block is to hold. */
static void note_trailing(const pki_pem_scanner *scanner, pki_pem_part *part) {
    pki_view view = {part->der.data, part->der.length};
    pki_view content;
    if (der_expect(&view, DER_SEQUENCE, &content) && view.length > 0) {
        note(scanner, part, PKI_PEM_DER_TRAILING, scanner->position);
        part->marks[PKI_PEM_DER_TRAILING].count = (long)view.length;
    }
}

/* Reads from the scanner's position, which is behind BEGIN's dashes, up to stop. */
static bool read_body(pki_pem_scanner *scanner, pki_pem_part *part, size_t stop, pki_fault *fault) {
    body state = {.first = true};
    line here = line_at(scanner, scanner->position);
    if (here.end < stop) {
        size_t rest = scanner->position;
        while (rest < here.end && is_blank(scanner->text[rest])) {
            rest++;
        }
        if (rest == here.end) {
            if (rest > scanner->position) {
                bool tab = memchr(scanner->text + scanner->position, '\t',
                                  rest - scanner->position) != NULL;
                note(scanner, part, tab ? PKI_PEM_BEGIN_TABS : PKI_PEM_BEGIN_BLANKS,
                     scanner->position);
            }
            advance(scanner, part, &here);
            read_headers(scanner, part, stop);
        } else {
            note(scanner, part, PKI_PEM_BEGIN_TRAILED, scanner->position);
        }
    } else if (here.end > scanner->position) {
        note(scanner, part, PKI_PEM_BEGIN_TRAILED, scanner->position);
    }
    size_t capacity = (stop - scanner->position) / 4 * 3 + 3;
    state.base64.out = OPENSSL_malloc(capacity);
    if (state.base64.out == NULL) {
        return pki_fail_memory(fault);
    }
    while (scanner->position < stop) {
        here = line_at(scanner, scanner->position);
        if (here.end >= stop) {
            here = (line){stop, stop, -1};
        }
        if (here.end > scanner->position || here.ending >= 0) {
            read_body_line(scanner, part, &state, here.end);
        }
        state.first = false;
        advance(scanner, part, &here);
    }
    if (state.blank.count > 0) {
        part->marks[PKI_PEM_BLANK_LAST] = state.blank;
    }
    pki_base64_fault wrong = pki_base64_finish(&state.base64);
    if (wrong != PKI_BASE64_FINE && !state.damaged) {
        note(scanner, part, base64_notes[wrong], scanner->position);
        state.damaged = wrong != PKI_BASE64_STRAY_BITS;
    }
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

static void note_before_end(const pki_pem_scanner *scanner, pki_pem_part *part, size_t at) {
    if (at == scanner->line_begin) {
        return;
    }
    bool blanks = scanner->line_begin >= part->begin;
    for (size_t i = scanner->line_begin; blanks && i < at; i++) {
        blanks = is_blank(scanner->text[i]);
    }
    note(scanner, part, blanks ? PKI_PEM_END_INDENTED : PKI_PEM_END_PREFIXED, at);
}

/* What follows the END line's dashes; the part ends with the line, or where the next block begins. */
static void read_end(pki_pem_scanner *scanner, pki_pem_part *part, size_t at) {
    line here = line_at(scanner, at);
    size_t label_length = strlen(part->label);
    size_t label = at + END_LENGTH;
    note_before_end(scanner, part, at);
    if (!is_at(scanner, label, here.end, part->label, label_length) ||
        !is_at(scanner, label + label_length, here.end, dashes, DASHES)) {
        note(scanner, part, PKI_PEM_END_MISMATCH, label);
    }
    size_t closing = find(scanner, label, here.end, dashes, DASHES);
    size_t after = closing == NOWHERE ? here.end : closing + DASHES;
    size_t glued = find(scanner, after, here.end, begin_mark, BEGIN_LENGTH);
    size_t end = glued == NOWHERE ? here.end : glued;
    for (size_t i = after; i < end; i++) {
        char c = scanner->text[i];
        if (!is_blank(c)) {
            note(scanner, part,
                 c == '\0'     ? PKI_PEM_NUL
                 : c == '\x1a' ? PKI_PEM_CONTROL_Z
                               : PKI_PEM_END_TRAILED,
                 i);
        } else if (i == after) {
            note(scanner, part, PKI_PEM_END_BLANKS, i);
        }
    }
    if (glued != NOWHERE) {
        note(scanner, part, PKI_PEM_END_GLUED, glued);
        scanner->position = glued;
        return;
    }
    if (here.ending < 0) {
        note(scanner, part, PKI_PEM_END_UNTERMINATED, here.end);
    }
    advance(scanner, part, &here);
}

static bool read_block(pki_pem_scanner *scanner, pki_pem_part *part, size_t at, size_t line_end,
                       pki_fault *fault) {
    size_t stop = 0;
    part->kind = PKI_PEM_BLOCK;
    note_before_begin(scanner, part, at);
    scanner->position = read_begin(scanner, part, at, line_end);
    size_t end = find_end(scanner, scanner->position, &stop);
    if (!read_body(scanner, part, stop, fault)) {
        return false;
    }
    if (end != NOWHERE) {
        read_end(scanner, part, end);
    } else {
        note(scanner, part, PKI_PEM_END_MISSING, stop);
    }
    part->end = scanner->position;
    return true;
}

bool pki_pem_next_part(pki_pem_scanner *scanner, pki_pem_part *part, pki_fault *fault) {
    memset(part, 0, sizeof *part);
    part->begin = scanner->position;
    part->line = scanner->line;
    while (scanner->position < scanner->length) {
        line here = line_at(scanner, scanner->position);
        size_t at = find(scanner, scanner->position, here.end, begin_mark, BEGIN_LENGTH);
        if (at != NOWHERE && scanner->position == part->begin) {
            return read_block(scanner, part, at, here.end, fault);
        }
        if (at != NOWHERE) {
            break;
        }
        describe_between(scanner, part, here.end);
        advance(scanner, part, &here);
    }
    part->end = scanner->position;
    return part->end > part->begin;
}

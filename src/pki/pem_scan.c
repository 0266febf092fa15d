#include <string.h>

#include "base64.h"
#include "pem_line.h"

static const char begin_mark[] = "-----BEGIN ";
static const char end_mark[] = "-----END ";
static const char dashes[] = "-----";

enum { BEGIN_LENGTH = sizeof begin_mark - 1, END_LENGTH = sizeof end_mark - 1, DASHES = 5 };
enum { BARE_BASE64_LINE = 40 }; /* a shorter line of letters may be a word */

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
            return PEM_NOWHERE;
        }
        at = (size_t)(found - scanner->text);
        if (memcmp(found, mark, length) == 0) {
            return at;
        }
        at++;
    }
    return PEM_NOWHERE;
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
        pem_note(scanner, part, PKI_PEM_BYTE_ORDER_MARK, 0);
        at = begin = 3;
    }
    for (; at < end; at++) {
        unsigned char c = (unsigned char)text[at];
        if (c == 0) {
            pem_note(scanner, part, PKI_PEM_NUL, at);
        } else if (c == 0x1a) {
            pem_note(scanner, part, PKI_PEM_CONTROL_Z, at);
        } else if (!pem_is_blank((char)c)) {
            if (part->marks[PKI_PEM_TEXT].count == 0 || at == begin) {
                pem_note(scanner, part, PKI_PEM_TEXT, at);
            }
            if (c >= 0x80) {
                pem_note(scanner, part, PKI_PEM_NON_ASCII, at);
            } else if (c < 0x20 || c == 0x7f) {
                pem_note(scanner, part, PKI_PEM_CONTROL, at);
            }
            dash = dash || c == '-' || c >= 0x80;
        }
        digits += pki_base64_digits[c] <= PKI_BASE64_PAD ? 1 : 0;
    }
    if (digits >= BARE_BASE64_LINE && digits == end - begin) {
        pem_note(scanner, part, PKI_PEM_BARE_BASE64, begin);
    }
    if (dash) {
        size_t orphan = find(scanner, begin, end, end_mark, END_LENGTH);
        if (orphan != PEM_NOWHERE) {
            pem_note(scanner, part, PKI_PEM_ORPHAN_END, orphan);
        } else if (is_like_armour(text + begin, end - begin)) {
            pem_note(scanner, part, PKI_PEM_LIKE_ARMOUR, begin);
        }
    }
}

/* ---- a block ---- */

/* Sets the label; the offset after the closing dashes, or of the end of the line without them. */
static size_t read_begin(const pki_pem_scanner *scanner, pki_pem_part *part, size_t at,
                         size_t line_end) {
    size_t label = at + BEGIN_LENGTH;
    size_t closing = find(scanner, label, line_end, dashes, DASHES);
    size_t label_end = closing == PEM_NOWHERE ? line_end : closing;
    size_t length = label_end - label;
    bool usable = length > 0 && length < PKI_PEM_LABEL_SIZE;
    if (closing == PEM_NOWHERE) {
        pem_note(scanner, part, PKI_PEM_BEGIN_UNCLOSED, line_end);
        while (usable && length > 0 &&
               (scanner->text[label + length - 1] == '-' ||
                pem_is_blank(scanner->text[label + length - 1]))) {
            length--;
        }
    }
    for (size_t i = 0; usable && i < length; i++) {
        unsigned char c = (unsigned char)scanner->text[label + i];
        usable = c >= 0x20 && c <= 0x7e;
    }
    if (!usable) {
        pem_note(scanner, part, PKI_PEM_BEGIN_LABEL, label);
        return closing == PEM_NOWHERE ? line_end : closing + DASHES;
    }
    memcpy(part->label, scanner->text + label, length);
    part->label[length] = '\0';
    return closing == PEM_NOWHERE ? line_end : closing + DASHES;
}

static void note_before_begin(const pki_pem_scanner *scanner, pki_pem_part *part, size_t at) {
    size_t begin = scanner->line_begin;
    if (at == begin) {
        /* Most readers know LF alone: for them BEGIN stands within the line. */
        if (at > 0 && scanner->text[at - 1] == '\r') {
            pem_note(scanner, part, PKI_PEM_BEGIN_AFTER_CR, at);
        }
        return;
    }
    if (begin == 0 && at == 3 && is_at(scanner, 0, at, "\xef\xbb\xbf", 3)) {
        pem_note(scanner, part, PKI_PEM_BYTE_ORDER_MARK, 0);
        return;
    }
    /* Behind the END of another block the line began long ago. */
    bool blanks = part->begin == begin;
    for (size_t i = begin; blanks && i < at; i++) {
        blanks = pem_is_blank(scanner->text[i]);
    }
    pem_note(scanner, part, blanks ? PKI_PEM_BEGIN_INDENTED : PKI_PEM_BEGIN_PREFIXED, at);
}

/* The END mark of the block, PEM_NOWHERE without one, and where the block then stops. */
static size_t find_end(const pki_pem_scanner *scanner, size_t at, size_t *stop) {
    *stop = scanner->length;
    for (;;) {
        size_t dash = find(scanner, at, scanner->length, dashes, DASHES);
        if (dash == PEM_NOWHERE) {
            return PEM_NOWHERE;
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
            return PEM_NOWHERE;
        }
        at = dash + 1;
    }
}

static void note_before_end(const pki_pem_scanner *scanner, pki_pem_part *part, size_t at) {
    if (at == scanner->line_begin) {
        return;
    }
    bool blanks = scanner->line_begin >= part->begin;
    for (size_t i = scanner->line_begin; blanks && i < at; i++) {
        blanks = pem_is_blank(scanner->text[i]);
    }
    pem_note(scanner, part, blanks ? PKI_PEM_END_INDENTED : PKI_PEM_END_PREFIXED, at);
}

/* What follows the END line's dashes; the part ends with the line, or where the next block begins. */
static void read_end(pki_pem_scanner *scanner, pki_pem_part *part, size_t at) {
    pem_line here = pem_line_at(scanner, at);
    size_t label_length = strlen(part->label);
    size_t label = at + END_LENGTH;
    note_before_end(scanner, part, at);
    if (!is_at(scanner, label, here.end, part->label, label_length) ||
        !is_at(scanner, label + label_length, here.end, dashes, DASHES)) {
        pem_note(scanner, part, PKI_PEM_END_MISMATCH, label);
    }
    size_t closing = find(scanner, label, here.end, dashes, DASHES);
    size_t after = closing == PEM_NOWHERE ? here.end : closing + DASHES;
    size_t glued = find(scanner, after, here.end, begin_mark, BEGIN_LENGTH);
    size_t end = glued == PEM_NOWHERE ? here.end : glued;
    for (size_t i = after; i < end; i++) {
        char c = scanner->text[i];
        if (!pem_is_blank(c)) {
            pem_note(scanner, part,
                     c == '\0'     ? PKI_PEM_NUL
                     : c == '\x1a' ? PKI_PEM_CONTROL_Z
                                   : PKI_PEM_END_TRAILED,
                     i);
        } else if (i == after) {
            pem_note(scanner, part, PKI_PEM_END_BLANKS, i);
        }
    }
    if (glued != PEM_NOWHERE) {
        pem_note(scanner, part, PKI_PEM_END_GLUED, glued);
        scanner->position = glued;
        return;
    }
    if (here.ending < 0) {
        pem_note(scanner, part, PKI_PEM_END_UNTERMINATED, here.end);
    }
    pem_advance(scanner, part, &here);
}

static bool read_block(pki_pem_scanner *scanner, pki_pem_part *part, size_t at, size_t line_end,
                       pki_fault *fault) {
    size_t stop = 0;
    part->kind = PKI_PEM_BLOCK;
    part->column = (long)(at - scanner->line_begin) + 1;
    note_before_begin(scanner, part, at);
    scanner->position = read_begin(scanner, part, at, line_end);
    size_t end = find_end(scanner, scanner->position, &stop);
    if (!pem_read_body(scanner, part, stop, fault)) {
        return false;
    }
    if (end != PEM_NOWHERE) {
        read_end(scanner, part, end);
    } else {
        pem_note(scanner, part, PKI_PEM_END_MISSING, stop);
    }
    return true;
}

bool pki_pem_next_part(pki_pem_scanner *scanner, pki_pem_part *part, pki_fault *fault) {
    pki_pem_scanner before = *scanner;
    memset(part, 0, sizeof *part);
    part->begin = scanner->position;
    part->line = scanner->line;
    part->column = (long)(scanner->position - scanner->line_begin) + 1;
    while (scanner->position < scanner->length) {
        pem_line here = pem_line_at(scanner, scanner->position);
        size_t at = find(scanner, scanner->position, here.end, begin_mark, BEGIN_LENGTH);
        if (at != PEM_NOWHERE && scanner->position == part->begin) {
            if (!read_block(scanner, part, at, here.end, fault)) {
                return false;
            }
            break;
        }
        if (at != PEM_NOWHERE) {
            break;
        }
        describe_between(scanner, part, here.end);
        pem_advance(scanner, part, &here);
    }
    part->end = scanner->position;
    pem_note_lookalikes(before, part);
    return part->end > part->begin;
}

#include "pem_line.h"

#include <string.h>

void pem_note(const pki_pem_scanner *scanner, pki_pem_part *part, pki_pem_note what,
              size_t offset) {
    pki_pem_mark *mark = &part->marks[what];
    if (mark->count++ == 0) {
        mark->line = scanner->line;
        mark->column = (long)(offset - scanner->line_begin) + 1;
        mark->offset = offset;
    }
}

/* The next one at or after the offset, or the length. */
static size_t next_of(const pki_pem_scanner *scanner, size_t at, char c) {
    const char *found = memchr(scanner->text + at, c, scanner->length - at);
    return found == NULL ? scanner->length : (size_t)(found - scanner->text);
}

/*
** The next LF and CR are remembered, or a text with only one of them, or with one long line, would
** be searched to its end again and again.
*/
pem_line pem_line_at(pki_pem_scanner *scanner, size_t at) {
    if (scanner->next_feed < at || scanner->next_feed == 0) {
        scanner->next_feed = next_of(scanner, at, '\n');
    }
    if (scanner->next_return < at || scanner->next_return == 0) {
        scanner->next_return = next_of(scanner, at, '\r');
    }
    if (scanner->next_return >= scanner->next_feed) {
        bool ended = scanner->next_feed < scanner->length;
        return (pem_line){scanner->next_feed, scanner->next_feed + (ended ? 1 : 0),
                          ended ? (int)PKI_PEM_LINE_LF : -1};
    }
    size_t end = scanner->next_return;
    if (end + 1 == scanner->next_feed && scanner->next_feed < scanner->length) {
        return (pem_line){end, end + 2, PKI_PEM_LINE_CRLF};
    }
    if (end + 2 == scanner->next_feed && scanner->next_feed < scanner->length &&
        scanner->text[end + 1] == '\r') {
        return (pem_line){end, end + 3, PKI_PEM_LINE_CRCRLF};
    }
    return (pem_line){end, end + 1, PKI_PEM_LINE_CR};
}

void pem_advance(pki_pem_scanner *scanner, pki_pem_part *part, const pem_line *here) {
    if (here->ending >= 0) {
        pem_note(scanner, part, (pki_pem_note)here->ending, here->end);
        scanner->line++;
        scanner->line_begin = here->next;
    }
    scanner->position = here->next;
}

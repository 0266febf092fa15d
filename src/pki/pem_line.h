#ifndef TCPKI_PKI_PEM_LINE_H
#define TCPKI_PKI_PEM_LINE_H

/* The lines of a text, and notes at their places: what the parts of the scanner share. */

#include "pem.h"

#define PEM_NOWHERE ((size_t)-1)

typedef struct pem_line {
    size_t end;  /* of its content */
    size_t next; /* after its line end */
    int ending;  /* a note of LINE_…, or -1 at the end of the text */
} pem_line;

/* The rest of the line at the offset, which is never before that of an earlier call. */
pem_line pem_line_at(pki_pem_scanner *scanner, size_t at);
/* Notes the line end and goes to the next line. */
void pem_advance(pki_pem_scanner *scanner, pki_pem_part *part, const pem_line *here);
/* Notes something on the line that the scanner is at. */
void pem_note(const pki_pem_scanner *scanner, pki_pem_part *part, pki_pem_note what, size_t offset);

static inline bool pem_is_blank(char c) {
    return c == ' ' || c == '\t';
}

/*
** Reads from the scanner's position, behind BEGIN's dashes, up to stop: the rest of the BEGIN line,
** the headers and the base64 of a block.
*/
bool pem_read_body(pki_pem_scanner *scanner, pki_pem_part *part, size_t stop, pki_fault *fault);

/* Notes the characters of the part that look like blanks, like dashes or like nothing and are not
 * ASCII. The scanner is as it was before the part was read. */
void pem_note_lookalikes(pki_pem_scanner before, pki_pem_part *part);

#endif

#include <string.h>

#include "pem_line.h"

/*
** The character at an offset and its length in bytes; -1 and 1 where it is not UTF-8 (RFC 3629, section 4).
*/
static long utf8_at(const char *text, size_t length, size_t at, size_t *bytes) {
    unsigned char first = (unsigned char)text[at];
    size_t more = first < 0x80                    ? 0
                  : first >= 0xc2 && first < 0xe0 ? 1
                  : first >= 0xe0 && first < 0xf0 ? 2
                  : first >= 0xf0 && first < 0xf5 ? 3
                                                  : 4;
    static const long least[] = {0, 0x80, 0x800, 0x10000};
    *bytes = 1;
    if (more == 0) {
        return first;
    }
    if (more == 4 || length - at <= more) {
        return -1;
    }
    long code = first & (0x3f >> more);
    for (size_t i = 1; i <= more; i++) {
        unsigned char next = (unsigned char)text[at + i];
        if ((next & 0xc0) != 0x80) {
            return -1;
        }
        code = code << 6 | (next & 0x3f);
    }
    if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
        return -1;
    }
    *bytes = more + 1;
    return code;
}

static size_t skip_ascii(const char *text, size_t at, size_t end) {
    static const unsigned long high =
        (unsigned long)-1 / 0xff * 0x80; /* the top bit of each byte */
    for (; end - at >= sizeof high; at += sizeof high) {
        unsigned long word = 0;
        memcpy(&word, text + at, sizeof word);
        if ((word & high) != 0) {
            break;
        }
    }
    while (at < end && (unsigned char)text[at] < 0x80) {
        at++;
    }
    return at;
}

/* ASCII with a NUL before (big endian) or behind each character, as far as a line of armour goes. */
static bool is_wide(const char *text, size_t length, size_t nul) {
    enum { LOOKED_AT = 64 };
    if (length < 4 || length % 2 != 0) {
        return false;
    }
    for (size_t i = 0; i + 1 < length && i < LOOKED_AT; i += 2) {
        if (text[i + nul] != '\0' || text[i + 1 - nul] == '\0') {
            return false;
        }
    }
    return true;
}

const char *pki_pem_encoding(const char *text, size_t length, size_t *mark) {
    static const struct {
        const char *mark;
        size_t length;
        const char *word;
    } marks[] = {{"\xff\xfe\0\0", 4, "utf-32le"},
                 {"\0\0\xfe\xff", 4, "utf-32be"},
                 {"\xff\xfe", 2, "utf-16le"},
                 {"\xfe\xff", 2, "utf-16be"}};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        *mark = marks[i].length;
        if (length >= *mark && memcmp(text, marks[i].mark, *mark) == 0) {
            return marks[i].word;
        }
    }
    *mark = 0;
    if (is_wide(text, length, 1)) {
        return "utf-16le";
    }
    if (is_wide(text, length, 0)) {
        return "utf-16be";
    }
    size_t at = skip_ascii(text, 0, length);
    if (at == length) {
        return "ascii";
    }
    *mark = length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    while (at < length) {
        size_t bytes = 0;
        if (utf8_at(text, length, at, &bytes) < 0) {
            return "other";
        }
        at = skip_ascii(text, at + bytes, length);
    }
    return "utf-8";
}

/* Characters that editors, chats and documents put where ASCII was meant: Unicode 15, UnicodeData. */
static int lookalike(long code) {
    static const struct {
        long first;
        long last;
        pki_pem_note note;
    } ranges[] = {{0x85, 0x85, PKI_PEM_WIDE_BLANK},     {0xa0, 0xa0, PKI_PEM_WIDE_BLANK},
                  {0xad, 0xad, PKI_PEM_ZERO_WIDTH},     {0x1680, 0x1680, PKI_PEM_WIDE_BLANK},
                  {0x180e, 0x180e, PKI_PEM_ZERO_WIDTH}, {0x2000, 0x200a, PKI_PEM_WIDE_BLANK},
                  {0x200b, 0x200f, PKI_PEM_ZERO_WIDTH}, {0x2010, 0x2015, PKI_PEM_SMART_DASH},
                  {0x2028, 0x2029, PKI_PEM_WIDE_BLANK}, {0x202a, 0x202e, PKI_PEM_ZERO_WIDTH},
                  {0x202f, 0x202f, PKI_PEM_WIDE_BLANK}, {0x205f, 0x205f, PKI_PEM_WIDE_BLANK},
                  {0x2060, 0x2064, PKI_PEM_ZERO_WIDTH}, {0x2066, 0x2069, PKI_PEM_ZERO_WIDTH},
                  {0x2212, 0x2212, PKI_PEM_SMART_DASH}, {0x3000, 0x3000, PKI_PEM_WIDE_BLANK},
                  {0xfe58, 0xfe58, PKI_PEM_SMART_DASH}, {0xfe63, 0xfe63, PKI_PEM_SMART_DASH},
                  {0xfeff, 0xfeff, PKI_PEM_ZERO_WIDTH}, {0xff0d, 0xff0d, PKI_PEM_SMART_DASH}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        if (code >= ranges[i].first && code <= ranges[i].last) {
            return (int)ranges[i].note;
        }
    }
    return -1;
}

void pem_note_lookalikes(pki_pem_scanner before, pki_pem_part *part) {
    size_t at = skip_ascii(before.text, part->begin, part->end);
    if (at == 0 && part->marks[PKI_PEM_BYTE_ORDER_MARK].count > 0) {
        at = skip_ascii(before.text, 3, part->end);
    }
    while (at < part->end) {
        size_t bytes = 0;
        int note = lookalike(utf8_at(before.text, part->end, at, &bytes));
        if (note >= 0) {
            pem_line here = pem_line_at(&before, before.position);
            while (here.next <= at) {
                before.line++;
                before.line_begin = before.position = here.next;
                here = pem_line_at(&before, before.position);
            }
            pem_note(&before, part, (pki_pem_note)note, at);
        }
        at = skip_ascii(before.text, at + bytes, part->end);
    }
}

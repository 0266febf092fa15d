/***
PEM, the armour of RFC 7468.
@module tcpki.pem
*/
#include "../pki/pem.h"

#include <string.h>

#include "core.h"

static void push_block(lua_State *L, const char *text, const pki_pem_part *block) {
    lua_createtable(L, 0, 6);
    lua_pushstring(L, block->label);
    lua_setfield(L, -2, "label");
    lua_pushinteger(L, block->line);
    lua_setfield(L, -2, "line");
    lua_pushinteger(L, (lua_Integer)block->begin + 1);
    lua_setfield(L, -2, "first");
    lua_pushinteger(L, (lua_Integer)block->end);
    lua_setfield(L, -2, "last");
    lua_pushlstring(L, text + block->begin, block->end - block->begin);
    lua_setfield(L, -2, "source");
    lua_pushlstring(L, (const char *)block->der.data, block->der.length);
    lua_setfield(L, -2, "der");
}

/***
The blocks of a text, in order. The text between blocks is what lies outside their ranges.
@function blocks
@tparam string text
@treturn[1] table of {label =, line =, first =, last = (byte positions in the text), source =, der =};
the source and der of a key block are the key
@treturn[2] nil
@treturn[2] fault `empty`, `not_pem`, `bad_pem` with line and column
*/
static int pem_blocks(lua_State *L) {
    pki_fault fault;
    pki_pem_reader reader;
    pki_pem_part block;
    pki_pem_outcome outcome;
    size_t length = 0;
    const char *text = check_text(L, 1, &length);
    lua_settop(L, 1);
    lua_newtable(L);
    pki_buffer *der = scratch_buffer(L);
    pki_begin(&fault);
    pki_pem_open(&reader, text, length);
    while ((outcome = pki_pem_next(&reader, &block, &fault)) == PKI_PEM_READ) {
        *der = block.der;
        push_block(L, text, &block);
        lua_rawseti(L, 2, (lua_Integer)lua_rawlen(L, 2) + 1);
        pki_buffer_free(der);
    }
    if (outcome == PKI_PEM_FAULT) {
        return fault_push(L, &fault, NULL);
    }
    lua_settop(L, 2);
    return 1;
}

/***
Canonical armour: 64 columns, LF, a final newline.
@function encode
@tparam string label as in "CERTIFICATE"
@tparam string der
@treturn string
*/
static int pem_encode(lua_State *L) {
    size_t label_length = 0;
    size_t length = 0;
    const char *label = check_text(L, 1, &label_length);
    const char *der = check_text(L, 2, &length);
    luaL_argcheck(L, label_length > 0 && label_length < PKI_PEM_LABEL_SIZE, 1,
                  "the label must have 1 to 63 characters");
    luaL_argcheck(L, length > 0, 2, "there is nothing to encode");
    for (size_t i = 0; i < label_length; i++) {
        luaL_argcheck(L, label[i] >= 0x20 && label[i] <= 0x7e && label[i] != '-', 1,
                      "the label must be printable ASCII without dashes");
    }
    return push_pem(L, label, (const unsigned char *)der, length);
}

static void push_mark(lua_State *L, const pki_pem_mark *mark) {
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, mark->count);
    lua_setfield(L, -2, "count");
    lua_pushinteger(L, mark->line);
    lua_setfield(L, -2, "line");
    lua_pushinteger(L, mark->column);
    lua_setfield(L, -2, "column");
    lua_pushinteger(L, (lua_Integer)mark->offset + 1);
    lua_setfield(L, -2, "at");
}

static void set_integer(lua_State *L, const char *name, lua_Integer value) {
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

/* The line ends that a part uses, in one word. */
static const char *line_ends(const pki_pem_part *part) {
    static const struct {
        pki_pem_note note;
        const char *word;
    } kinds[] = {{PKI_PEM_LINE_LF, "lf"},
                 {PKI_PEM_LINE_CRLF, "crlf"},
                 {PKI_PEM_LINE_CR, "cr"},
                 {PKI_PEM_LINE_CRCRLF, "crcrlf"}};
    const char *found = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (part->marks[kinds[i].note].count > 0) {
            found = found == NULL ? kinds[i].word : "mixed";
        }
    }
    return found;
}

/* The first of several headers of one name counts, as it does for OpenSSL. */
static void push_fields(lua_State *L, pki_view headers) {
    pki_view name;
    pki_view value;
    lua_newtable(L);
    while (pki_pem_next_header(&headers, &name, &value)) {
        lua_pushlstring(L, (const char *)name.data, name.length);
        lua_pushvalue(L, -1);
        if (lua_rawget(L, -3) != LUA_TNIL) {
            lua_pop(L, 2);
            continue;
        }
        lua_pop(L, 1);
        lua_pushlstring(L, (const char *)value.data, value.length);
        lua_rawset(L, -3);
    }
}

static void push_notes(lua_State *L, const pki_pem_part *part) {
    lua_newtable(L);
    for (int i = 0; i < PKI_PEM_NOTE_COUNT; i++) {
        if (part->marks[i].count > 0) {
            push_mark(L, &part->marks[i]);
            lua_setfield(L, -2, pki_pem_note_word((pki_pem_note)i));
        }
    }
}

static void push_part(lua_State *L, const pki_pem_part *part) {
    bool block = part->kind == PKI_PEM_BLOCK;
    lua_createtable(L, 0, block ? 16 : 8);
    lua_pushstring(L, block ? "block" : "between");
    lua_setfield(L, -2, "kind");
    set_integer(L, "line", part->line);
    set_integer(L, "column", part->column);
    set_integer(L, "first", (lua_Integer)part->begin + 1);
    set_integer(L, "last", (lua_Integer)part->end);
    lua_pushstring(L, line_ends(part));
    lua_setfield(L, -2, "line_ends");
    push_notes(L, part);
    lua_setfield(L, -2, "notes");
    if (!block) {
        return;
    }
    lua_pushstring(L, part->label);
    lua_setfield(L, -2, "label");
    set_integer(L, "width", (lua_Integer)part->width);
    if (part->headers.length > 0) {
        lua_pushlstring(L, (const char *)part->headers.data, part->headers.length);
        lua_setfield(L, -2, "headers");
        push_fields(L, part->headers);
        lua_setfield(L, -2, "fields");
    }
    if (part->decoded) {
        lua_pushlstring(L, (const char *)part->der.data, part->der.length);
        lua_setfield(L, -2, "der");
        set_integer(L, "trailing", part->marks[PKI_PEM_DER_TRAILING].count);
        set_integer(L, "padding", part->padding);
        set_integer(L, "pad_bits", (lua_Integer)part->pad_bits);
    }
}

/*
** A part described as a table takes about a thousand bytes, a hostile one twelve of the text. The
** largest honest bundles have some hundreds of blocks.
*/
enum { PARTS_LIMIT = 100000 };

/***
Describes a text completely, whatever it holds: its parts follow one another without a gap, so that
their ranges put together are the text.

The text as a whole: `encoding` ("ascii", "utf-8", "utf-16le", "utf-16be", "utf-32le", "utf-32be" or
"other") and `byte_order_mark` (how many bytes it has, 0 without one).

A part: `kind` ("block" or "between"), `first` and `last` (byte positions), `line`, `column` (of a
block: where its BEGIN stands), `line_ends` ("lf", "crlf", "cr", "crcrlf", "mixed", or nil where it
has none), `notes` (what is to be noted, by the words of src/pki/pem.h, each with `count` and the
place of the first: `line`, `column`, `at`).

A block also has `label`, `width` (digits in its longest line), `headers` (as they stand there) with
`fields` (the same by name: `fields["DEK-Info"]`), and, where its body can be decoded, `der`,
`trailing` (bytes behind the object in it), `padding` (how many = end the body) and `pad_bits` (what
is encoded behind the last byte: 0 when it is well encoded).
@function scan
@tparam string text
@treturn[1] table of parts
@treturn[2] nil
@treturn[2] fault `out_of_memory`, `too_large` beyond 100 000 parts
*/
static int pem_scan(lua_State *L) {
    pki_fault fault;
    pki_pem_scanner scanner;
    pki_pem_part part;
    size_t length = 0;
    size_t mark = 0;
    const char *text = check_text(L, 1, &length);
    lua_settop(L, 1);
    lua_newtable(L);
    lua_pushstring(L, pki_pem_encoding(text, length, &mark));
    lua_setfield(L, 2, "encoding");
    lua_pushinteger(L, (lua_Integer)mark);
    lua_setfield(L, 2, "byte_order_mark");
    pki_buffer *der = scratch_buffer(L);
    pki_begin(&fault);
    pki_pem_scan(&scanner, text, length);
    for (lua_Integer i = 1; pki_pem_next_part(&scanner, &part, &fault); i++) {
        *der = part.der;
        if (i > PARTS_LIMIT) {
            (void)pki_fail(&fault, PKI_TOO_LARGE, "there are more than %d blocks and gaps",
                           PARTS_LIMIT);
            fault.line = part.line;
            break;
        }
        push_part(L, &part);
        lua_rawseti(L, 2, i);
        pki_buffer_free(der);
    }
    if (fault.code != PKI_OK) {
        return fault_push(L, &fault, NULL);
    }
    lua_settop(L, 2);
    return 1;
}

/* encoding(text): that of pem.scan, without the rest of the description. */
static int pem_encoding(lua_State *L) {
    size_t length = 0;
    size_t mark = 0;
    const char *text = check_text(L, 1, &length);
    lua_pushstring(L, pki_pem_encoding(text, length, &mark));
    lua_pushinteger(L, (lua_Integer)mark);
    return 2;
}

static const luaL_Reg functions[] = {{"scan", pem_scan},
                                     {"blocks", pem_blocks},
                                     {"encode", pem_encode},
                                     {"encoding", pem_encoding},
                                     {NULL, NULL}};

void pem_open(lua_State *L) {
    luaL_newlib(L, functions);
}

/***
Files: read whole, written whole or not at all.
@module tcpki.file
*/
#include "../pki/file.h"

#include "../pki/directory.h"
#include "core.h"

/***
Reads a whole file, of at most 64 MiB.
@function read
@tparam string path
@treturn[1] string
@treturn[2] nil
@treturn[2] fault `not_found`, `permission_denied`, `not_a_file`, `too_large`
*/
static int file_read(lua_State *L) {
    pki_fault fault;
    const char *path = check_path(L, 1);
    pki_buffer *content = scratch_buffer(L);
    pki_begin(&fault);
    if (!pki_file_read(content, path, &fault)) {
        return fault_push(L, &fault, path);
    }
    lua_pushlstring(L, (const char *)content->data, content->length);
    return 1;
}

static mode_t take_mode(lua_State *L, int index) {
    lua_Integer mode = 0644;
    (void)options_integer(L, index, "mode", &mode);
    luaL_argcheck(L, mode >= 0 && mode <= 0777, index, "option 'mode' must be from 0 to 0777");
    return (mode_t)mode;
}

/***
Writes a file in one step: a temporary file in the same directory, synced and renamed.
@function write
@tparam string path
@tparam string content
@tparam[opt] table options `mode` (0644 by default), `overwrite` (false by default)
@treturn[1] boolean true
@treturn[2] nil
@treturn[2] fault `already_exists`, `symbolic_link`, `not_a_file`, `permission_denied`, `no_space`, …
*/
static int file_write(lua_State *L) {
    static const char *const known[] = {"mode", "overwrite", NULL};
    pki_fault fault;
    size_t length = 0;
    const char *path = check_path(L, 1);
    const char *content = check_text(L, 2, &length);
    lua_settop(L, 3);
    options_check(L, 3, known);
    mode_t mode = take_mode(L, 3);
    bool overwrite = options_boolean(L, 3, "overwrite", false);
    pki_begin(&fault);
    if (!pki_file_write(path, content, length, mode, overwrite, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/***
Makes one directory.
@function make_directory
@tparam string path
@treturn[1] boolean true
@treturn[2] nil
@treturn[2] fault `already_exists`, `not_found`, `permission_denied`, …
*/
static int file_make_directory(lua_State *L) {
    pki_fault fault;
    const char *path = check_path(L, 1);
    pki_begin(&fault);
    if (!pki_directory_make(path, &fault)) {
        return fault_push(L, &fault, path);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/***
What lies in a directory, in no order, hidden files included.
@function list
@tparam string path
@treturn[1] {table,...} of `{ name =, kind = "file"|"directory"|"link"|"other", mode = }`, the
permission bits; links are not followed
@treturn[2] nil
@treturn[2] fault `not_found`, `permission_denied`, …
*/
static int file_list(lua_State *L) {
    pki_fault fault;
    const char *path = check_path(L, 1);
    pki_list *entries = scratch_list(L);
    pki_begin(&fault);
    if (!pki_directory_list(entries, path, &fault)) {
        return fault_push(L, &fault, path);
    }
    lua_createtable(L, (int)entries->count, 0);
    for (size_t i = 0; i < entries->count; i++) {
        lua_createtable(L, 0, 3);
        lua_pushlstring(L, pki_item_value(entries, i), entries->items[i].value_length);
        lua_setfield(L, -2, "name");
        lua_pushstring(L, pki_item_type(entries, i));
        lua_setfield(L, -2, "kind");
        lua_pushinteger(L, (lua_Integer)entries->items[i].number);
        lua_setfield(L, -2, "mode");
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/***
Gives each of two files or directories the name of the other, in one step where the file system
knows one.
@function exchange
@tparam string first
@tparam string second
@treturn[1] boolean true
@treturn[2] nil
@treturn[2] fault `not_found`, `permission_denied`, …
*/
static int file_exchange(lua_State *L) {
    pki_fault fault;
    const char *first = check_path(L, 1);
    const char *second = check_path(L, 2);
    pki_begin(&fault);
    if (!pki_directory_exchange(first, second, &fault)) {
        return fault_push(L, &fault, first);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/***
Gives a file or directory the permission bits of another one and, to a process of root's, its owner
and group: for what is to take the place of that one.
@function adopt
@tparam string path
@tparam string like
@treturn[1] boolean true
@treturn[2] nil
@treturn[2] fault `not_found`, `permission_denied`, …
*/
static int file_adopt(lua_State *L) {
    pki_fault fault;
    const char *path = check_path(L, 1);
    const char *like = check_path(L, 2);
    pki_begin(&fault);
    if (!pki_directory_adopt(path, like, &fault)) {
        return fault_push(L, &fault, path);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static const luaL_Reg functions[] = {
    {"read", file_read}, {"write", file_write},       {"make_directory", file_make_directory},
    {"list", file_list}, {"exchange", file_exchange}, {"adopt", file_adopt},
    {NULL, NULL}};

void file_open(lua_State *L) {
    luaL_newlib(L, functions);
}

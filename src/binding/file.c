/***
Files: read whole, written whole or not at all.
@module tcpki.file
*/
#include "../pki/file.h"

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

static const luaL_Reg functions[] = {{"read", file_read}, {"write", file_write}, {NULL, NULL}};

void file_open(lua_State *L) {
    luaL_newlib(L, functions);
}

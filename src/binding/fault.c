#include <string.h>

#include "box.h"

static void set_string(lua_State *L, const char *name, const char *value) {
    if (value != NULL && value[0] != '\0') {
        lua_pushstring(L, value);
        lua_setfield(L, -2, name);
    }
}

static void set_integer(lua_State *L, const char *name, lua_Integer value, lua_Integer absent) {
    if (value != absent) {
        lua_pushinteger(L, value);
        lua_setfield(L, -2, name);
    }
}

static void set_reasons(lua_State *L, const char *reasons) {
    if (reasons[0] == '\0') {
        return;
    }
    lua_newtable(L);
    for (lua_Integer i = 1; *reasons != '\0'; i++) {
        size_t length = strcspn(reasons, "\n");
        lua_pushlstring(L, reasons, length);
        lua_rawseti(L, -2, i);
        reasons += length + (reasons[length] == '\n' ? 1 : 0);
    }
    lua_setfield(L, -2, "openssl");
}

/* What was given as a path may be what belongs into the file, and that a key: nothing of it goes
 * into a message. */
static const char *shown_path(const char *path) {
    bool is_content = path != NULL && strstr(path, "-----BEGIN") != NULL;
    return is_content ? "(PEM text, where a path belongs)" : path;
}

int fault_push(lua_State *L, const pki_fault *fault, const char *path) {
    luaL_pushfail(L);
    lua_createtable(L, 0, 8);
    luaL_setmetatable(L, "tcpki.fault");
    set_string(L, "code", pki_fault_word(fault->code));
    set_string(L, "message", fault->message);
    set_string(L, "hint", pki_fault_hint(fault));
    set_string(L, "path", shown_path(fault->path != NULL ? fault->path : path));
    set_string(L, "subject", fault->subject);
    set_integer(L, "line", fault->line, 0);
    set_integer(L, "column", fault->column, 0);
    set_integer(L, "depth", fault->depth, -1);
    set_reasons(L, fault->openssl);
    return 2;
}

/* Appends the field with what stands before and after it, where the field is there. */
static void add_field(luaL_Buffer *buffer, const char *before, const char *name,
                      const char *after) {
    lua_State *L = buffer->L;
    (void)lua_getfield(L, 1, name);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return;
    }
    (void)luaL_tolstring(L, -1, NULL);
    lua_remove(L, -2);
    lua_pushfstring(L, "%s%s%s", before, lua_tostring(L, -1), after);
    lua_remove(L, -2);
    luaL_addvalue(buffer);
}

/* PATH: line, column: message (code) / subject / hint, each where it is known. */
static int fault_tostring(lua_State *L) {
    luaL_Buffer buffer;
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_buffinit(L, &buffer);
    add_field(&buffer, "", "path", ": ");
    bool placed = lua_getfield(L, 1, "column") != LUA_TNIL;
    lua_pop(L, 1);
    add_field(&buffer, "line ", "line", placed ? "" : ": ");
    add_field(&buffer, ", column ", "column", ": ");
    add_field(&buffer, "", "message", "");
    add_field(&buffer, " (", "code", ")");
    add_field(&buffer, "\n  certificate: ", "subject", "");
    add_field(&buffer, " at depth ", "depth", "");
    add_field(&buffer, "\n  do: ", "hint", "");
    luaL_pushresult(&buffer);
    return 1;
}

int fault_new(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    (void)lua_getfield(L, 1, "code");
    (void)lua_getfield(L, 1, "message");
    luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING && lua_type(L, -2) == LUA_TSTRING, 1,
                  "a fault needs code and message");
    lua_settop(L, 1);
    luaL_setmetatable(L, "tcpki.fault");
    return 1;
}

void fault_register(lua_State *L) {
    luaL_newmetatable(L, "tcpki.fault");
    lua_pushcfunction(L, fault_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pop(L, 1);
}

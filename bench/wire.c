/* The peers of the probe, n times in this process. */
#include <lauxlib.h>
#include <lua.h>

#include "target.h"

static const char *field(lua_State *L, const char *name) {
    (void)lua_getfield(L, 1, name);
    const char *text = luaL_checkstring(L, -1);
    lua_pop(L, 1); /* the table keeps it */
    return text;
}

static int repeat(lua_State *L, bool (*probe)(const target *to)) {
    luaL_checktype(L, 1, LUA_TTABLE);
    target to = {.address = field(L, "address"),
                 .port = field(L, "port"),
                 .server_name = field(L, "server_name"),
                 .namespace = field(L, "namespace"),
                 .roots = field(L, "roots"),
                 .certificate = field(L, "certificate"),
                 .key = field(L, "key")};
    for (lua_Integer n = luaL_checkinteger(L, 2); n > 0; n--) {
        if (!probe(&to)) {
            return luaL_error(L, "the peer failed");
        }
    }
    return 0;
}

static int wire_bare(lua_State *L) {
    return repeat(L, bare_probe);
}

static int wire_handshake(lua_State *L) {
    return repeat(L, handshake_probe);
}

static const luaL_Reg functions[] = {
    {"bare", wire_bare}, {"handshake", wire_handshake}, {NULL, NULL}};

int luaopen_wire(lua_State *L);

int luaopen_wire(lua_State *L) {
    luaL_newlib(L, functions);
    return 1;
}

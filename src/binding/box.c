#include "box.h"

#include <string.h>

void box_register(lua_State *L, box_kind *kind, const luaL_Reg *methods,
                  const luaL_Reg *metamethods) {
    luaL_newmetatable(L, kind->name);
    luaL_setfuncs(L, metamethods, 0);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

void **box_push(lua_State *L, box_kind *kind) {
    void **box = lua_newuserdatauv(L, sizeof *box, 1);
    *box = NULL;
    luaL_setmetatable(L, kind->name);
    return box;
}

void box_fill(void **box, box_kind *kind, void *object) {
    *box = object;
    if (object != NULL) {
        kind->live++;
    }
}

void *box_check(lua_State *L, int index, const box_kind *kind) {
    void **box = luaL_checkudata(L, index, kind->name);
    if (*box == NULL) {
        (void)luaL_argerror(L, index, lua_pushfstring(L, "the %s is closed", kind->name));
    }
    return *box;
}

void *box_test(lua_State *L, int index, const box_kind *kind) {
    void **box = luaL_testudata(L, index, kind->name);
    if (box != NULL && *box == NULL) {
        (void)luaL_argerror(L, index, lua_pushfstring(L, "the %s is closed", kind->name));
    }
    return box == NULL ? NULL : *box;
}

int box_close(lua_State *L, box_kind *kind) {
    void **box = luaL_checkudata(L, 1, kind->name);
    void *object = *box;
    *box = NULL;
    if (object != NULL) {
        kind->release(object);
        kind->live--;
    }
    return 0;
}

int box_source(lua_State *L, int index) {
    (void)lua_getiuservalue(L, index, 1);
    return 1;
}

static int list_release(lua_State *L) {
    pki_list_free(luaL_checkudata(L, 1, "tcpki.list"));
    return 0;
}

static int buffer_release(lua_State *L) {
    pki_buffer_free(luaL_checkudata(L, 1, "tcpki.buffer"));
    return 0;
}

/* In the registry under this address, of each state one list that nobody uses. */
static const char spare;
enum { SPARE_SIZE = 1 << 16 };

pki_list *scratch_list(lua_State *L) {
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &spare) == LUA_TUSERDATA) {
        lua_pushnil(L);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &spare);
        return lua_touserdata(L, -1);
    }
    lua_pop(L, 1);
    pki_list *list = lua_newuserdatauv(L, sizeof *list, 0);
    memset(list, 0, sizeof *list);
    luaL_setmetatable(L, "tcpki.list");
    return list;
}

void scratch_keep(lua_State *L, int index) {
    pki_list *list = lua_touserdata(L, index);
    if (list->arena_capacity <= SPARE_SIZE && list->capacity <= SPARE_SIZE / sizeof *list->items) {
        list->count = 0;
        list->arena_length = 0;
        lua_pushvalue(L, index);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &spare);
    }
}

pki_buffer *scratch_buffer(lua_State *L) {
    pki_buffer *buffer = lua_newuserdatauv(L, sizeof *buffer, 0);
    memset(buffer, 0, sizeof *buffer);
    luaL_setmetatable(L, "tcpki.buffer");
    return buffer;
}

void scratch_register(lua_State *L) {
    luaL_newmetatable(L, "tcpki.list");
    lua_pushcfunction(L, list_release);
    lua_setfield(L, -2, "__gc");
    luaL_newmetatable(L, "tcpki.buffer");
    lua_pushcfunction(L, buffer_release);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 2);
}

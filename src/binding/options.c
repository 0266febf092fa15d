#include <string.h>

#include "box.h"

static int wrong_type(lua_State *L, int index, const char *name, const char *expected) {
    return luaL_argerror(
        L, index,
        lua_pushfstring(L, "option '%s' must be %s, not %s", name, expected, luaL_typename(L, -1)));
}

static const char *known_options(lua_State *L, const char *const *known) {
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    for (size_t i = 0; known[i] != NULL; i++) {
        luaL_addstring(&buffer, i == 0 ? "" : ", ");
        luaL_addstring(&buffer, known[i]);
    }
    luaL_pushresult(&buffer);
    return lua_tostring(L, -1);
}

/*
** Options may be inherited, and a metamethod may make them anew at each look or run any code: what
** it gives is put into a table of our own, which keeps it until the function returns.
*/
static void settle(lua_State *L, int index, const char *const *known) {
    if (!lua_getmetatable(L, index)) {
        return;
    }
    lua_pop(L, 1);
    lua_newtable(L);
    for (size_t i = 0; known[i] != NULL; i++) {
        (void)lua_getfield(L, index, known[i]);
        lua_setfield(L, -2, known[i]);
    }
    lua_replace(L, index);
}

void options_check(lua_State *L, int index, const char *const *known) {
    if (lua_isnoneornil(L, index)) {
        return;
    }
    luaL_checktype(L, index, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        lua_pop(L, 1);
        const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
        size_t i = 0;
        while (known[i] != NULL && strcmp(known[i], name) != 0) {
            i++;
        }
        if (known[i] == NULL) {
            name = luaL_tolstring(L, -1, NULL);
            const char *list = known_options(L, known);
            (void)luaL_argerror(L, index,
                                lua_pushfstring(L, "unknown option '%s' (known: %s)", name, list));
        }
    }
    settle(L, index, known);
}

/* Pushes the option, or nothing and false. */
static bool get(lua_State *L, int index, const char *name) {
    if (lua_isnoneornil(L, index)) {
        return false;
    }
    if (lua_getfield(L, index, name) == LUA_TNIL) {
        lua_pop(L, 1);
        return false;
    }
    return true;
}

const char *options_string(lua_State *L, int index, const char *name, size_t *length) {
    if (!get(L, index, name)) {
        return NULL;
    }
    if (lua_type(L, -1) != LUA_TSTRING) {
        (void)wrong_type(L, index, name, "a string");
    }
    const char *value = lua_tolstring(L, -1, length);
    lua_pop(L, 1); /* the options table keeps it */
    return value;
}

bool options_boolean(lua_State *L, int index, const char *name, bool otherwise) {
    if (!get(L, index, name)) {
        return otherwise;
    }
    if (!lua_isboolean(L, -1)) {
        (void)wrong_type(L, index, name, "a boolean");
    }
    bool value = lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
    return value;
}

bool options_integer(lua_State *L, int index, const char *name, lua_Integer *value) {
    if (!get(L, index, name)) {
        return false;
    }
    int whole = 0;
    if (lua_type(L, -1) == LUA_TNUMBER) {
        *value = lua_tointegerx(L, -1, &whole);
    }
    if (whole == 0) {
        (void)wrong_type(L, index, name, "an integer");
    }
    lua_pop(L, 1);
    return true;
}

bool options_table(lua_State *L, int index, const char *name) {
    if (!get(L, index, name)) {
        lua_pushnil(L);
        return false;
    }
    if (!lua_istable(L, -1)) {
        (void)wrong_type(L, index, name, "a table");
    }
    return true;
}

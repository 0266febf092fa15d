#include "box.h"

#include <stdatomic.h>
#include <string.h>

/* ---- boxes ---- */

/* Of all Lua states, which may run in threads of their own. */
static atomic_int live_boxes;

box *box_new(lua_State *L, const char *type) {
    box *made = lua_newuserdatauv(L, sizeof *made, 0);
    made->held = NULL;
    luaL_setmetatable(L, type);
    return made;
}

void box_fill(lua_State *L, box *made, void *held) {
    if (held == NULL) {
        luaL_error(L, "not enough memory");
    }
    made->held = held;
    live_boxes++;
}

void *box_check(lua_State *L, const char *type) {
    box *checked = luaL_checkudata(L, 1, type);
    if (checked->held == NULL) {
        luaL_error(L, "attempt to use a closed %s", type);
    }
    return checked->held;
}

void *box_empty(lua_State *L, int index, const char *type) {
    box *emptied = luaL_checkudata(L, index, type);
    void *held = emptied->held;
    emptied->held = NULL;
    live_boxes -= held != NULL;
    return held;
}

static int box_tostring(lua_State *L) {
    (void)luaL_getmetafield(L, 1, "__name");
    const box *shown = lua_touserdata(L, 1);
    lua_pushfstring(L, shown->held != NULL ? "%s" : "%s (closed)", lua_tostring(L, -1));
    return 1;
}

void box_register(lua_State *L, const char *type, const luaL_Reg *methods, lua_CFunction close) {
    luaL_newmetatable(L, type);
    lua_pushcfunction(L, close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, close);
    lua_setfield(L, -2, "__close");
    lua_pushcfunction(L, box_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

int box_live(void) {
    return live_boxes;
}

/* ---- fields ---- */

const char *text_field(lua_State *L, const char *name, bool required) {
    luaL_checkstack(L, 2, NULL);
    int type = lua_getfield(L, 1, name);
    if (type == LUA_TNIL && !required) {
        return NULL;
    }
    size_t length = 0;
    const char *text = type == LUA_TSTRING ? lua_tolstring(L, -1, &length) : NULL;
    if (text == NULL || strlen(text) != length) {
        luaL_error(L, "%s: a string without NUL expected", name);
    }
    return text;
}

double number_field(lua_State *L, const char *name) {
    if (lua_getfield(L, 1, name) != LUA_TNUMBER) {
        luaL_error(L, "%s: a number expected", name);
    }
    double number = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return number;
}

bool boolean_field(lua_State *L, const char *name) {
    (void)lua_getfield(L, 1, name);
    bool set = lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
    return set;
}

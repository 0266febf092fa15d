#include "passphrase.h"

#include <stdlib.h>
#include <string.h>

#include "../pki/file.h"

void passphrase_check(lua_State *L, int options) {
    static const char *const names[] = {PASSPHRASE_OPTIONS};
    int sources = 0;
    if (lua_isnoneornil(L, options)) {
        return;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int type = lua_getfield(L, options, names[i]);
        sources += type != LUA_TNIL ? 1 : 0;
        if (type != LUA_TNIL && type != LUA_TSTRING && !(i == 0 && type == LUA_TFUNCTION)) {
            (void)luaL_argerror(L, options,
                                lua_pushfstring(L, "option '%s' must be a string%s, not %s",
                                                names[i], i == 0 ? " or a function" : "",
                                                luaL_typename(L, -1)));
        }
        lua_pop(L, 1);
    }
    luaL_argcheck(L, sources <= 1, options,
                  "pass one of passphrase, passphrase_file and passphrase_env");
}

static passphrase_outcome from_function(lua_State *L, pki_view *view) {
    size_t length = 0;
    lua_call(L, 0, 1);
    if (lua_isnil(L, -1)) {
        return PASSPHRASE_NONE;
    }
    if (lua_type(L, -1) != LUA_TSTRING) {
        (void)luaL_error(L, "the passphrase function must return a string or nil, not %s",
                         luaL_typename(L, -1));
    }
    view->data = (const unsigned char *)lua_tolstring(L, -1, &length);
    view->length = length;
    return PASSPHRASE_GIVEN;
}

static passphrase_outcome from_file(lua_State *L, const char *path, pki_view *view,
                                    pki_fault *fault) {
    pki_buffer *content = scratch_buffer(L);
    if (!pki_file_read(content, path, fault)) {
        return PASSPHRASE_FAULT;
    }
    /* The one line end that editors and echo add; any other blank may be meant. */
    size_t length = content->length;
    if (length > 0 && content->data[length - 1] == '\n') {
        length--;
        if (length > 0 && content->data[length - 1] == '\r') {
            length--;
        }
    }
    view->data = content->data;
    view->length = length;
    return PASSPHRASE_GIVEN;
}

passphrase_outcome passphrase_ask(lua_State *L, int options, pki_view *view, pki_fault *fault) {
    if (lua_isnoneornil(L, options)) {
        return PASSPHRASE_NONE;
    }
    int type = lua_getfield(L, options, "passphrase");
    if (type == LUA_TFUNCTION) {
        return from_function(L, view);
    }
    if (type == LUA_TSTRING) {
        size_t length = 0;
        view->data = (const unsigned char *)lua_tolstring(L, -1, &length);
        view->length = length;
        return PASSPHRASE_GIVEN;
    }
    const char *path = options_string(L, options, "passphrase_file", NULL);
    if (path != NULL) {
        return from_file(L, path, view, fault);
    }
    const char *name = options_string(L, options, "passphrase_env", NULL);
    if (name != NULL) {
        const char *value = getenv(name);
        if (value == NULL) {
            (void)pki_fail(fault, PKI_PASSPHRASE_REQUIRED, "the environment variable %s is not set",
                           name);
            pki_fault_set_hint(fault, "set it to the passphrase of the key");
            return PASSPHRASE_FAULT;
        }
        view->data = (const unsigned char *)value;
        view->length = strlen(value);
        return PASSPHRASE_GIVEN;
    }
    return PASSPHRASE_NONE;
}

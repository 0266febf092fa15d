#include "binding_frontend.h"

#include <lauxlib.h>

#include "box.h"
#include "frontend.h"

#define FRONTEND "tcpki.probe.server"

static frontend_identity identity_fields(lua_State *L) {
    frontend_identity identity = {
        .certificate = text_field(L, "certificate", true),
        .key = text_field(L, "key", true),
        .client_ca = text_field(L, "client_ca", false),
    };
    return identity;
}

/* The namespaces of the table at the index, in memory that the collector owns. */
static const char **namespace_list(lua_State *L, size_t count) {
    const char **list = lua_newuserdatauv(L, (count + 1) * sizeof *list, 0);
    lua_insert(L, -2);
    luaL_checkstack(L, (int)count + 4, "too many namespaces");
    int table = lua_gettop(L);
    for (size_t i = 0; i < count; i++) {
        (void)lua_rawgeti(L, table, (lua_Integer)i + 1);
        list[i] = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
        if (list[i] == NULL) {
            luaL_error(L, "namespaces: strings expected");
        }
    }
    return list;
}

/* The rules in the field, which are the caller's from now on, or NULL. */
static admission *take_admission(lua_State *L) {
    admission *rules = NULL;
    if (lua_getfield(L, 1, "admission") != LUA_TNIL) {
        rules = box_empty(L, lua_gettop(L), ADMISSION);
        if (rules == NULL) {
            luaL_error(L, "attempt to use an admission twice"); /* not: to let everybody in */
        }
    }
    lua_pop(L, 1);
    return rules;
}

/* frontend{ certificate, key, client_ca, require_client_certificate, address, server_version,
** namespaces, admission, connection_age } -> frontend | nil: cannot listen */
static int frontend_start(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    frontend_options options = {
        .identity = identity_fields(L),
        .require_client_certificate = boolean_field(L, "require_client_certificate"),
        .connection_age = (int)(number_field(L, "connection_age") * 1000),
        .address = text_field(L, "address", true),
        .server_version = text_field(L, "server_version", true),
    };
    (void)lua_getfield(L, 1, "namespaces");
    luaL_checktype(L, -1, LUA_TTABLE);
    options.namespace_count = (size_t)lua_rawlen(L, -1);
    options.namespaces = namespace_list(L, options.namespace_count);
    box *made = box_new(L, FRONTEND);
    frontend *opened = NULL;
    options.admission = take_admission(L);
    if (frontend_open(&options, &opened) == FRONTEND_CANNOT_LISTEN) {
        luaL_pushfail(L);
        return 1;
    }
    box_fill(L, made, opened);
    return 1;
}

static int frontend_port_of(lua_State *L) {
    lua_pushinteger(L, frontend_port(box_check(L, FRONTEND)));
    return 1;
}

/* frontend:reload{ certificate, key, client_ca, admission } */
static int frontend_renew(lua_State *L) {
    frontend *open = box_check(L, FRONTEND);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    lua_insert(L, 1); /* the table, where the fields are read */
    frontend_identity identity = identity_fields(L);
    if (!frontend_reload(open, &identity, take_admission(L))) {
        return luaL_error(L, "not enough memory");
    }
    return 0;
}

static int frontend_end(lua_State *L) {
    frontend_close(box_empty(L, 1, FRONTEND));
    return 0;
}

void binding_frontend(lua_State *L) {
    static const luaL_Reg methods[] = {
        {"port", frontend_port_of},
        {"reload", frontend_renew},
        {"close", frontend_end},
        {NULL, NULL},
    };
    box_register(L, FRONTEND, methods, frontend_end);
    lua_pushcfunction(L, frontend_start);
    lua_setfield(L, -2, "frontend");
}

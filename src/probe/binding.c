#include <lauxlib.h>
#include <lua.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "frontend.h"
#include "push.h"
#include "resolve.h"
#include "rpc.h"
#include "temporal.h"
#include "trace.h"

/*
** tcpki.probe.core: what tcpki.probe drives. Not a public interface: its callers are the Lua files
** beside it, so a wrong argument is a plain error and a fault is a word.
**
** @module tcpki.probe.core
*/

#define CLIENT   "tcpki.probe.client"
#define ANSWER   "tcpki.probe.answer"
#define TRACE    "tcpki.probe.trace"
#define FRONTEND "tcpki.probe.server"

/* ---- boxes: made empty, filled afterwards, closed once ---- */

typedef struct box {
    void *held;
} box;

static int live_boxes;

static box *box_new(lua_State *L, const char *type) {
    box *made = lua_newuserdatauv(L, sizeof *made, 0);
    made->held = NULL;
    luaL_setmetatable(L, type);
    return made;
}

static void box_fill(lua_State *L, box *made, void *held) {
    if (held == NULL) {
        luaL_error(L, "not enough memory");
    }
    made->held = held;
    live_boxes++;
}

static void *box_check(lua_State *L, const char *type) {
    box *checked = luaL_checkudata(L, 1, type);
    if (checked->held == NULL) {
        luaL_error(L, "attempt to use a closed %s", type);
    }
    return checked->held;
}

static void *box_empty(lua_State *L, const char *type) {
    box *emptied = luaL_checkudata(L, 1, type);
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

/* ---- arguments: a value that was read stays on the stack, which keeps its bytes alive ---- */

static const char *text_field(lua_State *L, const char *name, bool required) {
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

static double number_field(lua_State *L, const char *name) {
    if (lua_getfield(L, 1, name) != LUA_TNUMBER) {
        luaL_error(L, "%s: a number expected", name);
    }
    double number = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return number;
}

static bool boolean_field(lua_State *L, const char *name) {
    (void)lua_getfield(L, 1, name);
    bool set = lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
    return set;
}

/* ---- resolve ---- */

/*
** resolve(host, seconds) -> { address, ... } | nil, "unknown"|"failed"|"timeout"|"busy", message
** An address is { text = "192.0.2.1", ipv6 = false }.
*/
static int resolve_host(lua_State *L) {
    static const char *const words[] = {
        [RESOLVE_UNKNOWN] = "unknown",
        [RESOLVE_FAILED] = "failed",
        [RESOLVE_TIMEOUT] = "timeout",
        [RESOLVE_BUSY] = "busy",
    };
    const char *host = luaL_checkstring(L, 1);
    double seconds = luaL_checknumber(L, 2);
    resolve_result result;
    resolve(host, seconds, &result);
    if (result.outcome == RESOLVE_MEMORY) {
        return luaL_error(L, "not enough memory");
    }
    if (result.outcome != RESOLVE_OK) {
        luaL_pushfail(L);
        lua_pushstring(L, words[result.outcome]);
        lua_pushstring(L, result.message);
        return 3;
    }
    push_addresses(L, &result);
    return 1;
}

/* ---- client ---- */

/* client{ target, server_name, roots, certificate, key, seconds } */
static int client_open(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    rpc_options options = {
        .seconds = number_field(L, "seconds"),
        .target = text_field(L, "target", true),
        .server_name = text_field(L, "server_name", true),
        .roots = text_field(L, "roots", false),
        .certificate = text_field(L, "certificate", false),
        .key = text_field(L, "key", false),
    };
    if ((options.certificate == NULL) != (options.key == NULL)) {
        return luaL_error(L, "certificate and key belong together");
    }
    box *made = box_new(L, CLIENT);
    box_fill(L, made, rpc_open(&options));
    return 1;
}

/* client:wait(seconds) -> "ready" | "failed" | "connecting" */
static int client_wait(lua_State *L) {
    static const char *const words[] = {
        [RPC_CONNECTING] = "connecting", [RPC_READY] = "ready", [RPC_FAILED] = "failed"};
    rpc_channel *channel = box_check(L, CLIENT);
    double seconds = luaL_checknumber(L, 2);
    lua_pushstring(L, words[rpc_wait(channel, seconds)]);
    return 1;
}

static int answer_free(lua_State *L) {
    temporal_answer *answer = box_empty(L, ANSWER);
    if (answer != NULL) {
        temporal_answer_free(answer);
        free(answer);
    }
    return 0;
}

/* client:ask("system_info"|"describe_namespace"|"health", subject or nil, seconds) -> table */
static int client_ask(lua_State *L) {
    static const char *const methods[] = {"system_info", "describe_namespace", "health", NULL};
    rpc_channel *channel = box_check(L, CLIENT);
    temporal_method method = (temporal_method)luaL_checkoption(L, 2, NULL, methods);
    const char *subject = luaL_optstring(L, 3, NULL);
    double seconds = luaL_checknumber(L, 4);
    box *made = box_new(L, ANSWER);
    box_fill(L, made, calloc(1, sizeof(temporal_answer)));
    if (!temporal_ask(channel, method, subject, seconds, made->held)) {
        return luaL_error(L, "not enough memory");
    }
    push_answer(L, made->held);
    lua_replace(L, 2);
    lua_replace(L, 1); /* the box, for answer_free */
    answer_free(L);
    lua_settop(L, 2);
    return 1;
}

static int client_close(lua_State *L) {
    rpc_close(box_empty(L, CLIENT));
    return 0;
}

/* ---- trace ---- */

/* trace{ address, port, server_name, roots, certificate, key, seconds } */
static int trace_open(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    trace_options options = {
        .seconds = number_field(L, "seconds"),
        .port = (int)number_field(L, "port"),
        .address = text_field(L, "address", true),
        .server_name = text_field(L, "server_name", true),
        .roots = text_field(L, "roots", false),
        .certificate = text_field(L, "certificate", false),
        .key = text_field(L, "key", false),
    };
    if ((options.certificate == NULL) != (options.key == NULL)) {
        return luaL_error(L, "certificate and key belong together");
    }
    box *made = box_new(L, TRACE);
    box_fill(L, made, trace_start(&options));
    return 1;
}

/* trace:wait(seconds) -> table | nil while it runs */
static int trace_result(lua_State *L) {
    trace *running = box_check(L, TRACE);
    const record *seen = trace_wait(running, luaL_checknumber(L, 2));
    if (seen == NULL) {
        luaL_pushfail(L);
    } else {
        push_record(L, seen);
    }
    return 1;
}

static int trace_close(lua_State *L) {
    trace_stop(box_empty(L, TRACE));
    return 0;
}

/* ---- frontend ---- */

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

/* frontend{ certificate, key, client_ca, require_client_certificate, address, server_version,
** namespaces } -> frontend | nil: cannot listen */
static int frontend_start(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    frontend_options options = {
        .identity = identity_fields(L),
        .require_client_certificate = boolean_field(L, "require_client_certificate"),
        .address = text_field(L, "address", true),
        .server_version = text_field(L, "server_version", true),
    };
    (void)lua_getfield(L, 1, "namespaces");
    luaL_checktype(L, -1, LUA_TTABLE);
    options.namespace_count = (size_t)lua_rawlen(L, -1);
    options.namespaces = namespace_list(L, options.namespace_count);
    box *made = box_new(L, FRONTEND);
    frontend *opened = NULL;
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

/* frontend:reload{ certificate, key, client_ca } */
static int frontend_renew(lua_State *L) {
    frontend *open = box_check(L, FRONTEND);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    lua_insert(L, 1); /* the table, where the fields are read */
    frontend_identity identity = identity_fields(L);
    if (!frontend_reload(open, &identity)) {
        return luaL_error(L, "not enough memory");
    }
    return 0;
}

static int frontend_end(lua_State *L) {
    frontend_close(box_empty(L, FRONTEND));
    return 0;
}

/* ---- the module ---- */

static void new_type(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction close) {
    luaL_newmetatable(L, name);
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

/* live() -> how many boxes hold something: zero once everything is closed or collected */
static int live(lua_State *L) {
    lua_pushinteger(L, live_boxes);
    return 1;
}

/* digest(text) -> SHA-256, 32 bytes */
static int digest(lua_State *L) {
    size_t length = 0;
    const char *text = luaL_checklstring(L, 1, &length);
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned hash_length = 0;
    if (EVP_Digest(text, length, hash, &hash_length, EVP_sha256(), NULL) != 1) {
        return luaL_error(L, "not enough memory");
    }
    lua_pushlstring(L, (const char *)hash, hash_length);
    return 1;
}

/* now() -> seconds on a clock that nobody sets */
static int now(lua_State *L) {
    lua_pushnumber(L, clock_now());
    return 1;
}

static const luaL_Reg client_methods[] = {
    {"wait", client_wait},
    {"ask", client_ask},
    {"close", client_close},
    {NULL, NULL},
};
static const luaL_Reg answer_methods[] = {
    {NULL, NULL},
};
static const luaL_Reg trace_methods[] = {
    {"wait", trace_result},
    {"close", trace_close},
    {NULL, NULL},
};
static const luaL_Reg frontend_methods[] = {
    {"port", frontend_port_of},
    {"reload", frontend_renew},
    {"close", frontend_end},
    {NULL, NULL},
};
static const luaL_Reg functions[] = {
    {"resolve", resolve_host},
    {"client", client_open},
    {"trace", trace_open},
    {"frontend", frontend_start},
    {"live", live},
    {"digest", digest},
    {"now", now},
    {NULL, NULL},
};

__attribute__((visibility("default"))) int luaopen_tcpki_probe_core(lua_State *L) {
    luaL_checkversion(L);
    new_type(L, CLIENT, client_methods, client_close);
    new_type(L, ANSWER, answer_methods, answer_free);
    new_type(L, TRACE, trace_methods, trace_close);
    new_type(L, FRONTEND, frontend_methods, frontend_end);
    luaL_newlib(L, functions);
    return 1;
}

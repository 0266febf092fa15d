#include <lauxlib.h>
#include <lua.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "binding_errand.h"
#include "binding_frontend.h"
#include "box.h"
#include "clock.h"
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

#define ANSWER "tcpki.probe.answer"

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
    rpc_channel *channel = box_check(L, CLIENT);
    double seconds = luaL_checknumber(L, 2);
    push_state(L, rpc_wait(channel, seconds));
    return 1;
}

static int answer_free(lua_State *L) {
    temporal_answer *answer = box_empty(L, 1, ANSWER);
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
    rpc_close(box_empty(L, 1, CLIENT));
    return 0;
}

/* ---- trace ---- */

/* A limit that need not be there. */
static double seconds_field(lua_State *L, const char *name) {
    bool absent = lua_getfield(L, 1, name) == LUA_TNIL;
    lua_pop(L, 1);
    return absent ? 0 : number_field(L, name);
}

/*
** trace{ address, port, server_name, roots, roots_path, certificate, key, seconds, ask_http,
**        connect_seconds, tls_seconds, settings_seconds }
*/
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
        .roots_path = text_field(L, "roots_path", false),
        .ask_http = boolean_field(L, "ask_http"),
        .connect_seconds = seconds_field(L, "connect_seconds"),
        .tls_seconds = seconds_field(L, "tls_seconds"),
        .settings_seconds = seconds_field(L, "settings_seconds"),
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
    trace_stop(box_empty(L, 1, TRACE));
    return 0;
}

/* ---- the module ---- */

/* live() -> how many boxes hold something: zero once everything is closed or collected */
static int live(lua_State *L) {
    lua_pushinteger(L, box_live());
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
static const luaL_Reg functions[] = {
    {"resolve", resolve_host},
    {"client", client_open},
    {"trace", trace_open},
    {"live", live},
    {"digest", digest},
    {"now", now},
    {NULL, NULL},
};

__attribute__((visibility("default"))) int luaopen_tcpki_probe_core(lua_State *L) {
    luaL_checkversion(L);
    box_register(L, CLIENT, client_methods, client_close);
    box_register(L, ANSWER, answer_methods, answer_free);
    box_register(L, TRACE, trace_methods, trace_close);
    luaL_newlib(L, functions);
    binding_errand(L);
    binding_frontend(L);
    binding_admission(L);
    return 1;
}

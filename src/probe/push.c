#include "push.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "scheme.h"

static void set_text(lua_State *L, const char *name, const char *text) {
    if (text != NULL && text[0] != '\0') {
        lua_pushstring(L, text);
        lua_setfield(L, -2, name);
    }
}

static void set_bytes(lua_State *L, const char *name, const void *bytes, size_t length) {
    if (length > 0) {
        lua_pushlstring(L, bytes, length);
        lua_setfield(L, -2, name);
    }
}

static void set_boolean(lua_State *L, const char *name, bool value) {
    lua_pushboolean(L, value);
    lua_setfield(L, -2, name);
}

static void set_integer(lua_State *L, const char *name, lua_Integer value) {
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

static void set_seconds(lua_State *L, const char *name, double seconds) {
    if (seconds >= 0) {
        lua_pushnumber(L, seconds);
        lua_setfield(L, -2, name);
    }
}

static void push_system(lua_State *L, const temporal_system *system) {
    set_text(L, "server_version", system->server_version);
    lua_newtable(L);
    for (const temporal_capability *told = system->capabilities; told->name != NULL; told++) {
        set_boolean(L, told->name, told->has);
    }
    lua_setfield(L, -2, "capabilities");
}

static void push_namespace(lua_State *L, const temporal_namespace *namespace) {
    lua_createtable(L, 0, 8);
    set_text(L, "name", namespace->name);
    set_integer(L, "state", namespace->state);
    set_text(L, "description", namespace->description);
    set_text(L, "owner_email", namespace->owner_email);
    set_text(L, "id", namespace->id);
    set_seconds(L, "retention", namespace->retention);
    set_text(L, "active_cluster", namespace->active_cluster);
    set_boolean(L, "is_global", namespace->is_global);
    lua_setfield(L, -2, "namespace");
}

void push_state(lua_State *L, rpc_state state) {
    static const char *const words[] = {
        [RPC_CONNECTING] = "connecting", [RPC_READY] = "ready", [RPC_FAILED] = "failed"};
    lua_pushstring(L, words[state]);
}

void push_answer(lua_State *L, const temporal_answer *answer) {
    const rpc_reply *reply = &answer->reply;
    lua_createtable(L, 0, 12);
    set_integer(L, "code", reply->code);
    lua_pushlstring(L, (const char *)reply->message.data, reply->message.length);
    lua_setfield(L, -2, "message");
    set_boolean(L, "answered", reply->answered);
    set_boolean(L, "damaged", answer->damaged);
    set_boolean(L, "session_resumed", reply->session_resumed);
    set_seconds(L, "seconds", reply->seconds);
    set_bytes(L, "peer", reply->peer.data, reply->peer.length);
    set_bytes(L, "chain", reply->chain.data, reply->chain.length);
    set_text(L, "detail_type", answer->detail.type);
    set_text(L, "detail", answer->detail.value);
    if (reply->code != 0 || answer->damaged) {
        return;
    }
    switch (answer->method) {
    case TEMPORAL_GET_SYSTEM_INFO:
        push_system(L, &answer->system);
        break;
    case TEMPORAL_DESCRIBE_NAMESPACE:
        push_namespace(L, &answer->namespace);
        break;
    case TEMPORAL_CHECK_HEALTH:
        set_integer(L, "health", answer->health);
        break;
    }
}

static const char *const stages[] = {
    [RECORD_CONNECT] = "connect", [RECORD_TLS] = "tls", [RECORD_ANSWER] = "settings"};

static void push_alerts(lua_State *L, const record *seen) {
    lua_createtable(L, (int)seen->alert_count, 0);
    for (size_t i = 0; i < seen->alert_count; i++) {
        const record_alert *alert = &seen->alerts[i];
        lua_createtable(L, 0, 4);
        set_integer(L, "number", alert->number);
        set_integer(L, "level", alert->level);
        set_text(L, "from", alert->sent ? "client" : "server");
        set_text(L, "stage", stages[alert->stage]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "alerts");
}

static void push_schemes(lua_State *L, const record *seen) {
    lua_createtable(L, (int)seen->scheme_count, 0);
    for (size_t i = 0; i < seen->scheme_count; i++) {
        const char *name = scheme_name(seen->schemes[i]);
        if (name != NULL) {
            lua_pushstring(L, name);
        } else {
            char text[16];
            (void)snprintf(text, sizeof text, "0x%04x", seen->schemes[i]);
            lua_pushstring(L, text);
        }
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "signature_algorithms");
}

static void push_request(lua_State *L, const record *seen) {
    set_boolean(L, "certificate_requested", seen->certificate_requested);
    if (seen->certificate_sent && seen->fingerprint[0] != '\0') {
        set_text(L, "certificate_sent", seen->fingerprint);
    } else {
        set_boolean(L, "certificate_sent", seen->certificate_sent);
    }
    set_boolean(L, "issuer_listed", seen->issuer_listed);
    set_integer(L, "ca_name_count", (lua_Integer)seen->name_count);
    lua_newtable(L);
    for (lua_Integer i = 0; i < RECORD_NAMES && seen->names[i] != NULL; i++) {
        lua_pushstring(L, seen->names[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "ca_names");
    push_schemes(L, seen);
}

static void push_verification(lua_State *L, const record *seen) {
    if (!seen->verified) {
        return;
    }
    lua_createtable(L, 0, 5);
    set_boolean(L, "ok", seen->verify_error == 0);
    if (seen->verify_error != 0) {
        set_integer(L, "error", seen->verify_error);
        set_text(L, "message", seen->verify_message);
        set_integer(L, "depth", seen->verify_depth);
        set_text(L, "subject", seen->verify_subject);
    }
    lua_setfield(L, -2, "verification");
}

static void push_timings(lua_State *L, const record *seen) {
    lua_createtable(L, 0, 4);
    set_seconds(L, "connect", seen->connect_seconds);
    set_seconds(L, "tls", seen->tls_seconds);
    set_seconds(L, "settings", seen->answer_seconds);
    set_seconds(L, "total", seen->total_seconds);
    lua_setfield(L, -2, "timings");
}

static void push_end(lua_State *L, const record *seen) {
    static const char *const ends[] = {
        [RECORD_LOCAL] = "local",         [RECORD_UNREACHED] = "unreached",
        [RECORD_UNTRUSTED] = "untrusted", [RECORD_STRANGER] = "stranger",
        [RECORD_ALERTED] = "alert",       [RECORD_BROKEN] = "broken",
        [RECORD_CLOSED] = "closed",       [RECORD_RESET] = "reset",
        [RECORD_SILENT] = "silent",       [RECORD_SETTINGS] = "settings",
        [RECORD_DATA] = "data",           [RECORD_FLOOD] = "flood",
        [RECORD_CANCELLED] = "cancelled",
    };
    static const char *const by[] = {
        [RECORD_BY_US] = "us",   [RECORD_BY_ALERT] = "alert",
        [RECORD_BY_FIN] = "fin", [RECORD_BY_CLOSE_NOTIFY] = "close_notify",
        [RECORD_BY_RST] = "rst", [RECORD_BY_SILENCE] = "silence",
    };
    set_text(L, "ended", ends[seen->end]);
    if (seen->ended_seconds >= 0) {
        set_text(L, "ended_by", by[seen->by]);
        set_seconds(L, "ended_after", seen->ended_seconds);
    }
}

static void push_http(lua_State *L, const record *seen) {
    if (seen->http.status == 0) {
        return;
    }
    lua_createtable(L, 0, 2);
    set_integer(L, "status", seen->http.status);
    lua_pushlstring(L, seen->http.body, seen->http.body_length);
    lua_setfield(L, -2, "body");
    lua_setfield(L, -2, "http");
}

/* The numbers differ from system to system; these words do not. */
static const char *connect_word(int error) {
    switch (error) {
    case ECONNREFUSED:
        return "refused";
    case ETIMEDOUT:
        return "timeout";
    case ECONNRESET:
        return "reset";
    default:
        return "unreachable";
    }
}

void push_record(lua_State *L, const record *seen) {
    static const char *const name_in[] = {
        [RECORD_NAME_NOWHERE] = NULL,
        [RECORD_NAME_IN_SAN] = "san",
        [RECORD_NAME_IN_COMMON_NAME] = "common_name",
    };
    lua_createtable(L, 0, 32);
    set_text(L, "stage", stages[seen->stage]);
    push_end(L, seen);
    if (seen->system_error != 0) {
        set_text(L, "system", connect_word(seen->system_error));
        set_text(L, "system_message", strerror(seen->system_error));
    }
    set_text(L, "server_name", seen->server_name);
    set_text(L, "version", seen->version);
    set_text(L, "cipher", seen->cipher);
    set_text(L, "group", seen->group);
    set_text(L, "alpn", seen->alpn);
    set_boolean(L, "session_resumed", seen->session_resumed);
    set_boolean(L, "spoke_first", seen->spoke_first);
    set_boolean(L, "name_matches", seen->name_in != RECORD_NAME_NOWHERE);
    set_text(L, "name_in", name_in[seen->name_in]);
    set_text(L, "chain", seen->chain);
    set_bytes(L, "first_bytes", seen->first_bytes, seen->first_length);
    set_bytes(L, "answer_bytes", seen->answer_bytes, seen->answer_length);
    set_text(L, "openssl", seen->openssl);
    if (seen->openssl_code != 0) {
        set_integer(L, "openssl_code", (lua_Integer)seen->openssl_code);
    }
    push_alerts(L, seen);
    push_request(L, seen);
    push_verification(L, seen);
    push_timings(L, seen);
    push_http(L, seen);
}

void push_addresses(lua_State *L, const resolve_result *result) {
    lua_createtable(L, (int)result->count, 0);
    for (size_t i = 0; i < result->count; i++) {
        lua_createtable(L, 0, 2);
        set_text(L, "text", result->address[i]);
        set_boolean(L, "ipv6", strchr(result->address[i], ':') != NULL);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

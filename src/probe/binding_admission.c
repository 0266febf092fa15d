#include <lauxlib.h>
#include <lua.h>
#include <string.h>

#include "admission.h"
#include "binding_frontend.h"
#include "box.h"
#include "certificates.h"

enum { MOST_CERTIFICATES = 16 };

static bool enough(lua_State *L, bool added) {
    return added || luaL_error(L, "not enough memory");
}

/* The field of the table on top, which stays there; the text is kept alive by that table. */
static const char *string_of(lua_State *L, const char *name) {
    size_t length = 0;
    (void)lua_getfield(L, -1, name);
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &length) : NULL;
    if (text == NULL || strlen(text) != length) {
        luaL_error(L, "%s: a string without NUL expected", name);
    }
    lua_pop(L, 1);
    return text;
}

/* Calls add with each element of the array on top, on top. */
static void each(lua_State *L, admission *rules, void (*add)(lua_State *, admission *)) {
    luaL_checktype(L, -1, LUA_TTABLE);
    luaL_checkstack(L, 4, NULL);
    lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = 1; i <= count; i++) {
        if (lua_rawgeti(L, -1, i) != LUA_TTABLE) {
            luaL_error(L, "a table expected");
        }
        add(L, rules);
        lua_pop(L, 1);
    }
}

static void add_filter(lua_State *L, admission *rules) {
    static const struct {
        const char *name;
        admission_field field;
    } fields[] = {
        {"common_name", ADMISSION_COMMON_NAME},
        {"organization", ADMISSION_ORGANIZATION},
        {"organizational_unit", ADMISSION_ORGANIZATIONAL_UNIT},
        {"subject_alternative_name", ADMISSION_SUBJECT_ALT_NAME},
    };
    (void)enough(L, admission_add_filter(rules));
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (lua_getfield(L, -1, fields[i].name) != LUA_TNIL) {
            size_t length = 0;
            const char *text = luaL_checklstring(L, -1, &length);
            (void)enough(L, admission_add_term(rules, fields[i].field, text, length));
        }
        lua_pop(L, 1);
    }
}

static void add_namespace(lua_State *L, admission *rules) {
    const char *name = string_of(L, "name");
    if (!admission_add_namespace(rules, name, string_of(L, "accepted"))) {
        luaL_error(L, "not enough memory, or accepted holds no certificate");
    }
    if (lua_getfield(L, -1, "filters") != LUA_TNIL) {
        each(L, rules, add_filter);
    }
    lua_pop(L, 1);
}

/* admission{ { name =, accepted = PEM, filters = { { common_name =, ... }, ... } or nil }, ... } */
static int admission_make(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    box *made = box_new(L, ADMISSION);
    box_fill(L, made, admission_new());
    lua_insert(L, 1);
    each(L, made->held, add_namespace);
    lua_settop(L, 1);
    return 1;
}

static void append_name(void *argument, const char *name) {
    lua_State *L = argument;
    lua_pushstring(L, name);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

typedef struct judged {
    STACK_OF(X509) * leaf, *others;
} judged;

static int judge_names(lua_State *L) {
    const judged *about = lua_touserdata(L, 2);
    lua_newtable(L);
    admission_judge(lua_touserdata(L, 1), sk_X509_value(about->leaf, 0), about->others, append_name,
                    L);
    return 1;
}

/* admission:names(leaf, others or nil) -> the names of the namespaces that admit it, in no order */
static int admission_names(lua_State *L) {
    admission *rules = box_check(L, ADMISSION);
    size_t leaf_length = 0, others_length = 0;
    const char *leaf = luaL_checklstring(L, 2, &leaf_length);
    const char *others = luaL_optlstring(L, 3, "", &others_length);
    luaL_checkstack(L, 4, NULL);
    judged about = {certificates_read(leaf, leaf_length, 1),
                    certificates_read(others, others_length, MOST_CERTIFICATES)};
    int status = LUA_ERRERR;
    if (sk_X509_num(about.leaf) == 1) {
        lua_pushcfunction(L, judge_names);
        lua_pushlightuserdata(L, rules);
        lua_pushlightuserdata(L, &about);
        status = lua_pcall(L, 2, 1, 0);
    } else {
        lua_pushliteral(L, "no certificate, or not enough memory");
    }
    sk_X509_pop_free(about.leaf, X509_free);
    sk_X509_pop_free(about.others, X509_free);
    return status == LUA_OK ? 1 : lua_error(L);
}

static int admission_close(lua_State *L) {
    admission_free(box_empty(L, 1, ADMISSION));
    return 0;
}

void binding_admission(lua_State *L) {
    static const luaL_Reg methods[] = {
        {"names", admission_names},
        {"close", admission_close},
        {NULL, NULL},
    };
    box_register(L, ADMISSION, methods, admission_close);
    lua_pushcfunction(L, admission_make);
    lua_setfield(L, -2, "admission");
}

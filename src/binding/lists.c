#include "lists.h"

#include <arpa/inet.h>
#include <string.h>

#include "../pki/extension.h"

/* The order in which names are written since X.520: the country first, the common name last. */
static const char *const name_order[] = {"DC", "C",  "ST",           "L",  "street",       "O",
                                         "OU", "SN", "serialNumber", "CN", "emailAddress", "UID"};

enum { NAME_ORDER = sizeof name_order / sizeof name_order[0] };

static void add(lua_State *L, pki_list *list, const char *type, const char *value, size_t length) {
    pki_fault fault;
    pki_begin(&fault);
    if (!pki_list_add(list, type, value, length, &fault)) {
        (void)luaL_error(L, "%s", fault.message);
    }
}

static int bad_option(lua_State *L, int index, const char *option, const char *expected) {
    return luaL_argerror(L, index, lua_pushfstring(L, "option '%s' must be %s", option, expected));
}

/* The string at the top, which stays there: what holds it must outlive the use. */
static const char *string_at_top(lua_State *L, int index, const char *option, const char *expected,
                                 size_t *length) {
    if (lua_type(L, -1) != LUA_TSTRING) {
        (void)bad_option(L, index, option, expected);
    }
    return lua_tolstring(L, -1, length);
}

/* Adds the pair of the table at the top, {type =, value =} or {"CN", "…"}. */
static void add_pair(lua_State *L, int index, const char *option, const char *expected,
                     pki_list *list) {
    size_t length = 0;
    if (lua_getfield(L, -1, "type") == LUA_TNIL) {
        lua_pop(L, 1);
        (void)lua_rawgeti(L, -1, 1);
        (void)lua_rawgeti(L, -2, 2);
    } else {
        (void)lua_getfield(L, -2, "value");
    }
    const char *value = string_at_top(L, index, option, expected, &length);
    if (lua_type(L, -2) != LUA_TSTRING) {
        (void)bad_option(L, index, option, expected);
    }
    add(L, list, lua_tostring(L, -2), value, length);
    lua_pop(L, 2);
    (void)lua_getfield(L, -1, "joined");
    pki_list_last(list)->flag = lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
}

static bool in_name_order(const char *type) {
    for (size_t i = 0; i < NAME_ORDER; i++) {
        if (strcmp(name_order[i], type) == 0) {
            return true;
        }
    }
    return false;
}

/* A map has no order of its own: only fields whose place is customary may stand in one. */
static void check_map_keys(lua_State *L, int index, const char *option) {
    lua_pushnil(L);
    while (lua_next(L, -2) != 0) {
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), "text") != 0 &&
            !in_name_order(lua_tostring(L, -1))) {
            (void)luaL_argerror(
                L, index,
                lua_pushfstring(L,
                                "option '%s' has the unknown field '%s' (known: DC, "
                                "C, ST, L, street, O, OU, SN, serialNumber, CN, "
                                "emailAddress, UID; others as {type=, value=})",
                                option, lua_tostring(L, -1)));
        }
    }
}

static void take_map(lua_State *L, int index, const char *option, pki_list *list) {
    static const char expected[] = "a table of names and strings, like { CN = \"worker\" }";
    check_map_keys(L, index, option);
    for (size_t i = 0; i < NAME_ORDER; i++) {
        size_t length = 0;
        if (lua_getfield(L, -1, name_order[i]) == LUA_TTABLE) {
            for (lua_Integer j = 1; j <= (lua_Integer)lua_rawlen(L, -1); j++) {
                (void)lua_rawgeti(L, -1, j);
                const char *value = string_at_top(L, index, option, expected, &length);
                add(L, list, name_order[i], value, length);
                lua_pop(L, 1);
            }
        } else if (!lua_isnil(L, -1)) {
            const char *value = string_at_top(L, index, option, expected, &length);
            add(L, list, name_order[i], value, length);
        }
        lua_pop(L, 1);
    }
}

/* What an option that is absent gives. */
static const pki_list nothing;

/* The list that an option fills, with the option's table above it; NULL where it is absent. */
static pki_list *begin_list(lua_State *L, int index, const char *option) {
    if (!options_table(L, index, option)) {
        lua_pop(L, 1);
        return NULL;
    }
    pki_list *list = scratch_list(L);
    lua_insert(L, -2);
    return list;
}

/*
** How many entries the list at the top has. What stands in it by name would be passed over:
** subject_alt_names = { dns = "a.example" } is a mistake.
*/
static lua_Integer length_of_list(lua_State *L, int index, const char *option,
                                  const char *expected) {
    lua_pushnil(L);
    while (lua_next(L, -2) != 0) {
        lua_pop(L, 1);
        if (!lua_isinteger(L, -1)) {
            (void)bad_option(L, index, option, expected);
        }
    }
    return (lua_Integer)lua_rawlen(L, -1);
}

const pki_list *take_name(lua_State *L, int index, const char *option) {
    static const char expected[] = "a list of {type =, value =}";
    pki_list *list = begin_list(L, index, option);
    if (list == NULL) {
        return &nothing;
    }
    lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = 1; i <= count; i++) {
        if (lua_rawgeti(L, -1, i) != LUA_TTABLE) {
            (void)bad_option(L, index, option, expected);
        }
        add_pair(L, index, option, expected, list);
        lua_pop(L, 1);
    }
    if (count == 0) {
        take_map(L, index, option, list);
    }
    lua_pop(L, 1);
    return list;
}

const char *general_name_type(const char *value, size_t length) {
    struct in6_addr address;
    if (inet_pton(AF_INET, value, &address) == 1 || inet_pton(AF_INET6, value, &address) == 1) {
        return "ip";
    }
    for (size_t i = 0; i + 2 < length; i++) {
        if (memcmp(value + i, "://", 3) == 0) {
            return "uri";
        }
    }
    return memchr(value, '@', length) != NULL ? "email" : "dns";
}

/* 10.0.0.0/8 is a subnet, as only name constraints have them. */
static const char *type_of_text(const char *value, size_t length) {
    const char *slash = memchr(value, '/', length);
    if (slash != NULL && slash - value < 64) {
        char address[64];
        memcpy(address, value, (size_t)(slash - value));
        address[slash - value] = '\0';
        if (strcmp(general_name_type(address, (size_t)(slash - value)), "ip") == 0) {
            return "ip";
        }
    }
    return general_name_type(value, length);
}

const pki_list *take_general_names(lua_State *L, int index, const char *option) {
    static const char expected[] = "a list of strings or of {type =, value =}";
    pki_list *list = begin_list(L, index, option);
    if (list == NULL) {
        return &nothing;
    }
    lua_Integer count = length_of_list(L, index, option, expected);
    for (lua_Integer i = 1; i <= count; i++) {
        int type = lua_rawgeti(L, -1, i);
        if (type == LUA_TTABLE) {
            add_pair(L, index, option, expected, list);
        } else {
            size_t length = 0;
            const char *value = string_at_top(L, index, option, expected, &length);
            add(L, list, type_of_text(value, length), value, length);
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return list;
}

const pki_list *take_words(lua_State *L, int index, const char *option) {
    static const char expected[] = "a list of strings";
    pki_list *list = begin_list(L, index, option);
    if (list == NULL) {
        return &nothing;
    }
    lua_Integer count = length_of_list(L, index, option, expected);
    for (lua_Integer i = 1; i <= count; i++) {
        size_t length = 0;
        (void)lua_rawgeti(L, -1, i);
        const char *value = string_at_top(L, index, option, expected, &length);
        add(L, list, "", value, length);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return list;
}

const pki_list *take_extensions(lua_State *L, int index, const char *option) {
    static const char expected[] = "a list of {oid =, der =, critical =}";
    pki_list *list = begin_list(L, index, option);
    if (list == NULL) {
        return &nothing;
    }
    lua_Integer count = length_of_list(L, index, option, expected);
    for (lua_Integer i = 1; i <= count; i++) {
        size_t length = 0;
        if (lua_rawgeti(L, -1, i) != LUA_TTABLE) {
            (void)bad_option(L, index, option, expected);
        }
        (void)lua_getfield(L, -1, "oid");
        const char *oid = string_at_top(L, index, option, expected, NULL);
        (void)lua_getfield(L, -2, "der");
        const char *der = string_at_top(L, index, option, expected, &length);
        add(L, list, oid, der, length);
        (void)lua_getfield(L, -3, "critical");
        pki_list_last(list)->flag = lua_toboolean(L, -1) != 0;
        lua_pop(L, 4);
    }
    lua_pop(L, 1);
    return list;
}

const pki_list *take_revocations(lua_State *L, int index, const char *option) {
    static const char expected[] = "a list of {serial =, time =, reason =}";
    pki_list *list = begin_list(L, index, option);
    if (list == NULL) {
        return &nothing;
    }
    lua_Integer count = length_of_list(L, index, option, expected);
    for (lua_Integer i = 1; i <= count; i++) {
        size_t length = 0;
        if (lua_rawgeti(L, -1, i) != LUA_TTABLE) {
            (void)bad_option(L, index, option, expected);
        }
        const char *reason = "";
        if (lua_getfield(L, -1, "reason") != LUA_TNIL) {
            reason = string_at_top(L, index, option, expected, NULL);
        }
        (void)lua_getfield(L, -2, "serial");
        const char *serial = string_at_top(L, index, option, expected, &length);
        add(L, list, reason, serial, length);
        if (lua_getfield(L, -3, "time") != LUA_TNUMBER || !lua_isinteger(L, -1)) {
            (void)bad_option(L, index, option, expected);
        }
        pki_list_last(list)->number = lua_tointeger(L, -1);
        lua_pop(L, 4);
    }
    lua_pop(L, 1);
    return list;
}

static void push_value(lua_State *L, const pki_list *list, size_t i) {
    lua_pushlstring(L, pki_item_value(list, i), list->items[i].value_length);
}

/* The longest lists that reach Lua are these: the keys are pushed once, a type where it changes. */
void push_typed(lua_State *L, const pki_list *list) {
    const char *type = "";
    lua_createtable(L, (int)list->count, 0);
    int array = lua_gettop(L);
    lua_pushliteral(L, "type");
    lua_pushliteral(L, "value");
    lua_pushliteral(L, "");
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(type, pki_item_type(list, i)) != 0) {
            type = pki_item_type(list, i);
            lua_pushstring(L, type);
            lua_replace(L, array + 3);
        }
        lua_createtable(L, 0, 2);
        lua_pushvalue(L, array + 1);
        lua_pushvalue(L, array + 3);
        lua_rawset(L, -3);
        lua_pushvalue(L, array + 2);
        push_value(L, list, i);
        lua_rawset(L, -3);
        if (list->items[i].flag) {
            lua_pushboolean(L, 1);
            lua_setfield(L, -2, "joined");
        }
        lua_rawseti(L, array, (lua_Integer)i + 1);
    }
    lua_settop(L, array);
}

void push_values(lua_State *L, const pki_list *list) {
    lua_createtable(L, (int)list->count, 0);
    for (size_t i = 0; i < list->count; i++) {
        push_value(L, list, i);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

void push_extensions(lua_State *L, const pki_list *list) {
    lua_createtable(L, (int)list->count, 0);
    for (size_t i = 0; i < list->count; i++) {
        const char *oid = pki_item_type(list, i);
        lua_createtable(L, 0, 4);
        lua_pushstring(L, oid);
        lua_setfield(L, -2, "oid");
        lua_pushstring(L, pki_extension_name(oid));
        lua_setfield(L, -2, "name");
        push_value(L, list, i);
        lua_setfield(L, -2, "der");
        lua_pushboolean(L, list->items[i].flag);
        lua_setfield(L, -2, "critical");
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

void push_revocation(lua_State *L, const pki_list *list, size_t index) {
    lua_createtable(L, 0, 3);
    push_value(L, list, index);
    lua_setfield(L, -2, "serial");
    lua_pushinteger(L, list->items[index].number);
    lua_setfield(L, -2, "time");
    if (pki_item_type(list, index)[0] != '\0') {
        lua_pushstring(L, pki_item_type(list, index));
        lua_setfield(L, -2, "reason");
    }
}

void push_name(lua_State *L, const pki_list *list, const pki_buffer *text) {
    push_typed(L, list);
    for (size_t i = 0; i < list->count; i++) {
        const char *type = pki_item_type(list, i);
        if (lua_getfield(L, -1, type) == LUA_TNIL) {
            push_value(L, list, i);
            lua_setfield(L, -3, type);
        }
        lua_pop(L, 1);
    }
    lua_pushlstring(L, (const char *)text->data, text->length);
    lua_setfield(L, -2, "text");
    luaL_setmetatable(L, "tcpki.name");
}

static int name_tostring(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    (void)lua_getfield(L, 1, "text");
    return 1;
}

void name_register(lua_State *L) {
    luaL_newmetatable(L, "tcpki.name");
    lua_pushcfunction(L, name_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pop(L, 1);
}

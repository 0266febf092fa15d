/***
@submodule tcpki.certificate
*/
#include "../pki/certificate.h"
#include "../pki/extension.h"
#include "core.h"
#include "lists.h"

static const char *const make_options[] = {"subject",
                                           "subject_der",
                                           "subject_alt_names",
                                           "serial",
                                           "not_before",
                                           "not_after",
                                           "key_usage",
                                           "extended_key_usage",
                                           "basic_constraints",
                                           "name_constraints",
                                           "crl_distribution_points",
                                           "extensions",
                                           "public_key",
                                           "issuer",
                                           "issuer_key",
                                           "digest",
                                           NULL};

static unsigned take_key_usage(lua_State *L) {
    unsigned bits = 0;
    const pki_list *words = take_words(L, 1, "key_usage");
    for (size_t i = 0; i < words->count; i++) {
        int bit = pki_key_usage_bit(pki_item_value(words, i));
        if (bit < 0) {
            (void)luaL_argerror(
                L, 1, lua_pushfstring(L, "'%s' is not a key usage", pki_item_value(words, i)));
        }
        bits |= 1U << bit;
    }
    return bits;
}

static void take_basic_constraints(lua_State *L, pki_certificate_template *form) {
    static const char *const known[] = {"ca", "path_length", NULL};
    lua_Integer path_length = -1;
    form->path_length = -1;
    if (lua_getfield(L, 1, "basic_constraints") == LUA_TBOOLEAN && !lua_toboolean(L, -1)) {
        form->unconstrained = true;
        lua_pop(L, 1);
        return;
    }
    lua_pop(L, 1);
    if (options_table(L, 1, "basic_constraints")) {
        int index = lua_gettop(L);
        options_check(L, index, known);
        form->authority = options_boolean(L, index, "ca", false);
        if (options_integer(L, index, "path_length", &path_length)) {
            luaL_argcheck(L, path_length >= 0 && path_length <= 100, 1,
                          "option 'path_length' must be from 0 to 100");
        }
        form->path_length = (long)path_length;
    }
    lua_pop(L, 1);
}

static void take_name_constraints(lua_State *L, pki_certificate_template *form) {
    static const char *const known[] = {"permitted", "excluded", NULL};
    bool given = options_table(L, 1, "name_constraints");
    int index = lua_gettop(L);
    if (given) {
        options_check(L, index, known);
    }
    form->permitted = take_general_names(L, index, "permitted");
    form->excluded = take_general_names(L, index, "excluded");
}

static void *take_box(lua_State *L, const char *option, const box_kind *kind) {
    void *object = NULL;
    if (lua_getfield(L, 1, option) != LUA_TNIL) {
        void **box = luaL_testudata(L, -1, kind->name);
        if (box == NULL || *box == NULL) {
            (void)luaL_argerror(
                L, 1, lua_pushfstring(L, "option '%s' must be an open %s", option, kind->name));
        } else {
            object = *box;
        }
    }
    lua_pop(L, 1);
    return object;
}

/***
Makes and signs a certificate from what is given, and no more: version 3, SKI and AKI added. The
profiles and the checks against the issuer are in `tcpki.authority`.
@function make
@tparam table options `subject` or, to keep its bytes, `subject_der`; `subject_alt_names`, `serial` (hex; random by default),
`not_before`, `not_after` (seconds since the epoch), `key_usage`, `extended_key_usage` (words or
OIDs), `basic_constraints` ({ca =, path_length =}; false for none), `name_constraints` ({permitted =, excluded =}),
`crl_distribution_points`, `extensions` ({{oid =, der =, critical =}}), `public_key`, `issuer`
(none for self-signed), `issuer_key`, `digest` ("SHA256" by default)
@treturn[1] certificate
@treturn[2] nil
@treturn[2] fault `bad_name`, `bad_time`, `bad_extension`, …
*/
int certificate_make(lua_State *L) {
    pki_fault fault;
    pki_certificate_template form = {0};
    lua_Integer not_before = 0;
    lua_Integer not_after = 0;
    lua_settop(L, 1);
    luaL_checktype(L, 1, LUA_TTABLE);
    options_check(L, 1, make_options);
    form.serial = options_string(L, 1, "serial", NULL);
    form.digest = options_string(L, 1, "digest", NULL);
    luaL_argcheck(L,
                  options_integer(L, 1, "not_before", &not_before) &&
                      options_integer(L, 1, "not_after", &not_after),
                  1, "options 'not_before' and 'not_after' are needed");
    form.not_before = not_before;
    form.not_after = not_after;
    take_basic_constraints(L, &form);
    form.key_usage = take_key_usage(L);
    form.subject = take_name(L, 1, "subject");
    form.subject_der.data =
        (const unsigned char *)options_string(L, 1, "subject_der", &form.subject_der.length);
    luaL_argcheck(L, form.subject_der.data == NULL || form.subject->count == 0, 1,
                  "pass subject or subject_der, not both");
    form.subject_alt_names = take_general_names(L, 1, "subject_alt_names");
    form.extended_key_usage = take_words(L, 1, "extended_key_usage");
    form.crl_distribution_points = take_words(L, 1, "crl_distribution_points");
    form.extensions = take_extensions(L, 1, "extensions");
    take_name_constraints(L, &form);
    void **box = box_push(L, &box_certificate);
    /* Last, since a metamethod of a list above could close them. */
    form.public_key = take_box(L, "public_key", &box_key);
    form.issuer = take_box(L, "issuer", &box_certificate);
    form.issuer_key = take_box(L, "issuer_key", &box_key);
    luaL_argcheck(L, form.public_key != NULL && form.issuer_key != NULL, 1,
                  "options 'public_key' and 'issuer_key' are needed");
    pki_begin(&fault);
    X509 *certificate = pki_certificate_make(&form, &fault);
    if (certificate == NULL) {
        return fault_push(L, &fault, NULL);
    }
    box_fill(box, &box_certificate, certificate);
    return 1;
}

/*
** Ordering a heap of certificates and verifying a chain; the Lua faces are tcpki.chain and
** tcpki.bundle.
*/
#include "../pki/chain.h"

#include <openssl/x509v3.h>
#include <string.h>

#include "core.h"
#include "lists.h"

static void release_store(void *object) {
    X509_STORE_free(object);
}

box_kind box_store = {"tcpki.store", release_store, 0};

/*
** An array of certificates as C has it: the pointers in a userdata, the boxes kept alive by the
** Lua table, which the caller keeps on the stack.
*/
static X509 **take_certificates(lua_State *L, int index, size_t *count) {
    luaL_checktype(L, index, LUA_TTABLE);
    *count = lua_rawlen(L, index);
    X509 **certificates = lua_newuserdatauv(L, (*count + 1) * sizeof *certificates, 0);
    for (size_t i = 0; i < *count; i++) {
        (void)lua_rawgeti(L, index, (lua_Integer)i + 1);
        certificates[i] = box_check(L, -1, &box_certificate);
        lua_pop(L, 1);
    }
    return certificates;
}

/*
** order(certificates, leaf or nil) -> places, complete. places[i] is the place of certificate i
** from 1 (the leaf), "foreign" or "duplicate".
*/
static int chain_order(lua_State *L) {
    pki_fault fault;
    size_t count = 0;
    size_t length = 0;
    bool complete = false;
    lua_settop(L, 2);
    lua_Integer leaf = luaL_optinteger(L, 2, 0);
    X509 **certificates = take_certificates(L, 1, &count);
    luaL_argcheck(L, leaf >= 0 && (size_t)leaf <= count, 2, "no such certificate");
    int *places = lua_newuserdatauv(L, (count + 1) * sizeof *places, 0);
    pki_begin(&fault);
    if (!pki_chain_order(certificates, count, (long)leaf - 1, places, &length, &complete, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    pki_begin(&fault); /* drops what failed comparisons left in libcrypto's queue */
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        if (places[i] == PKI_CHAIN_FOREIGN) {
            lua_pushliteral(L, "foreign");
        } else if (places[i] == PKI_CHAIN_DUPLICATE) {
            lua_pushliteral(L, "duplicate");
        } else {
            lua_pushinteger(L, places[i] + 1);
        }
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_pushboolean(L, complete);
    return 2;
}

/* store(certificates) -> store, to be asked by many verifications */
static int chain_store(lua_State *L) {
    pki_fault fault;
    size_t count = 0;
    lua_settop(L, 1);
    X509 **certificates = take_certificates(L, 1, &count);
    void **box = box_push(L, &box_store);
    pki_begin(&fault);
    X509_STORE *store = pki_store_make(certificates, count, &fault);
    if (store == NULL) {
        return fault_push(L, &fault, NULL);
    }
    box_fill(box, &box_store, store);
    return 1;
}

/* The stacks of one verification, freed by Lua: they own no certificate. */
typedef struct stacks {
    STACK_OF(X509) * untrusted;
    STACK_OF(X509_CRL) * crls;
} stacks;

static int stacks_release(lua_State *L) {
    stacks *both = luaL_checkudata(L, 1, "tcpki.stacks");
    sk_X509_free(both->untrusted);
    sk_X509_CRL_free(both->crls);
    both->untrusted = NULL;
    both->crls = NULL;
    return 0;
}

static void take_stacks(lua_State *L, stacks *both) {
    if (options_table(L, 1, "untrusted")) {
        int index = lua_gettop(L);
        /* The first is the leaf itself. */
        for (lua_Integer i = 2; i <= (lua_Integer)lua_rawlen(L, index); i++) {
            (void)lua_rawgeti(L, index, i);
            X509 *certificate = box_check(L, -1, &box_certificate);
            if (both->untrusted == NULL) {
                both->untrusted = sk_X509_new_null();
            }
            if (both->untrusted == NULL || sk_X509_push(both->untrusted, certificate) == 0) {
                (void)luaL_error(L, "not enough memory");
            }
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
    if (options_table(L, 1, "crls")) {
        int index = lua_gettop(L);
        both->crls = sk_X509_CRL_new_null();
        if (both->crls == NULL) { /* which would ask for no revocation at all */
            (void)luaL_error(L, "not enough memory");
        }
        for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, index); i++) {
            (void)lua_rawgeti(L, index, i);
            X509_CRL *crl = box_test(L, -1, &box_crl);
            luaL_argcheck(L, crl != NULL, 1, "option 'crls' must be a list of tcpki.crl");
            if (sk_X509_CRL_push(both->crls, crl) == 0) {
                (void)luaL_error(L, "not enough memory");
            }
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
}

static int purpose_of(lua_State *L, const char *word) {
    static const struct {
        const char *word;
        int purpose;
    } purposes[] = {{"any", X509_PURPOSE_ANY},
                    {"client", X509_PURPOSE_SSL_CLIENT},
                    {"server", X509_PURPOSE_SSL_SERVER}};
    for (size_t i = 0; i < sizeof purposes / sizeof purposes[0]; i++) {
        if (strcmp(word, purposes[i].word) == 0) {
            return purposes[i].purpose;
        }
    }
    return luaL_argerror(
        L, 1, lua_pushfstring(L, "option 'purpose' is '%s' (known: any, client, server)", word));
}

/* The name as text, whose type its look tells, or as {type =, value =}. */
static void take_wanted_name(lua_State *L, pki_verification *request) {
    static const char message[] = "option 'name' must be a string or {type =, value =}";
    int type = lua_getfield(L, 1, "name");
    if (type == LUA_TTABLE) {
        (void)lua_getfield(L, -1, "type");
        (void)lua_getfield(L, -2, "value");
        luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING && lua_type(L, -2) == LUA_TSTRING, 1,
                      message);
        request->name_type = lua_tostring(L, -2);
    } else if (type != LUA_TNIL) {
        luaL_argcheck(L, type == LUA_TSTRING, 1, message);
    } else {
        return;
    }
    request->name = lua_tolstring(L, -1, &request->name_length);
    luaL_argcheck(L, strlen(request->name) == request->name_length, 1,
                  "option 'name' contains a NUL");
    if (request->name_type == NULL) {
        request->name_type = general_name_type(request->name, request->name_length);
    }
    luaL_argcheck(L,
                  strcmp(request->name_type, "dns") == 0 || strcmp(request->name_type, "ip") == 0 ||
                      strcmp(request->name_type, "email") == 0,
                  1, "option 'name' must be a host name, an IP address or an e-mail address");
}

/* verify{ store =, untrusted = {leaf, …}, purpose =, name =, at =, crls =, partial =, depth = } */
static int chain_verify(lua_State *L) {
    static const char *const known[] = {"store", "untrusted", "purpose", "name",  "at",
                                        "crls",  "partial",   "lax",     "depth", NULL};
    pki_fault fault;
    pki_verification request = {.depth = -1};
    lua_Integer number = 0;
    lua_settop(L, 1);
    luaL_checktype(L, 1, LUA_TTABLE);
    options_check(L, 1, known);
    (void)lua_getfield(L, 1, "store");
    if (!options_table(L, 1, "untrusted") || lua_rawgeti(L, 3, 1) == LUA_TNIL) {
        return luaL_argerror(L, 1, "option 'untrusted' must begin with the leaf");
    }
    const char *purpose = options_string(L, 1, "purpose", NULL);
    request.purpose = purpose_of(L, purpose == NULL ? "any" : purpose);
    request.partial = options_boolean(L, 1, "partial", false);
    request.lax = options_boolean(L, 1, "lax", false);
    if (options_integer(L, 1, "at", &number)) {
        request.at_set = true;
        request.at = number;
    }
    if (options_integer(L, 1, "depth", &number)) {
        luaL_argcheck(L, number >= 0 && number <= 10000, 1, "option 'depth' is out of range");
        request.depth = (long)number;
    }
    take_wanted_name(L, &request);
    stacks *both = lua_newuserdatauv(L, sizeof *both, 0);
    both->untrusted = NULL;
    both->crls = NULL;
    luaL_setmetatable(L, "tcpki.stacks");
    take_stacks(L, both);
    request.untrusted = both->untrusted;
    request.crls = both->crls;
    /* Last, since a metamethod of the name could close them. */
    request.roots = box_check(L, 2, &box_store);
    request.leaf = box_check(L, 4, &box_certificate);
    pki_begin(&fault);
    if (!pki_chain_verify(&request, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int store_close(lua_State *L) {
    return box_close(L, &box_store);
}

static const luaL_Reg functions[] = {
    {"order", chain_order}, {"store", chain_store}, {"verify", chain_verify}, {NULL, NULL}};

static const luaL_Reg methods[] = {{"close", store_close}, {NULL, NULL}};

static const luaL_Reg metamethods[] = {
    {"__gc", store_close}, {"__close", store_close}, {NULL, NULL}};

void chain_open(lua_State *L) {
    luaL_newmetatable(L, "tcpki.stacks");
    lua_pushcfunction(L, stacks_release);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    box_register(L, &box_store, methods, metamethods);
    luaL_newlib(L, functions);
}

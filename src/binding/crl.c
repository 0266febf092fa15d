/***
Certificate revocation lists.
@module tcpki.crl
*/
#include "../pki/crl.h"

#include <string.h>

#include "../pki/certificate.h"
#include "../pki/name.h"
#include "core.h"
#include "fields.h"
#include "lists.h"

static void release(void *object) {
    X509_CRL_free(object);
}

box_kind box_crl = {"tcpki.crl", release, 0};

static X509_CRL *self(lua_State *L) {
    return box_check(L, 1, &box_crl);
}

static void *parser(const char *text, size_t length, pki_fault *fault) {
    return pki_crl_parse(text, length, fault);
}

static bool encode(void *object, pki_buffer *der, pki_fault *fault) {
    return pki_crl_der(object, der, fault);
}

static const X509_NAME *name(void *object) {
    return X509_CRL_get_issuer(object);
}

static const der_object form = {&box_crl, "X509 CRL", parser, encode};

/***
Reads exactly one CRL from text.
@function parse
@tparam string text PEM or DER
@treturn[1] crl
@treturn[2] nil
@treturn[2] fault
*/
static int crl_parse(lua_State *L) {
    return der_object_parse(L, &form);
}

/***
Reads exactly one CRL from a file.
@function read
@tparam string path
@treturn[1] crl
@treturn[2] nil
@treturn[2] fault with the path
*/
static int crl_read(lua_State *L) {
    return der_object_read(L, &form);
}

/***
Makes and signs a CRL of version 2. `tcpki.authority` keeps the number and the entries.
@function make
@tparam table options `issuer` (certificate), `key`, `number` (hex), `this_update`, `next_update`
(seconds since the epoch), `entries` ({{serial =, time =, reason =}, …}), `digest`
@treturn[1] crl
@treturn[2] nil
@treturn[2] fault `bad_name`, `bad_time`, …
*/
static int crl_make(lua_State *L) {
    static const char *const known[] = {"issuer",      "key",     "number", "this_update",
                                        "next_update", "entries", "digest", NULL};
    pki_fault fault;
    lua_Integer this_update = 0;
    lua_Integer next_update = 0;
    lua_settop(L, 1);
    luaL_checktype(L, 1, LUA_TTABLE);
    options_check(L, 1, known);
    const char *number = options_string(L, 1, "number", NULL);
    const char *digest = options_string(L, 1, "digest", NULL);
    luaL_argcheck(L,
                  number != NULL && options_integer(L, 1, "this_update", &this_update) &&
                      options_integer(L, 1, "next_update", &next_update),
                  1, "options 'number', 'this_update' and 'next_update' are needed");
    (void)lua_getfield(L, 1, "issuer");
    (void)lua_getfield(L, 1, "key");
    const pki_list *entries = take_revocations(L, 1, "entries");
    void **box = box_push(L, &box_crl);
    /* Last, since a metamethod of an entry could close them. */
    X509 *issuer = box_test(L, 2, &box_certificate);
    EVP_PKEY *key = box_test(L, 3, &box_key);
    luaL_argcheck(L, issuer != NULL, 1, "option 'issuer' must be a tcpki.certificate");
    luaL_argcheck(L, key != NULL, 1, "option 'key' must be a tcpki.key");
    pki_begin(&fault);
    X509_CRL *crl =
        pki_crl_make(issuer, key, number, this_update, next_update, entries, digest, &fault);
    if (crl == NULL) {
        return fault_push(L, &fault, NULL);
    }
    box_fill(box, &box_crl, crl);
    return 1;
}

/***
The issuer, in the form of `certificate:subject`.
@function crl:issuer
@treturn table
*/
static int crl_issuer(lua_State *L) {
    return field_name(L, X509_CRL_get_issuer(self(L)));
}

/***
@function crl:number
@treturn ?string lowercase hex; nil where the CRL has none
*/
static int crl_number(lua_State *L) {
    pki_fault fault;
    bool present = false;
    X509_CRL *crl = self(L);
    pki_buffer *text = scratch_buffer(L);
    pki_begin(&fault);
    text->data = (unsigned char *)pki_crl_number(crl, &present, &fault);
    if (text->data == NULL && fault.code != PKI_OK) {
        return fault_push(L, &fault, NULL);
    }
    if (text->data != NULL) {
        text->length = strlen((const char *)text->data);
    }
    lua_pushstring(L, (const char *)text->data); /* nil for NULL */
    return 1;
}

/***
@function crl:this_update
@treturn integer seconds since the epoch, UTC
*/
static int crl_this_update(lua_State *L) {
    return field_time(L, X509_CRL_get0_lastUpdate(self(L)));
}

/***
@function crl:next_update
@treturn ?integer seconds since the epoch, UTC
*/
static int crl_next_update(lua_State *L) {
    return field_time(L, X509_CRL_get0_nextUpdate(self(L)));
}

/***
@function crl:entries
@treturn table of {serial =, time =, reason = string or nil}
*/
static int crl_entries(lua_State *L) {
    pki_fault fault;
    X509_CRL *crl = self(L);
    pki_list *entries = scratch_list(L);
    pki_begin(&fault);
    if (!pki_crl_entries(crl, entries, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    lua_createtable(L, (int)entries->count, 0);
    for (size_t i = 0; i < entries->count; i++) {
        push_revocation(L, entries, i);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/***
Whether the CRL lists a certificate. That it is of the right issuer is checked; its signature and
age are checked by `chain:verify`.
@function crl:lists
@tparam certificate certificate
@treturn[1] table the entry, {serial =, time =, reason =}
@treturn[2] boolean false where it is not listed
@treturn[3] nil
@treturn[3] fault `issuer_mismatch`
*/
static int crl_lists(lua_State *L) {
    pki_fault fault;
    X509_CRL *crl = self(L);
    X509 *certificate = box_check(L, 2, &box_certificate);
    pki_list *entries = scratch_list(L);
    pki_begin(&fault);
    if (!pki_crl_lists(crl, certificate, entries, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    if (entries->count > 0) {
        push_revocation(L, entries, 0);
    } else {
        lua_pushboolean(L, 0);
    }
    return 1;
}

/***
Checks that the CRL is signed by an issuer.
@function crl:verify
@tparam certificate issuer
@treturn[1] boolean true
@treturn[2] nil
@treturn[2] fault `issuer_mismatch`, `bad_signature`
*/
static int crl_verify(lua_State *L) {
    pki_fault fault;
    X509_CRL *crl = self(L);
    X509 *issuer = box_check(L, 2, &box_certificate);
    pki_begin(&fault);
    if (!pki_crl_verify(crl, issuer, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/***
Whether the signature was made with a key, whatever the names say.
@function crl:signed_by
@tparam key key the public or the private one
@treturn boolean
*/
static int crl_signed_by(lua_State *L) {
    pki_fault fault;
    X509_CRL *crl = self(L);
    EVP_PKEY *key = box_check(L, 2, &box_key);
    lua_pushboolean(L, X509_CRL_verify(crl, key) == 1);
    pki_begin(&fault);
    return 1;
}

/***
@function crl:der
@treturn string
*/
static int crl_der(lua_State *L) {
    return der_object_der(L, &form);
}

/***
@function crl:pem
@treturn string canonical PEM
*/
static int crl_pem(lua_State *L) {
    return der_object_pem(L, &form);
}

/***
@function crl:write
@tparam string path
@tparam[opt] table options `overwrite` (false by default)
@treturn[1] boolean true
@treturn[2] nil
@treturn[2] fault
*/
static int crl_write(lua_State *L) {
    return der_object_write(L, &form);
}

/***
The text that the CRL was read from, to the byte.
@function crl:source
@treturn ?string nil for a CRL that was made
*/
static int crl_source(lua_State *L) {
    return der_object_source(L, &form);
}

static int crl_close(lua_State *L) {
    return box_close(L, &box_crl);
}

static int crl_tostring(lua_State *L) {
    return der_object_tostring(L, &form, name);
}

static const luaL_Reg functions[] = {
    {"make", crl_make}, {"parse", crl_parse}, {"read", crl_read}, {NULL, NULL}};

static const luaL_Reg methods[] = {{"issuer", crl_issuer},
                                   {"number", crl_number},
                                   {"this_update", crl_this_update},
                                   {"next_update", crl_next_update},
                                   {"entries", crl_entries},
                                   {"lists", crl_lists},
                                   {"verify", crl_verify},
                                   {"signed_by", crl_signed_by},
                                   {"der", crl_der},
                                   {"pem", crl_pem},
                                   {"write", crl_write},
                                   {"source", crl_source},
                                   {"close", crl_close},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {
    {"__gc", crl_close}, {"__close", crl_close}, {"__tostring", crl_tostring}, {NULL, NULL}};

void crl_open(lua_State *L) {
    box_register(L, &box_crl, methods, metamethods);
    luaL_newlib(L, functions);
}

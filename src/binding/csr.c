/***
Certificate signing requests.
@module tcpki.csr
*/
#include "../pki/csr.h"

#include <string.h>

#include "../pki/extension.h"
#include "../pki/name.h"
#include "core.h"
#include "fields.h"
#include "lists.h"

static void release(void *object) {
    X509_REQ_free(object);
}

box_kind box_csr = {"tcpki.csr", release, 0};

static X509_REQ *self(lua_State *L) {
    return box_check(L, 1, &box_csr);
}

static void *parser(const char *text, size_t length, pki_fault *fault) {
    return pki_csr_parse(text, length, fault);
}

static bool encode(void *object, pki_buffer *der, pki_fault *fault) {
    return pki_csr_der(object, der, fault);
}

static const X509_NAME *name(void *object) {
    return X509_REQ_get_subject_name(object);
}

static const der_object form = {&box_csr, "CERTIFICATE REQUEST", parser, encode};

/***
Reads exactly one CSR from text.
@function parse
@tparam string text PEM, DER, or bare base64 as Azure Key Vault gives it
@treturn[1] csr
@treturn[2] nil
@treturn[2] fault
*/
static int csr_parse(lua_State *L) {
    return der_object_parse(L, &form);
}

/***
Reads exactly one CSR from a file.
@function read
@tparam string path
@treturn[1] csr
@treturn[2] nil
@treturn[2] fault with the path
*/
static int csr_read(lua_State *L) {
    return der_object_read(L, &form);
}

/***
Makes a CSR.
@function new
@tparam table options `subject`, `subject_alt_names`, `key` (private), `digest` ("SHA256" by default)
@treturn[1] csr
@treturn[2] nil
@treturn[2] fault `bad_name`, …
*/
static int csr_new(lua_State *L) {
    static const char *const known[] = {"subject", "subject_alt_names", "key", "digest", NULL};
    pki_fault fault;
    lua_settop(L, 1);
    luaL_checktype(L, 1, LUA_TTABLE);
    options_check(L, 1, known);
    const char *digest = options_string(L, 1, "digest", NULL);
    (void)lua_getfield(L, 1, "key");
    const pki_list *subject = take_name(L, 1, "subject");
    const pki_list *names = take_general_names(L, 1, "subject_alt_names");
    void **box = box_push(L, &box_csr);
    /* Last, since a metamethod of a name could close it. */
    EVP_PKEY *key = box_test(L, 2, &box_key);
    luaL_argcheck(L, key != NULL, 1, "option 'key' must be a tcpki.key");
    pki_begin(&fault);
    X509_REQ *csr = pki_csr_make(subject, names, key, digest, &fault);
    if (csr == NULL) {
        return fault_push(L, &fault, NULL);
    }
    box_fill(box, &box_csr, csr);
    return 1;
}

/***
Checks that the CSR is signed by the key that it names.
@function csr:verify
@treturn[1] boolean true
@treturn[2] nil
@treturn[2] fault `bad_signature`
*/
static int csr_verify(lua_State *L) {
    pki_fault fault;
    X509_REQ *csr = self(L);
    pki_begin(&fault);
    if (!pki_csr_verify(csr, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/***
The subject, in the form of `certificate:subject`.
@function csr:subject
@treturn table
*/
static int csr_subject(lua_State *L) {
    return field_name(L, X509_REQ_get_subject_name(self(L)));
}

/***
The subject as DER.
@function csr:subject_der
@treturn string
*/
static int csr_subject_der(lua_State *L) {
    return field_name_der(L, X509_REQ_get_subject_name(self(L)));
}

/***
@function csr:public_key
@treturn[1] key
@treturn[2] nil
@treturn[2] fault `unsupported_key`
*/
static int csr_public_key(lua_State *L) {
    pki_fault fault;
    X509_REQ *csr = self(L);
    void **box = box_push(L, &box_key);
    pki_begin(&fault);
    EVP_PKEY *key = pki_csr_public_key(csr, &fault);
    if (key == NULL) {
        return fault_push(L, &fault, NULL);
    }
    box_fill(box, &box_key, key);
    return 1;
}

/* The requested extensions are decoded anew by libcrypto at each call: freed by the scratch. */
static int extensions_release(lua_State *L) {
    STACK_OF(X509_EXTENSION) **extensions = luaL_checkudata(L, 1, "tcpki.csr.extensions");
    sk_X509_EXTENSION_pop_free(*extensions, X509_EXTENSION_free);
    *extensions = NULL;
    return 0;
}

static bool requested(lua_State *L, const pki_extensions **all, pki_fault *fault) {
    X509_REQ *csr = self(L);
    STACK_OF(X509_EXTENSION) **extensions = lua_newuserdatauv(L, sizeof(void *), 0);
    *extensions = NULL;
    luaL_setmetatable(L, "tcpki.csr.extensions");
    pki_begin(fault);
    bool done = pki_csr_extensions(csr, extensions, fault);
    *all = *extensions;
    return done;
}

static int requested_field(lua_State *L, extension_reader reader, list_pusher pusher) {
    pki_fault fault;
    const pki_extensions *all = NULL;
    return requested(L, &all, &fault) ? field_extension(L, all, reader, pusher)
                                      : fault_push(L, &fault, NULL);
}

/***
The requested subject alternative names, all of them.
@function csr:subject_alt_names
@treturn ?table of {type =, value =}
*/
static int csr_subject_alt_names(lua_State *L) {
    return requested_field(L, pki_extension_subject_alt_names, push_typed);
}

/***
@function csr:key_usage
@treturn ?table of words
*/
static int csr_key_usage(lua_State *L) {
    return requested_field(L, pki_extension_key_usage, push_values);
}

/***
@function csr:extended_key_usage
@treturn ?table of words or OIDs
*/
static int csr_extended_key_usage(lua_State *L) {
    return requested_field(L, pki_extension_extended_key_usage, push_values);
}

/***
Every requested extension.
@function csr:extensions
@treturn table of {oid =, name =, critical =, der =}
*/
static int csr_extensions(lua_State *L) {
    pki_fault fault;
    const pki_extensions *all = NULL;
    return requested(L, &all, &fault) ? field_extensions(L, all) : fault_push(L, &fault, NULL);
}

/***
@function csr:der
@treturn string
*/
static int csr_der(lua_State *L) {
    return der_object_der(L, &form);
}

/***
@function csr:pem
@treturn string canonical PEM
*/
static int csr_pem(lua_State *L) {
    return der_object_pem(L, &form);
}

/***
@function csr:write
@tparam string path
@tparam[opt] table options `overwrite` (false by default)
@treturn[1] boolean true
@treturn[2] nil
@treturn[2] fault
*/
static int csr_write(lua_State *L) {
    return der_object_write(L, &form);
}

/***
The text that the CSR was read from, to the byte.
@function csr:source
@treturn ?string nil for a CSR that was made
*/
static int csr_source(lua_State *L) {
    return der_object_source(L, &form);
}

static int csr_close(lua_State *L) {
    return box_close(L, &box_csr);
}

static int csr_tostring(lua_State *L) {
    return der_object_tostring(L, &form, name);
}

static const luaL_Reg functions[] = {
    {"new", csr_new}, {"parse", csr_parse}, {"read", csr_read}, {NULL, NULL}};

static const luaL_Reg methods[] = {{"verify", csr_verify},
                                   {"subject", csr_subject},
                                   {"subject_der", csr_subject_der},
                                   {"subject_alt_names", csr_subject_alt_names},
                                   {"public_key", csr_public_key},
                                   {"key_usage", csr_key_usage},
                                   {"extended_key_usage", csr_extended_key_usage},
                                   {"extensions", csr_extensions},
                                   {"der", csr_der},
                                   {"pem", csr_pem},
                                   {"write", csr_write},
                                   {"source", csr_source},
                                   {"close", csr_close},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {
    {"__gc", csr_close}, {"__close", csr_close}, {"__tostring", csr_tostring}, {NULL, NULL}};

void csr_open(lua_State *L) {
    luaL_newmetatable(L, "tcpki.csr.extensions");
    lua_pushcfunction(L, extensions_release);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    box_register(L, &box_csr, methods, metamethods);
    luaL_newlib(L, functions);
}

/***
The C core: PKI objects over libcrypto. Users reach it through `tcpki`.
@module tcpki.core
*/
#include "core.h"

#include <openssl/crypto.h>
#include <string.h>

#include "../pki/file.h"
#include "../pki/name.h"
#include "../pki/pem.h"
#include "lists.h"

const char *check_text(lua_State *L, int index, size_t *length) {
    luaL_checktype(L, index, LUA_TSTRING);
    return lua_tolstring(L, index, length);
}

const char *check_path(lua_State *L, int index) {
    size_t length = 0;
    const char *path = check_text(L, index, &length);
    luaL_argcheck(L, length > 0, index, "the path is empty");
    luaL_argcheck(L, strlen(path) == length, index, "the path contains a NUL");
    return path;
}

int der_object_parse(lua_State *L, const der_object *form) {
    pki_fault fault;
    size_t length = 0;
    const char *text = check_text(L, 1, &length);
    void **box = box_push(L, form->kind);
    pki_begin(&fault);
    void *object = form->parse(text, length, &fault);
    if (object == NULL) {
        return fault_push(L, &fault, NULL);
    }
    box_fill(box, form->kind, object);
    lua_pushvalue(L, 1);
    (void)lua_setiuservalue(L, -2, 1);
    return 1;
}

int der_object_read(lua_State *L, const der_object *form) {
    pki_fault fault;
    const char *path = check_path(L, 1);
    pki_buffer *content = scratch_buffer(L);
    void **box = box_push(L, form->kind);
    pki_begin(&fault);
    if (!pki_file_read(content, path, &fault)) {
        return fault_push(L, &fault, path);
    }
    void *object = form->parse((const char *)content->data, content->length, &fault);
    if (object == NULL) {
        return fault_push(L, &fault, path);
    }
    box_fill(box, form->kind, object);
    lua_pushlstring(L, (const char *)content->data, content->length);
    (void)lua_setiuservalue(L, -2, 1);
    return 1;
}

/* The DER of the object at 1 in scratch, or NULL with the fault filled. */
static pki_buffer *der_of(lua_State *L, const der_object *form, pki_fault *fault) {
    void *object = box_check(L, 1, form->kind);
    pki_buffer *der = scratch_buffer(L);
    pki_begin(fault);
    return form->encode(object, der, fault) ? der : NULL;
}

int der_object_der(lua_State *L, const der_object *form) {
    pki_fault fault;
    const pki_buffer *der = der_of(L, form, &fault);
    if (der == NULL) {
        return fault_push(L, &fault, NULL);
    }
    lua_pushlstring(L, (const char *)der->data, der->length);
    return 1;
}

int der_object_pem(lua_State *L, const der_object *form) {
    pki_fault fault;
    const pki_buffer *der = der_of(L, form, &fault);
    return der == NULL ? fault_push(L, &fault, NULL)
                       : push_pem(L, form->label, der->data, der->length);
}

int der_object_write(lua_State *L, const der_object *form) {
    static const char *const known[] = {"overwrite", NULL};
    pki_fault fault;
    (void)box_check(L, 1, form->kind);
    const char *path = check_path(L, 2);
    lua_settop(L, 3);
    options_check(L, 3, known);
    bool overwrite = options_boolean(L, 3, "overwrite", false);
    const pki_buffer *der = der_of(L, form, &fault);
    if (der == NULL) {
        return fault_push(L, &fault, NULL);
    }
    pki_buffer *pem = scratch_buffer(L);
    if (!pki_pem_encode(pem, form->label, der->data, der->length, &fault) ||
        !pki_file_write(path, pem->data, pem->length, 0644, overwrite, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    lua_pushboolean(L, 1);
    return 1;
}

int der_object_source(lua_State *L, const der_object *form) {
    (void)box_check(L, 1, form->kind);
    return box_source(L, 1);
}

int der_object_tostring(lua_State *L, const der_object *form, const X509_NAME *(*name)(void *)) {
    char text[512];
    void **box = luaL_checkudata(L, 1, form->kind->name);
    if (*box == NULL) {
        lua_pushfstring(L, "%s (closed)", form->kind->name);
    } else {
        pki_name_text(name(*box), text, sizeof text);
        lua_pushfstring(L, "%s (%s)", form->kind->name, text);
    }
    return 1;
}

int push_pem(lua_State *L, const char *label, const unsigned char *der, size_t length) {
    pki_fault fault;
    pki_buffer *pem = scratch_buffer(L);
    pki_begin(&fault);
    if (!pki_pem_encode(pem, label, der, length, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    lua_pushlstring(L, (const char *)pem->data, pem->length);
    return 1;
}

/***
How many libcrypto objects each type of box holds now.
@function live
@treturn table counts by type, and `total`
*/
static int core_live(lua_State *L) {
    static const box_kind *const kinds[] = {&box_key, &box_certificate, &box_csr,
                                            &box_crl, &box_store,       &box_lock};
    lua_Integer total = 0;
    lua_newtable(L);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        lua_pushinteger(L, kinds[i]->live);
        lua_setfield(L, -2, kinds[i]->name);
        total += kinds[i]->live;
    }
    lua_pushinteger(L, total);
    lua_setfield(L, -2, "total");
    return 1;
}

/***
The version of libcrypto in use.
@function openssl_version
@treturn string
*/
static int core_openssl_version(lua_State *L) {
    lua_pushstring(L, OpenSSL_version(OPENSSL_VERSION));
    return 1;
}

static const luaL_Reg functions[] = {{"live", core_live},
                                     {"openssl_version", core_openssl_version},
                                     {"fault", fault_new},
                                     {NULL, NULL}};

static const struct {
    const char *name;
    void (*open)(lua_State *L);
} rooms[] = {{"key", key_open},     {"certificate", certificate_open},
             {"csr", csr_open},     {"crl", crl_open},
             {"chain", chain_open}, {"pkcs12", pkcs12_open},
             {"pem", pem_open},     {"file", file_open},
             {"lock", lock_open}};

__attribute__((visibility("default"))) int luaopen_tcpki_core(lua_State *L);

int luaopen_tcpki_core(lua_State *L) {
    luaL_checkversion(L);
    scratch_register(L);
    fault_register(L);
    name_register(L);
    luaL_newlib(L, functions);
    for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
        rooms[i].open(L);
        lua_setfield(L, -2, rooms[i].name);
    }
    return 1;
}

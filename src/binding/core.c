/***
The C core: PKI objects over libcrypto. Users reach it through `tcpki`.
@module tcpki.core
*/
#include "core.h"

#include <openssl/crypto.h>
#include <string.h>

#include "../pki/file.h"
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

int parse_text(lua_State *L, box_kind *kind, text_parser parser) {
    pki_fault fault;
    size_t length = 0;
    const char *text = check_text(L, 1, &length);
    void **box = box_push(L, kind);
    pki_begin(&fault);
    void *object = parser(text, length, &fault);
    if (object == NULL) {
        return fault_push(L, &fault, NULL);
    }
    box_fill(box, kind, object);
    lua_pushvalue(L, 1);
    (void)lua_setiuservalue(L, -2, 1);
    return 1;
}

int read_text(lua_State *L, box_kind *kind, text_parser parser) {
    pki_fault fault;
    const char *path = check_path(L, 1);
    pki_buffer *content = scratch_buffer(L);
    void **box = box_push(L, kind);
    pki_begin(&fault);
    if (!pki_file_read(content, path, &fault)) {
        return fault_push(L, &fault, path);
    }
    void *object = parser((const char *)content->data, content->length, &fault);
    if (object == NULL) {
        return fault_push(L, &fault, path);
    }
    box_fill(box, kind, object);
    lua_pushlstring(L, (const char *)content->data, content->length);
    (void)lua_setiuservalue(L, -2, 1);
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

bool check_write(lua_State *L) {
    static const char *const known[] = {"overwrite", NULL};
    (void)check_path(L, 2);
    lua_settop(L, 3);
    options_check(L, 3, known);
    return options_boolean(L, 3, "overwrite", false);
}

int write_pem(lua_State *L, const char *label, const unsigned char *der, size_t length) {
    pki_fault fault;
    const char *path = lua_tostring(L, 2);
    bool overwrite = options_boolean(L, 3, "overwrite", false);
    pki_buffer *pem = scratch_buffer(L);
    pki_begin(&fault);
    if (!pki_pem_encode(pem, label, der, length, &fault) ||
        !pki_file_write(path, pem->data, pem->length, 0644, overwrite, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/***
How many libcrypto objects each type of box holds now.
@function live
@treturn table counts by type, and `total`
*/
static int core_live(lua_State *L) {
    static const box_kind *const kinds[] = {&box_key, &box_certificate, &box_csr, &box_crl,
                                            &box_store};
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
             {"chain", chain_open}, {"pem", pem_open},
             {"file", file_open}};

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

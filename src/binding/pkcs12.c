/*
** PKCS#12, read into a table of entries and written to a file; the Lua face is tcpki.pkcs12.
*/
#include "../pki/pkcs12.h"

#include <string.h>

#include "../pki/file.h"
#include "core.h"
#include "passphrase.h"

static const char *const read_options[] = {PASSPHRASE_OPTIONS, NULL};

static int file_release(lua_State *L) {
    pki_pkcs12_free(luaL_checkudata(L, 1, "tcpki.pkcs12.file"));
    return 0;
}

static void set_string(lua_State *L, const char *name, const char *value) {
    if (value != NULL && value[0] != '\0') {
        lua_pushstring(L, value);
        lua_setfield(L, -2, name);
    }
}

static void push_entry(lua_State *L, const pki_pkcs12_entry *entry) {
    static const char *const kinds[] = {"key", "certificate", "crl", "secret", "other"};
    lua_createtable(L, 0, 6);
    set_string(L, "type", kinds[entry->kind]);
    set_string(L, "encryption", entry->encryption);
    set_string(L, "oid", entry->oid);
    if (entry->name.data != NULL) {
        lua_pushlstring(L, (const char *)entry->name.data, entry->name.length);
        lua_setfield(L, -2, "name");
    }
    if (entry->local_key_id.data != NULL) {
        pki_buffer *hex = scratch_buffer(L);
        hex->data = OPENSSL_malloc(2 * entry->local_key_id.length + 1);
        if (hex->data == NULL) {
            (void)luaL_error(L, "not enough memory");
        }
        hex->length = 2 * entry->local_key_id.length;
        pki_hex((char *)hex->data, entry->local_key_id.data, entry->local_key_id.length);
        lua_pushlstring(L, (const char *)hex->data, hex->length);
        lua_setfield(L, -3, "local_key_id");
        lua_pop(L, 1);
    }
    if (entry->trusted) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "trusted");
    }
    if (entry->key != NULL) {
        void **box = box_push(L, &box_key);
        (void)EVP_PKEY_up_ref(entry->key);
        box_fill(box, &box_key, entry->key);
        lua_setfield(L, -2, "key");
    }
    if (entry->certificate != NULL) {
        void **box = box_push(L, &box_certificate);
        (void)X509_up_ref(entry->certificate);
        box_fill(box, &box_certificate, entry->certificate);
        lua_setfield(L, -2, "certificate");
    }
}

static void push_file(lua_State *L, const pki_pkcs12 *file) {
    lua_createtable(L, 0, 4);
    lua_createtable(L, (int)file->count, 0);
    for (size_t i = 0; i < file->count; i++) {
        push_entry(L, &file->entries[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "entries");
    set_string(L, "passphrase", file->passphrase);
    if (file->mac[0] != '\0') {
        lua_createtable(L, 0, 2);
        set_string(L, "digest", file->mac);
        lua_pushinteger(L, file->mac_iterations);
        lua_setfield(L, -2, "iterations");
        lua_setfield(L, -2, "mac");
    }
}

/* { entries, mac, passphrase }; the passphrase is asked for only where the file has one. */
static int parse(lua_State *L, const char *text, size_t length, const char *path) {
    pki_fault fault;
    pki_view passphrase = {NULL, 0};
    pki_pkcs12 *file = lua_newuserdatauv(L, sizeof *file, 0);
    memset(file, 0, sizeof *file);
    luaL_setmetatable(L, "tcpki.pkcs12.file");
    pki_begin(&fault);
    bool done = pki_pkcs12_read(file, text, length, NULL, &fault);
    if (!done && fault.code == PKI_PASSPHRASE_REQUIRED) {
        pki_fault asked;
        pki_begin(&asked);
        passphrase_outcome outcome = passphrase_ask(L, 2, &passphrase, &asked);
        if (outcome == PASSPHRASE_FAULT) {
            return fault_push(L, &asked, NULL);
        }
        /* The empty one has been tried. */
        if (outcome == PASSPHRASE_GIVEN && passphrase.length > 0) {
            pki_begin(&fault);
            done = pki_pkcs12_read(file, text, length, &passphrase, &fault);
        } else if (outcome == PASSPHRASE_GIVEN) {
            (void)pki_fail(&fault, PKI_BAD_PASSPHRASE,
                           "the empty passphrase does not open the PKCS#12 file");
        }
    }
    if (!done) {
        return fault_push(L, &fault, path);
    }
    push_file(L, file);
    return 1;
}

static int pkcs12_parse(lua_State *L) {
    size_t length = 0;
    const char *text = check_text(L, 1, &length);
    lua_settop(L, 2);
    options_check(L, 2, read_options);
    passphrase_check(L, 2);
    return parse(L, text, length, NULL);
}

static int pkcs12_read(lua_State *L) {
    pki_fault fault;
    const char *path = check_path(L, 1);
    lua_settop(L, 2);
    options_check(L, 2, read_options);
    passphrase_check(L, 2);
    pki_buffer *content = scratch_buffer(L);
    pki_begin(&fault);
    if (!pki_file_read(content, path, &fault)) {
        return fault_push(L, &fault, path);
    }
    return parse(L, (const char *)content->data, content->length, path);
}

/*
** What is to be written, from the table at 1: key, certificates (the first is the key's), name,
** profile, iterations and the passphrase. In scratch; NULL with the fault filled. *ascii is whether
** the passphrase is, for Java takes no other.
*/
static pki_buffer *make(lua_State *L, bool *ascii, pki_fault *fault) {
    static const char *const known[] = {"key",        "certificates",     "name",      "profile",
                                        "iterations", PASSPHRASE_OPTIONS, "overwrite", NULL};
    pki_pkcs12_template form = {0};
    pki_view name = {NULL, 0};
    pki_view passphrase = {NULL, 0};
    lua_Integer iterations = 0;
    luaL_checktype(L, 1, LUA_TTABLE);
    options_check(L, 1, known);
    const char *profile = options_string(L, 1, "profile", NULL);
    form.profile = profile == NULL ? NULL : pki_pkcs12_profile_named(profile);
    luaL_argcheck(L, form.profile != NULL, 1,
                  "option 'profile' must be modern, compatible or passwordless");
    name.data = (const unsigned char *)options_string(L, 1, "name", &name.length);
    form.name = name.data == NULL ? NULL : &name;
    (void)options_integer(L, 1, "iterations", &iterations);
    luaL_argcheck(L, iterations >= 0 && iterations <= PKI_PKCS12_ITERATIONS_LIMIT / 3, 1,
                  "option 'iterations' is out of range");
    form.iterations = (int)iterations;
    passphrase_check(L, 1);
    (void)lua_getfield(L, 1, "key");
    int key = lua_gettop(L);
    (void)options_table(L, 1, "certificates");
    int list = lua_gettop(L);
    luaL_checktype(L, list, LUA_TTABLE);
    form.count = lua_rawlen(L, list);
    luaL_argcheck(L, form.count > 0, 1, "option 'certificates' is empty");
    X509 **certificates = lua_newuserdatauv(L, form.count * sizeof *certificates, 0);
    pki_buffer *der = scratch_buffer(L);
    int top = lua_gettop(L);
    pki_begin(fault);
    passphrase_outcome outcome = passphrase_ask(L, 1, &passphrase, fault);
    if (outcome == PASSPHRASE_FAULT) {
        return NULL;
    }
    form.passphrase = outcome == PASSPHRASE_GIVEN ? &passphrase : NULL;
    *ascii = true;
    for (size_t i = 0; i < passphrase.length; i++) {
        *ascii = *ascii && passphrase.data[i] < 0x80;
    }
    /* Only now: a passphrase function could close them. */
    form.key = box_check(L, key, &box_key);
    for (size_t i = 0; i < form.count; i++) {
        (void)lua_rawgeti(L, list, (lua_Integer)i + 1);
        certificates[i] = box_check(L, -1, &box_certificate);
        lua_pop(L, 1);
    }
    form.certificates = certificates;
    bool done = pki_pkcs12_make(&form, der, fault);
    lua_settop(L, top);
    return done ? der : NULL;
}

/* der(what) -> string, whether the passphrase is ASCII */
static int pkcs12_der(lua_State *L) {
    pki_fault fault;
    lua_settop(L, 1);
    bool ascii = true;
    const pki_buffer *der = make(L, &ascii, &fault);
    if (der == NULL) {
        return fault_push(L, &fault, NULL);
    }
    lua_pushlstring(L, (const char *)der->data, der->length);
    lua_pushboolean(L, ascii);
    return 2;
}

/* write(what, path) -> true, whether the passphrase is ASCII; from C to the file, since it may hold the key in the clear */
static int pkcs12_write(lua_State *L) {
    pki_fault fault;
    const char *path = check_path(L, 2);
    lua_settop(L, 2);
    luaL_checktype(L, 1, LUA_TTABLE);
    bool ascii = true;
    const pki_buffer *der = make(L, &ascii, &fault);
    bool overwrite = options_boolean(L, 1, "overwrite", false);
    if (der == NULL || !pki_file_write(path, der->data, der->length, 0600, overwrite, &fault)) {
        return fault_push(L, &fault, der == NULL ? NULL : path);
    }
    lua_pushboolean(L, 1);
    lua_pushboolean(L, ascii);
    return 2;
}

static const luaL_Reg functions[] = {{"parse", pkcs12_parse},
                                     {"read", pkcs12_read},
                                     {"der", pkcs12_der},
                                     {"write", pkcs12_write},
                                     {NULL, NULL}};

void pkcs12_open(lua_State *L) {
    luaL_newmetatable(L, "tcpki.pkcs12.file");
    lua_pushcfunction(L, file_release);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
}

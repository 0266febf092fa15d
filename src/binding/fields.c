#include "fields.h"

#include "../pki/certificate.h"
#include "../pki/name.h"

int field_name(lua_State *L, const X509_NAME *name) {
    pki_fault fault;
    pki_list *entries = scratch_list(L);
    pki_buffer *text = scratch_buffer(L);
    pki_begin(&fault);
    if (!pki_name_read(name, entries, &fault) || !pki_name_write(name, text, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    push_name(L, entries, text);
    return 1;
}

int field_name_der(lua_State *L, const X509_NAME *name) {
    pki_fault fault;
    const unsigned char *bytes = NULL;
    size_t length = 0;
    pki_begin(&fault);
    if (X509_NAME_get0_der(name, &bytes, &length) != 1) {
        (void)pki_fail_libcrypto(&fault, PKI_BAD_NAME, "the name could not be encoded");
        return fault_push(L, &fault, NULL);
    }
    lua_pushlstring(L, (const char *)bytes, length);
    return 1;
}

int field_time(lua_State *L, const ASN1_TIME *time) {
    pki_fault fault;
    long long seconds = 0;
    if (time == NULL) {
        lua_pushnil(L);
        return 1;
    }
    pki_begin(&fault);
    if (!pki_time_read(time, &seconds, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    lua_pushinteger(L, seconds);
    return 1;
}

int field_extension(lua_State *L, const pki_extensions *all, extension_reader reader,
                    list_pusher pusher) {
    pki_fault fault;
    bool present = false;
    pki_list *list = scratch_list(L);
    pki_begin(&fault);
    if (!reader(all, &present, list, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    if (present) {
        pusher(L, list);
    } else {
        lua_pushnil(L);
    }
    scratch_keep(L, lua_gettop(L) - 1);
    return 1;
}

static bool read_all(const pki_extensions *all, bool *present, pki_list *list, pki_fault *fault) {
    *present = true;
    return pki_extension_list(all, list, fault);
}

int field_extensions(lua_State *L, const pki_extensions *all) {
    return field_extension(L, all, read_all, push_extensions);
}

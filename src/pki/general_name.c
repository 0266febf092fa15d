#include "general_name.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "name.h"

static bool add_hex(const GENERAL_NAME *name, pki_list *list, pki_fault *fault) {
    unsigned char *der = NULL;
    int length = i2d_GENERAL_NAME(name, &der);
    char *hex = length > 0 ? OPENSSL_malloc(2 * (size_t)length + 1) : NULL;
    bool done = false;
    if (hex != NULL) {
        pki_hex(hex, der, (size_t)length);
        done = pki_list_add(list, "other", hex, 2 * (size_t)length, fault);
    } else {
        (void)pki_fail_libcrypto(fault, PKI_BAD_NAME, "an alternative name cannot be shown");
    }
    OPENSSL_free(hex);
    OPENSSL_free(der);
    return done;
}

/* The text of an address, or of an address and mask as name constraints have them. */
static bool add_address(const ASN1_OCTET_STRING *octets, bool range, pki_list *list,
                        pki_fault *fault) {
    const unsigned char *data = ASN1_STRING_get0_data(octets);
    int length = ASN1_STRING_length(octets);
    int size = range && (length == 8 || length == 32) ? length / 2 : length;
    char text[128];
    size_t used = 0;
    if (size != 4 && size != 16) {
        return pki_fail(fault, PKI_BAD_NAME, "an IP address has %d bytes", length);
    }
    for (int half = 0; half < length; half += size) {
        if (half > 0) {
            text[used++] = '/';
        }
        (void)inet_ntop(size == 4 ? AF_INET : AF_INET6, data + half, text + used,
                        (socklen_t)(sizeof text - used));
        used += strlen(text + used);
    }
    return pki_list_add(list, "ip", text, used, fault);
}

static bool add_text(const ASN1_STRING *string, const char *type, pki_list *list,
                     pki_fault *fault) {
    const unsigned char *data = ASN1_STRING_get0_data(string);
    size_t length = (size_t)ASN1_STRING_length(string);
    /* The trick of CVE-2009-2408: "good.example\0.evil.example". */
    if (memchr(data, '\0', length) != NULL) {
        return pki_fail(fault, PKI_BAD_NAME, "an alternative name contains a NUL");
    }
    return pki_list_add(list, type, data, length, fault);
}

static bool add_directory(const X509_NAME *name, pki_list *list, pki_fault *fault) {
    pki_buffer text = {NULL, 0};
    bool added = pki_name_write(name, &text, fault) &&
                 pki_list_add(list, "directory", text.data, text.length, fault);
    pki_buffer_free(&text);
    return added;
}

bool pki_general_name_read(const GENERAL_NAME *name, bool range, pki_list *list, pki_fault *fault) {
    int kind = 0;
    const void *value = GENERAL_NAME_get0_value(name, &kind);
    char text[512];
    switch (kind) {
    case GEN_DNS:
        return add_text(value, "dns", list, fault);
    case GEN_EMAIL:
        return add_text(value, "email", list, fault);
    case GEN_URI:
        return add_text(value, "uri", list, fault);
    case GEN_IPADD:
        return add_address(value, range, list, fault);
    case GEN_DIRNAME:
        return add_directory(value, list, fault);
    case GEN_RID:
        if (OBJ_obj2txt(text, sizeof text, value, 1) <= 0) {
            text[0] = '\0';
        }
        return pki_list_add(list, "registered_id", text, strlen(text), fault);
    default:
        return add_hex(name, list, fault);
    }
}

bool pki_general_names_read(const GENERAL_NAMES *names, pki_list *list, pki_fault *fault) {
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        if (!pki_general_name_read(sk_GENERAL_NAME_value(names, i), false, list, fault)) {
            return false;
        }
    }
    return true;
}

static ASN1_OCTET_STRING *make_address(const char *value, bool range) {
    char text[160];
    const char *slash = strchr(value, '/');
    if (!range) {
        return a2i_IPADDRESS(value);
    }
    if (slash != NULL && (strchr(slash, '.') != NULL || strchr(slash, ':') != NULL)) {
        return a2i_IPADDRESS_NC(value);
    }
    /* 10.0.0.0/8, or one address alone: libcrypto wants the mask spelt out. */
    char *rest = NULL;
    bool wide = strchr(value, ':') != NULL;
    long most = wide ? 128 : 32;
    long bits = slash == NULL ? most : strtol(slash + 1, &rest, 10);
    if (slash != NULL && (rest == slash + 1 || *rest != '\0' || bits < 0 || bits > most)) {
        return NULL;
    }
    size_t used = (size_t)snprintf(text, sizeof text, "%.*s/", (int)strcspn(value, "/"), value);
    if (used >= sizeof text - 64) {
        return NULL;
    }
    for (int i = 0; i < (wide ? 8 : 4); i++) {
        long unit = wide ? 16 : 8;
        long ones = bits - i * unit < 0 ? 0 : bits - i * unit > unit ? unit : bits - i * unit;
        unsigned part = (0xffffu << (unit - ones)) & (wide ? 0xffffu : 0xffu);
        used += (size_t)snprintf(text + used, sizeof text - used, wide ? "%s%x" : "%s%u",
                                 i == 0 ? "" : (wide ? ":" : "."), part);
    }
    return a2i_IPADDRESS_NC(text);
}

static bool is_plain(const char *value, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)value[i] <= 0x20 || (unsigned char)value[i] >= 0x7f) {
            return false;
        }
    }
    return length > 0;
}

GENERAL_NAME *pki_general_name_make(const char *type, const char *value, size_t length, bool range,
                                    pki_fault *fault) {
    static const struct {
        const char *type;
        int kind;
    } kinds[] = {{"dns", GEN_DNS}, {"email", GEN_EMAIL}, {"uri", GEN_URI}, {"ip", GEN_IPADD}};
    int kind = -1;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(type, kinds[i].type) == 0) {
            kind = kinds[i].kind;
        }
    }
    if (kind < 0) {
        (void)pki_fail(fault, PKI_BAD_NAME, "%s is not a kind of alternative name", type);
        pki_fault_set_hint(fault, "use dns, ip, uri or email");
        return NULL;
    }
    if (!is_plain(value, length)) {
        (void)pki_fail(fault, PKI_BAD_NAME,
                       length == 0 ? "an alternative name of type %s is empty"
                                   : "an alternative name of type %s is not plain ASCII",
                       type);
        pki_fault_set_hint(fault, "write international names in punycode (xn--…)");
        return NULL;
    }
    ASN1_STRING *string =
        kind == GEN_IPADD ? make_address(value, range) : ASN1_STRING_type_new(V_ASN1_IA5STRING);
    if (kind == GEN_IPADD && string == NULL) {
        (void)pki_fail(fault, PKI_BAD_NAME, "%s is not an IP address%s", value,
                       range ? " or subnet" : "");
        return NULL;
    }
    GENERAL_NAME *name = GENERAL_NAME_new();
    if (string == NULL || name == NULL ||
        (kind != GEN_IPADD && ASN1_STRING_set(string, value, (int)length) != 1)) {
        ASN1_STRING_free(string);
        GENERAL_NAME_free(name);
        (void)pki_fail_memory(fault);
        return NULL;
    }
    GENERAL_NAME_set0_value(name, kind, string);
    return name;
}

GENERAL_NAMES *pki_general_names_make(const pki_list *list, bool ranges, pki_fault *fault) {
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    if (names == NULL) {
        (void)pki_fail_memory(fault);
        return NULL;
    }
    for (size_t i = 0; i < list->count; i++) {
        GENERAL_NAME *name = pki_general_name_make(pki_item_type(list, i), pki_item_value(list, i),
                                                   list->items[i].value_length, ranges, fault);
        if (name == NULL || sk_GENERAL_NAME_push(names, name) == 0) {
            if (name != NULL) {
                GENERAL_NAME_free(name);
                (void)pki_fail_memory(fault);
            }
            GENERAL_NAMES_free(names);
            return NULL;
        }
    }
    return names;
}

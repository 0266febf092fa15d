#include "name.h"

#include <openssl/bio.h>
#include <stdio.h>
#include <string.h>

enum { OID_SIZE = 128 };

/* The field's own short word where there is one, the dotted OID where there is none. */
static const char *type_of(const ASN1_OBJECT *object, char *oid) {
    int nid = OBJ_obj2nid(object);
    if (nid != NID_undef) {
        return OBJ_nid2sn(nid);
    }
    if (OBJ_obj2txt(oid, OID_SIZE, object, 1) <= 0) {
        oid[0] = '\0';
    }
    return oid;
}

bool pki_name_read(const X509_NAME *name, pki_list *entries, pki_fault *fault) {
    int previous = -1;
    for (int i = 0; i < X509_NAME_entry_count(name); i++) {
        const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
        char oid[OID_SIZE];
        const char *type = type_of(X509_NAME_ENTRY_get_object(entry), oid);
        unsigned char *text = NULL;
        int length = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry));
        if (length < 0) {
            return pki_fail_libcrypto(fault, PKI_BAD_NAME, "the value of %s is not readable text",
                                      type);
        }
        bool added = pki_list_add(entries, type, text, (size_t)length, fault);
        OPENSSL_free(text);
        if (!added) {
            return false;
        }
        pki_list_last(entries)->flag = X509_NAME_ENTRY_set(entry) == previous;
        previous = X509_NAME_ENTRY_set(entry);
    }
    return true;
}

X509_NAME *pki_name_make(const pki_list *entries, pki_fault *fault) {
    X509_NAME *name = X509_NAME_new();
    if (name == NULL) {
        (void)pki_fail_memory(fault);
        return NULL;
    }
    for (size_t i = 0; i < entries->count; i++) {
        const char *type = pki_item_type(entries, i);
        const char *value = pki_item_value(entries, i);
        size_t length = entries->items[i].value_length;
        ASN1_OBJECT *object = OBJ_txt2obj(type, 0);
        bool added = false;
        if (object == NULL) {
            (void)pki_fail_libcrypto(fault, PKI_BAD_NAME, "%s is not a field of a name", type);
            pki_fault_set_hint(fault, "use CN, O, OU, C, ST, L, … or a dotted OID");
        } else if (length == 0) {
            (void)pki_fail(fault, PKI_BAD_NAME, "the value of %s is empty", type);
        } else if (memchr(value, '\0', length) != NULL) {
            (void)pki_fail(fault, PKI_BAD_NAME, "the value of %s contains a NUL", type);
        } else {
            added = X509_NAME_add_entry_by_OBJ(name, object, MBSTRING_UTF8,
                                               (const unsigned char *)value, (int)length, -1,
                                               entries->items[i].flag ? -1 : 0) == 1;
            if (!added) {
                (void)pki_fail_libcrypto(fault, PKI_BAD_NAME, "the value of %s is not allowed",
                                         type);
                pki_fault_set_hint(fault, "RFC 5280, appendix A.1: C has 2 letters, CN, O and OU "
                                          "have at most 64 characters, all UTF-8");
            }
        }
        ASN1_OBJECT_free(object);
        if (!added) {
            X509_NAME_free(name);
            return NULL;
        }
    }
    return name;
}

/* Larger ones are in no certificate that libcrypto reads in a moment. */
enum { NAME_LIMIT = 1 << 16 };

X509_NAME *pki_name_parse(pki_view der, pki_fault *fault) {
    const unsigned char *at = der.data;
    X509_NAME *name = der.length <= NAME_LIMIT ? d2i_X509_NAME(NULL, &at, (long)der.length) : NULL;
    if (name == NULL || at != der.data + der.length) {
        X509_NAME_free(name);
        (void)pki_fail_libcrypto(fault, PKI_BAD_NAME, "the DER of the name is damaged");
        return NULL;
    }
    return name;
}

static bool print(BIO *memory, const X509_NAME *name) {
    static const unsigned long flags =
        (ASN1_STRFLGS_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) | XN_FLAG_SEP_CPLUS_SPC | XN_FLAG_FN_SN;
    return memory != NULL && X509_NAME_print_ex(memory, name, 0, flags) >= 0;
}

bool pki_name_write(const X509_NAME *name, pki_buffer *text, pki_fault *fault) {
    char *data = NULL;
    BIO *memory = BIO_new(BIO_s_mem());
    bool done = print(memory, name);
    if (!done) {
        (void)pki_fail_libcrypto(fault, PKI_BAD_NAME, "a name cannot be shown as text");
    } else {
        long length = BIO_get_mem_data(memory, &data);
        done = pki_buffer_copy(text, data, (size_t)length, fault);
    }
    BIO_free(memory);
    return done;
}

void pki_name_text(const X509_NAME *name, char *text, size_t size) {
    static const char more[] = "…";
    char *data = NULL;
    BIO *memory = BIO_new(BIO_s_mem());
    (void)snprintf(text, size, "(unprintable)");
    if (print(memory, name)) {
        long length = BIO_get_mem_data(memory, &data);
        (void)snprintf(text, size, "%.*s", (int)length, length > 0 ? data : "");
        if ((size_t)length >= size) {
            size_t end = size - sizeof more;
            while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80) {
                end--; /* into no character of several bytes */
            }
            memcpy(text + end, more, sizeof more);
        }
    }
    BIO_free(memory);
}

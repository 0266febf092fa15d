#include "foreign.h"

#include <string.h>

#include "base64.h"
#include "der.h"

/* How far into a text a mark is looked for. */
enum { LOOK_LIMIT = 65536 };

/* In order: the first that fits names the text. `within` has to be somewhere behind the start. */
static const struct {
    const char *start;
    const char *within;
    pki_foreign is;
} rows[] = {
    {"\xfe\xed\xfe\xed",
     NULL,
     {"a Java key store", "convert it: keytool -importkeystore -srckeystore OLD -destkeystore NEW "
                          "-deststoretype pkcs12"}},
    {"\xce\xce\xce\xce",
     NULL,
     {"a Java key store", "convert it: keytool -importkeystore -srckeystore OLD -destkeystore NEW "
                          "-deststoretype pkcs12"}},
    {"{", "\"kty\"", {"a JSON web key", "TLS takes keys as PEM: export it as PKCS#8"}},
    {"{", NULL, {"JSON", "take the value out of it"}},
    {"[", NULL, {"JSON", "take the value out of it"}},
    {"<", NULL, {"HTML or XML", "fetch it again: it looks like a page, perhaps one of an error"}},
    {"ssh-",
     NULL,
     {"an OpenSSH public key", "pass the certificate, or a key that was made for TLS"}},
    {"ecdsa-sha2-",
     NULL,
     {"an OpenSSH public key", "pass the certificate, or a key that was made for TLS"}},
    {"PuTTY-User-Key-File", NULL, {"a key of PuTTY", "make a key for TLS: tcpki.key.generate"}},
};

static bool begins(pki_view text, const char *mark) {
    size_t length = strlen(mark);
    return text.length >= length && memcmp(text.data, mark, length) == 0;
}

static bool contains(pki_view text, const char *mark) {
    pki_view rest = text;
    while (rest.length > 0) {
        if (begins(rest, mark)) {
            return true;
        }
        rest.data++;
        rest.length--;
    }
    return false;
}

const pki_foreign *pki_foreign_of(pki_view text) {
    while (text.length > 0 && pki_base64_digits[text.data[0]] == PKI_BASE64_BLANK) {
        text.data++;
        text.length--;
    }
    if (text.length > LOOK_LIMIT) {
        text.length = LOOK_LIMIT;
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (begins(text, rows[i].start) &&
            (rows[i].within == NULL || contains(text, rows[i].within))) {
            return &rows[i].is;
        }
    }
    return NULL;
}

bool pki_foreign_is_pkcs12(pki_view der) {
    static const char pkcs7[] = "\x2a\x86\x48\x86\xf7\x0d\x01\x07"; /* 1.2.840.113549.1.7 */
    pki_view version;
    int tag = 0;
    return der_enter(&der, DER_SEQUENCE) && der_next(&der, &tag, &version) && tag == DER_INTEGER &&
           der_enter(&der, DER_SEQUENCE) && der_enter(&der, DER_OID) && begins(der, pkcs7);
}

bool pki_foreign_refuse_pkcs12(pki_view der, const char *what, pki_fault *fault) {
    if (!pki_foreign_is_pkcs12(der)) {
        return true;
    }
    pki_fault_set_hint(fault, "read it with tcpki.pkcs12, which gives key and chain");
    return pki_fail(fault, PKI_WRONG_KIND, "it is a PKCS#12 file, not %s", what);
}

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

static const char pkcs7[] = "\x2a\x86\x48\x86\xf7\x0d\x01\x07"; /* 1.2.840.113549.1.7 */

bool pki_foreign_is_pkcs12(pki_view der) {
    pki_view version;
    int tag = 0;
    return der_enter(&der, DER_SEQUENCE) && der_next(&der, &tag, &version) && tag == DER_INTEGER &&
           der_enter(&der, DER_SEQUENCE) && der_enter(&der, DER_OID) && begins(der, pkcs7);
}

/*
** Of what is signed, what its body says: RFC 5280, sections 4.1 and 5.1, and RFC 2986, section 4. A
** CRL of version 1 begins with its algorithm, a certificate of version 1 with its serial number.
*/
static const char *signed_kind(pki_view body) {
    enum { PLACES = 4, UTC_TIME = 0x17, GENERALIZED_TIME = 0x18 };
    int tags[PLACES] = {0, 0, 0, 0};
    pki_view skipped;
    for (int i = 0; i < PLACES && der_next(&body, &tags[i], &skipped); i++) {}
    if (tags[0] == DER_CONTEXT_0) {
        return "a certificate";
    }
    int last = tags[0] == DER_SEQUENCE ? tags[2] : tags[3];
    if (last == UTC_TIME || last == GENERALIZED_TIME) {
        return "a CRL";
    }
    if (tags[0] != DER_INTEGER || tags[1] != DER_SEQUENCE || tags[2] != DER_SEQUENCE) {
        return NULL;
    }
    if (last == DER_SEQUENCE) {
        return "a certificate";
    }
    return last == DER_CONTEXT_0 || last == 0 ? "a CSR" : NULL;
}

/* NULL where it is none of these, or not DER. */
static const char *kind_of(pki_view der) {
    enum { BIT_STRING = 0x03 };
    pki_view outer;
    pki_view first;
    pki_view second;
    int first_tag = 0;
    int second_tag = 0;
    if (!der_expect(&der, DER_SEQUENCE, &outer) || !der_next(&outer, &first_tag, &first) ||
        !der_next(&outer, &second_tag, &second)) {
        return NULL;
    }
    if (first_tag == DER_INTEGER) {
        return first.length == 1 && (second_tag == DER_SEQUENCE || second_tag == DER_OCTET_STRING ||
                                     second_tag == DER_INTEGER)
                   ? "a key"
                   : NULL;
    }
    if (first_tag == DER_OID) {
        return begins(first, pkcs7) ? "a PKCS#7 file" : NULL;
    }
    if (first_tag == DER_SEQUENCE && second_tag == DER_SEQUENCE) {
        return signed_kind(first);
    }
    if (first_tag == DER_SEQUENCE && first.length > 0 && first.data[0] == DER_OID &&
        (second_tag == BIT_STRING || second_tag == DER_OCTET_STRING)) {
        return "a key";
    }
    return NULL;
}

bool pki_foreign_refuse(pki_view der, const char *what, pki_fault *fault) {
    if (pki_foreign_is_pkcs12(der)) {
        pki_fault_set_hint(fault, "read it with tcpki.pkcs12, which gives key and chain");
        return pki_fail(fault, PKI_WRONG_KIND, "it is a PKCS#12 file, not %s", what);
    }
    const char *kind = kind_of(der);
    if (kind == NULL || strcmp(kind, what) == 0) {
        return true;
    }
    return pki_fail(fault, PKI_WRONG_KIND, "it is %s, not %s", kind, what);
}

#include <stdio.h>
#include <string.h>

#include "base64.h"
#include "der.h"
#include "foreign.h"
#include "pkcs12.h"

/* How far into a text its kind is looked for: openssl writes attributes in front of the armour. */
enum { LOOK_LIMIT = 65536 };

static bool instead(pki_fault *fault, const char *what, const char *hint) {
    pki_fault_set_hint(fault, "%s", hint);
    return pki_fail(fault, PKI_WRONG_KIND, "it is %s, not a PKCS#12 file in DER", what);
}

static const unsigned char *find(pki_view text, const char *mark) {
    size_t length = strlen(mark);
    for (size_t i = 0; i + length <= text.length; i++) {
        if (memcmp(text.data + i, mark, length) == 0) {
            return text.data + i;
        }
    }
    return NULL;
}

static bool begins(pki_view text, const char *mark) {
    size_t length = strlen(mark);
    return text.length >= length && memcmp(text.data, mark, length) == 0;
}

static bool refuse_armour(pki_view text, const unsigned char *begin, pki_fault *fault) {
    char label[64];
    char what[96];
    size_t length = 0;
    const unsigned char *at = begin + strlen("-----BEGIN ");
    const unsigned char *end = text.data + text.length;
    while (at + length < end && length < sizeof label - 1 && at[length] >= ' ' &&
           at[length] < 0x7f && at[length] != '-') {
        label[length] = (char)at[length];
        length++;
    }
    label[length] = '\0';
    (void)snprintf(what, sizeof what, "PEM (%s)", label);
    return instead(fault, what,
                   strncmp(label, "PKCS", 4) == 0 || strncmp(label, "PFX", 3) == 0
                       ? "take the lines with BEGIN and END off and decode the rest: base64 -d"
                       : "read it with tcpki.key, tcpki.certificate or tcpki.chain");
}

static bool is_base64(pki_view text) {
    size_t digits = 0;
    for (size_t i = 0; i < text.length; i++) {
        unsigned char digit = pki_base64_digits[text.data[i]];
        if (digit == PKI_BASE64_OTHER && text.data[i] != '-' && text.data[i] != '_') {
            return false;
        }
        digits += digit < PKI_BASE64_PAD ? 1 : 0;
    }
    return digits > 16;
}

static bool recognise_der(pki_view text, pki_fault *fault) {
    static const char pkcs7[] = "\x2a\x86\x48\x86\xf7\x0d\x01\x07"; /* 1.2.840.113549.1.7 */
    pki_view within = text;
    pki_view first;
    pki_view type;
    int tag = 0;
    if (!der_enter(&within, DER_SEQUENCE)) {
        return true;
    }
    type = within;
    if (der_enter(&type, DER_OID) && begins(type, pkcs7)) {
        return instead(fault, "PKCS#7, which holds certificates but no key",
                       "take them out: openssl pkcs7 -inform DER -print_certs");
    }
    if (within.length > 0 && within.data[0] == DER_SEQUENCE) {
        return instead(fault, "another kind of DER: a certificate, a CSR, a CRL or a key",
                       "read it with tcpki.certificate, tcpki.csr, tcpki.crl or tcpki.key");
    }
    if (!der_next(&within, &tag, &first) || tag != DER_INTEGER || within.length < 16 ||
        pki_foreign_is_pkcs12(text)) {
        return true;
    }
    return instead(fault, "a private key in DER", "read it with tcpki.key");
}

bool pki_pkcs12_recognise(const char *text, size_t length, pki_fault *fault) {
    pki_view view = {(const unsigned char *)text, length < LOOK_LIMIT ? length : LOOK_LIMIT};
    if (length == 0) {
        return pki_fail(fault, PKI_EMPTY, "it is empty");
    }
    if (view.data[0] == DER_SEQUENCE && !is_base64(view)) {
        return recognise_der(view, fault);
    }
    const unsigned char *begin = find(view, "-----BEGIN ");
    if (begin != NULL) {
        return refuse_armour(view, begin, fault);
    }
    if (is_base64(view)) {
        return instead(fault, "base64 text", "decode it first: base64 -d FILE > FILE.pfx");
    }
    const pki_foreign *foreign = pki_foreign_of(view);
    if (foreign != NULL) {
        return instead(fault, foreign->name,
                       strcmp(foreign->name, "JSON") == 0
                           ? "take the value out of it, and decode its base64"
                           : foreign->hint);
    }
    pki_fault_set_hint(fault, "pass the .pfx or .p12 file itself, as it was exported (binary)");
    return pki_fail(fault, PKI_WRONG_KIND, "it is not a PKCS#12 file");
}

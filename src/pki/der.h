#ifndef TCPKI_PKI_DER_H
#define TCPKI_PKI_DER_H

#include "bytes.h"

enum {
    DER_INTEGER = 0x02,
    DER_OCTET_STRING = 0x04,
    DER_NULL = 0x05,
    DER_OID = 0x06,
    DER_SEQUENCE = 0x30,
    DER_CONTEXT_0 = 0xa0
};

/*
** Takes the next element off the view: its tag and its content. Only what a guard needs that must
** look at a key before libcrypto computes with it; the parsing itself is libcrypto's.
*/
static inline bool der_next(pki_view *view, int *tag, pki_view *content) {
    if (view->length < 2) {
        return false;
    }
    size_t length = view->data[1];
    size_t header = 2;
    if (length >= 0x80) {
        size_t octets = length & 0x7f;
        if (octets == 0 || octets > 4 || view->length < 2 + octets) {
            return false;
        }
        length = 0;
        for (size_t i = 0; i < octets; i++) {
            length = length << 8 | view->data[2 + i];
        }
        header += octets;
    }
    if (view->length - header < length) {
        return false;
    }
    *tag = view->data[0];
    content->data = view->data + header;
    content->length = length;
    view->data += header + length;
    view->length -= header + length;
    return true;
}

/* The same, with the tag that it must have. */
static inline bool der_expect(pki_view *view, int tag, pki_view *content) {
    int found = 0;
    return view->length > 0 && view->data[0] == tag && der_next(view, &found, content);
}

/*
** The content of the element that the view begins with, as far as it is there: its length may be
** that of BER, and is not looked at.
*/
static inline bool der_enter(pki_view *view, int tag) {
    if (view->length < 2 || view->data[0] != tag) {
        return false;
    }
    size_t header = view->data[1] <= 0x80 ? 2 : 2 + (size_t)(view->data[1] & 0x7f);
    if (header > view->length) {
        return false;
    }
    view->data += header;
    view->length -= header;
    return true;
}

#endif

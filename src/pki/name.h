#ifndef TCPKI_PKI_NAME_H
#define TCPKI_PKI_NAME_H

#include <openssl/x509.h>

#include "bytes.h"

/*
** A distinguished name as a list in its encoded order: the type of an item is its short name (CN,
** O, …) or its dotted OID, the value is UTF-8. flag is set where an item shares its RDN with the
** one before it.
*/
bool pki_name_read(const X509_NAME *name, pki_list *entries, pki_fault *fault);
/* Types may be short names, long names or dotted OIDs. */
X509_NAME *pki_name_make(const pki_list *entries, pki_fault *fault);
/* Of DER, which it keeps to the byte: Go compares names so. */
X509_NAME *pki_name_parse(pki_view der, pki_fault *fault);

/*
** The whole name as text: "C=US, O=Acme, CN=worker" in encoded order, escaped as in RFC 2253 and
** free of control characters.
*/
bool pki_name_write(const X509_NAME *name, pki_buffer *text, pki_fault *fault);

/*
** The same for a message: cut to size, and "…" says so. Never fails: what cannot be shown is
** "(unprintable)".
*/
void pki_name_text(const X509_NAME *name, char *text, size_t size);

#endif

#ifndef TCPKI_PKI_FOREIGN_H
#define TCPKI_PKI_FOREIGN_H

#include "bytes.h"

/*
** What people pass in place of PEM or DER, told by the bytes that it begins with: a message that
** names it spares the next question.
*/
typedef struct pki_foreign {
    const char *name; /* "a JSON web key" */
    const char *hint;
} pki_foreign;

/* NULL where the text is none of them. */
const pki_foreign *pki_foreign_of(pki_view text);

/*
** Fails with wrong_kind where the DER is another kind of object than the caller reads, whatever its
** armour says. `what`: "a certificate", "a CSR", "a CRL" or "a key".
*/
bool pki_foreign_refuse(pki_view der, const char *what, pki_fault *fault);

/* PFX of RFC 7292, section 4: version 3, and a ContentInfo of PKCS#7. It may be BER. */
bool pki_foreign_is_pkcs12(pki_view der);

#endif

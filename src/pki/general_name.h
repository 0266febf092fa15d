#ifndef TCPKI_PKI_GENERAL_NAME_H
#define TCPKI_PKI_GENERAL_NAME_H

#include <openssl/x509v3.h>

#include "bytes.h"

/*
** Subject alternative names and their kin as a list: dns, ip, uri and email with their text, directory
** with its text, registered_id with its OID, other with lowercase hex of its DER.
*/
bool pki_general_names_read(const GENERAL_NAMES *names, pki_list *list, pki_fault *fault);
/* dns, ip, uri, email; with ranges, an ip may be a subnet (10.0.0.0/8) as name constraints have. */
GENERAL_NAMES *pki_general_names_make(const pki_list *list, bool ranges, pki_fault *fault);
/* With range an ip is an address and its mask, as in name constraints, where bare ones pass too. */
bool pki_general_name_read(const GENERAL_NAME *name, bool range, pki_list *list, pki_fault *fault);
GENERAL_NAME *pki_general_name_make(const char *type, const char *value, size_t length, bool range,
                                    pki_fault *fault);

#endif

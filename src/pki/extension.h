#ifndef TCPKI_PKI_EXTENSION_H
#define TCPKI_PKI_EXTENSION_H

#include <openssl/x509v3.h>

#include "bytes.h"

/*
** The extensions of a certificate, a CSR or a CRL, decoded. Each reader sets *present, and answers
** true with *present = false where the extension is absent; a damaged or doubled one is a fault.
*/
typedef STACK_OF(X509_EXTENSION) pki_extensions;

/* Types are "digital_signature", "key_encipherment", …, "decipher_only". */
bool pki_extension_key_usage(const pki_extensions *all, bool *present, pki_list *list,
                             pki_fault *fault);
/* Values are "client_auth", "server_auth", … or dotted OIDs. */
bool pki_extension_extended_key_usage(const pki_extensions *all, bool *present, pki_list *list,
                                      pki_fault *fault);
/* path_length is -1 where there is none. */
bool pki_extension_basic_constraints(const pki_extensions *all, bool *present, bool *authority,
                                     long *path_length, pki_fault *fault);
bool pki_extension_subject_alt_names(const pki_extensions *all, bool *present, pki_list *list,
                                     pki_fault *fault);
/* Lowercase hex of the key identifier. */
bool pki_extension_subject_key_id(const pki_extensions *all, bool *present, pki_list *list,
                                  pki_fault *fault);
bool pki_extension_authority_key_id(const pki_extensions *all, bool *present, pki_list *list,
                                    pki_fault *fault);
bool pki_extension_name_constraints(const pki_extensions *all, bool *present, pki_list *permitted,
                                    pki_list *excluded, pki_fault *fault);
bool pki_extension_crl_distribution_points(const pki_extensions *all, bool *present, pki_list *list,
                                           pki_fault *fault);
/* Every extension: type is the OID, value the DER inside the OCTET STRING, flag is critical. */
bool pki_extension_list(const pki_extensions *all, pki_list *list, pki_fault *fault);
/* "keyUsage" for "2.5.29.15"; the OID itself where it has no name. */
const char *pki_extension_name(const char *oid);

/* The bit of a key usage word, or -1; the OID of an extended key usage word, or NULL. */
int pki_key_usage_bit(const char *word);
ASN1_OBJECT *pki_extended_key_usage_object(const char *word);

#endif

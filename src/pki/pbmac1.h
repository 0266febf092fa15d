#ifndef TCPKI_PKI_PBMAC1_H
#define TCPKI_PKI_PBMAC1_H

#include <openssl/pkcs12.h>

#include "bytes.h"

/*
** The MAC of RFC 9579, which Java 26 and others write; libcrypto itself knows it from 3.4 on. The
** passphrase goes in as its bytes. Its iterations are to be bounded before.
*/
bool pki_pbmac1_holds(const PKCS12 *file, pki_view passphrase, bool *holds, pki_fault *fault);

#endif

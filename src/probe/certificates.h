#ifndef TCPKI_PROBE_CERTIFICATES_H
#define TCPKI_PROBE_CERTIFICATES_H

#include <openssl/x509.h>
#include <stddef.h>

/* The certificates of a PEM text up to the first thing that is none, but no more than most. NULL:
** out of memory. Leaves nothing in OpenSSL's error queue. */
STACK_OF(X509) * certificates_read(const char *text, size_t length, int most);

#endif

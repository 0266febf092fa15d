#ifndef TCPKI_PROBE_SCHEME_H
#define TCPKI_PROBE_SCHEME_H

/* The name of a signature scheme in the IANA registry "TLS SignatureScheme", or NULL. */
const char *scheme_name(unsigned code);

#endif

#ifndef TCPKI_BINDING_PASSPHRASE_H
#define TCPKI_BINDING_PASSPHRASE_H

#include "box.h"

/* Names of the options, to be spliced into a table of known ones. */
#define PASSPHRASE_OPTIONS "passphrase", "passphrase_file", "passphrase_env"

/* Throws where the options name more than one source, or one of a wrong type. */
void passphrase_check(lua_State *L, int options);

typedef enum passphrase_outcome {
    PASSPHRASE_NONE,  /* no source was named, or the callback gave nil */
    PASSPHRASE_GIVEN, /* in *view; what holds it is on the stack */
    PASSPHRASE_FAULT
} passphrase_outcome;

/* Asks the source: only now is a file read, or a callback called (which may throw). */
passphrase_outcome passphrase_ask(lua_State *L, int options, pki_view *view, pki_fault *fault);

#endif

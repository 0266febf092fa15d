#ifndef TCPKI_PROBE_BINDING_ERRAND_H
#define TCPKI_PROBE_BINDING_ERRAND_H

#include <lua.h>

/* The names of the boxes that a wait for several takes. */
#define CLIENT "tcpki.probe.client"
#define TRACE  "tcpki.probe.trace"

/* Adds `errand` and `any` to the module on the top of the stack. */
void binding_errand(lua_State *L);

#endif

#ifndef TCPKI_PROBE_BINDING_FRONTEND_H
#define TCPKI_PROBE_BINDING_FRONTEND_H

#include <lua.h>

/* Each registers its type, and sets its function in the module's table, which is on top. */
void binding_frontend(lua_State *L);
void binding_admission(lua_State *L);

#define ADMISSION "tcpki.probe.admission"

#endif

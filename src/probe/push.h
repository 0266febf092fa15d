#ifndef TCPKI_PROBE_PUSH_H
#define TCPKI_PROBE_PUSH_H

#include <lua.h>

#include "record.h"
#include "resolve.h"
#include "temporal.h"

/* What the probe saw, as Lua tables. Each may throw: what it reads belongs to a box. */
void push_addresses(lua_State *L, const resolve_result *result);
void push_answer(lua_State *L, const temporal_answer *answer);
void push_record(lua_State *L, const record *seen);
void push_state(lua_State *L, rpc_state state);

#endif

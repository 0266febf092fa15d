#ifndef TCPKI_PROBE_BOX_H
#define TCPKI_PROBE_BOX_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

/*
** What the bindings of the probe share: boxes, which are userdata that are made empty, filled
** afterwards and closed once, so that an error in between leaks nothing; and the fields of the
** table that is argument 1.
*/
typedef struct box {
    void *held;
} box;

/* close is called as __gc, __close and, where the methods name it, as a method. */
void box_register(lua_State *L, const char *type, const luaL_Reg *methods, lua_CFunction close);
box *box_new(lua_State *L, const char *type);
/* Throws on NULL. */
void box_fill(lua_State *L, box *made, void *held);
/* What argument 1 holds; throws where it is another type or closed. */
void *box_check(lua_State *L, const char *type);
/* What the box at index holds, or NULL, and is the caller's from now on. */
void *box_empty(lua_State *L, int index, const char *type);
/* How many boxes hold something. */
int box_live(void);

/* A value that was read stays on the stack, which keeps its bytes alive. NULL: nil. */
const char *text_field(lua_State *L, const char *name, bool required);
double number_field(lua_State *L, const char *name);
bool boolean_field(lua_State *L, const char *name);

#endif

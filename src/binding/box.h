#ifndef TCPKI_BINDING_BOX_H
#define TCPKI_BINDING_BOX_H

#include <lauxlib.h>
#include <lua.h>

#include "../pki/bytes.h"

/*
** A box is a userdata around one libcrypto object. It is made empty, with its metatable, before
** the object is acquired, so that an error in between leaks nothing; closing empties it again.
** User value 1 is the text that the object was read from, or nil.
*/
typedef struct box_kind {
    const char *name; /* of the metatable, as in "tcpki.key" */
    void (*release)(void *object);
    long live; /* objects held now, for tcpki.core.live() */
} box_kind;

extern box_kind box_key, box_certificate, box_csr, box_crl, box_store, box_lock;

void box_register(lua_State *L, box_kind *kind, const luaL_Reg *methods,
                  const luaL_Reg *metamethods);
/* Pushes an empty box. */
void **box_push(lua_State *L, box_kind *kind);
/* Puts an object into the box that box_push made. */
void box_fill(void **box, box_kind *kind, void *object);
/* The object at index; throws where it is another type or closed. */
void *box_check(lua_State *L, int index, const box_kind *kind);
/* The object, or NULL where the value at index is no such box; throws where it is closed. */
void *box_test(lua_State *L, int index, const box_kind *kind);
int box_close(lua_State *L, box_kind *kind);
/* Pushes user value 1 of the box at index. */
int box_source(lua_State *L, int index);

/* Scratch owned by Lua, so that an error frees it: pushed empty, used by pki, read by pushes. */
pki_list *scratch_list(lua_State *L);
/*
** The list at index, which is no longer needed, serves the next scratch_list: to make and collect
** one costs more than most extensions do that are read into it. After an error it is just garbage.
*/
void scratch_keep(lua_State *L, int index);
pki_buffer *scratch_buffer(lua_State *L);
void scratch_register(lua_State *L);

/* nil and the error value; 2. A path of the caller's is named where the fault has none. */
int fault_push(lua_State *L, const pki_fault *fault, const char *path);
void fault_register(lua_State *L);
/* tcpki.fault.new: gives a table the metatable of an error value. */
int fault_new(lua_State *L);

/*
** known ends with NULL. Throws on a value that is no table and on an unknown option. What stands at
** index afterwards keeps each option that is taken from it, as long as it stands there.
*/
void options_check(lua_State *L, int index, const char *const *known);
/* Each pushes nothing; a wrong type throws and names the option. index may be none or nil. */
const char *options_string(lua_State *L, int index, const char *name, size_t *length);
bool options_boolean(lua_State *L, int index, const char *name, bool otherwise);
bool options_integer(lua_State *L, int index, const char *name, lua_Integer *value);
/* Pushes the option, nil where it is absent; throws where it has another type. */
bool options_table(lua_State *L, int index, const char *name);

#endif

#ifndef TCPKI_BINDING_FIELDS_H
#define TCPKI_BINDING_FIELDS_H

#include "../pki/extension.h"
#include "lists.h"

/* Each is the end of a Lua function that answers with one field: its value, or nil and a fault. */
int field_name(lua_State *L, const X509_NAME *name);
/* As it was read: libcrypto compares names by a canonical form, others by these bytes. */
int field_name_der(lua_State *L, const X509_NAME *name);
/* nil where there is no time */
int field_time(lua_State *L, const ASN1_TIME *time);

typedef bool (*extension_reader)(const pki_extensions *all, bool *present, pki_list *list,
                                 pki_fault *fault);
typedef void (*list_pusher)(lua_State *L, const pki_list *list);

/* An extension that reads as a list: nil where it is absent. */
int field_extension(lua_State *L, const pki_extensions *all, extension_reader reader,
                    list_pusher pusher);
int field_extensions(lua_State *L, const pki_extensions *all);

#endif

#ifndef TCPKI_BINDING_LISTS_H
#define TCPKI_BINDING_LISTS_H

#include "box.h"

/*
** Between Lua tables and pki_list. Each take_ reads the option of that name from the table at
** index into a scratch list that it pushes; a wrong Lua type throws and names the option.
*/
/* { CN = "…", O = {"…", "…"} } or { {type = "CN", value = "…"}, … } or both, arrays first. */
const pki_list *take_name(lua_State *L, int index, const char *option);
/* { "worker.example", "10.0.0.1", {type = "dns", value = "…"}, … } */
const pki_list *take_general_names(lua_State *L, int index, const char *option);
/* { "client_auth", … } */
const pki_list *take_words(lua_State *L, int index, const char *option);
/* { {oid = "…", der = "…", critical = true}, … } */
const pki_list *take_extensions(lua_State *L, int index, const char *option);
/* { {serial = "…", time = 0, reason = "…"}, … } */
const pki_list *take_revocations(lua_State *L, int index, const char *option);

/* Each pushes one table. */
void push_typed(lua_State *L, const pki_list *list);  /* { {type =, value =}, … } */
void push_values(lua_State *L, const pki_list *list); /* { "…", … } */
void push_extensions(lua_State *L, const pki_list *list);
void push_revocation(lua_State *L, const pki_list *list, size_t index);
/* An array of entries that also has each short name and `text`; tostring gives the text. */
void push_name(lua_State *L, const pki_list *list, const pki_buffer *text);
void name_register(lua_State *L);

/* "ip", "uri", "email" or "dns", by the look of the value. */
const char *general_name_type(const char *value, size_t length);

#endif

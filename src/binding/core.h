#ifndef TCPKI_BINDING_CORE_H
#define TCPKI_BINDING_CORE_H

#include "box.h"

/* Each registers its boxes and pushes the table of its functions. */
void key_open(lua_State *L);
void certificate_open(lua_State *L);
void csr_open(lua_State *L);
void crl_open(lua_State *L);
void chain_open(lua_State *L);
void pem_open(lua_State *L);
void file_open(lua_State *L);

/* A text argument: a string, and no number that happens to convert to one. */
const char *check_text(lua_State *L, int index, size_t *length);
/* A path: a string without NUL, which would cut it short in silence. */
const char *check_path(lua_State *L, int index);

/*
** What certificate, csr and crl have alike: reading a text into a box whose source it becomes,
** and writing canonical PEM to a file of mode 0644.
*/
typedef void *(*text_parser)(const char *text, size_t length, pki_fault *fault);
int parse_text(lua_State *L, box_kind *kind, text_parser parser);
int read_text(lua_State *L, box_kind *kind, text_parser parser);
int push_pem(lua_State *L, const char *label, const unsigned char *der, size_t length);
int write_pem(lua_State *L, const char *label, const unsigned char *der, size_t length);
/* The options of write are at 3 by then. */
bool check_write(lua_State *L);

#endif

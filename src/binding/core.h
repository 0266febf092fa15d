#ifndef TCPKI_BINDING_CORE_H
#define TCPKI_BINDING_CORE_H

#include <openssl/x509.h>

#include "box.h"

/* Each registers its boxes and pushes the table of its functions. */
void key_open(lua_State *L);
void certificate_open(lua_State *L);
void csr_open(lua_State *L);
void crl_open(lua_State *L);
void chain_open(lua_State *L);
void pkcs12_open(lua_State *L);
void pem_open(lua_State *L);
void file_open(lua_State *L);
void lock_open(lua_State *L);

/* certificate.make, which has a file of its own */
int certificate_make(lua_State *L);

/* A text argument: a string, and no number that happens to convert to one. */
const char *check_text(lua_State *L, int index, size_t *length);
/* A path: a string without NUL, which would cut it short in silence. */
const char *check_path(lua_State *L, int index);

/*
** What certificate, csr and crl have alike: they are read from a text, which becomes their source,
** and written as DER or canonical PEM, to files of mode 0644.
*/
typedef struct der_object {
    box_kind *kind;
    const char *label; /* of the armour */
    void *(*parse)(const char *text, size_t length, pki_fault *fault);
    bool (*encode)(void *object, pki_buffer *der, pki_fault *fault);
} der_object;

/* Each is the whole of a Lua function; the object, where there is one, is at 1. */
int der_object_parse(lua_State *L, const der_object *form);
int der_object_read(lua_State *L, const der_object *form);
int der_object_der(lua_State *L, const der_object *form);
int der_object_pem(lua_State *L, const der_object *form);
int der_object_write(lua_State *L, const der_object *form);
int der_object_source(lua_State *L, const der_object *form);
/* "tcpki.crl (TEXT)" or "tcpki.crl (closed)" */
int der_object_tostring(lua_State *L, const der_object *form, const X509_NAME *(*name)(void *));

int push_pem(lua_State *L, const char *label, const unsigned char *der, size_t length);

#endif

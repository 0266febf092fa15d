#ifndef TCPKI_PKI_BYTES_H
#define TCPKI_PKI_BYTES_H

#include <stdbool.h>
#include <stddef.h>

#include "fault.h"

/* Bytes that somebody else owns. */
typedef struct pki_view {
    const unsigned char *data;
    size_t length;
} pki_view;

/* Bytes that the holder owns, from libcrypto's allocator. {NULL, 0} is empty. */
typedef struct pki_buffer {
    unsigned char *data;
    size_t length;
} pki_buffer;

/* Frees and overwrites: any buffer may hold key material, and the price is a memset. */
void pki_buffer_free(pki_buffer *buffer);
bool pki_buffer_copy(pki_buffer *buffer, const void *data, size_t length, pki_fault *fault);

/*
** A list of small typed values, the one vehicle between pki and its callers for names, SANs,
** usages, extensions and revocations. All text lives in one arena, so that a list is freed by one
** call wherever an error strikes.
*/
typedef struct pki_item {
    size_t type_offset; /* NUL-terminated in the arena */
    size_t value_offset;
    size_t value_length; /* values may hold NUL; one more NUL follows each */
    long long number;
    bool flag;
} pki_item;

typedef struct pki_list {
    pki_item *items;
    size_t count;
    size_t capacity;
    char *arena;
    size_t arena_length;
    size_t arena_capacity;
} pki_list;

void pki_list_free(pki_list *list);
bool pki_list_add(pki_list *list, const char *type, const void *value, size_t length,
                  pki_fault *fault);
/* The item added last, to set its number or flag. */
pki_item *pki_list_last(pki_list *list);

static inline const char *pki_item_type(const pki_list *list, size_t index) {
    return list->arena + list->items[index].type_offset;
}

static inline const char *pki_item_value(const pki_list *list, size_t index) {
    return list->arena + list->items[index].value_offset;
}

/* Lowercase, without separators; text has room for 2 * length + 1. */
void pki_hex(char *text, const unsigned char *data, size_t length);

#endif

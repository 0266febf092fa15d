#include "bytes.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <string.h>

void pki_buffer_free(pki_buffer *buffer) {
    OPENSSL_clear_free(buffer->data, buffer->length);
    buffer->data = NULL;
    buffer->length = 0;
}

bool pki_buffer_copy(pki_buffer *buffer, const void *data, size_t length, pki_fault *fault) {
    unsigned char *copy = OPENSSL_malloc(length + 1);
    if (copy == NULL) {
        return pki_fail_memory(fault);
    }
    if (length > 0) {
        memcpy(copy, data, length);
    }
    copy[length] = '\0';
    buffer->data = copy;
    buffer->length = length;
    return true;
}

void pki_list_free(pki_list *list) {
    OPENSSL_free(list->items);
    OPENSSL_free(list->arena);
    memset(list, 0, sizeof *list);
}

static bool reserve(pki_list *list, size_t more, pki_fault *fault) {
    /* Every value ends in libcrypto, which counts in int. */
    if (more > INT_MAX) {
        return pki_fail(fault, PKI_TOO_LARGE, "a value has more than 2^31 bytes");
    }
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 8 : list->capacity * 2;
        pki_item *items = OPENSSL_realloc(list->items, capacity * sizeof *items);
        if (items == NULL) {
            return pki_fail_memory(fault);
        }
        list->items = items;
        list->capacity = capacity;
    }
    if (list->arena_capacity - list->arena_length < more) {
        size_t capacity = list->arena_capacity * 2;
        if (capacity < list->arena_length + more) {
            capacity = list->arena_length + more + 240;
        }
        char *arena = OPENSSL_realloc(list->arena, capacity);
        if (arena == NULL) {
            return pki_fail_memory(fault);
        }
        list->arena = arena;
        list->arena_capacity = capacity;
    }
    return true;
}

bool pki_list_add(pki_list *list, const char *type, const void *value, size_t length,
                  pki_fault *fault) {
    size_t type_size = strlen(type) + 1;
    if (!reserve(list, type_size + length + 1, fault)) {
        return false;
    }
    pki_item *item = &list->items[list->count++];
    item->type_offset = list->arena_length;
    item->value_offset = list->arena_length + type_size;
    item->value_length = length;
    item->number = 0;
    item->flag = false;
    memcpy(list->arena + item->type_offset, type, type_size);
    if (length > 0) {
        memcpy(list->arena + item->value_offset, value, length);
    }
    list->arena[item->value_offset + length] = '\0';
    list->arena_length = item->value_offset + length + 1;
    return true;
}

pki_item *pki_list_last(pki_list *list) {
    return &list->items[list->count - 1];
}

void pki_hex(char *text, const unsigned char *data, size_t length) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        text[2 * i] = digits[data[i] >> 4];
        text[2 * i + 1] = digits[data[i] & 15];
    }
    text[2 * length] = '\0';
}

#include "pki/name.h"

#include <string.h>

#include "fuzz.h"
#include "pki/general_name.h"

/* The input is a list: type, '=', value, newline. */
static bool read_list(const uint8_t *data, size_t size, pki_list *list, pki_fault *fault) {
    const char *text = (const char *)data;
    size_t position = 0;
    while (position < size) {
        const char *line = text + position;
        const char *end = memchr(line, '\n', size - position);
        size_t length = end == NULL ? size - position : (size_t)(end - line);
        const char *equals = memchr(line, '=', length);
        char type[64];
        if (equals != NULL && (size_t)(equals - line) < sizeof type) {
            size_t type_length = (size_t)(equals - line);
            memcpy(type, line, type_length);
            type[type_length] = '\0';
            if (!pki_list_add(list, type, equals + 1, length - type_length - 1, fault)) {
                return false;
            }
        }
        position += length + 1;
    }
    return true;
}

/* What can be parsed keeps its bytes. */
static void parse(const uint8_t *data, size_t size) {
    pki_fault fault;
    pki_begin(&fault);
    X509_NAME *name = pki_name_parse((pki_view){data, size}, &fault);
    if (name == NULL) {
        fuzz_check_fault(&fault);
        return;
    }
    const unsigned char *der = NULL;
    size_t length = 0;
    REQUIRE(X509_NAME_get0_der(name, &der, &length) == 1);
    REQUIRE(length == size && memcmp(der, data, size) == 0);
    X509_NAME_free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    pki_fault fault;
    parse(data, size);
    pki_begin(&fault);
    pki_list list = {0};
    REQUIRE(read_list(data, size, &list, &fault));

    X509_NAME *name = pki_name_make(&list, &fault);
    if (name != NULL) {
        pki_list again = {0};
        REQUIRE(pki_name_read(name, &again, &fault));
        REQUIRE(again.count == list.count);
        for (size_t i = 0; i < list.count; i++) {
            REQUIRE(again.items[i].value_length == list.items[i].value_length);
            REQUIRE(memcmp(pki_item_value(&again, i), pki_item_value(&list, i),
                           again.items[i].value_length) == 0);
        }
        pki_list_free(&again);
        char text[32];
        pki_name_text(name, text, sizeof text);
        REQUIRE(memchr(text, '\0', sizeof text) != NULL);
        X509_NAME_free(name);
    } else {
        fuzz_check_fault(&fault);
    }

    for (int ranges = 0; ranges < 2; ranges++) {
        pki_begin(&fault);
        GENERAL_NAMES *names = pki_general_names_make(&list, ranges, &fault);
        if (names == NULL) {
            fuzz_check_fault(&fault);
            continue;
        }
        pki_list again = {0};
        for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
            const GENERAL_NAME *entry = sk_GENERAL_NAME_value(names, i);
            REQUIRE(pki_general_name_read(entry, ranges, &again, &fault));
        }
        REQUIRE(again.count == list.count);
        pki_list_free(&again);
        GENERAL_NAMES_free(names);
    }
    pki_list_free(&list);
    return 0;
}

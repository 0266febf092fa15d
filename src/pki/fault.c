#include "fault.h"

#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *word;
    const char *hint;
} codes[] = {{"ok", ""},
#define PKI_FAULT_CODE(constant, word, hint) {word, hint},
             PKI_FAULT_CODES(PKI_FAULT_CODE)
#undef PKI_FAULT_CODE
};

const char *pki_fault_word(pki_code code) {
    return codes[code].word;
}

const char *pki_fault_hint(const pki_fault *fault) {
    return fault->hint[0] != '\0' ? fault->hint : codes[fault->code].hint;
}

void pki_begin(pki_fault *fault) {
    fault->code = PKI_OK;
    fault->depth = -1;
    fault->line = 0;
    fault->column = 0;
    fault->path = NULL;
    fault->message[0] = '\0';
    fault->hint[0] = '\0';
    fault->subject[0] = '\0';
    fault->openssl[0] = '\0';
    ERR_clear_error();
}

static void set_message(pki_fault *fault, pki_code code, const char *format, va_list arguments) {
    fault->code = code;
    (void)vsnprintf(fault->message, sizeof fault->message, format, arguments);
}

bool pki_fail(pki_fault *fault, pki_code code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    set_message(fault, code, format, arguments);
    va_end(arguments);
    ERR_clear_error();
    return false;
}

bool pki_fail_memory(pki_fault *fault) {
    return pki_fail(fault, PKI_OUT_OF_MEMORY, "not enough memory");
}

/*
** The strings of the queue live in the queue: copied before it is cleared (luaossl once printed
** them after; facts in its commit 49e746e). Returns true when an allocation failed.
*/
static bool drain_queue(pki_fault *fault) {
    bool memory = false;
    size_t used = strlen(fault->openssl);
    const char *data = NULL;
    int flags = 0;
    unsigned long error;
    while ((error = ERR_get_error_all(NULL, NULL, NULL, &data, &flags)) != 0) {
        const char *reason = ERR_reason_error_string(error);
        if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE) {
            memory = true;
        }
        if (used + 1 >= sizeof fault->openssl) {
            continue;
        }
        bool with_data = (flags & ERR_TXT_STRING) != 0 && data != NULL && data[0] != '\0';
        int written = snprintf(fault->openssl + used, sizeof fault->openssl - used, "%s%s%s%s",
                               used == 0 ? "" : "\n", reason != NULL ? reason : "unknown reason",
                               with_data ? ": " : "", with_data ? data : "");
        if (written > 0) {
            used += (size_t)written;
        }
    }
    return memory;
}

bool pki_fail_libcrypto(pki_fault *fault, pki_code code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    set_message(fault, code, format, arguments);
    va_end(arguments);
    if (drain_queue(fault)) {
        return pki_fail_memory(fault);
    }
    return false;
}

void pki_fault_set_hint(pki_fault *fault, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(fault->hint, sizeof fault->hint, format, arguments);
    va_end(arguments);
}

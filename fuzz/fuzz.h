#ifndef TCPKI_FUZZ_FUZZ_H
#define TCPKI_FUZZ_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "pki/fault.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert: it has to hold whatever NDEBUG says. */
#define REQUIRE(condition)                                                                \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
            abort();                                                                      \
        }                                                                                 \
    } while (0)

/* A call that fails says why, in a word that users know. */
static inline void fuzz_check_fault(const pki_fault *fault) {
    REQUIRE(fault->code != PKI_OK);
    REQUIRE(fault->message[0] != '\0');
    REQUIRE(pki_fault_word(fault->code)[0] != '\0');
    REQUIRE(pki_fault_hint(fault) != NULL);
}

#endif

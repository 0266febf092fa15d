#include "pki/pem.h"

#include <string.h>

#include "fuzz.h"
#include "pki/base64.h"

/* What was read can be written, and reads back as the same. */
static void round_trip(const pki_pem_part *block) {
    pki_fault fault;
    pki_begin(&fault);
    pki_buffer pem = {0};
    REQUIRE(pki_pem_encode(&pem, block->label, block->der.data, block->der.length, &fault));
    pki_pem_reader reader;
    pki_pem_part again;
    pki_pem_open(&reader, (const char *)pem.data, pem.length);
    REQUIRE(pki_pem_next(&reader, &again, &fault) == PKI_PEM_READ);
    REQUIRE(again.der.length == block->der.length);
    REQUIRE(again.der.length == 0 ||
            memcmp(again.der.data, block->der.data, again.der.length) == 0);
    REQUIRE(strcmp(again.label, block->label) == 0);
    pki_buffer_free(&again.der);
    REQUIRE(pki_pem_next(&reader, &again, &fault) == PKI_PEM_END);
    pki_buffer_free(&pem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    pki_fault fault;
    pki_begin(&fault);
    pki_pem_reader reader;
    pki_pem_part block;
    pki_pem_outcome outcome;
    size_t end = 0;
    pki_pem_open(&reader, (const char *)data, size);
    while ((outcome = pki_pem_next(&reader, &block, &fault)) == PKI_PEM_READ) {
        REQUIRE(end <= block.begin && block.begin < block.end && block.end <= size);
        end = block.end;
        round_trip(&block);
        pki_buffer_free(&block.der);
    }
    if (outcome == PKI_PEM_FAULT) {
        fuzz_check_fault(&fault);
    }

    pki_begin(&fault);
    pki_buffer der = {0};
    if (!pki_base64_decode(&der, (const char *)data, size, &fault)) {
        fuzz_check_fault(&fault);
    }
    pki_buffer_free(&der);
    return 0;
}

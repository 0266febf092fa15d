#include "pki/pem.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

/* The parts of any text follow one another without a gap, and every note lies within its part. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    pki_fault fault;
    pki_pem_scanner scanner;
    pki_pem_part part;
    size_t end = 0;
    pki_begin(&fault);
    pki_pem_scan(&scanner, (const char *)data, size);
    while (pki_pem_next_part(&scanner, &part, &fault)) {
        REQUIRE(part.begin == end);
        REQUIRE(part.end > part.begin && part.end <= size);
        end = part.end;
        for (int i = 0; i < PKI_PEM_NOTE_COUNT; i++) {
            const pki_pem_mark *mark = &part.marks[i];
            REQUIRE(mark->count == 0 || (mark->offset >= part.begin && mark->offset <= part.end));
            REQUIRE(mark->count == 0 || (mark->line >= part.line && mark->column >= 1));
        }
        REQUIRE(part.kind == PKI_PEM_BLOCK || part.der.data == NULL);
        REQUIRE(part.decoded == (part.der.data != NULL));
        REQUIRE(part.der.length <= part.end - part.begin);
        pki_buffer_free(&part.der);
    }
    REQUIRE(fault.code == PKI_OK);
    REQUIRE(end == size);
    return 0;
}

#include "pki/chain.h"

#include <openssl/x509v3.h>

#include "fuzz.h"
#include "pki/certificate.h"
#include "pki/pem.h"

/* More would only be slower: order and verification look at pairs. */
enum { MOST = 6 };

static size_t read_heap(const uint8_t *data, size_t size, X509 **heap) {
    pki_fault fault;
    pki_begin(&fault);
    pki_pem_reader reader;
    pki_pem_part block;
    size_t count = 0;
    pki_pem_open(&reader, (const char *)data, size);
    while (count < MOST && pki_pem_next(&reader, &block, &fault) == PKI_PEM_READ) {
        heap[count] = pki_certificate_from_der(block.der.data, block.der.length, &fault);
        count += heap[count] != NULL;
        pki_buffer_free(&block.der);
    }
    return count;
}

/* The last one is trusted, and all are at hand. */
static void verify(X509 **heap, size_t count) {
    pki_fault fault;
    pki_begin(&fault);
    pki_verification request = {
        .roots = pki_store_make(&heap[count - 1], 1, &fault),
        .leaf = heap[0],
        .untrusted = sk_X509_new_null(),
        .purpose = X509_PURPOSE_SSL_CLIENT,
        .at_set = true,
        .at = 1790000000,
        .partial = count % 2 == 0,
        .depth = -1,
    };
    REQUIRE(request.roots != NULL && request.untrusted != NULL);
    for (size_t i = 0; i < count; i++) {
        sk_X509_push(request.untrusted, heap[i]);
    }
    pki_begin(&fault);
    if (!pki_chain_verify(&request, &fault)) {
        fuzz_check_fault(&fault);
    }
    sk_X509_free(request.untrusted);
    X509_STORE_free(request.roots);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    X509 *heap[MOST];
    size_t count = read_heap(data, size, heap);
    if (count > 0) {
        pki_fault fault;
        pki_begin(&fault);
        int place[MOST];
        size_t length = 0;
        bool complete = false;
        if (pki_chain_order(heap, count, -1, place, &length, &complete, &fault)) {
            REQUIRE(length > 0 && length <= count);
        } else {
            fuzz_check_fault(&fault);
        }
        verify(heap, count);
    }
    for (size_t i = 0; i < count; i++) {
        X509_free(heap[i]);
    }
    return 0;
}

/*
** Plays recorded handshakes to a trace while memory runs out: of all requests of libcrypto, libssl
** and our own, one fails, the first, the second, the third …, until a run passes.
**
**   oom-trace RECORDING...
**
** Linked with fuzz/trace.c, whose checks hold all the same, and with --wrap=malloc; built with the
** address sanitizer, which also finds what is left.
*/
#include <openssl/crypto.h>
#include <sanitizer/lsan_interface.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../fuzz/fuzz.h"

enum { LARGEST = 1 << 16 };

static long before = -1; /* requests that still pass; negative: all */
static bool failed;

static bool refuses(void) {
    if (before < 0 || before-- > 0) {
        return false;
    }
    failed = true;
    return true;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size) {
    return refuses() ? NULL : __real_malloc(size);
}

static void *allocate(size_t size, const char *file, int line) {
    (void)file, (void)line;
    return refuses() ? NULL : __real_malloc(size);
}

static void *reallocate(void *block, size_t size, const char *file, int line) {
    (void)file, (void)line;
    return refuses() ? NULL : realloc(block, size);
}

static void release(void *block, const char *file, int line) {
    (void)file, (void)line;
    free(block);
}

int LLVMFuzzerInitialize(int *count, char ***arguments);

static long play(const char *path) {
    static uint8_t bytes[LARGEST];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(1);
    }
    size_t size = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);
    (void)LLVMFuzzerTestOneInput(bytes, size); /* what is made once is there */
    long requests = 0;
    do {
        failed = false;
        before = requests++;
        (void)LLVMFuzzerTestOneInput(bytes, size);
        before = -1;
    } while (failed);
    return requests - 1;
}

int main(int count, char **arguments) {
    if (CRYPTO_set_mem_functions(allocate, reallocate, release) != 1) {
        fprintf(stderr, "libcrypto has its memory already\n");
        return 1;
    }
    (void)LLVMFuzzerInitialize(&count, &arguments);
    for (int i = 1; i < count; i++) {
        long requests = play(arguments[i]);
        const char *name = strrchr(arguments[i], '/');
        printf("  a trace of %s: %ld requests\n", name != NULL ? name + 1 : arguments[i], requests);
        (void)fflush(stdout);
    }
    return __lsan_do_recoverable_leak_check() != 0;
}

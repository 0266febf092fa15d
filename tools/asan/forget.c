#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>

// The dynamic linker has read it by now; only children would see it.
__attribute__((constructor)) static void forget(void) {
    unsetenv("LD_PRELOAD");
}

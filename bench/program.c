/* A peer as a program of its own: ADDRESS PORT NAME NAMESPACE CA CERTIFICATE KEY. */
#include <stdio.h>
#include <stdlib.h>

#include "target.h"

static char *read_file(const char *path) {
    enum { LARGEST = 1 << 16 };
    char *text = calloc(1, LARGEST + 1);
    FILE *file = fopen(path, "rb");
    if (text == NULL || file == NULL || fread(text, 1, LARGEST, file) == 0) {
        perror(path);
        exit(2);
    }
    (void)fclose(file);
    return text;
}

int main(int count, char **arguments) {
    if (count != 8) {
        return 2;
    }
    target to = {.address = arguments[1],
                 .port = arguments[2],
                 .server_name = arguments[3],
                 .namespace = arguments[4],
                 .roots = read_file(arguments[5]),
                 .certificate = read_file(arguments[6]),
                 .key = read_file(arguments[7])};
    return PROBE(&to) ? 0 : 1;
}

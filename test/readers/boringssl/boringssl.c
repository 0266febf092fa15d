/* BoringSSL, as gRPC core reads through it. */
#include "../openssl/read_bio.h"

static void read_one(const char *path, int certificates, int keys) {
    grpc_reader("grpc-boringssl", path, certificates, keys);
}

int main(void) {
    each_path(read_one);
    return 0;
}

#define _GNU_SOURCE /* renameat2, RENAME_NOREPLACE */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "place.h"

bool pki_file_read(pki_buffer *content, const char *path, pki_fault *fault) {
    bool done = false;
    unsigned char *data = NULL;
    size_t capacity = 0;
    size_t length = 0;
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (file < 0) {
        return pki_place_fail_errno(fault, errno, path, "open it");
    }
    if (fstat(file, &status) != 0) {
        (void)pki_place_fail_errno(fault, errno, path, "read it");
        goto end;
    }
    if (S_ISDIR(status.st_mode)) {
        (void)pki_place_fail(fault, PKI_NOT_A_FILE, path, "it is a directory");
        goto end;
    }
    if (S_ISREG(status.st_mode) && status.st_size > PKI_FILE_LIMIT) {
        (void)pki_place_fail(fault, PKI_TOO_LARGE, path, "it is larger than 64 MiB");
        goto end;
    }
    /* One byte more than the size shows the end of the file without a second allocation. */
    capacity = S_ISREG(status.st_mode) ? (size_t)status.st_size + 1 : 16384;
    data = OPENSSL_malloc(capacity + 1);
    if (data == NULL) {
        (void)pki_fail_memory(fault);
        goto end;
    }
    for (;;) {
        if (length == capacity) {
            if (capacity > PKI_FILE_LIMIT) {
                (void)pki_place_fail(fault, PKI_TOO_LARGE, path, "it is larger than 64 MiB");
                goto end;
            }
            unsigned char *more = OPENSSL_clear_realloc(data, capacity + 1, 2 * capacity + 1);
            if (more == NULL) {
                (void)pki_fail_memory(fault);
                goto end;
            }
            data = more;
            capacity *= 2;
        }
        ssize_t got = read(file, data + length, capacity - length);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            (void)pki_place_fail_errno(fault, errno, path, "read it");
            goto end;
        }
        if (got == 0) {
            break;
        }
        length += (size_t)got;
    }
    data[length] = '\0';
    content->data = data;
    content->length = length;
    data = NULL;
    done = true;
end:
    OPENSSL_clear_free(data, capacity + 1);
    (void)close(file);
    return done;
}

/*
** Gives the file its name unless something has that name by now, which rename would replace. Not
** every file system knows the flag, and not every one has hard links.
*/
static bool rename_new(int directory, const char *temporary, const char *name) {
#ifdef RENAME_NOREPLACE
    if (renameat2(directory, temporary, directory, name, RENAME_NOREPLACE) == 0) {
        return true;
    }
    if (errno != EINVAL && errno != ENOSYS) {
        return false;
    }
#endif
    return linkat(directory, temporary, directory, name, 0) == 0 &&
           unlinkat(directory, temporary, 0) == 0;
}

bool pki_file_write(const char *path, const void *content, size_t length, mode_t mode,
                    bool overwrite, pki_fault *fault) {
    bool done = false;
    bool exists = false;
    unsigned char random[8];
    char suffix[2 * sizeof random + 1];
    char temporary[64];
    struct stat status;
    pki_place where;
    if (!pki_place_open(&where, path, fault) ||
        !pki_place_check_target(&where, overwrite, &exists, &status, fault)) {
        goto end;
    }
    if (RAND_bytes(random, sizeof random) != 1) {
        (void)pki_fail_libcrypto(fault, PKI_LIBCRYPTO, "no random numbers");
        goto end;
    }
    pki_hex(suffix, random, sizeof random);
    (void)snprintf(temporary, sizeof temporary, ".tcpki-%s", suffix);
    if (!pki_place_write_new(&where, temporary, content, length, mode, exists ? &status : NULL,
                             fault)) {
        goto end;
    }
    done = overwrite ? renameat(where.directory, temporary, where.directory, where.name) == 0
                     : rename_new(where.directory, temporary, where.name);
    int error = errno;
    if (!done) {
        (void)unlinkat(where.directory, temporary, 0);
    }
    if (!done) {
        (void)pki_place_fail_errno(fault, error, path, "give the new file its name");
        goto end;
    }
    if (fsync(where.directory) != 0 && errno != EINVAL) {
        done = pki_place_fail_errno(fault, errno, path, "sync its directory");
    }
end:
    pki_place_close(&where);
    return done;
}

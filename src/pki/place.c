#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool pki_place_fail_errno(pki_fault *fault, int error, const char *path, const char *doing) {
    pki_code code = PKI_INPUT_OUTPUT;
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        code = PKI_NOT_FOUND;
        break;
    case EACCES:
    case EPERM:
    case EROFS:
        code = PKI_PERMISSION_DENIED;
        break;
    case EEXIST:
        code = PKI_ALREADY_EXISTS;
        break;
    case EISDIR:
        code = PKI_NOT_A_FILE;
        break;
    case ELOOP:
        code = PKI_SYMBOLIC_LINK;
        break;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        code = PKI_NO_SPACE;
        break;
    case ENOMEM:
        code = PKI_OUT_OF_MEMORY;
        break;
    default:
        break;
    }
    char reason[128];
    if (strerror_r(error, reason, sizeof reason) != 0) {
        (void)snprintf(reason, sizeof reason, "error %d", error);
    }
    (void)pki_fail(fault, code, "cannot %s: %s", doing, reason);
    if (error == EROFS) {
        pki_fault_set_hint(fault, "mount the file system for writing, or choose another path");
    }
    fault->path = path;
    return false;
}

bool pki_place_fail(pki_fault *fault, pki_code code, const char *path, const char *message) {
    (void)pki_fail(fault, code, "%s", message);
    fault->path = path;
    return false;
}

bool pki_place_open(pki_place *where, const char *path, pki_fault *fault) {
    char *parent = NULL;
    const char *slash = strrchr(path, '/');
    where->directory = -1;
    where->path = path;
    where->name = slash == NULL ? path : slash + 1;
    if (where->name[0] == '\0' || strcmp(where->name, ".") == 0 || strcmp(where->name, "..") == 0) {
        return pki_place_fail(fault, PKI_NOT_A_FILE, path, "the path names no file");
    }
    if (slash != NULL) {
        parent = OPENSSL_strndup(path, slash == path ? 1 : (size_t)(slash - path));
        if (parent == NULL) {
            return pki_fail_memory(fault);
        }
    }
    where->directory = open(parent == NULL ? "." : parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = errno;
    OPENSSL_free(parent);
    return where->directory >= 0 || pki_place_fail_errno(fault, error, path, "open its directory");
}

void pki_place_close(pki_place *where) {
    if (where->directory >= 0) {
        (void)close(where->directory);
        where->directory = -1;
    }
}

bool pki_place_check_target(const pki_place *where, bool overwrite, bool *exists,
                            struct stat *status, pki_fault *fault) {
    *exists = fstatat(where->directory, where->name, status, AT_SYMLINK_NOFOLLOW) == 0;
    if (!*exists) {
        return errno == ENOENT || pki_place_fail_errno(fault, errno, where->path, "look at it");
    }
    if (S_ISLNK(status->st_mode)) {
        return pki_place_fail(fault, PKI_SYMBOLIC_LINK, where->path, "it is a symbolic link");
    }
    if (!S_ISREG(status->st_mode)) {
        return pki_place_fail(fault, PKI_NOT_A_FILE, where->path, "it is not a regular file");
    }
    if (!overwrite) {
        return pki_place_fail(fault, PKI_ALREADY_EXISTS, where->path, "it exists already");
    }
    return true;
}

static bool write_all(int file, const char *content, size_t length) {
    while (length > 0) {
        ssize_t put = write(file, content, length);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return false;
        }
        content += put;
        length -= (size_t)put;
    }
    return true;
}

bool pki_place_write_new(const pki_place *where, const char *name, const void *content,
                         size_t length, mode_t mode, const struct stat *former, pki_fault *fault) {
    int file =
        openat(where->directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0) {
        return pki_place_fail_errno(fault, errno, where->path, "create a file beside it");
    }
    bool done = true;
    /* A key renewed by root must stay readable to the service that owns it. */
    if (former != NULL && geteuid() == 0) {
        done = fchown(file, former->st_uid, former->st_gid) == 0;
    }
    done = done && fchmod(file, mode) == 0 && write_all(file, content, length) && fsync(file) == 0;
    int error = errno;
    if (close(file) != 0 && done) {
        error = errno;
        done = false;
    }
    if (!done) {
        (void)unlinkat(where->directory, name, 0);
        return pki_place_fail_errno(fault, error, where->path, "write it");
    }
    return true;
}

#define _GNU_SOURCE /* renameat2, RENAME_EXCHANGE */
#include "directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "place.h"

bool pki_directory_make(const char *path, pki_fault *fault) {
    if (mkdir(path, 0777) == 0) {
        return true;
    }
    (void)pki_place_fail_errno(fault, errno, path, "make the directory");
    if (fault->code == PKI_ALREADY_EXISTS) {
        /* No directory is made anew in the place of another. */
        pki_fault_set_hint(fault, "choose another path, or move away what is there");
    }
    return false;
}

static const char *kind_of(mode_t mode) {
    return S_ISREG(mode) ? "file" : S_ISDIR(mode) ? "directory" : S_ISLNK(mode) ? "link" : "other";
}

bool pki_directory_list(pki_list *entries, const char *path, pki_fault *fault) {
    bool done = false;
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return pki_place_fail_errno(fault, errno, path, "list the directory");
    }
    for (;;) {
        struct stat status;
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (entry == NULL) {
            done = errno == 0 || pki_place_fail_errno(fault, errno, path, "list the directory");
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        /* What is gone again by now was never there. */
        if (fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
            continue;
        }
        if (!pki_list_add(entries, kind_of(status.st_mode), entry->d_name, strlen(entry->d_name),
                          fault)) {
            break;
        }
        pki_list_last(entries)->number = status.st_mode & 07777;
    }
    (void)closedir(directory);
    return done;
}

static bool exchange_in_steps(const char *first, const char *second, pki_fault *fault) {
    bool done = false;
    size_t size = strlen(first) + sizeof ".exchange";
    char *aside = OPENSSL_malloc(size);
    if (aside == NULL) {
        return pki_fail_memory(fault);
    }
    (void)snprintf(aside, size, "%s.exchange", first);
    if (rename(first, aside) != 0) {
        (void)pki_place_fail_errno(fault, errno, first, "put it aside");
    } else if (rename(second, first) != 0) {
        int error = errno;
        (void)rename(aside, first);
        (void)pki_place_fail_errno(fault, error, second, "rename it");
    } else {
        done = rename(aside, second) == 0 ||
               pki_place_fail_errno(fault, errno, second, "give the other its name");
    }
    OPENSSL_free(aside);
    return done;
}

/*
** So that what was exchanged stays so after a loss of power. It is done by now, whatever comes of
** this.
*/
static void sync_parent(const char *path) {
    pki_fault ignored;
    pki_place where;
    pki_begin(&ignored);
    if (pki_place_open(&where, path, &ignored)) {
        (void)fsync(where.directory);
    }
    pki_place_close(&where);
}

bool pki_directory_exchange(const char *first, const char *second, pki_fault *fault) {
#ifdef RENAME_EXCHANGE
    if (renameat2(AT_FDCWD, first, AT_FDCWD, second, RENAME_EXCHANGE) == 0) {
        sync_parent(first);
        return true;
    }
    if (errno != EINVAL && errno != ENOSYS) {
        return pki_place_fail_errno(fault, errno, first, "exchange it");
    }
#endif
    if (!exchange_in_steps(first, second, fault)) {
        return false;
    }
    sync_parent(first);
    return true;
}

bool pki_directory_adopt(const char *path, const char *like, pki_fault *fault) {
    struct stat status;
    if (lstat(like, &status) != 0) {
        return pki_place_fail_errno(fault, errno, like, "look at it");
    }
    if (geteuid() == 0 && lchown(path, status.st_uid, status.st_gid) != 0) {
        return pki_place_fail_errno(fault, errno, path, "give it the owner of the former one");
    }
    return chmod(path, status.st_mode & 07777) == 0 ||
           pki_place_fail_errno(fault, errno, path, "set its mode");
}

#define _GNU_SOURCE /* flock, gethostname */
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "place.h"

/* flock, not fcntl: a process loses the locks of fcntl when it closes the file anywhere else. */
struct pki_lock {
    int file;
    pid_t process; /* a child that it forks shares the file, and must not remove it */
    char *path;
};

enum { RECORD_SIZE = 256, MOST_ATTEMPTS = 100 };

/* Who holds it, as the holder wrote it, up to what no holder writes. */
static bool fail_busy(int file, const char *path, pki_fault *fault) {
    char record[RECORD_SIZE];
    ssize_t length = pread(file, record, sizeof record - 1, 0);
    record[length > 0 ? length : 0] = '\0';
    for (char *c = record; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f) {
            *c = '\0';
            break;
        }
    }
    (void)pki_fail(fault, PKI_BUSY, "another run holds the lock%s%s", record[0] == '\0' ? "" : ": ",
                   record);
    pki_fault_set_hint(fault, "wait for it to end; a run that was killed holds no lock");
    fault->path = path;
    return false;
}

static bool write_record(const pki_lock *lock, const char *path, const char *purpose,
                         pki_fault *fault) {
    char record[RECORD_SIZE];
    char host[65];
    char since[32];
    struct tm fields;
    time_t now = time(NULL);
    if (gethostname(host, sizeof host) != 0) {
        host[0] = '\0';
    }
    host[sizeof host - 1] = '\0';
    if (gmtime_r(&now, &fields) == NULL ||
        strftime(since, sizeof since, "%Y-%m-%d %H:%M:%S UTC", &fields) == 0) {
        since[0] = '\0';
    }
    int length =
        snprintf(record, sizeof record, "process %ld on %s since %s%s%s", (long)lock->process, host,
                 since, purpose[0] == '\0' ? "" : ", ", purpose);
    if (length >= (int)sizeof record) {
        length = (int)sizeof record - 1;
    }
    record[length++] = '\n';
    if (ftruncate(lock->file, 0) != 0 ||
        pwrite(lock->file, record, (size_t)length, 0) != (ssize_t)length) {
        /* Not lock->path: the caller's own, which outlives the lock. */
        return pki_place_fail_errno(fault, errno, path, "write who holds the lock");
    }
    return true;
}

/* Whether the file that is held is still the one of this name: its holder before removed it. */
static bool is_named(const pki_lock *lock) {
    struct stat held;
    struct stat named;
    return fstat(lock->file, &held) == 0 &&
           fstatat(AT_FDCWD, lock->path, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

/* Opens and holds the file; *named is false where it went away in between. */
static bool hold(pki_lock *lock, const char *path, bool *named, pki_fault *fault) {
    struct stat status;
    lock->file =
        open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0644);
    if (lock->file < 0) {
        return pki_place_fail_errno(fault, errno, path, "open the lock");
    }
    if (fstat(lock->file, &status) != 0 || !S_ISREG(status.st_mode)) {
        return pki_place_fail(fault, PKI_NOT_A_FILE, path, "the lock is not a regular file");
    }
    while (flock(lock->file, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) {
            return fail_busy(lock->file, path, fault);
        }
        if (errno != EINTR) {
            return pki_place_fail_errno(fault, errno, path, "hold the lock");
        }
    }
    *named = is_named(lock);
    return true;
}

pki_lock *pki_lock_take(const char *path, const char *purpose, pki_fault *fault) {
    bool named = false;
    pki_lock *lock = OPENSSL_zalloc(sizeof *lock);
    if (lock == NULL) {
        (void)pki_fail_memory(fault);
        return NULL;
    }
    lock->file = -1;
    lock->process = getpid();
    lock->path = OPENSSL_strdup(path);
    if (lock->path == NULL) {
        (void)pki_fail_memory(fault);
        goto fail;
    }
    for (int attempt = 0; !named; attempt++) {
        if (lock->file >= 0) {
            (void)close(lock->file);
            lock->file = -1;
        }
        if (attempt == MOST_ATTEMPTS) {
            (void)pki_place_fail(fault, PKI_BUSY, path,
                                 "others take and release the lock all along");
            goto fail;
        }
        if (!hold(lock, path, &named, fault)) {
            goto fail;
        }
    }
    if (!write_record(lock, path, purpose, fault)) {
        (void)unlink(path);
        goto fail;
    }
    return lock;
fail:
    if (lock->file >= 0) {
        (void)close(lock->file);
    }
    OPENSSL_free(lock->path);
    OPENSSL_free(lock);
    return NULL;
}

void pki_lock_release(pki_lock *lock) {
    if (lock == NULL) {
        return;
    }
    /* Removed while it is held: who opened it meanwhile sees that its name is gone, and tries anew. */
    if (lock->process == getpid() && is_named(lock)) {
        (void)unlink(lock->path);
    }
    (void)close(lock->file);
    OPENSSL_free(lock->path);
    OPENSSL_free(lock);
}

const char *pki_lock_path(const pki_lock *lock) {
    return lock->path;
}

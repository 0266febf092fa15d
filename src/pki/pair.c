#include "pair.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "place.h"

/* One half of a pair with the names that its steps use. */
typedef struct half {
    pki_place where;
    char *fresh;  /* NAME.tcpki-new */
    char *former; /* NAME.tcpki-old */
} half;

static char *with_suffix(const char *name, const char *suffix) {
    size_t size = strlen(name) + strlen(suffix) + 1;
    char *text = OPENSSL_malloc(size);
    if (text != NULL) {
        (void)snprintf(text, size, "%s%s", name, suffix);
    }
    return text;
}

static bool half_open(half *side, const char *path, pki_fault *fault) {
    if (!pki_place_open(&side->where, path, fault)) {
        return false;
    }
    side->fresh = with_suffix(side->where.name, ".tcpki-new");
    side->former = with_suffix(side->where.name, ".tcpki-old");
    if (side->fresh == NULL || side->former == NULL) {
        return pki_fail_memory(fault);
    }
    if (flock(side->where.directory, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        return pki_place_fail(fault, PKI_BUSY, path, "another writer is at work in its directory");
    }
    return true;
}

static void half_close(half *side) {
    pki_place_close(&side->where);
    OPENSSL_free(side->fresh);
    OPENSSL_free(side->former);
}

static bool is_there(const half *side, const char *name) {
    return faccessat(side->where.directory, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool move(const half *side, const char *from, const char *to, pki_fault *fault) {
    return renameat(side->where.directory, from, side->where.directory, to) == 0 ||
           pki_place_fail_errno(fault, errno, side->where.path, "give the file its name");
}

static bool discard(const half *side, const char *name, pki_fault *fault) {
    return unlinkat(side->where.directory, name, 0) == 0 || errno == ENOENT ||
           pki_place_fail_errno(fault, errno, side->where.path, "remove the file beside it");
}

static bool sync_half(const half *side, pki_fault *fault) {
    return fsync(side->where.directory) == 0 || errno == EINVAL ||
           pki_place_fail_errno(fault, errno, side->where.path, "sync its directory");
}

/*
** The steps of a write, each one system call: (1) key.new (2) certificate.new (3) key.old
** (4) certificate.old (5) key.new takes its name (6) certificate.new takes its name (7) the old
** ones go. Step 6 commits: as long as certificate.new is there, the write is undone.
*/
static bool mend(const half *key, const half *certificate, pki_pair_found *found,
                 pki_fault *fault) {
    *found = PKI_PAIR_CLEAN;
    if (is_there(certificate, certificate->fresh)) {
        bool key_taken = !is_there(key, key->fresh) && is_there(key, key->where.name);
        if (is_there(key, key->former)) {
            *found = PKI_PAIR_UNDONE;
            /* Where the key had not moved yet both names are one file, and rename leaves both. */
            return move(key, key->former, key->where.name, fault) && sync_half(key, fault) &&
                   discard(key, key->former, fault) &&
                   discard(certificate, certificate->former, fault) &&
                   discard(key, key->fresh, fault) &&
                   discard(certificate, certificate->fresh, fault);
        }
        if (key_taken && !is_there(certificate, certificate->where.name)) {
            *found = PKI_PAIR_FINISHED;
            return move(certificate, certificate->fresh, certificate->where.name, fault) &&
                   sync_half(certificate, fault);
        }
        *found = PKI_PAIR_UNDONE;
    } else if (is_there(key, key->fresh)) {
        *found = PKI_PAIR_UNDONE; /* stopped between steps 1 and 2 */
    }
    /* The certificate goes first: beside a key.new that is gone it would look like step 5. */
    return discard(key, key->former, fault) && discard(certificate, certificate->former, fault) &&
           discard(certificate, certificate->fresh, fault) && discard(key, key->fresh, fault);
}

static bool keep_former(const half *side, pki_fault *fault) {
    return linkat(side->where.directory, side->where.name, side->where.directory, side->former,
                  0) == 0 ||
           pki_place_fail_errno(fault, errno, side->where.path, "keep the old file beside it");
}

static bool same_directory(const half *one, const half *other) {
    struct stat a;
    struct stat b;
    return fstat(one->where.directory, &a) == 0 && fstat(other->where.directory, &b) == 0 &&
           a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* The second lock of one directory through another descriptor would wait for the first. */
static bool pair_open(half *key, half *certificate, const char *key_path,
                      const char *certificate_path, pki_fault *fault) {
    memset(key, 0, sizeof *key);
    memset(certificate, 0, sizeof *certificate);
    key->where.directory = certificate->where.directory = -1;
    if (!half_open(key, key_path, fault) ||
        !pki_place_open(&certificate->where, certificate_path, fault)) {
        return false;
    }
    bool together = same_directory(key, certificate);
    if (together && strcmp(key->where.name, certificate->where.name) == 0) {
        return pki_place_fail(fault, PKI_ALREADY_EXISTS, certificate_path,
                              "the key and the certificate have the same path");
    }
    pki_place_close(&certificate->where);
    if (!together) {
        return half_open(certificate, certificate_path, fault);
    }
    if (!pki_place_open(&certificate->where, certificate_path, fault)) {
        return false;
    }
    certificate->fresh = with_suffix(certificate->where.name, ".tcpki-new");
    certificate->former = with_suffix(certificate->where.name, ".tcpki-old");
    return (certificate->fresh != NULL && certificate->former != NULL) || pki_fail_memory(fault);
}

bool pki_pair_mend(const char *key_path, const char *certificate_path, pki_pair_found *found,
                   pki_fault *fault) {
    half key;
    half certificate;
    *found = PKI_PAIR_CLEAN;
    bool done = pair_open(&key, &certificate, key_path, certificate_path, fault) &&
                mend(&key, &certificate, found, fault);
    half_close(&key);
    half_close(&certificate);
    return done;
}

bool pki_pair_write(const pki_pair_half *key_half, const pki_pair_half *certificate_half,
                    bool overwrite, pki_pair_found *found, pki_fault *fault) {
    half key;
    half certificate;
    struct stat key_status;
    struct stat certificate_status;
    bool key_exists = false;
    bool certificate_exists = false;
    bool done = false;
    *found = PKI_PAIR_CLEAN;
    if (!pair_open(&key, &certificate, key_half->path, certificate_half->path, fault) ||
        !mend(&key, &certificate, found, fault) ||
        !pki_place_check_target(&key.where, overwrite, &key_exists, &key_status, fault) ||
        !pki_place_check_target(&certificate.where, overwrite, &certificate_exists,
                                &certificate_status, fault)) {
        goto end;
    }
    if (key_exists != certificate_exists) {
        const char *lonely = key_exists ? key_half->path : certificate_half->path;
        (void)pki_place_fail(fault, PKI_ALREADY_EXISTS, lonely,
                             "it exists, but not its other half");
        pki_fault_set_hint(fault, "move it away first: it belongs to no pair");
        goto end;
    }
    done = pki_place_write_new(&key.where, key.fresh, key_half->content, key_half->length,
                               key_half->mode, key_exists ? &key_status : NULL, fault) &&
           pki_place_write_new(&certificate.where, certificate.fresh, certificate_half->content,
                               certificate_half->length, certificate_half->mode,
                               certificate_exists ? &certificate_status : NULL, fault) &&
           (!key_exists || (keep_former(&key, fault) && keep_former(&certificate, fault))) &&
           sync_half(&key, fault) && sync_half(&certificate, fault) &&
           move(&key, key.fresh, key.where.name, fault) && sync_half(&key, fault) &&
           move(&certificate, certificate.fresh, certificate.where.name, fault) &&
           sync_half(&certificate, fault);
    if (done) {
        done = discard(&key, key.former, fault) && discard(&certificate, certificate.former, fault);
    } else {
        pki_fault ignored;
        pki_pair_found undone;
        (void)mend(&key, &certificate, &undone, &ignored);
    }
end:
    half_close(&key);
    half_close(&certificate);
    return done;
}

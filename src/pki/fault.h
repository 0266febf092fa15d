#ifndef TCPKI_PKI_FAULT_H
#define TCPKI_PKI_FAULT_H

#include <stdbool.h>
#include <stddef.h>

/*
** Every fault that the world can cause, defined once: the constant, the stable word that users
** match on, and what to do when the place of the fault knows nothing better.
*/
#define PKI_FAULT_CODES(X)                                                                       \
    X(OUT_OF_MEMORY, "out_of_memory", "free some memory and try again")                          \
    X(LIBCRYPTO, "libcrypto", "the reasons of OpenSSL are in err.openssl")                       \
    X(NOT_FOUND, "not_found", "check the path")                                                  \
    X(PERMISSION_DENIED, "permission_denied", "check the owner and the mode of the path")        \
    X(ALREADY_EXISTS, "already_exists", "choose another path, or pass overwrite = true")         \
    X(NOT_A_FILE, "not_a_file", "name a regular file")                                           \
    X(SYMBOLIC_LINK, "symbolic_link", "name the file that the link points to")                   \
    X(NO_SPACE, "no_space", "free space on the disk; the old file, if any, is untouched")        \
    X(TOO_LARGE, "too_large", "check that this is the right file")                               \
    X(BUSY, "busy", "wait for the other writer to finish")                                       \
    X(INPUT_OUTPUT, "input_output", "check the disk and the path")                               \
    X(EMPTY, "empty", "check what was to be written there")                                      \
    X(NOT_PEM, "not_pem", "PEM starts with a line like -----BEGIN CERTIFICATE-----")             \
    X(BAD_PEM, "bad_pem", "export the file again; do not retype or reflow it")                   \
    X(BAD_DER, "bad_der", "the content is damaged or of another kind; export it again")          \
    X(TRAILING_DATA, "trailing_data", "remove the bytes after the object, or export it again")   \
    X(WRONG_KIND, "wrong_kind", "pass the file that holds the right kind of object")             \
    X(SEVERAL, "several", "keep one, or read it with tcpki.chain or tcpki.bundle")               \
    X(PASSPHRASE_REQUIRED, "passphrase_required",                                                \
      "pass passphrase, passphrase_file or passphrase_env")                                      \
    X(BAD_PASSPHRASE, "bad_passphrase", "check the passphrase")                                  \
    X(TOO_COSTLY, "too_costly", "encrypt the key again with fewer iterations")                   \
    X(UNSUPPORTED_KEY, "unsupported_key",                                                        \
      "use an RSA key, an EC key on a named curve, or an Ed25519 key")                           \
    X(UNSUPPORTED_ENCRYPTION, "unsupported_encryption",                                          \
      "encrypt the key again: openssl pkcs8 -topk8 -v2 aes-256-cbc")                             \
    X(KEY_TOO_LARGE, "key_too_large", "use RSA with at most 8192 bits, or EC")                   \
    X(EXPLICIT_PARAMETERS, "explicit_parameters",                                                \
      "generate the key again on a named curve, such as P-256")                                  \
    X(NO_PRIVATE_KEY, "no_private_key", "pass the private key")                                  \
    X(KEY_MISMATCH, "key_mismatch", "pass the key that the certificate was made for")            \
    X(BAD_NAME, "bad_name", "correct the name")                                                  \
    X(BAD_TIME, "bad_time", "the time is not one that a certificate can hold")                   \
    X(BAD_EXTENSION, "bad_extension", "the extension is damaged; have the certificate reissued") \
    X(BAD_SIGNATURE, "bad_signature", "the object was changed, or signed by another key")        \
    X(ISSUER_MISMATCH, "issuer_mismatch", "pass the certificate of the true issuer")             \
    X(NOT_AN_AUTHORITY, "not_an_authority",                                                      \
      "issue under a certificate with CA:true and key usage keyCertSign")                        \
    X(PATH_LENGTH_EXCEEDED, "path_length_exceeded",                                              \
      "issue under an authority whose path length allows it")                                    \
    X(NAME_NOT_PERMITTED, "name_not_permitted",                                                  \
      "use a name that the name constraints of the issuer permit")                               \
    X(OUTLIVES_ISSUER, "outlives_issuer", "ask for fewer days, or renew the authority")          \
    X(EXPIRED, "expired", "renew the certificate")                                               \
    X(NOT_YET_VALID, "not_yet_valid", "check the clock, or wait until the certificate is valid") \
    X(NO_ISSUER, "no_issuer", "add the missing issuer to the chain or to the roots")             \
    X(UNTRUSTED_ROOT, "untrusted_root", "add the root to the roots if you trust it")             \
    X(WRONG_PURPOSE, "wrong_purpose", "have it reissued with the extended key usage that fits")  \
    X(NAME_MISMATCH, "name_mismatch", "use a name that the certificate bears")                   \
    X(WEAK, "weak", "have it reissued with a stronger key and SHA-256 or better")                \
    X(REVOKED, "revoked", "use a certificate that is not revoked")                               \
    X(CRL_UNUSABLE, "crl_unusable", "pass a current CRL of every issuer in the chain")           \
    X(CHAIN_TOO_LONG, "chain_too_long", "shorten the chain")                                     \
    X(SEVERAL_LEAVES, "several_leaves", "say which one is the leaf: leaf = certificate")         \
    X(NOT_VERIFIED, "not_verified", "see the message")

typedef enum pki_code {
    PKI_OK,
#define PKI_FAULT_CODE(constant, word, hint) PKI_##constant,
    PKI_FAULT_CODES(PKI_FAULT_CODE)
#undef PKI_FAULT_CODE
} pki_code;

/* What went wrong, where, and what to do. A function that fails fills one; nobody frees it. */
typedef struct pki_fault {
    pki_code code;
    int depth;        /* place in the chain, 0 is the leaf; -1 where it has no meaning */
    long line;        /* from 1; 0 where it has no meaning */
    long column;      /* from 1; 0 where it has no meaning */
    const char *path; /* the caller's own string; NULL where no file is at fault */
    char message[512];
    char hint[256];     /* empty: the hint of the code */
    char subject[256];  /* of the certificate at fault, or empty */
    char openssl[1024]; /* the reasons of libcrypto, oldest first, one a line */
} pki_fault;

const char *pki_fault_word(pki_code code);
const char *pki_fault_hint(const pki_fault *fault);

/* Empties the fault and libcrypto's error queue: the first call of each entry into pki. */
void pki_begin(pki_fault *fault);

/* Each returns false, so that a caller can `return pki_fail(...)`. */
bool pki_fail(pki_fault *fault, pki_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool pki_fail_memory(pki_fault *fault);
/* Also drains libcrypto's queue into fault->openssl; a failed allocation there wins over code. */
bool pki_fail_libcrypto(pki_fault *fault, pki_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void pki_fault_set_hint(pki_fault *fault, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif

#include "pkcs12_lock.h"

#include <inttypes.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pkcs12.h>
#include <stdio.h>
#include <string.h>

#include "der.h"
#include "pkcs12.h"

/* ---- passphrases ---- */

static bool is_ascii(pki_view text) {
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

/* Each byte as a character of its own, in the UTF-8 that libcrypto asks for. */
static bool widen(pki_pkcs12_lock *lock, pki_fault *fault) {
    lock->widened = OPENSSL_malloc(2 * lock->bytes.length + 1);
    if (lock->widened == NULL) {
        return pki_fail_memory(fault);
    }
    for (size_t i = 0; i < lock->bytes.length; i++) {
        unsigned char byte = lock->bytes.data[i];
        if (byte < 0x80) {
            lock->widened[lock->widened_length++] = (char)byte;
        } else {
            lock->widened[lock->widened_length++] = (char)(0xc0 | byte >> 6);
            lock->widened[lock->widened_length++] = (char)(0x80 | (byte & 0x3f));
        }
    }
    return true;
}

bool pki_pkcs12_lock_begin(pki_pkcs12_lock *lock, const pki_view *passphrase, pki_fault *fault) {
    static const unsigned char none[1] = {0};
    lock->bytes = passphrase != NULL ? *passphrase : (pki_view){none, 0};
    if (lock->bytes.length > INT_MAX / 4) {
        return pki_fail(fault, PKI_BAD_PASSPHRASE, "the passphrase has more than 2^29 bytes");
    }
    if (lock->bytes.length == 0) {
        lock->forms[0] = (pki_pkcs12_form){"empty", "", 0};
        lock->forms[1] = (pki_pkcs12_form){"null", NULL, 0};
        lock->form_count = 2;
        return true;
    }
    lock->forms[0] =
        (pki_pkcs12_form){"utf8", (const char *)lock->bytes.data, (int)lock->bytes.length};
    lock->form_count = 1;
    if (!is_ascii(lock->bytes)) {
        if (!widen(lock, fault)) {
            return false;
        }
        lock->forms[1] = (pki_pkcs12_form){"bytes", lock->widened, (int)lock->widened_length};
        lock->form_count = 2;
    }
    return true;
}

void pki_pkcs12_lock_end(pki_pkcs12_lock *lock) {
    if (lock->widened != NULL) {
        OPENSSL_clear_free(lock->widened, lock->widened_length);
    }
    lock->widened = NULL;
}

void pki_pkcs12_lock_fits(pki_pkcs12_lock *lock, size_t form) {
    lock->opened = true;
    lock->form = form;
    if (lock->word == NULL) {
        lock->word = lock->forms[form].word;
    }
}

/* ---- what it will cost ---- */

bool pki_pkcs12_lock_add_work(pki_pkcs12_lock *lock, uint64_t iterations, const char *what,
                              pki_fault *fault) {
    if (iterations > PKI_PKCS12_ITERATIONS_LIMIT) {
        char count[32];
        (void)snprintf(count, sizeof count, iterations == UINT64_MAX ? "2^64" : "%" PRIu64,
                       iterations);
        (void)pki_fail(
            fault, PKI_TOO_COSTLY, "%s asks for %s%s iterations; at most %d are computed", what,
            iterations == UINT64_MAX ? "more than " : "", count, PKI_PKCS12_ITERATIONS_LIMIT);
    } else if ((lock->work += iterations) > PKI_PKCS12_ITERATIONS_LIMIT) {
        (void)pki_fail(fault, PKI_TOO_COSTLY,
                       "the file asks for %" PRIu64 " iterations in all; at most %d are computed",
                       lock->work, PKI_PKCS12_ITERATIONS_LIMIT);
    } else {
        return true;
    }
    pki_fault_set_hint(fault, "export it again with fewer iterations: openssl pkcs12 -iter 100000");
    return false;
}

/* Says which algorithm is missing, and where it went: RC2, RC4 and DES moved out in OpenSSL 3. */
static bool unavailable(const X509_ALGOR *algorithm, const pki_encryption *encryption,
                        const char *what, pki_fault *fault) {
    const ASN1_OBJECT *object = NULL;
    char scheme[80];
    X509_ALGOR_get0(&object, NULL, NULL, algorithm);
    (void)OBJ_obj2txt(scheme, sizeof scheme, object, 0);
    const char *cipher = encryption->cipher != NULL ? encryption->cipher : "an unknown cipher";
    bool legacy = strncmp(cipher, "RC2", 3) == 0 || strncmp(cipher, "RC4", 3) == 0 ||
                  strcmp(cipher, "DES-CBC") == 0;
    if (legacy) {
        (void)pki_fail_libcrypto(fault, PKI_UNSUPPORTED_ENCRYPTION,
                                 "%s is encrypted with %s (%s), which OpenSSL 3 reads only with "
                                 "its legacy provider, and that is not loaded",
                                 what, cipher, scheme);
    } else {
        (void)pki_fail_libcrypto(fault, PKI_UNSUPPORTED_ENCRYPTION,
                                 "%s is encrypted with %s (%s), which OpenSSL does not offer here",
                                 what, cipher, scheme);
    }
    if (fault->code == PKI_UNSUPPORTED_ENCRYPTION) {
        pki_fault_set_hint(fault, legacy
                                      ? "write it anew: openssl pkcs12 -legacy -in OLD -out "
                                        "ALL.pem; openssl pkcs12 -export -in ALL.pem -out NEW; or "
                                        "activate the legacy provider in openssl.cnf"
                                      : "write it anew with AES: openssl pkcs12 -export -keypbe "
                                        "AES-256-CBC -certpbe AES-256-CBC");
    }
    return false;
}

/* The scheme with its parameters, checked before anything is computed by it. */
bool pki_pkcs12_lock_guard(pki_pkcs12_lock *lock, const X509_ALGOR *algorithm, const char *what,
                           pki_encryption *encryption, pki_fault *fault) {
    if (!pki_encryption_describe(algorithm, encryption, fault)) {
        return false;
    }
    uint64_t work = encryption->iterations;
    if (encryption->parallel > 1) {
        work = work > UINT64_MAX / encryption->parallel ? UINT64_MAX : work * encryption->parallel;
    }
    if (!pki_pkcs12_lock_add_work(lock, work, what, fault)) {
        return false;
    }
    lock->encrypted = true;
    return pki_encryption_available(encryption) || unavailable(algorithm, encryption, what, fault);
}

/* ---- decryption ---- */

/*
** Whether the bytes are one SEQUENCE: chance passes the padding once in 256 times, not this. Some
** writers stream BER, whose length is not said.
*/
static bool is_sequence(const unsigned char *data, size_t length) {
    pki_view view = {data, length};
    pki_view content;
    if (length >= 4 && data[0] == DER_SEQUENCE && data[1] == 0x80) {
        return data[length - 1] == 0 && data[length - 2] == 0;
    }
    return der_expect(&view, DER_SEQUENCE, &content) && view.length == 0;
}

static bool decrypt_as(const X509_ALGOR *algorithm, const ASN1_OCTET_STRING *content,
                       const char *text, int length, pki_buffer *plain) {
    unsigned char *data = NULL;
    int data_length = 0;
    if (PKCS12_pbe_crypt(algorithm, text, length, ASN1_STRING_get0_data(content),
                         ASN1_STRING_length(content), &data, &data_length, 0) == NULL) {
        return false;
    }
    plain->data = data;
    plain->length = (size_t)data_length;
    if (is_sequence(data, plain->length)) {
        return true;
    }
    pki_buffer_free(plain);
    return false;
}

static bool memory_ran_out(void) {
    unsigned long error;
    bool memory = false;
    while ((error = ERR_get_error()) != 0) {
        memory = memory || ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE;
    }
    return memory;
}

static bool wrong_passphrase(const pki_pkcs12_lock *lock, const char *what, pki_fault *fault) {
    if (lock->opened) {
        return pki_fail(fault, PKI_BAD_DER, "the passphrase is right, but %s is damaged", what);
    }
    if (lock->bytes.length == 0) {
        return pki_fail(fault, PKI_PASSPHRASE_REQUIRED, "the PKCS#12 file has a passphrase");
    }
    return pki_fail(fault, PKI_BAD_PASSPHRASE,
                    "the passphrase does not open the PKCS#12 file (%s cannot be decrypted)", what);
}

bool pki_pkcs12_lock_decrypt(pki_pkcs12_lock *lock, const X509_ALGOR *algorithm,
                             const ASN1_OCTET_STRING *content, const pki_encryption *encryption,
                             const char *what, pki_buffer *plain, pki_fault *fault) {
    for (size_t i = 0; i < lock->form_count; i++) {
        /* PBKDF2 takes the bytes as they are, whatever the MAC took; null and empty are one there. */
        size_t which = encryption->bytes ? i : (lock->form + i) % lock->form_count;
        const pki_pkcs12_form *tried = &lock->forms[which];
        if (encryption->bytes && tried->text == NULL) {
            continue;
        }
        if (decrypt_as(algorithm, content, tried->text, tried->length, plain)) {
            ERR_clear_error();
            /* Which form the bytes have elsewhere is not known by this. */
            pki_pkcs12_lock_fits(lock, encryption->bytes ? lock->form : which);
            return true;
        }
        if (memory_ran_out()) {
            return pki_fail_memory(fault);
        }
    }
    return wrong_passphrase(lock, what, fault);
}

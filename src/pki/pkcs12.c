#include "pkcs12.h"

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/pkcs12.h>
#include <string.h>

#include "key.h"

/* OpenSSL's own tools take no longer passphrase. */
enum { PASSPHRASE_LIMIT = 1024 };

/*
** modern: what OpenSSL 1.1, Java 12, Go and Windows Server 2019 read; Java itself wrote 100 000
** iterations for years. compatible: the one form that everything reads, with OpenSSL's count.
** passwordless: what Temporal's scripts make, `-keypbe NONE -certpbe NONE -passout pass:`; the MAC
** over the empty passphrase stays, since GnuTLS and XCA read no file without one.
*/
static const pki_pkcs12_profile profiles[] = {
    {"modern", NID_aes_256_cbc, "SHA256", 100000, 16, true},
    {"compatible", NID_pbe_WithSHA1And3_Key_TripleDES_CBC, "SHA1", 2048, 8, true},
    {"passwordless", NID_undef, "SHA256", 2048, 16, false},
};

const pki_pkcs12_profile *pki_pkcs12_profile_named(const char *name) {
    for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++) {
        if (strcmp(profiles[i].name, name) == 0) {
            return &profiles[i];
        }
    }
    return NULL;
}

typedef struct maker {
    const pki_pkcs12_template *form;
    const char *passphrase;
    int passphrase_length;
    int iterations;
    unsigned char id[EVP_MAX_MD_SIZE]; /* SHA-1 of the first certificate, as OpenSSL and Java do */
    unsigned int id_length;
    unsigned char *name; /* UTF-16 */
    int name_length;
} maker;

static bool failed(pki_fault *fault) {
    return fault->code == PKI_OK &&
           pki_fail_libcrypto(fault, PKI_LIBCRYPTO, "the PKCS#12 file could not be made");
}

static bool take_passphrase(maker *make, pki_fault *fault) {
    const pki_pkcs12_template *form = make->form;
    make->passphrase = "";
    make->passphrase_length = 0;
    make->iterations = form->iterations > 0 ? form->iterations : form->profile->iterations;
    if (!form->profile->passphrase) {
        return true;
    }
    if (form->passphrase == NULL || form->passphrase->length == 0) {
        pki_fault_set_hint(fault, "pass passphrase, passphrase_file or passphrase_env; or "
                                  "profile = \"passwordless\" for a file without protection");
        return pki_fail(fault, PKI_PASSPHRASE_REQUIRED, "a file of the profile %s has a passphrase",
                        form->profile->name);
    }
    if (form->passphrase->length > PASSPHRASE_LIMIT) {
        pki_fault_set_hint(fault, "take a shorter one: OpenSSL's own reader takes no longer one");
        return pki_fail(fault, PKI_BAD_PASSPHRASE, "the passphrase has more than 1024 bytes");
    }
    /* No reader can be told of the bytes behind it. */
    if (memchr(form->passphrase->data, '\0', form->passphrase->length) != NULL) {
        return pki_fail(fault, PKI_BAD_PASSPHRASE, "the passphrase contains a NUL");
    }
    make->passphrase = (const char *)form->passphrase->data;
    make->passphrase_length = (int)form->passphrase->length;
    return true;
}

/* libcrypto's own setter takes no character beyond the first plane: it is given UTF-16 instead. */
static bool take_name(maker *make, pki_fault *fault) {
    const pki_view *name = make->form->name;
    if (name == NULL) {
        return true;
    }
    const unsigned char *at = name->data;
    unsigned long character = 0;
    size_t left = name->length;
    while (left > 0) {
        int used = UTF8_getc(at, (int)left, &character);
        if (used <= 0 || character == 0) {
            return pki_fail(fault, PKI_BAD_NAME, "the friendly name is not UTF-8, or holds a NUL");
        }
        at += used;
        left -= (size_t)used;
    }
    make->name =
        OPENSSL_utf82uni((const char *)name->data, (int)name->length, NULL, &make->name_length);
    make->name_length -= 2; /* the two zero bytes at the end are no part of it */
    return make->name != NULL || pki_fail_memory(fault);
}

static bool add_attributes(const maker *make, PKCS12_SAFEBAG *bag) {
    return PKCS12_add_localkeyid(bag, (unsigned char *)make->id, (int)make->id_length) == 1 &&
           (make->name == NULL ||
            PKCS12_add_friendlyname_uni(bag, make->name, make->name_length) == 1);
}

/* Whether the bag is in the stack; freed otherwise. */
static bool push_bag(STACK_OF(PKCS12_SAFEBAG) * bags, PKCS12_SAFEBAG *bag) {
    if (bag != NULL && sk_PKCS12_SAFEBAG_push(bags, bag) > 0) {
        return true;
    }
    PKCS12_SAFEBAG_free(bag);
    return false;
}

static bool add_certificates(const maker *make, STACK_OF(PKCS12_SAFEBAG) * bags) {
    for (size_t i = 0; i < make->form->count; i++) {
        PKCS12_SAFEBAG *bag = PKCS12_SAFEBAG_create_cert(make->form->certificates[i]);
        if (!push_bag(bags, bag) || (i == 0 && !add_attributes(make, bag))) {
            return false;
        }
    }
    return true;
}

static bool add_key(const maker *make, STACK_OF(PKCS12_SAFEBAG) * bags) {
    const pki_pkcs12_profile *profile = make->form->profile;
    PKCS12_SAFEBAG *bag = NULL;
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(make->form->key);
    if (info == NULL) {
        return false;
    }
    if (profile->scheme == NID_undef) {
        bag = PKCS12_SAFEBAG_create0_p8inf(info);
        info = bag == NULL ? info : NULL; /* the bag's own from here on */
    } else {
        bag = PKCS12_SAFEBAG_create_pkcs8_encrypt(profile->scheme, make->passphrase,
                                                  make->passphrase_length, NULL, profile->salt,
                                                  make->iterations, info);
    }
    PKCS8_PRIV_KEY_INFO_free(info);
    return push_bag(bags, bag) && add_attributes(make, bag);
}

static bool push_safe(STACK_OF(PKCS7) * safes, PKCS7 *safe) {
    if (safe != NULL && sk_PKCS7_push(safes, safe) > 0) {
        return true;
    }
    PKCS7_free(safe);
    return false;
}

/* Certificates in the first safe, the key in the second, as OpenSSL writes and Go asks for. */
static PKCS12 *assemble(const maker *make) {
    const pki_pkcs12_profile *profile = make->form->profile;
    PKCS12 *file = NULL;
    STACK_OF(PKCS12_SAFEBAG) *certificates = sk_PKCS12_SAFEBAG_new_null();
    STACK_OF(PKCS12_SAFEBAG) *keys = sk_PKCS12_SAFEBAG_new_null();
    STACK_OF(PKCS7) *safes = sk_PKCS7_new_null();
    if (certificates != NULL && keys != NULL && safes != NULL &&
        add_certificates(make, certificates) && add_key(make, keys) &&
        push_safe(safes, profile->scheme == NID_undef
                             ? PKCS12_pack_p7data(certificates)
                             : PKCS12_pack_p7encdata(profile->scheme, make->passphrase,
                                                     make->passphrase_length, NULL, profile->salt,
                                                     make->iterations, certificates)) &&
        push_safe(safes, PKCS12_pack_p7data(keys))) {
        file = PKCS12_add_safes(safes, NID_undef);
    }
    sk_PKCS12_SAFEBAG_pop_free(certificates, PKCS12_SAFEBAG_free);
    sk_PKCS12_SAFEBAG_pop_free(keys, PKCS12_SAFEBAG_free);
    sk_PKCS7_pop_free(safes, PKCS7_free);
    return file;
}

bool pki_pkcs12_make(const pki_pkcs12_template *form, pki_buffer *der, pki_fault *fault) {
    maker make = {.form = form};
    PKCS12 *file = NULL;
    bool done = false;
    int length = 0;
    if (!take_passphrase(&make, fault) || !take_name(&make, fault)) {
        goto end;
    }
    if (X509_digest(form->certificates[0], EVP_sha1(), make.id, &make.id_length) != 1) {
        goto end;
    }
    file = assemble(&make);
    if (file == NULL ||
        PKCS12_set_mac(file, make.passphrase, make.passphrase_length, NULL, form->profile->salt,
                       make.iterations, EVP_get_digestbyname(form->profile->digest)) != 1) {
        goto end;
    }
    length = i2d_PKCS12(file, &der->data);
    if (length > 0) {
        der->length = (size_t)length;
        done = true;
    }
end:
    if (!done) {
        (void)failed(fault);
    }
    OPENSSL_free(make.name);
    PKCS12_free(file);
    return done;
}

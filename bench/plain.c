/*
** What a C programmer would write on libcrypto for the same work: the other side of the
** comparison. Each function does its work n times and frees what it made; a failure throws, so
** that no figure stands for work that was not done.
*/
#include <arpa/inet.h>
#include <lauxlib.h>
#include <lua.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define STATE "bench.plain"

enum { DAYS = 90, AUTH_LEVEL = 2 };

/* What is parsed beforehand, for the functions that do not measure parsing. */
typedef struct state {
    X509 *leaf;
    STACK_OF(X509) * untrusted;
    X509_STORE *store;
    X509 *authority;
    EVP_PKEY *authority_key;
    EVP_PKEY *key;
} state;

static BIO *memory(const char *text, size_t length) {
    return BIO_new_mem_buf(text, (int)length);
}

static X509 *parse(const char *text, size_t length) {
    BIO *bio = memory(text, length);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return certificate;
}

static EVP_PKEY *parse_key(const char *text, size_t length) {
    BIO *bio = memory(text, length);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return key;
}

/* The leaf, and what stands after it. */
static X509 *parse_chain(const char *text, size_t length, STACK_OF(X509) * untrusted) {
    BIO *bio = memory(text, length);
    X509 *leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    X509 *next = NULL;
    while ((next = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        (void)sk_X509_push(untrusted, next);
    }
    ERR_clear_error(); /* the end of the text is an error */
    BIO_free(bio);
    return leaf;
}

static bool verify(X509_STORE *store, X509 *leaf, STACK_OF(X509) * untrusted) {
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    bool done = X509_STORE_CTX_init(context, store, leaf, untrusted) == 1;
    X509_VERIFY_PARAM *parameters = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_auth_level(parameters, AUTH_LEVEL);
    done = done && X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_X509_STRICT) == 1 &&
           X509_VERIFY_PARAM_set_purpose(parameters, X509_PURPOSE_SSL_CLIENT) == 1 &&
           X509_verify_cert(context) == 1;
    X509_STORE_CTX_free(context);
    return done;
}

/* All names as strings of their own, as a caller would keep them. */
static int read_names(const X509 *certificate) {
    char *texts[64];
    char address[INET6_ADDRSTRLEN];
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    int count = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && count < 64; i++) {
        int type = 0;
        const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
        const char *data = (const char *)ASN1_STRING_get0_data(value);
        size_t length = (size_t)ASN1_STRING_length(value);
        if (type == GEN_IPADD) {
            (void)inet_ntop(length == 4 ? AF_INET : AF_INET6, data, address, sizeof address);
            data = address;
            length = strlen(address);
        } else if (memchr(data, '\0', length) != NULL) {
            continue;
        }
        texts[count] = malloc(length + 1);
        memcpy(texts[count], data, length);
        texts[count][length] = '\0';
        count++;
    }
    GENERAL_NAMES_free(names);
    for (int i = 0; i < count; i++) {
        free(texts[i]);
    }
    return count;
}

static bool add_key_identifiers(X509 *certificate, const X509 *authority) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    ASN1_OCTET_STRING *subject = ASN1_OCTET_STRING_new();
    AUTHORITY_KEYID *issuer = AUTHORITY_KEYID_new();
    bool done = X509_pubkey_digest(certificate, EVP_sha1(), digest, &length) == 1 &&
                ASN1_OCTET_STRING_set(subject, digest, (int)length) == 1 &&
                X509_add1_ext_i2d(certificate, NID_subject_key_identifier, subject, 0, 0) == 1;
    issuer->keyid = ASN1_OCTET_STRING_dup(X509_get0_subject_key_id((X509 *)authority));
    done = done && issuer->keyid != NULL &&
           X509_add1_ext_i2d(certificate, NID_authority_key_identifier, issuer, 0, 0) == 1;
    ASN1_OCTET_STRING_free(subject);
    AUTHORITY_KEYID_free(issuer);
    return done;
}

static bool add_extensions(X509 *certificate, const X509 *authority) {
    BASIC_CONSTRAINTS *constraints = BASIC_CONSTRAINTS_new();
    ASN1_BIT_STRING *usage = ASN1_BIT_STRING_new();
    EXTENDED_KEY_USAGE *extended = sk_ASN1_OBJECT_new_null();
    bool done = ASN1_BIT_STRING_set_bit(usage, 0, 1) == 1 &&
                sk_ASN1_OBJECT_push(extended, OBJ_nid2obj(NID_client_auth)) == 1 &&
                X509_add1_ext_i2d(certificate, NID_basic_constraints, constraints, 1, 0) == 1 &&
                X509_add1_ext_i2d(certificate, NID_key_usage, usage, 1, 0) == 1 &&
                X509_add1_ext_i2d(certificate, NID_ext_key_usage, extended, 0, 0) == 1;
    BASIC_CONSTRAINTS_free(constraints);
    ASN1_BIT_STRING_free(usage);
    EXTENDED_KEY_USAGE_free(extended);
    return done && add_key_identifiers(certificate, authority);
}

static bool set_serial(X509 *certificate) {
    BIGNUM *number = BN_new();
    bool done = BN_rand(number, 159, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
                BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return done;
}

static bool set_names(X509 *certificate, const X509 *authority) {
    X509_NAME *subject = X509_NAME_new();
    bool done =
        X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
                                   (const unsigned char *)"payments.a1b2c", -1, -1, 0) == 1 &&
        X509_set_subject_name(certificate, subject) == 1 &&
        X509_set_issuer_name(certificate, X509_get_subject_name(authority)) == 1;
    X509_NAME_free(subject);
    return done;
}

static bool issue(const state *held) {
    X509 *certificate = X509_new();
    time_t now = time(NULL);
    bool done =
        X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
        set_names(certificate, held->authority) &&
        ASN1_TIME_set(X509_getm_notBefore(certificate), now - 600) != NULL &&
        ASN1_TIME_set(X509_getm_notAfter(certificate), now + (time_t)DAYS * 86400) != NULL &&
        X509_cmp_time(X509_get0_notAfter(held->authority), &now) > 0 &&
        X509_set_pubkey(certificate, held->key) == 1 &&
        add_extensions(certificate, held->authority) &&
        X509_sign(certificate, held->authority_key, EVP_sha256()) > 0;
    X509_free(certificate);
    return done;
}

/* ---- from Lua ---- */

static int release(lua_State *L) {
    state *held = luaL_checkudata(L, 1, STATE);
    X509_free(held->leaf);
    sk_X509_pop_free(held->untrusted, X509_free);
    X509_STORE_free(held->store);
    X509_free(held->authority);
    EVP_PKEY_free(held->authority_key);
    EVP_PKEY_free(held->key);
    memset(held, 0, sizeof *held);
    return 0;
}

static const char *text_of(lua_State *L, const char *name, size_t *length) {
    (void)lua_getfield(L, 1, name);
    const char *text = luaL_checklstring(L, -1, length);
    lua_pop(L, 1); /* the table keeps it */
    return text;
}

/* new{ chain, root, authority, authority_key, key } -> state; all PEM */
static int plain_new(lua_State *L) {
    size_t length = 0;
    luaL_checktype(L, 1, LUA_TTABLE);
    state *held = lua_newuserdatauv(L, sizeof *held, 0);
    memset(held, 0, sizeof *held);
    luaL_setmetatable(L, STATE);
    const char *text = text_of(L, "chain", &length);
    held->untrusted = sk_X509_new_null();
    held->leaf = parse_chain(text, length, held->untrusted);
    text = text_of(L, "root", &length);
    X509 *root = parse(text, length);
    held->store = X509_STORE_new();
    bool stored = root != NULL && X509_STORE_add_cert(held->store, root) == 1;
    X509_free(root);
    text = text_of(L, "authority", &length);
    held->authority = parse(text, length);
    text = text_of(L, "authority_key", &length);
    held->authority_key = parse_key(text, length);
    text = text_of(L, "key", &length);
    held->key = parse_key(text, length);
    if (held->leaf == NULL || !stored || held->authority == NULL || held->authority_key == NULL ||
        held->key == NULL) {
        return luaL_error(L, "the plain side cannot read its input");
    }
    return 1;
}

static int ended(lua_State *L, bool done) {
    return done ? 0 : luaL_error(L, "the plain side failed");
}

static int plain_parse(lua_State *L) {
    size_t length = 0;
    const char *text = luaL_checklstring(L, 2, &length);
    bool done = true;
    for (lua_Integer n = luaL_checkinteger(L, 3); n > 0 && done; n--) {
        X509 *certificate = parse(text, length);
        done = certificate != NULL;
        X509_free(certificate);
    }
    return ended(L, done);
}

static int plain_names(lua_State *L) {
    const state *held = luaL_checkudata(L, 1, STATE);
    lua_Integer count = luaL_checkinteger(L, 2);
    bool done = true;
    for (lua_Integer n = luaL_checkinteger(L, 3); n > 0 && done; n--) {
        done = read_names(held->leaf) == (int)count;
    }
    return ended(L, done);
}

static int plain_generate(lua_State *L) {
    bool done = true;
    for (lua_Integer n = luaL_checkinteger(L, 2); n > 0 && done; n--) {
        EVP_PKEY *key = EVP_EC_gen("P-256");
        done = key != NULL;
        EVP_PKEY_free(key);
    }
    return ended(L, done);
}

static int plain_issue(lua_State *L) {
    const state *held = luaL_checkudata(L, 1, STATE);
    bool done = true;
    for (lua_Integer n = luaL_checkinteger(L, 2); n > 0 && done; n--) {
        done = issue(held);
    }
    return ended(L, done);
}

static int plain_verify(lua_State *L) {
    const state *held = luaL_checkudata(L, 1, STATE);
    bool done = true;
    for (lua_Integer n = luaL_checkinteger(L, 2); n > 0 && done; n--) {
        done = verify(held->store, held->leaf, held->untrusted);
    }
    return ended(L, done);
}

static int plain_verify_text(lua_State *L) {
    const state *held = luaL_checkudata(L, 1, STATE);
    size_t length = 0;
    const char *text = luaL_checklstring(L, 2, &length);
    bool done = true;
    for (lua_Integer n = luaL_checkinteger(L, 3); n > 0 && done; n--) {
        STACK_OF(X509) *untrusted = sk_X509_new_null();
        X509 *leaf = parse_chain(text, length, untrusted);
        done = leaf != NULL && verify(held->store, leaf, untrusted);
        X509_free(leaf);
        sk_X509_pop_free(untrusted, X509_free);
    }
    return ended(L, done);
}

/* ---- many chains against one store ---- */

#define MANY "bench.many"

typedef struct many {
    X509_STORE *store;
    size_t count;
    X509 **leaves;
    STACK_OF(X509) * *untrusted;
} many;

static int release_many(lua_State *L) {
    many *held = luaL_checkudata(L, 1, MANY);
    for (size_t i = 0; i < held->count; i++) {
        X509_free(held->leaves[i]);
        sk_X509_pop_free(held->untrusted[i], X509_free);
    }
    free(held->leaves);
    free(held->untrusted);
    X509_STORE_free(held->store);
    memset(held, 0, sizeof *held);
    return 0;
}

/* many(roots, {chain, ...}): PEM; every certificate of roots is trusted */
static int plain_many(lua_State *L) {
    size_t length = 0;
    const char *text = luaL_checklstring(L, 1, &length);
    luaL_checktype(L, 2, LUA_TTABLE);
    many *held = lua_newuserdatauv(L, sizeof *held, 0);
    memset(held, 0, sizeof *held);
    luaL_setmetatable(L, MANY);
    held->store = X509_STORE_new();
    STACK_OF(X509) *roots = sk_X509_new_null();
    X509 *first = parse_chain(text, length, roots);
    (void)sk_X509_push(roots, first);
    for (int i = 0; i < sk_X509_num(roots); i++) {
        (void)X509_STORE_add_cert(held->store, sk_X509_value(roots, i));
    }
    sk_X509_pop_free(roots, X509_free);
    size_t count = (size_t)lua_rawlen(L, 2);
    held->leaves = calloc(count, sizeof *held->leaves);
    held->untrusted = calloc(count, sizeof *held->untrusted);
    for (; held->count < count; held->count++) {
        (void)lua_rawgeti(L, 2, (lua_Integer)held->count + 1);
        text = luaL_checklstring(L, -1, &length);
        held->untrusted[held->count] = sk_X509_new_null();
        held->leaves[held->count] = parse_chain(text, length, held->untrusted[held->count]);
        lua_pop(L, 1);
    }
    return 1;
}

static int plain_verify_many(lua_State *L) {
    const many *held = luaL_checkudata(L, 1, MANY);
    bool done = true;
    for (lua_Integer n = luaL_checkinteger(L, 2); n > 0 && done; n--) {
        for (size_t i = 0; i < held->count && done; i++) {
            done = verify(held->store, held->leaves[i], held->untrusted[i]);
        }
    }
    return ended(L, done);
}

/* verify_many_texts(state, {chain, ...}, n) */
static int plain_verify_many_texts(lua_State *L) {
    const many *held = luaL_checkudata(L, 1, MANY);
    bool done = true;
    for (lua_Integer n = luaL_checkinteger(L, 3); n > 0 && done; n--) {
        for (size_t i = 0; i < held->count && done; i++) {
            size_t length = 0;
            (void)lua_rawgeti(L, 2, (lua_Integer)i + 1);
            const char *text = lua_tolstring(L, -1, &length);
            STACK_OF(X509) *untrusted = sk_X509_new_null();
            X509 *leaf = parse_chain(text, length, untrusted);
            done = leaf != NULL && verify(held->store, leaf, untrusted);
            X509_free(leaf);
            sk_X509_pop_free(untrusted, X509_free);
            lua_pop(L, 1);
        }
    }
    return ended(L, done);
}

static const luaL_Reg functions[] = {{"new", plain_new},
                                     {"many", plain_many},
                                     {"verify_many", plain_verify_many},
                                     {"verify_many_texts", plain_verify_many_texts},
                                     {"parse", plain_parse},
                                     {"names", plain_names},
                                     {"generate", plain_generate},
                                     {"issue", plain_issue},
                                     {"verify", plain_verify},
                                     {"verify_text", plain_verify_text},
                                     {NULL, NULL}};

int luaopen_plain(lua_State *L);

int luaopen_plain(lua_State *L) {
    luaL_newmetatable(L, STATE);
    lua_pushcfunction(L, release);
    lua_setfield(L, -2, "__gc");
    luaL_newmetatable(L, MANY);
    lua_pushcfunction(L, release_many);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, functions);
    return 1;
}

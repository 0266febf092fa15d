/***
Private and public keys: EC on P-256, P-384 and P-521, RSA, Ed25519.
@module tcpki.key
*/
#include "../pki/key.h"

#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "../pki/certificate.h"
#include "../pki/csr.h"
#include "../pki/file.h"
#include "../pki/pair.h"
#include "core.h"
#include "passphrase.h"

static void release(void *object) {
    EVP_PKEY_free(object);
}

box_kind box_key = {"tcpki.key", release, 0};

static const char *const generate_options[] = {"type", "curve", "bits", NULL};
static const char *const read_options[] = {PASSPHRASE_OPTIONS, NULL};
static const char *const pem_options[] = {PASSPHRASE_OPTIONS, "format", NULL};
static const char *const write_options[] = {PASSPHRASE_OPTIONS, "format", "overwrite", "mode",
                                            NULL};
static const char *const pair_options[] = {PASSPHRASE_OPTIONS, "format", "overwrite", "mode",
                                           "certificate_mode", NULL};

static const char *choice(lua_State *L, const char *option, const char *value,
                          const char *const *values, const char *list) {
    for (size_t i = 0; values[i] != NULL; i++) {
        if (strcmp(values[i], value) == 0) {
            return value;
        }
    }
    (void)luaL_argerror(L, 1,
                        lua_pushfstring(L, "option '%s' is '%s' (known: %s)", option, value, list));
    return NULL;
}

/***
Generates a key.
@function generate
@tparam[opt] table options `type` ("ec", the default, "rsa" or "ed25519"), `curve` ("P-256", the
default, "P-384" or "P-521"), `bits` (RSA: 2048 to 8192, 3072 by default)
@treturn[1] key
@treturn[2] nil
@treturn[2] fault `out_of_memory`, `libcrypto`
*/
static int key_generate(lua_State *L) {
    static const char *const types[] = {"ec", "rsa", "ed25519", NULL};
    static const char *const curves[] = {"P-256", "P-384", "P-521", NULL};
    pki_fault fault;
    lua_Integer bits = 3072;
    lua_settop(L, 1);
    options_check(L, 1, generate_options);
    const char *type = options_string(L, 1, "type", NULL);
    const char *curve = options_string(L, 1, "curve", NULL);
    bool bits_given = options_integer(L, 1, "bits", &bits);
    type = choice(L, "type", type == NULL ? "ec" : type, types, "ec, rsa, ed25519");
    luaL_argcheck(L, curve == NULL || strcmp(type, "ec") == 0, 1,
                  "option 'curve' goes with type \"ec\"");
    luaL_argcheck(L, !bits_given || strcmp(type, "rsa") == 0, 1,
                  "option 'bits' goes with type \"rsa\"");
    luaL_argcheck(L, bits >= PKI_RSA_MINIMUM && bits <= PKI_RSA_MAXIMUM, 1,
                  "option 'bits' must be from 2048 to 8192");
    curve = choice(L, "curve", curve == NULL ? "P-256" : curve, curves, "P-256, P-384, P-521");
    void **box = box_push(L, &box_key);
    pki_begin(&fault);
    EVP_PKEY *key = pki_key_generate(type, curve, (int)bits, &fault);
    if (key == NULL) {
        return fault_push(L, &fault, NULL);
    }
    box_fill(box, &box_key, key);
    return 1;
}

/* Parses, asking for the passphrase only when the key turns out to need one. */
static int parse(lua_State *L, const char *text, size_t length, const char *path) {
    pki_fault fault;
    pki_view passphrase = {NULL, 0};
    void **box = box_push(L, &box_key);
    int box_index = lua_gettop(L);
    pki_begin(&fault);
    EVP_PKEY *key = pki_key_parse(text, length, NULL, &fault);
    if (key == NULL && fault.code == PKI_PASSPHRASE_REQUIRED) {
        pki_fault asked;
        pki_begin(&asked);
        passphrase_outcome outcome = passphrase_ask(L, 2, &passphrase, &asked);
        if (outcome == PASSPHRASE_FAULT) {
            return fault_push(L, &asked, NULL);
        }
        if (outcome == PASSPHRASE_GIVEN) {
            pki_begin(&fault);
            key = pki_key_parse(text, length, &passphrase, &fault);
        }
    }
    if (key == NULL) {
        return fault_push(L, &fault, path);
    }
    box_fill(box, &box_key, key);
    lua_settop(L, box_index);
    return 1;
}

/* The text that a key was read from is key material: it lives in memory that is wiped. */
static void keep_source(lua_State *L, const char *text, size_t length) {
    pki_fault fault;
    pki_begin(&fault);
    int key_index = lua_gettop(L);
    pki_buffer *source = scratch_buffer(L);
    if (!pki_buffer_copy(source, text, length, &fault)) {
        (void)luaL_error(L, "not enough memory");
    }
    (void)lua_setiuservalue(L, key_index, 1);
}

/***
Reads a key from text: PKCS#8 (encrypted or not), SEC1, PKCS#1, traditional encrypted PEM, DER.
@function parse
@tparam string text PEM or DER, with exactly one key
@tparam[opt] table options `passphrase` (string, or function that returns one), `passphrase_file`,
`passphrase_env`
@treturn[1] key
@treturn[2] nil
@treturn[2] fault `passphrase_required`, `bad_passphrase`, `bad_pem`, `bad_der`, `wrong_kind`,
`several`, `unsupported_key`, `key_too_large`, `explicit_parameters`, `too_costly`, …
*/
static int key_parse(lua_State *L) {
    size_t length = 0;
    const char *text = check_text(L, 1, &length);
    lua_settop(L, 2);
    options_check(L, 2, read_options);
    passphrase_check(L, 2);
    int results = parse(L, text, length, NULL);
    if (results == 1) {
        keep_source(L, text, length);
    }
    return results;
}

/***
Reads a key from a file.
@function read
@tparam string path
@tparam[opt] table options as for `parse`
@treturn[1] key
@treturn[2] nil
@treturn[2] fault with the path
*/
static int key_read(lua_State *L) {
    pki_fault fault;
    const char *path = check_path(L, 1);
    lua_settop(L, 2);
    options_check(L, 2, read_options);
    passphrase_check(L, 2);
    pki_buffer *content = scratch_buffer(L);
    pki_begin(&fault);
    if (!pki_file_read(content, path, &fault)) {
        return fault_push(L, &fault, path);
    }
    int results = parse(L, (const char *)content->data, content->length, path);
    if (results == 1) {
        lua_pushvalue(L, 3);
        (void)lua_setiuservalue(L, -2, 1);
    }
    return results;
}

static EVP_PKEY *self(lua_State *L) {
    return box_check(L, 1, &box_key);
}

static bool describe(lua_State *L, pki_key_kind *kind, pki_fault *fault) {
    const EVP_PKEY *key = self(L);
    pki_begin(fault);
    return pki_key_describe(key, kind, fault);
}

static bool passphrase_asked_for(lua_State *L, int index) {
    if (lua_isnoneornil(L, index)) {
        return false;
    }
    int type = lua_getfield(L, index, "passphrase");
    lua_pop(L, 1);
    return type != LUA_TNIL;
}

/* The PEM of the key at 1 with the options at 2, in scratch; NULL with the fault filled. */
static pki_buffer *encode(lua_State *L, pki_fault *fault) {
    static const char *const formats[] = {"pkcs8", "traditional", NULL};
    pki_view passphrase = {NULL, 0};
    const char *format = options_string(L, 2, "format", NULL);
    bool traditional =
        format != NULL &&
        strcmp(choice(L, "format", format, formats, "pkcs8, traditional"), "traditional") == 0;
    passphrase_check(L, 2);
    pki_buffer *pem = scratch_buffer(L);
    pki_begin(fault);
    passphrase_outcome outcome = passphrase_ask(L, 2, &passphrase, fault);
    if (outcome == PASSPHRASE_FAULT) {
        return NULL;
    }
    if (outcome == PASSPHRASE_GIVEN && passphrase.length == 0) {
        (void)pki_fail(fault, PKI_PASSPHRASE_REQUIRED, "the passphrase is empty");
        return NULL;
    }
    /* A function that has none to give must not lead to a key in the clear. */
    if (outcome == PASSPHRASE_NONE && passphrase_asked_for(L, 2)) {
        (void)pki_fail(fault, PKI_PASSPHRASE_REQUIRED, "the passphrase function gave none");
        return NULL;
    }
    bool done = pki_key_pem(self(L), traditional, outcome == PASSPHRASE_GIVEN ? &passphrase : NULL,
                            pem, fault);
    return done ? pem : NULL;
}

/***
The key as PEM: PKCS#8, or SEC1 and PKCS#1 where `format` is "traditional". With a passphrase it is
encrypted: AES-256-CBC, PBKDF2-HMAC-SHA256 with 600 000 iterations.
@function key:pem
@tparam[opt] table options `format` ("pkcs8" or "traditional"), `passphrase`, `passphrase_file`,
`passphrase_env`
@treturn[1] string
@treturn[2] nil
@treturn[2] fault
*/
static int key_pem(lua_State *L) {
    pki_fault fault;
    (void)self(L);
    lua_settop(L, 2);
    options_check(L, 2, pem_options);
    const pki_buffer *pem = encode(L, &fault);
    if (pem == NULL) {
        return fault_push(L, &fault, NULL);
    }
    lua_pushlstring(L, (const char *)pem->data, pem->length);
    return 1;
}

static mode_t take_mode(lua_State *L, const char *option, lua_Integer otherwise, lua_Integer most) {
    lua_Integer mode = otherwise;
    (void)options_integer(L, 2, option, &mode);
    if (mode < 0 || (mode & ~most) != 0) {
        char text[8];
        (void)snprintf(text, sizeof text, "%04o", (unsigned)most);
        (void)luaL_argerror(
            L, 1, lua_pushfstring(L, "option '%s' must have no bits but %s's", option, text));
    }
    return (mode_t)mode;
}

/***
Writes the key to a file: whole or not at all, never through a Lua string.
@function key:write
@tparam string path
@tparam[opt] table options as for `pem`, `overwrite` (false by default) and `mode` (0600 by default; the owner and
the group may get more or less, others nothing)
@treturn[1] boolean true
@treturn[2] nil
@treturn[2] fault `already_exists`, `permission_denied`, `no_space`, `symbolic_link`, …
*/
static int key_write(lua_State *L) {
    pki_fault fault;
    (void)self(L);
    const char *path = check_path(L, 2);
    lua_settop(L, 3);
    lua_rotate(L, 2, 1); /* the options to 2, the path to 3 */
    options_check(L, 2, write_options);
    bool overwrite = options_boolean(L, 2, "overwrite", false);
    mode_t mode = take_mode(L, "mode", 0600, 0660);
    const pki_buffer *pem = encode(L, &fault);
    if (pem == NULL || !pki_file_write(path, pem->data, pem->length, mode, overwrite, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* true, and what was mended first: nil for nothing. */
static int push_found(lua_State *L, pki_pair_found found) {
    lua_pushboolean(L, 1);
    lua_pushstring(L, found == PKI_PAIR_UNDONE     ? "undone"
                      : found == PKI_PAIR_FINISHED ? "finished"
                                                   : NULL);
    return 2;
}

/***
Writes the key and its certificate as a pair: a crash between the two leaves the old pair usable,
and the next call says what it found. The way there is in src/pki/pair.h.
@function key:write_pair
@tparam string path of the key
@tparam string certificate_path
@tparam string certificate_pem
@tparam[opt] table options as for `write`, and `certificate_mode` (0644 by default)
@treturn[1] boolean true
@treturn[1] ?string "undone" or "finished": what an interrupted write of before was mended to
@treturn[2] nil
@treturn[2] fault as for `write`, and `busy`
*/
static int key_write_pair(lua_State *L) {
    pki_fault fault;
    pki_pair_found found = PKI_PAIR_CLEAN;
    (void)self(L);
    pki_pair_half key = {.path = check_path(L, 2)};
    pki_pair_half certificate = {.path = check_path(L, 3)};
    certificate.content = check_text(L, 4, &certificate.length);
    lua_settop(L, 5);
    lua_rotate(L, 2, 1); /* the options to 2 */
    options_check(L, 2, pair_options);
    bool overwrite = options_boolean(L, 2, "overwrite", false);
    key.mode = take_mode(L, "mode", 0600, 0660);
    certificate.mode = take_mode(L, "certificate_mode", 0644, 0666);
    const pki_buffer *pem = encode(L, &fault);
    if (pem == NULL) {
        return fault_push(L, &fault, NULL);
    }
    key.content = pem->data;
    key.length = pem->length;
    if (!pki_pair_write(&key, &certificate, overwrite, &found, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    return push_found(L, found);
}

/***
Mends what an interrupted `key:write_pair` left at these paths, and writes nothing else.
@function mend_pair
@tparam string path of the key
@tparam string certificate_path
@treturn[1] boolean true
@treturn[1] ?string "undone" or "finished"; nil where there was nothing to mend
@treturn[2] nil
@treturn[2] fault
*/
static int key_mend_pair(lua_State *L) {
    pki_fault fault;
    pki_pair_found found = PKI_PAIR_CLEAN;
    const char *path = check_path(L, 1);
    const char *certificate_path = check_path(L, 2);
    pki_begin(&fault);
    if (!pki_pair_mend(path, certificate_path, &found, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    return push_found(L, found);
}

/***
The key as DER: PKCS#8, or SubjectPublicKeyInfo for a public key.
@function key:der
@treturn string
*/
static int key_der(lua_State *L) {
    pki_fault fault;
    EVP_PKEY *key = self(L);
    pki_buffer *der = scratch_buffer(L);
    pki_begin(&fault);
    if (!pki_key_der(key, der, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    lua_pushlstring(L, (const char *)der->data, der->length);
    return 1;
}

/***
The public half, as a key of its own.
@function key:public
@treturn key
*/
static int key_public(lua_State *L) {
    pki_fault fault;
    EVP_PKEY *key = self(L);
    void **box = box_push(L, &box_key);
    pki_begin(&fault);
    EVP_PKEY *public_key = pki_key_public(key, &fault);
    if (public_key == NULL) {
        return fault_push(L, &fault, NULL);
    }
    box_fill(box, &box_key, public_key);
    return 1;
}

/***
@function key:type
@treturn string "ec", "rsa" or "ed25519"
*/
static int key_type(lua_State *L) {
    pki_fault fault;
    pki_key_kind kind;
    if (!describe(L, &kind, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    lua_pushstring(L, kind.type);
    return 1;
}

/***
@function key:bits
@treturn integer the size of the RSA modulus or of the curve
*/
static int key_bits(lua_State *L) {
    pki_fault fault;
    pki_key_kind kind;
    if (!describe(L, &kind, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    lua_pushinteger(L, kind.bits);
    return 1;
}

/***
@function key:curve
@treturn ?string "P-256", "P-384", "P-521" or another name; nil for a key that is not EC
*/
static int key_curve(lua_State *L) {
    pki_fault fault;
    pki_key_kind kind;
    if (!describe(L, &kind, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    lua_pushstring(L, kind.curve); /* nil for NULL */
    return 1;
}

/***
@function key:is_private
@treturn boolean
*/
static int key_is_private(lua_State *L) {
    pki_fault fault;
    pki_key_kind kind;
    if (!describe(L, &kind, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    lua_pushboolean(L, kind.private_key);
    return 1;
}

/***
Whether this is the key of a certificate, a CSR or another key.
@function key:matches
@param other certificate, csr or key
@treturn boolean
*/
static int key_matches(lua_State *L) {
    EVP_PKEY *key = self(L);
    pki_fault fault;
    X509 *certificate = box_test(L, 2, &box_certificate);
    X509_REQ *csr = box_test(L, 2, &box_csr);
    EVP_PKEY *other = box_test(L, 2, &box_key);
    luaL_argexpected(L, certificate != NULL || csr != NULL || other != NULL, 2,
                     "tcpki.certificate, tcpki.csr or tcpki.key");
    pki_begin(&fault);
    EVP_PKEY *owned = NULL;
    if (certificate != NULL) {
        other = X509_get0_pubkey(certificate); /* guarded when it was parsed */
    } else if (csr != NULL) {
        other = owned = pki_csr_public_key(csr, &fault);
    }
    lua_pushboolean(L, other != NULL && EVP_PKEY_eq(key, other) == 1);
    EVP_PKEY_free(owned);
    pki_begin(&fault);
    return 1;
}

/***
The SHA-256 of SubjectPublicKeyInfo, the same for a key, its public half and its certificates.
@function key:fingerprint
@treturn string lowercase hex
*/
static int key_fingerprint(lua_State *L) {
    pki_fault fault;
    char text[2 * EVP_MAX_MD_SIZE + 1];
    EVP_PKEY *key = self(L);
    pki_begin(&fault);
    if (!pki_key_fingerprint(key, text, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    lua_pushstring(L, text);
    return 1;
}

/***
The text that the key was read from, to the byte.
@function key:source
@treturn ?string nil for a key that was generated
*/
static int key_source(lua_State *L) {
    (void)self(L);
    (void)box_source(L, 1);
    const pki_buffer *source = luaL_testudata(L, -1, "tcpki.buffer");
    if (source != NULL) {
        lua_pushlstring(L, (const char *)source->data, source->length);
    }
    return 1;
}

static int key_close(lua_State *L) {
    (void)box_close(L, &box_key);
    (void)box_source(L, 1);
    pki_buffer *source = luaL_testudata(L, -1, "tcpki.buffer");
    if (source != NULL) {
        pki_buffer_free(source);
    }
    return 0;
}

static int key_tostring(lua_State *L) {
    pki_fault fault;
    pki_key_kind kind;
    void **box = luaL_checkudata(L, 1, box_key.name);
    if (*box == NULL) {
        lua_pushliteral(L, "tcpki.key (closed)");
        return 1;
    }
    if (!describe(L, &kind, &fault)) {
        lua_pushliteral(L, "tcpki.key");
        return 1;
    }
    const char *half = kind.private_key ? "" : ", public";
    if (kind.curve != NULL) {
        lua_pushfstring(L, "tcpki.key (ec %s%s)", kind.curve, half);
    } else if (strcmp(kind.type, "rsa") == 0) {
        lua_pushfstring(L, "tcpki.key (rsa %d%s)", kind.bits, half);
    } else {
        lua_pushfstring(L, "tcpki.key (%s%s)", kind.type, half);
    }
    return 1;
}

static int key_equal(lua_State *L) {
    EVP_PKEY *one = box_check(L, 1, &box_key);
    EVP_PKEY *other = box_test(L, 2, &box_key);
    pki_fault fault;
    lua_pushboolean(L, other != NULL && EVP_PKEY_eq(one, other) == 1);
    pki_begin(&fault); /* drops what a comparison of different types leaves in libcrypto's queue */
    return 1;
}

static const luaL_Reg functions[] = {{"generate", key_generate},
                                     {"parse", key_parse},
                                     {"read", key_read},
                                     {"mend_pair", key_mend_pair},
                                     {NULL, NULL}};

static const luaL_Reg methods[] = {{"pem", key_pem},
                                   {"der", key_der},
                                   {"write", key_write},
                                   {"write_pair", key_write_pair},
                                   {"public", key_public},
                                   {"type", key_type},
                                   {"bits", key_bits},
                                   {"curve", key_curve},
                                   {"matches", key_matches},
                                   {"fingerprint", key_fingerprint},
                                   {"source", key_source},
                                   {"close", key_close},
                                   {"is_private", key_is_private},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__gc", key_close},
                                       {"__close", key_close},
                                       {"__tostring", key_tostring},
                                       {"__eq", key_equal},
                                       {NULL, NULL}};

void key_open(lua_State *L) {
    box_register(L, &box_key, methods, metamethods);
    luaL_newlib(L, functions);
}

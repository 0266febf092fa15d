/***
X.509 certificates.
@module tcpki.certificate
*/
#include "../pki/certificate.h"

#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "../pki/extension.h"
#include "../pki/key.h"
#include "../pki/name.h"
#include "../pki/pem.h"
#include "core.h"
#include "lists.h"

static void release(void *object) {
    X509_free(object);
}

box_kind box_certificate = {"tcpki.certificate", release, 0};

static X509 *self(lua_State *L) {
    return box_check(L, 1, &box_certificate);
}

static void *parser(const char *text, size_t length, pki_fault *fault) {
    return pki_certificate_parse(text, length, fault);
}

/***
Reads exactly one certificate from text.
@function parse
@tparam string text PEM or DER
@treturn[1] certificate
@treturn[2] nil
@treturn[2] fault `empty`, `not_pem`, `bad_pem`, `bad_der`, `trailing_data`, `wrong_kind`, `several`
*/
static int certificate_parse(lua_State *L) {
    return parse_text(L, &box_certificate, parser);
}

/***
Reads exactly one certificate from a file.
@function read
@tparam string path
@treturn[1] certificate
@treturn[2] nil
@treturn[2] fault with the path
*/
static int certificate_read(lua_State *L) {
    return read_text(L, &box_certificate, parser);
}

/* Appends the certificate of one block to the array at index, with the block as its source. */
static bool append(lua_State *L, int index, const char *text, const pki_pem_part *block,
                   const pki_buffer *der, pki_fault *fault) {
    void **box = box_push(L, &box_certificate);
    X509 *certificate = pki_certificate_from_der(der->data, der->length, fault);
    if (certificate == NULL) {
        return false;
    }
    box_fill(box, &box_certificate, certificate);
    lua_pushlstring(L, text + block->begin, block->end - block->begin);
    (void)lua_setiuservalue(L, -2, 1);
    lua_rawseti(L, index, (lua_Integer)lua_rawlen(L, index) + 1);
    return true;
}

/***
Reads all certificates of a text, in order. Anything else in armour is refused: a key in a bundle
is a mistake that must not pass in silence.
@function parse_all
@tparam string text PEM, or the DER of one certificate
@treturn[1] {certificate,…} each with its own block as source
@treturn[2] nil
@treturn[2] fault
*/
static int certificate_parse_all(lua_State *L) {
    pki_fault fault;
    size_t length = 0;
    pki_pem_reader reader;
    pki_pem_part block;
    const char *text = check_text(L, 1, &length);
    lua_settop(L, 1);
    lua_newtable(L);
    pki_buffer *der = scratch_buffer(L);
    pki_begin(&fault);
    if (pki_pem_is_der(text, length)) {
        block = (pki_pem_part){.begin = 0, .end = length};
        if (!pki_buffer_copy(der, text, length, &fault) ||
            !append(L, 2, text, &block, der, &fault)) {
            return fault_push(L, &fault, NULL);
        }
        lua_settop(L, 2);
        return 1;
    }
    pki_pem_open(&reader, text, length);
    while (pki_pem_next(&reader, &block, &fault) == PKI_PEM_READ) {
        *der = block.der;
        if (strcmp(block.label, "CERTIFICATE") != 0) {
            (void)pki_fail(&fault, PKI_WRONG_KIND, "it holds a %s among the certificates",
                           block.label);
            pki_fault_set_hint(&fault, "keep certificates and keys in files of their own");
        }
        if (fault.code != PKI_OK || !append(L, 2, text, &block, der, &fault)) {
            fault.line = block.line;
            break;
        }
        pki_buffer_free(der);
    }
    if (fault.code != PKI_OK) {
        return fault_push(L, &fault, NULL);
    }
    lua_settop(L, 2);
    return 1;
}

/* ---- making ---- */

static const char *const make_options[] = {"subject",
                                           "subject_alt_names",
                                           "serial",
                                           "not_before",
                                           "not_after",
                                           "key_usage",
                                           "extended_key_usage",
                                           "basic_constraints",
                                           "name_constraints",
                                           "crl_distribution_points",
                                           "extensions",
                                           "public_key",
                                           "issuer",
                                           "issuer_key",
                                           "digest",
                                           NULL};

static unsigned take_key_usage(lua_State *L) {
    unsigned bits = 0;
    const pki_list *words = take_words(L, 1, "key_usage");
    for (size_t i = 0; i < words->count; i++) {
        int bit = pki_key_usage_bit(pki_item_value(words, i));
        if (bit < 0) {
            (void)luaL_argerror(
                L, 1, lua_pushfstring(L, "'%s' is not a key usage", pki_item_value(words, i)));
        }
        bits |= 1U << bit;
    }
    return bits;
}

static void take_basic_constraints(lua_State *L, pki_certificate_template *form) {
    static const char *const known[] = {"ca", "path_length", NULL};
    lua_Integer path_length = -1;
    form->path_length = -1;
    if (options_table(L, 1, "basic_constraints")) {
        int index = lua_gettop(L);
        options_check(L, index, known);
        form->authority = options_boolean(L, index, "ca", false);
        if (options_integer(L, index, "path_length", &path_length)) {
            luaL_argcheck(L, path_length >= 0 && path_length <= 100, 1,
                          "option 'path_length' must be from 0 to 100");
        }
        form->path_length = (long)path_length;
    }
    lua_pop(L, 1);
}

static void take_name_constraints(lua_State *L, pki_certificate_template *form) {
    static const char *const known[] = {"permitted", "excluded", NULL};
    bool given = options_table(L, 1, "name_constraints");
    int index = lua_gettop(L);
    if (given) {
        options_check(L, index, known);
    }
    form->permitted = take_general_names(L, index, "permitted");
    form->excluded = take_general_names(L, index, "excluded");
}

static void *take_box(lua_State *L, const char *option, const box_kind *kind) {
    void *object = NULL;
    if (lua_getfield(L, 1, option) != LUA_TNIL) {
        void **box = luaL_testudata(L, -1, kind->name);
        if (box == NULL || *box == NULL) {
            (void)luaL_argerror(
                L, 1, lua_pushfstring(L, "option '%s' must be an open %s", option, kind->name));
        } else {
            object = *box;
        }
    }
    lua_pop(L, 1);
    return object;
}

/***
Makes and signs a certificate from what is given, and no more: version 3, SKI and AKI added. The
profiles and the checks against the issuer are in `tcpki.authority`.
@function make
@tparam table options `subject`, `subject_alt_names`, `serial` (hex; random by default),
`not_before`, `not_after` (seconds since the epoch), `key_usage`, `extended_key_usage` (words or
OIDs), `basic_constraints` ({ca =, path_length =}), `name_constraints` ({permitted =, excluded =}),
`crl_distribution_points`, `extensions` ({{oid =, der =, critical =}}), `public_key`, `issuer`
(none for self-signed), `issuer_key`, `digest` ("SHA256" by default)
@treturn[1] certificate
@treturn[2] nil
@treturn[2] fault `bad_name`, `bad_time`, `bad_extension`, …
*/
static int certificate_make(lua_State *L) {
    pki_fault fault;
    pki_certificate_template form = {0};
    lua_Integer not_before = 0;
    lua_Integer not_after = 0;
    lua_settop(L, 1);
    luaL_checktype(L, 1, LUA_TTABLE);
    options_check(L, 1, make_options);
    form.serial = options_string(L, 1, "serial", NULL);
    form.digest = options_string(L, 1, "digest", NULL);
    luaL_argcheck(L,
                  options_integer(L, 1, "not_before", &not_before) &&
                      options_integer(L, 1, "not_after", &not_after),
                  1, "options 'not_before' and 'not_after' are needed");
    form.not_before = not_before;
    form.not_after = not_after;
    form.public_key = take_box(L, "public_key", &box_key);
    form.issuer = take_box(L, "issuer", &box_certificate);
    form.issuer_key = take_box(L, "issuer_key", &box_key);
    luaL_argcheck(L, form.public_key != NULL && form.issuer_key != NULL, 1,
                  "options 'public_key' and 'issuer_key' are needed");
    take_basic_constraints(L, &form);
    form.key_usage = take_key_usage(L);
    form.subject = take_name(L, 1, "subject");
    form.subject_alt_names = take_general_names(L, 1, "subject_alt_names");
    form.extended_key_usage = take_words(L, 1, "extended_key_usage");
    form.crl_distribution_points = take_words(L, 1, "crl_distribution_points");
    form.extensions = take_extensions(L, 1, "extensions");
    take_name_constraints(L, &form);
    void **box = box_push(L, &box_certificate);
    pki_begin(&fault);
    X509 *certificate = pki_certificate_make(&form, &fault);
    if (certificate == NULL) {
        return fault_push(L, &fault, NULL);
    }
    box_fill(box, &box_certificate, certificate);
    return 1;
}

/* ---- fields ---- */

static int name_of(lua_State *L, const X509_NAME *name) {
    pki_fault fault;
    char text[1024];
    pki_list *entries = scratch_list(L);
    pki_begin(&fault);
    if (!pki_name_read(name, entries, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    pki_name_text(name, text, sizeof text);
    push_name(L, entries, text);
    return 1;
}

/***
The subject: an array of {type =, value =} in encoded order that also has the first value of each
short name (`subject.CN`); `tostring` gives "C=US, O=Acme, CN=worker". An entry that shares its
RDN with the one before it, as in "CN=worker + UID=7", has `joined = true`.
@function certificate:subject
@treturn[1] table
@treturn[2] nil
@treturn[2] fault `bad_name`
*/
static int certificate_subject(lua_State *L) {
    return name_of(L, X509_get_subject_name(self(L)));
}

/***
The issuer, in the same form.
@function certificate:issuer
@treturn[1] table
@treturn[2] nil
@treturn[2] fault `bad_name`
*/
static int certificate_issuer(lua_State *L) {
    return name_of(L, X509_get_issuer_name(self(L)));
}

/***
@function certificate:serial
@treturn string lowercase hex
*/
static int certificate_serial(lua_State *L) {
    pki_fault fault;
    X509 *certificate = self(L);
    pki_buffer *text = scratch_buffer(L);
    pki_begin(&fault);
    text->data = (unsigned char *)pki_serial_text(X509_get0_serialNumber(certificate), &fault);
    if (text->data == NULL) {
        return fault_push(L, &fault, NULL);
    }
    text->length = strlen((char *)text->data);
    lua_pushlstring(L, (const char *)text->data, text->length);
    return 1;
}

/***
@function certificate:version
@treturn integer 1 to 3
*/
static int certificate_version(lua_State *L) {
    lua_pushinteger(L, X509_get_version(self(L)) + 1);
    return 1;
}

static int time_of(lua_State *L, const ASN1_TIME *time) {
    pki_fault fault;
    long long seconds = 0;
    pki_begin(&fault);
    if (!pki_time_read(time, &seconds, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    lua_pushinteger(L, seconds);
    return 1;
}

/***
@function certificate:not_before
@treturn integer seconds since the epoch, UTC
*/
static int certificate_not_before(lua_State *L) {
    return time_of(L, X509_get0_notBefore(self(L)));
}

/***
@function certificate:not_after
@treturn integer seconds since the epoch, UTC
*/
static int certificate_not_after(lua_State *L) {
    return time_of(L, X509_get0_notAfter(self(L)));
}

/***
@function certificate:expires_in
@tparam[opt] integer at seconds since the epoch; now by default
@treturn integer seconds left, negative once expired
*/
static int certificate_expires_in(lua_State *L) {
    const X509 *certificate = self(L);
    lua_Integer at = luaL_optinteger(L, 2, (lua_Integer)time(NULL));
    int results = time_of(L, X509_get0_notAfter(certificate));
    if (results == 1) {
        lua_pushinteger(L, lua_tointeger(L, -1) - at);
    }
    return results;
}

/***
@function certificate:signature_algorithm
@treturn string as libcrypto names it, "ecdsa-with-SHA256"
*/
static int certificate_signature_algorithm(lua_State *L) {
    char text[128];
    const X509_ALGOR *algorithm = NULL;
    const ASN1_OBJECT *object = NULL;
    X509_get0_signature(NULL, &algorithm, self(L));
    X509_ALGOR_get0(&object, NULL, NULL, algorithm);
    int nid = OBJ_obj2nid(object);
    if (nid != NID_undef) {
        lua_pushstring(L, OBJ_nid2ln(nid));
    } else {
        (void)OBJ_obj2txt(text, sizeof text, object, 1);
        lua_pushstring(L, text);
    }
    return 1;
}

/***
The public key.
@function certificate:public_key
@treturn[1] key
@treturn[2] nil
@treturn[2] fault `unsupported_key`
*/
static int certificate_public_key(lua_State *L) {
    pki_fault fault;
    X509 *certificate = self(L);
    void **box = box_push(L, &box_key);
    pki_begin(&fault);
    EVP_PKEY *key = X509_get_pubkey(certificate);
    if (key == NULL) {
        (void)pki_fail_libcrypto(&fault, PKI_UNSUPPORTED_KEY,
                                 "the public key of the certificate cannot be used");
        return fault_push(L, &fault, NULL);
    }
    box_fill(box, &box_key, key);
    return 1;
}

typedef bool (*list_reader)(const pki_extensions *all, bool *present, pki_list *list,
                            pki_fault *fault);
typedef void (*list_pusher)(lua_State *L, const pki_list *list);

/* An extension that reads as a list: nil where it is absent. */
static int extension_of(lua_State *L, list_reader reader, list_pusher pusher) {
    pki_fault fault;
    bool present = false;
    const pki_extensions *all = X509_get0_extensions(self(L));
    pki_list *list = scratch_list(L);
    pki_begin(&fault);
    if (!reader(all, &present, list, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    if (present) {
        pusher(L, list);
    } else {
        lua_pushnil(L);
    }
    scratch_keep(L, lua_gettop(L) - 1);
    return 1;
}

static void push_first(lua_State *L, const pki_list *list) {
    lua_pushstring(L, pki_item_value(list, 0));
}

/***
@function certificate:key_usage
@treturn ?table of words: digital_signature, key_encipherment, key_cert_sign, crl_sign, …; nil where
the extension is absent
*/
static int certificate_key_usage(lua_State *L) {
    return extension_of(L, pki_extension_key_usage, push_values);
}

/***
@function certificate:extended_key_usage
@treturn ?table of words (client_auth, server_auth, …) or OIDs; nil where the extension is absent
*/
static int certificate_extended_key_usage(lua_State *L) {
    return extension_of(L, pki_extension_extended_key_usage, push_values);
}

/***
The subject alternative names, all of them, in order and full length.
@function certificate:subject_alt_names
@treturn[1] ?table of {type = "dns"|"ip"|"uri"|"email"|"directory"|"registered_id"|"other", value =}
@treturn[2] nil
@treturn[2] fault `bad_name` where one contains a NUL
*/
static int certificate_subject_alt_names(lua_State *L) {
    return extension_of(L, pki_extension_subject_alt_names, push_typed);
}

/***
@function certificate:subject_key_id
@treturn ?string lowercase hex
*/
static int certificate_subject_key_id(lua_State *L) {
    return extension_of(L, pki_extension_subject_key_id, push_first);
}

/***
@function certificate:authority_key_id
@treturn ?string lowercase hex
*/
static int certificate_authority_key_id(lua_State *L) {
    return extension_of(L, pki_extension_authority_key_id, push_first);
}

/***
@function certificate:crl_distribution_points
@treturn ?table of {type = "uri", value =}
*/
static int certificate_crl_distribution_points(lua_State *L) {
    return extension_of(L, pki_extension_crl_distribution_points, push_typed);
}

/***
@function certificate:basic_constraints
@treturn ?table {ca = boolean, path_length = integer or nil}; nil where the extension is absent
*/
static int certificate_basic_constraints(lua_State *L) {
    pki_fault fault;
    bool present = false;
    bool authority = false;
    long path_length = -1;
    pki_begin(&fault);
    if (!pki_extension_basic_constraints(X509_get0_extensions(self(L)), &present, &authority,
                                         &path_length, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    if (!present) {
        lua_pushnil(L);
        return 1;
    }
    lua_createtable(L, 0, 2);
    lua_pushboolean(L, authority);
    lua_setfield(L, -2, "ca");
    if (path_length >= 0) {
        lua_pushinteger(L, path_length);
        lua_setfield(L, -2, "path_length");
    }
    return 1;
}

/***
@function certificate:name_constraints
@treturn ?table {permitted = {{type =, value =}, …}, excluded = {…}}; nil where the extension is absent
*/
static int certificate_name_constraints(lua_State *L) {
    pki_fault fault;
    bool present = false;
    const pki_extensions *all = X509_get0_extensions(self(L));
    pki_list *permitted = scratch_list(L);
    pki_list *excluded = scratch_list(L);
    pki_begin(&fault);
    if (!pki_extension_name_constraints(all, &present, permitted, excluded, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    if (!present) {
        lua_pushnil(L);
        return 1;
    }
    lua_createtable(L, 0, 2);
    push_typed(L, permitted);
    lua_setfield(L, -2, "permitted");
    push_typed(L, excluded);
    lua_setfield(L, -2, "excluded");
    return 1;
}

static bool read_extensions(const pki_extensions *all, bool *present, pki_list *list,
                            pki_fault *fault) {
    *present = true;
    return pki_extension_list(all, list, fault);
}

/***
Every extension, known or not.
@function certificate:extensions
@treturn table of {oid =, name =, critical =, der =}
*/
static int certificate_extensions(lua_State *L) {
    return extension_of(L, read_extensions, push_extensions);
}

/***
@function certificate:fingerprint
@tparam[opt] string digest "sha256" (the default) or "sha1"
@treturn string lowercase hex
*/
static int certificate_fingerprint(lua_State *L) {
    static const char *const names[] = {"sha256", "sha1", NULL};
    pki_fault fault;
    char text[2 * EVP_MAX_MD_SIZE + 1];
    const X509 *certificate = self(L);
    int which = luaL_checkoption(L, 2, "sha256", names);
    pki_begin(&fault);
    if (!pki_certificate_fingerprint(certificate, which == 0 ? EVP_sha256() : EVP_sha1(), text,
                                     &fault)) {
        return fault_push(L, &fault, NULL);
    }
    lua_pushstring(L, text);
    return 1;
}

/***
Whether the other certificate issued this one: by name, key identifier, CA bit and signature.
@function certificate:issued_by
@tparam certificate other
@treturn boolean
*/
static int certificate_issued_by(lua_State *L) {
    pki_fault fault;
    X509 *certificate = self(L);
    X509 *other = box_check(L, 2, &box_certificate);
    lua_pushboolean(L, pki_certificate_issued_by(certificate, other));
    pki_begin(&fault);
    return 1;
}

/***
Whether the certificate is signed by its own key.
@function certificate:self_signed
@treturn boolean
*/
static int certificate_self_signed(lua_State *L) {
    pki_fault fault;
    X509 *certificate = self(L);
    lua_pushboolean(L, X509_self_signed(certificate, 1) == 1);
    pki_begin(&fault);
    return 1;
}

/***
Whether the name constraints of this certificate permit the names of another.
@function certificate:permits
@tparam certificate other
@treturn[1] boolean true
@treturn[2] nil
@treturn[2] fault `name_not_permitted`
*/
static int certificate_permits(lua_State *L) {
    pki_fault fault;
    X509 *certificate = self(L);
    X509 *other = box_check(L, 2, &box_certificate);
    pki_begin(&fault);
    if (!pki_certificate_permits(certificate, other, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/***
The certificate as text for people, as `openssl x509 -text` shows it.
@function certificate:text
@treturn string
*/
static int certificate_text(lua_State *L) {
    pki_fault fault;
    X509 *certificate = self(L);
    pki_buffer *text = scratch_buffer(L);
    pki_begin(&fault);
    if (!pki_certificate_text(certificate, text, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    lua_pushlstring(L, (const char *)text->data, text->length);
    return 1;
}

/* The DER of the certificate at 1; what owns it is pushed. */
static bool der_of(lua_State *L, pki_view *der, pki_fault *fault) {
    const X509 *certificate = self(L);
    pki_buffer *owner = scratch_buffer(L);
    pki_begin(fault);
    bool done = pki_certificate_der(certificate, der, &owner->data, fault);
    owner->length = owner->data == NULL ? 0 : der->length;
    return done;
}

/***
The DER that was read, to the byte.
@function certificate:der
@treturn string
*/
static int certificate_der(lua_State *L) {
    pki_fault fault;
    pki_view der = {NULL, 0};
    if (!der_of(L, &der, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    lua_pushlstring(L, (const char *)der.data, der.length);
    return 1;
}

/***
Canonical PEM: RFC 7468 strict, 64 columns, LF, a final newline.
@function certificate:pem
@treturn string
*/
static int certificate_pem(lua_State *L) {
    pki_fault fault;
    pki_view der = {NULL, 0};
    if (!der_of(L, &der, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    return push_pem(L, "CERTIFICATE", der.data, der.length);
}

/***
Writes canonical PEM to a file of mode 0644: whole or not at all.
@function certificate:write
@tparam string path
@tparam[opt] table options `overwrite` (false by default)
@treturn[1] boolean true
@treturn[2] nil
@treturn[2] fault
*/
static int certificate_write(lua_State *L) {
    pki_fault fault;
    pki_view der = {NULL, 0};
    (void)self(L);
    (void)check_write(L);
    if (!der_of(L, &der, &fault)) {
        return fault_push(L, &fault, NULL);
    }
    return write_pem(L, "CERTIFICATE", der.data, der.length);
}

/***
The text that the certificate was read from, to the byte.
@function certificate:source
@treturn ?string nil for a certificate that was made
*/
static int certificate_source(lua_State *L) {
    (void)self(L);
    return box_source(L, 1);
}

static int certificate_close(lua_State *L) {
    return box_close(L, &box_certificate);
}

static int certificate_tostring(lua_State *L) {
    char text[512];
    void **box = luaL_checkudata(L, 1, box_certificate.name);
    if (*box == NULL) {
        lua_pushliteral(L, "tcpki.certificate (closed)");
    } else {
        pki_name_text(X509_get_subject_name(*box), text, sizeof text);
        lua_pushfstring(L, "tcpki.certificate (%s)", text);
    }
    return 1;
}

static int certificate_equal(lua_State *L) {
    const X509 *one = box_check(L, 1, &box_certificate);
    const X509 *other = box_test(L, 2, &box_certificate);
    lua_pushboolean(L, other != NULL && pki_certificate_equal(one, other));
    return 1;
}

static const luaL_Reg functions[] = {{"parse", certificate_parse},
                                     {"parse_all", certificate_parse_all},
                                     {"read", certificate_read},
                                     {"make", certificate_make},
                                     {NULL, NULL}};

static const luaL_Reg methods[] = {{"subject", certificate_subject},
                                   {"issuer", certificate_issuer},
                                   {"serial", certificate_serial},
                                   {"version", certificate_version},
                                   {"not_before", certificate_not_before},
                                   {"not_after", certificate_not_after},
                                   {"expires_in", certificate_expires_in},
                                   {"signature_algorithm", certificate_signature_algorithm},
                                   {"public_key", certificate_public_key},
                                   {"key_usage", certificate_key_usage},
                                   {"extended_key_usage", certificate_extended_key_usage},
                                   {"basic_constraints", certificate_basic_constraints},
                                   {"subject_alt_names", certificate_subject_alt_names},
                                   {"subject_key_id", certificate_subject_key_id},
                                   {"authority_key_id", certificate_authority_key_id},
                                   {"name_constraints", certificate_name_constraints},
                                   {"crl_distribution_points", certificate_crl_distribution_points},
                                   {"extensions", certificate_extensions},
                                   {"fingerprint", certificate_fingerprint},
                                   {"issued_by", certificate_issued_by},
                                   {"self_signed", certificate_self_signed},
                                   {"permits", certificate_permits},
                                   {"text", certificate_text},
                                   {"der", certificate_der},
                                   {"pem", certificate_pem},
                                   {"write", certificate_write},
                                   {"source", certificate_source},
                                   {"close", certificate_close},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__gc", certificate_close},
                                       {"__close", certificate_close},
                                       {"__tostring", certificate_tostring},
                                       {"__eq", certificate_equal},
                                       {NULL, NULL}};

void certificate_open(lua_State *L) {
    box_register(L, &box_certificate, methods, metamethods);
    luaL_newlib(L, functions);
}

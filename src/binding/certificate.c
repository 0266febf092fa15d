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
#include "fields.h"
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

/* The DER that was read: pki_certificate_der keeps it where it is not what libcrypto writes. */
static bool encode(void *object, pki_buffer *der, pki_fault *fault) {
    pki_view view = {NULL, 0};
    if (!pki_certificate_der(object, &view, &der->data, fault)) {
        return false;
    }
    der->length = view.length;
    return der->data != NULL || pki_buffer_copy(der, view.data, view.length, fault);
}

static const X509_NAME *name(void *object) {
    return X509_get_subject_name(object);
}

static const der_object form = {&box_certificate, "CERTIFICATE", parser, encode};

/***
Reads exactly one certificate from text.
@function parse
@tparam string text PEM or DER
@treturn[1] certificate
@treturn[2] nil
@treturn[2] fault `empty`, `not_pem`, `bad_pem`, `bad_der`, `trailing_data`, `wrong_kind`, `several`
*/
static int certificate_parse(lua_State *L) {
    return der_object_parse(L, &form);
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
    return der_object_read(L, &form);
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
    return field_name(L, X509_get_subject_name(self(L)));
}

/***
The issuer, in the same form.
@function certificate:issuer
@treturn[1] table
@treturn[2] nil
@treturn[2] fault `bad_name`
*/
static int certificate_issuer(lua_State *L) {
    return field_name(L, X509_get_issuer_name(self(L)));
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

/***
@function certificate:not_before
@treturn integer seconds since the epoch, UTC
*/
static int certificate_not_before(lua_State *L) {
    return field_time(L, X509_get0_notBefore(self(L)));
}

/***
@function certificate:not_after
@treturn integer seconds since the epoch, UTC
*/
static int certificate_not_after(lua_State *L) {
    return field_time(L, X509_get0_notAfter(self(L)));
}

/***
@function certificate:expires_in
@tparam[opt] integer at seconds since the epoch; now by default
@treturn integer seconds left, negative once expired
*/
static int certificate_expires_in(lua_State *L) {
    const X509 *certificate = self(L);
    lua_Integer at = luaL_optinteger(L, 2, (lua_Integer)time(NULL));
    int results = field_time(L, X509_get0_notAfter(certificate));
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
The digest in the signature, also where the name of the algorithm does not tell (RSASSA-PSS).
@function certificate:signature_digest
@treturn ?string as libcrypto names it, "SHA256"; nil where there is none (Ed25519) or none that
libcrypto knows
*/
static int certificate_signature_digest(lua_State *L) {
    pki_fault fault;
    int digest = NID_undef;
    X509 *certificate = self(L);
    pki_begin(&fault);
    int known = X509_get_signature_info(certificate, &digest, NULL, NULL, NULL);
    if (known != 1) {
        (void)pki_fail_libcrypto(&fault, PKI_LIBCRYPTO, "the signature is of no known kind");
        if (fault.code == PKI_OUT_OF_MEMORY) {
            return fault_push(L, &fault, NULL);
        }
    }
    pki_begin(&fault);
    lua_pushstring(L, known == 1 && digest != NID_undef ? OBJ_nid2sn(digest) : NULL);
    return 1;
}

/***
The subject as its DER stands in the certificate, to the byte.
@function certificate:subject_der
@treturn[1] string
@treturn[2] nil
@treturn[2] fault
*/
static int certificate_subject_der(lua_State *L) {
    return field_name_der(L, X509_get_subject_name(self(L)));
}

/***
The issuer as its DER stands in the certificate, to the byte. Go finds the issuer of a certificate by
these bytes; OpenSSL by a form in which letter case, blanks and string types do not count.
@function certificate:issuer_der
@treturn[1] string
@treturn[2] nil
@treturn[2] fault
*/
static int certificate_issuer_der(lua_State *L) {
    return field_name_der(L, X509_get_issuer_name(self(L)));
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

static void push_first(lua_State *L, const pki_list *list) {
    lua_pushstring(L, pki_item_value(list, 0));
}

/***
@function certificate:key_usage
@treturn ?table of words: digital_signature, key_encipherment, key_cert_sign, crl_sign, …; nil where
the extension is absent
*/
static int certificate_key_usage(lua_State *L) {
    return field_extension(L, X509_get0_extensions(self(L)), pki_extension_key_usage, push_values);
}

/***
@function certificate:extended_key_usage
@treturn ?table of words (client_auth, server_auth, …) or OIDs; nil where the extension is absent
*/
static int certificate_extended_key_usage(lua_State *L) {
    return field_extension(L, X509_get0_extensions(self(L)), pki_extension_extended_key_usage,
                           push_values);
}

/***
The subject alternative names, all of them, in order and full length.
@function certificate:subject_alt_names
@treturn[1] ?table of {type = "dns"|"ip"|"uri"|"email"|"directory"|"registered_id"|"other", value =}
@treturn[2] nil
@treturn[2] fault `bad_name` where one contains a NUL
*/
static int certificate_subject_alt_names(lua_State *L) {
    return field_extension(L, X509_get0_extensions(self(L)), pki_extension_subject_alt_names,
                           push_typed);
}

/***
@function certificate:subject_key_id
@treturn ?string lowercase hex
*/
static int certificate_subject_key_id(lua_State *L) {
    return field_extension(L, X509_get0_extensions(self(L)), pki_extension_subject_key_id,
                           push_first);
}

/***
@function certificate:authority_key_id
@treturn ?string lowercase hex
*/
static int certificate_authority_key_id(lua_State *L) {
    return field_extension(L, X509_get0_extensions(self(L)), pki_extension_authority_key_id,
                           push_first);
}

/***
@function certificate:crl_distribution_points
@treturn ?table of {type = "uri", value =}
*/
static int certificate_crl_distribution_points(lua_State *L) {
    return field_extension(L, X509_get0_extensions(self(L)), pki_extension_crl_distribution_points,
                           push_typed);
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

/***
Every extension, known or not.
@function certificate:extensions
@treturn table of {oid =, name =, critical =, der =}
*/
static int certificate_extensions(lua_State *L) {
    return field_extensions(L, X509_get0_extensions(self(L)));
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
Whether the signature was made with a key, whatever the names and extensions say.
@function certificate:signed_by
@tparam key key the public or the private one
@treturn boolean
*/
static int certificate_signed_by(lua_State *L) {
    pki_fault fault;
    X509 *certificate = self(L);
    EVP_PKEY *key = box_check(L, 2, &box_key);
    lua_pushboolean(L, X509_verify(certificate, key) == 1);
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
    pki_begin(&fault); /* drops what a damaged extension left in libcrypto's queue */
    lua_pushlstring(L, (const char *)text->data, text->length);
    return 1;
}

/***
The DER that was read, to the byte.
@function certificate:der
@treturn string
*/
static int certificate_der(lua_State *L) {
    return der_object_der(L, &form);
}

/***
Canonical PEM: RFC 7468 strict, 64 columns, LF, a final newline.
@function certificate:pem
@treturn string
*/
static int certificate_pem(lua_State *L) {
    return der_object_pem(L, &form);
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
    return der_object_write(L, &form);
}

/***
The text that the certificate was read from, to the byte.
@function certificate:source
@treturn ?string nil for a certificate that was made
*/
static int certificate_source(lua_State *L) {
    return der_object_source(L, &form);
}

static int certificate_close(lua_State *L) {
    return box_close(L, &box_certificate);
}

static int certificate_tostring(lua_State *L) {
    return der_object_tostring(L, &form, name);
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
                                   {"signature_digest", certificate_signature_digest},
                                   {"subject_der", certificate_subject_der},
                                   {"issuer_der", certificate_issuer_der},
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
                                   {"signed_by", certificate_signed_by},
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

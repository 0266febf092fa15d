#include "record.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONTENT_ALERT = 21, CONTENT_HANDSHAKE = 22 };

/*
** An honest server sends two tickets after the handshake, and a flight of at most seven before. Its
** certificates and its CA names are a hundred kilobytes each at most, or OpenSSL refuses them.
*/
enum { MOST_HANDSHAKE_MESSAGES = 64, MOST_BYTES = 512 * 1024 };

static void name_text(char *text, size_t size, const X509_NAME *name) {
    text[0] = '\0';
    BIO *memory = BIO_new(BIO_s_mem());
    if (memory == NULL) {
        return;
    }
    /* As RFC 4514 escapes it, but readable: "O=Acme, CN=Root", UTF-8 as it is. */
    unsigned long flags = (ASN1_STRFLGS_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) |
                          XN_FLAG_SEP_CPLUS_SPC | XN_FLAG_FN_SN;
    if (name != NULL && X509_NAME_print_ex(memory, name, 0, flags) >= 0) {
        int length = BIO_read(memory, text, (int)size - 1);
        text[length > 0 ? length : 0] = '\0';
    }
    BIO_free(memory);
}

/* Whether a Certificate message of ours holds one: RFC 8446 4.4.2, RFC 5246 7.4.2. */
static bool certificate_is_empty(int version, const unsigned char *message, size_t length) {
    size_t list = version == TLS1_3_VERSION ? 5 : 4;
    return length < list + 3 || (message[list] | message[list + 1] | message[list + 2]) == 0;
}

static void on_message(int sent, int version, int content, const void *data, size_t length,
                       SSL *connection, void *argument) {
    record *seen = argument;
    const unsigned char *message = data;
    (void)connection;
    if (content == CONTENT_ALERT && length == 2) {
        /* Our own good-bye is no evidence. */
        if (seen->alert_count == RECORD_ALERTS || (sent && message[1] == SSL_AD_CLOSE_NOTIFY)) {
            return;
        }
        record_alert *alert = &seen->alerts[seen->alert_count++];
        alert->sent = sent != 0;
        alert->level = message[0];
        alert->number = message[1];
        alert->stage = seen->stage;
    } else if (content == CONTENT_HANDSHAKE && length > 0) {
        if (!sent) {
            seen->handshake_messages++;
            seen->certificate_requested |= message[0] == SSL3_MT_CERTIFICATE_REQUEST;
        } else if (message[0] == SSL3_MT_CERTIFICATE) {
            seen->certificate_sent = !certificate_is_empty(version, message, length);
        }
    }
}

bool record_is_flooded(record *seen) {
    seen->flooded = seen->flooded || seen->handshake_messages > MOST_HANDSHAKE_MESSAGES ||
                    seen->bytes > MOST_BYTES;
    return seen->flooded;
}

bool record_was_alerted(const record *seen) {
    for (size_t i = 0; i < seen->alert_count; i++) {
        /* A warning, such as unrecognized_name, ends nothing. */
        if (!seen->alerts[i].sent && seen->alerts[i].level == SSL3_AL_FATAL) {
            return true;
        }
    }
    return false;
}

/* The bytes before TLS looks at them: they tell plain HTTP, or HTTP/2 without TLS. */
static void keep_bytes(record *seen, const char *bytes, size_t size) {
    size_t room = sizeof seen->first_bytes - seen->first_length;
    size_t length = size < room ? size : room;
    memcpy(seen->first_bytes + seen->first_length, bytes, length);
    seen->first_length += length;
    seen->bytes += size;
}

/*
** OpenSSL skips a HelloRequest amid a handshake and reads on, for as long as the server sends more:
** what ends that is a read that fails. And a write that fails ends a handshake before what the
** server said is read, so it counts as done: the next read tells the same, and the alert first.
*/
static long on_transfer(BIO *connection, int operation, const char *bytes, size_t size, int number,
                        long more, int result, size_t *transferred) {
    (void)number, (void)more;
    record *seen = (record *)(void *)BIO_get_callback_arg(connection);
    if (operation == BIO_CB_READ && record_is_flooded(seen)) {
        BIO_clear_retry_flags(connection);
        return -1;
    }
    if (operation == (BIO_CB_READ | BIO_CB_RETURN) && result > 0 && transferred != NULL) {
        keep_bytes(seen, bytes, *transferred);
    }
    if (operation == (BIO_CB_WRITE | BIO_CB_RETURN) && result <= 0 && transferred != NULL &&
        !BIO_should_retry(connection)) {
        *transferred = size;
        return 1;
    }
    return result;
}

static void keep_chain(record *seen, const STACK_OF(X509) * chain) {
    BIO *memory = BIO_new(BIO_s_mem());
    if (memory == NULL) {
        return;
    }
    for (int i = 0; i < sk_X509_num(chain); i++) {
        (void)PEM_write_bio_X509(memory, sk_X509_value(chain, i));
    }
    char *text = NULL;
    long length = BIO_get_mem_data(memory, &text);
    if (length > 0 && seen->chain == NULL) {
        seen->chain = malloc((size_t)length + 1);
        if (seen->chain != NULL) {
            memcpy(seen->chain, text, (size_t)length);
            seen->chain[length] = '\0';
        }
    }
    BIO_free(memory);
}

/* In place of OpenSSL's own verification, to keep the chain even of a server that is refused. */
static int on_verify(X509_STORE_CTX *store, void *argument) {
    record *seen = argument;
    keep_chain(seen, X509_STORE_CTX_get0_untrusted(store));
    int verified = X509_verify_cert(store);
    seen->verified = true;
    seen->verify_error = X509_STORE_CTX_get_error(store);
    seen->verify_depth = X509_STORE_CTX_get_error_depth(store);
    (void)snprintf(seen->verify_message, sizeof seen->verify_message, "%s",
                   X509_verify_cert_error_string(seen->verify_error));
    X509 *blamed = X509_STORE_CTX_get_current_cert(store);
    if (seen->verify_error != X509_V_OK && blamed != NULL) {
        name_text(seen->verify_subject, sizeof seen->verify_subject, X509_get_subject_name(blamed));
    }
    return verified;
}

void record_attach(record *seen, SSL_CTX *context, SSL *connection) {
    SSL_CTX_set_cert_verify_callback(context, on_verify, seen);
    SSL_set_msg_callback(connection, on_message);
    SSL_set_msg_callback_arg(connection, seen);
    BIO_set_callback_ex(SSL_get_rbio(connection), on_transfer);
    BIO_set_callback_arg(SSL_get_rbio(connection), (char *)seen);
}

static bool has_names(X509 *certificate) {
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    bool found = false;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        int type = sk_GENERAL_NAME_value(names, i)->type;
        found =
            found || type == GEN_DNS || type == GEN_IPADD || type == GEN_URI || type == GEN_EMAIL;
    }
    GENERAL_NAMES_free(names);
    return found;
}

/* As gRPC core looks: it asks the common name where there are no others, and for no address. */
static record_name_in find_name(X509 *certificate, const char *name) {
    unsigned flags = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;
    if (X509_check_ip_asc(certificate, name, 0) == 1 ||
        X509_check_host(certificate, name, 0, flags | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) ==
            1) {
        return RECORD_NAME_IN_SAN;
    }
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(name);
    bool asked = address == NULL && !has_names(certificate);
    ASN1_OCTET_STRING_free(address);
    return asked && X509_check_host(certificate, name, 0, flags, NULL) == 1
               ? RECORD_NAME_IN_COMMON_NAME
               : RECORD_NAME_NOWHERE;
}

void record_handshake(record *seen, SSL *connection, const char *server_name) {
    const char *sent = SSL_get_servername(connection, TLSEXT_NAMETYPE_host_name);
    (void)snprintf(seen->server_name, sizeof seen->server_name, "%s", sent != NULL ? sent : "");
    /* Until the server has chosen a cipher, OpenSSL names the version that we would like best. */
    const SSL_CIPHER *cipher = SSL_get_current_cipher(connection);
    cipher = cipher != NULL ? cipher : SSL_get_pending_cipher(connection);
    if (cipher != NULL) {
        (void)snprintf(seen->version, sizeof seen->version, "%s", SSL_get_version(connection));
        (void)snprintf(seen->cipher, sizeof seen->cipher, "%s", SSL_CIPHER_get_name(cipher));
    }
    /* OpenSSL 3.0 looks for it in a session that it may have had no memory for. */
    int group =
        SSL_get_session(connection) != NULL ? (int)SSL_get_negotiated_group(connection) : NID_undef;
    const char *group_name = group != NID_undef ? OBJ_nid2sn(group) : NULL;
    (void)snprintf(seen->group, sizeof seen->group, "%s", group_name != NULL ? group_name : "");
    const unsigned char *protocol = NULL;
    unsigned length = 0;
    SSL_get0_alpn_selected(connection, &protocol, &length);
    (void)snprintf(seen->alpn, sizeof seen->alpn, "%.*s", (int)length, (const char *)protocol);
    seen->session_resumed = SSL_session_reused(connection) == 1;
    X509 *certificate = SSL_get0_peer_certificate(connection);
    if (certificate != NULL) {
        seen->name_in = find_name(certificate, server_name);
    }
}

static bool is_listed(const X509 *certificate, const X509_NAME *name) {
    return X509_NAME_cmp(X509_get_issuer_name(certificate), name) == 0 ||
           X509_NAME_cmp(X509_get_subject_name(certificate), name) == 0;
}

static bool reaches(SSL *connection, const X509_NAME *name) {
    X509 *leaf = SSL_get_certificate(connection);
    STACK_OF(X509) *rest = NULL;
    if (leaf == NULL) {
        return false;
    }
    if (is_listed(leaf, name)) {
        return true;
    }
    (void)SSL_CTX_get_extra_chain_certs(SSL_get_SSL_CTX(connection), &rest);
    for (int i = 0; i < sk_X509_num(rest); i++) {
        if (is_listed(sk_X509_value(rest, i), name)) {
            return true;
        }
    }
    return false;
}

static void keep_fingerprint(record *seen, const X509 *leaf) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (leaf == NULL || X509_digest(leaf, EVP_sha256(), digest, &length) != 1) {
        return;
    }
    for (unsigned i = 0; i < length && 2 * i + 2 < sizeof seen->fingerprint; i++) {
        (void)snprintf(seen->fingerprint + (size_t)2 * i, 3, "%02x", digest[i]);
    }
}

static void keep_schemes(record *seen, SSL *connection) {
    int count = SSL_get_sigalgs(connection, 0, NULL, NULL, NULL, NULL, NULL);
    for (int i = 0; i < count && i < RECORD_SCHEMES; i++) {
        unsigned char low = 0;
        unsigned char high = 0;
        (void)SSL_get_sigalgs(connection, i, NULL, NULL, NULL, &low, &high);
        seen->schemes[i] = (unsigned short)(high << 8 | low);
        seen->scheme_count = (size_t)i + 1;
    }
}

void record_request(record *seen, SSL *connection) {
    if (seen->certificate_sent) {
        keep_fingerprint(seen, SSL_get_certificate(connection));
    }
    if (seen->certificate_requested) {
        keep_schemes(seen, connection);
    }
    const STACK_OF(X509_NAME) *names = SSL_get0_peer_CA_list(connection);
    int count = sk_X509_NAME_num(names);
    for (int i = 0; i < count; i++) {
        const X509_NAME *name = sk_X509_NAME_value(names, i);
        seen->issuer_listed = seen->issuer_listed || reaches(connection, name);
        if (i < RECORD_NAMES && seen->names[i] == NULL) {
            seen->names[i] = malloc(RECORD_NAME_SIZE);
            if (seen->names[i] != NULL) {
                name_text(seen->names[i], RECORD_NAME_SIZE, name);
            }
        }
    }
    seen->name_count = count > 0 ? (size_t)count : 0;
}

void record_openssl(record *seen) {
    unsigned long code = ERR_get_error();
    if (code != 0 && seen->openssl_code == 0) {
        seen->openssl_code = code;
        ERR_error_string_n(code, seen->openssl, sizeof seen->openssl);
    }
    ERR_clear_error();
}

void record_free(record *seen) {
    free(seen->chain);
    for (size_t i = 0; i < RECORD_NAMES; i++) {
        free(seen->names[i]);
    }
    memset(seen, 0, sizeof *seen);
}

#include "admission.h"

#include <arpa/inet.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "certificates.h"

typedef enum part { WHOLE, BEGINNING, END } part;

typedef struct term {
    struct term *next;
    admission_field field;
    part part; /* of the value, that is the text */
    size_t length;
    unsigned char text[]; /* folded */
} term;

typedef struct filter {
    struct filter *next;
    term *terms;
} filter;

typedef struct namespace {
    struct namespace *next;
    char *name;
    X509_STORE *accepted;
    filter *filters;
}
namespace;

struct admission {
    namespace *namespaces; /* the last added first, and so with filters and terms */
};

/* ---- the rules ---- */

/* gRPC core, like Go, is content with a path to any certificate of the list, root or not. */
static X509_STORE *read_accepted(const char *text) {
    STACK_OF(X509) *list = certificates_read(text, strlen(text), INT_MAX);
    X509_STORE *store = sk_X509_num(list) > 0 ? X509_STORE_new() : NULL;
    bool added = store != NULL;
    for (int i = 0; added && i < sk_X509_num(list); i++) {
        added = X509_STORE_add_cert(store, sk_X509_value(list, i)) == 1;
    }
    sk_X509_pop_free(list, X509_free);
    if (!added) {
        X509_STORE_free(store);
        return NULL;
    }
    (void)X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
    return store;
}

admission *admission_new(void) {
    return calloc(1, sizeof(admission));
}

bool admission_add_namespace(admission *rules, const char *name, const char *accepted) {
    namespace *added = calloc(1, sizeof *added);
    if (added == NULL) {
        return false;
    }
    added->next = rules->namespaces;
    rules->namespaces = added;
    added->name = strdup(name);
    added->accepted = read_accepted(accepted);
    return added->name != NULL && added->accepted != NULL;
}

bool admission_add_filter(admission *rules) {
    filter *added = calloc(1, sizeof *added);
    if (added == NULL) {
        return false;
    }
    added->next = rules->namespaces->filters;
    rules->namespaces->filters = added;
    return true;
}

/* Not tolower, which hangs on the locale of the program. */
static unsigned char fold(unsigned char byte) {
    return byte >= 'A' && byte <= 'Z' ? (unsigned char)(byte - 'A' + 'a') : byte;
}

bool admission_add_term(admission *rules, admission_field field, const char *text, size_t length) {
    filter *belonging = rules->namespaces->filters;
    term *added = malloc(sizeof *added + length);
    if (added == NULL) {
        return false;
    }
    added->part = WHOLE;
    if (length > 0 && text[0] == '*') {
        added->part = END;
        text++;
        length--;
    } else if (length > 0 && text[length - 1] == '*') {
        added->part = BEGINNING;
        length--;
    }
    for (size_t i = 0; i < length; i++) {
        added->text[i] = fold((unsigned char)text[i]);
    }
    added->field = field;
    added->length = length;
    added->next = belonging->terms;
    belonging->terms = added;
    return true;
}

static void filter_free(filter *freed) {
    while (freed->terms != NULL) {
        term *next = freed->terms->next;
        free(freed->terms);
        freed->terms = next;
    }
    free(freed);
}

static void namespace_free(namespace *freed) {
    while (freed->filters != NULL) {
        filter *next = freed->filters->next;
        filter_free(freed->filters);
        freed->filters = next;
    }
    X509_STORE_free(freed->accepted);
    free(freed->name);
    free(freed);
}

void admission_free(admission *rules) {
    while (rules != NULL && rules->namespaces != NULL) {
        namespace *next = rules->namespaces->next;
        namespace_free(rules->namespaces);
        rules->namespaces = next;
    }
    free(rules);
}

/* ---- a certificate ---- */

static bool is_issued(const namespace *judging, X509 *leaf, STACK_OF(X509) * others) {
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    bool issued =
        context != NULL && X509_STORE_CTX_init(context, judging->accepted, leaf, others) == 1 &&
        X509_STORE_CTX_set_default(context, "ssl_client") == 1 && X509_verify_cert(context) == 1;
    X509_STORE_CTX_free(context);
    return issued;
}

static bool text_matches(const term *wanted, const unsigned char *text, size_t length) {
    if (length < wanted->length || (wanted->part == WHOLE && length > wanted->length)) {
        return false;
    }
    if (wanted->part == END) {
        text += length - wanted->length;
    }
    for (size_t i = 0; i < wanted->length; i++) {
        if (fold(text[i]) != wanted->text[i]) {
            return false;
        }
    }
    return true;
}

static bool value_matches(const term *wanted, const X509_NAME_ENTRY *entry) {
    unsigned char *text = NULL;
    int length = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry));
    bool matches = length >= 0 && text_matches(wanted, text, (size_t)length);
    OPENSSL_free(text);
    return matches;
}

static bool subject_matches(const term *wanted, const X509 *leaf) {
    static const int types[] = {
        [ADMISSION_COMMON_NAME] = NID_commonName,
        [ADMISSION_ORGANIZATION] = NID_organizationName,
        [ADMISSION_ORGANIZATIONAL_UNIT] = NID_organizationalUnitName,
    };
    const X509_NAME *subject = X509_get_subject_name(leaf);
    bool matches = false;
    int at = -1;
    while (!matches && (at = X509_NAME_get_index_by_NID(subject, types[wanted->field], at)) >= 0) {
        matches = value_matches(wanted, X509_NAME_get_entry(subject, at));
    }
    return matches;
}

static bool address_matches(const term *wanted, const ASN1_OCTET_STRING *address) {
    char text[INET6_ADDRSTRLEN];
    int length = ASN1_STRING_length(address);
    return (length == 4 || length == 16) &&
           inet_ntop(length == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(address), text,
                     sizeof text) != NULL &&
           text_matches(wanted, (const unsigned char *)text, strlen(text));
}

static bool name_matches(const term *wanted, const GENERAL_NAME *name) {
    int type = 0;
    const ASN1_STRING *string = GENERAL_NAME_get0_value(name, &type);
    if (type == GEN_IPADD) {
        return address_matches(wanted, string);
    }
    if (type != GEN_DNS && type != GEN_EMAIL && type != GEN_URI) {
        return false;
    }
    /* "good.example\0.evil.example" is no name that begins with good.example: CVE-2009-2408. */
    size_t length = (size_t)ASN1_STRING_length(string);
    const unsigned char *text = ASN1_STRING_get0_data(string);
    return memchr(text, '\0', length) == NULL && text_matches(wanted, text, length);
}

static bool names_match(const term *wanted, const X509 *leaf) {
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    bool matches = false;
    for (int i = 0; !matches && i < sk_GENERAL_NAME_num(names); i++) {
        matches = name_matches(wanted, sk_GENERAL_NAME_value(names, i));
    }
    GENERAL_NAMES_free(names);
    return matches;
}

static bool filter_matches(const filter *judging, const X509 *leaf) {
    bool matches = judging->terms != NULL;
    for (const term *wanted = judging->terms; matches && wanted != NULL; wanted = wanted->next) {
        matches = wanted->field == ADMISSION_SUBJECT_ALT_NAME ? names_match(wanted, leaf)
                                                              : subject_matches(wanted, leaf);
    }
    return matches;
}

static bool is_let_through(const namespace *judging, const X509 *leaf) {
    bool matches = judging->filters == NULL;
    for (const filter *one = judging->filters; !matches && one != NULL; one = one->next) {
        matches = filter_matches(one, leaf);
    }
    return matches;
}

void admission_judge(const admission *rules, X509 *leaf, STACK_OF(X509) * others,
                     void (*admit)(void *argument, const char *name), void *argument) {
    for (const namespace *judging = rules->namespaces; judging != NULL; judging = judging->next) {
        if (is_let_through(judging, leaf) && is_issued(judging, leaf, others)) {
            admit(argument, judging->name);
        }
    }
    ERR_clear_error(); /* a refusal is no error, and the thread's queue is not ours alone */
}

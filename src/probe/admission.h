#ifndef TCPKI_PROBE_ADMISSION_H
#define TCPKI_PROBE_ADMISSION_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>

/*
** Who may see which namespace, as Temporal Cloud decides it: a namespace admits a certificate that
** one of its accepted CAs issued and, where it has filters, one of them matches. What filters may
** say, and what they mean, is told in Lua (tcpki.cloud.filters); these are the same rules where no
** Lua may run. It knows nothing of gRPC and is not changed once somebody else sees it.
*/
typedef struct admission admission;

typedef enum admission_field {
    ADMISSION_COMMON_NAME,
    ADMISSION_ORGANIZATION,
    ADMISSION_ORGANIZATIONAL_UNIT,
    ADMISSION_SUBJECT_ALT_NAME,
} admission_field;

/* Each that adds adds to what was added last. False or NULL: out of memory, or accepted is a text
** without certificates. */
admission *admission_new(void);
bool admission_add_namespace(admission *rules, const char *name, const char *accepted);
/* Matches once all its terms do; without any it matches nobody. */
bool admission_add_filter(admission *rules);
/* A value in UTF-8, with a '*' at its beginning or at its end, or none. */
bool admission_add_term(admission *rules, admission_field field, const char *text, size_t length);
void admission_free(admission *rules);

/* Calls for each namespace that admits the leaf; others are what the client sent beside it, from
** which a path to an accepted CA is built, or NULL. */
void admission_judge(const admission *rules, X509 *leaf, STACK_OF(X509) * others,
                     void (*admit)(void *argument, const char *name), void *argument);

#endif

#ifndef TCPKI_FUZZ_EXTENSIONS_H
#define TCPKI_FUZZ_EXTENSIONS_H

#include "fuzz.h"
#include "pki/extension.h"

/* Every reader over the same extensions: none may depend on what another has checked. */
static inline void fuzz_read_extensions(const pki_extensions *all) {
    typedef bool reader(const pki_extensions *, bool *, pki_list *, pki_fault *);
    static reader *const readers[] = {
        pki_extension_key_usage,         pki_extension_extended_key_usage,
        pki_extension_subject_alt_names, pki_extension_subject_key_id,
        pki_extension_authority_key_id,  pki_extension_crl_distribution_points,
    };
    pki_fault fault;
    bool present;
    for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++) {
        pki_list list = {0};
        pki_begin(&fault);
        if (!readers[i](all, &present, &list, &fault)) {
            fuzz_check_fault(&fault);
        }
        pki_list_free(&list);
    }
    bool authority;
    long path_length;
    pki_begin(&fault);
    if (!pki_extension_basic_constraints(all, &present, &authority, &path_length, &fault)) {
        fuzz_check_fault(&fault);
    }
    pki_list permitted = {0};
    pki_list excluded = {0};
    pki_begin(&fault);
    if (!pki_extension_name_constraints(all, &present, &permitted, &excluded, &fault)) {
        fuzz_check_fault(&fault);
    }
    pki_list_free(&permitted);
    pki_list_free(&excluded);
    pki_list list = {0};
    pki_begin(&fault);
    if (!pki_extension_list(all, &list, &fault)) {
        fuzz_check_fault(&fault);
    }
    for (size_t i = 0; i < list.count; i++) {
        REQUIRE(pki_extension_name(pki_item_type(&list, i)) != NULL);
    }
    pki_list_free(&list);
}

#endif

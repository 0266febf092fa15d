#ifndef TCPKI_PROBE_COMPAT_H
#define TCPKI_PROBE_COMPAT_H

/*
** What differs between gRPC core 1.46 and 1.8x, and nothing else: no other file of the probe knows
** of a version.
*/

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <stdlib.h>

/* The credentials moved to a header of their own in 1.64, which grpc_security.h does not include. */
#if defined(__has_include)
#if __has_include(<grpc/credentials.h>)
#include <grpc/credentials.h>
#endif
#endif

/*
** gRPC core logs each failed handshake to stderr. Up to 1.66 a function takes the lines; 1.67
** removed it together with its declaration, and logs through absl, which GRPC_VERBOSITY=NONE
** silences when it is set before grpc_init. The weak reference finds out at load time which of the
** two this library is, without a configure step.
*/
struct gpr_log_func_args;
extern void gpr_set_log_function(void (*log)(struct gpr_log_func_args *)) __attribute__((weak));

static inline void compat_drop_log_line(struct gpr_log_func_args *line) {
    (void)line;
}

static inline void compat_silence_grpc(void) {
    if (gpr_set_log_function != NULL) {
        gpr_set_log_function(compat_drop_log_line);
    } else {
        (void)setenv("GRPC_VERBOSITY", "NONE", 1);
    }
}

#endif

rockspec_format = "3.0"
package = "tcpki"
version = "scm-1"

source = {
  url = "git+https://github.com/tcpki/tcpki.git",
}

description = {
  summary = "X.509 for Temporal mutual TLS: made, checked and proven from Lua",
  detailed = [[
    Makes keys, certificates, chains, CA bundles and CRLs with OpenSSL 3, checks them, and proves
    them: a real connection through gRPC core to a Temporal frontend, and, when it is refused, the
    reason.
  ]],
  homepage = "https://github.com/tcpki/tcpki",
  issues_url = "https://github.com/tcpki/tcpki/issues",
  license = "MIT",
  maintainer = "the tcpki authors",
  labels = { "crypto", "tls", "x509", "grpc", "temporal" },
}

supported_platforms = { "unix" }

dependencies = {
  "lua >= 5.4, < 5.6",
  "lua-cjson >= 2.1", -- tcpki.cloud
  "lyaml >= 6.2", -- tcpki.istio, tcpki.server
}

external_dependencies = {
  OPENSSL = { header = "openssl/opensslv.h", library = "crypto" },
}

test_dependencies = {
  "busted >= 2.1",
  "luasec >= 1.0", -- examples/keyvault_certificate.lua
  "luasocket >= 3.0",
}

-- Not `builtin`: the probe is linked with -z nodelete and from what protobuf-c generates.
-- tcpki.probe is left out, with a word, where gRPC core or protobuf-c is missing; PROBE=yes in the
-- environment makes that an error, PROBE=no does not look. GRPC_INCDIR, GRPC_LIBDIR,
-- PROTOBUF_C_INCDIR and PROTOBUF_C_LIBDIR in the environment say where they are.
build = {
  type = "make",
  build_target = "build",
  build_variables = {
    BUILD = "build/rock",
    CC = "$(CC)",
    CFLAGS = "$(CFLAGS)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    OPENSSL_INCDIR = "$(OPENSSL_INCDIR)",
    OPENSSL_LIBDIR = "$(OPENSSL_LIBDIR)",
  },
  install_variables = {
    BUILD = "build/rock",
    CC = "$(CC)",
    CFLAGS = "$(CFLAGS)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    OPENSSL_INCDIR = "$(OPENSSL_INCDIR)",
    OPENSSL_LIBDIR = "$(OPENSSL_LIBDIR)",
    LUADIR = "$(LUADIR)",
    LIBDIR = "$(LIBDIR)",
  },
}

test = { type = "busted" }

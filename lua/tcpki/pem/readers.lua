--- The readers of PEM that stand between a person and a Temporal service: one row a reader.
--
-- A row says who uses the reader, which version was measured and where its rules are to be read; then
--
--  * `text`: what it makes of a NUL, and of what is not ASCII: "file" (read in lines of C: a line ends at its first
--    NUL, and one that begins with NUL ends the text), "memory" (a NUL is a byte like others), "C string" (the text
--    ends at its first NUL), "ASCII" (memory, and anything else is refused);
--  * `framing`: which way it finds blocks, and the rules of that way (tcpki.pem.framing);
--  * `base64`: its dialect (tcpki.pem.base64);
--  * `chain`, `roots`, `key`: what it does with the blocks in each role, in the order in which they are tried.
--
-- Of a role:
--
--  * `takes`: the labels that are wanted ("*" is all), each with what must hold of its bytes (tcpki.pem.reading); the
--    n-th row is for the n-th object, the last for all further ones. Blocks of other labels are passed over;
--  * `checks`: labels, or words of labels, that are not wanted and whose bytes are looked at all the same;
--  * `headers`: of a wanted block: "refused", "skipped" (with the block), nothing where they do not matter;
--    `header_room`: up to so many bytes count as none; `encrypted`: "refused" where a Proc-Type is;
--  * `fault`: what a fault does: "refuses" everything, "ends" the reading in silence with what there is, "skips" the
--    block; `quietly`: codes of faults that end it though others refuse;
--  * `nothing`: "accepted" where no object at all is no error;
--  * `first_only`: the first object ends the reading; `whole_text`: but what follows is read for faults;
--  * of keys: `trailing` and `versions`, the forms (pkcs8, pkcs1, sec1) in which bytes after the DER, or a version
--    that does not exist, are refused; `types`, the algorithms that are known; `public_half`: "ignored" where the
--    public key that stands in an EC key is not looked at.
--
-- Every rule is measured: test/readers holds programs for all of them, and make test-readers compares.
-- @module tcpki.pem.readers

local function set(...)
  local words = {}
  for _, word in ipairs { ... } do
    words[word] = true
  end
  return words
end

local function with(row, more)
  local copy = {}
  for name, value in pairs(row) do
    copy[name] = value
  end
  for name, value in pairs(more) do
    copy[name] = value
  end
  return copy
end

local BLANKS = "[ \t\r\n]"

local OPENSSL_BASE64 = { blanks = BLANKS, padding = "required", dash = "ends" }
local OPENSSL_FRAMING = {
  way = "openssl", piece = 254, byte_order_mark = "dropped", colon = true, empty_line = "fault", after_cut = "ignored",
}
local BORINGSSL_FRAMING = { way = "openssl", piece = 253, empty_line = "short line" }

-- PEM_read_bio_X509_AUX reads a certificate with OpenSSL's own trust settings behind it, and nothing else there.
local AUXILIARY = {
  ["CERTIFICATE"] = "auxiliary", ["X509 CERTIFICATE"] = "auxiliary", ["TRUSTED CERTIFICATE"] = "auxiliary",
}
local PLAIN = { ["CERTIFICATE"] = "prefix", ["X509 CERTIFICATE"] = "prefix" }
local INFORMATION = with(PLAIN, { ["TRUSTED CERTIFICATE"] = "auxiliary" })

local CHAIN = { takes = { AUXILIARY, PLAIN }, headers = "refused", fault = "refuses" }
local CHAIN_OR_LESS = with(CHAIN, { fault = "ends" })
local ROOTS = {
  takes = { INFORMATION }, headers = "refused", fault = "refuses",
  checks = {
    { label = "X509 CRL", must_be = "crl" },
    { word = "PRIVATE KEY", must_be = "key", header_room = 10, types = { ["RSA PRIVATE KEY"] = "rsa",
      ["EC PRIVATE KEY"] = "ec", ["DSA PRIVATE KEY"] = "dsa", ["ED25519 PRIVATE KEY"] = "ed25519" } },
  },
}
local ROOTS_OR_LESS = { takes = { AUXILIARY }, headers = "refused", fault = "ends" }

local KEYS = {
  ["PRIVATE KEY"] = "pkcs8", ["RSA PRIVATE KEY"] = "rsa", ["EC PRIVATE KEY"] = "ec", ["DSA PRIVATE KEY"] = "dsa",
  ["ENCRYPTED PRIVATE KEY"] = "never",
}
local ALL_FORMS = set("pkcs8", "pkcs1", "sec1")
local FIRST_KEY = { takes = { KEYS }, headers = "refused", fault = "refuses", first_only = true }
-- OpenSSL 3 lets its decoders look for a key in every block first, and passes over what they cannot read.
local DECODERS = {
  takes = { with(KEYS, { ["ENCRYPTED PRIVATE KEY"] = "pkcs8", ["EC PARAMETERS"] = "ec" }) },
  headers = "skipped", header_room = 10, fault = "skips", first_only = true,
}

local OPENSSL = {
  version = "3.0", text = "file", framing = with(OPENSSL_FRAMING, { nul = "ends a line" }), base64 = OPENSSL_BASE64,
  chain = { CHAIN }, roots = { ROOTS }, key = { DECODERS, FIRST_KEY },
}

return {
  with(OPENSSL, {
    name = "openssl", who = "openssl, curl and servers built on OpenSSL",
    source = "openssl: crypto/pem/pem_lib.c, ssl/ssl_rsa.c, crypto/x509/by_file.c",
  }),
  with(OPENSSL, {
    name = "python", version = "3.11", who = "Python's ssl, with files: httpx, aiohttp",
    source = "cpython: Modules/_ssl.c; openssl: ssl/ssl_rsa.c, crypto/x509/by_file.c",
  }),
  {
    name = "python_cadata", version = "3.11", who = "Python's ssl, with cadata",
    source = "cpython: Modules/_ssl.c (_add_ca_certs)",
    text = "ASCII", framing = OPENSSL_FRAMING, base64 = OPENSSL_BASE64,
    roots = { { takes = { PLAIN }, headers = "refused", fault = "refuses", quietly = set("wide", "no_data") } },
  },
  {
    name = "node", version = "20", who = "Node's tls", source = "node: src/crypto/crypto_context.cc",
    text = "memory", framing = OPENSSL_FRAMING, base64 = OPENSSL_BASE64,
    chain = { CHAIN }, roots = { with(ROOTS_OR_LESS, { nothing = "accepted" }) }, key = { DECODERS, FIRST_KEY },
  },
  {
    name = "grpc", version = "BoringSSL of 2025", who = "gRPC core as it is shipped: Python, Ruby, PHP, C++",
    source = "grpc: src/core/tsi/ssl_transport_security.cc; boringssl: crypto/pem/pem_lib.cc",
    text = "C string", framing = BORINGSSL_FRAMING, base64 = { blanks = BLANKS, padding = "required" },
    chain = { CHAIN_OR_LESS }, roots = { ROOTS_OR_LESS }, key = { with(FIRST_KEY, { versions = ALL_FORMS }) },
  },
  {
    name = "grpc_openssl", version = "3.0", who = "gRPC core of Linux distributions; tcpki.probe",
    source = "grpc: src/core/tsi/ssl_transport_security.cc; openssl: crypto/pem/pem_lib.c",
    text = "C string", framing = OPENSSL_FRAMING, base64 = OPENSSL_BASE64,
    chain = { CHAIN_OR_LESS }, roots = { ROOTS_OR_LESS }, key = { DECODERS, FIRST_KEY },
  },
  {
    name = "go", version = "1.26", who = "the Temporal server, the temporal and tcld commands, the Go SDK",
    source = "go: encoding/pem/pem.go, crypto/tls/tls.go, crypto/x509/cert_pool.go",
    text = "memory", framing = { way = "go" }, base64 = { blanks = BLANKS, padding = "required" },
    chain = { { takes = { { ["CERTIFICATE"] = "whole" }, { ["CERTIFICATE"] = "unparsed" } }, fault = "refuses" } },
    roots = { { takes = { { ["CERTIFICATE"] = "whole" } }, headers = "skipped", fault = "skips" } },
    key = { { takes = { { ["* PRIVATE KEY"] = "any key" } }, trailing = set("pkcs1"),
      versions = set("sec1", "pkcs1"), fault = "refuses", first_only = true } },
  },
  {
    name = "rustls", version = "rustls-pki-types 1.15.1", who = "the TypeScript, Python, .NET, Ruby and Rust SDKs",
    source = "rustls-pki-types: src/pem.rs, src/base64.rs; tonic: src/transport/channel/service/tls.rs",
    text = "memory", base64 = { blanks = "[ \t-\r]", padding = "optional" },
    framing = {
      way = "rustls",
      known = set("CERTIFICATE", "PUBLIC KEY", "RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY", "X509 CRL",
        "CERTIFICATE REQUEST", "ECHCONFIG"),
    },
    chain = { { takes = { { ["CERTIFICATE"] = "unparsed" } }, fault = "refuses" } },
    roots = { { takes = { { ["CERTIFICATE"] = "unparsed" } }, fault = "refuses" } },
    key = { { fault = "refuses", first_only = true, takes = { { ["PRIVATE KEY"] = "unparsed",
      ["RSA PRIVATE KEY"] = "unparsed", ["EC PRIVATE KEY"] = "unparsed" } } } },
  },
  {
    name = "netty", version = "4.1.130", who = "the Java SDK",
    source = "netty: handler/src/main/java/io/netty/handler/ssl/PemReader.java",
    text = "memory", base64 = { blanks = "[\r\n]", padding = "lossy" },
    -- A run of white space is matched by recursion, and fills the stack somewhere between 300 and 4096 bytes.
    framing = { way = "netty", words = "CERTIFICATE", most_blanks = 2000 },
    key_framing = { way = "netty", words = "PRIVATE[ \t-\r]+KEY", most_blanks = 2000 },
    chain = { { takes = { { ["*"] = "prefix" } }, fault = "refuses" } },
    roots = { { takes = { { ["*"] = "prefix" } }, fault = "refuses" } },
    key = { { takes = { { ["*"] = "pkcs8" } }, types = set("rsa", "ec", "dsa"), versions = ALL_FORMS,
      public_half = "ignored", fault = "refuses", first_only = true } },
  },
  {
    name = "jdk", version = "17", who = "keytool and the JDK's own CertificateFactory",
    source = "openjdk: java.base/sun/security/provider/X509Factory.java",
    text = "memory", framing = { way = "jdk" }, base64 = { blanks = BLANKS, padding = "optional" },
    chain = { { takes = { { ["*"] = "whole" } }, fault = "refuses" } },
    roots = { { takes = { { ["*"] = "whole" } }, fault = "refuses" } },
  },
  {
    name = "cryptography", version = "50 (crate pem 4)", who = "Python's cryptography: Ansible, certbot",
    source = "cryptography: src/rust/src/x509/certificate.rs; pem: src/parser.rs, src/lib.rs",
    text = "memory", framing = { way = "cryptography" },
    base64 = {
      blanks = "[ \t-\r]", padding = "required", stray_bits = "refused",
      wide_blanks = { "\xc2[\x85\xa0]", "\xe1\x9a\x80", "\xe2\x80[\x80-\x8a\xa8\xa9\xaf]", "\xe2\x81\x9f",
        "\xe3\x80\x80" },
    },
    chain = { { takes = { { ["CERTIFICATE"] = "whole", ["X509 CERTIFICATE"] = "whole" } }, fault = "refuses" } },
    roots = { { takes = { { ["CERTIFICATE"] = "whole", ["X509 CERTIFICATE"] = "whole" } }, fault = "refuses" } },
    key = { {
      takes = { { ["PRIVATE KEY"] = "pkcs8", ["RSA PRIVATE KEY"] = "pkcs1", ["EC PRIVATE KEY"] = "sec1",
        ["DSA PRIVATE KEY"] = "never", ["ENCRYPTED PRIVATE KEY"] = "never" } },
      trailing = ALL_FORMS, versions = ALL_FORMS, encrypted = "refused",
      fault = "refuses", first_only = true, whole_text = true,
    } },
  },
}

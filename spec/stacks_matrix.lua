-- What the probe has to say of each fault before each TLS stack: the specification that spec/stacks_spec.lua runs.
--
-- A word in this file is the fault that was made, whatever the stack makes of it. What each stack puts on the wire is
-- another matter, and often nothing: most words below are found by the judgement of one's own certificate.

local matrix = {}

-- ---- the client's certificate ----
--
-- Who refused and who let in is decided by the stack, and told by other clients than ours: see the spec.
--
--   =    refused, and the cause is the word of the row
--   ?    refused, and the wire cannot tell it from another fault: `certain` is false, and the word of the row is the
--        first or the second of the candidates
--   ??   as ?, and more than two faults look the same from here: it is one of the candidates
--   ok   let in: the RPC was answered
--   tls  let in by a server that speaks nothing but TLS: it answers, and not in HTTP/2 (`not_grpc`)
--
-- Where `?` stands, and why:
--   unknown_ca, intermediate_missing   the file holds only the leaf, and its issuer is not among the CAs that the
--                    server names: it may be under one of them or not. Where the file holds the root too, it is known.
--   unknown_ca_sent, self_signed   gRPC core's server (grpc) names no CAs: it may trust these or others
--   twin, revoked    no alert of their own (Node, gRPC core), one alert for all (JSSE, GnuTLS), or one error page for
--                    all (nginx): nothing in the certificate shows them. From Go, unknown_ca though the server names
--                    the issuer can only be a twin; OpenSSL (HAProxy) sends it for a CRL that it lacks, too
--   twin before grpc   an unknown CA, a missing intermediate, a twin: no alert, no CA names, and a leaf alone
--
-- The columns:
--   tmprl  the Temporal server (Go); host: by a name of its hostOverrides; open: without requireClientAuth
--   grpc   gRPC core with BoringSSL (grpcio)      node  Node's http2 over OpenSSL      rust  rustls
--   jsse   the JDK      ngx, hap  nginx and HAProxy, before a Temporal server without TLS
--   ossl   openssl s_server      gnu  gnutls-serv
-- With 12: TLS 1.2, where a server judges before the handshake is over.

matrix.columns = {
  tmprl = "temporal", host = "host", open = "open", grpc = "grpcio", node = "node13", rust = "rustls", jsse = "jsse",
  ngx = "nginx", hap = "haproxy", ossl = "openssl13", gnu = "gnutls",
  node12 = "node12", rust12 = "rustls12", jsse12 = "jsse12", ngx12 = "nginx12", hap12 = "haproxy12",
  ossl12 = "openssl12", gnu12 = "gnutls12",
}

matrix.client = [[
fault                 word                         tmprl host open grpc node rust jsse ngx  hap  ossl gnu
good                  ok                           ok    ok   ok   ok   ok   ok   ok   ok   ok   tls  tls
good_chain            ok                           ok    ok   ok   ok   ok   ok   ok   ok   ok   tls  tls
shuffled              ok                           ok    ok   ok   ok   ok   ok   ok   ok   ok   tls  tls
none                  no_client_certificate        =     =    ok   =    =    =    =    =    =    =    =
unknown_ca            client_ca_unknown            ?     ?    ok   ?    ?    ?    ?    ?    ?    ?    ?
unknown_ca_sent       client_ca_unknown            =     =    ok   ?    =    =    =    =    =    =    =
self_signed           client_self_signed           =     =    ok   ?    =    =    =    =    =    =    =
intermediate_missing  client_intermediate_missing  ?     ?    ok   ?    ?    ?    ?    ?    ?    ?    ?
intermediate_expired  client_intermediate_expired  =     =    ok   =    =    =    =    =    =    =    =
twin                  client_ca_twin               =     =    ok   ??   ?    =    ?    ?    ?    ?    ?
expired               client_expired               =     =    ok   =    =    =    =    =    =    =    =
future                client_not_yet_valid         =     =    ok   =    =    =    =    =    =    =    =
wrong_usage           client_wrong_usage           =     =    ok   =    =    =    =    =    =    =    tls
version_1             client_version_1             ok    ok   ok   ok   ok   =    ok   ok   ok   tls  tls
revoked               client_revoked               ok    ok   ok   ok   ?    =    ?    ?    =    =    ?
]]

matrix.client12 = [[
fault                 word                         node12 rust12 jsse12 ngx12 hap12 ossl12 gnu12
good                  ok                           ok     ok     ok     ok    ok    tls    tls
good_chain            ok                           ok     ok     ok     ok    ok    tls    tls
shuffled              ok                           ok     ok     ok     ok    ok    tls    tls
none                  no_client_certificate        =      =      =      =     =     =      =
unknown_ca            client_ca_unknown            ?      ?      ?      ?     ?     ?      ?
unknown_ca_sent       client_ca_unknown            =      =      =      =     =     =      =
self_signed           client_self_signed           =      =      =      =     =     =      =
intermediate_missing  client_intermediate_missing  ?      ?      ?      ?     ?     ?      ?
intermediate_expired  client_intermediate_expired  =      =      =      =     =     =      =
twin                  client_ca_twin               ?      =      ?      ?     ?     ?      ?
expired               client_expired               =      =      =      =     =     =      =
future                client_not_yet_valid         =      =      =      =     =     =      =
wrong_usage           client_wrong_usage           =      =      =      =     =     =      tls
version_1             client_version_1             ok     =      ok     ok    ok    tls    tls
revoked               client_revoked               ?      =      ?      ?     =     =      ?
]]

-- With the CAs that the server accepts (`accepted`), what the wire does not tell is judged here: only what differs.
matrix.accepted = [[
fault                 word                         tmprl host open grpc node rust jsse ngx  hap  ossl gnu
good                  ok                           ok    ok   ok   ok   ok   ok   ok   ok   ok   tls  tls
good_chain            ok                           ok    ok   ok   ok   ok   ok   ok   ok   ok   tls  tls
unknown_ca_sent       client_ca_unknown            =     =    ok   =    =    =    =    =    =    =    =
self_signed           client_self_signed           =     =    ok   =    =    =    =    =    =    =    =
twin                  client_ca_twin               =     =    ok   =    =    =    =    =    =    =    =
]]

-- Found before anything is sent, and so the same wherever it was to be sent.
matrix.unsent = {
  sha1 = "client_weak_signature", -- by OpenSSL, which will not show it: security level 2
  leaf_last = "chain_order",
  other_key = "key_mismatch",
}

-- ---- the server's certificate ----
--
-- Judged here, and so the same on every stack that can serve a certificate a name. `?` as above: of a leaf alone it
-- cannot be told whether its issuer is missing, or is one that is not trusted. cn-only has its name in the subject
-- alone, which gRPC core takes, and warns of: Go and rustls do not take it.

matrix.server = [[
fault                      word                         tmprl node node12 rust jsse ngx  hap
chain.test                 ok                           ok    ok   ok     ok   ok   ok   ok
untrusted.test             server_ca_untrusted          ?     ?    ?      ?    ?    ?    ?
untrusted-sent.test        server_ca_untrusted          =     =    =      =    =    =    =
self-signed.test           server_self_signed           =     =    =      =    =    =    =
intermediate-missing.test  server_intermediate_missing  ?     ?    ?      ?    ?    ?    ?
expired.test               server_expired               =     =    =      =    =    =    =
future.test                server_not_yet_valid         =     =    =      =    =    =    =
usage.test                 server_wrong_usage           =     =    =      =    =    =    =
no-san.test                server_no_san                =     =    =      =    =    =    =
cn-only.test               ok                           ok    ok   ok     ok   ok   ok   ok
mismatch.test              server_name_mismatch         =     =    =      =    =    =    =
]]

-- Stacks that name the CAs they trust for clients give away that the user took one of those for the server's.
matrix.swapped = [[
fault      word                      tmprl node node12 rust jsse ngx  hap  ossl ossl12 gnu
client_ca  client_ca_as_server_root  =     =    =      =    =    =    =    =    =      =
]]

-- What is warned of where the RPC was answered: other stacks, and the SDKs, are not so lenient.
matrix.warnings = {
  good = "", good_chain = "",
  shuffled = "chain_order",
  version_1 = "client_version_1",
  revoked = "", -- where nobody looks
  ["chain.test"] = "",
  ["cn-only.test"] = "server_common_name",
}

-- ---- with a control: whether the server enforces what it asks for ----
--
-- A name with _optional checks a certificate only where one is shown; jsse_any requires one, and takes any.

matrix.control = [[
temporal          ok               ok
host              ok               ok
grpcio            ok               ok
node13            ok               ok
node12            ok               ok
rustls            ok               ok
jsse              ok               ok
nginx             ok               ok
haproxy           ok               ok
open              ok_not_asked     =
nginx_optional    ok_not_enforced  =
haproxy_optional  ok_not_enforced  =
node_optional     ok_not_enforced  =
jsse_any          ok_not_enforced  =
]]

-- ---- servers with a fault of their own: the name of the server, the word, the mark ----

matrix.faulty = [[
temporal_plaintext  plaintext_server  =    Go
node_plaintext      plaintext_server  =    answers a TLS hello with SETTINGS
plaintext_grpcio    plaintext_server  =
node_http1          no_h2             =
nginx_http1         no_h2             =
jsse_http1          no_h2             =
rustls_http1        no_h2             =
openssl_http1       no_h2             =
gnutls_http1        no_h2             =
haproxy_http1       no_alpn           =    passes over what it does not know
node_no_alpn        no_alpn           =
jsse_no_alpn        no_alpn           =
haproxy_no_alpn     no_alpn           =
openssl_no_alpn     no_alpn           =
gnutls_no_alpn      no_alpn           =
node_tls11          tls_version       =
nginx_tls11         tls_version       =
haproxy_tls11       tls_version       =
openssl_tls11       tls_version       =
gnutls_tls11        tls_version       ?    handshake_failure
nginx_sni           sni_refused       =
jsse_sni            sni_refused       =
openssl_sni         sni_refused       =
gnutls_sni          sni_refused       =
haproxy_sni         sni_refused       =
rustls_sni          sni_refused       ?    access_denied
node_sni            sni_refused       ?    closes, without an alert
nginx_alone         proxy_refused     =    let in, and nobody listens behind it: HTTP 502
haproxy_alone       proxy_refused     =    HTTP 503
openssl_no_crl      client_refused    ??   unknown_ca: it is to check for revocation, and lacks the list
]]

-- ---- servers that are none: spec/support/probe_party.lua ----

matrix.odd = [[
silent              silent_before_tls  =   accepts, and never answers
close               closed_at_once     ?   or nobody is served by the name that was sent
reset               reset              =
http                plaintext_server   =
h2c                 plaintext_server   =
]]

-- ---- reading it ----

local function words_of(line)
  local words = {}
  for word in line:gmatch "%S+" do words[#words + 1] = word end
  return words
end

--- The cells of a table, row by row.
-- @treturn table array of `fault`, `word`, `stack`, `mark`
function matrix.cells(text)
  local cells, header = {}, nil
  for line in text:gmatch "[^\n]+" do
    local words = words_of(line)
    header = header or words
    assert(#words == #header, line)
    for i = 3, words ~= header and #words or 0 do
      local stack = assert(matrix.columns[header[i]], header[i])
      cells[#cells + 1] = { fault = words[1], word = words[2], stack = stack, mark = words[i] }
    end
  end
  return cells
end

--- The rows of a list of servers.
-- @treturn table array of `stack`, `word`, `mark`
function matrix.rows(text)
  local rows = {}
  for line in text:gmatch "[^\n]+" do
    local words = words_of(line)
    rows[#rows + 1] = { fault = "server", stack = words[1], word = words[2], mark = words[3] }
  end
  return rows
end

return matrix

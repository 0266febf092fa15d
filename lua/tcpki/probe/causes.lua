--- Every cause that a probe can name: one row a cause.
--
-- `word` is stable and part of the interface. `stage` is the rung of the ladder on which it
-- stands. `sentence` says what is so and `cure` what to do, both with {fields} that the diagnosis
-- fills. `source` is where the knowledge comes from.
-- @module tcpki.probe.causes

local words = require "tcpki.probe.words"

local rows = {
  -- ---- the good ones ----
  { word = "ok", stage = "rpc",
    sentence = "The server accepted the certificate and answered.",
    cure = "Nothing.",
    source = "grpc/grpc: a status from the peer proves the handshake of both sides" },

  -- ---- input: our own files and arguments ----
  { word = "bad_address", stage = "input",
    sentence = "The address cannot be used: {detail}.",
    cure = "{cure}.",
    source = "gRPC naming (grpc/grpc doc/naming.md)" },
  { word = "bad_pem", stage = "input",
    sentence = "{what} does not parse: {detail}.",
    cure = "{cure}.",
    source = "RFC 7468; gRPC core turns it into \"empty address list\"" },
  { word = "pem_literal_newlines", stage = "input",
    sentence = "{what} holds the two characters \\n where a line should end.",
    cure = "Replace each \\n by a line end; an environment variable was likely quoted twice.",
    source = "temporalio/sdk-java#1825, sdk-core#720" },
  { word = "file_is_der", stage = "input",
    sentence = "{what} is DER, and gRPC core reads PEM only.",
    cure = "Convert it: openssl {tool} -inform DER -in FILE -out FILE.pem",
    source = "grpc/grpc ssl_transport_security.cc reads PEM only" },
  { word = "file_holds_key", stage = "input",
    sentence = "{what} holds a private key, not a certificate.",
    cure = "Pass the certificate; if that key was sent to anybody, replace it.",
    source = "coinbase/temporal-ruby#260" },
  { word = "file_holds_certificate", stage = "input",
    sentence = "{what} holds a certificate, not a private key.",
    cure = "Pass the key that the certificate was made for.",
    source = "RFC 7468, labels" },
  { word = "file_empty", stage = "input",
    sentence = "{what} is empty.",
    cure = "Check what was to be written there.",
    source = "the file itself" },
  { word = "file_missing", stage = "input",
    sentence = "{what} cannot be read: {detail}.",
    cure = "Check the path and its permissions.",
    source = "the operating system" },
  { word = "key_missing", stage = "input",
    sentence = "A certificate was given without its private key.",
    cure = "Pass key or key_path.",
    source = "RFC 8446, 4.4.3" },
  { word = "key_encrypted", stage = "input",
    sentence = "{what} is encrypted, and no passphrase was given.",
    cure = "Pass passphrase, passphrase_file or passphrase_env; workers need it decrypted.",
    source = "gRPC core has no way to ask for a passphrase" },
  { word = "bad_passphrase", stage = "input",
    sentence = "The passphrase does not open {what}.",
    cure = "Check the passphrase, and that a file of it has no second line.",
    source = "OpenSSL" },
  { word = "key_mismatch", stage = "input",
    sentence = "The private key does not belong to the certificate {subject}.",
    cure = "Pass the key that the certificate was made for; after a rotation, replace both.",
    source = "gRPC core turns it into \"empty address list\"" },
  { word = "chain_order", stage = "input",
    sentence = "The first certificate of {what} is {subject}, and the key belongs to another one "
      .. "further down.",
    cure = "Put the leaf first, then its issuer.",
    source = "RFC 8446, 4.4.2" },
  { word = "system_roots_missing", stage = "input",
    sentence = "This machine has no bundle of CAs, and none was given: no server can be trusted.",
    cure = "Install the bundle (ca-certificates on Debian and Alpine, also in a container's image); for a server of "
      .. "a CA of your own, pass that CA as server_ca.",
    source = "temporalio/sdk-typescript#1258, sdk-dotnet#513, sdk-python#1113; gRPC core says \"empty address list\"" },

  -- ---- resolve ----
  { word = "unknown_host", stage = "resolve",
    sentence = "The host {host} does not resolve: {detail}.",
    cure = "Check the spelling; a Temporal Cloud name is NAMESPACE.ACCOUNT.tmprl.cloud.",
    source = "getaddrinfo" },

  -- ---- connect ----
  { word = "refused", stage = "connect",
    sentence = "Nothing listens at {peer}: the connection was refused.",
    cure = "Check the port (a Temporal frontend has 7233) and that the server runs.",
    source = "TCP RST" },
  { word = "unreachable", stage = "connect",
    sentence = "{peer} does not answer: no TCP connection within {waited}.",
    cure = "Check the route, the firewall and the security group.",
    source = "connect(2)" },
  { word = "reset", stage = "connect",
    sentence = "{peer} reset the connection before TLS began.",
    cure = "Look for a firewall or a balancer in between.",
    source = "TCP RST" },

  -- ---- tls: before the server's certificate was accepted ----
  { word = "silent_before_tls", stage = "tls",
    sentence = "{peer} accepted the connection and did not finish the TLS handshake within "
      .. "{waited}.",
    cure = "Check that this port speaks TLS and that the server is not overloaded.",
    source = "probe.md 3: gRPC core says \"Deadline Exceeded\" without a stage" },
  { word = "closed_at_once", stage = "tls",
    sentence = "{peer} closed the connection on the first TLS message.",
    cure = "Check that this port speaks TLS: a plaintext Temporal frontend does this.",
    source = "temporalio/temporal, Go net/http2 without TLS" },
  { word = "plaintext_server", stage = "tls",
    sentence = "{peer} does not speak TLS: it answered with {detail}.",
    cure = "Use the TLS port, or switch TLS on at the frontend (global.tls.frontend.server).",
    source = "grpc/grpc#32076" },
  { word = "tls_version", stage = "tls",
    sentence = "The server speaks no TLS version that gRPC core allows (1.2 and 1.3).",
    cure = "Allow TLS 1.2 or 1.3 on the server.",
    source = "RFC 8446, alert 70" },
  { word = "sni_refused", stage = "tls",
    sentence = "The server serves nobody by the name {name}.",
    cure = "Pass server_name with the name that the server expects.",
    source = "RFC 6066, alert 112; temporalio docs, PrivateLink" },
  { word = "no_alpn", stage = "tls",
    sentence = "The server did not agree on HTTP/2 (ALPN), which gRPC needs.",
    cure = "Switch HTTP/2 on at the proxy or balancer in front of the frontend.",
    source = "grpc/grpc#23172, #18710" },
  { word = "no_h2", stage = "tls",
    sentence = "The server refused HTTP/2 (alert 120, no_application_protocol).",
    cure = "Switch HTTP/2 on at the proxy or balancer in front of the frontend.",
    source = "RFC 7301, 3.2" },
  { word = "tls_failed", stage = "tls",
    sentence = "The TLS handshake with {peer} failed: {detail}.",
    cure = "Compare the trace with the settings of the server.",
    source = "the trace" },
  { word = "server_ca_untrusted", stage = "tls",
    sentence = "The server's certificate {server_subject} is not signed by a CA that is trusted "
      .. "here: {detail}.",
    cure = "{cure}.",
    source = "X509_V_ERR 2, 19, 20, 21" },
  { word = "client_ca_as_server_root", stage = "tls",
    sentence = "{ca}, given as the server's CA, is the CA of your own certificate, and did not sign the server's, "
      .. "{server_subject}: {detail}.",
    cure = "Pass the CA that issued the server's certificate. Temporal Cloud's is a public one: leave server_ca out.",
    source = "coinbase/temporal-ruby#260, #312: OPENSSL_internal:CERTIFICATE_VERIFY_FAILED" },
  { word = "server_self_signed", stage = "tls",
    sentence = "The server's certificate {server_subject} is self-signed and not trusted here.",
    cure = "Pass that certificate as server_ca, or give the server one of a CA.",
    source = "X509_V_ERR 18" },
  { word = "server_expired", stage = "tls",
    sentence = "The server's certificate {blamed} has expired.",
    cure = "Renew it on the server; if that was done, the server has not loaded it.",
    source = "X509_V_ERR 10" },
  { word = "server_not_yet_valid", stage = "tls",
    sentence = "The server's certificate {blamed} is not valid yet.",
    cure = "Compare the clocks of this machine and of the one that issued it.",
    source = "X509_V_ERR 9" },
  { word = "server_wrong_usage", stage = "tls",
    sentence = "The server's certificate {blamed} may not be used for a server.",
    cure = "Reissue it with extended key usage serverAuth.",
    source = "X509_V_ERR 26" },
  { word = "server_name_mismatch", stage = "tls",
    sentence = "The server's certificate {server_subject} does not bear the name {name}: "
      .. "it bears {server_names}.",
    cure = "Pass server_name with one of its names, or reissue it with the name in its SANs.",
    source = "RFC 6125; gRPC core: \"is not in peer certificate\"" },
  { word = "server_no_san", stage = "tls",
    sentence = "The server's certificate {server_subject} has no subject alternative names, so "
      .. "it cannot bear the name {name}.",
    cure = "Reissue it with the name in its SANs.",
    source = "RFC 6125, 6.4" },

  -- ---- settings: the server judges the client's certificate ----
  { word = "no_client_certificate", stage = "settings",
    sentence = "The server requires a client certificate, and none was given. {evidence}",
    cure = "Pass certificate and key.",
    source = "RFC 8446, alert 116" },
  { word = "client_ca_unknown", stage = "settings",
    sentence = "The server does not know {issuer}, the issuer of the certificate {subject}"
      .. "{accepted}. {evidence}",
    cure = "Add the issuer to the CAs that the server trusts for clients, or have the certificate "
      .. "issued by one of them; after a change, check that the server has loaded it.",
    source = "RFC 8446, alert 48; CA names of the CertificateRequest" },
  { word = "client_ca_twin", stage = "settings",
    sentence = "The server trusts another CA with the name of the issuer, {issuer}. {evidence}",
    cure = "Have the certificate issued by the present CA of that name.",
    source = "stacks.md: rustls sends decrypt_error, most others nothing of their own" },
  { word = "client_expired", stage = "settings",
    sentence = "The certificate {subject} {expiry}. {evidence}",
    cure = "Renew it, and restart or reload what uses it.",
    source = "RFC 8446, alert 45" },
  { word = "client_not_yet_valid", stage = "settings",
    sentence = "The certificate {subject} is not valid before {not_before}. {evidence}",
    cure = "Compare the clocks, or wait.",
    source = "RFC 8446, alert 45 of Go" },
  { word = "client_wrong_usage", stage = "settings",
    sentence = "The certificate {subject} may not be used by a client. {evidence}",
    cure = "Reissue it with extended key usage clientAuth.",
    source = "RFC 5280, 4.2.1.12" },
  { word = "client_revoked", stage = "settings",
    sentence = "The server holds the certificate {subject} for revoked. {evidence}",
    cure = "Use another certificate.",
    source = "RFC 8446, alert 44" },
  { word = "client_weak_signature", stage = "settings",
    sentence = "OpenSSL refuses to send the certificate {subject}: {detail}.",
    cure = "Reissue it with SHA-256 and a key of 2048 bits (RSA) or 256 bits (EC).",
    source = "OpenSSL security level 2" },
  { word = "client_refused", stage = "settings",
    sentence = "The server refused the connection after it had seen the certificate {subject}, "
      .. "and gave no reason. {evidence}",
    cure = "Ask the server's log; compare the issuer {issuer} with the CAs that it trusts now.",
    source = "stacks.md: gRPC core, Node and HTTP proxies send no alert" },
  { word = "closed_after_tls", stage = "settings",
    sentence = "{peer} closed the connection after TLS, without having asked for a certificate.",
    cure = "Check that this port serves gRPC.",
    source = "the trace" },
  { word = "silent_after_tls", stage = "settings",
    sentence = "{peer} finished TLS and then said nothing within {waited}.",
    cure = "Check that this port serves HTTP/2, and whether the server hangs.",
    source = "RFC 9113, 3.4: the server's SETTINGS come first" },
  { word = "not_grpc", stage = "settings",
    sentence = "{peer} speaks TLS but not gRPC: {detail}.",
    cure = "Check the port, and what the proxy in front of the frontend forwards.",
    source = "RFC 9113, 3.4" },

  -- ---- rpc ----
  { word = "silent_rpc", stage = "rpc",
    sentence = "The server accepted the connection and did not answer {method} within {waited}.",
    cure = "Look at the server: its frontend is up, and something behind it hangs.",
    source = "gRPC DEADLINE_EXCEEDED" },
  { word = "unauthenticated", stage = "rpc",
    sentence = "The server wants credentials other than a certificate: {detail}.",
    cure = "Use the mTLS endpoint of the namespace, or an API key.",
    source = "gRPC UNAUTHENTICATED; PostHog#63981" },
  { word = "permission_denied", stage = "rpc",
    sentence = "The certificate is accepted, but may not do {method}: {detail}.",
    cure = "Check the namespace's name and account, and its certificate filters.",
    source = "gRPC PERMISSION_DENIED; temporalio/sdk-typescript#1765" },
  { word = "unimplemented", stage = "rpc",
    sentence = "The server does not know {method}: {detail}.",
    cure = "Check that this is a Temporal frontend, and not another gRPC service.",
    source = "gRPC UNIMPLEMENTED" },
  { word = "resource_exhausted", stage = "rpc",
    sentence = "The server has no capacity for {method}: {detail}.",
    cure = "Try again later; look at the rate limits of the namespace.",
    source = "gRPC RESOURCE_EXHAUSTED" },
  { word = "unavailable", stage = "rpc",
    sentence = "The server accepted the certificate but cannot serve {method}: {detail}.",
    cure = "Try again; look at the server and at what it depends on.",
    source = "gRPC UNAVAILABLE; grpc.health.v1 NOT_SERVING" },
  { word = "rpc_failed", stage = "rpc",
    sentence = "{method} failed with {status}: {detail}.",
    cure = "Look up the status in the server's documentation.",
    source = "gRPC" },
  { word = "namespace_not_found", stage = "namespace",
    sentence = "The certificate is accepted, but there is no namespace {namespace}.",
    cure = "Check its spelling; on Temporal Cloud it ends in .ACCOUNT.",
    source = "NamespaceNotFoundFailure" },
}

local causes = { rows = rows }
for _, row in ipairs(rows) do causes[row.word] = row end

local function fill(text, fields)
  return (text:gsub("{([%w_]+)}", function(name)
    local value = fields[name]
    return value ~= nil and words.printable(tostring(value)) or "?"
  end))
end

--- The message and the hint of a cause.
-- @tparam string word
-- @tparam table fields what the {fields} stand for
-- @treturn string message
-- @treturn string hint
function causes.describe(word, fields)
  local row = assert(causes[word], word)
  -- "the key" is a phrase of ours; a path keeps its letters.
  local message = fill(row.sentence, fields):gsub("%s+$", ""):gsub("^the ", "The ")
  return message, fill(row.cure, fields)
end

return causes

--- What the Temporal server asks of its TLS configuration and of the certificates named in it, and what else is worth
-- knowing, as data: one row a rule.
--
-- `code` is the stable word. `severity` is "error" where the server does not start, where its parts or its clients do
-- not connect, or where it is open though it reads as if it were not; else "warning" or "info". `message` is the
-- sentence ({words} are filled in by the check), `hint` the cure, `source` where the rule is to be read.
-- @module tcpki.server.rules
-- @local

local CONFIG = "temporal: common/config/config.go"
local TEMPLATE = "temporal: common/config/config_template_embedded.yaml"
local LOADER = "temporal: common/config/loader.go"
local FACTORY = "temporal: common/rpc/encryption/tls_factory.go"
local CERTIFICATES = "temporal: common/rpc/encryption/local_store_cert_provider.go"
local PROVIDER = "temporal: common/rpc/encryption/local_store_tls_provider.go"
local HOSTS = "temporal: common/rpc/encryption/local_store_per_host_cert_provider_map.go"
local RESOURCE = "temporal: common/resource/fx.go"
local RPC = "temporal: common/rpc/rpc.go"
local YAML = "https://pkg.go.dev/gopkg.in/yaml.v3#Unmarshal"
local PAIR = "https://pkg.go.dev/crypto/tls#X509KeyPair"
local VERIFY = "https://pkg.go.dev/crypto/x509#Certificate.Verify"
local TLS = "https://pkg.go.dev/crypto/tls#Config"
local PLAINTEXT = "https://github.com/temporalio/helm-charts/issues/739"
local USAGE = "https://github.com/temporalio/temporal/issues/2698"
local ANCHOR = "https://github.com/temporalio/sdk-typescript/issues/98"

local rules = {
  -- ---- the text ----
  { code = "bad_yaml", severity = "error", source = YAML, message = "it is no YAML: {reason}",
    hint = "correct the text there" },
  { code = "wrong_type", severity = "error", source = YAML, message = "{place} has a value of the wrong type: {wanted} "
    .. "is wanted", hint = "{cure}" },
  { code = "duplicate_key", severity = "error", source = YAML,
    message = "{name} stands there twice, first in line {other}", hint = "keep one" },
  { code = "several_documents", severity = "warning", source = LOADER,
    message = "there is more than one YAML document in the file; the server reads the first",
    hint = "put all of it into one document" },
  { code = "unknown_field", severity = "warning", source = CONFIG,
    message = "the server does not know {name}, and passes over it in silence", hint = "{cure}" },
  { code = "misplaced", severity = "warning", source = CONFIG,
    message = "the server passes over {name} here in silence: what it reads stands under global.tls",
    hint = "move it under global" },
  { code = "chart_values", severity = "warning", source = "https://github.com/temporalio/helm-charts",
    message = "{name} is of the values of the Helm chart: the server does not read these",
    hint = "check what the chart makes of them: config_template.yaml in the ConfigMap RELEASE-config" },
  { code = "item_dropped", severity = "warning", source = YAML,
    message = "an item of {place} is empty, and the server drops it in silence",
    hint = "remove the item, or name the file; a variable of the environment may not be set" },
  { code = "variable_alone", severity = "error", source = TEMPLATE,
    message = "the server does not read {name}, because {other} is not set: the list of CAs is left out as a whole",
    hint = "set {other} first" },
  { code = "variable_unknown", severity = "warning", source = TEMPLATE,
    message = "the server does not read {name}", hint = "see docs/server.md for the names that it reads" },
  { code = "no_tls", severity = "error", source = CONFIG,
    message = "there is no TLS in it: the server speaks plaintext with everybody", hint = "fill in global.tls" },

  -- ---- what the server refuses before it reads a file ----
  { code = "file_and_data", severity = "error", source = FACTORY,
    message = "both {name} and {other} are given", hint = "keep one of the two" },
  { code = "empty_item", severity = "error", source = FACTORY, message = "item {count} is empty",
    hint = "remove the item, or name the file" },
  { code = "host_name_empty", severity = "error", source = FACTORY, message = "the name of a host is empty",
    hint = "name the host" },
  { code = "negative_interval", severity = "error", source = PROVIDER,
    message = "the interval is negative, and the server panics at it",
    hint = "use a duration like 1m, or 0s for never" },
  { code = "bad_public_client", severity = "error", source = CONFIG, message = "{reason}", hint = "{cure}" },

  -- ---- files and data ----
  { code = "unreadable", severity = "error", source = CERTIFICATES, message = "the server cannot read {file}: {reason}",
    hint = "check the path; a relative one counts from the directory that the server is started in" },
  { code = "bad_base64", severity = "error", source = CERTIFICATES, message = "{place} is no base64",
    hint = "base64 -w0 FILE; it wants the whole PEM text in base64, armour included" },
  { code = "certificate_not_pem", severity = "error", source = PAIR, message = "there is no certificate in {file}",
    hint = "write it as PEM; tcpki.pem.lint says what is wrong with the text" },
  { code = "certificate_unreadable", severity = "error", source = PAIR,
    message = "the first certificate in {file} is none that Go can read",
    hint = "the leaf must be the first certificate; export it again" },
  { code = "certificate_missing", severity = "error", source = PROVIDER,
    message = "there is a key, but neither certFile nor certData, and the server panics at it",
    hint = "name the certificate of the key" },
  { code = "key_missing", severity = "error", source = CERTIFICATES,
    message = "there is a certificate, but neither keyFile nor keyData", hint = "name the key of the certificate" },
  { code = "key_not_pem", severity = "error", source = PAIR, message = "there is no private key in {file}",
    hint = "write the key as PEM" },
  { code = "key_encrypted", severity = "error", source = PAIR,
    message = "the private key in {file} is encrypted, and the server has no passphrase",
    hint = "decrypt it: openssl pkcs8 -topk8 -nocrypt -in FILE; keep it at mode 0600" },
  { code = "key_unreadable", severity = "error", source = PAIR,
    message = "the private key in {file} is none that Go can read",
    hint = "export it again: openssl pkcs8 -topk8 -nocrypt -in FILE" },
  { code = "key_mismatch", severity = "error", source = PAIR, message = "{file} is not the key of the certificate",
    hint = "put the key there that the certificate was made for" },
  { code = "switched", severity = "error", source = PAIR, message = "{file} holds the other half: certificate and key "
    .. "may be switched", hint = "exchange the two names" },
  { code = "authority_unreadable", severity = "error", source = CERTIFICATES,
    message = "there is no CA certificate in {file} that Go can read",
    hint = "put the certificate of the CA there, as PEM" },
  { code = "first_unreadable", severity = "error", source = CERTIFICATES,
    message = "the first certificate in {file} is none that Go can read, though a later one is",
    hint = "remove it, or export it again" },
  { code = "passed_over", severity = "warning", source = CERTIFICATES,
    message = "Go passes over the block {label} in {file} in silence",
    hint = "remove it, or write it as a CERTIFICATE" },

  -- ---- TLS that is off ----
  { code = "tls_off", severity = "error", source = CONFIG,
    message = "{place} says {name}, but no keyFile or keyData: the server speaks plaintext there",
    hint = "name certificate and key" },
  { code = "internode_plaintext", severity = "warning", source = CONFIG,
    message = "the nodes talk to each other in plaintext: internode has no TLS", hint = "fill in internode too" },
  { code = "frontend_plaintext", severity = "warning", source = CONFIG,
    message = "clients talk to the frontend in plaintext: frontend has no TLS", hint = "fill in frontend too" },
  { code = "plaintext_client", severity = "error", source = PLAINTEXT,
    message = "{who} dials in plaintext, and {other} wants TLS: {place} has no root CA files",
    hint = "name in rootCaFiles the CA of the certificate there, or say forceTLS: true where the system knows it" },
  { code = "plaintext_server", severity = "error", source = CONFIG,
    message = "{who} dials with TLS, and {other} speaks plaintext", hint = "give it a certificate and a key" },

  -- ---- who is let in ----
  { code = "client_ca_ignored", severity = "error", source = CONFIG,
    message = "{place} has CAs for clients, but no requireClientAuth: true, and lets in everybody",
    hint = "say requireClientAuth: true, or remove the CAs" },
  { code = "client_not_required", severity = "warning", source = CONFIG,
    message = "{place} asks for no client certificate: who reaches the port gets in",
    hint = "say requireClientAuth: true, and name the CAs in clientCaFiles" },
  { code = "client_ca_missing", severity = "error", source = TLS,
    message = "{place} requires client certificates, but names no CA for them: Go then trusts those of the system",
    hint = "name in clientCaFiles the CAs that issue for your clients" },
  { code = "no_client_certificate", severity = "error", source = PROVIDER,
    message = "{who} has no certificate, and {other} requires one", hint = "name certificate and key in {place}" },
  { code = "client_usage", severity = "error", source = USAGE,
    message = "{who} shows this certificate to {other}, and its extended key usage has no clientAuth",
    hint = 'have it reissued with serverAuth and clientAuth (tcpki: usage = "peer"), or with no extended key usage' },
  { code = "client_unknown", severity = "error", source = VERIFY,
    message = "{other} does not let in {who}: {reason}", hint = "{cure}" },

  -- ---- who is believed ----
  { code = "server_usage", severity = "error", source = VERIFY,
    message = "{who} does not take this certificate for a server's: its extended key usage has no serverAuth",
    hint = "have it reissued with serverAuth" },
  { code = "server_unknown", severity = "error", source = VERIFY,
    message = "{who} does not trust {other}: {reason}",
    hint = "name in {place} the CA that issued the certificate, and put intermediates behind the leaf in its file" },
  { code = "name_not_in_certificate", severity = "error", source = VERIFY,
    message = "{who} wants the name {name}, which the certificate of {other} does not bear",
    hint = "set serverName to a name of the certificate, or have it reissued with that name" },
  { code = "no_server_name", severity = "error", source = CONFIG,
    message = "{place} has no serverName: {who} dials an address, and the certificate of {other} bears none",
    hint = "set serverName to a name of the certificate" },
  { code = "verification_disabled", severity = "warning", source = TLS,
    message = "{place} says disableHostVerification: neither the name nor the issuer of the server is looked at",
    hint = "set serverName and the root CAs instead" },
  { code = "expired", severity = "error", source = VERIFY, message = "the certificate ended on {date}",
    hint = "renew it" },
  { code = "not_yet_valid", severity = "error", source = VERIFY, message = "the certificate begins on {date}",
    hint = "check the clock, or wait" },

  -- ---- hosts, workers, other clusters ----
  { code = "override_without_certificate", severity = "error", source = PROVIDER,
    message = "{place} has no certificate: connections for {name} get all of frontend.server instead",
    hint = "name certificate and key, or remove the override" },
  { code = "override_open", severity = "error", source = HOSTS,
    message = "{place} does not say requireClientAuth: true, which frontend.server does: whoever asks for {name} gets "
      .. "in without a certificate",
    hint = "say requireClientAuth: true there too" },
  { code = "host_not_in_certificate", severity = "error", source = VERIFY,
    message = "clients that connect to {name} get this certificate, which does not bear the name",
    hint = "have it reissued with the alternative name {name}" },
  { code = "host_pattern", severity = "error", source = HOSTS,
    message = "the server compares {name} letter by letter: it knows no patterns, and nobody asks for that name",
    hint = "write an override for each host" },
  { code = "host_never_asked", severity = "error", source = "RFC 6066, section 3",
    message = "no client asks for {name}: a server name has no port and is no address",
    hint = "write the host name alone; who connects to an address gets frontend.server" },
  { code = "host_twice", severity = "error", source = HOSTS,
    message = "{name} is there twice, but for capitals: which of the two counts changes from start to start",
    hint = "keep one" },
  { code = "overrides_ignored", severity = "warning", source = PROVIDER,
    message = "the server reads {place} nowhere: overrides are for the frontend", hint = "move them, or remove them" },
  { code = "frontend_client_ignored", severity = "warning", source = PROVIDER,
    message = "the server reads frontend.client nowhere, because there is a systemWorker", hint = "remove it" },
  { code = "worker_ignored", severity = "warning", source = PROVIDER,
    message = "the server passes over systemWorker: it has no certificate, no root CA and no forceTLS",
    hint = "fill it in, or remove it" },
  { code = "worker_not_used", severity = "warning", source = RESOURCE,
    message = "{place} is not used: connections to the frontend take internode.client, because of {other}",
    hint = "remove it" },
  { code = "remote_key", severity = "error", source = RPC,
    message = "{name} never matches: the server looks for the host of rpcAddress, without its port",
    hint = "write the host alone" },
  { code = "remote_certificate_kept", severity = "warning", source = PROVIDER,
    message = "{place} has a certificate, but it is shown to the other cluster only with requireClientAuth: true there",
    hint = "say server.requireClientAuth: true" },

  -- ---- reloading and expiry ----
  { code = "no_refresh", severity = "warning", source = CERTIFICATES,
    message = "refreshInterval is not set: a renewed file counts only after a restart",
    hint = "say refreshInterval: 1m" },
  { code = "several_in_file", severity = "warning", source = CERTIFICATES,
    message = "there are {count} CAs in {file}, and to see whether something changed the server looks at the first "
      .. "only: a CA that is added or removed behind it counts after a restart",
    hint = "put each CA into a file of its own" },
  { code = "no_expiration_checks", severity = "info", source = PROVIDER,
    message = "the server says nothing before a certificate ends: expirationChecks has no {name}",
    hint = "say warningWindow: 720h, errorWindow: 168h, checkInterval: 1h" },
  { code = "error_window_wider", severity = "warning", source = PROVIDER,
    message = "errorWindow is wider than warningWindow, and nothing is looked at beyond that",
    hint = "make warningWindow the wider one" },
  { code = "expires_soon", severity = "warning", source = PROVIDER, message = "the certificate ends on {date}",
    hint = "renew it" },
  { code = "authority_expired", severity = "warning", source = VERIFY, message = "the CA ended on {date}",
    hint = "remove it" },

  -- ---- beyond the server ----
  { code = "outlives_issuer", severity = "warning", source = VERIFY,
    message = "the certificate ends on {date}, after its issuer {name}, which ends on {other}: from then on it is "
      .. "worth nothing",
    hint = "renew the issuer first" },
  { code = "intermediate_anchor", severity = "warning", source = ANCHOR,
    message = "it is no root but was issued by {name}: Go trusts it as it is; OpenSSL, Node and older rustls ask for "
      .. "the root too",
    hint = "trust the root, and let servers and clients send the intermediate behind their leaf" },
  { code = "not_an_authority", severity = "warning", source = VERIFY,
    message = "it is no CA (no basicConstraints CA:true): it vouches for nobody but itself",
    hint = "name the CA that issued it" },
  { code = "key_readable", severity = "warning", source = CERTIFICATES,
    message = "the key in {file} has mode {mode}: others than its owner can read it",
    hint = "chmod 600 {file}" },
  { code = "key_inline", severity = "warning", source = CERTIFICATES,
    message = "a private key stands in the configuration, which has mode {mode}", hint = "chmod 600 {file}" },
  { code = "version_1", severity = "warning", source = "RFC 5280, section 4.1.2.1",
    message = "it is X.509 version 1, with no extensions and no alternative names; SDKs over rustls refuse it",
    hint = "issue it again as version 3" },
}

rules.by_code = {}
for _, rule in ipairs(rules) do
  rules.by_code[rule.code] = rule
end

return rules

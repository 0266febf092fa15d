--- What istiod asks of its CA files, and what else is worth knowing of them, as data: one row a rule.
--
-- `code` is the stable word, `severity` as in a report: istiod does not start, or keeps what it had, for an "error" and
-- for nothing else. `message` is the sentence ({words} are filled in by the check), `hint` the cure, `source` where the
-- rule is to be read. The order of the errors is that in which istiod checks.
-- @module tcpki.istio.rules
-- @local

local BOOTSTRAP = "istio: pilot/pkg/bootstrap/istio_ca.go"
local BUNDLE = "istio: security/pkg/pki/util/keycertbundle.go"
local CRYPTO = "istio: security/pkg/pki/util/crypto.go"
local AUTHORITY = "istio: security/pkg/pki/ca/ca.go"
local VERIFY = "https://pkg.go.dev/crypto/x509#Certificate.Verify"
local PLUG_IN = "https://istio.io/latest/docs/tasks/security/cert-management/plugin-ca-cert/"
local ENVOY = "envoy: api/envoy/extensions/transport_sockets/tls/v3/common.proto"

local rules = {
  -- ---- istiod ----
  { code = "incomplete", severity = "error", source = BOOTSTRAP,
    message = "{missing} is not there",
    hint = "put all of {needed} there; before Istio 1.27 istiod made a CA of its own instead, without a word" },
  { code = "certificate_not_pem", severity = "error", source = CRYPTO,
    message = "there is no PEM block in it",
    hint = "write the certificate of the CA as PEM; tcpki.pem.lint says what is wrong with the text" },
  { code = "certificate_unreadable", severity = "error", source = CRYPTO,
    message = "the first PEM block ({label}) holds no certificate that Go can read: {reason}",
    hint = "let the certificate of the CA be the first block; istiod reads no other" },
  { code = "no_root", severity = "error", source = BUNDLE,
    message = "it holds no certificate that Go takes",
    hint = "put the certificate of the root there, as PEM with the label CERTIFICATE" },
  { code = "expired", severity = "error", source = VERIFY,
    message = "the certificate ended on {date}", hint = "renew it" },
  { code = "not_yet_valid", severity = "error", source = VERIFY,
    message = "the certificate begins on {date}", hint = "check the clock of the node, or wait" },
  { code = "wrong_purpose", severity = "error", source = VERIFY,
    message = "the extended key usage has no serverAuth, which Go asks for where nobody asks for a purpose",
    hint = "have the CA reissued without an extended key usage, or with serverAuth and clientAuth" },
  { code = "path_length_exceeded", severity = "error", source = VERIFY,
    message = "its path length allows no more CAs below it",
    hint = "have it reissued with a greater path length or none, or sign with a CA directly below it" },
  { code = "name_not_permitted", severity = "error", source = VERIFY,
    message = "its name constraints do not permit the names of the CA below it",
    hint = "leave the alternative names out of the CA below, or permit them" },
  { code = "issuer_cannot_sign", severity = "error", source = VERIFY,
    message = "it may not sign certificates: basicConstraints CA:true is missing, or its key usage has no keyCertSign",
    hint = "have it reissued as a CA" },
  { code = "unknown_critical_extension", severity = "error", source = VERIFY,
    message = "it has the critical extension {oid}, which Go does not know",
    hint = "have it reissued without that extension" },
  { code = "weak", severity = "error", source = VERIFY,
    message = "the signature is too weak for Go: {reason}",
    hint = "have it reissued with SHA-256 (openssl: -sha256; LibreSSL signs with SHA-1 unless told)" },
  { code = "bad_signature", severity = "error", source = VERIFY,
    message = "its name is that of the issuer, but it did not sign: {reason}",
    hint = "take the issuer of this very certificate; another one of the same name is not enough" },
  { code = "no_issuer", severity = "error", source = VERIFY,
    message = "its issuer {issuer} is in neither {root} nor {chain}",
    hint = "add the CAs between it and the root to {chain}, and the root to {root}" },
  { code = "issuer_name_differs", severity = "error", source = VERIFY,
    message = "its issuer {issuer} stands in {other} with a name of other bytes: OpenSSL takes it, Go does not",
    hint = "have it reissued by that CA as it is now, so that the name is copied to the byte" },
  { code = "not_verified", severity = "error", source = VERIFY,
    message = "Go does not verify the certificate: {reason}", hint = "see the reason" },
  { code = "key_not_pem", severity = "error", source = CRYPTO,
    message = "there is no PEM block in it", hint = "write the private key of the CA as PEM" },
  { code = "key_encrypted", severity = "error", source = CRYPTO,
    message = "the private key is encrypted, and istiod has no passphrase",
    hint = "decrypt it: openssl pkcs8 -topk8 -nocrypt -in KEY -out {file}; keep it at mode 0600" },
  { code = "key_parameters", severity = "error", source = CRYPTO,
    message = "the first block is EC PARAMETERS, and istiod reads only the first",
    hint = "leave the parameters out: openssl ecparam -genkey -noout, or openssl pkcs8 -topk8 -nocrypt" },
  { code = "key_label", severity = "error", source = CRYPTO,
    message = "the first block is {label}, which is no label of a private key that istiod knows",
    hint = "write the key as PRIVATE KEY (PKCS#8), EC PRIVATE KEY or RSA PRIVATE KEY" },
  { code = "key_unreadable", severity = "error", source = CRYPTO,
    message = "the block {label} holds no such key{other}",
    hint = "export the key again: openssl pkcs8 -topk8 -nocrypt" },
  { code = "certificate_label", severity = "error", source = BUNDLE,
    message = "no block in it has the label CERTIFICATE",
    hint = "write it as CERTIFICATE: openssl x509 -in FILE -out {file}" },
  { code = "key_mismatch", severity = "error", source = BUNDLE,
    message = "it is not the key of the certificate in {certificate}",
    hint = "put the key there that the certificate was made for" },
  { code = "chain_unreadable", severity = "error", source = BUNDLE,
    message = "a block of it is no certificate that Go can read, and with a CRL istiod reads them all",
    hint = "leave only the certificates of the CAs in it" },
  { code = "crl_unreadable", severity = "error", source = BUNDLE,
    message = "a block of it is no CRL that Go can read",
    hint = "put one CRL of every CA of the chain there, as PEM" },
  { code = "crl_missing", severity = "error", source = BUNDLE,
    message = "there is no CRL that was signed by {names}{reason}",
    hint = "add a CRL of every CA in {chain}, or remove {file}; a CA without cRLSign must be reissued first" },
  { code = "not_an_authority", severity = "error", source = AUTHORITY,
    message = "the certificate is no CA: basicConstraints CA:true is missing",
    hint = "plug in the certificate of an intermediate CA; the certificate of a server cannot sign for workloads" },
  { code = "chain_not_pem", severity = "error", source = AUTHORITY,
    message = "the first block in it is no certificate that Go can read",
    hint = "begin it with the certificate of {certificate}" },
  { code = "chain_expired", severity = "error", source = AUTHORITY,
    message = "the first certificate in it ended on {date}; istiod takes its life for that of the CA",
    hint = "begin it with the certificate of {certificate}" },
  -- a warning where more than one certificate is in it: then only what follows is lost
  { code = "run_together", severity = "error", source = BOOTSTRAP,
    message = "its last line has no end, and istiod reads {root} right behind it: the two become one damaged block",
    hint = "end the file with a newline" },

  -- ---- beyond istiod ----
  { code = "two_layouts", severity = "warning", source = BOOTSTRAP,
    message = "there are files of both layouts; istiod reads tls.crt, tls.key and ca.crt and passes over the others",
    hint = "remove the files of one" },
  { code = "istio_generated", severity = "warning", source = BOOTSTRAP,
    message = "this file marks a CA that istiod made for itself; it may replace the others",
    hint = "remove it from the Secret where the CA is your own" },
  { code = "crl_ignored", severity = "warning", source = BOOTSTRAP,
    message = "istiod reads no CRL beside tls.crt", hint = "use the layout with ca-cert.pem" },
  { code = "crl_empty", severity = "warning", source = BUNDLE,
    message = "it is empty, which istiod takes for no CRL at all", hint = "remove it, or put the CRLs there" },
  { code = "several_certificates", severity = "warning", source = CRYPTO,
    message = "there are {count} certificates in it; istiod reads the first and passes over the rest",
    hint = "move the others to {chain}" },
  { code = "passed_over", severity = "warning", source = VERIFY,
    message = "Go passes over the block {label} in silence", hint = "remove it, or write it as a CERTIFICATE" },
  { code = "chain_order", severity = "warning", source = AUTHORITY,
    message = "it does not begin with the certificate of {certificate}",
    hint = "begin it with that certificate, then its issuer: workloads send it behind their own as it is" },
  { code = "chain_lacks_certificate", severity = "warning", source = AUTHORITY,
    message = "the certificate of {certificate} is not in it, so that peers cannot verify the workloads",
    hint = "begin it with that certificate" },
  { code = "root_in_chain", severity = "info", source = "https://github.com/istio/istio/issues/39001",
    message = "it holds the root, which every workload then sends in every handshake; Istio's makefiles do so",
    hint = "leave it out: peers have it in {root}" },
  { code = "root_signs", severity = "warning", source = PLUG_IN,
    message = "the root itself signs for the workloads: its key has to be in the cluster",
    hint = "plug in an intermediate CA, and keep the key of the root offline" },
  { code = "no_crl_sign", severity = "warning", source = BUNDLE,
    message = "its key usage has no cRLSign: no CRL of this CA will be accepted",
    hint = "have it reissued with cRLSign, which Istio's makefiles forget" },
  { code = "same_subject", severity = "warning", source = BUNDLE,
    message = "two CAs of the chain have the subject {names}; istiod asks for a CRL of only one of them",
    hint = "give each CA a subject of its own" },
  { code = "crl_expired", severity = "warning", source = ENVOY,
    message = "a CRL of {names} ended on {date}; istiod does not look, but Envoy then refuses every certificate of it",
    hint = "issue a new one" },
  { code = "weak_key", severity = "warning", source = AUTHORITY,
    message = "the key is {kind}; istiod signs with it, but Envoy does not verify such signatures, or should not",
    hint = "use ECDSA P-256 or P-384, or RSA with 2048 bits or more" },
  { code = "outlives_issuer", severity = "warning", source = VERIFY,
    message = "the certificate ends on {date}, after its issuer, which ends on {other}",
    hint = "renew the issuer first" },
  { code = "expires_soon", severity = "warning", source = AUTHORITY,
    message = "the certificate ends on {date}, in {count} days: certificates of workloads end with it",
    hint = "renew it; tcpki.istio.rotate has the steps for a new root" },
  { code = "key_readable", severity = "warning", source = PLUG_IN,
    message = "others on this machine may read the private key (mode {mode})", hint = "chmod 600 {file}" },
}

--- What a running istiod asks of other files than those that it has, beside all of the above.
rules.update = {
  { code = "root_unrelated", severity = "error", source = BOOTSTRAP,
    message = "neither {root} holds all the roots of the other: a running istiod keeps the one that it has",
    hint = "go through one that holds both: tcpki.istio.rotate",
    says = "Updating new ROOT-CA not supported" },
  { code = "root_not_contained", severity = "warning", source = BOOTSTRAP,
    message = "neither {root} holds the text of the other as it stands; up to 1.30 istiod goes by the text, not by the "
      .. "certificates",
    hint = "leave the old text as it is, and put the new one behind it",
    says = "Updating new ROOT-CA not supported" },
  { code = "multi_root", severity = "info", source = BOOTSTRAP,
    message = "a running istiod takes another {root} only with ISTIO_MULTIROOT_MESH=true, which is not the default",
    hint = "set it for istiod before the first step, until the last",
    says = "Multi root is disabled, updating new ROOT-CA not supported" },
}

rules.by_code = {}
for _, group in ipairs { rules, rules.update } do
  for _, rule in ipairs(group) do
    rules.by_code[rule.code] = rule
  end
end

return rules

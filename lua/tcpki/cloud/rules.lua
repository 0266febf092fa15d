--- The rules of Temporal Cloud for certificates, as data: one row a rule.
--
-- `code` is the stable word, `severity` as in a report, `message` the sentence ({words} are filled in by the check),
-- `hint` the cure, `source` the document that it comes from, `concerns` what it is a rule for: "bundle", "authority" (a
-- CA, of the bundle or in a chain), "certificate" (any), "leaf", "chain", "key", "access" (namespace and filters).
-- `who` is what stumbles over it, where that is not Temporal Cloud; `note` says which official tool makes such
-- certificates. The order is that of the findings on one certificate.
--
-- `kind` tells what is refused from what is unwise:
--
-- - `refused`: Temporal Cloud refuses the upload or the connection
-- - `documented`: its documentation demands otherwise, but official tools make such certificates, or nothing shows
--   that it is enforced
-- - `sdk`: it never gets to Temporal Cloud: an SDK cannot use it
-- - `advice`: no rule of the documentation; unwise all the same
-- - `text`: how the PEM is written; `who` says which readers stumble (rows of tcpki.pem.rules)
--
-- `rules.by_code[code]` is a row by its word, `rules.limits` the numbers.
-- @module tcpki.cloud.rules

local BUNDLES = "https://docs.temporal.io/cloud/certificates#ca-certificates"
local LEAVES = "https://docs.temporal.io/cloud/certificates#end-entity-certificates"
local REQUIREMENTS = "https://docs.temporal.io/cloud/certificates#certificate-requirements"
local ISSUE = "https://docs.temporal.io/cloud/certificates#issue-certificates"
local CHAINS = "https://docs.temporal.io/cloud/certificates#control-authorization"
local FILTERS = "https://docs.temporal.io/cloud/certificates#manage-certificate-filters"
local MANAGE = "https://docs.temporal.io/cloud/certificates#manage-certificates"
local MAILS = "https://docs.temporal.io/cloud/notifications#admin-notifications"
local NAMESPACES = "https://docs.temporal.io/cloud/namespaces"
local CLIENTS = "https://docs.temporal.io/cloud/certificates#configure-clients-to-use-client-certificates"
local USAGES = "https://github.com/temporalio/documentation/pull/4710"
local GO = "https://pkg.go.dev/crypto/x509#Certificate.Verify"
local RFC_NAMES = "https://www.rfc-editor.org/rfc/rfc5280#section-7.1"
local RFC_USAGE = "https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.3"
local RING = "https://docs.rs/ring/latest/ring/rsa/struct.KeyPair.html"

local RUSTLS_SDKS = "the SDKs over rustls (Python, TypeScript, .NET, Ruby, Rust)"

local rules = {
  -- ---- the bundle as a whole ----
  {
    code = "empty", concerns = "bundle", kind = "refused", severity = "error",
    message = "there is no certificate in it",
    hint = "put the certificate of the CA into it that issues your clients' certificates",
    source = BUNDLES,
  },
  {
    code = "holds_key", concerns = "bundle", kind = "refused", severity = "error",
    message = "there is a private key among the certificates",
    hint = "remove it, and upload certificates only; if it has left your hands, replace it and whatever it signed",
    source = BUNDLES,
  },
  {
    code = "too_many_certificates", concerns = "bundle", kind = "refused", severity = "error",
    message = "{count} certificates: a namespace takes at most {limit} (the documentation of 2022 said {old_limit})",
    hint = "remove the CAs whose clients are gone; an intermediate can stay in the chain of its clients",
    source = BUNDLES,
  },
  {
    code = "too_large", concerns = "bundle", kind = "refused", severity = "error",
    message = "{bytes} bytes: a namespace takes at most 32 KB ({limit} bytes) before base64",
    hint = "write the certificates without text around them (bundle:pem()), use EC keys, remove CAs that are not used",
    source = BUNDLES,
  },
  {
    code = "duplicate", concerns = "bundle", kind = "advice", severity = "warning",
    message = "the certificate stands in the bundle more than once",
    hint = "remove the other one: tcld refuses to add it (\"already exists\")",
    source = MANAGE,
  },
  {
    code = "roots_unknown", concerns = "bundle", kind = "advice", severity = "info",
    message = "not checked for well-known public CAs: {reason}",
    hint = "install the package ca-certificates, or name a file of public roots with roots_path",
    source = BUNDLES,
  },

  -- ---- a certificate of an authority ----
  {
    code = "not_version_3", concerns = "authority", kind = "refused", severity = "error",
    message = "it is X.509 version {version}, so that it cannot say CA:true",
    hint = "issue it again as version 3: openssl req -x509 with -extensions v3_ca, or tcpki.cloud.authority",
    source = BUNDLES,
  },
  {
    code = "leaf_in_bundle", concerns = "bundle", kind = "refused", severity = "error",
    message = "it is the certificate of a client, not of a CA",
    hint = "upload the certificate of its issuer, {issuer}; this one goes to the worker",
    source = BUNDLES,
  },
  {
    code = "not_an_authority", concerns = "authority", kind = "refused", severity = "error",
    message = "{reason}, but it has to say CA:true",
    hint = "issue it again with basicConstraints = critical, CA:true",
    source = BUNDLES,
  },
  {
    code = "cannot_sign", concerns = "authority", kind = "refused", severity = "error",
    message = "its key usage has no keyCertSign: no certificate that it signs verifies, in Go or anywhere",
    hint = "issue it again with keyUsage = critical, keyCertSign, cRLSign",
    source = RFC_USAGE,
  },
  {
    code = "excludes_clients", concerns = "authority", kind = "refused", severity = "error",
    message = "its extended key usage ({usages}) leaves out clientAuth, which Go demands of every CA of the chain",
    hint = "issue it again without extended key usage, or with clientAuth",
    source = GO,
  },
  {
    code = "public_authority", concerns = "bundle", kind = "refused", severity = "error",
    message = "it {reason}: without certificate filters anybody's certificate of that CA would be let in",
    hint = "use a CA of your own, or set certificate filters first. If it is your own and only installed on this "
      .. "machine as well, name another list with roots_path",
    source = BUNDLES,
  },
  {
    code = "public_authority_filtered", concerns = "bundle", kind = "advice", severity = "info",
    message = "it {reason}: certificate filters alone keep others out, and cannot be cleared while it is there",
    hint = "see that each filter names what only you can get from that CA",
    source = FILTERS,
  },
  {
    code = "issuer_missing", concerns = "bundle", kind = "refused", severity = "error",
    message = "it is no root, and {reason}",
    hint = "add the certificate of {issuer} to the bundle",
    source = BUNDLES,
  },
  {
    code = "same_subject", concerns = "bundle", kind = "documented", severity = "error",
    message = "{other} has the same subject, letter case aside: a chain with both would be refused",
    hint = "give each CA a name of its own, a successor too: CN=Acme Worker CA 2027",
    source = BUNDLES,
  },

  -- ---- any certificate ----
  {
    code = "damaged_certificate", concerns = "certificate", kind = "refused", severity = "error",
    message = "it cannot be judged: {reason}",
    hint = "export it again, or issue it again",
    source = REQUIREMENTS,
  },
  {
    code = "weak_signature", concerns = "certificate", kind = "refused", severity = "error",
    message = "it is signed with {algorithm}: it has to be RSA or ECDSA with SHA-256 or stronger",
    hint = "issue it again with -sha256",
    source = REQUIREMENTS,
  },
  {
    code = "key_algorithm", concerns = "certificate", kind = "documented", severity = "error",
    message = "its key is {key}: it has to be RSA or ECDSA",
    hint = "issue it again for an EC key on P-256 or an RSA key of 2048 bits or more",
    source = REQUIREMENTS,
  },
  {
    code = "unknown_curve", concerns = "certificate", kind = "refused", severity = "error",
    message = "its key is on the curve {curve}, which Go cannot read",
    hint = "issue it again for a key on P-256 or P-384",
    source = "https://pkg.go.dev/crypto/elliptic",
  },
  {
    code = "small_key", concerns = "certificate", kind = "advice", severity = "error",
    message = "its RSA key has {bits} bits: it has to have 2048 or more",
    hint = "issue it again for an RSA key of 2048 bits or more, or an EC key",
    who = RUSTLS_SDKS .. ", and OpenSSL at the security level of Debian",
    source = RING,
  },
  {
    code = "expired", concerns = "certificate", kind = "refused", severity = "error",
    message = "it expired on {date}, {time} ago{consequence}",
    hint = "{cure}",
    source = MANAGE,
  },
  {
    code = "not_yet_valid", concerns = "certificate", kind = "refused", severity = "error",
    message = "it is not valid before {date}, in {time}{consequence}",
    hint = "wait until then, or issue it again from now on; check the clock of the machine that issued it",
    source = GO,
  },
  {
    code = "expires_soon", concerns = "certificate", kind = "advice", severity = "warning",
    message = "it expires on {date}, in {time}",
    hint = "{cure}",
    note = "Temporal Cloud sends mails 15, 10 and 5 days before the end of a CA, and none about a client",
    source = MAILS,
  },

  -- ---- the leaf ----
  {
    code = "leaf_not_version_3", concerns = "leaf", kind = "documented", severity = "error",
    message = "it is X.509 version {version}: it has no extensions, so neither CA:false nor a key usage",
    hint = "issue it again as version 3: openssl x509 -req with -extfile FILE -extensions SECTION, or "
      .. "tcpki.cloud.client",
    note = "temporalio/client-certificate-generation (samples-server tls/client-only) makes such leaves",
    who = RUSTLS_SDKS .. ", which refuse their own certificate of version 1",
    source = LEAVES,
  },
  {
    code = "leaf_is_authority", concerns = "leaf", kind = "documented", severity = "error",
    message = "it is the certificate of a CA (CA:true), and not of a client",
    hint = "issue a certificate for the client under it, with basicConstraints = critical, CA:false",
    source = LEAVES,
  },
  {
    code = "leaf_without_constraints", concerns = "leaf", kind = "documented", severity = "error",
    message = "it has no basic constraints, and so does not say CA:false",
    hint = "issue it again with basicConstraints = critical, CA:false",
    note = "certstrap, the documentation's recipe for step, and samples-server tls-simple and tls-full make such",
    source = LEAVES,
  },
  {
    code = "leaf_without_key_usage", concerns = "leaf", kind = "documented", severity = "warning",
    message = "it has no key usage, and so does not say digitalSignature",
    hint = "issue it again with keyUsage = critical, digitalSignature when it is renewed",
    note = "tcld, and samples-server tls-simple and tls-full, make such leaves",
    source = LEAVES,
  },
  {
    code = "leaf_without_signature", concerns = "leaf", kind = "documented", severity = "error",
    message = "its key usage ({usages}) leaves out digitalSignature",
    hint = "issue it again with keyUsage = critical, digitalSignature",
    source = LEAVES,
  },
  {
    code = "leaf_without_client_auth", concerns = "leaf", kind = "refused", severity = "error",
    message = "its extended key usage ({usages}) leaves out clientAuth",
    hint = "issue it again with extendedKeyUsage = clientAuth, or without extended key usage",
    source = USAGES,
  },
  {
    code = "outlives_issuer", concerns = "leaf", kind = "documented", severity = "error",
    message = "it is valid until {date}, and its issuer {issuer} only until {issuer_date}",
    hint = "issue it with an end before that of its issuer, or renew the CA first",
    source = ISSUE,
  },

  -- ---- the chain ----
  {
    code = "chain_order", concerns = "chain", kind = "refused", severity = "error",
    message = "the certificates are not in order: the leaf comes first, then its issuer, and so on",
    hint = "let tcpki.chain.read(path):write(other_path) put them in order",
    source = CHAINS,
  },
  {
    code = "foreign_certificate", concerns = "chain", kind = "advice", severity = "warning",
    message = "it stands in the file of the chain and is not on it",
    hint = "remove it: it is sent with every connection, to no purpose",
    source = CHAINS,
  },
  {
    code = "same_name", concerns = "chain", kind = "refused", severity = "error",
    message = "{other} in its chain has the same distinguished name, letter case aside",
    hint = "give each certificate from the leaf to the root a name of its own, for example a CN beside the O",
    source = LEAVES,
  },
  {
    code = "names_encoded_differently", concerns = "chain", kind = "refused", severity = "error",
    message = "it names its issuer {issuer} in other bytes than that one has for its own name: the two are the same "
      .. "for OpenSSL, and strangers for Go",
    hint = "issue it again with a tool that copies the name from the CA's certificate, to the byte",
    source = RFC_NAMES,
  },
  {
    code = "not_accepted", concerns = "chain", kind = "refused", severity = "error",
    message = "it does not reach a CA of the accepted bundle: {reason}",
    hint = "{cure}",
    source = CHAINS,
  },
  {
    code = "not_verified", concerns = "chain", kind = "refused", severity = "error",
    message = "the chain does not verify: {reason}",
    hint = "{cure}",
    source = GO,
  },

  -- ---- the key ----
  {
    code = "key_unreadable", concerns = "key", kind = "sdk", severity = "error",
    message = "the key cannot be read: {reason}",
    hint = "{cure}",
    source = CLIENTS,
  },
  {
    code = "key_mismatch", concerns = "key", kind = "sdk", severity = "error",
    message = "the key is not the one of the leaf",
    hint = "pass the key that the certificate was made for; the CA's own key is not it",
    who = "every SDK",
    source = CLIENTS,
  },
  {
    code = "encrypted_key", concerns = "key", kind = "sdk", severity = "error",
    message = "the key is encrypted",
    hint = "decrypt it for the worker: openssl pkcs8 -topk8 -nocrypt -in FILE -out NEW; keep it at mode 0600",
    who = "every SDK: none can ask for a passphrase",
    source = BUNDLES,
  },
  {
    code = "traditional_key", concerns = "key", kind = "sdk", severity = "warning",
    message = "the key is in the traditional form, SEC1 or PKCS#1, and not in PKCS#8",
    hint = "convert it: openssl pkcs8 -topk8 -nocrypt -in FILE -out NEW",
    who = "the Java SDK, older Python, TypeScript, .NET, Ruby and Rust SDKs, tcld",
    source = ISSUE,
  },

  -- ---- who is let in ----
  {
    code = "namespace_syntax", concerns = "access", kind = "refused", severity = "error",
    message = "{reason}",
    hint = "{cure}",
    source = NAMESPACES,
  },
  {
    code = "locked_out", concerns = "access", kind = "refused", severity = "error",
    message = "no certificate filter lets it in (\"Request unauthorized.\"): {reason}",
    hint = "add a filter that fits it, or issue it with the names that a filter asks for",
    source = FILTERS,
  },
}

local by_code = {}
for place, rule in ipairs(rules) do
  by_code[rule.code] = rule
  rule.place = place
end
rules.by_code = by_code

-- What follows from a finding, by its kind, as a sentence.
rules.kinds = {
  refused = "Temporal Cloud refuses this",
  documented = "against Temporal Cloud's documentation; that it refuses this is not known",
  sdk = "not for Temporal Cloud to judge: a client cannot use it",
  advice = "no rule of Temporal Cloud's documentation, but unwise",
}

-- The numbers of the documentation.
rules.limits = {
  certificates = 16,
  old_certificates = 25, -- the text of August 2022 (documentation, pull request 1410)
  bytes = 32 * 1024,
  mails = { 15, 10, 5 }, -- days before the end
  rsa_bits = 2048,
}

-- How many days before its end a certificate is reported, where the caller does not say. A third of its lifetime where
-- that is less.
rules.SOON_DAYS = 30

return rules

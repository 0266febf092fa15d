--- What is wrong with a depot, as data: one row a rule.
--
-- `code` is the stable word, `severity` as in a report, `message` the sentence ({words} are filled in by the check),
-- `hint` the cure, `source` where the rule is to be read.
--
-- The rows of `kind` "certstrap" say what certstrap 1.3.0 does not read. They are facts from its sources, run against
-- the same library calls (test/certstrap), and not against the tool itself, which is not to be had from the Go module
-- proxy.
-- @module tcpki.certstrap.rules
-- @local

local RFC = "https://www.rfc-editor.org/rfc/rfc"
local CERTSTRAP = "https://github.com/square/certstrap/"

local rules = {
  -- ---- files ----
  { code = "unreadable", severity = "error", message = "it cannot be read: {reason}", hint = "{hint}" },
  { code = "half", severity = "warning",
    message = "{present} lies there alone: there is neither request nor certificate",
    hint = "a run was cut off, or files were moved away: remove it, or bring the others back" },
  { code = "key_mismatch", severity = "error", message = "the key is not the key of the certificate",
    hint = "bring the key that belongs to it, or renew it with a new one: depot:renew('{stem}', { key = 'new' })" },
  { code = "key_open", severity = "error", message = "everybody on this machine can read the private key (mode {mode})",
    hint = "chmod 440; if others were on the machine, renew it with a new key" },
  { code = "request_unsigned", severity = "error", source = CERTSTRAP .. "blob/v1.3.0/pkix/csr.go",
    message = "the request is not signed by the key that it names; certstrap signs it all the same",
    hint = "ask for a new request, and find out who changed this one" },
  { code = "request_differs", severity = "warning", message = "the request is for another key than the certificate",
    hint = "remove the request: to sign it would give a certificate that no key here fits" },

  -- ---- certificates ----
  { code = "not_verified", severity = "error", message = "{reason}", hint = "{hint}" },
  { code = "revoked", severity = "error", message = "it was revoked on {date}",
    hint = "where it is still needed: depot:renew('{stem}', { key = 'new' })" },
  { code = "no_room", severity = "error", source = CERTSTRAP .. "issues/78",
    message = "the path length of a CA above allows no CA here: nobody accepts what this one issues",
    hint = "make the root with path_length = 1, and sign this request under it" },
  { code = "outlives_issuer", severity = "warning", source = RFC .. "5280#section-4.1.2.5",
    message = "it ends on {date}, after its issuer", hint = "renew the issuer: depot:renew('{issuer}')" },
  { code = "no_basic_constraints", severity = "warning", source = RFC .. "5280#section-4.2.1.9",
    message = "it has no basicConstraints, which Temporal Cloud asks for (CA:false)",
    hint = "issue it anew: depot:renew('{stem}')" },
  { code = "key_usage_of_others", severity = "warning", source = "{source}",
    message = "its key usage has {usages}, which a key of the type {type} cannot do",
    hint = "issue it anew: depot:renew('{stem}')" },
  { code = "no_names", severity = "info", source = RFC .. "6125#section-6.4.4",
    message = "it has no subject alternative name: it serves a client, but no client finds the name of a server in it",
    hint = "for a server, request it again with domain = …" },

  -- ---- CRLs ----
  { code = "crl_missing", severity = "info", message = "the CA has no CRL", hint = "depot:crl { ca = '{ca}' }",
    source = CERTSTRAP .. "issues/43" },
  { code = "crl_forged", severity = "error", message = "its CA did not sign the CRL: {reason}",
    hint = "find out where it comes from; without it, revocations are lost" },
  { code = "crl_ended", severity = "warning", source = CERTSTRAP .. "issues/96",
    message = "the CRL ended on {date}: who checks revocation accepts nothing", hint = "depot:crl { ca = '{ca}' }" },
  { code = "crl_without_number", severity = "warning", source = RFC .. "5280#section-5.2.3",
    message = "the CRL has no number: readers cannot tell which of two is the later",
    hint = "the next one has: depot:crl { ca = '{ca}' }" },
  { code = "crl_repeats", severity = "info", message = "the CRL lists certificates more than once: {count} of them",
    hint = "the next one does not: depot:crl { ca = '{ca}' }" },

  -- ---- what certstrap does not read ----
  { code = "mode_too_lax", kind = "certstrap", severity = "warning", source = CERTSTRAP .. "issues/180",
    message = "the mode is {mode}, and certstrap reads nothing with more than {most}", hint = "chmod {most}" },
  { code = "label", kind = "certstrap", severity = "warning", source = CERTSTRAP .. "tree/v1.3.0/pkix",
    message = "the first PEM block is {label}, and certstrap reads {wanted} there",
    hint = "let one block of that label be the first of the file" },
  { code = "key_form", kind = "certstrap", severity = "warning", source = CERTSTRAP .. "blob/v1.3.0/pkix/key.go",
    message = "the first PEM block is {label}: certstrap reads RSA PRIVATE KEY, PRIVATE KEY, ENCRYPTED PRIVATE KEY",
    hint = "openssl pkcs8 -topk8 -nocrypt writes PRIVATE KEY" },
}

rules.by_code = {}
for _, row in ipairs(rules) do
  rules.by_code[row.code] = row
end

--- A finding by its rule.
-- @tparam string code
-- @tparam table words for the message and the hint
-- @tparam table fields of the finding
-- @treturn table
function rules.finding(code, words, fields)
  local row = rules.by_code[code]
  local finding = { code = code, severity = row.severity, kind = row.kind }
  for _, name in ipairs { "message", "hint", "source" } do
    local text = row[name] and row[name]:gsub("{(%l+)}", words)
    finding[name] = text ~= "" and text or nil
  end
  for name, value in pairs(fields) do
    finding[name] = value
  end
  return finding
end

return rules

--- Whether a server lets a client in, by the rules of the libraries that servers verify with: one row a library.
--
-- Each is given the CAs that the server trusts for clients, and the certificates as the client sends them. What they
-- differ in:
--
-- - Go: any certificate among the CAs is an anchor; "any" counts as a usage, and each CA's usages bind those below;
--   version 1 is fine; the issuer's name is compared byte for byte; SHA-1 is refused.
-- - OpenSSL: a path must end in a self-signed CA, unless the server asks for less (X509_V_FLAG_PARTIAL_CHAIN);
--   names are compared without letter case; key usage counts; SHA-1 is refused from security level 1 up.
-- - rustls (webpki): any certificate is an anchor, of which only name and key count: not its dates, not its usages;
--   version 3 is required of the rest; a CA is refused as a leaf; "any" does not count; SHA-1 and MD5 do not sign.
--   P-521 is taken with aws-lc-rs, which is what it comes with, and not with ring.
--
-- spec/probe_verifiers_spec.lua compares them with Go, the openssl command, and rustls.
-- @module tcpki.probe.verifiers

local bundle = require "tcpki.bundle"
local core = require "tcpki.core"
local options = require "tcpki.options"
local path = require "tcpki.probe.path"
local trust = require "tcpki.cloud.trust"

local verifiers = {}

-- ---- what libcrypto and Go say, in words of findings ----

local code_words = {
  expired = "expired", not_yet_valid = "not_yet_valid", wrong_purpose = "wrong_usage", weak = "weak_signature",
  no_issuer = "issuer_unknown", untrusted_root = "issuer_unknown", issuer_bytes = "issuer_unknown",
  bad_signature = "twin",
}

local function refused(code, reason)
  return { ok = false, word = code_words[code] or "other", reason = reason }
end

-- ---- Go ----

local strong_digests = { SHA256 = true, SHA384 = true, SHA512 = true }

-- libcrypto's security level 2 wants 2048 bits of RSA, Go (since 1.24) 1024.
local function is_weak_for_go(certificates)
  for _, certificate in ipairs(certificates) do
    local digest, key = certificate:signature_digest(), certificate:public_key()
    if not key or key:type() == "rsa" and key:bits() < 1024 then return true end
    if digest and not strong_digests[digest] then return true end
  end
  return false
end

local function judge_go(given)
  local fine, why = trust.judge(path.chain(given.certificates), given.accepted, given.at)
  if fine or why.code == "weak" and not is_weak_for_go(given.certificates) then return { ok = true } end
  return refused(why.code, why.reason or why.message)
end

-- ---- OpenSSL ----

local function judge_openssl(given)
  local store, err = given.accepted:store()
  local fine
  if store then
    fine, err = core.chain.verify {
      store = store, untrusted = given.certificates, purpose = "client", at = given.at, lax = true,
    }
  end
  if fine then return { ok = true } end
  return refused(err.code, err.message)
end

-- ---- rustls: rustls-webpki, src/verify_cert.rs ----

local DEEPEST = 6 -- intermediates
local MOST_STEPS = 100

local function webpki_signature(certificate, issuer)
  local digest, key = certificate:signature_digest(), issuer:public_key()
  if not key or digest and not strong_digests[digest] then return "weak_signature" end
  if key:type() == "rsa" and key:bits() < 2048 then return "weak_signature" end
  return not certificate:signed_by(key) and "twin" or nil
end

-- What webpki reads of those that may be critical; what else is critical, it refuses.
local webpki_knows = {
  ["2.5.29.15"] = true, ["2.5.29.17"] = true, ["2.5.29.19"] = true, ["2.5.29.30"] = true, ["2.5.29.31"] = true,
  ["2.5.29.37"] = true,
}

local function has_strange_extension(certificate)
  for _, extension in ipairs(certificate:extensions() or {}) do
    if extension.critical and not webpki_knows[extension.oid] then return true end
  end
  return false
end

-- What webpki asks of each certificate but an anchor; place 0 is the leaf.
local function webpki_certificate(certificate, place, at)
  if certificate:version() ~= 3 then return "version_1" end
  if has_strange_extension(certificate) then return "other" end
  if at < certificate:not_before() then return "not_yet_valid" end
  if at > certificate:not_after() then return "expired" end
  local constraints = certificate:basic_constraints()
  local is_ca = constraints ~= nil and constraints.ca
  if is_ca ~= (place > 0) then return "other" end
  if is_ca and constraints.path_length and place - 1 > constraints.path_length then return "other" end
  local usages = certificate:extended_key_usage()
  if usages and not options.has(usages, "client_auth") then return "wrong_usage" end
end

-- What stands above "there is no issuer" when no path is good: the rest of webpki's order of precedence says as much.
local function heavier(word, other)
  return (word == nil or word == "issuer_unknown") and other or word
end

local function webpki_path(given, certificate, place, steps)
  steps.count = steps.count + 1
  if steps.count > MOST_STEPS then return "other" end
  local word = webpki_certificate(certificate, place, given.at)
  if word then return word end
  local issuer, worst = certificate:issuer_der(), "issuer_unknown"
  for _, anchor in ipairs(given.accepted) do
    if anchor:subject_der() == issuer then
      word = webpki_signature(certificate, anchor)
      if not word then return nil end
      worst = heavier(worst, word)
    end
  end
  for i = 2, #given.certificates do
    local other = given.certificates[i]
    if place < DEEPEST and not steps[other] and other ~= certificate and other:subject_der() == issuer then
      steps[other] = true
      word = webpki_path(given, other, place + 1, steps) or webpki_signature(certificate, other)
      steps[other] = nil
      if not word then return nil end
      worst = heavier(worst, word)
    end
  end
  return worst
end

local webpki_reasons = {
  version_1 = "a certificate of it is not of X.509 version 3",
  not_yet_valid = "a certificate of it is not valid yet",
  expired = "a certificate of it has expired",
  wrong_usage = "a certificate of it may not be used for a client",
  weak_signature = "a signature in it is not made with SHA-256 or better, or with a key that is too short",
  twin = "the CA of the issuer's name did not make the signature",
  issuer_unknown = "no certificate of it is issued by one of the CAs",
  other = "it is no chain of a leaf and CAs that rustls reads",
}

local function judge_rustls(given)
  local word = webpki_path(given, given.certificates[1], 0, { count = 0 })
  if not word then return { ok = true } end
  return { ok = false, word = word, reason = webpki_reasons[word] }
end

-- ---- the rows ----

local rows = {
  { name = "go", title = "Go (the Temporal server, Temporal Cloud)", judge = judge_go },
  { name = "openssl", title = "OpenSSL (nginx, HAProxy, Node)", judge = judge_openssl },
  { name = "rustls", title = "rustls", judge = judge_rustls },
}

--- Judges a client's certificates by the rules of each library.
-- @tparam {certificate,…} certificates as the client sends them, the leaf first
-- @tparam bundle|{certificate,…} accepted the CAs that the server trusts for clients
-- @tparam integer at seconds since the epoch
-- @treturn table an array in a fixed order, one entry a library, which is also under its name: `name` (`go`, `openssl`,
-- `rustls`), `title`, `ok`, and where that is false `word` (`expired`, `not_yet_valid`, `wrong_usage`,
-- `weak_signature`, `version_1`, `issuer_unknown`, `twin` or `other`) and `reason`
function verifiers.judge(certificates, accepted, at)
  if not bundle.is(accepted) then accepted = assert(bundle.new(accepted)) end
  local given, verdicts = { certificates = certificates, accepted = accepted, at = at }, {}
  for i, row in ipairs(rows) do
    local verdict = row.judge(given)
    verdict.name, verdict.title = row.name, row.title
    verdicts[i], verdicts[row.name] = verdict, verdict
  end
  return verdicts
end

return verifiers

--- What each TLS stack sends when it refuses a client's certificate, and how a stack is known.
--
-- A stack is known by the signature algorithms of its CertificateRequest: which, and in which order, is its library's
-- own choice, and seldom a setting. Where the list is another one, the stack is not known, and an alert means what it
-- means on any of them. Measured by spec/stacks_spec.lua.
--
-- `says` of a row: for each alert (0: none, whether it closes, resets, or answers in HTTP) the words that it may stand
-- for: true where the alert says so much by itself, false where it says no more than "refused".
-- @module tcpki.probe.stacks
-- @local

local stacks = {}

-- A set of words, each with the same value.
local function all(value, text)
  local set = {}
  for word in text:gmatch "%S+" do set["client_" .. word] = value end
  return set
end

local function join(...)
  local joined = {}
  for _, set in ipairs { ... } do
    for word, value in pairs(set) do joined[word] = value end
  end
  return joined
end

local issuer = "self_signed intermediate_missing ca_unknown"
local dates = "expired not_yet_valid intermediate_expired"

-- What every server refuses, and what nearly every one does.
local usual = all(false, issuer .. " ca_twin " .. dates .. " wrong_usage")

stacks.rows = {
  { name = "go", title = "Go",
    begins = "rsa_pss_rsae_sha256 ecdsa_secp256r1_sha256 ed25519 rsa_pss_rsae_sha384",
    says = {
      [42] = all(true, "wrong_usage"),
      [45] = all(true, dates),
      [48] = join(all(true, issuer .. " ca_twin"), all(true, "weak_signature")),
    } },
  { name = "boringssl", title = "BoringSSL (gRPC core)",
    begins = "ecdsa_secp256r1_sha256 rsa_pss_rsae_sha256 rsa_pkcs1_sha256 ecdsa_secp384r1_sha384",
    says = { [0] = usual } },
  { name = "openssl", title = "OpenSSL",
    begins = "ecdsa_secp256r1_sha256 ecdsa_secp384r1_sha384 ecdsa_secp521r1_sha512 ed25519 ed448 rsa_pss_pss_sha256",
    says = {
      [0] = join(usual, all(false, "weak_signature")), -- Node; nginx, in HTTP
      [42] = all(true, "not_yet_valid weak_signature"),
      [43] = all(true, "wrong_usage"),
      [45] = all(true, "expired intermediate_expired"),
      [48] = all(true, issuer .. " ca_twin"),
      [51] = all(true, "ca_twin"),
    } },
  { name = "rustls", title = "rustls",
    begins = "ecdsa_secp384r1_sha384 ecdsa_secp256r1_sha256 ed25519 rsa_pss_rsae_sha512",
    also = "ecdsa_secp384r1_sha384 ecdsa_secp256r1_sha256 ecdsa_secp521r1_sha512 ed25519", -- with aws-lc-rs
    says = {
      [43] = all(true, "wrong_usage"),
      [45] = all(true, dates),
      [46] = all(true, "version_1"),
      [48] = all(true, issuer),
      [51] = all(true, "ca_twin weak_signature"),
    } },
  { name = "jsse", title = "JSSE (the JDK)",
    begins = "ecdsa_secp256r1_sha256 ecdsa_secp384r1_sha384 ecdsa_secp521r1_sha512 ed25519 ed448 rsa_pss_rsae_sha256",
    says = { [46] = usual } },
  { name = "gnutls", title = "GnuTLS",
    begins = "rsa_pkcs1_sha256 rsa_pss_pss_sha256 rsa_pss_rsae_sha256 ecdsa_secp256r1_sha256",
    says = { [49] = join(all(false, issuer .. " ca_twin " .. dates), all(false, "weak_signature")) } },
}

-- What an alert may mean where the stack is not known: what it means on one of them.
local anywhere = {
  [42] = join(usual, all(true, "not_yet_valid"), all(false, "weak_signature")),
  [43] = all(true, "wrong_usage"),
  [44] = all(true, "revoked"),
  [45] = all(true, dates),
  [48] = join(all(true, issuer .. " ca_twin"), all(false, "weak_signature")),
  [51] = all(true, "ca_twin weak_signature"),
}

-- The alerts of JSSE (46), GnuTLS (49) and of others stand for anything, as does none.
local anything = join(usual, all(false, "weak_signature version_1"))

--- The stack that made a CertificateRequest.
-- @tparam ?table trace
-- @treturn ?table a row; nil where it is not known
function stacks.of(trace)
  local list = trace and trace.signature_algorithms
  if not list or #list == 0 then return nil end
  local text = table.concat(list, " ") .. " "
  for _, row in ipairs(stacks.rows) do
    for _, begins in ipairs { row.begins, row.also } do
      if text:sub(1, #begins + 1) == begins .. " " then return row end
    end
  end
end

--- What an alert may mean, from one who is known or not.
-- @tparam ?table trace
-- @tparam ?integer alert nil where none came
-- @treturn table from the word of a cause to true (the alert says so) or false (it may be so)
function stacks.means(trace, alert)
  local row = stacks.of(trace)
  return row and row.says[alert or 0] or anywhere[alert] or anything
end

return stacks

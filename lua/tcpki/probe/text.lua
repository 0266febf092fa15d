--- What is wrong with a text that was given as a certificate, a key or a CA: the findings of `tcpki.pem.lint`, as words
-- of causes. Looked at only where the text could not be read as it is, or not all of it.
-- @module tcpki.probe.text
-- @local

local core = require "tcpki.core"
local kind = require "tcpki.pem.kind"
local pem = require "tcpki.pem"

local text = {}

-- The findings that have a word of their own.
local words = {
  escaped_newlines = "pem_literal_newlines", der = "file_is_der", empty = "file_empty", holds_key = "file_holds_key",
  holds_certificate = "file_holds_certificate",
}

-- What is said only where nothing else is: what a finding has for its consequence, and what may stand beside.
local function is_last_resort(code)
  return code == "silent_loss" or code == "refused" or code:find "^holds_" ~= nil
end

local function first_error(findings)
  local last
  for _, finding in ipairs(findings) do
    if finding.severity == "error" then
      if not is_last_resort(finding.code) then return finding end
      last = last or finding
    end
  end
  return last
end

local function capital(sentence)
  return (sentence:gsub("^%l", string.upper))
end

-- ---- DER ----

local names = {
  ["CERTIFICATE"] = "a certificate", ["CERTIFICATE REQUEST"] = "a certificate request", ["X509 CRL"] = "a CRL",
  ["PRIVATE KEY"] = "a private key", ["ENCRYPTED PRIVATE KEY"] = "an encrypted private key",
  ["RSA PRIVATE KEY"] = "a private key", ["EC PRIVATE KEY"] = "a private key", ["PUBLIC KEY"] = "a public key",
}
local commands = {
  ["CERTIFICATE"] = "x509", ["CERTIFICATE REQUEST"] = "req", ["X509 CRL"] = "crl", ["PUBLIC KEY"] = "pkey -pubin",
}

-- PFX ::= SEQUENCE { version INTEGER (3), … (RFC 7292, 4)
local function is_pkcs12(der)
  local _, content = kind.element(der, 1)
  return content ~= nil and der:sub(content, content + 2) == "\2\1\3"
end

local function of_der(given, what)
  local label = kind.label(given)
  -- A path that a shell takes as it is; else a word for it.
  local file = what:find "^[%w._/-]+$" and what or "FILE"
  if not label and is_pkcs12(given) then
    return { what = what, kind = "a PKCS#12 file",
      cure = ("Take the key and the certificates out of it (openssl pkcs12 -in %s -nodes -out %s.pem), or read it "
        .. "with tcpki.pkcs12.read"):format(file, file) }
  end
  local command = commands[label] or label and "pkey"
  return { what = what, kind = names[label] and "the DER of " .. names[label] or "binary, as DER is",
    cure = command and ("Convert it (openssl %s -inform DER -in %s -out %s.pem)"):format(command, file, file)
      or "Pass the file that holds the PEM text: it has a line -----BEGIN" }
end

-- ---- any text ----

--- Why a text cannot be used.
-- @tparam string given
-- @tparam string what to call it in a message: its path, or a phrase
-- @tparam string expect "chain", "bundle" or "key", as for `tcpki.pem.lint`
-- @tparam ?fault err of its parser, for what lint has nothing to say of
-- @treturn string the word of a cause
-- @treturn table its fields
function text.judge(given, what, expect, err)
  local findings, fault = pem.lint(given, { expect = expect })
  local finding = findings and first_error(findings)
  local word = finding and words[finding.code]
  if word == "file_is_der" and given:byte() == 0x30 then
    return word, of_der(given, what)
  elseif word == "file_is_der" then
    word = nil -- DER beside PEM
  end
  if word then
    local place = (finding.line or 1) > 1 and (" (line %d)"):format(finding.line) or ""
    return word, { what = what, place = place }
  end
  finding = finding or err or fault
  return "bad_pem", {
    what = what, cure = capital(finding.hint or "Export it again"),
    detail = (finding.line and ("line %d: "):format(finding.line) or "") .. finding.message,
  }
end

-- ---- what gRPC core makes of it ----

local function grpc_verdict(given, role)
  local verdicts = pem.verdicts(given, { role = role })
  return verdicts and verdicts.grpc_openssl
end

-- What makes a reader pass over a block.
local overlooked = { armour = true, like_armour = true, openssl_label = true, wrong_label = true }

--- Whether a text holds certificates that gRPC core, or our own parser, passes over in silence.
-- @tparam string given
-- @tparam string role "chain" or "roots", as for `tcpki.pem.verdicts`
-- @tparam integer count of the certificates that were parsed
-- @treturn boolean
function text.loses_certificates(given, role, count)
  -- As many BEGINs as certificates: nothing is there that could be passed over.
  local _, begins = given:gsub("BEGIN", "")
  if begins == count then return false end
  local verdict = grpc_verdict(given, role)
  if verdict and (verdict.refused or #verdict.lost > 0 or verdict.got ~= count) then return true end
  for _, finding in ipairs(pem.lint(given) or {}) do
    if overlooked[finding.code] then return true end
  end
  return false
end

--- Whether gRPC core does not read a key that our own parser reads: it goes by the label, and that one is not.
-- @tparam string given
-- @treturn boolean
function text.loses_key(given)
  for _, part in ipairs(core.pem.scan(given) or {}) do
    if part.kind == "block" and kind.family(part.label) == "key" and part.label == kind.label(part.der or "")
        or part.headers then
      return false
    end
  end
  local verdict = grpc_verdict(given, "key")
  return verdict ~= nil and verdict.refused
end

return text

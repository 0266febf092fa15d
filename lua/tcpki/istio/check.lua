--- What istiod would make of a directory of CA files, found without istiod: its checks in its order and with its
-- messages, and what it does not look at and others do.
-- @module tcpki.istio.check
-- @local

local date = require "tcpki.date"
local advise = require "tcpki.istio.advice"
local go = require "tcpki.go"
local kind = require "tcpki.pem.kind"
local layout = require "tcpki.istio.layout"
local path = require "tcpki.go.path"
local report = require "tcpki.report"
local rules = require "tcpki.istio.rules"

local PREFIX = "failed to create an istiod CA: "

local function fill(template, values)
  return (template:gsub("{(%w+)}", function(name)
    return tostring(values[name] or "")
  end))
end

-- The words that any rule may use, by the roles of the files.
local function words_of(names)
  return { certificate = names.certificate, root = names.root, chain = names.chain[1],
    needed = table.concat(names.needed, ", ") }
end

-- Adds a finding: `where` is the file, `values` what the sentence needs beside, with `view` (the certificate), `line`
-- and, where it is not that of the row, `severity`; `says` is what istiod says, without its prefix, `open` that Go says
-- more.
local function add(state, code, where, values, says, open)
  local rule = rules.by_code[code]
  local all = setmetatable({ file = where }, { __index = state.words })
  for name, value in pairs(values or {}) do
    all[name] = value
  end
  local finding = {
    code = code, severity = all.severity or rule.severity, source = rule.source,
    message = fill(rule.message, all), hint = fill(rule.hint, all),
    path = where, line = all.line,
  }
  if all.view then
    local certificate = all.view.certificate
    finding.subject, finding.serial = all.view.text, certificate:serial()
    finding.fingerprint = certificate:fingerprint()
  end
  if says then
    finding.istiod = PREFIX .. says
    finding.who = ('istiod: "%s%s"'):format(finding.istiod, open and " …" or "")
    if not state.report.istiod then
      state.report.istiod, state.report.open = finding.istiod, open or false
    end
  end
  state.report:add(finding)
end

-- What the verification of the key and certificate bundle finds is wrapped once more.
local function refuse(state, code, where, values, message, open)
  add(state, code, where, values,
    ("failed to create CA KeyCertBundle (%s%s"):format(message, open and "" or ")"), open)
end

local function check_completeness(state)
  local missing = {}
  for _, name in ipairs(state.names.needed) do
    if not state.texts[name] then
      missing[#missing + 1] = name
    end
  end
  if #missing > 0 then
    add(state, "incomplete", nil, { missing = table.concat(missing, ", ") }, "incomplete signing CA bundle detected")
  end
  return #missing == 0
end

-- ca-cert.pem: only the first block, whatever its label.
local function read_certificate(state)
  local where = state.names.certificate
  local block = state.blocks[where][1]
  if not block then
    refuse(state, "certificate_not_pem", where, nil, "failed to parse cert PEM: invalid PEM encoded certificate")
    return
  end
  local view, reason = go.certificate(block.der)
  if not view then
    refuse(state, "certificate_unreadable", where,
      { label = block.label, line = block.line, reason = reason or "it is damaged, or something else" },
      "failed to parse cert PEM: failed to parse X.509 certificate")
    return
  end
  view.line = block.line
  state.certificate = view
end

-- The file in which a certificate of the path stands, and the line.
local function file_of(state, view)
  if view.der == state.certificate.der then
    return state.names.certificate, state.certificate.line
  end
  for _, root in ipairs(state.roots) do
    if root.der == view.der then
      return state.names.root, root.line
    end
  end
  return state.names.chain[1], view.line
end

-- By what Go says: the row, and what its sentence needs. The first that fits counts; a reason in brackets is that of
-- the likeliest issuer, for which the rows for signatures are.
local reasons = {
  { "current time .- is after", "expired" },
  { "current time .- is before", "not_yet_valid" },
  { "incompatible key usage", "wrong_purpose" },
  { "too many intermediates", "path_length_exceeded" },
  { "not authorized to sign for this name", "name_not_permitted" },
  { "parent certificate cannot sign", "issuer_cannot_sign" },
  { "not authorized to sign other", "issuer_cannot_sign" },
  { "unhandled critical extension", "unknown_critical_extension" },
  { "insecure", "weak" },
  { "verification", "bad_signature" },
  { "signature algorithm specifies", "bad_signature" },
  { "signed by unknown authority$", "no_issuer" },
}

local function why_bracketed(reason)
  return reason:match '%(possibly because of "(.-)" while trying' or reason
end

-- Another certificate with the name of the issuer, but for the bytes: OpenSSL takes it, Go does not.
local function same_name(state, view)
  for _, pool in ipairs { state.roots, state.intermediates } do
    for _, other in ipairs(pool) do
      if view.certificate:issued_by(other.certificate) then
        return file_of(state, other)
      end
    end
  end
end

local function check_path(state)
  local view = state.certificate
  local found, reason, culprit = path.verify(view, state.roots, state.intermediates, state.now)
  if found then
    state.path = found
    return
  end
  local message = ("cannot verify the cert with the provided root chain and cert pool with error: %s"):format(reason)
  local inner = why_bracketed(reason)
  local code = "not_verified"
  for _, row in ipairs(reasons) do
    if inner:find(row[1]) then
      code = row[2]
      break
    end
  end
  if code == "no_issuer" and #state.roots == 0 then
    refuse(state, "no_root", state.names.root, nil, message)
    return
  end
  local where, line = file_of(state, culprit)
  local values = {
    view = culprit, reason = inner, line = line, oid = culprit.unknown_critical,
    issuer = tostring(culprit.certificate:issuer()), other = code == "no_issuer" and same_name(state, culprit) or nil,
    date = date.minute(code == "not_yet_valid" and culprit.certificate:not_before() or culprit.certificate:not_after()),
  }
  if values.other then
    code = "issuer_name_differs"
  end
  local open = reason:find "not authorized to sign for this name: $" ~= nil
  refuse(state, code, where, values, message, open)
end

local parsers = { ["EC PRIVATE KEY"] = "ECDSA", ["RSA PRIVATE KEY"] = "RSA", ["PRIVATE KEY"] = "PKCS8" }
-- The function of crypto/x509 that Go recommends for a key of another form.
local proper = { ["EC PRIVATE KEY"] = "ParseECPrivateKey", ["RSA PRIVATE KEY"] = "ParsePKCS1PrivateKey",
  ["PRIVATE KEY"] = "ParsePKCS8PrivateKey" }

-- ca-key.pem: only the first block, and its label decides how it is read.
local function read_key(state)
  local where = state.names.key
  local block = state.blocks[where][1]
  local parse = "failed to parse private key PEM: "
  if not block then
    refuse(state, "key_not_pem", where, nil, parse .. "invalid PEM-encoded key")
    return
  end
  local values = { label = block.label, line = block.line }
  local parser = parsers[block.label]
  if not parser then
    local code = block.label == "ENCRYPTED PRIVATE KEY" and "key_encrypted"
      or block.label == "EC PARAMETERS" and "key_parameters" or "key_label"
    refuse(state, code, where, values, parse .. "unsupported PEM block type for a private key: " .. block.label)
    return
  end
  local form = kind.label(block.der)
  local key, reason = go.key(block.label, block.der)
  if key then
    state.key = key
    return
  end
  local message = ("%sfailed to parse the %s private key: "):format(parse, parser)
  if block.headers:find "ENCRYPTED" then
    refuse(state, "key_encrypted", where, values, message, true)
  elseif proper[form] and form ~= block.label then
    values.other = (" but one that belongs under the label %s"):format(form)
    refuse(state, "key_unreadable", where, values, ("%sx509: failed to parse private key (use %s instead for this key "
      .. "format)"):format(message, proper[form]))
  else
    refuse(state, "key_unreadable", where, values, message .. (reason or ""), not reason)
  end
end

-- tls.X509KeyPair, which reads the certificate once more, and by label.
local function check_pair(state)
  local view, labels = nil, {}
  for _, block in ipairs(state.blocks[state.names.certificate]) do
    if block.label == "CERTIFICATE" then
      view = go.certificate(block.der)
      break
    end
    labels[#labels + 1] = block.label
  end
  if not view then
    refuse(state, "certificate_label", state.names.certificate, nil, ('the cert does not match the key: tls: failed to '
      .. 'find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the following types: [%s]')
      :format(table.concat(labels, " ")))
    return
  end
  local public = view.key
  if not public or state.key:matches(view.certificate) then
    return
  end
  local message = state.key:type() == public:type() and "tls: private key does not match public key"
    or "tls: private key type does not match public key type"
  refuse(state, "key_mismatch", state.names.key, { view = view },
    "the cert does not match the key: " .. message)
end

-- The certificates of the chain as the check of the CRLs reads it: every block, and each subject once, the last wins.
local function signers_of(state)
  local signers, order = {}, {}
  for _, block in ipairs(state.chain_blocks) do
    local view, reason = go.certificate(block.der)
    if not view then
      refuse(state, "chain_unreadable", state.names.chain[1], { line = block.line },
        "failed to parse cert chain: " .. (reason or ""), not reason)
      return
    end
    local former = signers[view.name]
    if former and former.der ~= view.der then
      add(state, "same_subject", state.names.chain[1], { names = view.text, line = block.line })
    elseif not former then
      order[#order + 1] = view.name
    end
    signers[view.name] = view
  end
  return signers, order
end

local function read_crls(state)
  local crls = {}
  for _, block in ipairs(state.blocks[layout.CRL]) do
    local crl, reason = go.crl(block.der)
    if not crl then
      refuse(state, "crl_unreadable", layout.CRL, { line = block.line }, "failed to parse CRL PEM: " .. (reason or ""),
        not reason)
      return
    end
    crls[#crls + 1] = crl
    local last = crl:next_update()
    if last and last < state.now then
      add(state, "crl_expired", layout.CRL, { names = tostring(crl:issuer()), date = date.minute(last),
        line = block.line })
    end
  end
  return crls
end

local function check_crls(state)
  local text = state.names.crl and state.texts[state.names.crl]
  if not text then
    return
  elseif text == "" then
    add(state, "crl_empty", state.names.crl)
    return
  end
  local signers, order = signers_of(state)
  local crls = signers and read_crls(state)
  if not crls then
    return
  end
  local missing, unable = {}, {}
  for _, name in ipairs(order) do
    local signed = false
    for _, crl in ipairs(crls) do
      signed = signed or path.signed(crl, signers[name])
    end
    if not signed then
      missing[#missing + 1] = name
      local usage = signers[name].key_usage
      if usage and next(usage) and not usage.crl_sign then
        unable[#unable + 1] = name
      end
    end
  end
  if #missing > 0 then
    table.sort(missing)
    refuse(state, "crl_missing", state.names.crl, { names = table.concat(missing, " and "),
      reason = #unable > 0 and ("; the key usage of %s has no cRLSign, so that nothing it signs is a CRL"):format(
        table.concat(unable, " and ")) }, ("missing CRL signed by certificates: [%s]"):format(
          table.concat(missing, " ")))
  end
end

local function check_authority(state)
  if not state.certificate.ca then
    add(state, "not_an_authority", state.names.certificate, { view = state.certificate },
      "certificate is not authorized to sign other certificates")
  end
end

-- The life of the chain is that of its first block; an empty one has none.
local function check_chain_life(state)
  if state.chain_text == "" then
    return
  end
  local where, failed = state.names.chain[1], "failed to get default cert TTL "
  local block = state.chain_blocks[1]
  local view = block and go.certificate(block.der)
  if not view then
    add(state, state.run_together and not block and "run_together" or "chain_not_pem", where,
      { line = block and block.line },
      ("%sfailed to get cert chain TTL failed to extract cert expiration timestamp: failed to parse the cert: %s")
        :format(failed, block and "failed to parse X.509 certificate" or "invalid PEM encoded certificate"))
  elseif view.certificate:not_after() <= state.now then
    add(state, "chain_expired", where, { view = view, line = block.line,
      date = date.minute(view.certificate:not_after()) },
      failed .. "cert chain has expired")
  end
end

--- Checks what `layout.read` or `layout.of` gave.
-- @tparam table found
-- @tparam ?integer at seconds since the epoch; now by default
-- @treturn report with `layout` ("istio" or "kubernetes"), `istiod` (what istiod says, nil where it starts) and `open`
-- (whether Go says more behind it than is known here)
return function(found, at)
  local names, texts = found.layout, found.texts
  local state = {
    texts = texts, modes = found.modes, names = names, words = words_of(names), now = at or os.time(),
    report = report.new(), blocks = {}, skipped = {},
  }
  state.report.layout = names.name
  function state.add(...)
    add(state, ...)
  end
  function state.file_of(view)
    return file_of(state, view)
  end
  if check_completeness(state) then
    for name, text in pairs(texts) do
      state.blocks[name] = go.blocks(text)
    end
    state.chain_text = texts[names.chain[1]] .. (names.chain[2] and texts[names.chain[2]] or "")
    state.chain_blocks = names.chain[2] and go.blocks(state.chain_text) or state.blocks[names.chain[1]]
    state.run_together = names.chain[2]
      and #state.chain_blocks < #state.blocks[names.chain[1]] + #state.blocks[names.chain[2]]
    state.roots, state.skipped[names.root] = go.pool(texts[names.root])
    state.intermediates = go.pool(state.chain_text)
    local _, skipped = go.pool(texts[names.chain[1]])
    state.skipped[names.chain[1]] = skipped
    read_certificate(state)
    if state.certificate then
      check_path(state)
    end
    read_key(state)
    if state.certificate and state.key then
      check_pair(state)
    end
    check_crls(state)
    if state.certificate then
      check_authority(state)
    end
    check_chain_life(state)
  end
  advise(state)
  return state.report
end

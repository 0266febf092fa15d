--- What Go sees in a file: istiod and the Temporal server read theirs with encoding/pem and crypto/x509, which pass
-- over what others refuse, and refuse what others pass over.
-- @module tcpki.go
-- @local

local base64 = require "tcpki.pem.base64"
local core = require "tcpki.core"
local framing = require "tcpki.pem.framing"
local go_name = require "tcpki.go.name"
local kind = require "tcpki.pem.kind"
local strict = require "tcpki.go.strict"

local go = {}

local DIALECT = { blanks = "[ \t\r\n]", padding = "required" }

local SUBJECT_ALT_NAME, NAME_CONSTRAINTS = "2.5.29.17", "2.5.29.30"

-- What crypto/x509 knows what to do with when it is critical (parser.go, processExtensions).
local known = {}
for oid in ("2.5.29.14 2.5.29.15 2.5.29.17 2.5.29.19 2.5.29.30 2.5.29.31 2.5.29.32 2.5.29.33 2.5.29.35 2.5.29.36 "
  .. "2.5.29.37 2.5.29.54 1.3.6.1.5.5.7.1.1"):gmatch "%S+" do
  known[oid] = true
end

--- A private key as crypto/x509 has it: the public half of an EC key is computed, whatever stands beside it.
-- @tparam string form "PRIVATE KEY" (PKCS#8), "EC PRIVATE KEY" or "RSA PRIVATE KEY"
-- @tparam string der
-- @treturn[1] key
-- @treturn[2] nil
-- @treturn[2] ?string what Go says, where that is known
function go.key(form, der)
  if kind.label(der) ~= form then
    return nil
  end
  local fields, reason = strict.fields(der), nil
  local algorithm = form == "PRIVATE KEY" and fields and fields[2] and strict.elements(fields[2].whole)
  if form == "EC PRIVATE KEY" then
    der, reason = strict.private_half(fields)
  elseif algorithm and algorithm[1] and algorithm[1].whole == strict.EC_KEY then
    local inner = strict.octets(fields[3])
    der, reason = strict.private_half(inner and strict.fields(inner), algorithm[2] and algorithm[2].whole)
    form = "EC PRIVATE KEY"
    reason = reason and "x509: failed to parse EC private key embedded in PKCS#8: " .. reason
  end
  local key = der and core.key.parse(core.pem.encode(form, der))
  if not key or not key:is_private() then
    return nil, reason
  end
  return key
end

--- The blocks that Go finds.
-- @tparam string text
-- @treturn {table,…} of `{ label =, headers =, der =, line = }`
function go.blocks(text)
  local next_block = framing.go {
    text = text,
    plain = {},
    decode = function(body) return base64.decode(DIALECT, body) end,
  }
  local blocks, line, counted = {}, 1, 1
  for block in next_block do
    for _ in text:sub(counted, block.at - 1):gmatch "\n" do
      line = line + 1
    end
    counted = block.at
    blocks[#blocks + 1] = { label = block.label, headers = block.headers, der = block.der, line = line }
  end
  return blocks
end

local function set(words)
  if not words then
    return nil
  end
  local members = {}
  for _, word in ipairs(words) do
    members[word] = true
  end
  return members
end

-- What the path validation asks for.
local function fields(view)
  local certificate = view.certificate
  local constraints = certificate:basic_constraints()
  view.constraints = constraints ~= nil
  view.ca = constraints and constraints.ca or false
  view.path_length = constraints and constraints.path_length
  view.key_usage = set(certificate:key_usage())
  view.purposes = set(certificate:extended_key_usage())
  view.subject_key_id, view.authority_key_id = certificate:subject_key_id(), certificate:authority_key_id()
  for _, extension in ipairs(view.extensions) do
    if extension.oid == SUBJECT_ALT_NAME then
      view.names = extension.der
    elseif extension.oid == NAME_CONSTRAINTS then
      view.name_constraints = true
    end
    if extension.critical and not known[extension.oid] then
      view.unknown_critical = view.unknown_critical or extension.oid
    end
  end
end

--- A certificate as crypto/x509 has it.
-- @tparam string der
-- @treturn[1] table `certificate`, `der`, `subject`, `issuer` (bytes), `name` (as Go prints it), `common_name`, `key`,
-- `key_der`, `version`, `constraints`, `ca`, `path_length`, `key_usage`, `purposes` (sets), `names` (bytes of the
-- subject alternative names), `name_constraints`, `unknown_critical`
-- @treturn[2] nil
-- @treturn[2] ?string what Go says, where that is known
function go.certificate(der)
  local certificate = core.certificate.parse(der)
  if not certificate or certificate:der() ~= der then
    return nil, certificate and "x509: trailing data" or nil
  end
  local view = {
    certificate = certificate, der = der, version = certificate:version(), extensions = certificate:extensions() or {},
  }
  local subject = certificate:subject()
  view.subject, view.issuer = certificate:subject_der(), certificate:issuer_der()
  if not (subject and view.subject and view.issuer) then
    return nil, "x509: invalid RDNSequence"
  end
  view.name, view.text = go_name(subject, view.subject), tostring(subject)
  view.common_name = subject.CN
  view.key = certificate:public_key()
  view.key_der = view.key and view.key:der()
  local reason = strict.refusal(view)
  if reason then
    return nil, reason ~= "" and reason or nil
  end
  fields(view)
  return view
end

--- A CRL as crypto/x509 has it.
-- @tparam string der
-- @treturn[1] crl
-- @treturn[2] nil
-- @treturn[2] ?string what Go says, where that is known
function go.crl(der)
  local crl = core.crl.parse(der)
  local reason = crl and strict.crl_refusal(der)
  if crl and not reason then
    return crl
  end
  return nil, reason ~= "" and reason or nil
end

--- What an x509.CertPool takes of a text: whole certificates of the right label, without headers, each once. All else
-- is passed over in silence.
-- @tparam string text
-- @treturn {table,…} views, as of `certificate`
-- @treturn {table,…} blocks that were passed over
function go.pool(text)
  local views, skipped, seen = {}, {}, {}
  for _, block in ipairs(go.blocks(text)) do
    local view = block.label == "CERTIFICATE" and block.headers == "" and go.certificate(block.der)
    if not view then
      skipped[#skipped + 1] = block
    elseif not seen[block.der] then
      seen[block.der] = true
      view.line = block.line
      views[#views + 1] = view
    end
  end
  return views, skipped
end

return go

--- What Go's crypto/x509 refuses of the certificates and keys that libcrypto reads: it is stricter with DER.
--
-- Found by holding damaged files against Istio's module; what is damaged for both is not looked at here.
-- @module tcpki.go.strict
-- @local

local kind = require "tcpki.pem.kind"

local strict = {}

local BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, OID, SEQUENCE, SET = 0x01, 0x02, 0x03, 0x04, 0x06, 0x30, 0x31
local CONTEXT_0, CONTEXT_1, DNS_NAME, EXTENSIONS = 0xa0, 0xa1, 0x82, 0xa3

local SUBJECT_KEY_ID, BASIC_CONSTRAINTS, AUTHORITY_KEY_ID = "2.5.29.14", "2.5.29.19", "2.5.29.35"
local SUBJECT_ALT_NAME, AUTHORITY_INFORMATION = "2.5.29.17", "1.3.6.1.5.5.7.1.1"

-- rsaEncryption, ecPublicKey and Ed25519, as their DER: the keys that Go parses with the certificate.
strict.RSA_KEY = "\6\9\x2a\x86\x48\x86\xf7\x0d\1\1\1"
strict.EC_KEY = "\6\7\x2a\x86\x48\xce\x3d\2\1"
strict.ED25519_KEY = "\6\3\x2b\x65\x70"

local curves = { ["P-224"] = true, ["P-256"] = true, ["P-384"] = true, ["P-521"] = true }

local never_critical = {
  [SUBJECT_KEY_ID] = "x509: subject key identifier incorrectly marked critical",
  [AUTHORITY_KEY_ID] = "x509: authority key identifier incorrectly marked critical",
  [AUTHORITY_INFORMATION] = "x509: authority info access incorrectly marked critical",
}

--- The elements of some DER, one behind the other.
-- @tparam string der
-- @treturn {table,…} of `{ tag =, content =, whole = }`, as many as are whole
-- @treturn boolean whether they fill it to its end
function strict.leading(der)
  local list, at = {}, 1
  while at <= #der do
    local tag, content, behind = kind.element(der, at)
    if not tag or behind - 1 > #der then
      return list, false
    end
    list[#list + 1] = { tag = tag, content = der:sub(content, behind - 1), whole = der:sub(at, behind - 1) }
    at = behind
  end
  return list, true
end

local leading = strict.leading

-- The same, or nil where they do not fill it.
local function sequence(der)
  local list, filled = leading(der)
  return filled and list or nil
end

--- The elements of a SEQUENCE that some DER is.
-- @tparam ?string der
-- @treturn ?{table,…} as of `sequence`
function strict.elements(der)
  local outer = der and sequence(der)
  return outer and #outer == 1 and outer[1].tag == SEQUENCE and sequence(outer[1].content) or nil
end

local elements = strict.elements

--- The fields of a SEQUENCE, as many as are whole: encoding/asn1 does not look at what stands behind those that it
-- knows.
-- @tparam string der
-- @treturn ?{table,…} as of `leading`, with `filled`
function strict.fields(der)
  local outer = leading(der)[1]
  if not outer or outer.tag ~= SEQUENCE then
    return nil
  end
  local list, filled = leading(outer.content)
  list.filled = filled
  return list
end

--- The content of an element that has to be an OCTET STRING.
-- @tparam ?table element
-- @treturn ?string
function strict.octets(element)
  return element and element.tag == OCTET_STRING and element.content or nil
end

-- The content of the first element of a kind, whatever follows: what stands behind it Go does not look at.
local function first(der, tag)
  local list = leading(der)
  return list[1] and list[1].tag == tag and list[1].content or nil
end

-- The parts of a certificate by RFC 5280, section 4.1.
local function parts_of(der)
  local certificate = elements(der)
  local body = certificate and elements(certificate[1].whole)
  if not body then
    return nil
  end
  local at = body[1].tag == CONTEXT_0 and 1 or 0
  local parts = { inner = body[at + 2], outer = certificate[2], issuer = body[at + 3], subject = body[at + 5],
    key = body[at + 6], version = at == 1 and body[1] or nil }
  for _, element in ipairs(body) do
    if element.tag == EXTENSIONS then
      parts.extensions = elements(element.content)
    end
  end
  return parts.key and parts or nil
end

-- By the tag of a value in a name (parseASN1String): the patterns of what may stand there.
local strings = {
  [12] = function(text) return utf8.len(text) ~= nil end,
  [18] = function(text) return not text:find "[^%d ]" end,
  [19] = function(text) return not text:find "[^%w '()+,%-./:=?*&]" end,
  [20] = function() return true end,
  [22] = function(text) return not text:find "[\x80-\xff]" end,
  [30] = function(text) return #text % 2 == 0 end,
}

local function is_name(name)
  for _, set in ipairs(elements(name.whole) or { {} }) do
    for _, attribute in ipairs(set.tag == SET and sequence(set.content) or { {} }) do
      local pair = elements(attribute.whole)
      local value = pair and pair[2]
      if not value or pair[1].tag ~= OID or not (strings[value.tag] and strings[value.tag](value.content)) then
        return false
      end
    end
  end
  return true
end

local function is_basic_constraints(der)
  local content = first(der, SEQUENCE)
  local list, filled = leading(content or "")
  local boolean = list[1] and list[1].tag == BOOLEAN
  local number = list[boolean and 2 or 1]
  return content ~= nil and not (boolean and list[1].content ~= "\0" and list[1].content ~= "\xff")
    and (number == nil and filled or number ~= nil and number.tag == INTEGER)
end

local function is_octets(der)
  return first(der, OCTET_STRING) ~= nil
end

local function is_key_identifier(der)
  local content = first(der, SEQUENCE)
  return content ~= nil and not (content:byte() == 0x80 and #leading(content) == 0)
end

local function has_readable_names(der)
  local content = first(der, SEQUENCE)
  for _, name in ipairs(content and sequence(content) or { { tag = DNS_NAME, content = "\xff" } }) do
    if name.tag == DNS_NAME and name.content:find "[\x80-\xff]" then
      return false
    end
  end
  return true
end

local contents = {
  [BASIC_CONSTRAINTS] = { is_basic_constraints, "x509: invalid basic constraints" },
  [SUBJECT_KEY_ID] = { is_octets, "x509: invalid subject key identifier" },
  [AUTHORITY_KEY_ID] = { is_key_identifier, "x509: invalid authority key identifier" },
  [SUBJECT_ALT_NAME] = { has_readable_names, "x509: SAN dNSName is malformed" },
}

-- In the order in which Go looks (parser.go, parseCertificate); each gives what Go says, "" where that is not known
-- here, or nothing.
local refusals = {
  function(view)
    return (view.version < 1 or view.version > 3) and "x509: invalid version"
  end,
  function(view)
    return view.certificate:serial():sub(1, 1) == "-" and "x509: negative serial number"
  end,
  function(_, parts)
    return parts.inner.whole ~= parts.outer.whole
      and "x509: inner and outer signature algorithm identifiers don't match"
  end,
  function(_, parts)
    return not (is_name(parts.issuer) and is_name(parts.subject)) and "x509: invalid RDNSequence"
  end,
  function(view)
    return not (view.certificate:not_before() and view.certificate:not_after()) and "x509: unsupported time format"
  end,
  function(view, parts)
    local algorithm = elements(parts.key.whole)
    algorithm = algorithm and elements(algorithm[1].whole)
    local oid = algorithm and algorithm[1] and algorithm[1].whole
    return not view.key and (oid == strict.RSA_KEY or oid == strict.EC_KEY or oid == strict.ED25519_KEY)
      and ""
  end,
  function(view)
    return view.key and view.key:type() == "ec" and not curves[view.key:curve()] and "x509: unsupported elliptic curve"
  end,
  function(_, parts)
    for _, extension in ipairs(parts.extensions or {}) do
      for _, field in ipairs(elements(extension.whole) or {}) do
        if field.tag == BOOLEAN and field.content ~= "\0" and field.content ~= "\xff" then
          return "x509: malformed extension critical field"
        end
      end
    end
  end,
  function(view)
    local seen = {}
    for _, extension in ipairs(view.extensions) do
      if seen[extension.oid] then
        return ('x509: certificate contains duplicate extension with OID "%s"'):format(extension.oid)
      end
      seen[extension.oid] = true
    end
  end,
  function(view)
    for _, extension in ipairs(view.extensions) do
      local content = contents[extension.oid]
      if extension.critical and never_critical[extension.oid] then
        return never_critical[extension.oid]
      elseif content and not content[1](extension.der) then
        return content[2]
      end
    end
  end,
}

--- What Go says of a certificate that libcrypto has read.
-- @tparam table view as of tcpki.go: `certificate`, `der`, `version`, `extensions`, `key`
-- @treturn ?string nil where Go reads it too; "" where it says something that is not known here
function strict.refusal(view)
  local parts = parts_of(view.der)
  if not parts then
    return "x509: malformed certificate"
  end
  for _, refusal in ipairs(refusals) do
    local reason = refusal(view, parts)
    if reason then
      return reason
    end
  end
end

local function encoded(tag, content)
  local length = #content
  local size = length < 0x80 and string.char(length) or length < 0x100 and string.pack(">BB", 0x81, length)
    or string.pack(">BI2", 0x82, length)
  return string.char(tag) .. size .. content
end

--- What Go says of a CRL that libcrypto has read.
-- @tparam string der
-- @treturn ?string as for `refusal`
function strict.crl_refusal(der)
  local crl = elements(der)
  local body = crl and crl[3] and elements(crl[1].whole)
  if not body or not body[2] then
    return ""
  elseif body[1].tag ~= INTEGER then
    return "x509: unsupported crl version"
  elseif body[1].content ~= "\1" then
    return #body[1].content == 1 and ("x509: unsupported crl version: %d"):format(string.unpack("b", body[1].content))
      or ""
  end
  return body[2].whole ~= crl[2].whole and "x509: inner and outer signature algorithm identifiers don't match" or nil
end

--- An EC key without the public half that may stand in it: Go computes that, OpenSSL believes it.
-- @tparam ?{table,…} key the fields of the ECPrivateKey (RFC 5915)
-- @tparam ?string curve the OID as DER, where it stands outside
-- @treturn[1] string the DER of an ECPrivateKey
-- @treturn[2] nil
-- @treturn[2] ?string what Go says
function strict.private_half(key, curve)
  local version, secret = key and key[1], key and key[2]
  if not secret or version.tag ~= INTEGER or secret.tag ~= OCTET_STRING then
    return nil
  end
  local readable = key.filled
  for i = 3, #key do
    if key[i].tag == CONTEXT_0 then
      curve = curve or key[i].content
    elseif key[i].tag == CONTEXT_1 then
      -- It is read for its form, and then forgotten.
      local bits = first(key[i].content, BIT_STRING)
      readable = key[i].content:byte() ~= BIT_STRING or bits ~= nil and bits:byte() == 0
      break
    end
  end
  if not readable then
    return nil
  end
  if version.content ~= "\1" then
    return nil, #version.content == 1 and ("x509: unknown EC private key version %d"):format(
      string.unpack("b", version.content)) or nil
  end
  return curve and encoded(SEQUENCE, version.whole .. secret.whole .. encoded(CONTEXT_0, curve))
end

return strict

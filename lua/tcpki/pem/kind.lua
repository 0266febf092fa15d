--- What a piece of DER is, by its structure: labels are wrong too often to be believed.
-- @module tcpki.pem.kind

local core = require "tcpki.core"

local kind = {}

local INTEGER, SEQUENCE = 0x02, 0x30

--- An element of DER by its header: that it fits into the bytes is not looked at.
-- @tparam string der
-- @tparam integer at where it begins
-- @treturn ?integer its tag; nil where there is none
-- @treturn integer where its content begins
-- @treturn integer the position behind it
function kind.element(der, at)
  local tag, length = der:byte(at, at + 1)
  if not length then
    return nil
  end
  local content = at + 2
  if length >= 0x80 then
    local octets = length - 0x80
    if octets < 1 or octets > 4 or at + 1 + octets > #der then
      return nil
    end
    length = 0
    for i = 1, octets do
      length = length << 8 | der:byte(at + 1 + i)
    end
    content = at + 2 + octets
  end
  return tag, content, content + length
end

local element = kind.element

--- How long the first element of some DER says that it is.
-- @tparam string der
-- @treturn ?integer bytes, header included; nil where it is not a SEQUENCE
function kind.length(der)
  local tag, _, stop = element(der, 1)
  return tag == SEQUENCE and stop - 1 or nil
end

-- Keys by the tags of their first elements. A PKCS#12 file and explicit EC parameters begin as PKCS#8 does, a DSA key,
-- of six numbers, as PKCS#1 does.
local key_forms = {
  { tags = "^\2\x30\4", label = "PRIVATE KEY" }, { tags = "^" .. ("\2"):rep(9), label = "RSA PRIVATE KEY" },
  { tags = "^\2\4", label = "EC PRIVATE KEY" }, { tags = "^\x30\4", label = "ENCRYPTED PRIVATE KEY" },
  { tags = "^\x30\3", label = "PUBLIC KEY" },
}
local MOST_TAGS = 9

local function key_kind(der)
  local _, at = element(der, 1)
  local tags = {}
  while #tags < MOST_TAGS do
    local tag, content, stop = element(der, at)
    if not tag or stop > #der + 1 or (#tags == 0 and tag == INTEGER and stop - content ~= 1) then
      break
    end
    tags[#tags + 1] = string.char(tag)
    at = stop
  end
  tags = table.concat(tags)
  for _, form in ipairs(key_forms) do
    if tags:find(form.tags) then
      return form.label
    end
  end
end

local forms = {
  { label = "CERTIFICATE", parse = core.certificate.parse }, { label = "CERTIFICATE REQUEST", parse = core.csr.parse },
  { label = "X509 CRL", parse = core.crl.parse },
}

--- The label that some DER deserves. Where memory runs out it throws the fault: no label would be another answer.
-- @tparam string der
-- @treturn ?string "CERTIFICATE", "CERTIFICATE REQUEST", "X509 CRL", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY",
-- "RSA PRIVATE KEY", "EC PRIVATE KEY", "PUBLIC KEY"; nil for anything else
function kind.label(der)
  if kind.length(der) ~= #der then
    return nil
  end
  local label = key_kind(der)
  if label then
    return label
  end
  for _, form in ipairs(forms) do
    local object, err = form.parse(der)
    if object then
      return form.label
    elseif err.code == "out_of_memory" then
      error(err, 0)
    end
  end
end

--- The objects that some bytes are, one behind the other and nothing else.
-- @tparam string bytes
-- @treturn ?table `{ { label =, der = }, … }`; nil where there is anything else among them
function kind.objects(bytes)
  local objects, at = {}, 1
  while at <= #bytes do
    local length = kind.length(bytes:sub(at, at + 5))
    local der = length and at + length - 1 <= #bytes and bytes:sub(at, at + length - 1)
    local label = der and kind.label(der)
    if not label then
      return nil
    end
    objects[#objects + 1] = { label = label, der = der }
    at = at + length
  end
  return #objects > 0 and objects or nil
end

local MOST_CANDIDATES = 64 -- each is copied to be looked at

--- Whether an object of ours lies among some bytes, as bare DER.
-- @tparam string bytes
-- @treturn ?integer where it begins, or where the search was given up
-- @treturn ?string its label; nil where the search was given up
function kind.find(bytes)
  local count, at = 0, 1
  while true do
    at = bytes:find("0[\x20-\x84]", at)
    if not at then
      return nil
    end
    local length = kind.length(bytes:sub(at, at + 5))
    if length and at + length - 1 <= #bytes then
      count = count + 1
      local label = kind.label(bytes:sub(at, at + length - 1))
      if label or count > MOST_CANDIDATES then
        return at, label
      end
    end
    at = at + 1
  end
end

--- A label as it may be shown: one that is nothing but capitals. A line of armour whose end was lost may have part of
-- a key for its label.
-- @tparam string label
-- @treturn string
function kind.shown(label)
  return #label <= 32 and label:find "^%u[%u%d ]*$" and label or "block of an odd label"
end

local families = {
  ["CERTIFICATE"] = "certificate",
  ["X509 CERTIFICATE"] = "certificate",
  ["TRUSTED CERTIFICATE"] = "certificate",
  ["CERTIFICATE REQUEST"] = "csr",
  ["NEW CERTIFICATE REQUEST"] = "csr",
  ["X509 CRL"] = "crl",
  ["PUBLIC KEY"] = "public key",
}

local told_apart = {}
for _, form in ipairs(key_forms) do
  told_apart[form.label] = true
end
for label in pairs(families) do
  told_apart[label] = true
end

--- Whether the content of a block of this label is known when it is seen. A DSA or an OpenSSH key is none of these.
-- @tparam string label
-- @treturn boolean
function kind.is_told_apart(label)
  return told_apart[label] == true
end

--- The family of a label: "certificate", "key", "csr", "crl", "public key" or "other".
-- @tparam string label
-- @treturn string
function kind.family(label)
  return families[label] or (label:find "PRIVATE KEY$" and "key") or "other"
end

return kind

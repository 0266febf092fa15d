--- What the rules ask of a certificate, read once.
-- @module tcpki.cloud.check.facts
-- @local

local names = require "tcpki.cloud.check.names"

local facts = {}

local function has(list, word)
  for i = 1, list and #list or 0 do
    if list[i] == word then
      return true
    end
  end
  return false
end

local function text_of(name)
  return name and (#name > 0 and tostring(name) or "(no name)") or "(unreadable name)"
end

local methods = {}
local metatable = { __index = methods }

--- Reads a certificate.
-- @tparam certificate certificate
-- @treturn table `subject` (text), `name_key`, `subject_der`, `issuer_der`, `version`, `not_before`, `not_after`,
-- `constraints`, `usage` and `extended` (lists, nil where the extension is absent); `damage`: the fault of the first
-- field that cannot be read
function facts.of(certificate)
  local self = setmetatable({ certificate = certificate }, metatable)
  local function read(field)
    local value, err = certificate[field](certificate)
    if err and not self.damage then
      self.damage = err
    end
    return value
  end
  local subject = read "subject"
  self.subject_der = read "subject_der"
  self.issuer_der = read "issuer_der"
  self.subject = text_of(subject)
  self.name_key = subject and names.key(subject) or self.subject_der
  self.version = certificate:version()
  self.not_before, self.not_after = read "not_before", read "not_after"
  self.constraints = read "basic_constraints"
  self.usage, self.extended = read "key_usage", read "extended_key_usage"
  return self
end

--- The issuer as text.
-- @treturn string
function methods:issuer()
  return text_of(self.certificate:issuer())
end

--- Whether it says CA:true.
-- @treturn boolean
function methods:is_authority()
  return self.constraints ~= nil and self.constraints.ca
end

--- Whether its key usage has a word.
-- @tparam string word
-- @treturn boolean
function methods:has_usage(word)
  return has(self.usage, word)
end

--- Whether its extended key usage has a word.
-- @tparam string word
-- @treturn boolean
function methods:has_extended(word)
  return has(self.extended, word)
end

--- Whether anything that it signs can verify.
-- @treturn boolean
function methods:may_sign()
  return self:is_authority() and (self.usage == nil or self:has_usage "key_cert_sign")
end

--- Whether issuer and subject are the same bytes.
-- @treturn boolean
function methods:is_self_issued()
  return self.subject_der == self.issuer_der
end

return facts

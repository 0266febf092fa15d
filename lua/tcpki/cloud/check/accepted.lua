--- The CAs that a namespace accepts, prepared for many questions: which of them issued a certificate, and whether a
-- chain verifies.
-- @module tcpki.cloud.check.accepted
-- @local

local core = require "tcpki.core"
local facts = require "tcpki.cloud.check.facts"

local accepted = {}

local methods = {}
local metatable = { __index = methods }

local function index(all, field)
  local found = {}
  for _, one in ipairs(all) do
    local value = one[field]
    found[value] = found[value] or {}
    table.insert(found[value], one)
  end
  return found
end

--- Prepares a bundle.
-- @tparam bundle bundle
-- @tparam ?integer at seconds since the epoch
-- @treturn[1] table
-- @treturn[2] nil
-- @treturn[2] fault
function accepted.of(bundle, at)
  local store, err = bundle:store()
  if not store then
    return nil, err
  end
  local self = setmetatable({ store = store, at = at, now = at or os.time(), issuers = {} }, metatable)
  for i, one in ipairs(bundle) do
    self[i] = facts.of(one)
    self[i].accepted = i
  end
  self.by_bytes, self.by_name = index(self, "subject_der"), index(self, "name_key")
  return self
end

--- Verifies a chain as Temporal Cloud's servers do: to any certificate of the bundle, without strict checks.
-- @tparam {certificate,…} certificates leaf first
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault
function methods:verify(certificates)
  return core.chain.verify {
    store = self.store, untrusted = certificates, purpose = "client", at = self.at, partial = true, lax = true,
  }
end

-- Whether one of two certificates of the same CA is the better: valid, and for longer.
local function is_better(self, one, other)
  local function is_valid(each)
    return not each.damage and each.not_before <= self.now and self.now <= each.not_after
  end
  if is_valid(one) ~= is_valid(other) then
    return is_valid(one)
  end
  return not one.damage and not other.damage and one.not_after > other.not_after
end

-- The certificate of the bundle that issued one; those with the very bytes of the name before those that are only the
-- same for OpenSSL.
local function find_issuer(self, one)
  local best
  for _, other in ipairs(self.by_bytes[one.issuer_der] or {}) do
    if one.certificate:issued_by(other.certificate) and not (best and is_better(self, best, other)) then
      best = other
    end
  end
  if best then
    return best
  end
  for _, other in ipairs(self) do
    if other.subject_der ~= one.issuer_der and one.certificate:issued_by(other.certificate) then
      return other
    end
  end
  -- One that may not sign has issued nothing, for libcrypto; it is the one to speak of all the same.
  for _, other in ipairs(self.by_bytes[one.issuer_der] or {}) do
    if not other:may_sign() and other ~= one then
      return other
    end
  end
end

--- The certificate of the bundle that issued an authority.
-- @tparam table one facts
-- @treturn ?table facts; nil for a root, and where there is none
function methods:issuer_of(one)
  local known = self.issuers[one]
  if known == nil then
    known = not (one:is_self_issued() and one.certificate:self_signed()) and find_issuer(self, one) or false
    self.issuers[one] = known
  end
  return known or nil
end

--- The certificate of the bundle that issued a leaf whose chain has been verified: looked at closer only where there
-- are several of that name.
-- @tparam table one facts
-- @treturn ?table facts
function methods:issuer_of_verified(one)
  local candidates = self.by_bytes[one.issuer_der]
  if candidates and #candidates == 1 then
    return candidates[1]
  end
  return find_issuer(self, one)
end

return accepted

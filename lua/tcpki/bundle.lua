--- CA bundles: ordered sets of certificates.
--
-- A bundle is an array: `bundle[1]`, `#bundle`, `ipairs(bundle)`.
--
-- `bundle:pem()`, `:source()` (the text that it was read from, to the byte) and `:write(path, { overwrite = })` are
-- as for
-- a chain.
-- @module tcpki.bundle

local array = require "tcpki.certificates"
local core = require "tcpki.core"
local fault = require "tcpki.fault"
local options = require "tcpki.options"

local bundle = {}

local methods = {}
local metatable = { __name = "tcpki.bundle", __index = methods }

array.add_methods(methods, "bundle")

function metatable:__tostring()
  return ("tcpki.bundle (%d certificate%s)"):format(#self, #self == 1 and "" or "s")
end

local function index_of(self, certificate)
  for i, other in ipairs(self) do
    if other == certificate then
      return i
    end
  end
end

local function make(certificates, source)
  local self = setmetatable({ duplicates = {} }, metatable)
  local seen = {}
  for _, certificate in ipairs(certificates) do
    local fingerprint, err = certificate:fingerprint()
    if not fingerprint then
      return nil, err
    end
    if seen[fingerprint] then
      table.insert(self.duplicates, certificate)
    else
      seen[fingerprint] = true
      self[#self + 1] = certificate
    end
  end
  self.text = source
  return self
end

--- @param value
-- @treturn boolean whether it is a bundle
function bundle.is(value)
  return getmetatable(value) == metatable
end

--- Makes a bundle of certificates.
-- @tparam[opt] {certificate,…} certificates
-- @treturn[1] bundle with `duplicates`, an array of what stood there more than once
-- @treturn[2] nil
-- @treturn[2] fault `out_of_memory`
function bundle.new(certificates)
  options.expect("tcpki.bundle.new", "certificates", certificates or {}, "table")
  options.list("tcpki.bundle.new", "certificate", certificates or {}, "tcpki.certificate")
  return make(certificates or {})
end

--- Reads all certificates of a text. A key or anything else among them is refused.
-- @tparam string text PEM
-- @treturn[1] bundle
-- @treturn[2] nil
-- @treturn[2] fault
function bundle.parse(text)
  local certificates, err = core.certificate.parse_all(text)
  if not certificates then
    return nil, err
  end
  return make(certificates, text)
end

--- Reads all certificates of a file.
-- @tparam string path
-- @treturn[1] bundle
-- @treturn[2] nil
-- @treturn[2] fault with the path
function bundle.read(path)
  return array.read(path, bundle.parse)
end

--- Adds a certificate at the end.
-- @tparam certificate certificate
-- @treturn boolean false where it is there already
function methods:add(certificate)
  options.expect("bundle:add", "certificate", certificate, "tcpki.certificate")
  if index_of(self, certificate) then
    return false
  end
  self[#self + 1] = certificate
  return true
end

--- Removes a certificate.
-- @tparam certificate|string which the certificate, or its fingerprint, SHA-256 or SHA-1, as hex with or
-- without colons
-- @treturn[1] certificate what was removed
-- @treturn[2] nil
-- @treturn[2] fault `not_found`
function methods:remove(which)
  options.expect("bundle:remove", "which", which, "tcpki.certificate|string")
  local at
  if type(which) == "string" then
    local wanted = which:gsub("[:%s]", ""):lower()
    for i, certificate in ipairs(self) do
      if certificate:fingerprint "sha256" == wanted or certificate:fingerprint "sha1" == wanted then
        at = i
      end
    end
  else
    at = index_of(self, which)
  end
  if not at then
    return fault.fail {
      code = "not_found",
      message = ("no certificate %s in the bundle"):format(type(which) == "string" and which or which:fingerprint()),
      hint = "list the fingerprints: for _, c in ipairs(bundle) do print(c:fingerprint()) end",
    }
  end
  return table.remove(self, at)
end

--- @tparam certificate certificate
-- @treturn boolean
function methods:contains(certificate)
  options.expect("bundle:contains", "certificate", certificate, "tcpki.certificate")
  return index_of(self, certificate) ~= nil
end

--- The subjects, in order.
-- @treturn {string,…}
function methods:subjects()
  local subjects = {}
  for i, certificate in ipairs(self) do
    subjects[i] = tostring(certificate:subject())
  end
  return subjects
end

--- When the certificates expire, the earliest first.
-- @treturn {table,…} of `{ certificate =, not_after = }`, seconds since the epoch
function methods:expiry()
  local list = {}
  for i, certificate in ipairs(self) do
    list[i] = { certificate = certificate, not_after = certificate:not_after(), place = i }
  end
  table.sort(list, function(a, b)
    if a.not_after ~= b.not_after then
      return a.not_after < b.not_after
    end
    return a.place < b.place
  end)
  return list
end

local function fingerprints(certificates)
  local set = {}
  for _, certificate in ipairs(certificates) do
    set[assert(certificate:fingerprint())] = true
  end
  return set
end

--- What another bundle has and lacks beside this one, by DER.
-- @tparam bundle other
-- @treturn table `{ added = {certificate,…}, removed = {certificate,…} }`: what must be done to this one to get
-- the other
function methods:difference(other)
  options.expect("bundle:difference", "other", other, "tcpki.bundle")
  local difference = { added = {}, removed = {} }
  local here, there = fingerprints(self), fingerprints(other)
  for _, certificate in ipairs(other) do
    if not here[certificate:fingerprint()] then
      table.insert(difference.added, certificate)
    end
  end
  for _, certificate in ipairs(self) do
    if not there[certificate:fingerprint()] then
      table.insert(difference.removed, certificate)
    end
  end
  return difference
end

-- A bundle is an array, which anyone may change in place.
local function is_of(built, certificates)
  if #built ~= #certificates then
    return false
  end
  for i, certificate in ipairs(certificates) do
    if not rawequal(built[i], certificate) then
      return false
    end
  end
  return true
end

--- The trust store over the certificates: built at the first use, and again after a change.
-- @treturn[1] userdata
-- @treturn[2] nil
-- @treturn[2] fault
function methods:store()
  if not (self.built and is_of(self.built, self)) then
    options.list("tcpki.bundle", "certificate", self, "tcpki.certificate")
    local store, err = core.chain.store(self)
    if not store then
      return nil, err
    end
    self.built = table.move(self, 1, #self, 1, { store = store })
  end
  return self.built.store
end

return bundle

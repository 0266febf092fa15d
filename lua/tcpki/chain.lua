--- Certificate chains, leaf first.
--
-- A chain is an array: `chain[1]` is the leaf, `#chain` its length. It also says what the heap that it was
-- built from held beside it: `chain.missing` (the name of the issuer that is not there, nil where the chain
-- ends in a self-signed root), `chain.foreign` and `chain.duplicates` (arrays of certificates), and
-- `chain.reordered` (true where the heap was not in the order of the chain).
--
-- `chain:pem()` gives canonical PEM, leaf first; `:source()` the text that it was read from, to the byte;
-- `:write(path, { overwrite = })` writes the PEM with mode 0644, whole or not at all.
-- @module tcpki.chain

local bundle = require "tcpki.bundle"
local array = require "tcpki.certificates"
local core = require "tcpki.core"
local fault = require "tcpki.fault"
local options = require "tcpki.options"

local chain = {}

local methods = {}
local metatable = { __name = "tcpki.chain", __index = methods }

array.add_methods(methods, "chain")

function metatable:__tostring()
  return ("tcpki.chain (%s, %d certificate%s)"):format(self[1]:subject(), #self, #self == 1 and "" or "s")
end

local build_options = { leaf = "tcpki.certificate" }

local function index_of(certificates, wanted)
  for i, certificate in ipairs(certificates) do
    if certificate == wanted then
      return i
    end
  end
end

local function build(certificates, leaf, source)
  local heap = { table.unpack(certificates) }
  local leaf_index
  if leaf then
    leaf_index = index_of(heap, leaf)
    if not leaf_index then
      table.insert(heap, 1, leaf)
      leaf_index = 1
    end
  end
  local places, complete = core.chain.order(heap, leaf_index)
  if not places then
    return nil, complete
  end
  local self = setmetatable({ foreign = {}, duplicates = {}, reordered = false, text = source }, metatable)
  for i, place in ipairs(places) do
    if place == "foreign" then
      table.insert(self.foreign, heap[i])
    elseif place == "duplicate" then
      table.insert(self.duplicates, heap[i])
    else
      self[place] = heap[i]
      self.reordered = self.reordered or place ~= i
    end
  end
  if not complete then
    self.missing = tostring(self[#self]:issuer())
  end
  return self
end

--- Makes a chain of certificates that were issued one by another, so that their order is known.
-- @local
-- @tparam {certificate,…} certificates leaf first
-- @tparam ?string missing the name of the issuer that the last one lacks
-- @treturn chain
function chain.of_path(certificates, missing)
  local self = { foreign = {}, duplicates = {}, reordered = false, missing = missing }
  return setmetatable(table.move(certificates, 1, #certificates, 1, self), metatable)
end

--- Builds the chain from a heap of certificates in any order.
-- @tparam {certificate,…} certificates
-- @tparam[opt] table build_with `leaf`: the certificate to begin with; by default the one that issued none
-- @treturn[1] chain
-- @treturn[2] nil
-- @treturn[2] fault `empty`, `several_leaves`
function chain.new(certificates, build_with)
  options.expect("tcpki.chain.new", "certificates", certificates, "table")
  build_with = options.check("tcpki.chain.new", build_with, build_options)
  options.list("tcpki.chain.new", "certificate", certificates, "tcpki.certificate")
  return build(certificates, build_with.leaf)
end

--- Reads the certificates of a text and builds the chain.
-- @tparam string text PEM
-- @tparam[opt] table build_with as for `new`
-- @treturn[1] chain
-- @treturn[2] nil
-- @treturn[2] fault
function chain.parse(text, build_with)
  build_with = options.check("tcpki.chain.parse", build_with, build_options)
  local certificates, err = core.certificate.parse_all(text)
  if not certificates then
    return nil, err
  end
  return build(certificates, build_with.leaf, text)
end

--- Reads the certificates of a file and builds the chain.
-- @tparam string path
-- @tparam[opt] table build_with as for `new`
-- @treturn[1] chain
-- @treturn[2] nil
-- @treturn[2] fault with the path
function chain.read(path, build_with)
  return array.read(path, chain.parse, build_with)
end

local verify_options = {
  roots = "tcpki.bundle|table",
  purpose = "string",
  name = "string|table",
  at = "integer",
  crls = "table",
  partial = "boolean",
  depth = "integer",
}

--- Verifies the chain by RFC 5280: libcrypto's strict checks, security level 2, no partial wildcards, the
-- subject never used as a host name.
-- @tparam table request `roots` (a bundle, or an array of certificates), `purpose` ("client", "server" or
-- "any", the default), `name` (a host name, IP address or e-mail address, or `{ type =, value = }`), `at`
-- (seconds since the epoch; now by default), `crls` (an array; revocation is checked for the whole chain),
-- `partial` (true: an intermediate among the roots is enough), `depth` (the most intermediates)
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault with `depth`, `subject` and `openssl`: `expired`, `not_yet_valid`, `no_issuer`,
-- `untrusted_root`, `wrong_purpose`, `name_mismatch`, `weak`, `revoked`, `crl_unusable`, `bad_signature`,
-- `not_an_authority`, `path_length_exceeded`, `name_not_permitted`, …
function methods:verify(request)
  request = options.check("chain:verify", request, verify_options)
  local roots = options.expect("chain:verify", "option 'roots'", request.roots, "tcpki.bundle|table")
  if not bundle.is(roots) then
    local err
    roots, err = bundle.new(roots)
    if not roots then
      return nil, err
    end
  end
  local store, err = roots:store()
  if not store then
    return nil, err
  end
  local untrusted = self
  if #self.foreign > 0 then
    -- Another path may lead through what the chain did not take.
    untrusted = table.move(self.foreign, 1, #self.foreign, #self + 1, { table.unpack(self) })
  end
  return core.chain.verify {
    store = store,
    untrusted = untrusted,
    purpose = request.purpose,
    name = request.name,
    at = request.at,
    crls = request.crls,
    partial = request.partial,
    depth = request.depth,
  }
end

--- The leaf.
-- @treturn certificate
function methods:leaf()
  return self[1]
end

--- Says what the certificates of a chain lack, as a fault, or nothing where it is whole.
-- @treturn ?fault `no_issuer`
function methods:lacks()
  if self.missing then
    return fault.new {
      code = "no_issuer",
      message = ("the chain ends before its root: %s is not there"):format(self.missing),
      subject = tostring(self[#self]:subject()),
      depth = #self - 1,
      hint = ("add the certificate of %s"):format(self.missing),
    }
  end
end

return chain

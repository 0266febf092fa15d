--- Certificate authorities: they issue, sign, and revoke.
--
-- What an authority may not do is refused before it is done: a leaf never outlives its issuer, and the path
-- length and the name constraints of the whole chain above are kept (RFC 5280, sections 4.2.1.9 and 4.2.1.10).
-- @module tcpki.authority

local chain = require "tcpki.chain"
local core = require "tcpki.core"
local fault = require "tcpki.fault"
local limits = require "tcpki.authority.limits"
local options = require "tcpki.options"
local profiles = require "tcpki.authority.profiles"
local revocation = require "tcpki.authority.revocation"

local authority = {}

local SUBJECT_ALT_NAME = "2.5.29.17"
local NAME_CONSTRAINTS = "2.5.29.30"

local leaf_methods = {}
local leaf_metatable = { __name = "tcpki.leaf", __index = leaf_methods }

function leaf_metatable:__tostring()
  return ("tcpki.leaf (%s)"):format(self.certificate:subject())
end

local methods = {}
local metatable = { __name = "tcpki.authority", __index = methods }

revocation.add_methods(methods)

function metatable:__tostring()
  return ("tcpki.authority (%s)"):format(self.certificate:subject())
end

local function subject_of(where, given)
  if given.common_name and given.subject then
    error(("%s: pass common_name or subject, not both"):format(where), 3)
  end
  return given.subject or (given.common_name and { CN = given.common_name })
end

-- The key that was passed, or a new one by the options that were passed in its place.
local function key_of(given)
  if type(given) == "userdata" then
    return given
  end
  return core.key.generate(given)
end

-- Leaf first, without the root: what a TLS peer is to send.
local function chain_of(self, certificate)
  return chain.of_path({ certificate, table.unpack(self.sent) }, self.missing)
end

-- The names and the key of a CSR whose own signature holds. The names come through as they are encoded, kinds
-- that have no text included.
local function from_csr(csr)
  local ok, err = csr:verify()
  if not ok then
    return nil, err
  end
  local public_key
  public_key, err = csr:public_key()
  if not public_key then
    return nil, err
  end
  local subject
  subject, err = csr:subject()
  if not subject then
    return nil, err
  end
  local names
  names, err = csr:subject_alt_names()
  if err then
    return nil, err
  end
  local raw
  if names and #names > 0 then
    for _, extension in ipairs(csr:extensions()) do
      if extension.oid == SUBJECT_ALT_NAME then
        raw = { oid = SUBJECT_ALT_NAME, der = extension.der }
      end
    end
  end
  return { public_key = public_key, subject = subject, names = raw }
end

-- The names of a certificate, to the byte, and its key. What an authority may name goes along.
local function from_certificate(certificate)
  local public_key, err = certificate:public_key()
  if not public_key then
    return nil, err
  end
  local subject
  subject, err = certificate:subject()
  if not subject then
    return nil, err
  end
  local extensions
  extensions, err = certificate:extensions()
  if not extensions then
    return nil, err
  end
  local content = { public_key = public_key, subject = subject, subject_der = certificate:subject_der() }
  for _, extension in ipairs(extensions) do
    local raw = { oid = extension.oid, der = extension.der, critical = extension.critical }
    if extension.oid == SUBJECT_ALT_NAME then
      content.names = raw
    elseif extension.oid == NAME_CONSTRAINTS then
      content.name_constraints = raw
    end
  end
  return content
end

local common_options = {
  subject = "table",
  common_name = "string",
  subject_alt_names = "table",
  days = "integer",
  not_before = "integer",
  not_after = "integer",
  serial = "string",
  digest = "string",
  crl_distribution_points = "table",
}

local function with(more)
  local known = {}
  for name, kind in pairs(common_options) do
    known[name] = kind
  end
  for name, kind in pairs(more) do
    known[name] = kind
  end
  return known
end

local new_options = with { key = "tcpki.key|table", path_length = "integer", name_constraints = "table" }
local issue_options = with {
  key = "tcpki.key|table",
  csr = "tcpki.csr",
  like = "tcpki.certificate",
  usage = "string",
  path_length = "integer",
  name_constraints = "table",
}
local sign_options = with { usage = "string" }
local load_options = { chain = "table|tcpki.chain|tcpki.bundle", crl = "tcpki.crl" }

local function make_authority(certificate, key, above)
  local self = setmetatable({ certificate = certificate, key = key, chain = { certificate } }, metatable)
  table.move(above, 1, #above, 2, self.chain)
  -- What goes into the chains of what it issues. Found out once, for it takes a look at every signature.
  self.sent = {}
  for _, issuer in ipairs(self.chain) do
    if not issuer:self_signed() then
      table.insert(self.sent, issuer)
    end
  end
  local last = self.sent[#self.sent]
  self.missing = tostring(last and last:issuer() or certificate:subject())
  self.room = limits.room_below(self.chain)
  revocation.begin(self)
  return self
end

--- Makes a root: a new key (or the given one) and a self-signed certificate with critical basicConstraints
-- CA:true and critical keyUsage keyCertSign and cRLSign.
-- @tparam table given `subject` (or `common_name`), `days` (3650 by default), `key` (a private key, or options for
-- `tcpki.key.generate`; P-256 by default), `path_length`, `name_constraints` ({permitted =, excluded =}),
-- `not_before`, `not_after`, `serial`, `digest`, `subject_alt_names`, `crl_distribution_points`
-- @treturn[1] authority with `certificate`, `key` and `chain`
-- @treturn[2] nil
-- @treturn[2] fault `bad_name`, `bad_time`, …
function authority.new(given)
  given = limits.days("tcpki.authority.new", options.check("tcpki.authority.new", given, new_options))
  local subject = subject_of("tcpki.authority.new", given)
  if not subject then
    error("tcpki.authority.new: an authority needs a subject", 2)
  end
  local key, err = key_of(given.key)
  if not key then
    return nil, err
  end
  if not key:is_private() then
    return fault.fail { code = "no_private_key", message = "the key has no private half", hint = "pass a private key" }
  end
  local not_before, not_after = limits.validity("tcpki.authority.new", given, 3650)
  local certificate
  certificate, err = core.certificate.make {
    subject = subject,
    subject_alt_names = given.subject_alt_names,
    not_before = not_before,
    not_after = not_after,
    serial = given.serial,
    digest = given.digest,
    basic_constraints = { ca = true, path_length = given.path_length },
    key_usage = profiles.rows.ca.key_usage,
    name_constraints = given.name_constraints,
    crl_distribution_points = given.crl_distribution_points,
    public_key = key,
    issuer_key = key,
  }
  if not certificate then
    return nil, err
  end
  local ok
  ok, err = limits.named(certificate, "ca", profiles.rows.ca)
  if not ok then
    return nil, err
  end
  return make_authority(certificate, key, {})
end

local function check_is_authority(certificate)
  local constraints = certificate:basic_constraints()
  local usage = certificate:key_usage()
  local lack
  if not (constraints and constraints.ca) then
    lack = "it does not have basicConstraints CA:true"
  elseif usage and not options.has(usage, "key_cert_sign") then
    lack = "its key usage does not have keyCertSign"
  end
  if lack then
    return fault.fail {
      code = "not_an_authority",
      message = "the certificate cannot issue: " .. lack,
      subject = tostring(certificate:subject()),
    }
  end
  return true
end

-- The certificates above, from the issuer to the root, out of a heap.
local function above_of(certificate, heap)
  local built, err = chain.new({ table.unpack(heap) }, { leaf = certificate })
  if not built then
    return nil, err
  end
  return table.move(built, 2, #built, 1, {})
end

--- Takes up an authority that exists.
-- @tparam certificate certificate with CA:true and keyCertSign
-- @tparam key key its private key
-- @tparam[opt] table given `chain` (certificates above it, in any order: their constraints count, and they go into
-- the chains of what it issues), `crl` (its last CRL: number and entries are carried on)
-- @treturn[1] authority
-- @treturn[2] nil
-- @treturn[2] fault `not_an_authority`, `key_mismatch`, `no_private_key`, `issuer_mismatch`
function authority.load(certificate, key, given)
  options.expect("tcpki.authority.load", "certificate", certificate, "tcpki.certificate")
  options.expect("tcpki.authority.load", "key", key, "tcpki.key")
  given = options.check("tcpki.authority.load", given, load_options)
  local ok, err = check_is_authority(certificate)
  if not ok then
    return nil, err
  end
  if not key:matches(certificate) then
    return fault.fail {
      code = "key_mismatch",
      message = "the key is not the key of the certificate",
      subject = tostring(certificate:subject()),
    }
  end
  if not key:is_private() then
    return fault.fail { code = "no_private_key", message = "the key has no private half" }
  end
  local above
  above, err = above_of(certificate, given.chain or {})
  if not above then
    return nil, err
  end
  local self = make_authority(certificate, key, above)
  ok, err = revocation.begin(self, given.crl)
  if not ok then
    return nil, err
  end
  return self
end

-- Whether a subject, as a list or by its fields, has no entry.
local function is_empty(subject)
  for field in pairs(subject) do
    if field ~= "text" then
      return false
    end
  end
  return true
end

-- What a certificate is for: the key, the names and where they come from.
local function content_of(where, given)
  options.exclude(where, given, { { "key", "csr" }, { "csr", "like" }, { "like", "subject" },
    { "like", "common_name" }, { "like", "subject_alt_names" }, { "like", "name_constraints" } }, 5)
  local subject = subject_of(where, given)
  if given.like then
    local content, err = from_certificate(given.like)
    if content and given.key then
      content.key, err = key_of(given.key)
      content.public_key = content.key
    end
    return not err and content or nil, err
  end
  if given.csr then
    local content, err = from_csr(given.csr)
    if not content then
      return nil, err
    end
    content.subject = subject or content.subject
    if given.subject_alt_names then
      content.names = nil
    elseif content.names then
      content.names.critical = is_empty(content.subject)
    end
    return content
  end
  if not subject and not given.subject_alt_names then
    error(("%s: a certificate needs a common_name, a subject or subject_alt_names"):format(where), 3)
  end
  local key, err = key_of(given.key)
  if not key then
    return nil, err
  end
  return { key = key, public_key = key, subject = subject or {} }
end

local function issue(self, where, given)
  local usage = given.usage or (given.csr and "client")
  local profile, fault_of_request = profiles.choose(where, usage, given.csr)
  if not profile then
    return nil, fault_of_request
  end
  if not profile.ca and (given.path_length or given.name_constraints) then
    error(("%s: path_length and name_constraints go with usage \"ca\""):format(where), 3)
  end
  local content, err = content_of(where, given)
  if not content then
    return nil, err
  end
  local not_before, not_after = limits.validity(where, given, profile.days, self.certificate)
  if not not_before then
    return nil, not_after
  end
  local ok, path_length = limits.room(self)
  if ok and profile.ca then
    ok, path_length = limits.path_length(self, given.path_length)
  end
  if not ok then
    return nil, path_length
  end
  local raw = { content.names }
  if profile.ca then
    raw[#raw + 1] = content.name_constraints
  end
  local certificate
  certificate, err = core.certificate.make {
    subject = not content.subject_der and content.subject or nil,
    subject_der = content.subject_der,
    subject_alt_names = given.subject_alt_names,
    not_before = not_before,
    not_after = not_after,
    serial = given.serial,
    digest = given.digest,
    basic_constraints = { ca = profile.ca or false, path_length = path_length },
    key_usage = profiles.key_usage(profile, content.public_key),
    extended_key_usage = profile.extended_key_usage,
    name_constraints = given.name_constraints,
    crl_distribution_points = given.crl_distribution_points,
    extensions = raw,
    public_key = content.public_key,
    issuer = self.certificate,
    issuer_key = self.key,
  }
  if not certificate then
    return nil, err
  end
  ok, err = limits.named(certificate, profile.usage or usage, profile)
  if ok then
    ok, err = limits.names(self, certificate)
  end
  if not ok then
    return nil, err
  end
  local issued = chain_of(self, certificate)
  local key = content.key and content.key:is_private() and content.key or nil
  return setmetatable({ key = key, certificate = certificate, chain = issued }, leaf_metatable)
end

--- Issues a certificate: for a new key, a given one, or a CSR.
-- @tparam table given `usage` ("client", "server", "peer" for both, or "ca"), `common_name` or `subject`,
-- `subject_alt_names` (needed for server and peer), `days` (90 by default), `key` (a key, or options for
-- `tcpki.key.generate`), or `csr` (its names come through in full), or `like` (a certificate to be renewed: its names
-- are taken over to the byte, and its key unless `key` is given); `not_before`, `not_after`, `serial`, `digest`,
-- `crl_distribution_points`; for "ca" also `path_length` and `name_constraints`
-- @treturn[1] leaf with `certificate`, `chain` (leaf first, without the root) and, where the private key is known,
-- `key`
-- @treturn[2] nil
-- @treturn[2] fault `outlives_issuer`, `path_length_exceeded`, `name_not_permitted`, `bad_signature`, `bad_name`, …
function methods:issue(given)
  given = limits.days("authority:issue", options.check("authority:issue", given, issue_options))
  return issue(self, "authority:issue", given)
end

--- Signs a CSR, after a check of its own signature. Its subject and names are kept unless others are given.
-- @tparam csr csr
-- @tparam[opt] table given as for `issue`, without `key`; `usage` is "client" by default; "requested" takes the one
-- that the CSR asks for, with its key usage
-- @treturn[1] leaf without a key
-- @treturn[2] nil
-- @treturn[2] fault as for `issue`; `usage_not_permitted` where the CSR asks for what no leaf may
function methods:sign(csr, given)
  options.expect("authority:sign", "csr", csr, "tcpki.csr")
  given = limits.days("authority:sign", options.check("authority:sign", given, sign_options))
  local all = { csr = csr }
  for name, value in pairs(given) do
    all[name] = value
  end
  return issue(self, "authority:sign", all)
end

--- Makes an authority under this one.
-- @tparam table given `common_name` or `subject`, `days` (1825 by default), `key`, `path_length` (by default one less
-- than this one has), `name_constraints`, …
-- @treturn[1] authority
-- @treturn[2] nil
-- @treturn[2] fault `path_length_exceeded`, `outlives_issuer`, …
function methods:subordinate(given)
  given = limits.days("authority:subordinate", options.check("authority:subordinate", given, new_options))
  local all = { usage = "ca" }
  for name, value in pairs(given) do
    all[name] = value
  end
  local issued, err = issue(self, "authority:subordinate", all)
  if not issued then
    return nil, err
  end
  if not issued.key then
    return fault.fail { code = "no_private_key", message = "the key has no private half", hint = "pass a private key" }
  end
  return make_authority(issued.certificate, issued.key, self.chain)
end

--- Writes key and chain as a pair. A crash between the two leaves the old pair usable: it is put back, or the new one
-- completed, by the next call, which says so.
-- @tparam string key_path
-- @tparam string chain_path
-- @tparam[opt] table write_options `overwrite` (false by default), `passphrase`, `passphrase_file`, `passphrase_env`,
-- `format`, `mode` of the key (0600 by default), `certificate_mode` of the chain (0644 by default)
-- @treturn[1] boolean true
-- @treturn[1] ?string "undone" or "finished" where an interrupted write of before was mended first
-- @treturn[2] nil
-- @treturn[2] fault `already_exists`, `no_private_key`, `busy`, …
function leaf_methods:write(key_path, chain_path, write_options)
  if not self.key then
    return fault.fail {
      code = "no_private_key",
      message = "the private key is not here: the certificate was made for a CSR or a public key",
      hint = "write the chain alone: leaf.chain:write(path)",
    }
  end
  local pem, err = self.chain:pem()
  if not pem then
    return nil, err
  end
  return self.key:write_pair(key_path, chain_path, pem, write_options)
end

return authority

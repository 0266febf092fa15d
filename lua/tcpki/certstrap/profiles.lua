--- The certificates that certstrap itself makes: `compatible = true`.
--
-- Rows of facts about certstrap 1.3.0, as its sources describe them. They were not compared with certificates of the
-- tool itself, which is not to be had from the Go module proxy, but with those of the same library calls
-- (test/certstrap).
-- @module tcpki.certstrap.profiles
-- @local

local core = require "tcpki.core"
local limits = require "tcpki.authority.limits"

local profiles = {}

local AUTHORITY = { "key_cert_sign", "crl_sign" }
-- Of every type of key, though RFC 8813 and RFC 9295 forbid two and three of them for EC and Ed25519.
local LEAF = { "digital_signature", "key_encipherment", "data_encipherment", "key_agreement" }
local BOTH = { "server_auth", "client_auth" }

-- Below 2^128; up to 39 digits of which certstrap's reader takes any.
local function serial()
  local source = assert(io.open("/dev/urandom", "rb"))
  local bytes = source:read(16)
  source:close()
  return (bytes:gsub(".", function(byte)
    return ("%02x"):format(byte:byte())
  end))
end

--- A root: serial number 1.
-- @tparam table given `subject`, `key`, `not_after`, `path_length`, `name_constraints`
-- @treturn[1] certificate
-- @treturn[2] nil
-- @treturn[2] fault
function profiles.root(given)
  return core.certificate.make {
    serial = "01", subject = given.subject,
    not_before = os.time() - limits.BACKDATED, not_after = given.not_after,
    basic_constraints = { ca = true, path_length = given.path_length }, key_usage = AUTHORITY,
    name_constraints = given.name_constraints, public_key = given.key, issuer_key = given.key,
  }
end

-- certstrap copies these kinds and no other, one after the other.
local function copied_names(csr)
  local names, err = csr:subject_alt_names()
  if err then
    return nil, err
  end
  local list = {}
  for _, kind in ipairs { "dns", "ip", "uri" } do
    for _, name in ipairs(names or {}) do
      if name.type == kind then
        list[#list + 1] = name
      end
    end
  end
  return list
end

--- A leaf or an intermediate for a request whose signature was checked.
-- @tparam authority authority
-- @tparam csr csr
-- @tparam table given `not_after`; for an intermediate `ca` (true) and `path_length`
-- @treturn[1] certificate
-- @treturn[2] nil
-- @treturn[2] fault
function profiles.issue(authority, csr, given)
  local names, err = copied_names(csr)
  if not names then
    return nil, err
  end
  local public_key
  public_key, err = csr:public_key()
  if not public_key then
    return nil, err
  end
  local now = os.time()
  local certificate
  certificate, err = core.certificate.make {
    serial = serial(), subject_der = csr:subject_der(), subject_alt_names = #names > 0 and names or nil,
    not_before = given.ca and now - limits.BACKDATED or now, not_after = given.not_after,
    basic_constraints = given.ca and { ca = true, path_length = given.path_length } or false,
    key_usage = given.ca and AUTHORITY or LEAF, extended_key_usage = not given.ca and BOTH or nil,
    public_key = public_key, issuer = authority.certificate, issuer_key = authority.key,
  }
  if not certificate then
    return nil, err
  end
  local ok
  ok, err = limits.names(authority, certificate)
  if not ok then
    return nil, err
  end
  return certificate
end

return profiles

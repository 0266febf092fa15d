--- What each usage puts into a certificate.
-- @module tcpki.authority.profiles
-- @local

local fault = require "tcpki.fault"
local options = require "tcpki.options"

local profiles = {}

--- By usage: the extended key usage, the key usage where it is not that of the key, how many days a certificate lives
-- where nobody says, and whether it has to bear a name.
profiles.rows = {
  client = { extended_key_usage = { "client_auth" }, days = 90 },
  server = { extended_key_usage = { "server_auth" }, days = 90, named = true },
  peer = { extended_key_usage = { "server_auth", "client_auth" }, days = 90, named = true },
  ca = { ca = true, key_usage = { "key_cert_sign", "crl_sign" }, days = 1825 },
}

-- What a CSR may ask for, by the type of its key: what RFC 5280, section 4.2.1.12, has for TLS (RFC 8813, section 3,
-- and RFC 8410, section 5, for the two that do not encipher). It has no key encipherment for a client; verifiers take
-- it, and the default policy of Azure Key Vault asks for it.
local permitted_key_usage = {
  rsa = { digital_signature = true, key_encipherment = true },
  ec = { digital_signature = true, key_agreement = true },
  ed25519 = { digital_signature = true },
}

local BASIC_CONSTRAINTS = "2.5.29.19"
-- In DER the default, FALSE, is left out: a SEQUENCE that begins with a BOOLEAN says CA:TRUE.
local CA_TRUE = "^0.\1\1\255"

local function refuse(message, csr)
  local subject = csr:subject()
  return fault.fail {
    code = "usage_not_permitted",
    message = message,
    subject = subject and tostring(subject),
    hint = 'sign it as what it is to be: usage = "client", "server" or "peer"; or have it made again',
  }
end

local function requested_usage(csr)
  local asked, err = csr:extended_key_usage()
  if err then
    return nil, err
  end
  local found = {}
  for _, usage in ipairs(asked or {}) do
    if usage ~= "client_auth" and usage ~= "server_auth" then
      return refuse(("the CSR asks for the extended key usage %s"):format(usage), csr)
    end
    found[usage] = true
  end
  return found.server_auth and (found.client_auth and "peer" or "server") or "client"
end

-- The profile that a CSR asks for, if it asks for nothing that a leaf of TLS has no use for.
local function requested(csr)
  local usage, err = requested_usage(csr)
  if not usage then
    return nil, err
  end
  local extensions, key_usage, key
  extensions, err = csr:extensions()
  if not extensions then
    return nil, err
  end
  for _, extension in ipairs(extensions) do
    if extension.oid == BASIC_CONSTRAINTS and extension.der:find(CA_TRUE) then
      return refuse("the CSR asks for a CA", csr)
    end
  end
  key_usage, err = csr:key_usage()
  if err then
    return nil, err
  end
  key, err = csr:public_key()
  if not key then
    return nil, err
  end
  for _, use in ipairs(key_usage or {}) do
    if not permitted_key_usage[key:type()][use] then
      return refuse(("the CSR asks for the key usage %s, which a leaf with such a key has not"):format(use), csr)
    end
  end
  local profile = { usage = usage }
  for name, value in pairs(profiles.rows[usage]) do
    profile[name] = value
  end
  profile.key_usage = key_usage and options.has(key_usage, "digital_signature") and key_usage or nil
  return profile
end

--- The row of a usage.
-- @tparam string where the function, for the message
-- @tparam ?string usage a name of `rows`, or "requested": what the CSR asks for
-- @tparam ?csr csr
-- @treturn[1] table
-- @treturn[2] nil
-- @treturn[2] fault of the CSR: `usage_not_permitted`
-- @raise on another usage
function profiles.choose(where, usage, csr)
  if csr and usage == "requested" then
    return requested(csr)
  end
  local profile = usage and profiles.rows[usage]
  if not profile then
    error(("%s: option 'usage' is %s (known: ca, client, peer%s, server)"):format(where, tostring(usage),
      csr and ", requested" or ""), 4)
  end
  return profile
end

--- The key usage of a certificate. An RSA key of a server also deciphers the key exchange of TLS 1.2 (RFC 5246,
-- section 7.4.2). That of a client never does, and RFC 5280, section 4.2.1.12, calls it inconsistent with clientAuth
-- alone.
-- @tparam table profile
-- @tparam key public_key
-- @treturn {string,...}
function profiles.key_usage(profile, public_key)
  if profile.key_usage then
    return profile.key_usage
  end
  if public_key:type() == "rsa" and options.has(profile.extended_key_usage, "server_auth") then
    return { "digital_signature", "key_encipherment" }
  end
  return { "digital_signature" }
end

return profiles

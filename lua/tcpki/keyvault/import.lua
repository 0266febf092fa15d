--- The body with which a key and its chain are imported into a vault.
-- @module tcpki.keyvault.import

local fault = require "tcpki.fault"
local json = require "tcpki.json"
local options = require "tcpki.options"
local pkcs12 = require "tcpki.pkcs12"
local quote = require "tcpki.pem.quote"

local where = "tcpki.keyvault.import_body"

local formats = { pem = "application/x-pem-file", pfx = "application/x-pkcs12" }
local profile_names = { modern = true, compatible = true }

local known = {
  key = "tcpki.key",
  chain = "tcpki.chain",
  format = { function(value) return formats[value] ~= nil end, '"pem" or "pfx"' },
  passphrase = "string",
  profile = { function(value) return profile_names[value] == true end, '"compatible" or "modern"' },
  policy = "tcpki.keyvault.policy",
}

-- What a vault holds: certificates.json, JsonWebKeyType and JsonWebKeyCurveName. P-256K is secp256k1.
local curves = { ["P-256"] = true, ["P-384"] = true, ["P-521"] = true, secp256k1 = true }

local function key_fault(key)
  if key:type() == "ed25519" then
    return "Ed25519"
  elseif key:type() == "ec" and not curves[key:curve()] then
    return "EC on " .. key:curve()
  elseif key:type() == "rsa" and key:bits() ~= 2048 and key:bits() ~= 3072 and key:bits() ~= 4096 then
    return ("RSA of %d bits"):format(key:bits())
  end
end

-- The PEM text itself, with the key as PKCS#8: another form is refused with "One or more X.509 properties are invalid"
-- (azure-docs#115101).
local function pem_of(given)
  local key, err = given.key:pem()
  if not key then
    return nil, err
  end
  local certificates
  certificates, err = given.chain:pem()
  if not certificates then
    return nil, err
  end
  return key .. certificates
end

-- Without a passphrase nothing in it is encrypted, as in what external-secrets and Temporal's scripts push; with one,
-- 3DES and SHA-1, because a vault may refuse AES (azure-docs#39861, packer-plugin-azure#571).
local function pfx_of(given)
  local file, err = pkcs12.new { key = given.key, chain = given.chain }
  if not file then
    return nil, err
  end
  local write_options = { profile = "passwordless" }
  if (given.passphrase or "") ~= "" then
    write_options = { profile = given.profile or "compatible", passphrase = given.passphrase }
  end
  local bytes
  bytes, err = file:der(write_options)
  if not bytes then
    return nil, err
  end
  return quote(bytes, "base64")
end

local order = { "value", "pwd", "policy", "key_props", "kty", "key_size", "crv", "exportable", "reuse_key",
  "secret_props", "contentType" }

--- The body of `POST {vault}/certificates/{name}/import`. It holds the private key: a file of it has to have mode 0600.
-- @function import_body
-- @tparam table given
-- @tparam key given.key private
-- @tparam chain given.chain of the key, leaf first
-- @tparam[opt="pem"] string given.format "pem" (the text itself) or "pfx" (base64)
-- @tparam[opt] string given.passphrase of the PFX; nothing is encrypted without one
-- @tparam[opt="compatible"] string given.profile of the PFX, where it has a passphrase: "compatible" or "modern"
-- @tparam[opt] tcpki.keyvault.policy given.policy for renewals; without one it says only what the secret is to be
-- @treturn[1] string JSON
-- @treturn[2] nil
-- @treturn[2] fault `unsupported_key`, `no_private_key`, `key_mismatch`, `bad_passphrase`
-- @raise where options do not go together
return function(given)
  given = options.check(where, given, known)
  options.expect(where, "option 'key'", given.key, "tcpki.key")
  options.expect(where, "option 'chain'", given.chain, "tcpki.chain")
  local format = given.format or "pem"
  if format == "pem" and (given.passphrase or given.profile) then
    error(where .. ": passphrase and profile go with format \"pfx\"", 2)
  elseif given.profile and (given.passphrase or "") == "" then
    error(where .. ": profile goes with a passphrase", 2)
  elseif given.policy and given.policy.content_type ~= formats[format] then
    error(("%s: the policy says %s, and the format is %s"):format(where, given.policy.content_type, format), 2)
  end
  local unsupported = key_fault(given.key)
  if unsupported then
    return fault.fail { code = "unsupported_key", message = ("a vault holds no key of the kind %s"):format(unsupported),
      hint = "use EC on P-256, P-384, P-521 or P-256K, or RSA of 2048, 3072 or 4096 bits" }
  elseif not given.key:is_private() then
    return fault.fail { code = "no_private_key", message = "the key has no private half", hint = "pass a private key" }
  elseif not given.key:matches(given.chain[1]) then
    return fault.fail { code = "key_mismatch", subject = tostring(given.chain[1]:subject()),
      message = "the key is not the key of the leaf",
      hint = "pass the key that the certificate was made for" }
  end
  if not utf8.len(given.passphrase or "") then
    return fault.fail { code = "bad_passphrase", message = "the passphrase is not UTF-8, which JSON has to be",
      hint = "pass it as UTF-8, or use one of ASCII" }
  end
  local value, err = (format == "pem" and pem_of or pfx_of)(given)
  if not value then
    return nil, err
  end
  return json.write({
    value = value,
    pwd = format == "pfx" and (given.passphrase or "") or nil,
    policy = given.policy and given.policy:fields() or { secret_props = { contentType = formats[format] } },
  }, order, "  ") .. "\n"
end

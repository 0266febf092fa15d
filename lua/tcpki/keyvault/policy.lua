--- The policy of a certificate in a vault: what key it makes, what it asks for in the CSR, and in which form the secret
-- comes out.
--
-- `policy:rest()` and `policy:cli()` are the same policy in the two spellings that exist: the REST API's (also what
-- `az rest` takes) and that of `az keyvault certificate create --policy @FILE`.
--
-- Source: Azure/azure-rest-api-specs, specification/keyvault/data-plane, stable/7.4/certificates.json; the spelling of
-- az is that of Azure/azure-cli, keyvault/tests/latest/policy.json.
-- @module tcpki.keyvault.policy

local json = require "tcpki.json"
local options = require "tcpki.options"

local where = "tcpki.keyvault.policy"

local methods = {}
local metatable = { __name = "tcpki.keyvault.policy", __index = methods }

function metatable:__tostring()
  return ("tcpki.keyvault.policy (%s, %s)"):format(self.subject, self.issuer)
end

-- ---- what exists ----

-- RSA: JsonWebKeyType and the sizes of the portal; EC: JsonWebKeyCurveName. There is no Ed25519.
local key_bits = { [2048] = true, [3072] = true, [4096] = true }
local key_curves = { ["P-256"] = true, ["P-384"] = true, ["P-521"] = true, ["P-256K"] = true }

local CLIENT_AUTH, SERVER_AUTH = "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"
local usages = {
  client = { CLIENT_AUTH },
  server = { SERVER_AUTH },
  peer = { SERVER_AUTH, CLIENT_AUTH },
}

local content_types = { pem = "application/x-pem-file", pfx = "application/x-pkcs12" }

-- Kinds of alternative names: ours, REST, az. There is none for addresses and URIs.
local name_kinds = { dns = "dns_names", email = "emails", upn = "upns" }

local months_limit = 1200

local function one_of(set, words)
  return { function(value) return set[value] ~= nil end, words }
end

local known = {
  subject = "string",
  subject_alt_names = "table",
  key = "table",
  usage = one_of(usages, '"client", "server" or "peer"'),
  months = "integer",
  content_type = one_of(content_types, '"pem" or "pfx"'),
  exportable = "boolean",
  reuse_key = "boolean",
  issuer = "string",
  renew = "table",
}
local known_key = { type = "string", bits = "integer", curve = "string", hardware = "boolean" }
local known_renew = { percentage = "integer", days_before = "integer", action = "string" }

-- From a function that `policy` calls: to blame is who calls that.
local function fail(text, ...)
  error(("%s: %s"):format(where, text:format(...)), 4)
end

-- ---- the parts ----

local function key_properties(given)
  local key = options.check(where .. ": option 'key'", given.key, known_key, 4)
  local kind = key.type or (key.bits and "rsa") or "ec"
  local properties = { exportable = given.exportable ~= false, reuse_key = given.reuse_key == true }
  if kind == "rsa" then
    properties.bits = key.bits or 2048
    if key.curve or not key_bits[properties.bits] then
      fail("a vault makes RSA keys of 2048, 3072 and 4096 bits, not %s", key.curve or properties.bits)
    end
  elseif kind == "ec" then
    properties.curve = key.curve or "P-256"
    if key.bits or not key_curves[properties.curve] then
      fail("a vault makes EC keys on P-256, P-384, P-521 and P-256K, not %s", key.bits or properties.curve)
    end
  else
    fail("a vault makes keys of the types ec and rsa, not %s", kind)
  end
  -- A key in the hardware never leaves it (REST: RSA-HSM, EC-HSM).
  if key.hardware and given.exportable then
    fail "a key in the hardware is not exportable"
  end
  properties.exportable = properties.exportable and not key.hardware
  properties.type = kind:upper() .. (key.hardware and "-HSM" or "")
  return properties
end

local function is_dns_name(text)
  return text:find "^[%w*._-]+$" and not text:find "^[%d.]+$"
end

local function alternative_names(given)
  local names = {}
  for i, name in ipairs(options.list(where, "alternative name", given.subject_alt_names or {}, "string|table", 4)) do
    local kind, value = "dns", name
    if type(name) == "table" then
      kind, value = name.type, name.value
    end
    if not name_kinds[kind] then
      fail("alternative name %d: a vault takes dns, email and upn names, not %s", i, tostring(kind))
    elseif type(value) ~= "string" or value == "" or not utf8.len(value) then
      fail("alternative name %d has no value", i)
    elseif kind == "dns" and not is_dns_name(value) then
      fail("alternative name %d: %q is no DNS name, and a vault has no IP addresses and no URIs", i, value)
    end
    local list = name_kinds[kind]
    names[list] = names[list] or {}
    table.insert(names[list], value)
  end
  return next(names) and names or nil
end

-- An RSA key of a server also deciphers the key exchange of TLS 1.2, as in our own profiles.
local function key_usage(usage, kind)
  if kind:find "^RSA" and usage ~= "client" then
    return { "digitalSignature", "keyEncipherment" }
  end
  return { "digitalSignature" }
end

local actions = { email = "EmailContacts", renew = "AutoRenew" }

local function lifetime_action(given, issuer)
  if not given.renew then
    return nil
  end
  local renew = options.check(where .. ": option 'renew'", given.renew, known_renew, 4)
  options.exclude(where .. ": option 'renew'", renew, { { "percentage", "days_before" } }, 4)
  local action = renew.action or "email"
  if not actions[action] then
    fail('option \'renew\': the action is "email" or "renew", not %q', action)
  elseif action == "renew" and issuer == "Unknown" then
    -- azure-docs, key-vault/certificates/about-certificates: no automatic renewal by others than partners.
    fail 'option \'renew\': the issuer is not one that the vault can ask, so the action has to be "email"'
  elseif not renew.percentage and not renew.days_before then
    fail "option 'renew': pass percentage or days_before"
  elseif renew.percentage and (renew.percentage < 1 or renew.percentage > 99) then
    fail("option 'renew': percentage must be from 1 to 99, not %d", renew.percentage)
  elseif renew.days_before and renew.days_before < 1 then
    fail("option 'renew': days_before must be at least 1, not %d", renew.days_before)
  end
  return { percentage = renew.percentage, days_before = renew.days_before, action = actions[action] }
end

--- Makes a policy.
-- @function policy
-- @tparam table given
-- @tparam string given.subject as the vault reads it: `CN=payments.a1b2c, O="Acme, Inc."`
-- @tparam[opt] table given.subject_alt_names texts (DNS names), or `{ type = "dns"|"email"|"upn", value = }`
-- @tparam[opt] table given.key `{ type = "ec", curve = "P-256" }` by default; `{ type = "rsa", bits = 2048 }`;
-- `hardware = true` for a key that stays in the hardware
-- @tparam[opt="client"] string given.usage "client", "server" or "peer"
-- @tparam[opt=12] integer given.months how long the certificate is to live; who signs may decide otherwise
-- @tparam[opt="pem"] string given.content_type of the secret: "pem" or "pfx"
-- @tparam[opt=true] boolean given.exportable whether the secret holds the private key
-- @tparam[opt=false] boolean given.reuse_key whether a renewal keeps the key
-- @tparam[opt="Unknown"] string given.issuer "Unknown": we sign; "Self"; or the name of one that the vault knows
-- @tparam[opt] table given.renew `{ percentage = }` or `{ days_before = }`, and `action`: "email" (the default) or
-- "renew"
-- @treturn tcpki.keyvault.policy
-- @raise on what a vault does not have
local function policy(given)
  given = options.check(where, given, known)
  options.expect(where, "option 'subject'", given.subject, "string")
  if not given.subject:find "^%s*%a+%s*=" or not utf8.len(given.subject) then
    error(('%s: option \'subject\' must be a name such as "CN=payments.a1b2c", not %q'):format(where, given.subject), 2)
  end
  local months = given.months or 12
  if months < 1 or months > months_limit then
    error(("%s: option 'months' must be from 1 to %d, not %d"):format(where, months_limit, months), 2)
  end
  local key = key_properties(given)
  local usage, issuer = given.usage or "client", given.issuer or "Unknown"
  return setmetatable({
    subject = given.subject, names = alternative_names(given), key = key, usage = usage, months = months,
    content_type = content_types[given.content_type or "pem"], issuer = issuer,
    action = lifetime_action(given, issuer),
    extended_key_usage = usages[usage], key_usage = key_usage(usage, key.type),
  }, metatable)
end

-- ---- the two spellings ----

local rest_order = { "key_props", "kty", "key_size", "crv", "exportable", "reuse_key", "secret_props", "contentType",
  "x509_props", "subject", "sans", "dns_names", "emails", "upns", "ekus", "key_usage", "validity_months",
  "lifetime_actions", "trigger", "action", "issuer" }

--- The policy as the REST API takes it, as a table.
-- @function policy:fields
-- @treturn table
function methods:fields()
  local action = self.action
  return {
    key_props = { kty = self.key.type, key_size = self.key.bits, crv = self.key.curve,
      exportable = self.key.exportable, reuse_key = self.key.reuse_key },
    secret_props = { contentType = self.content_type },
    x509_props = { subject = self.subject, sans = self.names, ekus = self.extended_key_usage,
      key_usage = self.key_usage, validity_months = self.months },
    lifetime_actions = action and { {
      trigger = { lifetime_percentage = action.percentage, days_before_expiry = action.days_before },
      action = { action_type = action.action },
    } } or nil,
    issuer = { name = self.issuer },
  }
end

--- The policy as the REST API takes it.
-- @function policy:rest
-- @treturn string JSON
function methods:rest()
  return json.write(self:fields(), rest_order, "  ") .. "\n"
end

--- The body of `POST {vault}/certificates/{name}/create`.
-- @function policy:body
-- @treturn string JSON
function methods:body()
  return json.write({ policy = self:fields() }, rest_order, "  ") .. "\n"
end

local cli_order = { "issuerParameters", "keyProperties", "keyType", "keySize", "curve", "exportable", "reuseKey",
  "secretProperties", "contentType", "x509CertificateProperties", "subject", "subjectAlternativeNames", "dnsNames",
  "emails", "upns", "ekus", "keyUsage", "validityInMonths", "lifetimeActions", "trigger", "action" }

local function cli_names(names)
  return names and { dnsNames = names.dns_names, emails = names.emails, upns = names.upns }
end

--- The policy as `az keyvault certificate create --policy @FILE` takes it.
-- @function policy:cli
-- @treturn string JSON
function methods:cli()
  local action = self.action
  return json.write({
    issuerParameters = { name = self.issuer },
    keyProperties = { keyType = self.key.type, keySize = self.key.bits, curve = self.key.curve,
      exportable = self.key.exportable, reuseKey = self.key.reuse_key },
    secretProperties = { contentType = self.content_type },
    x509CertificateProperties = { subject = self.subject, subjectAlternativeNames = cli_names(self.names),
      ekus = self.extended_key_usage, keyUsage = self.key_usage, validityInMonths = self.months },
    lifetimeActions = action and { {
      trigger = { lifetimePercentage = action.percentage, daysBeforeExpiry = action.days_before },
      action = { actionType = action.action },
    } } or nil,
  }, cli_order, "  ") .. "\n"
end

return policy

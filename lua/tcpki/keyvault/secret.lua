--- The secret of a vault, back into the key and the chain that a worker reads.
-- @module tcpki.keyvault.secret

local base64 = require "tcpki.pem.base64"
local certificate = require "tcpki.certificate"
local content = require "tcpki.keyvault.content"
local fault = require "tcpki.fault"
local json = require "tcpki.json"
local key = require "tcpki.key"
local options = require "tcpki.options"
local pem = require "tcpki.pem"
local pkcs12 = require "tcpki.pkcs12"

local PEM, PFX = "application/x-pem-file", "application/x-pkcs12"

local HINT = "pass the value of: az keyvault secret show --vault-name VAULT --name NAME"

local DIALECT = { blanks = "[ \t\r\n]", padding = "optional", stray_bits = "refused" }

local methods = {}
local metatable = { __name = "tcpki.keyvault.secret", __index = methods }

function metatable:__tostring()
  return ("tcpki.keyvault.secret (%s)"):format(self.certificate:subject())
end

--- Writes what a worker reads, as a pair: the key as PKCS#8 with mode 0600, the chain with mode 0644, leaf first.
-- @function secret:write
-- @tparam string key_path
-- @tparam string chain_path
-- @tparam[opt] table write_options `overwrite` (false by default), `passphrase`, `passphrase_file`, `passphrase_env`
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault `already_exists`, …
function methods:write(key_path, chain_path, write_options)
  local text, err = self.chain:pem()
  if not text then
    return nil, err
  end
  return self.key:write_pair(key_path, chain_path, text, write_options)
end

-- The JSON of the secret: its value and its type, which REST writes as contentType. `az … --query value` writes the
-- value alone, in its quotes.
local function from_json(text, content_type)
  local bundle, err = json.read(text, "bad_json", "a secret of the vault", HINT)
  if bundle == nil then
    return nil, err
  elseif type(bundle) == "string" then
    return bundle, content_type
  elseif type(bundle) ~= "table" or type(bundle.value) ~= "string" then
    return fault.fail { code = "wrong_kind", hint = HINT,
      message = ("it is %s, not a secret with a value"):format(content.name(bundle)) }
  end
  local stated = type(bundle.contentType) == "string" and bundle.contentType or nil
  return bundle.value, content_type or stated
end

local function no_key()
  return fault.fail { code = "no_private_key", message = "the secret holds no private key",
    hint = "the policy of the certificate has to say exportable: true; a key that was made without stays in the vault" }
end

-- The leaf is found by its key: a vault has been seen to write the root first.
local function together(private, certificates)
  local file, err = pkcs12.new { key = private, chain = certificates }
  if not file then
    return nil, err
  end
  return setmetatable({ key = file.key, certificate = file.certificate, chain = file.chain, others = file.others,
    content_type = PEM }, metatable)
end

-- A vault takes the passphrase of what is imported off: this came in as a secret of its own.
local function without_passphrase(err)
  if err.code == "passphrase_required" then
    err.hint = "a vault hands its certificates out without one; read what has one with tcpki.key or tcpki.pkcs12"
  end
  return nil, err
end

-- A block as the object of a parser, with the line that it has in the whole.
local function object_of(block, parse)
  local object, err = parse(block.source)
  if not object then
    err.line = block.line
    return without_passphrase(err)
  end
  return object
end

local function from_pem(text)
  local blocks, err = pem.blocks(text)
  if not blocks then
    return nil, err
  end
  local private
  local certificates = {}
  for _, block in ipairs(blocks) do
    local object
    if block.label == "CERTIFICATE" then
      object, err = object_of(block, certificate.parse)
      certificates[#certificates + 1] = object
    elseif not block.label:find "PRIVATE KEY$" then
      object, err = fault.fail { code = "wrong_kind", line = block.line,
        message = ("the secret holds a %s"):format(block.label), hint = "it holds a key and certificates, no more" }
    elseif private then
      object, err = fault.fail { code = "several", line = block.line,
        message = "the secret holds more than one private key", hint = "keep the one of the certificate" }
    else
      object, err = object_of(block, key.parse)
      private = object
    end
    if not object then
      return nil, err
    end
  end
  if not private then
    return no_key()
  elseif #certificates == 0 then
    return fault.fail { code = "no_certificate", message = "the secret holds a key without a certificate", hint = HINT }
  end
  return together(private, certificates)
end

-- The vault writes its files with an empty password (azure-cli#11576), which has two forms: pkcs12 tries both.
local function from_pfx(text)
  local bytes = base64.decode(DIALECT, text)
  if not bytes and text:find "^[%w+/=%s]*$" then
    return fault.fail { code = "bad_base64", message = "the value is not base64, or damaged", hint = HINT }
  end
  -- What is no base64 at all is perhaps the file itself; if not, it is told what it is.
  local file, err = pkcs12.parse(bytes or text)
  if not file then
    err.hint = bytes and err.hint or HINT
    return without_passphrase(err)
  elseif not file.key then
    return no_key()
  elseif not file.certificate then
    return fault.fail { code = "key_mismatch", message = "the secret holds no certificate of its key", hint = HINT }
  end
  return setmetatable({ key = file.key, certificate = file.certificate, chain = file.chain, others = file.others,
    content_type = PFX }, metatable)
end

-- Shown only where it can be a content type: a program may have swapped the two arguments.
local function other_type(content_type)
  local shown = #content_type <= 64 and content_type:find "^[%w.+-]+/[%w.+-]+$"
  return fault.fail { code = "wrong_kind",
    message = shown and "the secret has the content type " .. content_type or "the secret has another content type",
    hint = "a certificate of a vault has application/x-pkcs12 or application/x-pem-file" }
end

--- Reads the value of a secret.
-- @function secret
-- @tparam string value the field value, or the JSON of the whole secret, or the bytes of the PFX
-- @tparam[opt] string content_type `application/x-pkcs12` or `application/x-pem-file`; by default what the JSON says,
-- or what the value looks like
-- @treturn[1] table `key`, `certificate` (the one of the key), `chain` (leaf first, whatever the order was), `others`
-- (certificates that do not belong to it), `content_type`; `:write(key_path, chain_path)`
-- @treturn[2] nil
-- @treturn[2] fault `no_private_key`, `key_mismatch`, `wrong_kind` (with what it is, or another content type),
-- `bad_base64`, `bad_pem`, …
return function(value, content_type)
  options.expect("tcpki.keyvault.secret", "value", value, "string")
  options.expect("tcpki.keyvault.secret", "content_type", content_type, "string|nil")
  if value:find '^%s*[{["]' then
    local inner, stated = from_json(value, content_type)
    if not inner then
      return nil, stated
    end
    value, content_type = inner, stated
  end
  content_type = content_type or (value:find("-----BEGIN ", 1, true) and PEM or PFX)
  if content_type == PEM then
    return from_pem(value)
  elseif content_type == PFX then
    return from_pfx(value)
  end
  return other_type(content_type)
end

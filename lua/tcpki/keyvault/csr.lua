--- The CSR of a vault, in any of the forms in which it is handed on.
-- @module tcpki.keyvault.csr

local content = require "tcpki.keyvault.content"
local csr = require "tcpki.csr"
local fault = require "tcpki.fault"
local json = require "tcpki.json"
local options = require "tcpki.options"

local HINT = "pass the field csr of: az keyvault certificate pending show --vault-name VAULT --name NAME"

-- The field csr of an operation: REST and az spell it alike. `az … --query csr` writes it alone, in its quotes.
local function from_json(text)
  local operation, err = json.read(text, "bad_json", "an operation of the vault", HINT)
  if operation == nil then
    return nil, err
  end
  local value = type(operation) == "table" and operation.csr or operation
  if type(value) == "string" and value ~= "" then
    return value
  end
  local status = type(operation) == "table" and operation.status
  local what = type(status) == "string" and #status < 32 and "the operation has no CSR, and is " .. status
    or ("it is %s, not an operation with a CSR"):format(content.name(operation))
  return fault.fail { code = "wrong_kind", message = what, hint = HINT }
end

-- Lines of bare base64 that each begin as a CSR does (a SEQUENCE of 128 bytes or more, with another in it): the
-- documented recipe appends with `>>`, so that its second run leaves two in one file, of which OpenSSL reads the first.
local function count(text)
  local found = 0
  for line in text:gmatch "[^\r\n]+" do
    if line:find "^%s*MI[GHI]" and #line > 128 then
      found = found + 1
    end
  end
  return found
end

local function several()
  return fault.fail { code = "several", message = "it holds more than one CSR",
    hint = "keep the last one; a recipe with >> adds one at every run" }
end

--- Reads a CSR: bare base64 in one line or several, the same in armour of one long line, ordinary PEM, DER, the JSON
-- of the operation, from the REST API or from `az`, or its field `csr` in quotes. Its own signature is checked.
-- @function csr
-- @tparam string text
-- @treturn[1] csr
-- @treturn[2] nil
-- @treturn[2] fault `several`, `wrong_kind` and `not_pem` (with what it is), `bad_signature`, `bad_pem`, `bad_der`, …
return function(text)
  options.expect("tcpki.keyvault.csr", "text", text, "string")
  if text:find '^%s*[{["]' then
    local value, err = from_json(text)
    if not value then
      return nil, err
    end
    text = value
  end
  if count(text) > 1 then
    return several()
  end
  local request, err = csr.parse(text)
  if not request then
    if err.code == "several" then
      return several()
    end
    if err.code == "not_pem" or err.code == "empty" then
      err.hint = HINT
    end
    return nil, err
  end
  local ok
  ok, err = request:verify()
  if not ok then
    return nil, err
  end
  return request
end

--- The CSR of a vault, in any of the forms in which it is handed on.
-- @module tcpki.keyvault.csr

local content = require "tcpki.keyvault.content"
local csr = require "tcpki.csr"
local fault = require "tcpki.fault"
local json = require "tcpki.json"
local options = require "tcpki.options"

local HINT = "pass the field csr of: az keyvault certificate pending show --vault-name VAULT --name NAME"

-- The field csr of an operation: REST and az spell it alike.
local function from_operation(text)
  local operation, err = json.read(text, "bad_json", "an operation of the vault", HINT)
  if not operation then
    return nil, err
  end
  local value = type(operation) == "table" and operation.csr
  if type(value) == "string" and value ~= "" then
    return value
  end
  local status = type(operation) == "table" and operation.status
  local what = type(status) == "string" and ("the operation is %s and has no CSR"):format(status)
    or ("it is %s, not an operation with a CSR"):format(content.name(text) or "something else")
  return fault.fail { code = "wrong_kind", message = what, hint = HINT }
end

-- Lines of bare base64 that each begin as a CSR does (SEQUENCE in SEQUENCE): the documented recipe appends with `>>`,
-- so that its second run leaves two in one file, of which OpenSSL reads the first.
local function count(text)
  local found = 0
  for line in text:gmatch "[^\r\n]+" do
    if line:find "^%s*MI[IG]" and #line > 128 then
      found = found + 1
    end
  end
  return found
end

local function several()
  return fault.fail { code = "several", message = "it holds more than one CSR",
    hint = "keep the last one; a recipe with >> adds one at every run" }
end

--- Reads a CSR: bare base64 in one line or several, the same in armour of one long line, ordinary PEM, DER, or the JSON
-- of the operation, from the REST API or from `az`. Its own signature is checked.
-- @function csr
-- @tparam string text
-- @treturn[1] csr
-- @treturn[2] nil
-- @treturn[2] fault `several`, `wrong_kind` (with what it is), `bad_signature`, `bad_pem`, `bad_der`, …
return function(text)
  options.expect("tcpki.keyvault.csr", "text", text, "string")
  if text:find "^%s*{" then
    local value, err = from_operation(text)
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
    local what = content.name(text)
    if what and what ~= "a CSR" then
      return fault.fail { code = "wrong_kind", message = ("it is %s, not a CSR"):format(what), hint = HINT }
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

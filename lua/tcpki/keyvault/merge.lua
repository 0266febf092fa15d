--- The body with which a signed certificate is merged into the vault that holds its key.
-- @module tcpki.keyvault.merge

local fault = require "tcpki.fault"
local json = require "tcpki.json"
local options = require "tcpki.options"

-- base64 of the DER, in one line.
local function element(certificate)
  local pem, err = certificate:pem()
  if not pem then
    return nil, err
  end
  return (pem:gsub("%-%-%-%-%-[^\n]*\n", ""):gsub("\n", ""))
end

--- The body of `POST {vault}/certificates/{name}/pending/merge`: `{"x5c": […]}`, the leaf first. What a certificate is
-- followed by has to have signed it.
-- @function merge_body
-- @tparam chain chain as `authority:sign` gives it
-- @treturn[1] string JSON
-- @treturn[2] nil
-- @treturn[2] fault `issuer_mismatch`
return function(chain)
  options.expect("tcpki.keyvault.merge_body", "chain", chain, "tcpki.chain")
  local elements = {}
  for i, certificate in ipairs(chain) do
    local text, err = element(certificate)
    if not text then
      return nil, err
    end
    elements[i] = text
    local issuer = chain[i + 1]
    if issuer and not certificate:issued_by(issuer) then
      return fault.fail { code = "issuer_mismatch", depth = i - 1, subject = tostring(certificate:subject()),
        message = "the certificate that follows did not sign it",
        hint = "it has the name of the issuer and another key: pass the certificate of the CA that signed" }
    end
  end
  return json.write({ x5c = elements }, { "x5c" }, "  ") .. "\n"
end

--- The operations of a vault, over whatever sends HTTP for you.
--
--     local vault = keyvault.client{ vault = "acme-workers", token = token, transport = function(request)
--       -- request.method, request.url, request.headers, request.body
--       return { status = 200, body = "…" }            -- or nil, "why it could not be sent"
--     end }
--
-- A token never reaches an error; neither does what a secret holds. What a function of yours throws passes through.
-- @module tcpki.keyvault.client

local address = require "tcpki.keyvault.address"
local certificate = require "tcpki.certificate"
local commands = require "tcpki.keyvault.commands"
local csr = require "tcpki.keyvault.csr"
local fault = require "tcpki.fault"
local import_body = require "tcpki.keyvault.import"
local json = require "tcpki.json"
local merge_body = require "tcpki.keyvault.merge"
local options = require "tcpki.options"
local secret = require "tcpki.keyvault.secret"

local methods = {}
local metatable = { __name = "tcpki.keyvault.client", __index = methods }

function metatable:__tostring()
  return ("tcpki.keyvault.client (%s)"):format(self.url)
end

-- ---- a request and its answer ----

-- What somebody else chose, for a message: no control characters, and no page of text.
local function said_by(text)
  text = text:gsub("\xc2[\x80-\x9f]", " "):gsub("[%c\x7f]+", " ")
  local limit = utf8.offset(text, 501)
  return limit and text:sub(1, limit - 1) .. "…" or text
end

-- By status, and by the word of the vault where it says more: what to do.
local hints = {
  [400] = "compare the request with what the vault says",
  [401] = "the token is missing, expired or for another resource: it has to be for https://vault.azure.net",
  [403] = "give the identity the permission that the message names (certificates/create, certificates/import, "
    .. "secrets/get), and look at the firewall of the vault",
  [404] = "check the name; a certificate that waits for its merge has no version yet",
  [409] = "an operation for that name is under way, or a deleted one of that name waits to be purged: carry it on, "
    .. "cancel it, or recover the other",
  [429] = "the vault is throttled: wait as long as Retry-After says",
}
local hints_by_text = {
  { "disabled secret", "the certificate waits for its merge: merge the signed chain first" },
  { "X5C", "pass the certificates themselves, leaf first; PKCS#7 is no longer taken" },
  { "PKCS#12", "write the PFX with profile \"compatible\", or import PEM" },
  { "X%.509 certificate content is invalid", "the key has to be PKCS#8, and the content type the one of the format" },
}

local function hint_of(status, message)
  for _, row in ipairs(hints_by_text) do
    if message:find(row[1]) then
      return row[2]
    end
  end
  return hints[status] or (status >= 500 and "try again later") or "compare the request with what the vault says"
end

local function refusal(what, response)
  local answer = json.read(response.body or "", "bad_response", "", "")
  local said = type(answer) == "table" and type(answer.error) == "table" and answer.error or {}
  local word = type(said.code) == "string" and said_by(said.code) or nil
  local message = type(said.message) == "string" and said_by(said.message) or "it gave no reason"
  return fault.fail {
    code = "vault_refused", status = response.status, vault_code = word,
    message = ("the vault refused to %s: HTTP %d%s: %s"):format(what, response.status, word and ", " .. word or "",
      message),
    hint = hint_of(response.status, message),
  }
end

local PROXY = "check that the URL is that of a vault, and no proxy answers in its place"

local function token_of(self)
  local token = self.token
  if type(token) == "function" then
    local err
    token, err = token()
    if type(token) ~= "string" then
      return fault.fail { code = "no_token", message = ("there is no token: %s"):format(tostring(err or "none given")),
        hint = commands.token }
    end
  end
  -- RFC 6750, section 2.1. What a command printed ends in a line end, which would end the header.
  if token and not token:find "^[%w._~+/-]+=*$" then
    return fault.fail { code = "bad_token", hint = commands.token,
      message = token == "" and "the token is empty" or "the token holds a blank, a line end, or what else none holds" }
  end
  return token or false
end

local function is_response(response)
  return type(response) == "table" and math.type(response.status) and math.tointeger(response.status)
    and (response.body == nil or type(response.body) == "string")
end

-- Sends, and gives back the object of a good answer.
local function send(self, what, operation, name, body, version)
  local token, err = token_of(self)
  if token == nil then
    return nil, err
  end
  local method, url = address.of(self.url, operation, name, version)
  local headers = { ["Accept"] = "application/json" }
  headers["Content-Type"] = body and "application/json" or nil
  headers["Content-Length"] = body and tostring(#body) or nil
  headers["Authorization"] = token and "Bearer " .. token or nil
  local response, reason = self.transport { method = method, url = url, headers = headers, body = body }
  if not response then
    return fault.fail { code = "transport_failed",
      message = ("the request to %s could not be sent: %s"):format(self.url, tostring(reason)),
      hint = "check the name of the vault, the network and the CAs that the HTTP library trusts" }
  elseif not is_response(response) then
    error("tcpki.keyvault.client: transport must return a table with an integer status and a body, a string, or nil "
      .. "and a reason", 3)
  elseif response.status < 200 or response.status > 299 then
    return refusal(what, response)
  end
  local answer
  answer, err = json.read(response.body or "", "bad_response", "an answer of a vault", PROXY)
  if answer ~= nil and type(answer) ~= "table" then
    return fault.fail { code = "bad_response", message = "not an answer of a vault: it is " .. json.kind(answer),
      hint = PROXY }
  end
  return answer, err
end

-- An object that is of another kind than the operation's.
local function unlike(what)
  return fault.fail { code = "bad_response", message = "the answer of the vault has no " .. what, hint = PROXY }
end

local function text(value)
  return type(value) == "string" and value or nil
end

-- ---- what comes back ----

local operation_methods = {}
local operation_metatable = { __name = "tcpki.keyvault.operation", __index = operation_methods }

function operation_metatable:__tostring()
  return ("tcpki.keyvault.operation (%s)"):format(self.status)
end

--- The CSR of the operation, with its signature checked.
-- @function operation:csr
-- @treturn[1] csr
-- @treturn[2] nil
-- @treturn[2] fault
function operation_methods:csr()
  if not self.request then
    return fault.fail { code = "no_csr", message = ("the operation is %s and has no CSR"):format(self.status),
      hint = 'only an issuer of the name "Unknown" leaves the signing to you' }
  end
  return csr(self.request)
end

local function operation_of(answer, err)
  if not answer then
    return nil, err
  elseif not text(answer.status) then
    return unlike "status"
  end
  local reason = type(answer.error) == "table" and text(answer.error.message)
  return setmetatable({ id = text(answer.id), status = answer.status,
    details = text(answer.status_details) or reason, request = text(answer.csr),
    request_id = text(answer.request_id), target = text(answer.target) }, operation_metatable)
end

-- The certificate of a bundle: `cer`, base64 DER.
local function bundle_of(answer)
  if not text(answer.cer) then
    return unlike "certificate"
  end
  local made, err = certificate.parse(("-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n"):format(
    answer.cer))
  if not made then
    return fault.fail { code = "bad_response", hint = PROXY,
      message = ("the certificate in the answer of the vault is none: %s"):format(err.message) }
  end
  return { id = text(answer.id), key_id = text(answer.kid), secret_id = text(answer.sid), certificate = made }
end

-- ---- the operations ----

--- Begins a certificate: the vault makes a key and, with the issuer "Unknown", a CSR for it.
-- @function client:create
-- @tparam string name
-- @tparam tcpki.keyvault.policy policy
-- @treturn[1] operation `status`, `details`, `id`, `request_id`, `target`; `:csr()`
-- @treturn[2] nil
-- @treturn[2] fault `vault_refused` (with `status` and `vault_code`), `transport_failed`, `bad_response`, `no_token`,
-- `bad_token`
function methods:create(name, policy)
  address.name("client:create", name)
  options.expect("client:create", "policy", policy, "tcpki.keyvault.policy")
  return operation_of(send(self, "create " .. name, "create", name, policy:body()))
end

--- The operation that waits for its merge.
-- @function client:pending
-- @tparam string name
-- @treturn[1] operation
-- @treturn[2] nil
-- @treturn[2] fault
function methods:pending(name)
  address.name("client:pending", name)
  return operation_of(send(self, "show the operation of " .. name, "pending", name))
end

--- Gives up the operation that waits, so that the name is free for another.
-- @function client:cancel
-- @tparam string name
-- @treturn[1] operation
-- @treturn[2] nil
-- @treturn[2] fault
function methods:cancel(name)
  address.name("client:cancel", name)
  return operation_of(send(self, "cancel the operation of " .. name, "cancel", name))
end

--- Merges the signed chain into the operation that waits for it.
-- @function client:merge
-- @tparam string name
-- @tparam chain chain leaf first
-- @treturn[1] table `id`, `key_id`, `secret_id`, `certificate`
-- @treturn[2] nil
-- @treturn[2] fault
function methods:merge(name, chain)
  address.name("client:merge", name)
  local body, err = merge_body(chain)
  if not body then
    return nil, err
  end
  local answer
  answer, err = send(self, "merge " .. name, "merge", name, body)
  if not answer then
    return nil, err
  end
  return bundle_of(answer)
end

--- Imports a key with its chain.
-- @function client:import
-- @tparam string name
-- @tparam table given as for `import_body`
-- @treturn[1] table `id`, `key_id`, `secret_id`, `certificate`
-- @treturn[2] nil
-- @treturn[2] fault
function methods:import(name, given)
  address.name("client:import", name)
  local body, err = import_body(given)
  if not body then
    return nil, err
  end
  local answer
  answer, err = send(self, "import " .. name, "import", name, body)
  if not answer then
    return nil, err
  end
  return bundle_of(answer)
end

--- The policy of a certificate as the vault holds it.
-- @function client:policy
-- @tparam string name
-- @treturn[1] table the object of the answer, in the spelling of the REST API
-- @treturn[2] nil
-- @treturn[2] fault
function methods:policy(name)
  address.name("client:policy", name)
  local answer, err = send(self, "show the policy of " .. name, "policy", name)
  if answer and type(answer.secret_props) ~= "table" then
    return unlike "policy"
  end
  return answer, err
end

--- The key and the chain of a certificate, where it is exportable.
-- @function client:secret
-- @tparam string name
-- @tparam[opt] string version the latest without it
-- @treturn[1] tcpki.keyvault.secret
-- @treturn[2] nil
-- @treturn[2] fault
function methods:secret(name, version)
  address.name("client:secret", name)
  address.version("client:secret", version)
  local answer, err = send(self, "hand out the secret of " .. name, "secret", name, nil, version)
  if not answer then
    return nil, err
  elseif not text(answer.value) then
    return unlike "value"
  end
  return secret(answer.value, text(answer.contentType))
end

-- Azure writes it with a slash at its end (vaultUri).
local function is_url(value)
  return type(value) == "string" and value:find "^https?://[^/?#@%s]+/?$" ~= nil
end

local known = {
  vault = "string",
  url = { is_url, "a URL without a user and a path, such as https://acme.vault.azure.net" },
  transport = "function",
  token = "string|function",
}

--- Makes a client.
-- @function client
-- @tparam table given
-- @tparam[opt] string given.vault the name of a vault of the public cloud
-- @tparam[opt] string given.url of the vault, in its place
-- @tparam function given.transport takes `{ method, url, headers, body }`, returns `{ status, body }`, or nil and a
-- reason
-- @param[opt] given.token a string, or a function that returns one (or nil and a reason), asked at each request
-- @treturn client
return function(given)
  local where = "tcpki.keyvault.client"
  given = options.check(where, given, known)
  options.exclude(where, given, { { "vault", "url" } })
  options.expect(where, "option 'transport'", given.transport, "function")
  local url = given.url
  if not url then
    url = address.of_vault(where, given.vault)
  end
  return setmetatable({ url = (url:gsub("/$", "")), transport = given.transport, token = given.token }, metatable)
end

-- A stand-in for a vault: keys, CSRs, PFX and PEM are the openssl command's, paths and fields those of the published
-- API (Azure/azure-rest-api-specs, stable/7.4). It holds the key, so that nothing but a CSR comes out before the merge.
--
--   local vault = keyvault.stand_in(directory)
--   client { url = vault.url, transport = vault.transport, token = keyvault.TOKEN }
--   local server <close> = keyvault.serve(directory)     -- the same over HTTPS: server.url

local cjson = require "cjson"
local openssl = require "spec.support.openssl"
local temporary = require "spec.support.temporary"

local keyvault = { TOKEN = "a.token.of.forty.characters.or.so.1234" }

-- Of every certificate: there is one.
local VERSION = "7f1b"

local function reply(status, object)
  return { status = status, body = cjson.encode(object) }
end

local function refuse(status, code, message)
  return reply(status, { error = { code = code, message = message } })
end

local function base64(bytes)
  return (openssl.run("base64 -A", bytes))
end

local eku_names = { ["1.3.6.1.5.5.7.3.1"] = "serverAuth", ["1.3.6.1.5.5.7.3.2"] = "clientAuth" }

local function request_of(directory, path, policy)
  local x509, key = policy.x509_props, policy.key_props
  local how = key.kty == "RSA" and ("-algorithm RSA -pkeyopt rsa_keygen_bits:%d"):format(key.key_size)
    or ("-algorithm EC -pkeyopt ec_paramgen_curve:%s"):format(key.crv)
  openssl.run(("genpkey %s -out %s.key"):format(how, path))
  local usages = {}
  for i, oid in ipairs(x509.ekus) do usages[i] = eku_names[oid] end
  local names = {}
  for _, name in ipairs((x509.sans or {}).dns_names or {}) do names[#names + 1] = "DNS:" .. name end
  -- As decoded from the example of the specification: critical key usage, an empty basicConstraints.
  local config = openssl.configuration(directory, ([[
req_extensions = asked
[dn]
CN = %s
[asked]
keyUsage = critical,%s
extendedKeyUsage = %s
basicConstraints = CA:FALSE
%s
]]):format(x509.subject:match "CN=([^,]+)", table.concat(x509.key_usage, ","), table.concat(usages, ","),
    #names > 0 and "subjectAltName = " .. table.concat(names, ",") or ""))
  return openssl.run(("req -new -key %s.key -outform DER -config %s"):format(path, config))
end

-- The operations, by method and what follows the name of the certificate.
local operations = {}

operations["POST /create"] = function(vault, name, body)
  local path = vault.directory:path(name)
  local csr = request_of(vault.directory, path, body.policy)
  vault.certificates[name] = { policy = body.policy, operation = {
    id = ("%s/certificates/%s/pending"):format(vault.url, name), issuer = { name = body.policy.issuer.name },
    csr = base64(csr), cancellation_requested = false, status = "inProgress", request_id = "8a2bd1c0",
    status_details = "Pending certificate created. Please Perform Merge to complete the request.",
  } }
  return reply(202, vault.certificates[name].operation)
end

operations["GET /pending"] = function(vault, name)
  local held = vault.certificates[name]
  if not held then return refuse(404, "PendingCertificateNotFound", "Pending certificate not found: " .. name) end
  return reply(200, held.operation)
end

operations["DELETE /pending"] = function(vault, name)
  local held = vault.certificates[name]
  vault.certificates[name] = nil
  return reply(200, held.operation)
end

operations["POST /pending/merge"] = function(vault, name, body)
  local held = vault.certificates[name]
  local path = vault.directory:path(name)
  local blocks = {}
  for i, der in ipairs(body.x5c) do
    blocks[i] = openssl.run("x509 -inform DER", openssl.run("base64 -d -A", der))
  end
  if #blocks == 0 then
    return refuse(400, "BadParameter", "Property x5c has invalid value X5C must has at least one valid item")
  end
  local own = openssl.run("x509 -noout -pubkey", blocks[1])
  if own ~= openssl.run(("pkey -pubout -in %s.key"):format(path)) then
    return refuse(400, "BadParameter", "The public key of the end-entity certificate does not match the key.")
  end
  held.blocks = blocks
  held.operation.status = "completed"
  return reply(201, vault:bundle(name))
end

operations["POST /import"] = function(vault, name, body)
  local path, text = vault.directory:path(name), body.value
  local pfx = body.policy.secret_props.contentType == "application/x-pkcs12"
  if pfx then
    local file = vault.directory:file(nil, (openssl.run("base64 -d -A", text)))
    local ok, said, errors = openssl.try(("pkcs12 -in %s -nodes -passin pass:%s"):format(file, body.pwd))
    if not ok then
      return refuse(400, "BadParameter", "The specified PKCS#12 X.509 certificate content can not be read. " .. errors)
    end
    text = said
  end
  if not pfx and not text:find("-----BEGIN ", 1, true) then
    text = openssl.run("base64 -d -A", text) -- so Microsoft's SDK for Python sends PEM; az and .NET send the text
  end
  if not pfx and not text:find("-----BEGIN PRIVATE KEY-----", 1, true) then
    return refuse(400, "BadParameter", "The specified X.509 certificate content is invalid. Error: One or more X.509 "
      .. "properties are invalid.")
  end
  vault.directory:file(name .. ".key", openssl.run("pkey", text))
  local blocks = {}
  for block in text:gmatch "%-%-%-%-%-BEGIN CERTIFICATE.-END CERTIFICATE%-%-%-%-%-\n" do
    blocks[#blocks + 1] = block
  end
  vault.certificates[name] = { policy = body.policy, blocks = blocks, path = path }
  return reply(200, vault:bundle(name))
end

operations["GET /policy"] = function(vault, name)
  return reply(200, vault.certificates[name].policy)
end

local methods = {}

function methods:bundle(name)
  local der = openssl.run("x509 -outform DER", self.certificates[name].blocks[1])
  local id = ("%s/%%s/%s/%s"):format(self.url, name, VERSION)
  return { id = id:format "certificates", kid = id:format "keys", sid = id:format "secrets", cer = base64(der) }
end

-- What was merged comes out root first as PFX, without a password; the chain is in the order of the merge as PEM.
function methods:secret(name)
  local held = self.certificates[name]
  if not held then return refuse(404, "SecretNotFound", "A secret with (name/id) " .. name .. " was not found") end
  if not held.blocks then
    return refuse(403, "Forbidden", "Operation get is not allowed on a disabled secret.")
  end
  local content_type = held.policy.secret_props.contentType
  local key_path = self.directory:path(name .. ".key")
  local value
  if content_type == "application/x-pkcs12" then
    local reversed = {}
    for i = #held.blocks, 1, -1 do reversed[#reversed + 1] = held.blocks[i] end
    local heap = self.directory:file(nil, table.concat(reversed))
    local with_key = held.policy.key_props == nil or held.policy.key_props.exportable
    value = base64(openssl.run(("pkcs12 -export -in %s %s -passout pass: -keypbe NONE -certpbe NONE"):format(heap,
      with_key and "-inkey " .. key_path or "-nokeys")))
  else
    value = temporary.content(key_path) .. table.concat(held.blocks)
  end
  return reply(200, { value = value, contentType = content_type,
    id = ("%s/secrets/%s/%s"):format(self.url, name, VERSION) })
end

local function answer(vault, request)
  if (request.headers.Authorization or "") ~= "Bearer " .. vault.token then
    return refuse(401, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
  end
  local path = request.url:sub(#vault.url + 1):match "^(.*)%?api%-version=7%.4$"
  local body = request.body and cjson.decode(request.body)
  local secret, version = path:match "^/secrets/([%w-]+)/?(%w*)$"
  if secret and request.method == "GET" then
    if version ~= "" and version ~= VERSION then return refuse(404, "SecretNotFound", "There is none.") end
    return vault:secret(secret)
  end
  local name, rest = path:match "^/certificates/([%w-]+)(/.*)$"
  return operations[request.method .. " " .. rest](vault, name, body)
end

-- The same as a server over HTTPS. Its directory holds the pair server.key and server.pem, for localhost.
local server_methods = {}
local server_metatable = { __index = server_methods }

function server_methods:log()
  return temporary.content(self.directory:path "requests")
end

-- The body of the last request to a path, as an object.
function server_methods:asked(path)
  local last
  for body in self:log():gmatch("\n%u+ " .. path:gsub("%p", "%%%0") .. "%?api%-version=7%.4 ({[^\n]*)") do
    last = body
  end
  return last and cjson.decode(last)
end

function server_methods:close()
  self.input:close()
end
server_metatable.__close = server_methods.close

function keyvault.serve(directory)
  local command = ("%s spec/support/keyvault_server.lua '%s'"):format(os.getenv "LUA" or "lua5.4",
    directory:path "")
  local path = directory:path "requests"
  directory:file("requests", "")
  local made = setmetatable({ directory = directory,
    -- It ends when this end of the pipe is closed, by whatever.
    input = assert(io.popen(("%s >%s 2>&1"):format(command, path), "w")) }, server_metatable)
  for _ = 1, 200 do
    made.url = made:log():match "URL (%S+)"
    if made.url then return made end
    os.execute "sleep 0.05"
  end
  error("the stand-in did not start: " .. made:log())
end

function keyvault.stand_in(directory)
  local vault = setmetatable({ directory = directory, certificates = {}, requests = {},
    url = "https://acme-workers.vault.azure.net", token = keyvault.TOKEN }, { __index = methods })
  function vault.transport(request)
    vault.requests[#vault.requests + 1] = request
    return answer(vault, request)
  end
  return vault
end

return keyvault

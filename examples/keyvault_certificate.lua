-- A worker's certificate whose key is born in Azure Key Vault: the vault makes the key and a CSR, our CA signs it, the
-- chain is merged, and the secret becomes the two files that a worker reads.
--
--   TOKEN=$(az account get-access-token --resource https://vault.azure.net --query accessToken --output tsv) \
--     lua5.4 keyvault_certificate.lua https://acme-workers.vault.azure.net payments
--
-- HTTPS is LuaSocket with LuaSec (apt install lua-socket lua-sec). LuaSec checks no host name, so tcpki does.

local http = require "socket.http"
local ltn12 = require "ltn12"
local socket = require "socket"
local ssl = require "ssl"
local tcpki = require "tcpki"

local url, name = arg[1], arg[2] or "payments"
if not url then
  print "pass the URL of a vault, such as https://acme-workers.vault.azure.net, and the name of a certificate"
  return
end

-- The first of these that is there: Debian's, Fedora's, Alpine's.
local function system_roots()
  for _, path in ipairs { os.getenv "SSL_CERT_FILE" or "", "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem" } do
    local roots = path ~= "" and tcpki.bundle.read(path)
    if roots then return roots end
  end
  error "no CA certificates of the system found: set SSL_CERT_FILE"
end

local roots = system_roots()

-- What socket.http is to take in place of a plain connection: TLS, and a chain that holds for the host.
local function secure()
  local plain = socket.tcp()
  local connection = {}
  function connection.settimeout(_, ...) return plain:settimeout(...) end
  function connection.connect(_, host, port)
    assert(plain:connect(host, port))
    local tls = assert(ssl.wrap(plain, { mode = "client", protocol = "any",
      options = { "all", "no_sslv2", "no_sslv3", "no_tlsv1", "no_tlsv1_1" } }))
    tls:sni(host)
    assert(tls:dohandshake())
    local certificates = {}
    for i, certificate in ipairs(tls:getpeerchain()) do
      certificates[i] = assert(tcpki.certificate.parse(certificate:pem()))
    end
    assert(assert(tcpki.chain.new(certificates)):verify { roots = roots, purpose = "server", name = host })
    for _, method in ipairs { "send", "receive", "close" } do
      connection[method] = function(_, ...) return tls[method](tls, ...) end
    end
    return 1
  end
  return connection
end

local function transport(request)
  local parts = {}
  -- No redirect: LuaSocket would send the token to wherever it points.
  local ok, sent, status = pcall(http.request, { url = request.url, method = request.method, create = secure,
    redirect = false, headers = request.headers, source = request.body and ltn12.source.string(request.body),
    sink = ltn12.sink.table(parts) })
  if not ok or not sent then
    return nil, tostring(ok and status or sent)
  end
  return { status = status, body = table.concat(parts) }
end

local keyvault = tcpki.keyvault
local vault = keyvault.client { url = url, transport = transport, token = os.getenv "TOKEN" }

-- The CA of the workers: here a new one; yours is tcpki.authority.load(certificate, key).
local ca = assert(tcpki.authority.new { subject = { CN = "Acme Temporal CA", O = "Acme" } })

local operation = assert(vault:create(name, keyvault.policy { subject = "CN=" .. name, usage = "client" }))
print(("%s: %s"):format(name, operation.details or operation.status))
local leaf = assert(ca:sign(assert(operation:csr()), { usage = "requested", days = 365 }))
assert(vault:merge(name, leaf.chain))

local secret = assert(vault:secret(name))
assert(secret:write(name .. ".key", name .. ".pem"))
print(("%s.key and %s.pem: %s, valid until %s"):format(name, name, secret.certificate:subject(),
  os.date("!%Y-%m-%d", secret.certificate:not_after())))

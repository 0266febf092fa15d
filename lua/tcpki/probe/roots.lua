--- The CAs that the server's certificate is checked against: those that were given, and those of this machine.
-- @module tcpki.probe.roots
-- @local

local core = require "tcpki.core"

local roots = {}

-- In gRPC core's order: what a variable names, the bundles of Linux distributions (grpc/grpc:
-- load_system_roots_supported.cc), what gRPC core's own package brings along.
local VARIABLE = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"
local SYSTEM = {
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/pki/tls/cacert.pem",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/ssl/cert.pem",
}
local OWN = { "/usr/share/grpc/roots.pem", "/usr/local/share/grpc/roots.pem" }

local function is_bundle(path)
  local text = core.file.read(path)
  return text ~= nil and text:find("-----BEGIN CERTIFICATE-----", 1, true) ~= nil
end

local function first_bundle(paths)
  for _, path in ipairs(paths) do
    if is_bundle(path) then return path end
  end
end

--- The file of CAs that gRPC core asks where none is given.
-- @treturn ?string its path; nil where this machine has none
function roots.installed()
  local named = os.getenv(VARIABLE)
  -- One that can be read counts, whatever is in it: gRPC core looks no further.
  if named and named ~= "" and core.file.read(named) then return is_bundle(named) and named or nil end
  return first_bundle(SYSTEM) or first_bundle(OWN)
end

--- The file of CAs that other programs ask: Go's, rustls's and OpenSSL's do not know what gRPC core brings along.
-- @tparam[opt] {string,…} paths the places where the system's may be, for tests
-- @treturn ?string its path; nil where this machine has none
function roots.system(paths)
  local named = os.getenv "SSL_CERT_FILE"
  return named and named ~= "" and is_bundle(named) and named or first_bundle(paths or SYSTEM)
end

-- Whether a CA stands above one's own certificate, or in its chain.
local function is_above(root, certificates)
  for _, certificate in ipairs(certificates) do
    if certificate == root or certificate:issued_by(root) then return true end
  end
  return false
end

--- Which of the CAs that were given for the server are those of one's own certificate: a mistake of many.
-- @tparam {certificate,…} given the CAs for the server
-- @tparam {certificate,…} certificates one's own, the leaf first
-- @treturn {certificate,…} of `given`
function roots.of_client(given, certificates)
  local found = {}
  for _, root in ipairs(given) do
    if is_above(root, certificates) then found[#found + 1] = root end
  end
  return found
end

return roots

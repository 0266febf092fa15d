--- The embedded frontend: a gRPC-core server that answers GetSystemInfo, DescribeNamespace and
-- Health as Temporal does, for a demonstration and for tests where no Temporal is at hand.
-- @module tcpki.probe.server

local core = require "tcpki.core"
local options = require "tcpki.probe.options"
local input = require "tcpki.probe.input"
local causes = require "tcpki.probe.causes"
local probe_core = require "tcpki.probe.core"

local server = {}

local methods = {}
local metatable = { __name = "tcpki.probe.frontend", __index = methods }

local identity_options = {
  certificate = "pem", certificate_path = "path", key = "pem", key_path = "path",
  passphrase = "passphrase", passphrase_file = "path", passphrase_env = "text",
  client_ca = "pem", client_ca_path = "path",
}

local start_options = {
  namespaces = "names", require_client_certificate = "boolean", address = "text",
  server_version = "name",
}
for name, kind in pairs(identity_options) do start_options[name] = kind end

local exclusive = {
  { "certificate", "certificate_path" }, { "key", "key_path" },
  { "client_ca", "client_ca_path" }, { "passphrase", "passphrase_file" },
  { "passphrase", "passphrase_env" }, { "passphrase_file", "passphrase_env" },
}

local function check_identity(where, settings, needs_ca, level)
  options.exclude(where, settings, exclusive, level + 1)
  for _, name in ipairs { "certificate", "key" } do
    if not settings[name] and not settings[name .. "_path"] then
      error(("%s: the option '%s' is missing"):format(where, name), level + 1)
    end
  end
  if needs_ca and not settings.client_ca and not settings.client_ca_path then
    error(where .. ": the option 'client_ca' is missing "
      .. "(or pass require_client_certificate = false)", level + 1)
  end
end

-- The identity as gRPC core gets it, or nil and a fault.
local function load(settings)
  local given = {}
  for name, value in pairs(settings) do given[name] = value end
  given.server_ca, given.server_ca_path = settings.client_ca, settings.client_ca_path
  local material, fault = input.load(given)
  if not material then
    local message, hint = causes.describe(fault.word, fault.fields)
    return nil, core.fault { code = fault.word, message = message, hint = hint }
  end
  return { certificate = material.certificate, key = material.key, client_ca = material.roots }
end

--- Starts a frontend on a thread of its own.
-- @tparam table settings
-- @param settings.certificate PEM text of the server, the leaf first, or an object with `:pem()`;
-- or `certificate_path`
-- @param settings.key PEM text or a key; or `key_path`; `passphrase` as for `probe.run`
-- @param[opt] settings.client_ca PEM text or an object: the CAs that clients are accepted of; or
-- `client_ca_path`
-- @tparam[opt=true] boolean settings.require_client_certificate
-- @tparam[opt] {string,…} settings.namespaces that it knows
-- @tparam[opt="127.0.0.1:0"] string settings.address to listen on; port 0 takes a free one
-- @tparam[opt="1.31.2"] string settings.server_version that it says it is
-- @treturn[1] frontend with `:address()`, `:port()`, `:reload{…}`, `:close()`; it is closed when
-- it goes out of a `<close>` variable, is collected, or the process exits
-- @treturn[2] nil
-- @treturn[2] fault `cannot_listen`, `bad_pem`, `key_mismatch`, …
-- @raise on unknown options, wrong types, missing options
function server.start(settings)
  options.check("probe.frontend", settings, start_options, 2)
  local required = settings.require_client_certificate ~= false
  check_identity("probe.frontend", settings, required, 2)
  local listen = settings.address or "127.0.0.1:0"
  local host, port = listen:match "^(.+):(%d+)$"
  if not host or tonumber(port) > 65535 then
    error("probe.frontend: option 'address' must be host:port", 2)
  end
  local identity, fault = load(settings)
  if not identity then return nil, fault end
  identity.require_client_certificate = required
  identity.address = listen
  identity.namespaces = settings.namespaces or {}
  identity.server_version = settings.server_version or "1.31.2"
  local started = probe_core.frontend(identity)
  if not started then
    return nil, core.fault {
      code = "cannot_listen", message = "cannot listen on " .. listen,
      hint = "choose another port, or 0 for a free one",
    }
  end
  return setmetatable({ core = started, host = host, asks = identity.client_ca ~= nil }, metatable)
end

--- Where it listens.
-- @treturn string host:port
function methods:address()
  return ("%s:%d"):format(self.host, self.core:port())
end

--- @treturn integer
function methods:port()
  return self.core:port()
end

--- Takes another certificate, key and client CA for the connections that come from now on.
-- @tparam table settings `certificate`, `key`, `client_ca` as for `probe.frontend`
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault; the former identity stays in force
function methods:reload(settings)
  options.check("frontend:reload", settings, identity_options, 2)
  check_identity("frontend:reload", settings, self.asks, 2)
  local identity, fault = load(settings)
  if not identity then return nil, fault end
  self.core:reload(identity)
  return true
end

--- Ends all connections and the thread. Closing twice is fine.
function methods:close()
  self.core:close()
end

metatable.__close = methods.close

function metatable:__tostring()
  local open, where = pcall(methods.address, self)
  return open and "tcpki.probe.frontend: " .. where or "tcpki.probe.frontend (closed)"
end

return server

--- The embedded frontend: a gRPC-core server that answers GetSystemInfo, DescribeNamespace and
-- Health as Temporal does, for a demonstration and for tests where no Temporal is at hand.
-- @module tcpki.probe.server

local core = require "tcpki.core"
local options = require "tcpki.options"
local kinds = require "tcpki.probe.kinds"
local input = require "tcpki.probe.input"
local causes = require "tcpki.probe.causes"
local probe_core = require "tcpki.probe.core"

local server = {}

local methods = {}
local metatable = { __name = "tcpki.probe.frontend", __index = methods }

local identity_options = {
  certificate = kinds.pem, certificate_path = kinds.path, key = kinds.pem, key_path = kinds.path,
  passphrase = "string|function", passphrase_file = kinds.path, passphrase_env = "string",
  client_ca = kinds.pem, client_ca_path = kinds.path,
}

local start_options = {
  namespaces = kinds.names, require_client_certificate = "boolean", address = "string",
  server_version = kinds.name,
}
for name, kind in pairs(identity_options) do start_options[name] = kind end

local exclusive = {
  { "certificate", "certificate_path" }, { "key", "key_path" },
  { "client_ca", "client_ca_path" }, { "passphrase", "passphrase_file" },
  { "passphrase", "passphrase_env" }, { "passphrase_file", "passphrase_env" },
}

local function check_identity(settings, needs_ca)
  options.exclude("probe.frontend", settings, exclusive, 4)
  for _, name in ipairs { "certificate", "key" } do
    if not settings[name] and not settings[name .. "_path"] then
      error(("probe.frontend: the option '%s' is missing"):format(name), 3)
    end
  end
  if needs_ca and not settings.client_ca and not settings.client_ca_path then
    error("probe.frontend: the option 'client_ca' is missing (or pass require_client_certificate = false)", 3)
  end
end

-- What belongs together: who gives one of a group gives all of it.
local groups = {
  { "certificate", "certificate_path" },
  { "key", "key_path", "passphrase", "passphrase_file", "passphrase_env" },
  { "client_ca", "client_ca_path" },
}

-- The identity options of both tables, those of the first before those of the second.
local function merge(fresh, former)
  local merged = {}
  for _, group in ipairs(groups) do
    local source = former
    for _, name in ipairs(group) do
      source = fresh[name] ~= nil and fresh or source
    end
    for _, name in ipairs(group) do
      merged[name] = source[name]
    end
  end
  return merged
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
  settings = options.check("probe.frontend", settings, start_options)
  local required = settings.require_client_certificate ~= false
  check_identity(settings, required)
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
  return setmetatable({ core = started, host = host, given = merge(settings, {}) }, metatable)
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

--- Takes another certificate, key or client CA for the connections that come from now on.
-- @tparam table settings `certificate`, `key`, `client_ca` as for `probe.frontend`; what is left out stays as it is
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault; the former identity stays in force
function methods:reload(settings)
  settings = options.check("frontend:reload", settings, identity_options)
  options.exclude("frontend:reload", settings, exclusive)
  local given = merge(settings, self.given)
  local identity, fault = load(given)
  if not identity then return nil, fault end
  self.core:reload(identity)
  self.given = given
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

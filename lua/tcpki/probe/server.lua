--- The embedded frontend: a gRPC-core server that answers GetSystemInfo, DescribeNamespace and
-- Health as Temporal does, for a demonstration and for tests where no Temporal is at hand.
--
-- With the option `cloud` it does so as Temporal Cloud does, and a change of accepted CAs or of
-- certificate filters can be rehearsed on it:
--
--     local frontend = assert(probe.frontend {
--       certificate_path = "server.pem", key_path = "server.key", connection_age = 300,
--       cloud = { ["payments.a1b2c"] = { accepted = bundle, filters = filters } },
--     })
--     assert(frontend:reload { cloud = { ["payments.a1b2c"] = { accepted = next_bundle } } })
--
-- A client whose certificate no namespace accepts does not get through TLS. One that gets through
-- may see the namespaces that accept its certificate and, where they have filters, have one that
-- matches it; of any other it is told PERMISSION_DENIED, `Request unauthorized.`, whether there is
-- such a namespace or not. A certificate that may see none is denied GetSystemInfo as well; Health
-- is for everybody who gets through TLS. A connection is judged once, with its first call, and
-- keeps that verdict until it is closed: `connection_age` closes it.
--
-- What the real Cloud may do differently. It has an endpoint a namespace, and so refuses in the
-- handshake a certificate of another namespace's CA, which here gets through TLS where both
-- namespaces are served: simulate one namespace where that counts. It sends an alert when it refuses
-- a certificate; this server, being gRPC core, closes the connection. Whether it denies GetSystemInfo
-- to a certificate that no filter matches, and how soon a change of filters reaches open
-- connections, is not documented. Its rules for bundles and leaves (`tcpki.cloud`) are not applied:
-- what an OpenSSL verifier accepts gets through TLS.
-- @module tcpki.probe.server

local core = require "tcpki.core"
local options = require "tcpki.options"
local kinds = require "tcpki.probe.kinds"
local input = require "tcpki.probe.input"
local causes = require "tcpki.probe.causes"
local cloud = require "tcpki.probe.cloud"
local copy = require "tcpki.probe.copy"
local probe_core = require "tcpki.probe.core"

local server = {}

local methods = {}
local metatable = { __name = "tcpki.probe.frontend", __index = methods }

local identity_options = copy(input.pair, { client_ca = kinds.pem, client_ca_path = kinds.path, cloud = "table" })

local start_options = copy(identity_options, {
  namespaces = kinds.names, require_client_certificate = "boolean", address = "string",
  server_version = kinds.name, connection_age = kinds.seconds,
})

local exclusive = {
  { "client_ca", "client_ca_path" }, { "cloud", "client_ca" }, { "cloud", "client_ca_path" }, { "cloud", "namespaces" },
}

local function check_exclusive(where, settings, level)
  options.exclude(where, settings, input.exclusive, level + 1)
  options.exclude(where, settings, exclusive, level + 1)
end

local function check_identity(settings, needs_ca)
  check_exclusive("probe.frontend", settings, 4)
  for _, name in ipairs { "certificate", "key" } do
    if not settings[name] and not settings[name .. "_path"] then
      error(("probe.frontend: the option '%s' is missing"):format(name), 3)
    end
  end
  if settings.cloud then
    cloud.check("probe.frontend", settings.cloud, true, 4)
    if not needs_ca then error("probe.frontend: 'cloud' requires client certificates", 3) end
  elseif needs_ca and not settings.client_ca and not settings.client_ca_path then
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
  merged.cloud = fresh.cloud and cloud.merge(fresh.cloud, former.cloud or {}) or former.cloud
  return merged
end

local function to_fault(fault)
  local message, hint = causes.describe(fault.word, fault.fields)
  return nil, core.fault { code = fault.word, message = message, hint = hint }
end

-- The identity as gRPC core gets it, or nil and a fault.
local function load(settings)
  local parts, fault
  if settings.cloud then
    parts, fault = cloud.load(settings.cloud)
    if not parts then return to_fault(fault) end
  else
    parts = {}
  end
  local given = copy(settings)
  given.server_ca, given.server_ca_path = parts.client_ca or settings.client_ca, settings.client_ca_path
  local material
  material, fault = input.load(given)
  if not material then return to_fault(fault) end
  return {
    certificate = material.certificate, key = material.key, client_ca = material.roots,
    namespaces = parts.namespaces, admission = parts.admission,
  }
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
-- @tparam[opt] table settings.cloud in the place of `client_ca` and `namespaces`: from the name of
-- each namespace to `{ accepted = …, filters = … }`, its CAs (PEM text or an object with `:pem()`, or
-- `accepted_path`) and its filters (of `tcpki.cloud.filters`; without them every certificate of its
-- CAs is let in)
-- @tparam[opt] number settings.connection_age seconds after which a connection is closed, give or
-- take a tenth; its calls get five more to end. The Cloud does it after about 300
-- @tparam[opt="127.0.0.1:0"] string settings.address to listen on; port 0 takes a free one
-- @tparam[opt="1.31.2"] string settings.server_version that it says it is
-- @treturn[1] frontend with `:address()`, `:port()`, `:reload{…}`, `:close()`; it is closed when
-- it goes out of a `<close>` variable, is collected, or the process exits
-- @treturn[2] nil
-- @treturn[2] fault `cannot_listen`, `bad_pem`, `key_mismatch`, …
-- @raise on unknown options, wrong types, missing options, options that exclude each other
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
  identity.namespaces = identity.namespaces or settings.namespaces or {}
  identity.connection_age = settings.connection_age or 0
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

local function check_reload(settings, former)
  local other = former.cloud and (settings.client_ca and "client_ca" or settings.client_ca_path and "client_ca_path")
    or not former.cloud and settings.cloud and "cloud"
  if other then
    error(("frontend:reload: '%s' is not what this frontend was started with"):format(other), 3)
  elseif settings.cloud then
    cloud.check("frontend:reload", settings.cloud, false, 4)
    for _, name in ipairs(cloud.names(settings.cloud)) do
      if not former.cloud[name] then
        error(("frontend:reload: this frontend has no namespace %q"):format(name), 3)
      end
    end
  end
end

--- Takes another certificate, key or client CA, or other accepted CAs and filters of namespaces, for the connections
-- that come from now on.
-- @tparam table settings `certificate`, `key`, `client_ca` or `cloud` as for `probe.frontend`; what is left out stays
-- as it is, also of `cloud` (filters that are empty take those of a namespace away)
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault; the former identity stays in force
function methods:reload(settings)
  settings = options.check("frontend:reload", settings, identity_options)
  check_exclusive("frontend:reload", settings, 3)
  check_reload(settings, self.given)
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

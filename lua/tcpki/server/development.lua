--- A whole configuration of a Temporal server around its TLS: all services in one process, SQLite in memory. To try
-- certificates with a real server; not to keep anything in.
-- @module tcpki.server.development
-- @local

local yaml = require "tcpki.server.yaml"

-- gRPC and membership.
local ports = {
  frontend = { 7233, 6933 }, history = { 7234, 6934 }, matching = { 7235, 6935 }, worker = { 7239, 6939 },
}

local development = { ports = ports }

-- The fields of every table in alphabetical order, but of those that have an order.
local function in_order(value)
  if type(value) ~= "table" or getmetatable(value) then
    return value
  end
  local names = {}
  for name, inner in pairs(value) do
    names[#names + 1] = name
    value[name] = in_order(inner)
  end
  table.sort(names)
  return yaml.ordered(names, value)
end

local function store()
  return { sql = {
    user = "", password = "", pluginName = "sqlite", databaseName = "default", connectAddr = "localhost",
    connectProtocol = "tcp", connectAttributes = { mode = "memory", cache = "private" }, maxConns = 1,
    maxIdleConns = 1, maxConnLifetime = "1h", tls = { enabled = false },
  } }
end

--- The configuration.
-- @tparam table tls the section global.tls, as `tls:table` gives it
-- @tparam ?table given by service `{ gRPC port, membership port }`, where not those that Temporal's own files have
-- @treturn table
function development.configuration(tls, given)
  given = given or {}
  local services = {}
  for name, usual in pairs(ports) do
    local pair = given[name] or usual
    services[name] = { rpc = { grpcPort = pair[1], membershipPort = pair[2], bindOnLocalHost = true } }
  end
  return in_order {
    log = { stdout = true, level = "info" },
    persistence = {
      defaultStore = "default", visibilityStore = "visibility", numHistoryShards = 1,
      datastores = { default = store(), visibility = store() },
    },
    global = { membership = { maxJoinDuration = "30s", broadcastAddress = "127.0.0.1" }, tls = tls },
    services = services,
    clusterMetadata = {
      enableGlobalNamespace = false, failoverVersionIncrement = 10, masterClusterName = "active",
      currentClusterName = "active",
      clusterInformation = { active = {
        enabled = true, initialFailoverVersion = 1, rpcName = "frontend",
        rpcAddress = "127.0.0.1:" .. services.frontend.rpc.grpcPort,
      } },
    },
    dcRedirectionPolicy = { policy = "noop" },
  }
end

return development

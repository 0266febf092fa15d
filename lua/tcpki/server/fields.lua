--- What a configuration has about TLS, as data: the types of the server's common/config/config.go (1.31), field by
-- field in its order.
--
-- A field has `name` (in YAML), `option` (in `server.tls`) and `kind`: "string", "bool", "duration", "strings", the
-- name of another type, or `{ map = type }`. A field without an option is read by the check alone.
-- @module tcpki.server.fields
-- @local

local function field(name, option, kind)
  return { name = name, option = option, kind = kind }
end

local types = {
  RootTLS = {
    field("internode", "internode", "GroupTLS"),
    field("frontend", "frontend", "GroupTLS"),
    field("systemWorker", "system_worker", "WorkerTLS"),
    field("remoteClusters", "remote_clusters", { map = "GroupTLS" }),
    field("expirationChecks", "expiration_checks", "CertExpirationValidation"),
    field("refreshInterval", "refresh_interval", "duration"),
  },
  GroupTLS = {
    field("client", "client", "ClientTLS"),
    field("server", "server", "ServerTLS"),
    field("hostOverrides", "host_overrides", { map = "ServerTLS" }),
  },
  ServerTLS = {
    field("certFile", "certificate_file", "string"),
    field("keyFile", "key_file", "string"),
    field("clientCaFiles", "client_ca_files", "strings"),
    field("certData", "certificate_data", "string"),
    field("keyData", "key_data", "string"),
    field("clientCaData", "client_ca_data", "strings"),
    field("requireClientAuth", "require_client_certificate", "bool"),
  },
  ClientTLS = {
    field("serverName", "server_name", "string"),
    field("disableHostVerification", "disable_host_verification", "bool"),
    field("rootCaFiles", "root_ca_files", "strings"),
    field("rootCaData", "root_ca_data", "strings"),
    field("forceTLS", "force_tls", "bool"),
  },
  WorkerTLS = {
    field("certFile", "certificate_file", "string"),
    field("keyFile", "key_file", "string"),
    field("certData", "certificate_data", "string"),
    field("keyData", "key_data", "string"),
    field("client", "client", "ClientTLS"),
  },
  CertExpirationValidation = {
    field("warningWindow", "warning_window", "duration"),
    field("errorWindow", "error_window", "duration"),
    field("checkInterval", "check_interval", "duration"),
  },
  -- The rest of the file, as far as TLS depends on it; what else is in these is not looked at, but for the strays:
  -- fields of TLS where nobody looks for them, and what is found of them.
  Config = {
    open = true, strays = { tls = "misplaced", server = "chart_values" },
    field("global", nil, "Global"),
    field("services", nil, { map = "Service" }),
    field("clusterMetadata", nil, "clusterMetadata"),
    field("publicClient", nil, "PublicClient"),
  },
  Global = {
    open = true, strays = { internode = "misplaced", frontend = "misplaced", systemWorker = "misplaced",
      refreshInterval = "misplaced" },
    field("tls", nil, "RootTLS"),
  },
  Service = { open = true },
  clusterMetadata = {
    open = true,
    field("currentClusterName", nil, "string"),
    field("clusterInformation", nil, { map = "ClusterInformation" }),
  },
  ClusterInformation = { open = true, field("rpcAddress", nil, "string") },
  PublicClient = { open = true, field("hostPort", nil, "string"), field("httpHostPort", nil, "string"),
    field("forceTLSConfig", nil, "string") },
}

--- As Go names a kind.
local words = {
  string = "string", bool = "bool", duration = "time.Duration", strings = "[]string",
  clusterMetadata = "cluster.Config", ClusterInformation = "cluster.ClusterInformation",
}

--- As Go names a kind, for what the server says.
-- @tparam string|table kind
-- @treturn string
local function word(kind)
  if type(kind) == "table" then
    return "map[string]" .. word(kind.map)
  end
  return words[kind] or "config." .. kind
end

--- What Go has where nothing is given.
-- @tparam string|table kind
-- @return "", false, 0, or a table
local function zero(kind)
  if kind == "string" then
    return ""
  elseif kind == "bool" then
    return false
  elseif kind == "duration" then
    return 0
  end
  local value = {}
  for _, row in ipairs(types[kind] or {}) do
    value[row.name] = zero(row.kind)
  end
  return value
end

return { types = types, word = word, zero = zero }

--- Where the files of a cluster lie, and how the server is told of them.
--
--     authority/NAME.pem, NAME.key                   the CAs: server-ca, client-ca, and HOST-client-ca
--     certs/NAME-1.pem, NAME-2.pem                   what is trusted, one certificate a file: two slots for each CA
--     certs/internode, frontend, HOST, system-worker .pem and .key
--     clients/NAME/client.pem, client.key, server-ca.pem
--     config/tls.yaml                                the section global.tls
--     config/development.yaml                        a whole configuration, where it was asked for
--
-- While the CAs are rotated there is also next/, with the files of authority/, and rotation.json.
-- @module tcpki.server.layout
-- @local

local directory = require "tcpki.directory"

local layout = {
  AUTHORITY = "authority", NEXT = "next", CERTS = "certs", CLIENTS = "clients", STATE = "rotation.json",
  TLS = "config/tls.yaml", DEVELOPMENT = "config/development.yaml",
  SERVER_CA = "server-ca", CLIENT_CA = "client-ca",
  INTERNODE = "internode", FRONTEND = "frontend", SYSTEM_WORKER = "system-worker",
}

layout.MODE = 420 -- 0644
layout.at = directory.at

--- Certificates one after the other, as PEM.
-- @tparam {certificate,…} certificates
-- @treturn string
function layout.pem(certificates)
  local texts = {}
  for i, certificate in ipairs(certificates) do
    texts[i] = certificate:pem()
  end
  return table.concat(texts)
end

--- The CA of the clients of a host that has its own.
-- @tparam ?string host nil for the frontend itself
-- @treturn string
function layout.client_authority(host)
  return host and host .. "-" .. layout.CLIENT_CA or layout.CLIENT_CA
end

--- The certificate of a CA that is trusted: the top of its chain.
-- @tparam authority issuer
-- @treturn certificate
function layout.anchor(issuer)
  return issuer.chain[#issuer.chain]
end

--- The files that hold what is trusted of one CA, without `.pem`. Of each file the server compares only the first
-- certificate, when it looks for changes.
-- @tparam string name
-- @treturn {string,string}
function layout.slots(name)
  return { name .. "-1", name .. "-2" }
end

--- The section global.tls.
-- @tparam table given `path` (in front of every name of a file), `hosts` (the first is the frontend's own; others are
-- `{ name =, own =}`, own where it has its own client CA), `internode_name`, `refresh_interval` (seconds)
-- @treturn table options of `server.tls`
function layout.tls(given)
  local function path(name)
    local relative = layout.at(layout.CERTS, name)
    return given.path and layout.at(given.path, relative) or relative
  end
  local function slots(name)
    local list = layout.slots(name)
    return { path(list[1] .. ".pem"), path(list[2] .. ".pem") }
  end
  local function server(leaf, client_ca)
    return { certificate_file = path(leaf .. ".pem"), key_file = path(leaf .. ".key"),
      require_client_certificate = true, client_ca_files = slots(client_ca) }
  end
  local function client(name)
    return { server_name = name, root_ca_files = slots(layout.SERVER_CA) }
  end
  local first = given.hosts[1].name
  local overrides
  if #given.hosts > 1 then
    -- The first as well: where there are overrides, the server logs a warning for each connection without one.
    overrides = { [first] = server(layout.FRONTEND, layout.CLIENT_CA) }
    for i = 2, #given.hosts do
      local host = given.hosts[i]
      overrides[host.name] = server(host.name, layout.client_authority(host.own and host.name))
    end
  end
  return {
    internode = { server = server(layout.INTERNODE, layout.SERVER_CA), client = client(given.internode_name) },
    frontend = { server = server(layout.FRONTEND, layout.CLIENT_CA), host_overrides = overrides },
    system_worker = { certificate_file = path(layout.SYSTEM_WORKER .. ".pem"),
      key_file = path(layout.SYSTEM_WORKER .. ".key"), client = client(first) },
    refresh_interval = given.refresh_interval,
    expiration_checks = { warning_window = "720h", error_window = "168h", check_interval = "1h" },
  }
end

return layout

--- The certificates of a whole Temporal cluster, with the configuration that names them.
--
--     local cluster = assert(server.cluster { hosts = { "temporal.acme.example" }, clients = { "payments" } })
--     assert(cluster:write "temporal")
--
-- Two CAs: one of the servers, which the nodes trust for each other and clients trust for the frontend, and one of the
-- clients. Where a host has clients of its own, they have a CA of their own, that only this host accepts.
-- @module tcpki.server

local authority = require "tcpki.authority"
local bundle = require "tcpki.bundle"
local core = require "tcpki.core"
local development = require "tcpki.server.development"
local directory = require "tcpki.directory"
local fault = require "tcpki.fault"
local layout = require "tcpki.server.layout"
local limits = require "tcpki.authority.limits"
local names = require "tcpki.server.names"
local options = require "tcpki.options"
local server_tls = require "tcpki.server.tls"
local yaml = require "tcpki.server.yaml"

local WHERE = "tcpki.server.cluster"
local DAYS, AUTHORITY_DAYS, REFRESH = 365, 3650, 60

local cluster = {}

local methods = {}
local metatable = { __name = "tcpki.server.cluster", __index = methods }

function metatable:__tostring()
  local hosts = {}
  for i, host in ipairs(self.hosts) do
    hosts[i] = host.name
  end
  return ("tcpki.server.cluster (%s)"):format(table.concat(hosts, ", "))
end

-- ---- what was asked for ----

local function strings_of(option, list, least)
  options.list(WHERE, ("option '%s', entry"):format(option), list, "string")
  if #list < least then
    error(("%s: option '%s' is empty"):format(WHERE, option), 4)
  end
  return list
end

local host_options = { name = "string", clients = "table" }

-- Each as `{ name =, own =, clients = }`, in lower case: the server compares them so.
local function hosts_of(given)
  options.list(WHERE, "option 'hosts', entry", given.hosts, "string|table")
  if #given.hosts == 0 then
    error(WHERE .. ": option 'hosts' is empty", 3)
  end
  local hosts = {}
  for i, entry in ipairs(given.hosts) do
    if type(entry) == "string" then
      entry = { name = entry }
    end
    options.check(WHERE .. ": a host", entry, host_options, 4)
    options.expect(WHERE, "the name of a host", entry.name, "string")
    if entry.clients and i == 1 then
      error(WHERE .. ": the clients of the first host are the option 'clients'", 3)
    end
    hosts[i] = { name = entry.name:lower(), own = entry.clients ~= nil,
      clients = entry.clients and strings_of("clients", entry.clients, 1) or {} }
  end
  hosts[1].clients = strings_of("clients", given.clients or {}, 0)
  return hosts
end

local reserved = { [layout.INTERNODE] = true, [layout.FRONTEND] = true, [layout.SYSTEM_WORKER] = true }

local function check_names(hosts, given)
  local seen = {}
  for i, host in ipairs(hosts) do
    -- The files of the first have the name of its role; it may be an address, of IPv6, too.
    if i > 1 or not host.name:find "^[%x:.]*:[%x:.]*:[%x:.]*$" then
      local ok, err = names.check_host(host.name)
      if not ok then
        return nil, err
      end
    end
    if i > 1 then
      if host.name:find "^%d+%.%d+%.%d+%.%d+$" then
        return fault.fail { code = "bad_name", message = ("no client asks for the host %s: a server name is no address")
          :format(host.name), hint = "name the host; addresses of the first one are its 'names'" }
      end
      if reserved[host.name] or seen[host.name] or host.name:find "%-ca%-[12]$" then
        return fault.fail { code = "bad_name", message = ("there is another file with the name of the host %s"):format(
          host.name), hint = "give each host a name of its own" }
      end
    end
    seen[host.name] = true
  end
  seen = {}
  for _, host in ipairs(hosts) do
    for _, name in ipairs(host.clients) do
      local ok, err = names.check_file("a client", name)
      if not ok then
        return nil, err
      end
      if seen[name] then
        return fault.fail { code = "bad_name", message = ("there are two clients with the name %s"):format(name),
          hint = "give each client a name of its own" }
      end
      seen[name] = true
    end
  end
  if given.organization then
    return names.check_text("an organization", given.organization)
  end
  return true
end

local function subject_of(given, common_name)
  local subject = { { type = "CN", value = common_name } }
  if given.organization then
    table.insert(subject, 1, { type = "O", value = given.organization })
  end
  return subject
end

-- ---- making ----

local function make_authority(given, base)
  local key, err = core.key.generate(type(given.key) == "table" and given.key or nil)
  if not key then
    return nil, err
  end
  return authority.new { subject = subject_of(given, names.of_authority(base, key)), key = key,
    days = given.authority_days or AUTHORITY_DAYS }
end

local function make_authorities(given, hosts)
  local made, err = { [layout.SERVER_CA] = given.server_authority, [layout.CLIENT_CA] = given.client_authority }, nil
  if not made[layout.SERVER_CA] then
    made[layout.SERVER_CA], err = make_authority(given, "Temporal server CA")
  end
  if not made[layout.CLIENT_CA] and not err then
    made[layout.CLIENT_CA], err = make_authority(given, "Temporal client CA")
  end
  for _, host in ipairs(hosts) do
    if host.own and not err then
      local base = ("Temporal client CA of %s"):format(host.name)
      made[layout.client_authority(host.name)], err = make_authority(given, #base <= 57 and base
        or "Temporal client CA")
    end
  end
  if err then
    return nil, err
  end
  return made
end

local function issue(given, issuer, usage, common_name, alternatives)
  return issuer:issue {
    usage = usage, subject = subject_of(given, common_name), subject_alt_names = alternatives, days = given.days,
    not_after = not given.days and math.min(os.time() + DAYS * 86400, issuer.certificate:not_after() - 1) or nil,
    key = given.key,
  }
end

local function make_leaves(given, hosts, authorities, internode_name)
  local servers = authorities[layout.SERVER_CA]
  local alternatives = { hosts[1].name }
  table.move(given.names or {}, 1, #(given.names or {}), 2, alternatives)
  local wanted = {
    { layout.INTERNODE, servers, "peer", internode_name, { internode_name } },
    { layout.FRONTEND, servers, "server", names.of_host(hosts[1].name, layout.FRONTEND), alternatives },
    { layout.SYSTEM_WORKER, authorities[layout.CLIENT_CA], "client", layout.SYSTEM_WORKER },
  }
  for i = 2, #hosts do
    wanted[#wanted + 1] = { hosts[i].name, servers, "server", names.of_host(hosts[i].name, layout.FRONTEND),
      { hosts[i].name } }
  end
  local leaves = {}
  for _, entry in ipairs(wanted) do
    local leaf, err = issue(given, table.unpack(entry, 2))
    if not leaf then
      return nil, err
    end
    leaves[entry[1]] = leaf
  end
  return leaves
end

local function make_clients(given, hosts, authorities)
  local clients = {}
  for _, host in ipairs(hosts) do
    for _, name in ipairs(host.clients) do
      local leaf, err = issue(given, authorities[layout.client_authority(host.own and host.name)], "client", name)
      if not leaf then
        return nil, err
      end
      clients[name] = leaf
    end
  end
  return clients
end

local known = {
  hosts = "table", clients = "table", names = "table", organization = "string", internode_name = "string",
  days = "integer", authority_days = "integer", key = "table", server_authority = "tcpki.authority",
  client_authority = "tcpki.authority", refresh_interval = "integer", path = "string", development = "boolean|table",
}

--- Issues the whole set for a cluster.
-- @function cluster
-- @tparam table given
--
-- * `hosts`: the names under which the frontend is reached; the first is its own, for each other it shows a certificate
--   of its own. `{ name =, clients = { … } }` in the place of a name: these clients have their own CA, and this host
--   accepts no others
-- * `clients` ({} by default): names of clients of the frontend
-- * `names` ({ "localhost", "127.0.0.1" } by default): more names of the first host
-- * `organization`: O of all subjects
-- * `internode_name` ("internode" by default): the name that the nodes ask each other for
-- * `days` (365 by default, but never beyond the CA), `authority_days` (3650)
-- * `key`: options for `tcpki.key.generate`; EC P-256 by default
-- * `server_authority`, `client_authority`: CAs that exist, in the place of new ones
-- * `refresh_interval` (60 by default): seconds, how often the server looks for new files
-- * `path`: the directory as the server sees it. By default the names in the configuration are relative, and the server
--   has to be started in the directory
-- * `development`: true writes config/development.yaml as well, a whole configuration with all services in one process
--   and SQLite in memory; or a table by service, `{ frontend = { 7233, 6933 }, … }`, of gRPC and membership ports
-- @treturn[1] cluster with `authorities`, `leaves`, `clients` (by name), `tls` (the section global.tls,
-- as of `server.tls`)
-- @treturn[2] nil
-- @treturn[2] fault `bad_name`, `outlives_issuer`, …
function cluster.cluster(given)
  given = options.check(WHERE, given, known)
  options.expect(WHERE, "option 'hosts'", given.hosts, "table")
  limits.days(WHERE, given)
  limits.days(WHERE, given, "authority_days")
  local internode_name = given.internode_name or layout.INTERNODE
  local refresh = given.refresh_interval or REFRESH
  if refresh < 1 then
    error(WHERE .. ": option 'refresh_interval' must be at least 1: with 0 the server never looks for new files", 2)
  end
  local ports = type(given.development) == "table" and given.development or {}
  for service, pair in pairs(ports) do
    if not development.ports[service] or math.type(pair[1]) ~= "integer" or math.type(pair[2]) ~= "integer" then
      error(WHERE .. ": option 'development' must be true, or ports by service: { frontend = { 7233, 6933 }, … }", 2)
    end
  end
  local hosts = hosts_of(given)
  given = setmetatable({ names = strings_of("names", given.names or { "localhost", "127.0.0.1" }, 0) },
    { __index = given })
  local ok, err = check_names(hosts, given)
  local authorities, leaves, clients
  if ok then
    authorities, err = make_authorities(given, hosts)
  end
  if authorities then
    leaves, err = make_leaves(given, hosts, authorities, internode_name)
  end
  if leaves then
    clients, err = make_clients(given, hosts, authorities)
  end
  if not clients then
    return nil, err
  end
  local tls
  tls, err = server_tls.tls(layout.tls { path = given.path, hosts = hosts, internode_name = internode_name,
    refresh_interval = refresh })
  if not tls then
    return nil, err
  end
  return setmetatable({
    hosts = hosts, authorities = authorities, leaves = leaves, clients = clients, tls = tls,
    configuration = given.development and development.configuration(tls:table(), ports) or nil,
  }, metatable)
end

-- ---- writing ----

local function add(files, name, text)
  files[#files + 1] = { name = name, text = text, mode = layout.MODE }
end

local function add_leaf(files, where, leaf)
  local text, err = leaf.chain:pem()
  if not text then
    return nil, err
  end
  add(files, where .. ".pem", text)
  files[#files + 1] = { name = where .. ".key", key = leaf.key }
  return true
end

--- The files of an authority.
-- @local
-- @tparam {table,…} files they are added to
-- @tparam string where without `.pem`
-- @tparam authority issuer
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault
function cluster.add_authority(files, where, issuer)
  local text, err = bundle.new(issuer.chain):pem()
  if not text then
    return nil, err
  end
  add(files, where .. ".pem", text)
  files[#files + 1] = { name = where .. ".key", key = issuer.key }
  return true
end

local function files_of(self)
  local files, at = {}, layout.at
  for name, issuer in pairs(self.authorities) do
    local ok, err = cluster.add_authority(files, at(layout.AUTHORITY, name), issuer)
    if not ok then
      return nil, err
    end
    for _, slot in ipairs(layout.slots(name)) do
      add(files, at(layout.CERTS, slot .. ".pem"), layout.anchor(issuer):pem())
    end
  end
  for name, leaf in pairs(self.leaves) do
    local ok, err = add_leaf(files, at(layout.CERTS, name), leaf)
    if not ok then
      return nil, err
    end
  end
  local server_ca = layout.anchor(self.authorities[layout.SERVER_CA]):pem()
  for name, leaf in pairs(self.clients) do
    local where = at(layout.CLIENTS, name)
    local ok, err = add_leaf(files, at(where, "client"), leaf)
    if not ok then
      return nil, err
    end
    add(files, at(where, layout.SERVER_CA .. ".pem"), server_ca)
  end
  add(files, layout.TLS, self.tls:yaml())
  if self.configuration then
    add(files, layout.DEVELOPMENT, yaml.dump(self.configuration))
  end
  table.sort(files, function(a, b) return a.name < b.name end)
  return files
end

--- Writes the directory of the cluster: all of it or nothing.
-- @function cluster:write
-- @tparam string path of the directory; the one above is made where it is not there
-- @tparam[opt] table given `overwrite` (false by default; only a cluster with the same names is replaced, and never
-- one whose CAs are being rotated)
-- @treturn[1] string the path
-- @treturn[2] nil
-- @treturn[2] fault `already_exists`, `busy`, `permission_denied`, `no_space`, …
function methods:write(path, given)
  options.expect("cluster:write", "directory", path, "string")
  given = options.check("cluster:write", given, { overwrite = "boolean" })
  local files, err = files_of(self)
  if not files then
    return nil, err
  end
  return directory.write(path, files, { overwrite = given.overwrite })
end

return cluster

-- What a Temporal server would make of its configuration and of the certificates named in it, without starting it:
--
--   lua5.4 examples/temporal_server_check.lua FILE [DIRECTORY]
--
-- FILE is the configuration, DIRECTORY the one that the server is started in. It ends with 1 where there is an error.
-- Without FILE it makes a configuration in a directory of its own, takes it apart, and puts it right again.

local server = require "tcpki.server"
local tcpki = require "tcpki"

local function must(value, err)
  if not value then
    io.stderr:write(tostring(err), "\n")
    os.exit(1)
  end
  return value
end

if arg[1] then
  local report = must(server.check(arg[1], { root = arg[2] }))
  print(report)
  os.exit(report.ok)
end

local directory = "temporal-server"
must(tcpki.file.make_directory(directory))

local function path(name)
  return directory .. "/" .. name
end

-- One CA for the servers, one for the clients.
local servers = must(tcpki.authority.new { subject = { CN = "Temporal servers" } })
local clients = must(tcpki.authority.new { subject = { CN = "Temporal clients" } })
must(servers.certificate:write(path "servers.pem"))
must(clients.certificate:write(path "clients.pem"))

local function leaf(name, usage, names)
  local issued = must(servers:issue { common_name = name, usage = usage, subject_alt_names = names })
  must(issued.key:write(path(name .. ".key")))
  must(issued.chain:write(path(name .. ".pem")))
end

leaf("internode", "server", { "internode.example.com" }) -- wrong: nodes are clients of each other, too
leaf("frontend", "server", { "temporal.example.com" })

local function section(name, authorities)
  return { certificate_file = name .. ".pem", key_file = name .. ".key", client_ca_files = authorities,
    require_client_certificate = true }
end

local function configuration()
  return must(server.tls {
    internode = {
      server = section("internode", { "servers.pem" }),
      client = { server_name = "internode.example.com", root_ca_files = { "servers.pem" } },
    },
    frontend = {
      -- The system worker shows the certificate of the nodes: their CA must be here, too.
      server = section("frontend", { "servers.pem", "clients.pem" }),
      client = { server_name = "temporal.example.com", root_ca_files = { "servers.pem" } },
    },
    refresh_interval = "1m",
    expiration_checks = { warning_window = "720h", error_window = "168h", check_interval = "1h" },
  })
end

-- What the server says at midnight, said now, and of which certificate.
local tls = configuration()
local report = must(server.check(tls, { root = directory }))
print(report)
assert(not report.ok and report:find "client_usage")

os.remove(path "internode.key")
os.remove(path "internode.pem")
leaf("internode", "peer", { "internode.example.com" })
print(must(server.check(tls, { root = directory })))

-- base.yaml beside production.yaml: the server puts the two together.
must(tls:write(path "production.yaml"))
print(tls:yaml())

-- The certificates of a Temporal cluster of your own, with the configuration that names them:
--
--   lua5.4 examples/temporal_cluster.lua [DIRECTORY]
--
-- Everything goes into DIRECTORY, temporal by default, which must not be there. A real server starts on it as it is:
--
--   cd temporal && temporal-server --config-file config/development.yaml --allow-no-auth start

local server = require "tcpki.server"

local directory = arg[1] or "temporal"

local function must(value, err)
  if not value then
    io.stderr:write(tostring(err), "\n")
    os.exit(1)
  end
  return value
end

-- Two workers at the frontend, and one that has a host of its own, which accepts no other.
local cluster = must(server.cluster {
  hosts = { "temporal.acme.example", { name = "accounting.acme.example", clients = { "ledger" } } },
  clients = { "payments", "orders" },
  organization = "Acme",
  development = true,
})
must(cluster:write(directory))

-- What the server will say of it, before it is started.
local report = must(server.check(directory .. "/config/development.yaml", { root = directory }))
print(report)
os.exit(report.ok)

-- The real Temporal server, all its services, on a directory and a configuration that tcpki wrote, as they are.
--
--   local running = assert(temporal_cluster.start(function(ports)
--     … writes a directory …; return directory, "config/development.yaml", function(running) return running:… .ok end
--   end))
--   running.address, running.ports.history[1], running:probe("clients/payments", { server_name = … })
--   running:stop()

local probe = require "tcpki.probe"
local server = require "spec.support.server"

local temporal_cluster = {}

local methods = {}
local metatable = { __index = methods }

function methods:path(name)
  return self.directory .. "/" .. name
end

function methods:log()
  local file = io.open(self:path "server.log")
  if not file then return "" end
  local text = file:read "a"
  file:close()
  return text
end

-- One probe with a pair of files, NAME.pem and NAME.key.
function methods:probe(pair, options)
  local all = { address = self.address, certificate_path = self:path(pair .. ".pem"), timeout = 20,
    key_path = self:path(pair .. ".key") }
  for name, value in pairs(options or {}) do all[name] = value or nil end
  return probe.run(all)
end

-- As a client of a cluster, with all that is in its directory.
function methods:probe_client(name, host, options)
  local all = { server_name = host, server_ca_path = self:path("clients/" .. name .. "/server-ca.pem") }
  for option, value in pairs(options or {}) do all[option] = value end
  return self:probe("clients/" .. name .. "/client", all)
end

function methods:stop()
  if self.handle then
    self.handle:close()
    self.handle = nil
  end
end

metatable.__gc = methods.stop
metatable.__close = methods.stop

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

-- Whether it serves; or nil, and whether it is worth another try on other ports.
local function wait(self, is_up)
  local result
  for _ = 1, 300 do
    result = is_up(self)
    if result.ok then return true end
    if exists(self:path "server.exit") then break end
    server.sleep(0.2)
  end
  self:stop()
  return nil, ("the Temporal server does not serve: %s\n%s"):format(tostring(result), self:log():sub(-3000))
end

-- Starts again what was stopped.
function methods:start()
  self.handle = server.keep(self.directory, self.binary, self.configuration, self.arguments or "")
  return wait(self, self.is_up)
end

function temporal_cluster.start(write)
  local binary, missing = server.counterpart "server"
  if not binary then return nil, missing end
  local message
  for _ = 1, 3 do
    local free = server.free_ports(8)
    local ports = { frontend = { free[1], free[2] }, history = { free[3], free[4] }, matching = { free[5], free[6] },
      worker = { free[7], free[8] } }
    local self = setmetatable({ ports = ports, address = "127.0.0.1:" .. free[1], binary = binary }, metatable)
    self.directory, self.configuration, self.is_up, self.arguments = write(ports)
    local ok
    ok, message = self:start()
    if ok then return self end
    if not message:find("address already in use", 1, true) then break end
  end
  return nil, message
end

return temporal_cluster

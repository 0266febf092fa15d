-- Starts the real Temporal server with mutual TLS between its nodes and at its frontend, in a
-- directory and on ports of its own. Everything that it presents or trusts is made by tcpki.
--
--   local temporal = assert(server.start())
--   local open = assert(server.start { client_auth = false })   asks no client for a certificate
--   local plain = assert(server.start { plaintext = true })     no TLS at the frontend
--   local temporal = assert(server.start { client_ca = PEM })           in the second of its files
--   local strict = assert(server.start { authorization = true })        asks for a JWT as well
--   local temporal = assert(server.start { host_overrides = { ["a.test"] = {
--     certificate = PEM, key = PEM, client_ca = PEM or nil } } })
--   temporal.address, temporal.server_ca (PEM), temporal.authority (a client CA), temporal.client
--   temporal:trust(1, pem)   replaces the first of the two files of trusted client CAs
--   temporal:path "client.pem", "client.key", "server-ca.pem": the same as files
--   temporal:stop(), temporal:remove()

local tcpki = require "tcpki"
local probe = require "tcpki.probe"

local server = {}

local methods = {}
local metatable = { __index = methods }

local function sleep(seconds)
  os.execute(("sleep %.1f"):format(seconds))
end
server.sleep = sleep

-- The versions that the tests are written against, from tools/versions.
function server.versions()
  local versions = {}
  for line in io.lines "tools/versions" do
    local name, value = line:match "^([%w_]+)=(.+)$"
    if name then versions[name] = value end
  end
  return versions
end

-- The path of an outside program, or nil and what to do about it.
function server.counterpart(name)
  local handle = assert(io.popen(("tools/counterparts path %s 2>&1"):format(name)))
  local output = handle:read("a"):gsub("%s+$", "")
  if handle:close() then return output end
  return nil, output
end

-- Ports that nobody listens on, below the range that Linux gives to outgoing connections. They are not reserved: the
-- start is tried again when somebody was faster. None is given twice, since who got it may not listen yet.
local given = {}

local function free_ports(count)
  local taken = setmetatable({}, { __index = given })
  for _, path in ipairs { "/proc/net/tcp", "/proc/net/tcp6" } do
    local file = io.open(path)
    if file then
      for port in file:read("a"):gmatch "%s%d+: %x+:(%x%x%x%x) " do
        taken[tonumber(port, 16)] = true
      end
      file:close()
    end
  end
  local ports = {}
  while #ports < count do
    local port = math.random(20000, 31999)
    if not taken[port] then
      given[port] = true
      ports[#ports + 1] = port
    end
  end
  return ports
end
server.free_ports = free_ports

-- Two files of client CAs with one certificate each: of each file the server compares only the
-- first certificate to see whether there is something to load.
local configuration = [[
log: { stdout: true, level: info }
persistence:
  defaultStore: default
  visibilityStore: visibility
  numHistoryShards: 1
  datastores:
    default: &sqlite
      sql:
        user: ""
        password: ""
        pluginName: sqlite
        databaseName: default
        connectAddr: localhost
        connectProtocol: tcp
        connectAttributes: { mode: memory, cache: private }
        maxConns: 1
        maxIdleConns: 1
        maxConnLifetime: 1h
        tls: { enabled: false }
    visibility: *sqlite
global:
  membership: { maxJoinDuration: 30s, broadcastAddress: "127.0.0.1" }
$authorization
  tls:
    refreshInterval: 1s
    internode:
      server:
        certFile: internode.pem
        keyFile: internode.key
        requireClientAuth: true
        clientCaFiles: [server-ca.pem]
      client: { serverName: internode, rootCaFiles: [server-ca.pem] }
$frontend
services:
  frontend: { rpc: { grpcPort: $1, membershipPort: $2, bindOnLocalHost: true } }
  matching: { rpc: { grpcPort: $3, membershipPort: $4, bindOnLocalHost: true } }
  history: { rpc: { grpcPort: $5, membershipPort: $6, bindOnLocalHost: true } }
clusterMetadata:
  enableGlobalNamespace: false
  failoverVersionIncrement: 10
  masterClusterName: active
  currentClusterName: active
  clusterInformation:
    active:
      enabled: true
      initialFailoverVersion: 1
      rpcName: frontend
      rpcAddress: "localhost:$1"
dcRedirectionPolicy: { policy: noop }
]]

-- Temporal's own authorizer, with no key that could have signed a token: whoever gets through TLS may do nothing.
local authorization = [[
  authorization: { jwtKeyProvider: { keySourceURIs: [] }, authorizer: default, claimMapper: default }
]]

local frontend_with_tls = [[
    frontend:
      server:
        certFile: frontend.pem
        keyFile: frontend.key
        requireClientAuth: %s
        clientCaFiles: [client-ca-1.pem, client-ca-2.pem]
      client: { serverName: localhost, rootCaFiles: [server-ca.pem] }
]]

-- global.tls.frontend, with a certificate and client CAs of its own for each other host.
local function frontend_section(self, options)
  if options.plaintext then return "" end
  local lines = { frontend_with_tls:format(tostring(options.client_auth ~= false)) }
  local hosts = {}
  for host in pairs(options.host_overrides or {}) do hosts[#hosts + 1] = host end
  table.sort(hosts)
  if hosts[1] then lines[2] = "      hostOverrides:\n" end
  for _, host in ipairs(hosts) do
    local override = options.host_overrides[host]
    assert(tcpki.file.write(self:path(host .. ".key"), override.key))
    assert(tcpki.file.write(self:path(host .. ".pem"), override.certificate))
    local asked = "requireClientAuth: false"
    if override.client_ca then
      assert(tcpki.file.write(self:path(host .. ".ca.pem"), override.client_ca, { mode = 420 }))
      asked = ("requireClientAuth: true, clientCaFiles: [%s.ca.pem]"):format(host)
    end
    lines[#lines + 1] = ("        %q: { certFile: %s.pem, keyFile: %s.key, %s }\n"):format(host, host, host, asked)
  end
  return table.concat(lines)
end

-- The shell holds the reading end of a pipe from us, and stops the server when the pipe ends:
-- when it is closed, and also when this process dies, however it dies.
local keeper = [[
cd '%s' || exit 1
{
  '%s' %s --allow-no-auth start %s >server.log 2>&1 </dev/null &
  echo $! >server.pid
  wait $!
  echo $? >server.exit
} </dev/null &
cat >/dev/null
pid=$(cat server.pid)
kill "$pid" 2>/dev/null
for i in 1 2 3 4 5 6 7 8 9 10; do
  [ -e server.exit ] && exit
  sleep 0.5
done
kill -9 "$pid" 2>/dev/null
]]

-- Starts the program in a directory; the handle, once closed, ends it. The configuration is a file, or options.
function server.keep(directory, binary, configuration_file, arguments)
  os.remove(directory .. "/server.exit")
  local loaded = configuration_file:find "^%-" and configuration_file
    or ("--config-file '%s'"):format(configuration_file)
  return assert(io.popen(keeper:format(directory, binary, loaded, arguments), "w"))
end

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

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

function methods:trust(slot, pem)
  assert(tcpki.file.write(self:path(("client-ca-%d.pem"):format(slot)), pem,
    { overwrite = true, mode = 420 }))
end

-- The probe of this server by its own client, or by the options given over it.
function methods:probe(options)
  local all = {
    address = self.address,
    namespace = "temporal-system",
    certificate = self.client.chain:pem(),
    key = self.client.key:pem(),
    server_ca = self.server_ca,
    timeout = 10,
  }
  for name, value in pairs(options or {}) do all[name] = value or nil end
  return probe.run(all)
end

function methods:stop()
  if self.handle then
    self.handle:close()
    self.handle = nil
  end
end

-- For a spec that forgets, or that fails before its teardown is known.
metatable.__gc = methods.stop
metatable.__close = methods.stop

function methods:remove()
  self:stop()
  os.execute(("rm -rf '%s'"):format(self.directory))
end

-- true; or nil, the log, and whether another try on other ports is worth it
local function launch(self, binary)
  local ports = free_ports(6)
  self.address = ("127.0.0.1:%d"):format(ports[1])
  local text = configuration:gsub("%$(%d)", function(index) return ports[tonumber(index)] end)
  text = text:gsub("%$frontend\n", function() return self.frontend end)
  text = text:gsub("%$authorization\n", self.authorization and authorization or "")
  assert(tcpki.file.write(self:path "server.yaml", text, { overwrite = true }))
  self.handle = server.keep(self.directory, binary, "server.yaml",
    "--service frontend --service history --service matching")
  local result
  for _ = 1, 300 do
    result = self:probe()
    if result.ok or self.plaintext and result.stage == "tls" or self.authorization and result.authenticated then
      return true
    end
    if exists(self:path "server.exit") then break end
    sleep(0.2)
  end
  self:stop()
  local log = self:log()
  local message = ("the Temporal server does not serve: %s\n%s")
    :format(tostring(result), log:sub(-4000))
  return nil, message, log:find("address already in use", 1, true) ~= nil
end

-- Options: see above. A server without TLS at its frontend is known to serve when its port answers.
function server.start(options)
  options = options or {}
  local binary, missing = server.counterpart "server"
  if not binary then return nil, missing end

  local directory = os.tmpname()
  os.remove(directory)
  assert(os.execute(("mkdir -m 700 '%s'"):format(directory)))
  local self = setmetatable({ directory = directory }, metatable)

  local server_authority = assert(tcpki.authority.new {
    subject = { CN = "Temporal Server CA" }, days = 30,
  })
  local function serve(name, sans)
    local leaf = assert(server_authority:issue {
      common_name = name, usage = "peer", subject_alt_names = sans, days = 10,
    })
    assert(leaf.key:write(self:path(name .. ".key")))
    assert(leaf.chain:write(self:path(name .. ".pem")))
  end
  serve("internode", { { type = "dns", value = "internode" } })
  serve("frontend", { { type = "dns", value = "localhost" }, { type = "ip", value = "127.0.0.1" } })
  self.server_ca = server_authority.certificate:pem()
  assert(tcpki.file.write(self:path "server-ca.pem", self.server_ca, { mode = 420 }))

  self.authority = assert(tcpki.authority.new { subject = { CN = "Client CA A" }, days = 30 })
  self.client = assert(self.authority:issue { common_name = "worker", usage = "client", days = 10 })
  assert(self.client.key:write(self:path "client.key"))
  assert(self.client.chain:write(self:path "client.pem"))
  self:trust(1, self.authority.certificate:pem())
  self:trust(2, options.client_ca or self.authority.certificate:pem())

  self.plaintext, self.authorization = options.plaintext, options.authorization
  self.frontend = frontend_section(self, options)

  for _ = 1, 3 do
    local ok, message, again = launch(self, binary)
    if ok then return self end
    if not again then
      self:remove()
      return nil, message
    end
  end
  self:remove()
  return nil, "no free ports for the Temporal server in three tries"
end

return server

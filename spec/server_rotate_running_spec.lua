-- The rotation of a cluster under the eyes of a stream of clients, with the real server. What it does to the directory
-- alone: server_rotate_spec.

local child = require "spec.support.child"
local support = require "spec.support.server"
local temporal_cluster = require "spec.support.temporal_cluster"
local temporary = require "spec.support.temporary"

local server = require "tcpki.server"

local HOST = "temporal.acme.example"

describe("the rotation of a running server #server", function()
  local temporary_directory, running

  setup(function()
    temporary_directory = temporary.directory()
    running = assert(temporal_cluster.start(function(ports)
      local place = temporary_directory:path("temporal-" .. ports.frontend[1])
      assert(assert(server.cluster { hosts = { HOST, { name = "b.example", clients = { "ledger" } } },
        clients = { "payments", "orders" }, refresh_interval = 1, development = ports }):write(place))
      return place, "config/development.yaml", function(self)
        return self:probe_client("payments", HOST, { namespace = "temporal-system" })
      end
    end))
  end)

  teardown(function()
    if running then running:stop() end
    temporary_directory:remove()
  end)

  -- Probes without a pause in a process of its own, until it is told to stop: with the files as they lie in the
  -- directory, and with those that were there in the beginning. A line for each, with what came out.
  local function stream(old)
    local code = ([[
      local probe = require "tcpki.probe"
      io.stdout:setvbuf "line"
      local function exists(name) local file = io.open(name) if file then file:close() end return file end
      local function one(word, host, pair, roots)
        local result
        for _ = 1, 3 do
          result = probe.run { address = %q, server_name = host, certificate_path = pair .. ".pem",
            key_path = pair .. ".key", server_ca_path = roots, timeout = 20 }
          -- Read between two exchanges: a client that starts in that moment reads again.
          if result.stage ~= "input" then break end
        end
        print(word, result.ok and "ok" or result.cause)
      end
      local root, old = %q, %q
      repeat
        for _, client in ipairs { { "payments", %q }, { "ledger", "b.example" } } do
          local place = root .. "/clients/" .. client[1]
          one("new", client[2], place .. "/client", place .. "/server-ca.pem")
          if not exists(old .. "/ends") then
            one("old", client[2], old .. "/" .. client[1] .. "/client", old .. "/" .. client[1] .. "/server-ca.pem")
          elseif not exists(old .. "/ended") then
            io.open(old .. "/ended", "w"):close()
          end
        end
      until exists(old .. "/stop")]]):format(running.address, running.directory, old, HOST)
    return assert(io.popen(child.command(code) .. " 2>&1 </dev/null"))
  end

  local function touch(file)
    io.open(file, "w"):close()
  end

  it("refuses nobody who should be let in", function()
    local old = temporary_directory:path "old"
    assert(os.execute(("cp -R %s/clients %s"):format(running.directory, old)))
    local handle = stream(old)
    local internode = {}
    for i, service in ipairs { "history", "matching", "worker" } do
      internode[i] = "127.0.0.1:" .. running.ports[service][1]
    end
    local given = { directory = running.directory, address = running.address, internode = internode }
    local rotation, err = server.rotate(given)
    -- From here on the old certificates may be refused: their last probe is before that.
    touch(old .. "/ends")
    while rotation and not io.open(old .. "/ended") do os.execute "sleep 0.05" end
    if rotation then
      given.withdraw = true
      rotation, err = server.rotate(given)
    end
    touch(old .. "/stop")
    local counts = {}
    local lines = handle:read "a"
    handle:close()
    assert.is_truthy(rotation, tostring(err))
    assert.is_true(rotation.done)
    for word, outcome in lines:gmatch "(%w+)\t(%S+)\n" do
      counts[word .. " " .. outcome] = (counts[word .. " " .. outcome] or 0) + 1
    end
    assert.is_nil(next(counts, next(counts, next(counts))), lines)
    assert.is_true(counts["old ok"] > 20 and counts["new ok"] > 40, lines)
    -- Now, and only now, the old ones are out; and everybody else is in.
    for client, host in pairs { payments = HOST, ledger = "b.example" } do
      local result = running:probe_client(client, host, {
        certificate_path = ("%s/%s/client.pem"):format(old, client),
        key_path = ("%s/%s/client.key"):format(old, client) })
      assert.equal("client_ca_unknown", result.cause, tostring(result))
      -- Who never heard of the new server CA takes the server still.
      result = running:probe_client(client, host, { server_ca_path = ("%s/%s/server-ca.pem"):format(old, client) })
      assert.is_true(result.ok, tostring(result))
    end
    assert.is_truthy(running:log():find("loaded new TLS certificates", 1, true))
  end)

  it("is taken by rustls, in the Python SDK, by the old server CA alone and by the new one alone", function()
    local python = assert(support.counterpart "python")
    local script = temporary_directory:file("sdk.py", [[
import asyncio, os, sys
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import Client, TLSConfig

def read(path):
  with open(path, "rb") as file:
      return file.read()

async def main(address, host, client, roots):
  connected = await Client.connect(address, namespace="temporal-system", tls=TLSConfig(
      domain=host, server_root_ca_cert=read(roots), client_cert=read(client + "/client.pem"),
      client_private_key=read(client + "/client.key")))
  print((await connected.workflow_service.get_system_info(GetSystemInfoRequest())).server_version)

asyncio.run(main(*sys.argv[1:]))
sys.stdout.flush()
os._exit(0)
]])
    local client = running:path "clients/payments"
    for _, roots in ipairs { temporary_directory:path "old/payments/server-ca.pem", client .. "/server-ca.pem" } do
      local handle = assert(io.popen(("'%s' '%s' %s %s '%s' '%s' 2>&1 </dev/null"):format(python, script,
        running.address, HOST, client, roots)))
      local output = handle:read "a"
      assert.is_true(handle:close(), output)
      assert.equal(support.versions().TEMPORAL_SERVER, "v" .. output:gsub("%s+$", ""))
    end
  end)

  it("lets its nodes dial each other, who looked at the old server CA once", function()
    -- The server keeps connections for minutes: they are cut, where the system can do that.
    local services = {}
    for _, service in ipairs { "frontend", "history", "matching" } do
      services[#services + 1] = "dport = :" .. running.ports[service][1]
    end
    local handle = assert(io.popen(("ss -KHtn state established '( %s )' 2>&1")
      :format(table.concat(services, " or "))))
    local cut = handle:read "a"
    handle:close()
    if not cut:find("127.0.0.1", 1, true) then
      pending("ss cannot cut connections here: " .. cut)
      return
    end
    local before = #running:log()
    -- The system worker asks without a pause, and tells of every failure.
    os.execute "sleep 3"
    assert.is_nil(running:log():find("unknown authority", before, true))
  end)

  it("ends in a directory that a server starts on", function()
    running:stop()
    assert(running:start())
    for client, host in pairs { payments = HOST, orders = HOST, ledger = "b.example" } do
      local result = running:probe_client(client, host, { namespace = "temporal-system" })
      assert.is_true(result.ok, tostring(result))
    end
  end)

  it("locks nobody out when it is killed, again and again", function()
    local code = ([[
      local server = require "tcpki.server"
      ready()
      local given = { directory = %q, address = %q }
      assert(server.rotate(given))
      given.withdraw = true
      assert(server.rotate(given))]]):format(running.directory, running.address)
    local function everybody()
      for client, host in pairs { payments = HOST, orders = HOST, ledger = "b.example" } do
        local result = running:probe_client(client, host)
        assert.is_true(result.ok, tostring(result))
      end
    end
    for _ = 1, 8 do
      child.kill_after(math.random() * 3, code)
      everybody()
    end
    assert.is_true(assert(server.rotate { directory = running.directory, address = running.address,
      withdraw = true }).done)
    everybody()
  end)
end)

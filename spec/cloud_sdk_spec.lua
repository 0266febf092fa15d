-- A rotation as a client of Temporal meets it: the Python SDK, whose TLS is rustls, on the embedded frontend in its
-- Cloud mode, while connections are closed all the time. Needs the SDK: make test-server.

local tcpki = require "tcpki"
local filters = require "tcpki.cloud.filters"
local pki = require "spec.support.probe_pki"
local probe = require "tcpki.probe"
local server = require "spec.support.server"
local temporary = require "spec.support.temporary"

local payments = "payments.a1b2c"

-- Connects at once, and for each line that it reads calls, and says in a line what came of it.
local program = [[
import asyncio, os, sys
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client, TLSConfig

def read(name):
    with open(os.path.join(sys.argv[2], name), "rb") as file:
        return file.read()

async def main():
    tls = TLSConfig(server_root_ca_cert=read("server-ca.pem"), client_cert=read("client.pem"),
                    client_private_key=read("client.key"), domain="localhost")
    client = await Client.connect(sys.argv[1], namespace="payments.a1b2c", tls=tls)
    for line in sys.stdin:
        request = DescribeNamespaceRequest(namespace=line.strip())
        try:
            answer = await client.workflow_service.describe_namespace(request)
            print("ok", answer.namespace_info.name, flush=True)
        except Exception as error:
            print(str(error).replace("\n", " "), flush=True)

try:
    asyncio.run(main())
except Exception as error:
    print(str(error).replace("\n", " "), flush=True)
# The SDK's own threads now and then outlive the interpreter at its end, and crash it.
os._exit(0)
]]

describe("the Python SDK on the embedded frontend #server", function()
  local directory, python, frontend
  local root = assert(tcpki.authority.new { subject = { CN = "Acme CA 1" }, days = 90 })
  local next_root = assert(tcpki.authority.new { subject = { CN = "Acme CA 2" }, days = 90 })
  -- The client sends an intermediate: what it resumes is to be judged as what it began.
  local issuer = assert(root:subordinate { common_name = "Acme Payments CA", days = 60 })
  local leaf = assert(issuer:issue { common_name = "billing", usage = "client", days = 30 })

  setup(function()
    python = assert(server.counterpart "python")
  end)

  before_each(function()
    directory = temporary.directory()
    directory:file("sdk.py", program)
    directory:file("server-ca.pem", pki.server_ca.certificate:pem())
    directory:file("client.pem", leaf.chain:pem())
    directory:file("client.key", leaf.key:pem())
    assert(os.execute("mkfifo " .. directory:path "asked"))
    frontend = assert(probe.frontend {
      certificate = pki.server.chain, key = pki.server.key, connection_age = 1,
      cloud = {
        [payments] = { accepted = root.certificate },
        ["orders.a1b2c"] = { accepted = pki.other_ca.certificate },
      },
    })
  end)

  after_each(function()
    frontend:close()
    directory:remove()
  end)

  local function start()
    local out = assert(io.popen(("exec timeout 120 '%s' %s %s %s < %s 2>&1"):format(python, directory:path "sdk.py",
      frontend:address(), directory.root, directory:path "asked")))
    local asked <const> = assert(io.open(directory:path "asked", "w"))
    asked:setvbuf "line"
    return setmetatable({}, {
      __call = function(_, namespace)
        asked:write(namespace or payments, "\n")
        return out:read "l"
      end,
      __close = function()
        asked:close()
        out:close()
      end,
    })
  end

  local function accept(...)
    assert(frontend:reload { cloud = { [payments] = { accepted = assert(tcpki.bundle.new { ... }) } } })
  end

  -- Calls for longer than any connection lives.
  local function stays(expected, ask)
    local now = require("tcpki.probe.core").now
    local finish = now() + 2.5
    repeat
      assert.equal(expected, ask())
      server.sleep(0.05)
    until now() > finish
  end

  local function becomes(expected, ask)
    local said
    for _ = 1, 600 do
      said = ask()
      if said:find(expected, 1, true) then return end
      server.sleep(0.1)
    end
    assert.equal(expected, said)
  end

  it("misses no call as long as its CA is accepted, and is refused once it is not", function()
    local ask <close> = start()
    stays("ok " .. payments, ask)
    accept(root.certificate, next_root.certificate)
    stays("ok " .. payments, ask)
    assert.equal("Request unauthorized.", ask "orders.a1b2c")
    accept(next_root.certificate)
    becomes("transport error", ask)
    accept(root.certificate, next_root.certificate)
    becomes("ok " .. payments, ask)
  end)

  it("is told of a filter that locks it out, at its next connection", function()
    local ask <close> = start()
    assert.equal("ok " .. payments, ask())
    assert(frontend:reload { cloud = { [payments] = { filters = assert(filters.new { { common_name = "clerk" } }) } } })
    becomes("Request unauthorized.", ask)
    stays("Request unauthorized.", ask)
    local late <close> = start()
    assert.matches("Request unauthorized.", late(), 1, true)
  end)
end)

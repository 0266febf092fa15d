-- Against the real Temporal server: make test-server. Everything that is trusted or shown here is
-- made by tcpki; what is expected was decided by another party, Go's crypto/tls.

local tcpki = require "tcpki"
local server = require "spec.support.server"

local day = 24 * 60 * 60

describe("the Temporal server #server", function()
  local temporal
  local versions = server.versions()

  setup(function()
    temporal = assert(server.start())
  end)

  teardown(function()
    if temporal then temporal:remove() end
  end)

  local function credentials(leaf)
    return { certificate = leaf.chain:pem(), key = leaf.key:pem() }
  end

  -- Probes until the answer is the expected one, because the server looks at its files once a
  -- second; then it has to stay so.
  local function becomes(expected, leaf)
    local function seen()
      local result = temporal:probe(credentials(leaf))
      return result.ok and "ok" or result.cause, result
    end
    for _ = 1, 120 do
      if seen() == expected then break end
      server.sleep(0.25)
    end
    for _ = 1, 5 do
      local cause, result = seen()
      assert.equal(expected, cause, tostring(result))
    end
  end

  it("authenticates the probe, and says who it is", function()
    local result = temporal:probe()
    assert.is_true(result.ok, tostring(result))
    assert.equal(versions.TEMPORAL_SERVER, "v" .. result.server_version)
    assert.equal("temporal-system", result.namespace.name)
    assert.equal("REGISTERED", result.namespace.state)
  end)

  it("authenticates the probe without a namespace", function()
    local result = temporal:probe { namespace = false }
    assert.is_true(result.ok, tostring(result))
    assert.equal(versions.TEMPORAL_SERVER, "v" .. result.server_version)
  end)

  it("does not know a namespace that is not there", function()
    local result = temporal:probe { namespace = "nobody-made-this" }
    assert.is_false(result.ok)
    assert.equal("namespace_not_found", result.cause, tostring(result))
  end)

  it("is refused by the probe where its CA is not trusted", function()
    local stranger = assert(tcpki.authority.new { subject = { CN = "Stranger" }, days = 2 })
    local result = temporal:probe { server_ca = stranger.certificate:pem() }
    assert.is_false(result.ok)
    assert.equal("server_ca_untrusted", result.cause, tostring(result))
  end)

  describe("refuses, and the probe says why, 20 times of 20:", function()
    local function refused(expected, options)
      for attempt = 1, 20 do
        local result = temporal:probe(options)
        assert.is_false(result.ok)
        assert.equal(expected, result.cause, ("attempt %d: %s"):format(attempt, tostring(result)))
      end
    end

    it("no certificate", function()
      refused("no_client_certificate", { certificate = false, key = false })
    end)

    it("a certificate of an unknown CA", function()
      local stranger = assert(tcpki.authority.new { subject = { CN = "Client CA C" }, days = 30 })
      local leaf = assert(stranger:issue { common_name = "worker", usage = "client", days = 10 })
      refused("client_ca_unknown", credentials(leaf))
    end)

    it("an expired certificate", function()
      local now = os.time()
      local authority = assert(tcpki.authority.new {
        subject = { CN = "Client CA" }, not_before = now - 30 * day, not_after = now + 30 * day,
      })
      temporal:trust(2, authority.certificate:pem())
      becomes("ok", assert(authority:issue {
        common_name = "worker", usage = "client", days = 10,
      }))
      local leaf = assert(authority:issue {
        common_name = "worker", usage = "client",
        not_before = now - 3 * day, not_after = now - 2 * day,
      })
      refused("client_expired", credentials(leaf))
      temporal:trust(2, temporal.authority.certificate:pem())
    end)
  end)

  it("is rotated to a new CA while it runs", function()
    local old = temporal.client
    local authority = assert(tcpki.authority.new { subject = { CN = "Client CA B" }, days = 30 })
    local new = assert(authority:issue { common_name = "worker", usage = "client", days = 10 })

    -- before: the old CA in both files
    becomes("ok", old)
    becomes("client_ca_unknown", new)

    -- overlap
    temporal:trust(2, authority.certificate:pem())
    becomes("ok", new)
    becomes("ok", old)

    -- after: the new CA in both files
    temporal:trust(1, authority.certificate:pem())
    becomes("client_ca_unknown", old)
    becomes("ok", new)

    -- and back again, for whoever comes next
    temporal:trust(1, temporal.authority.certificate:pem())
    becomes("ok", old)
    temporal:trust(2, temporal.authority.certificate:pem())
    becomes("client_ca_unknown", new)
  end)

  it("keeps what it trusts while a file is damaged", function()
    temporal:trust(2,
      "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n")
    for _ = 1, 120 do
      if temporal:log():find("failed to load certificates", 1, true) then break end
      server.sleep(0.25)
    end
    assert.matches("failed to load certificates", temporal:log(), 1, true)
    becomes("ok", temporal.client)
    temporal:trust(2, temporal.authority.certificate:pem())
  end)

  it("is what examples/smoke_test.lua asks", function()
    local function smoke_test(certificate)
      local handle = assert(io.popen(([[
        TEMPORAL_ADDRESS=%s TEMPORAL_NAMESPACE=temporal-system \
        TEMPORAL_TLS_CLIENT_CERT_PATH=%s TEMPORAL_TLS_CLIENT_KEY_PATH=%s \
        TEMPORAL_TLS_SERVER_CA_CERT_PATH=%s \
        lua5.4 examples/smoke_test.lua 2>&1 </dev/null]]):format(temporal.address, certificate,
        temporal:path "client.key", temporal:path "server-ca.pem")))
      local output = handle:read "a"
      local _, _, code = handle:close()
      return code, output
    end
    local code, output = smoke_test(temporal:path "client.pem")
    assert.equal(0, code, output)
    assert.matches("temporal-system REGISTERED", output, 1, true)
    code, output = smoke_test(temporal:path "server-ca.pem")
    assert.equal(1, code, output)
    assert.matches("key_mismatch", output, 1, true)
  end)

  it("takes the same files from the Python SDK", function()
    local python = assert(server.counterpart "python")
    assert(tcpki.file.write(temporal:path "python.py", [[
import asyncio, os, sys
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, GetSystemInfoRequest
from temporalio.client import Client, TLSConfig

def read(path):
    with open(path, "rb") as file:
        return file.read()

async def main(address, directory):
    client = await Client.connect(
        address,
        namespace="temporal-system",
        tls=TLSConfig(
            server_root_ca_cert=read(directory + "/server-ca.pem"),
            client_cert=read(directory + "/client.pem"),
            client_private_key=read(directory + "/client.key"),
        ),
    )
    service = client.workflow_service
    information = await service.get_system_info(GetSystemInfoRequest())
    answer = await service.describe_namespace(DescribeNamespaceRequest(namespace="temporal-system"))
    print(information.server_version, answer.namespace_info.name, answer.namespace_info.state)

asyncio.run(main(sys.argv[1], sys.argv[2]))
sys.stdout.flush()
# The SDK's own threads now and then outlive the interpreter at its end, and crash it.
os._exit(0)
]]))
    local handle = assert(io.popen(("'%s' '%s' %s '%s' 2>&1 </dev/null"):format(
      python, temporal:path "python.py", temporal.address, temporal.directory)))
    local output = handle:read "a"
    assert.is_true(handle:close(), output)
    assert.equal(("%s temporal-system 1\n"):format(versions.TEMPORAL_SERVER:sub(2)), output)
  end)
end)

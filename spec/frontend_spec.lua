local tcpki = require "tcpki"
local probe = require "tcpki.probe"
local pki = require "spec.support.probe_pki"
local child = require "spec.support.probe_child"

local function frontend(options)
  local all = {
    certificate = pki.server.chain, key = pki.server.key, client_ca = pki.client_ca.certificate,
    namespaces = { "payments", "orders" },
  }
  for name, value in pairs(options or {}) do all[name] = value end
  return assert(probe.frontend(all))
end

describe("the embedded frontend", function()
  it("listens on a free port of 127.0.0.1 and says which", function()
    local first <close> = frontend()
    local second <close> = frontend()
    assert.matches("^127%.0%.0%.1:%d+$", first:address())
    assert.not_equal(first:port(), second:port())
    assert.matches(first:address(), tostring(first), 1, true)
  end)

  it("answers GetSystemInfo, DescribeNamespace and Health", function()
    local server <close> = frontend { server_version = "1.99.0" }
    local result = probe.run(pki.options(pki.good,
      { address = server:address(), namespace = "orders", health = true }))
    assert.is_true(result.ok, tostring(result))
    assert.equal("1.99.0", result.server_version)
    assert.is_true(result.capabilities.supports_schedules)
    assert.equal("SERVING", result.health)
    assert.equal("orders", result.namespace.name)
    assert.equal("REGISTERED", result.namespace.state)
    assert.equal(3 * pki.day, result.namespace.retention)
    assert.equal("active", result.namespace.active_cluster)
    assert.is_false(result.namespace.is_global)
    assert.matches("^%x+%-%x+%-%x+%-%x+%-%x+$", result.namespace.id)
  end)

  it("does not know a service that is not Temporal's", function()
    local server <close> = frontend()
    local result = probe.run(pki.options(pki.good,
      { address = server:address(), health = "somebody.Else" }))
    assert.is_false(result.ok)
    assert.is_true(result.authenticated)
    assert.equal("rpc_failed", result.cause)
    assert.equal("NOT_FOUND", result.grpc.name)
  end)

  it("lets clients without a certificate in where it need not refuse them", function()
    local server <close> = frontend { require_client_certificate = false }
    assert.is_true(probe.run(pki.options(nil, { address = server:address() })).ok)
    assert.is_true(probe.run(pki.options(pki.good, { address = server:address() })).ok)
    local result = probe.run(pki.options(pki.stranger, { address = server:address() }))
    assert.equal("client_ca_unknown", result.cause, tostring(result))
  end)

  it("asks nobody for a certificate without a client CA", function()
    local server <close> = assert(probe.frontend {
      certificate = pki.server.chain, key = pki.server.key, require_client_certificate = false,
    })
    local result = probe.run(pki.options(pki.stranger,
      { address = server:address(), trace = "always" }))
    assert.is_true(result.ok, tostring(result))
    assert.is_false(result.trace.certificate_requested)
  end)

  it("takes a new client CA while it runs", function()
    local server <close> = frontend()
    local function cause(leaf)
      return probe.run(pki.options(leaf, { address = server:address() })).cause
    end
    local function trust(...)
      return server:reload {
        certificate = pki.server.chain, key = pki.server.key,
        client_ca = assert(tcpki.bundle.new { ... }),
      }
    end
    assert.equal("ok", cause(pki.good))
    assert.equal("client_ca_unknown", cause(pki.stranger))
    assert(trust(pki.client_ca.certificate, pki.other_ca.certificate))
    assert.equal("ok", cause(pki.good))
    assert.equal("ok", cause(pki.stranger))
    assert(trust(pki.other_ca.certificate))
    assert.equal("client_ca_unknown", cause(pki.good))
    assert.equal("ok", cause(pki.stranger))
  end)

  it("keeps its identity where the new one is no pair", function()
    local server <close> = frontend()
    local renewed, fault = server:reload {
      certificate = pki.server.chain, key = pki.good.key, client_ca = pki.client_ca.certificate,
    }
    assert.is_nil(renewed)
    assert.equal("key_mismatch", fault.code)
    assert.is_true(probe.run(pki.options(pki.good, { address = server:address() })).ok)
  end)

  it("returns nil and a fault where it cannot start", function()
    local server <close> = frontend()
    local second, fault = probe.frontend {
      certificate = pki.server.chain, key = pki.server.key, client_ca = pki.client_ca.certificate,
      address = server:address(),
    }
    assert.is_nil(second)
    assert.equal("cannot_listen", fault.code)
    assert.matches(server:address(), tostring(fault), 1, true)
    second, fault = probe.frontend {
      certificate = "rubbish", key = pki.server.key, client_ca = pki.client_ca.certificate,
    }
    assert.is_nil(second)
    assert.equal("bad_pem", fault.code)
  end)

  it("throws on mistakes in the program", function()
    assert.error_matches(function() probe.frontend() end, "'certificate' is missing")
    assert.error_matches(function() probe.frontend {} end, "'certificate' is missing")
    assert.error_matches(function()
      probe.frontend { certificate = pki.server.chain, key = pki.server.key }
    end, "'client_ca' is missing")
    assert.error_matches(function() frontend { colour = "red" } end,
      "unknown option 'colour' %(known: address, certificate, certificate_path, client_ca")
    assert.error_matches(function() frontend { namespaces = "payments" } end, "array of strings")
    assert.error_matches(function() frontend { address = "7233" } end, "host:port")
  end)

  it("is closed once, and throws when it is used afterwards", function()
    local server = frontend()
    local address = server:address()
    server:close()
    server:close()
    assert.error_matches(function() server:address() end, "closed")
    assert.equal("tcpki.probe.frontend (closed)", tostring(server))
    assert.equal("refused", probe.run(pki.options(pki.good, { address = address })).cause)
  end)

  it("is closed by the collector", function()
    local before = require("tcpki.probe.core").live()
    local address = frontend():address()
    collectgarbage()
    collectgarbage()
    assert.equal(before, require("tcpki.probe.core").live())
    assert.equal("refused", probe.run(pki.options(pki.good, { address = address })).cause)
  end)
end)

describe("a process with frontends", function()
  local preamble = [[
    local probe = require "tcpki.probe"
    local server_pem, server_key, ca, server_ca, client_pem, client_key = ...
    local function frontend()
      return assert(probe.frontend { certificate = server_pem, key = server_key, client_ca = ca })
    end
    local function try(server)
      local result = probe.run { address = server:address(), certificate = client_pem,
        key = client_key, server_ca = server_ca, trace = "always" }
      assert(result.ok, tostring(result))
    end
  ]]

  local function ends_cleanly(text, code)
    local run = child.run(preamble .. text, pki.server.chain:pem(), pki.server.key:pem(),
      pki.client_ca.certificate:pem(), pki.server_ca.certificate:pem(), pki.good.chain:pem(),
      pki.good.key:pem())
    assert.same({ out = "done\n", err = "", ended = "exit " .. (code or 0) }, run)
  end

  it("ends cleanly when they were closed", function()
    ends_cleanly [[local a, b = frontend(), frontend() try(a) try(b) a:close() b:close()
      print "done"]]
  end)

  it("ends cleanly when they are still open", function()
    ends_cleanly [[A, B = frontend(), frontend() try(A) print "done"]]
  end)

  it("ends cleanly when they were collected", function()
    ends_cleanly [[try(frontend()) collectgarbage() collectgarbage() print "done"]]
  end)

  it("ends cleanly by os.exit that closes the state", function()
    ends_cleanly([[A = frontend() try(A) print "done" os.exit(3, true)]], 3)
  end)

  it("ends cleanly by os.exit that does not close the state", function()
    ends_cleanly([[A, B = frontend(), frontend() try(B) print "done" io.stdout:flush()
      os.exit(true)]])
  end)

  it("ends cleanly when they never served", function()
    ends_cleanly [[A = frontend() print "done"]]
  end)

  it("ends cleanly with many, in any order", function()
    ends_cleanly [[
      local open = {}
      for i = 1, 12 do open[i] = frontend() end
      for i = 12, 1, -3 do try(open[i]) open[i]:close() end
      open[2] = nil
      collectgarbage()
      print "done"
    ]]
  end)

  it("ends cleanly when only the module was loaded", function()
    ends_cleanly [[print "done"]]
  end)
end)

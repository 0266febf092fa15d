local tcpki = require "tcpki"
local probe = require "tcpki.probe"
local pki = require "spec.support.probe_pki"
local child = require "spec.support.probe_child"
local filters = require "tcpki.cloud.filters"
local temporary = require "spec.support.temporary"
local probe_core = require "tcpki.probe.core"

local function frontend(options)
  local all = {
    certificate = pki.server.chain, key = pki.server.key, client_ca = pki.client_ca.certificate,
    namespaces = { "payments", "orders" },
  }
  for name, value in pairs(options or {}) do all[name] = value end
  return assert(probe.frontend(all))
end

-- A connection that stays open from one call to the next.
local function connect(server, leaf)
  local client = probe_core.client {
    target = "ipv4:" .. server:address(), server_name = "localhost", roots = pki.server_ca.certificate:pem(),
    certificate = leaf.chain:pem(), key = leaf.key:pem(), seconds = 60,
  }
  assert.equal("ready", client:wait(60))
  return client
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

-- ---- as Temporal Cloud ----

local payments, orders = "payments.a1b2c", "orders.a1b2c"

-- A frontend with two namespaces, each with a CA of its own; options of a namespace replace those here.
local function cloud_frontend(namespaces, options)
  local given = {
    [payments] = { accepted = pki.client_ca.certificate },
    [orders] = { accepted = pki.other_ca.certificate },
  }
  for name, namespace in pairs(namespaces or {}) do given[name] = namespace end
  local all = { certificate = pki.server.chain, key = pki.server.key, cloud = given }
  for name, value in pairs(options or {}) do all[name] = value end
  return assert(probe.frontend(all))
end

local function filter(...)
  return assert(filters.new { ... })
end

local function ask(server, leaf, namespace)
  return probe.run(pki.options(leaf, { address = server:address(), namespace = namespace }))
end

local function cause(...)
  return ask(...).cause
end

-- DescribeNamespace of each, as a client of HTTP/2 sends it that does not listen: RFC 9113, RFC 7541 6.2.2.
local function http2_calls(...)
  local function frame(kind, flags, stream, payload)
    return string.pack(">I3BBI4", #payload, kind, flags, stream) .. payload
  end
  local headers = {}
  for i, header in ipairs {
    { ":method", "POST" }, { ":scheme", "https" }, { ":authority", "localhost" },
    { ":path", "/temporal.api.workflowservice.v1.WorkflowService/DescribeNamespace" },
    { "te", "trailers" }, { "content-type", "application/grpc" },
  } do
    headers[i] = "\0" .. string.pack("s1s1", header[1], header[2])
  end
  local frames = { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", frame(4, 0, 0, "") }
  for i, namespace in ipairs { ... } do
    local message = string.pack("Bs1", 10, namespace) -- field 1
    table.insert(frames, frame(1, 4, 2 * i - 1, table.concat(headers)))
    table.insert(frames, frame(0, 1, 2 * i - 1, string.pack(">Bs4", 0, message)))
  end
  return table.concat(frames)
end

describe("the embedded frontend as Temporal Cloud", function()
  it("shows each certificate the namespace that accepts its CA, and no other", function()
    local server <close> = cloud_frontend()
    assert.equal("ok", cause(server, pki.good, payments))
    assert.equal("ok", cause(server, pki.stranger, orders))
    assert.equal("permission_denied", cause(server, pki.good, orders))
    assert.equal("permission_denied", cause(server, pki.stranger, payments))
  end)

  it("lets nobody through TLS whom no namespace accepts", function()
    local server <close> = cloud_frontend { [orders] = { accepted = pki.client_ca.certificate } }
    local result = ask(server, pki.stranger, orders)
    assert.equal("client_ca_unknown", result.cause, tostring(result))
    assert.is_false(result.authenticated)
    assert.equal("no_client_certificate", cause(server, nil, orders))
    assert.equal("client_expired", cause(server, pki.expired, orders))
    assert.equal("client_wrong_usage", cause(server, pki.wrong_usage, orders))
  end)

  it("denies in the words of the Cloud, and the same of a namespace that is not there", function()
    local server <close> = cloud_frontend()
    local others = { orders, "nowhere.a1b2c", "payments", "PAYMENTS.a1b2c", payments .. ".", ("x"):rep(300) }
    for _, namespace in ipairs(others) do
      local result = ask(server, pki.good, namespace)
      assert.same({
        code = 7, name = "PERMISSION_DENIED", message = "Request unauthorized.",
        detail_type = "temporal.api.errordetails.v1.PermissionDeniedFailure",
        detail = ("caller has insufficient permissions for namespace '%s'"):format(namespace:sub(1, 255)),
      }, result.grpc)
      assert.equal("permission_denied", result.cause)
      assert.matches("Request unauthorized: caller has insufficient permissions for namespace '" .. namespace:sub(1, 9),
        result.message, 1, true)
      assert.equal("namespace", result.stage)
      assert.is_true(result.authenticated)
    end
  end)

  it("lets in only whom a filter matches, where there are filters", function()
    local server <close> = cloud_frontend {
      [payments] = { accepted = pki.client_ca.certificate, filters = filter({ common_name = "nobody" },
        { common_name = "WORK*" }) },
      [orders] = { accepted = pki.client_ca.certificate, filters = filter { common_name = "clerk" } },
    }
    assert.equal("ok", cause(server, pki.good, payments))
    assert.equal("permission_denied", cause(server, pki.good, orders))
  end)

  it("denies GetSystemInfo, but not Health, to a certificate that may see no namespace", function()
    local server <close> = cloud_frontend {
      [payments] = { accepted = pki.client_ca.certificate, filters = filter { organization = "Nobody" } },
    }
    local result = ask(server, pki.good)
    assert.equal("filter_mismatch", result.cause)
    assert.equal("rpc", result.stage)
    assert.is_true(result.authenticated)
    local client <close> = connect(server, pki.good)
    assert.equal(7, client:ask("system_info", nil, 60).code)
    assert.equal(0, client:ask("health", nil, 60).code)
  end)

  it("follows a chain through an intermediate that the client sends", function()
    local middle = assert(pki.client_ca:subordinate { common_name = "Middle CA", days = 30 })
    local leaf = assert(middle:issue { common_name = "worker", usage = "client", days = 10 })
    local server <close> = cloud_frontend { [orders] = { accepted = middle.certificate } }
    assert.equal("ok", cause(server, leaf, payments))
    assert.equal("ok", cause(server, leaf, orders))
    -- gRPC core and Go take any accepted certificate for an end of the path, so this is the other way.
    assert.equal("permission_denied", cause(server, pki.good, orders))
    -- Without the intermediate, only the namespace that accepts the intermediate itself can know it.
    local alone = { chain = assert(tcpki.chain.new { leaf.certificate }), key = leaf.key }
    assert.equal("ok", cause(server, alone, orders))
    assert.equal("permission_denied", cause(server, alone, payments))
  end)

  it("follows the chain of a client that resumes its session, and so sends none", function()
    local directory = temporary.directory()
    finally(function() directory:remove() end)
    local middle = assert(pki.client_ca:subordinate { common_name = "Middle CA", days = 30 })
    local leaf = assert(middle:issue { common_name = "worker", usage = "client", days = 10 })
    local files = ("-cert %s -cert_chain %s -key %s"):format(directory:file("leaf.pem", leaf.certificate:pem()),
      directory:file("chain.pem", middle.certificate:pem()), directory:file("key.pem", leaf.key:pem()))
    local server <close> = cloud_frontend()
    -- Calls for both namespaces, and hangs up once both are answered: with a description and with a denial.
    local function call(flags)
      local output = directory:path "output"
      os.execute(([[: >%s; {
        cat %s
        tries=0
        until grep -a -q active %s && grep -a -q unauthorized %s || [ $tries = 600 ]
        do tries=$((tries + 1)); sleep 0.1; done
      } | openssl s_client -connect %s -alpn h2 %s %s >%s 2>&1]]):format(output,
        directory:file("calls", http2_calls(payments, orders)), output, output, server:address(), files, flags, output))
      return temporary.content(output)
    end
    local session = directory:path "session"
    local first = call("-sess_out " .. session)
    local again = call("-sess_in " .. session)
    assert.matches("\nNew, TLSv1.3", first, 1, true)
    assert.matches("\nReused, TLSv1.3", again, 1, true)
    for _, output in ipairs { first, again } do
      assert.matches(payments .. "\16\1", output, 1, true)
      assert.matches("Request unauthorized.", output, 1, true)
    end
  end)

  it("takes other CAs and filters of a namespace, and leaves the rest as it was", function()
    local server <close> = cloud_frontend()
    assert(server:reload { cloud = { [payments] = { filters = filter { common_name = "clerk" } } } })
    assert.equal("filter_mismatch", cause(server, pki.good, payments))
    assert.equal("ok", cause(server, pki.stranger, orders))
    assert(server:reload { cloud = { [payments] = { accepted = pki.other_ca.certificate } } })
    assert.equal("client_ca_unknown", cause(server, pki.good, payments))
    assert.equal("permission_denied", cause(server, pki.stranger, payments), "the filter has stayed")
    assert(server:reload { cloud = { [payments] = { filters = filter() } } })
    assert.equal("ok", cause(server, pki.stranger, payments))
    assert.equal("ok", cause(server, pki.stranger, orders))
    assert(server:reload { certificate = pki.server.chain })
    assert.equal("ok", cause(server, pki.stranger, payments))
  end)

  it("reads accepted CAs from a file, again at each reload", function()
    local directory = temporary.directory()
    finally(function() directory:remove() end)
    local path = directory:path "accepted.pem"
    assert(tcpki.file.write(path, pki.client_ca.certificate:pem()))
    local server <close> = cloud_frontend { [payments] = { accepted_path = path } }
    assert.equal("ok", cause(server, pki.good, payments))
    assert(tcpki.file.write(path, pki.other_ca.certificate:pem(), { overwrite = true }))
    assert(server:reload { cloud = { [orders] = { filters = filter() } } })
    assert.equal("client_ca_unknown", cause(server, pki.good, payments))
  end)

  it("keeps what it had where the new CAs are none", function()
    local server <close> = cloud_frontend()
    local renewed, fault = server:reload { cloud = { [payments] = { accepted = "rubbish" } } }
    assert.is_nil(renewed)
    assert.equal("bad_pem", fault.code)
    assert.matches("The accepted CAs of payments.a1b2c", fault.message, 1, true)
    assert.equal("ok", cause(server, pki.good, payments))
    renewed, fault = server:reload { cloud = { [payments] = { accepted = pki.good.key:pem() } } }
    assert.is_nil(renewed)
    assert.equal("file_holds_key", fault.code)
    assert.equal("ok", cause(server, pki.good, payments))
  end)

  it("keeps a connection as it was judged until its time is up, and judges the next one anew", function()
    local server <close> = cloud_frontend(nil, { connection_age = 1 })
    local client <close> = connect(server, pki.good)
    local function code()
      return client:ask("describe_namespace", payments, 60).code
    end
    assert.equal(0, code())
    assert(server:reload { cloud = { [payments] = { accepted = pki.other_ca.certificate } } })
    assert.equal(0, code())
    local given_up = probe_core.now() + 60
    local last
    repeat
      last = code()
      assert.is_true(probe_core.now() < given_up, "the connection is still open")
    until last ~= 0
    assert.equal(14, last, "the handshake of the next connection fails")
    assert.equal("client_ca_unknown", cause(server, pki.good, payments))
  end)

  it("closes no connection without an age", function()
    local server <close> = cloud_frontend()
    local client <close> = connect(server, pki.good)
    assert.equal(0, client:ask("describe_namespace", payments, 60).code)
    assert(server:reload { cloud = { [payments] = { filters = filter { common_name = "clerk" } } } })
    os.execute "sleep 1.5"
    assert.equal(0, client:ask("describe_namespace", payments, 60).code)
    assert.equal("filter_mismatch", cause(server, pki.good, payments))
  end)

  it("keeps a connection that was denied as it was judged, too", function()
    local server <close> = cloud_frontend {
      [payments] = { accepted = pki.client_ca.certificate, filters = filter { common_name = "clerk" } },
    }
    local client <close> = connect(server, pki.good)
    assert.equal(7, client:ask("describe_namespace", payments, 60).code)
    assert(server:reload { cloud = { [payments] = { filters = filter() } } })
    assert.equal(7, client:ask("describe_namespace", payments, 60).code)
    assert.equal("ok", cause(server, pki.good, payments))
  end)

  it("throws on mistakes in the program", function()
    local function throws(pattern, options)
      local all = { certificate = pki.server.chain, key = pki.server.key }
      for name, value in pairs(options) do all[name] = value end
      assert.error_matches(function() probe.frontend(all) end, pattern)
    end
    local accepted = pki.client_ca.certificate
    throws("'cloud' has no namespace", { cloud = {} })
    throws("cloud%[\"payments\"%]: 'accepted' is missing", { cloud = { payments = {} } })
    throws("unknown option 'filter' %(known: accepted, accepted_path, filters%)",
      { cloud = { payments = { accepted = accepted, filter = {} } } })
    throws("option 'filters' must be tcpki.cloud.filters, not table",
      { cloud = { payments = { accepted = accepted, filters = { { common_name = "x" } } } } })
    throws("from the names of namespaces", { cloud = { { accepted = accepted } } })
    throws("cloud%[\"payments\"%] must be a table of options, not string", { cloud = { payments = "accepted" } })
    throws("pass accepted or accepted_path", { cloud = { payments = { accepted = accepted, accepted_path = "x" } } })
    throws("pass cloud or client_ca", { cloud = { payments = { accepted = accepted } }, client_ca = accepted })
    throws("pass cloud or namespaces", { cloud = { payments = { accepted = accepted } }, namespaces = { "payments" } })
    throws("'cloud' requires client certificates",
      { cloud = { payments = { accepted = accepted } }, require_client_certificate = false })
    throws("option 'connection_age' must be a number of seconds", { client_ca = accepted, connection_age = 0 })
    local server <close> = cloud_frontend()
    assert.error_matches(function() server:reload { client_ca = accepted } end, "'client_ca' is not what")
    assert.error_matches(function() server:reload { cloud = { ["new.a1b2c"] = { accepted = accepted } } } end,
      "no namespace \"new.a1b2c\"")
    local plain <close> = frontend()
    assert.error_matches(function() plain:reload { cloud = { payments = { accepted = accepted } } } end,
      "'cloud' is not what")
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

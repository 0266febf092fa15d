local tcpki = require "tcpki"
local probe = require "tcpki.probe"
local addresses = require "tcpki.probe.addresses"
local core = require "tcpki.probe.core"
local pki = require "spec.support.probe_pki"
local party = require "spec.support.probe_party"
local server = require "spec.support.server"

local function options(where, leaf, more)
  local all = pki.options(leaf, more)
  all.address = where
  return all
end

-- Backends of one name on one port, each on an address of its own.
local function backends(first, ...)
  local names = { { type = "dns", value = "balancer.example" } }
  local function leaf()
    return assert(pki.server_ca:issue {
      common_name = "backend", usage = "server", days = 3, subject_alt_names = names,
    })
  end
  local shared, list, port = leaf(), {}, 0
  for i, change in ipairs { first, ... } do
    local own = change.other_certificate and leaf() or shared
    list[i] = assert(probe.frontend {
      certificate = own.chain, key = own.key, client_ca = change.client_ca or pki.client_ca.certificate,
      namespaces = change.namespaces or { "payments" }, address = ("127.0.0.%d:%d"):format(i, port),
    })
    port = list[1]:port()
  end
  return setmetatable({ port = port, list = list }, {
    __close = function() for _, one in ipairs(list) do one:close() end end,
  })
end

-- The resolver is told what a name of a balancer would give.
local function resolving(list)
  local former = core.resolve
  core.resolve = function(host, ...) -- luacheck: ignore 122
    if host ~= "balancer.example" then return former(host, ...) end
    local found = {}
    for i, text in ipairs(list) do found[i] = { text = text, ipv6 = text:find ":" ~= nil } end
    return found
  end
  return setmetatable({}, { __close = function() core.resolve = former end }) -- luacheck: ignore 122
end

local three = { "127.0.0.1", "127.0.0.2", "127.0.0.3" }

local function causes(result)
  local list = {}
  for i, one in ipairs(result.addresses) do list[i] = one.cause end
  return list
end

describe("a probe of every address", function()
  it("is ok where each is, with the name's SNI and authority", function()
    local behind <close> = backends({}, {}, {})
    local _ <close> = resolving(three)
    local result = probe.run(options("balancer.example:" .. behind.port, pki.good, {
      addresses = "all", namespace = "payments", trace = "always",
    }))
    assert.is_true(result.ok, tostring(result))
    assert.is_true(result.authenticated)
    assert.equal(3, #result.addresses)
    for i, one in ipairs(result.addresses) do
      assert.equal(("127.0.0.%d:%d"):format(i, behind.port), one.peer_address)
      assert.equal("ok", one.cause)
      assert.equal("balancer.example", one.trace.server_name)
      assert.equal("payments", one.namespace.name)
      assert.same({}, one.differs)
      assert.is_true(one.timings.total > 0)
      assert.equal(result.addresses[1].server_certificate, one.server_certificate)
      assert.equal("ok", one.ladder.rpc.state)
    end
    assert.equal("127.0.0.1, 127.0.0.2, 127.0.0.3", result.ladder.resolve.evidence)
  end)

  it("finds the one bad backend, wherever it stands", function()
    for bad = 1, 3 do
      local changes = { {}, {}, {} }
      changes[bad] = { client_ca = pki.other_ca.certificate }
      local behind <close> = backends(table.unpack(changes))
      local _ <close> = resolving(three)
      local where = "balancer.example:" .. behind.port
      local result = probe.run(options(where, pki.good, { addresses = "all" }))
      assert.is_false(result.ok)
      assert.is_false(result.authenticated)
      assert.equal("client_ca_unknown", result.cause)
      assert.equal(("127.0.0.%d:%d"):format(bad, behind.port), result.peer_address)
      local expected = { "ok", "ok", "ok" }
      expected[bad] = "client_ca_unknown"
      assert.same(expected, causes(result))
      for i, one in ipairs(result.addresses) do
        assert.same(i == bad and { "outcome" } or {}, one.differs)
      end
      -- which "first", as a worker does it, finds only where it is the first
      assert.equal(bad ~= 1, probe.run(options(where, pki.good)).ok)
    end
  end)

  it("tells a backend that serves another certificate, though it is well", function()
    local behind <close> = backends({}, { other_certificate = true }, {})
    local _ <close> = resolving(three)
    local result = probe.run(options("balancer.example:" .. behind.port, pki.good, { addresses = "all" }))
    assert.is_true(result.ok, tostring(result))
    assert.same({ "certificate" }, result.addresses[2].differs)
    assert.not_equal(result.addresses[1].server_certificate, result.addresses[2].server_certificate)
    assert.equal(result.addresses[2].server_certificate, result.addresses[2].peer.certificates[1]:fingerprint())
    assert.matches("127.0.0.2:%d+ +ok, .*certificate %x+, unlike the others", tostring(result))
  end)

  it("does not wait for one that hangs before it probes the others", function()
    local behind <close> = backends({}, {})
    local silent <close> = party.odd "silent"
    local result = probe.run(options("balancer.example:" .. behind.port, pki.good, {
      addresses = { "127.0.0.1:" .. silent.port, "127.0.0.1", "127.0.0.2", "127.0.0.3" }, timeout = 4,
    }))
    assert.same({ "silent_before_tls", "ok", "ok", "refused" }, causes(result))
    assert.equal("silent_before_tls", result.cause)
    -- The others went on meanwhile.
    assert.is_true(result.addresses[2].timings.total < result.addresses[1].timings.total)
  end)

  it("has a control at each, where there is to be one", function()
    local behind <close> = backends({}, {})
    local lax <close> = assert(probe.frontend {
      certificate = pki.server.chain, key = pki.server.key, require_client_certificate = false,
    })
    local result = probe.verify(options("localhost:" .. behind.port, pki.good, {
      server_name = "balancer.example", addresses = { "127.0.0.1", "127.0.0.2" },
    }))
    assert.equal("ok", result.cause, tostring(result))
    for _, one in ipairs(result.addresses) do assert.equal("refused", one.control.without.outcome) end
    result = probe.verify(options("localhost", pki.good, { addresses = { lax:address(), lax:address() } }))
    assert.equal("ok_not_asked", result.cause, tostring(result))
    assert.is_false(result.authenticated)
  end)

  it("probes more of them than at once", function()
    local behind <close> = backends {}
    local list = {}
    for i = 1, 20 do list[i] = i % 5 == 0 and "127.0.0.9" or "127.0.0.1" end
    local result = probe.run(options("balancer.example:" .. behind.port, pki.good, { addresses = list }))
    for i, cause in ipairs(causes(result)) do assert.equal(i % 5 == 0 and "refused" or "ok", cause) end
  end)

  it("does not count addresses of a kind that this machine has no way to", function()
    local behind <close> = backends({}, {})
    for _, trace in ipairs { "on_failure", "never" } do
      -- TCP has no way to a multicast address (RFC 9293, 3.9.2.3): a host without IPv6 says the same of all of IPv6
      local result = probe.run(options("balancer.example:" .. behind.port, pki.good, {
        addresses = { "ff02::1", "127.0.0.1", "127.0.0.2" }, trace = trace,
      }))
      assert.is_true(result.ok, tostring(result))
      assert.is_true(result.authenticated)
      assert.equal("unreachable", result.addresses[1].cause)
      assert.is_true(result.addresses[1].no_route)
      assert.matches("no route from here", tostring(result))
    end
    local result = probe.run(options("balancer.example:1", pki.good, { addresses = { "ff02::1" } }))
    assert.is_false(result.ok)
    assert.equal("unreachable", result.cause)
  end)

  it("asks for the name without the dot of one that is complete", function()
    local behind <close> = backends {}
    for address, server_name in pairs { ["balancer.example."] = false, ["127.0.0.1"] = "balancer.example." } do
      local result = probe.run(options(("%s:%d"):format(address, behind.port), pki.good, {
        addresses = { "127.0.0.1" }, server_name = server_name, trace = "always",
      }))
      assert.is_true(result.ok, tostring(result))
      assert.equal("balancer.example", result.trace.server_name)
    end
  end)

  it("of one address is what the probe is anyway", function()
    local behind <close> = backends {}
    local where = "127.0.0.1:" .. behind.port
    local result = probe.run(options(where, pki.good, { addresses = "all", server_name = "balancer.example" }))
    assert.is_true(result.ok, tostring(result))
    assert.equal(1, #result.addresses)
    result = probe.run(options(where, pki.good, { addresses = "first", server_name = "balancer.example" }))
    assert.is_nil(result.addresses)
  end)
end)

describe("the option addresses", function()
  it("takes numeric addresses, with a port or without", function()
    local function run(list)
      return probe.run { address = "localhost:1", addresses = list, timeout = 1, trace = "never" }
    end
    local result = run { "127.0.0.1", "127.0.0.1:2", "::1", "[::1]", "[::1]:3" }
    local places = {}
    for i, one in ipairs(result.addresses) do places[i] = one.peer_address end
    assert.same({ "127.0.0.1:1", "127.0.0.1:2", "[::1]:1", "[::1]:1", "[::1]:3" }, places)
    for _, right in ipairs {
      "::", "1::", "::1", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "fe80::1%eth0", "2001:DB8::a:0",
    } do
      assert.is_true(addresses.is_choice { right }, right)
    end
    for _, wrong in ipairs {
      { "localhost" }, { "1.2.3" }, { "1.2.3.256" }, { "1.2.3.4:" }, { "1.2.3.4:0" }, { "1.2.3.4:x" },
      { "1.2.3.4", "a.example:7233" }, { "::g" }, { ":" }, { "" }, {}, { 1 }, { "[::1" }, { "::1::2" }, { ":::" },
      { "1:2:3:4:5:6:7" }, { "1:2:3:4:5:6:7:8:9" }, { "1::2:3:4:5:6:7:8" }, { "::1.2.3" }, { "::12345" }, { "1:" },
      { ":1:2:3:4:5:6:7" },
    } do
      assert.error_matches(function() run(wrong) end, '"first", "all" or an array of numeric addresses')
    end
    assert.error_matches(function() run "every" end, "'addresses' must be")
  end)

  it("needs no resolver", function()
    local result = probe.run { address = "no-such-host.invalid:1", addresses = { "127.0.0.1" }, timeout = 5 }
    assert.equal("refused", result.cause)
    assert.equal("ok", result.ladder.resolve.state)
    assert.equal("no-such-host.invalid", result.server_name)
  end)
end)

describe("a probe of one backend of the Temporal server #server", function()
  it("shows it the SNI of the name: the server chooses certificate and client CAs by it", function()
    local server_ca = assert(tcpki.authority.new { subject = { CN = "Override CA" }, days = 3 })
    local client_ca = assert(tcpki.authority.new { subject = { CN = "Override Client CA" }, days = 3 })
    local leaf = assert(server_ca:issue {
      common_name = "override", usage = "server", days = 2, subject_alt_names = { { type = "dns", value = "a.test" } },
    })
    local client = assert(client_ca:issue { common_name = "worker", usage = "client", days = 2 })
    local temporal <close> = assert(server.start {
      host_overrides = { ["a.test"] = {
        certificate = leaf.chain:pem(), key = leaf.key:pem(), client_ca = client_ca.certificate:pem(),
      } },
    })
    local port = temporal.address:match ":(%d+)$"
    local result = probe.verify {
      address = "a.test:" .. port, addresses = { "127.0.0.1" }, server_ca = server_ca.certificate,
      certificate = client.chain, key = client.key,
    }
    assert.equal("ok", result.cause, tostring(result))
    assert.equal(leaf.certificate:fingerprint(), result.addresses[1].server_certificate)
    -- The same server by its own name knows neither.
    result = temporal:probe { certificate = client.chain:pem(), key = client.key:pem() }
    assert.equal("client_ca_unknown", result.cause, tostring(result))
    temporal:remove()
  end)
end)

local tcpki = require "tcpki"
local probe = require "tcpki.probe"
local control = require "tcpki.probe.control"
local pki = require "spec.support.probe_pki"
local party = require "spec.support.probe_party"
local server = require "spec.support.server"

local repeats = tonumber(os.getenv "TCPKI_REPEATS") or 20

local function options(where, leaf, more)
  local all = pki.options(leaf, more)
  all.address = where
  if more and more.control == false then all.control = false end
  return all
end

local function verify(where, leaf, more)
  return probe.verify(options(where, leaf, more))
end

local function pair(leaf)
  return { certificate = leaf.chain, key = leaf.key }
end

describe("a control", function()
  local strict, lax, open

  setup(function()
    local identity = { certificate = pki.server.chain, key = pki.server.key, namespaces = { "payments" } }
    local function frontend(more)
      for name, value in pairs(identity) do more[name] = value end
      return assert(probe.frontend(more))
    end
    strict = frontend { client_ca = pki.client_ca.certificate }
    lax = frontend { client_ca = pki.client_ca.certificate, require_client_certificate = false }
    open = frontend { require_client_certificate = false }
  end)

  teardown(function()
    strict:close()
    lax:close()
    open:close()
  end)

  it("proves a server that refuses whoever it should refuse, 20 times of 20", function()
    for _ = 1, repeats do
      local result = verify(strict:address(), pki.good, { namespace = "payments" })
      assert.equal("ok", result.cause, tostring(result))
      assert.is_true(result.ok)
      assert.is_true(result.authenticated)
      assert.is_true(result.certain)
      assert.equal("refused", result.control.without.outcome)
      assert.equal("no_client_certificate", result.control.without.cause)
      assert.equal("refused", result.control.stranger.outcome)
      assert.equal("payments", result.namespace.name)
    end
  end)

  it("finds a server that lets in a client without a certificate, 20 times of 20", function()
    for _ = 1, repeats do
      local result = verify(lax:address(), pki.good)
      assert.equal("ok_not_enforced", result.cause, tostring(result))
      assert.is_false(result.ok)
      assert.is_false(result.authenticated)
      assert.is_true(result.certain)
      assert.equal("let_in", result.control.without.outcome)
      assert.equal("refused", result.control.stranger.outcome)
    end
  end)

  it("finds a server that never asks, 20 times of 20, also where no trace was wanted beforehand", function()
    for _ = 1, repeats do
      assert.equal("ok_not_asked", verify(open:address(), pki.good).cause)
    end
    local result = probe.run(options(open:address(), pki.good, { control = true }))
    assert.equal("ok_not_asked", result.cause, tostring(result))
    assert.is_nil(result.trace)
    -- Without any trace nobody has seen whether it asked.
    result = probe.run(options(open:address(), pki.good, { control = true, trace = "never" }))
    assert.equal("ok_not_enforced", result.cause, tostring(result))
    assert.is_false(result.ok)
  end)

  it("is left out unless it is asked for", function()
    local result = probe.run(options(lax:address(), pki.good))
    assert.is_true(result.ok)
    assert.is_nil(result.control)
    assert.is_nil(verify(strict:address(), pki.good, { control = false }).control)
  end)

  it("imitates the true certificate, under a CA of the same name", function()
    local result = verify(strict:address(), pki.good)
    local stranger = result.control.stranger.certificate
    assert.equal(result.certificate.subject, stranger.subject)
    assert.equal(result.certificate.issuer, stranger.issuer)
    assert.not_equal(result.certificate.fingerprint, stranger.fingerprint)
  end)

  it("takes a second certificate, which the server is to refuse", function()
    for _, leaf in ipairs { pki.stranger, pki.expired, pki.twin } do
      local result = verify(strict:address(), pki.good, { control = pair(leaf) })
      assert.equal("ok", result.cause, tostring(result))
      assert.equal(leaf.certificate:fingerprint(), result.control.stranger.certificate.fingerprint)
    end
    local other = assert(pki.client_ca:issue { common_name = "revoked", usage = "client", days = 3 })
    local result = verify(strict:address(), pki.good, { control = pair(other) })
    assert.equal("ok_not_enforced", result.cause, tostring(result))
    assert.matches("a client with the certificate CN=revoked", result.message, 1, true)
    assert.equal("refused", result.control.without.outcome)
    assert.equal("let_in", result.control.stranger.outcome)
  end)

  it("is not made where the certificate itself is refused", function()
    local result = verify(strict:address(), pki.expired)
    assert.equal("client_expired", result.cause)
    assert.is_nil(result.control)
    assert.is_false(result.authenticated)
  end)

  it("is made in a coroutine of the host as well, and leaves it to the host", function()
    local yields, result = 0, nil
    local thread = coroutine.wrap(function()
      coroutine.yield()
      result = verify(strict:address(), pki.good)
      coroutine.yield()
      return "done"
    end)
    repeat yields = yields + 1 until thread() == "done"
    assert.equal(3, yields)
    assert.equal("ok", result.cause)
  end)

  it("leaves nothing running that nobody waits for any more", function()
    local core = require "tcpki.probe.core"
    collectgarbage()
    collectgarbage()
    collectgarbage "stop"
    local before = core.live()
    for _, leaf in ipairs { pki.expired, pki.good } do
      for _, roots in ipairs { pki.server_ca, pki.other_ca } do
        verify(strict:address(), leaf, { server_ca = roots.certificate })
      end
    end
    local after = core.live()
    collectgarbage "restart"
    assert.equal(before, after)
  end)

  it("takes back authenticated, not the cause, where the server denies what was asked", function()
    local result = verify(lax:address(), pki.good, { namespace = "nobody" })
    assert.equal("namespace_not_found", result.cause)
    assert.is_false(result.authenticated)
    assert.equal("let_in", result.control.without.outcome)
  end)

  it("says what is wrong with a second certificate before anything is sent", function()
    local result = verify("127.0.0.1:1", pki.good, { control = { certificate = "rubbish", key = "rubbish" } })
    assert.equal("bad_pem", result.cause)
    assert.equal("input", result.stage)
    assert.matches("the certificate of the control", result.message:lower(), 1, true)
    result = verify("127.0.0.1:1", pki.good, { control = { certificate = pki.stranger.chain, key = pki.good.key } })
    assert.equal("key_mismatch", result.cause)
  end)

  it("says in its report who was let in", function()
    assert.matches("^nothing proven: ok_not_enforced\n", tostring(verify(lax:address(), pki.good)))
    assert.matches("Control: a client without a certificate: let in;", tostring(verify(lax:address(), pki.good)), 1,
      true)
    assert.matches("Control: a client without a certificate: refused;", tostring(verify(strict:address(), pki.good)),
      1, true)
  end)

  it("throws on a mistake in the program", function()
    assert.error_matches(function() probe.verify { address = "a:1" } end,
      "probe.verify: a control without a certificate")
    assert.error_matches(function() probe.verify(options("a:1", pki.good, { control = {} })) end,
      "control: the option 'certificate' is missing")
    assert.error_matches(function() probe.verify(options("a:1", pki.good, { control = { cert = "x" } })) end,
      "unknown option 'cert'")
    assert.error_matches(function() probe.verify(options("a:1", pki.good, { control = "yes" })) end,
      "'control' must be true, false or a table")
  end)
end)

describe("a control against openssl s_server", function()
  -- It answers no RPC, so what it lets in stays without a verdict; what it refuses is refused.
  local function outcome(flags, client_ca, leaf, timeout)
    local one <close> = party.s_server(pki.server, client_ca, flags)
    return control.outcome(probe.run(options(one.address, leaf, { timeout = timeout })))
  end

  for _, tls in ipairs { "-tls1_3", "-tls1_2" } do
    it("is refused by -Verify, and not by -verify: " .. tls, function()
      assert.equal("refused", outcome(tls, pki.client_ca, nil, 60))
      assert.equal("refused", outcome(tls, pki.client_ca, pki.twin, 60))
      assert.equal("unclear", outcome("-verify 3 " .. tls, nil, nil, 1))
      assert.equal("unclear", outcome(tls, nil, nil, 1))
    end)
  end
end)

describe("a control that comes to no end", function()
  -- The climbs are made up: what is tried is what follows from them.
  local main = { authenticated = true, ok = true, cause = "ok", grpc = { code = 0 }, timings = {} }
  local refused = { authenticated = false, cause = "no_client_certificate", grpc = { code = 14 }, timings = {} }
  local hanging = { authenticated = false, cause = "silent_before_tls", grpc = { code = 4 }, timings = {} }

  local function run(...)
    local answers, count = { ... }, 0
    local task = { started = 0, now = function() return 1 end, controls = {
      { name = "without", who = "nobody", material = { certificates = {} } },
      { name = "stranger", who = "a stranger", material = { certificates = {} } },
    } }
    local copied = {}
    for name, value in pairs(main) do copied[name] = value end
    local result = control.run(task, {}, function()
      count = count + 1
      return count == 1 and copied or answers[count - 1] or refused
    end)
    return result, count
  end

  it("is made again, alone", function()
    local result, count = run(hanging)
    assert.equal("ok", result.cause)
    assert.equal(4, count)
    assert.equal("refused", result.control.without.outcome)
  end)

  it("proves nothing, and says so", function()
    local result = run(refused, hanging, hanging)
    assert.equal("ok_not_enforced", result.cause)
    assert.is_false(result.ok)
    assert.is_false(result.certain)
    assert.same({ "ok_not_enforced", "ok" }, result.candidates)
    assert.matches("a stranger, came to no end (silent_before_tls)", result.message, 1, true)
  end)

  it("counts a denial of the RPC as a refusal, where the true certificate was not denied", function()
    local denied = { authenticated = true, cause = "unauthenticated", grpc = { code = 16 }, timings = {} }
    assert.equal("ok", run(denied, denied).cause)
    assert.equal("let_in", control.outcome(denied, denied))
  end)
end)

describe("a control of the Temporal server #server", function()
  it("proves a server with requireClientAuth, and finds one without it", function()
    local strict <close> = assert(server.start())
    local result = strict:probe { control = true, trace = "always" }
    assert.equal("ok", result.cause, tostring(result))
    assert.equal("refused", result.control.without.outcome)
    assert.equal("refused", result.control.stranger.outcome)
    assert.equal(116, result.control.without.trace.alerts[1].number)
    local second = assert(assert(tcpki.authority.new { subject = { CN = "Other" }, days = 2 }):issue {
      common_name = "other", usage = "client", days = 1,
    })
    assert.equal("ok", strict:probe { control = pair(second) }.cause)
    assert.equal("ok_not_enforced", strict:probe { control = pair(strict.client) }.cause)

    local open <close> = assert(server.start { client_auth = false })
    for _ = 1, repeats do
      result = open:probe { control = true }
      assert.equal("ok_not_asked", result.cause, tostring(result))
      assert.is_false(result.authenticated)
    end
    strict:remove()
    open:remove()
  end)
end)

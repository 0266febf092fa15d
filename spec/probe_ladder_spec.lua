local probe = require "tcpki.probe"
local core = require "tcpki.probe.core"
local causes = require "tcpki.probe.causes"
local pki = require "spec.support.probe_pki"
local party = require "spec.support.probe_party"

local stages = { "input", "resolve", "connect", "tls", "settings", "rpc", "namespace" }

local function run(where, leaf, more)
  local all = pki.options(leaf, more)
  all.address = where
  return probe.run(all)
end

local function states(result)
  local list = {}
  for i, stage in ipairs(stages) do
    local rung = result.ladder[i]
    assert.equal(stage, rung.stage)
    assert.equal(rung, result.ladder[stage])
    list[i] = rung.state
  end
  local count = 0
  for _ in pairs(result.ladder) do count = count + 1 end
  assert.equal(#stages, count)
  assert.is_nil(result.ladder.health)
  return table.concat(list, " ")
end

-- What holds of every ladder.
local function assert_sound(result)
  local failed
  for _, rung in ipairs(result.ladder) do
    assert.is_true(rung.state == "ok" or rung.state == "failed" or rung.state == "skipped")
    if rung.state == "failed" then
      assert.is_nil(failed)
      failed = rung.stage
    end
    if rung.state ~= "skipped" then
      assert.equal("string", type(rung.evidence), rung.stage .. "\n" .. tostring(result))
      assert.is_nil(rung.evidence:find "%c")
    else
      assert.is_nil(rung.seconds)
    end
    assert.is_true(rung.seconds == nil or rung.seconds >= 0)
  end
  assert.equal(not result.ok and result.stage or nil, failed)
end

describe("the ladder of a result", function()
  local server

  setup(function()
    server = assert(probe.frontend {
      certificate = pki.server.chain, key = pki.server.key, client_ca = pki.client_ca.certificate,
      namespaces = { "payments" },
    })
  end)

  teardown(function() server:close() end)

  it("is climbed to its end by a certificate that is accepted", function()
    local result = run(server:address(), pki.good, { namespace = "payments", trace = "always" })
    assert.equal("ok ok ok ok ok ok ok", states(result))
    assert_sound(result)
    for _, rung in ipairs(result.ladder) do assert.equal("number", type(rung.seconds), rung.stage) end
    assert.matches("TLS 1.3", result.ladder.tls.evidence, 1, true)
    assert.equal("Temporal 1.31.2", result.ladder.rpc.evidence)
    assert.equal("payments REGISTERED", result.ladder.namespace.evidence)
    assert.equal("CN=worker", result.ladder.input.evidence)
    result = run(server:address(), pki.good)
    assert.equal("ok ok ok ok ok ok skipped", states(result))
    assert_sound(result)
    -- gRPC core alone tells the time of three stages as one
    assert.equal("connect", result.ladder.settings.since)
    assert.equal(result.timings.ready, result.ladder.settings.seconds)
    assert.is_nil(result.ladder.connect.seconds)
  end)

  it("ends where the cause stands", function()
    for _, case in ipairs {
      { "ok ok ok ok failed skipped skipped", run(server:address(), pki.stranger) },
      { "ok ok ok ok failed skipped skipped", run(server:address(), nil) },
      { "ok ok ok failed skipped skipped skipped",
        run(server:address(), pki.good, { server_ca = pki.other_ca.certificate:pem() }) },
      { "ok ok failed skipped skipped skipped skipped", run("127.0.0.1:" .. party.free_port(), pki.good) },
      { "ok failed skipped skipped skipped skipped skipped", run("no-such-host.invalid:1", pki.good) },
      { "failed skipped skipped skipped skipped skipped skipped",
        run(server:address(), pki.good, { key = pki.stranger.key:pem() }) },
      { "failed skipped skipped skipped skipped skipped skipped", run("https://x", pki.good) },
      { "ok ok ok ok ok ok failed", run(server:address(), pki.good, { namespace = "nobody" }) },
      { "ok ok ok ok ok failed skipped", run(server:address(), pki.good, { health = "nobody.knows.This" }) },
    } do
      assert.equal(case[1], states(case[2]), tostring(case[2]))
      assert_sound(case[2])
    end
  end)

  it("is sound also where no trace was made", function()
    for _, leaf in ipairs { pki.good, pki.stranger, pki.expired } do
      assert_sound(run(server:address(), leaf, { trace = "never" }))
    end
    assert_sound(run("127.0.0.1:" .. party.free_port(), pki.good, { trace = "never" }))
  end)

  it("stands over what else it may be, wherever it is not certain", function()
    for _, leaf in ipairs { pki.stranger, pki.expired, pki.future, pki.wrong_usage } do
      local result = run(server:address(), leaf, { trace = "never" })
      assert.is_false(result.certain)
      assert.is_true(#result.candidates > 1, result.cause)
      assert.matches("Not certain; in order: " .. result.candidates[1], tostring(result), 1, true)
    end
    local lost <close> = party.http2(pki.server, pki.client_ca,
      { { after = "GetSystemInfo", send = "\0\0\4\3\0\0\0\0\1\0\0\0\7" } }) -- RST_STREAM
    local result = run(lost.address, pki.good, { trace = "never" })
    assert.is_false(result.certain)
    assert.same({ result.cause }, result.candidates)
    assert.matches("\n  Not certain.\n", tostring(result), 1, true)
  end)

  it("is the last line of the report, and breaks between its stages only", function()
    local text = tostring(run(server:address(), pki.stranger))
    assert.matches(
      "\n  input ok · connect [%d.]+ ms · tls [%d.]+ ms TLS 1.3 · refused after [%d.]+ ms ·%s+127[%d.]+:%d+$", text)
    text = tostring(run("localhost:" .. server:port(), pki.good, { namespace = "payments", health = true }))
    assert.matches("\n  input ok · .*connect and tls [%d.]+ ms · rpc [%d.]+ ms", (text:gsub("\n    ", " ")))
    for line in text:gmatch "[^\n]+" do assert.is_nil(line:find "%d$" and line:find " [%d.]+$") end
  end)
end)

describe("a stage that hangs", function()
  it("is named, also where each of them has a limit", function()
    local silent <close> = party.odd "silent"
    for _, limits in ipairs { { tls = 0.4 }, { connect = 5, tls = 0.4, settings = 5 } } do
      local result = run(silent.address, pki.good, { limits = limits })
      assert.equal("silent_before_tls", result.cause, tostring(result))
      assert.equal("tls", result.stage)
      assert.equal("failed", result.ladder.tls.state)
      -- the limit ended it, and not the 60 seconds of the whole
      assert.is_true(result.timings.total < 30, tostring(result))
      -- which is also what the ladder says: not how long the trace was there
      assert.is_true(result.ladder.tls.seconds >= 0.39, tostring(result))
      assert.is_true(result.ladder.tls.seconds <= result.timings.tried)
      assert.matches("tls silent after [%d.]+ ms", tostring(result))
    end
  end)

  it("is named after TLS as well", function()
    -- s_server is silent once TLS is done; it serves one at a time, and so the trace comes first here
    local server <close> = party.s_server(pki.server, pki.client_ca, "")
    local result = run(server.address, pki.good, { limits = { tls = 0.5, settings = 0.5 } })
    assert.is_false(result.ok)
    assert.is_true(result.cause == "silent_after_tls" or result.cause == "silent_before_tls", tostring(result))
    assert.is_true(result.timings.total < 30)
  end)

  it("is the connection where nobody answers", function()
    local full <close> = party.odd "full"
    local result = run(full.address, pki.good, { limits = { connect = 0.4 } })
    assert.equal("unreachable", result.cause, tostring(result))
    assert.equal("connect", result.stage)
    assert.matches("no TCP connection within %d+ ms", result.message)
    assert.is_true(result.timings.total < 30, tostring(result))
    -- what the system says at once is told, and not how long was waited for it
    result = run("255.255.255.255:7233", pki.good)
    assert.equal("unreachable", result.cause, tostring(result))
    assert.matches("255.255.255.255:7233 cannot be reached: [%u][%a ]+%.$", result.message)
  end)

  it("is the RPC where the server speaks HTTP/2 and answers nothing", function()
    local mute <close> = party.http2(pki.server, pki.client_ca, {})
    local result = run(mute.address, pki.good, { limits = { rpc = 0.3 }, trace = "never" })
    assert.equal("silent_rpc", result.cause, tostring(result))
    assert.equal("failed", result.ladder.rpc.state)
    assert.equal("ok", result.ladder.settings.state)
    assert.is_true(result.ladder.rpc.seconds >= 0.3)
    assert.is_true(result.timings.total < 30)
  end)

  it("is the resolver where it says nothing", function()
    local former, given = core.resolve, nil
    core.resolve = function(_, seconds) -- luacheck: ignore 122
      given = seconds
      return nil, "timeout", ""
    end
    local result = run("somebody.example:1", pki.good, { limits = { resolve = 0.25 } })
    core.resolve = former -- luacheck: ignore 122
    assert.equal(0.25, given)
    assert.equal("unknown_host", result.cause)
    assert.equal("failed", result.ladder.resolve.state)
    assert.matches("did not answer in time", result.message)
    assert.matches("resolver of this machine", result.hint) -- and not to look for a wrong letter
  end)

  it("changes nothing of a probe that is well", function()
    local server <close> = assert(probe.frontend {
      certificate = pki.server.chain, key = pki.server.key, client_ca = pki.client_ca.certificate,
    })
    local limits = { resolve = 60, connect = 60, tls = 60, settings = 60, rpc = 60 }
    assert.equal("ok", run(server:address(), pki.good, { limits = limits }).cause)
    assert.equal("client_ca_unknown", run(server:address(), pki.stranger, { limits = limits }).cause)
  end)

  it("has limits that are checked", function()
    for limits, text in pairs {
      [{ tls = 0 }] = "'tls' must be", [{ handshake = 1 }] = "unknown option 'handshake'",
      [{ rpc = "1" }] = "'rpc' must be",
    } do
      assert.error_matches(function() probe.run { address = "a:1", limits = limits } end, text)
    end
  end)
end)

describe("the rungs", function()
  it("are the stages of the causes", function()
    local known = {}
    for _, stage in ipairs(require "tcpki.probe.rungs".stages) do known[stage] = true end
    for _, row in ipairs(causes.rows) do assert.is_true(known[row.stage], row.word) end
  end)
end)

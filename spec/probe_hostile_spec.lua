-- Servers that mean harm: what they cost a probe in time and memory, and what it says of them. Each
-- probe runs in a process of its own, whose peak is measured.

local child = require "spec.support.probe_child"
local party = require "spec.support.probe_party"
local pki = require "spec.support.probe_pki"

local victim = [[
  local probe = require "tcpki.probe"
  local address, ca, certificate, key, trace = table.unpack(arg)
  local function peak()
    for line in io.lines "/proc/self/status" do
      local kilobytes = line:match "^VmHWM:%s*(%d+)"
      if kilobytes then return tonumber(kilobytes) end
    end
  end
  local function run(where)
    return probe.run { address = where, server_ca = ca, certificate = certificate, key = key, server_name = "localhost",
      timeout = 1, trace = trace }
  end
  run "127.0.0.1:1" -- gRPC core is up
  local before = peak()
  local result = run(address)
  assert(not result.ok)
  print(result.cause, result.authenticated, result.trace and result.trace.ended, peak() - before)
]]

-- The most that any of them may cost, in kilobytes; a sanitizer counts in its own way.
local MOST = os.getenv "ASAN_OPTIONS" and math.huge or 32 * 1024

local function suffer(kind, trace)
  local server <close> = party.hostile(kind, pki.server, pki.server_ca)
  local program = child.run(victim, server.address, pki.server_ca.certificate:pem(), pki.good.chain:pem(),
    pki.good.key:pem(), trace)
  assert.equal("exit 0", program.ended, kind .. ": " .. program.err)
  local cause, authenticated, ended, kilobytes = program.out:match "^(%S+)\t(%S+)\t(%S+)\t(%d+)\n$"
  assert.equal("false", authenticated, kind .. " has answered nothing: " .. cause)
  assert.is_true(tonumber(kilobytes) <= MOST, ("%s took %s kB"):format(kind, kilobytes))
  return cause, ended
end

describe("a probe of a server that means harm", function()
  local function is(causes, kind, ended, trace)
    local cause, seen = suffer(kind, trace or "on_failure")
    assert.is_truthy((" " .. causes .. " "):find(" " .. cause .. " ", 1, true), kind .. ": " .. cause)
    if ended then assert.equal(ended, seen, kind) end
  end

  it("does not take in a certificate of 16 MB, a compressed one, or a chain without end", function()
    is("tls_failed", "huge_certificate", "broken")
    is("tls_failed", "compressed_certificate", "broken")
    is("tls_failed", "longer_chain", "broken")
  end)

  it("bears a chain of 90 KB and CA names of 64 KB", function()
    is("silent_after_tls", "long_chain")
    is("client_ca_unknown", "ca_names", "alert") -- ours is none of them
  end)

  it("ends a handshake that is interrupted without end", function()
    is("tls_failed", "hello_requests", "flood")
    is("tls_failed", "warnings", "broken")
    is("tls_failed", "empty_records", "broken")
    is("plaintext_server", "plain_flood", "broken")
  end)

  it("ends what comes after a handshake without end: tickets, new keys, renegotiation", function()
    is("tls_failed", "tickets", "flood")
    is("tls_failed", "key_updates", "flood")
    is("tls_failed closed_after_tls", "renegotiations")
    is("rpc_failed silent_rpc silent_before_tls", "late_key_updates", nil, "never")
  end)

  it("comes back from HTTP/2 that keeps gRPC core busy beyond every deadline", function()
    for _, kind in ipairs { "pings", "many_settings", "resets" } do
      is("silent_rpc rpc_failed silent_before_tls", kind, nil, "never") -- the last on a machine that is slow
    end
  end)

  it("takes what gRPC core says of endless headers and data for no answer", function()
    for _, kind in ipairs { "endless_headers", "endless_statuses", "endless_data" } do
      is("rpc_failed silent_rpc", kind, nil, "never")
    end
  end)

  it("does not wait for a frame that comes by the byte", function()
    is("not_grpc silent_after_tls", "drip_settings")
  end)
end)

-- Causes that a server has to be odd for: each provoked by a counterpart, with what the user is told.

local party = require "spec.support.probe_party"
local pki = require "spec.support.probe_pki"
local probe = require "tcpki.probe"
local duration = require("tcpki.probe.report").duration

local function run(address, leaf, options)
  local all = { address = address }
  for name, value in pairs(options or {}) do all[name] = value end
  return probe.run(pki.options(leaf, all))
end

describe("a server that lets the certificate in and does not serve", function()
  it("is told from one that refuses it, by what it does not answer", function()
    local server <close> = party.http2(pki.server, pki.client_ca, {})
    local result = run(server.address, pki.good, { timeout = 1.5, trace = "never" })
    assert.equal("silent_rpc", result.cause, tostring(result))
    assert.equal("rpc", result.stage)
    assert.is_false(result.authenticated, "nothing was answered")
    assert.matches("did not answer GetSystemInfo within " .. duration(result.timings.rpc), result.message, 1, true)
  end)
end)

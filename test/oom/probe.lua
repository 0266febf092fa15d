-- The probe and its embedded frontend, with what they send and serve made beforehand. The host
-- makes Lua's memory fail under them; gRPC core has an allocator of its own, and aborts without it.

local core = require "tcpki.core"
local findings = require "tcpki.probe.findings"
local probe = require "tcpki.probe"
local probe_core = require "tcpki.probe.core"
local tcpki = require "tcpki"
local together = require "tcpki.probe.together"
local warnings = require "tcpki.probe.warnings"

local authority = assert(tcpki.authority.new { subject = { CN = "Root" }, days = 30 })
local function issue(name, usage)
  return assert(authority:issue {
    common_name = name, usage = usage, days = 10,
    subject_alt_names = { { type = "dns", value = "localhost" }, { type = "ip", value = "127.0.0.1" } },
  })
end
local server, client = issue("frontend", "server"), issue("worker", "client")
local root = authority.certificate:pem()
local stranger = assert(tcpki.bundle.new {
  assert(tcpki.authority.new { subject = { CN = "Stranger" }, days = 30 }).certificate,
})

local function frontend()
  return assert(probe.frontend {
    certificate = server.chain:pem(), key = server.key:pem(), client_ca = root,
    namespaces = { "payments" },
  })
end

local filters = assert(require "tcpki.cloud.filters".new { { common_name = "work*", organization = "Acme" } })
local function cloud_frontend()
  return assert(probe.frontend {
    certificate = server.chain:pem(), key = server.key:pem(),
    cloud = { payments = { accepted = root, filters = filters }, orders = { accepted = root } },
  })
end

local running, cloud = frontend(), cloud_frontend()

local function run(settings)
  settings.timeout = 10
  return probe.run(settings)
end

-- Nobody listens there.
local clients = {}
for i = 1, 2 do
  clients[i] = probe_core.client { target = "ipv4:127.0.0.1:1", server_name = "localhost", seconds = 60, roots = root }
end

local cases = {
  { "probe.run authenticated", function()
    local result = run {
      address = running:address(), namespace = "payments", server_ca = root,
      certificate = client.chain:pem(), key = client.key:pem(),
    }
    if not result.ok then error(tostring(result), 0) end
  end },
  { "probe.run refused by the server", function()
    local result = run { address = running:address(), server_ca = root }
    if result.cause ~= "no_client_certificate" then error(tostring(result), 0) end
  end },
  { "probe.run refused input", function()
    local result = run { address = "localhost:1", certificate = root, key = client.key:pem() }
    if result.cause ~= "key_mismatch" then error(tostring(result), 0) end
  end },
  { "the findings about a certificate, with the accepted CAs", function()
    local found = findings.judge({ certificates = { client.certificate }, accepted = stranger }, os.time())
    local seen = { certificates = { client.certificate }, peer = { server.certificate }, roots = {}, findings = found,
      now = os.time() }
    findings.add_text(found, client.chain:pem(), "leaf.pem")
    if #findings.shown(found) ~= 1 or #warnings.of(seen) == 0 then error(tostring(found[1].word), 0) end
  end },
  -- What climbs of several addresses wait by; the climbs themselves are those of above.
  { "two waits at once", function()
    local states = together.run {
      function() return together.wait(clients[1], 10) end,
      function() return together.ask(clients[2], "system_info", nil, 10) end,
    }
    if states[1] ~= "failed" or states[2].code ~= 14 then error("not refused", 0) end
  end },
  { "probe.frontend", function() frontend():close() end },
  { "probe.frontend in Cloud mode", function() cloud_frontend():close() end },
  { "frontend:reload in Cloud mode", function()
    assert(cloud:reload { cloud = { payments = { accepted = root }, orders = { filters = filters } } })
  end },
}

function cases.live()
  local boxes = probe_core.live()
  return core.live().total + (type(boxes) == "table" and boxes.total or boxes)
end

return cases

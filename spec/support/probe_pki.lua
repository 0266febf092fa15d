-- The certificates of the probe's specs, made once: two client CAs, a server CA, and leaves with
-- every fault that a server refuses.

local tcpki = require "tcpki"

local day = 24 * 60 * 60
local now = os.time()

local function authority(name)
  return assert(tcpki.authority.new {
    subject = { CN = name }, not_before = now - 90 * day, not_after = now + 90 * day,
  })
end

local pki = {
  day = day,
  client_ca = authority "Client CA",
  other_ca = authority "Other CA",
  twin_ca = authority "Client CA", -- the same name, another key
  server_ca = authority "Server CA",
}

local function client(ca, options)
  options = options or {}
  return assert(ca:issue {
    common_name = options.name or "worker", usage = options.usage or "client",
    not_before = now + (options.from or -day), not_after = now + (options.to or 30 * day),
    subject_alt_names = options.names,
  })
end

local localhost = { { type = "dns", value = "localhost" }, { type = "ip", value = "127.0.0.1" } }

pki.good = client(pki.client_ca)
pki.expired = client(pki.client_ca, { from = -9 * day, to = -2 * day })
pki.future = client(pki.client_ca, { from = 2 * day, to = 9 * day })
pki.stranger = client(pki.other_ca)
pki.twin = client(pki.twin_ca)
pki.wrong_usage = client(pki.client_ca, { usage = "server", names = localhost })
pki.server = client(pki.server_ca, { name = "localhost", usage = "server", names = localhost })
pki.server_expired =
  client(pki.server_ca, { usage = "server", names = localhost, from = -9 * day, to = -2 * day })

-- The options of a probe as a user passes them: PEM text.
function pki.options(leaf, options)
  local all = {
    server_ca = pki.server_ca.certificate:pem(), timeout = 60, -- far from any verdict
    certificate = leaf and leaf.chain:pem(), key = leaf and leaf.key:pem(),
  }
  for name, value in pairs(options or {}) do all[name] = value or nil end
  return all
end

return pki

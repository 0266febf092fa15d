-- The certificates of the matrix (spec/stacks_matrix.lua), made once: what a client shows, and what a server shows, by
-- fault. Each is { certificate = PEM, key = PEM }, as a user passes it.

local tcpki = require "tcpki"
local temporary = require "spec.support.temporary"
local wrong = require "spec.support.wrong"

local day = 24 * 60 * 60
local now = os.time()

local pki = { client = {}, server = {} }

local function authority(name)
  return assert(tcpki.authority.new {
    subject = { CN = name }, not_before = now - 90 * day, not_after = now + 90 * day,
  })
end

local function subordinate(ca, name, options)
  options = options or {}
  return assert(ca:subordinate {
    subject = { CN = name }, not_before = now + (options.from or -80 * day), not_after = now + (options.to or 80 * day),
  })
end

local function issue(ca, options)
  options = options or {}
  return assert(ca:issue {
    common_name = options.name or "worker", usage = options.usage or "client", subject_alt_names = options.names,
    not_before = now + (options.from or -day), not_after = now + (options.to or 30 * day),
  })
end

local function pems(...)
  local list = {}
  for i, one in ipairs { ... } do list[i] = one:pem() end
  return table.concat(list)
end

local function shown(leaf, ...)
  return { certificate = pems(leaf.certificate, ...), key = leaf.key:pem() }
end

-- ---- the client ----

local client_ca = authority "Client CA"
local first = subordinate(client_ca, "Client Intermediate 1")
local second = subordinate(first, "Client Intermediate 2", { to = 70 * day })
local old = subordinate(client_ca, "Client Intermediate Old", { from = -80 * day, to = -2 * day })
local other_ca, twin_ca = authority "Other CA", authority "Client CA"

pki.client_ca = client_ca.certificate:pem()
pki.other_ca = other_ca.certificate:pem()

local good = issue(client_ca)
local below = issue(first)
local deep = issue(second)

-- An intermediate that has expired issues nothing any more: signed with its key all the same.
local below_old = wrong.make(old, { not_before = now - 60 * day, not_after = now + 30 * day })

local function version_1()
  local directory <close> = temporary.directory()
  return shown(wrong.version_1(directory, "worker", client_ca))
end

local revoked = issue(client_ca)
assert(client_ca:revoke(revoked.certificate))
-- One list an authority: several stacks want to see one of each issuer in a chain.
pki.crl = pems(assert(client_ca:crl { days = 20 }), assert(first:crl { days = 20 }), assert(second:crl { days = 20 }),
  assert(old:crl { days = 20 }))

pki.client = {
  good = shown(good),
  good_chain = shown(below, first.certificate),
  shuffled = shown(deep, first.certificate, second.certificate),
  none = {},
  unknown_ca = shown(issue(other_ca)),
  unknown_ca_sent = shown(issue(other_ca), other_ca.certificate),
  self_signed = shown(wrong.make(nil)),
  intermediate_missing = shown(below),
  intermediate_expired = shown(below_old, old.certificate),
  twin = shown(issue(twin_ca)),
  expired = shown(issue(client_ca, { from = -9 * day, to = -2 * day })),
  future = shown(issue(client_ca, { from = 2 * day, to = 9 * day })),
  wrong_usage = shown(issue(client_ca, { usage = "server", names = { { type = "dns", value = "worker.test" } } })),
  sha1 = shown(wrong.make(client_ca, { digest = "SHA1" })),
  version_1 = version_1(),
  revoked = shown(revoked),
  leaf_last = { certificate = pems(first.certificate, below.certificate), key = below.key:pem() },
  other_key = { certificate = good.certificate:pem(), key = below.key:pem() },
}

-- ---- the server ----

local server_ca = authority "Server CA"
local server_first = subordinate(server_ca, "Server Intermediate")
local untrusted_ca = authority "Untrusted Server CA"

pki.server_ca = server_ca.certificate:pem()

local function names(host)
  return {
    { type = "dns", value = host }, { type = "dns", value = "localhost" }, { type = "ip", value = "127.0.0.1" },
  }
end

local function server(ca, host, options)
  options = options or {}
  options.usage, options.name, options.names = options.usage or "server", host, options.names or names(host)
  return issue(ca, options)
end

-- What no authority signs, for a server.
local function odd_server(issuer, host, options)
  local all = { subject = { CN = host }, not_after = now + 30 * day, extended_key_usage = { "server_auth" } }
  for name, value in pairs(options or {}) do all[name] = value end
  return shown(wrong.make(issuer, all))
end

-- By fault; the host NAME.test is served with it, where a stack chooses by SNI.
pki.server = {
  server = shown(server(server_ca, "server.test")),
  ["chain.test"] = shown(server(server_first, "chain.test"), server_first.certificate),
  ["untrusted.test"] = shown(server(untrusted_ca, "untrusted.test")),
  ["untrusted-sent.test"] = shown(server(untrusted_ca, "untrusted-sent.test"), untrusted_ca.certificate),
  ["self-signed.test"] = odd_server(nil, "self-signed.test", { subject_alt_names = names "self-signed.test" }),
  ["expired.test"] = shown(server(server_ca, "expired.test", { from = -9 * day, to = -2 * day })),
  ["future.test"] = shown(server(server_ca, "future.test", { from = 2 * day, to = 9 * day })),
  ["usage.test"] = odd_server(server_ca, "usage.test", {
    subject_alt_names = names "usage.test", extended_key_usage = { "client_auth" },
  }),
  ["no-san.test"] = odd_server(server_ca, "elsewhere.test"),
  ["cn-only.test"] = odd_server(server_ca, "cn-only.test"),
  ["mismatch.test"] = shown(server(server_ca, "elsewhere.test", {
    names = { { type = "dns", value = "elsewhere.test" } },
  })),
  ["intermediate-missing.test"] = shown(server(server_first, "intermediate-missing.test")),
}

return pki

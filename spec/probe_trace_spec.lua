-- What a trace records, beside what its counterpart was told to do.

local certificate = require "tcpki.certificate"
local child = require "spec.support.probe_child"
local core = require "tcpki.probe.core"
local party = require "spec.support.probe_party"
local pki = require "spec.support.probe_pki"
local probe = require "tcpki.probe"
local tcpki = require "tcpki"
local trace = require "tcpki.probe.trace"

local repeats = tonumber(os.getenv "TCPKI_REPEATS") or 20

local function follow(server, leaf, options)
  local all = {
    address = "127.0.0.1", port = tonumber(server.port), server_name = "localhost", seconds = 60,
    roots = pki.server_ca.certificate:pem(), certificate = leaf and leaf.chain:pem(), key = leaf and leaf.key:pem(),
  }
  for name, value in pairs(options or {}) do all[name] = value end
  local tracer <close> = trace.start(all)
  return assert(trace.named(tracer:wait(120)))
end

describe("a trace", function()
  it("tells what TLS agreed on, what it sent and what it was asked for: TLS 1.3", function()
    local server <close> = party.s_server(pki.server, pki.client_ca, "-tls1_3 "
      .. "-ciphersuites TLS_CHACHA20_POLY1305_SHA256 -groups X25519 "
      .. "-client_sigalgs ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256:ed25519")
    local seen = follow(server, pki.stranger)
    assert.equal("TLSv1.3", seen.version)
    assert.equal("TLS_CHACHA20_POLY1305_SHA256", seen.cipher)
    assert.equal("X25519", seen.group)
    assert.equal("h2", seen.alpn)
    assert.equal("localhost", seen.server_name)
    assert.is_false(seen.session_resumed)
    assert.is_true(seen.certificate_requested)
    assert.same({ "ecdsa_secp256r1_sha256", "rsa_pss_rsae_sha256", "ed25519" }, seen.signature_algorithms)
    assert.same({ "CN=Client CA" }, seen.ca_names)
    assert.equal(1, seen.ca_name_count)
    assert.is_false(seen.issuer_listed)
    assert.equal(pki.stranger.certificate:fingerprint(), seen.certificate_sent)
    assert.equal(pki.server.certificate:pem(), seen.chain, "s_server sends the first certificate of -cert")
    assert.same({ ok = true }, seen.verification)
    assert.same({ { from = "server", level = 2, number = 48, name = "unknown_ca", stage = "settings" } }, seen.alerts)
    assert.equal("alert", seen.ended)
    assert.equal("alert", seen.ended_by)
    assert.equal("settings", seen.stage)
  end)

  it("tells what TLS agreed on, what it sent and what it was asked for: TLS 1.2", function()
    local server <close> = party.s_server(pki.server, pki.client_ca,
      "-tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384 -groups P-384 -client_sigalgs ECDSA+SHA384:RSA+SHA256")
    local seen = follow(server, nil)
    assert.equal("TLSv1.2", seen.version)
    assert.equal("ECDHE-ECDSA-AES256-GCM-SHA384", seen.cipher)
    assert.equal("secp384r1", seen.group)
    assert.same({ "ecdsa_secp384r1_sha384", "rsa_pkcs1_sha256" }, seen.signature_algorithms)
    assert.is_false(seen.certificate_sent)
    assert.same({ { from = "server", level = 2, number = 40, name = "handshake_failure", stage = "tls" } }, seen.alerts)
    assert.equal("tls", seen.stage)
    assert.is_true(seen.ended_after > 0)
  end)

  it("tells which of our certificates it could not trust, how deep it stands, and that we said so", function()
    local far = assert(tcpki.authority.new { subject = { CN = "Far Root" }, days = 30 })
    local sub = assert(far:subordinate { subject = { CN = "Near CA" }, days = 10 })
    local leaf = assert(sub:issue { common_name = "localhost", usage = "server", days = 5,
      subject_alt_names = { { type = "dns", value = "localhost" } } })
    local directory = party.directory()
    finally(function() os.execute("rm -rf " .. party.quote(directory)) end)
    assert(tcpki.file.write(directory .. "/near.pem", sub.certificate:pem()))
    local server <close> = party.s_server(leaf, nil, "-cert_chain " .. directory .. "/near.pem")
    local seen = follow(server, pki.good)
    assert.equal("untrusted", seen.ended)
    assert.equal("us", seen.ended_by)
    assert.matches("_", seen.cipher, 1, true)
    assert.same({ ok = false, error = 20, depth = 1, subject = "CN=Near CA",
      message = "unable to get local issuer certificate" }, seen.verification)
    assert.same({ { from = "client", level = 2, number = 48, name = "unknown_ca", stage = "tls" } }, seen.alerts)
    assert.is_false(seen.certificate_sent)
    assert.equal(leaf.certificate:pem() .. sub.certificate:pem(), seen.chain)
  end)

  it("tells a close_notify, a FIN, a reset, silence and a stranger apart", function()
    local function ended(server, options)
      local seen <const> = follow(server, pki.good, options)
      server:close()
      return ("%s %s %s"):format(seen.stage, seen.ended, seen.ended_by), seen
    end
    assert.equal("settings closed close_notify", (ended(party.hostile("good_bye", pki.server, pki.server_ca))))
    assert.equal("settings closed fin", (ended(party.hangs_up(pki.server, pki.client_ca))))
    local where, seen = ended(party.odd "close")
    assert.equal("tls closed fin", where)
    assert.is_nil(seen.version, "nothing was agreed on")
    assert.is_nil(seen.cipher)
    assert.equal("localhost", seen.server_name)
    assert.equal("tls reset rst", (ended(party.odd "reset")))
    assert.equal("tls broken us", (ended(party.odd "http")))
    assert.equal("tls silent silence", (ended(party.odd "silent", { tls_seconds = 0.1 })))
    assert.equal("settings silent silence",
      (ended(party.s_server(pki.server, pki.client_ca), { settings_seconds = 0.1 })))
    where, seen = ended(party.s_server_without_alpn(pki.server, pki.client_ca))
    assert.equal("tls stranger us", where)
    assert.is_nil(seen.alpn)
    where, seen = ended({ port = party.free_port(), close = function() end })
    assert.equal("connect unreached nil", where)
    assert.equal("refused", seen.system)
  end)

  it("loses no alert, also where it has spoken before the server", function()
    local server <close> = party.s_server(pki.server, pki.client_ca, "-tls1_3")
    for _ = 1, repeats do
      local seen = follow(server, pki.expired)
      assert.equal("alert", seen.ended)
      assert.equal("certificate_expired", seen.alerts[1].name)
    end
  end)

  it("tells a name in the SANs from a common name, which gRPC core still takes", function()
    local key = assert(tcpki.key.generate())
    local function frontend(subject, names)
      local made = assert(certificate.make {
        subject = { CN = subject }, public_key = key, subject_alt_names = names, key_usage = { "digital_signature" },
        issuer = pki.server_ca.certificate, issuer_key = pki.server_ca.key,
        not_before = os.time() - pki.day, not_after = os.time() + pki.day,
      })
      return assert(probe.frontend { client_ca = pki.client_ca.certificate, key = key, certificate = made })
    end
    for _, case in ipairs {
      { "san", "frontend", { { type = "dns", value = "localhost" } } },
      { "common_name", "localhost", nil },
      { nil, "localhost", { { type = "dns", value = "frontend" } } },
      { nil, "localhost", { { type = "uri", value = "spiffe://acme/frontend" } } },
      { nil, "frontend", nil },
    } do
      local server <close> = frontend(case[2], case[3])
      local seen = follow({ port = server:port() }, pki.good)
      assert.equal(case[1], seen.name_in)
      assert.equal(case[1] ~= nil, seen.name_matches)
      local result = probe.run(pki.options(pki.good, {
        address = "127.0.0.1:" .. server:port(), server_name = "localhost", trace = "never" }))
      assert.equal(case[1] ~= nil, result.ok, "as gRPC core sees it: " .. tostring(result))
    end
  end)

  it("bounds the names of a list of 64 KB", function()
    local server <close> = party.hostile("ca_names", pki.server, pki.server_ca)
    local seen = follow(server, pki.good)
    assert.is_true(seen.ca_name_count > 2000)
    assert.equal(64, #seen.ca_names)
    assert.equal("CN=CA 0000000", seen.ca_names[1])
  end)

  it("does not outlive the program that started it", function()
    local server <close> = party.odd "silent"
    for _, wait in ipairs { 0, 0.005, 0.05 } do
      local program = child.run([[
        require("tcpki.probe.trace").start { address = "127.0.0.1", port = math.tointeger(tonumber(arg[1])),
          server_name = "localhost", seconds = 60 }
        require("tcpki.probe.core").resolve("127.0.0.1", 1)
        local moment = os.clock() + tonumber(arg[2])
        while os.clock() < moment do end
        os.exit(7)
      ]], server.port, tostring(wait))
      assert.equal("exit 7", program.ended, program.err)
    end
  end)

  it("has no field that is not documented", function()
    local text = assert(tcpki.file.read "lua/tcpki/probe/trace.lua")
    local server <close> = party.s_server(pki.server, pki.client_ca)
    for _, seen in ipairs { follow(server, pki.stranger), follow({ port = 1 }) } do
      for name in pairs(seen) do assert.matches("`" .. name .. "`", text, 1, true) end
    end
  end)
end)

-- ---- HTTP ----

local function frame(kind, flags, stream, payload)
  return string.pack(">I3BBI4", #payload, kind, flags, stream) .. payload
end

describe("a trace of a server that refuses in HTTP", function()
  local function told(bytes)
    local server <close> = party.http2(pki.server, pki.client_ca, { { after = "GetSystemInfo", send = bytes } })
    return follow(server, pki.good, { ask_http = true }).http
  end

  it("brings back the status however it is written, and the beginning of the body", function()
    local page = "No required SSL certificate was sent" .. ("."):rep(2000)
    for block, status in pairs {
      ["\x8c"] = 400, ["\x88"] = 200, ["\x8d\x5f\x01a"] = 404, -- indexed
      ["\x48\x03403"] = 403, ["\x08\x03496"] = 496, ["\x18\x03495"] = 495, -- the name from the table
      ["\x00\x07:status\x03503"] = 503, ["\x40\x07:status\x03502"] = 502, -- both in full
      ["\x48\x82\x68\x01"] = 401, ["\x20\x8e"] = 500, -- Huffman; after a new size of the table
      ["\x48\x82\x6d\xff"] = 0, ["\x82"] = 0, ["\x48\x03a"] = 0, [""] = 0, -- no status
    } do
      local http = told(frame(1, 4, 1, block) .. frame(0, 0, 1, page:sub(1, 700)) .. frame(6, 0, 0, "12345678")
        .. frame(0, 1, 1, page:sub(701)))
      if status == 0 then
        assert.is_nil(http)
      else
        assert.same({ status = status, body = page:sub(1, 1024) }, http)
      end
    end
  end)

  it("takes the end of the stream, a reset or the end of the connection for the end", function()
    assert.same({ status = 400, body = "" }, told(frame(1, 5, 1, "\x8c")))
    assert.same({ status = 400, body = "" }, told(frame(1, 4, 1, "\x8c") .. frame(3, 0, 1, "\0\0\0\1")))
    assert.same({ status = 400, body = "x" }, told(frame(1, 0xC, 1, "\2\x8c\0\0") .. frame(0, 1, 1, "x")),
      "padded")
  end)
end)

describe("the traces", function()
  it("are all over", function()
    collectgarbage()
    assert.equal(0, core.live())
  end)
end)

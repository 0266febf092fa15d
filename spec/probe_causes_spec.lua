-- Causes that a server has to be odd for: each provoked by a counterpart, with what the user is told.

local tcpki = require "tcpki"
local answers = require "tcpki.probe.judge.answers"
local context = require "tcpki.probe.context"
local openssl = require "spec.support.openssl"
local party = require "spec.support.probe_party"
local pki = require "spec.support.probe_pki"
local probe = require "tcpki.probe"
local temporary = require "spec.support.temporary"
local wrong = require "spec.support.wrong"
local duration = require("tcpki.probe.report").duration

local function run(address, leaf, options)
  local all = { address = address }
  for name, value in pairs(options or {}) do all[name] = value end
  return probe.run(pki.options(leaf, all))
end

-- ---- HTTP/2, as far as a server needs it that says a thing or two: RFC 9113; RFC 7541, 6.2.2 ----

local function frame(kind, flags, stream, payload)
  return string.pack(">I3BBI4", #payload, kind, flags, stream) .. payload
end

local DATA, HEADERS, RST_STREAM, GOAWAY = 0, 1, 3, 7
local END_STREAM, END_HEADERS = 1, 4

local function headers(stream, flags, list)
  local parts = {}
  for i, header in ipairs(list) do parts[i] = "\0" .. string.pack("s1s1", header[1], tostring(header[2])) end
  return frame(HEADERS, END_HEADERS | flags, stream, table.concat(parts))
end

local http_ok, content_type = { ":status", 200 }, { "content-type", "application/grpc" }

-- A call that is answered by nothing but a status.
local function status(stream, code, message)
  return headers(stream, END_STREAM, { http_ok, content_type, { "grpc-status", code }, { "grpc-message", message } })
end

-- A call that is answered by a message.
local function answer(stream, message)
  return headers(stream, 0, { http_ok, content_type }) .. frame(DATA, 0, stream, string.pack(">Bs4", 0, message))
    .. headers(stream, END_STREAM, { { "grpc-status", 0 } })
end

-- Probes a server that says one thing once it has heard of GetSystemInfo.
local function told(bytes, options)
  local server <close> = party.http2(pki.server, pki.client_ca, { { after = "GetSystemInfo", send = bytes } })
  return run(server.address, pki.good, options)
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

  it("is named where it wants an API key", function()
    local result = told(status(1, 16, "Jwt is missing"))
    assert.equal("api_key_endpoint", result.cause, tostring(result))
    assert.same({ code = 16, name = "UNAUTHENTICATED", message = "Jwt is missing" }, result.grpc)
    assert.is_true(result.authenticated, "TLS let the certificate in")
    assert.is_true(result.certain)
    assert.matches("is an endpoint for API keys, which a certificate does not open: Jwt is missing.", result.message, 1,
      true)
    result = told(status(1, 16, "no such user"))
    assert.equal("unauthenticated", result.cause, tostring(result))
    assert.matches("credentials other than a certificate: no such user.", result.message, 1, true)
  end)

  it("is named where it is another gRPC service", function()
    local result = told(status(1, 12, "unknown service temporal.api.workflowservice.v1.WorkflowService"))
    assert.equal("unimplemented", result.cause, tostring(result))
    assert.is_true(result.authenticated)
    assert.matches("does not know GetSystemInfo: unknown service", result.message, 1, true)
  end)

  it("is named where the namespace is at its limit", function()
    local server <close> = party.http2(pki.server, pki.client_ca, {
      { after = "GetSystemInfo", send = answer(1, "") },
      { after = "DescribeNamespace", send = status(3, 8, "namespace rate limit exceeded") },
    })
    local result = run(server.address, pki.good, { namespace = "payments" })
    assert.equal("resource_exhausted", result.cause, tostring(result))
    assert.equal("namespace", result.stage)
    assert.is_true(result.authenticated)
    assert.matches("no capacity for DescribeNamespace: namespace rate limit exceeded.", result.message, 1, true)
  end)

  it("is named where nothing stands behind it, and where its health is bad", function()
    local result = told(status(1, 14, "no healthy upstream"))
    assert.equal("unavailable", result.cause, tostring(result))
    assert.is_true(result.authenticated)
    assert.matches("cannot serve GetSystemInfo: no healthy upstream.", result.message, 1, true)
    local server <close> = party.http2(pki.server, pki.client_ca, {
      { after = "GetSystemInfo", send = answer(1, "") },
      { after = "Health/Check", send = answer(3, "\8\2") }, -- status: NOT_SERVING
    })
    result = run(server.address, pki.good, { health = true })
    assert.equal("unavailable", result.cause, tostring(result))
    assert.equal("NOT_SERVING", result.health)
    assert.is_true(result.authenticated)
  end)

  it("is named where it fails otherwise, and is believed where it said so itself", function()
    local result = told(status(1, 3, "Unable to parse client version: x"))
    assert.equal("rpc_failed", result.cause, tostring(result))
    assert.is_true(result.authenticated)
    assert.is_true(result.certain)
    assert.matches("GetSystemInfo failed with INVALID_ARGUMENT: Unable to parse", result.message, 1, true)
    assert.matches("status in the server's documentation", result.hint, 1, true)
    for _, broken in ipairs {
      frame(RST_STREAM, 0, 1, string.pack(">I4", 7)), -- REFUSED_STREAM
      frame(GOAWAY, 0, 0, string.pack(">I4I4", 0, 2)), -- INTERNAL_ERROR
    } do
      result = told(broken, { trace = "never" })
      assert.equal("rpc_failed", result.cause, tostring(result))
      assert.is_false(result.authenticated)
      assert.is_false(result.certain)
      -- whose documentation has nothing to say of what our own library made up
      assert.matches("log of the server", result.hint, 1, true)
    end
  end)

  it("is named where it refuses the certificate in HTTP, as nginx does", function()
    local page = "<html><head><title>400 The SSL certificate error</title></head>\r\n<body>\r\n"
      .. "<center><h1>400 Bad Request</h1></center>\r\n<center>The SSL certificate error</center>\r\n</body></html>"
    local bytes = headers(1, 0, { { ":status", 400 }, { "content-type", "text/html" } })
      .. frame(DATA, END_STREAM, 1, page)
    -- s_server serves the first connection; the words are those of the trace's, which comes second.
    local server <close> = party.http2(pki.server, pki.client_ca, { { after = "GetSystemInfo", send = bytes } })
    local result = run(server.address, pki.good, { trace = "never" })
    assert.equal("http_400_certificate", result.cause, tostring(result))
    assert.is_false(result.certain)
    assert.is_false(result.authenticated)
    assert.equal("settings", result.stage)
    local function judged(leaf, body)
      local trace = { certificate_requested = true, issuer_listed = true, ca_name_count = 1, ca_names = {},
        ended = "settings", stage = "settings" }
      local known = context.of({ material = { certificates = { leaf and leaf.certificate } } }, nil, trace, os.time())
      return answers.of_http(known, trace, 400, body)
    end
    local word, about = judged(pki.good, page)
    assert.equal("http_400_certificate", word)
    assert.same({ "client_ca_twin", "client_revoked" }, about.candidates)
    assert.matches("HTTP 400: 400 Bad Request The SSL certificate error.", about.evidence, 1, true)
    assert.equal("client_expired", (judged(pki.expired, page)))
    assert.equal("no_client_certificate", (judged(nil, "400 No required SSL certificate was sent")))
    assert.equal("not_grpc", (judged(pki.good, "400 Request Header Or Cookie Too Large")))
  end)

  it("is named where it is no gRPC: a proxy, a page, other bytes, another message", function()
    local result = told(headers(1, END_STREAM, { { ":status", 503 }, { "content-type", "text/html" } }),
      { trace = "never" })
    assert.equal("proxy_refused", result.cause, tostring(result))
    assert.is_false(result.authenticated)
    assert.matches("answered for it: HTTP 503.", result.message, 1, true)
    result = told(headers(1, END_STREAM, { { ":status", 404 }, { "content-type", "text/html" } }), { trace = "never" })
    assert.equal("not_grpc", result.cause, tostring(result))
    assert.matches("status: 404", result.message, 1, true)
    result = told(answer(1, "rubbish"))
    assert.equal("not_grpc", result.cause, tostring(result))
    assert.matches("GetSystemInfo was answered with another message", result.message, 1, true)
    local server <close> = party.s_server(pki.server, pki.client_ca, "-rev")
    result = run(server.address, pki.good)
    assert.equal("not_grpc", result.cause, tostring(result))
    assert.equal("settings", result.stage)
    assert.matches("it answered with other bytes", result.message, 1, true)
  end)
end)

-- ---- the server's certificate ----

local localhost = { { type = "dns", value = "localhost" }, { type = "ip", value = "127.0.0.1" } }
local now = os.time()

-- A server's leaf of the server CA, or of another issuer; false: self-signed.
local function make(options, issuer)
  local all = { subject = { CN = "localhost" }, extended_key_usage = false }
  for name, value in pairs(options) do all[name] = value end
  if issuer == nil then issuer = pki.server_ca end
  return wrong.make(issuer or nil, all)
end

local function frontend(leaf)
  return assert(probe.frontend {
    certificate = leaf.chain, key = leaf.key, client_ca = pki.client_ca.certificate,
  })
end

describe("a server whose certificate is not accepted", function()
  local directory
  setup(function() directory = temporary.directory() end)
  teardown(function() directory:remove() end)

  local function tls(word, leaf, options)
    local server <close> = frontend(leaf)
    local result = run(server:address(), pki.good, options)
    assert.equal(word, result.cause, tostring(result))
    assert.equal("tls", result.stage)
    assert.is_false(result.authenticated)
    assert.is_true(result.certain)
    assert.is_nil(result.disagreement)
    return result
  end

  it("is named where it signed the certificate itself, and is let in where that one is trusted", function()
    local leaf = make({ subject_alt_names = localhost }, false)
    local result = tls("server_self_signed", leaf)
    assert.matches("CN=localhost is self-signed", result.message, 1, true)
    local server <close> = frontend(leaf)
    assert.equal("ok", run(server:address(), pki.good, { server_ca = leaf.certificate:pem() }).cause)
  end)

  it("is named where the certificate is not valid yet", function()
    tls("server_not_yet_valid", make { subject_alt_names = localhost, not_before = now + pki.day / 2 })
  end)

  it("is named where the certificate is for clients", function()
    tls("server_wrong_usage", make { subject_alt_names = localhost, extended_key_usage = { "client_auth" } })
  end)

  it("is told where it may lack its intermediate", function()
    local issuing = assert(pki.server_ca:subordinate { subject = { CN = "Issuing CA" }, days = 10 })
    local leaf = assert(issuing:issue { common_name = "localhost", usage = "server", days = 5,
      subject_alt_names = localhost })
    local alone = { chain = leaf.certificate, key = leaf.key }
    local server <close> = frontend(alone)
    local result = run(server:address(), pki.good)
    assert.equal("server_intermediate_missing", result.cause, tostring(result))
    assert.is_false(result.certain)
    assert.same({ "server_intermediate_missing", "server_ca_untrusted" }, result.candidates)
    assert.matches("does not send the certificate of CN=Issuing CA, which issued its certificate CN=localhost",
      result.message, 1, true)
    assert.matches("Append the certificate of CN=Issuing CA to the server's certificate file", result.hint, 1, true)
    -- It is certain where the certificate is found elsewhere.
    result = run(server:address(), pki.good, { accepted = issuing.certificate })
    assert.equal("server_intermediate_missing", result.cause, tostring(result))
    assert.is_true(result.certain)
    -- Of a root that is not trusted the same is seen.
    local stranger <close> = frontend(pki.server)
    result = run(stranger:address(), pki.good, { server_ca = pki.other_ca.certificate })
    assert.equal("server_ca_untrusted", result.cause)
    assert.same({ "server_ca_untrusted", "server_intermediate_missing" }, result.candidates)
    local chained <close> = frontend { chain = assert(tcpki.bundle.new { pki.server.certificate,
      pki.server_ca.certificate }), key = pki.server.key }
    result = run(chained:address(), pki.good, { server_ca = pki.other_ca.certificate })
    assert.equal("server_ca_untrusted", result.cause)
    assert.is_true(result.certain)
  end)

  it("is told from one of a CA of the same name", function()
    local twin = assert(tcpki.authority.new { subject = { CN = "Server CA" }, days = 10 })
    local server <close> = frontend(pki.server)
    local result = run(server:address(), pki.good, { server_ca = twin.certificate })
    assert.equal("server_ca_untrusted", result.cause, tostring(result))
    assert.is_true(result.certain)
    assert.matches("the CA given with the name CN=Server CA has another key", result.message, 1, true)
  end)

  it("is named where an intermediate of it is signed with SHA-1", function()
    local weak = wrong.subordinate(pki.server_ca, { digest = "SHA1" })
    local leaf = wrong.make(weak, { subject = { CN = "localhost" }, subject_alt_names = localhost,
      extended_key_usage = { "server_auth" } })
    local server <close> = party.s_server({ chain = leaf.certificate, key = leaf.key }, nil,
      "-cert_chain " .. party.quote(directory:file(nil, weak.certificate:pem())) .. " -cipher DEFAULT@SECLEVEL=0")
    local result = run(server.address, pki.good)
    assert.equal("server_weak_signature", result.cause, tostring(result))
    assert.is_true(result.certain)
    assert.matches("CN=Issuing CA is signed or keyed too weakly", result.message, 1, true)
  end)

  it("is named where the certificate has no names", function()
    local result = tls("server_no_san", make { subject = { CN = "temporal.example" } },
      { server_name = "frontend.example" })
    assert.matches("cannot bear the name frontend.example", result.message, 1, true)
  end)
end)

describe("a server that goes away", function()
  it("is named where it is another kind of server", function()
    local server <close> = party.odd "ssh"
    local result = run(server.address, pki.good)
    assert.equal("tls_to_wrong_port", result.cause, tostring(result))
    assert.equal("tls", result.stage)
    assert.is_true(result.certain)
    assert.matches("is no Temporal frontend: it answered with the greeting of SSH", result.message, 1, true)
    assert.matches("7233", result.hint, 1, true)
  end)

  it("is told from a private link that is called by its own name", function()
    local server <close> = party.odd "reset"
    local result = run(server.address, pki.good,
      { server_name = "vpce-0a1b-xyz.vpce-svc-1.us-east-1.vpce.amazonaws.com" })
    assert.equal("sni_refused", result.cause, tostring(result))
    assert.is_false(result.certain)
    assert.same({ "sni_refused", "reset" }, result.candidates)
  end)

  it("is named where it does not agree on HTTP/2", function()
    local server <close> = party.s_server_without_alpn(pki.server, pki.client_ca)
    local result = run(server.address, pki.good)
    assert.equal("no_alpn", result.cause, tostring(result))
    assert.is_true(result.certain)
  end)

  it("is named where it serves nobody by that name", function()
    local directory = party.directory()
    finally(function() os.execute("rm -rf " .. party.quote(directory)) end)
    assert(pki.server.chain:write(directory .. "/other.pem"))
    assert(pki.server.key:write(directory .. "/other.key"))
    local server <close> = party.s_server(pki.server, pki.client_ca,
      ("-servername payments.example -servername_fatal -cert2 %s/other.pem -key2 %s/other.key"):format(directory,
        directory))
    local result = run(server.address, pki.good, { server_name = "localhost" })
    assert.equal("sni_refused", result.cause, tostring(result))
    assert.matches("nobody by the name localhost", result.message, 1, true)
    assert.is_true(result.certain)
  end)

  it("is named where it hangs up after TLS, whether it has looked at a certificate or not", function()
    local server <close> = party.hangs_up(pki.server)
    local result = run(server.address, pki.good)
    assert.equal("closed_after_tls", result.cause, tostring(result))
    assert.equal("settings", result.stage)
    assert.is_false(result.authenticated)
    local asking <close> = party.hangs_up(pki.server, pki.client_ca)
    result = run(asking.address, pki.good)
    assert.equal("client_refused", result.cause, tostring(result))
    assert.is_false(result.certain)
    assert.is_false(result.authenticated)
  end)

  it("is named where it does not answer at all", function()
    local server <close> = party.odd "full"
    local result = run(server.address, pki.good, { timeout = 3 })
    assert.equal("unreachable", result.cause, tostring(result))
    assert.equal("connect", result.stage)
    assert.is_true(result.certain)
    -- Without a trace, gRPC core's silence is all there is.
    result = run(server.address, pki.good, { timeout = 0.5, trace = "never" })
    assert.is_false(result.certain)
    assert.is_true(require("tcpki.options").has(result.candidates, "unreachable"))
  end)
end)

describe("a client certificate", function()
  it("that OpenSSL does not send is named before the server sees it", function()
    local server <close> = frontend(pki.server)
    for what, leaf in pairs {
      ["md too weak"] = make({ digest = "SHA1" }, pki.client_ca),
      ["key too small"] = make({ key = assert(tcpki.key.parse(openssl.run "genrsa 1024")) }, pki.client_ca),
    } do
      local result = run(server:address(), leaf)
      assert.equal("client_weak_signature", result.cause, tostring(result))
      assert.equal("input", result.stage)
      assert.matches(what, result.message, 1, true)
    end
  end)
end)

describe("what a server says", function()
  it("does not act on the terminal of who reads it", function()
    local evil = "no%1B[31mred%0Aauthenticated: yes%0D%00x%C2%9Bé%FF"
    local result = told(status(1, 7, evil))
    assert.equal("filter_mismatch", result.cause)
    assert.same({ "filter_mismatch", "permission_denied" }, result.candidates)
    assert.equal("no\27[31mred\nauthenticated: yes\r\0x\xC2\x9Bé\xFF", result.grpc.message, "it is kept as it is")
    assert.matches([[: no\1B[31mred authenticated: yes \00x\C2\9B\C3\A9\FF.]], result.message, 1, true)
    assert.not_matches("[%c\x7F-\xFF]", (tostring(result):gsub("\n", ""):gsub("·", "")))
    -- GetSystemInfoResponse.server_version
    result = told(answer(1, string.pack("Bs1", 10, "1.0\27[2J")))
    assert.is_true(result.ok)
    assert.matches([[Temporal 1.0\1B[2J]], tostring(result), 1, true)
  end)

  it("does not, where it is in a certificate that nobody trusts", function()
    local name = "\27[2Jx"
    local der = string.pack("Bs1", 0x30, string.pack("Bs1", 0x82, name))
    local leaf = make { extensions = { { oid = "2.5.29.17", der = der } } }
    local server <close> = frontend(leaf)
    local result = run(server:address(), pki.good)
    assert.equal("server_name_mismatch", result.cause, tostring(result))
    assert.matches([[it bears \1B[2Jx.]], result.message, 1, true)
  end)
end)

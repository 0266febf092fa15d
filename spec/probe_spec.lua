local tcpki = require "tcpki"
local probe = require "tcpki.probe"
local address = require "tcpki.probe.address"
local causes = require "tcpki.probe.causes"
local context = require "tcpki.probe.context"
local input = require "tcpki.probe.input"
local judge = require "tcpki.probe.judge"
local manglings = require "spec.support.manglings"
local pki = require "spec.support.probe_pki"
local party = require "spec.support.probe_party"
local child = require "spec.support.probe_child"

local function run(where, leaf, options)
  local all = pki.options(leaf, options)
  all.address = where
  return probe.run(all)
end

-- The word, 20 times of 20; refusals are races between a close, an alert and a reset. A run under
-- a sanitizer, where a probe takes a hundred times as long, may ask for fewer.
local repeats = tonumber(os.getenv "TCPKI_REPEATS") or 20

local function always(expected, where, leaf, options)
  local last
  for attempt = 1, repeats do
    last = run(where, leaf, options)
    assert.equal(expected, last.cause, ("attempt %d: %s"):format(attempt, tostring(last)))
    assert.equal(expected == "ok", last.ok)
  end
  return last
end

describe("a probe of the embedded frontend", function()
  local server

  setup(function()
    server = assert(probe.frontend {
      certificate = pki.server.chain, key = pki.server.key, client_ca = pki.client_ca.certificate,
      namespaces = { "payments" },
    })
  end)

  teardown(function() server:close() end)

  it("authenticates, and says with whom", function()
    local result = always("ok", server:address(), pki.good, { namespace = "payments" })
    assert.is_true(result.authenticated)
    assert.is_true(result.certain)
    assert.equal("namespace", result.stage)
    assert.same({ code = 0, name = "OK", message = "" }, result.grpc)
    assert.equal("payments", result.namespace.name)
    assert.equal(server:address(), result.peer_address)
    assert.equal("CN=worker", result.certificate.subject)
    assert.equal(pki.good.certificate:fingerprint(), result.certificate.fingerprint)
    assert.equal(pki.server.certificate:der(), result.peer.certificates[1]:der())
    assert.is_nil(result.trace)
    assert.is_nil(result.disagreement)
    assert.equal(1, #result.attempts)
  end)

  it("tells the time of each stage in seconds", function()
    local timings = run(server:address(), pki.good, { namespace = "payments" }).timings
    local sum = 0
    for _, stage in ipairs { "resolve", "ready", "rpc", "namespace" } do
      assert.is_true(timings[stage] >= 0, stage)
      sum = sum + timings[stage]
    end
    assert.is_true(sum <= timings.total)
  end)

  it("takes objects, text and paths alike", function()
    local directory <close> = setmetatable({ path = party.directory() }, {
      __close = function(self) os.execute("rm -rf " .. party.quote(self.path)) end,
    })
    local function put(name, text)
      assert(tcpki.file.write(directory.path .. "/" .. name, text))
      return directory.path .. "/" .. name
    end
    assert.is_true(probe.run {
      address = server:address(), server_ca = pki.server_ca.certificate,
      certificate = pki.good.chain, key = pki.good.key,
    }.ok)
    assert.is_true(probe.run {
      address = server:address(),
      server_ca = assert(tcpki.bundle.new { pki.server_ca.certificate }),
      certificate = pki.good.certificate, key = pki.good.key,
    }.ok)
    assert.is_true(probe.run {
      address = server:address(), server_ca_path = put("ca.pem", pki.server_ca.certificate:pem()),
      certificate_path = put("leaf.pem", pki.good.chain:pem()),
      key_path = put("leaf.key", pki.good.key:pem()),
    }.ok)
    -- as some tools write it: both in one file
    local both = put("both.pem", pki.good.key:pem() .. pki.good.chain:pem())
    assert.is_true(probe.run {
      address = server:address(), server_ca_path = directory.path .. "/ca.pem",
      certificate_path = both, key_path = both,
    }.ok)
    assert.is_true(probe.run {
      address = server:address(), server_ca_path = directory.path .. "/ca.pem",
      certificate_path = both,
    }.ok)
  end)

  it("takes the traditional form of a key", function()
    local result = run(server:address(), pki.good,
      { key = pki.good.key:pem { format = "traditional" } })
    assert.is_true(result.ok, tostring(result))
  end)

  it("opens an encrypted key", function()
    -- openssl's, and with few iterations: it is not the arithmetic that is tried here
    local directory = party.directory()
    assert(tcpki.file.write(directory .. "/plain.key", pki.good.key:pem()))
    assert(os.execute(("openssl pkcs8 -topk8 -v2 aes-256-cbc -iter 2048 -in %s/plain.key "
      .. "-out %s/encrypted.key -passout 'pass:open sesame'"):format(directory, directory)))
    local encrypted = assert(tcpki.file.read(directory .. "/encrypted.key"))
    assert(tcpki.file.write(directory .. "/passphrase", "open sesame\n"))
    local function cause(options)
      options.key = encrypted
      return run(server:address(), pki.good, options).cause
    end
    assert.equal("ok", cause { passphrase = "open sesame" })
    assert.equal("ok", cause { passphrase = function() return "open sesame" end })
    assert.equal("ok", cause { passphrase_file = directory .. "/passphrase" })
    assert.equal("key_encrypted", cause {})
    assert.equal("bad_passphrase", cause { passphrase = "close sesame" })
    assert.equal("file_missing", cause { passphrase_file = "/nowhere/at/all" })
    assert.equal("ok", run(server:address(), pki.good, {
      key = assert(pki.good.key:pem { format = "traditional", passphrase = "open sesame" }),
      passphrase = "open sesame",
    }).cause)
    os.execute("rm -rf " .. party.quote(directory))
  end)

  it("checks the health of a service on request", function()
    local result = run(server:address(), pki.good, { health = true })
    assert.equal("SERVING", result.health)
    assert.is_true(result.timings.health >= 0)
    assert.is_nil(run(server:address(), pki.good).health)
    assert.equal("SERVING", run(server:address(), pki.good, { health = "" }).health)
  end)

  it("traces always on request, and agrees with gRPC core", function()
    for _ = 1, repeats do
      local result = run(server:address(), pki.good, { trace = "always" })
      assert.is_true(result.ok)
      assert.is_nil(result.disagreement)
      local trace = result.trace
      assert.equal("settings", trace.ended)
      assert.equal("TLSv1.3", trace.version)
      assert.equal("h2", trace.alpn)
      assert.is_true(trace.certificate_requested)
      assert.equal(pki.good.certificate:fingerprint(), trace.certificate_sent)
      assert.same({ "CN=Client CA" }, trace.ca_names)
      assert.is_true(trace.issuer_listed)
      assert.is_true(trace.verification.ok)
      assert.is_false(trace.session_resumed)
      assert.same({}, trace.alerts)
      assert.equal(pki.server.chain[1]:pem(), trace.chain:sub(1, #pki.server.chain[1]:pem()))
    end
  end)

  it("never says authenticated of a refused certificate", function()
    for _, case in ipairs {
      { "no_client_certificate", nil, true }, { "client_expired", pki.expired, true },
      -- A leaf alone: its issuer may be a root that is not known, or an intermediate that is missing.
      { "client_ca_unknown", pki.stranger, false }, { "client_not_yet_valid", pki.future, true },
    } do
      local result = always(case[1], server:address(), case[2])
      assert.is_false(result.authenticated)
      assert.equal(case[3], result.certain)
      assert.equal("settings", result.stage)
      assert.equal("UNAVAILABLE", result.grpc.name)
      assert.equal("closed", result.trace.ended)
      assert.is_nil(result.disagreement)
    end
  end)

  it("names a CA of the same name as a possibility only", function()
    local result = always("client_refused", server:address(), pki.twin)
    assert.is_false(result.certain)
    assert.same({ "client_ca_twin", "client_revoked" }, result.candidates)
    assert.matches("client_ca_twin", tostring(result))
  end)

  it("is certain of a usage that the server does not name: none passes over it that sends no alert", function()
    local result = always("client_wrong_usage", server:address(), pki.wrong_usage)
    assert.is_true(result.certain)
  end)

  it("does not trust a server of another CA", function()
    local result = always("server_ca_untrusted", server:address(), pki.good,
      { server_ca = pki.other_ca.certificate:pem() })
    assert.equal("tls", result.stage)
    assert.matches("Pass as server_ca", result.hint)
    assert.equal("CN=localhost", result.trace.verification.subject)
    assert.is_false(result.trace.certificate_sent) -- nothing of ours for a stranger
    assert.equal("server_ca_untrusted",
      run(server:address(), pki.good, { server_ca = false }).cause)
  end)

  it("takes an intermediate for an anchor, as gRPC core does", function()
    local sub = assert(pki.server_ca:subordinate { subject = { CN = "Issuing CA" }, days = 10 })
    local leaf = assert(sub:issue {
      common_name = "localhost", usage = "server", days = 5,
      subject_alt_names = { { type = "dns", value = "localhost" } },
    })
    local chained <close> = assert(probe.frontend {
      certificate = leaf.chain, key = leaf.key, client_ca = pki.client_ca.certificate,
    })
    for _, anchor in ipairs { pki.server_ca.certificate, sub.certificate, leaf.certificate } do
      local result = run(chained:address(), pki.good,
        { server_ca = anchor, server_name = "localhost", trace = "always" })
      assert.is_true(result.ok, tostring(result))
      assert.is_nil(result.disagreement)
    end
  end)

  it("does not take a server by another name", function()
    local result = always("server_name_mismatch", server:address(), pki.good,
      { server_name = "frontend.example" })
    assert.matches("does not bear the name frontend.example: it bears localhost, 127.0.0.1",
      result.message, 1, true)
    assert.is_true(run(server:address(), pki.good, { server_name = "localhost" }).ok)
  end)

  it("finds that a namespace is missing, with the certificate accepted", function()
    local result = always("namespace_not_found", server:address(), pki.good,
      { namespace = "nobody" })
    assert.is_true(result.authenticated)
    assert.equal("namespace", result.stage)
    assert.equal("NOT_FOUND", result.grpc.name)
    assert.equal("temporal.api.errordetails.v1.NamespaceNotFoundFailure", result.grpc.detail_type)
    assert.equal("nobody", result.grpc.detail)
    assert.matches("^authenticated, but namespace_not_found\n", tostring(result))
  end)

  it("judges from gRPC core's words where it may not trace", function()
    local function judged(leaf, options)
      options = options or {}
      options.trace = "never"
      local result = run(server:address(), leaf, options)
      assert.is_nil(result.trace)
      return result.cause, result.certain
    end
    assert.same({ "client_expired", false }, { judged(pki.expired) })
    assert.same({ "client_refused", false }, { judged(pki.stranger) })
    assert.same({ "no_client_certificate", false }, { judged(nil) })
    assert.equal("server_ca_untrusted",
      (judged(pki.good, { server_ca = pki.other_ca.certificate:pem() })))
    assert.equal("server_name_mismatch", (judged(pki.good, { server_name = "frontend.example" })))
  end)

  it("tries the addresses of a name in turn", function()
    -- ::1 comes first on most systems, and nobody listens there
    local result = run("localhost:" .. server:port(), pki.good)
    assert.is_true(result.ok, tostring(result))
    local last = result.attempts[#result.attempts]
    assert.equal("ok", last.cause)
    for i = 1, #result.attempts - 1 do assert.equal("refused", result.attempts[i].cause) end
  end)
end)

describe("a probe of openssl s_server", function()
  for _, tls in ipairs { "-tls1_3", "-tls1_2" } do
    it("names each refusal, 20 times of 20: " .. tls, function()
      local server <close> = party.s_server(pki.server, pki.client_ca, tls)
      for _, case in ipairs {
        { "no_client_certificate", nil, tls == "-tls1_3" and 116 or 40 },
        { "client_ca_unknown", pki.stranger, 48 },
        { "client_expired", pki.expired, 45 },
        { "client_wrong_usage", pki.wrong_usage, 43 },
        { "client_not_yet_valid", pki.future, 42 },
      } do
        local result = always(case[1], server.address, case[2])
        assert.equal("alert", result.trace.ended)
        assert.equal(case[3], result.trace.alerts[1].number)
        assert.equal("server", result.trace.alerts[1].from)
        assert.equal(causes[case[1]].word, result.cause)
        assert.is_nil(result.disagreement)
      end
    end)
  end

  it("finds an expired server certificate", function()
    local server <close> = party.s_server(pki.server_expired, nil, "")
    local result = always("server_expired", server.address, pki.good)
    assert.is_true(result.certain)
  end)

  it("finds TLS without HTTP/2", function()
    local server <close> = party.s_server(pki.server, nil, "-alpn http/1.1")
    assert.equal("no_h2", run(server.address, pki.good).cause)
  end)

  it("finds a server that speaks no TLS that gRPC core allows", function()
    local server <close> = party.s_server(pki.server, nil, "-tls1_1 -cipher ALL@SECLEVEL=0")
    assert.equal("tls_version", run(server.address, pki.good).cause)
  end)

  it("speaks first where the server does not, and finds it silent after TLS", function()
    -- s_server serves one connection at a time: this is the trace alone
    local server <close> = party.s_server(pki.server, pki.client_ca, "")
    local tracer <close> = require("tcpki.probe.core").trace {
      address = "127.0.0.1", port = tonumber(server.port), server_name = "localhost", seconds = 1,
      roots = pki.server_ca.certificate:pem(), certificate = pki.good.chain:pem(),
      key = pki.good.key:pem(),
    }
    local trace = tracer:wait(30)
    assert.equal("silent", trace.ended)
    assert.equal("settings", trace.stage)
    assert.is_true(trace.spoke_first)
    local known = context.of({ material = { certificates = {} } }, nil, trace, os.time())
    assert.equal("silent_after_tls", (judge.attempt(known, { trace = trace })))
  end)

  it("names a server that serves somebody else, and leaves it", function()
    local server <close> = party.s_server(pki.server, pki.client_ca, "")
    local result = run(server.address, pki.good, { timeout = 1 })
    assert.equal("silent_before_tls", result.cause, tostring(result))
    assert.equal("DEADLINE_EXCEEDED", result.grpc.name)
  end)
end)

describe("a probe of something else", function()
  local function cause_of(kind, options)
    local server <close> = party.odd(kind)
    local result = run(server.address, pki.good, options)
    assert.is_false(result.ok)
    return result.cause, result
  end

  it("names a port that nobody listens on", function()
    local where = "127.0.0.1:" .. party.free_port()
    local result = always("refused", where, pki.good)
    assert.equal("connect", result.stage)
    assert.equal("refused", run(where, pki.good, { trace = "never" }).cause)
  end)

  it("names a server that never answers, within the timeout", function()
    local started = os.time()
    local cause, result = cause_of("silent", { timeout = 1 })
    assert.equal("silent_before_tls", cause)
    assert.equal("tls", result.stage)
    assert.is_true(os.time() - started < 30)
    assert.matches("accepted the connection and did not finish", result.message, 1, true)
    cause, result = cause_of("silent", { timeout = 0.5, trace = "never" })
    assert.equal("silent_before_tls", cause)
    assert.matches("may have accepted the connection, and did not finish", result.message, 1, true)
  end)

  it("names a server that closes, resets, or speaks in plain", function()
    assert.equal("closed_at_once", (cause_of "close"))
    assert.equal("reset", (cause_of "reset"))
    assert.equal("plaintext_server", (cause_of "http"))
    local cause, result = cause_of "h2c"
    assert.equal("plaintext_server", cause)
    assert.matches("HTTP/2 without TLS", result.message)
    assert.equal("plaintext_server", (cause_of("http", { trace = "never" })))
  end)

  it("ends with a cause where the server sends rubbish, or drips for ever", function()
    assert.equal("tls_failed", (cause_of "garbage"))
    local cause = cause_of("drip", { timeout = 1 })
    assert.is_true(cause == "silent_before_tls" or cause == "tls_failed", cause)
  end)

  it("names a host that does not resolve", function()
    local result = run("no-such-host.invalid:7233", pki.good)
    assert.equal("unknown_host", result.cause)
    assert.equal("resolve", result.stage)
    assert.matches("no%-such%-host%.invalid", result.message)
  end)
end)

describe("the input of a probe", function()
  local pem = pki.good.chain:pem()
  local key = pki.good.key:pem()

  local function refused(options)
    local result = run("127.0.0.1:1", pki.good, options)
    assert.is_false(result.ok)
    assert.equal("input", result.stage, tostring(result))
    assert.is_nil(result.grpc)
    assert.is_not_nil(result.hint)
    return result.cause, result.message
  end

  it("is refused with a word for each fault, before anything is sent", function()
    local encrypted = assert(pki.good.key:pem { format = "traditional", passphrase = "x" })
    for _, case in ipairs {
      { "key_mismatch", { key = pki.stranger.key:pem() } },
      { "key_missing", { key = false } },
      { "key_encrypted", { key = encrypted } },
      { "file_empty", { certificate = "" } },
      { "file_empty", { key = "" } },
      { "file_empty", { server_ca = "" } },
      { "bad_pem", { certificate = "rubbish" } },
      { "bad_pem", { certificate = pem:sub(1, 200) } },
      { "bad_pem", { certificate = pem:gsub("M", "!", 1) } },
      { "bad_pem", { key = "rubbish" } },
      { "bad_pem", { server_ca = "rubbish" } },
      { "bad_pem", { certificate = pem .. "\0" } },
      { "bad_pem", { key = assert(pki.good.key:public()):pem() } },
      { "pem_literal_newlines", { certificate = pem:gsub("\n", "\\n") } },
      { "pem_literal_newlines", { key = key:gsub("\n", "\\n") } },
      { "file_is_der", { certificate = pki.good.certificate:der() } },
      { "file_is_der", { key = pki.good.key:der() } },
      { "file_holds_key", { certificate = key } },
      { "file_holds_key", { server_ca = key } },
      { "file_holds_certificate", { key = pem } },
      { "chain_order", { certificate = pki.client_ca.certificate:pem() .. pem } },
    } do
      assert.equal(case[1], (refused(case[2])), case[1])
    end
  end)

  it("is refused with the name of the file", function()
    local cause, message = refused { certificate = false, certificate_path = "/nowhere/leaf.pem" }
    assert.equal("file_missing", cause)
    assert.matches("/nowhere/leaf.pem", message, 1, true)
    cause = refused { certificate = false, certificate_path = "/" }
    assert.equal("file_missing", cause)
    local directory = party.directory()
    assert(tcpki.file.write(directory .. "/leaf.pem", pem:sub(1, 90)))
    cause, message = refused { certificate = false, certificate_path = directory .. "/leaf.pem" }
    os.execute("rm -rf " .. party.quote(directory))
    assert.equal("bad_pem", cause)
    assert.matches(directory .. "/leaf.pem", message, 1, true)
  end)

  it("is handed on to the byte, from a file as from a string", function()
    local directory <close> = setmetatable({ path = party.directory() }, {
      __close = function(self) os.execute("rm -rf " .. party.quote(self.path)) end,
    })
    local names = { certificate = "leaf.pem", key = "leaf.key", server_ca = "ca.pem" }
    local roots = pki.server_ca.certificate:pem()
    for _, form in ipairs {
      { pem, key, roots },
      { (pem:gsub("\n", "\r\n")), (key:gsub("\n", "\r\n")), (roots:gsub("\n", "\r\n")) },
      { "a worker\n" .. pem .. "\n\n", "its key\n" .. key, "# who is trusted\n" .. roots .. roots },
      { (pem:gsub("\n$", "")), (key:gsub("\n$", "")), (roots:gsub("\n$", "")) },
      { key .. pem, key .. pem, roots },
    } do
      local texts = { certificate = form[1], key = form[2], server_ca = form[3] }
      local paths = {}
      for name, file in pairs(names) do
        paths[name .. "_path"] = directory.path .. "/" .. file
        assert(tcpki.file.write(paths[name .. "_path"], texts[name], { overwrite = true }))
      end
      for _, settings in ipairs { texts, paths } do
        local material = assert(input.load(settings))
        assert.equal(texts.certificate, material.certificate)
        assert.equal(texts.key, material.key)
        assert.equal(texts.server_ca, material.roots)
      end
    end
  end)

  it("is judged alike from a file and from a string, whatever is in it", function()
    local directory <close> = setmetatable({ path = party.directory() }, {
      __close = function(self) os.execute("rm -rf " .. party.quote(self.path)) end,
    })
    local path = directory.path .. "/leaf.pem"
    local count = 0
    local every = debug.gethook() and 211 or 7 -- under make stress each line costs a collection
    for case in manglings.cases { { name = "chain", text = pem .. pki.client_ca.certificate:pem() } } do
      count = count + 1
      if count % every == 0 and case.text ~= "" then
        assert(tcpki.file.write(path, case.text, { overwrite = true }))
        local from_text, fault = input.load { certificate = case.text, key = key }
        local from_file, file_fault = input.load { certificate_path = path, key = key }
        assert.equal(fault and fault.word, file_fault and file_fault.word, case.name)
        assert.equal(from_text and from_text.certificate, from_file and from_file.certificate, case.name)
        assert.equal(from_text and case.text, from_text and from_text.certificate, case.name)
      end
    end
    assert.is_true(count > 500)
  end)

  it("may be anything, and gives a word", function()
    math.randomseed(7)
    for _ = 1, 200 do
      local bytes = {}
      for i = 1, math.random(400) do bytes[i] = string.char(math.random(0, 255)) end
      local noise = table.concat(bytes)
      local where = math.random(#pem)
      local damaged = pem:sub(1, where) .. noise:sub(1, math.random(3)) .. pem:sub(where + 2)
      for _, text in ipairs { noise, "-----BEGIN CERTIFICATE-----\n" .. noise, damaged } do
        local result = run("", pki.good)
        assert.equal("bad_address", result.cause)
        result = run("127.0.0.1:1", pki.good, { certificate = text })
        assert.is_not_nil(causes[result.cause])
      end
    end
  end)
end)

describe("an address", function()
  it("is a host and a port", function()
    for text, expected in pairs {
      ["localhost:7233"] = "localhost 7233", ["localhost"] = "localhost 7233",
      ["payments.a1b2c.tmprl.cloud:7233"] = "payments.a1b2c.tmprl.cloud 7233",
      ["10.0.0.1:80"] = "10.0.0.1 80", ["[::1]:7234"] = "::1 7234", ["[::1]"] = "::1 7233",
      ["[fe80::1%eth0]:1"] = "fe80::1%eth0 1", ["a_b-c.d:65535"] = "a_b-c.d 65535",
    } do
      local parsed = assert(address.parse(text))
      assert.equal(expected, parsed.host .. " " .. parsed.port)
    end
  end)

  it("that cannot be used is refused with what to write instead", function()
    for text, expected in pairs {
      [""] = "Write host:port", [" "] = "", ["localhost:"] = "Write localhost:7233",
      [":7233"] = "Write localhost:7233", ["localhost:x"] = "Write localhost:7233",
      ["localhost:0"] = "Write localhost:7233", ["localhost:65536"] = "Write localhost:7233",
      ["localhost:072330"] = "Write localhost:7233", ["localhost:-1"] = "Write localhost:7233",
      ["https://a.tmprl.cloud:7233"] = "Write a.tmprl.cloud:7233",
      ["http://localhost"] = "Write localhost", ["grpc://localhost:1/x"] = "Write localhost:1",
      ["dns:///localhost:7233"] = "Write localhost:7233", ["dns:localhost:7233"] = "localhost:7233",
      ["ipv4:127.0.0.1:7233"] = "Write 127.0.0.1:7233",
      ["localhost:7233/x"] = "Write localhost:7233",
      ["::1"] = "Write [::1]:7233", ["[::1"] = "[::1]:7233", ["[zz]:1"] = "[::1]:7233",
      ["[::1]x"] = "Write [::1]:7233", ["a b:7233"] = "Write ab:7233",
      ["me@localhost:7233"] = "host:port", ["münchen:7233"] = "xn--", ["a\0b:1"] = "",
    } do
      local result = probe.run { address = text }
      assert.equal("bad_address", result.cause, text)
      assert.equal("input", result.stage)
      assert.matches(expected, result.hint, 1, true)
    end
  end)
end)

describe("a mistake in the program", function()
  it("throws, and names the option", function()
    assert.error_matches(function() probe.run() end, "'address' is missing")
    assert.error_matches(function() probe.run(7233) end, "expected a table of options, not integer")
    assert.error_matches(function() probe.run {} end, "'address' is missing")
    assert.error_matches(function() probe.run { address = 7233 } end, "'address' must be string")
    assert.error_matches(function() probe.run { address = "a:1", certificate = 1 } end,
      "'certificate' must be PEM text or an object")
    assert.error_matches(function() probe.run { address = "a:1", key = "x" } end,
      "key without a certificate")
    assert.error_matches(function()
      probe.run { address = "a:1", certificate = "x", certificate_path = "y" }
    end, "pass certificate or certificate_path, not both")
    for _, timeout in ipairs { 0, -1, 1 / 0, 0 / 0, "1" } do
      assert.error_matches(function() probe.run { address = "a:1", timeout = timeout } end,
        "'timeout' must be")
    end
    assert.error_matches(function() probe.run { address = "a:1", trace = "yes" } end,
      '"on_failure", "always" or "never"')
    assert.error_matches(function() probe.run { address = "a:1", namespace = "two words" } end,
      "printable ASCII")
  end)

  it("lists the known options where one is unknown", function()
    assert.error_matches(function() probe.run { address = "a:1", certfile = "x" } end,
      "unknown option 'certfile' %(known: accepted, accepted_path, address, addresses, certificate, "
      .. "certificate_path, control, endpoint, "
      .. "health, key, key_path, limits, namespace, passphrase, passphrase_env, passphrase_file, server_ca, "
      .. "server_ca_path, server_name, timeout, trace%)")
  end)
end)

describe("gRPC core", function()
  it("writes nothing to stderr, whatever fails", function()
    local server <close> = assert(probe.frontend {
      certificate = pki.server.chain, key = pki.server.key, client_ca = pki.client_ca.certificate,
    })
    local alerting <close> = party.s_server(pki.server, pki.client_ca, "")
    local program = child.run([[
      local probe = require "tcpki.probe"
      local ca, pem, key, other = table.unpack(arg, 1, 4)
      for i = 5, #arg do
        for _, trace in ipairs { "never", "always" } do
          for _, server_ca in ipairs { ca, other } do
            local r = probe.run { address = arg[i], certificate = pem, key = key,
              server_ca = server_ca, trace = trace }
            assert(not r.ok)
          end
          probe.run { address = arg[i], server_ca = ca, trace = trace }
        end
      end
      print "done"
    ]], pki.server_ca.certificate:pem(), pki.stranger.chain:pem(), pki.stranger.key:pem(),
      pki.other_ca.certificate:pem(), server:address(), alerting.address, "127.0.0.1:1")
    assert.same({ out = "done\n", err = "", ended = "exit 0" }, program)
  end)

  it("is not started by loading the module", function()
    local program = child.run [[
      require "tcpki.probe"
      for line in io.lines "/proc/self/status" do
        local threads = line:match "^Threads:%s*(%d+)"
        if threads then print(threads) end
      end
    ]]
    assert.equal("1\n", program.out)
  end)
end)

describe("gRPC core and a trace that tell different stories", function()
  local accepted = {
    ended = "settings", stage = "settings", alpn = "h2", name_matches = true,
    verification = { ok = true }, timings = { tls = 0.1 },
  }

  it("are both told, and gRPC core has the verdict", function()
    local seen = { state = "failed", trace = accepted,
      system = { code = 14, message = "Socket closed", answered = false } }
    local task = { material = { certificates = { pki.good.certificate } } }
    local known = context.of(task, nil, seen.trace, os.time())
    local word, about = judge.attempt(known, seen)
    assert.equal("client_refused", word)
    assert.is_false(about.certain)
    assert.matches("gRPC core failed %(Socket closed%)", judge.disagreement(known, seen))

    seen = { state = "ready", system = { code = 0, answered = true },
      trace = { ended = "closed", stage = "settings", timings = {} } }
    known = context.of(task, nil, seen.trace, os.time())
    assert.equal("ok", (judge.attempt(known, seen)))
    assert.matches("gRPC core was accepted", judge.disagreement(known, seen))
  end)
end)

describe("all of it", function()
  it("leaves no box open", function()
    collectgarbage()
    collectgarbage()
    assert.equal(0, require("tcpki.probe.core").live())
  end)
end)

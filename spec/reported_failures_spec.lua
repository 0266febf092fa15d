-- The failures that users of Temporal reported, each with what they were shown and where they said so: made for real,
-- and required to be named for what it is, with the cure that helped.

local accepted = require "tcpki.cloud.accepted"
local certificate = require "tcpki.certificate"
local cloud = require "tcpki.cloud"
local environment = require "tcpki.probe.environment"
local expect = require "spec.support.expect"
local openssl = require "spec.support.openssl"
local party = require "spec.support.probe_party"
local pem = require "tcpki.pem"
local pki = require "spec.support.probe_pki"
local probe = require "tcpki.probe"
local probe_core = require "tcpki.probe.core"
local tcpki = require "tcpki"
local temporary = require "spec.support.temporary"

local day = pki.day
local now = os.time()
local localhost = { "localhost", { type = "ip", value = "127.0.0.1" } }

local function run(where, leaf, more)
  local all = { address = where }
  for name, value in pairs(more or {}) do all[name] = value end
  return probe.run(pki.options(leaf, all))
end

-- Whether each of the texts stands in the message or the cure of a result.
local function tells(result, texts)
  local said = result.message .. "\n" .. result.hint
  for _, text in ipairs(texts or {}) do assert.matches(text, said, 1, true) end
end

-- The word, as the likeliest.
local function is(word, result, texts)
  assert.is_false(result.ok)
  assert.equal(word, result.cause, tostring(result))
  tells(result, texts)
  return result
end

-- The word, and that it is certain.
local function surely(word, result, texts)
  is(word, result, texts)
  assert.is_true(result.certain, tostring(result))
  return result
end

-- Where the wire cannot tell: the word is among the first two that are offered.
local function may_be(word, result, texts)
  assert.is_false(result.ok)
  local first, second = result.cause, nil
  if not result.certain then first, second = result.candidates[1], result.candidates[2] end
  assert.is_true(word == first or word == second, tostring(result))
  tells(result, texts)
  return result
end

local function client(authority, fields)
  local all = { common_name = "worker", usage = "client", not_before = now - day, not_after = now + 30 * day }
  for name, value in pairs(fields or {}) do all[name] = value end
  return assert(authority:issue(all))
end

local function server_leaf(authority, names)
  return assert(authority:issue {
    common_name = "frontend", usage = "server", not_before = now - day, not_after = now + 30 * day,
    subject_alt_names = names or localhost,
  })
end

local function frontend(more)
  local all = { certificate = pki.server.chain, key = pki.server.key, client_ca = pki.client_ca.certificate }
  for name, value in pairs(more or {}) do all[name] = value end
  if all.cloud then all.client_ca = nil end
  return assert(probe.frontend(all))
end

describe("a failure that users reported:", function()
  local silent, alerting, directory -- a server that gives no reason (gRPC core), one that does (OpenSSL)

  setup(function()
    directory = temporary.directory()
    silent = frontend()
    alerting = party.s_server(pki.server, pki.client_ca, "")
  end)

  teardown(function()
    alerting:close()
    silent:close()
    directory:remove()
  end)

  local function file(name, text)
    return directory:file(name, text)
  end

  -- What examples/diagnose.lua prints, and its exit status.
  local function diagnose(variables, arguments)
    local words = {}
    for name, value in pairs(variables) do words[#words + 1] = name .. "=" .. party.quote(value) end
    local handle = assert(io.popen(("env %s %s examples/diagnose.lua %s 2>&1 </dev/null"):format(
      table.concat(words, " "), os.getenv "LUA" or "lua5.4", arguments or "")))
    local output = handle:read "a"
    local _, _, status = handle:close()
    return output, status
  end

  it("1. \"connection closed before server preface received\" (tctl#353): expired, or of another CA", function()
    surely("client_expired", run(silent:address(), pki.expired), { "expired on ", "Renew it" })
    is("client_ca_unknown", run(silent:address(), pki.stranger), { "CN=Other CA", "CN=Client CA" })
  end)

  it("2. \"received fatal alert: UnknownCA\" (PostHog#63247): the CA was taken out, or the intermediate is missing",
    function()
      is("client_ca_unknown", run(alerting.address, pki.stranger), { "alert 48, unknown_ca", "Add the issuer" })
      local next_ca = assert(tcpki.authority.new { subject = { CN = "Next CA" }, days = 90 })
      local rotated <close> = frontend {
        cloud = { ["payments.a1b2c"] = { accepted = tcpki.bundle.new {
          pki.client_ca.certificate, next_ca.certificate } } },
      }
      assert.is_true(run(rotated:address(), pki.good, { namespace = "payments.a1b2c" }).ok)
      assert(rotated:reload { cloud = { ["payments.a1b2c"] = { accepted = next_ca.certificate } } })
      is("client_ca_unknown", run(rotated:address(), pki.good),
        { "CN=Client CA", "it accepts certificates of CN=Next CA" })
      local issuing = assert(pki.client_ca:subordinate { subject = { CN = "Acme Issuing CA 2" }, days = 40 })
      local leaf = client(issuing)
      for _, where in ipairs { silent:address(), alerting.address } do
        may_be("client_intermediate_missing", run(where, leaf, { certificate = leaf.certificate:pem() }),
          { "Acme Issuing CA 2" })
        assert.is_true(where ~= silent:address() or run(where, leaf).ok, "with its intermediate it is let in")
      end
    end)

  it("3. \"remote error: tls: certificate required\" (keda#6865, sdk-dotnet#584): none was sent", function()
    surely("no_client_certificate", run(alerting.address, nil),
      { "alert 116, certificate_required", "certificate and key" })
    surely("no_client_certificate", run(silent:address(), nil))
    -- a variable that is not read
    local _, report = environment.read { TEMPORAL_TLS_CERT = "worker.pem", TEMPORAL_TLS_KEY = "worker.key" }
    assert.equal("set TEMPORAL_TLS_CLIENT_CERT_PATH", report:find("foreign_variable").hint)
  end)

  it("4. \"CertificateExpired\", \"CertificateRevoked\", \"BadCertificate\" (PostHog#63247, sdk-rust#1338)", function()
    surely("client_expired", run(alerting.address, pki.expired), { "alert 45, certificate_expired", "Renew it" })
    surely("client_not_yet_valid", run(alerting.address, pki.future), { "alert 42, bad_certificate", "clocks" })
    surely("client_wrong_usage", run(alerting.address, pki.wrong_usage), { "clientAuth" })
    local authority = assert(tcpki.authority.new { subject = { CN = "Revoking CA" }, days = 90 })
    local leaf = client(authority)
    assert(authority:revoke(leaf.certificate))
    local crl = file("revoked.crl", assert(authority:crl()):pem())
    local server <close> = party.s_server(pki.server, authority, "-crl_check -CRL " .. crl)
    surely("client_revoked", run(server.address, leaf), { "alert 44, certificate_revoked" })
  end)

  -- A gRPC server that answers GetSystemInfo with a status: RFC 9113; RFC 7541, 6.2.2.
  local function told(code, message)
    local function header(name, value) return "\0" .. string.pack("s1s1", name, value) end
    local block = header(":status", "200") .. header("content-type", "application/grpc")
      .. header("grpc-status", tostring(code)) .. header("grpc-message", message)
    return party.http2(pki.server, pki.client_ca, { { after = "GetSystemInfo",
      send = string.pack(">I3BBI4", #block, 1, 5, 1) .. block } })
  end

  it("5. \"Jwt is missing\" (PostHog#63981): a certificate at an endpoint for API keys", function()
    local server <close> = told(16, "Jwt is missing")
    local result = surely("api_key_endpoint", run(server.address, pki.good), { "Jwt is missing", ".tmprl.cloud" })
    assert.is_true(result.authenticated, "TLS let it in")
  end)

  it("6. \"Request unauthorized.\" (sdk-typescript#1765): no filter fits, or the namespace is not that one", function()
    local filters = assert(cloud.filters.new { { common_name = "orders-worker" } })
    local filtered <close> = frontend {
      cloud = { ["payments.a1b2c"] = { accepted = pki.client_ca.certificate, filters = filters } },
    }
    local result = may_be("filter_mismatch", run(filtered:address(), pki.good, { namespace = "payments.a1b2c" }),
      { "Request unauthorized", "filter" })
    assert.is_true(result.authenticated)
    assert.matches("orders-worker", tostring(filters:explain(pki.good.certificate)), 1, true)
    assert.is_not_nil(cloud.check_client {
      chain = pki.good.chain, key = pki.good.key, accepted = tcpki.bundle.new { pki.client_ca.certificate },
      filters = filters, namespace = "payments.a1b2c",
    }:find "locked_out")
    local open <close> = frontend { cloud = { ["payments.a1b2c"] = { accepted = pki.client_ca.certificate } } }
    for _, namespace in ipairs { "payments", "orders.a1b2c" } do -- without the account; somebody else's
      may_be("permission_denied", run(open:address(), pki.good, { namespace = namespace }),
        { "Request unauthorized", "account" })
    end
  end)

  it("7. \"failed to list namespaces: Request unauthorized\" (tempo#10): a call on the whole cluster", function()
    -- What a certificate of one namespace may do, it does: the fault is the call, and not the certificate.
    local server <close> = frontend { cloud = { ["payments.a1b2c"] = { accepted = pki.client_ca.certificate } } }
    assert.is_true(run(server:address(), pki.good, { namespace = "payments.a1b2c" }).ok)
    assert.matches("ListNamespaces", probe.causes.permission_denied.cure, 1, true)
  end)

  it("8. \"CERTIFICATE_VERIFY_FAILED\" (coinbase/temporal-ruby#260, #312): one's own CA as the server's", function()
    surely("client_ca_as_server_root", run(silent:address(), pki.good, { server_ca = pki.client_ca.certificate }),
      { "CN=Client CA", "leave server_ca out" })
  end)

  it("9. \"Failed to connect before the deadline\" (sdk-typescript#1431): the wrong CA for the server", function()
    local result = run(silent:address(), pki.good, { server_ca = pki.other_ca.certificate })
    is("server_ca_untrusted", result, { "unable to get local issuer certificate", "server_ca" })
    assert.equal("UNAVAILABLE", result.grpc.name, "no deadline ran out")
    assert.equal("tls", result.stage)
  end)

  it("10. \"UnknownIssuer\", \"NativeCertsNotFound\" (sdk-typescript#1258, sdk-dotnet#513): no CAs on this machine",
    function()
      local variables = {
        GRPC_DEFAULT_SSL_ROOTS_FILE_PATH = file("none.pem", "\n"), TEMPORAL_ADDRESS = silent:address(),
        TEMPORAL_TLS_CLIENT_CERT_DATA = pki.good.chain:pem(), TEMPORAL_TLS_CLIENT_KEY_DATA = pki.good.key:pem(),
      }
      local output, status = diagnose(variables)
      assert.matches("^not authenticated: system_roots_missing\n", output)
      assert.matches("ca-certificates", output, 1, true)
      assert.equal(1, status)
      variables.TEMPORAL_TLS_SERVER_CA_CERT_DATA = pki.server_ca.certificate:pem()
      output, status = diagnose(variables)
      assert.matches("^authenticated: ", output)
      assert.equal(0, status, output)
    end)

  it("11. \"x509: certificate signed by unknown authority\" (worker-controller#158): the server's CA was not given",
    function()
      is("server_ca_untrusted", run(silent:address(), pki.good, { server_ca = false }),
        { "CN=localhost is not signed by a CA that is trusted here", "Pass that CA as server_ca" })
    end)

  it("12. \"InvalidCertificate(NotValidForName)\" (temporal-operator#722): another server name", function()
    local result = run(silent:address(), pki.good, { server_name = "temporal-frontend.temporal.svc" })
    surely("server_name_mismatch", result, { "temporal-frontend.temporal.svc", "it bears localhost, 127.0.0.1",
      "Pass server_name" })
  end)

  it("13. \"connection reset by peer\" at a private link (PeerDB#4215, keda#6711): called by its own name", function()
    local leaf = server_leaf(pki.server_ca, { "payments.a1b2c.tmprl.cloud" })
    local behind <close> = frontend { certificate = leaf.chain, key = leaf.key }
    local endpoint <close> = party.sni_router(behind:address(), "payments.a1b2c.tmprl.cloud")
    may_be("sni_refused", run(endpoint.address, pki.good,
      { server_name = "vpce-0123-abc.vpce-svc-0f.us-east-1.vpce.amazonaws.com" }),
      { "Pass server_name", "NAMESPACE.ACCOUNT.tmprl.cloud" })
    local where = assert(cloud.endpoint { namespace = "payments.a1b2c", private_link = endpoint.address })
    local result = probe.run(pki.options(pki.good, { endpoint = where, namespace = false }))
    assert.not_equal("sni_refused", result.cause)
    assert.is_true(result.authenticated, tostring(result))
  end)

  -- What a server says to a client that speaks HTTP/2 without TLS, as an SDK does where no variable switches TLS on.
  local function plaintext(where)
    local program = [[use IO::Socket::INET; my $s = IO::Socket::INET->new(PeerAddr => shift, Timeout => 60) or die;
      syswrite($s, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"); my $n = sysread($s, my $b, 9);
      print $n ? unpack("H*", $b) : "closed"]]
    local handle = assert(io.popen(("perl -e %s %s"):format(party.quote(program), where)))
    local answer = handle:read "a"
    handle:close()
    return answer
  end

  it("14. \"error reading server preface: EOF\" (helm-charts#739, samples-server#49): no TLS to a TLS port", function()
    local answer = plaintext(silent:address())
    assert.not_matches("^%x%x%x%x%x%x04", answer, "no SETTINGS: a worker gets nothing that it understands")
    local output, status = diagnose { TEMPORAL_ADDRESS = silent:address() }
    assert.matches("(tls_off)", output:gsub("%s+", " "), 1, true)
    assert.matches("set TEMPORAL_TLS=true, or the certificate and the key of the client", output, 1, true)
    assert.equal(1, status)
    -- the other way round: TLS to a port without it
    local plain <close> = party.odd "h2c"
    surely("plaintext_server", run(plain.address, pki.good), { "HTTP/2 without TLS", "global.tls.frontend.server" })
  end)

  it("15. \"read tcp …: connection reset by peer\" (cli#810, keda#6703): an API key, and TLS switched off", function()
    for _, value in ipairs { "false", "0" } do
      local _, report = environment.read {
        TEMPORAL_ADDRESS = "us-east-1.aws.api.temporal.io:7233", TEMPORAL_API_KEY = "secret", TEMPORAL_TLS = value,
      }
      local finding = report:find "tls_off"
      assert.matches("speaks plaintext", finding.message, 1, true)
      assert.matches("connection reset by peer", finding.who, 1, true)
      assert.matches("set it to true", finding.hint, 1, true)
    end
  end)

  -- A key in a form that some reader refuses, and the command that lint hands out for it.
  local function converted(text, name)
    local path = file(name, text)
    local finding = assert(pem.lint(text, { expect = "key" })):find "traditional_key"
    local command = finding.hint:match "openssl (pkcs8 .*)$":gsub("FILE", path)
    local better = openssl.run(command)
    assert.equal(0, #pem.lint(better, { expect = "key" }))
    assert.is_true(assert(tcpki.key.parse(better)):matches(assert(tcpki.key.parse(text))))
    return better, finding
  end

  it("16. \"PrivateKeyParseError\" (sdk-python#371): a key in SEC1 or PKCS#1", function()
    for name, text in pairs {
      sec1 = openssl.run "ecparam -genkey -noout -name prime256v1", pkcs1 = openssl.run "genrsa -traditional 2048",
    } do
      local better, finding = converted(text, name)
      assert.matches("rustls", finding.who, 1, true)
      assert.is_true(pem.verdicts(better, { role = "key" }).ok)
    end
    local old = pki.good.key:pem { format = "traditional" }
    local result = run(silent:address(), pki.good, { key = old })
    assert.is_true(result.ok, "gRPC core reads it")
  end)

  it("17. \"parsing ca key failed: … use ParseECPrivateKey\" (tcld#388): a CA's key in SEC1", function()
    local text = assert(pki.client_ca.key:pem { format = "traditional" })
    assert.matches("BEGIN EC PRIVATE KEY", text, 1, true)
    local better, finding = converted(text, "ca.key")
    assert.matches("tcld", finding.who, 1, true)
    -- what we write has the form that tcld reads
    local path = directory:path "written.key"
    assert(tcpki.key.read(directory:path "ca.key"):write(path))
    assert.equal(better, temporary.content(path))
  end)

  it("18. \"Input stream does not contain valid private key\" (sdk-java#925): PKCS#1, or the CA's key", function()
    local text = openssl.run "genrsa -traditional 2048"
    assert.is_true(pem.verdicts(text, { role = "key" }).netty.refused)
    assert.is_false(pem.verdicts((converted(text, "java.key")), { role = "key" }).netty.refused)
    surely("key_mismatch", run(silent:address(), pki.good, { key = pki.client_ca.key:pem() }),
      { "does not belong to the certificate CN=worker", "its CA" })
    assert.is_not_nil(cloud.check_client {
      chain = pki.good.chain, key = pki.client_ca.key, accepted = tcpki.bundle.new { pki.client_ca.certificate },
    }:find "key_mismatch")
  end)

  it("19. \"CertificateParseError\" (PostHog#63730): PEM that lost something on its way through a form", function()
    local text = pki.good.chain:pem()
    local mangled = {
      cut = text:sub(1, #text // 2), flat = text:gsub("\n", " "), bare = text:gsub("%-%-%-%-%-.-%-%-%-%-%-\n", ""),
      quoted = '"' .. text .. '"', indented = "    " .. text:gsub("\n", "\n    "),
      dashes = text:gsub("%-%-", "\u{2014}"),
    }
    for name, given in pairs(mangled) do
      local result = surely("bad_pem", run(silent:address(), pki.good, { certificate = given }))
      assert.matches("line %d", result.message, name)
      assert.is_false(assert(pem.lint(given, { expect = "chain" })).ok, name)
      local repaired = pem.repair(given)
      if name == "cut" then
        tells(result, { "Copy the text again, whole" })
        assert.is_nil(repaired)
      else
        assert.equal(text, repaired, name)
      end
    end
  end)

  it("20. \"not valid cert\" from a variable (sdk-java#1825): \\n in place of newlines", function()
    local text = pki.good.chain:pem()
    local given = text:gsub("\n", "\\n")
    surely("pem_literal_newlines", run(silent:address(), pki.good, { certificate = given }), { "printf '%b'" })
    assert.equal(text, (pem.repair(given)))
    -- and the cure that is handed out, as it stands there
    local handle = assert(io.popen(("VALUE=%s; printf '%%b' \"$VALUE\""):format(party.quote(given))))
    local cured = handle:read "a"
    handle:close()
    assert.equal(text, cured)
  end)

  -- A CA below `authority` whose certificate is signed with SHA-1, and what it issued.
  local function below_sha1(authority, fields)
    local key = assert(tcpki.key.generate())
    local ca = assert(certificate.make {
      subject = { CN = "SHA-1 Issuing CA" }, not_before = now - day, not_after = now + 30 * day, public_key = key,
      issuer = authority.certificate, issuer_key = authority.key, digest = "SHA1", basic_constraints = { ca = true },
      key_usage = { "key_cert_sign" },
    })
    local own = assert(tcpki.key.generate())
    local all = {
      subject = { CN = "localhost" }, not_before = now - day, not_after = now + 10 * day, public_key = own, issuer = ca,
      issuer_key = key, key_usage = { "digital_signature" },
    }
    for name, value in pairs(fields) do all[name] = value end
    local leaf = assert(certificate.make(all))
    return { certificate = leaf, key = own, chain = { pem = function() return leaf:pem() .. ca:pem() end } }, ca
  end

  it("21. \"cannot verify signature: insecure algorithm SHA1-RSA\" (samples-server#29): an intermediate over SHA-1",
    function()
      local ours = below_sha1(pki.client_ca, { extended_key_usage = { "client_auth" } })
      may_be("client_weak_signature", run(alerting.address, ours), { "SHA" })
      local theirs, ca = below_sha1(pki.server_ca, { subject_alt_names = localhost })
      local chain_path = file("sha1.pem", ca:pem())
      local server <close> = party.s_server({ chain = theirs.certificate, key = theirs.key }, nil,
        "-cipher DEFAULT@SECLEVEL=0 -cert_chain " .. chain_path)
      local result = run(server.address, pki.good)
      assert.equal("server_weak_signature", result.cause, tostring(result))
      -- and before it comes to a server
      assert.is_not_nil(cloud.check_bundle(tcpki.bundle.new { pki.client_ca.certificate, ca }):find "weak_signature")
    end)

  it("22. \"invalid certificate: UnknownIssuer\" with tls-full (sdk-typescript#98): an intermediate as the anchor",
    function()
      local issuing = assert(pki.server_ca:subordinate { subject = { CN = "Intermediate CA" }, days = 40 })
      local leaf = server_leaf(issuing)
      local server <close> = frontend { certificate = leaf.chain, key = leaf.key }
      local result = run(server:address(), pki.good, { server_ca = issuing.certificate })
      assert.is_true(result.ok, tostring(result)) -- gRPC core and Go are content
      local warned
      for _, warning in ipairs(result.warnings) do warned = warned or warning.word == "roots_are_intermediates" end
      assert.is_true(warned, tostring(result))
      -- a verifier that goes to the root, as Node's and rustls's of that time
      local roots = assert(tcpki.bundle.new { issuing.certificate })
      expect.fault("no_issuer", leaf.chain:verify { roots = roots, purpose = "server" })
      assert.is_true(leaf.chain:verify { roots = roots, purpose = "server", partial = true })
    end)

  it("23. services that fail once cert-manager renewed a root (temporal-operator#509, #708, #746)", function()
    -- the server shows a certificate of the new root, and the worker has the old one
    local renewed = assert(tcpki.authority.new { subject = { CN = "Server CA" }, days = 90 })
    local leaf = server_leaf(renewed)
    local server <close> = frontend { certificate = leaf.chain, key = leaf.key }
    is("server_ca_untrusted", run(server:address(), pki.good), { "server_ca" })
    -- the worker shows one of the new root, which has the name of the old one
    may_be("client_ca_twin", run(silent:address(), pki.twin))
    -- the intermediate ran out before what it issued
    local issuing = assert(pki.client_ca:subordinate {
      subject = { CN = "Short CA" }, not_before = now - 9 * day, not_after = now - day,
    })
    local key = assert(tcpki.key.generate())
    local late = assert(certificate.make {
      subject = { CN = "worker" }, not_before = now - 2 * day, not_after = now + 9 * day, public_key = key,
      issuer = issuing.certificate, issuer_key = issuing.key, key_usage = { "digital_signature" },
    })
    local given = { certificate = late:pem() .. issuing.certificate:pem(), key = key }
    for _, where in ipairs { silent:address(), alerting.address } do
      may_be("client_intermediate_expired", run(where, pki.good, given), { "CN=Short CA" })
    end
  end)

  it("24. nodes that fail once their certificate has the usage of a server (temporal#2698)", function()
    surely("client_wrong_usage", run(alerting.address, pki.wrong_usage),
      { "may not be used by a client", "alert 43, unsupported_certificate", "clientAuth" })
    may_be("client_wrong_usage", run(silent:address(), pki.wrong_usage))
    local peer = assert(pki.client_ca:issue { common_name = "node", usage = "peer", subject_alt_names = { "node" },
      days = 9 })
    assert.is_true(run(silent:address(), peer).ok, "with both usages it is let in")
  end)

  it("25. \"Provider produced inconsistent result after apply\" (terraform#74, #90): a line end more", function()
    local text = pki.client_ca.certificate:pem()
    local before = assert(tcpki.bundle.parse(text))
    for _, other in ipairs { text .. "\n", text:gsub("\n$", ""), (text:gsub("\n", "\r\n")) } do
      local after = assert(tcpki.bundle.parse(other))
      local difference = accepted.difference(before, after)
      assert.equal("nothing to change", tostring(difference))
      assert.equal(accepted.payload(before), accepted.payload(after))
      assert.is_true(pem.lint(other, { expect = "bundle" }).ok)
    end
  end)

  it("26. \"cannot create namespace with provided auth method\" (terraform#340): both at once", function()
    local _, report = environment.read {
      TEMPORAL_API_KEY = "secret", TEMPORAL_TLS_CLIENT_CERT_PATH = "a.pem", TEMPORAL_TLS_CLIENT_KEY_PATH = "a.key",
    }
    local finding = report:find "two_credentials"
    assert.matches("unset one of them", finding.hint, 1, true)
    assert.matches("pass region", tostring(cloud.endpoint { namespace = "payments.a1b2c", auth = "api_key" }), 1, true)
  end)

  it("27. \"invalid target URL: empty host\" (PostHog#63702): an address without a host", function()
    for given, cure in pairs {
      [""] = "namespace.account.tmprl.cloud:7233", ["https://"] = "Write host:port", [":7233"] = "localhost:7233",
      ["https://payments.a1b2c.tmprl.cloud:7233"] = "Write payments.a1b2c.tmprl.cloud:7233",
    } do
      surely("bad_address", run(given, pki.good), { cure })
    end
  end)

  it("28. \"last resolver error: produced zero addresses\" (samples-server#113): a name, and no certificate", function()
    local result = surely("unknown_host", run("frontend.temporal.invalid:7233", pki.good),
      { "frontend.temporal.invalid", "Check the spelling" })
    assert.equal("resolve", result.stage)
  end)

  it("29. \"certificate is expired or is going to expire soon\" (worker-controller): within five minutes", function()
    local leaf = client(pki.client_ca, { not_after = os.time() + 240 })
    local result = run(silent:address(), leaf)
    assert.is_true(result.ok, tostring(result))
    local warning
    for _, each in ipairs(result.warnings) do
      warning = each.word == "client_expires_soon" and each or warning
    end
    assert.is_not_nil(warning, tostring(result))
    assert.is_not_nil(warning.hint)
    local report = cloud.check_client { chain = leaf.chain, key = leaf.key,
      accepted = tcpki.bundle.new { pki.client_ca.certificate } }
    assert.matches("in %d+ minutes", report:find("expires_soon").message)
  end)

  it("30. \"missing selected ALPN property\" (grpc#23172, #18710): a balancer that ends TLS without h2", function()
    local server <close> = party.s_server_without_alpn(pki.server, pki.client_ca)
    surely("no_alpn", run(server.address, pki.good), { "HTTP/2 (ALPN)", "proxy or balancer" })
    local old <close> = party.s_server(pki.server, pki.client_ca, "-alpn http/1.1")
    surely("no_h2", run(old.address, pki.good), { "no_application_protocol" })
  end)

  it("31. a worker that hangs after a rotation (temporal-ruby#259, sdk-python#512): it read its files once", function()
    local next_ca = assert(tcpki.authority.new { subject = { CN = "Client CA 2" }, days = 90 })
    local new = client(next_ca)
    local server <close> = frontend()
    local worker = probe_core.client {
      target = "ipv4:" .. server:address(), server_name = "localhost", roots = pki.server_ca.certificate:pem(),
      certificate = pki.good.chain:pem(), key = pki.good.key:pem(), seconds = 60,
    }
    assert.equal("ready", worker:wait(60))
    assert(server:reload { client_ca = next_ca.certificate })
    assert.equal(0, worker:ask("system_info", nil, 60).code, "its connection lives on")
    worker:close()
    -- the files are right, and so it is the process that has to be told
    assert.is_true(run(server:address(), new).ok)
    is("client_ca_unknown", run(server:address(), pki.good),
      { "CN=Client CA", "CN=Client CA 2", "restart the clients that read their files once" })
    assert.matches("restart or reload what uses it", probe.causes.client_expired.cure, 1, true)
  end)

  it("32. the key was uploaded in the place of the certificate (temporal-ruby#260)", function()
    local key = pki.client_ca.key:pem()
    local report = cloud.check_bundle(key)
    assert.is_false(report.ok)
    assert.matches("replace it", report:find("holds_key").hint, 1, true)
    assert.not_matches(key:sub(40, 80), tostring(report), 1, true)
    surely("file_holds_key", run(silent:address(), pki.good, { server_ca = key }), { "replace it" })
    local server, fault = probe.frontend {
      certificate = pki.server.chain, key = pki.server.key, cloud = { ["payments.a1b2c"] = { accepted = key } },
    }
    assert.equal("file_holds_key", expect.fault("file_holds_key", server, fault).code)
  end)
end)

-- ---- the same word, each time ----

local repeats = tonumber(os.getenv "TCPKI_REPEATS") or debug.gethook() and 2 or 20 -- fewer under make stress

local function always(what, check, probe_once)
  for attempt = 1, repeats do
    local fine, message = pcall(check, probe_once())
    assert.is_true(fine, ("%s, attempt %d: %s"):format(what, attempt, tostring(message)))
  end
end

-- The refusals that come most often: the leaf, its options, the word, and whether the wire shows that it is so.
local function refusals()
  local issuing = assert(pki.client_ca:subordinate { subject = { CN = "Acme Issuing CA 2" }, days = 40 })
  local leaf = client(issuing)
  local alone = { certificate = leaf.certificate, chain = leaf.certificate, key = leaf.key }
  return {
    { "no certificate", nil, nil, surely, "no_client_certificate" },
    { "an unknown CA", pki.stranger, nil, is, "client_ca_unknown" },
    { "an expired certificate", pki.expired, nil, surely, "client_expired" },
    { "one that is not valid yet", pki.future, nil, surely, "client_not_yet_valid" },
    { "one of a server", pki.wrong_usage, nil, is, "client_wrong_usage" },
    { "one without its intermediate", alone, nil, may_be, "client_intermediate_missing" },
    { "a CA of the same name", pki.twin, nil, may_be, "client_ca_twin" },
    { "a server of another CA", pki.good, { server_ca = pki.other_ca.certificate }, is, "server_ca_untrusted" },
    { "one's own CA for the server", pki.good, { server_ca = pki.client_ca.certificate }, surely,
      "client_ca_as_server_root" },
    { "another server name", pki.good, { server_name = "frontend.example" }, surely, "server_name_mismatch" },
  }
end

describe("the word for a refusal is the same 20 times of 20", function()
  local function each_refusal(where)
    for _, case in ipairs(refusals()) do
      local what, leaf, more, check, word = table.unpack(case, 1, 5)
      local first
      always(what, function(result)
        check(word, result)
        first = first or result.cause
        assert.equal(first, result.cause)
      end, function() return run(where, leaf, more) end)
    end
  end

  it("where the server gives no reason (gRPC core)", function()
    local server <close> = frontend()
    each_refusal(server:address())
  end)

  for _, version in ipairs { "-tls1_3", "-tls1_2" } do
    it("where it sends an alert (OpenSSL, " .. version .. ")", function()
      local server <close> = party.s_server(pki.server, pki.client_ca, version)
      each_refusal(server.address)
    end)
  end
end)

describe("the failures that users reported, at a real Temporal server #server", function()
  local temporal

  setup(function()
    temporal = assert(require("spec.support.server").start { client_ca = pki.client_ca.certificate:pem() })
  end)

  teardown(function()
    if temporal then temporal:remove() end
  end)

  it("have their names, the same 20 times of 20", function()
    for _, case in ipairs(refusals()) do
      local what, leaf, more, check, word = table.unpack(case, 1, 5)
      local all = { certificate = leaf and leaf.chain:pem() or false, key = leaf and leaf.key:pem() or false }
      for name, value in pairs(more or {}) do all[name] = value end
      always(what, function(result) check(word, result) end, function() return temporal:probe(all) end)
    end
  end)

  it("are not there with the certificate that it accepts", function()
    for _ = 1, repeats do
      local result = temporal:probe { certificate = pki.good.chain:pem(), key = pki.good.key:pem() }
      assert.is_true(result.ok, tostring(result))
    end
  end)

  it("include 24, which it answers with bad_certificate, and 8, 11 and 12, which are of the client", function()
    local function ask(leaf, more)
      local all = { certificate = leaf.chain:pem(), key = leaf.key:pem() }
      for name, value in pairs(more or {}) do all[name] = value end
      return temporal:probe(all)
    end
    is("client_wrong_usage", ask(pki.wrong_usage), { "alert 42, bad_certificate", "clientAuth" })
    is("server_ca_untrusted", ask(pki.good, { server_ca = false }), { "Pass that CA as server_ca" })
    surely("server_name_mismatch", ask(pki.good, { server_name = "temporal" }), { "it bears localhost, 127.0.0.1" })
    surely("client_ca_as_server_root", ask(pki.good, { server_ca = pki.client_ca.certificate }))
    surely("namespace_not_found", ask(pki.good, { namespace = "default" }), { "default" })
  end)

  it("include 6 and 7, where its authorizer knows nobody", function()
    local server = require "spec.support.server"
    local strict <close> = assert(server.start { authorization = true })
    finally(function() strict:remove() end)
    -- What the user saw: calls on the whole cluster, by an SDK.
    local python = assert(server.counterpart "python")
    assert(tcpki.file.write(strict:path "list.py", [[
import asyncio, os, sys
from temporalio.api.workflowservice.v1 import GetClusterInfoRequest, ListNamespacesRequest
from temporalio.client import Client, TLSConfig

def read(path):
    with open(path, "rb") as file:
        return file.read()

async def main(address, directory):
    client = await Client.connect(address, tls=TLSConfig(
        server_root_ca_cert=read(directory + "/server-ca.pem"), client_cert=read(directory + "/client.pem"),
        client_private_key=read(directory + "/client.key")))
    service = client.workflow_service
    for call, request in (service.list_namespaces, ListNamespacesRequest()), (
            service.get_cluster_info, GetClusterInfoRequest()):
        try:
            await call(request)
        except Exception as error:
            print(error)

asyncio.run(main(sys.argv[1], sys.argv[2]))
sys.stdout.flush()
# The SDK's own threads now and then outlive the interpreter at its end, and crash it.
os._exit(0)
]]))
    local handle = assert(io.popen(("'%s' '%s' %s '%s' 2>&1 </dev/null"):format(python, strict:path "list.py",
      strict.address, strict.directory)))
    assert.equal(("Request unauthorized.\n"):rep(2), handle:read "a")
    handle:close()
    -- The certificate is good; it is the permission that lacks.
    local result = strict:probe { namespace = false }
    assert.is_true(result.ok, tostring(result))
    result = may_be("permission_denied", strict:probe(), { "Request unauthorized", "ListNamespaces" })
    assert.is_true(result.authenticated)
  end)

  it("include 14 the other way round: TLS to a frontend without it", function()
    local plain <close> = assert(require("spec.support.server").start { plaintext = true })
    finally(function() plain:remove() end)
    local result = may_be("plaintext_server", plain:probe())
    assert.is_false(result.authenticated)
  end)
end)

-- A certificate that a server refuses, each fault before a real server: the word, how certain it is, and what the user
-- reads. What each stack of TLS makes of them is in spec/stacks_matrix.lua.

local party = require "spec.support.probe_party"
local pki = require "spec.support.probe_pki"
local probe = require "tcpki.probe"
local stacks = require "tcpki.probe.stacks"
local tcpki = require "tcpki"
local temporary = require "spec.support.temporary"
local wrong = require "spec.support.wrong"

local day, now = 24 * 60 * 60, os.time()

local function authority(name)
  return assert(tcpki.authority.new { subject = { O = "Acme", CN = name }, days = 300 })
end

local root = authority "Acme Root"
local issuing = assert(root:subordinate { subject = { O = "Acme", CN = "Acme Issuing CA 2" }, days = 200 })
local leaf = assert(issuing:issue { common_name = "payments", usage = "client", days = 100 })

-- Probes one server of openssl's, which sends alerts, with a file and its key.
local function refused(file, key, options, flags)
  local server <close> = party.s_server(pki.server, root, flags)
  local all = { address = server.address, certificate = file, key = key, server_ca = pki.server_ca.certificate }
  for name, value in pairs(options or {}) do all[name] = value or nil end
  local result = probe.run(all)
  assert.is_false(result.ok)
  assert.is_false(result.authenticated, tostring(result))
  return result
end

local function is(word, certain, result)
  assert.equal(word, result.cause, tostring(result))
  assert.equal(certain, result.certain, tostring(result))
  if not certain then assert.equal(word, result.candidates[1]) end
  assert.not_matches("?", result.message .. result.hint, 1, true) -- a field that was not filled
  return result
end

local function tells(result, ...)
  for _, text in ipairs { ... } do
    assert.matches(text, ((result.message .. "\n" .. result.hint):gsub("%s+", " ")), 1, true)
  end
end

describe("a file without its intermediate", function()
  local directory, file
  setup(function()
    directory = temporary.directory()
    file = directory:file("payments.pem", leaf.certificate:pem())
  end)
  teardown(function() directory:remove() end)

  it("is told with the file, the issuer that is missing, the CA of the server, and the cure", function()
    local result = is("client_intermediate_missing", false,
      refused(nil, leaf.key, { certificate_path = file }))
    tells(result, "The server does not know the issuer of the certificate CN=payments.",
      "payments.pem holds only the leaf; its issuer O=Acme, CN=Acme Issuing CA 2 is not in the file, and the server "
        .. "accepts certificates under O=Acme, CN=Acme Root.", "alert 48, unknown_ca",
      "Append the certificate of O=Acme, CN=Acme Issuing CA 2 to " .. file .. " (leaf first).")
    assert.same({ "client_intermediate_missing", "client_ca_unknown" }, result.candidates)
    tells(result, "Or, if it is client_ca_unknown: Add the issuer to the CAs that the server trusts for clients")
    assert.equal("client_intermediate_missing", result.findings[1].word)
    assert.equal(file, result.findings[1].path)
  end)

  it("is certain where the missing certificate is at hand, and leads to a CA of the server", function()
    local accepted = assert(tcpki.bundle.new { root.certificate, issuing.certificate })
    local result = is("client_intermediate_missing", true,
      refused(leaf.certificate:pem(), leaf.key, { accepted = accepted }))
    tells(result, "The PEM of the certificate holds only the leaf")
    assert.is_nil(result.candidates)
  end)

  it("is told where it holds some and lacks one further up", function()
    local lower = assert(issuing:subordinate { subject = { CN = "Lower CA" }, days = 150 })
    local low = assert(lower:issue { common_name = "orders", usage = "client", days = 100 })
    tells(refused(wrong.pem(low, lower), low.key),
      "holds 2 certificates; O=Acme, CN=Acme Issuing CA 2, the issuer of CN=Lower CA, is not in the file")
  end)

  it("is let in with it", function()
    local server <close> = assert(probe.frontend {
      certificate = pki.server.chain, key = pki.server.key, client_ca = root.certificate,
    })
    assert.is_true(probe.run {
      address = server:address(), certificate = wrong.pem(leaf, issuing), key = leaf.key,
      server_ca = pki.server_ca.certificate,
    }.ok)
  end)
end)

describe("a certificate of a CA that the server does not know", function()
  it("is certain only where the file goes up to the root", function()
    local result = is("client_ca_unknown", false, refused(pki.stranger.chain:pem(), pki.stranger.key))
    assert.same({ "client_ca_unknown", "client_intermediate_missing" }, result.candidates)
    result = is("client_ca_unknown", true, refused(wrong.pem(pki.stranger, pki.other_ca), pki.stranger.key))
    tells(result, "does not know CN=Other CA, the issuer of the certificate CN=worker; it accepts certificates of "
      .. "O=Acme, CN=Acme Root")
  end)

  it("is told where it is its own issuer", function()
    local own = wrong.make(nil)
    local result = is("client_self_signed", true, refused(own.chain:pem(), own.key))
    tells(result, "CN=worker is self-signed", "accepts certificates of O=Acme, CN=Acme Root")
  end)

  it("is told from one of the same name, as far as may be", function()
    local twin = authority "Acme Root"
    local other = assert(twin:issue { common_name = "payments", usage = "client", days = 100 })
    local result = is("client_ca_twin", false, refused(other.chain:pem(), other.key))
    assert.same({ "client_ca_twin", "client_ca_unknown", "client_refused" }, result.candidates)
    result = is("client_ca_twin", true, refused(other.chain:pem(), other.key, { accepted = root.certificate }))
    tells(result, "trusts another CA with the name of the issuer, O=Acme, CN=Acme Root")
  end)

  it("is told from one that it was to load, and has not", function()
    local fresh = authority "Acme Root 2027"
    local new = assert(fresh:issue { common_name = "payments", usage = "client", days = 100 })
    local accepted = assert(tcpki.bundle.new { root.certificate, fresh.certificate })
    local result = is("rotation_not_loaded", true, refused(new.chain:pem(), new.key, { accepted = accepted }))
    tells(result, "names none of the issuers of the certificate", "global.tls.refreshInterval")
  end)
end)

describe("a certificate whose time is over", function()
  it("is told from an intermediate whose time is over", function()
    local past = wrong.subordinate(root, { not_before = now - 9 * day, not_after = now - 2 * day })
    local one = wrong.make(past)
    local result = is("client_intermediate_expired", true, refused(wrong.pem(one, past), one.key))
    tells(result, "The certificate of CN=Issuing CA, an issuer in", "expired on", "2 days ago")
  end)

  it("is told from clocks that differ", function()
    -- The server's clock is ahead; ours says that the certificate has long to go.
    local result = is("client_expired", false,
      refused(wrong.pem(leaf, issuing), leaf.key, nil, "-attime " .. now + 120 * day))
    assert.same({ "client_expired", "client_intermediate_expired" }, result.candidates)
    tells(result, "has expired by the server's clock")
    -- It is behind: OpenSSL says "bad certificate" to that.
    local fresh = wrong.make(root)
    result = is("client_not_yet_valid", false,
      refused(fresh.chain:pem(), fresh.key, nil, "-attime " .. now - 2 * day))
    tells(result, "is not valid yet by the server's clock", "at least that far behind")
  end)
end)

describe("a server whose stack is not known", function()
  it("is understood as far as its alert says the same on all", function()
    -- A list of its own: nobody's by default.
    local flags = "-client_sigalgs ecdsa_secp256r1_sha256:rsa_pss_rsae_sha384"
    for _, case in ipairs {
      { "client_expired", true, wrong.make(root, { not_before = now - 9 * day, not_after = now - day }), 45 },
      { "client_not_yet_valid", true, wrong.make(root, { not_before = now + day, not_after = now + 2 * day }), 42 },
      { "client_wrong_usage", true, wrong.make(root, { extended_key_usage = { "server_auth" } }), 43 },
      { "client_ca_twin", false, wrong.make(authority "Acme Root"), 48 },
    } do
      local result = is(case[1], case[2], refused(case[3].chain:pem(), case[3].key, nil, flags))
      assert.is_nil(stacks.of(result.trace))
      assert.equal(case[4], result.trace.alerts[1].number)
    end
  end)
end)

describe("a certificate that is not sent", function()
  it("is told where the server takes no key of its type", function()
    local result = is("no_client_certificate", true,
      refused(wrong.pem(leaf, issuing), leaf.key, nil, "-client_sigalgs rsa_pss_rsae_sha256"))
    tells(result, "its key fits none of the signature algorithms that the server asks for (rsa_pss_rsae_sha256)",
      "Use a key of a type that the server takes")
  end)

  it("is told where an intermediate of it is too weak for OpenSSL", function()
    local weak = wrong.subordinate(root, { digest = "SHA1" })
    local one = wrong.make(weak)
    local result = is("client_weak_signature", true, refused(wrong.pem(one, weak), one.key))
    assert.equal("input", result.stage)
    tells(result, "CN=Issuing CA is signed or keyed too weakly", "OpenSSL refuses to send it (ca md too weak).")
  end)
end)

describe("a certificate that Temporal Cloud lets in", function()
  local filters = require "tcpki.cloud.filters"
  local names = { "payments.a1b2c", "orders.a1b2c" }
  local hosts = {}
  for i, name in ipairs(names) do hosts[i] = name .. ".tmprl.cloud" end
  local served = assert(pki.server_ca:issue { common_name = "cloud", usage = "server", days = 10,
    subject_alt_names = { "localhost", table.unpack(hosts) } })
  local server

  setup(function()
    server = assert(probe.frontend {
      certificate = served.chain, key = served.key, cloud = {
        [names[1]] = { accepted = pki.client_ca.certificate,
          filters = assert(filters.new { { common_name = "clerk" } }) },
        [names[2]] = { accepted = pki.client_ca.certificate },
      },
    })
  end)
  teardown(function() server:close() end)

  local function asked(endpoint, namespace)
    return probe.run(pki.options(pki.good, { address = server:address(), server_name = hosts[endpoint],
      namespace = names[namespace] }))
  end

  it("is told that no filter matches it, at the namespace's own endpoint", function()
    local result = asked(1, 1)
    assert.equal("filter_mismatch", result.cause, tostring(result))
    assert.is_true(result.certain)
    assert.is_true(result.authenticated)
    assert.equal("namespace", result.stage)
    tells(result, "no certificate filter of the namespace payments.a1b2c matches it: Request unauthorized")
    assert.equal("ok", asked(2, 2).cause)
  end)

  it("is told that it may not see another namespace", function()
    local result = asked(2, 1)
    assert.equal("permission_denied", result.cause, tostring(result))
    assert.is_true(result.certain)
  end)

  it("is told so by GetSystemInfo, where it may see no namespace at all", function()
    assert(server:reload { cloud = { [names[2]] = { filters = assert(filters.new { { common_name = "clerk" } }) } } })
    finally(function() server:reload { cloud = { [names[2]] = { filters = assert(filters.new {}) } } } end)
    local result = asked(2, 2)
    assert.equal("filter_mismatch", result.cause, tostring(result))
    assert.equal("rpc", result.stage)
    assert.is_true(result.certain)
    result = probe.run(pki.options(pki.good, { address = server:address(), server_name = "localhost",
      namespace = names[2] }))
    assert.equal("filter_mismatch", result.cause, tostring(result))
    assert.is_false(result.certain)
    assert.same({ "filter_mismatch", "permission_denied" }, result.candidates)
  end)
end)

-- What is wrong beside a success: each warning before a server that lets the certificate in.

local certificate = require "tcpki.certificate"
local party = require "spec.support.probe_party"
local pki = require "spec.support.probe_pki"
local probe = require "tcpki.probe"
local tcpki = require "tcpki"
local temporary = require "spec.support.temporary"
local warnings = require "tcpki.probe.warnings"
local wrong = require "spec.support.wrong"

local day, now = 24 * 60 * 60, os.time()
local localhost = { { type = "dns", value = "localhost" }, { type = "ip", value = "127.0.0.1" } }

local root = pki.client_ca

-- A pair that lives long: nothing of it ends soon.
local function lasting(authority, options)
  local all = { not_before = now - 80 * day, not_after = now + 80 * day }
  for name, value in pairs(options or {}) do all[name] = value end
  return wrong.make(authority, all)
end

local server_leaf = lasting(pki.server_ca, {
  subject = { CN = "localhost" }, subject_alt_names = localhost, extended_key_usage = { "server_auth" },
})
local good = lasting(root)

local function words_of(result)
  local words = {}
  for i, one in ipairs(result.warnings) do words[i] = one.word end
  return table.concat(words, " ")
end

local function frontend(chain, key, options)
  local all = { certificate = chain, key = key, client_ca = root.certificate }
  for name, value in pairs(options or {}) do all[name] = value end
  if options then all.client_ca = nil end -- it does not ask
  return assert(probe.frontend(all))
end

describe("a success", function()
  local plain, directory
  setup(function()
    directory = temporary.directory()
    plain = frontend(server_leaf.chain, server_leaf.key)
  end)
  teardown(function()
    plain:close()
    directory:remove()
  end)

  local function ask(server, options)
    local all = { address = server:address(), certificate = good.chain:pem(), key = good.key,
      server_ca = pki.server_ca.certificate }
    for name, value in pairs(options or {}) do all[name] = value end
    local result = probe.run(all)
    assert.is_true(result.ok, tostring(result))
    return result
  end

  -- The one warning of a result.
  local function only(word, result)
    assert.equal(word, words_of(result), tostring(result))
    assert.not_matches("[{}]", result.warnings[1].message .. result.warnings[1].hint)
    local text = tostring(result):gsub("%s+", " ")
    assert.matches("Warning: " .. result.warnings[1].message:gsub("%s+", " "), text, 1, true)
    return result.warnings[1].message
  end

  local function of_file(...)
    return ask(plain, { certificate = wrong.pem(...), key = (...).key })
  end

  it("has none where nothing is wrong", function()
    local sub = wrong.subordinate(root, { not_before = now - 80 * day, not_after = now + 80 * day })
    assert.equal("", words_of(ask(plain)))
    assert.equal("", words_of(of_file(lasting(sub), sub)))
    assert.equal("", words_of(ask(plain, { accepted = root.certificate, trace = "always" })))
    assert.not_matches("Warning", tostring(ask(plain)))
  end)

  it("warns of a certificate that ends soon: of either side, and of the intermediates", function()
    local message = only("client_expires_soon", of_file(lasting(root, { not_after = now + 10 * day })))
    assert.matches("CN=worker expires in ", message, 1, true)
    local sub = wrong.subordinate(root, { not_before = now - 80 * day, not_after = now + 10 * day })
    assert.matches("^CN=Issuing CA", only("client_intermediate_expires_soon", of_file(lasting(sub), sub)))
    -- A certificate that lives for a day ends soon only at its evening.
    assert.equal("", words_of(of_file(wrong.make(root, { not_before = now - 3600, not_after = now + 23 * 3600 }))))
    only("client_expires_soon", of_file(wrong.make(root, { not_before = now - 23 * 3600, not_after = now + 3600 })))
  end)

  it("warns of the five minutes before the end, in which the worker controller refuses", function()
    local message = only("client_expires_soon",
      of_file(wrong.make(root, { not_before = now - day, not_after = os.time() + 250 })))
    assert.matches("temporal-worker-controller refuses it already", message, 1, true)
  end)

  it("warns of the server's certificates as well", function()
    local sub = wrong.subordinate(pki.server_ca, { not_before = now - 80 * day, not_after = now + 10 * day })
    local function served(issuer, options, ...)
      local all = { subject = { CN = "localhost" }, subject_alt_names = localhost,
        extended_key_usage = { "server_auth" } }
      for name, value in pairs(options) do all[name] = value or nil end
      local one = lasting(issuer, all)
      local server <close> = frontend(wrong.pem(one, ...), one.key)
      return ask(server, { server_name = "localhost" })
    end
    only("server_expires_soon", served(pki.server_ca, { not_after = now + 3 * day }))
    only("server_intermediate_expires_soon", served(sub, {}, sub))
    assert.matches("sends its root, CN=Server CA", only("server_sends_root", served(pki.server_ca, {}, pki.server_ca)))
    assert.matches("bears localhost in its common name only",
      only("server_common_name", served(pki.server_ca, { subject_alt_names = false })))
  end)

  it("warns of what this server takes and others refuse", function()
    assert.matches("the SDKs over rustls", only("client_version_1",
      of_file(wrong.by_openssl(directory, "worker", root, nil, 100))))
    local sub = wrong.subordinate(root, { not_before = now - 80 * day, not_after = now + 80 * day })
    local lower = wrong.subordinate(sub, { subject = { CN = "Lower CA" }, not_before = now - 80 * day,
      not_after = now + 80 * day })
    local leaf = lasting(lower)
    only("chain_order", of_file(leaf, sub, lower))
    only("duplicate", of_file(leaf, lower, sub, lower))
    only("foreign", of_file(leaf, lower, sub, good))
    local message = only("bad_pem", ask(plain, { certificate = good.chain:pem():gsub("\n", " \n") }))
    assert.matches("line 2: lines inside the block end with spaces; stumbling over it: the Java SDK", message, 1, true)
  end)

  it("warns of a key in the traditional form, which Java refuses", function()
    only("key_traditional", ask(plain, { key = good.key:pem { format = "traditional" } }))
  end)

  it("warns where gRPC core sent an intermediate that is not in the file", function()
    local sub = wrong.subordinate(root, { not_before = now - 80 * day, not_after = now + 80 * day })
    local leaf = lasting(sub)
    local roots = wrong.pem(pki.server_ca, sub)
    local result = ask(plain, { certificate = leaf.chain:pem(), key = leaf.key, server_ca = roots })
    local message = only("client_intermediate_missing", result)
    assert.matches("CN=Issuing CA is not in the file of the certificate", message, 1, true)
  end)

  it("warns where a verifier would refuse what the server takes", function()
    local sub = wrong.subordinate(root, { not_before = now - 80 * day, not_after = now + 80 * day })
    local leaf = lasting(sub)
    local result = ask(plain, { certificate = wrong.pem(leaf, sub), key = leaf.key, accepted = sub.certificate })
    assert.matches("With the accepted CAs, OpenSSL %(.-%) would refuse CN=worker", only("verifier_refuses", result))
    assert.is_true(result.accepted_by.go.ok)
    assert.is_false(result.accepted_by.openssl.ok)
  end)

  it("warns where the server lets in whom it should not know any more", function()
    local result = ask(plain, { accepted = pki.other_ca.certificate })
    assert.matches("let in CN=worker, issued by CN=Client CA, for which the accepted CAs do not vouch",
      only("accepted_differs", result), 1, true)
  end)

  it("warns where no root is among the CAs for the server", function()
    local sub = wrong.subordinate(pki.server_ca, { not_before = now - 80 * day, not_after = now + 80 * day })
    local one = lasting(sub, { subject = { CN = "localhost" }, subject_alt_names = localhost,
      extended_key_usage = { "server_auth" } })
    local server <close> = frontend(wrong.pem(one, sub), one.key)
    only("roots_are_intermediates", ask(server, { server_ca = sub.certificate }))
  end)

  it("warns where the server never asked for the certificate, as far as a trace has seen", function()
    local open <close> = frontend(server_leaf.chain, server_leaf.key, { require_client_certificate = false })
    only("not_asked", ask(open, { trace = "always" }))
    assert.equal("", words_of(ask(open)))
    -- What it does not look at may be of any kind.
    only("client_wrong_usage", ask(open, { certificate = pki.server.chain:pem(), key = pki.server.key,
      server_ca = pki.server_ca.certificate }))
    local weak = wrong.subordinate(root, { digest = "SHA1", not_before = now - 80 * day, not_after = now + 80 * day })
    local leaf = lasting(weak)
    only("client_weak_signature", ask(open, { certificate = wrong.pem(leaf, weak), key = leaf.key }))
  end)

  it("warns where only some of several addresses are well", function()
    local other <close> = frontend(pki.server_expired.chain, pki.server_expired.key)
    local result = probe.run {
      address = "localhost:7233", addresses = { plain:address(), other:address() }, certificate = good.chain,
      key = good.key, server_ca = pki.server_ca.certificate,
    }
    assert.is_false(result.ok)
    assert.equal("addresses_differ", words_of(result), tostring(result))
    assert.matches(other:address() .. " (server_expired)", result.warnings[1].message, 1, true)
    -- also where most are not
    local nobody = "127.0.0.1:" .. party.free_port()
    result = probe.run {
      address = "localhost:7233", addresses = { other:address(), plain:address(), nobody }, certificate = good.chain,
      key = good.key, server_ca = pki.server_ca.certificate,
    }
    assert.equal("addresses_differ", words_of(result), tostring(result))
    assert.matches((": %s (server_expired), %s (refused)."):format(other:address(), nobody), result.warnings[1].message,
      1, true)
  end)
end)

describe("the warnings", function()
  it("are none of a probe that was not let in", function()
    local result = probe.run(pki.options(pki.good, { address = "127.0.0.1:" .. party.free_port() }))
    assert.equal(0, #result.warnings)
  end)

  it("have a word, a message and a hint each, once", function()
    local seen = {}
    for _, row in ipairs(warnings.rows) do
      assert.is_nil(seen[row.word])
      seen[row.word] = true
      assert.is_string(row.message)
      assert.is_string(row.hint)
      assert.is_function(row.find)
    end
  end)

  it("do not act on the terminal of who reads them", function()
    local key = assert(tcpki.key.generate())
    local one = assert(certificate.make {
      subject = { CN = "\27[2J" }, public_key = key, issuer_key = key, not_before = now - day, not_after = now + 100,
    })
    local list = warnings.of { certificates = { one }, peer = {}, roots = {}, findings = {}, now = now }
    assert.equal("client_expires_soon", list[1].word)
    assert.not_matches("\27", list[1].message)
  end)
end)

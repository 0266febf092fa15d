-- The judgement of one's own certificate, and what a result says of it.

local chain = require "tcpki.chain"
local findings = require "tcpki.probe.findings"
local later = require "tcpki.probe.later"
local openssl = require "spec.support.openssl"
local party = require "spec.support.probe_party"
local path = require "tcpki.probe.path"
local pki = require "spec.support.probe_pki"
local probe = require "tcpki.probe"
local tcpki = require "tcpki"
local temporary = require "spec.support.temporary"
local wrong = require "spec.support.wrong"

local day, now = 24 * 60 * 60, os.time()

local root = pki.client_ca
local sub = wrong.subordinate(root)

-- What a server that names CAs is seen to ask for.
local function asking(...)
  return { certificate_requested = true, ca_names = { ... }, ca_name_count = select("#", ...), issuer_listed = false }
end

-- The findings of a file, its leaf first; more is what else is known.
local function judge(file, more)
  local certificates = {}
  for i, one in ipairs(file) do certificates[i] = one.certificate end
  local given = { certificates = certificates }
  for name, value in pairs(more or {}) do given[name] = value end
  return findings.judge(given, os.time())
end

local function words_of(found)
  local words = {}
  for i, one in ipairs(found) do words[i] = one.word end
  return table.concat(words, " ")
end

describe("the judgement of one's own certificate", function()
  local directory
  setup(function() directory = temporary.directory() end)
  teardown(function() directory:remove() end)

  it("finds nothing in a good one, with its intermediate, with its root, and in none", function()
    assert.equal("", words_of(judge { pki.good }))
    assert.equal("", words_of(judge { wrong.make(sub), sub }))
    assert.equal("", words_of(judge { pki.good, root }))
    assert.equal("", words_of(findings.judge({ certificates = {} }, now)))
  end)

  it("finds the fault of a leaf, with its subject and a part of a sentence", function()
    local small = assert(tcpki.key.parse(openssl.run "genrsa 1024"))
    for _, case in ipairs {
      { "client_expired", { not_before = now - 9 * day, not_after = now - day }, "it expired on %d+%-" },
      { "client_not_yet_valid", { not_before = now + day, not_after = now + 2 * day }, "it is not valid before %d+%-" },
      { "client_wrong_usage", { extended_key_usage = { "server_auth" } }, "its extended key usage is server_auth" },
      { "client_wrong_usage", { key_usage = { "key_encipherment" } }, "key_encipherment, lacks digital_signature" },
      { "client_weak_signature", { digest = "SHA1" }, "it is signed with SHA1" },
      { "client_weak_signature", { key = small }, "its RSA key has 1024 bits" },
    } do
      local found = judge { wrong.make(root, case[2]) }
      assert.equal(case[1], words_of(found))
      assert.equal("CN=worker", found[1].subject)
      assert.matches(case[3], found[1].detail)
    end
    assert.equal("client_version_1", words_of(judge { wrong.version_1(directory, "worker", root) }))
    assert.equal("client_self_signed", words_of(judge { wrong.make(nil) }))
  end)

  it("finds the fault of an intermediate, and names it", function()
    for _, case in ipairs {
      { "client_intermediate_expired", { not_before = now - 9 * day, not_after = now - day } },
      { "client_not_yet_valid", { not_before = now + day / 2, not_after = now + 2 * day } },
      { "client_wrong_usage", { extended_key_usage = { "server_auth" } } },
      { "client_weak_signature", { digest = "SHA1" } },
    } do
      local issuing = wrong.subordinate(root, case[2])
      local found = judge { wrong.make(issuing), issuing }
      assert.equal(case[1], words_of(found))
      assert.equal("CN=Issuing CA", found[1].subject)
    end
    local old = wrong.version_1(directory, "Old CA", root)
    assert.equal("client_version_1", words_of(judge { wrong.make(old), old }))
  end)

  it("passes over the dates and the signature of a root in the file: a server takes its own", function()
    local past = assert(tcpki.authority.new {
      subject = { CN = "Past" }, not_before = now - 9 * day, not_after = now - day,
    })
    assert.equal("", words_of(judge { wrong.make(past), past }))
    local weak = wrong.make(nil, { subject = { CN = "Weak Root" }, digest = "SHA1", basic_constraints = { ca = true },
      key_usage = { "key_cert_sign" }, extended_key_usage = false })
    assert.equal("", words_of(judge { wrong.make(weak), weak }))
  end)

  it("finds all of several, the likeliest first", function()
    local leaf = wrong.make(pki.other_ca, { not_before = now - 9 * day, not_after = now - day, digest = "SHA1",
      extended_key_usage = { "server_auth" } })
    assert.equal("client_ca_unknown client_expired client_wrong_usage client_weak_signature",
      words_of(judge({ leaf }, { trace = asking "CN=Client CA" })))
  end)

  it("finds what is in the file beside the chain, or out of order, as a note", function()
    local lower = wrong.subordinate(sub, { subject = { CN = "Lower CA" } })
    local leaf = wrong.make(lower)
    for word, file in pairs {
      chain_order = { leaf, sub, lower }, duplicate = { leaf, lower, sub, lower },
      foreign = { leaf, lower, sub, pki.good },
    } do
      local found = judge(file)
      assert.equal(word, words_of(found))
      assert.is_true(found[1].note)
    end
  end)

  it("finds what readers of PEM stumble over, as a note, with its line", function()
    local text = pki.good.chain:pem()
    local function told(given)
      return findings.add_text(judge { pki.good }, given, "leaf.pem")
    end
    local found = told(" " .. text .. text)
    assert.equal("bad_pem", words_of(found))
    assert.is_true(found[1].note)
    assert.matches("^line 1: ", found[1].detail)
    assert.equal("leaf.pem", found[1].path)
    assert.equal("bad_pem", words_of(findings.add_text(found, text)), "it is looked at once")
    assert.equal("", words_of(told(text)))
    assert.equal("", words_of(told(pki.good.key:pem() .. text)), "a key beside it is fine")
  end)
end)

describe("whether a server knows the issuer", function()
  local leaf = wrong.make(sub)
  local directory
  setup(function() directory = temporary.directory() end)
  teardown(function() directory:remove() end)

  it("is asked of the names in its CertificateRequest", function()
    local listed = asking "CN=Client CA"
    listed.issuer_listed = true
    assert.equal("", words_of(judge({ pki.good }, { trace = listed })))
    assert.equal("client_ca_unknown", words_of(judge({ pki.stranger }, { trace = asking "CN=Client CA" })))
    assert.equal("client_self_signed", words_of(judge({ wrong.make(nil) }, { trace = asking "CN=Client CA" })))
    assert.equal("", words_of(judge({ pki.stranger }, { trace = asking() })), "it names none")
  end)

  it("is certain of an unknown CA only where no intermediate can be missing", function()
    local trace = asking "CN=Client CA"
    assert.same({ "client_intermediate_missing" }, judge({ pki.stranger }, { trace = trace })[1].instead)
    assert.is_nil(judge({ pki.stranger, pki.other_ca }, { trace = trace })[1].instead)
    local found = judge({ pki.stranger }, { trace = trace,
      groups = { { name = "server-ca.pem", certificates = { pki.other_ca.certificate } } } })
    assert.equal("client_ca_unknown", words_of(found))
    assert.is_nil(found[1].instead)
  end)

  it("is certain of a missing intermediate only where it is at hand, and leads to a name of the server", function()
    local trace = asking "CN=Client CA"
    local found = judge({ leaf }, { trace = trace })
    assert.equal("client_intermediate_missing", words_of(found))
    assert.same({ "client_ca_unknown" }, found[1].instead)
    found = judge({ leaf }, { trace = trace, groups = { { name = "all.pem", certificates = { sub.certificate } } } })
    assert.equal("client_intermediate_missing", words_of(found))
    assert.is_nil(found[1].instead)
    assert.equal("only the leaf; its issuer CN=Issuing CA is not in the file (it is in all.pem)", found[1].detail)
  end)

  it("is told by the authority key identifier, where that names the issuer's issuer", function()
    local telling = wrong.by_openssl(directory, "worker", root, "authorityKeyIdentifier = issuer:always")
    assert.is_true(path.names_own_issuer(telling.certificate))
    assert.is_false(path.names_own_issuer(leaf.certificate))
    assert.is_nil(judge({ telling }, { trace = asking "CN=Somebody" })[1].instead)
  end)

  it("is verified where the accepted CAs are given", function()
    local accepted = assert(tcpki.bundle.new { root.certificate })
    assert.equal("", words_of(judge({ pki.good }, { accepted = accepted })))
    assert.equal("", words_of(judge({ leaf, sub }, { accepted = accepted })))
    assert.equal("client_ca_twin", words_of(judge({ pki.twin }, { accepted = accepted })))
    assert.equal("client_ca_unknown", words_of(judge({ pki.stranger }, { accepted = accepted })))
    assert.equal("client_self_signed", words_of(judge({ wrong.make(nil) }, { accepted = accepted })))
    assert.equal("client_intermediate_missing", words_of(judge({ leaf }, { accepted = accepted })))
    local own = wrong.make(nil)
    assert.equal("", words_of(judge({ own }, { accepted = assert(tcpki.bundle.new { own.certificate }) })))
    local found = judge({ pki.good }, { accepted = accepted })
    assert.is_true(found.verdicts.go.ok and found.verdicts.openssl.ok and found.verdicts.rustls.ok)
  end)
end)

describe("the path of a client's file", function()
  it("says where it ends, what is missing, and what is at hand", function()
    local leaf = wrong.make(sub)
    local way = path.of({ leaf.certificate }, {})
    assert.is_true(chain.new({ leaf.certificate })[1] == way.top)
    assert.is_false(way.is_whole)
    assert.equal("CN=Issuing CA", way.missing)
    assert.same({}, way.beyond)
    assert.is_nil(way.root)
    way = path.of({ leaf.certificate, sub.certificate, root.certificate }, {})
    assert.is_true(way.is_whole)
    assert.equal(root.certificate, way.root)
    way = path.of({ leaf.certificate }, { { name = "a", certificates = { root.certificate } },
      { name = "b", certificates = function() return { pki.other_ca.certificate, sub.certificate } end } })
    assert.equal("b", way.beyond[1].where)
    assert.equal("a", way.beyond[2].where)
    assert.equal(root.certificate, way.root)
    assert.is_false(way.is_root_below)
  end)

  it("hears in a name whether people would call an intermediate so", function()
    for name, expected in pairs {
      ["O=Acme, CN=Acme Issuing CA 2"] = true, ["CN=intermediate-ca"] = true, ["CN=Sub CA"] = true,
      ["CN=Signing"] = true, ["CN=Subaru"] = false, ["O=Acme, CN=Acme Root"] = false, ["CN=Client CA"] = false,
    } do
      assert.equal(expected, path.sounds_intermediate(name), name)
    end
  end)
end)

describe("a result", function()
  local nowhere = "127.0.0.1:" .. party.free_port()
  local directory
  setup(function() directory = temporary.directory() end)
  teardown(function() directory:remove() end)

  it("has the findings even where nothing was reached, with the path of the file", function()
    local certificate_path = directory:file("leaf.pem", pki.expired.chain:pem())
    local result = probe.run {
      address = nowhere, certificate_path = certificate_path, key = pki.expired.key,
      server_ca = pki.server_ca.certificate,
    }
    assert.equal("refused", result.cause, tostring(result))
    assert.equal(1, #result.findings)
    assert.equal("client_expired", result.findings[1].word)
    assert.equal("CN=worker", result.findings[1].subject)
    assert.equal(certificate_path, result.findings[1].path)
    assert.is_nil(result.accepted_by)
    assert.equal(0, #result.warnings)
  end)

  it("has what Go, OpenSSL and rustls make of the certificate, where the accepted CAs are given", function()
    local result = probe.run(pki.options(pki.twin, { address = nowhere, accepted = root.certificate }))
    assert.is_false(result.accepted_by.go.ok)
    assert.equal("twin", result.accepted_by.rustls.word)
    assert.equal("client_ca_twin", result.findings[1].word)
    local accepted_path = directory:file("accepted.pem", root.certificate:pem())
    result = probe.run(pki.options(pki.good, { address = nowhere, accepted_path = accepted_path }))
    assert.is_true(result.accepted_by.go.ok)
    assert.equal(0, #result.findings)
  end)

  it("is one even of a file with more certificates than anybody would put in order", function()
    local key, heap, text = assert(tcpki.key.generate()), { pki.good.certificate }, { pki.good.chain:pem() }
    for i = 2, 1100 do
      heap[i] = wrong.make(nil, { key = key, subject = { CN = "Client CA" } }).certificate
      text[i] = heap[i]:pem()
    end
    assert.is_nil((chain.new(heap)))
    assert.equal(heap[1], path.chain(heap)[1])
    local result = probe.run(pki.options(pki.good, { address = nowhere, certificate = table.concat(text),
      accepted = root.certificate }))
    assert.equal("refused", result.cause, tostring(result))
    assert.equal("foreign", result.findings[#result.findings].word)
  end)

  it("refuses accepted CAs that cannot be read", function()
    local result = probe.run(pki.options(pki.good, { address = nowhere, accepted_path = "/nowhere/accepted.pem" }))
    assert.equal("file_missing", result.cause)
    assert.matches("/nowhere/accepted.pem", result.message, 1, true)
    assert.equal("bad_pem", probe.run(pki.options(pki.good, { address = nowhere, accepted = "rubbish" })).cause)
  end)
end)

describe("a list that is made later", function()
  local made
  local function list()
    made = 0
    return later.list(function()
      made = made + 1
      return { "a", "b" }
    end)
  end

  it("is made once, at the first look, whatever that is", function()
    for name, look in pairs {
      index = function(one) return one[1] end, length = function(one) return #one end,
      ipairs = function(one) for _ in ipairs(one) do assert(one) end end,
      pairs = function(one) for _ in pairs(one) do assert(one) end end,
    } do
      local one = list()
      assert.equal(0, made)
      look(one)
      look(one)
      assert.equal(1, made, name)
      assert.same({ "a", "b" }, one)
    end
  end)
end)

-- Everything that we issue, before other people's linters and verifiers: make test-producers.

local cloud = require "tcpki.cloud"
local openssl = require "spec.support.openssl"
local producers = require "spec.support.producers"
local temporary = require "spec.support.temporary"
local tcpki = require "tcpki"

local KEYS = {
  { name = "p256", type = "ec", curve = "P-256" },
  { name = "p384", type = "ec", curve = "P-384" },
  { name = "p521", type = "ec", curve = "P-521" },
  { name = "rsa2048", type = "rsa", bits = 2048 },
  { name = "rsa3072", type = "rsa", bits = 3072 },
  { name = "rsa4096", type = "rsa", bits = 4096 },
  { name = "ed25519", type = "ed25519" },
}

local NAMES = {
  { type = "dns", value = "worker.example.com" }, { type = "ip", value = "192.0.2.7" },
  { type = "ip", value = "2001:db8::7" }, { type = "email", value = "worker@example.com" },
  { type = "uri", value = "https://example.com/payments/worker" },
}

-- All documents of the IETF that zlint has lints of. The others are of the CA/Browser forum, of root programs and of
-- the European signature law: rules for certificates that the public's browsers and mail programs trust.
local SOURCES = "RFC3279,RFC5280,RFC5480,RFC5891,RFC6962,RFC8813"

-- What stays, by certificate or CRL, and why.
-- It wants a dot in a host name; localhost, and the names that the published samples give their nodes, have none
-- (RFC 1034, section 3.5, asks for none).
local ONE_LABEL = { "ERROR pkix.invalid_domain_name_syntax" }
-- RFC 5280, section 4.2.1.12, has no key encipherment for a client. A CSR that asks for it, as those of Azure Key Vault
-- do by default, gets it: no verifier minds, and `usage = "client"` signs without it.
local ASKED_FOR = { "error e_key_usage_and_extended_key_usage_inconsistent" }
local KEPT = {
  zlint = {
    ["requested by a client rsa2048"] = ASKED_FOR, ["requested by a client rsa3072"] = ASKED_FOR,
    ["requested by a client rsa4096"] = ASKED_FOR,
  },
  pkilint = {
    ["cluster 5 CN=internode"] = ONE_LABEL,
    ["cluster 8 CN=temporal.acme.example"] = ONE_LABEL, -- and localhost
    ["tls_simple 2 C=US, ST=WA, O=Test Client\\, Inc., CN=localhost"] = ONE_LABEL,
    ["tls_simple 3 C=US, ST=WA, O=Test Cluster\\, Inc., CN=tls-sample"] = ONE_LABEL,
    -- Its check of URIs is one of web addresses: it knows http, ftp, ssh and a few more schemes. RFC 3986 and SPIFFE do
    -- not end there.
    ["identity of SPIFFE"] = { "ERROR pkix.invalid_uri_syntax" },
    ["identity of SPIFFE alone"] = { "ERROR pkix.invalid_uri_syntax" },
  },
}

describe("what we issue #producers", function()
  local directory
  -- Each has a name, a path and the path of its issuer. Certificates also have their chain, the paths of chain and
  -- roots, and a purpose.
  local issued, lists, all = {}, {}, {}

  local function file(name, text)
    return directory:file(name:gsub("[^%w]", "-") .. ".pem", text)
  end

  local function keep(name, chain, authority, purpose)
    local root = authority.chain[#authority.chain]
    local one = {
      name = name, purpose = purpose, whole = chain, bundle = assert(tcpki.bundle.new { root }),
      path = file(name, chain[1]:pem()), chain = file(name .. " chain", assert(chain:pem())),
      issuer = file(name .. " issuer", authority.certificate:pem()), roots = file(name .. " root", root:pem()),
    }
    issued[#issued + 1], all[#all + 1] = one, one
  end

  local function keep_list(name, authority)
    local one = {
      name = name, path = file(name .. " crl", assert(authority:crl()):pem()),
      issuer = file(name .. " issuer", authority.certificate:pem()),
    }
    lists[#lists + 1], all[#all + 1] = one, one
  end

  local function keep_root(name, authority)
    keep(name, assert(tcpki.chain.new { authority.certificate }), authority, "any")
  end

  local function key_of(options)
    return assert(tcpki.key.generate { type = options.type, curve = options.curve, bits = options.bits })
  end

  -- Every profile with one kind of key.
  local function issue_all(options)
    local function title(what) return ("%s %s"):format(what, options.name) end
    local ca = assert(tcpki.authority.new {
      subject = { O = "Acme", CN = title "Acme Root" }, key = key_of(options), days = 3650,
    })
    keep_root(title "root", ca)
    local key = key_of(options)
    for _, usage in ipairs { "client", "server", "peer" } do
      local leaf = assert(ca:issue {
        usage = usage, common_name = title(usage), key = key, days = 90, subject_alt_names = NAMES,
      })
      keep(title(usage), leaf.chain, ca, usage == "server" and "server" or "client")
    end
    local below = assert(ca:subordinate {
      subject = { O = "Acme", CN = title "Acme Issuing" }, key = key_of(options), days = 1000,
    })
    keep(title "subordinate", assert(tcpki.chain.new { below.certificate }), ca, "any")
    local request = assert(tcpki.csr.new {
      subject = { O = "Acme", CN = title "request" }, key = key, subject_alt_names = NAMES,
    })
    keep(title "signed", assert(below:sign(request, { days = 30 })).chain, below, "client")
    local key_path = directory:file(nil, key:pem())
    local more = options.type == "rsa" and ",keyEncipherment" or options.type == "ec" and ",keyAgreement" or ""
    for _, case in ipairs { { "requested", "serverAuth,clientAuth" }, { "requested by a client", "clientAuth" } } do
      local what, usages = table.unpack(case)
      local configuration = openssl.configuration(directory, ("req_extensions = asked\n[dn]\nCN = %s\n[asked]\n"
        .. "keyUsage = digitalSignature%s\nextendedKeyUsage = %s\nsubjectAltName = DNS:a.example\n")
        :format(title(what), more, usages))
      local asked = assert(tcpki.csr.parse(openssl.run(("req -new -key %s -config %s"):format(key_path,
        configuration))))
      keep(title(what), assert(below:sign(asked, { usage = "requested" })).chain, below, "client")
    end
    keep_list(title "no revocation", ca)
    for serial, reason in ipairs { "unspecified", "key_compromise", "superseded" } do
      local leaf = assert(below:issue { usage = "client", common_name = "gone " .. serial, key = key })
      assert(below:revoke(leaf.certificate, serial > 1 and { reason = reason } or nil))
    end
    keep_list(title "revocations", below)
  end

  -- What else can be asked for.
  local function issue_more()
    local ca = assert(tcpki.authority.new {
      subject = { C = "GB", ST = "Greater London", L = "London", O = "Acme", OU = "Payments", CN = "Acme Root" },
      days = 20000, path_length = 2, digest = "SHA384",
      name_constraints = { permitted = { "example.com" }, excluded = { "hidden.example.com" } },
    })
    keep_root("long life and constraints", ca)
    local middle = assert(ca:subordinate {
      common_name = "Acme Middle", days = 18000, crl_distribution_points = { "http://crl.example.com/root.crl" },
    })
    keep("middle", assert(tcpki.chain.new { middle.certificate }), ca, "any")
    local last = assert(middle:subordinate { common_name = "Acme Last", days = 15000, path_length = 0 })
    keep("last", assert(tcpki.chain.new { last.certificate, middle.certificate }), middle, "any")
    keep("nameless", assert(last:issue {
      usage = "peer", subject_alt_names = { { type = "dns", value = "a.example.com" } }, days = 14000,
    }).chain, last, "server")
    keep("name beyond ASCII", assert(last:issue {
      usage = "client", subject = { O = "Étoile", CN = "Łódź" }, days = 1,
    }).chain, last, "client")
    local free = assert(tcpki.authority.new { subject = { O = "Acme", CN = "Acme Identities" } })
    local identity = { { type = "uri", value = "spiffe://example.com/ns/payments/sa/worker" } }
    keep("identity of SPIFFE", assert(free:issue {
      usage = "peer", common_name = "worker", subject_alt_names = identity,
    }).chain, free, "client")
    keep("identity of SPIFFE alone", assert(free:issue {
      usage = "peer", subject_alt_names = identity,
    }).chain, free, "client")
    local hard = assert(tcpki.authority.new { common_name = "Acme Serial", serial = ("7f"):rep(20) })
    keep_root("longest serial", hard)
  end


  -- What Temporal Cloud is to take by construction.
  local function issue_for_cloud()
    for _, company in ipairs { "Acme", "Étoile & Söhne, Inc.", ("long"):rep(16) } do
      for _, options in ipairs { KEYS[1], KEYS[4] } do
        local function title(what) return ("cloud %s %s of %s"):format(what, options.name, company:sub(1, 10)) end
        local ca = assert(cloud.authority { company = company, key = key_of(options) })
        keep_root(title "authority", ca)
        for name, given in pairs {
          client = { namespace = "payments.a1b2c" },
          reader = { name = "reader", organizational_unit = "Payments", days = 30 },
        } do
          given.authority, given.key = ca, key_of(options)
          keep(title(name), assert(cloud.client(given)).chain, ca, "client")
        end
      end
    end
  end

  -- Every certificate of a tree of files, under the issuer that stands there too.
  local function keep_tree(name, path)
    local heap, seen = {}, {}
    local listing = assert(io.popen(("find %s -type f"):format(path)))
    for file_path in listing:lines() do
      for block in temporary.content(file_path):gmatch "%-%-%-%-%-BEGIN CERTIFICATE%-.-END CERTIFICATE%-%-%-%-%-\n" do
        local certificate = assert(tcpki.certificate.parse(block))
        if not seen[certificate:fingerprint()] then
          seen[certificate:fingerprint()] = true
          heap[#heap + 1] = certificate
        end
      end
    end
    listing:close()
    assert(#heap >= 2, name)
    table.sort(heap, function(a, b) return tostring(a:subject()) < tostring(b:subject()) end)
    for i, certificate in ipairs(heap) do
      local whole = assert(tcpki.chain.new(heap, { leaf = certificate }))
      local usages = certificate:extended_key_usage() or {}
      keep(("%s %d %s"):format(name, i, certificate:subject()), whole, { certificate = whole[2] or whole[1],
        chain = whole }, usages[1] == "client_auth" and "client" or usages[1] == "server_auth" and "server" or "any")
    end
  end

  -- What the other rooms put into their directories.
  local function issue_for_directories()
    local cluster = assert(tcpki.server.cluster {
      hosts = { "temporal.acme.example", { name = "a.acme.example", clients = { "payments" } } }, clients = { "web" },
    })
    assert(cluster:write(directory:path "cluster"))
    keep_tree("cluster", directory:path "cluster")
    for _, layout in ipairs { "tls_simple", "tls_full" } do
      assert(tcpki.server.layouts[layout](directory:path(layout)))
      keep_tree(layout, directory:path(layout))
    end
    local depot = assert(tcpki.certstrap.init(directory:path "depot", { common_name = "Acme Depot" }))
    assert(depot:request_cert { common_name = "payments", domain = "payments.acme.example" })
    assert(depot:sign("payments", { ca = "Acme Depot" }))
    assert(depot:request_cert { common_name = "web", domain = "web.acme.example", curve = "P-256" })
    assert(depot:sign("web", { ca = "Acme Depot" }))
    keep_tree("depot", directory:path "depot")
    local istio = assert(tcpki.istio.root { organization = "Acme", key = { type = "ec" } })
    assert(istio:write(directory:path "istio"))
    assert(assert(tcpki.istio.cluster(istio, "west")):write(directory:path "istio/west"))
    keep_tree("istio", directory:path "istio")
  end

  setup(function()
    directory = temporary.directory()
    for _, options in ipairs(KEYS) do issue_all(options) end
    issue_more()
    issue_for_cloud()
    issue_for_directories()
  end)

  teardown(function()
    directory:remove()
  end)

  -- Fails with all that is not as expected, name by name.
  local function each(list, answer_of)
    local wrong = {}
    for i, one in ipairs(list) do
      local expected, answer = answer_of(one, i)
      if expected ~= answer then
        wrong[#wrong + 1] = ("%s: %s, expected %s"):format(one.name, answer, expected)
      end
    end
    assert.equal("", table.concat(wrong, "\n"))
  end

  local function said(findings)
    return findings and #findings > 0 and table.concat(findings, ", ") or "nothing"
  end

  it("passes zlint by the documents of the IETF", function()
    local paths = {}
    for i, one in ipairs(all) do paths[i] = one.path end
    local answers, applied = producers.zlint(paths, SOURCES)
    if not answers then return producers.excuse(applied, pending) end
    each(all, function(one, i)
      -- A linter that had nothing to look at has no opinion.
      assert.is_true(applied[i] >= (one.whole and 30 or 5), one.name)
      return said(KEPT.zlint[one.name]), said(answers[i])
    end)
  end)

  it("passes pkilint, alone and as a pair with its issuer", function()
    local lines, about = {}, {}
    for _, one in ipairs(all) do
      lines[#lines + 1] = (one.whole and "certificate\t%s" or "crl\t%s"):format(one.path)
      about[#about + 1] = one
      if one.whole then
        lines[#lines + 1] = ("pair\t%s\t%s"):format(one.issuer, one.path)
        about[#about + 1] = { name = one.name .. " under its issuer" }
      end
    end
    local answers, missing = producers.pkilint(lines)
    if not answers then return producers.excuse(missing, pending) end
    each(about, function(one, i) return said(KEPT.pkilint[one.name]), said(answers[i]) end)
  end)

  it("is told from what they would not pass", function()
    local ca = assert(tcpki.certificate.parse(temporary.content(issued[1].path)))
    local key = key_of(KEYS[1])
    local bad = assert(tcpki.certificate.make {
      subject = { CN = "bad" }, not_before = os.time(), not_after = os.time() + 1000, public_key = key, issuer = ca,
      issuer_key = key, key_usage = { "key_cert_sign" }, basic_constraints = { ca = false },
    })
    local path = directory:file("bad.pem", bad:pem())
    local answers, missing = producers.zlint({ path }, SOURCES)
    if not answers then return producers.excuse(missing, pending) end
    assert.matches("error e_ext_key_usage_cert_sign_without_ca", said(answers[1]))
    answers, missing = producers.pkilint { "certificate\t" .. path }
    if not answers then return producers.excuse(missing, pending) end
    assert.matches("ERROR pkix.ee_certificate_keycertsign_keyusage_set", said(answers[1]))
  end)

  it("is verified by openssl to the letter", function()
    each(issued, function(one)
      local purpose = one.purpose == "any" and "" or "-purpose ssl" .. one.purpose
      local ok, output, errors = openssl.try(
        ("verify -x509_strict -auth_level 2 %s -no-CApath -no-CAstore -CAfile %s -untrusted %s %s"):format(
          purpose, one.roots, one.chain, one.path))
      return "ok", ok and "ok" or output .. errors
    end)
    each(lists, function(one)
      local ok, output, errors = openssl.try(("crl -noout -verify -CAfile %s -in %s"):format(one.issuer, one.path))
      return "ok", ok and errors:find "verify OK" and "ok" or output .. errors
    end)
  end)

  it("is verified by crypto/x509", function()
    local triples = {}
    for i, one in ipairs(all) do
      triples[i] = one.whole and { one.chain, one.roots, one.purpose } or { one.path, one.issuer, "crl" }
    end
    local verdicts, missing = producers.verify(triples)
    if not verdicts then return producers.excuse(missing, pending) end
    each(all, function(_, i) return "ok", verdicts[i] end)
  end)

  it("is verified by ourselves", function()
    each(issued, function(one)
      local ok, err = one.whole:verify { roots = one.bundle, purpose = one.purpose }
      return "ok", ok and "ok" or tostring(err)
    end)
  end)
end)

local expect = require "spec.support.expect"
local openssl = require "spec.support.openssl"
local temporary = require "spec.support.temporary"
local tcpki = require "tcpki"

local authority = tcpki.authority

local DAY = 86400

-- What openssl shows of an extension, on one line; nil where it is absent.
local function shown(certificate, name)
  local output = openssl.run(("x509 -noout -ext %s"):format(name), certificate:pem())
  if not output:find ":" then return nil end
  return (output:gsub("%s*\n%s*", " "):gsub("^X509v3 ", ""):gsub("%s+$", ""))
end

describe("tcpki.authority", function()
  local directory, now, ca

  setup(function()
    directory = temporary.directory()
    now = os.time()
    ca = assert(authority.new { subject = { CN = "root", O = "Acme" }, days = 3650 })
  end)

  teardown(function()
    directory:remove()
  end)

  local function holds(issued, root, more)
    local untrusted
    for i = 2, #issued.chain do
      untrusted = (untrusted or "") .. issued.chain[i]:pem()
    end
    local ok, output = openssl.verify(issued.certificate:pem(), root:pem(), untrusted, more)
    assert.is_true(ok, output)
  end

  local function extensions_of(certificate)
    local names = {}
    for i, extension in ipairs(certificate:extensions()) do
      names[i] = extension.name .. (extension.critical and "!" or "")
    end
    table.sort(names)
    return table.concat(names, " ")
  end

  describe("new", function()
    it("makes a root with the extensions of a root, and no more", function()
      assert.equal("authorityKeyIdentifier basicConstraints! keyUsage! subjectKeyIdentifier",
        extensions_of(ca.certificate))
      assert.equal("Basic Constraints: critical CA:TRUE", shown(ca.certificate, "basicConstraints"))
      assert.equal("Key Usage: critical Certificate Sign, CRL Sign",
        shown(ca.certificate, "keyUsage"))
      assert.is_true(ca.certificate:self_signed())
      assert.equal("O=Acme, CN=root", tostring(ca.certificate:subject()))
      assert.equal(ca.certificate:subject_key_id(), ca.certificate:authority_key_id())
      assert.is_true(ca.key:matches(ca.certificate))
      assert.equal("tcpki.authority (O=Acme, CN=root)", tostring(ca))
      assert.equal(1, #ca.chain)
    end)

    it("has the defaults that the README names", function()
      local made = ca.certificate
      assert.equal("P-256", ca.key:curve())
      assert.equal("ecdsa-with-SHA256", made:signature_algorithm())
      assert.equal(3, made:version())
      assert.is_true(now - 600 <= made:not_before() and made:not_before() <= os.time() - 600)
      assert.is_true(now + 3650 * DAY <= made:not_after())
      assert.is_true(made:not_after() <= os.time() + 3650 * DAY)
      local plain = assert(authority.new { common_name = "plain" })
      assert.equal("CN=plain", tostring(plain.certificate:subject()))
      assert.equal(3650 * DAY + 600, plain.certificate:not_after() - plain.certificate:not_before())
    end)

    it("takes a key, or the wish for one, of every kind", function()
      local key = assert(tcpki.key.generate { type = "ed25519" })
      assert.is_true(assert(authority.new { common_name = "a", key = key }).key == key)
      for _, options in ipairs { { type = "rsa", bits = 2048 }, { curve = "P-521" },
        { type = "ed25519" } } do
        local made = assert(authority.new { common_name = "a", key = options })
        assert.equal(options.type or "ec", made.key:type())
        holds({ certificate = made.certificate, chain = made.chain }, made.certificate)
      end
    end)

    it("puts in path length, constraints, times, serial and digest as asked", function()
      local made = assert(authority.new { common_name = "a", path_length = 1, serial = "0102",
        name_constraints = { permitted = { "a.example" } }, digest = "SHA384",
        not_before = now - DAY, not_after = now + DAY,
        crl_distribution_points = { "http://a.example/a.crl" } })
      assert.same({ ca = true, path_length = 1 }, made.certificate:basic_constraints())
      assert.equal("0102", made.certificate:serial())
      assert.equal("ecdsa-with-SHA384", made.certificate:signature_algorithm())
      assert.equal(now - DAY, made.certificate:not_before())
      assert.equal(now + DAY, made.certificate:not_after())
      assert.equal("Name Constraints: critical Permitted: DNS:a.example",
        shown(made.certificate, "nameConstraints"))
      assert.is_truthy(shown(made.certificate, "crlDistributionPoints"))
    end)

    it("needs the private half of its key", function()
      expect.fault("no_private_key", authority.new { common_name = "a", key = ca.key:public() })
    end)

    it("throws on a mistake of the program", function()
      expect.throws("subject", authority.new, {})
      expect.throws("not both", authority.new, { common_name = "a", subject = { CN = "a" } })
      expect.throws({ "unknown option 'cn'", "common_name", "path_length" }, authority.new,
        { cn = "a" })
      expect.throws({ "'days'", "integer" }, authority.new, { common_name = "a", days = "1" })
      for _, days in ipairs { 0, -1, 365251, 1 << 60, math.maxinteger, math.mininteger } do
        expect.throws({ "'days'", "1 to 365250" }, authority.new,
          { common_name = "a", days = days })
      end
      expect.throws("'path_length'", authority.new, { common_name = "a", path_length = -1 })
      expect.throws({ "'key'", "tcpki.key" }, authority.new, { common_name = "a", key = "pem" })
      expect.throws({ "'type'", "dsa" }, authority.new,
        { common_name = "a", key = { type = "dsa" } })
    end)

    it("returns the fault of a name or time that no certificate can hold", function()
      expect.fault("bad_name", authority.new { subject = { C = "DEU" } })
      expect.fault("bad_time", authority.new { common_name = "a", not_after = 253402300800 })
      expect.fault("bad_time", authority.new { common_name = "a", not_before = now + 2 * DAY,
        not_after = now + DAY })
    end)
  end)

  describe("issue", function()
    local profiles = {
      { usage = "client", eku = "TLS Web Client Authentication", purposes = { "sslclient" } },
      { usage = "server", eku = "TLS Web Server Authentication", purposes = { "sslserver" } },
      { usage = "peer", eku = "TLS Web Server Authentication, TLS Web Client Authentication",
        purposes = { "sslclient", "sslserver" } },
    }

    for _, profile in ipairs(profiles) do
      it(("makes a %s certificate that openssl takes for one"):format(profile.usage), function()
        for _, kind in ipairs { { type = "ec" }, { type = "rsa", bits = 2048 },
          { type = "ed25519" } } do
          local leaf = assert(ca:issue { common_name = "worker", usage = profile.usage, key = kind,
            subject_alt_names = { "worker.example" } })
          assert.equal("authorityKeyIdentifier basicConstraints! extendedKeyUsage keyUsage! "
            .. "subjectAltName subjectKeyIdentifier", extensions_of(leaf.certificate))
          assert.equal("Basic Constraints: critical CA:FALSE",
            shown(leaf.certificate, "basicConstraints"))
          assert.equal("Key Usage: critical Digital Signature"
            .. (kind.type == "rsa" and profile.usage ~= "client" and ", Key Encipherment" or ""),
            shown(leaf.certificate, "keyUsage"))
          assert.equal("Extended Key Usage: " .. profile.eku,
            shown(leaf.certificate, "extendedKeyUsage"))
          assert.equal("Subject Alternative Name: DNS:worker.example",
            shown(leaf.certificate, "subjectAltName"))
          assert.equal(ca.certificate:subject_key_id(), leaf.certificate:authority_key_id())
          for _, purpose in ipairs(profile.purposes) do
            holds(leaf, ca.certificate, "-purpose " .. purpose)
          end
          assert.is_true(leaf.key:matches(leaf.certificate))
          assert.is_true(leaf.certificate:issued_by(ca.certificate))
          assert.equal(1, #leaf.chain)
        end
      end)
    end

    it("lets a client do without alternative names, and no server", function()
      local leaf = assert(ca:issue { common_name = "worker", usage = "client" })
      assert.is_nil(leaf.certificate:subject_alt_names())
      assert.equal("CN=worker", tostring(leaf.certificate:subject()))
      assert.equal("tcpki.leaf (CN=worker)", tostring(leaf))
      for _, usage in ipairs { "server", "peer" } do
        assert.matches("subject_alt_names", expect.fault("bad_name",
          ca:issue { common_name = "worker", usage = usage }).hint)
      end
    end)

    it("makes the alternative names critical where there is no subject", function()
      local leaf = assert(ca:issue { usage = "server", subject_alt_names = { "a.example" } })
      assert.equal("Subject Alternative Name: critical DNS:a.example",
        shown(leaf.certificate, "subjectAltName"))
      holds(leaf, ca.certificate)
    end)

    it("keeps all alternative names, in order", function()
      local names = {}
      for i = 1, 500 do
        names[i] = { type = "dns", value = ("host-%d.example"):format(i) }
      end
      names[501] = { type = "uri", value = "spiffe://a.example/" .. ("x"):rep(2000) }
      local leaf = assert(ca:issue { usage = "server", subject_alt_names = names })
      assert.same(names, leaf.certificate:subject_alt_names())
      holds(leaf, ca.certificate)
    end)

    it("uses a key that is given, and gives it back where it is private", function()
      local key = assert(tcpki.key.generate())
      assert.is_true(assert(ca:issue { common_name = "a", usage = "client", key = key }).key == key)
      local leaf = assert(ca:issue { common_name = "a", usage = "client", key = key:public() })
      assert.is_nil(leaf.key)
      assert.is_true(key:matches(leaf.certificate))
      expect.fault("no_private_key", leaf:write(directory:path "a.key", directory:path "a.pem"))
    end)

    it("gives each certificate another serial, or the one that is asked", function()
      local one = assert(ca:issue { common_name = "a", usage = "client" }).certificate
      local other = assert(ca:issue { common_name = "a", usage = "client" }).certificate
      assert.not_equal(one:serial(), other:serial())
      assert.equal("0abc", assert(ca:issue { common_name = "a", usage = "client",
        serial = "abc" }).certificate:serial())
    end)

    it("refuses names and serial numbers that RFC 5280 does not have", function()
      expect.fault("bad_name", ca:issue { usage = "client", subject_alt_names = {} })
      expect.fault("bad_name", ca:issue { usage = "server", common_name = "a", subject_alt_names = {} })
      expect.fault("bad_name", ca:issue { usage = "ca", subject_alt_names = { "a.example" } })
      expect.fault("bad_name", ca:subordinate { subject = {} })
      expect.fault("bad_name", authority.new { subject = {} })
      expect.fault("bad_name", ca:issue { common_name = "a", usage = "client", serial = "00" })
    end)

    it("throws on a mistake of the program", function()
      expect.throws({ "'usage'", "both", "ca, client, peer, server" }, ca.issue, ca,
        { common_name = "a", usage = "both" })
      expect.throws({ "'usage'" }, ca.issue, ca, { common_name = "a" })
      expect.throws("common_name", ca.issue, ca, { usage = "client" })
      expect.throws("not both", ca.issue, ca, { common_name = "a", subject = {}, usage = "client" })
      expect.throws({ "path_length", '"ca"' }, ca.issue, ca,
        { common_name = "a", usage = "client", path_length = 0 })
      expect.throws({ "unknown option 'sans'", "subject_alt_names" }, ca.issue, ca,
        { common_name = "a", usage = "client", sans = {} })
      expect.throws({ "'days'", "1 to" }, ca.issue, ca,
        { common_name = "a", usage = "client", days = 0 })
      expect.throws({ "'csr'", "tcpki.csr" }, ca.issue, ca, { csr = "pem" })
    end)
  end)

  describe("issue like another certificate", function()
    -- Names that no list of texts holds, in encodings that are not ours.
    local theirs, text

    setup(function()
      local configuration = openssl.configuration(directory, [[
string_mask = default
x509_extensions = more
[dn]
O = Acme
CN = worker
[more]
basicConstraints = CA:false
keyUsage = dataEncipherment
subjectAltName = critical, DNS:worker.example, otherName:1.2.3.4;UTF8:a, RID:1.2.3
nameConstraints = permitted;DNS:example
]])
      text = openssl.run(("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout %s -config %s"):format(
        directory:path "like.key", configuration))
      theirs = assert(tcpki.certificate.parse(text))
    end)

    local function raw(certificate, oid)
      for _, extension in ipairs(certificate:extensions()) do
        if extension.oid == oid then
          return extension.der, extension.critical
        end
      end
    end

    it("takes its names to the byte and its key, and nothing else of it", function()
      local leaf = assert(ca:issue { like = theirs, usage = "client" })
      assert.equal(theirs:subject_der(), leaf.certificate:subject_der())
      assert.same({ raw(theirs, "2.5.29.17") }, { raw(leaf.certificate, "2.5.29.17") })
      assert.is_true(leaf.certificate:public_key() == theirs:public_key())
      assert.is_nil(leaf.key)
      assert.same({ "digital_signature" }, leaf.certificate:key_usage())
      assert.is_nil(raw(leaf.certificate, "2.5.29.30"))
      assert.not_equal(theirs:serial(), leaf.certificate:serial())
      assert.is_true(leaf.certificate:issued_by(ca.certificate))
    end)

    it("takes another key where one is given or asked for", function()
      local leaf = assert(ca:issue { like = theirs, usage = "client", key = { type = "ed25519" } })
      assert.equal("ed25519", leaf.key:type())
      assert.is_true(leaf.key:matches(leaf.certificate))
      assert.equal(theirs:subject_der(), leaf.certificate:subject_der())
    end)

    it("keeps what an authority may name", function()
      local renewed = assert(ca:issue { like = theirs, usage = "ca" })
      assert.equal(raw(theirs, "2.5.29.30"), (raw(renewed.certificate, "2.5.29.30")))
    end)

    it("throws where names come from two places", function()
      for _, other in ipairs { { common_name = "a" }, { subject = { CN = "a" } }, { subject_alt_names = { "a" } } } do
        other.like, other.usage = theirs, "client"
        expect.throws("not both", ca.issue, ca, other)
      end
    end)
  end)

  describe("the life of a leaf", function()
    it("ends before its issuer does, by itself where nobody asked for more", function()
      local short = assert(authority.new { common_name = "short", days = 30 })
      local leaf = assert(short:issue { common_name = "a", usage = "client" })
      assert.equal(short.certificate:not_after() - 1, leaf.certificate:not_after())
      local long = assert(ca:issue { common_name = "a", usage = "client" })
      assert.is_true(long.certificate:not_after() <= os.time() + 90 * DAY)
      assert.is_true(long.certificate:not_after() >= now + 90 * DAY)
    end)

    it("is refused where what was asked would outlive the issuer", function()
      local short = assert(authority.new { common_name = "short", days = 30 })
      local err = expect.fault("outlives_issuer",
        short:issue { common_name = "a", usage = "client", days = 31 })
      assert.equal("CN=short", err.subject)
      local days = math.tointeger(tonumber(err.hint:match "at most (%d+) days"))
      assert(short:issue { common_name = "a", usage = "client", days = days })
      expect.fault("outlives_issuer", short:issue { common_name = "a", usage = "client",
        not_after = short.certificate:not_after() })
      assert(short:issue { common_name = "a", usage = "client",
        not_after = short.certificate:not_after() - 1 })
      expect.fault("outlives_issuer", short:subordinate { common_name = "b", days = 31 })
    end)

    it("does not begin before its issuer's, where nobody asked for it", function()
      local late = assert(authority.new { common_name = "late", not_before = now - 5 })
      local leaf = assert(late:issue { common_name = "a", usage = "client" })
      assert.equal(now - 5, leaf.certificate:not_before())
    end)

    it("does not begin at all under an authority that has expired", function()
      local gone = assert(authority.new { common_name = "gone", not_before = now - DAY,
        not_after = now - 1 })
      assert.equal("CN=gone",
        expect.fault("expired", gone:issue { common_name = "a", usage = "client" }).subject)
    end)
  end)

  describe("subordinate", function()
    it("makes chains of three levels that openssl verifies strictly", function()
      local middle = assert(ca:subordinate { common_name = "middle" })
      local lower = assert(middle:subordinate { common_name = "lower", key = { curve = "P-384" } })
      local leaf = assert(lower:issue { common_name = "leaf", usage = "client" })
      assert.equal(3, #leaf.chain)
      assert.is_true(leaf.chain[1] == leaf.certificate)
      assert.is_true(leaf.chain[2] == lower.certificate)
      assert.is_true(leaf.chain[3] == middle.certificate)
      holds(leaf, ca.certificate, "-purpose sslclient")
      assert.is_true(leaf.chain:verify { roots = { ca.certificate }, purpose = "client" })
      assert.equal("authorityKeyIdentifier basicConstraints! keyUsage! subjectKeyIdentifier",
        extensions_of(lower.certificate))
      assert.equal("Key Usage: critical Certificate Sign, CRL Sign",
        shown(lower.certificate, "keyUsage"))
      local through_issue = assert(middle:issue { common_name = "lower", usage = "ca" })
      assert.same({ ca = true }, through_issue.certificate:basic_constraints())
    end)

    it("keeps the path length of every authority above", function()
      local top = assert(authority.new { common_name = "top", path_length = 2 })
      local second = assert(top:subordinate { common_name = "second" })
      assert.equal(1, second.certificate:basic_constraints().path_length)
      local third = assert(second:subordinate { common_name = "third" })
      assert.equal(0, third.certificate:basic_constraints().path_length)
      expect.fault("path_length_exceeded", third:subordinate { common_name = "fourth" })
      expect.fault("path_length_exceeded", third:issue { common_name = "fourth", usage = "ca" })
      expect.fault("path_length_exceeded",
        second:subordinate { common_name = "b", path_length = 1 })
      assert(second:subordinate { common_name = "b", path_length = 0 })
      holds(assert(third:issue { common_name = "a", usage = "client" }), top.certificate)
    end)

    -- One that has its issuer's name, as when a key is changed, does not count.
    it("issues nothing where the path is too long already", function()
      local top = assert(authority.new { common_name = "top", path_length = 0 })
      for name, allowed in pairs { top = true, other = false } do
        local key = assert(tcpki.key.generate())
        local certificate = assert(tcpki.certificate.make { subject = { CN = name }, not_before = now - 600,
          not_after = now + 9 * DAY, basic_constraints = { ca = true }, key_usage = { "key_cert_sign" },
          public_key = key, issuer = top.certificate, issuer_key = top.key })
        local below = assert(authority.load(certificate, key, { chain = { top.certificate } }))
        local leaf, err = below:issue { common_name = "a", usage = "client", days = 1 }
        if allowed then
          holds(assert(leaf, err), top.certificate)
        else
          expect.fault("path_length_exceeded", leaf, err)
        end
      end
    end)

    it("keeps the path length of an authority that is not the next one above", function()
      local top = assert(authority.new { common_name = "top", path_length = 1 })
      local free = assert(tcpki.certificate.make { subject = { CN = "free" }, not_before = now - 60,
        not_after = now + DAY, public_key = ca.key, issuer = top.certificate, issuer_key = top.key,
        basic_constraints = { ca = true }, key_usage = { "key_cert_sign", "crl_sign" } })
      local loaded = assert(authority.load(free, ca.key, { chain = { top.certificate } }))
      expect.fault("path_length_exceeded", loaded:subordinate { common_name = "a" })
      assert(loaded:issue { common_name = "a", usage = "client" })
    end)

    it("needs the private half of a key that is given", function()
      local key = assert(tcpki.key.generate())
      expect.fault("no_private_key", ca:subordinate { common_name = "a", key = key:public() })
      assert.is_true(assert(ca:subordinate { common_name = "a", key = key }).key == key)
    end)
  end)

  describe("name constraints", function()
    local bound

    setup(function()
      bound = assert(ca:subordinate { common_name = "bound", name_constraints = {
        permitted = { { type = "dns", value = "in.example" },
          { type = "ip", value = "10.0.0.0/8" } },
        excluded = { { type = "dns", value = "not.in.example" } } } })
    end)

    it("are kept when issuing, as openssl verify would demand", function()
      local function try(names)
        return bound:issue { subject = {}, usage = "server", subject_alt_names = names }
      end
      holds(assert(try { "a.in.example", "in.example", "10.1.2.3" }), ca.certificate)
      for _, names in ipairs {
        { "a.example" }, { "xin.example" }, { "a.in.example", "b.example" }, { "not.in.example" },
        { "a.not.in.example" }, { "11.0.0.1" },
      } do
        local err = expect.fault("name_not_permitted", try(names))
        assert.equal(1, err.depth)
        assert.equal("CN=bound", err.subject)
      end
    end)

    it("of every authority above are kept", function()
      local below = assert(bound:subordinate { common_name = "below" })
      assert(below:issue { usage = "server", subject_alt_names = { "a.in.example" } })
      local err = expect.fault("name_not_permitted",
        below:issue { usage = "server", subject_alt_names = { "a.example" } })
      assert.equal(2, err.depth)
      assert.equal("CN=bound", err.subject)
    end)

    it("take an address alone for the subnet of one", function()
      local one = assert(ca:subordinate { common_name = "one", name_constraints = {
        permitted = { "10.0.0.1", "2001:db8::1" } } })
      holds(assert(one:issue { usage = "server", common_name = "a b",
        subject_alt_names = { "10.0.0.1", "2001:db8::1" } }), ca.certificate)
      expect.fault("name_not_permitted", one:issue { usage = "server", common_name = "a b",
        subject_alt_names = { "10.0.0.2" } })
    end)

    it("bind a common name only where it can stand for a host name", function()
      holds(assert(bound:issue { usage = "client", common_name = "payments.a1b2c",
        subject_alt_names = { "a.in.example" } }), ca.certificate)
      expect.fault("name_not_permitted", bound:issue { usage = "client", common_name = "payments.a1b2c" })
      local below = assert(bound:subordinate { common_name = "ca.acme.internal" })
      holds(assert(below:issue { usage = "server", common_name = "a b", subject_alt_names = { "a.in.example" } }),
        ca.certificate)
    end)

    it("hold for the names of a CSR", function()
      local csr = assert(tcpki.csr.new { key = assert(tcpki.key.generate()),
        subject = { CN = "a b" }, subject_alt_names = { "a.example" } })
      expect.fault("name_not_permitted", bound:sign(csr, { usage = "server" }))
    end)
  end)

  describe("sign", function()
    local key_path, theirs

    setup(function()
      key_path = directory:file("csr.key", openssl.run "genpkey -algorithm ED25519")
      theirs = assert(tcpki.csr.parse(openssl.run(("req -new -key %s -config %s"):format(key_path,
        openssl.configuration(directory, [[
req_extensions = wanted
[dn]
C = DE
OU = one
CN = worker
1.1.2.3.4 = odd
[wanted]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
extendedKeyUsage = serverAuth,codeSigning
subjectAltName = @names
[names]
DNS.1 = a.example
IP.1 = 10.0.0.1
email.1 = a@b.example
URI.1 = spiffe://a/b
RID.1 = 1.2.3
otherName.1 = 1.3.6.1.4.1.311.20.2.3;UTF8:a@b
dirName.1 = directory
[directory]
CN = in a directory
]])))))
    end)

    it("takes subject, names and key of a CSR in full, and nothing else that it asks", function()
      local leaf = assert(ca:sign(theirs))
      assert.equal(tostring(theirs:subject()), tostring(leaf.certificate:subject()))
      assert.same(theirs:subject_alt_names(), leaf.certificate:subject_alt_names())
      assert.equal(7, #leaf.certificate:subject_alt_names())
      assert.equal("Basic Constraints: critical CA:FALSE",
        shown(leaf.certificate, "basicConstraints"))
      assert.equal("Key Usage: critical Digital Signature", shown(leaf.certificate, "keyUsage"))
      assert.equal("Extended Key Usage: TLS Web Client Authentication",
        shown(leaf.certificate, "extendedKeyUsage"))
      assert.equal(openssl.run("pkey -pubout -in " .. key_path),
        leaf.certificate:public_key():pem())
      assert.is_nil(leaf.key)
      holds(leaf, ca.certificate, "-purpose sslclient")
      assert.same(leaf.certificate:subject_alt_names(),
        assert(ca:issue { csr = theirs, usage = "peer" }).certificate:subject_alt_names())
    end)

    it("throws where a list has names in the place of entries, which would be passed over", function()
      for _, names in ipairs { { dns = { "a.example" } }, { "a.example", dns = "b.example" } } do
        expect.throws({ "subject_alt_names", "a list of strings" }, ca.issue, ca,
          { common_name = "a", usage = "client", subject_alt_names = names })
      end
    end)

    it("keeps the shape of the subject", function()
      local joined = assert(tcpki.csr.parse(openssl.run(("req -new -key %s -config %s"):format(
        key_path, openssl.configuration(directory, "[dn]\nO=Acme\nCN=worker\n+UID=7\n")))))
      assert.equal("O=Acme, CN=worker + UID=7", tostring(joined:subject()))
      assert.same({ { type = "O", value = "Acme" }, { type = "CN", value = "worker" },
        { type = "UID", value = "7", joined = true } }, { table.unpack(joined:subject()) })
      local leaf = assert(ca:sign(joined))
      assert.equal("O=Acme, CN=worker + UID=7", tostring(leaf.certificate:subject()))
    end)

    it("lets the caller put other names in their place", function()
      local leaf = assert(ca:sign(theirs, { common_name = "other", usage = "server",
        subject_alt_names = { "b.example" } }))
      assert.equal("CN=other", tostring(leaf.certificate:subject()))
      assert.same({ { type = "dns", value = "b.example" } }, leaf.certificate:subject_alt_names())
    end)

    it("makes the names critical where there is no subject any more", function()
      local csr = assert(tcpki.csr.new { key = assert(tcpki.key.generate()), subject = { CN = "a" },
        subject_alt_names = { "a.example" } })
      holds(assert(ca:sign(csr, { subject = {} })), ca.certificate)
    end)

    it("takes an empty list of names for none", function()
      local config = openssl.configuration(directory, "req_extensions = ex\n[dn]\nCN = a\n"
        .. "[ex]\n2.5.29.17 = DER:30:00\n")
      local csr = assert(tcpki.csr.parse(openssl.run(("req -new -key /dev/stdin -config %s"):format(config),
        assert(tcpki.key.generate()):pem())))
      assert.same({}, csr:subject_alt_names())
      expect.fault("bad_name", ca:sign(csr, { usage = "server" }))
      holds(assert(ca:sign(csr)), ca.certificate)
    end)

    describe("as it was requested", function()
      local function request(key, extensions)
        local config = openssl.configuration(directory, "req_extensions = ex\n[dn]\nCN = a\n[ex]\n" .. extensions)
        local generate = key == "rsa" and "-newkey rsa:2048" or "-newkey ec -pkeyopt ec_paramgen_curve:P-256"
        return assert(tcpki.csr.parse(openssl.run(("req -new %s -nodes -keyout /dev/null -config %s"):format(generate,
          config))))
      end
      local function sign(key, extensions)
        return ca:sign(request(key, extensions), { usage = "requested" })
      end

      it("keeps the usages of a leaf", function()
        for _, case in ipairs {
          { "rsa", "keyUsage = digitalSignature,keyEncipherment\nextendedKeyUsage = serverAuth,clientAuth\n"
            .. "subjectAltName = DNS:a.example", "Digital Signature, Key Encipherment",
            "TLS Web Server Authentication, TLS Web Client Authentication" },
          { "rsa", "keyUsage = digitalSignature,keyEncipherment\nextendedKeyUsage = clientAuth",
            "Digital Signature, Key Encipherment", "TLS Web Client Authentication" },
          { "ec", "extendedKeyUsage = serverAuth\nsubjectAltName = DNS:a.example", "Digital Signature",
            "TLS Web Server Authentication" },
          { "ec", "basicConstraints = CA:FALSE", "Digital Signature", "TLS Web Client Authentication" },
          { "ec", "keyUsage = digitalSignature,keyAgreement", "Digital Signature, Key Agreement",
            "TLS Web Client Authentication" },
          -- TLS 1.3 signs, whatever the key: a usage without that would be of no use.
          { "rsa", "keyUsage = keyEncipherment", "Digital Signature", "TLS Web Client Authentication" },
        } do
          local leaf = assert(sign(case[1], case[2]))
          holds(leaf, ca.certificate)
          local text = openssl.run("x509 -noout -ext keyUsage,extendedKeyUsage", leaf.certificate:pem())
          assert.matches("Key Usage: critical\n *" .. case[3] .. "\n", text)
          assert.matches("Extended Key Usage: *\n *" .. case[4] .. "\n", text)
        end
      end)

      it("refuses what no leaf of TLS has a use for", function()
        for _, case in ipairs {
          { "ec", "keyUsage = digitalSignature,keyCertSign", "key_cert_sign" },
          { "ec", "keyUsage = keyEncipherment", "key_encipherment" },
          { "rsa", "keyUsage = digitalSignature,nonRepudiation", "content_commitment" },
          { "rsa", "keyUsage = digitalSignature,dataEncipherment", "data_encipherment" },
          { "rsa", "extendedKeyUsage = clientAuth,codeSigning", "code_signing" },
          { "rsa", "basicConstraints = CA:TRUE,pathlen:0", "a CA" },
        } do
          local err = expect.fault("usage_not_permitted", sign(case[1], case[2]))
          assert.matches("asks for .*" .. case[3], err.message)
          assert.matches('usage = "client"', err.hint, 1, true)
        end
        assert.matches("usage server", expect.fault("bad_name", sign("ec", "extendedKeyUsage = serverAuth")).message)
      end)

      it("is nothing to ask for without a CSR", function()
        expect.throws({ "usage", "requested", "known: ca, client, peer, server" }, ca.issue, ca,
          { common_name = "a", usage = "requested" })
      end)
    end)

    it("refuses a CSR whose own signature does not hold", function()
      local bytes = theirs:der()
      local changed = assert(tcpki.csr.parse(bytes:sub(1, -2) .. string.char(bytes:byte(-1) ~ 1)))
      expect.fault("bad_signature", ca:sign(changed))
      expect.fault("bad_signature", ca:issue { csr = changed, usage = "client" })
    end)

    it("refuses a CSR with a NUL in a name", function()
      local key = assert(tcpki.key.generate())
      local der = require "spec.support.der"
      local good = assert(tcpki.csr.new { key = key, subject = { CN = "a" },
        subject_alt_names = { "aXb.example" } }):der()
      local body = der.parts((select(2, der.read(good))))[1]:gsub("aXb", "a\0b")
      -- Signed anew, by openssl, so that nothing but the NUL is wrong.
      local path = directory:file("nul.key", key:pem())
      local signature = openssl.run(("dgst -sha256 -sign %s"):format(path), body)
      local evil = assert(tcpki.csr.parse(der.sequence(body,
        der.sequence(der.oid "1.2.840.10045.4.3.2"), der.bits(signature))))
      assert.is_true(evil:verify())
      expect.fault("bad_name", ca:sign(evil))
    end)

    it("throws on a mistake of the program", function()
      expect.throws({ "csr", "tcpki.csr" }, ca.sign, ca, "pem")
      expect.throws({ "unknown option 'key'", "usage" }, ca.sign, ca, theirs, { key = ca.key })
      expect.throws("not both", ca.issue, ca, { csr = theirs, key = ca.key, usage = "client" })
    end)
  end)

  describe("load", function()
    it("takes up what another run wrote", function()
      local middle = assert(ca:subordinate { common_name = "middle" })
      assert(middle.key:write(directory:path "ca.key"))
      assert(middle.certificate:write(directory:path "ca.pem"))
      local loaded = assert(authority.load(
        assert(tcpki.certificate.read(directory:path "ca.pem")),
        assert(tcpki.key.read(directory:path "ca.key")), { chain = { ca.certificate } }))
      local leaf = assert(loaded:issue { common_name = "leaf", usage = "client" })
      assert.equal(2, #leaf.chain)
      holds(leaf, ca.certificate)
      for _, above in ipairs { tcpki.bundle.new { ca.certificate },
        assert(tcpki.chain.new { middle.certificate, ca.certificate }) } do
        assert.equal(2, #assert(authority.load(middle.certificate, middle.key,
          { chain = above })).chain)
      end
    end)

    it("refuses what cannot issue", function()
      local other = assert(authority.new { common_name = "other" })
      expect.fault("key_mismatch", authority.load(ca.certificate, other.key))
      expect.fault("no_private_key", authority.load(ca.certificate, ca.key:public()))
      local leaf = assert(ca:issue { common_name = "leaf", usage = "client" })
      assert.equal("CN=leaf",
        expect.fault("not_an_authority", authority.load(leaf.certificate, leaf.key)).subject)
      local mute = assert(tcpki.certificate.make { subject = { CN = "mute" }, not_before = now - 1,
        not_after = now + DAY, public_key = ca.key, issuer_key = ca.key,
        basic_constraints = { ca = true }, key_usage = { "crl_sign" } })
      assert.matches("keyCertSign",
        expect.fault("not_an_authority", authority.load(mute, ca.key)).message)
    end)

    it("refuses a last CRL with an entry that the next one could not hold", function()
      local config = openssl.configuration(directory, "[ca]\ndefault_ca=d\n[d]\ndatabase="
        .. directory:file("index", "R\t300101000000Z\t200101000000Z\t" .. ("41"):rep(21)
          .. "\tunknown\t/CN=x\n") .. "\ndefault_md=sha256\ndefault_crl_days=9\n")
      local theirs = openssl.run(("ca -gencrl -config %s -cert %s -keyfile %s"):format(config,
        directory:file(nil, ca.certificate:pem()), directory:file(nil, ca.key:pem())))
      local crl = assert(tcpki.crl.parse(theirs))
      assert.equal(1, #crl:entries())
      assert.matches(("41"):rep(21),
        expect.fault("bad_name", authority.load(ca.certificate, ca.key, { crl = crl })).message)
    end)

    it("carries on the number and the entries of the last CRL", function()
      local fresh = assert(authority.new { common_name = "fresh" })
      assert.equal("01", assert(fresh:crl()):number())
      local one = assert(fresh:issue { common_name = "one", usage = "client" }).certificate
      assert.is_true(fresh:revoke(one, { reason = "superseded", at = 951825600 }))
      local last
      for _ = 2, 16 do
        last = assert(fresh:crl())
      end
      assert.equal("10", last:number())
      local again = assert(tcpki.crl.parse(last:pem()))
      local loaded = assert(authority.load(fresh.certificate, fresh.key, { crl = again }))
      local two = assert(loaded:issue { common_name = "two", usage = "client" }).certificate
      assert.is_true(loaded:revoke(two))
      local list = assert(loaded:crl())
      assert.equal("11", list:number())
      assert.equal(2, #list:entries())
      assert.same({ serial = one:serial(), time = 951825600, reason = "superseded" },
        list:lists(one))
      assert.is_truthy(list:lists(two))
      assert.matches("CRL Number: \n +17", openssl.run("crl -noout -text", list:pem()))
    end)

    it("refuses the CRL of another", function()
      local other = assert(authority.new { common_name = "other" })
      expect.fault("issuer_mismatch",
        authority.load(ca.certificate, ca.key, { crl = assert(other:crl()) }))
      local twin = assert(authority.new { subject = { O = "Acme", CN = "root" } })
      expect.fault("bad_signature",
        authority.load(ca.certificate, ca.key, { crl = assert(twin:crl()) }))
    end)

    it("throws on a mistake of the program", function()
      expect.throws({ "certificate", "tcpki.certificate" }, authority.load, "pem", ca.key)
      expect.throws({ "key", "tcpki.key" }, authority.load, ca.certificate)
      expect.throws({ "unknown option 'crls'", "chain, crl" }, authority.load, ca.certificate,
        ca.key, { crls = {} })
    end)
  end)

  describe("revoke and crl", function()
    local own

    before_each(function()
      own = assert(authority.new { common_name = "own" })
    end)

    it("make what openssl verify -crl_check goes by", function()
      local good = assert(own:issue { common_name = "good", usage = "client" })
      local bad = assert(own:issue { common_name = "bad", usage = "client" })
      assert.is_true(own:revoke(bad.certificate, { reason = "key_compromise" }))
      local path = directory:file(nil, assert(own:crl()):pem())
      local more = "-crl_check -CRLfile " .. path
      holds(good, own.certificate, more)
      local ok, output = openssl.verify(bad.certificate:pem(), own.certificate:pem(), nil, more)
      assert.is_false(ok)
      assert.matches("certificate revoked", output)
    end)

    it("a certificate twice lists it once, as it was first", function()
      local one = assert(own:issue { common_name = "one", usage = "client" }).certificate
      assert.is_true(own:revoke(one, { reason = "superseded", at = 1000 }))
      assert.is_true(own:revoke(one, { reason = "key_compromise", at = 2000 }))
      assert.same({ { serial = one:serial(), time = 1000, reason = "superseded" } },
        assert(own:crl()):entries())
    end)

    it("take a serial number as people write it", function()
      local one = assert(own:issue { common_name = "one", usage = "client",
        serial = "0abcde" }).certificate
      assert.is_true(own:revoke(one))
      for _, text in ipairs { "0abcde", "abcde", "0A:BC:DE", "ABCDE", "000abcde" } do
        assert.is_true(own:revoke(text))
      end
      assert.equal(1, #assert(own:crl()):entries())
      assert.is_truthy(assert(own:crl()):lists(one))
    end)

    it("refuse what is no serial number, and stay usable", function()
      for _, text in ipairs { "", "xyz", "-1", "0x12", ":" } do
        expect.fault("bad_name", own:revoke(text))
      end
      expect.throws({ "'reason'", "boredom", "key_compromise" }, own.revoke, own, "01",
        { reason = "boredom" })
      assert.same({}, assert(own:crl()):entries())
    end)

    it("refuse what no CRL can hold, and stay usable", function()
      expect.fault("bad_name", own:revoke(("f"):rep(40)))
      expect.fault("bad_name", own:revoke(("1"):rep(41)))
      expect.fault("bad_time", own:revoke("01", { at = 1 << 60 }))
      assert(own:revoke("7" .. ("f"):rep(39)))
      assert.equal("7" .. ("f"):rep(39), assert(own:crl()):entries()[1].serial)
    end)

    it("need a certificate that may sign a CRL", function()
      local key = assert(tcpki.key.generate())
      local certificate = assert(tcpki.certificate.make { subject = { CN = "no CRL" }, not_before = now,
        not_after = now + DAY, basic_constraints = { ca = true }, key_usage = { "key_cert_sign" },
        public_key = key, issuer_key = key })
      expect.fault("not_an_authority", assert(authority.load(certificate, key)):crl())
    end)

    it("refuse a certificate of another authority", function()
      local foreign = assert(ca:issue { common_name = "a", usage = "client" }).certificate
      expect.fault("issuer_mismatch", own:revoke(foreign))
    end)

    it("keep the times that are asked", function()
      local list = assert(own:crl { at = now, days = 7 })
      assert.equal(now, list:this_update())
      assert.equal(now + 7 * DAY, list:next_update())
      assert.is_true(assert(own:crl()):this_update() <= os.time() - 600)
    end)

    it("date no CRL before a revocation that it lists, nor after now", function()
      assert.is_true(own:revoke("0a"))
      local list = assert(own:crl())
      assert.is_true(list:entries()[1].time <= list:this_update())
      assert.is_true(list:this_update() <= os.time() - 600)
      assert.is_true(own:revoke("0b", { at = now }))
      assert.equal(now, assert(own:crl()):this_update())
      assert.is_true(own:revoke("0c", { at = os.time() + DAY }))
      assert.is_true(assert(own:crl()):this_update() <= os.time())
    end)

    it("spend no number on a CRL that could not be made", function()
      assert.equal("01", assert(own:crl()):number())
      expect.fault("libcrypto", own:crl { digest = "none" })
      assert.equal("02", assert(own:crl()):number())
    end)

    it("throw on a mistake of the program", function()
      expect.throws({ "which", "tcpki.certificate or string" }, own.revoke, own, 42)
      expect.throws({ "unknown option 'why'", "at, reason" }, own.revoke, own, "01", { why = "a" })
      expect.throws({ "'days'", "1 to" }, own.crl, own, { days = 0 })
      expect.throws({ "unknown option 'number'", "at, days, digest" }, own.crl, own, { number = 1 })
    end)
  end)

  describe("a leaf", function()
    it("is written as a pair, key 0600 and chain 0644, that openssl reads", function()
      local leaf = assert(ca:issue { common_name = "leaf", usage = "client" })
      local key, chain = directory:path "leaf.key", directory:path "leaf.pem"
      local done, found = leaf:write(key, chain)
      assert.is_true(done)
      assert.is_nil(found)
      assert.equal("600", temporary.mode(key))
      assert.equal("644", temporary.mode(chain))
      assert.equal(leaf.chain:pem(), temporary.content(chain))
      assert.equal(openssl.run("pkey -pubout -in " .. key),
        openssl.run("x509 -noout -pubkey -in " .. chain))
      local other = assert(ca:issue { common_name = "other", usage = "client" })
      expect.fault("already_exists", other:write(key, chain))
      assert.equal(leaf.key:pem(), temporary.content(key))
      assert.is_true(other:write(key, chain, { overwrite = true }))
      assert.is_true(assert(tcpki.key.read(key)):matches(assert(tcpki.certificate.read(chain))))
      assert.is_true(assert(tcpki.key.read(key)) == other.key)
    end)

    it("is written with a passphrase where one is given", function()
      local leaf = assert(ca:issue { common_name = "leaf", usage = "client" })
      local key = directory:path()
      assert.is_true(leaf:write(key, directory:path(), { passphrase = "swordfish" }))
      assert.equal(leaf.key:pem(), openssl.run("pkey -passin pass:swordfish -in " .. key))
      expect.throws({ "unknown option 'owner'" }, leaf.write, leaf, key, key, { owner = 1 })
    end)
  end)

  it("throws where its key or certificate was closed", function()
    local own = assert(authority.new { common_name = "own" })
    own.key:close()
    expect.throws("tcpki.key", own.issue, own, { common_name = "a", usage = "client" })
    expect.throws("tcpki.key", own.crl, own)
    own = assert(authority.new { common_name = "own" })
    own.certificate:close()
    expect.throws("closed", own.issue, own, { common_name = "a", usage = "client" })
  end)

  it("throws where a lifetime is given twice", function()
    expect.throws({ "authority:issue", "days or not_after" }, ca.issue, ca,
      { common_name = "a", usage = "client", days = 1, not_after = os.time() + 1000 })
  end)

  it("never gives the private key away in a certificate or a CSR that it just made", function()
    for _, kind in ipairs { { type = "ec" }, { type = "rsa", bits = 2048 }, { type = "ed25519" } } do
      local key = assert(tcpki.key.generate(kind))
      local request = assert(tcpki.csr.new { key = key, subject = { CN = "a" } })
      local own = assert(tcpki.authority.new { subject = { CN = "CA" }, key = key })
      local signed = assert(own:sign(request, { usage = "client" }))
      for _, holder in ipairs { request, own.certificate, signed.certificate } do
        local public = holder:public_key()
        assert.is_false(public:is_private())
        assert.matches("BEGIN PUBLIC KEY", public:pem(), 1, true)
        assert.is_true(public == key)
      end
    end
  end)
end)

-- Depots as certstrap lays them out, with openssl as the other party. Go's view of them: certstrap_go_spec.

local expect = require "spec.support.expect"
local openssl = require "spec.support.openssl"
local temporary = require "spec.support.temporary"
local tcpki = require "tcpki"

local certstrap = require "tcpki.certstrap"

local DAY = 86400

describe("tcpki.certstrap", function()
  local directory

  before_each(function()
    directory = temporary.directory()
  end)

  after_each(function()
    os.execute("chmod -R u+rwx " .. directory.root)
    directory:remove()
  end)

  local function path(name)
    return directory:path("out/" .. name)
  end

  local function init(given)
    local all = { common_name = "Acme CA", curve = "P-256" }
    for name, value in pairs(given or {}) do
      all[name] = value ~= "none" and value or nil
    end
    return certstrap.init(directory:path "out", all)
  end

  local function request(depot, given)
    given.curve = given.curve or not given.key and "P-256" or nil
    return assert(depot:request_cert(given))
  end

  -- A depot with a CA and a leaf, without RSA, which takes its time.
  local function with_leaf(given)
    local depot = assert(init(given))
    request(depot, { common_name = "worker", domain = "worker.example" })
    assert(depot:sign "worker")
    return depot
  end

  -- An extension, or another part, as openssl prints it.
  local function shown(name, arguments)
    return openssl.run(("x509 -noout -in '%s' %s"):format(path(name), arguments))
  end

  local function extension(name, word)
    return (shown(name, "-ext " .. word):gsub("\n +", " "):gsub("X509v3 ", ""):gsub("%s+$", ""):gsub("%s+", " "))
  end

  local function content(name)
    return temporary.content(path(name))
  end

  -- Everything in the depot, to see that nothing changed.
  local function snapshot()
    local all = {}
    for _, name in ipairs(directory:names "out") do
      all[name] = content(name)
    end
    return all
  end

  describe("init", function()
    it("writes key, certificate and CRL by certstrap's names and modes", function()
      local depot, ca = assert(init { organization = "Acme", organizational_unit = "Platform", country = "GB",
        province = "Greater London", locality = "London" })
      assert.same({ "Acme_CA.crl", "Acme_CA.crt", "Acme_CA.key" }, directory:names "out")
      assert.equal("444", temporary.mode(path "Acme_CA.crt"))
      assert.equal("444", temporary.mode(path "Acme_CA.crl"))
      assert.equal("440", temporary.mode(path "Acme_CA.key"))
      assert.equal("subject=C = GB, O = Acme, OU = Platform, L = London, ST = Greater London, CN = Acme CA\n",
        shown("Acme_CA.crt", "-subject"))
      assert.equal(openssl.run("pkey -pubout -in " .. path "Acme_CA.key"), shown("Acme_CA.crt", "-pubkey"))
      assert.equal("Acme_CA", ca.stem)
      assert.equal("tcpki.certstrap.depot (" .. directory:path "out" .. ")", tostring(depot))
    end)

    it("makes a root that openssl takes by its strict checks, with a serial number of its own", function()
      local _, ca = assert(init())
      assert.equal("Basic Constraints: critical CA:TRUE, pathlen:0", extension("Acme_CA.crt", "basicConstraints"))
      assert.equal("Key Usage: critical Certificate Sign, CRL Sign", extension("Acme_CA.crt", "keyUsage"))
      assert.is_true((openssl.verify(content "Acme_CA.crt", content "Acme_CA.crt")))
      assert.is_true(#ca.certificate:serial() > 20)
    end)

    it("makes a CRL with a number, that holds as long as the CA", function()
      local _, ca = assert(init())
      local text = openssl.run("crl -noout -text -CAfile " .. path "Acme_CA.crt" .. " -in " .. path "Acme_CA.crl")
      assert.matches("CRL Number: *\n *1\n", text)
      assert.matches("No Revoked Certificates", text)
      local left = ca.certificate:not_after() - ca.crl:next_update()
      assert.is_true(left >= 0 and left < DAY + 1200, tostring(left))
    end)

    it("writes keys in the forms that certstrap reads", function()
      local rows = {
        { given = { curve = "none", key_bits = 2048 }, begins = "-----BEGIN RSA PRIVATE KEY-----\nMII" },
        { given = { curve = "none", key_bits = 2048, passphrase = "secret" },
          begins = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n" },
        { given = { curve = "P-384" }, begins = "-----BEGIN PRIVATE KEY-----\n" },
        { given = { curve = "P-521", passphrase = "secret" }, begins = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n" },
        { given = { curve = "Ed25519", passphrase = "" }, begins = "-----BEGIN PRIVATE KEY-----\n" },
        { given = { curve = "Ed25519", passphrase = "secret" }, begins = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n" },
      }
      for i, row in ipairs(rows) do
        row.given.common_name = "CA " .. i
        assert(init(row.given))
        local key = content("CA_" .. i .. ".key")
        assert.equal(row.begins, key:sub(1, #row.begins))
        assert.equal(shown("CA_" .. i .. ".crt", "-pubkey"), openssl.run("pkey -pubout -passin pass:secret", key))
      end
    end)

    it("takes a key that is there, as an object or as a path", function()
      local key = assert(tcpki.key.generate { type = "ed25519" })
      assert(init { curve = "none", key = key })
      assert(key:write(directory:path "given.key"))
      local _, ca = assert(init { curve = "none", key = directory:path "given.key", common_name = "other" })
      assert.is_true(ca.key == key)
      assert.is_true(assert(tcpki.key.read(path "Acme_CA.key")) == key)
      local public = key:public()
      expect.fault("no_private_key", init { curve = "none", key = public, common_name = "third" })
      expect.fault("not_found", init { curve = "none", key = directory:path "none.key", common_name = "third" })
    end)

    it("keeps the CA to domains and to a path length", function()
      assert(init { permit_domain = { "acme.example", "acme.test" }, path_length = 2 })
      assert.equal("Name Constraints: critical Permitted: DNS:acme.example DNS:acme.test",
        extension("Acme_CA.crt", "nameConstraints"))
      assert.matches("pathlen:2", extension("Acme_CA.crt", "basicConstraints"))
      assert(init { common_name = "free", exclude_path_length = true })
      assert.equal("Basic Constraints: critical CA:TRUE", extension("free.crt", "basicConstraints"))
      expect.throws("not both", init, { common_name = "a", path_length = 1, exclude_path_length = true })
    end)

    it("makes certstrap's own profile where it is asked to", function()
      local _, ca = assert(init { compatible = true })
      assert.equal("01", ca.certificate:serial())
      assert.equal("Basic Constraints: critical CA:TRUE, pathlen:0", extension("Acme_CA.crt", "basicConstraints"))
    end)

    it("makes no second CA of a name, and leaves the first as it is", function()
      local depot = assert(init())
      local before = snapshot()
      local err = expect.fault("already_exists", depot:init { common_name = "Acme CA", curve = "P-256" })
      assert.matches("there is a CA 'Acme CA' already: Acme_CA.crt, Acme_CA.key, Acme_CA.crl", err.message, 1, true)
      assert.same(before, snapshot())
      os.remove(path "Acme_CA.crt")
      assert.matches("cut off", expect.fault("already_exists", init()).message)
    end)

    it("leaves nothing where a name cannot name files", function()
      for _, name in ipairs { "a/b", "../a", "a\nb", ("a"):rep(300), "a\0b" } do
        expect.fault("bad_name", init { common_name = name })
      end
      expect.fault("bad_name", init { country = "England" })
      assert.same({}, directory:names())
    end)

    it("throws for what a program does wrong, before it makes anything", function()
      expect.throws("common_name", init, { common_name = "none" })
      expect.throws({ "unknown option 'cn'", "common_name" }, init, { cn = "a" })
      expect.throws({ "P-192", "P-256, P-384, P-521, Ed25519" }, init, { curve = "P-192" })
      expect.throws({ "P-224", "Go" }, init, { curve = "P-224" })
      expect.throws("key_bits", init, { curve = "none", key_bits = 1024 })
      expect.throws("not both", init, { key_bits = 2048 })
      expect.throws("path_length", init, { path_length = -1 })
      expect.throws("directory", certstrap.init, 42, {})
      assert.same({}, directory:names())
    end)
  end)

  describe("the lifetime", function()
    local function ends(text, now, years)
      return require "tcpki.certstrap.expiry".ends("here", text, years, now)
    end

    local now = 1832932800 -- 2028-01-31T12:00:00Z

    it("is certstrap's grammar, by the calendar", function()
      for text, wanted in pairs {
        ["1 day"] = "2028-02-01 12:00:00", ["18 months"] = "2029-07-31 12:00:00", ["1 month"] = "2028-03-02 12:00:00",
        ["1 year 2 days 3 months 4 hours"] = "2029-05-03 16:00:00", ["1year"] = "2029-01-31 12:00:00",
        ["90 minutes"] = "2028-01-31 13:30:00", ["  1  years , 1 second "] = "2029-01-31 12:00:01",
        ["29 days"] = "2028-02-29 12:00:00", ["7971 years"] = "9999-01-31 12:00:00",
      } do
        assert.equal(wanted, os.date("!%Y-%m-%d %H:%M:%S", ends(text, now)), text)
      end
      assert.equal("2033-07-31 12:00:00", os.date("!%Y-%m-%d %H:%M:%S", ends("18 months", now, 4)))
    end)

    it("throws where certstrap refuses, and where it passes over what it does not know", function()
      for _, text in ipairs { "", "year", "1", "2 weeks", "1 year 2 weeks", "1 year 2 years", "-1 year", "1.5 years",
        "1 Year", "99999999999 days", "1 yearss" } do
        expect.throws({ "expires", "1 year 2 months" }, ends, text, now)
      end
      expect.throws("no time at all", ends, "0 days", now)
      expect.throws("9999", ends, "8000 years", now)
    end)

    it("is what the certificates get", function()
      local depot, ca = assert(init { expires = "2 days" })
      assert.is_true(math.abs(ca.certificate:not_after() - os.time() - 2 * DAY) < 120)
      request(depot, { common_name = "worker" })
      local leaf = assert(depot:sign("worker", { expires = "3 hours" }))
      assert.is_true(math.abs(leaf.certificate:not_after() - os.time() - 3 * 3600) < 120)
    end)
  end)

  describe("request_cert", function()
    local function asked(name, word)
      local text = openssl.run("req -noout -text -verify -in " .. path(name))
      return (text:match(word .. ": *\n *([^\n]*)") or "none")
    end

    it("asks for the names that are given, in lists or with commas", function()
      local depot = assert(init())
      request(depot, { common_name = "worker", organization = "Acme", domain = "a.example, *.b.example",
        ip = "10.0.0.1,2001:db8::1", uri = { "spiffe://acme/worker" } })
      assert.same({ "Acme_CA.crl", "Acme_CA.crt", "Acme_CA.key", "worker.csr", "worker.key" }, directory:names "out")
      assert.equal("DNS:a.example, DNS:*.b.example, IP Address:10.0.0.1, IP Address:2001:DB8:0:0:0:0:0:1, "
        .. "URI:spiffe://acme/worker", asked("worker.csr", "Subject Alternative Name"))
      assert.equal("subject=O = Acme, CN = worker\n", openssl.run("req -noout -subject -in " .. path "worker.csr"))
      assert.equal("444", temporary.mode(path "worker.csr"))
      assert.equal("440", temporary.mode(path "worker.key"))
    end)

    it("names itself by the first domain or the first URI where there is no common name", function()
      local depot = assert(init())
      assert.equal("_.acme.example", request(depot, { domain = "*.acme.example" }).stem)
      assert.equal("subject=CN = *.acme.example\n", openssl.run("req -noout -subject -in "
        .. path "_.acme.example.csr"))
      assert.equal("spiffe_acme_a_b", request(depot, { uri = "spiffe://acme/a/b" }).stem)
      local long = "spiffe://acme.example/" .. ("x"):rep(60)
      assert.equal("subject=\n", openssl.run("req -noout -subject -in "
        .. path(request(depot, { uri = long }).stem .. ".csr")))
      expect.throws("common_name, a domain or a uri", depot.request_cert, depot, { ip = "10.0.0.1" })
    end)

    it("writes the request elsewhere where a path is given, and no request twice", function()
      local depot = assert(init())
      request(depot, { common_name = "away", csr = directory:path "away.csr" })
      assert.matches("BEGIN CERTIFICATE REQUEST", temporary.content(directory:path "away.csr"))
      local before = snapshot()
      expect.fault("already_exists", depot:request_cert { common_name = "away", curve = "P-256" })
      expect.fault("already_exists", depot:request_cert { common_name = "new", curve = "P-256",
        csr = directory:path "away.csr" })
      expect.fault("bad_name", depot:request_cert { common_name = "bad", curve = "P-256", domain = "ä.example" })
      assert.same(before, snapshot())
    end)
  end)

  describe("sign", function()
    it("makes a leaf that openssl takes, with what its key can do and no more", function()
      local depot = assert(init { expires = "1 year" })
      request(depot, { common_name = "worker", domain = "worker.example", uri = "spiffe://acme/worker" })
      local leaf = assert(depot:sign("worker", { ca = "Acme CA" }))
      assert.equal("444", temporary.mode(path "worker.crt"))
      assert.equal("Basic Constraints: critical CA:FALSE", extension("worker.crt", "basicConstraints"))
      assert.equal("Key Usage: critical Digital Signature", extension("worker.crt", "keyUsage"))
      assert.equal("Extended Key Usage: TLS Web Server Authentication, TLS Web Client Authentication",
        extension("worker.crt", "extendedKeyUsage"))
      assert.equal("Subject Alternative Name: DNS:worker.example, URI:spiffe://acme/worker",
        extension("worker.crt", "subjectAltName"))
      for _, purpose in ipairs { "-purpose sslclient", "-purpose sslserver -verify_hostname worker.example" } do
        assert.is_true((openssl.verify(content "worker.crt", content "Acme_CA.crt", nil, purpose)))
      end
      assert.equal("tcpki.chain (CN=worker, 1 certificate)", tostring(leaf.chain))
      assert.equal(shown("worker.crt", "-pubkey"), openssl.run("pkey -pubout -in " .. path "worker.key"))
    end)

    it("goes on where the caller has closed what it was given", function()
      local depot = assert(init())
      for _, name in ipairs { "a", "b" } do
        request(depot, { common_name = name })
        for _, certificate in ipairs(assert(depot:sign(name)).chain) do certificate:close() end
        for _, certificate in ipairs(assert(depot:chain(name, { root = true }))) do certificate:close() end
      end
      assert.is_true(assert(depot:verify()).ok)
    end)

    it("lets an RSA key of a server encipher keys", function()
      local depot = assert(init())
      request(depot, { common_name = "worker", domain = "worker.example", key = assert(tcpki.key.generate {
        type = "rsa", bits = 2048 }) })
      assert(depot:sign "worker")
      assert.equal("Key Usage: critical Digital Signature, Key Encipherment", extension("worker.crt", "keyUsage"))
    end)

    it("makes a client of a request without alternative names, unless it is told otherwise", function()
      local depot = assert(init())
      for _, name in ipairs { "a", "b", "c" } do
        request(depot, { common_name = name, domain = name == "c" and "c.example" or nil })
      end
      assert.same({ "client_auth" }, assert(depot:sign "a").certificate:extended_key_usage())
      local err = expect.fault("bad_name", depot:sign("b", { usage = "server" }))
      assert.matches("alternative name", err.message)
      assert.same({ "server_auth" }, assert(depot:sign("c", { usage = "server" })).certificate:extended_key_usage())
      expect.throws("client, server, peer", depot.sign, depot, "b", { usage = "ca" })
    end)

    it("never lets a leaf outlive its CA", function()
      local depot, ca = assert(init { expires = "3 days" })
      request(depot, { common_name = "worker" })
      local leaf = assert(depot:sign("worker", { expires = "2 years" }))
      assert.equal(ca.certificate:not_after() - 1, leaf.certificate:not_after())
    end)

    it("finds a request by the name that it was made for, or by the name of its files", function()
      local depot = assert(init())
      request(depot, { domain = "*.acme.example" })
      request(depot, { common_name = "with blank" })
      request(depot, { uri = "spiffe://acme/a" })
      assert.equal("_.acme.example", assert(depot:sign "*.acme.example").stem)
      assert.equal("with_blank", assert(depot:sign "with_blank").stem)
      assert.equal("spiffe_acme_a", assert(depot:sign "spiffe://acme/a").stem)
      assert.equal(path "nobody.csr", expect.fault("not_found", depot:sign "nobody").path)
      expect.fault("bad_name", depot:sign "../out/nobody")
    end)

    it("refuses a request whose signature is not that of its key, and one that is damaged", function()
      local depot = assert(init())
      local made = request(depot, { common_name = "worker" })
      local der = made.csr:der()
      os.remove(path "worker.csr")
      local forged = der:sub(1, -2) .. string.char(der:byte(-1) ~ 1)
      directory:file("out/worker.csr", "-----BEGIN CERTIFICATE REQUEST-----\n" .. openssl.run("base64", forged)
        .. "-----END CERTIFICATE REQUEST-----\n")
      for _, compatible in ipairs { false, true } do
        assert.equal(path "worker.csr", expect.fault("bad_signature", depot:sign("worker",
          { compatible = compatible })).path)
        assert.equal(path "worker.csr", expect.fault("bad_signature", depot:sign("other",
          { compatible = compatible, csr = path "worker.csr" })).path)
      end
      directory:file("out/worker.csr", "something")
      expect.fault("not_pem", depot:sign "worker")
      assert.is_nil(tcpki.file.read(path "worker.crt"))
    end)

    it("takes requests from elsewhere, and writes elsewhere", function()
      local depot = assert(init())
      local key = assert(tcpki.key.generate())
      local csr = assert(tcpki.csr.new { subject = { CN = "theirs" }, key = key })
      assert.equal("theirs", assert(depot:sign("theirs", { csr = csr })).stem)
      assert(csr:write(directory:path "theirs.csr"))
      assert(depot:sign("again", { csr = directory:path "theirs.csr", certificate = directory:path "again.crt" }))
      assert.same({ "Acme_CA.crl", "Acme_CA.crt", "Acme_CA.key", "theirs.crt" }, directory:names "out")
      assert.is_true((openssl.verify(temporary.content(directory:path "again.crt"), content "Acme_CA.crt")))
      -- It can be told of no overwriting.
      assert.not_matches("overwrite", expect.fault("already_exists", depot:sign("more", { csr = csr,
        certificate = directory:path "again.crt" })).hint)
    end)

    it("makes an intermediate where there is room for one, with a CRL of its own", function()
      local depot = assert(init { path_length = 1 })
      request(depot, { common_name = "Inner CA" })
      request(depot, { common_name = "leaf", domain = "leaf.example" })
      assert(depot:sign("Inner CA", { intermediate = true }))
      assert.equal("Basic Constraints: critical CA:TRUE, pathlen:0", extension("Inner_CA.crt", "basicConstraints"))
      local leaf = assert(depot:sign("leaf", { ca = "Inner CA" }))
      assert.equal(2, #leaf.chain)
      local ok, said = openssl.verify(content "leaf.crt", content "Acme_CA.crt", content "Inner_CA.crt",
        ("-crl_check_all -CRLfile %s -CRLfile %s"):format(path "Inner_CA.crl", path "Acme_CA.crl"))
      assert.is_true(ok, said)
    end)

    it("refuses an intermediate where there is none, before it is made", function()
      local depot = assert(init())
      request(depot, { common_name = "Inner CA" })
      local before = snapshot()
      for _, compatible in ipairs { false, true } do
        local err = expect.fault("path_length_exceeded", depot:sign("Inner CA", { intermediate = true,
          compatible = compatible }))
        assert.matches("depot:init { path_length = 1, … }", err.hint, 1, true)
      end
      assert.same(before, snapshot())
      expect.throws("path_length", depot.sign, depot, "Inner CA", { path_length = 1 })
    end)

    it("refuses names that the CA may not give", function()
      local depot = assert(init { permit_domain = "acme.example" })
      request(depot, { common_name = "in", domain = "a.acme.example" })
      request(depot, { common_name = "out", domain = "a.evil.example" })
      assert(depot:sign "in")
      expect.fault("name_not_permitted", depot:sign "out")
      expect.fault("name_not_permitted", depot:sign("out", { compatible = true }))
    end)

    it("says what it needs to open the key of the CA", function()
      local depot = assert(init { passphrase = "open sesame" })
      request(depot, { common_name = "worker" })
      assert.equal(path "Acme_CA.key", expect.fault("passphrase_required", depot:sign "worker").path)
      expect.fault("bad_passphrase", depot:sign("worker", { passphrase = "wrong" }))
      assert(depot:sign("worker", { passphrase_file = directory:file("phrase", "open sesame\n") }))
    end)

    it("asks which CA where there are several, and for one where there is none", function()
      local depot = assert(init())
      assert(depot:init { common_name = "Other CA", curve = "P-256" })
      request(depot, { common_name = "worker" })
      assert.matches("Acme_CA, Other_CA", expect.fault("several", depot:sign "worker").message)
      assert.is_true(assert(depot:sign("worker", { ca = "Other CA" })).certificate:issued_by(
        assert(tcpki.certificate.read(path "Other_CA.crt"))))
      request(depot, { common_name = "second" })
      expect.fault("not_an_authority", depot:sign("second", { ca = "worker" }))
      expect.fault("not_found", depot:sign("second", { ca = "nobody" }))
      os.remove(path "Acme_CA.key")
      os.remove(path "Other_CA.key")
      assert.matches("its key there: Acme_CA.key, Other_CA.key", expect.fault("not_found", depot:sign "second").message)
      assert.matches("no key of 'Acme_CA'", expect.fault("not_found", depot:sign("second", { ca = "Acme CA" })).message)
    end)

    it("signs nothing twice", function()
      local depot = with_leaf()
      local before = snapshot()
      assert.matches("renew", expect.fault("already_exists", depot:sign "worker").hint)
      assert.same(before, snapshot())
    end)

    it("makes certstrap's own profile where it is asked to", function()
      local depot, ca = assert(init())
      request(depot, { common_name = "worker", domain = "worker.example", ip = "10.0.0.1" })
      local leaf = assert(depot:sign("worker", { compatible = true }))
      assert.is_nil(leaf.certificate:basic_constraints())
      assert.equal("Key Usage: critical Digital Signature, Key Encipherment, Data Encipherment, Key Agreement",
        extension("worker.crt", "keyUsage"))
      assert.same({ "server_auth", "client_auth" }, leaf.certificate:extended_key_usage())
      assert.equal(ca.certificate:not_after(), leaf.certificate:not_after())
      assert.is_true(#leaf.certificate:serial() <= 34)
      expect.throws("not both", depot.sign, depot, "worker", { compatible = true, usage = "client" })
    end)
  end)

  describe("renew", function()
    it("keeps the names and the key, and takes another serial number", function()
      local depot = with_leaf()
      local before = snapshot()
      local renewed = assert(depot:renew "worker")
      assert.equal(before["worker.key"], content "worker.key")
      assert.equal(before["worker.csr"], content "worker.csr")
      local former = assert(tcpki.certificate.parse(before["worker.crt"]))
      assert.is_true(former == renewed.former)
      assert.not_equal(former:serial(), renewed.certificate:serial())
      assert.equal(former:subject_der(), renewed.certificate:subject_der())
      assert.same(former:subject_alt_names(), renewed.certificate:subject_alt_names())
      assert.same(former:extended_key_usage(), renewed.certificate:extended_key_usage())
      assert.is_true(former:public_key() == renewed.certificate:public_key())
      assert.is_true((openssl.verify(content "worker.crt", content "Acme_CA.crt")))
      assert.equal("444", temporary.mode(path "worker.crt"))
    end)

    it("takes a new key where it is asked for, with a request for it, and in the same form", function()
      local depot = with_leaf()
      local former = content "worker.key"
      local renewed = assert(depot:renew("worker", { key = "new", expires = "1 month" }))
      assert.not_equal(former, content "worker.key")
      assert.equal("440", temporary.mode(path "worker.key"))
      assert.equal("444", temporary.mode(path "worker.crt"))
      local public = openssl.run("pkey -pubout -in " .. path "worker.key")
      assert.equal(public, shown("worker.crt", "-pubkey"))
      assert.equal(public, openssl.run("req -noout -verify -pubkey -in " .. path "worker.csr"))
      assert.same(renewed.certificate:subject_alt_names(),
        assert(tcpki.csr.read(path "worker.csr")):subject_alt_names())
      assert.is_true(renewed.certificate:not_after() < os.time() + 32 * DAY)
      assert.is_true(assert(depot:verify()).ok)
    end)

    it("leaves no new key in the clear where the old one was encrypted", function()
      local depot = assert(init())
      request(depot, { common_name = "worker", passphrase = "secret" })
      assert(depot:sign "worker")
      local before = snapshot()
      assert.matches("key_passphrase", expect.fault("passphrase_required", depot:renew("worker", { key = "new" })).hint)
      assert.same(before, snapshot())
      assert(depot:renew("worker", { key = "new", key_passphrase = "other" }))
      assert.equal(shown("worker.crt", "-pubkey"), openssl.run("pkey -pubout -passin pass:other -in "
        .. path "worker.key"))
    end)

    it("renews a root, and what it issued stays good", function()
      local depot = with_leaf { permit_domain = "example", organization = "Acme" }
      local before = snapshot()
      local renewed = assert(depot:renew("Acme CA", { expires = "5 years" }))
      assert.equal(renewed.former:subject_der(), renewed.certificate:subject_der())
      assert.equal("Name Constraints: critical Permitted: DNS:example", extension("Acme_CA.crt", "nameConstraints"))
      assert.equal("Basic Constraints: critical CA:TRUE, pathlen:0", extension("Acme_CA.crt", "basicConstraints"))
      assert.is_true(renewed.certificate:not_after() > renewed.former:not_after() + 3 * 365 * DAY)
      assert.is_true((openssl.verify(before["worker.crt"], content "Acme_CA.crt")))
      local err = expect.fault("wrong_kind", depot:renew("Acme CA", { key = "new" }))
      assert.matches("it is a CA", err.message)
      assert.is_true(assert(depot:verify()).ok)
    end)

    it("renews an intermediate, and what it issued stays good", function()
      local depot = assert(init { path_length = 2 })
      request(depot, { common_name = "Inner CA" })
      request(depot, { common_name = "leaf", domain = "leaf.example" })
      assert(depot:sign("Inner CA", { intermediate = true, path_length = 1, expires = "1 month" }))
      assert(depot:sign("leaf", { ca = "Inner CA", expires = "1 day" }))
      assert(depot:renew("Inner CA", { expires = "1 year" }))
      assert.equal("Basic Constraints: critical CA:TRUE, pathlen:1", extension("Inner_CA.crt", "basicConstraints"))
      assert.is_true((openssl.verify(content "leaf.crt", content "Acme_CA.crt", content "Inner_CA.crt")))
    end)

    it("says what is missing", function()
      local depot = with_leaf()
      os.remove(path "Acme_CA.crt")
      assert.matches("CN=Acme CA is not in the depot", expect.fault("no_issuer", depot:renew "worker").message)
      expect.fault("not_found", depot:renew "nobody")
      expect.throws("same, new", depot.renew, depot, "worker", { key = "other" })
    end)

    it("gives a key that was revoked as compromised no other certificate", function()
      local depot = with_leaf()
      assert(depot:revoke("worker", { reason = "key_compromise" }))
      local before = snapshot()
      assert.matches('key = "new"', expect.fault("revoked", depot:renew "worker").hint, 1, true)
      assert.same(before, snapshot())
      assert(depot:renew("worker", { key = "new" }))
      assert.equal("valid", assert(depot:list())[2].status)
      assert(depot:revoke("worker", { reason = "superseded" }))
      assert(depot:renew "worker")
    end)
  end)

  describe("revoke", function()
    local function revoked()
      local list = {}
      for serial in openssl.run("crl -noout -text -CAfile " .. path "Acme_CA.crt" .. " -in "
        .. path "Acme_CA.crl"):gmatch "Serial Number: (%x+)" do
        list[#list + 1] = serial:lower()
      end
      return list
    end

    it("lists the certificate in the next CRL, which openssl heeds", function()
      local depot = with_leaf()
      request(depot, { common_name = "good" })
      assert(depot:sign "good")
      local crl, before = depot:revoke("worker", { reason = "key_compromise" })
      assert.is_false(before)
      assert.equal("02", crl:number())
      assert.same({ assert(tcpki.certificate.read(path "worker.crt")):serial() }, revoked())
      assert.equal("444", temporary.mode(path "Acme_CA.crl"))
      local check = "-crl_check -CRLfile " .. path "Acme_CA.crl"
      local ok, said = openssl.verify(content "worker.crt", content "Acme_CA.crt", nil, check)
      assert.is_false(ok)
      assert.matches("certificate revoked", said)
      assert.is_true((openssl.verify(content "good.crt", content "Acme_CA.crt", nil, check)))
    end)

    it("adds nothing the second time", function()
      local depot = with_leaf()
      assert(depot:revoke "worker")
      local before = snapshot()
      local _, already = assert(depot:revoke "worker")
      assert.is_true(already)
      expect.throws("option 'reason' is 'stolen'", depot.revoke, depot, "worker", { reason = "stolen" })
      assert.same(before, snapshot())
    end)

    it("takes a certificate that was renewed since", function()
      local depot = with_leaf()
      local renewed = assert(depot:renew("worker", { key = "new" }))
      assert(depot:revoke(renewed.former, { ca = "Acme CA", reason = "superseded" }))
      assert.same({ renewed.former:serial() }, revoked())
      assert.equal("valid", assert(depot:list())[2].status)
    end)

    it("forgets nothing: a root whose CRL is gone begins another one on request alone", function()
      local depot = with_leaf()
      os.remove(path "Acme_CA.crl")
      local before = snapshot()
      local err = expect.fault("not_found", depot:revoke "worker")
      assert.equal(path "Acme_CA.crl", err.path)
      assert.matches("depot:crl { ca = 'Acme_CA' }", err.hint, 1, true)
      assert.same(before, snapshot())
      assert(depot:crl { ca = "Acme_CA" })
      assert(depot:revoke "worker")
      local crl = assert(depot:crl { days = 7 })
      assert.equal("03", crl:number())
      assert.equal(1, #revoked())
      assert.is_true(crl:next_update() < os.time() + 8 * DAY)
    end)

    it("makes the first CRL of an intermediate, to which certstrap gives none", function()
      local depot = assert(init { path_length = 1 })
      request(depot, { common_name = "Inner CA" })
      assert(depot:sign("Inner CA", { intermediate = true, compatible = true }))
      request(depot, { common_name = "leaf" })
      assert(depot:sign("leaf", { ca = "Inner CA" }))
      assert.equal("01", assert(depot:revoke "leaf"):number())
    end)

    it("refuses what its CA did not issue, a root, and a CRL that its CA did not sign", function()
      local depot = with_leaf()
      assert(depot:init { common_name = "Other CA", curve = "P-256" })
      expect.fault("issuer_mismatch", depot:revoke("worker", { ca = "Other CA" }))
      assert.matches("is a root", expect.fault("issuer_mismatch", depot:revoke "Acme CA").message)
      local foreign = assert(tcpki.authority.new { common_name = "foreign" })
      expect.fault("no_issuer", depot:revoke(assert(foreign:issue { common_name = "a", usage = "client" }).certificate))
      os.remove(path "Acme_CA.crl")
      assert(assert(foreign:crl()):write(path "Acme_CA.crl"))
      local before = snapshot()
      assert.equal(path "Acme_CA.crl", expect.fault("issuer_mismatch", depot:revoke "worker").path)
      assert.same(before, snapshot())
    end)
  end)

  it("blames the line that called it wrongly, with the name of the function and the option", function()
    local depot = with_leaf()
    local calls = {
      function() local _ = certstrap.init(directory:path "new", { nonsense = 1 }) end,
      function() local _ = certstrap.init(directory:path "new", { common_name = "a", path_length = -1 }) end,
      function() local _ = certstrap.init(directory:path "new", {}) end,
      function() local _ = certstrap.open(1) end,
      function() local _ = depot:init { nonsense = 1 } end,
      function() local _ = depot:init {} end,
      function() local _ = depot:init { common_name = "a", curve = "a" } end,
      function() local _ = depot:init { common_name = "a", curve = "P-256", key_bits = 2048 } end,
      function() local _ = depot:init { common_name = "a", curve = "P-256", expires = "soon" } end,
      function() local _ = depot:init { common_name = "a", path_length = 1, exclude_path_length = true } end,
      function() local _ = depot:request_cert { nonsense = 1 } end,
      function() local _ = depot:request_cert {} end,
      function() local _ = depot:request_cert { common_name = "a", key_bits = 1 } end,
      function() local _ = depot:sign(1) end,
      function() local _ = depot:sign("worker", { nonsense = 1 }) end,
      function() local _ = depot:sign("worker", { usage = "a" }) end,
      function() local _ = depot:sign("worker", { path_length = 1 }) end,
      function() local _ = depot:sign("worker", { compatible = true, usage = "client" }) end,
      function() local _ = depot:sign("worker", { expires = "soon" }) end,
      function() local _ = depot:renew(1) end,
      function() local _ = depot:renew("worker", { nonsense = 1 }) end,
      function() local _ = depot:renew("worker", { key = "a" }) end,
      function() local _ = depot:renew("worker", { usage = "a" }) end,
      function() local _ = depot:renew("worker", { expires = "soon" }) end,
      function() local _ = depot:revoke(1) end,
      function() local _ = depot:revoke("worker", { reason = "stolen" }) end,
      function() local _ = depot:verify("worker", { purpose = "a" }) end,
      function() local _ = depot:revoke("worker", { nonsense = 1 }) end,
      function() local _ = depot:crl { nonsense = 1 } end,
      function() local _ = depot:list { nonsense = 1 } end,
      function() local _ = depot:chain(1) end,
      function() local _ = depot:chain("worker", { nonsense = 1 }) end,
      function() local _ = depot:verify(1) end,
      function() local _ = depot:verify("worker", { nonsense = 1 }) end,
    }
    for i, call in ipairs(calls) do
      -- Not by a tail call, which leaves no line.
      local ok, message = pcall(function()
        local value = call()
        return value
      end)
      assert.is_false(ok)
      assert.matches("^[^:]*certstrap_depot_spec%.lua:%d+: [%w_.]+:?[%w_]*: ", message, nil, i .. ": " .. message)
    end
    assert.same({ "out" }, directory:names())
  end)

  describe("list", function()
    it("says of each name what it is, until when and under whom", function()
      local depot = with_leaf { passphrase = "none" }
      request(depot, { common_name = "asked", passphrase = "secret" })
      request(depot, { common_name = "gone" })
      assert(depot:sign "gone")
      assert(depot:revoke "gone")
      directory:file("out/alone.key", content "worker.key")
      directory:file("out/broken.crt", "nothing")
      directory:file("out/notes.txt", "certstrap passes over this, too")
      local list = assert(depot:list())
      local rows = {}
      for i, entry in ipairs(list) do
        rows[i] = ("%s: %s %s %s"):format(entry.stem, entry.status, tostring(entry.key), tostring(entry.issuer))
      end
      assert.same({ "Acme_CA: valid clear Acme_CA", "alone: half clear nil", "asked: requested encrypted nil",
        "broken: damaged nil nil", "gone: revoked clear Acme_CA", "worker: valid clear Acme_CA" }, rows)
      assert.equal("expired", assert(depot:list { at = 4000000000 })[6].status)
      assert.equal("not yet valid", assert(depot:list { at = 1000000000 })[6].status)
      local text = tostring(list)
      assert.matches("NAME +STATUS +ENDS +KEY +ISSUER\nAcme_CA +valid root +%d+%-%d%d%-%d%d +clear +itself\n", text)
      assert.matches("\ngone +revoked leaf .* Acme_CA\n", text)
    end)
  end)

  describe("chain", function()
    it("is what a peer is to send, and with the root where it is asked for", function()
      local depot = assert(init { path_length = 1 })
      request(depot, { common_name = "Inner CA" })
      request(depot, { common_name = "leaf", domain = "leaf.example" })
      assert(depot:sign("Inner CA", { intermediate = true }))
      assert(depot:sign("leaf", { ca = "Inner CA" }))
      local chain = assert(depot:chain "leaf")
      assert.equal(content "leaf.crt" .. content "Inner_CA.crt", chain:pem())
      assert.equal("CN=Acme CA", chain.missing)
      assert.equal(chain:pem() .. content "Acme_CA.crt", assert(depot:chain("leaf", { root = true })):pem())
      assert.equal(1, #assert(depot:chain "Acme CA"))
      os.remove(path "Inner_CA.crt")
      assert.matches("CN=Inner CA is not in the depot", expect.fault("no_issuer", depot:chain "leaf").message)
    end)
  end)
end)

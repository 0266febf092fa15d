local expect = require "spec.support.expect"
local openssl = require "spec.support.openssl"
local temporary = require "spec.support.temporary"
local cloud = require "tcpki.cloud"
local probe = require "tcpki.probe"
local tcpki = require "tcpki"

local DAY = 24 * 60 * 60

local has_go = os.execute "go version >/dev/null 2>&1 </dev/null" == true

-- What Go says of a client's files.
local function go(directory, roots, chain, key)
  local program = directory.verifier
  if not program then
    program = directory:path "verify_client"
    assert(os.execute(("GOTOOLCHAIN=local CGO_ENABLED=0 go build -o %s spec/support/verify_client.go")
      :format(program)))
    directory.verifier = program
  end
  local handle = assert(io.popen(("%s %s %s %s 2>&1"):format(program, roots, chain, key)))
  local output = handle:read "a"
  return handle:close() == true, output
end

describe("tcpki.cloud, issuing", function()
  local directory, ca

  setup(function()
    directory = temporary.directory()
    ca = assert(cloud.authority { company = "Acme", days = 1000 })
  end)

  teardown(function()
    directory:remove()
  end)

  local function nothing_found(report)
    assert.equal(0, #report, tostring(report))
  end

  local function has(list, value)
    for _, one in ipairs(list) do
      if one.value == value then return true end
    end
    return false
  end

  -- Every rule of the Cloud, openssl's strict checks, and Go.
  local function accepted(authority, client, key)
    nothing_found(cloud.check_bundle(authority:bundle()))
    nothing_found(cloud.check_client { chain = client.chain, key = client.key or key, accepted = authority:bundle(),
      namespace = client.namespace })
    local roots = authority:bundle():pem()
    local ok, output = openssl.verify(client.certificate:pem(), roots, client.chain:pem(), "-purpose sslclient")
    assert.is_true(ok, output)
    assert.is_truthy(openssl.run("x509 -noout -text", client.certificate:pem()):find("Version: 3 (0x2)", 1, true))
    if has_go then
      ok, output = go(directory, directory:file(nil, roots), directory:file(nil, client.chain:pem()),
        directory:file(nil, (client.key or key):pem()))
      assert.is_true(ok, output)
      assert.equal("version 3\n", output)
    end
  end

  describe("makes what every rule of the Cloud, openssl and Go accept:", function()
    for _, case in ipairs {
      { "by default", nil, nil },
      { "RSA", { type = "rsa", bits = 2048 }, { type = "rsa", bits = 2048 } },
      { "an EC client under RSA", { type = "rsa", bits = 2048 }, nil },
      { "P-384", { curve = "P-384" }, { curve = "P-384" } },
    } do
      it(case[1], function()
        local authority = assert(cloud.authority { company = "Größe & Söhne, Inc.", key = case[2] })
        accepted(authority, assert(cloud.client { authority = authority, namespace = "payments.a1b2c", key = case[3] }))
        accepted(authority, assert(authority:client { name = "payments", days = 30, key = case[3] }))
      end)
    end

    it("from an intermediate, whose chain is in the file", function()
      local root = assert(tcpki.authority.new { subject = { CN = "Acme Root", O = "Acme" }, days = 900 })
      local middle = assert(root:subordinate { subject = { CN = "Acme Clients", O = "Acme" }, days = 500 })
      local paths = { certificate_path = directory:path "middle.pem", key_path = directory:path "middle.key" }
      assert(middle.key:write(paths.key_path))
      directory:file("middle.pem", root.certificate:pem() .. middle.certificate:pem())
      local authority = assert(cloud.authority(paths))
      assert.equal("Acme", authority.company)
      local client = assert(cloud.client { authority = authority, namespace = "payments.a1b2c" })
      assert.equal(2, #client.chain)
      accepted(authority, client)
      local written = assert(client:write(directory:path "intermediate"))
      assert.equal(client.certificate:pem() .. middle.certificate:pem(), temporary.content(written.certificate))
      -- And from a tcpki.authority as it is.
      accepted(authority, assert(cloud.client { authority = middle, name = "plain", company = "Acme" }))
    end)

    it("from a CSR of openssl, with its names and without", function()
      openssl.run(("req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout %s -out %s -config %s"):format(
        directory:path "csr.key", directory:path "full.csr", openssl.configuration(directory,
          "req_extensions = names\n[dn]\nO = Acme Workers\nCN = orders\n[names]\nsubjectAltName = DNS:orders.acme\n")))
      openssl.run(("req -new -key %s -out %s -subj /"):format(directory:path "csr.key", directory:path "bare.csr"))
      local key = assert(tcpki.key.read(directory:path "csr.key"))
      local full = assert(cloud.client { authority = ca, csr = assert(tcpki.csr.read(directory:path "full.csr")),
        name = "orders" })
      assert.is_nil(full.key)
      assert.equal("O=Acme Workers, CN=orders", tostring(full.certificate:subject()))
      assert.same({ { type = "dns", value = "orders.acme" } }, full.certificate:subject_alt_names())
      accepted(ca, full, key)
      local bare = assert(cloud.client { authority = ca, csr = assert(tcpki.csr.read(directory:path "bare.csr")),
        namespace = "orders.a1b2c" })
      assert.equal("O=Acme, CN=orders.a1b2c", tostring(bare.certificate:subject()))
      accepted(ca, bare, key)
      local paths = assert(bare:write(directory:path "from-csr"))
      assert.same({ certificate = directory:path "from-csr/orders.a1b2c.pem" }, paths)
      assert.same({ "orders.a1b2c.pem" }, directory:names "from-csr")
      expect.fault("no_private_key", bare:write(directory:path "from-csr", { pfx = true, overwrite = true }))
    end)

    it("Go is asked in these", function()
      if not has_go then
        pending "go is not on the PATH: nothing above was verified by Go"
        return
      end
      local stranger = assert(cloud.authority { company = "Stranger" })
      local client = assert(cloud.client { authority = ca, name = "asked" })
      local ok, output = go(directory, directory:file(nil, stranger:bundle():pem()),
        directory:file(nil, client.chain:pem()), directory:file(nil, client.key:pem()))
      assert.is_false(ok)
      assert.is_truthy(output:find("certificate signed by unknown authority", 1, true), output)
    end)
  end)

  it("is let in by a frontend, over TLS, with the files as they were written", function()
    local paths = assert(assert(cloud.client { authority = ca, namespace = "payments.a1b2c" })
      :write(directory:path "let-in"))
    local server = assert(assert(tcpki.authority.new { subject = { CN = "Server Root" } }):issue {
      common_name = "localhost", usage = "server", subject_alt_names = { "localhost", "127.0.0.1" },
    })
    local frontend <close> = assert(probe.frontend {
      certificate = server.chain:pem(), key = server.key:pem(), client_ca = ca:bundle():pem(),
      namespaces = { "payments.a1b2c" },
    })
    local result = probe.run { address = frontend:address(), namespace = "payments.a1b2c",
      certificate_path = paths.certificate, key_path = paths.key, server_ca = server.certificate:pem(), timeout = 60 }
    assert.is_true(result.ok, tostring(result))
  end)

  describe("cloud.authority", function()
    it("names company, purpose and four random characters, as Temporal's generator does", function()
      local other = assert(cloud.authority { company = "Acme" })
      local text = openssl.run("x509 -noout -text -nameopt RFC2253", ca.certificate:pem())
      assert.is_truthy(text:find "Subject: CN=Temporal Cloud client CA %w%w%w%w,O=Acme\n", text)
      assert.is_truthy(text:find "DNS:client%.root%.acme%.%w%w%w%w\n", text)
      assert.is_truthy(text:find("CA:TRUE, pathlen:0", 1, true))
      assert.is_truthy(text:find "X509v3 Key Usage: critical%s+Certificate Sign, CRL Sign\n")
      -- Both can stand in one bundle, which a rotation needs.
      assert.not_equal(tostring(ca.certificate:subject()), tostring(other.certificate:subject()))
      nothing_found(cloud.check_bundle(tcpki.bundle.new { ca.certificate, other.certificate }))
    end)

    it("makes a host name of any company", function()
      for company, label in pairs { ["ACME, Inc."] = "acme-inc", ["Größe"] = "gr-e", ["日本"] = "company",
        ["a.b"] = "a-b", [("x"):rep(64)] = ("x"):rep(40) } do
        local name = assert(cloud.authority { company = company }).certificate:subject_alt_names()[1].value
        assert.is_truthy(name:find("^client%.root%." .. label:gsub("%-", "%%-") .. "%.%w%w%w%w$"), name)
      end
    end)

    it("takes name, lifetime, key and path length", function()
      local key = assert(tcpki.key.generate { curve = "P-384" })
      local made = assert(cloud.authority { company = "Acme", name = "Acme CA 2027", days = 100, key = key,
        path_length = 1 })
      assert.equal("O=Acme, CN=Acme CA 2027", tostring(made.certificate:subject()))
      assert.is_true(made.key == key)
      assert.equal(1, made.certificate:basic_constraints().path_length)
      assert.is_true(math.abs(made.certificate:expires_in() - 100 * DAY) < 60)
      assert.is_true(math.abs(assert(cloud.authority { company = "A" }).certificate:expires_in() - 3650 * DAY) < 60)
      assert.equal("tcpki.cloud.authority (O=Acme, CN=Acme CA 2027)", tostring(made))
    end)

    it("makes the CA of a directory once, and takes it up from then on", function()
      local where = directory:path "acme"
      local made = assert(cloud.authority { company = "Acme", directory = where })
      assert.same({ "ca.key", "ca.pem" }, directory:names "acme")
      assert.equal("600", temporary.mode(where .. "/ca.key"))
      assert.equal("644", temporary.mode(where .. "/ca.pem"))
      for _, given in ipairs { { directory = where }, { directory = where .. "/", company = "Acme" } } do
        local again = assert(cloud.authority(given))
        assert.is_true(again.certificate == made.certificate)
        assert.is_true(again.key == made.key)
        accepted(again, assert(again:client { name = "one" }))
      end
      local err = expect.fault("already_exists", cloud.authority { directory = where, company = "Other" })
      assert.equal(where .. "/ca.pem", err.path)
      assert.is_truthy(err.message:find('"Acme", not "Other"', 1, true))
    end)

    it("keeps the key of a directory encrypted where a passphrase is given", function()
      local where = directory:path "encrypted"
      assert(cloud.authority { company = "Acme", directory = where, passphrase = "secret" })
      assert.is_truthy(temporary.content(where .. "/ca.key"):find("BEGIN ENCRYPTED PRIVATE KEY", 1, true))
      assert(cloud.authority { directory = where, passphrase = "secret" })
      expect.fault("passphrase_required", cloud.authority { directory = where })
      local err = expect.fault("bad_passphrase", cloud.authority { directory = where, passphrase = "wrong" })
      assert.equal(where .. "/ca.key", err.path)
    end)

    it("never writes over a CA, nor over half of one", function()
      local where = directory:path "half"
      assert(os.execute("mkdir " .. where))
      directory:file("half/ca.pem", ca.certificate:pem())
      assert.equal(where .. "/ca.key",
        expect.fault("not_found", cloud.authority { directory = where, company = "Acme" }).path)
      directory:file("half/ca.key", assert(tcpki.key.generate()):pem())
      expect.fault("key_mismatch", cloud.authority { directory = where })
      expect.fault("already_exists", ca:write(where))
      assert.equal(ca.certificate:pem(), temporary.content(where .. "/ca.pem"))
      assert(ca:write(where, { overwrite = true }))
      assert(cloud.authority { directory = where })
    end)

    it("carries an interrupted first writing to its end, or takes it back", function()
      local where = directory:path "interrupted"
      assert(ca:write(where))
      -- As a crash between the two names leaves it.
      assert(os.rename(where .. "/ca.pem", where .. "/ca.pem.tcpki-new"))
      assert.is_true(assert(cloud.authority { directory = where }).certificate == ca.certificate)
      assert.same({ "ca.key", "ca.pem" }, directory:names "interrupted")
      -- And before the first.
      assert(os.remove(where .. "/ca.pem"))
      assert(os.rename(where .. "/ca.key", where .. "/ca.key.tcpki-new"))
      local made = assert(cloud.authority { directory = where, company = "Later" })
      assert.equal("Later", made.certificate:subject().O)
      assert.same({ "ca.key", "ca.pem" }, directory:names "interrupted")
    end)

    it("says what is wrong with what it is to take up", function()
      local where = directory:path()
      expect.fault("not_found", cloud.authority { directory = where })
      local client = assert(cloud.client { authority = ca, name = "client" })
      local paths = assert(client:write(directory:path "wrong"))
      local err = expect.fault("not_an_authority",
        cloud.authority { certificate_path = paths.certificate, key_path = paths.key })
      assert.equal(paths.certificate, err.path)
      local edwards = assert(tcpki.authority.new { subject = { CN = "Ed", O = "Ed" }, key = { type = "ed25519" } })
      local key_path = directory:path "ed.key"
      assert(edwards.key:write(key_path))
      local certificate_path = directory:file("ed.pem", edwards.certificate:pem())
      err = expect.fault("unsupported_key",
        cloud.authority { certificate_path = certificate_path, key_path = key_path })
      assert.is_truthy(err.message:find("Ed25519", 1, true))
      expect.fault("unsupported_key", cloud.client { authority = edwards, name = "x" })
      certificate_path = directory:file(nil, "nothing")
      err = expect.fault("not_pem", cloud.authority { certificate_path = certificate_path, key_path = key_path })
      assert.equal(certificate_path, err.path)
    end)

    it("refuses keys and names that the Cloud or a certificate does not take", function()
      expect.fault("unsupported_key", cloud.authority { company = "A", key = { type = "ed25519" } })
      expect.fault("unsupported_key",
        cloud.authority { company = "A", key = assert(tcpki.key.generate { type = "ed25519" }) })
      expect.fault("no_private_key", cloud.authority { company = "A", key = ca.key:public() })
      for _, company in ipairs { "", "  ", "a\nb", "a\0b", "\255", ("x"):rep(65) } do
        expect.fault("bad_name", cloud.authority { company = company })
        expect.fault("bad_name", cloud.authority { company = "A", name = company })
      end
    end)

    it("throws on what is a mistake of the program", function()
      expect.throws("pass company", cloud.authority, {})
      expect.throws("unknown option 'organisation'", cloud.authority, { organisation = "x" })
      expect.throws("together", cloud.authority, { key_path = "x" })
      expect.throws("not both", cloud.authority, { directory = "x", certificate_path = "x", key_path = "x" })
      expect.throws("not both", cloud.authority, { certificate_path = "x", key_path = "x", days = 3 })
      expect.throws("directory must be a path, not empty", cloud.authority, { directory = "" })
      expect.throws("directory must be a path, not nil", ca.write, ca)
      expect.throws("pass it to :write", cloud.authority, { company = "x", passphrase = "x" })
    end)
  end)

  describe("cloud.client", function()
    it("names company and namespace, or company and name as Temporal's generator does", function()
      local client = assert(cloud.client { authority = ca, namespace = "payments.a1b2c" })
      assert.equal("O=Acme, CN=payments.a1b2c", tostring(client.certificate:subject()))
      local alternatives = client.certificate:subject_alt_names()
      assert.is_truthy(alternatives[1].value:find "^client%.endentity%.acme%.%w%w%w%w$")
      assert.is_true(has(alternatives, "payments.a1b2c"))
      assert.equal("payments.a1b2c", client.name)
      client = assert(cloud.client { authority = ca, name = "orders" })
      assert.equal("O=Acme, CN=Acme client orders", tostring(client.certificate:subject()))
      assert.equal(1, #client.certificate:subject_alt_names())
      client = assert(cloud.client { authority = ca, name = "orders", namespace = "payments.a1b2c", company = "Sub",
        organizational_unit = "Unit", common_name = "orders worker", subject_alt_names = { "orders.example" } })
      assert.equal("O=Sub, OU=Unit, CN=orders worker", tostring(client.certificate:subject()))
      assert.same({ { type = "dns", value = "orders.example" } }, client.certificate:subject_alt_names())
      assert.equal("orders", client.name)
      assert.equal("tcpki.cloud.client (orders, O=Sub, OU=Unit, CN=orders worker)", tostring(client))
    end)

    it("is let in by a filter on the namespace, by common name or alternative name", function()
      local client = assert(cloud.client { authority = ca, namespace = "payments.a1b2c" })
      for _, filter in ipairs { { common_name = "payments.a1b2c" }, { organization = "acme" },
        { subject_alternative_name = "payments.*" }, { subject_alternative_name = "client.endentity.acme.*" } } do
        nothing_found(cloud.check_client { chain = client.chain, key = client.key, accepted = ca:bundle(),
          filters = assert(cloud.filters.new { filter }) })
      end
    end)

    it("ends before its CA, always", function()
      local short = assert(cloud.authority { company = "Short", days = 40 })
      local client = assert(cloud.client { authority = short, name = "x" })
      assert.equal(short.certificate:not_after() - 1, client.certificate:not_after())
      assert.is_true(math.abs(assert(cloud.client { authority = ca, name = "x" }).certificate:expires_in()
        - 365 * DAY) < 60)
      expect.fault("outlives_issuer", cloud.client { authority = short, name = "x", days = 40 })
      expect.fault("outlives_issuer",
        cloud.client { authority = short, name = "x", not_after = short.certificate:not_after() })
      assert.is_true(math.abs(assert(cloud.client { authority = short, name = "x", days = 7 }).certificate
        :expires_in() - 7 * DAY) < 60)
    end)

    it("ends before every CA above it, where an intermediate was given more than its root", function()
      local root = assert(tcpki.authority.new { subject = { CN = "Root", O = "O" }, days = 50 })
      local key = assert(tcpki.key.generate())
      local middle = assert(tcpki.certificate.make {
        subject = { CN = "Middle", O = "O" }, not_before = os.time() - 60, not_after = os.time() + 500 * DAY,
        basic_constraints = { ca = true, path_length = 0 }, key_usage = { "key_cert_sign", "crl_sign" },
        public_key = key, issuer = root.certificate, issuer_key = root.key,
      })
      local authority = assert(tcpki.authority.load(middle, key, { chain = { root.certificate } }))
      local client = assert(cloud.client { authority = authority, name = "x" })
      assert.equal(root.certificate:not_after() - 1, client.certificate:not_after())
      local err = expect.fault("outlives_issuer", cloud.client { authority = authority, name = "x", days = 60 })
      assert.equal("O=O, CN=Root", err.subject)
    end)

    it("says that a CA has expired", function()
      local now = os.time()
      local old = assert(cloud.authority { company = "Old", not_before = now - 9 * DAY, not_after = now - 2 * DAY })
      expect.fault("expired", cloud.client { authority = old, name = "x" })
    end)

    it("refuses a distinguished name that a CA of its chain has, letter case aside", function()
      local authority = assert(cloud.authority { company = "Acme", name = "Élan CA" })
      for _, name in ipairs { "Élan CA", "ÉLAN ca", "élan  CA" } do
        local err = expect.fault("bad_name", cloud.client { authority = authority, name = "x", common_name = name })
        assert.is_truthy(err.message:find("the same distinguished name", 1, true))
      end
      assert(cloud.client { authority = authority, name = "x", common_name = "Élan CA", company = "Acme 2" })
    end)

    it("refuses names of files that lead elsewhere, or to the CA's own", function()
      for _, name in ipairs { "", ".", "..", "../x", "a/b", "/etc/x", "a\\b", "a\0b", "a b", "-rf", ".hidden", "a..b",
        "ca", "CA", "größe", "a\nb", "$HOME", ("x"):rep(200) } do
        local err = expect.fault("bad_name", cloud.client { authority = ca, name = name })
        assert.is_truthy(err.hint)
      end
      for _, namespace in ipairs { "payments", "../x.a1b2c", "Payments.a1b2c", "payments.a1b2c.tmprl.cloud" } do
        expect.fault("bad_namespace", cloud.client { authority = ca, namespace = namespace })
      end
    end)

    it("refuses keys and CSRs that the Cloud does not take", function()
      expect.fault("unsupported_key", cloud.client { authority = ca, name = "x", key = { type = "ed25519" } })
      expect.fault("no_private_key", cloud.client { authority = ca, name = "x", key = ca.key:public() })
      local edwards = assert(tcpki.key.generate { type = "ed25519" })
      expect.fault("unsupported_key", cloud.client { authority = ca, name = "x",
        csr = assert(tcpki.csr.new { subject = { CN = "x" }, key = edwards }) })
      openssl.run(("req -new -newkey rsa:1024 -nodes -keyout /dev/null -subj /CN=x -out %s"):format(
        directory:path "weak.csr"))
      expect.fault("weak", cloud.client { authority = ca, name = "x",
        csr = assert(tcpki.csr.read(directory:path "weak.csr")) })
    end)

    it("throws on what is a mistake of the program", function()
      expect.throws("option 'authority'", cloud.client, { name = "x" })
      expect.throws("pass namespace or name", cloud.client, { authority = ca })
      expect.throws("not both", cloud.client, { authority = ca, name = "x", days = 1, not_after = 1 })
      expect.throws("unknown option 'usage'", cloud.client, { authority = ca, name = "x", usage = "server" })
      local nameless = assert(tcpki.authority.new { subject = { CN = "Nameless" } })
      expect.throws("pass company", cloud.client, { authority = nameless, name = "x" })
    end)
  end)

  describe("client:write", function()
    local client

    setup(function()
      client = assert(cloud.client { authority = ca, namespace = "payments.a1b2c" })
    end)

    it("has the layout of Temporal's generator: NAME.pem, NAME.key, and NAME.pfx where asked", function()
      local where = directory:path "layout"
      assert.same({ certificate = where .. "/payments.a1b2c.pem", key = where .. "/payments.a1b2c.key" },
        client:write(where))
      assert.same({ "payments.a1b2c.key", "payments.a1b2c.pem" }, directory:names "layout")
      assert.equal("600", temporary.mode(where .. "/payments.a1b2c.key"))
      assert.equal("644", temporary.mode(where .. "/payments.a1b2c.pem"))
      assert.is_truthy(temporary.content(where .. "/payments.a1b2c.key"):find "^%-%-%-%-%-BEGIN PRIVATE KEY")
      where = directory:path "layout-pfx"
      local paths, warning = client:write(where, { pfx = true })
      assert.equal(where .. "/payments.a1b2c.pfx", paths.pfx)
      assert.equal("unprotected", warning[1].code)
      assert.equal("600", temporary.mode(paths.pfx))
      assert.is_truthy(openssl.run(("pkcs12 -in %s -passin pass: -nodes"):format(paths.pfx))
        :find(client.key:pem(), 1, true))
      where = directory:path "layout-protected"
      paths, warning = client:write(where, { pfx = { passphrase = "secret", profile = "compatible" } })
      assert.is_nil(warning)
      local file = assert(tcpki.pkcs12.read(paths.pfx, { passphrase = "secret" }))
      assert.is_true(file.key == client.key)
      assert.equal("payments.a1b2c", file.name)
    end)

    it("overwrites nothing unless asked, whichever of the files is there", function()
      for _, suffix in ipairs { ".pem", ".key", ".pfx" } do
        local where = directory:path()
        assert(os.execute("mkdir " .. where))
        local path = where .. "/payments.a1b2c" .. suffix
        local file = assert(io.open(path, "w"))
        file:write "mine"
        file:close()
        local err = expect.fault("already_exists", client:write(where, { pfx = true }))
        assert.equal(path, err.path)
        assert.equal("mine", temporary.content(path))
        assert.equal(1, #directory:names(where:match "[^/]+$"))
      end
      local where = directory:path()
      assert(client:write(where, { pfx = true }))
      expect.fault("already_exists", client:write(where))
      local renewed = assert(cloud.client { authority = ca, namespace = "payments.a1b2c" })
      local paths = assert(renewed:write(where, { pfx = true, overwrite = true }))
      assert.equal(renewed.certificate:pem(), temporary.content(paths.certificate))
      assert.equal(renewed.key:pem(), temporary.content(paths.key))
      assert.is_true(assert(tcpki.pkcs12.read(paths.pfx)).key == renewed.key)
    end)

    it("leaves nothing where the PKCS#12 file cannot be made", function()
      local where = directory:path()
      expect.fault("passphrase_required", client:write(where, { pfx = { profile = "modern" } }))
      assert.same({}, directory:names(where:match "[^/]+$"))
      expect.throws("unknown option 'pass'", client.write, client, where, { pfx = { pass = "x" } })
      assert.same({}, directory:names(where:match "[^/]+$"))
      expect.fault("not_found", client:write(directory:path "no/such/place"))
    end)
  end)
end)

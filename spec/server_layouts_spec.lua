local child = require "spec.support.child"
local expect = require "spec.support.expect"
local openssl = require "spec.support.openssl"
local temporal_cluster = require "spec.support.temporal_cluster"
local temporary = require "spec.support.temporary"

local server = require "tcpki.server"
local tcpki = require "tcpki"

local layouts = server.layouts

describe("the trees of Temporal's samples", function()
  local directory

  before_each(function() directory = temporary.directory() end)
  after_each(function() directory:remove() end)

  local function facts(path)
    local certificate = assert(tcpki.certificate.read(path))
    local names = {}
    for i, entry in ipairs(certificate:subject_alt_names() or {}) do names[i] = entry.type .. ":" .. entry.value end
    return certificate, tostring(certificate:subject()), table.concat(names, " ")
  end

  local function verify(roots, untrusted, leaf, purpose)
    local ok, output = openssl.try(("verify -x509_strict -auth_level 2 -no-CApath -no-CAstore %s -CAfile %s %s %s")
      :format(purpose and "-purpose ssl" .. purpose or "", roots, untrusted and "-untrusted " .. untrusted or "", leaf))
    return ok, output
  end

  it("have the files, subjects and names of tls-simple, by the rules", function()
    local tree = assert(layouts.tls_simple(directory:path "certs"))
    assert.equal("tcpki.server.layout (tls-simple: " .. directory:path "certs" .. ")", tostring(tree))
    assert.same({ "ca.cert", "ca.key", "client.csr", "client.key", "client.pem", "client.pfx", "cluster.csr",
      "cluster.key", "cluster.pem" }, directory:names "certs")
    local at = directory:path "certs/"
    local _, subject = facts(at .. "ca.cert")
    assert.equal("C=US, ST=WA, O=Test CA, Inc.", (subject:gsub("\\,", ",")))
    local _, cluster, names = facts(at .. "cluster.pem")
    assert.equal("C=US, ST=WA, O=Test Cluster, Inc., CN=tls-sample", (cluster:gsub("\\,", ",")))
    assert.equal("dns:tls-sample ip:::1", names)
    local _, client, client_names = facts(at .. "client.pem")
    assert.equal("C=US, ST=WA, O=Test Client, Inc., CN=localhost", (client:gsub("\\,", ",")))
    assert.equal("dns:localhost ip:::1 ip:127.0.0.1", client_names)
    for leaf, purposes in pairs { cluster = { "server", "client" }, client = { "client" } } do
      for _, purpose in ipairs(purposes) do
        local ok, output = verify(at .. "ca.cert", nil, at .. leaf .. ".pem", purpose)
        assert.is_true(ok, output)
      end
      assert.equal(openssl.run(("req -in %s%s.csr -noout -pubkey -verify"):format(at, leaf)),
        openssl.run(("pkey -in %s%s.key -pubout"):format(at, leaf)))
    end
    assert.is_false((verify(at .. "ca.cert", nil, at .. "client.pem", "server")))
    local pfx = assert(tcpki.pkcs12.read(at .. "client.pfx"))
    assert.equal(temporary.content(at .. "client.pem"), pfx.certificate:pem())
    local text = openssl.run(("pkcs12 -in %sclient.pfx -nodes -passin pass:"):format(at))
    assert.matches("BEGIN PRIVATE KEY", text, 1, true)
  end)

  it("have the files, subjects and names of tls-full, by the rules", function()
    assert(layouts.tls_full(directory:path "certs"))
    local at = directory:path "certs/"
    assert.same({ "server-intermediate-ca.key", "server-intermediate-ca.pem", "server-root-ca.key",
      "server-root-ca.pem" }, directory:names "certs/cluster/ca")
    assert.same({ "client-intermediate-ca-accounting.key", "client-intermediate-ca-accounting.pem",
      "client-intermediate-ca-development.key", "client-intermediate-ca-development.pem", "client-root-ca.key",
      "client-root-ca.pem" }, directory:names "certs/client/ca")
    for _, row in ipairs {
      { "cluster", "internode", "cluster-internode", "internode.cluster-x", "server-intermediate-ca", "server" },
      { "cluster", "internode", "cluster-internode", "internode.cluster-x", "server-intermediate-ca", "client" },
      { "cluster", "accounting", "cluster-accounting", "accounting.cluster-x", "server-intermediate-ca", "server" },
      { "cluster", "development", "cluster-development", "development.cluster-x", "server-intermediate-ca", "server" },
      { "client", "accounting", "client-accounting-namespace", "accounting.client",
        "client-intermediate-ca-accounting", "client" },
      { "client", "development", "client-development-namespace", "development.client",
        "client-intermediate-ca-development", "client" },
    } do
      local half, folder, base, name, issuer, purpose = table.unpack(row)
      local place = ("%s%s/%s/"):format(at, half, folder)
      assert.same({ base .. "-chain.pem", base .. ".key", base .. ".pem", base .. ".pfx" },
        directory:names(("certs/%s/%s"):format(half, folder)))
      local _, subject, names = facts(place .. base .. ".pem")
      assert.equal(("C=US, ST=WA, O=Contoso, Inc., CN=%s.contoso.com"):format(name), (subject:gsub("\\,", ",")))
      assert.equal(("dns:%s.contoso.com"):format(name), names)
      local kind = half == "cluster" and "server" or "client"
      local ok, output = verify(("%s%s/ca/%s-root-ca.pem"):format(at, half, kind), place .. base .. "-chain.pem",
        place .. base .. ".pem", purpose)
      assert.is_true(ok, output)
      assert.equal(temporary.content(place .. base .. ".pem") .. temporary.content(("%s%s/ca/%s.pem"):format(at, half,
        issuer)), temporary.content(place .. base .. "-chain.pem"))
      assert.equal("600", temporary.mode(place .. base .. ".key"))
      assert.equal("600", temporary.mode(place .. base .. ".pfx"))
    end
  end)

  it("have the configuration of the sample, and what it lacks", function()
    for _, name in ipairs { "tls_simple", "tls_full" } do
      local tree = assert(layouts[name](directory:path(name)))
      local report = assert(server.check(tree.tls))
      assert.is_true(report.ok, tostring(report))
      for _, finding in ipairs(report) do
        assert.equal("intermediate_anchor", finding.code, tostring(report))
      end
      tree = assert(layouts[name](directory:path(name), { path = "/etc/temporal/certs", overwrite = true }))
      assert.is_truthy(tree.tls:yaml():find("/etc/temporal/certs/", 1, true))
      assert.is_nil(tree.tls:yaml():find(directory.root, 1, true))
    end
    local published = assert(layouts.tls_full(directory:path "published", { as_published = true, key = {} }))
    assert.is_truthy(tostring(assert(server.check(published.tls))):find("plaintext_client", 1, true))
  end)

  describe("as they are published", function()
    -- What openssl itself makes of the same wishes: object identifiers, critical or not, and the bytes, but for the
    -- identifiers of the keys.
    local function shape(certificate)
      local list = {}
      for i, extension in ipairs(certificate:extensions()) do
        local of_key = extension.oid == "2.5.29.14" or extension.oid == "2.5.29.35"
        list[i] = ("%s %s %s"):format(extension.oid, extension.critical and "critical" or "", of_key and ""
          or extension.der:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
      end
      table.sort(list)
      return list
    end

    local authority_section = "subjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid:always,issuer\n"
    local sections = {
      { "ca.cert" },
      { "cluster.pem", "subjectAltName = DNS:tls-sample, IP:::1" },
      { "client.pem", "subjectAltName = DNS:localhost, IP:::1, IP:127.0.0.1" },
      { "cluster/ca/server-root-ca.pem", authority_section .. "basicConstraints = critical, CA:TRUE, pathlen:1\n"
        .. "keyUsage = critical, digitalSignature, cRLSign, keyCertSign", true },
      { "client/ca/client-intermediate-ca-development.pem", authority_section
        .. "basicConstraints = critical, CA:TRUE, pathlen:0\n"
        .. "keyUsage = digitalSignature, keyEncipherment, cRLSign, keyCertSign" },
      { "cluster/internode/cluster-internode.pem", "subjectAltName = DNS:internode.cluster-x.contoso.com\n"
        .. "subjectKeyIdentifier = hash\nkeyUsage = critical, digitalSignature" },
      { "cluster/accounting/cluster-accounting.pem", "subjectAltName = DNS:accounting.cluster-x.contoso.com\n"
        .. "subjectKeyIdentifier = hash" },
      { "client/development/client-development-namespace.pem", "subjectAltName = DNS:development.client.contoso.com" },
    }

    it("have the extensions that openssl puts there, with all that is wrong in them", function()
      assert(layouts.tls_simple(directory:path "certs", { as_published = true, key = {} }))
      assert(layouts.tls_full(directory:path "full", { as_published = true, key = {} }))
      local ca, key = directory:path "other.pem", directory:path "other.key"
      openssl.run(("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout %s -out %s -days 9 -subj "
        .. "/O=Other -config %s"):format(key, ca, openssl.configuration(directory,
        "x509_extensions = e\n[dn]\n[e]\nsubjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid:always,issuer\n"
        .. "basicConstraints = critical, CA:true\n")))
      for _, row in ipairs(sections) do
        local ours = assert(tcpki.certificate.read(directory:path((row[1]:find "/" and "full/" or "certs/") .. row[1])))
        local theirs = ca
        if row[2] then
          local extensions = directory:file(nil, "[e]\n" .. row[2] .. "\n")
          local csr = openssl.run(("req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout %s -subj /CN=x "
            .. "-config %s"):format(directory:path "leaf.key", openssl.configuration(directory, "[dn]\n")))
          theirs = directory:file(nil, openssl.run(("x509 -req -CA %s -CAkey %s -CAcreateserial -days 9 -extfile %s "
            .. "-extensions e"):format(ca, key, extensions), csr))
        end
        assert.same(shape(assert(tcpki.certificate.read(theirs))), shape(ours), row[1])
      end
      assert.is_false((verify(directory:path "certs/ca.cert", nil, directory:path "certs/cluster.pem", "server")))
    end)
  end)

  it("are written whole or not at all", function()
    assert(layouts.tls_full(directory:path "certs"))
    local before = temporary.content(directory:path "certs/cluster/ca/server-root-ca.pem")
    expect.fault("already_exists", layouts.tls_full(directory:path "certs"))
    os.remove(directory:path "certs/client/ca/client-root-ca.pem")
    local err = expect.fault("already_exists", layouts.tls_full(directory:path "certs"))
    assert.matches("client-root-ca.pem is missing", err.message, 1, true)
    assert.equal(before, temporary.content(directory:path "certs/cluster/ca/server-root-ca.pem"))
    assert(layouts.tls_full(directory:path "certs", { overwrite = true }))
    assert.not_equal(before, temporary.content(directory:path "certs/cluster/ca/server-root-ca.pem"))
    assert.same({ "certs" }, directory:names())
    directory:file("certs/mine", "text")
    expect.fault("already_exists", layouts.tls_full(directory:path "certs", { overwrite = true }))
    local _, output = child.run(([[
      local ok, err = require "tcpki.server".layouts.tls_full(%q)
      print(ok, err.code)]]):format(directory:path "full"), { before = "trap '' XFSZ; ulimit -f 0;" })
    assert.equal("nil\tno_space\n", output)
    assert.same({ "certs" }, directory:names())
    expect.throws("unknown option 'asPublished'", layouts.tls_simple, directory:path "x", { asPublished = true })
    expect.throws("directory", layouts.tls_simple, {})
    expect.throws("option 'days'", layouts.tls_simple, directory:path "x", { days = 0 })
  end)

  describe("in the real server #server", function()
    -- As published without the worker, for which the sample has an internal frontend.
    local function start(name, given, ready)
      return assert(temporal_cluster.start(function(ports)
        local place = directory:path(name .. ports.frontend[1])
        assert(tcpki.file.make_directory(place))
        local tree = assert(layouts[name](place .. "/certs", given))
        local configuration = require "tcpki.server.development".configuration(tree.tls:table(), ports)
        assert(tcpki.file.write(place .. "/server.yaml", require "tcpki.server.yaml".dump(configuration)))
        return place, "server.yaml", ready,
          given.as_published and "--service frontend --service history --service matching" or ""
      end))
    end

    for _, given in ipairs { { key = {} }, { key = {}, as_published = true } } do
      local how = given.as_published and "as published" or "by the rules"

      it("tls-simple serves its client, " .. how, function()
        local function ask(running)
          return running:probe("certs/client", { server_name = "tls-sample", namespace = "temporal-system",
            server_ca_path = running:path "certs/ca.cert" })
        end
        -- With the keys of the sample.
        local running <close> = start("tls_simple", { as_published = given.as_published }, ask)
        local key = assert(tcpki.key.read(running:path "certs/cluster.key"))
        assert.equal(given.as_published and 4096 or 256, key:bits())
        local result = ask(running)
        assert.is_true(result.ok, tostring(result))
        result = running:probe("certs/client", { server_name = "tls-sample", certificate_path = false, key_path = false,
          server_ca_path = running:path "certs/ca.cert" })
        assert.equal("no_client_certificate", result.cause, tostring(result))
      end)

      it("tls-full serves the clients of each namespace at their host, and no others, " .. how, function()
        local function ask(running, namespace, host, ending)
          return running:probe(("certs/client/%s/client-%s-namespace"):format(namespace, namespace), {
            server_name = host .. ".cluster-x.contoso.com",
            certificate_path = running:path(("certs/client/%s/client-%s-namespace%s.pem"):format(namespace, namespace,
              ending or "")),
            server_ca_path = running:path "certs/cluster/ca/server-root-ca.pem" })
        end
        local running <close> = start("tls_full", given, function(self)
          return ask(self, "accounting", "accounting")
        end)
        for _, case in ipairs {
          { "accounting", "accounting", "ok" }, { "development", "development", "ok" },
          { "accounting", "development", "client_ca_unknown" }, { "development", "accounting", "client_ca_unknown" },
        } do
          for _, ending in ipairs { "", "-chain" } do
            local result = ask(running, case[1], case[2], ending)
            assert.equal(case[3], result.ok and "ok" or result.cause, table.concat(case, " ") .. tostring(result))
          end
        end
      end)
    end
  end)
end)

describe("the certificate generator", function()
  local directory

  before_each(function() directory = temporary.directory() end)
  after_each(function() directory:remove() end)

  local function make(given)
    given.directory = directory:path "clients"
    return server.client_only(given)
  end

  it("writes a CA and the files of each client", function()
    local made = assert(make { company = "Acme Widgets", names = { "payments", "orders" } })
    assert.same({ "ca.key", "ca.pem", "orders.key", "orders.pem", "orders.pfx", "payments.key", "payments.pem",
      "payments.pfx" }, directory:names "clients")
    assert.equal("O=Acme Widgets", tostring(made.authority.certificate:subject()))
    assert.equal(0, made.authority.certificate:basic_constraints().path_length)
    local leaf = assert(tcpki.certificate.read(directory:path "clients/orders.pem"))
    assert.equal(3, leaf:version())
    assert.equal("O=acme widgets, CN=acme widgets client orders", tostring(leaf:subject()))
    assert.matches("^client%.endentity%.acme%-widgets%.%x%x%x%x$", leaf:subject_alt_names()[1].value)
    local ok, output = openssl.verify(leaf:pem(), temporary.content(directory:path "clients/ca.pem"), nil,
      "-purpose sslclient")
    assert.is_true(ok, output)
    local text = openssl.run(("pkcs12 -in %s -nodes -passin pass:"):format(directory:path "clients/payments.pfx"))
    assert.is_truthy(text:find(temporary.content(directory:path "clients/payments.pem"), 1, true))
    for _, name in ipairs { "ca.key", "orders.key", "orders.pfx" } do
      assert.equal("600", temporary.mode(directory:path("clients/" .. name)))
    end
  end)

  it("takes up the CA that is there", function()
    assert(make { company = "Acme", names = { "payments" }, authority_days = 30 })
    local ca = temporary.content(directory:path "clients/ca.pem")
    assert(make { names = { "orders" } })
    assert(make { company = "Acme", names = { "shipping" }, key = { type = "rsa", bits = 2048 } })
    assert.equal(ca, temporary.content(directory:path "clients/ca.pem"))
    local ok, output = openssl.verify(temporary.content(directory:path "clients/shipping.pem"), ca)
    assert.is_true(ok, output)
    local err = expect.fault("already_exists", make { company = "Other", names = { "x" } })
    assert.matches("the CA is that of O=Acme", err.message, 1, true)
    expect.fault("outlives_issuer", make { names = { "x" }, days = 31 })
    os.remove(directory:path "clients/ca.key")
    expect.fault("not_found", make { names = { "x" } })
  end)

  it("takes up the CA that the generator itself made", function()
    assert(tcpki.file.make_directory(directory:path "clients"))
    openssl.run(("req -x509 -newkey rsa:2048 -nodes -days 365 -keyout %s -out %s -config %s"):format(
      directory:path "clients/ca.key", directory:path "clients/ca.pem", openssl.configuration(directory,
        "x509_extensions = e\n[dn]\nO = Acme\n[e]\nsubjectKeyIdentifier = hash\n"
        .. "authorityKeyIdentifier = keyid:always,issuer\nbasicConstraints = critical, CA:TRUE, pathlen:0\n"
        .. "keyUsage = critical, digitalSignature, cRLSign, keyCertSign\n")))
    assert(make { names = { "payments" } })
    local ok, output = openssl.verify(temporary.content(directory:path "clients/payments.pem"),
      temporary.content(directory:path "clients/ca.pem"))
    assert.is_true(ok, output)
  end)

  it("writes all of it or nothing", function()
    for _, name in ipairs { "a/b", "", "ca", "CA", "..", ("x"):rep(65) } do
      expect.fault("bad_name", make { company = "Acme", names = { "payments", name } })
    end
    expect.fault("bad_name", make { company = "a\nb", names = { "payments" } })
    assert.same({}, directory:names())
    local _, output = child.run(([[
      local ok, err = require "tcpki.server".client_only { directory = %q, company = "Acme", names = { "a", "b" } }
      print(ok, err.code)]]):format(directory:path "clients"), { before = "trap '' XFSZ; ulimit -f 0;" })
    assert.equal("nil\tno_space\n", output)
    assert.same({}, directory:names())
    assert(make { company = "Acme", names = { "payments" } })
    os.remove(directory:path "clients/payments.key")
    local err = expect.fault("already_exists", make { names = { "orders", "payments" } })
    assert.equal(directory:path "clients/payments.pem", err.path)
    assert.is_nil(io.open(directory:path "clients/orders.pem"))
    local held <close> = assert(tcpki.lock.directory(directory:path "clients"))
    assert.is_truthy(held)
    expect.fault("busy", make { names = { "orders" } })
    err = expect.fault("not_found", server.client_only { directory = directory:path "new", names = { "a" } })
    assert.equal(directory:path "new/ca.pem", err.path)
    assert.matches("pass company", err.hint, 1, true)
    expect.throws("option 'names'", server.client_only, { directory = directory:path "new" })
    assert.same({ "clients" }, directory:names())
  end)
end)

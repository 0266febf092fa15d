local child = require "spec.support.child"
local expect = require "spec.support.expect"
local openssl = require "spec.support.openssl"
local temporal_cluster = require "spec.support.temporal_cluster"
local temporary = require "spec.support.temporary"

local lyaml = require "lyaml"
local server = require "tcpki.server"
local tcpki = require "tcpki"

local MAIN, ACCOUNTING = "temporal.acme.example", "accounting.acme.example"
local hosts = { MAIN, { name = ACCOUNTING, clients = { "ledger" } }, "reports.acme.example" }

describe("a cluster", function()
  local directory

  before_each(function() directory = temporary.directory() end)
  after_each(function() directory:remove() end)

  local function verify(path, leaf, anchor, purpose, name)
    local ok, output = openssl.try(("verify -x509_strict -auth_level 2 -no-CApath -no-CAstore -purpose %s %s "
      .. "-CAfile %s/%s %s/%s"):format(purpose, name and "-verify_hostname " .. name or "", path, anchor, path, leaf))
    return ok, output
  end

  it("is a directory with everything that is issued, and nothing else", function()
    local cluster = assert(server.cluster { hosts = hosts, clients = { "payments", "orders" }, organization = "Acme" })
    local path = assert(cluster:write(directory:path "temporal"))
    assert.equal(directory:path "temporal", path)
    assert.same({ "authority", "certs", "clients", "config" }, directory:names "temporal")
    assert.same({
      ACCOUNTING .. "-client-ca-1.pem", ACCOUNTING .. "-client-ca-2.pem", ACCOUNTING .. ".key", ACCOUNTING .. ".pem",
      "client-ca-1.pem", "client-ca-2.pem", "frontend.key", "frontend.pem", "internode.key", "internode.pem",
      "reports.acme.example.key", "reports.acme.example.pem", "server-ca-1.pem", "server-ca-2.pem",
      "system-worker.key", "system-worker.pem",
    }, directory:names "temporal/certs")
    assert.same({ "ledger", "orders", "payments" }, directory:names "temporal/clients")
    assert.same({ "client.key", "client.pem", "server-ca.pem" }, directory:names "temporal/clients/payments")
    assert.same({ "tls.yaml" }, directory:names "temporal/config")
    for _, name in ipairs { "authority/server-ca.key", "certs/internode.key", "clients/orders/client.key" } do
      assert.equal("600", temporary.mode(path .. "/" .. name))
    end
    assert.equal("tcpki.server.cluster (temporal.acme.example, accounting.acme.example, reports.acme.example)",
      tostring(cluster))
  end)

  it("has certificates that openssl takes for what each is for", function()
    local cluster = assert(server.cluster { hosts = hosts, clients = { "payments" } })
    local path = assert(cluster:write(directory:path "temporal"))
    local function accepted(...)
      local ok, output = verify(path, ...)
      assert.is_true(ok, output)
    end
    accepted("certs/internode.pem", "certs/server-ca-1.pem", "sslserver", "internode")
    accepted("certs/internode.pem", "certs/server-ca-2.pem", "sslclient")
    accepted("certs/frontend.pem", "clients/payments/server-ca.pem", "sslserver", MAIN)
    accepted("certs/frontend.pem", "certs/server-ca-1.pem", "sslserver", "localhost")
    accepted(("certs/%s.pem"):format(ACCOUNTING), "certs/server-ca-1.pem", "sslserver", ACCOUNTING)
    accepted("certs/system-worker.pem", "certs/client-ca-1.pem", "sslclient")
    accepted("clients/payments/client.pem", "certs/client-ca-2.pem", "sslclient")
    accepted("clients/ledger/client.pem", ("certs/%s-client-ca-1.pem"):format(ACCOUNTING), "sslclient")
    assert.is_false((verify(path, "clients/ledger/client.pem", "certs/client-ca-1.pem", "sslclient")))
    assert.is_false((verify(path, "certs/frontend.pem", "certs/server-ca-1.pem", "sslclient")))
  end)

  it("has a configuration that names all of it, once in each place", function()
    local cluster = assert(server.cluster { hosts = hosts, path = "/etc/temporal", refresh_interval = 30 })
    local path = assert(cluster:write(directory:path "temporal"))
    local text = temporary.content(path .. "/config/tls.yaml")
    local tls = lyaml.load(text).global.tls
    assert.equal("30s", tls.refreshInterval)
    assert.same({ "/etc/temporal/certs/client-ca-1.pem", "/etc/temporal/certs/client-ca-2.pem" },
      tls.frontend.server.clientCaFiles)
    assert.same({ serverName = MAIN, rootCaFiles = { "/etc/temporal/certs/server-ca-1.pem",
      "/etc/temporal/certs/server-ca-2.pem" } }, tls.systemWorker.client)
    assert.same({ ("/etc/temporal/certs/%s-client-ca-1.pem"):format(ACCOUNTING),
      ("/etc/temporal/certs/%s-client-ca-2.pem"):format(ACCOUNTING) },
      tls.frontend.hostOverrides[ACCOUNTING].clientCaFiles)
    assert.same(tls.frontend.server, tls.frontend.hostOverrides[MAIN])
    for name in text:gmatch "/etc/temporal/(%S+)" do
      assert(io.open(path .. "/" .. name)):close()
    end
    -- Twice the same: an order of its own would be a change for whoever compares.
    assert.equal(text, temporary.content(assert(assert(server.cluster { hosts = hosts, path = "/etc/temporal",
      refresh_interval = 30 }):write(directory:path "again")) .. "/config/tls.yaml"))
  end)

  it("has a configuration in which the check finds nothing", function()
    local path = assert(assert(server.cluster { hosts = hosts, clients = { "payments" }, development = true })
      :write(directory:path "temporal"))
    for _, name in ipairs { "tls", "development" } do
      local report = assert(server.check(("%s/config/%s.yaml"):format(path, name), { root = path }))
      assert.equal(0, #report, tostring(report))
    end
  end)

  it("is issued by CAs that exist, in two levels as well", function()
    local root = assert(tcpki.authority.new { common_name = "Root" })
    local below = assert(root:subordinate { common_name = "Servers" })
    local clients = assert(tcpki.authority.new { common_name = "Clients", days = 20 })
    local cluster = assert(server.cluster { hosts = { MAIN }, clients = { "payments" }, server_authority = below,
      client_authority = clients })
    local path = assert(cluster:write(directory:path "temporal"))
    assert.equal(root.certificate:pem(), temporary.content(path .. "/certs/server-ca-1.pem"))
    assert.equal(2, #assert(tcpki.chain.read(path .. "/certs/frontend.pem")))
    local ok, output = openssl.try(("verify -CAfile %s/certs/server-ca-1.pem -untrusted %s/certs/frontend.pem %s")
      :format(path, path, path .. "/certs/frontend.pem"))
    assert.is_true(ok, output)
    -- Never beyond its CA.
    assert.is_true(cluster.clients.payments.certificate:not_after() < clients.certificate:not_after())
    expect.fault("outlives_issuer", server.cluster { hosts = { MAIN }, client_authority = clients, days = 30 })
  end)

  it("refuses names that cannot be files, before anything is written", function()
    for _, name in ipairs { "a/b", "../a", "", ".hidden", "a b", ("x"):rep(65), "a\nb", "a\\b" } do
      expect.fault("bad_name", server.cluster { hosts = { MAIN }, clients = { name } })
      expect.fault("bad_name", server.cluster { hosts = { MAIN, name } })
    end
    local err = expect.fault("bad_name", server.cluster { hosts = { MAIN }, clients = { "a/b" } })
    assert.matches("a slash", err.message, 1, true)
    for _, name in ipairs { "frontend", "internode", "system-worker", "server-ca-1", "client-ca-2" } do
      expect.fault("bad_name", server.cluster { hosts = { MAIN, name } })
    end
    expect.fault("bad_name", server.cluster { hosts = { MAIN, "a.example", "A.example" } })
    -- A host of its own is chosen by the server name, which is never an address; the first needs none.
    expect.fault("bad_name", server.cluster { hosts = { MAIN, "10.0.0.7" } })
    for _, name in ipairs { "a.example:7233", "*.example", "../a", "a b" } do
      expect.fault("bad_name", server.cluster { hosts = { name } })
    end
    for _, name in ipairs { "10.0.0.7", "2001:db8::7", "::1" } do
      assert(server.cluster { hosts = { name } })
    end
    expect.fault("bad_name", server.cluster { hosts = { MAIN, ("abc."):rep(60) .. "a" } })
    expect.fault("bad_name", server.cluster { hosts = { MAIN }, clients = { "a", "a" } })
    expect.fault("bad_name", server.cluster { hosts = { MAIN }, organization = "a\0b" })
  end)

  it("takes hosts with names too long for a common name, as the balancers of clouds have", function()
    local balancer = "internal-k8s-temporal-frontend-0123456789-1234567890.us-east-1.elb.amazonaws.com"
    local other = "other." .. balancer
    local path = directory:path "temporal"
    assert(assert(server.cluster { hosts = { balancer, { name = other, clients = { "ledger" } } } }):write(path))
    for name, host in pairs { frontend = balancer, [other] = other } do
      local certificate = assert(tcpki.certificate.read(("%s/certs/%s.pem"):format(path, name)))
      assert.equal("CN=frontend", tostring(certificate:subject()))
      assert.equal(host, certificate:subject_alt_names()[1].value)
    end
    assert.equal(0, #assert(server.check(path .. "/config/tls.yaml", { root = path })))
    local function always() return true end
    assert.is_true(assert(server.rotate { directory = path, withdraw = true, verify = always }).done)
  end)

  it("throws on options that mean nothing", function()
    expect.throws("tcpki.server.cluster: option 'days' must be", server.cluster, { hosts = { MAIN }, days = 0 })
    expect.throws("option 'authority_days' must be", server.cluster, { hosts = { MAIN }, authority_days = -1 })
    expect.throws("option 'hosts'", server.cluster, {})
    expect.throws("'hosts' is empty", server.cluster, { hosts = {} })
    expect.throws("unknown option 'host'", server.cluster, { host = MAIN })
    expect.throws("the option 'clients'", server.cluster, { hosts = { { name = MAIN, clients = { "a" } } } })
    expect.throws("must be at least 1", server.cluster, { hosts = { MAIN }, refresh_interval = 0 })
    expect.throws("option 'development'", server.cluster, { hosts = { MAIN }, development = { web = { 1, 2 } } })
    expect.throws("unknown option 'usage'", server.cluster, { hosts = { { name = MAIN, usage = "x" } } })
  end)

  it("is written whole or not at all", function()
    local cluster = assert(server.cluster { hosts = { MAIN }, clients = { "payments" } })
    local path = directory:path "temporal"
    assert(cluster:write(path))
    local before = temporary.content(path .. "/certs/frontend.pem")
    local other = assert(server.cluster { hosts = { MAIN }, clients = { "payments" } })
    local err = expect.fault("already_exists", other:write(path))
    assert.equal(path, err.path)
    assert.equal(before, temporary.content(path .. "/certs/frontend.pem"))
    -- Half of one is not taken for nothing.
    os.remove(path .. "/certs/frontend.pem")
    err = expect.fault("already_exists", other:write(path))
    assert.matches("not whole: certs/frontend.pem is missing", err.message, 1, true)
    -- What is not ours is not lost.
    directory:file("temporal/notes", "mine")
    expect.fault("already_exists", other:write(path, { overwrite = true }))
    assert.equal("mine", temporary.content(path .. "/notes"))
    os.remove(path .. "/notes")
    assert(other:write(path, { overwrite = true }))
    assert.equal(assert(other.leaves.frontend.chain:pem()), temporary.content(path .. "/certs/frontend.pem"))
    assert.same({ "temporal" }, directory:names())
  end)

  it("leaves everything as it was where it cannot write", function()
    local function attempt(options, place)
      -- lyaml is where this process found it.
      local _, output = child.run(([[
        package.path, package.cpath = package.path .. ";" .. %q, package.cpath .. ";" .. %q
        local server = require "tcpki.server"
        local ok, err = assert(server.cluster { hosts = { "a.example" } }):write(%q)
        print(ok, err.code, err.path)]]):format(package.path, package.cpath, place), options)
      return (output:gsub(directory.root, "ROOT"))
    end
    assert.equal("nil\tno_space\tROOT/temporal/authority/client-ca.key\n", attempt({
      before = "trap '' XFSZ; ulimit -f 0;" }, directory:path "temporal"))
    assert.same({}, directory:names())
    if child.is_root() then
      assert.equal("nil\tpermission_denied\tROOT\n", attempt({ as_nobody = true }, directory:path "temporal"))
      assert.same({}, directory:names())
    end
    directory:file("file", "text")
    assert(os.execute(("mkdir %s && ln -s real %s"):format(directory:path "real", directory:path "link")))
    assert.equal("nil\tsymbolic_link\tROOT/link\n", attempt({}, directory:path "link"))
    assert.same({}, directory:names "real")
    assert.equal("nil\talready_exists\tROOT/file\n", attempt({}, directory:path "file"))
    assert.equal("text", temporary.content(directory:path "file"))
  end)

  describe("of the real server #server", function()
    local running

    setup(function()
      directory = temporary.directory()
      running = assert(temporal_cluster.start(function(ports)
        local path = directory:path("temporal-" .. ports.frontend[1])
        assert(assert(server.cluster { hosts = hosts, clients = { "payments" }, organization = "Acme",
          development = ports }):write(path))
        return path, "config/development.yaml", function(self)
          return self:probe_client("payments", MAIN, { namespace = "temporal-system" })
        end
      end))
    end)

    teardown(function()
      if running then running:stop() end
      directory:remove()
    end)

    it("starts unchanged, and authenticates the probe", function()
      local result = running:probe_client("payments", MAIN, { namespace = "temporal-system" })
      assert.is_true(result.ok, tostring(result))
      assert.equal("REGISTERED", result.namespace.state)
    end)

    it("shows a certificate of its own at each host, and lets in whom that host is for", function()
      for _, case in ipairs {
        { "payments", MAIN, "ok" }, { "payments", "reports.acme.example", "ok" }, { "payments", "localhost", "ok" },
        { "ledger", ACCOUNTING, "ok" }, { "ledger", MAIN, "client_ca_unknown" },
        { "payments", ACCOUNTING, "client_ca_unknown" },
      } do
        local result = running:probe_client(case[1], case[2])
        assert.equal(case[3], result.ok and "ok" or result.cause, table.concat(case, " ") .. tostring(result))
        if result.ok then
          local subject = tostring(result.peer.certificates[1]:subject())
          assert.equal("O=Acme, CN=" .. (case[2] == "localhost" and MAIN or case[2]), subject)
        end
      end
    end)

    it("lets its nodes in among themselves, and nobody else", function()
      for _, service in ipairs { "history", "matching", "worker" } do
        local address = "127.0.0.1:" .. running.ports[service][1]
        local result = running:probe("certs/internode", { address = address, server_name = "internode",
          server_ca_path = running:path "certs/server-ca-2.pem" })
        assert.is_true(result.authenticated, tostring(result))
        result = running:probe_client("payments", "internode", { address = address })
        assert.equal("client_ca_unknown", result.cause, tostring(result))
      end
    end)

    it("lets its system worker in, and complains of nothing", function()
      local result = running:probe("certs/system-worker", { server_name = MAIN,
        server_ca_path = running:path "certs/server-ca-1.pem" })
      assert.is_true(result.ok, tostring(result))
      local log = running:log()
      assert.is_nil(log:find("failed to load certificates", 1, true))
      assert.is_nil(log:find("cannot find a per-host provider for attempted incoming TLS connection. returning default "
        .. "TLS configuration\",\"server-name\":\"" .. MAIN, 1, true))
    end)
  end)
end)

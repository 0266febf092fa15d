local expect = require "spec.support.expect"
local lyaml = require "lyaml"
local openssl = require "spec.support.openssl"
local temporary = require "spec.support.temporary"
local tcpki = require "tcpki"
local server = require "tcpki.server"

local function file_section(name)
  return { certificate_file = name .. ".pem", key_file = name .. ".key", require_client_certificate = true,
    client_ca_files = { "server-ca.pem", "client-ca.pem" } }
end

-- Every field that there is.
local function everything()
  local client = { server_name = "internode", disable_host_verification = false, root_ca_files = { "server-ca.pem" },
    force_tls = true }
  return {
    refresh_interval = 90,
    expiration_checks = { check_interval = "1h", error_window = "24h", warning_window = "720h30m" },
    remote_clusters = { ["b.example.com"] = { client = client }, ["a.example.com"] = { server = file_section "a" } },
    system_worker = { certificate_file = "worker.pem", key_file = "worker.key", client = client },
    frontend = {
      server = file_section "frontend", client = client,
      host_overrides = { ["payments.example.com"] = file_section "payments", ["*"] = file_section "any" },
    },
    internode = { client = client, server = file_section "internode" },
  }
end

describe("server.tls", function()
  it("writes every field under the server's name for it, in the order of the server's source", function()
    assert.equal([[
global:
  tls:
    internode:
      client:
        serverName: internode
        disableHostVerification: false
        rootCaFiles:
        - server-ca.pem
        forceTLS: true
      server:
        certFile: internode.pem
        keyFile: internode.key
        clientCaFiles:
        - server-ca.pem
        - client-ca.pem
        requireClientAuth: true
    frontend:
      client:
        serverName: internode
        disableHostVerification: false
        rootCaFiles:
        - server-ca.pem
        forceTLS: true
      server:
        certFile: frontend.pem
        keyFile: frontend.key
        clientCaFiles:
        - server-ca.pem
        - client-ca.pem
        requireClientAuth: true
      hostOverrides:
        '*':
          certFile: any.pem
          keyFile: any.key
          clientCaFiles:
          - server-ca.pem
          - client-ca.pem
          requireClientAuth: true
        payments.example.com:
          certFile: payments.pem
          keyFile: payments.key
          clientCaFiles:
          - server-ca.pem
          - client-ca.pem
          requireClientAuth: true
    systemWorker:
      certFile: worker.pem
      keyFile: worker.key
      client:
        serverName: internode
        disableHostVerification: false
        rootCaFiles:
        - server-ca.pem
        forceTLS: true
    remoteClusters:
      a.example.com:
        server:
          certFile: a.pem
          keyFile: a.key
          clientCaFiles:
          - server-ca.pem
          - client-ca.pem
          requireClientAuth: true
      b.example.com:
        client:
          serverName: internode
          disableHostVerification: false
          rootCaFiles:
          - server-ca.pem
          forceTLS: true
    expirationChecks:
      warningWindow: 720h30m
      errorWindow: 24h
      checkInterval: 1h
    refreshInterval: 90s
]], assert(server.tls(everything())):yaml())
  end)

  it("writes the same bytes every time", function()
    local first = assert(server.tls(everything())):yaml()
    for _ = 1, 20 do
      assert.equal(first, assert(server.tls(everything())):yaml())
    end
  end)

  it("is a table with the server's names, for a configuration of one's own, that cannot harm it", function()
    local tls = assert(server.tls(everything()))
    local config = { global = { tls = tls:table() } }
    assert.same(lyaml.load(tls:yaml()), config)
    local before = tls:yaml()
    config.global.tls.frontend.server.certFile = nil
    config.global.tls.frontend.server.clientCaFiles[1] = nil
    assert.equal(before, tls:yaml())
    assert.equal("tcpki.server.tls (internode, frontend, systemWorker, remoteClusters, expirationChecks, "
      .. "refreshInterval)", tostring(tls))
  end)

  it("leaves out what is empty: an empty section would be written as a list", function()
    for _, options in ipairs { {}, { frontend = {} }, { frontend = { server = {}, host_overrides = {} } },
      { system_worker = { client = { root_ca_files = {} } } } } do
      local tls = assert(server.tls(options))
      local report = assert(server.check_text(tls:yaml()))
      assert.same({ "no_tls", 1 }, { report[1].code, #report })
      assert.equal("no_tls", assert(server.check(tls))[1].code)
    end
  end)

  describe("takes data", function()
    local authority = assert(tcpki.authority.new { subject = { CN = "CA" }, days = 30 })
    local other = assert(tcpki.authority.new { subject = { CN = "Other CA" }, days = 30 })
    local leaf = assert(authority:issue { common_name = "a", usage = "peer", subject_alt_names = { "a" }, days = 10 })

    local function data_of(options)
      return lyaml.load(assert(server.tls { internode = options }):yaml()).global.tls.internode
    end

    local function base64(text)
      return (openssl.run("base64 -A", text))
    end

    it("as objects, as PEM, and as base64, which all come to the same", function()
      local expected = { certData = base64(leaf.chain:pem()), keyData = base64(leaf.key:pem()),
        clientCaData = { base64(authority.certificate:pem()) }, requireClientAuth = true }
      for _, options in ipairs {
        { certificate_data = leaf.chain, key_data = leaf.key, client_ca_data = authority.certificate },
        { certificate_data = leaf.certificate, key_data = leaf.key, client_ca_data = { authority.certificate } },
        { certificate_data = leaf.chain:pem(), key_data = leaf.key:pem(),
          client_ca_data = { authority.certificate:pem() } },
        { certificate_data = expected.certData, key_data = expected.keyData, client_ca_data = expected.clientCaData },
      } do
        options.require_client_certificate = true
        assert.same({ server = expected }, data_of { server = options })
      end
    end)

    it("each CA as an item of its own, because the server compares the first of an item only", function()
      local bundle = assert(tcpki.bundle.new { authority.certificate, other.certificate })
      local expected = { base64(authority.certificate:pem()), base64(other.certificate:pem()) }
      assert.same({ client = { rootCaData = expected } }, data_of { client = { root_ca_data = bundle } })
      assert.same({ client = { rootCaData = expected } },
        data_of { client = { root_ca_data = { authority.certificate, other.certificate } } })
    end)

    it("but no base64 that is none, and no public key", function()
      expect.fault("bad_base64", server.tls { internode = { server = { certificate_data = "%" } } })
      expect.fault("bad_base64", server.tls { internode = { client = { root_ca_data = { "YQ" } } } })
      local public = assert(tcpki.certificate.parse(leaf.certificate:pem())):public_key()
      expect.fault("no_private_key", server.tls { internode = { server = { key_data = public } } })
    end)

    it("and keeps the key to itself: out of tostring, and in a file that only its owner reads", function()
      local directory <close> = setmetatable({ it = temporary.directory() }, { __close = function(self)
        self.it:remove()
      end })
      local tls = assert(server.tls { internode = { server = { certificate_data = leaf.chain, key_data = leaf.key } } })
      assert.is_nil(tostring(tls):find("PRIVATE", 1, true) or tostring(tls):find(base64(leaf.key:pem()), 1, true))
      local path = directory.it:path "tls.yaml"
      assert(tls:write(path))
      assert.equal("600", temporary.mode(path))
      assert.equal(tls:yaml(), temporary.content(path))
      expect.fault("already_exists", tls:write(path))
      assert(assert(server.tls(everything())):write(path, { overwrite = true }))
      assert.equal("644", temporary.mode(path))
      expect.fault("not_found", tls:write(directory.it:path "nowhere/tls.yaml"))
      expect.throws("unknown option", tls.write, tls, path, { force = true })
    end)
  end)

  describe("refuses with the server's words", function()
    local function refused(code, words, options)
      it(words, function()
        local err = expect.fault(code, server.tls(options))
        assert.matches(words, err.message, 1, true)
        assert.is_string(err.hint)
      end)
    end

    refused("file_and_data", "cannot specify CertFile and CertData at the same time",
      { internode = { server = { certificate_file = "a", certificate_data = "YQ==" } } })
    refused("file_and_data", "cannot specify KeyFile and KeyData at the same time",
      { frontend = { host_overrides = { a = { key_file = "a", key_data = "YQ==" } } } })
    refused("file_and_data", "cannot specify ClientCAFiles and ClientCAData at the same time",
      { frontend = { server = { client_ca_files = { "a" }, client_ca_data = { "YQ==" } } } })
    refused("file_and_data", "cannot specify RootCAFiles and RootCAData at the same time",
      { system_worker = { client = { root_ca_files = { "a" }, root_ca_data = { "YQ==" } } } })
    refused("file_and_data", "cannot specify both rootCAFiles and rootCAData properties",
      { remote_clusters = { a = { client = { root_ca_files = { "a" }, root_ca_data = { "YQ==" } } } } })
    refused("file_and_data", "only one of certFile or certData properties should be spcified",
      { remote_clusters = { a = { client = { force_tls = true },
        server = { certificate_file = "a", certificate_data = "YQ==" } } } })
    refused("empty_item", "invalid ServerTLS.ClientCAFiles: CA cannot be empty string",
      { frontend = { server = { client_ca_files = { "a", " " } } } })
    refused("empty_item", "invalid ServerTLS.ClientCAData: CA cannot be empty string",
      { frontend = { server = { client_ca_data = { "" } } } })
    refused("empty_item", "invalid ClientTLS.RootCAFiles: CA cannot be empty string",
      { internode = { client = { root_ca_files = { "" } } } })
    refused("empty_item", "invalid ClientTLS.RootCAData: CA cannot be empty string",
      { internode = { client = { root_ca_data = { "" } } } })
    refused("host_name_empty", "host name cannot be empty string", { frontend = { host_overrides = { [" "] = {} } } })
    refused("negative_interval", "non-positive interval for NewTicker", { refresh_interval = -1 })
    refused("negative_interval", "non-positive interval for NewTicker",
      { expiration_checks = { check_interval = "-1ns" } })
    refused("wrong_type", 'time: unknown unit "d" in duration "1d"', { refresh_interval = "1d" })
    refused("wrong_type", 'time: missing unit in duration "60"', { refresh_interval = "60" })
    refused("wrong_type", 'time: invalid duration ""', { expiration_checks = { warning_window = "" } })
    refused("certificate_missing", "frontend.server: there is a key", { frontend = { server = { key_file = "a" } } })
    refused("key_missing", "frontend.server: there is a certificate",
      { frontend = { server = { certificate_file = "a" } } })
  end)

  it("reads durations as Go does", function()
    local duration = require "tcpki.server.duration"
    -- Each row was given to time.ParseDuration of Go 1.26.
    for text, expected in pairs {
      ["1h30m"] = 5400000000000, ["-1.5s"] = -1500000000, ["0"] = 0, ["+0"] = 0, [".5s"] = 500000000, ["1us"] = 1000,
      ["1\u{b5}s"] = 1000, ["1\u{3bc}s"] = 1000, ["9223372036854775807ns"] = math.maxinteger,
      [""] = 'time: invalid duration ""', ["5"] = 'time: missing unit in duration "5"',
      ["1s2"] = 'time: missing unit in duration "1s2"', [".s"] = 'time: invalid duration ".s"',
      ["1h "] = 'time: unknown unit "h " in duration "1h "', ["2562048h"] = 'time: invalid duration "2562048h"',
      ["9223372036854775808ns"] = 'time: invalid duration "9223372036854775808ns"',
    } do
      local value, reason = duration.parse(text)
      assert.equal(expected, value or reason, text)
    end
  end)

  it("throws on a mistake in the program, and names the option", function()
    expect.throws("the argument must be table", server.tls)
    expect.throws("unknown option 'front'", server.tls, { front = {} })
    expect.throws({ "frontend.server", "unknown option 'certFile'", "certificate_file" }, server.tls,
      { frontend = { server = { certFile = "a" } } })
    expect.throws("option 'frontend' must be table", server.tls, { frontend = "a" })
    expect.throws("client_ca_files 1 must be string", server.tls,
      { frontend = { server = { client_ca_files = { 1 } } } })
    expect.throws("client_ca_data 1 must be", server.tls, { frontend = { server = { client_ca_data = { 1 } } } })
    expect.throws("expected a list", server.tls, { frontend = { server = { client_ca_files = { a = "b" } } } })
    expect.throws("host_overrides.a must be table", server.tls, { frontend = { host_overrides = { a = 1 } } })
    expect.throws("a name in frontend.host_overrides must be string", server.tls,
      { frontend = { host_overrides = { {} } } })
    expect.throws("option 'refresh_interval' must be", server.tls, { refresh_interval = 1.5 })
    expect.throws("option 'key_data' must be", server.tls, { internode = { server = { key_data = {} } } })
  end)

  describe("beside the rest of a configuration #server", function()
    local authority, other, running, temporal, address
    local real = require "spec.support.server"
    local start = require "spec.support.server_start"
    local probe = require "tcpki.probe"

    local function leaf(issuer, name, usage, names)
      local issued = assert(issuer:issue { common_name = name, usage = usage, subject_alt_names = names, days = 60 })
      assert(issued.key:write(temporal:path(name .. ".key")))
      assert(issued.chain:write(temporal:path(name .. ".pem")))
      return issued
    end

    setup(function()
      temporal = temporary.directory()
      authority = assert(tcpki.authority.new { subject = { CN = "Server CA" }, days = 365 })
      other = assert(tcpki.authority.new { subject = { CN = "Payments CA" }, days = 365 })
      assert(authority.certificate:write(temporal:path "ca.pem"))
      assert(other.certificate:write(temporal:path "payments-ca.pem"))
      leaf(authority, "internode", "peer", { "internode" })
      leaf(authority, "worker", "client")
      leaf(authority, "frontend", "server", { "frontend.example.com" })
      local payments = leaf(authority, "payments", "server", { "payments.example.com" })
      leaf(other, "client", "client")
      local trust = { "ca.pem" }
      local tls = assert(server.tls {
        internode = {
          server = { certificate_file = "internode.pem", key_file = "internode.key", client_ca_files = trust,
            require_client_certificate = true },
          client = { server_name = "internode", root_ca_files = trust },
        },
        frontend = {
          server = { certificate_file = "frontend.pem", key_file = "frontend.key", client_ca_files = trust,
            require_client_certificate = true },
          host_overrides = {
            ["payments.example.com"] = { certificate_data = payments.chain, key_data = payments.key,
              client_ca_data = other.certificate, require_client_certificate = true },
          },
        },
        system_worker = { certificate_file = "worker.pem", key_file = "worker.key",
          client = { server_name = "frontend.example.com", root_ca_files = trust } },
        refresh_interval = "1s",
        expiration_checks = { warning_window = "24h", check_interval = "1h" },
      })
      local report = assert(server.check(tls, { root = temporal.root }))
      assert.equal("nothing to report", tostring(report))
      -- The server puts base.yaml and the file of the environment together.
      local rest, port = start.configuration(nil, { worker = true })
      temporal:file("base.yaml", rest)
      assert(tls:write(temporal:path "production.yaml"))
      address = ("127.0.0.1:%d"):format(port)
      running = real.keep(temporal.root, assert(real.counterpart "server"), "--config . --env production",
        "--service frontend --service history --service matching --service worker")
    end)

    teardown(function()
      if running then running:close() end
      temporal:remove()
    end)

    local function ask(name, client)
      return probe.run { address = address, server_name = name, namespace = "temporal-system", timeout = 10,
        certificate_path = temporal:path(client .. ".pem"), key_path = temporal:path(client .. ".key"),
        server_ca = authority.certificate:pem() }
    end

    it("lets a real server serve, and its system worker reach it", function()
      local result
      for _ = 1, 300 do
        result = ask("frontend.example.com", "worker")
        if result.ok then break end
        real.sleep(0.2)
      end
      assert.is_true(result.ok, tostring(result) .. temporary.content(temporal:path "server.log"):sub(-2000))
      for _ = 1, 300 do
        if temporary.content(temporal:path "server.log"):find("Started Worker", 1, true) then break end
        real.sleep(0.2)
      end
      assert.matches("Started Worker", temporary.content(temporal:path "server.log"), 1, true)
    end)

    it("lets in for each host its own clients, and no others", function()
      assert.is_true(ask("payments.example.com", "client").ok)
      assert.equal("client_ca_unknown", ask("payments.example.com", "worker").cause)
      assert.is_true(ask("frontend.example.com", "worker").ok)
      assert.equal("client_ca_unknown", ask("frontend.example.com", "client").cause)
    end)
  end)
end)

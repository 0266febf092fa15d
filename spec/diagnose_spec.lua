-- examples/diagnose.lua as it is started in a terminal: what it prints, and how it ends.

local party = require "spec.support.probe_party"
local pki = require "spec.support.probe_pki"
local probe = require "tcpki.probe"
local temporary = require "spec.support.temporary"

describe("examples/diagnose.lua", function()
  local directory, frontend, alerting

  setup(function()
    directory = temporary.directory()
    local issuing = assert(pki.client_ca:subordinate { subject = { O = "Acme", CN = "Acme Issuing CA 2" }, days = 40 })
    local payments = assert(issuing:issue { common_name = "payments", usage = "client", days = 30 })
    for name, leaf in pairs { good = pki.good, expired = pki.expired, payments = payments } do
      directory:file(name .. ".pem", leaf.chain:pem())
      directory:file(name .. ".key", leaf.key:pem())
    end
    directory:file("leaf-only.pem", payments.certificate:pem())
    directory:file("server-ca.pem", pki.server_ca.certificate:pem())
    directory:file("client-ca.pem", pki.client_ca.certificate:pem())
    directory:file("newlines.pem", (pki.good.chain:pem():gsub("\n", "\\n")))
    frontend = assert(probe.frontend {
      certificate = pki.server.chain, key = pki.server.key, client_ca = pki.client_ca.certificate,
      namespaces = { "payments" },
    })
    alerting = party.s_server(pki.server, pki.client_ca, "")
  end)

  teardown(function()
    alerting:close()
    frontend:close()
    directory:remove()
  end)

  local function absolute(path)
    return path:gsub("[^;]+", function(part)
      return part:sub(1, 1) == "/" and part or os.getenv "PWD" .. "/" .. part:gsub("^%./", "")
    end)
  end

  -- What it prints, with HOST for the address and N for each time, and its exit status.
  local function diagnose(address, arguments, variables)
    local words = {
      "LUA_PATH=" .. party.quote((absolute(package.path))), "LUA_CPATH=" .. party.quote((absolute(package.cpath))),
    }
    for name, value in pairs(variables or {}) do words[#words + 1] = name .. "=" .. party.quote(value) end
    local command = "exec 2>&1 </dev/null; script=$PWD/examples/diagnose.lua; cd %s && env %s %s \"$script\" %s %s"
    local handle = assert(io.popen(command:format(directory.root, table.concat(words, " "),
      os.getenv "LUA" or "lua5.4", address or "", arguments or "")))
    local output = handle:read "a"
    local _, kind, status = handle:close()
    for line in output:gmatch "[^\n]+" do
      assert.is_true(utf8.len(line) <= 80, line)
      assert.not_matches("nil", line, 1, true)
      assert.not_matches("%? ", line)
    end
    output = output:gsub("127%.0%.0%.1:%d+", "HOST"):gsub("%d+%.%d+ ms", "N ms"):gsub("%d+ ms", "N ms")
    return output, kind == "exit" and status
  end

  local function says(expected, output)
    for _, line in ipairs(expected) do assert.matches(line, output, 1, true) end
  end

  it("says who was let in, and proves that others are refused", function()
    local output, status = diagnose(frontend:address(), "good.pem good.key server-ca.pem",
      { TEMPORAL_NAMESPACE = "payments" })
    assert.equal(0, status, output)
    assert.matches("^authenticated: 127%.0%.0%.1\n  Temporal %d[%d.]+, namespace payments REGISTERED\n", output)
    says({ "\n  as CN=worker, valid for ", "Control: a client without a certificate: refused; ", "· HOST\n" }, output)
  end)

  it("writes 80 columns where the terminal says none, as in a container", function()
    for _, columns in ipairs { "0", "", "x", "-3" } do
      local output, status = diagnose(frontend:address(), "good.pem good.key server-ca.pem", { COLUMNS = columns })
      assert.equal(0, status, output)
      assert.matches("Control: a client without a certificate: refused; ", output, 1, true)
    end
  end)

  it("takes all of it from the variables of the SDKs, and what is given before them", function()
    local variables = {
      TEMPORAL_ADDRESS = frontend:address(), TEMPORAL_TLS_CLIENT_CERT_PATH = "good.pem",
      TEMPORAL_TLS_CLIENT_KEY_PATH = "good.key", TEMPORAL_TLS_SERVER_CA_CERT_PATH = "server-ca.pem",
    }
    local output, status = diagnose(nil, nil, variables)
    assert.equal(0, status, output)
    assert.matches("^authenticated: ", output)
    output, status = diagnose(frontend:address(), "expired.pem expired.key", variables)
    assert.equal(1, status)
    assert.matches("^not authenticated: client_expired\n  The certificate CN=worker expired on ", output)
    variables.TEMPORAL_NAMESPACE = "orders"
    output, status = diagnose(nil, nil, variables)
    assert.equal(1, status)
    assert.matches("^authenticated, but namespace_not_found\n", output)
  end)

  it("names the file, what it lacks and what to append", function()
    for _, address in ipairs { frontend:address(), alerting.address } do
      local output, status = diagnose(address, "leaf-only.pem payments.key server-ca.pem")
      assert.equal(1, status)
      assert.matches("^not authenticated: client_intermediate_missing\n", output)
      says({ "leaf-only.pem", "Acme Issuing CA 2", "Do: Append the certificate of O=Acme, CN=Acme Issuing CA 2",
        "refused after N ms" }, output)
    end
    local output, status = diagnose(frontend:address(), "payments.pem payments.key server-ca.pem")
    assert.equal(0, status, output)
  end)

  it("says what is wrong with a file before anything is sent", function()
    local output, status = diagnose(frontend:address(), "newlines.pem good.key server-ca.pem")
    assert.equal(1, status)
    assert.equal([[
not authenticated: pem_literal_newlines
  newlines.pem holds the two characters \n where a line should end.
  Do: Write real line ends: printf '%b' "$VALUE" does; the value was quoted
    twice, or taken out of JSON.
  input failed · HOST
]], output)
    output = diagnose(frontend:address(), "good.pem missing.key server-ca.pem")
    says({ "not authenticated: file_missing", "missing.key cannot be read: No such file" }, output)
    output = diagnose(frontend:address(), "good.pem expired.key server-ca.pem")
    says({ "not authenticated: key_mismatch", "expired.key does not belong to the certificate CN=worker" }, output)
    output = diagnose(frontend:address(), "good.pem good.key client-ca.pem")
    says({ "not authenticated: client_ca_as_server_root" }, output)
  end)

  it("is not content with a server that lets everybody in", function()
    local open <close> = assert(probe.frontend {
      certificate = pki.server.chain, key = pki.server.key, client_ca = pki.client_ca.certificate,
      require_client_certificate = false,
    })
    local output, status = diagnose(open:address(), "good.pem good.key server-ca.pem")
    assert.equal(1, status, output)
    assert.matches("^nothing proven: ok_not_enforced\n", output)
    says({ "requireClientAuth: true" }, output)
  end)

  it("tells what an SDK makes of the variables, where the certificate comes from them", function()
    local variables = { TEMPORAL_TLS_CERT = "good.pem", TEMPORAL_TLS_SERVER_CA_CERT_PATH = "server-ca.pem" }
    local output, status = diagnose(frontend:address(), nil, variables)
    assert.equal(1, status)
    says({ "The variables of this process:\n  warning: TEMPORAL_TLS_CERT is set, and no SDK reads it",
      "set TEMPORAL_TLS_CLIENT_CERT_PATH", "\nnot authenticated: no_client_certificate\n" }, output)
    output = diagnose(frontend:address(), "good.pem good.key", variables)
    assert.not_matches("variables", output, 1, true)
    output, status = diagnose(frontend:address())
    assert.equal(1, status)
    says({ "(tls_off)" }, output)
  end)

  it("says how it is called where that is not clear", function()
    for _, words in ipairs { { "" }, { "--help" }, { "localhost:7233", "good.pem" }, { "a", "b", "c", "d", "e" } } do
      local output, status = diagnose(words[1], table.concat(words, " ", 2))
      assert.equal(2, status)
      assert.matches("^usage: diagnose.lua HOST:PORT %[CERTIFICATE KEY %[SERVER_CA%]%]\n", output)
    end
  end)

  it("names what is not there at all", function()
    local output, status = diagnose("127.0.0.1:" .. party.free_port(), "good.pem good.key server-ca.pem")
    assert.equal(1, status)
    says({ "not authenticated: refused\n  Nothing listens at HOST" }, output)
    output, status = diagnose("no-such-host.invalid:7233", "good.pem good.key")
    assert.equal(1, status)
    says({ "not authenticated: unknown_host" }, output)
    output, status = diagnose("https://payments.a1b2c.tmprl.cloud", "good.pem good.key")
    assert.equal(1, status)
    says({ "not authenticated: bad_address", "Write payments.a1b2c.tmprl.cloud" }, output)
  end)
end)

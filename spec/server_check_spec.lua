local cases = require "spec.support.server_cases"
local child = require "spec.support.child"
local expect = require "spec.support.expect"
local temporary = require "spec.support.temporary"
local tcpki = require "tcpki"
local server = require "tcpki.server"

local function codes_of(report)
  local codes = {}
  for i, finding in ipairs(report) do
    codes[i] = finding.code
  end
  return codes
end

describe("a configuration of the Temporal server", function()
  local directory

  setup(function()
    directory = temporary.directory()
    cases.write(directory)
  end)

  teardown(function()
    directory:remove()
  end)

  local function text_of(tls)
    return "services: { frontend: {}, history: {}, matching: {}, worker: {} }\nglobal:\n  tls:\n" .. tls
  end

  local function check(tls)
    return assert(server.check_text(text_of(tls), { root = directory.root }))
  end

  describe("is found", function()
    for _, case in ipairs(cases.rows) do
      it(("%s: %s"):format(#case.found == 0 and "right" or "wrong", case.name), function()
        local report = check(case.tls)
        assert.same(case.found, codes_of(report), tostring(report))
        local refused = not (case.lives or case.worker or case.words)
        for _, finding in ipairs(report) do
          assert.is_truthy(finding.message:find "%S" and finding.hint:find "%S" and finding.source, finding.code)
          assert.is_nil((finding.message .. finding.hint):find "[{}]", finding.message)
          refused = refused and finding.server == nil
        end
        assert.is_false(refused, "no words of the server")
      end)
    end
  end)

  describe("is what the real one says #server", function()
    local start = require "spec.support.server_start"

    setup(function()
      local list = {}
      for i, case in ipairs(cases.rows) do
        case.text = start.configuration(case.tls, { worker = true })
        local report = assert(server.check_text(case.text, { root = directory.root }))
        case.words = case.words or not case.lives and report.server or "Starting to serve on frontend listener"
        case.directory, case.file = directory.root, case.name
        case.name = ("case-%d"):format(i)
        list[i] = case
      end
      start.run(list)
      for _, case in ipairs(list) do
        case.name = case.file
      end
    end)

    for _, case in ipairs(cases.rows) do
      it((case.lives or #case.found == 0) and "serves with " .. case.name or "complains of " .. case.name, function()
        assert.is_true(case.seen, ("not there: %s\n%s"):format(case.words, case.log:sub(-3000)))
      end)
    end
  end)

  it("is read from a file, with the line of each field and the file of each certificate", function()
    local path = directory:file("server.yaml", "global:\n  tls:\n    refreshInterval: 1m\n    expirationChecks: { "
      .. "warningWindow: 1h, checkInterval: 1h }\n    frontend:\n      server:\n        certFile: server-only.pem\n"
      .. "        keyFile: server-only.key\n")
    local report = assert(server.check(path, { root = directory.root }))
    local finding = report:find "client_not_required"
    assert.same({ "frontend.server", path, 6 }, { finding.place, finding.path, finding.line })
    report = assert(server.check(directory:file("late.yaml", temporary.content(path)), { root = directory.root,
      at = os.time() + 100 * 86400 }))
    finding = report:find "expired"
    assert.same({ "CN=server-only", directory:path "server-only.pem", "frontend.server.certFile" },
      { finding.subject, finding.path, finding.place })
    assert.matches('"place": "frontend.server.certFile"', report:json(), 1, true)
  end)

  it("names its certificates from the directory that the server is started in", function()
    local path = directory:file("here.yaml", text_of(cases.rows[1].tls))
    assert.equal("unreadable", assert(server.check(path))[1].code)
    local ok, output = child.run(([[
      print(assert(require "tcpki.server".check(%q)))]]):format(path), { before = "cd " .. directory.root .. " &&" })
    assert.is_true(ok, output)
    assert.equal("nothing to report\n", output)
  end)

  it("is told before a certificate ends, by the server's own windows or by a month", function()
    local right = cases.rows[1].tls
    local function soon(tls, days)
      local codes = codes_of(assert(server.check_text(text_of(tls),
        { root = directory.root, at = math.tointeger(os.time() + days * 86400) })))
      local count = 0
      for _, code in ipairs(codes) do
        count = count + (code == "expires_soon" and 1 or 0)
      end
      return count
    end
    -- Two leaves of sixty days: a third of their life is twenty.
    assert.equal(0, soon(right, 58))
    assert.equal(2, soon(right, 59.5))
    assert.equal(2, soon((right:gsub("24h", "240h")), 51))
    assert.equal(0, soon((right:gsub("24h", "240h")), 49))
    local without = right:gsub("expirationChecks: [^\n]*", "")
    assert.equal(0, soon(without, 39))
    assert.equal(2, soon(without, 41))
  end)

  it("holds a key that others can read", function()
    local key = tcpki.pem.quote(temporary.content(directory:path "frontend.key"), "base64")
    local path = directory:file("inline.yaml", text_of((cases.rows[1].tls:gsub("keyFile: frontend.key",
      "keyData: " .. key))))
    assert.equal("key_inline", assert(server.check(path, { root = directory.root }))[1].code)
    os.execute("chmod 600 " .. path)
    assert.same({}, codes_of(assert(server.check(path, { root = directory.root }))))
  end)

  it("may be a table", function()
    local report = assert(server.check({ global = { tls = { refreshInterval = "1d" } } }))
    assert.same({ "wrong_type" }, codes_of(report))
    assert.is_nil(report[1].line)
    assert.is_nil(report[1].path)
    assert.equal('cannot unmarshal !!str `1d` into time.Duration', report.server)
  end)

  it("needs no system worker where the services have none, and the report says that it was not looked at", function()
    local tls = cases.rows[1].tls:gsub("%[server%-ca%.pem, client%-ca%.pem%]", "[client-ca.pem]")
    local report = assert(server.check_text("services: { frontend: {} }\nglobal:\n  tls:\n" .. tls,
      { root = directory.root }))
    assert.is_true(report.ok)
    assert.matches("there is no service worker", report.unchecked[1], 1, true)
    assert.same({ "client_unknown" }, codes_of(check(tls)))
  end)

  it("takes the settings of the nodes for the frontend where it has an internal one, or is told to", function()
    local tls = cases.rows[1].tls:gsub("%[server%-ca%.pem, client%-ca%.pem%]", "[client-ca.pem]")
    local inner = "services: { frontend: {}, internal-frontend: {}, worker: {} }\nglobal:\n  tls:\n" .. tls
    local function codes(text)
      return codes_of(assert(server.check_text(text, { root = directory.root })))
    end
    assert.same({}, codes(inner))
    assert.same({ "worker_not_used" }, codes(inner .. "    systemWorker: { client: { forceTLS: true } }\n"))
    assert.same({ "bad_public_client" }, codes(inner .. "publicClient: { forceTLSConfig: frontend }\n"))
    assert.same({ "bad_public_client" }, codes(text_of(tls) .. "publicClient: { forceTLSConfig: both }\n"))
    assert.same({ "client_unknown", "name_not_in_certificate" },
      (function(list) table.sort(list) return list end)(codes(text_of(tls)
        .. "publicClient: { forceTLSConfig: internode }\n")))
  end)

  it("is a template before it is rendered, and that is said with the line", function()
    local path = directory:file("template.yaml",
      "# enable-template\nglobal:\n  tls:\n    refreshInterval: {{ default \"0s\" (env \"X\") }}\n")
    local err = expect.fault("template", server.check(path))
    assert.same({ path, 4 }, { err.path, err.line })
    assert.matches("which the server fills from its environment", err.message, 1, true)
    err = expect.fault("template", server.check_text 'global: { tls: { refreshInterval: {{ env "X" }} } }\n')
    assert.matches("which the server leaves as it is", err.message, 1, true)
  end)

  it("may ask for variables, as the ConfigMap of the Helm chart does", function()
    local text = '# enable-template\nglobal:\n  membership: { broadcastAddress: {{ env "POD_IP" | quote }} }\n  tls:\n'
      .. '    refreshInterval: {{ env "EVERY" }}\n    expirationChecks: { checkInterval: {{ env "A" | quote }} }\n'
    local ok, output = child.run(([[
      local report = require "tcpki.server".check_text(%q)
      print(report[1].server, report[2].server, table.concat(report.unchecked, "; ")) ]]):format(text),
      { before = [[EVERY=60 A='"\x']] })
    assert.is_true(ok, output)
    -- In these words by the real server as well.
    assert.matches("line 5: cannot unmarshal !!int `60` into time.Duration", output, 1, true)
    assert.matches('line 6: cannot unmarshal !!str `"\\x` into time.Duration', output, 1, true)
    assert.matches("what depends on variables that are not set here: POD_IP", output, 1, true)
    -- Without the comment the server reads what stands there.
    expect.fault("template", server.check_text((text:gsub("# enable%-template", "# disable"))))
    assert.is_truthy(server.check_text "# {{ a comment }}\nglobal: {}\n")
  end)

  it("is not there, a directory, or not to be read", function()
    expect.fault("not_found", server.check(directory:path "nobody.yaml"))
    expect.fault("not_a_file", server.check(directory.root))
    local closed = directory:file("closed.yaml", "global: {}\n")
    os.execute("chmod 000 " .. closed)
    local ok, output = child.run(([[
      local report, err = require "tcpki.server".check(%q)
      print(err.code)]]):format(closed), { as_nobody = true })
    assert.is_true(ok, output)
    assert.equal("permission_denied\n", output)
  end)

  it("may name a key that nobody may read, which is found with the server's words", function()
    os.execute("chmod 000 " .. directory:file("closed.key", temporary.content(directory:path "internode.key")))
    local ok, output = child.run(([[
      package.cpath = package.cpath .. ";" .. %q -- for lyaml
      local report = assert(require "tcpki.server".check_text(%q, { root = %q }))
      print(report[1].code, report[1].server)]]):format(package.cpath, text_of((cases.rows[1].tls:gsub("internode%.key",
      "closed.key"))), directory.root), { as_nobody = true })
    assert.is_true(ok, output)
    assert.equal("unreadable\topen closed.key: permission denied\n", output)
  end)

  describe("that means harm", function()
    local function found(text)
      return assert(server.check_text(text))
    end

    it("does not grow: a bomb of aliases", function()
      local lines = { "a0: &a0 [x, x, x, x, x, x, x, x, x, x]" }
      for i = 1, 30 do
        lines[#lines + 1] = ("a%d: &a%d [%s]"):format(i, i, (("*a%d, "):format(i - 1)):rep(10))
      end
      local text = table.concat(lines, "\n")
        .. "\nglobal: { tls: { internode: { server: { clientCaFiles: *a30 } } } }\n"
      assert.same({ ("wrong_type "):rep(10):match "^(.-) $" }, { table.concat(codes_of(found(text)), " ", 1, 10) })
    end)

    it("does not grow: a bomb of merges", function()
      local lines = { "a0: &a0 { certFile: x }" }
      for i = 1, 30 do
        lines[#lines + 1] = ("a%d: &a%d { <<: [%s] }"):format(i, i, (("*a%d, "):format(i - 1)):rep(10))
      end
      local text = table.concat(lines, "\n") .. "\nglobal: { tls: { internode: { server: *a30 } } }\n"
      local report = found(text)
      assert.equal("bad_yaml", report[1].code)
      assert.equal("yaml: document contains excessive aliasing", report.server)
    end)

    it("is too large, too deep, too wide, contains itself, or is no map", function()
      expect.fault("too_large", server.check_text(("#"):rep(2 * 1024 * 1024)))
      assert.equal("bad_yaml", found("a: " .. ("["):rep(5000))[1].code)
      assert.equal("bad_yaml", found("a: [" .. ("x,"):rep(10001) .. "]")[1].code)
      assert.matches("contains itself", found("a: &a [*a]")[1].message)
      for _, text in ipairs { "5", "[]", "'global'", "global: []", "global: { tls: 1 }", "global: { tls: [] }",
        "services: []\n", "publicClient: { forceTLSConfig: {} }" } do
        assert.equal("wrong_type", found(text)[1].code, text)
      end
      for _, text in ipairs { "", "# nothing\n", "global:\n", "global: ~\nservices:\n", "{}", "--- {}\n" } do
        assert.same({ "no_tls" }, codes_of(found(text)), text)
      end
      assert.same({ "several_documents", "no_tls" }, codes_of(found "--- {}\n--- {}\n"))
      for _, text in ipairs { "\0", "\255\1", "a: \1", "%YAML 9.9\n---\n", "&", "? [", "!<", "'", "a: b: c" } do
        assert.equal("bad_yaml", found(text)[1].code, text)
      end
    end)

    it("is no UTF-8, in some line", function()
      assert.equal(2, found "global:\n  tls: { caf\233: 1 }\n"[1].line)
    end)

    it("does not move the cursor of a terminal", function()
      local report = found 'global: { tls: { "\\e[2J": 1, internode: { hostOverrides: { "\\e[2J": {} } } } }'
      assert.is_nil(tostring(report):find "\27")
    end)
  end)

  it("reads scalars as the server's YAML does", function()
    -- Each was given to gopkg.in/yaml.v3 3.0.1, as a time.Duration.
    for expected, list in pairs {
      ["!!str"] = [[a '' "x" nULL tRUE yes off 0b2 0o8 _1 1e 1e400 .iNF +.nan 12:30:45 '5' = 0x]],
      ["!!bool"] = "true True", ["!!merge"] = "<<", ["!!timestamp"] = "2001-01-01 2001-1-1T00:00:00Z",
      ["!!int"] = "1 0 -5 +3 0x1F 0b11 0o17 017 1_000 1__0 18446744073709551615 -0x5",
      ["!!float"] = "08 1.5 .5 5. 1e3 .inf -.INF .nan 18446744073709551616",
      ["!!seq"] = "[]", ["!!map"] = "{}", fine = "~ null NULL 1h 0s 0h0m",
    } do
      for scalar in list:gmatch "%S+" do
        local said = assert(server.check_text("global: { tls: { frontend: { client: { forceTLS: true } }, "
          .. "refreshInterval: " .. scalar .. " } }")).server
        assert.equal(expected, said and said:match "cannot unmarshal (%S+)" or "fine", scalar)
      end
    end
    for tagged, expected in pairs {
      ["!!str 5"] = "cannot unmarshal !!str", ["!!int 5"] = "cannot unmarshal !!int",
      ["!!float 5"] = "cannot unmarshal !!float", ["!foo 5"] = "cannot unmarshal !foo",
      ["! 5"] = "cannot unmarshal !!int", ["!!int x"] = "yaml: cannot decode !!str `x` as a !!int",
    } do
      local said = assert(server.check_text("global: { tls: { refreshInterval: " .. tagged .. " } }")).server
      assert.matches(expected, said, 1, true)
    end
  end)

  it("says where a field is that the server does not look for there", function()
    local report = assert(server.check_text "tls: { internode: {} }\nglobal: { frontend: {} }\n")
    assert.same({ "misplaced", "misplaced", "no_tls" }, codes_of(report))
    report = assert(server.check_text "server: { config: { tls: { internode: {} } } }\n")
    assert.same({ "chart_values", "no_tls" }, codes_of(report))
    report = assert(server.check_text "global: { tls: { frontend: { server: { certfile: a } } } }\n")
    assert.equal("write certFile", report:find("unknown_field").hint)
    report = assert(server.check_text "global: { tls: { frontend: { server: { client_ca_files: [a] } } } }\n")
    assert.equal("write clientCaFiles", report:find("unknown_field").hint)
  end)

  it("throws on what no configuration is", function()
    expect.throws("config must be string or table", server.check, 5)
    expect.throws("config must be string or table", server.check)
    expect.throws("unknown option 'rot'", server.check, "a", { rot = 1 })
    expect.throws("text must be string", server.check_text)
  end)

  it("never shows what a key holds", function()
    local key = assert(tcpki.key.generate())
    local pem = tcpki.pem.quote(key:pem(), "base64")
    local report = check(("    internode: { server: { certFile: internode.pem, keyData: %s } }\n"):format(pem))
    assert.is_truthy(report:find "key_mismatch")
    assert.is_nil((tostring(report) .. report:json()):find(pem:sub(60, 100), 1, true))
    report = assert(server.check_text("global: { tls: { internode: { server: { keyData: [" .. pem .. "] } } } }\n"))
    assert.is_nil((tostring(report) .. report:json()):find(pem:sub(60, 100), 1, true))
  end)

  describe("out of the variables of an image", function()
    local right = {
      SERVER_CERT = "internode.pem", SERVER_KEY = "internode.key", SERVER_CA_CERT = "server-ca.pem",
      REQUIRE_CLIENT_AUTH = "true", INTERNODE_SERVER_NAME = "internode", FRONTEND_CERT = "frontend.pem",
      FRONTEND_KEY = "frontend.key", CLIENT1_CA_CERT = "server-ca.pem", CLIENT2_CA_CERT = "client-ca.pem",
      FRONTEND_SERVER_NAME = "localhost", REFRESH_INTERVAL = "1m", EXPIRATION_CHECKS_WARNING_WINDOW = "24h",
      EXPIRATION_CHECKS_CHECK_INTERVAL = "1h",
    }

    local function variables(changes)
      local values = {}
      for _, set in ipairs { right, changes or {} } do
        for name, value in pairs(set) do
          values["TEMPORAL_TLS_" .. name] = value or nil
        end
      end
      return values
    end

    local function found(changes)
      local report = assert(server.check_environment(variables(changes), { root = directory.root }))
      return codes_of(report), report
    end

    it("is right, or wrong, and the variable is named", function()
      assert.same({}, found())
      assert.same({}, found { CLIENT2_CA_CERT = "" })
      local codes, report = found { SERVER_CERT = "nobody.pem" }
      assert.same({ "unreadable" }, codes)
      assert.equal("internode.server.certFile (TEMPORAL_TLS_SERVER_CERT)", report[1].place)
      codes, report = found { REFRESH_INTERVAL = "60" }
      assert.same({ "wrong_type" }, codes)
      assert.is_nil(report[1].line)
      assert.equal("cannot unmarshal !!int `60` into time.Duration", report.server)
      assert.same({ "client_unknown" }, found { CLIENT1_CA_CERT = "client-ca.pem" })
      assert.equal("frontend.server.clientCaFiles[2] (TEMPORAL_TLS_CLIENT2_CA_CERT)",
        select(2, found { CLIENT2_CA_CERT = "nobody.pem" })[1].place)
      -- What is to be set is named, too.
      assert.equal("refreshInterval (TEMPORAL_TLS_REFRESH_INTERVAL)",
        select(2, found { REFRESH_INTERVAL = "" })[1].place)
      assert.matches("^set TEMPORAL_TLS_FRONTEND_CERT, ", assert(server.check_environment {})[1].hint)
      assert.same({ "unknown_field" }, found { SERVER_CERT = "internode.pem\n        nobody: 1" })
    end)

    it("lacks all CAs of the clients where only the second variable is set", function()
      assert.same({ "client_ca_missing", "variable_alone" }, found { CLIENT1_CA_CERT = "" })
    end)

    it("has variables that the server does not read", function()
      local codes, report = found { CERT = "a", CA = "b" }
      assert.same({ "variable_unknown", "variable_unknown" }, codes)
      assert.same({ "TEMPORAL_TLS_CA", "TEMPORAL_TLS_CERT" }, { report[1].place, report[2].place })
    end)

    it("is that of the process, unless it is given", function()
      local ok, output = child.run([[
        print(require "tcpki.server".check_environment()) ]],
        { before = "TEMPORAL_TLS_REFRESH_INTERVAL=1d TEMPORAL_TLS_KEY=a" })
      assert.is_true(ok, output)
      assert.matches("`1d` into time.Duration", output, 1, true)
      assert.matches("the server does not read TEMPORAL_TLS_KEY", output, 1, true)
      expect.throws("A must be string", server.check_environment, { A = 1 })
      expect.throws("variables must be table", server.check_environment, "a")
    end)

    -- A map where none is wanted: the server counts the places of a variable, and their types.
    it("has each variable where the real server has it #server", function()
      local real = require "spec.support.server"
      local binary = assert(real.counterpart "server")
      for _, name in ipairs { "REFRESH_INTERVAL", "EXPIRATION_CHECKS_WARNING_WINDOW",
        "EXPIRATION_CHECKS_ERROR_WINDOW", "EXPIRATION_CHECKS_CHECK_INTERVAL", "REQUIRE_CLIENT_AUTH", "SERVER_CERT",
        "SERVER_KEY", "SERVER_CERT_DATA", "SERVER_KEY_DATA", "SERVER_CA_CERT", "SERVER_CA_CERT_DATA",
        "INTERNODE_SERVER_NAME", "INTERNODE_DISABLE_HOST_VERIFICATION", "FRONTEND_CERT", "FRONTEND_KEY",
        "FRONTEND_CERT_DATA", "FRONTEND_KEY_DATA", "FRONTEND_SERVER_NAME", "FRONTEND_DISABLE_HOST_VERIFICATION",
        "CLIENT1_CA_CERT", "CLIENT1_CA_CERT_DATA", "CLIENT2_CA_CERT", "CLIENT2_CA_CERT_DATA" } do
        local first = name:find "2_" and ("TEMPORAL_TLS_%s=x"):format((name:gsub("2", "1"))) or ""
        local handle = assert(io.popen(("DB=postgres12 TEMPORAL_TLS_%s='{a: b}' %s timeout 60 '%s' --allow-no-auth "
          .. "start 2>&1 </dev/null"):format(name, first, binary)))
        local said = {}
        for words in handle:read("a"):gmatch "line %d+: (cannot unmarshal [^\n]-)%.?\n" do
          said[#said + 1] = words
        end
        handle:close()
        local values = { ["TEMPORAL_TLS_" .. name] = "{a: b}" }
        if first ~= "" then
          values["TEMPORAL_TLS_" .. name:gsub("2", "1")] = "x"
        end
        local ours = {}
        for _, finding in ipairs(assert(server.check_environment(values))) do
          ours[#ours + 1] = finding.code == "wrong_type" and finding.server or nil
        end
        table.sort(said)
        table.sort(ours)
        assert.is_true(#said > 0, name)
        assert.same(said, ours, name)
      end
    end)
  end)
end)

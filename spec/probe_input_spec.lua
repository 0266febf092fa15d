-- What is given to a probe, judged before anything is sent: each fault by its word, with path, line and cure.

local causes = require "tcpki.probe.causes"
local certificate = require "tcpki.certificate"
local input = require "tcpki.probe.input"
local keys = require "tcpki.key"
local manglings = require "spec.support.manglings"
local openssl = require "spec.support.openssl"
local pem = require "tcpki.pem"
local pki = require "spec.support.probe_pki"
local pkcs12 = require "tcpki.pkcs12"
local probe = require "tcpki.probe"
local roots = require "tcpki.probe.roots"
local temporary = require "spec.support.temporary"

local chain = pki.good.chain:pem()
local bundle = pki.server_ca.certificate:pem() .. pki.other_ca.certificate:pem()
local key = pki.good.key:pem()

-- The result of a probe that gets no further than its input.
local function refused(options)
  local all = { address = "127.0.0.1:1", certificate = chain, key = key, trace = "never" }
  for name, value in pairs(options) do all[name] = value or nil end
  local result = probe.run(all)
  assert.equal("input", result.stage, tostring(result))
  assert.is_false(result.ok)
  assert.is_true(result.certain)
  return result
end

local function says(texts, text)
  for _, expected in ipairs(texts) do assert.matches(expected, text, 1, true) end
end

describe("the input of a probe is refused with the file, the line and the cure:", function()
  local directory

  setup(function() directory = temporary.directory() end)
  teardown(function() directory:remove() end)

  local function file(name, text)
    return directory:file(name, text)
  end

  it("PEM that was mangled on its way", function()
    local lines = {}
    for line in chain:gmatch "[^\n]+" do lines[#lines + 1] = line end
    table.insert(lines, 4, "")
    local path = file("blank.pem", table.concat(lines, "\n") .. "\n")
    local result = refused { certificate = false, certificate_path = path }
    assert.equal("bad_pem", result.cause)
    says({ path .. " does not parse: line 4: there is a blank line inside the block." }, result.message)
    assert.equal("Remove it.", result.hint)
    result = refused { certificate = chain:gsub("\n", " ") }
    assert.equal("bad_pem", result.cause)
    says({ "The certificate does not parse: line 1: " }, result.message)
    result = refused { server_ca = "server-ca.pem" }
    says({ "The server CA does not parse: line 1: it is the name of a file, not what is in it" }, result.message)
    says({ "Read the file, or use the option that takes a path" }, result.hint)
  end)

  it("a path by its own name, also where it ends in a dot", function()
    local result = refused { certificate = false, certificate_path = "." }
    assert.equal("file_missing", result.cause)
    says({ ". cannot be read: it is a directory." }, result.message)
  end)

  it("nothing of a key that was given in the place of its path", function()
    local encoded = openssl.run("base64 -A", key)
    local body = key:match("\n(.*)\n%-"):gsub("\n", "")
    for _, text in ipairs { key, key:gsub("\n", "\\n"), key:gsub("\n", " "), encoded, body } do
      for _, given in ipairs { { key = false, key_path = text }, { certificate = false, certificate_path = text },
        { server_ca = false, server_ca_path = text } } do
        local result = refused(given)
        assert.equal("file_missing", result.cause, tostring(result))
        says({ " cannot be read: it is no path, but the text itself" }, result.message)
        local shown = (tostring(result) .. result.hint .. result.ladder.input.evidence):gsub("%s", "")
        for at = 1, #body - 8 do assert.is_nil(shown:find(body:sub(at, at + 8), 1, true)) end
        assert.is_nil(shown:find(encoded:sub(1, 24), 1, true))
      end
    end
    local _, err = keys.read(key)
    assert.equal("(PEM text, where a path belongs)", err.path)
    assert.is_nil(tostring(err):find(key:sub(40, 60), 1, true))
  end)

  it("PEM that was cut off", function()
    local path = file("cut.pem", chain:sub(1, #chain // 2))
    local result = refused { certificate = false, certificate_path = path }
    assert.equal("bad_pem", result.cause)
    says({ path, "the END line is missing" }, result.message)
    says({ "Copy the text again, whole" }, result.hint)
  end)

  it("the two characters \\n for each newline, and only where they stand for newlines", function()
    local result = refused { certificate = chain:gsub("\n", "\\n") }
    assert.equal("pem_literal_newlines", result.cause)
    says({ "printf '%b'" }, result.hint)
    -- what openssl pkcs12 writes above a block, of a Windows account
    assert(input.load { certificate = "    friendlyName: ACME\\nina\n" .. chain, key = key })
    -- a heading of one's own, which begins as DER does
    assert(input.load { certificate = "0\n" .. chain, key = key })
  end)

  it("DER, each kind with the command that converts it", function()
    local path = file("leaf.der", pki.good.certificate:der())
    local result = refused { certificate = false, certificate_path = path }
    assert.equal("file_is_der", result.cause)
    says({ path .. " is the DER of a certificate" }, result.message)
    local command = result.hint:match "%(openssl (.*)%)%.$" -- no dot that a shell takes for a part of the name
    assert.equal(("x509 -inform DER -in %s -out %s.pem"):format(path, path), command)
    openssl.run(command) -- what it hands out has to work
    assert.equal(chain, temporary.content(path .. ".pem"))
    result = refused { key = pki.good.key:der() }
    assert.equal("file_is_der", result.cause)
    says({ "The key is the DER of a private key" }, result.message)
    says({ "openssl pkey -inform DER" }, result.hint)
    local store = assert(pkcs12.new { key = pki.good.key, chain = pki.good.chain })
    result = refused { certificate = assert(store:der { passphrase = "sesame", iterations = 1 }) }
    assert.equal("file_is_der", result.cause)
    says({ "The certificate is a PKCS#12 file" }, result.message)
    says({ "openssl pkcs12", "tcpki.pkcs12.read" }, result.hint)
    result = refused { certificate = "\x30\x82\x01\x00" .. ("x"):rep(256) }
    assert.equal("file_is_der", result.cause)
  end)

  it("a key in the place of a certificate, and the other way round", function()
    local path = file("ca.key", pki.client_ca.key:pem())
    local result = refused { certificate = false, certificate_path = path }
    assert.equal("file_holds_key", result.cause)
    says({ path .. " holds a private key" }, result.message)
    says({ "replace it" }, result.hint)
    assert.equal("file_holds_key", refused({ server_ca = key }).cause)
    assert.equal("file_holds_certificate", refused({ key = chain }).cause)
    -- a request is neither
    local request = assert(require("tcpki.csr").new { key = pki.good.key, subject = { CN = "x" } })
    result = refused { certificate = request:pem() }
    assert.equal("bad_pem", result.cause)
    says({ "certificate request" }, result.message)
  end)

  it("nothing at all", function()
    assert.equal("file_empty", refused({ certificate = false, certificate_path = file("empty.pem", "") }).cause)
    assert.equal("file_empty", refused({ key = " \n\n" }).cause)
    local result = refused { certificate = false, certificate_path = directory:path "missing.pem" }
    assert.equal("file_missing", result.cause)
    says({ directory:path "missing.pem" }, result.message)
    assert.equal("file_missing", refused({ key = false, key_path = directory.root }).cause)
    assert.equal("key_missing", refused({ key = false }).cause)
  end)

  it("a key that is encrypted, or of another certificate, or below its own", function()
    local encrypted = openssl.run("pkcs8 -topk8 -v2 aes-256-cbc -iter 2048 -passout pass:sesame", key)
    local path = file("encrypted.key", encrypted)
    local result = refused { key = false, key_path = path }
    assert.equal("key_encrypted", result.cause)
    says({ path .. " is encrypted" }, result.message)
    says({ "passphrase_file", "openssl pkcs8 -topk8 -nocrypt" }, result.hint)
    assert.equal("bad_passphrase", refused({ key = false, key_path = path, passphrase = "open" }).cause)
    result = refused { key = pki.client_ca.key:pem() } -- the key of the CA, taken for one's own
    assert.equal("key_mismatch", result.cause)
    says({ "The key does not belong to the certificate CN=worker" }, result.message)
    result = refused { certificate = pki.client_ca.certificate:pem() .. chain }
    assert.equal("chain_order", result.cause)
    says({ "The certificate begins with CN=Client CA, and the key belongs to a certificate further" }, result.message)
    says({ "leaf first" }, result.hint)
  end)

  it("a certificate that is passed over in silence, because of its label", function()
    local both = chain .. pki.client_ca.certificate:pem()
    for label, line in pairs { ["CERTI FICATE"] = 1, ["X509 CERTIFICATE"] = 1 } do
      local result = refused { certificate = both:gsub("(%-%-%-%-%-%u+) CERTIFICATE", "%1 " .. label, 2) }
      assert.equal("bad_pem", result.cause, label)
      says({ ("line %d: "):format(line) }, result.message)
    end
    local result = refused { key = key:gsub("PRIVATE", "RSA PRIVATE") }
    assert.equal("bad_pem", result.cause)
    says({ "the label says RSA PRIVATE KEY, the content is a PRIVATE KEY" }, result.message)
  end)
end)

describe("any text", function()
  local verdict_roles = { certificate = "chain", server_ca = "roots", key = "key" }
  local bases = {
    { option = "certificate", name = "chain", text = chain .. pki.client_ca.certificate:pem() },
    { option = "server_ca", name = "roots", text = bundle },
    { option = "key", name = "key", text = key },
  }

  -- Refused with a message that says where, and a cure; or read whole by gRPC core too.
  local function judge(option, text, name)
    local given = { certificate = chain, key = key }
    given[option] = text
    local material, fault = input.load(given)
    if material then
      local verdict = pem.verdicts(text, { role = verdict_roles[option] }).grpc_openssl
      assert.is_false(verdict.refused, name)
      assert.same({}, verdict.lost, name)
      return
    end
    assert.equal("input", causes[fault.word].stage, name)
    local message, hint = causes.describe(fault.word, fault.fields)
    assert.not_matches("?", message .. hint, 1, true)
    if fault.word == "bad_pem" and text:find "%S" and not text:find "^%z" then
      assert.is_truthy(message:find "line %d" or message:find "NUL", name .. ": " .. message)
    end
  end

  it("that was mangled has a word, or gRPC core reads it whole", function()
    local count, every = 0, debug.gethook() and 1501 or 7 -- under make stress each line costs a collection
    for _, base in ipairs(bases) do
      for case in manglings.cases { base } do
        count = count + 1
        if count % every == 0 then judge(base.option, case.text, case.name) end
      end
    end
    assert.is_true(count > 1500)
  end)

  it("that is not refused is let in: gRPC core reads what was judged to be good", function()
    local server <close> = assert(probe.frontend {
      certificate = pki.server.chain, key = pki.server.key, client_ca = pki.client_ca.certificate,
    })
    local count, let_in, every = 0, 0, debug.gethook() and 977 or 41
    for _, base in ipairs(bases) do
      for case in manglings.cases { base } do
        local given = {
          address = server:address(), certificate = chain, key = key, server_ca = pki.server_ca.certificate:pem(),
          trace = "never",
        }
        given[base.option] = case.text
        count = count + 1
        if count % every == 0 and input.load(given) then
          let_in = let_in + 1
          local result = probe.run(given)
          -- A block that is gone from a bundle is no fault of the text.
          assert.is_true(result.ok or case.name:find "lost" ~= nil, case.name .. ": " .. tostring(result))
        end
      end
    end
    assert.is_true(let_in > 0)
  end)

  it("has a word and throws nothing, whatever its bytes are", function()
    math.randomseed(19)
    local function noise(most)
      local bytes = {}
      for i = 1, math.random(most) do bytes[i] = string.char(math.random(0, 255)) end
      return table.concat(bytes)
    end
    for _ = 1, debug.gethook() and 1 or 120 do
      for _, base in ipairs(bases) do
        local text = base.text
        local where = math.random(#text)
        judge(base.option, noise(300), "noise")
        judge(base.option, text:sub(1, where - 1) .. noise(3) .. text:sub(where + 1), "damaged")
        judge(base.option, text:sub(1, where), "cut")
        judge(base.option, "-----BEGIN " .. noise(40), "begun")
      end
    end
  end)
end)

describe("the CAs of this machine", function()
  -- In a process of its own: gRPC core looks for them once.
  local program = [[
    local pki, probe = require "spec.support.probe_pki", require "tcpki.probe"
    local server <close> = assert(probe.frontend {
      certificate = pki.server.chain, key = pki.server.key, client_ca = pki.client_ca.certificate,
    })
    for _, trace in ipairs { "on_failure", "never" } do
      for _, given in ipairs { pki.server_ca.certificate, false } do
        local result = probe.run {
          address = server:address(), certificate = pki.good.chain, key = pki.good.key, trace = trace,
          server_ca = given or nil,
        }
        assert(result.cause ~= "system_roots_missing" or result.certain)
        io.write(result.cause, " ", result.stage, "\n")
      end
    end
  ]]
  local child = require "spec.support.child"

  it("are missed by name where there are none, and only where they are needed", function()
    local directory = temporary.directory()
    finally(function() directory:remove() end)
    local nothing = directory:file("none.pem", "# no certificates\n")
    local ok, output = child.run(program, { before = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=" .. nothing })
    assert.is_true(ok, output)
    assert.equal(("ok rpc\nsystem_roots_missing input\n"):rep(2), output)
  end)

  it("are asked where there are some, and then it is the server's CA that is not among them", function()
    local directory = temporary.directory()
    finally(function() directory:remove() end)
    local others = directory:file("others.pem", pki.other_ca.certificate:pem())
    local ok, output = child.run(program, { before = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=" .. others })
    assert.is_true(ok, output)
    assert.equal(("ok rpc\nserver_ca_untrusted tls\n"):rep(2), output)
  end)

  it("are warned of where gRPC core has its own and the SDKs would find none", function()
    local directory = temporary.directory()
    finally(function() directory:remove() end)
    -- gRPC core's place for a file of its own is not ours to write to: the variable stands for it.
    local own = directory:path "own.pem"
    local ok, output = child.run([[
      local own = os.getenv "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"
      local pki, probe = require "spec.support.probe_pki", require "tcpki.probe"
      assert(pki.server_ca.certificate:write(own))
      local roots = require "tcpki.probe.roots"
      local server <close> = assert(probe.frontend {
        certificate = pki.server.chain, key = pki.server.key, client_ca = pki.client_ca.certificate,
      })
      local system = roots.system
      for _, paths in ipairs { {}, { own } } do
        roots.system = function() return system(paths) end
        for _, given in ipairs { pki.server_ca.certificate, false } do
          local result = probe.run {
            address = server:address(), certificate = pki.good.chain, key = pki.good.key, server_ca = given or nil,
          }
          local words = {}
          for i, warning in ipairs(result.warnings) do words[i] = warning.word end
          io.write(result.cause, " ", table.concat(words, " "), "\n")
        end
      end
    ]], { before = "SSL_CERT_FILE= GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=" .. own })
    assert.is_true(ok, output)
    assert.equal("ok \nok system_roots_missing\nok \nok \n", output)
    if (os.getenv "SSL_CERT_FILE" or "") == "" then
      assert.is_nil(roots.system {})
      assert.equal(own, roots.system { directory:path "missing.pem", own })
      assert.is_nil(roots.system { directory:file("none.pem", "\n") })
    end
  end)

  it("are the file that the variable names, where it can be read", function()
    local directory = temporary.directory()
    finally(function() directory:remove() end)
    local text = [[print(require "tcpki.probe.roots".installed())]]
    local function installed(path)
      local ok, output = child.run(text, { before = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=" .. path })
      assert.is_true(ok, output)
      return output:gsub("%s+$", "")
    end
    local own = directory:file("own.pem", bundle)
    assert.equal(own, (installed(own)))
    assert.equal("nil", (installed(directory:file("none.pem", "\n"))))
    assert.equal(tostring(roots.installed()), (installed(directory:path "missing.pem")))
  end)
end)

describe("a CA for the server that is the client's own", function()
  it("is told from one that is merely another's", function()
    local server <close> = assert(probe.frontend {
      certificate = pki.server.chain, key = pki.server.key, client_ca = pki.client_ca.certificate,
    })
    local function run(server_ca, trace)
      return probe.run {
        address = server:address(), certificate = pki.good.chain, key = pki.good.key, server_ca = server_ca,
        trace = trace,
      }
    end
    for _, trace in ipairs { "on_failure", "never" } do
      local result = run(pki.client_ca.certificate, trace)
      assert.equal("client_ca_as_server_root", result.cause, tostring(result))
      assert.is_true(result.certain)
      says({ "CN=Client CA, given as the server's CA, belongs to your own certificate" }, result.message)
      says({ "leave server_ca out" }, result.hint)
      -- the certificate itself: given for everything
      assert.equal("client_ca_as_server_root", run(pki.good.certificate, trace).cause)
      result = run(pki.client_ca.certificate:pem() .. pki.other_ca.certificate:pem(), trace)
      assert.equal("client_ca_as_server_root", result.cause)
      assert.is_false(result.certain)
      assert.equal("server_ca_untrusted", run(pki.other_ca.certificate, trace).cause)
      assert.is_true(run(pki.client_ca.certificate:pem() .. pki.server_ca.certificate:pem(), trace).ok)
    end
  end)

  it("is found at any height above one's own", function()
    local sub = assert(pki.client_ca:subordinate { subject = { CN = "Issuing CA" }, days = 10 })
    local leaf = assert(sub:issue { common_name = "x", usage = "client", days = 5 })
    local certificates = assert(certificate.parse_all(leaf.chain:pem()))
    assert.equal(2, #certificates)
    for _, own in ipairs { pki.client_ca.certificate, sub.certificate, leaf.certificate } do
      assert.equal(1, #roots.of_client({ pki.other_ca.certificate, own }, certificates))
    end
    assert.same({}, roots.of_client({ pki.other_ca.certificate, pki.twin_ca.certificate }, certificates))
    assert.same({}, roots.of_client({ pki.client_ca.certificate }, {}))
  end)
end)

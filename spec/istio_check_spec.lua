local cases = require "spec.support.istio_cases"
local child = require "spec.support.child"
local expect = require "spec.support.expect"
local schema = require "spec.support.schema"
local temporary = require "spec.support.temporary"

local cjson = require "cjson"
local core = require "tcpki.core"
local file = require "tcpki.file"
local check = require "tcpki.istio.check"
local istio = require "tcpki.istio"
local layout = require "tcpki.istio.layout"
local rules = require "tcpki.istio.rules"

local description = schema.read "docs/report.schema.json"

-- A text from a line on, which has to begin a block.
local function rest_from(text, line)
  local at = 1
  for _ = 2, line do
    at = text:find("\n", at, true) + 1
  end
  assert.equal("-----BEGIN ", text:sub(at, at + 10))
  return text:sub(at)
end

local function first_error(report)
  for _, finding in ipairs(report) do
    if finding.severity == "error" then
      return finding
    end
  end
end

-- The file that has to be named: by the code, and where the same mistake may sit in several files, by the case.
local files_at_fault = {
  certificate_not_pem = "ca-cert.pem", certificate_unreadable = "ca-cert.pem", certificate_label = "ca-cert.pem",
  not_an_authority = "ca-cert.pem", no_issuer = "ca-cert.pem", issuer_name_differs = "ca-cert.pem",
  weak = "ca-cert.pem", not_yet_valid = "ca-cert.pem",
  no_root = "root-cert.pem", path_length_exceeded = "root-cert.pem", name_not_permitted = "root-cert.pem",
  issuer_cannot_sign = "root-cert.pem", bad_signature = "root-cert.pem",
  key_not_pem = "ca-key.pem", key_encrypted = "ca-key.pem", key_parameters = "ca-key.pem", key_label = "ca-key.pem",
  key_unreadable = "ca-key.pem", key_mismatch = "ca-key.pem",
  chain_unreadable = "cert-chain.pem", chain_not_pem = "cert-chain.pem", chain_expired = "cert-chain.pem",
  crl_missing = "ca-crl.pem", crl_unreadable = "ca-crl.pem", run_together = "tls.crt",
  ["the root has ended"] = "root-cert.pem", ["the CA has ended"] = "ca-cert.pem",
  ["the CA in the middle has ended"] = "cert-chain.pem", ["the CA in the middle is not there"] = "ca-cert.pem",
  ["the CA is for clients only"] = "ca-cert.pem", ["the root is for clients only"] = "root-cert.pem",
  ["the CA has a critical extension of somebody's own"] = "ca-cert.pem", ["the root has one"] = "root-cert.pem",
  ["the key of tls.key is another one"] = "tls.key", ["ca.crt is another root"] = "ca.crt",
}

-- Beyond istiod: the warnings that some right directories have.
local advice = {
  ["as the makefiles lay it out"] = { "root_in_chain" },
  ["an ended CRL"] = { "crl_expired", "root_in_chain" },
  ["an empty CRL"] = { "crl_empty", "root_in_chain" },
  ["CAs of the makefiles, without cRLSign"] = { "no_crl_sign", "no_crl_sign", "root_in_chain" },
  ["a root that signs itself for the workloads"] = { "root_signs" },
  ["a chain from the root down"] = { "chain_order", "root_in_chain" },
  ["a chain without the CA"] = { "chain_lacks_certificate", "root_in_chain" },
  ["the whole chain in ca-cert.pem"] = { "root_in_chain", "several_certificates" },
  ["a block that Go passes over among the roots"] = { "passed_over", "root_in_chain" },
  ["an Ed25519 CA"] = { "root_in_chain", "weak_key" },
  ["a CA that outlives its root"] = { "outlives_issuer", "root_in_chain" },
  ["a CA that ends next week"] = { "expires_soon", "root_in_chain" },
  ["tls.crt with its chain, and without a last line end"] = { "run_together" },
  ["both layouts at once, the one that counts being right"] = { "crl_ignored", "two_layouts" },
  ["the root left out of the chain"] = {},
  ["the layout of a kubernetes.io/tls Secret"] = {},
}

describe("a directory of CA files for Istio", function()
  local directory

  setup(function()
    directory = temporary.directory()
    for _, case in ipairs(cases.rows) do
      case.path = cases.write(case, directory)
      os.execute("chmod 600 " .. case.path .. "/*")
    end
  end)
  teardown(function() directory:remove() end)

  local seen = {}
  for _, case in ipairs(cases.rows) do
    seen[case.code or "accepted"] = true
    it((case.code and "is refused: %s" or "is taken: %s"):format(case.name), function()
      local report = assert(istio.check(case.path))
      local finding = first_error(report)
      assert.same({}, schema.check(cjson.decode(report:json()), description))
      assert.equal(case.code or nil, finding and finding.code, tostring(report))
      assert.equal(not case.code, report.ok)
      if finding then
        assert.equal(finding.istiod, report.istiod)
        assert.is_truthy(finding.who:find(report.istiod, 1, true))
        assert.equal(files_at_fault[case.name] or files_at_fault[case.code], finding.path)
        if finding.fingerprint and finding.line then
          local block = rest_from(temporary.content(case.path .. "/" .. finding.path), finding.line)
          assert.equal(finding.fingerprint, core.certificate.parse((core.pem.blocks(block)[1] or {}).der or "")
            :fingerprint())
        end
      else
        assert.is_nil(report.istiod)
      end
      if advice[case.name] then
        local codes = {}
        for i, one in ipairs(report) do
          codes[i] = one.code
          assert.is_true(one.severity ~= "error")
        end
        table.sort(codes)
        assert.same(advice[case.name], codes)
      end
    end)
  end

  it("is refused by every rule for a reason of its own", function()
    for _, rule in ipairs(rules) do
      if rule.severity == "error" and rule.code ~= "not_verified" then
        assert.is_true(seen[rule.code], rule.code)
      end
      assert.is_string(rule.source)
      assert.is_string(rule.hint)
    end
  end)

  it("is told from one with both files of the same name under links, as Secrets are mounted", function()
    local mounted = directory:path "mounted"
    assert(os.execute(("mkdir %s && cp -r %s %s/..data && cd %s && for f in ..data/*; do ln -s $f .; done"):format(
      mounted, cases.rows[1].path, mounted, mounted)))
    local report = assert(istio.check(mounted))
    assert.is_true(report.ok, tostring(report))
    assert.is_nil(report:find "key_readable")
  end)

  it("may not let others read the key", function()
    local open = directory:path "open"
    assert(os.execute(("cp -r %s %s && chmod 640 %s/ca-key.pem"):format(cases.rows[1].path, open, open)))
    local finding = istio.check(open):find "key_readable"
    assert.equal("ca-key.pem", finding.path)
    assert.is_truthy(finding.message:find "0640")
  end)

  it("may have been made by istiod itself", function()
    local generated = directory:path "generated"
    assert(os.execute(("cp -r %s %s && touch %s/istio-generated"):format(cases.rows[1].path, generated, generated)))
    assert.equal("warning", istio.check(generated):find "istio_generated".severity)
  end)

  it("can be checked for another time", function()
    local path = cases.rows[1].path
    local later = assert(istio.check(path, { at = os.time() + 2000 * 86400 }))
    assert.equal("expired", first_error(later).code)
    assert.is_truthy(later.istiod:find "is after")
    assert.equal("not_yet_valid", first_error(istio.check(path, { at = os.time() - 2000 * 86400 })).code)
    assert.is_true(istio.check(path).ok)
  end)

  it("has a report for people and one for programs, and no key in either", function()
    local case
    for _, row in ipairs(cases.rows) do
      case = row.code == "key_mismatch" and not case and row or case
    end
    local report = assert(istio.check(case.path))
    local text = tostring(report)
    assert.is_truthy(text:find('istiod: "failed to create an istiod CA: ', 1, true))
    assert.is_truthy(text:find "ca%-key%.pem")
    local key = temporary.content(case.path .. "/ca-key.pem"):match "\n(.-)\n"
    assert.is_nil(text:find(key, 1, true))
    local encoded = report:json()
    assert.equal("table", type(cjson.decode(encoded)))
    assert.is_nil(encoded:find(key, 1, true))
  end)

  it("is not any directory", function()
    assert(file.make_directory(directory:path "something"))
    assert(file.write(directory:path "something/else.txt", "text"))
    local err = expect.fault("not_found", istio.check(directory:path "something"))
    assert.equal(directory:path "something", err.path)
    expect.fault("not_found", istio.check(directory:path "none"))
    expect.fault("not_found", istio.check(directory:path "something/else.txt"))
  end)

  it("has to be readable", function()
    local closed = directory:path "closed"
    assert(os.execute(("cp -r %s %s && chmod 755 %s && chmod 600 %s/*"):format(cases.rows[1].path, closed, closed,
      closed)))
    local _, output = child.run(("local _, err = require 'tcpki.istio'.check(%q) print(err.code, err.path)"):format(
      closed), { as_nobody = true })
    assert.is_truthy(output:find "^permission_denied\t.*/closed/[%w%-]+%.pem\n$", output)
  end)

  it("is never too damaged to be checked", function()
    local texts = {}
    for i, case in ipairs(cases.rows) do
      texts[i] = cases.files(case)
    end
    for _ = 1, debug.gethook() and 20 or 300 do -- under make stress each line costs a collection
      local files = {}
      for name, text in pairs(texts[math.random(#texts)]) do
        local at = math.random(0, #text)
        local change = math.random(5)
        files[name] = change == 1 and text:sub(1, at) or change == 2 and text:sub(at + 1)
          or change == 3 and text:sub(1, at) .. string.char(math.random(0, 255)) .. text:sub(at + 2) or text
        local block = change == 4 and core.pem.blocks(text)
        if block and block[1] then
          local der = block[1].der
          at = math.random(#der)
          files[name] = core.pem.encode(block[1].label, der:sub(1, at - 1) .. string.char(math.random(0, 255))
            .. der:sub(at + 1)) .. text:sub(block[1].last + 1)
        end
      end
      local ok, report = pcall(check, layout.of(files))
      assert.is_true(ok, report)
      assert.equal(report.ok, report.istiod == nil)
    end
  end)

  it("is named by a string", function()
    expect.throws("directory must be string", istio.check, 42)
    expect.throws({ "unknown option 'now'", "at" }, istio.check, directory.root, { now = 1 })
  end)
end)

-- The same directories, by Istio's own module.
describe("istiod #istio", function()
  local directory, program

  setup(function()
    directory = temporary.directory()
    local handle = assert(io.popen "tools/counterparts path istiod")
    program = handle:read "l"
    assert(handle:close(), "make test-istio builds it")
  end)
  teardown(function() directory:remove() end)

  local function verdicts_of(paths)
    local handle = assert(io.popen(("TZ=UTC '%s' <'%s'"):format(program, directory:file("requests",
      "check\t" .. table.concat(paths, "\ncheck\t") .. "\n"))))
    local verdicts = {}
    for i in ipairs(paths) do
      verdicts[i] = cjson.decode(handle:read "l")
    end
    assert(handle:close())
    return verdicts
  end

  -- istiod looked a moment earlier.
  local function timeless(text)
    return (text:gsub("current time %S+", "current time NOW"))
  end

  -- Go's maps have no order.
  local function listed(text)
    local before, names, after = text:match "^(.*missing CRL signed by certificates: %[)(.*)(%].*)$"
    if not names then
      return text
    end
    local words = {}
    for word in (names .. " "):gmatch "(CN=.-) %f[C\0]" do
      words[#words + 1] = word
    end
    table.sort(words)
    return before .. table.concat(words, " ") .. after
  end

  local function compare(path, verdict, name)
    local report = assert(istio.check(path))
    assert.is_false(verdict.self_signed, name)
    assert.equal(verdict.accepted, report.ok, name)
    local ours, theirs = listed(timeless(report.istiod or "")), listed(timeless(verdict.message))
    if report.open then
      theirs = theirs:sub(1, #ours)
    end
    assert.equal(theirs, ours, name)
    if verdict.accepted then
      -- What a peer makes of the workloads: istiod does not ask, and the warning says so.
      assert.equal(report:find "chain_lacks_certificate" == nil, verdict.peer == "", verdict.peer)
    end
  end

  local verdicts

  for i, case in ipairs(cases.rows) do
    it(("%s as is said of it: %s"):format(case.code and "refuses" or "takes", case.name), function()
      if not verdicts then
        local paths = {}
        for number, one in ipairs(cases.rows) do
          one.path = cases.write(one, directory)
          paths[number] = one.path
        end
        verdicts = verdicts_of(paths)
      end
      assert.equal(not case.code, verdicts[i].accepted, verdicts[i].message)
      compare(case.path, verdicts[i])
    end)
  end

  it("says the same of several mistakes at once, in its order", function()
    local paths, names = {}, {}
    while #paths < 80 do
      local one, other = cases.rows[math.random(#cases.rows)], cases.rows[math.random(#cases.rows)]
      -- What replaces one file of the good directory can be done to another one as well.
      local made, files = pcall(cases.files, one, other)
      if made and next(files) then
        local number = #paths + 1
        paths[number], names[number] = directory:path("several-" .. number), one.name .. " and " .. other.name
        assert(file.make_directory(paths[number]))
        for name, text in pairs(files) do
          directory:file(("several-%d/%s"):format(number, name), text)
        end
      end
    end
    for i, verdict in ipairs(verdicts_of(paths)) do
      compare(paths[i], verdict, names[i])
    end
  end)
end)

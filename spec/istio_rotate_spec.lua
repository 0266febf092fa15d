local expect = require "spec.support.expect"
local temporary = require "spec.support.temporary"

local cjson = require "cjson"
local file = require "tcpki.file"
local istio = require "tcpki.istio"
local lyaml = require "lyaml"

local EC = { type = "ec" }

local function write(directory, name, root, given)
  local all = { key = EC }
  for option, value in pairs(given or {}) do
    all[option] = value
  end
  assert(file.make_directory(directory:path(name)))
  return assert(assert(istio.cluster(root, "east", all)):write(directory:path(name)))
end

local function copy(directory, path, name)
  assert(os.execute(("cp -rp %s %s"):format(path, directory:path(name))))
  return directory:path(name)
end

describe("the way from one root to another", function()
  local directory, old, new, from, to

  setup(function()
    directory = temporary.directory()
    old = assert(istio.root { key = EC, common_name = "Root 2024" })
    new = assert(istio.root { key = EC, common_name = "Root 2034" })
    from, to = write(directory, "old", old), write(directory, "new", new)
  end)
  teardown(function() directory:remove() end)

  it("has four steps, of which istiod takes each after the one before", function()
    local plan = assert(istio.rotate { from = from, to = to })
    assert.equal(4, #plan)
    assert.is_true(plan.ok)
    assert.is_false(plan.same_subject)
    local states = {}
    for i, step in ipairs(plan) do
      assert.equal(i, step.number)
      assert.is_true(step.ok, tostring(step.report))
      assert.equal((i == 2 or i == 4) and "multi_root" or nil, step.report[1] and step.report[1].code)
      assert.is_true(#step.report <= 1)
      assert.equal(i > 1 or nil, step.contained)
      assert.equal(i > 1 or nil, step.related)
      states[i] = table.concat(step.roots, " + ")
    end
    assert.same({ "O=Istio, CN=Root 2024", "O=Istio, CN=Root 2024 + O=Istio, CN=Root 2034",
      "O=Istio, CN=Root 2024 + O=Istio, CN=Root 2034", "O=Istio, CN=Root 2034" }, states)
  end)

  it("is walked step by step, and never by half of one", function()
    local live = copy(directory, from, "live")
    local plan = assert(istio.rotate { from = from, to = to })
    local before = temporary.content(live .. "/ca-key.pem")
    for i, step in ipairs(plan) do
      assert.is_true(step:write(live))
      assert.equal(i, plan:current(live))
      assert.is_true(istio.check(live).ok)
      assert.equal("600", temporary.mode(live .. "/ca-key.pem"))
      assert.equal(i <= 2, temporary.content(live .. "/ca-key.pem") == before)
      -- Run again, it finds itself there.
      assert.is_true(step:write(live))
    end
    for _, name in ipairs { "ca-cert.pem", "ca-key.pem", "root-cert.pem", "cert-chain.pem", "ca-crl.pem" } do
      assert.equal(temporary.content(to .. "/" .. name), temporary.content(live .. "/" .. name))
    end
  end)

  it("leaves no step out", function()
    local live = copy(directory, from, "impatient")
    local plan = assert(istio.rotate { from = from, to = to })
    for _, i in ipairs { 3, 4 } do
      local err = expect.fault("busy", plan[i]:write(live))
      assert.equal(live, err.path)
    end
    assert.equal(1, plan:current(live))
    assert(plan[2]:write(live))
    expect.fault("busy", plan[4]:write(live))
    expect.fault("busy", plan[1]:write(live))
    assert.equal(2, plan:current(live))
  end)

  it("stops where somebody else changed a file", function()
    local live = copy(directory, from, "changed")
    local plan = assert(istio.rotate { from = from, to = to })
    assert(file.write(live .. "/root-cert.pem", temporary.content(live .. "/root-cert.pem") .. "\n",
      { overwrite = true }))
    assert.is_nil(plan:current(live))
    expect.fault("busy", plan[2]:write(live))
    local exchange = file.exchange
    local second = copy(directory, from, "changed-meanwhile")
    file.exchange = function(...)
      file.exchange = exchange
      assert(file.write(second .. "/cert-chain.pem", "mine", { overwrite = true }))
      return exchange(...)
    end
    expect.fault("busy", plan[2]:write(second))
    assert.equal("mine", temporary.content(second .. "/cert-chain.pem"))
    assert.equal(temporary.content(from .. "/root-cert.pem"), temporary.content(second .. "/root-cert.pem"))
  end)

  it("keeps the old text to the byte, for istiod up to 1.30", function()
    local odd = copy(directory, from, "odd")
    local text = "# our root\r\n" .. temporary.content(odd .. "/root-cert.pem"):gsub("\n", "\r\n"):gsub("\r\n$", "")
    assert(file.write(odd .. "/root-cert.pem", text, { overwrite = true }))
    local plan = assert(istio.rotate { from = odd, to = to })
    assert.is_true(plan.ok)
    assert.is_true(plan[2].contained and plan[3].contained and plan[4].contained)
    assert(plan[2]:write(odd))
    assert.equal(text .. "\n" .. temporary.content(to .. "/root-cert.pem"), temporary.content(odd .. "/root-cert.pem"))
  end)

  -- name, the text of root-cert.pem, which it is beside that of the old root; contained, related
  local function changes()
    local first, second = old.certificate:pem(), new.certificate:pem()
    local third = assert(istio.root { key = EC, common_name = "Third" }).certificate:pem()
    local trusted = first:gsub("CERTIFICATE", "TRUSTED CERTIFICATE")
    return {
      { "the same", first, first, true, true },
      { "one more", first, first .. second, true, true },
      { "one more, in front", first, second .. first, true, true },
      { "one less", first .. second, second, true, true },
      { "another", first, second, false, false },
      { "one of two exchanged", first .. second, second .. third, false, false },
      { "in another order", first .. second, second .. first, false, true },
      { "with a line between", first .. second, first .. "# and\n" .. second .. third, false, true },
      { "with other line ends", first, (first .. second):gsub("\n", "\r\n"), false, true },
      { "of a label that does not count", first, trusted .. second, false, false },
    }
  end

  local function lay_out(change, number)
    local paths = {}
    for i = 1, 2 do
      paths[i] = directory:path(("change-%d-%d"):format(number, i))
      if not file.list(paths[i]) then
        copy(directory, from, ("change-%d-%d"):format(number, i))
        assert(file.write(paths[i] .. "/root-cert.pem", change[i + 1], { overwrite = true }))
      end
    end
    return paths[1], paths[2]
  end

  it("is checked between any two directories", function()
    for number, change in ipairs(changes()) do
      local report = assert(istio.check_update(lay_out(change, number)))
      assert.equal(change[4], report.contained, change[1])
      assert.equal(change[5], report.related, change[1])
      assert.equal(not change[5], report:find "root_unrelated" ~= nil)
      assert.equal(change[5] and not change[4], report:find "root_not_contained" ~= nil)
      assert.equal(change[2] ~= change[3], report:find "multi_root" ~= nil)
      if not change[5] then
        assert.is_false(report.ok)
        assert.equal("Updating new ROOT-CA not supported", report:find "root_unrelated".istiod)
      end
    end
    expect.fault("not_found", istio.check_update(from, directory:path "none"))
    expect.fault("not_found", istio.check_update(directory:path "none", to))
    expect.throws("to must be string", istio.check_update, from)
  end)

  it("has CRLs of both roots while both are trusted", function()
    local plan = assert(istio.rotate { from = from, to = to })
    local live = copy(directory, from, "crls")
    assert(plan[2]:write(live))
    local _, count = temporary.content(live .. "/ca-crl.pem"):gsub("BEGIN X509 CRL", "")
    assert.equal(4, count)
    local without = write(directory, "without", new, { crl = false })
    local err = expect.fault("crl_unusable", istio.rotate { from = from, to = without })
    assert.equal(without, err.path)
  end)

  it("begins and ends with what istiod takes, in one layout", function()
    local broken = copy(directory, to, "broken")
    assert(os.remove(broken .. "/cert-chain.pem"))
    local err = expect.fault("not_verified", istio.rotate { from = from, to = broken })
    assert.equal(broken, err.path)
    local tls = directory:path "tls"
    assert(os.execute(("mkdir %s && cp %s/ca-cert.pem %s/tls.crt && cp %s/ca-key.pem %s/tls.key && "
      .. "cp %s/root-cert.pem %s/ca.crt"):format(tls, to, tls, to, tls, to, tls)))
    expect.fault("wrong_kind", istio.rotate { from = from, to = tls })
    expect.fault("not_found", istio.rotate { from = from, to = directory:path "none" })
    expect.throws("option 'to'", istio.rotate, { from = from })
    expect.throws("unknown option 'until'", istio.rotate, { from = from, to = to, ["until"] = 1 })
    -- In the other layout as well.
    local plan = assert(istio.rotate { from = tls, to = tls })
    assert.is_true(plan.same_subject)
    assert.is_true(plan.ok)
  end)

  it("is told in words, without a key", function()
    local plan = assert(istio.rotate { from = from, to = to })
    local text = tostring(plan)
    for _, word in ipairs { "step 4: trust the new root alone", "ISTIO_MULTIROOT_MESH=true", "O=Istio, CN=Root 2034",
      "every version of istiod takes it" } do
      assert.is_truthy(text:find(word, 1, true), text)
    end
    local key = temporary.content(to .. "/ca-key.pem"):match "\n(.-)\n"
    local function search(value, seen)
      if type(value) == "table" and not seen[value] then
        seen[value] = true
        for name, inner in pairs(value) do
          assert.is_nil(tostring(name):find(key, 1, true))
          search(inner, seen)
        end
      else
        assert.is_nil(tostring(value):find(key, 1, true))
      end
    end
    search(plan, {})
  end)

  it("has a Secret for each step", function()
    local plan = assert(istio.rotate { from = from, to = to })
    local manifest = lyaml.load(assert(plan[2]:secret { namespace = "mesh" }).manifest)
    assert.equal("mesh", manifest.metadata.namespace)
    assert.equal(plan[1]:secret().manifest, assert(istio.secret(from)).manifest)
    assert.equal(plan[4]:secret().manifest, assert(istio.secret(to)).manifest)
  end)

  describe("of a running istiod #istio", function()
    local program

    setup(function()
      local handle = assert(io.popen "tools/counterparts path istiod")
      program = handle:read "l"
      assert(handle:close(), "make test-istio builds it")
    end)

    local function ask(...)
      local handle = assert(io.popen(("'%s' <'%s'"):format(program, directory:file(nil, table.concat({ ... }, "\t")
        .. "\n"))))
      local answer = cjson.decode(handle:read "a")
      handle:close()
      return answer
    end

    it("is the one that is planned", function()
      local plan = assert(istio.rotate { from = from, to = to })
      local paths = {}
      local live = copy(directory, from, "walked")
      for i, step in ipairs(plan) do
        assert(step:write(live))
        paths[i] = copy(directory, live, "state-" .. i)
        local verdict = ask("check", paths[i])
        assert.is_true(verdict.accepted, verdict.message)
        assert.equal("", verdict.peer)
      end
      for i = 2, 4 do
        local answer = ask("rotate", paths[i - 1], paths[i])
        assert.same({ contained = plan[i].contained, related = plan[i].related, updated = "" }, answer)
      end
      -- What the steps are for: straight from one root to the other istiod does not go.
      assert.same({ contained = false, related = false, updated = "" }, ask("rotate", paths[1], paths[4]))
    end)

    it("takes and refuses the changes of roots that are said of it", function()
      for number, change in ipairs(changes()) do
        local answer = ask("rotate", lay_out(change, number))
        assert.same({ change[4], change[5] }, { answer.contained, answer.related }, change[1])
      end
    end)

    it("takes what is made, with every kind of key and chain", function()
      for i, given in ipairs { {}, { root_in_chain = true }, { crl = false }, { key = { curve = "P-384" } },
        { key = { type = "rsa", bits = 2048 } } } do
        local path = write(directory, "made-" .. i, old, given)
        local verdict = ask("check", path)
        assert.is_true(verdict.accepted, verdict.message)
        assert.equal("", verdict.peer)
      end
    end)
  end)
end)

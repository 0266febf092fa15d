local cjson = require "cjson"
local child = require "spec.support.child"
local expect = require "spec.support.expect"
local openssl = require "spec.support.openssl"
local temporary = require "spec.support.temporary"
local tcpki = require "tcpki"
local filters = require "tcpki.cloud.filters"
local rotation = require "tcpki.cloud.rotation"

local DAY = 86400

describe("the state of tcpki.cloud.rotation", function()
  local directory, now, old_ca, new_ca, payments, text

  local function plan()
    return assert(rotation.plan { current = tcpki.bundle.new { old_ca.certificate }, next = new_ca.certificate,
      clients = { { name = "the “payments” worker", certificate = payments } }, now = now,
      namespace = "payments.a1b2c", filters = assert(filters.new { { common_name = "payments*" },
        { organization = "Acme / \"Sons\"" } }) })
  end

  setup(function()
    directory = temporary.directory()
    now = os.time()
    old_ca = assert(tcpki.authority.new { subject = { O = "Acme", CN = "CA 2026" }, days = 100 })
    new_ca = assert(tcpki.authority.new { subject = { O = "Acme", CN = "CA 2027" } })
    payments = assert(old_ca:issue { common_name = "payments", usage = "client", days = 30 })
    local path = directory:path "base.json"
    assert(plan():save(path))
    text = temporary.content(path)
  end)

  teardown(function()
    directory:remove()
  end)

  local function file(content)
    return directory:file(nil, content)
  end

  it("can be read by a person, and by any reader of JSON", function()
    local state = cjson.decode(text)
    assert.equal("payments.a1b2c", state.namespace)
    assert.same({ "overlap", "roll_over", "remove" },
      { state.steps[1].action, state.steps[2].action, state.steps[3].action })
    assert.equal("+ O=Acme, CN=CA 2027", state.steps[1].changes[1])
    assert.equal("- O=Acme, CN=CA 2026", state.steps[3].changes[1])
    assert.equal(os.date("!%Y-%m-%dT%H:%M:%SZ", now), state.created)
    assert.equal("the “payments” worker", state.steps[2].clients[1].name)
    assert.is_truthy(text:find('\n  "kind": "tcpki rotation",\n  "version": 1,\n', 1, true))
    for i, ca in ipairs { old_ca, new_ca } do
      assert.equal(ca.certificate:fingerprint(), openssl.run("x509 -noout -fingerprint -sha256",
        state.certificates[i].pem):match "=(%S+)":gsub(":", ""):lower())
    end
    assert.is_nil(text:find("PRIVATE", 1, true))
  end)

  it("is resumed as it was saved, and written the same again", function()
    local path = file(text)
    local resumed = assert(rotation.resume(path))
    local original = plan()
    assert.equal(#original, #resumed)
    for i, step in ipairs(resumed) do
      local wanted = original[i]
      for _, field in ipairs { "number", "action", "title", "earliest", "latest", "date", "issuer" } do
        assert.equal(wanted[field], step[field], field)
      end
      assert.equal(wanted.bundle:pem(), step.bundle:pem())
      assert.equal(wanted.before:pem(), step.before:pem())
      assert.same(wanted.commands, step.commands)
      assert.equal(tostring(wanted), tostring(step))
    end
    assert.equal(original.filters:json(), resumed.filters:json())
    assert.equal(original.final:pem(), resumed.final:pem())
    local again = directory:path "again.json"
    assert(resumed:save(again))
    assert.equal(text, temporary.content(again))
  end)

  it("is saved as steps are done, with when and what shows it", function()
    local path = file(text)
    local resumed = assert(rotation.resume(path))
    assert(resumed:done("operation 0a1b, probe ok", { at = now + 60 }))
    local later = assert(rotation.resume(path))
    assert.equal("roll_over", later:next().action)
    assert.same({ at = now + 60, evidence = "operation 0a1b, probe ok" }, later[1].done)
    assert.is_false(assert(later:check { payments }).ok)
    local fresh = assert(new_ca:issue { common_name = "payments", usage = "client", days = 30 })
    assert.is_true(assert(later:check { fresh }).ok)
    assert(later:done(nil, { at = now + 7 * DAY }))
    later = assert(rotation.resume(path))
    assert.equal(now + 7 * DAY + 300, later:next().earliest)
    assert.is_nil(later[2].done.evidence)
    assert(later:done("operation 0a1c"))
    assert.is_nil(assert(rotation.resume(path)):next())
  end)

  it("goes on in another process", function()
    local path = file(text)
    local ok, output = child.run(([[
      local plan = assert(require "tcpki.cloud.rotation".resume(%q))
      print(plan:next().title)
      assert(plan:done "in a child")
    ]]):format(path))
    assert.is_true(ok, output)
    assert.equal("Accept the new CA beside the old one\n", output)
    assert.equal("in a child", assert(rotation.resume(path))[1].done.evidence)
  end)

  it("is not written over another file, nor over what another has written meanwhile", function()
    local path = file(text)
    assert.matches("resume", expect.fault("already_exists", plan():save(path)).hint)
    local one, two = assert(rotation.resume(path)), assert(rotation.resume(path))
    assert(one:done("one"))
    local held = temporary.content(path)
    assert.equal(path, expect.fault("changed_meanwhile", two:done("two")).path)
    assert.equal(held, temporary.content(path))
    assert.is_nil(two[1].done)
    os.remove(path)
    expect.fault("not_found", one:done("three"))
    assert.is_nil(one[2].done)
    assert.is_nil(io.open(path))
  end)

  it("is not written while another run holds its lock, and is afterwards", function()
    local path = file(text)
    local resumed = assert(rotation.resume(path))
    local held = assert(tcpki.lock.file(path, "another rotation"))
    local err = expect.fault("busy", resumed:done "one")
    assert.matches("another rotation", err.message)
    assert.is_nil(resumed[1].done)
    assert.equal(text, temporary.content(path))
    held:release()
    assert(resumed:done "one")
    assert.is_nil(io.open(path .. ".lock"))
  end)

  it("refuses evidence that JSON cannot hold, and marks nothing", function()
    local path = file(text)
    local resumed = assert(rotation.resume(path))
    expect.fault("bad_state", resumed:done("\255"))
    assert.is_nil(resumed[1].done)
    assert.equal(text, temporary.content(path))
    expect.throws("evidence must be string", resumed.done, resumed, 42)
  end)

  it("cut anywhere is one clear error, and nothing is written", function()
    local path = directory:path "cut.json"
    for length = 0, #text - 3, 7 do
      local handle = assert(io.open(path, "wb"))
      handle:write(text:sub(1, length))
      handle:close()
      local err = expect.fault("bad_state", rotation.resume(path))
      assert.equal(path, err.path)
      assert.equal(length, #temporary.content(path))
    end
  end)

  -- What an editor may do to it: each is said where it stands.
  local edits = {
    { "another kind of file", function() return '{ "filters": [] }' end, 'there is no "kind"' },
    { "an array", function() return "[]" end, 'there is no "kind"' },
    { "a version of the future", function(s) s.version = 2 end, "version" },
    { "no steps", function(s) s.steps = {} end, "steps: there is none" },
    { "steps that are an object", function(s) s.steps = { one = 1 } end, "steps: must be an array, not an object" },
    { "an unknown field", function(s) s.steps[2].until_when = "x" end, "steps[2]: there is no field 'until_when'" },
    { "an unknown field at the top", function(s) s.note = "x" end, "there is no field 'note'" },
    { "a missing field", function(s) s.steps[1].earliest = nil end, "steps[1].earliest: is missing" },
    { "null", function(s) s.steps[1].earliest = cjson.null end, "steps[1].earliest: must be a string, not null" },
    { "a time of another form", function(s) s.steps[3].earliest = "2026-11-21" end, "is no time" },
    { "a day that does not exist", function(s) s.created = "2027-02-29T00:00:00Z" end, "created" },
    { "latest before earliest", function(s) s.steps[1].latest = "2001-01-01T00:00:00Z" end,
      "steps[1].latest: is before earliest" },
    { "an action of its own", function(s) s.steps[1].action = "upload" end, "there is no action 'upload'" },
    { "a number out of order", function(s) s.steps[2].number = 3 end, "steps[2].number: must be 2" },
    { "a number in words", function(s) s.steps[2].number = "2" end, "must be a number, not a string" },
    { "steps that changed places", function(s) s.steps[1], s.steps[3] = s.steps[3], s.steps[1] end, "steps[1]" },
    { "a step that was taken out", function(s) table.remove(s.steps, 1) end, "steps[1].number" },
    { "a step done before its time", function(s) s.steps[3].done = { at = "2026-11-21T00:00:00Z" } end,
      "step 2 is not done" },
    { "done without a time", function(s) s.steps[1].done = {} end, "steps[1].done.at: is missing" },
    { "done in one word", function(s) s.steps[1].done = "yes" end, "must be an object, not a string" },
    { "a fingerprint of nothing", function(s) s.steps[1].bundle[1] = ("00"):rep(32) end, "steps[1].bundle[1]" },
    { "a certificate named twice", function(s) s.steps[1].bundle[3] = s.steps[1].bundle[1] end, "named twice" },
    { "a CA taken out of a bundle", function(s) table.remove(s.steps[1].bundle, 2) end, "steps[1].changes" },
    { "bundles that do not follow", function(s)
      table.remove(s.steps[2].before, 2)
      s.steps[2].changes = { "+ O=Acme, CN=CA 2027" }
    end, "is not the bundle of step 1" },
    { "another certificate", function(s) s.certificates[1].pem = s.certificates[2].pem end,
      "certificates[1].fingerprint" },
    { "a damaged certificate", function(s) s.certificates[1].pem = s.certificates[1].pem:sub(1, 200) end,
      "certificates[1].pem" },
    { "another subject", function(s) s.certificates[2].subject = "CN=x" end, "certificates[2]" },
    { "a filter that is none", function(s) s.filters[1].common_name = "*" end, "filters" },
    { "a client without a name", function(s) s.steps[2].clients[1].name = nil end, "steps[2].clients[1].name" },
  }

  for _, edit in ipairs(edits) do
    it("edited into " .. edit[1] .. " is one clear error", function()
      local state = cjson.decode(text)
      local changed = edit[2](state) or cjson.encode(state)
      local path = file(changed)
      local err = expect.fault("bad_state", rotation.resume(path))
      assert.equal(path, err.path)
      assert.is_truthy(err.message:find(edit[3], 1, true), err.message)
      assert.equal(changed, temporary.content(path))
    end)
  end

  it("may be laid out anew by a tool that keeps what it says", function()
    local path = file(cjson.encode(cjson.decode(text)))
    -- cjson writes an empty array as {}
    assert.equal(3, #assert(rotation.resume(path)))
  end)

  it("is not there, or not to be read", function()
    expect.fault("not_found", rotation.resume(directory:path "none.json"))
    expect.throws("path must be string", rotation.resume, nil)
  end)
end)

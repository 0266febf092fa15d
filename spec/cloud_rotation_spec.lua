local expect = require "spec.support.expect"
local tcpki = require "tcpki"
local filters = require "tcpki.cloud.filters"
local rotation = require "tcpki.cloud.rotation"

local DAY = 86400

describe("tcpki.cloud.rotation", function()
  local now, old_ca, new_ca, other_ca, current, payments, billing, stranger

  local function authority(name, more)
    local settings = { subject = { O = "Acme", CN = name }, not_before = now - 5 * DAY }
    for option, value in pairs(more or {}) do
      settings[option] = value
    end
    return assert(tcpki.authority.new(settings))
  end

  local function client(ca, name, days)
    return assert(ca:issue { common_name = name, usage = "client", not_after = now + days * DAY,
      not_before = now - DAY })
  end

  setup(function()
    now = os.time()
    old_ca = authority("CA 2026", { not_after = now + 100 * DAY })
    new_ca = authority "CA 2027"
    other_ca = authority "Other"
    payments, billing = client(old_ca, "payments", 30), client(old_ca, "billing", 20)
    stranger = client(authority "Stranger CA", "stranger", 9)
    current = tcpki.bundle.new { old_ca.certificate }
  end)

  local function actions(plan)
    local words = {}
    for i, step in ipairs(plan) do
      assert.equal(i, step.number)
      words[i] = step.action
    end
    return table.concat(words, " ")
  end

  local function names(list)
    local found = {}
    for i, one in ipairs(list) do
      found[i] = one.name
    end
    return table.concat(found, " ")
  end

  local function subjects(bundle)
    local found = {}
    for i, certificate in ipairs(bundle) do
      found[i] = certificate:subject().CN
    end
    return table.concat(found, ", ")
  end

  local function plan_of(more)
    local settings = { current = current, next = new_ca.certificate, clients = { payments, billing }, now = now }
    for option, value in pairs(more or {}) do
      settings[option] = value
    end
    return rotation.plan(settings)
  end

  describe("plans", function()
    it("overlap, roll-over and removal, with dates before anything ends", function()
      local plan = assert(plan_of())
      assert.equal("overlap roll_over remove", actions(plan))
      local overlap, roll_over, remove = table.unpack(plan)
      assert.equal("CA 2026", subjects(overlap.before))
      assert.equal("CA 2026, CA 2027", subjects(overlap.bundle))
      assert.equal("CA 2027", subjects(remove.bundle))
      assert.equal(now, overlap.earliest)
      assert.equal(now + 13 * DAY, overlap.latest)
      assert.equal("billing payments", names(roll_over.clients))
      assert.equal(now + 13 * DAY, roll_over.clients[1].deadline)
      assert.equal(now + 23 * DAY, roll_over.clients[2].deadline)
      assert.equal(now + 13 * DAY, roll_over.latest)
      assert.equal("O=Acme, CN=CA 2026", roll_over.issuer)
      assert.equal(now + 300, remove.earliest)
      assert.equal(now + 100 * DAY, remove.latest)
      assert.is_true(plan.report.ok, tostring(plan.report))
      assert.same({}, plan.refused_already)
    end)

    it("who would be refused if a step were taken now, and why", function()
      local plan = assert(plan_of { clients = { payments, { name = "mine", certificate = billing }, stranger } })
      assert.same({}, plan[1].refused)
      assert.equal("mine payments", names(plan[2].refused))
      assert.is_truthy(plan[2].refused[1].reason:find("CN=CA 2027, the new CA, is not in the bundle yet", 1, true))
      assert.equal("payments mine", names(plan[3].refused))
      assert.equal("no_issuer", plan[3].refused[1].code)
      assert.is_truthy(plan[3].refused[1].reason:find("CN=CA 2026, its issuer, is not in the bundle", 1, true))
      assert.equal("stranger", names(plan.refused_already))
    end)

    it("no roll-over for clients that the new bundle takes", function()
      local plan = assert(plan_of { clients = { client(new_ca, "early", 30) },
        current = tcpki.bundle.new { old_ca.certificate, new_ca.certificate } })
      assert.equal("remove", actions(plan))
      assert.same({}, plan[1].refused)
      -- what stays in the bundle needs no change either
      plan = assert(plan_of { current = tcpki.bundle.new { old_ca.certificate, other_ca.certificate },
        retire = old_ca.certificate, clients = { client(other_ca, "other", 30), payments } })
      assert.equal("overlap roll_over remove", actions(plan))
      assert.equal("payments", names(plan[2].clients))
      assert.equal("Other, CA 2027", subjects(plan[3].bundle))
    end)

    it("one roll-over an issuer, the most urgent first", function()
      local second = client(other_ca, "urgent", 9)
      local plan = assert(plan_of { current = tcpki.bundle.new { old_ca.certificate, other_ca.certificate },
        clients = { payments, second, billing } })
      assert.equal("overlap roll_over roll_over remove", actions(plan))
      assert.equal("urgent", names(plan[2].clients))
      assert.equal("billing payments", names(plan[3].clients))
      assert.equal(now + 2 * DAY, plan[1].latest)
    end)

    it("with the end of the CA where that comes before the end of the client", function()
      local dying = authority("Dying", { not_after = now + 10 * DAY })
      local certificate = assert(tcpki.certificate.make { subject = { CN = "outlives" }, not_before = now - 60,
        not_after = now + 50 * DAY, public_key = payments.key, issuer = dying.certificate, issuer_key = dying.key })
      local plan = assert(plan_of { current = tcpki.bundle.new { dying.certificate }, clients = { certificate } })
      assert.equal(now + 3 * DAY, plan[2].clients[1].deadline)
      plan = assert(plan_of { current = tcpki.bundle.new { dying.certificate }, clients = { certificate },
        margin = 30 })
      assert.equal(now, plan[2].clients[1].deadline)
    end)

    it("after the new CA is valid", function()
      local coming = authority("CA 2028", { not_before = now + 2 * DAY })
      local plan = assert(plan_of { next = coming.certificate })
      assert.equal(now, plan[1].earliest)
      assert.equal(now + 2 * DAY, plan[2].earliest)
      assert.equal(now + 2 * DAY + 300, plan[3].earliest)
    end)

    it("with chains over an intermediate", function()
      local intermediate = assert(old_ca:subordinate { common_name = "Old issuing CA" })
      local sent = client(intermediate, "chained", 20)
      local bare = sent.certificate
      local plan = assert(plan_of { clients = { sent, { name = "bare", certificate = bare } } })
      assert.equal("chained", names(plan[2].clients))
      assert.equal("bare", names(plan.refused_already))
      -- an intermediate in the bundle is a root there
      plan = assert(plan_of { clients = { { name = "bare", certificate = bare } },
        current = tcpki.bundle.new { old_ca.certificate, intermediate.certificate } })
      assert.equal("bare", names(plan[2].clients))
    end)

    it("and looks at the replacements that are there already", function()
      local good, bad = client(new_ca, "payments", 90), client(other_ca, "payments", 90)
      local plan = assert(plan_of { clients = { { certificate = payments, replacement = good } } })
      assert.is_true(plan.report.ok)
      assert.equal("no_issuer", plan[2].refused[1].code)
      plan = assert(plan_of { clients = { { certificate = payments, replacement = bad } } })
      assert.is_false(plan.report.ok)
      assert.equal("payments", plan.report:find("replacement_refused").client)
      plan = assert(plan_of { clients = { { certificate = payments, replacement = good } },
        filters = assert(filters.new { { common_name = "pay*" } }) })
      assert.is_true(plan.report.ok)
      local renamed = client(new_ca, "accounts", 90)
      plan = assert(plan_of { clients = { { certificate = payments, replacement = renamed } },
        filters = assert(filters.new { { common_name = "pay*" } }) })
      assert.is_truthy(plan.report:find("replacement_refused").message:find("filter", 1, true))
    end)

    it("and says which rule of the Cloud a bundle on the way would break", function()
      local alike = authority "ca 2026"
      local plan = assert(plan_of { next = alike.certificate })
      assert.is_false(plan.report.ok)
      assert.is_truthy(tostring(plan):find("CN=ca 2026", 1, true))
      local intermediate = assert(old_ca:subordinate { common_name = "Old issuing CA" })
      local both = tcpki.bundle.new { old_ca.certificate, intermediate.certificate }
      plan = assert(plan_of { current = both, retire = old_ca.certificate })
      assert.is_false(plan.report.ok)
      assert.equal("after the last step", plan.report[#plan.report].place)
      assert.equal(intermediate.certificate:fingerprint(), plan.report[#plan.report].fingerprint)
      plan = assert(plan_of { current = both })
      assert.is_true(plan.report.ok)
    end)

    it("the same for the same input, and leaves the bundle alone", function()
      local settings = { namespace = "payments.a1b2c" }
      assert.equal(tostring(plan_of(settings)), tostring(plan_of(settings)))
      assert.equal("CA 2026", subjects(current))
    end)

    it("the commands for both tools, where the namespace is known", function()
      local plan = assert(plan_of { namespace = "payments.a1b2c" })
      assert.equal(1, #plan[1].commands.tcld)
      assert.is_truthy(plan[1].commands.tcld[1]:find("^tcld namespace accepted%-client%-ca add "))
      assert.same({}, plan[2].commands.tcld)
      assert.equal("tcld namespace accepted-client-ca remove --namespace payments.a1b2c --ca-certificate-fingerprint "
        .. old_ca.certificate:fingerprint "sha1", plan[3].commands.tcld[1])
      assert.is_truthy(plan[3].commands["temporal cloud"][1]:find("cert-ca delete", 1, true))
      assert.is_nil(plan_of()[1].commands)
    end)

    it("in a form for a terminal", function()
      local many = {}
      for i = 1, 30 do
        many[i] = { name = "worker " .. i .. (" long name"):rep(8), certificate = payments }
      end
      local text = tostring(assert(plan_of { namespace = "payments.a1b2c", clients = many }))
      for line in text:gmatch "[^\n]+" do
        assert.is_true(utf8.len(line) <= 100, line)
      end
      for _, words in ipairs { "five minutes", "GetClientCertificate", "worker.client", "1.15.0", "and 20 more",
        "the bundle then has 2 certificates" } do
        assert.is_truthy(text:find(words, 1, true), words)
      end
    end)

    it("with commands that can be copied whole", function()
      local plan = assert(plan_of { namespace = "payments.a1b2c" })
      local function printed(step)
        local text = tostring(step):match "  %$ (.+)$"
        return text and (text:gsub("\\\n%s+", ""))
      end
      assert.equal("tcld namespace accepted-client-ca add --namespace payments.a1b2c --ca-certificate-file added.pem",
        printed(plan[1]))
      assert.is_nil(printed(plan[2]))
      assert.equal(plan[3].commands.tcld[1], printed(plan[3]))
      -- A line end within quotes would be part of the word.
      plan = assert(plan_of { namespace = "it's --a name" })
      assert.equal(plan[3].commands.tcld[1], tostring(plan[3]):match "  %$ ([^\n]+)$")
    end)
  end)

  describe("keeps the limits", function()
    local function fill(count, settings)
      local list = {}
      for i = 1, count do
        list[i] = authority("Filler " .. i, settings).certificate
      end
      return list
    end

    it("at the fullest point, not only at the end", function()
      local bundle = tcpki.bundle.new(fill(15))
      bundle:add(old_ca.certificate)
      local err = expect.fault("does_not_fit", plan_of { current = bundle, retire = old_ca.certificate })
      assert.is_truthy(err.message:find("17 certificates", 1, true))
      assert.equal(15, #err.unused)
      assert.is_truthy(err.hint:find("CN=Filler 1;", 1, true))
      bundle:remove(bundle[1])
      assert.equal("overlap roll_over remove", actions(assert(plan_of { current = bundle,
        retire = old_ca.certificate })))
    end)

    it("and removes what has expired, where that makes room", function()
      local bundle = tcpki.bundle.new(fill(3, { not_after = now - DAY, not_before = now - 9 * DAY }))
      for _, certificate in ipairs(fill(12)) do
        bundle:add(certificate)
      end
      bundle:add(old_ca.certificate)
      local plan = assert(plan_of { current = bundle, retire = old_ca.certificate })
      assert.equal("make_room overlap roll_over remove", actions(plan))
      assert.equal(13, #plan[1].bundle)
      assert.equal(14, #plan[2].bundle)
      assert.same({}, plan[1].refused)
      -- where there is room, what has expired goes with the old CA, or stays
      bundle:remove(bundle[#bundle - 1])
      assert.equal("overlap roll_over remove", actions(assert(plan_of { current = bundle })))
    end)

    it("of 32 KB before base64", function()
      local function big(number)
        return assert(tcpki.certificate.make { subject = { CN = "Big " .. number }, not_before = now - 60,
          not_after = now + DAY, public_key = new_ca.key, issuer_key = new_ca.key, basic_constraints = { ca = true },
          subject_alt_names = { { type = "uri", value = "https://example.com/" .. ("x"):rep(2600) } } })
      end
      local bundle = tcpki.bundle.new { old_ca.certificate }
      for i = 1, 7 do
        bundle:add(big(i))
      end
      local size = #bundle:pem()
      assert.is_true(size < 32768 and size + #bundle[2]:pem() > 32768, tostring(size))
      local err = expect.fault("does_not_fit", plan_of { current = bundle, next = big(8), retire = old_ca.certificate })
      assert.is_truthy(err.message:find("32 KB", 1, true))
    end)

    it("says who needs a CA, and does not offer to remove that", function()
      local bundle = tcpki.bundle.new(fill(14))
      bundle:add(old_ca.certificate)
      bundle:add(other_ca.certificate)
      local err = expect.fault("does_not_fit", plan_of { current = bundle, retire = old_ca.certificate,
        clients = { payments, client(other_ca, "other", 30) } })
      assert.equal(14, #err.unused)
    end)
  end)

  describe("refuses to plan", function()
    it("with what is no CA, or has expired", function()
      expect.fault("not_an_authority", plan_of { next = payments.certificate })
      expect.fault("expired", plan_of { next = authority("Gone", { not_before = now - 9 * DAY,
        not_after = now - DAY }).certificate })
    end)

    it("what changes nothing, or leaves nothing", function()
      expect.fault("nothing_to_change", plan_of { next = old_ca.certificate })
      expect.fault("last_certificate", plan_of { next = {} })
    end)

    it("what only a program gets wrong", function()
      expect.throws("option 'current' must be tcpki.bundle", rotation.plan, { next = new_ca.certificate })
      expect.throws("option 'next'", rotation.plan, { current = current })
      expect.throws("unknown option 'old'", plan_of, { old = current })
      expect.throws("client 2", plan_of, { clients = { payments, "billing.pem" } })
    end)
  end)

  describe("checks", function()
    local both, new

    setup(function()
      both = tcpki.bundle.new { old_ca.certificate, new_ca.certificate }
      new = tcpki.bundle.new { new_ca.certificate }
    end)

    it("that the old CA can go once everybody has changed, and not before", function()
      local fresh = { client(new_ca, "payments", 30), client(new_ca, "billing", 30) }
      local report = assert(rotation.check(both, new, { fresh[1], billing }))
      assert.is_false(report.ok)
      assert.equal(1, report.errors)
      assert.equal("billing", names(report.refused))
      assert.is_true(report.refused[1].accepted_before)
      assert.equal(1, report.accepted)
      assert.is_truthy(report:find("locked_out").message:find("billing would be refused: O=Acme, CN=CA 2026", 1, true))
      report = assert(rotation.check(both, new, fresh))
      assert.is_true(report.ok)
      assert.same({}, report.refused)
      assert.is_truthy(report:find("safe"))
    end)

    it("tells who is refused already from who would be", function()
      local report = assert(rotation.check(both, new, { stranger, client(new_ca, "a", 3) }))
      assert.is_true(report.ok)
      assert.equal(1, report.warnings)
      assert.is_false(report.refused[1].accepted_before)
      assert.is_truthy(report:find("refused_already").message:find("stranger is refused already", 1, true))
    end)

    it("by the date that is asked", function()
      local soon = client(old_ca, "soon", 2)
      assert.is_true(assert(rotation.check(current, both, { soon }, { at = now })).ok)
      local report = assert(rotation.check(current, both, { soon }, { at = now + 3 * DAY }))
      assert.is_true(report.ok)
      assert.equal("expired", report.refused[1].code)
      assert.equal("CN=soon has expired", report.refused[1].reason)
    end)

    it("the filters that change with the bundle, or stay", function()
      local wide = assert(filters.new { { common_name = "*" .. "ments" }, { common_name = "billing" } })
      local narrow = assert(filters.new { { common_name = "payments" } })
      local clients = { payments, billing }
      local report = assert(rotation.check(current, current, clients,
        { filters_before = wide, filters_after = narrow }))
      assert.is_false(report.ok)
      assert.equal("billing", names(report.refused))
      assert.equal("no_filter", report.refused[1].code)
      assert.is_truthy(tostring(report.refused[1].explanation):find('wanted "payments"', 1, true))
      assert.is_true(assert(rotation.check(current, both, clients, { filters = wide })).ok)
      report = assert(rotation.check(current, both, clients, { filters = narrow }))
      assert.is_true(report.ok)
      assert.is_truthy(report:find "refused_already")
      assert.is_false(assert(rotation.check(current, current, {}, { filters_after = narrow })).ok)
    end)

    it("that a bundle would be taken at all", function()
      local report = assert(rotation.check(current, tcpki.bundle.new(), { payments }))
      assert.is_truthy(report:find "last_certificate")
      local full = tcpki.bundle.new(current)
      for i = 1, 16 do
        full:add(authority("Filler " .. i).certificate)
      end
      report = assert(rotation.check(current, full, { payments }))
      assert.is_truthy(report:find("does_not_fit").message:find("17 certificates", 1, true))
      assert.equal(0, #report.refused)
    end)

    it("nothing safe where something goes and no client is known", function()
      local report = assert(rotation.check(both, new, {}))
      assert.is_false(report.ok)
      assert.is_truthy(report:find "no_clients")
      assert.is_true(assert(rotation.check(current, both, {})).ok)
    end)

    it("in a form for a terminal, in the order of the clients", function()
      local text = tostring(assert(rotation.check(both, new, { payments, stranger, billing })))
      assert.is_true(text:find("payments would be refused", 1, true) < text:find("billing would be refused", 1, true))
      for line in text:gmatch "[^\n]+" do
        assert.is_true(utf8.len(line) <= 100, line)
      end
    end)

    it("throws on what only a program gets wrong", function()
      expect.throws("before must be tcpki.bundle", rotation.check, { old_ca.certificate }, new, {})
      expect.throws("clients must be table", rotation.check, both, new, nil)
      expect.throws("unknown option 'now'", rotation.check, both, new, {}, { now = 1 })
    end)
  end)

  describe("is carried out", function()
    it("one issuer after the other", function()
      local urgent = client(other_ca, "urgent", 9)
      local plan = assert(plan_of { current = tcpki.bundle.new { old_ca.certificate, other_ca.certificate },
        clients = { payments, urgent } })
      assert(plan:done())
      assert.equal("O=Acme, CN=Other", plan:next().issuer)
      local report = assert(plan:check { payments, urgent })
      assert.equal("urgent", names(report.refused))
      local rolled = client(new_ca, "urgent", 90)
      assert.is_true(assert(plan:check { payments, rolled }).ok)
      assert.is_true(assert(plan:check { payments }).ok)
      assert.is_false(assert(plan:check {}).ok)
      assert(plan:done())
      assert.equal("payments", names(assert(plan:check { payments, rolled }).refused))
      assert.is_true(assert(plan:check { client(new_ca, "payments", 90), rolled }).ok)
      -- somebody went back to what the first roll-over was for
      assert.equal("urgent", names(assert(plan:check { client(new_ca, "payments", 90), urgent }).refused))
    end)

    it("step by step, each checked with what the clients then show", function()
      local plan = assert(plan_of())
      assert.equal("overlap", plan:next().action)
      local before = { payments, billing }
      local half = { client(new_ca, "payments", 60), billing }
      local after = { half[1], client(new_ca, "billing", 60) }
      assert.is_true(assert(plan:check(before, { at = now })).ok)
      assert(plan:done("operation 1", { at = now }))
      local report = assert(plan:check(before, { at = now }))
      assert.equal(2, report.errors)
      assert.is_false(assert(plan:check(half, { at = now })).ok)
      assert.is_true(assert(plan:check(after, { at = now })).ok)
      assert(plan:done(nil, { at = now + DAY }))
      assert.equal(now + DAY + 300, plan:next().earliest)
      report = assert(plan:check(after, { at = now + DAY }))
      assert.is_true(report.ok)
      assert.is_truthy(report:find "too_early")
      assert.is_false(assert(plan:check(half, { at = now + 2 * DAY })).ok)
      report = assert(plan:check(after, { at = now + 2 * DAY }))
      assert.is_nil(report:find "too_early")
      assert.equal(3, assert(plan:done("operation 2")).number)
      assert.is_nil(plan:next())
      expect.fault("nothing_to_change", plan:done())
      expect.fault("nothing_to_change", plan:check(after))
      assert.is_truthy(tostring(plan):find("operation 2", 1, true))
    end)
  end)
end)

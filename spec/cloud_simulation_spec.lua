-- What is told before a change in Lua, and what the embedded frontend does after it in C, are to be the same.

local tcpki = require "tcpki"
local certificate = require "tcpki.certificate"
local filters = require "tcpki.cloud.filters"
local pki = require "spec.support.probe_pki"
local probe = require "tcpki.probe"
local probe_core = require "tcpki.probe.core"
local rotation = require "tcpki.cloud.rotation"
local temporary = require "spec.support.temporary"


local function filter(...)
  return assert(filters.new { ... })
end

-- ---- certificates and filters by chance, the same in each run ----

local state = 20

local function random(most)
  state = (state * 6364136223846793005 + 1442695040888963407)
  return (state >> 33) % most + 1
end

local function pick(list)
  return list[random(#list)]
end

local function chance(percent)
  return random(100) <= percent
end

local letters = { "a", "A", "b", "B", "é", "É", "-", ".", " ", "*", "k", "K", "\u{212A}" }

local function text(most)
  local made = {}
  for i = 1, random(most) do made[i] = pick(letters) end
  -- Neither begins nor ends in a blank, which says nothing about matching.
  return "x" .. table.concat(made) .. pick { "a", "A", "y" }
end

local addresses = { "10.0.0.1", "10.0.0.11", "2001:db8::1", "2001:db8::11" }

local function alternative_name()
  local kind = pick { "dns", "email", "uri", "ip" }
  if kind == "ip" then return { type = kind, value = pick(addresses) } end
  local label = pick { "a", "A", "ab", "aB", "*" } .. "." .. pick { "example", "Example", "test" }
  if kind == "email" then label = "me@" .. label end
  return { type = kind, value = kind == "uri" and "spiffe://" .. label or label }
end

local key = assert(tcpki.key.generate())

local function random_certificate()
  local subject, names = {}, {}
  for _, kind in ipairs { "O", "OU", "OU", "CN", "CN" } do
    if chance(60) then table.insert(subject, { type = kind, value = text(3) }) end
  end
  for i = 1, random(4) - 1 do names[i] = alternative_name() end
  return assert(certificate.make {
    subject = subject, subject_alt_names = #names > 0 and names or nil, public_key = key,
    not_before = os.time() - pki.day, not_after = os.time() + pki.day,
    issuer = pki.client_ca.certificate, issuer_key = pki.client_ca.key,
  })
end

local fields = {
  common_name = "CN", organization = "O", organizational_unit = "OU", subject_alternative_name = false,
}
local field_names = { "common_name", "organization", "organizational_unit", "subject_alternative_name" }

local function value_of(leaf, field)
  local values = {}
  for _, entry in ipairs(fields[field] and leaf:subject() or leaf:subject_alt_names() or {}) do
    if entry.type == (fields[field] or entry.type) then table.insert(values, entry.value) end
  end
  return pick(#values > 0 and values or { "none" })
end

local function bend(value)
  local shape = random(6)
  if shape == 1 then return value:upper() end
  if shape == 2 then return value:lower() end
  if value:find("*", 1, true) then return (value:gsub("%*", "a")) end
  -- Characters, not bytes: a filter is UTF-8.
  local at = utf8.offset(value, random(utf8.len(value)))
  if shape == 3 then return value:sub(1, at - 1) .. "*" end
  if shape == 4 then return "*" .. value:sub(at) end
  if shape == 5 then return value .. "*" end
  return value:sub(1, at - 1) .. "q" .. value:sub(at)
end

-- A filter that is likely to match one of the leaves, and may match others.
local function random_row(leaves)
  local row, leaf = {}, pick(leaves)
  for _, field in ipairs(field_names) do
    if chance(40) then row[field] = bend(value_of(leaf, field)) end
  end
  return row
end

local function random_filters(leaves)
  repeat
    local rows = {}
    for i = 1, random(3) do rows[i] = random_row(leaves) end
    local made = filters.new(rows)
    if made then return made end
  until false
end

describe("the filters of the embedded frontend", function()
  it("let in exactly whom tcpki.cloud.filters lets in", function()
    local leaves, namespaces, all, count = {}, {}, {}, { [true] = 0, [false] = 0 }
    local many = debug.gethook() and 15 or 120 -- under make stress each line costs a collection
    for i = 1, many do leaves[i] = random_certificate() end
    for i = 1, many do
      all[i] = random_filters(leaves)
      namespaces[i] = { name = tostring(i), accepted = pki.client_ca.certificate:pem(), filters = all[i] }
    end
    local rules <close> = probe_core.admission(namespaces)
    for _, leaf in ipairs(leaves) do
      local admitted = {}
      for _, name in ipairs(rules:names(leaf:pem())) do admitted[name] = true end
      for i, made in ipairs(all) do
        local expected = made:matches(leaf)
        count[expected] = count[expected] + 1
        if expected ~= (admitted[tostring(i)] or false) then
          error(("filters say %s: %s%s"):format(expected, made:json(), leaf:pem()))
        end
      end
    end
    assert.is_true(count[true] > many / 3 and count[false] > many, "both verdicts were tried")
  end)

  it("compare as the Cloud's documentation says", function()
    local leaf = assert(pki.client_ca:issue {
      subject = { CN = "Example Code", O = "Acme" }, usage = "client", days = 1,
      subject_alt_names = { "a.example.com" },
    })
    local function lets_in(row)
      local rules <close> = probe_core.admission {
        { name = "one", accepted = pki.client_ca.certificate:pem(), filters = filter(row) },
      }
      return #rules:names(leaf.certificate:pem()) == 1
    end
    assert.is_true(lets_in { common_name = "Example Code*" })
    assert.is_true(lets_in { common_name = "example code" })
    assert.is_true(lets_in { common_name = "EXAMPLE*", organization = "*ME" })
    assert.is_true(lets_in { subject_alternative_name = "*.example.com" })
    assert.is_false(lets_in { common_name = "Example" })
    assert.is_false(lets_in { common_name = "*Example" })
    assert.is_false(lets_in { common_name = "Example Code", organization = "Other" })
    assert.is_false(lets_in { organizational_unit = "*e" })
    assert.is_false(lets_in { subject_alternative_name = "*a.example.com.org" })
  end)

  it("take no name with a NUL for what stands before it", function()
    local san = "\x30\x0e\x82\x0cgood\0.evil.x"
    local leaf = assert(certificate.make {
      subject = { CN = "worker" }, public_key = key, not_before = os.time() - 60, not_after = os.time() + pki.day,
      issuer = pki.client_ca.certificate, issuer_key = pki.client_ca.key,
      extensions = { { oid = "2.5.29.17", der = san } },
    })
    local good = filter { subject_alternative_name = "good*" }
    local rules <close> = probe_core.admission {
      { name = "one", accepted = pki.client_ca.certificate:pem(), filters = good },
      { name = "two", accepted = pki.client_ca.certificate:pem() },
    }
    assert.is_nil(good:matches(leaf))
    assert.same({ "two" }, rules:names(leaf:pem()))
  end)

  it("let nobody in whose CA is not accepted, whatever matches", function()
    local rules <close> = probe_core.admission {
      { name = "one", accepted = pki.client_ca.certificate:pem(), filters = filter { common_name = "worker" } },
    }
    assert.same({ "one" }, rules:names(pki.good.certificate:pem()))
    for _, leaf in ipairs { pki.stranger, pki.twin, pki.expired, pki.future, pki.wrong_usage } do
      assert.same({}, rules:names(leaf.certificate:pem()))
    end
  end)
end)

-- ---- accepted CAs ----

-- Roots of which two have one name, and under each two intermediates.
local function random_authorities()
  local list = {}
  for _, name in ipairs { "Root A", "Root A", "Root B" } do
    local root = assert(tcpki.authority.new { subject = { CN = name }, not_before = os.time() - 60 * pki.day,
      not_after = os.time() + 60 * pki.day })
    table.insert(list, root)
    for i = 1, 2 do
      list[#list + 1] = assert(root:subordinate { common_name = name .. " Middle " .. i, days = 30 })
    end
  end
  return list
end

local function random_leaf(ca)
  local from = chance(15) and 5 * pki.day or -20 * pki.day
  return assert(ca:issue { common_name = "worker", usage = chance(15) and "server" or "client",
    subject_alt_names = { "worker.example" }, not_before = os.time() + from,
    not_after = os.time() + (chance(15) and from < 0 and -pki.day or 10 * pki.day) })
end

describe("the accepted CAs of the embedded frontend", function()
  it("let in exactly whom rotation.check lets in", function()
    local authorities, count = random_authorities(), { [true] = 0, [false] = 0 }
    local many = debug.gethook() and 4 or 40
    for _ = 1, many do
      local accepted = assert(tcpki.bundle.new {})
      for _, ca in ipairs(authorities) do
        if chance(35) then accepted:add(ca.certificate) end
      end
      if #accepted == 0 then accepted:add(authorities[1].certificate) end
      local rules <close> = probe_core.admission { { name = "one", accepted = accepted:pem() } }
      local clients = {}
      for i = 1, 10 do
        local leaf = random_leaf(pick(authorities))
        clients[i] = { name = tostring(i),
          chain = chance(70) and leaf.chain or assert(tcpki.chain.new { leaf.certificate }) }
      end
      local refused = {}
      for _, row in ipairs(assert(rotation.check(accepted, accepted, clients)).refused) do refused[row.name] = row end
      for _, client in ipairs(clients) do
        local admitted = #rules:names(client.chain[1]:pem(), client.chain:pem()) == 1
        local row = refused[client.name]
        count[admitted] = count[admitted] + 1
        if admitted == (row ~= nil) then
          error(("rotation.check says %s: %s%s"):format(row and row.reason or "yes", client.chain:pem(),
            accepted:pem()))
        end
      end
    end
    assert.is_true(count[true] > many and count[false] > many, "both verdicts were tried")
  end)
end)

-- ---- a rotation ----

local payments, orders = "payments.a1b2c", "orders.a1b2c"

local function authority(name)
  return assert(tcpki.authority.new { subject = { CN = name, O = "Acme" }, days = 90 })
end

local function bundle(...)
  local list = {}
  for i, one in ipairs { ... } do list[i] = one.certificate end
  return assert(tcpki.bundle.new(list))
end

local old_ca, new_ca, orders_ca = authority "Acme CA 1", authority "Acme CA 2", authority "Acme Orders CA"
local middle_ca = assert(old_ca:subordinate { common_name = "Acme Reports CA", days = 60 })

local function issue(ca, name)
  return assert(ca:issue { common_name = name, usage = "client", days = 30 })
end

-- Workers with the certificates of before the rotation: of the old CA, of an intermediate of it that each sends
-- along, and one that has a certificate of the new CA already.
local function workers()
  local list = {}
  for i, row in ipairs { { "billing", old_ca }, { "mailer", old_ca }, { "reports", middle_ca }, { "early", new_ca } } do
    list[i] = { name = row[1], leaf = issue(row[2], row[1]) }
  end
  return list
end

local function frontend(accepted, options)
  local all = {
    certificate = pki.server.chain, key = pki.server.key,
    cloud = { [payments] = { accepted = accepted }, [orders] = { accepted = orders_ca.certificate } },
  }
  for name, value in pairs(options or {}) do all[name] = value end
  return assert(probe.frontend(all))
end

local function accept(server, accepted)
  assert(server:reload { cloud = { [payments] = { accepted = accepted } } })
end

local function cause(server, leaf, namespace)
  return probe.run(pki.options(leaf, { address = server:address(), namespace = namespace or payments })).cause
end

-- As cloud.rotation takes them: what they show.
local function clients_of(list)
  local clients = {}
  for i, worker in ipairs(list) do clients[i] = { name = worker.name, chain = worker.leaf.chain } end
  return clients
end

local function names(list)
  local found = {}
  for i, row in ipairs(list) do found[i] = row.name end
  table.sort(found)
  return found
end

-- Whom the frontend refuses; each must be told the same reason.
local function refused_by(server, list, expected_cause)
  local found = {}
  for _, worker in ipairs(list) do
    local told = cause(server, worker.leaf)
    if told ~= "ok" then
      assert.equal(expected_cause, told, worker.name)
      found[#found + 1] = worker.name
    end
  end
  table.sort(found)
  return found
end

local function all_are_let_in(server, list)
  assert.same({}, refused_by(server, list))
end

local function plan_for(list)
  return assert(rotation.plan {
    current = bundle(old_ca), next = new_ca.certificate, clients = clients_of(list), namespace = payments,
  })
end

local function actions(plan)
  local list = {}
  for i, step in ipairs(plan) do list[i] = step.action end
  return list
end

describe("a rotation, carried out on the embedded frontend", function()
  local directory

  before_each(function() directory = temporary.directory() end)
  after_each(function() directory:remove() end)

  it("refuses nobody at any step, when it follows the plan", function()
    local list = workers()
    local early = table.remove(list) -- it comes when its CA is accepted
    local witness = issue(orders_ca, "orders")
    local server <close> = frontend(bundle(old_ca))
    local path = directory:path "rotation.json"
    assert(plan_for(list):save(path))
    assert.same({ "overlap", "roll_over", "roll_over", "remove" }, actions(assert(rotation.resume(path))))
    all_are_let_in(server, list)
    assert.same({ "early" }, refused_by(server, { early }, "client_ca_unknown"))
    repeat
      local plan = assert(rotation.resume(path)) -- as a program does that is started anew for each step
      local step = plan:next()
      if step.action == "roll_over" then
        for _, client in ipairs(step.clients) do
          for _, worker in ipairs(list) do
            if worker.name == client.name then
              local former = worker.leaf
              worker.leaf = issue(new_ca, worker.name)
              assert.equal("ok", cause(server, former), "until it is restarted it shows the former certificate")
            end
          end
          all_are_let_in(server, list)
        end
      else
        local report = assert(plan:check(clients_of(list)))
        assert.is_true(report.ok, tostring(report))
        accept(server, step.bundle)
      end
      all_are_let_in(server, list)
      assert.equal("ok", cause(server, witness, orders))
      if step.action == "overlap" then
        table.insert(list, early)
        all_are_let_in(server, list)
      end
      assert(plan:done("the probes"))
    until not plan:next()
    assert.equal("client_ca_unknown", cause(server, issue(old_ca, "forgotten")))
    assert.equal("client_ca_unknown", cause(server, issue(middle_ca, "forgotten")))
  end)

  it("refuses those whom each step of the plan names, when it is done before its turn", function()
    local list = workers()
    local plan = plan_for(list)
    assert.same({ "early" }, names(plan.refused_already))
    local server <close> = frontend(bundle(old_ca))
    local refusing = 0
    for _, step in ipairs(plan) do
      accept(server, step.bundle)
      if step.action ~= "roll_over" then
        assert.same(names(step.refused), refused_by(server, list, "client_ca_unknown"), step.action)
        refusing = refusing + #step.refused
      end
    end
    assert.equal(3, refusing)
  end)

  it("is stopped by rotation.check where the old CA goes too early, and by the probe after it", function()
    local list = workers()
    local both, final = bundle(old_ca, new_ca), bundle(new_ca)
    local server <close> = frontend(both)
    list[1].leaf = issue(new_ca, "billing") -- one has changed, two have not
    local report = assert(rotation.check(both, final, clients_of(list)))
    assert.is_false(report.ok)
    assert.same({ "mailer", "reports" }, names(report.refused))
    accept(server, final)
    assert.same({ "mailer", "reports" }, refused_by(server, list, "client_ca_unknown"))
    -- The cure: the old CA comes back.
    assert.is_true(assert(rotation.check(final, both, clients_of(list))).ok)
    accept(server, both)
    all_are_let_in(server, list)
  end)

  it("is stopped by rotation.check where the overlap is left out, and by the probe after it", function()
    local list = workers()
    local current, final = bundle(old_ca), bundle(new_ca)
    local server <close> = frontend(current)
    local report = assert(rotation.check(current, final, clients_of(list)))
    assert.is_false(report.ok)
    assert.same({ "billing", "mailer", "reports" }, names(report.refused))
    accept(server, final)
    assert.same({ "billing", "mailer", "reports" }, refused_by(server, list, "client_ca_unknown"))
  end)

  it("lets an open connection live that rotation.check gives up, until the connection is closed", function()
    local both, final = bundle(old_ca, new_ca), bundle(new_ca)
    local worker = { name = "mailer", leaf = issue(old_ca, "mailer") }
    local server <close> = frontend(both, { connection_age = 1 })
    local client <close> = probe_core.client {
      target = "ipv4:" .. server:address(), server_name = "localhost", roots = pki.server_ca.certificate:pem(),
      certificate = worker.leaf.chain:pem(), key = worker.leaf.key:pem(), seconds = 60,
    }
    assert.equal("ready", client:wait(60))
    assert.equal(0, client:ask("describe_namespace", payments, 60).code)
    assert.is_false(assert(rotation.check(both, final, clients_of { worker })).ok)
    accept(server, final)
    assert.equal(0, client:ask("describe_namespace", payments, 60).code, "nothing seems to be wrong yet")
    assert.equal("client_ca_unknown", cause(server, worker.leaf), "but the probe makes a connection of its own")
    local given_up = probe_core.now() + 60
    repeat
      assert.is_true(probe_core.now() < given_up, "the connection is still open")
    until client:ask("describe_namespace", payments, 60).code == 14
  end)
end)

describe("a change of filters, carried out on the embedded frontend", function()
  it("locks out exactly those whom tcpki.cloud.filters names before it", function()
    local list = workers()
    local server <close> = frontend(bundle(old_ca, new_ca))
    all_are_let_in(server, list)
    for _, after in ipairs {
      filter { common_name = "*s" }, filter({ common_name = "bill*" }, { common_name = "REPORTS" }),
      filter { common_name = "mailer", organization = "Acme" }, filter { common_name = "*r" }, filter(),
    } do
      local told = names(assert(filters.locked_out(nil, after, clients_of(list))))
      assert(server:reload { cloud = { [payments] = { filters = after } } })
      assert.same(told, refused_by(server, list, "filter_mismatch"), after:json())
      local report = assert(rotation.check(bundle(old_ca, new_ca), bundle(old_ca, new_ca), clients_of(list),
        { filters_before = filter(), filters_after = after }))
      assert.same(told, names(report.refused))
    end
  end)

  it("tells one who is locked out that TLS is fine and the namespace is not", function()
    local worker = issue(old_ca, "billing")
    local server <close> = frontend(bundle(old_ca))
    assert(server:reload { cloud = { [payments] = { filters = filter { common_name = "payments-*" } } } })
    local result = probe.run(pki.options(worker, { address = server:address(), namespace = payments }))
    assert.equal("filter_mismatch", result.cause)
    assert.is_false(result.certain, "a namespace of another name is denied in the same words")
    assert.is_true(result.authenticated)
    assert.equal("Request unauthorized.", result.grpc.message)
    assert.matches("certificate filters", result.hint, 1, true)
  end)
end)

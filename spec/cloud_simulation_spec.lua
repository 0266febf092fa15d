-- What is told before a change in Lua, and what the embedded frontend does after it in C, are to be the same.

local tcpki = require "tcpki"
local certificate = require "tcpki.certificate"
local filters = require "tcpki.cloud.filters"
local pki = require "spec.support.probe_pki"
local probe_core = require "tcpki.probe.core"


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
    for i = 1, 120 do leaves[i] = random_certificate() end
    for i = 1, 120 do
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
    assert.is_true(count[true] > 300 and count[false] > 300, "both verdicts were tried")
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

--- All rules of Temporal Cloud over a bundle and its clients, beside the verification of their chains in plain C.

local tcpki = require "tcpki"
local compare = require "compare"
local plain = require "plain"
local report = require "report"

local AIM = 2
local CLIENTS = 1000
local cloud = tcpki.cloud

local function authority(name, above)
  return assert(above and above:subordinate { subject = { CN = name, O = "Acme" } }
    or tcpki.authority.new { subject = { CN = name, O = "Acme" } })
end

-- 16 certificates: roots, and as many intermediates below them where there are to be any.
local function make(levels)
  local issuers, bundle = {}, tcpki.bundle.new()
  for i = 1, 16 // levels do
    local root = authority("Bench Root " .. i)
    bundle:add(root.certificate)
    issuers[i] = root
    if levels == 2 then
      issuers[i] = authority("Bench Issuing CA " .. i, root)
      bundle:add(issuers[i].certificate)
    end
  end
  local key = assert(tcpki.key.generate())
  local texts, chains = {}, {}
  for i = 1, CLIENTS do
    local leaf = assert(issuers[i % #issuers + 1]:issue {
      subject = { CN = ("worker-%d.a1b2c"):format(i), O = "Acme" }, usage = "client", key = key,
    })
    texts[i] = leaf.chain:pem()
    chains[i] = assert(tcpki.chain.parse(texts[i]))
  end
  return assert(tcpki.bundle.parse(bundle:pem())), texts, chains
end

-- 25, of which a client meets the first few in vain.
local rows = {}
for i = 1, 24 do
  rows[i] = { common_name = ("worker-%d*"):format(i), organization = i % 3 == 0 and "Acme" or "Other" }
end
rows[25] = { organization = "Acme" }
local filters = assert(cloud.filters.new(rows))

local function check(bundle, clients, n)
  for _ = 1, n do
    local first = assert(cloud.check_bundle(bundle, { filters = filters }))
    local second = assert(cloud.check_clients { clients = clients, accepted = bundle, filters = filters })
    assert(#first == 0 and #second == 0, "no figure for what is not clean")
  end
end

local lines = {}
local function row(name, ours, theirs)
  local results = compare.rounds({ { name = "plain C", run = theirs }, { name = "tcpki", run = ours } }, { batch = 1 })
  local ratio = results[2].cpu_ratio
  lines[#lines + 1] = { name, report.milliseconds(results[2].cpu), report.milliseconds(results[1].cpu),
    report.ratio(ratio), ("<= %.1f"):format(AIM), report.verdict(ratio.median <= AIM) }
end

for levels = 2, 1, -1 do
  local bundle, texts, chains = make(levels)
  local c = plain.many(bundle:pem(), texts)
  local below = levels == 2 and "below an intermediate" or "below a root"
  row("clients " .. below .. ", parsed", function(n) check(bundle, chains, n) end,
    function(n) plain.verify_many(c, n) end)
  row("clients " .. below .. ", as PEM", function(n) check(bundle, texts, n) end,
    function(n) plain.verify_many_texts(c, texts, n) end)
end

report.print(("Temporal Cloud: 16 CAs, %d clients, 25 filters: every rule, and over verifying the chains in C; "
  .. "less is better"):format(CLIENTS), { "", "tcpki", "plain C", "CPU of plain C", "aim", "" }, lines)

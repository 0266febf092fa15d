--- PEM: the scanner beside libcrypto's reader and beside reading the file, and what the worst texts cost.

local core = require "tcpki.core"
local tcpki = require "tcpki"
local armour = require "armour"
local compare = require "compare"
local meter = require "meter"
local report = require "report"

local pem = tcpki.pem
-- bench/run works in the root of the repository.
package.path = package.path .. ";./?.lua"
local worst_pem = require "spec.support.worst_pem"

local MEGABYTE = 1000000

-- ---- a good bundle of 10 000 certificates ----

local CERTIFICATES, DISTINCT = 10000, 100
local authority = assert(tcpki.authority.new { subject = { CN = "Bench Root", O = "Acme" } })
local list = {}
for i = 1, DISTINCT do
  list[i] = assert(authority:issue {
    common_name = "payments." .. i, usage = "peer", key = authority.key,
    subject_alt_names = { "worker-1.payments.example.com", "worker.payments.svc.cluster.local" },
  }).certificate:pem()
end
local bundle = table.concat(list):rep(CERTIFICATES // DISTINCT)
local path = os.tmpname()
assert(io.open(path, "wb")):write(bundle):close()

local function read()
  local file = assert(io.open(path, "rb"))
  local text = file:read "a"
  file:close()
  return text
end

local function every(work)
  return function(n)
    for _ = 1, n do work() end
  end
end

local peers = {
  { name = "pem.blocks", run = every(function() assert(#assert(pem.blocks(bundle)) == CERTIFICATES) end) },
  { name = "pem.scan", run = every(function() assert(#pem.scan(bundle) == CERTIFICATES) end) },
  { name = "a PEM_read_bio loop, in C", run = function(n) armour.blocks(bundle, CERTIFICATES, n) end },
  { name = "all certificates, as bundle.parse does",
    run = every(function() assert(core.certificate.parse_all(bundle)) end) },
  { name = "a PEM_read_bio_X509 loop, in C", run = function(n) armour.certificates(bundle, CERTIFICATES, n) end },
  { name = "reading the file", run = every(function() assert(#read() == #bundle) end) },
}

-- The slow ones among them would make a round of the others as long as themselves.
local results = compare.rounds({ peers[1], peers[2], peers[3], peers[6] })
local slow = compare.rounds({ peers[4], peers[5] }, { rounds = 5, batch = 1 })
os.remove(path)

local function rate(result)
  return ("%.0f MB/s"):format(#bundle / result.cpu / MEGABYTE)
end

local rows = { { results[1].name, rate(results[1]), report.ratio(results[3].cpu_ratio), ">= 1",
  report.verdict(results[3].cpu_ratio.median >= 1) } }
for i = 2, 4 do
  rows[i] = { results[i].name, rate(results[i]) }
end
rows[5] = { slow[1].name, rate(slow[1]), report.ratio(slow[2].cpu_ratio), ">= 0.95",
  report.verdict(slow[2].cpu_ratio.median >= 0.95) }
rows[6] = { slow[2].name, rate(slow[2]) }

report.print(("A bundle of %d certificates, %.1f MB; of the loop: how many times as fast as the loop in C"):format(
  CERTIFICATES, #bundle / MEGABYTE), { "", "", "of the loop", "aim", "" }, rows)

-- ---- memory ----

local function kept(work)
  collectgarbage()
  collectgarbage "stop"
  local before = collectgarbage "count"
  local result = work()
  local bytes = (collectgarbage "count" - before) * 1024
  collectgarbage "restart"
  return result and bytes
end

local armour_alone = ("-----BEGIN "):rep(100000)
print(("\nMemory of the result, by Lua's count, over that of the text: pem.scan %.2f, pem.blocks %.2f;")
  :format(kept(function() return pem.scan(bundle) end) / #bundle, kept(function() return pem.blocks(bundle) end)
    / #bundle))
print(("of nothing but BEGIN, a block each time: pem.scan %.0f. Beside it C holds the DER of one block at a time,")
  :format(kept(function() return pem.scan(armour_alone) end) / #armour_alone))
print "three quarters of that block (fuzz/pem_scan.c asserts it)."

-- ---- the worst texts ----

local SIZES = { 1, 2, 4, 8 }
local SHOWN = 8

local function seconds(work, text)
  collectgarbage()
  local begun = meter.cpu()
  work(text)
  return meter.cpu() - begun
end

local function worst(name, work, sizes)
  local costs = {}
  for _, case in ipairs(worst_pem) do
    local cost = { name = case.name }
    for i, size in ipairs(sizes) do
      cost[i] = seconds(work, case.make(math.floor(size * MEGABYTE))) / size
    end
    costs[#costs + 1] = cost
  end
  table.sort(costs, function(a, b) return a[#sizes] > b[#sizes] end)
  local head, table_rows = { "" }, {}
  for i, size in ipairs(sizes) do
    head[i + 1] = ("%g MB"):format(size)
  end
  for i = 1, SHOWN do
    table_rows[i] = { costs[i].name }
    for j = 1, #sizes do
      table_rows[i][j + 1] = ("%.0f ms"):format(costs[i][j] * 1000)
    end
  end
  report.print(("%s of the %d worst of %d texts: CPU for each megabyte; linear is the same in each column"):format(name,
    SHOWN, #worst_pem), head, table_rows)
end

worst("pem.scan", pem.scan, SIZES)
worst("pem.lint", pem.lint, { 0.05, 0.1, 0.2, 0.4 })
worst("pem.repair", pem.repair, { 0.05, 0.1, 0.2, 0.4 })

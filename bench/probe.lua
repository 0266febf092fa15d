--- The probe in this process, beside a bare client of gRPC core and a raw TLS handshake; the
-- frontend is in another.

local party = require "party"
local to = party.start(arg[1])

local probe = require "tcpki.probe"
local compare = require "compare"
local report = require "report"
local wire = require "wire"

local AIM = 1.1

local function probe_with(certificate, server_ca)
  local result = probe.run {
    address = to.address .. ":" .. to.port, server_name = to.server_name,
    namespace = to.namespace, certificate = certificate, key = to.key, server_ca = server_ca,
  }
  if not result.ok then error(tostring(result)) end
end

local function ours(n)
  for _ = 1, n do probe_with(to.certificate, to.roots) end
end

-- The probe remembers texts that it found good; a remark makes each of these a new one.
local remarks = 0
local function unknown(n)
  for _ = 1, n do
    remarks = remarks + 1
    local remark = ("# %d\n"):format(remarks)
    probe_with(remark .. to.certificate, remark .. to.roots)
  end
end

local results = compare.rounds({
  { name = "bare gRPC core, same arguments and RPCs", run = function(n) wire.bare(to, n) end },
  { name = "tcpki.probe.run", run = ours },
  { name = "tcpki.probe.run, other credentials every time", run = unknown },
  { name = "raw libssl handshake", run = function(n) wire.handshake(to, n) end },
}, { batch = 10 })

-- ---- what a refusal costs ----

local function refused(certificate, key, trace)
  return function(n)
    for _ = 1, n do
      local result = probe.run {
        address = to.address .. ":" .. to.port, server_name = to.server_name, namespace = to.namespace,
        certificate = certificate, key = key, server_ca = to.roots, trace = trace,
      }
      if result.ok then error "it was to be refused" end
    end
  end
end

local refusals = compare.rounds({
  { name = "accepted", run = ours },
  { name = "refused: a certificate of another CA", run = refused(to.stranger.certificate, to.stranger.key) },
  { name = "refused: no certificate", run = refused() },
  { name = "refused, and not traced", run = refused(to.stranger.certificate, to.stranger.key, "never") },
}, { batch = 10 })
to.close()

local rows = {}
for i, result in ipairs(results) do
  rows[i] = { result.name, report.milliseconds(result.cpu), report.milliseconds(result.wall) }
  if i > 1 then
    rows[i][4], rows[i][5] = report.ratio(result.cpu_ratio), report.ratio(result.wall_ratio)
  end
end
local cpu, wall = results[2].cpu_ratio.median, results[2].wall_ratio.median
rows[2][6], rows[2][7] = ("<= %.1f"):format(AIM), report.verdict(cpu <= AIM and wall <= AIM)

report.print("The probe in process: time of one, and over that of bare gRPC core; less is better", {
  "", "CPU", "wall", "CPU of bare", "wall of bare", "aim", "",
}, rows)

local REFUSED_AIM = 1.1
rows = {}
for i, result in ipairs(refusals) do
  rows[i] = { result.name, report.milliseconds(result.cpu), report.milliseconds(result.wall) }
  if i > 1 then
    rows[i][4], rows[i][5] = report.ratio(result.cpu_ratio), report.ratio(result.wall_ratio)
  end
end
rows[2][6], rows[2][7] = ("<= %.1f"):format(REFUSED_AIM), report.verdict(refusals[2].wall_ratio.median <= REFUSED_AIM)
report.print("A probe that is refused: time of one, and over that of one that is accepted; less is better", {
  "", "CPU", "wall", "CPU of accepted", "wall of accepted", "aim", "",
}, rows)

--- The probe in this process, beside a bare client of gRPC core and a raw TLS handshake; the
-- frontend is in another.

local party = require "party"
local to = party.start(arg[1])

local probe = require "tcpki.probe"
local compare = require "compare"
local report = require "report"
local wire = require "wire"

local AIM = 1.1

local function run(n)
  for _ = 1, n do
    local result = probe.run {
      address = to.address .. ":" .. to.port, server_name = to.server_name,
      namespace = to.namespace, certificate = to.certificate, key = to.key, server_ca = to.roots,
    }
    if not result.ok then error(tostring(result)) end
  end
end

local results = compare.rounds({
  { name = "tcpki.probe.run", run = run },
  { name = "bare gRPC core, same arguments and RPCs", run = function(n) wire.bare(to, n) end },
  { name = "raw libssl handshake", run = function(n) wire.handshake(to, n) end },
}, { batch = 10 })
to.close()

local rows = {}
for i, result in ipairs(results) do
  rows[i] = { result.name, report.milliseconds(result.cpu), report.milliseconds(result.wall) }
  if i > 1 then
    local cpu, wall = compare.inverse(result.cpu_ratio), compare.inverse(result.wall_ratio)
    table.move({ report.ratio(cpu), report.ratio(wall) }, 1, 2, 4, rows[i])
    if i == 2 then
      table.move({
        ("<= %.1f"):format(AIM), report.verdict(cpu.median <= AIM and wall.median <= AIM),
      }, 1, 2, 6, rows[i])
    end
  end
end

report.print("The probe in process: time of one; ratio = ours over theirs, less is better", {
  "", "CPU", "wall", "CPU ratio", "wall ratio", "aim", "",
}, rows)

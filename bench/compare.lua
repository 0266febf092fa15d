--- Compares ways to do the same work: in one process, interleaved in rounds, so that what the
-- machine does meanwhile meets all of them alike; what counts is the ratio within a round.

local meter = require "meter"

local compare = {}

local ROUNDS = tonumber(os.getenv "BENCH_ROUNDS") or 31
local BATCH_SECONDS = tonumber(os.getenv "BENCH_BATCH") or 0.05

local function sorted(values)
  local copy = table.move(values, 1, #values, 1, {})
  table.sort(copy)
  return copy
end

--- The value below which a share of the values lies.
function compare.quantile(values, share)
  local copy = sorted(values)
  return copy[math.max(1, math.min(#copy, math.floor(share * (#copy - 1) + 1.5)))]
end

local function median(values)
  return compare.quantile(values, 0.5)
end

--- The median, and between what eight of ten values lie.
function compare.summary(values)
  return {
    median = median(values), low = compare.quantile(values, 0.1),
    high = compare.quantile(values, 0.9),
  }
end

-- Garbage is part of the work that made it: it is collected before the clock stops. What others
-- left is collected before it starts.
local function timed(run, n)
  collectgarbage()
  local wall, cpu = meter.wall(), meter.cpu()
  run(n)
  collectgarbage()
  return meter.cpu() - cpu, meter.wall() - wall
end

local function batch_size(run)
  local n = 1
  while true do
    local cpu, wall = timed(run, n)
    local seconds = math.max(cpu, wall)
    if seconds > BATCH_SECONDS / 4 then
      return math.max(1, math.floor(n * BATCH_SECONDS / seconds))
    end
    n = n * 4
  end
end

--- Runs all peers in rounds.
-- @tparam {table,…} peers `{ name =, run = function(n) }`; the others are compared with the first,
-- and one that has `skipped` instead of `run` is carried along
-- @tparam[opt] table given `rounds`, `batch`
-- @treturn {table,…} a peer each: `name`, `cpu` and `wall` (median seconds per call), and,
-- but for the first, `cpu_ratio` and `wall_ratio` { median =, low =, high = }: its time over that
-- of the first
function compare.rounds(peers, given)
  given = given or {}
  local rounds = given.rounds or ROUNDS
  local n = given.batch or batch_size(peers[1].run)
  local cpu, wall = {}, {}
  for i, peer in ipairs(peers) do
    cpu[i], wall[i] = {}, {}
    if peer.run then peer.run(math.max(1, n // 4)) end
  end
  for round = 1, rounds do
    for step = 1, #peers do
      -- Everyone is first in turn, and follows everyone.
      local i = (round + step) % #peers + 1
      if round % 2 == 0 then i = #peers + 1 - i end
      if peers[i].run then
        cpu[i][round], wall[i][round] = timed(peers[i].run, n)
      end
    end
  end
  local function ratio(values, i)
    local ratios = {}
    for round = 1, rounds do ratios[round] = values[i][round] / values[1][round] end
    return compare.summary(ratios)
  end
  local results = { calls = n, rounds = rounds }
  for i, peer in ipairs(peers) do
    results[i] = { name = peer.name, skipped = peer.skipped }
    if peer.run then
      results[i].cpu, results[i].wall = median(cpu[i]) / n, median(wall[i]) / n
      if i > 1 then results[i].cpu_ratio, results[i].wall_ratio = ratio(cpu, i), ratio(wall, i) end
    end
  end
  return results
end

return compare

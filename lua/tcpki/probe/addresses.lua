--- Every address of a name, each probed with the name's SNI and authority: which one is not like the others.
-- @module tcpki.probe.addresses
-- @local

local address = require "tcpki.probe.address"
local copy = require "tcpki.probe.copy"
local probe_core = require "tcpki.probe.core"
local result = require "tcpki.probe.result"
local together = require "tcpki.probe.together"
local warnings = require "tcpki.probe.warnings"

local addresses = {}

-- At once: more would measure how they wait for each other.
local MOST = 8

--- Whether a value is what the option `addresses` takes.
-- @param value
-- @treturn boolean
function addresses.is_choice(value)
  if value == "first" or value == "all" then return true end
  if type(value) ~= "table" or #value == 0 then return false end
  for _, one in ipairs(value) do
    if type(one) ~= "string" or not address.parse_numeric(one) then return false end
  end
  return true
end

--- What the option `addresses` says.
-- @tparam ?string|table choice as checked
-- @treturn ?{address,…} those that stand in the place of the resolver's
-- @treturn boolean whether each is to be probed
function addresses.chosen(choice)
  if type(choice) ~= "table" then return nil, choice == "all" end
  local given = {}
  for i, one in ipairs(choice) do given[i] = address.parse_numeric(one) end
  return given, true
end

-- ---- which is not like the others ----

-- What most of them have; of those that are as frequent, what comes first.
local function usual(list, of)
  local count, best, most = {}, nil, 0
  for _, one in ipairs(list) do
    local value = of(one)
    if value ~= nil then count[value] = (count[value] or 0) + 1 end
  end
  for _, one in ipairs(list) do
    local value = of(one)
    if value ~= nil and count[value] > most then best, most = value, count[value] end
  end
  return best
end

local aspects = {
  { name = "outcome", of = function(one) return one.cause end },
  { name = "certificate", of = function(one) return one.server_certificate end },
}

local function compare(list)
  local well = {}
  for _, one in ipairs(list) do
    one.differs = {}
    if one.ok then well[#well + 1] = one end
  end
  for _, aspect in ipairs(aspects) do
    -- Where some are well, it is their certificate that the others should have.
    local expected = aspect.name == "certificate" and usual(well, aspect.of) or usual(list, aspect.of)
    for _, one in ipairs(list) do
      local value = aspect.of(one)
      if value ~= nil and value ~= expected then one.differs[#one.differs + 1] = aspect.name end
    end
  end
end

-- This machine has no way to an address of that kind (a host without IPv6): that says nothing of the server.
local function has_no_route(one)
  if one.stage ~= "connect" then return false end
  local said = one.trace and one.trace.system_message or one.grpc and one.grpc.message or ""
  for _, text in ipairs { "[Nn]etwork.-unreachable", "[Aa]ddress not available", "Cannot assign requested address" } do
    if said:find(text) then return true end
  end
  return false
end

local function leaf_of(one)
  local leaf = one.peer and one.peer.certificates[1]
  return leaf and leaf:fingerprint()
end

-- The result of all: that of the first that is not well, or of the first.
local function gather(list, task)
  local counted, chosen, ok, authenticated = 0, nil, true, true
  for _, one in ipairs(list) do
    one.no_route = has_no_route(one) or nil
    if not one.no_route then
      counted = counted + 1
      if not one.ok and (ok or not chosen) then chosen = one end
      ok, authenticated = ok and one.ok, authenticated and one.authenticated
    end
  end
  if counted == 0 then ok, authenticated = false, false end
  for _, one in ipairs(list) do
    if not chosen and (counted == 0 or not one.no_route) then chosen = one end
  end
  local all = setmetatable(copy(chosen), getmetatable(chosen))
  all.ok, all.authenticated, all.addresses = ok, authenticated, list
  all.differs, all.no_route = nil, nil
  -- The times of the whole; those of each are its own.
  all.timings = copy(chosen.timings)
  warnings.add_addresses(all)
  return result.finish(all, task)
end

--- Probes each address.
-- @tparam table task
-- @tparam {address,…} list
-- @tparam function probe from a task and addresses to a result
-- @treturn table the result of the first address that is not well, or of the first; `ok` and `authenticated` only where
-- all are; `addresses`: the result of each, in the resolver's order, with `server_certificate` (fingerprint), `differs`
-- (what most others have otherwise: "outcome", "certificate"), and `no_route` where this machine cannot reach such
-- addresses at all, which does not count
function addresses.probe(task, list, probe)
  local rounds = (#list + MOST - 1) // MOST
  local whole = task.deadline - probe_core.now()
  local steps = {}
  for i, where in ipairs(list) do
    steps[i] = function()
      local own = copy(task)
      own.started = probe_core.now()
      -- One that hangs must leave the rounds after it their time.
      own.deadline = math.min(task.deadline, own.started + whole / rounds)
      return probe(own, { where })
    end
  end
  local results = together.run(steps, { most = MOST })
  for _, one in ipairs(results) do one.server_certificate = leaf_of(one) end
  compare(results)
  return gather(results, task)
end

return addresses

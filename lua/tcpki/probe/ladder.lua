--- Climbs from a name to an answered RPC, and brings back what was seen; judges nothing.
--
-- The verdict is gRPC core's own: its connection, with the user's bytes, and its RPC. A trace is a
-- second connection that explains; it is made when gRPC core failed, or began to hang, or always.
-- @module tcpki.probe.ladder

local probe_core = require "tcpki.probe.core"
local address = require "tcpki.probe.address"
local together = require "tcpki.probe.together"
local trace = require "tcpki.probe.trace"

local ladder = {}

-- A trace beside a failure that came at once need not wait for a server that hangs meanwhile.
local TRACE_AT_LEAST = 2
local TRACE_TIMES_LONGER = 10

local function left(deadline)
  return math.max(deadline - probe_core.now(), 0)
end

-- late: by how many seconds it sets out later than gRPC core, whose stages it shall measure; answer: gRPC core's.
local function start_trace(task, where, seconds, late, answer)
  local limits = task.limits or {}
  local function limit(stage)
    return limits[stage] and math.max(limits[stage] - (late or 0), 0.001)
  end
  return trace.start {
    ask_http = trace.is_http(answer), address = where.text,
    port = where.port or task.port, server_name = task.server_name, seconds = seconds,
    connect_seconds = limit "connect", tls_seconds = limit "tls", settings_seconds = limit "settings",
    roots = task.material.roots, certificate = task.material.certificate,
    key = task.material.key,
  }
end

-- Whether a connection to the address stands, as far as a trace that is over knows.
local function is_connected(tracer)
  local record = tracer and tracer:wait(0)
  return record ~= nil and record.timings.connect ~= nil
end

-- Whether a trace hung in one stage for as long as that stage may last.
local function is_hanging(record)
  return record.ended == "silent" or record.ended == "unreached" and record.system == "timeout"
end

-- The seconds that TCP, TLS and SETTINGS may take together, and the shortest of the three; nil where there is no limit.
local function limits_of(task)
  local limits, sum, least = task.limits or {}, 0, nil
  for _, stage in ipairs { "connect", "tls", "settings" } do
    local limit = limits[stage]
    sum = sum + (limit or math.huge)
    least = limit and math.min(limit, least or limit) or least
  end
  return sum, least
end

-- Waits for gRPC core. Half-way, a trace sets out to see where it hangs. Where another address
-- waits, it gets its turn after a share of the time, unless this one is connected at least.
local function connect(task, where, client, seen, open)
  local now = probe_core.now()
  local sum, least = limits_of(task)
  local share = math.min((task.deadline - now) / seen.share, sum)
  local state = together.wait(client, math.min(share, least or share) / 2)
  local tracer
  if state == "connecting" and task.trace ~= "never" then
    tracer = start_trace(task, where, least and left(task.deadline) or share * 0.45, probe_core.now() - now)
    open[1] = tracer
  end
  if state == "connecting" and tracer and least then
    -- gRPC core does not tell its stages apart: the trace does, and each of its stages has its limit.
    state = together.wait_beside(client, tracer, left(now + share), is_hanging)
  elseif state == "connecting" then
    state = together.wait(client, left(now + share))
  end
  if state == "connecting" and not least and is_connected(tracer) then
    state = together.wait(client, left(task.deadline))
  end
  return state
end

local function finish_trace(task, where, seen, open)
  local seconds, tracer = left(task.deadline), open[1]
  if not tracer then
    seconds = math.min(seconds, math.max(TRACE_AT_LEAST, TRACE_TIMES_LONGER * seen.elapsed))
    tracer = start_trace(task, where, seconds, 0, seen.system)
    open[1] = tracer
  end
  -- A little longer than it may take: its end is the news.
  return together.trace(tracer, seconds + 0.25)
end

-- Traces that end with the attempt, however it ends: also in the middle of a wait, where nobody waits for it any more.
local traces = {
  __close = function(open)
    for _, tracer in ipairs(open) do tracer:close() end
  end,
}

-- How long one RPC may take.
local function patience(task)
  return math.min(left(task.deadline), task.limits and task.limits.rpc or math.huge)
end

local function ask(task, client, seen)
  seen.system = together.ask(client, "system_info", nil, patience(task))
  seen.timings.rpc = seen.system.seconds
  if seen.system.code ~= 0 then return end
  if task.namespace then
    seen.described = together.ask(client, "describe_namespace", task.namespace, patience(task))
    seen.timings.namespace = seen.described.seconds
  end
  if task.health then
    seen.health = together.ask(client, "health", task.health, patience(task))
    seen.timings.health = seen.health.seconds
  end
end

local function attempt(task, where, share)
  local seen = {
    peer = address.join(where.text, where.ipv6, where.port or task.port), share = share, timings = {},
  }
  local start = probe_core.now()
  local client <close> = probe_core.client {
    target = address.target(where.text, where.ipv6, where.port or task.port),
    server_name = task.server_name, seconds = left(task.deadline), roots = task.material.roots,
    certificate = task.material.certificate, key = task.material.key,
  }
  local open <close> = setmetatable({}, traces)
  local state = connect(task, where, client, seen, open)
  seen.state = state
  seen.elapsed = probe_core.now() - start
  seen.timings[state == "ready" and "ready" or "tried"] = seen.elapsed
  if state == "ready" then
    ask(task, client, seen)
  elseif state == "failed" then
    -- Comes back at once, with what became of the connection.
    seen.system = together.ask(client, "system_info", nil, 1)
  end
  local explained = task.trace == "always"
    or task.trace == "on_failure" and not (seen.system and seen.system.answered)
  -- One that has no time left would tell of its own hurry only.
  explained = explained and (open[1] ~= nil or left(task.deadline) > 0)
  if explained then seen.trace = finish_trace(task, where, seen, open) end
  return seen
end

-- Whether the next address may fare better: this one was never connected to.
local function is_next(seen)
  if seen.state == "ready" then return false end
  if seen.trace then return seen.trace.ended == "unreached" end
  local message = seen.system and seen.system.message or ""
  return seen.state == "connecting" or message:find "onnection refused" ~= nil
    or message:find "nreachable" ~= nil or message:find "No route to host" ~= nil
end

--- Resolves the host of a task.
-- @tparam table task `host`, `deadline` (of the core's `now`), `limits`; `given`: addresses in the place of the
-- resolver's. Gets `resolve_seconds` and `resolved`, their texts
-- @treturn[1] {address,…} `text` (numeric), `ipv6`, perhaps `port`
-- @treturn[2] nil
-- @treturn[2] table `word`, `message` of the resolver
function ladder.resolve(task)
  if task.given then return task.given end
  local start = probe_core.now()
  local seconds = math.min(left(task.deadline), task.limits and task.limits.resolve or math.huge)
  local list, word, message = probe_core.resolve(task.host, seconds)
  task.resolve_seconds = probe_core.now() - start
  if not list then return nil, { word = word, message = message } end
  task.resolved = {}
  for i, where in ipairs(list) do task.resolved[i] = where.text end
  return list
end

--- Tries addresses in order.
-- @tparam table task `port`, `server_name`, `deadline`, `material`, `namespace`, `health` (service or
-- nil), `trace`, `limits`
-- @tparam {address,…} list of `ladder.resolve`
-- @treturn {attempt,…} the last is the one that counts: `peer`, `state`, `system`, `described`, `health`, `trace`,
-- `timings`
function ladder.climb(task, list)
  local attempts = {}
  for i, where in ipairs(list) do
    local last = attempt(task, where, #list - i + 1)
    attempts[i] = last
    if not is_next(last) or left(task.deadline) == 0 then break end
  end
  return attempts
end

return ladder

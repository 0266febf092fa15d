--- Climbs from a name to an answered RPC, and brings back what was seen; judges nothing.
--
-- The verdict is gRPC core's own: its connection, with the user's bytes, and its RPC. A trace is a
-- second connection that explains; it is made when gRPC core failed, or began to hang, or always.
-- @module tcpki.probe.ladder

local core = require "tcpki.probe.core"
local address = require "tcpki.probe.address"

local ladder = {}

-- A trace beside a failure that came at once need not wait for a server that hangs meanwhile.
local TRACE_AT_LEAST = 2
local TRACE_TIMES_LONGER = 10

local function left(deadline)
  return math.max(deadline - core.now(), 0)
end

local function start_trace(task, where, seconds)
  return core.trace {
    address = where.text, port = task.port, server_name = task.server_name, seconds = seconds,
    roots = task.material.roots, certificate = task.material.certificate,
    key = task.material.key,
  }
end

-- Whether a connection to the address stands, as far as a trace that is over knows.
local function is_connected(tracer)
  local trace = tracer and tracer:wait(0)
  return trace ~= nil and trace.timings.connect ~= nil
end

-- Waits for gRPC core. Half-way, a trace sets out to see where it hangs. Where another address
-- waits, it gets its turn after a share of the time, unless this one is connected at least.
local function connect(task, where, client, seen)
  local now = core.now()
  local share = (task.deadline - now) / seen.share
  local state = client:wait(share / 2)
  local tracer
  if state == "connecting" and task.trace ~= "never" then
    tracer = start_trace(task, where, share * 0.45)
  end
  if state == "connecting" then state = client:wait(now + share - core.now()) end
  if state == "connecting" and is_connected(tracer) then
    state = client:wait(left(task.deadline))
  end
  return state, tracer
end

local function finish_trace(task, where, tracer, elapsed)
  local seconds = left(task.deadline)
  if not tracer then
    seconds = math.min(seconds, math.max(TRACE_AT_LEAST, TRACE_TIMES_LONGER * elapsed))
    tracer = start_trace(task, where, seconds)
  end
  -- A little longer than it may take: its end is the news.
  return tracer:wait(seconds + 0.25), tracer
end

local function ask(task, client, seen)
  seen.system = client:ask("system_info", nil, left(task.deadline))
  seen.timings.rpc = seen.system.seconds
  if seen.system.code ~= 0 then return end
  if task.namespace then
    seen.described = client:ask("describe_namespace", task.namespace, left(task.deadline))
    seen.timings.namespace = seen.described.seconds
  end
  if task.health then
    seen.health = client:ask("health", task.health, left(task.deadline))
    seen.timings.health = seen.health.seconds
  end
end

local function attempt(task, where, share)
  local seen = {
    peer = address.join(where.text, where.ipv6, task.port), share = share, timings = {},
  }
  local start = core.now()
  local client <close> = core.client {
    target = address.target(where.text, where.ipv6, task.port),
    server_name = task.server_name, seconds = left(task.deadline), roots = task.material.roots,
    certificate = task.material.certificate, key = task.material.key,
  }
  local state, tracer = connect(task, where, client, seen)
  local _ <close> = tracer
  seen.state = state
  seen.elapsed = core.now() - start
  if state == "ready" then
    seen.timings.ready = seen.elapsed
    ask(task, client, seen)
  elseif state == "failed" then
    -- Comes back at once, with what became of the connection.
    seen.system = client:ask("system_info", nil, 1)
  end
  local explained = task.trace == "always"
    or task.trace == "on_failure" and not (seen.system and seen.system.answered)
  if explained then
    local last
    seen.trace, last = finish_trace(task, where, tracer, seen.elapsed)
    if last ~= tracer then last:close() end
  end
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

--- Resolves the host and tries its addresses in order.
-- @tparam table task `host`, `port`, `server_name`, `deadline` (of `core.now`), `material`,
-- `namespace`, `health` (service or nil), `trace`
-- @treturn table `resolve_fault` ({ word, message }) or `attempts`, an array whose last is the
-- one that counts: `peer`, `state`, `system`, `described`, `health`, `trace`, `timings`
function ladder.climb(task)
  local start = core.now()
  local list, word, message = core.resolve(task.host, left(task.deadline))
  local seen = { resolve_seconds = core.now() - start, attempts = {} }
  if not list then
    seen.resolve_fault = { word = word, message = message }
    return seen
  end
  for i, where in ipairs(list) do
    local last = attempt(task, where, #list - i + 1)
    seen.attempts[i] = last
    if not is_next(last) or left(task.deadline) == 0 then break end
  end
  return seen
end

return ladder

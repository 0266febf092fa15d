--- The ladder of a result: what became of each stage, how long it took, and what shows it.
-- @module tcpki.probe.rungs
-- @local

local words = require "tcpki.probe.words"

local rungs = {}

--- The stages in their order.
rungs.stages = { "input", "resolve", "connect", "tls", "settings", "rpc", "namespace" }

local position = {}
for i, stage in ipairs(rungs.stages) do position[stage] = i end

-- ---- what shows that a stage is passed ----

local passed = {}

function passed.input(result)
  return result.certificate and result.certificate.subject or "no client certificate"
end

function passed.resolve(result, task)
  if task.given then return "the addresses were given" end
  return task.resolved and table.concat(task.resolved, ", ") or result.peer_address
end

function passed.connect(result)
  return result.peer_address
end

function passed.tls(result)
  local trace = result.trace
  if not trace or not trace.version then return "gRPC core's handshake" end
  local parts = { (trace.version:gsub("^TLSv", "TLS ")) }
  for _, name in ipairs { "cipher", "group", "alpn" } do parts[#parts + 1] = trace[name] end
  return table.concat(parts, ", ")
end

function passed.settings()
  return "the server's SETTINGS came"
end

function passed.rpc(result)
  return result.server_version and "Temporal " .. result.server_version or result.grpc and result.grpc.name
end

function passed.namespace(result)
  local namespace = result.namespace
  return namespace and ("%s %s"):format(namespace.name, namespace.state)
end

-- ---- what shows that it is not ----

local ends = {
  closed = "it closed the connection", reset = "it reset the connection", settings = "it accepted the connection",
  silent = "it kept silent", untrusted = "its certificate is not trusted", broken = "it does not speak TLS",
  stranger = "it bears another name, or does not speak HTTP/2",
  data = "it answered with other bytes", flood = "it sent messages without end",
}

local function of_trace(trace)
  for _, alert in ipairs(trace.alerts or {}) do
    if alert.level == 2 then
      return ("alert %d, %s, of the %s"):format(alert.number, words.alert[alert.number], alert.from)
    end
  end
  return trace.system_message or ends[trace.ended]
end

local function let_in(control)
  for _, name in ipairs { "without", "stranger" } do
    if control[name].outcome == "let_in" then return "it lets in " .. control[name].who end
  end
end

local function failed(result)
  if result.cause == "ok_not_asked" then return "it asked for no certificate" end
  if result.cause == "ok_not_enforced" then return let_in(result.control) or result.message end
  if result.stage == "rpc" or result.stage == "namespace" then
    local grpc = result.grpc
    return grpc and (grpc.message ~= "" and ("%s: %s"):format(grpc.name, grpc.message) or grpc.name) or result.cause
  end
  return result.trace and of_trace(result.trace) or result.grpc and result.grpc.message or result.message
end

-- ---- the times ----

local function seconds_of(result)
  local timings, trace = result.timings, result.trace
  local traced = trace and trace.timings or {}
  local seconds = {
    input = timings.input, resolve = timings.resolve, connect = traced.connect, tls = traced.tls,
    -- gRPC core tells the time of connect, tls and settings in one.
    settings = traced.settings or timings.ready, rpc = timings.rpc, namespace = timings.namespace,
  }
  -- A trace times what it has passed; what is left it spent where it ended. Of a stage that hung it saw a part only: it
  -- set out when gRPC core had hung there for a while.
  local before = (traced.connect or 0) + (traced.tls or 0)
  if traced.total and not seconds[result.stage] then
    seconds[result.stage] = math.max(traced.total - before, 0)
  end
  local hung = trace and trace.stage == result.stage and (trace.ended == "silent" or trace.system == "timeout")
  if hung and timings.tried then
    seconds[result.stage] = math.max(seconds[result.stage] or 0, timings.tried - before)
  end
  return seconds
end

-- How far gRPC core and the server came, whatever the verdict.
local function furthest(result)
  if result.namespace then return position.namespace end
  if result.server_version or result.authenticated then return position.rpc end
  return 0
end

local function shown(text)
  return text and words.printable(text)
end

-- A rung by its stage. In the metatable, so that who walks the ladder, or writes it as JSON, meets each rung once.
local by_stage = {
  __index = function(ladder, stage)
    local i = position[stage]
    return i and rawget(ladder, i)
  end,
}

--- Builds the ladder.
-- @tparam table result with `ok`, `cause`, `stage`, `timings` and what was seen
-- @tparam table task
-- @treturn {rung,…} `stage`, `state` ("ok", "failed" or "skipped"), `seconds`, `evidence`; each also by its stage.
-- `since = "connect"`: its seconds are those of connect and tls as well
function rungs.of(result, task)
  local ladder, seconds = setmetatable({}, by_stage), seconds_of(result)
  local fault = result.ok and #rungs.stages + 1 or position[result.stage]
  local last = math.max(fault - 1, furthest(result))
  for i, stage in ipairs(rungs.stages) do
    local rung = { stage = stage, state = "skipped" }
    if i == fault then
      rung.state, rung.seconds, rung.evidence = "failed", seconds[stage], shown(failed(result))
    elseif i <= last and not (stage == "namespace" and not seconds[stage]) then
      rung.state, rung.seconds, rung.evidence = "ok", seconds[stage], shown(passed[stage](result, task))
    end
    if not result.trace and stage == "settings" then rung.since = seconds[stage] and "connect" end
    ladder[i] = rung
  end
  return ladder
end

return rungs

--- A result as a person reads it.
-- @module tcpki.probe.report

local printable = require("tcpki.probe.words").printable
local wrap = require("tcpki.report").wrap

local report = {}

local function milliseconds(seconds)
  local ms = seconds * 1000
  if ms >= 10000 then return ("%.1f s"):format(seconds) end
  return (ms < 9.95 and "%.1f ms" or "%.0f ms"):format(ms)
end
report.duration = milliseconds

--- Seconds in the largest fitting unit, for people.
-- @tparam number seconds
-- @treturn string
function report.span(seconds)
  local function say(count, unit)
    count = count // 1 | 0
    return ("%d %s%s"):format(count, unit, count == 1 and "" or "s")
  end
  if seconds >= 2 * 86400 then return say(seconds / 86400, "day") end
  if seconds >= 2 * 3600 then return say(seconds / 3600, "hour") end
  if seconds >= 120 then return say(seconds / 60, "minute") end
  return say(seconds, "second")
end

local function add(lines, ...)
  lines[#lines + 1] = (...):format(select(2, ...))
end

local function rungs(result)
  local parts, timings = {}, result.timings
  local trace = result.trace
  local function rung(name, seconds, more)
    if seconds then
      parts[#parts + 1] = ("%s %s%s"):format(name, milliseconds(seconds), more or "")
    end
  end
  parts[1] = result.stage == "input" and "input failed" or "input ok"
  rung("resolve", timings.resolve)
  if timings.ready then
    rung("connect and tls", timings.ready)
    rung("rpc", timings.rpc)
    rung("namespace", timings.namespace)
    rung("health", timings.health)
  elseif trace then
    rung("connect", trace.timings.connect)
    rung("tls", trace.timings.tls, trace.version and " " .. trace.version)
    local ended = { alert = "refused", settings = "accepted" }
    rung((ended[trace.ended] or trace.ended) .. " after", trace.timings.settings)
  end
  parts[#parts + 1] = result.peer_address or result.address
  return table.concat(parts, " · ")
end

local function describe_success(lines, result)
  local namespace = result.namespace
  add(lines, "  Temporal %s%s", result.server_version and printable(result.server_version) or "of unknown version",
    namespace and (", namespace %s %s"):format(printable(namespace.name), namespace.state) or "")
  if result.certificate then
    add(lines, "  as %s, valid for %s", result.certificate.subject,
      report.span(result.certificate.expires_in))
  else
    add(lines, "  without a client certificate")
  end
end

local function headline(result)
  if result.ok then return "authenticated: " .. result.server_name end
  if result.authenticated then return "authenticated, but " .. result.cause end
  return "not authenticated: " .. result.cause
end

--- The report of a result: a headline, what is so, what to do, and the ladder.
-- @tparam table result of `probe.run`
-- @treturn string
function report.text(result)
  local lines = { headline(result) }
  if result.ok then
    describe_success(lines, result)
  else
    lines[#lines + 1] = wrap(result.message, "  ", "  ")
    if not result.certain and result.candidates then
      lines[#lines + 1] = wrap("Not certain; in order: " .. table.concat(result.candidates, ", ") .. ".", "  ", "    ")
    end
    lines[#lines + 1] = wrap("Do: " .. result.hint, "  ", "    ")
  end
  if result.disagreement then
    lines[#lines + 1] = wrap("But: " .. printable(result.disagreement) .. ".", "  ", "    ")
  end
  lines[#lines + 1] = wrap(rungs(result), "  ", "    ")
  return table.concat(lines, "\n")
end

return report

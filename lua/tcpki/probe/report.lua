--- A result as a person reads it.
-- @module tcpki.probe.report

local printable = require("tcpki.probe.words").printable
local wrap = require("tcpki.report").wrap

local report = {}

--- A time that was measured, for people.
-- @tparam number seconds
-- @treturn string
function report.duration(seconds)
  local ms = seconds * 1000
  if ms >= 10000 then return ("%.1f s"):format(seconds) end
  return (ms < 9.95 and "%.1f ms" or "%.0f ms"):format(ms)
end

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

--- A paragraph of a report, as wide as a terminal.
-- @tparam string text
-- @treturn string
function report.paragraph(text)
  return wrap(printable(text), "  ", "    ")
end

local function add(lines, ...)
  lines[#lines + 1] = (...):format(select(2, ...))
end

local refused = { alert = true, closed = true, reset = true }

-- One rung as people read it; nil where there is nothing to tell.
local function say(rung, result)
  local took = rung.seconds and report.duration(rung.seconds)
  if rung.state == "failed" and not result.cause:find "^ok_" then
    local ended = result.trace and result.trace.ended
    if not took then return rung.stage .. " failed" end
    if rung.stage == "settings" and refused[ended] then return "refused after " .. took end
    return ("%s %s after %s"):format(rung.stage, ended == "silent" and "silent" or "failed", took)
  elseif rung.stage == "input" then
    return "input ok"
  elseif rung.since then
    return "connect and tls " .. took
  elseif rung.stage == "resolve" and took and rung.seconds < 0.00005 then
    return nil -- a numeric address
  end
  local version = rung.stage == "tls" and result.trace and result.trace.version
  return took and rung.stage .. " " .. took .. (version and version:gsub("^TLSv", " TLS ") or "")
end

local function rungs(result)
  local parts = {}
  for _, rung in ipairs(result.ladder) do
    if rung.state ~= "skipped" then parts[#parts + 1] = say(rung, result) end
  end
  if result.timings.health then parts[#parts + 1] = "health " .. report.duration(result.timings.health) end
  parts[#parts + 1] = result.peer_address or result.address
  -- A line may end behind a dot, and nowhere else.
  for i, part in ipairs(parts) do parts[i] = part:gsub(" ", "\1") end
  return (wrap(table.concat(parts, "\1· "), "  ", "    "):gsub("\1", " "))
end

-- What became of each address, and what of it the others have otherwise.
local function describe_addresses(lines, result)
  local widest, certificates = 0, {}
  for _, one in ipairs(result.addresses) do
    widest = math.max(widest, #(one.peer_address or ""))
    if one.server_certificate then certificates[one.server_certificate] = true end
  end
  local several = next(certificates) and next(certificates, (next(certificates))) ~= nil
  for _, one in ipairs(result.addresses) do
    local more = one.no_route and ", no route from here" or ""
    if several and one.server_certificate then more = more .. ", certificate " .. one.server_certificate:sub(1, 16) end
    if #one.differs > 0 then more = more .. ", unlike the others" end
    add(lines, "  %s%s  %s, %s%s", one.peer_address, (" "):rep(widest - #one.peer_address), one.cause,
      report.duration(one.timings.total), more)
  end
end

local outcomes = { let_in = "let in", refused = "refused", unclear = "no verdict" }

local function describe_control(lines, control)
  local parts = {}
  for _, name in ipairs { "without", "stranger" } do
    local one = control[name]
    parts[#parts + 1] = ("%s: %s"):format(one.who, outcomes[one.outcome])
  end
  lines[#lines + 1] = wrap("Control: " .. printable(table.concat(parts, "; ")) .. ".", "  ", "    ")
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
  if result.cause:find "^ok_" then return "nothing proven: " .. result.cause end
  if result.authenticated then return "authenticated, but " .. result.cause end
  return "not authenticated: " .. result.cause
end

--- What is to be said of a cause that is not certain.
-- @tparam table result with `certain` and `candidates`
-- @treturn ?string
function report.doubt(result)
  local candidates = result.candidates
  if result.certain or not candidates then return nil end
  if #candidates == 1 and candidates[1] == result.cause then return "Not certain." end
  return "Not certain; in order: " .. table.concat(candidates, ", ") .. "."
end

local function describe_warnings(lines, result)
  for _, warning in ipairs(result.warnings or {}) do
    lines[#lines + 1] = wrap(("Warning: %s (%s)"):format(warning.message, warning.word), "  ", "    ")
    lines[#lines + 1] = wrap("Do: " .. warning.hint, "    ", "      ")
  end
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
    local doubt = report.doubt(result)
    if doubt then lines[#lines + 1] = wrap(doubt, "  ", "    ") end
    lines[#lines + 1] = wrap("Do: " .. result.hint, "  ", "    ")
  end
  if result.disagreement then
    lines[#lines + 1] = wrap("But: " .. printable(result.disagreement) .. ".", "  ", "    ")
  end
  describe_warnings(lines, result)
  if result.control then describe_control(lines, result.control) end
  if result.addresses then describe_addresses(lines, result) end
  lines[#lines + 1] = rungs(result)
  return table.concat(lines, "\n")
end

return report

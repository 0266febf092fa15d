--- Times as text, in UTC.
-- @module tcpki.date
-- @local

local date = {}

--- For people: `2026-11-21 06:49 UTC`.
-- @tparam integer seconds since the epoch
-- @treturn string
function date.minute(seconds)
  return os.date("!%Y-%m-%d %H:%M UTC", seconds)
end

--- For people, where the hour does not matter: `2026-11-21`.
-- @tparam integer seconds since the epoch
-- @treturn string
function date.day(seconds)
  return os.date("!%Y-%m-%d", seconds)
end

--- For programs: `2026-11-21T06:49:00Z` (RFC 3339).
-- @tparam integer seconds since the epoch
-- @treturn string
function date.rfc3339(seconds)
  return os.date("!%Y-%m-%dT%H:%M:%SZ", seconds)
end

return date

--- certstrap's grammar of lifetimes: `18 months`, `1 year 2 days 3 months 4 hours`.
--
-- A number and a unit (second, minute, hour, day, month, year, with or without s), each unit once, in any order. Years,
-- months and days are those of the calendar, as Go adds them: a month after the 31st of January is the 3rd of March.
-- Where certstrap passes over what it does not know ("1 year 2 weeks" is a year to it) and takes the last of two values
-- of a unit, this one throws.
-- @module tcpki.certstrap.expiry
-- @local

local expiry = {}

-- RFC 5280, section 4.1.2.5: the last moment that a certificate can name.
local LATEST = 253402300799
local MOST = 2147483647

local seconds_of = { second = 1, minute = 60, hour = 3600 }
local units = { second = true, minute = true, hour = true, day = true, month = true, year = true }

-- Days since 1970-01-01 of the first of a month, by the calendar that has years of 365.2425 days: a year begins in
-- March, so that the leap day is its last.
local function days_before(year, month)
  year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
  if month <= 2 then
    year = year - 1
  end
  local era = year // 400
  local in_era = year - era * 400
  local in_year = (153 * (month + (month > 2 and -3 or 9)) + 2) // 5
  return era * 146097 + in_era * 365 + in_era // 4 - in_era // 100 + in_year - 719468
end

local function parse(text)
  local given = {}
  local rest = text:gsub("%s*(%d+)%s*(%l+)", function(number, word)
    local unit = units[word] and word or word:match "^(%l+)s$"
    if not units[unit] or given[unit] or #number > 10 or tonumber(number) > MOST then
      return nil
    end
    given[unit] = math.tointeger(number)
    return ""
  end)
  return not rest:find "[^%s,]" and next(given) and given or nil
end

--- When a lifetime that begins now ends.
-- @tparam string where the function that was called, for the message
-- @tparam string text
-- @tparam ?integer years added to it
-- @tparam integer now seconds since the epoch
-- @treturn integer seconds since the epoch
-- @raise on another text, on no time at all, and on an end beyond the year 9999
function expiry.ends(where, text, years, now)
  local given = parse(years and ("%s %d years"):format(text, years) or text)
  if not given then
    error(("%s: option 'expires' is '%s'%s (it takes numbers and units, each once: 1 year 2 months 3 days 4 hours)")
      :format(where, text, years and " with 'years'" or ""), 4)
  end
  local today = os.date("!*t", now)
  local ends = (days_before(today.year + (given.year or 0), today.month + (given.month or 0)) + today.day - 1
    + (given.day or 0)) * 86400 + now % 86400
  for unit, seconds in pairs(seconds_of) do
    ends = ends + (given[unit] or 0) * seconds
  end
  if ends == now then
    error(("%s: option 'expires' is '%s', which is no time at all"):format(where, text), 4)
  elseif ends > LATEST then
    error(("%s: option 'expires' is '%s', which ends after the year 9999"):format(where, text), 4)
  end
  return ends
end

return expiry

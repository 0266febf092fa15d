--- Durations as Go reads them (time.ParseDuration): "1h30m", "250ms", "0".
-- @module tcpki.server.duration
-- @local

local duration = {}

-- In nanoseconds; the micro sign and the Greek letter are both known.
local units = {
  ns = 1, us = 1000, ["\u{b5}s"] = 1000, ["\u{3bc}s"] = 1000, ms = 1000000, s = 1000000000, m = 60 * 1000000000,
  h = 3600 * 1000000000,
}

local function quoted(text)
  return '"' .. text:gsub('[\\"]', "\\%0") .. '"'
end

--- Reads a duration.
-- @tparam string text
-- @treturn[1] integer nanoseconds
-- @treturn[2] nil
-- @treturn[2] string what Go says
function duration.parse(text)
  local invalid = "time: invalid duration " .. quoted(text)
  local sign, rest = text:match "^([-+]?)(.*)$"
  if rest == "0" then
    return 0
  elseif rest == "" then
    return nil, invalid
  end
  local total = 0
  while rest ~= "" do
    local whole, point, fraction, behind = rest:match "^(%d*)(%.?)(%d*)(.*)$"
    if whole == "" and fraction == "" then
      return nil, invalid
    end
    local unit = behind:match "^[^%d.]+"
    if not unit then
      return nil, ("time: missing unit in duration %s"):format(quoted(text))
    elseif not units[unit] then
      return nil, ("time: unknown unit %s in duration %s"):format(quoted(unit), quoted(text))
    end
    -- More digits than an integer has make a float.
    local amount = whole == "" and 0 or tonumber(whole)
    if math.type(amount) ~= "integer" or amount > math.maxinteger // units[unit] then
      return nil, invalid
    end
    total = total + amount * units[unit]
    if point ~= "" and fraction ~= "" then
      total = total + math.tointeger(tonumber("0." .. fraction) * units[unit] // 1)
    end
    if total < 0 then
      return nil, invalid
    end
    rest = behind:sub(#unit + 1)
  end
  return sign == "-" and -total or total
end

--- Whole seconds, rounded down.
-- @tparam integer nanoseconds
-- @treturn integer
function duration.seconds(nanoseconds)
  return nanoseconds // units.s
end

return duration

--- Checks of option tables: what is wrong in them is a mistake in the program, and throws.
-- @module tcpki.options

local sorted = require "tcpki.sorted"

local options = {}

-- A float with an integral value counts as an integer, as it does for Lua's own libraries.
local function type_of(value)
  if math.type(value) and math.tointeger(value) then
    return "integer"
  end
  local metatable = getmetatable(value)
  local name = type(metatable) == "table" and metatable.__name
  return type(name) == "string" and name or type(value)
end

-- The words of "a|b" as a set, taken apart once.
local words = setmetatable({}, {
  __index = function(sets, expected)
    local set = {}
    for word in expected:gmatch "[^|]+" do
      set[word] = true
    end
    sets[expected] = set
    return set
  end,
})

local function accepts(expected, value)
  local set = words[expected]
  return set[type(value)] or set[type_of(value)] or false
end

--- Throws on a value that is no table, on an unknown option and on a wrong type.
-- @tparam string where the function, for the message
-- @tparam ?table given what the caller passed; nil counts as empty
-- @tparam table known name to kind: types as in `{ days = "integer", key = "tcpki.key|table" }`, or a test with its
-- description, `{ function(value) … end, "a path" }`
-- @tparam[opt=3] integer level whom to blame, as for `error`
-- @treturn table given, or an empty table
function options.check(where, given, known, level)
  level = level or 3
  if given == nil then
    return {}
  end
  if type(given) ~= "table" then
    error(("%s: expected a table of options, not %s"):format(where, type_of(given)), level)
  end
  for name, value in pairs(given) do
    local expected = known[name]
    if not expected then
      error(("%s: unknown option '%s' (known: %s)"):format(where, tostring(name),
        table.concat(sorted(known), ", ")), level)
    end
    local accepted, wanted
    if type(expected) == "table" then
      accepted, wanted = expected[1](value), expected[2]
    else
      accepted, wanted = accepts(expected, value), expected:gsub("|", " or ")
    end
    if not accepted then
      error(("%s: option '%s' must be %s, not %s"):format(where, name, wanted, type_of(value)), level)
    end
  end
  return given
end

--- Throws where two options are given that exclude each other.
-- @tparam string where the function, for the message
-- @tparam table given what the caller passed
-- @tparam table pairs_of_names `{ { "key", "key_path" }, … }`
-- @tparam[opt=3] integer level whom to blame, as for `error`
function options.exclude(where, given, pairs_of_names, level)
  for _, pair in ipairs(pairs_of_names) do
    if given[pair[1]] ~= nil and given[pair[2]] ~= nil then
      error(("%s: pass %s or %s, not both"):format(where, pair[1], pair[2]), level or 3)
    end
  end
end

--- Throws unless the value has the type.
-- @tparam string where the function, for the message
-- @tparam string name of the argument
-- @param value
-- @tparam string expected as in `check`
-- @tparam[opt=3] integer level whom to blame, as for `error`
function options.expect(where, name, value, expected, level)
  if not accepts(expected, value) then
    error(("%s: %s must be %s, not %s"):format(where, name, expected:gsub("|", " or "), type_of(value)), level or 3)
  end
  return value
end

--- Throws unless every value of an array has the type, and none is missing before the last: what follows a
-- hole, left by a read that failed, would be lost in silence.
-- @tparam string where the function, for the message
-- @tparam string name of one of the values
-- @tparam table values
-- @tparam string expected as in `check`
-- @tparam[opt=3] integer level whom to blame, as for `error`
function options.list(where, name, values, expected, level)
  local last = 0
  for index in pairs(values) do
    if math.type(index) == "integer" and index > last then
      last = index
    end
  end
  -- Options where a list is wanted would look like an empty one.
  local field = next(values)
  if last == 0 and field ~= nil and not getmetatable(values) then
    error(("%s: expected a list, not a table with '%s'"):format(where, tostring(field)), level or 3)
  end
  for i = 1, last do
    if not accepts(expected, values[i]) then
      error(("%s: %s %d must be %s, not %s"):format(where, name, i, expected:gsub("|", " or "), type_of(values[i])),
        level or 3)
    end
  end
  return values
end

--- Whether a list has a word.
-- @tparam {string,…} list
-- @tparam string word
-- @treturn boolean
function options.has(list, word)
  for _, other in ipairs(list) do
    if other == word then
      return true
    end
  end
  return false
end

return options

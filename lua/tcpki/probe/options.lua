--- The options of the probe's functions: a mistake in the program throws, and says what is known.
-- @module tcpki.probe.options

local options = {}

-- Anything that gives PEM: a string, or an object of tcpki.
local function is_pem(value)
  if type(value) == "string" then return true end
  if type(value) ~= "table" and type(value) ~= "userdata" then return false end
  local indexed, method = pcall(function() return value.pem end)
  return indexed and type(method) == "function"
end

local kinds = {
  pem = { is_pem, "PEM text or an object with :pem()" },
  text = { function(value) return type(value) == "string" end, "a string" },
  path = {
    function(value) return type(value) == "string" and value ~= "" and not value:find "\0" end,
    "a path",
  },
  name = {
    function(value) return type(value) == "string" and value:find "^[!-~]+$" ~= nil end,
    "a string of printable ASCII without spaces",
  },
  seconds = {
    function(value) return type(value) == "number" and value > 0 and value <= 86400 end,
    "a number of seconds above 0, a day at most",
  },
  boolean = { function(value) return type(value) == "boolean" end, "a boolean" },
  passphrase = {
    function(value) return type(value) == "string" or type(value) == "function" end,
    "a string or a function",
  },
  service = {
    function(value)
      return type(value) == "boolean" or type(value) == "string" and not value:find "\0"
    end,
    "true or the name of a service",
  },
  trace = {
    function(value) return value == "on_failure" or value == "always" or value == "never" end,
    '"on_failure", "always" or "never"',
  },
  names = {
    function(value)
      if type(value) ~= "table" then return false end
      for _, name in ipairs(value) do
        if type(name) ~= "string" then return false end
      end
      return true
    end,
    "an array of strings",
  },
}

local function known(specification)
  local list = {}
  for name in pairs(specification) do list[#list + 1] = name end
  table.sort(list)
  return table.concat(list, ", ")
end

--- Throws unless the options are a table of known names and right kinds.
-- @tparam string where the function, for the message
-- @param given what the caller passed
-- @tparam table specification option name to kind
-- @tparam integer level of the caller to blame, as for `error`
function options.check(where, given, specification, level)
  if type(given) ~= "table" then
    error(("%s: a table of options expected, got %s"):format(where, type(given)), level + 1)
  end
  for name, value in pairs(given) do
    local kind = kinds[specification[name]]
    if not kind then
      error(("%s: unknown option '%s' (known: %s)"):format(where, tostring(name),
        known(specification)), level + 1)
    elseif not kind[1](value) then
      error(("%s: option '%s' must be %s, not %s"):format(where, name, kind[2], type(value)),
        level + 1)
    end
  end
end

--- Throws where two options exclude each other.
-- @tparam string where
-- @tparam table given
-- @tparam table pairs_of_names
-- @tparam integer level
function options.exclude(where, given, pairs_of_names, level)
  for _, pair in ipairs(pairs_of_names) do
    if given[pair[1]] ~= nil and given[pair[2]] ~= nil then
      error(("%s: pass either %s or %s"):format(where, pair[1], pair[2]), level + 1)
    end
  end
end

return options

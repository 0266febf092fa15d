--- The kinds of the probe's options, each a test and its description, as tcpki.options takes them.
-- @module tcpki.probe.kinds

-- Anything that gives PEM: a string, or an object of tcpki.
local function is_pem(value)
  if type(value) == "string" then return true end
  if type(value) ~= "table" and type(value) ~= "userdata" then return false end
  local indexed, method = pcall(function() return value.pem end)
  return indexed and type(method) == "function"
end

local kinds = {
  pem = { is_pem, "PEM text or an object with :pem()" },
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
  addresses = {
    function(value) return require("tcpki.probe.addresses").is_choice(value) end,
    '"first", "all" or an array of numeric addresses',
  },
  control = {
    function(value) return type(value) == "boolean" or type(value) == "table" end,
    "true, false or a table with a certificate and its key",
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

return kinds

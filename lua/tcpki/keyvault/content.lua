--- What a value of JSON is, in a word for a person, where something else was expected.
-- @module tcpki.keyvault.content
-- @local

local json = require "tcpki.json"

local content = {}

-- In order: the first field that it has names it.
local rows = {
  { "kty", "a JSON web key" },
  { "error", "an error of the vault" },
  { "x5t", "a certificate of the vault" },
  { "contentType", "a secret of the vault" },
}

--- @param value as `json.read` gives it
-- @treturn string such as "a JSON web key"
function content.name(value)
  for _, row in ipairs(type(value) == "table" and rows or {}) do
    if value[row[1]] ~= nil then
      return row[2]
    end
  end
  return ("JSON (%s)"):format(json.kind(value))
end

return content

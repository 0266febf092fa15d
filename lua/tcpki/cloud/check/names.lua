--- Distinguished names, compared as Temporal Cloud says that it compares them: without letter case.
--
-- Two names are the same here where X509_NAME_cmp says so (the case of ASCII letters, blanks around and repeated
-- within a value, and the string type do not count), and also where they differ in the case of other letters:
-- X509_NAME_cmp holds É and é for two letters, and nothing says that the Cloud does. The order of the parts counts;
-- that of the attributes of one part does not.
-- @module tcpki.cloud.check.names
-- @local

local fold = require "tcpki.cloud.check.fold"

local names = {}

local function value_of(entry)
  local value = entry.value
  if value:find "%s" then
    value = value:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")
  end
  value = fold(value)
  -- The length keeps values with any bytes apart.
  return entry.type .. "=" .. #value .. ":" .. value
end

--- What is alike for the same names, and for no others.
-- @tparam table name as `certificate:subject()` gives it
-- @treturn string
function names.key(name)
  local parts, part = {}, nil
  for i, entry in ipairs(name) do
    local value = value_of(entry)
    if entry.joined then
      part[#part + 1] = value
      table.sort(part)
      parts[#parts] = table.concat(part, "+")
    else
      parts[#parts + 1] = value
      part = name[i + 1] and name[i + 1].joined and { value } or nil
    end
  end
  return table.concat(parts, ",")
end

return names

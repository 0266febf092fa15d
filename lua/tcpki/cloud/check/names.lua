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
  -- The length keeps values with any bytes apart.
  value = fold(value)
  return ("%s=%d:%s"):format(entry.type, #value, value)
end

--- What is alike for the same names, and for no others.
-- @tparam table name as `certificate:subject()` gives it
-- @treturn string
function names.key(name)
  local parts, part = {}, nil
  for _, entry in ipairs(name) do
    if not entry.joined then
      part = {}
      parts[#parts + 1] = part
    end
    part[#part + 1] = value_of(entry)
  end
  for i, attributes in ipairs(parts) do
    table.sort(attributes)
    parts[i] = table.concat(attributes, "+")
  end
  return table.concat(parts, ",")
end

return names

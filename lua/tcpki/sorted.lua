--- The names of a table in an order that is the same from run to run.
-- @module tcpki.sorted
-- @local

--- @function sorted
-- @tparam table map by strings
-- @treturn {string,…} its names
return function(map)
  local names = {}
  for name in pairs(map) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

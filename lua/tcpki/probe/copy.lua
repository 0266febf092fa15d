--- A table with the fields of one, and over them those of another.
-- @module tcpki.probe.copy
-- @local

--- Copies the fields; nothing below them, and no metatable.
-- @function copy
-- @tparam table given
-- @tparam[opt] table more
-- @treturn table
return function(given, more)
  local copied = {}
  for name, value in pairs(given) do copied[name] = value end
  for name, value in pairs(more or {}) do copied[name] = value end
  return copied
end

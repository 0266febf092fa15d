--- Lists that are made when somebody looks into them: a success has no use for most of what can be said of it.
-- @module tcpki.probe.later
-- @local

local later = {}

--- A list that is made at the first look: an index, `#`, `ipairs` or `pairs`. Who reads it raw before, as `next` and
-- lua-cjson do, finds it empty.
-- @tparam function make gives the list; called once at most
-- @treturn table
function later.list(make)
  local list = {}
  local function fill()
    setmetatable(list, nil)
    local made = make()
    table.move(made, 1, #made, 1, list)
    return list
  end
  return setmetatable(list, {
    __index = function(_, key) return fill()[key] end,
    __len = function() return #fill() end,
    __pairs = function() return next, fill(), nil end,
  })
end

return later

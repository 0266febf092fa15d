--- PEM to the byte: what a text holds, what is wrong with it, and what each client would make of it.
-- @module tcpki.pem

local core = require "tcpki.core"

local pem = {
  scan = core.pem.scan,
  blocks = core.pem.blocks,
  encode = core.pem.encode,
}

-- Loaded at the first use: the module, and the name of the function in it where the module is not the function.
local rooms = {
  lint = { "tcpki.pem.lint", "text" }, lint_file = { "tcpki.pem.lint", "file" }, repair = { "tcpki.pem.repair" },
  quote = { "tcpki.pem.quote" }, verdicts = { "tcpki.pem.verdicts" },
}

return setmetatable(pem, {
  __index = function(self, name)
    if rooms[name] then
      local room, part = require(rooms[name][1]), rooms[name][2]
      self[name] = part and room[part] or room
      return self[name]
    end
  end,
})

--- PEM to the byte: what a text holds, what is wrong with it, and what each client would make of it.
-- @module tcpki.pem

local core = require "tcpki.core"

local pem = {
  scan = core.pem.scan,
  blocks = core.pem.blocks,
  encode = core.pem.encode,
}

local rooms = { lint = "tcpki.pem.lint", repair = "tcpki.pem.repair", quote = "tcpki.pem.quote",
  verdicts = "tcpki.pem.verdicts" }

return setmetatable(pem, {
  __index = function(self, name)
    if rooms[name] then
      self[name] = require(rooms[name])
      return self[name]
    end
  end,
})

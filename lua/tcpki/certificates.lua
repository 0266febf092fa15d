--- What a chain and a bundle have alike: both are arrays of certificates that came from a text or were made.
-- @module tcpki.certificates

local core = require "tcpki.core"
local fault = require "tcpki.fault"
local options = require "tcpki.options"

local certificates = {}

--- Reads all certificates of a file into an object of a room.
-- @tparam string path
-- @tparam function parse the room's own, text to object
-- @param ... what parse takes beside the text
-- @treturn[1] table the object
-- @treturn[2] nil
-- @treturn[2] fault with the path
function certificates.read(path, parse, ...)
  local text, err = core.file.read(path)
  if not text then
    return nil, err
  end
  local object
  object, err = parse(text, ...)
  if not object then
    err.path = path
    return nil, err
  end
  return object
end

--- Gives a room's methods `pem`, `source` and `write`.
-- @tparam table methods
-- @tparam string name of the object, for messages
function certificates.add_methods(methods, name)
  --- Canonical PEM of all certificates, in order.
  function methods:pem()
    local blocks = {}
    for i, certificate in ipairs(self) do
      local block, err = certificate:pem()
      if not block then
        return nil, err
      end
      blocks[i] = block
    end
    return table.concat(blocks)
  end

  --- The text that the certificates were read from, to the byte; nil where they were made.
  function methods:source()
    return self.text
  end

  --- Writes canonical PEM to a file of mode 0644: whole or not at all.
  function methods:write(path, write_options)
    write_options = options.check(name .. ":write", write_options, { overwrite = "boolean" })
    if #self == 0 then
      return fault.fail { code = "empty", message = ("the %s is empty"):format(name), path = path,
        hint = "add a certificate first" }
    end
    local pem, err = self:pem()
    if not pem then
      return nil, err
    end
    return core.file.write(path, pem, { overwrite = write_options.overwrite })
  end
end

return certificates

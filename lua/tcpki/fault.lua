--- The error value: what the world did, where, and what to do.
-- @module tcpki.fault

local core = require "tcpki.core"

local fault = {}

--- Makes a table an error value.
-- @function new
-- @tparam table fields `code` (a stable word), `message`, and where they exist `hint`, `path`, `line`,
-- `column`, `depth`, `subject`, `openssl`
-- @treturn fault the same table
fault.new = core.fault

--- Returns nil and a new error value, so that a function can `return fault.fail{…}`.
-- @tparam table fields as for `new`
-- @treturn nil
-- @treturn fault
function fault.fail(fields)
  return nil, core.fault(fields)
end

return fault

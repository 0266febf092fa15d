-- The manglings of test/readers, for specs: every case of the bases, with what it was made from.

local here = debug.getinfo(1, "S").source:match "^@(.*)/spec/support/" or "."
package.path = package.path .. ";" .. here .. "/test/readers/?.lua"

local manglings = require "manglings"

local support = { named = manglings.named }

--- @tparam table bases list of {name=, text=, pairs=}
-- @treturn function an iterator over {name=, base=, text=}
support.cases = manglings.cases

return support

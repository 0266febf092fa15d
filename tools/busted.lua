-- Runs busted under the interpreter that runs this file. The `busted` command would ask the
-- shebang's `lua`, which on Debian is Lua 5.1.

-- busted exits with the number of failures, of which the system keeps eight bits.
local exit = os.exit
function os.exit(code, close) -- luacheck: ignore 122
  exit(type(code) == "number" and code > 1 and 1 or code, close)
end

-- .busted says which Lua `busted` is to start; that is the one that runs already.
table.insert(arg, 1, "--ignore-lua")
require "busted.runner" { standalone = false }

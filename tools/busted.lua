-- Runs busted under the interpreter that runs this file. The `busted` command would ask the
-- shebang's `lua`, which on Debian is Lua 5.1.
require "busted.runner" { standalone = false }

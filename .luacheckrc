-- Debian's luacheck runs on Lua 5.1, and would check for that if not told.
std = "lua54"
max_line_length = 120
cache = false

include_files = {
  "**/*.lua", "*.rockspec", ".luacheckrc", ".busted", "config.ld",
}
exclude_files = { "build", "lua_modules", ".luarocks" }

files["spec"] = { std = "+busted" }
files[".luacheckrc"] = { std = "+luacheckrc" }
files["config.ld"] = { std = "+ldoc" }
-- every new coroutine gets the hook
files["tools/stress.lua"] = { globals = { "coroutine" } }

-- Debian's luacheck runs on Lua 5.1, and would check for that if not told.
std = "lua54"
max_line_length = 100
cache = false

include_files = {
  "lua", "spec", "examples", "bench", "tools", "test",
  "*.rockspec", ".luacheckrc", ".busted", "config.ld",
}
exclude_files = { "build", "lua_modules", ".luarocks", "spec/fixtures" }

files["spec"] = { std = "+busted" }
-- the collector's host gives its scripts a few functions
files["test/oom"] = { read_globals = { "host" } }

-- A program in a Lua of its own: what it printed, what it wrote to stderr, how it ended.

local party = require "spec.support.probe_party"

local child = {}

-- text is Lua source, arguments are strings.
function child.run(text, ...)
  local directory = party.directory()
  local script = assert(io.open(directory .. "/script.lua", "w"))
  script:write(text)
  script:close()
  local arguments = { ... }
  for i, argument in ipairs(arguments) do arguments[i] = party.quote(argument) end
  local handle = assert(io.popen(
    ("LUA_PATH=%s LUA_CPATH=%s timeout 60 %s %s %s 2>%s"):format(party.quote(package.path),
      party.quote(package.cpath), os.getenv "LUA" or "lua5.4", directory .. "/script.lua",
      table.concat(arguments, " "), directory .. "/stderr")))
  local out = handle:read "a"
  local _, kind, code = handle:close()
  local file = assert(io.open(directory .. "/stderr"))
  local err = file:read "a"
  file:close()
  os.execute("rm -rf " .. party.quote(directory))
  return { out = out, err = err, ended = ("%s %d"):format(kind, code) }
end

return child

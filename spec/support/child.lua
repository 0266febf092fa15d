-- Lua in a process of its own, with the modules that the spec has.
--
--   local ok, output = child.run [[ print(require "tcpki") ]]
--   child.command(code, { as_nobody = true, before = "ulimit -f 1;" })

local child = {}

local working_directory

local function here()
  if not working_directory then
    local handle = assert(io.popen "pwd")
    working_directory = handle:read "l"
    handle:close()
  end
  return working_directory
end

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- LUA_PATH and LUA_CPATH of this process, for a child in any directory.
local function environment()
  local function absolute(path)
    local parts = {}
    for part in path:gmatch "[^;]+" do
      part = part:gsub("^%./", "")
      parts[#parts + 1] = part:sub(1, 1) == "/" and part or here() .. "/" .. part
    end
    return table.concat(parts, ";")
  end
  return ("LUA_PATH=%s LUA_CPATH=%s"):format(quote(absolute(package.path)),
    quote(absolute(package.cpath)))
end

-- The modules where everybody can read them: a clone may lie under a directory that only root enters.
local readable

local function environment_of_nobody()
  if not readable then
    local handle = assert(io.popen "mktemp -d")
    local directory = handle:read "l"
    handle:close()
    local lua = assert(package.searchpath("tcpki", package.path)):match "^(.*)/tcpki/init%.lua$"
    local core = assert(package.searchpath("tcpki.core", package.cpath))
    assert(os.execute(("cp -R %s %s/lua && mkdir %s/tcpki && cp %s %s/tcpki/core.so && chmod -R a+rX %s"):format(
      quote(lua), directory, directory, quote(core), directory, directory)))
    readable = setmetatable({ directory = directory }, {
      __gc = function() os.execute("rm -rf " .. directory) end,
    })
  end
  local directory = readable.directory
  return ("LUA_PATH='%s/lua/?.lua;%s/lua/?/init.lua' LUA_CPATH='%s/?.so'"):format(directory, directory, directory)
end

function child.is_root()
  local handle = assert(io.popen "id -u")
  local user = handle:read "l"
  handle:close()
  return user == "0"
end

-- The command line. `before` are shell words in front, `as_nobody` drops the rights of root.
function child.command(code, options)
  options = options or {}
  local drop, paths = "", nil
  if options.as_nobody and child.is_root() then
    drop = "setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs "
    paths = environment_of_nobody()
  end
  return ("%s %s exec %s%s -e %s"):format(options.before or "", paths or environment(), drop,
    os.getenv "LUA" or "lua5.4", quote(code))
end

-- Runs to the end: whether it succeeded, and what it printed, errors included.
function child.run(code, options)
  local handle = assert(io.popen("exec 2>&1 </dev/null; " .. child.command(code, options)))
  local output = handle:read "a"
  local ok = handle:close()
  return ok == true, output
end

-- Starts it, waits until it has called ready(), and kills it with SIGKILL some seconds later.
-- Returns whether it was still there.
function child.kill_after(seconds, code)
  local mark = os.tmpname()
  os.remove(mark)
  local ok = os.execute(([[
    (%s) </dev/null >/dev/null 2>&1 & pid=$!
    while [ ! -e %s ] && kill -0 $pid 2>/dev/null; do sleep 0.002; done
    sleep %.4f; kill -9 $pid 2>/dev/null; still=$?
    wait $pid 2>/dev/null; exit $still]]):format(child.command(
      ("local function ready() io.open(%q, 'w'):close() end\n"):format(mark) .. code), mark,
    seconds))
  os.remove(mark)
  return ok == true
end

return child

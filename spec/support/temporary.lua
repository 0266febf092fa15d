-- A directory of its own for a spec, and files in it.
--
--   local directory = temporary.directory()       -- removed by directory:remove()
--   directory:path "a.pem"                        -- a path in it
--   directory:file("a.pem", text)                 -- writes the file, gives its path

local temporary = {}

local methods = {}
local metatable = { __index = methods }

-- In memory, where the system has a place for that: thousands of files are synced in no time.
function temporary.in_memory()
  return temporary.directory(os.execute "test -d /dev/shm -a -w /dev/shm" and "-p /dev/shm" or "")
end

function temporary.directory(where)
  local handle = assert(io.popen("mktemp -d " .. (where or "")))
  local root = handle:read "l"
  assert(handle:close(), "mktemp failed")
  -- Children that run as another user have to get in.
  assert(os.execute("chmod 755 " .. root))
  return setmetatable({ root = root, count = 0 }, metatable)
end

function methods:path(name)
  if not name then
    self.count = self.count + 1
    name = "file-" .. self.count
  end
  return self.root .. "/" .. name
end

function methods:file(name, text)
  local path = self:path(name)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
  return path
end

-- Everything that lies in the directory, hidden files included, sorted.
function methods:names(below)
  local handle = assert(io.popen("ls -A " .. self.root .. "/" .. (below or "")))
  local names = {}
  for name in handle:lines() do
    names[#names + 1] = name
  end
  handle:close()
  return names
end

function methods:remove()
  assert(self.root:match "^/.+/.+")
  os.execute("rm -rf " .. self.root)
end
metatable.__close = methods.remove

function temporary.content(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "a"
  file:close()
  return text
end

-- "600": the permission bits, and "0:0": owner and group.
local function stat(format, path)
  local handle = assert(io.popen(("stat -c %s '%s'"):format(format, path)))
  local text = handle:read "l"
  handle:close()
  return text
end

function temporary.mode(path)
  return stat("%a", path)
end

function temporary.owner(path)
  return stat("%u:%g", path)
end

return temporary

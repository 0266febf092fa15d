--- Directories of files that belong together, written whole or not at all.
--
-- The files are laid into a directory of their own beside the target, which then gets the name in one step. So
-- nobody sees half of them, and a fault at any point leaves everything as it was.
-- @module tcpki.directory
-- @local

local fault = require "tcpki.fault"
local file = require "tcpki.file"
local sorted = require "tcpki.sorted"

local directory = {}

local STAGED = "^%.tcpki%-%x%x%x%x%x%x%x%x$"

--- Joins a directory and a name.
-- @tparam string path
-- @tparam string name
-- @treturn string
function directory.at(path, name)
  return path:sub(-1) == "/" and path .. name or path .. "/" .. name
end

local at = directory.at

--- A path taken apart: the directory above, and the name in it.
-- @tparam string path
-- @treturn string
-- @treturn string
function directory.split(path)
  local bare = path:gsub("(.)/+$", "%1")
  local parent, name = bare:match "^(.*)/([^/]+)$"
  return parent == "" and "/" or parent or ".", name or bare
end

-- The files below a directory by their names relative to it, and the directories, those above first. What is neither is
-- for `refuse`.
local function walk(path, below, found, refuse)
  local entries, err = file.list(below == "" and path or at(path, below))
  if not entries then
    return nil, err
  end
  for _, entry in ipairs(entries) do
    local name = below == "" and entry.name or at(below, entry.name)
    if entry.kind == "directory" then
      table.insert(found.directories, name)
      local ok
      ok, err = walk(path, name, found, refuse)
      if not ok then
        return nil, err
      end
    elseif entry.kind ~= "file" and refuse then
      return refuse(name)
    else
      table.insert(found.files, { name = name, kind = entry.kind, mode = entry.mode })
    end
  end
  return true
end

--- The texts of all files below a directory.
-- @tparam string path
-- @treturn[1] {[string]=string} by names relative to it
-- @treturn[1] {[string]=integer} their permission bits
-- @treturn[2] nil
-- @treturn[2] fault `not_found`, `permission_denied`, …
function directory.read(path)
  local found = { files = {}, directories = {} }
  local ok, err = walk(path, "", found)
  if not ok then
    return nil, err
  end
  local texts, modes = {}, {}
  for _, entry in ipairs(found.files) do
    local text
    text, err = file.read(at(path, entry.name))
    if not text then
      return nil, err
    end
    texts[entry.name], modes[entry.name] = text, entry.mode
  end
  return texts, modes
end

--- Takes a directory away, with all that is in it.
-- @tparam string path
-- @treturn boolean whether it is gone
function directory.remove(path)
  local found = { files = {}, directories = {} }
  if not walk(path, "", found) then
    return false
  end
  for _, entry in ipairs(found.files) do
    os.remove(at(path, entry.name))
  end
  for i = #found.directories, 1, -1 do
    os.remove(at(path, found.directories[i]))
  end
  return os.remove(path) ~= nil
end

--- Takes away what a run that was killed left behind: directories that never got their name, and those that had lost
-- it. Where the file system knows no exchange in one step, the first of two directories may have been on its way.
-- Only for who knows that nobody else writes there now.
-- @tparam string path
function directory.sweep(path)
  local there = {}
  for _, entry in ipairs(file.list(path) or {}) do
    there[entry.name] = entry.kind == "directory"
  end
  for name in pairs(there) do
    local base = name:match "^(.+)%.exchange$"
    if there[name] and base and there[base] == nil then
      os.rename(at(path, name), at(path, base))
    elseif there[name] and (base or name:find(STAGED)) then
      directory.remove(at(path, name))
    end
  end
end

local function staged_name(parent)
  return at(parent, (".tcpki-%08x"):format(math.random(0, 0xffffffff)))
end

local codes = { [1] = "permission_denied", [13] = "permission_denied", [30] = "permission_denied", [28] = "no_space",
  [17] = "already_exists", [20] = "already_exists", [39] = "already_exists", [2] = "not_found" }

-- rename(2), which replaces an empty directory and nothing else.
local function rename(from, to, path)
  local ok, message, number = os.rename(from, to)
  if ok then
    return true
  end
  local code = codes[number] or "input_output"
  return fault.fail { code = code, path = path, message = ("cannot rename it: %s"):format(
    message:match ": (.*)$" or message), hint = code == "already_exists" and "somebody else made it meanwhile" or nil }
end

--- Takes a directory away so that it is there whole or not at all.
-- @tparam string path
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault
function directory.discard(path)
  local aside = staged_name((directory.split(path)))
  local ok, err = rename(path, aside, path)
  if not ok then
    return nil, err
  end
  directory.remove(aside)
  return true
end

-- What is there now: nil where there is nothing, or an empty directory; else the texts by name. Only what is to be
-- written may be there: anything else would be lost.
local function present(target, files, known)
  local ours = {}
  for _, list in ipairs { files, known or {} } do
    for _, entry in ipairs(list) do
      ours[entry.name or entry] = true
    end
  end
  local function refuse(name)
    return fault.fail {
      code = "already_exists", path = target,
      message = ("there is something else in the directory: %s"):format(name),
      hint = "move it, or write into another directory",
    }
  end
  local found = { files = {}, directories = {} }
  local ok, err = walk(target, "", found, refuse)
  if not ok then
    if err.code ~= "not_found" then
      return nil, err
    elseif file.read(target) then
      return fault.fail { code = "already_exists", path = target, message = "there is a file of that name",
        hint = "move it, or choose another name" }
    end
    return nil
  end
  local texts = {}
  for _, entry in ipairs(found.files) do
    if not ours[entry.name] then
      return refuse(entry.name)
    end
    local text
    text, err = file.read(at(target, entry.name))
    if not text then
      return nil, err
    end
    texts[entry.name] = text
  end
  -- rename(2) replaces an empty directory and nothing else.
  return (next(texts) or #found.directories > 0) and texts or nil
end

local function refuse_present(target, files, texts)
  local missing = {}
  for _, entry in ipairs(files) do
    if not texts[entry.name] then
      missing[#missing + 1] = entry.name
    end
  end
  local names = sorted(texts)
  local shown = #names > 6 and ("%s and %d more files"):format(table.concat(names, ", ", 1, 5), #names - 5)
    or #names > 0 and table.concat(names, ", ") or "directories"
  local half = #missing > 0 and #missing < #files
    and ("; it is not whole: %s is missing"):format(table.concat(missing, ", ")) or ""
  return fault.fail {
    code = "already_exists", path = target,
    message = ("the directory has %s already%s"):format(shown, half),
    hint = "choose another directory, or pass overwrite = true to replace all of it",
  }
end

-- The directories that files lie in, those above first.
local function directories_of(files)
  local wanted, list = {}, {}
  for _, entry in ipairs(files) do
    local below = ""
    for part in entry.name:gmatch "([^/]+)/" do
      below = below == "" and part or at(below, part)
      if not wanted[below] then
        wanted[below] = true
        list[#list + 1] = below
      end
    end
  end
  return list
end

local function fill(staged, files, like)
  for _, name in ipairs(directories_of(files)) do
    local ok, err = file.make_directory(at(staged, name))
    if not ok then
      return nil, err
    end
  end
  for _, entry in ipairs(files) do
    local path = at(staged, entry.name)
    local ok, err
    if entry.key then
      ok, err = entry.key:write(path)
    else
      ok, err = file.write(path, entry.text, { mode = entry.mode })
    end
    if ok and like and like[entry.name] then
      ok, err = file.adopt(path, like[entry.name])
    end
    if not ok then
      return nil, err
    end
  end
  return true
end

-- Beside the target. What replaces a file is for who could read that one: a key renewed by root stays one that its
-- server can open.
local function stage(parent, files, target, texts)
  local staged, ok, err
  repeat
    staged = staged_name(parent)
    ok, err = file.make_directory(staged)
  until ok or err.code ~= "already_exists"
  if not ok then
    err.path, err.message = parent, "cannot write into it: " .. err.message:gsub("^.*: ", "")
    return nil, err
  end
  local like
  if texts then
    like = {}
    for name in pairs(texts) do
      like[name] = at(target, name)
    end
    ok, err = file.adopt(staged, target)
  end
  if ok then
    ok, err = fill(staged, files, like)
  end
  if not ok then
    directory.remove(staged)
    -- The name that it was to get.
    if err.path and err.path:sub(1, #staged + 1) == staged .. "/" then
      err.path = target .. err.path:sub(#staged + 1)
    end
    return nil, err
  end
  return staged
end

-- Whether a directory has exactly some texts.
local function is_still(path, texts)
  local found = directory.read(path)
  if not found then
    return false
  end
  for name, text in pairs(texts) do
    if found[name] ~= text then
      return false
    end
    found[name] = nil
  end
  return next(found) == nil
end

-- The link would be exchanged, and not the directory behind it that somebody reads.
local function check_no_link(parent, name, target)
  for _, entry in ipairs(file.list(parent) or {}) do
    if entry.name == name and entry.kind == "link" then
      return fault.fail { code = "symbolic_link", path = target, message = "it is a symbolic link",
        hint = "name the directory that the link points to" }
    end
  end
  return true
end

local function replace(staged, target, texts)
  local ok, err = file.exchange(staged, target)
  if not ok then
    return nil, err
  end
  if not is_still(staged, texts) then
    ok, err = file.exchange(staged, target)
    if not ok then
      return nil, err
    end
    return fault.fail { code = "busy", path = target, message = "somebody else changed the directory meanwhile",
      hint = "look at what is there now, and try again" }
  end
  directory.remove(staged)
  return true
end

--- Writes a directory of files.
-- @tparam string target the directory above is made where it is not there
-- @tparam {table,…} files `{ name =, text =, mode = }`, or `{ name =, key = }`; a name may have slashes
-- @tparam[opt] table how `overwrite`: replaces all files that are there; `known`: names of others that are replaced
-- with them; `expected`: the texts by name that have to be there, where anything else is a change by others
-- @treturn[1] string the path of the directory
-- @treturn[2] nil
-- @treturn[2] fault `already_exists`, `busy`, `permission_denied`, `no_space`, …
function directory.write(target, files, how)
  how = how or {}
  local parent, name = directory.split(target)
  local ok, err = check_no_link(parent, name, target)
  local texts
  if ok then
    texts, err = present(target, files, how.known)
  end
  if err then
    return nil, err
  end
  if how.expected and not (texts and is_still(target, how.expected)) then
    return fault.fail { code = "busy", path = target, message = "the directory is not as it was left",
      hint = "somebody else changed it: check it, and plan anew from what is there" }
  end
  if texts and not how.overwrite then
    return refuse_present(target, files, texts)
  end
  local made = false
  ok, err = file.list(parent)
  if not ok and err.code == "not_found" then
    ok, err = file.make_directory(parent)
    made = ok
  end
  if not ok then
    return nil, err
  end
  local staged
  staged, err = stage(parent, files, target, texts)
  ok = false
  if staged then
    if texts then
      ok, err = replace(staged, target, texts)
    else
      ok, err = rename(staged, target, target)
    end
    if not ok then
      directory.remove(staged)
    end
  end
  if not ok then
    if made then
      os.remove(parent)
    end
    return nil, err
  end
  return target
end

return directory

--- Directories of files that belong together, written whole or not at all.
--
-- The files are laid into a directory of their own beside the target, which then gets the name in one step. So
-- nobody sees half of them, and a fault at any point leaves everything as it was.
-- @module tcpki.istio.store
-- @local

local fault = require "tcpki.fault"
local file = require "tcpki.file"
local layout = require "tcpki.istio.layout"

local store = {}

local function clear(directory, files)
  for _, entry in ipairs(files) do
    os.remove(layout.at(directory, entry.name))
  end
  os.remove(directory)
end

local function names_of(entries)
  local names = {}
  for i, entry in ipairs(entries) do
    names[i] = entry.name
  end
  table.sort(names)
  return names
end

-- What is there now: nil where there is nothing, or an empty directory; else the texts by name. Only what is to be
-- written may be there: anything else would be lost.
local function present(target, files)
  local entries, err = file.list(target)
  if not entries then
    if file.read(target) then
      return fault.fail { code = "already_exists", path = target, message = "there is a file of that name",
        hint = "move it, or choose another name" }
    elseif err.code == "not_found" then
      return nil
    end
    return nil, err
  end
  local ours, texts = {}, {}
  for _, entry in ipairs(files) do
    ours[entry.name] = true
  end
  for _, name in ipairs(layout.names) do
    ours[name] = true
  end
  for _, entry in ipairs(entries) do
    if not ours[entry.name] or entry.kind ~= "file" then
      return fault.fail {
        code = "already_exists", path = target,
        message = ("there is something else in the directory: %s"):format(entry.name),
        hint = "move it, or write into another directory",
      }
    end
    local text
    text, err = file.read(layout.at(target, entry.name))
    if not text then
      return nil, err
    end
    texts[entry.name] = text
  end
  return next(texts) and texts or nil, nil, names_of(entries)
end

local function refuse_present(target, files, texts, names)
  local missing = {}
  for _, entry in ipairs(files) do
    if not texts[entry.name] then
      missing[#missing + 1] = entry.name
    end
  end
  local half = #missing > 0 and ("; it is not whole: %s is missing"):format(table.concat(missing, ", ")) or ""
  return fault.fail {
    code = "already_exists", path = target,
    message = ("the directory has %s already%s"):format(table.concat(names, ", "), half),
    hint = "choose another directory, or pass overwrite = true to replace all of it",
  }
end

local function stage(parent, files)
  local staged, ok, err
  repeat
    staged = layout.at(parent, (".tcpki-%08x"):format(math.random(0, 0xffffffff)))
    ok, err = file.make_directory(staged)
  until ok or err.code ~= "already_exists"
  if not ok then
    return nil, err
  end
  for _, entry in ipairs(files) do
    local path = layout.at(staged, entry.name)
    if entry.key then
      ok, err = entry.key:write(path)
    else
      ok, err = file.write(path, entry.text, { mode = entry.mode })
    end
    if not ok then
      clear(staged, files)
      return nil, err
    end
  end
  return staged
end

-- Whether a directory has exactly some texts.
local function is_still(directory, texts)
  local entries = file.list(directory)
  local count = 0
  for _, entry in ipairs(entries or {}) do
    count = count + 1
    if texts[entry.name] == nil or file.read(layout.at(directory, entry.name)) ~= texts[entry.name] then
      return false
    end
  end
  for _ in pairs(texts) do
    count = count - 1
  end
  return entries ~= nil and count == 0
end

local codes = { [1] = "permission_denied", [13] = "permission_denied", [30] = "permission_denied", [28] = "no_space" }

-- rename(2) replaces an empty directory and nothing else.
local function name_new(staged, target)
  local ok, message, number = os.rename(staged, target)
  if ok then
    return true
  end
  local code = codes[number] or (number == 39 or number == 17 or number == 20) and "already_exists" or "input_output"
  return fault.fail { code = code, path = target, message = ("cannot give the new directory its name: %s"):format(
    message:match ": (.*)$" or message), hint = code == "already_exists" and "somebody else made it meanwhile" or nil }
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
  for name in pairs(texts) do
    os.remove(layout.at(staged, name))
  end
  os.remove(staged)
  return true
end

--- Writes a directory of files.
-- @tparam string parent an existing directory; it is made where it is not there
-- @tparam string name of the directory in it
-- @tparam {table,…} files `{ name =, text =, mode = }`, or `{ name =, key = }`
-- @tparam ?boolean overwrite replaces all files that are there
-- @tparam ?table expected the texts by name that have to be there, where anything else is a change by others
-- @treturn[1] string the path of the directory
-- @treturn[2] nil
-- @treturn[2] fault `already_exists`, `busy`, `permission_denied`, `no_space`, …
function store.write(parent, name, files, overwrite, expected)
  local target = layout.at(parent, name)
  local texts, err, names = present(target, files)
  if err then
    return nil, err
  end
  if expected and not (texts and is_still(target, expected)) then
    return fault.fail { code = "busy", path = target, message = "the directory is not as it was left",
      hint = "somebody else changed it: check it, and plan anew from what is there" }
  end
  if texts and not overwrite then
    return refuse_present(target, files, texts, names)
  end
  local made = false
  local ok
  ok, err = file.list(parent)
  if not ok and err.code == "not_found" then
    ok, err = file.make_directory(parent)
    made = ok
  end
  if not ok then
    return nil, err
  end
  local staged
  staged, err = stage(parent, files)
  ok = false
  if staged then
    if texts then
      ok, err = replace(staged, target, texts)
    else
      ok, err = name_new(staged, target)
    end
    if not ok then
      clear(staged, files)
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

return store

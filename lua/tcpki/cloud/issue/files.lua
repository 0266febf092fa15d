--- The files of a CA and its clients, in the layout of Temporal's own generators.
-- @module tcpki.cloud.issue.files
-- @local

local core = require "tcpki.core"
local fault = require "tcpki.fault"

local files = {}

--- A path in a directory.
-- @tparam string directory
-- @tparam string name
-- @treturn string
function files.path(directory, name)
  return directory:find "/$" and directory .. name or directory .. "/" .. name
end

--- Throws where no directory is named.
-- @tparam string where the function, for the message
-- @param directory
function files.expect_directory(where, directory)
  if type(directory) ~= "string" or directory == "" or directory:find "\0" then
    error(("%s: directory must be a path, not %s"):format(where, directory == "" and "empty" or type(directory)), 3)
  end
end

--- Sees that a directory is there; its parent has to be.
-- @tparam string directory
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault
function files.make_directory(directory)
  local made, err = core.file.make_directory(directory)
  if made or err.code == "already_exists" then
    return true
  end
  return nil, err
end

--- The first of some names that something in a directory has, a dangling link included.
-- @tparam string directory
-- @tparam {string,…} wanted
-- @treturn[1] ?string
-- @treturn[2] nil
-- @treturn[2] fault; not where the directory itself is missing
function files.any(directory, wanted)
  local entries, err = core.file.list(directory)
  if not entries then
    return nil, err.code ~= "not_found" and err or nil
  end
  local there = {}
  for _, entry in ipairs(entries) do
    there[entry.name] = true
  end
  for _, name in ipairs(wanted) do
    if there[name] then
      return name
    end
  end
end

--- Whether files of these names may be made.
-- @tparam string directory
-- @tparam {string,…} wanted
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault `already_exists`
function files.check_free(directory, wanted)
  local found, err = files.any(directory, wanted)
  if err then
    return nil, err
  end
  if found then
    return fault.fail {
      code = "already_exists",
      message = "it is there already",
      path = files.path(directory, found),
      hint = "choose another name or directory, or pass overwrite = true",
    }
  end
  return true
end

return files

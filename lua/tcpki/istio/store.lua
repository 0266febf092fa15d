--- Directories of CA files, written whole or not at all.
-- @module tcpki.istio.store
-- @local

local directory = require "tcpki.directory"
local layout = require "tcpki.istio.layout"

local store = {}

--- Writes a directory of files.
-- @tparam string parent it is made where it is not there
-- @tparam string name of the directory in it
-- @tparam {table,…} files `{ name =, text =, mode = }`, or `{ name =, key = }`
-- @tparam ?boolean overwrite replaces all files that are there
-- @tparam ?table expected the texts by name that have to be there, where anything else is a change by others
-- @treturn[1] string the path of the directory
-- @treturn[2] nil
-- @treturn[2] fault `already_exists`, `busy`, `permission_denied`, `no_space`, …
function store.write(parent, name, files, overwrite, expected)
  return directory.write(layout.at(parent, name), files,
    { overwrite = overwrite, expected = expected, known = layout.names })
end

return store

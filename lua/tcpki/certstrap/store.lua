--- The files of a depot: NAME.crt, NAME.csr, NAME.crl and NAME.key in one directory.
--
-- certstrap reads no file with a permission bit that its kind need not have: 0444 for what is public, 0440 for keys.
-- @module tcpki.certstrap.store
-- @local

local certificates = require "tcpki.certificate"
local core = require "tcpki.core"
local directory = require "tcpki.directory"
local fault = require "tcpki.fault"
local file = require "tcpki.file"
local names = require "tcpki.certstrap.names"

local store = {}

local PUBLIC, PRIVATE = tonumber("444", 8), tonumber("440", 8)

--- The most that the mode of each kind of file may have.
store.modes = { crt = PUBLIC, csr = PUBLIC, crl = PUBLIC, key = PRIVATE }

--- In the order in which they are listed.
store.kinds = { "crt", "csr", "key", "crl" }

local readers = { crt = certificates, csr = core.csr, crl = core.crl }
local words = { crt = "certificate", csr = "certificate request", crl = "CRL", key = "key" }

--- The path of a file.
-- @tparam depot depot
-- @tparam string stem
-- @tparam string kind "crt", "csr", "crl" or "key"
-- @treturn string
function store.path(depot, stem, kind)
  return directory.at(depot.directory, stem .. "." .. kind)
end

--- What is in the directory, by stems.
-- @tparam string path
-- @treturn[1] {[string]={[string]=integer,…},…} the mode of each kind of file under each stem
-- @treturn[1] {string,…} the stems, sorted
-- @treturn[2] nil
-- @treturn[2] fault `not_found`, `permission_denied`, …
function store.scan(path)
  local entries, err = file.list(path)
  if not entries then
    return nil, err
  end
  local found, stems = {}, {}
  for _, entry in ipairs(entries) do
    local stem, kind = entry.name:match "^(.+)%.(%l+)$"
    if store.modes[kind] and entry.kind ~= "directory" then
      if not found[stem] then
        found[stem] = {}
        stems[#stems + 1] = stem
      end
      found[stem][kind] = entry.mode
    end
  end
  table.sort(stems)
  return found, stems
end

--- Whether there is a file.
-- @tparam depot depot
-- @tparam string stem
-- @tparam string kind
-- @treturn boolean
function store.exists(depot, stem, kind)
  local text, err = file.read(store.path(depot, stem, kind))
  return text ~= nil or err.code ~= "not_found"
end

--- The stem of a name that has a file of some kind.
-- @tparam depot depot
-- @tparam string name
-- @tparam string kind
-- @treturn[1] string
-- @treturn[2] nil
-- @treturn[2] fault `bad_name`, `not_found`
function store.find(depot, name, kind)
  local stem, found = names.find(name, function(stem)
    return store.exists(depot, stem, kind)
  end)
  if not stem then
    return nil, found
  elseif not found then
    return fault.fail { code = "not_found", path = store.path(depot, stem, kind),
      message = ("there is no %s of '%s' in the depot"):format(words[kind], name),
      hint = "depot:list() shows what is there" }
  end
  return stem
end

--- Reads a certificate, a request or a CRL.
-- @tparam depot depot
-- @tparam string stem
-- @tparam string kind
-- @treturn[1] certificate|csr|crl
-- @treturn[2] nil
-- @treturn[2] fault
function store.read(depot, stem, kind)
  return readers[kind].read(store.path(depot, stem, kind))
end

--- The types of options, with those of a passphrase beside them.
-- @tparam table more
-- @tparam[opt] table others
-- @treturn table
function store.with_passphrase(more, others)
  for name, kind in pairs(others or {}) do
    more[name] = kind
  end
  more.passphrase, more.passphrase_file, more.passphrase_env = "string|function", "string", "string"
  return more
end

--- The options of a passphrase among others. An empty one is none, as it is to certstrap.
-- @tparam table given
-- @treturn table
function store.passphrase(given)
  return { passphrase = given.passphrase ~= "" and given.passphrase or nil, passphrase_file = given.passphrase_file,
    passphrase_env = given.passphrase_env }
end

--- Reads a key.
-- @tparam depot depot
-- @tparam string stem
-- @tparam table passphrase its options
-- @treturn[1] key
-- @treturn[2] nil
-- @treturn[2] fault
function store.read_key(depot, stem, passphrase)
  local path = store.path(depot, stem, "key")
  local key, err = core.key.read(path, passphrase)
  if not key and err.code == "not_found" and err.path == path then
    err.message = ("there is no key of '%s' in the depot"):format(stem)
    err.hint = "bring its key, or sign where it is kept"
  end
  return key, err
end

--- How a key is written: RSA as PKCS#1, the others as PKCS#8, since certstrap reads no `EC PRIVATE KEY`.
-- @tparam key key
-- @tparam table passphrase its options
-- @treturn table options of `key:write`
function store.key_form(key, passphrase)
  return { passphrase = passphrase.passphrase, passphrase_file = passphrase.passphrase_file,
    passphrase_env = passphrase.passphrase_env, mode = PRIVATE,
    format = key:type() == "rsa" and "traditional" or "pkcs8" }
end

--- Writes new files, all or none.
-- @tparam depot depot
-- @tparam {{stem,kind,object,passphrase},…} files in the order in which they are written; a key has the options of its
-- passphrase, anything may have `path` in place of its own
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault
function store.put(depot, files)
  local written = {}
  for _, one in ipairs(files) do
    local path = one.path or store.path(depot, one.stem, one.kind)
    local ok, err
    if one.kind == "key" then
      ok, err = one.object:write(path, store.key_form(one.object, one.passphrase))
    else
      ok, err = file.write(path, one.object:pem(), { mode = PUBLIC })
    end
    if not ok then
      for _, former in ipairs(written) do
        os.remove(former)
      end
      if err.code == "already_exists" then
        err.hint = "look at it, and move it away or choose another name"
      end
      return nil, err
    end
    written[#written + 1] = path
  end
  return true
end

--- Whether a file is what it was when it was read. certstrap does not ask for the lock.
-- @tparam depot depot
-- @tparam string stem
-- @tparam string kind
-- @tparam ?string former its text; nil where there was none
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault `changed_meanwhile`
function store.unchanged(depot, stem, kind, former)
  local path = store.path(depot, stem, kind)
  if file.read(path) ~= former then
    return fault.fail { code = "changed_meanwhile", path = path, message = "the file was changed by someone else",
      hint = "look at what is there now, and try again" }
  end
  return true
end

--- Replaces a file in one step.
-- @tparam depot depot
-- @tparam string stem
-- @tparam string kind
-- @tparam certificate|csr|crl object
-- @tparam ?string former the text that it must still have; nil where there must be no file
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault `changed_meanwhile`, …
function store.replace(depot, stem, kind, object, former)
  local ok, err = store.unchanged(depot, stem, kind, former)
  if not ok then
    return nil, err
  end
  return file.write(store.path(depot, stem, kind), object:pem(), { mode = PUBLIC, overwrite = former ~= nil })
end

return store

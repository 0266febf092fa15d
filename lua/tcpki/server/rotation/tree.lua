--- A directory of a cluster as it lies on the disk: what is trusted, what is shown, and by whom it was issued.
-- @module tcpki.server.rotation.tree
-- @local

local authority = require "tcpki.authority"
local bundle = require "tcpki.bundle"
local core = require "tcpki.core"
local directory = require "tcpki.directory"
local fault = require "tcpki.fault"
local file = require "tcpki.file"
local layout = require "tcpki.server.layout"
local sorted = require "tcpki.sorted"

local tree = {}

local at = layout.at

local function with_path(path, value, err)
  if value == nil then
    err.path = err.path or path
    return nil, err
  end
  return value
end

local function missing(path, what)
  return fault.fail { code = "not_found", path = path, message = what,
    hint = "name the directory that cluster:write wrote; restore what is missing from a copy" }
end

--- The CAs in a directory, by name.
-- @tparam string path
-- @treturn[1] {[string]=authority}
-- @treturn[2] nil
-- @treturn[2] fault
function tree.authorities(path)
  local texts, err = directory.read(path)
  if not texts then
    return nil, err
  end
  local found = {}
  for name, text in pairs(texts) do
    local base = name:match "^(.*%-ca)%.pem$"
    if base then
      local where = at(path, name)
      local list
      list, err = with_path(where, bundle.parse(text))
      if not list then
        return nil, err
      end
      local key_path = at(path, base .. ".key")
      local key
      key, err = core.key.read(key_path)
      if key then
        found[base], err = authority.load(list[1], key, { chain = list })
      end
      if not found[base] then
        err.path = err.path or key_path
        return nil, err
      end
    end
  end
  return found
end

local function one_certificate(path, text)
  local list, err = with_path(path, core.certificate.parse_all(text))
  if not list then
    return nil, err
  elseif #list ~= 1 then
    return fault.fail { code = "several", path = path, message = ("it holds %d certificates"):format(#list),
      hint = "keep one: of each file the server compares only the first, and never loads what follows" }
  end
  return list[1]
end

-- A certificate with its key, both as they are on the disk.
local function pair(path, certificate_text, key_text)
  local certificates, err = with_path(path .. ".pem", core.certificate.parse_all(certificate_text))
  if not certificates then
    return nil, err
  end
  local key
  key, err = with_path(path .. ".key", core.key.parse(key_text))
  if not key then
    return nil, err
  elseif not key:matches(certificates[1]) then
    return fault.fail { code = "key_mismatch", path = path .. ".key",
      message = "the key is not the key of the certificate beside it", subject = tostring(certificates[1]:subject()),
      hint = "restore the pair" }
  end
  return { certificate = certificates[1], chain = certificates, key = key }
end

-- A CA that somebody put beside the others has no key there.
local function is_authority(text)
  local certificate = (core.certificate.parse_all(text) or {})[1]
  local constraints = certificate and certificate:basic_constraints()
  return constraints ~= nil and constraints.ca
end

local function read_certs(self)
  local path = at(self.path, layout.CERTS)
  local texts, err = directory.read(path)
  if not texts then
    return nil, err
  end
  self.slots, self.leaves, self.texts[layout.CERTS] = {}, {}, texts
  local taken = {}
  for name in pairs(self.authorities) do
    self.slots[name] = {}
    for i, slot in ipairs(layout.slots(name)) do
      local where = slot .. ".pem"
      if not texts[where] then
        return missing(at(path, where), "there is no such file: one of the two that hold what is trusted")
      end
      self.slots[name][i], err = one_certificate(at(path, where), texts[where])
      if not self.slots[name][i] then
        return nil, err
      end
      taken[where] = true
    end
  end
  for _, name in ipairs(sorted(texts)) do
    local base = name:match "^(.*)%.pem$"
    if base and not taken[name] and (texts[base .. ".key"] or not is_authority(texts[name])) then
      if not texts[base .. ".key"] then
        return missing(at(path, base .. ".key"), "there is no such file: the key of the certificate beside it")
      end
      self.leaves[base], err = pair(at(path, base), texts[name], texts[base .. ".key"])
      if not self.leaves[base] then
        return nil, err
      end
      self.leaves[base].role = base == layout.SYSTEM_WORKER and "client" or "server"
    end
  end
  for _, name in ipairs { layout.INTERNODE, layout.FRONTEND } do
    if not self.leaves[name] then
      return missing(at(path, name .. ".pem"), "there is no such file")
    end
  end
  return true
end

local function read_client(self, name)
  local path = at(at(self.path, layout.CLIENTS), name)
  local texts, err = directory.read(path)
  if not texts then
    return nil, err
  end
  for _, needed in ipairs { "client.pem", "client.key", layout.SERVER_CA .. ".pem" } do
    if not texts[needed] then
      return missing(at(path, needed), "there is no such file")
    end
  end
  local client
  client, err = pair(at(path, "client"), texts["client.pem"], texts["client.key"])
  if not client then
    return nil, err
  end
  local where = layout.SERVER_CA .. ".pem"
  client.roots, err = with_path(at(path, where), core.certificate.parse_all(texts[where]))
  if not client.roots then
    return nil, err
  end
  client.texts, client.name, client.path, client.role = texts, name, path, "client"
  return client
end

local function read_clients(self)
  self.clients = {}
  local path = at(self.path, layout.CLIENTS)
  local entries, err = file.list(path)
  if not entries then
    return err.code == "not_found" or nil, err
  end
  for _, entry in ipairs(entries) do
    if entry.kind == "directory" and entry.name:sub(1, 1) ~= "." then
      self.clients[entry.name], err = read_client(self, entry.name)
      if not self.clients[entry.name] then
        return nil, err
      end
    end
  end
  return true
end

--- Reads a directory that `cluster:write` wrote.
-- @tparam string path
-- @treturn[1] tree with `authorities`, `next` (nil where no rotation is under way), `slots` (two certificates by the
-- name of the CA), `leaves`, `clients`, `texts`
-- @treturn[2] nil
-- @treturn[2] fault with the path of the file that is missing or damaged
function tree.read(path)
  local self = { path = path, texts = {} }
  local err
  self.authorities, err = tree.authorities(at(path, layout.AUTHORITY))
  if not self.authorities then
    if err.code == "not_found" and err.path == at(path, layout.AUTHORITY) then
      return missing(err.path, "this is no directory of a cluster: there are no CAs in it")
    end
    return nil, err
  end
  for _, name in ipairs { layout.SERVER_CA, layout.CLIENT_CA } do
    if not self.authorities[name] then
      return missing(at(at(path, layout.AUTHORITY), name .. ".pem"), "there is no such file")
    end
  end
  local ok
  ok, err = read_certs(self)
  if ok then
    ok, err = read_clients(self)
  end
  if not ok then
    return nil, err
  end
  return self
end

--- Which of the CAs issued a certificate, by name. Where one CA has the roles of several, the certificate is of the
-- role that it is for.
-- @tparam {[string]=authority} authorities
-- @tparam table leaf `certificate` and `role`
-- @treturn ?string
function tree.issuer_of(authorities, leaf)
  local found
  for _, name in ipairs(sorted(authorities)) do
    if leaf.certificate:signed_by(authorities[name].key) then
      local role = name == layout.SERVER_CA and "server" or "client"
      found = (role == leaf.role or not found) and name or found
    end
  end
  return found
end

return tree

--- The beginning and the end of a rotation: the directory next/ with the new CAs and rotation.json, which says what
-- goes over to what. It gets its name whole, and loses it in one step, so that a rotation is under way or it is not.
-- @module tcpki.server.rotation.state
-- @local

local authority = require "tcpki.authority"
local cluster = require "tcpki.server.cluster"
local core = require "tcpki.core"
local date = require "tcpki.date"
local directory = require "tcpki.directory"
local fault = require "tcpki.fault"
local file = require "tcpki.file"
local json = require "tcpki.json"
local layout = require "tcpki.server.layout"
local names = require "tcpki.server.names"
local tree = require "tcpki.server.rotation.tree"
local sorted = require "tcpki.sorted"

local state = {}

local KIND, VERSION = "tcpki server rotation", 1
local order = { "kind", "version", "begun", "authorities" }
local HINT = "restore next/ from a copy; where no step was taken yet, remove it and begin anew"

local at = layout.at

local function refuse(path, message)
  return fault.fail { code = "bad_state", path = path, hint = HINT,
    message = "not the state of a rotation: " .. message }
end

local function fingerprint(issuer)
  return issuer.certificate:fingerprint()
end

-- The key of the new CA is of the kind of the old one.
local function kind_of(key)
  local kind = key:type()
  return { type = kind, curve = key:curve(), bits = kind == "rsa" and key:bits() or nil }
end

state.kind_of = kind_of

-- The subject of the old CA, but for the end of its common name: no two CAs have one name.
local function subject_of(former, key)
  local subject, named = {}, false
  for i, field in ipairs(former:subject()) do
    local value = field.value
    if field.type == "CN" then
      value, named = names.of_authority(value, key), true
    end
    subject[i] = { type = field.type, value = value }
  end
  if not named then
    subject[#subject + 1] = { type = "CN", value = names.of_authority("Temporal CA", key) }
  end
  return subject
end

--- Makes the CA that follows one: with its subject but for the end of the common name, its kind of key and its life.
-- @tparam authority former
-- @treturn[1] authority
-- @treturn[2] nil
-- @treturn[2] fault
function state.successor(former)
  local certificate = former.certificate
  local key, err = core.key.generate(kind_of(certificate:public_key()))
  if not key then
    return nil, err
  end
  local life = certificate:not_after() - certificate:not_before()
  return authority.new { subject = subject_of(certificate, key), key = key, not_after = os.time() + life }
end

--- Begins a rotation: makes next/.
-- @tparam tree self
-- @tparam {[string]=authority} to the new CAs by name
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault
function state.begin(self, to)
  local files, rows = {}, {}
  for _, name in ipairs(sorted(to)) do
    local ok, err = cluster.add_authority(files, name, to[name])
    if not ok then
      return nil, err
    end
    rows[name] = { from = fingerprint(self.authorities[name]), to = fingerprint(to[name]) }
  end
  files[#files + 1] = { name = layout.STATE, mode = layout.MODE,
    text = json.write({ kind = KIND, version = VERSION, begun = date.rfc3339(os.time()), authorities = rows }, order,
      "  ") .. "\n" }
  local ok, err = directory.write(at(self.path, layout.NEXT), files)
  if not ok then
    return nil, err
  end
  self.next = to
  return true
end

local function check(self, object, path)
  if type(object) ~= "table" or object.kind ~= KIND or type(object.authorities) ~= "table" then
    return refuse(path, ("there is no \"kind\": %q with authorities"):format(KIND))
  elseif object.version ~= VERSION then
    return refuse(path, ("its version is %s; this is for %d"):format(tostring(object.version), VERSION))
  end
  for name, row in pairs(object.authorities) do
    local issuer = self.next[name]
    if type(row) ~= "table" or not issuer or not self.authorities[name] then
      return refuse(path, ("there is no CA '%s'"):format(tostring(name)))
    elseif fingerprint(issuer) ~= row.to then
      return refuse(path, ("%s.pem in next/ is not the CA that the rotation began with"):format(name))
    end
    local now = fingerprint(self.authorities[name])
    if now ~= row.from and now ~= row.to then
      return refuse(path, ("%s.pem in authority/ is neither the old nor the new CA"):format(name))
    end
  end
  for name in pairs(self.next) do
    if not object.authorities[name] then
      return refuse(path, ("%s.pem in next/ is not named in it"):format(name))
    end
  end
  return next(object.authorities) ~= nil or refuse(path, "there is no CA in it")
end

--- Takes up a rotation that is under way.
-- @tparam tree self gets `next` where there is one
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault `bad_state`, …
function state.resume(self)
  local path = at(self.path, layout.NEXT)
  local entries, err = file.list(path)
  if not entries then
    return err.code == "not_found" or nil, err
  end
  local state_path = at(path, layout.STATE)
  local text
  text, err = file.read(state_path)
  if not text then
    return refuse(path, err.code == "not_found" and ("it has no %s"):format(layout.STATE) or err.message)
  end
  local object
  object, err = json.read(text, "bad_state", "the state of a rotation", HINT)
  if object == nil then
    err.path = state_path
    return nil, err
  end
  self.next, err = tree.authorities(path)
  if not self.next then
    return nil, err
  end
  return check(self, object, state_path)
end

--- Whether the new CAs have taken the place of the old ones: what is left is to take next/ away.
-- @tparam tree self
-- @treturn boolean
function state.is_over(self)
  for name, issuer in pairs(self.next) do
    if fingerprint(self.authorities[name]) ~= fingerprint(issuer) then
      return false
    end
  end
  return true
end

-- The new CAs become those of the cluster, if they are not yet.
local function take_over(self)
  if state.is_over(self) then
    return true
  end
  local files = {}
  for name, issuer in pairs(self.authorities) do
    local ok, err = cluster.add_authority(files, name, self.next[name] or issuer)
    if not ok then
      return nil, err
    end
  end
  local path = at(self.path, layout.AUTHORITY)
  local texts, err = directory.read(path)
  if not texts then
    return nil, err
  end
  local ours = {}
  for _, entry in ipairs(files) do
    ours[entry.name] = true
  end
  for name, text in pairs(texts) do
    if not ours[name] then
      files[#files + 1] = { name = name, text = text, mode = 384 }
    end
  end
  return directory.write(path, files, { overwrite = true, expected = texts })
end

--- Ends a rotation: the new CAs take the place of the old ones, and next/ goes.
-- @tparam tree self
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault
function state.finish(self)
  local ok, err = take_over(self)
  if not ok then
    return nil, err
  end
  return directory.discard(at(self.path, layout.NEXT))
end

return state

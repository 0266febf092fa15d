--- What the judgement of one attempt knows beside what it saw, each part made when it is asked for.
-- @module tcpki.probe.context
-- @local

local findings = require "tcpki.probe.findings"

local context = {}

local function names_of(certificate)
  local list = {}
  for i, name in ipairs(certificate:subject_alt_names() or {}) do
    if i > 8 then
      list[i] = "..."
      break
    end
    list[i] = tostring(name.value)
  end
  return #list > 0 and table.concat(list, ", ") or nil
end

local function roots_name(material)
  return material.paths and material.paths.server_ca or "the server's CA"
end

-- Where an issuer that is missing in the file may be found all the same.
local function groups_of(material, peer)
  local groups = { { name = "the file of the certificate", certificates = material.certificates } }
  local function add(name, certificates)
    if certificates then groups[#groups + 1] = { name = name, certificates = certificates } end
  end
  add(roots_name(material), material.root_certificates)
  add("the accepted CAs", material.accepted)
  add("the chain that the server sends", peer and function() return peer.certificates end)
  return groups
end

local parts = {}

function parts.peer_certificates(self)
  return self.peer and self.peer.certificates
end

function parts.server_subject(self)
  local leaf = self.peer_certificates and self.peer_certificates[1]
  return leaf and tostring(leaf:subject())
end

function parts.server_issuer(self)
  local leaf = self.peer_certificates and self.peer_certificates[1]
  return leaf and tostring(leaf:issuer())
end

function parts.server_names(self)
  local leaf = self.peer_certificates and self.peer_certificates[1]
  return leaf and names_of(leaf)
end

function parts.roots_name(self)
  return roots_name(self.material)
end

function parts.groups(self)
  return groups_of(self.material, self.peer)
end

function parts.findings(self)
  return findings.judge({
    certificates = self.certificates, trace = self.trace, accepted = self.material.accepted, groups = self.groups,
    file = self.file,
  }, self.now)
end

local metatable = {
  __index = function(self, name)
    local make = parts[name]
    local value = make and make(self)
    -- What is nil once may be asked again: it costs little, and a nil cannot be kept.
    if value ~= nil then rawset(self, name, value) end
    return value
  end,
}

--- The context of an attempt.
-- @tparam table task `material`, `server_name`, `host`, `port`, `namespace`
-- @tparam ?table peer `certificates` of the server
-- @tparam ?table trace
-- @tparam integer now seconds since the epoch
-- @treturn table `certificates` (sent), `now`, `has_roots`, `root_certificates`, `accepted`, `file` (the path of the
-- certificates), `server_name`, `host`, `port`, `namespace`; when asked for: `findings`, `groups`, `roots_name`,
-- `peer_certificates`, `server_subject`, `server_issuer`, `server_names`
function context.of(task, peer, trace, now)
  local material = task.material
  return setmetatable({
    material = material, peer = peer, trace = trace, now = now, certificates = material.certificates,
    has_roots = material.roots ~= nil, root_certificates = material.root_certificates, accepted = material.accepted,
    file = material.paths and material.paths.certificate, server_name = task.server_name, host = task.host,
    port = task.port, namespace = task.namespace,
  }, metatable)
end

return context

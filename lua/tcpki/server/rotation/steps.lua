--- The steps of a rotation. Each says from what lies on the disk whether it was taken, and takes it by one exchange of
-- a directory for each that it changes: who is killed in between finds the way on.
--
-- A server whose CA changes shows, behind its new certificate, that of the new CA signed by the old one. So who trusts
-- the old CA alone still trusts it: clients that have not been told yet, and the nodes among themselves, for they look
-- at rootCaFiles once, when they first dial, whatever refreshInterval says (temporal:
-- common/rpc/encryption/local_store_tls_provider.go, getOrCreateConfig).
-- @module tcpki.server.rotation.steps
-- @local

local directory = require "tcpki.directory"
local fault = require "tcpki.fault"
local layout = require "tcpki.server.layout"
local state = require "tcpki.server.rotation.state"
local tree = require "tcpki.server.rotation.tree"
local sorted = require "tcpki.sorted"

local at = layout.at
local KEY_MODE = 384 -- 0600
-- How many certificates are sent on behind that of the new CA: verifiers bound the length of a path, rustls at six.
local CARRIED = 3

-- ---- what is on the disk ----

-- Whether a leaf is still one of a CA that goes.
local function is_former(self, leaf)
  local name = tree.issuer_of(self.authorities, leaf)
  local following = name and self.next[name]
  return following ~= nil and not leaf.certificate:signed_by(following.key)
end

local function all(map, test)
  for name, value in pairs(map) do
    if not test(value, name) then
      return false
    end
  end
  return true
end

-- Whether a leaf is of a CA that is rotated, the old or the new one.
local function is_concerned(self, leaf)
  return tree.issuer_of(self.next, leaf) ~= nil or is_former(self, leaf)
end

local function never()
  return false
end

-- How many of its two slots a new CA has.
local function held(self, name)
  local wanted, count = layout.anchor(self.next[name]), 0
  for _, certificate in ipairs(self.slots[name]) do
    count = count + (certificate == wanted and 1 or 0)
  end
  return count
end

local function trusts(client, certificate)
  for _, root in ipairs(client.roots) do
    if root == certificate then
      return true
    end
  end
  return false
end

-- ---- writing ----

local function write_certs(self, texts)
  local former, files = self.texts[layout.CERTS], {}
  for name, text in pairs(former) do
    files[#files + 1] = { name = name, text = texts[name] or text,
      mode = name:find "%.key$" and KEY_MODE or layout.MODE }
  end
  return directory.write(at(self.path, layout.CERTS), files, { overwrite = true, expected = former })
end

local function write_client(client, texts)
  local files = {}
  for name, text in pairs(client.texts) do
    files[#files + 1] = { name = name, text = texts[name] or text,
      mode = name:find "%.key$" and KEY_MODE or layout.MODE }
  end
  return directory.write(client.path, files, { overwrite = true, expected = client.texts })
end

local usages = { [1] = "client", [2] = "server", [3] = "peer" }

local function usage_of(certificate)
  local sum = 0
  for _, purpose in ipairs(certificate:extended_key_usage() or { "client_auth", "server_auth" }) do
    sum = sum | (purpose == "client_auth" and 1 or purpose == "server_auth" and 2 or 0)
  end
  return usages[sum] or "peer"
end

-- The certificate of the new CA as the old one signs it, for those who trust only that. Where that has ended, nobody
-- does.
local function cross_certificate(former, following)
  if former.certificate:not_after() <= os.time() then
    return nil
  end
  local made, err = former:subordinate { subject = following.certificate:subject(), key = following.key,
    not_after = math.min(former.certificate:not_after(), following.certificate:not_after()) - 1 }
  if not made then
    err.message = "the old server CA cannot sign the new one, for those who trust only the old one: " .. err.message
    return nil, err
  end
  return made
end

-- What the old leaf sent behind itself: the way from its CA to those above, or to the CAs that came before. A node that
-- has run through more than one rotation may know only these.
local function behind(leaf)
  local text = ""
  for i = 2, math.min(#leaf.chain, 1 + CARRIED) do
    text = text .. (leaf.chain[i]:not_after() > os.time() and leaf.chain[i]:pem() or "")
  end
  return text
end

-- The same certificate under the new CA, with a key of its own; name, names, usage and life stay. Both as texts.
local function reissue(self, leaf)
  local former = leaf.certificate
  local name = tree.issuer_of(self.authorities, leaf)
  local issuer = self.next[name]
  local alternatives, err = former:subject_alt_names()
  if err then
    return nil, err
  end
  local ending = os.time() + former:not_after() - former:not_before()
  local made
  made, err = issuer:issue {
    usage = usage_of(former), subject = former:subject(), subject_alt_names = alternatives and #alternatives > 0
      and alternatives or nil, key = state.kind_of(former:public_key()),
    not_after = math.min(ending, issuer.certificate:not_after() - 1),
  }
  if not made then
    return nil, err
  end
  local chain
  chain, err = made.chain:pem()
  if not chain then
    return nil, err
  end
  if name == layout.SERVER_CA then
    local cross
    cross, err = cross_certificate(self.authorities[name], issuer)
    if err then
      return nil, err
    end
    chain = chain .. (cross and cross.certificate:pem() .. behind(leaf) or "")
  end
  return { certificate = chain, key = made.key:pem() }
end

-- ---- the steps ----

local trust = { name = "trust", title = "the server trusts the old CAs and the new ones" }

function trust.taken(self)
  return all(self.next, function(_, name) return held(self, name) > 0 end)
end

function trust.take(self)
  local texts = {}
  for name, issuer in pairs(self.next) do
    if held(self, name) == 0 then
      texts[layout.slots(name)[2] .. ".pem"] = layout.anchor(issuer):pem()
    end
  end
  return write_certs(self, texts)
end

trust.idle = never

local clients = { name = "clients", title = "the clients have certificates of the new CAs, and trust both server CAs" }

local function is_client_ready(self, client)
  local servers = self.next[layout.SERVER_CA]
  return not is_former(self, client) and (not servers or trusts(client, layout.anchor(servers)))
end

function clients.taken(self)
  return all(self.clients, function(client) return is_client_ready(self, client) end)
end

function clients.take(self)
  for _, name in ipairs(sorted(self.clients)) do
    local client = self.clients[name]
    if not is_client_ready(self, client) then
      local texts = {}
      if is_former(self, client) then
        local made, err = reissue(self, client)
        if not made then
          return nil, err
        end
        texts["client.pem"], texts["client.key"] = made.certificate, made.key
      end
      local servers = self.next[layout.SERVER_CA]
      if servers and not trusts(client, layout.anchor(servers)) then
        local roots = { table.unpack(client.roots) }
        roots[#roots + 1] = layout.anchor(servers)
        texts[layout.SERVER_CA .. ".pem"] = layout.pem(roots)
      end
      local ok, err = write_client(client, texts)
      if not ok then
        return nil, err
      end
    end
  end
  return true
end

function clients.idle(self)
  return all(self.clients, function(client)
    return not self.next[layout.SERVER_CA] and not is_concerned(self, client)
  end)
end

local leaves = { name = "leaves", title = "the server shows certificates of the new CAs" }

function leaves.taken(self)
  return all(self.leaves, function(leaf) return not is_former(self, leaf) end)
end

function leaves.take(self)
  local texts = {}
  for name, leaf in pairs(self.leaves) do
    if is_former(self, leaf) then
      local made, err = reissue(self, leaf)
      if not made then
        return nil, err
      end
      texts[name .. ".pem"], texts[name .. ".key"] = made.certificate, made.key
    end
  end
  return write_certs(self, texts)
end

function leaves.idle(self)
  return all(self.leaves, function(leaf) return not is_concerned(self, leaf) end)
end

local withdraw = { name = "withdraw", title = "the server trusts the new CAs alone", last = true }

function withdraw.taken(self)
  return all(self.next, function(_, name) return held(self, name) == 2 end)
end

-- Somebody may have been given a certificate of the old CA since.
local function check_none_left(self)
  for _, kind in ipairs { { self.leaves, layout.CERTS }, { self.clients, layout.CLIENTS } } do
    for _, name in ipairs(sorted(kind[1])) do
      if is_former(self, kind[1][name]) then
        return fault.fail { code = "busy", path = at(at(self.path, kind[2]), name),
          subject = tostring(kind[1][name].certificate:subject()),
          message = "this certificate is of the old CA again: somebody else wrote it meanwhile",
          hint = "run it again: it gets one of the new CA before the old one goes" }
      end
    end
  end
  return true
end

function withdraw.take(self)
  local ok, err = check_none_left(self)
  if not ok then
    return nil, err
  end
  local texts = {}
  for name, issuer in pairs(self.next) do
    for _, slot in ipairs(layout.slots(name)) do
      texts[slot .. ".pem"] = layout.anchor(issuer):pem()
    end
  end
  return write_certs(self, texts)
end

withdraw.idle = never

local forget = { name = "forget", title = "the clients trust the new server CA alone", last = true }

local function has_forgotten(self, client)
  local former = self.authorities[layout.SERVER_CA]
  local following = self.next[layout.SERVER_CA]
  return not following or layout.anchor(former) == layout.anchor(following) or not trusts(client, layout.anchor(former))
end

function forget.taken(self)
  return all(self.clients, function(client) return has_forgotten(self, client) end)
end

function forget.take(self)
  local former = layout.anchor(self.authorities[layout.SERVER_CA])
  for _, name in ipairs(sorted(self.clients)) do
    local client = self.clients[name]
    if not has_forgotten(self, client) then
      local roots = {}
      for _, root in ipairs(client.roots) do
        if root ~= former then
          roots[#roots + 1] = root
        end
      end
      local ok, err = write_client(client, { [layout.SERVER_CA .. ".pem"] = layout.pem(roots) })
      if not ok then
        return nil, err
      end
    end
  end
  return true
end

function forget.idle(self)
  return not self.next[layout.SERVER_CA] or next(self.clients) == nil
end

return { trust, clients, leaves, withdraw, forget, cross_certificate = cross_certificate }

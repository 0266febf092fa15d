--- What a running server has to be seen doing before the next step of a rotation: asked by the probe, as often as it
-- takes the server to look at its files.
-- @module tcpki.server.rotation.proof
-- @local

local fault = require "tcpki.fault"
local layout = require "tcpki.server.layout"
local tree = require "tcpki.server.rotation.tree"
local sorted = require "tcpki.sorted"

local proof = {}

local PAUSE = "sleep 0.2"
local ONE_PROBE = 10

-- ---- whom to ask for ----

local function first_name(certificate)
  local alternatives = certificate:subject_alt_names() or {}
  return alternatives[1] and alternatives[1].value
end

-- The hosts of the frontend: the name, the leaf that is shown for it, the CA of its clients.
local function hosts_of(self)
  local hosts = { { name = first_name(self.leaves[layout.FRONTEND].certificate), leaf = layout.FRONTEND,
    authority = layout.CLIENT_CA } }
  for _, name in ipairs(sorted(self.leaves)) do
    if name ~= layout.FRONTEND and name ~= layout.INTERNODE and name ~= layout.SYSTEM_WORKER then
      local own = layout.client_authority(name)
      hosts[#hosts + 1] = { name = name, leaf = name, authority = self.authorities[own] and own or layout.CLIENT_CA }
    end
  end
  return hosts
end

-- The hosts that accept the certificates of a CA: the server looks at the files of each by itself.
local function hosts_for(hosts, name)
  local list = {}
  for _, host in ipairs(hosts) do
    if host.authority == name then
      list[#list + 1] = host
    end
  end
  return list
end

-- A certificate of a CA for these questions alone. nil where the CA has ended: nobody has to be let in by it.
local function visitor(issuer, usage, name)
  local leaf, err = issuer:issue { usage = usage, common_name = name or "tcpki-rotation", days = nil,
    subject_alt_names = name and { name } or nil,
    not_after = math.min(os.time() + 86400, issuer.certificate:not_after() - 1) }
  if not leaf then
    return nil, err.code ~= "expired" and err or nil
  end
  return { certificate = leaf.chain:pem(), key = leaf.key:pem() }
end

-- ---- asking ----

local function let_in(result)
  return result.authenticated == true
end

local function refused(result)
  return result.cause == "client_ca_unknown"
end

-- Asks until the answer is right.
local function becomes(how, question)
  local probe = require "tcpki.probe"
  local settings = {}
  for name, value in pairs(question.settings) do
    settings[name] = value
  end
  settings.timeout = ONE_PROBE
  local result
  repeat
    result = probe.run(settings)
    if question.right(result) then
      return true
    end
    os.execute(PAUSE)
  until os.time() >= how.deadline
  return fault.fail {
    code = "not_verified",
    message = ("the server at %s, asked for %s, does not follow: %s, but the probe says: %s (%s)"):format(
      settings.address, settings.server_name, question.what, (tostring(result):gsub("\n.*", "")), result.message),
    hint = ("see that it runs on this directory, as it was written, and that its log has no 'failed to load "
      .. "certificates'; it looks for new files every %d s. Run it again: it carries on here"):format(how.refresh),
  }
end

local function ask_all(how, questions)
  for _, question in ipairs(questions) do
    local ok, err = becomes(how, question)
    if not ok then
      return nil, err
    end
  end
  return true
end

-- ---- the questions ----

local function server_roots(self)
  local roots = { layout.anchor(self.authorities[layout.SERVER_CA]) }
  local following = self.next[layout.SERVER_CA]
  roots[2] = following and layout.anchor(following) or nil
  return roots
end

local function add(questions, addresses, host, credentials, roots, what, right)
  for _, address in ipairs(addresses) do
    questions[#questions + 1] = { what = what, right = right, settings = {
      address = address, server_name = host, server_ca = layout.pem(roots), certificate = credentials.certificate,
      key = credentials.key } }
  end
end

-- Each of two kinds of credentials at the host that they are for.
local function add_visitors(questions, self, how, hosts, issuers, right, word)
  for _, name in ipairs(sorted(self.next)) do
    if name ~= layout.SERVER_CA then
      local someone, err = visitor(issuers[name], "client")
      if err then
        return nil, err
      end
      for _, host in ipairs(someone and hosts_for(hosts, name) or {}) do
        add(questions, how.addresses, host.name, someone, server_roots(self),
          ("a certificate of %s should be %s"):format(issuers[name].certificate:subject(), word), right)
      end
    elseif right == let_in and #how.internode > 0 then
      local internode = first_name(self.leaves[layout.INTERNODE].certificate)
      local someone, err = visitor(issuers[name], "peer", internode)
      if err then
        return nil, err
      elseif someone then
        add(questions, how.internode, internode, someone, server_roots(self),
          ("a node with a certificate of %s should be let in"):format(issuers[name].certificate:subject()), right)
      end
    end
  end
  return true
end

local function add_clients(questions, self, how, hosts)
  for _, name in ipairs(sorted(self.clients)) do
    local client = self.clients[name]
    local issuer = tree.issuer_of(self.next, client) or tree.issuer_of(self.authorities, client)
    -- What somebody else put there, or what has ended, was not let in before either.
    if issuer and client.certificate:not_after() > os.time() then
      local own = { certificate = client.texts["client.pem"], key = client.texts["client.key"] }
      add(questions, how.addresses, (hosts_for(hosts, issuer)[1] or hosts[1]).name, own, client.roots,
        ("the client %s should be let in"):format(name), let_in)
    end
  end
end

local function shows(issuer)
  return function(result)
    local shown = result.peer and result.peer.certificates[1]
    return let_in(result) and shown ~= nil and shown:signed_by(issuer.key)
  end
end

-- Every certificate of the server, as those see it who know the old CA alone and those who know the new one alone.
local function add_shown(questions, self, how, hosts)
  local following = self.next[layout.SERVER_CA]
  if not following then
    return true
  end
  for _, host in ipairs(hosts) do
    local someone, err = visitor(self.next[host.authority] or self.authorities[host.authority], "client")
    if not someone then
      return nil, err
    end
    for _, root in ipairs(server_roots(self)) do
      if root:not_after() > os.time() then
        add(questions, how.addresses, host.name, someone, { root },
          ("it should show a certificate of the new CA that who trusts %s takes"):format(root:subject()),
          shows(following))
      end
    end
  end
  local internode = first_name(self.leaves[layout.INTERNODE].certificate)
  local someone, err = visitor(following, "peer", internode)
  if not someone then
    return nil, err
  end
  add(questions, how.internode, internode, someone, server_roots(self),
    "a node should show a certificate of the new CA", shows(following))
  return true
end

local function add_system_worker(questions, self, how, hosts)
  local worker = self.leaves[layout.SYSTEM_WORKER]
  if worker then
    add(questions, how.addresses, hosts[1].name, { certificate = self.texts[layout.CERTS]["system-worker.pem"],
      key = self.texts[layout.CERTS]["system-worker.key"] }, server_roots(self), "the system worker should be let in",
      let_in)
  end
end

local asked = {}

function asked.trust(questions, self, how, hosts)
  local ok, err = add_visitors(questions, self, how, hosts, self.next, let_in, "let in")
  if not ok then
    return nil, err
  end
  return add_visitors(questions, self, how, hosts, self.authorities, let_in, "let in")
end

function asked.clients(questions, self, how, hosts)
  add_clients(questions, self, how, hosts)
  return true
end

function asked.leaves(questions, self, how, hosts)
  add_clients(questions, self, how, hosts)
  add_system_worker(questions, self, how, hosts)
  return add_shown(questions, self, how, hosts)
end

function asked.withdraw(questions, self, how, hosts)
  add_clients(questions, self, how, hosts)
  local ok, err = add_visitors(questions, self, how, hosts, self.next, let_in, "let in")
  if not ok then
    return nil, err
  end
  return add_visitors(questions, self, how, hosts, self.authorities, refused, "refused")
end

asked.forget = asked.clients

--- Sees, before anything is changed, that the server is one that lets in the certificates of some CAs as they are. It
-- has the time to look at its files once: nobody waits minutes to hear that an address is mistyped.
-- @tparam tree self
-- @tparam {string,…} names of the CAs that are to be rotated
-- @tparam table how as for `prove`
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault `not_verified`
function proof.before(self, names, how)
  local view = setmetatable({ next = {} }, { __index = self })
  for _, name in ipairs(names) do
    view.next[name] = self.authorities[name]
  end
  local questions = {}
  local ok, err = add_visitors(questions, view, how, hosts_of(self), self.authorities, let_in, "let in")
  if not ok then
    return nil, err
  end
  how = setmetatable({ deadline = os.time() + math.min(how.timeout, how.refresh + ONE_PROBE) }, { __index = how })
  ok, err = ask_all(how, questions)
  if not ok then
    err.message = err.message:gsub("does not follow", "is not what this directory says")
    err.hint = "nothing was changed: see that it runs on this directory, and that the address is its own"
    return nil, err
  end
  return true
end

--- Waits until the server is seen doing what a step is for.
-- @tparam tree self as it lies on the disk after the step
-- @tparam step step
-- @tparam table how `addresses`, `internode`, `timeout`, `refresh` (seconds)
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault `not_verified`
function proof.prove(self, step, how)
  local questions, hosts = {}, hosts_of(self)
  local ok, err = asked[step.name](questions, self, how, hosts)
  if not ok then
    return nil, err
  end
  how = setmetatable({ deadline = os.time() + how.timeout }, { __index = how })
  -- What is between the nodes cannot be seen at the frontend: they are given the time to look twice.
  local unseen = self.next[layout.SERVER_CA] and #how.internode == 0
    and (step.name == "trust" or step.name == "withdraw")
  local settled = os.time() + 2 * how.refresh
  ok, err = ask_all(how, questions)
  while ok and unseen and os.time() < settled do
    os.execute(PAUSE)
  end
  return ok, err
end

return proof

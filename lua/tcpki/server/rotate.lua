--- Moving a cluster from its CAs to new ones while it runs.
--
--     local rotation = assert(server.rotate { directory = "temporal", address = "127.0.0.1:7233" })
--     print(rotation)                     -- what is done, and what to wait for
--     -- once every client shows its new certificate:
--     assert(server.rotate { directory = "temporal", address = "127.0.0.1:7233", withdraw = true })
--
-- Each step changes directories by an exchange, so that a certificate and its key are never apart, and is seen at the
-- running server before the next one begins. A run that was killed is carried on by the next.
-- @module tcpki.server

local directory = require "tcpki.directory"
local fault = require "tcpki.fault"
local file = require "tcpki.file"
local layout = require "tcpki.server.layout"
local lock = require "tcpki.lock"
local options = require "tcpki.options"
local report = require "tcpki.report"
local state = require "tcpki.server.rotation.state"
local steps = require "tcpki.server.rotation.steps"
local tree = require "tcpki.server.rotation.tree"
local sorted = require "tcpki.sorted"

local WHERE = "tcpki.server.rotate"
local DAY = 86400
local at = layout.at

local rotate = {}

local metatable = { __name = "tcpki.server.rotation" }

local WAIT = "every client reads its new certificate and key, and shows them: restart what does not follow by itself. "
  .. "Then run it with withdraw = true"

function metatable:__tostring()
  if #self == 0 then
    return ("nothing is rotated: the first of the certificates ends in %d days"):format(self.days)
  end
  local lines = {}
  for _, name in ipairs(self.authorities) do
    lines[#lines + 1] = ("%s: %s -> %s"):format(name, self.from[name], self.to[name])
  end
  for number, step in ipairs(self) do
    lines[#lines + 1] = ("%d. %s %s"):format(number, step.done and "[done]" or "[    ]", step.title)
  end
  lines[#lines + 1] = self.done and "the rotation is over: the old CAs are trusted by nobody, and their keys are gone"
    or report.wrap("wait until " .. WAIT, "", "  ")
  return table.concat(lines, "\n")
end

-- ---- beginning ----

-- The life that is left to the first of some CAs, and of what they issued, in days.
local function days_left(self, names)
  local ending, issuers = math.huge, {}
  for _, name in ipairs(names) do
    issuers[name] = self.authorities[name]
    for _, certificate in ipairs(self.authorities[name].chain) do
      ending = math.min(ending, certificate:not_after())
    end
  end
  for _, leaves in ipairs { self.leaves, self.clients } do
    for _, leaf in pairs(leaves) do
      if tree.issuer_of(issuers, leaf) then
        ending = math.min(ending, leaf.certificate:not_after())
      end
    end
  end
  return math.floor((ending - os.time()) / DAY)
end

local function chosen(self, given)
  local names = given.authorities or sorted(self.authorities)
  for _, name in ipairs(names) do
    if not self.authorities[name] then
      return fault.fail { code = "not_found", path = at(self.path, layout.AUTHORITY),
        message = ("the cluster has no CA '%s'"):format(name),
        hint = "it has " .. table.concat(sorted(self.authorities), ", ") }
    end
  end
  for name, issuer in pairs(given.to or {}) do
    if not options.has(names, name) then
      return fault.fail { code = "not_found", message = ("'%s' is not rotated"):format(name),
        hint = "name it in authorities as well" }
    elseif name == layout.SERVER_CA and #issuer.chain > 1 then
      return fault.fail { code = "wrong_kind", message = "the new server CA is not a root",
        hint = "the old server CA signs the new root, for those who trust only the old one: pass one with its key",
        subject = tostring(issuer.certificate:subject()) }
    end
  end
  return names
end

local function begin(self, names, given)
  local to = {}
  for _, name in ipairs(names) do
    local issuer, err = (given.to or {})[name], nil
    if not issuer then
      issuer, err = state.successor(self.authorities[name])
    end
    if not issuer then
      return nil, err
    end
    to[name] = issuer
  end
  -- What a later step would fail at is no beginning.
  if to[layout.SERVER_CA] then
    local _, err = steps.cross_certificate(self.authorities[layout.SERVER_CA], to[layout.SERVER_CA])
    if err then
      return nil, err
    end
  end
  return state.begin(self, to)
end

-- One that is under way is carried on as it was begun.
local function check_same(self, given)
  for _, list in ipairs { given.authorities or {}, sorted(given.to or {}) } do
    for _, name in ipairs(list) do
      if not self.next[name] or (given.to and given.to[name]
        and given.to[name].certificate ~= self.next[name].certificate) then
        return fault.fail { code = "busy", path = at(self.path, layout.NEXT),
          message = ("another rotation is under way: of %s"):format(table.concat(sorted(self.next), ", ")),
          hint = "carry that one on, without authorities and to; then begin the next" }
      end
    end
  end
  return true
end

-- ---- the server ----

local function refresh_of(path, given)
  if given.refresh_interval then
    return given.refresh_interval
  end
  local where = at(path, layout.TLS)
  local text, err = file.read(where)
  if not text then
    if not file.list(at(path, layout.AUTHORITY)) then
      return fault.fail { code = "not_found", path = path,
        message = ("it is no directory that server.cluster wrote: it has no %s"):format(layout.AUTHORITY),
        hint = "name that directory" }
    end
    err.hint = "pass refresh_interval: how often the server looks for new files, in seconds"
    return nil, err
  end
  local found = text:match "\n%s*refreshInterval:%s*[\"']?([%w.]+)"
  local duration = require "tcpki.server.duration"
  local nanoseconds = found and duration.parse(found)
  if not nanoseconds or nanoseconds <= 0 then
    return fault.fail { code = "not_verified", path = where,
      message = "there is no refreshInterval: this server never looks for new files",
      hint = "set global.tls.refreshInterval, such as 1m, and restart the server; or pass refresh_interval" }
  end
  return math.max(duration.seconds(nanoseconds + 999999999), 1)
end

local function list_of(value)
  return type(value) == "string" and { value } or value or {}
end

-- What proves a step, and what looks at the server before the first.
local function prover(path, given)
  if given.verify then
    local function verify(_, step)
      local ok, err = given.verify(step)
      if ok then
        return true
      end
      return nil, type(err) == "table" and err or fault.new { code = "not_verified", path = path,
        message = ("step '%s' was not verified%s"):format(step.name, err and ": " .. tostring(err) or ""),
        hint = "run it again: it carries on here" }
    end
    return { prove = verify, before = function() return true end }
  end
  local refresh, err = refresh_of(path, given)
  if not refresh then
    return nil, err
  end
  local how = { addresses = list_of(given.address), internode = list_of(given.internode), refresh = refresh,
    timeout = given.timeout or math.max(30, 5 * refresh) }
  local proof = require "tcpki.server.rotation.proof"
  return {
    prove = function(self, step) return proof.prove(self, step, how) end,
    before = function(self, names) return proof.before(self, names, how) end,
  }
end

-- ---- walking ----

local function read(path)
  local self, err = tree.read(path)
  if not self then
    return nil, err
  end
  local ok
  ok, err = state.resume(self)
  if not ok then
    return nil, err
  end
  return self
end

-- What a caller sees of a step.
local function face(step)
  return { name = step.name, title = step.title }
end

local function check(self, step, prove, given)
  if given.publish then
    local ok, err = given.publish(face(step))
    if not ok then
      return nil, type(err) == "table" and err or fault.new { code = "not_verified", path = self.path,
        message = ("step '%s' was not published%s"):format(step.name, err and ": " .. tostring(err) or ""),
        hint = "run it again: it carries on here" }
    end
  end
  return prove.prove(self, face(step))
end

-- The last step that was taken and had something to do.
local function position(self)
  local last = 0
  for number, step in ipairs(steps) do
    if not step.taken(self) then
      break
    elseif not step.idle(self) then
      last = number
    end
  end
  return last
end

-- Takes and proves what is to be done; the number of the last step that is done.
local function walk(self, prove, given)
  local from = position(self)
  for number = math.max(from, 1), #steps do
    local step = steps[number]
    if step.last and not given.withdraw and number > from then
      return number - 1, self
    end
    local ok, err = true, nil
    if not step.taken(self) then
      ok, err = step.take(self)
      if ok then
        self, err = read(self.path)
        ok = self
      end
    end
    if ok and not step.idle(self) then
      ok, err = check(self, step, prove, given)
    end
    if not ok then
      return nil, err
    end
  end
  return #steps, self
end

local function describe(self, reached)
  local made = setmetatable({ done = reached == #steps, authorities = sorted(self.next), from = {}, to = {} },
    metatable)
  for _, name in ipairs(made.authorities) do
    made.from[name] = tostring(self.authorities[name].certificate:subject())
    made.to[name] = tostring(self.next[name].certificate:subject())
  end
  for number, step in ipairs(steps) do
    made[number] = face(step)
    made[number].done = number <= reached
  end
  made.waiting = steps[reached + 1] and steps[reached + 1].name
  return made
end

local function run(path, given, prove)
  directory.sweep(path)
  directory.sweep(at(path, layout.CLIENTS))
  local self, err = read(path)
  if not self then
    return nil, err
  end
  local ok
  if self.next then
    ok, err = check_same(self, given)
  else
    local names
    names, err = chosen(self, given)
    if not names then
      return nil, err
    end
    local days = days_left(self, names)
    if given.due and days > given.due then
      return setmetatable({ done = true, days = days, authorities = {}, from = {}, to = {} }, metatable)
    end
    ok, err = prove.before(self, names)
    if ok then
      ok, err = begin(self, names, given)
    end
  end
  if not ok then
    return nil, err
  end
  local reached = #steps
  local described
  if not state.is_over(self) then
    described = self
    reached, err = walk(self, prove, given)
    if not reached then
      return nil, err
    end
    self = err
  end
  described = describe(described or self, reached)
  if reached == #steps then
    ok, err = state.finish(self)
    if not ok then
      return nil, err
    end
  end
  return described
end

local known = {
  directory = "string", address = "string|table", internode = "string|table", verify = "function",
  publish = "function", withdraw = "boolean", authorities = "table", to = "table", due = "integer",
  timeout = "number", refresh_interval = "integer",
}

--- Moves a cluster from its CAs to new ones, or carries on with that. Everything is kept in the directory; two runs at
-- once are refused.
--
-- The steps: `trust`, the new CAs come into the second slot of what is trusted; `clients`, everything in clients/ gets
-- certificates of the new CA and trusts both server CAs; `leaves`, the server gets certificates of the new CAs; and,
-- with `withdraw`, `withdraw`, the old CAs go out of the slots; `forget`, the clients stop to trust the old server CA.
-- After each the running server is asked whether it follows, with certificates of both CAs.
-- @function rotate
-- @tparam table given
--
-- * `directory`: what `cluster:write` wrote
-- * `address`: where the frontend is asked; several where there are several nodes, each by itself
-- * `internode`: addresses of other services (history, matching, worker), to ask the nodes as well; without them they
--   are given the time to look twice
-- * `verify`: a function in the place of all this: `verify(step)` returns true, or nil and why not
-- * `publish`: called behind each step, before the server is asked: `publish(step)` brings the directory to where the
--   server reads it, and returns true, or nil and why not. It is called again where a run carries on
-- * `withdraw` (false by default): whether the old CAs are taken away. Only you know when all clients show their new
--   certificates: without it the rotation stops there
-- * `authorities`: names of the CAs, all by default: "server-ca", "client-ca", "HOST-client-ca"
-- * `to`: CAs by name in the place of new ones; that of the servers has to be a root
-- * `due`: days; a rotation is begun only where one of the CAs, or a certificate of theirs, ends by then (0: only
--   carries on what is under way)
-- * `timeout`: seconds until the server has to follow a step (30, or five times the refresh interval)
-- * `refresh_interval`: seconds, where config/tls.yaml does not say it
-- @treturn[1] rotation an array of steps, each `name`, `title`, `done`; `done`, `waiting` (the name of the step that is
-- waited for), `authorities`, `from`, `to` (subjects by the name of the CA); `tostring` is for people
-- @treturn[2] nil
-- @treturn[2] fault `not_verified` where the server does not follow, `busy` where another run is at it or somebody
-- else changed the directory, `not_found`, `key_mismatch`, `bad_state`, `permission_denied`, `no_space`, …; what was
-- done is in force, and the next run carries on
function rotate.rotate(given)
  given = options.check(WHERE, given, known)
  local path = options.expect(WHERE, "option 'directory'", given.directory, "string")
  if (given.address == nil) == (given.verify == nil) then
    error(WHERE .. ": pass address or verify", 2)
  end
  for _, name in ipairs { "address", "internode" } do
    options.list(WHERE, ("option '%s', entry"):format(name), list_of(given[name]), "string")
  end
  -- Nobody would be asked, and each step would be taken for seen.
  if given.address and #list_of(given.address) == 0 then
    error(WHERE .. ": option 'address' is empty", 2)
  end
  options.list(WHERE, "option 'authorities', entry", given.authorities or {}, "string")
  for name, issuer in pairs(given.to or {}) do
    options.expect(WHERE, ("option 'to', '%s'"):format(tostring(name)), issuer, "tcpki.authority")
  end
  local prove, err = prover(path, given)
  if not prove then
    return nil, err
  end
  local held
  held, err = lock.directory(path, "rotate")
  if not held then
    return nil, err
  end
  local ok, made
  ok, made, err = pcall(run, path, given, prove)
  held:release()
  if not ok then
    error(made, 0)
  end
  return made, err
end

return rotate

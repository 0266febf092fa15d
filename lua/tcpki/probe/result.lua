--- From what was seen to the table that `probe.run` returns.
-- @module tcpki.probe.result

local core = require "tcpki.core"
local date = require "tcpki.date"
local causes = require "tcpki.probe.causes"
local judge = require "tcpki.probe.judge"
local report = require "tcpki.probe.report"
local rungs = require "tcpki.probe.rungs"
local trace = require "tcpki.probe.trace"
local words = require "tcpki.probe.words"

local result = {}

local metatable = { __name = "tcpki.probe.result", __tostring = report.text }

-- ---- the certificates of both sides ----

local function describe_certificate(certificate, now)
  return {
    subject = tostring(certificate:subject()), issuer = tostring(certificate:issuer()),
    serial = certificate:serial(), fingerprint = certificate:fingerprint(),
    not_before = certificate:not_before(), not_after = certificate:not_after(),
    expires_in = certificate:not_after() - now,
  }
end

-- Parsed when somebody asks: a success has no use for them.
local lazy_certificates = {
  __index = function(peer, name)
    if name ~= "certificates" then return nil end
    -- A certificate that we cannot parse is still shown, as its text.
    local list = core.certificate.parse_all(peer.pem) or {}
    rawset(peer, name, list)
    return list
  end,
}

local function peer_of(seen)
  local pem = seen.system and seen.system.chain or seen.trace and seen.trace.chain
  return pem and setmetatable({ pem = pem }, lazy_certificates)
end

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

-- ---- what the sentences are filled with ----

local function expiry_of(leaf, now)
  local after = leaf:not_after()
  if now > after then
    return ("expired on %s, %s ago"):format(date.minute(after), report.span(now - after))
  end
  return ("has expired by the server's clock, or an issuer of it has; by the clock here it is "
    .. "valid until %s"):format(date.minute(after))
end

local function accepted_of(record)
  local names = record and record.ca_names
  if not names or #names == 0 then return "" end
  local shown = table.concat(names, "; ", 1, math.min(#names, 3))
  return ("; it accepts certificates of %s%s"):format(shown, #names > 3 and " and others" or "")
end

local function tidy(text)
  return type(text) == "string" and text:gsub("[%s.]+$", "") or text
end

local function fields_of(task, context, seen, about)
  local leaf = context.certificates[1]
  local fields = {
    host = task.host, name = task.server_name, namespace = task.namespace, peer = seen.peer,
    waited = report.duration(about.seconds or seen.elapsed or 0), server_subject = context.server_subject or "",
    server_names = context.server_names or "none", accepted = accepted_of(seen.trace),
  }
  if leaf then
    fields.subject, fields.issuer = tostring(leaf:subject()), tostring(leaf:issuer())
    fields.not_before, fields.expiry = date.minute(leaf:not_before()), expiry_of(leaf, context.now)
  end
  for name, value in pairs(about) do fields[name] = tidy(value) end
  if fields.evidence then fields.evidence = about.evidence end
  return fields
end

-- ---- the table ----

--- A table with the same fields, for what differs in a few.
-- @tparam table given
-- @treturn table
function result.copy(given)
  local copied = {}
  for name, value in pairs(given) do copied[name] = value end
  return copied
end

--- Sets what a cause says: `ok`, `cause`, `stage`, `certain`, `candidates`, `message`, `hint`.
-- @tparam table made the result
-- @tparam string word of a cause
-- @tparam table about `certain`, `candidates`, `stage` where it is not the row's
-- @tparam table fields of its sentence
-- @treturn table made
function result.conclude(made, word, about, fields)
  made.ok = word == "ok"
  made.cause = word
  made.stage = about.stage or causes[word].stage
  made.certain = about.certain ~= false
  made.candidates = about.candidates
  made.message, made.hint = causes.describe(word, fields)
  return made
end

local function start(settings, task)
  local made = {
    address = task.address or settings.address, server_name = task.server_name,
    authenticated = false, timings = {}, attempts = {},
  }
  return setmetatable(made, metatable)
end

--- Sets what is known at the end: the ladder, and the time in all.
-- @tparam table made the result
-- @tparam table task
-- @treturn table made
function result.finish(made, task)
  made.timings.total = task.now() - task.started
  made.ladder = rungs.of(made, task)
  return made
end

--- A result without a connection.
-- @tparam table settings options of `probe.run`
-- @tparam table task
-- @tparam string word of a cause
-- @tparam table about `certain` and the fields of its sentence
-- @treturn table
function result.early(settings, task, word, about)
  local made = start(settings, task)
  local fields = { host = task.host }
  for name, value in pairs(about) do fields[name] = tidy(value) end
  return result.finish(result.conclude(made, word, about, fields), task)
end

local function grpc_of(seen)
  local answer = seen.system
  for _, later in ipairs { seen.described or false, seen.health or false } do
    if later and answer.code == 0 then answer = later end
  end
  if not answer then
    return { code = 4, name = words.status[4], message = "no connection in time" }
  end
  return {
    code = answer.code, name = words.status[answer.code], message = answer.message,
    detail_type = answer.detail_type, detail = answer.detail,
  }
end

local function namespace_of(seen)
  local namespace = seen.described and seen.described.namespace
  if not namespace then return nil end
  namespace.state_number = namespace.state
  namespace.state = words.namespace_state[namespace.state]
  return namespace
end

-- What of the server's certificate the sentences and the judgement want, when they want it.
local server_fields = {
  server_subject = function(leaf) return tostring(leaf:subject()) end,
  server_names = names_of,
}

local function context_of(task, peer, now)
  local context = {
    certificates = task.material.certificates, now = now, has_roots = task.material.roots ~= nil,
    root_certificates = task.material.root_certificates,
  }
  return setmetatable(context, {
    __index = function(_, name)
      local leaf = server_fields[name] and peer and peer.certificates[1]
      return leaf and server_fields[name](leaf) or nil
    end,
  })
end

local function add_attempts(made, task, attempts, now)
  for i, seen in ipairs(attempts) do
    local word, about = judge.attempt(context_of(task, peer_of(seen), now), seen)
    made.attempts[i] = {
      address = seen.peer, cause = word, stage = about.stage or causes[word].stage,
      timings = seen.timings,
    }
  end
end

--- The result of a climb.
-- @tparam table settings options of `probe.run`
-- @tparam table task
-- @tparam {attempt,…} attempts of `tcpki.probe.ladder`, at least one
-- @treturn table
function result.of(settings, task, attempts)
  local now = os.time()
  local made = start(settings, task)
  local seen = attempts[#attempts]
  made.timings = seen.timings
  made.timings.input, made.timings.resolve = task.input_seconds, task.resolve_seconds
  made.peer_address, made.peer = seen.peer, peer_of(seen)
  made.trace = trace.named(seen.trace)
  made.grpc = grpc_of(seen)
  local system = seen.system
  if system then
    made.authenticated = system.answered and not system.session_resumed
    made.server_version, made.capabilities = system.server_version, system.capabilities
  end
  made.namespace = namespace_of(seen)
  if seen.health and seen.health.health then
    made.health = words.health[seen.health.health]
  end
  local leaf = task.material.certificates[1]
  made.certificate = leaf and describe_certificate(leaf, now)
  local context = context_of(task, made.peer, now)
  local word, about = judge.attempt(context, seen)
  made.findings = about.findings
  made.disagreement = judge.disagreement(context, seen)
  add_attempts(made, task, attempts, now)
  local fields = word == "ok" and {} or fields_of(task, context, seen, about)
  return result.finish(result.conclude(made, word, about, fields), task)
end

return result

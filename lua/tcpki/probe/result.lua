--- From what was seen to the table that `probe.run` returns.
-- @module tcpki.probe.result

local core = require "tcpki.core"
local causes = require "tcpki.probe.causes"
local context = require "tcpki.probe.context"
local fields = require "tcpki.probe.fields"
local findings = require "tcpki.probe.findings"
local judge = require "tcpki.probe.judge"
local later = require "tcpki.probe.later"
local report = require "tcpki.probe.report"
local rungs = require "tcpki.probe.rungs"
local trace = require "tcpki.probe.trace"
local warnings = require "tcpki.probe.warnings"
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

-- ---- the table ----

--- Sets what a cause says: `ok`, `cause`, `stage`, `certain`, `candidates`, `message`, `hint`.
-- @tparam table made the result
-- @tparam string word of a cause
-- @tparam table about `certain`, `candidates`, `stage` where it is not the row's
-- @tparam table filled the fields of its sentence
-- @treturn table made
function result.conclude(made, word, about, filled)
  made.ok = word == "ok"
  made.cause = word
  made.stage = about.stage or causes[word].stage
  made.certain = about.certain ~= false
  made.candidates = about.candidates or not made.certain and { word } or nil
  made.message, made.hint = causes.describe(word, filled)
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
  made.timings.input, made.timings.resolve = task.input_seconds, task.resolve_seconds
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
  local filled = fields.take({ host = task.host }, about)
  made.findings, made.warnings = {}, {}
  return result.finish(result.conclude(made, word, about, filled), task)
end

local function grpc_of(seen)
  local answer = seen.system
  for _, next_answer in ipairs { seen.described or false, seen.health or false } do
    if next_answer and answer.code == 0 then answer = next_answer end
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

-- What became of each address that was tried; the last is judged already.
local function attempts_of(task, attempts, now, last_word, last_about)
  local list = {}
  for i, seen in ipairs(attempts) do
    local word, about = last_word, last_about
    if i < #attempts then
      word, about = judge.attempt(context.of(task, peer_of(seen), seen.trace, now), seen)
    end
    list[i] = {
      address = seen.peer, cause = word, stage = about.stage or causes[word].stage, timings = seen.timings,
    }
  end
  return list
end

-- Those of the text, too: a judgement of a refusal has no use for them.
local function all_findings(task, known)
  return findings.add_text(known.findings, task.material.certificate, known.file)
end

local function warnings_of(task, known, made)
  return warnings.of {
    certificates = known.certificates, peer = known.peer_certificates or {}, roots = known.root_certificates or {},
    roots_name = known.roots_name,
    findings = all_findings(task, known), now = known.now, trace = made.trace, server_name = task.server_name,
    key_traditional = task.material.key_traditional,
  }
end

-- Where it is one thing or another, what to do about the other belongs beside it.
local function with_other_cure(made, filled)
  local candidates = made.candidates
  if made.certain or not candidates or candidates[1] ~= made.cause or not candidates[2] then return made.hint end
  local _, cure = causes.describe(candidates[2], filled)
  if cure:find("?", 1, true) then return made.hint end -- a field that only its own judgement gives
  return ("%s%s Or, if it is %s: %s"):format(made.hint, made.hint:find "%.$" and "" or ".", candidates[2], cure)
end

-- Sets what was seen, whatever it means.
local function tell(made, task, seen, now)
  made.timings = seen.timings
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
  tell(made, task, seen, now)
  local known = context.of(task, made.peer, seen.trace, now)
  local word, about = judge.attempt(known, seen)
  made.accepted_by = task.material.accepted and known.findings.verdicts or nil
  made.disagreement = judge.disagreement(known, seen)
  made.attempts = attempts_of(task, attempts, now, word, about)
  local filled = word == "ok" and {} or fields.of(known, seen, about)
  result.conclude(made, word, about, filled)
  made.hint = with_other_cure(made, filled)
  made.findings = later.list(function() return findings.shown(all_findings(task, known)) end)
  made.warnings = later.list(function() return made.authenticated and warnings_of(task, known, made) or {} end)
  return result.finish(made, task)
end

return result

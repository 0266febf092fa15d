--- The control of a probe: the same connection without a certificate, and with one that nobody should accept. Where the
-- server lets those in as well, its answer to the true certificate proves nothing.
--
-- What counts is an RPC that gRPC core got answered; a trace only tells why. A status of PERMISSION_DENIED or
-- UNAUTHENTICATED is a refusal too: that server judges later, but it does.
-- @module tcpki.probe.control
-- @local

local core = require "tcpki.core"
local copy = require "tcpki.probe.copy"
local input = require "tcpki.probe.input"
local probe_core = require "tcpki.probe.core"
local result = require "tcpki.probe.result"
local together = require "tcpki.probe.together"

local control = {}

local NEVER = { [7] = true, [16] = true } -- PERMISSION_DENIED, UNAUTHENTICATED

-- ---- the certificates ----

local function made(value, fault)
  if not value then error(fault, 0) end
  return value
end

-- A certificate that says of itself what the true one says, under a CA of the same name that has another key: a server
-- that compares names only lets it in.
local function stranger_of(leaf)
  local now, day = os.time(), 24 * 60 * 60
  local authority_key, key = made(core.key.generate()), made(core.key.generate())
  local authority = made(core.certificate.make {
    subject = leaf:issuer(), public_key = authority_key, issuer_key = authority_key, not_before = now - day,
    not_after = now + 2 * day, basic_constraints = { ca = true }, key_usage = { "key_cert_sign", "crl_sign" },
  })
  local certificate = made(core.certificate.make {
    subject = leaf:subject(), subject_alt_names = leaf:subject_alt_names(), public_key = key, issuer = authority,
    issuer_key = authority_key, not_before = now - day, not_after = now + day, key_usage = { "digital_signature" },
    extended_key_usage = { "client_auth" },
  })
  return { certificate = certificate:pem(), key = key:pem(), certificates = { certificate } }
end

-- What of the second certificate is given, as `input` takes it.
local function second_of(given)
  local material, fault = input.load(given)
  if not material then
    local what = fault.fields.what
    fault.fields.what = (what == "the certificate" or what == "the key") and what .. " of the control" or what
    return nil, fault
  end
  return material
end

--- The certificates of the controls.
-- @tparam table settings of the probe; `control` is true, or a table with the second certificate
-- @tparam table material of the probe
-- @treturn[1] {table,…} `name`, `who` (for a sentence), `material`
-- @treturn[2] nil
-- @treturn[2] table `word` of a cause and its `fields`
function control.tasks(settings, material)
  local given = type(settings.control) == "table" and settings.control
  local second, who
  if given then
    local fault
    second, fault = second_of(given)
    if not second then return nil, fault end
    who = "a client with the certificate " .. tostring(second.certificates[1]:subject())
  else
    second = stranger_of(material.certificates[1])
    who = "a client whose certificate is signed by a CA that was made up for this"
  end
  second.roots, second.root_certificates = material.roots, material.root_certificates
  local none = { certificates = {}, roots = material.roots, root_certificates = material.root_certificates }
  return {
    { name = "without", who = "a client without a certificate", material = none },
    { name = "stranger", who = who, material = second },
  }
end

-- ---- the climbs ----

local function task_of(task, one)
  local other = copy(task, { material = one.material })
  other.controls, other.health = nil, nil
  -- It is refused by design: why is told by one trace, which need not wait for anything.
  other.trace = task.trace == "never" and "never" or "on_failure"
  other.started = probe_core.now()
  return other
end

local refusals = { alert = true, closed = true, reset = true }

-- A proxy that asks for a certificate and wants none to fail in TLS refuses in HTTP: nginx with 400.
local http_refusals = { [400] = true, [401] = true, [403] = true, [495] = true, [496] = true }

local function is_refused_in_http(probed)
  local http = probed.trace and probed.trace.http
  local said = probed.grpc and probed.grpc.message or ""
  local status = http and http.status or said:match "http2 header with status: (%d+)"
  return http_refusals[math.tointeger(tonumber(status))] or false
end

--- What became of a client.
-- @tparam table probed the result of its probe
-- @tparam[opt] table main that of the true certificate, beside it: what is denied to both is no refusal of one
-- @treturn string "let_in", "refused" or "unclear"
function control.outcome(probed, main)
  if probed.authenticated then
    return NEVER[probed.grpc.code] and not (main and NEVER[main.grpc.code]) and "refused" or "let_in"
  end
  if is_refused_in_http(probed) then return "refused" end
  local trace = probed.trace
  if trace and (trace.stage == "tls" or trace.stage == "settings") and refusals[trace.ended] then return "refused" end
  if probed.cause == "no_client_certificate" or probed.cause:find "^client_" then return "refused" end
  return "unclear"
end

local function describe(probed, one, main)
  local leaf = one.material.certificates[1]
  return {
    outcome = control.outcome(probed, main), who = one.who, cause = probed.cause, stage = probed.stage,
    certain = probed.certain, peer_address = probed.peer_address, seconds = probed.timings.total, grpc = probed.grpc,
    ladder = probed.ladder, trace = probed.trace, certificate = leaf and probed.certificate,
  }
end

-- Whether the server asked for a certificate; nil where nobody has seen it.
local function was_asked(main, seen)
  for _, record in ipairs { main.trace or false, seen.without.trace or false, seen.stranger.trace or false } do
    if record and (record.timings.tls or record.certificate_requested) then return record.certificate_requested end
  end
end

-- The verdict on a server that answered the true certificate.
local function judge(main, seen, task)
  local open, unclear
  for _, one in ipairs(task.controls) do
    local outcome = seen[one.name].outcome
    open = open or outcome == "let_in" and one
    unclear = unclear or outcome == "unclear" and one
  end
  if not open and not unclear then return main end
  main.authenticated = false
  if main.cause ~= "ok" then return main end
  if open and open.name == "without" and was_asked(main, seen) == false then
    return result.conclude(main, "ok_not_asked", {}, {})
  elseif open then
    return result.conclude(main, "ok_not_enforced", {}, { who = open.who, evidence = "" })
  end
  local cause = seen[unclear.name].cause
  return result.conclude(main, "ok_not_enforced", { certain = false, candidates = { "ok_not_enforced", "ok" } }, {
    who = "anybody, as far as is known",
    evidence = ("The control, %s, came to no end (%s)."):format(unclear.who, cause),
  })
end

--- Probes, and beside it the controls.
-- @tparam table task with `controls` of `control.tasks`
-- @tparam {address,…} list
-- @tparam function climb from a task and addresses to a result
-- @treturn table the result, with `control`: `without` and `stranger`
function control.run(task, list, climb)
  local steps = { function() return climb(task, list) end }
  for i, one in ipairs(task.controls) do
    steps[i + 1] = function() return climb(task_of(task, one), list) end
  end
  local probed = together.run(steps, {
    -- A certificate that is refused needs no control.
    stop = function(results) return results[1] and not results[1].authenticated end,
  })
  local main = probed[1]
  if not main.authenticated then return main end
  local seen = {}
  for i, one in ipairs(task.controls) do
    seen[one.name] = describe(probed[i + 1], one, main)
    -- A server that serves one at a time, or limits how many come at once, has its hands free by now.
    if seen[one.name].outcome == "unclear" then
      seen[one.name] = describe(climb(task_of(task, one), list), one, main)
    end
  end
  main.control = seen
  -- Nobody has seen whether it asks: one more look, where it decides the word.
  if seen.without.outcome == "let_in" and was_asked(main, seen) == nil and task.trace ~= "never" then
    local look = task_of(task, task.controls[1])
    look.trace = "always"
    seen.without = describe(climb(look, list), task.controls[1], main)
  end
  judge(main, seen, task)
  return result.finish(main, task)
end

return control

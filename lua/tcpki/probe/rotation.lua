--- Whether a server is where a step of a rotation wants it: is the old certificate let in, is the new one?
-- @module tcpki.probe.rotation
-- @local

local control = require "tcpki.probe.control"
local copy = require "tcpki.probe.copy"
local probe_core = require "tcpki.probe.core"
local report = require "tcpki.probe.report"
local result = require "tcpki.probe.result"
local run = require "tcpki.probe.run"
local together = require "tcpki.probe.together"

local rotation = {}

-- The pauses of one who waits: short at first, since most servers look at their files every few seconds.
local FIRST_PAUSE, LONGEST_PAUSE, PAUSE_TIMES = 0.25, 5, 1.5

--- What each step wants once it is done: those of `tcpki.cloud.rotation`, and for a server of one's own `before` and
-- `after` its three states.
rotation.steps = {
  before = { old = "accepted", new = "refused" },
  make_room = { old = "accepted", new = "refused" },
  overlap = { old = "accepted", new = "accepted" },
  roll_over = { old = "accepted", new = "accepted" },
  remove = { old = "refused", new = "accepted" },
  after = { old = "refused", new = "accepted" },
}

--- The name of a step: a word, or a step of a plan of `tcpki.cloud.rotation`.
-- @param value
-- @treturn ?string nil where it is none
function rotation.step_name(value)
  local name = type(value) == "table" and value.action or value
  return type(name) == "string" and rotation.steps[name] and name or nil
end

local sides = { "old", "new" }

-- ---- one look ----

-- Of one address: "accepted", "refused" or "unclear".
local function outcome_of(probed)
  local outcome = control.outcome(probed)
  return outcome == "let_in" and "accepted" or outcome
end

-- The addresses that count, each a result.
local function each_address(probed)
  local list = {}
  for _, one in ipairs(probed.addresses or { probed }) do
    if not one.no_route then list[#list + 1] = one end
  end
  return list
end

-- Of all addresses; where they differ, "mixed".
local function seen_of(probed)
  local seen
  for _, one in ipairs(each_address(probed)) do
    local outcome = outcome_of(one)
    seen = (seen == nil or seen == outcome) and outcome or "mixed"
  end
  return seen or "unclear"
end

local function settings_of(settings, side)
  return copy(settings.common, settings[side])
end

local function look(settings, wanted)
  local probed = together.run {
    function() return run.probe(settings_of(settings, "old")) end,
    function() return run.probe(settings_of(settings, "new")) end,
  }
  local both = { as_wanted = true }
  for i, side in ipairs(sides) do
    local seen = seen_of(probed[i])
    -- Of one that is let in, what was asked must be answered as well.
    local fine = seen == wanted[side] and (seen == "refused" or probed[i].ok)
    both[side] = { wanted = wanted[side], seen = seen, as_wanted = fine, result = probed[i] }
    both.as_wanted = both.as_wanted and fine
  end
  return both
end

-- ---- what it means ----

-- A server that has not loaded the CA says one of these, or nothing.
local unknown = { client_ca_unknown = true, client_ca_twin = true, client_refused = true, rotation_not_loaded = true }

local function is_one_certificate(both)
  local old, new = both.old.result.certificate, both.new.result.certificate
  return old ~= nil and new ~= nil and old.fingerprint == new.fingerprint
end

-- Whether waiting cannot help: a file that does not parse stays so, and a certificate that has expired.
local function is_final(both)
  if both.as_wanted then return true end
  for _, side in ipairs(sides) do
    local one = both[side]
    local probed = one.result
    if probed.stage == "input" then return true end
    if one.wanted == "accepted" and one.seen == "refused" and probed.certain and not unknown[probed.cause] then
      return true
    end
  end
  return false
end

local LOAD = "A Temporal server compares only the first certificate of each file in clientCaFiles: give each CA a "
  .. "file of its own (slots), set refreshInterval (0, the default, is never), or restart the server. On Temporal "
  .. "Cloud, list what is accepted: tcld namespace accepted-client-ca list"

local opposite = { accepted = "refused", refused = "accepted" }

-- Where the other thing than what is wanted was seen, of several addresses.
local function where_of(one)
  local places = {}
  for _, at in ipairs(one.result.addresses and each_address(one.result) or {}) do
    if outcome_of(at) == opposite[one.wanted] then places[#places + 1] = at.peer_address end
  end
  return #places > 0 and " at " .. table.concat(places, ", ") or ""
end

-- The result that shows it: of several addresses the first that is not as it should be.
local function showing(one)
  for _, at in ipairs(each_address(one.result)) do
    if outcome_of(at) ~= one.wanted then return at end
  end
  return one.result
end

-- Takes over what a probe says; side: of which certificate, where it is of one.
local function as_probed(made, probed, side)
  for _, name in ipairs { "cause", "stage", "certain", "candidates", "message", "hint" } do
    made[name] = probed[name]
  end
  -- Old and new have one subject, as a rule: its sentence alone does not tell which of them is meant.
  if side then made.message = ("Of the %s certificate: %s"):format(side, made.message) end
  return made
end

-- The stages at which no certificate of ours has been looked at.
local before_judgement = { resolve = true, connect = true, tls = true }

local function not_loaded(made, detail, cure, shown)
  local about = {}
  if shown then -- of a refusal, for which there may be another reason
    about.certain = shown.certain and shown.cause ~= "client_refused"
    about.candidates = not about.certain and { "rotation_not_loaded" } or nil
    for _, word in ipairs(about.candidates and shown.candidates or {}) do
      if word ~= "rotation_not_loaded" then table.insert(about.candidates, word) end
    end
  end
  return result.conclude(made, "rotation_not_loaded", about,
    { step = ('"%s"'):format(made.step), detail = detail, cure = cure, evidence = "" })
end

-- What is wrong about one side.
local function judge(made, side)
  local one = made[side]
  local shown = showing(one)
  if one.wanted == "refused" and outcome_of(shown) == "accepted" then
    if side == "new" then
      return not_loaded(made, "accepts the new certificate already" .. where_of(one),
        "Go on with the step overlap, if the new CA was added; if not, see what the server verifies at all")
    end
    return not_loaded(made, "still accepts the old certificate" .. where_of(one), LOAD)
  elseif side == "new" and outcome_of(shown) == "refused" and unknown[shown.cause] then
    return not_loaded(made, "still refuses the new certificate" .. where_of(one), LOAD, shown)
  end
  local cure = "Accept the CA of the old certificate again, beside the new one, until no client shows it any more"
  if side == "old" and shown.cause == "rotation_not_loaded" then
    return not_loaded(made, "refuses the old certificate already" .. where_of(one), cure, shown)
  end
  as_probed(made, shown, not before_judgement[shown.stage] and side)
  if side == "old" and unknown[shown.cause] then made.hint = cure .. "." end
  return made
end

-- Whether the server lets in whoever comes: then it is at no step at all. Of the certificates that it accepts, one is
-- probed again with the control beside it.
local function check_control(made, settings)
  local side = made.new.seen == "accepted" and "new" or made.old.seen == "accepted" and "old"
  if not side or settings.control == false then return true end
  local own = settings_of(settings, side)
  own.control = settings.control or true
  local probed = run.probe(own)
  made.control = probed.control
  if probed.cause ~= "ok_not_asked" and probed.cause ~= "ok_not_enforced" then return true end
  as_probed(made, probed)
  return false
end

-- ---- for people ----

local metatable = { __name = "tcpki.probe.rotation" }

function metatable.__tostring(made)
  local lines = {}
  lines[1] = made.ok and ('as the step "%s" wants it'):format(made.step)
    or ('not as the step "%s" wants it: %s'):format(made.step, made.cause)
  if not made.ok then
    lines[#lines + 1] = report.paragraph(made.message)
    local doubt = report.doubt(made)
    if doubt then lines[#lines + 1] = report.paragraph(doubt) end
    lines[#lines + 1] = report.paragraph("Do: " .. made.hint)
  end
  for _, side in ipairs(sides) do
    local one = made[side]
    lines[#lines + 1] = report.paragraph(("%s certificate%s: %s%s"):format(side,
      one.result.certificate and ", " .. one.result.certificate.subject or "", one.seen,
      one.seen == one.wanted and ", as wanted" or ", wanted: " .. one.wanted))
  end
  if made.tries > 1 then
    lines[#lines + 1] = ("  looked %d times in %s"):format(made.tries, report.duration(made.waited))
  end
  return table.concat(lines, "\n")
end

-- Looks until nothing more can come of it, or the time is up: sets old, new, tries and waited.
local function look_until(made, settings)
  local started, pause, left = probe_core.now(), FIRST_PAUSE, nil
  repeat
    if left then
      together.sleep(math.min(pause, left))
      pause = math.min(pause * PAUSE_TIMES, LONGEST_PAUSE)
    end
    local both = look(settings, rotation.steps[settings.step])
    made.old, made.new = both.old, both.new
    made.tries, made.waited = made.tries + 1, probe_core.now() - started
    left = (settings.wait or 0) - made.waited
  until is_one_certificate(made) or is_final(both) or left <= 0
end

-- What cannot be sent was not judged by anybody.
local function unsent_side(made)
  for _, side in ipairs(sides) do
    if made[side].result.stage == "input" then return side end
  end
end

--- Looks, and waits where it may.
-- @tparam table settings `step` (a name), `old`, `new` (certificate and key), `wait` (seconds or nil), `control`
-- (false, true or a table), `common`: the settings of each probe
-- @treturn table
function rotation.check(settings)
  local made = setmetatable({ step = settings.step, tries = 0, ok = false }, metatable)
  look_until(made, settings)
  if is_one_certificate(made) then error("probe.rotation: 'old' and 'new' are one certificate", 2) end
  if not check_control(made, settings) then return made end
  local unsent = unsent_side(made)
  if unsent then return as_probed(made, made[unsent].result, unsent) end
  for _, side in ipairs(sides) do
    if not made[side].as_wanted then return judge(made, side) end
  end
  return result.conclude(made, "ok", {}, {})
end

return rotation

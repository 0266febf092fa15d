--- Why a server refused our certificate: its alert, or its silence, matched to the findings about the certificate.
--
-- Most stacks send the same alert for several faults, or none at all. What an alert may mean stands in
-- `tcpki.probe.stacks`; a finding that it may mean is the cause. Where there is none, what nobody can see from here is
-- left: a CA of the same name with another key, a revocation, a clock that is wrong.
-- @module tcpki.probe.judge.refusal
-- @local

local path = require "tcpki.probe.path"
local stacks = require "tcpki.probe.stacks"
local words = require "tcpki.probe.words"

local refusal = {}

-- ---- without a finding ----

-- The server's word against our clock: which end of the certificate's time is nearer?
local function of_clock(context)
  local leaf, now = context.certificates[1], context.now
  local since, left = now - leaf:not_before(), leaf:not_after() - now
  if since < left then
    return { "client_not_yet_valid", "client_expired", "client_intermediate_expired" }
  end
  return { "client_expired", "client_intermediate_expired", "client_not_yet_valid" }
end

-- The issuer of a file that does not go up to a root may be a CA that the server does not know, or one that is missing.
local function of_issuer(found)
  local way = found.way
  if way and not way.is_whole and not way.is_root_below then
    if path.sounds_intermediate(way.missing) then return { "client_intermediate_missing", "client_ca_unknown" } end
    return { "client_ca_unknown", "client_intermediate_missing" }
  end
  return { "client_ca_unknown" }
end

local function add(list, ...)
  for _, word in ipairs { ... } do list[#list + 1] = word end
  return list
end

-- Whether the CAs that the server is said to accept vouch for the certificate.
local function is_accepted(found)
  return found.verdicts ~= nil and (found.verdicts.go.ok or found.verdicts.rustls.ok)
end

-- What is left where nothing about the certificate explains the refusal; whether the issuer is one that the server
-- names decides what is likely.
local function hidden(found, trace)
  if is_accepted(found) then return { "client_revoked", "rotation_not_loaded" } end
  local names_known = trace and trace.certificate_requested and trace.ca_name_count > 0
  if names_known or found.verdicts then return { "client_ca_twin", "client_revoked" } end
  return add(of_issuer(found), "client_ca_twin", "client_revoked")
end

local function not_loaded(found, trace)
  if not is_accepted(found) then return nil end
  local names_known = trace and trace.certificate_requested and trace.ca_name_count > 0
  if not names_known or trace.issuer_listed then return nil end
  return "rotation_not_loaded", {
    step = "that gives it the accepted CAs", detail = "still names none of the issuers of the certificate",
    cure = "Check that it has the new file, and its refresh interval (global.tls.refreshInterval is 0, never, unless "
      .. "set); a Temporal server compares only the first certificate of each CA file, so give each CA a file of its "
      .. "own, or restart it",
  }
end

local function of_stack(trace, choices)
  local stack = stacks.of(trace)
  return stack and choices[stack.name]
end

-- The server names the issuer, and does not know who made the signature: for Go that is another key. OpenSSL says the
-- same of an intermediate without the root above it, and where it is to look into a CRL that it does not have.
local function of_listed_issuer(found, trace)
  if is_accepted(found) then return nil end -- another key is ruled out
  if of_stack(trace, { go = true }) then return "client_ca_twin", {} end
  return "client_ca_twin", {
    certain = false, candidates = { "client_ca_twin", "client_ca_unknown", "client_refused" },
  }
end

-- Alerts that say something where no finding does.
local telling = {}

telling[43] = function()
  return "client_wrong_usage", { certain = false, candidates = { "client_wrong_usage", "client_version_1" } }
end

telling[44] = function() return "client_revoked", {} end

telling[42] = function(_, _, trace)
  local word = of_stack(trace, { openssl = "client_not_yet_valid", go = "client_wrong_usage" })
  if word then return word, { certain = false, candidates = { word, "client_refused" } } end
end

telling[45] = function(context, _, trace)
  local means, candidates = stacks.means(trace, 45), {}
  for _, word in ipairs(of_clock(context)) do
    if means[word] ~= nil then candidates[#candidates + 1] = word end
  end
  return candidates[1], { certain = false, candidates = candidates }
end

telling[48] = function(_, found, trace)
  if trace and trace.issuer_listed then return of_listed_issuer(found, trace) end
  local candidates = add(of_issuer(found), "client_ca_twin")
  return candidates[1], { certain = false, candidates = candidates }
end

telling[51] = function() return "client_ca_twin", {} end

telling[116] = function()
  return "no_client_certificate", { certain = false, candidates = { "no_client_certificate", "client_refused" },
    given = "says that it got none" }
end

local function of_nothing(context, found, trace, alert)
  local word, about = not_loaded(found, trace)
  if word then return word, about end
  if telling[alert] then
    word, about = telling[alert](context, found, trace)
    if word then return word, about end
  end
  local candidates = hidden(found, trace)
  -- A server that names no CAs most likely does not know this one; of one that does, nothing is likely: what is so is
  -- that it refuses, and the candidates are what it may be.
  local names_none = trace and trace.certificate_requested and trace.ca_name_count == 0 and not found.verdicts
  return names_none and candidates[1] or "client_refused", { certain = false, candidates = candidates }
end

-- ---- with findings ----

local function words_of(fitting)
  local list, has = {}, {}
  local function put(word)
    if not has[word] then
      has[word] = true
      list[#list + 1] = word
    end
  end
  for _, one in ipairs(fitting) do
    put(one.word)
    for _, other in ipairs(one.instead or {}) do put(other) end
  end
  return list
end

-- Findings that the alert settles come before those that it may mean as well.
local function fitting_of(found, means)
  local settled, possible = {}, {}
  for _, one in ipairs(found) do
    local meaning = means[one.word]
    if not one.note and meaning ~= nil then
      local list = meaning and settled or possible
      list[#list + 1] = one
    end
  end
  if #settled > 0 then return settled, true end
  return possible, false
end

local function of_findings(fitting, is_settled, found, trace)
  local first = fitting[1]
  local about = { finding = first }
  if first.instead or #fitting > 1 and not is_settled then
    about.certain, about.candidates = false, words_of(fitting)
  elseif not is_settled and not first.sure then
    -- Not every server looks at this; another fault, which is not to be seen from here, may be behind it.
    about.certain, about.candidates = false, add(words_of(fitting), table.unpack(hidden(found, trace)))
  end
  return first.word, about
end

-- ---- all together ----

local function said(alert, trace)
  if alert then return ("The server sent alert %d, %s."):format(alert, words.alert[alert]) end
  if trace and trace.ended == "reset" then return "The server reset the connection and sent no alert." end
  return "The server closed the connection and sent no alert."
end

-- No algorithm of the request fits the key: then a client sends an empty message in the place of its certificate.
local function is_withheld(trace, alert)
  return (alert == 116 or alert == 40) and trace ~= nil and trace.certificate_requested
    and trace.certificate_sent == false and #(trace.signature_algorithms or {}) > 0
end

--- The cause of a refusal.
-- @tparam table context of `tcpki.probe.context`
-- @tparam ?table trace
-- @tparam ?integer alert that the server sent
-- @tparam[opt] string evidence what the server did, where it was neither an alert nor an end
-- @treturn string word
-- @treturn table
function refusal.judge(context, trace, alert, evidence)
  local found = context.findings
  local word, about
  if #context.certificates == 0 then
    word, about = "no_client_certificate", {}
  elseif is_withheld(trace, alert) then
    word, about = "no_client_certificate", { given = ("the one that was given was not sent: its key fits none of the "
      .. "signature algorithms that the server asks for (%s)"):format(table.concat(trace.signature_algorithms, ", ")),
      cure = "Use a key of a type that the server takes, or have it ask for more algorithms" }
  else
    local fitting, is_settled = fitting_of(found, stacks.means(trace, alert))
    if #fitting > 0 then
      word, about = of_findings(fitting, is_settled, found, trace)
    else
      word, about = of_nothing(context, found, trace, alert)
    end
  end
  about.evidence, about.findings = evidence or said(alert, trace), found
  about.stage = trace and trace.stage
  return word, about
end

return refusal

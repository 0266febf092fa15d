--- From what was seen to a cause: the trace's evidence and gRPC core's words, matched to the rows
-- of `tcpki.probe.causes`.
--
-- Each function returns the word of a cause and a table: `certain` (false where the wire cannot
-- tell), `candidates` (words, the likeliest first) and fields for the sentence.
-- @module tcpki.probe.judge

local findings = require "tcpki.probe.findings"
local options = require "tcpki.options"
local roots = require "tcpki.probe.roots"
local words = require "tcpki.probe.words"

local judge = {}

-- ---- answers of the peer ----

local status_words = {
  [4] = "silent_rpc", [5] = "rpc_failed", [7] = "permission_denied", [8] = "resource_exhausted",
  [12] = "unimplemented", [14] = "unavailable", [16] = "unauthenticated",
}

local function of_answer(answer, method, stage)
  local word = status_words[answer.code] or "rpc_failed"
  if method == "DescribeNamespace" and answer.code == 5 then word = "namespace_not_found" end
  local detail = answer.message ~= "" and answer.message or words.status[answer.code]
  if word == "permission_denied" and (answer.detail or "") ~= "" then -- the reason
    detail = ("%s: %s"):format(detail:gsub("%.$", ""), answer.detail)
  end
  return word, { stage = stage, method = method, detail = detail,
    status = words.status[answer.code], seconds = answer.seconds }
end

-- A status that our own library made, on a connection that stood.
local function of_lost_answer(answer, method, stage)
  if answer.code == 4 then
    return "silent_rpc", { stage = stage, method = method, seconds = answer.seconds }
  elseif answer.message:find "[Rr]eceived http2 header with status"
      or answer.message:find "content%-type" then
    return "not_grpc", { stage = stage, detail = answer.message }
  end
  return "rpc_failed", { stage = stage, method = method, certain = false,
    status = words.status[answer.code],
    detail = answer.message ~= "" and answer.message or "the connection was lost" }
end

local function of_call(answer, method, stage)
  if answer.damaged then
    return "not_grpc", { stage = stage, detail = method .. " was answered with another message" }
  elseif answer.answered then
    return of_answer(answer, method, stage)
  end
  return of_lost_answer(answer, method, stage)
end

local function is_good(answer)
  return answer.code == 0 and not answer.damaged
end

local function of_calls(seen)
  local system, described, health = seen.system, seen.described, seen.health
  if not is_good(system) then return of_call(system, "GetSystemInfo", "rpc") end
  if described and not is_good(described) then
    return of_call(described, "DescribeNamespace", "namespace")
  end
  if health and not is_good(health) then return of_call(health, "Health/Check", "rpc") end
  if health and health.health ~= 1 then
    return "unavailable", { method = "Health/Check", detail = words.health[health.health] }
  end
  return "ok", { stage = described and "namespace" or "rpc" }
end

-- ---- the server's refusal of our certificate ----

-- Alerts that say what is wrong, and the findings that would explain them.
local alert_words = {
  [43] = { "client_wrong_usage" },
  [44] = { "client_revoked" },
  [45] = { "client_expired", "client_not_yet_valid" },
  [48] = { "client_ca_unknown" },
  [116] = { "no_client_certificate" },
}

-- What a server may hide behind an alert that says little, or behind none.
local hidden = { "client_ca_twin", "client_revoked" }

local function of_named_alert(names, found)
  for _, word in ipairs(names) do
    if options.has(found, word) then return word, {} end
  end
  -- The server's word against our clock: an intermediate, or a clock that is wrong.
  return names[1], { certain = names[1] ~= "client_expired" }
end

local function of_findings(found)
  if #found == 1 then
    -- Some stacks do not look at the usage; all of them look at the rest.
    return found[1], { certain = found[1] ~= "client_wrong_usage" }
  elseif #found > 1 then
    return found[1], { certain = false, candidates = found }
  end
  local candidates = { "client_refused", table.unpack(hidden) }
  if found.issuer_unknown == nil then table.insert(candidates, 2, "client_ca_unknown") end
  return "client_refused", { certain = false, candidates = candidates }
end

local function of_refusal(context, trace, alert)
  local evidence = alert and ("The server sent alert %d, %s."):format(alert, words.alert[alert])
    or trace and trace.ended == "reset" and "It reset the connection and sent no alert."
    or "It closed the connection and sent no alert."
  local found = findings.judge(context.certificates, trace, context.now)
  local word, about
  if #context.certificates == 0 then
    word, about = "no_client_certificate", {}
  elseif alert_words[alert] then
    word, about = of_named_alert(alert_words[alert], found)
  else
    word, about = of_findings(found)
  end
  about.evidence, about.findings = evidence, found
  about.stage = trace and trace.stage
  return word, about
end

-- ---- the trace ----

local function server_alert(trace)
  for i = #trace.alerts, 1, -1 do
    local alert = trace.alerts[i]
    if alert.from == "server" and alert.level == 2 then return alert.number end
  end
end

local tls_alerts = {
  [70] = "tls_version", [112] = "sni_refused", [120] = "no_h2",
}

-- The alerts with which servers refuse certificates (BoringSSL's and Chromium's set, and the two
-- that rustls and GnuTLS add), and handshake_failure of TLS 1.2 when none was sent.
local refusals = {
  [42] = true, [43] = true, [44] = true, [45] = true, [46] = true, [48] = true, [49] = true,
  [51] = true, [116] = true,
}

local function of_alert(context, trace)
  local alert = server_alert(trace)
  if trace.certificate_requested
      and (refusals[alert] or trace.stage == "settings" or alert == 40 or alert == 80) then
    return of_refusal(context, trace, alert)
  elseif tls_alerts[alert] then
    return tls_alerts[alert], {}
  end
  return "tls_failed", { stage = trace.stage,
    detail = ("the server sent alert %d, %s"):format(alert, words.alert[alert]) }
end

local verify_words = {
  [9] = "server_not_yet_valid", [10] = "server_expired", [18] = "server_self_signed",
  [26] = "server_wrong_usage",
}

-- Where the CA of one's own certificate was given for the server's: all of them, or one among others.
local function of_own_root(context, detail)
  local given = context.root_certificates or {}
  local own = roots.of_client(given, context.certificates)
  if #own == 0 then return nil end
  local about = { detail = detail, ca = tostring(own[1]:subject()) }
  if #own < #given then
    about.certain, about.candidates = false, { "client_ca_as_server_root", "server_ca_untrusted" }
  end
  return "client_ca_as_server_root", about
end

local function of_untrusted(context, trace)
  local verification = trace.verification
  local word = verify_words[verification.error] or "server_ca_untrusted"
  if word == "server_ca_untrusted" or word == "server_self_signed" then
    local own, about = of_own_root(context, verification.message)
    if own then return own, about end
  end
  local cure = context.has_roots
    and "Pass as server_ca the CA that issued the server's certificate"
    or "Pass that CA as server_ca: without it, the system's CAs are asked"
  return word, {
    detail = verification.message, cure = cure,
    blamed = verification.subject or context.server_subject,
  }
end

-- The bytes of a server that does not answer TLS with TLS.
local function plain_answer(bytes)
  if bytes:find "^HTTP/" then return "HTTP/1" end
  if bytes:find "^\0\0.\4\0" then return "HTTP/2 without TLS" end -- a SETTINGS frame
  local first = bytes:byte(1)
  if first and (first < 20 or first > 23) then return "something that is not TLS" end
end

local function of_broken(trace)
  local plain = plain_answer(trace.first_bytes or "")
  if plain then return "plaintext_server", { detail = plain } end
  local reason = (trace.openssl_code or 0) & 0x7FFFFF
  if reason == 258 then return "tls_version", {} end -- SSL_R_UNSUPPORTED_PROTOCOL
  return "tls_failed", { detail = trace.openssl or "no reason given" }
end

local function of_unreached(trace)
  local word = ({ refused = "refused", reset = "reset" })[trace.system] or "unreachable"
  return word, { detail = trace.system_message }
end

local function of_closed(context, trace)
  if trace.certificate_requested and trace.verification and trace.verification.ok then
    return of_refusal(context, trace)
  elseif trace.stage == "settings" then
    return "closed_after_tls", {}
  elseif trace.ended == "reset" and not trace.first_bytes then
    return "reset", { stage = "tls" }
  end
  return "closed_at_once", {}
end

local ends = {}

ends["local"] = function(_, trace)
  local detail = trace.openssl or "no reason given"
  local weak = detail:find "too weak" or detail:find "too small"
  return weak and "client_weak_signature" or "tls_failed", { stage = "input", detail = detail }
end

function ends.unreached(_, trace) return of_unreached(trace) end
ends.untrusted = of_untrusted
ends.alert = of_alert
function ends.broken(_, trace) return of_broken(trace) end
ends.closed = of_closed
ends.reset = of_closed
function ends.silent(_, trace)
  return trace.stage == "settings" and "silent_after_tls" or "silent_before_tls", {}
end
function ends.data(_, trace)
  local http = (trace.answer_bytes or ""):match "^HTTP/[%d.]+ %d+"
  return "not_grpc", { detail = http and "it answered " .. http or "it answered with other bytes" }
end
function ends.flood()
  return "tls_failed", { detail = "the server sent handshake messages without end" }
end

-- What gRPC core checks once the handshake is over, before the server's verdict counts.
local function of_identity(context, trace)
  if not (trace.verification and trace.verification.ok and trace.timings.tls) then return end
  if not trace.name_matches then
    return context.server_names and "server_name_mismatch" or "server_no_san", {}
  elseif trace.alpn ~= "h2" then
    return "no_alpn", {}
  end
end

local function of_trace(context, trace)
  local word, about = of_identity(context, trace)
  if word then return word, about end
  local judged = ends[trace.ended]
  if judged then return judged(context, trace) end
end

-- ---- gRPC core's own words, where there is no trace ----

local function of_error_code(context, code)
  local reason = code & 0x7FFFFF
  if reason == 0x10B then
    return "plaintext_server", { detail = "something that is not TLS" }
  elseif reason >= 1000 and reason <= 1255 then
    return of_alert(context, {
      alerts = { { from = "server", level = 2, number = reason - 1000 } },
      certificate_requested = true, ca_name_count = 0, stage = "tls",
    })
  end
  return "tls_failed", { detail = ("OpenSSL error %X"):format(code) }
end

local function of_message(context, message)
  if message:find "onnection refused" then return "refused", {} end
  if message:find "nreachable" or message:find "No route" or message:find "timed out" then
    return "unreachable", {}
  elseif message:find "certificate has expired" then
    return "server_expired", { blamed = "?" }
  elseif message:find "certificate verify failed" then
    return of_untrusted(context, { verification = { message = "certificate verify failed" } })
  elseif message:find "is not in peer certificate" then
    return "server_name_mismatch", {}
  elseif message:find "missing selected ALPN" then
    return "no_alpn", {}
  elseif message:find "Failed parsing HTTP/2" then
    return "not_grpc", { detail = "it answered with other bytes" }
  end
  local code = message:match "error:(%x+)"
  if code then return of_error_code(context, tonumber(code, 16)) end
  local word, about = of_refusal(context, nil)
  about.evidence = ("gRPC core says %q."):format(message)
  about.certain = false
  return word, about
end

-- ---- all together ----

local function of_hanging()
  return "silent_before_tls", {
    certain = false, candidates = { "silent_before_tls", "unreachable", "silent_after_tls" },
  }
end

-- gRPC core never set out: it could not use what it was given, or found no CAs on this machine.
local function of_unusable(context)
  if not context.has_roots then return "system_roots_missing", { certain = not roots.installed() } end
  return "bad_pem", {
    certain = false, candidates = { "bad_pem", "key_mismatch" }, what = "the certificate, the key or the server's CA",
    detail = "gRPC core could not use one of them", cure = "See what tcpki.pem.verdicts says of each",
  }
end

local function of_connection(context, seen)
  local message = seen.system and seen.system.message
  local trace = seen.trace
  local is_told = trace and trace.ended == "local" and trace.openssl -- OpenSSL's own word is a better one
  if message and message:find("empty address list", 1, true) and not is_told then return of_unusable(context) end
  if trace and trace.ended ~= "settings" and trace.ended ~= "cancelled"
      or trace and of_identity(context, trace) then
    return of_trace(context, trace)
  end
  if not message then return of_hanging() end
  local word, about = of_message(context, message)
  if trace then about.certain = false end -- it saw nothing of the kind
  return word, about
end

--- The cause of what one attempt saw.
-- @tparam table context `certificates` (sent), `now` (seconds since the epoch), `has_roots`,
-- `server_subject`, `server_names` (of the server's leaf, where it was seen)
-- @tparam table seen an attempt of `tcpki.probe.ladder`
-- @treturn string the word of a cause
-- @treturn table `certain`, `candidates`, `stage` where it is not the row's, fields
function judge.attempt(context, seen)
  if seen.system and (seen.system.answered or seen.state == "ready") then
    return of_calls(seen)
  end
  return of_connection(context, seen)
end

--- Whether the two connections tell different stories.
-- @treturn ?string what each says
function judge.disagreement(context, seen)
  local trace = seen.trace
  if not trace or trace.ended == "cancelled" then return nil end
  local through = trace.ended == "settings" and not of_identity(context, trace)
  local ready = seen.state == "ready"
  if through and not ready then
    local message = seen.system and seen.system.message or "it got no answer in time"
    return ("gRPC core failed (%s), and a TLS connection with the same certificate was accepted")
      :format(message)
  elseif ready and not through then
    return ("gRPC core was accepted, and a TLS connection with the same certificate ended: %s, %s")
      :format(trace.stage, trace.ended)
  end
end

return judge

--- From what was seen to a cause: the trace's evidence and gRPC core's words, matched to the rows
-- of `tcpki.probe.causes`.
--
-- Each function returns the word of a cause and a table: `certain` (false where the wire cannot
-- tell), `candidates` (words, the likeliest first) and fields for the sentence.
-- @module tcpki.probe.judge

local answers = require "tcpki.probe.judge.answers"
local refusal = require "tcpki.probe.judge.refusal"
local roots = require "tcpki.probe.roots"
local server = require "tcpki.probe.judge.server"
local words = require "tcpki.probe.words"

local judge = {}

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

local may_mean = { [40] = "tls_version", [49] = "sni_refused" }

-- The alerts with which servers refuse certificates (BoringSSL's and Chromium's set, and the two
-- that rustls and GnuTLS add); and of TLS 1.2 when none was sent: handshake_failure, and decode_error of GnuTLS, to
-- which an empty list is none.
local refusals = {
  [42] = true, [43] = true, [44] = true, [45] = true, [46] = true, [48] = true, [49] = true,
  [50] = true, [51] = true, [116] = true,
}

local function of_alert(context, trace)
  local alert = server_alert(trace)
  if trace.certificate_requested
      and (refusals[alert] or trace.stage == "settings" or alert == 40 or alert == 80) then
    return refusal.judge(context, trace, alert)
  elseif tls_alerts[alert] then
    return tls_alerts[alert], {}
  end
  -- Before the server has said anything: GnuTLS has one alert for a version and for a cipher that it does not speak,
  -- and rustls one of its own for a name.
  local before = trace.stage == "tls" and not trace.chain and may_mean[alert]
  return before or "tls_failed", { stage = trace.stage, certain = not before,
    candidates = before and { before, "tls_failed" } or nil,
    detail = ("the server sent alert %d, %s"):format(alert, words.alert[alert]) }
end

-- SSL_R_CA_KEY_TOO_SMALL, SSL_R_CA_MD_TOO_WEAK, SSL_R_EE_KEY_TOO_SMALL: of what we were to send.
local is_weak = { [397] = true, [398] = true, [399] = true }

local function of_weak(context, trace)
  local reason = (trace.openssl or "no reason given"):match "([^:]*)$"
  local about = { stage = "input", detail = reason, findings = context.findings }
  about.evidence = ("OpenSSL refuses to send it (%s)."):format(reason)
  for _, finding in ipairs(about.findings or {}) do
    if finding.word == "client_weak_signature" then about.finding, about.detail = finding, finding.detail end
  end
  return "client_weak_signature", about
end

local function of_broken(context, trace)
  local word, about = server.plain(context, trace.first_bytes or "")
  if word then return word, about end
  local reason = (trace.openssl_code or 0) & 0x7FFFFF
  if reason == 258 then return "tls_version", {} end -- SSL_R_UNSUPPORTED_PROTOCOL
  if is_weak[reason] then return of_weak(context, trace) end
  return "tls_failed", { detail = trace.openssl or "no reason given" }
end

local function of_unreached(trace)
  local word = ({ refused = "refused", reset = "reset" })[trace.system] or "unreachable"
  return word, { reason = trace.system ~= "timeout" and trace.system_message or nil }
end

local function of_closed(context, trace)
  if trace.certificate_requested and trace.verification and trace.verification.ok then
    return refusal.judge(context, trace)
  elseif trace.stage == "settings" then
    return "closed_after_tls", {}
  end
  local word = trace.ended == "reset" and not trace.first_bytes and "reset" or "closed_at_once"
  if server.is_link(context.server_name) then
    return "sni_refused", { certain = false, candidates = { "sni_refused", word } }
  elseif word == "reset" then
    return word, { stage = "tls" }
  end
  -- What closes may speak no TLS, or serve nobody by this name: Node does that.
  return word, { certain = false, candidates = { word, "sni_refused" } }
end

local ends = {}

ends["local"] = function(context, trace)
  if is_weak[(trace.openssl_code or 0) & 0x7FFFFF] then return of_weak(context, trace) end
  return "tls_failed", { stage = "input", detail = trace.openssl or "no reason given" }
end

function ends.unreached(_, trace) return of_unreached(trace) end
ends.untrusted = server.untrusted
ends.alert = of_alert
ends.broken = of_broken
ends.closed = of_closed
ends.reset = of_closed
function ends.silent(_, trace)
  if trace.stage == "settings" then return "silent_after_tls", {} end
  return "silent_before_tls", { reached = "accepted the connection and" }
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
    return server.untrusted(context, { verification = { message = "certificate verify failed" } })
  elseif message:find "is not in peer certificate" then
    return "server_name_mismatch", {}
  elseif message:find "missing selected ALPN" then
    return "no_alpn", {}
  elseif message:find "Failed parsing HTTP/2" then
    return "not_grpc", { detail = "it answered with other bytes" }
  end
  local code = message:match "error:(%x+)"
  if code then return of_error_code(context, tonumber(code, 16)) end
  local word, about = refusal.judge(context, nil)
  about.evidence = ("gRPC core says %q."):format(message)
  about.certain = false
  about.candidates = about.candidates or word ~= "client_refused" and { word, "client_refused" } or nil
  return word, about
end

-- ---- all together ----

local function of_hanging()
  return "silent_before_tls", {
    reached = "may have accepted the connection, and", -- gRPC core does not tell
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

-- Some servers speak first and judge later: the call is lost, and only the trace knows why.
local function was_refused(trace)
  return trace ~= nil and trace.certificate_requested and trace.stage == "settings" and trace.ended == "alert"
end

--- The cause of what one attempt saw.
-- @tparam table context of `tcpki.probe.context`
-- @tparam table seen an attempt of `tcpki.probe.ladder`
-- @treturn string the word of a cause
-- @treturn table `certain`, `candidates`, `stage` where it is not the row's, fields
function judge.attempt(context, seen)
  local system = seen.system
  if system and (system.answered or seen.state == "ready" and not was_refused(seen.trace)) then
    return answers.judge(context, seen)
  end
  return of_connection(context, seen)
end

--- Whether the two connections tell different stories.
-- @tparam table context of `tcpki.probe.context`
-- @tparam table seen an attempt of `tcpki.probe.ladder`
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

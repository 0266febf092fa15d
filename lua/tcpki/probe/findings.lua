--- The judgement of one's own certificate: what about it would make a server refuse it.
-- @module tcpki.probe.findings

local options = require "tcpki.options"

local findings = {}

-- Nil where the trace does not know what the server accepts.
local function issuer_unknown(trace)
  if not trace or not trace.certificate_requested or trace.ca_name_count == 0 then return nil end
  return not trace.issuer_listed
end

--- Judges the certificate that a probe sent.
-- @tparam table certificates certificate objects, the leaf first
-- @tparam ?table trace with the CA names that the server accepts
-- @tparam integer at seconds since the epoch
-- @treturn table array of words of causes, the one that most servers look at first in front;
-- `issuer_unknown`: whether the issuer is missing in the server's list, nil if there is none
function findings.judge(certificates, trace, at)
  local found = { issuer_unknown = issuer_unknown(trace) }
  local leaf = certificates[1]
  if not leaf then return found end
  local function add(word) found[#found + 1] = word end
  if found.issuer_unknown then add "client_ca_unknown" end
  if at > leaf:not_after() then add "client_expired" end
  if at < leaf:not_before() then add "client_not_yet_valid" end
  local usage = leaf:extended_key_usage()
  if usage and not options.has(usage, "client_auth") and not options.has(usage, "any") then
    add "client_wrong_usage"
  end
  return found
end

return findings

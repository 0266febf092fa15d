--- Whether a change of accepted CAs or filters is safe for the clients in use.
-- @module tcpki.cloud.rotation.check
-- @local

local bundles = require "tcpki.bundle"
local limits = require "tcpki.cloud.rules".limits
local date = require "tcpki.date"
local options = require "tcpki.options"
local people = require "tcpki.cloud.clients"
local report = require "tcpki.report"
local trust = require "tcpki.cloud.trust"

local check = {}

local known = { at = "integer", filters = "tcpki.cloud.filters", filters_before = "tcpki.cloud.filters",
  filters_after = "tcpki.cloud.filters" }

--- What of a bundle is more than a namespace takes.
-- @tparam bundle bundle
-- @treturn[1] ?string words for it; nil where it fits
-- @treturn[2] nil
-- @treturn[2] fault
function check.too_full(bundle)
  local pem, err = bundle:pem()
  if not pem then
    return nil, err
  elseif #bundle > limits.certificates then
    return ("%d certificates, a namespace takes at most %d"):format(#bundle, limits.certificates)
  elseif #pem > limits.bytes then
    return ("%d bytes, a namespace takes at most 32 KB (%d bytes)"):format(#pem, limits.bytes)
  end
end

local function check_bundle(findings, after)
  if #after == 0 then
    findings:add { code = "last_certificate", severity = "error",
      message = "cannot remove all certificates when mTLS is enabled", hint = "add the new CA first" }
    return true
  end
  local words, err = check.too_full(after)
  if err then
    return nil, err
  elseif words then
    findings:add { code = "does_not_fit", severity = "error", message = words,
      hint = "remove the CAs whose clients are gone, expired ones first" }
  end
  return true
end

local verdicts = {
  locked_out = { "error", "%s would be refused: %s", "give it a certificate that the bundle after the change accepts, "
    .. "and look again" },
  refused_already = { "warning", "%s is refused already: %s", "this change does not help it" },
}

local function judge(findings, client, before, after, how)
  local at = how.at
  local was, why_was = trust.admits(client, before, how.filters_before or how.filters, at)
  if was == nil then
    return nil, why_was
  end
  local is, why = trust.admits(client, after, how.filters_after or how.filters, at)
  if is == nil then
    return nil, why
  end
  if is then
    findings.accepted = findings.accepted + 1
    return true
  end
  local code = was and "locked_out" or "refused_already"
  local row = { name = client.name, certificate = client.certificate, code = why.code, reason = why.reason,
    explanation = why.explanation, accepted_before = was }
  table.insert(findings.refused, row)
  local severity, words, hint = table.unpack(verdicts[code])
  findings:add { code = code, severity = severity, subject = tostring(client.certificate:subject()),
    message = words:format(client.name, why.reason), hint = hint, serial = client.certificate:serial(),
    client = client.name }
  return true
end

--- Answers whether a change is safe.
-- @tparam bundle before
-- @tparam bundle after
-- @tparam {client,…} clients
-- @tparam[opt] table how
-- @treturn[1] report
-- @treturn[2] nil
-- @treturn[2] fault
function check.run(before, after, clients, how)
  local where = "tcpki.cloud.rotation.check"
  options.expect(where, "before", before, "tcpki.bundle")
  options.expect(where, "after", after, "tcpki.bundle")
  how = options.check(where, how, known, 4)
  how = { at = how.at or os.time(), filters = how.filters, filters_before = how.filters_before,
    filters_after = how.filters_after }
  local list = people.list(where, clients)
  local findings = report.new()
  findings.refused, findings.accepted, findings.at = {}, 0, how.at
  local fine, err = check_bundle(findings, after)
  if not fine then
    return nil, err
  end
  local removed = before:difference(after).removed
  local narrowed = (how.filters_after or how.filters) ~= (how.filters_before or how.filters)
  if #list == 0 and (#removed > 0 or narrowed) then
    findings:add { code = "no_clients", severity = "error", message = "no client was given: nothing is known of who "
      .. "would be refused", hint = "pass the certificates of all clients in use" }
  end
  for _, client in ipairs(list) do
    fine, err = judge(findings, client, before, after, how)
    if not fine then
      return nil, err
    end
  end
  findings:add { code = findings.ok and "safe" or "not_safe", severity = "info",
    message = ("%s on %s: %d of %d clients would be let in"):format(findings.ok and "safe" or "not safe",
      date.minute(how.at), findings.accepted, #list) }
  return findings
end

--- A bundle of certificates out of whatever a program has.
-- @tparam string where
-- @tparam string name
-- @tparam certificate|bundle|{certificate,…} value
-- @treturn[1] bundle a new one
-- @treturn[2] nil
-- @treturn[2] fault
function check.bundle_of(where, name, value)
  options.expect(where, name, value, "tcpki.certificate|tcpki.bundle|table")
  local list = type(value) == "table" and value or { value }
  options.list(where, name, list, "tcpki.certificate")
  return bundles.new(list)
end

return check

--- What the sentences of causes are filled with.
-- @module tcpki.probe.fields
-- @local

local date = require "tcpki.date"
local report = require "tcpki.probe.report"

local fields = {}

-- ---- dates ----

local function past(after, now)
  return ("expired on %s, %s ago"):format(date.minute(after), report.span(now - after))
end

local function expiry_of(leaf, now)
  local after = leaf:not_after()
  if now > after then return past(after, now) end
  return ("has expired by the server's clock, or an issuer of it has; by the clock here it is "
    .. "valid until %s"):format(date.minute(after))
end

local function start_of(certificate, now)
  local before = certificate:not_before()
  if now < before then
    return ("is not valid before %s, in %s"):format(date.minute(before), report.span(before - now))
  end
  return ("is not valid yet by the server's clock; by the clock here it has been for %s, since %s: the server's clock "
    .. "is at least that far behind, or this one ahead"):format(report.span(now - before), date.minute(before))
end

-- ---- issuers ----

local function some(names)
  return table.concat(names, "; ", 1, math.min(#names, 3)) .. (#names > 3 and " and others" or "")
end

-- What the server accepts: by its own list, else by what the user says.
local function names_of(context, trace)
  local names = trace and trace.ca_names
  if names and #names > 0 then return names end
  names = {}
  for i, certificate in ipairs(context.accepted or {}) do names[i] = tostring(certificate:subject()) end
  return names
end

local function certificate_named(chain, subject)
  for _, certificate in ipairs(chain or {}) do
    if tostring(certificate:subject()) == subject then return certificate end
  end
end

-- Of the certificate that a finding is about; the leaf where there is no finding.
local function of_finding(made, context, about)
  local finding, found = about.finding, about.findings
  local way = found and found.way
  local blamed = finding and way and certificate_named(way.chain, finding.subject)
  made.subject = finding and finding.subject or made.subject
  made.usage = finding and ": " .. finding.detail or ""
  made.version = finding and finding.version or 1
  made.detail = finding and finding.detail
  made.blamed = finding and finding.subject or "an issuer"
  made.issuer_expiry = blamed and context.now > blamed:not_after() and past(blamed:not_after(), context.now)
    or "has expired by the server's clock"
  made.start = start_of(blamed or context.certificates[1], context.now)
  made.gap, made.missing = found and found.gap or "the leaf", way and way.missing or made.issuer
end

--- Takes over the fields of a judgement, without the dot that ends a message of somebody else. `what` may be a path: it
-- stays as it is.
-- @tparam table made
-- @tparam table about
-- @treturn table made
function fields.take(made, about)
  for name, value in pairs(about) do
    made[name] = name ~= "what" and type(value) == "string" and value:gsub("[%s.]+$", "") or value
  end
  return made
end

--- The fields of a cause's sentence and cure.
-- @tparam table context of `tcpki.probe.context`
-- @tparam table seen the attempt
-- @tparam table about what the judgement said
-- @treturn table
function fields.of(context, seen, about)
  local leaf = context.certificates[1]
  local names = names_of(context, seen.trace)
  local waited = report.duration(about.seconds or seen.elapsed or 0)
  local made = {
    host = context.host, name = context.server_name, namespace = context.namespace, peer = seen.peer,
    waited = waited, reason = "no TCP connection within " .. waited, server_subject = context.server_subject or "",
    server_names = context.server_names or "none", server_issuer = context.server_issuer, clock = "",
    accepted = #names > 0 and "; it accepts certificates of " .. some(names) or "",
    under = #names > 0 and ", and the server accepts certificates under " .. some(names) or "",
    given = "none was given", cure = "Pass certificate and key", file = context.file or "the PEM of the certificate",
  }
  if leaf then
    made.subject, made.issuer = tostring(leaf:subject()), tostring(leaf:issuer())
    made.expiry = expiry_of(leaf, context.now)
    of_finding(made, context, about)
  end
  fields.take(made, about)
  made.evidence = about.evidence or ""
  return made
end

return fields

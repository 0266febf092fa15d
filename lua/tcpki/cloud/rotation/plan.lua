--- Plans a rotation: which steps, when, and for whom.
-- @module tcpki.cloud.rotation.plan
-- @local

local bundles = require "tcpki.bundle"
local check = require "tcpki.cloud.rotation.check"
local check_bundle = require "tcpki.cloud.check.bundle"
local date = require "tcpki.date"
local fault = require "tcpki.fault"
local options = require "tcpki.options"
local people = require "tcpki.cloud.clients"
local step = require "tcpki.cloud.rotation.step"
local trust = require "tcpki.cloud.trust"

local WHERE = "tcpki.cloud.rotation.plan"

local DAY = 86400
-- Temporal Cloud begins to warn 15 days before a certificate ends; a week is what is left to repair a failed change.
local MARGIN = 7

local known = { current = "tcpki.bundle", next = "tcpki.certificate|tcpki.bundle|table",
  retire = "tcpki.certificate|tcpki.bundle|table", clients = "table", now = "integer", margin = "number",
  namespace = "string", filters = "tcpki.cloud.filters" }

-- The bundle with and without some certificates.
local function change(bundle, added, removed)
  local after, err = bundles.new(bundle)
  if not after then
    return nil, err
  end
  for _, certificate in ipairs(removed) do
    if after:contains(certificate) then
      after:remove(certificate)
    end
  end
  for _, certificate in ipairs(added) do
    after:add(certificate)
  end
  return after
end

local function check_next(certificates, now)
  for _, certificate in ipairs(certificates) do
    local constraints = certificate:basic_constraints()
    local subject = tostring(certificate:subject())
    if not (constraints and constraints.ca) then
      return fault.fail { code = "not_an_authority", subject = subject,
        message = "the next certificate is not a CA: a bundle takes no other", hint = "pass the certificate of the CA" }
    elseif certificate:not_after() <= now then
      return fault.fail { code = "expired", subject = subject,
        message = ("the next CA expired on %s"):format(date.day(certificate:not_after())),
        hint = "pass one that is valid" }
    end
  end
  return true
end

-- Who is let in now, and whom the last bundle will refuse.
local function sort_clients(self)
  local affected, already = {}, {}
  for _, client in ipairs(self.clients) do
    local was, why = trust.admits(client, self.current, self.filters, self.created)
    if was == nil then
      return nil, why
    end
    local stays, reason = trust.admits(client, self.final, self.filters, self.created)
    if stays == nil then
      return nil, reason
    end
    if not was then
      table.insert(already, { name = client.name, certificate = client.certificate, code = why.code,
        reason = why.reason })
    end
    if was and not stays then
      client.why = reason
      table.insert(affected, client)
    end
  end
  return affected, already
end

-- What may go because it has expired: it lets nobody in.
local function expired(bundle, keep, now)
  local list = {}
  for _, certificate in ipairs(bundle) do
    if certificate:not_after() <= now and not keep:contains(certificate) then
      list[#list + 1] = certificate
    end
  end
  return list
end

-- CAs that none of the clients needs, for the hint of a plan that does not fit.
local function unused(self)
  local list, kept = {}, self.current
  for _, certificate in ipairs(self.current) do
    local without = assert(change(kept, {}, { certificate }))
    local needed = self.added:contains(certificate)
    for _, client in ipairs(self.clients) do
      needed = needed or (trust.admits(client, kept, self.filters, self.created)
        and not trust.admits(client, without, self.filters, self.created))
    end
    if not needed then
      kept = without
      list[#list + 1] = tostring(certificate:subject())
    end
  end
  return list
end

-- The first bundle of the plan: the current one, or what is left of it where both would not fit.
local function make_room(self)
  local overlap, err = change(self.current, self.added, {})
  if not overlap then
    return nil, err
  end
  local words
  words, err = check.too_full(overlap)
  if not words then
    return not err and self.current or nil, err
  end
  local gone = expired(self.current, self.added, self.created)
  local roomy
  roomy, err = change(self.current, {}, gone)
  if not roomy then
    return nil, err
  end
  overlap, err = change(roomy, self.added, {})
  if not overlap then
    return nil, err
  end
  local still
  still, err = check.too_full(overlap)
  if err then
    return nil, err
  elseif still then
    local list = unused(self)
    return fault.fail { code = "does_not_fit", unused = list,
      message = ("both CAs do not fit: with the new one %s"):format(still),
      hint = #list > 0 and ("none of the clients given needs: %s; remove one of them first"):format(
        table.concat(list, "; ")) or "every CA is needed: rotate one of them at a time, or use EC keys" }
  end
  return roomy
end

local function refused_rows(clients)
  local rows = {}
  for i, client in ipairs(clients) do
    rows[i] = { name = client.name, certificate = client.certificate, code = client.why.code,
      reason = client.why.reason }
  end
  return rows
end

-- Whether a client's next certificate would be let in by the bundle of today.
local function refused_early(self, clients)
  local rows = {}
  local missing
  for _, certificate in ipairs(self.added) do
    missing = missing or (not self.current:contains(certificate) and certificate)
  end
  for _, client in ipairs(clients) do
    local fine, why = true, nil
    if client.replacement then
      fine, why = trust.admits({ chain = client.replacement }, self.current, self.filters, self.created)
      if fine == nil then
        return nil, why
      end
    elseif missing then
      fine, why = false, { code = "no_issuer",
        reason = ("%s, the new CA, is not in the bundle yet"):format(missing:subject()) }
    end
    if not fine then
      rows[#rows + 1] = { name = client.name, certificate = client.certificate, code = why.code, reason = why.reason }
    end
  end
  return rows
end

-- The clients that have to change, by the issuer of their certificates, the most urgent first.
local function groups_of(self, affected)
  local groups, by_issuer = {}, {}
  for place, client in ipairs(affected) do
    local issuer = tostring(client.certificate:issuer())
    local group = by_issuer[issuer]
    if not group then
      group = { issuer = issuer, clients = {}, place = place }
      by_issuer[issuer] = group
      table.insert(groups, group)
    end
    local ends = trust.ends(client.chain, self.current) or client.certificate:not_after()
    client.deadline, client.place = math.max(ends - self.margin, self.created), place
    table.insert(group.clients, client)
  end
  local function sooner(a, b)
    if a.deadline ~= b.deadline then
      return a.deadline < b.deadline
    end
    return a.place < b.place
  end
  for _, group in ipairs(groups) do
    table.sort(group.clients, sooner)
    group.deadline = group.clients[1].deadline
  end
  table.sort(groups, sooner)
  return groups
end

local function rows_of(clients)
  local rows = {}
  for i, client in ipairs(clients) do
    rows[i] = { name = client.name, certificate = client.certificate, deadline = client.deadline }
  end
  return rows
end

local function later(...)
  local latest = math.max(...)
  return latest
end

local function is_known(findings, wanted)
  for _, finding in ipairs(findings) do
    if finding.code == wanted.code and finding.fingerprint == wanted.fingerprint then
      return true
    end
  end
  return false
end

-- What is wrong with the plan though it can be made: rules of the bundle, replacements that will not do.
local function judge(self, overlap)
  local findings, err = check_bundle(overlap, { at = self.created, filters = self.filters })
  local last
  if findings then
    last, err = check_bundle(self.final, { at = self.created, filters = self.filters })
  end
  if not last then
    return nil, err
  end
  -- What only the last bundle has: an intermediate whose root goes.
  for _, finding in ipairs(last) do
    if finding.severity == "error" and not is_known(findings, finding) then
      finding.place = "after the last step"
      findings:add(finding)
    end
  end
  for _, client in ipairs(self.clients) do
    if client.replacement then
      local at = later(self.created, client.replacement[1]:not_before())
      local fine, why = trust.admits({ chain = client.replacement }, self.final, self.filters, at)
      if fine == nil then
        return nil, why
      elseif not fine then
        findings:add { code = "replacement_refused", severity = "error", client = client.name,
          subject = tostring(client.replacement[1]:subject()),
          message = ("the next certificate of %s would be refused: %s"):format(client.name, why.reason),
          hint = why.explanation and "change the certificate, or the filters first" or "issue it under the new CA" }
      end
    end
  end
  return findings
end

-- The earliest end of what goes, where that is still to come.
local function end_of(certificates, now)
  local ends
  for _, certificate in ipairs(certificates) do
    local not_after = certificate:not_after()
    if not_after > now and (not ends or not_after < ends) then
      ends = not_after
    end
  end
  return ends
end

local function steps_of(self, first, affected)
  local steps = {}
  local function add(fields)
    fields.number = #steps + 1
    fields.clients, fields.refused = fields.clients or {}, fields.refused or {}
    steps[fields.number] = fields
  end
  local overlap, err = change(first, self.added, {})
  if not overlap then
    return nil, err
  end
  local groups = groups_of(self, affected)
  local now = self.created
  if #first < #self.current then
    add { action = "make_room", earliest = now, before = self.current, bundle = first }
  end
  if #overlap > #first then
    add { action = "overlap", earliest = now, latest = groups[1] and groups[1].deadline, before = first,
      bundle = overlap }
  end
  local issuing = now
  for _, certificate in ipairs(self.added) do
    issuing = later(issuing, certificate:not_before())
  end
  local last = issuing
  for _, group in ipairs(groups) do
    local refused
    refused, err = refused_early(self, group.clients)
    if not refused then
      return nil, err
    end
    last = issuing + step.CONNECTION
    add { action = "roll_over", earliest = issuing, latest = later(group.deadline, issuing), issuer = group.issuer,
      before = overlap, bundle = overlap, clients = rows_of(group.clients), refused = refused }
  end
  if #overlap:difference(self.final).removed > 0 then
    local ends = end_of(self.retire, now)
    add { action = "remove", earliest = last, latest = ends and later(ends, last), before = overlap,
      bundle = self.final, refused = refused_rows(affected) }
  end
  return steps, overlap
end

--- Makes a plan.
-- @tparam table settings
-- @treturn[1] table
-- @treturn[2] nil
-- @treturn[2] fault
return function(settings)
  options.check(WHERE, settings, known, 4)
  settings = settings or {}
  options.expect(WHERE, "option 'current'", settings.current, "tcpki.bundle")
  local self = { created = settings.now or os.time(), margin = math.floor((settings.margin or MARGIN) * DAY),
    namespace = settings.namespace, filters = settings.filters,
    clients = people.list(WHERE, settings.clients or {}) }
  local err
  self.current, err = bundles.new(settings.current)
  if self.current then
    self.added, err = check.bundle_of(WHERE, "option 'next'", settings.next)
  end
  if self.added then
    self.retire, err = check.bundle_of(WHERE, "option 'retire'",
      settings.retire or change(self.current, {}, self.added) or {})
  end
  if not self.retire then
    return nil, err
  end
  local fine
  fine, err = check_next(self.added, self.created)
  if not fine then
    return nil, err
  end
  self.final, err = change(self.current, self.added, self.retire)
  if not self.final then
    return nil, err
  elseif #self.final == 0 then
    return fault.fail { code = "last_certificate", message = "cannot remove all certificates when mTLS is enabled",
      hint = "pass the next CA" }
  end
  local affected, already = sort_clients(self)
  if not affected then
    return nil, already
  end
  self.refused_already = already
  local first
  first, err = make_room(self)
  if not first then
    return nil, err
  end
  local steps, overlap = steps_of(self, first, affected)
  if not steps then
    return nil, overlap
  elseif #steps == 0 then
    return fault.fail { code = "nothing_to_change", message = "nothing to change",
      hint = "the next CA is accepted already, and no other is to go" }
  end
  self.report, err = judge(self, overlap)
  if not self.report then
    return nil, err
  end
  for number, fields in ipairs(steps) do
    self[number], err = step.new(fields, self.namespace)
    if not self[number] then
      return nil, err
    end
  end
  return self
end

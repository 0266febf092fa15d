--- What an authority may not do, found before it is done: life, path length and names within those of the
-- authorities above (RFC 5280, sections 4.1.2.5, 4.2.1.9 and 4.2.1.10).
-- @module tcpki.authority.limits

local date = require "tcpki.date"
local fault = require "tcpki.fault"
local options = require "tcpki.options"

local limits = {}

limits.DAY = 86400
-- Clocks of other machines run behind: a certificate is good from ten minutes ago.
limits.BACKDATED = 600

-- A thousand years: more would leave the times that a certificate can hold, or the integers.
local DAYS_LIMIT = 365250

function limits.days(where, given, name)
  name = name or "days"
  local days = given[name]
  if days and (days < 1 or days > DAYS_LIMIT) then
    error(("%s: option '%s' must be from 1 to %d, not %d"):format(where, name, DAYS_LIMIT, days), 3)
  end
  return given
end

-- not_before and not_after: as asked, or by the profile and within the life of the issuer.
function limits.validity(where, given, default_days, issuer)
  options.exclude(where, given, { { "days", "not_after" } }, 4)
  local now = os.time()
  local not_before = given.not_before or (now - limits.BACKDATED)
  local not_after = given.not_after or (now + (given.days or default_days) * limits.DAY)
  if not issuer then
    return not_before, not_after
  end
  local limit = issuer:not_after()
  if limit <= now then
    return fault.fail {
      code = "expired",
      message = ("the authority expired on %s"):format(date.minute(limit)),
      subject = tostring(issuer:subject()),
      hint = "renew the authority, or issue under another one",
    }
  end
  if not given.not_before and not_before < issuer:not_before() then
    not_before = issuer:not_before()
  end
  -- Temporal Cloud asks that a leaf ends before its CA, not with it.
  if not_after >= limit then
    if given.days or given.not_after then
      return fault.fail {
        code = "outlives_issuer",
        message = ("the certificate would end on %s, its issuer ends on %s"):format(date.minute(not_after),
          date.minute(limit)),
        subject = tostring(issuer:subject()),
        hint = ("ask for at most %d days, or renew the authority"):format((limit - 1 - now) // limits.DAY),
      }
    end
    not_after = limit - 1
  end
  return not_before, not_after
end

-- How many authorities may still follow under the first of some: the least that any of them allows. One that has
-- its issuer's name is not counted (RFC 5280, section 4.2.1.9). Nil where nothing is said.
function limits.room_below(certificates)
  local room
  local between = 0
  for _, certificate in ipairs(certificates) do
    local constraints = certificate:basic_constraints()
    local path_length = constraints and constraints.path_length
    if path_length then
      local left = path_length - between
      room = room and math.min(room, left) or left
    end
    if tostring(certificate:subject()) ~= tostring(certificate:issuer()) then
      between = between + 1
    end
  end
  return room
end

-- The path length of a new authority, or the fault that there is no room for it.
function limits.path_length(self, wanted)
  local room = self.room
  if not room then
    return true, wanted
  end
  if room < 1 or (wanted and wanted > room - 1) then
    return fault.fail {
      code = "path_length_exceeded",
      message = room < 1 and "the path length of the authority allows no authority below it"
        or ("the path length of the authority allows at most %d below it"):format(room - 1),
      subject = tostring(self.certificate:subject()),
      hint = "issue under an authority with a greater path length",
    }
  end
  return true, wanted or room - 1
end

-- Whether the authority itself stands where the ones above allow none.
function limits.room(self)
  if self.room and self.room < 0 then
    return fault.fail {
      code = "path_length_exceeded",
      message = "the path length of an authority above does not allow this one",
      subject = tostring(self.certificate:subject()),
      hint = "have it issued by an authority with a greater path length",
    }
  end
  return true
end

-- RFC 5280, sections 4.1.2.6 and 4.2.1.6: who has no subject has alternative names, and an authority has a subject.
function limits.named(certificate, usage, profile)
  local names, err = certificate:subject_alt_names()
  if err then
    return nil, err
  end
  local subject
  subject, err = certificate:subject()
  if not subject then
    return nil, err
  end
  if profile.named and not names then
    return fault.fail {
      code = "bad_name",
      message = ("a certificate for usage %s needs a subject alternative name"):format(usage),
      hint = 'pass the names that clients dial: subject_alt_names = { "temporal.example", "10.0.0.1" }',
    }
  end
  if #subject == 0 and (profile.ca or not names) then
    return fault.fail {
      code = "bad_name",
      message = profile.ca and "an authority needs a subject" or "a certificate needs a subject or alternative names",
      hint = "pass common_name or subject",
    }
  end
  return true
end

function limits.names(self, certificate)
  for depth, issuer in ipairs(self.chain) do
    local ok, err = issuer:permits(certificate)
    if not ok then
      err.depth, err.subject = depth, tostring(issuer:subject())
      return nil, err
    end
  end
  return true
end

return limits

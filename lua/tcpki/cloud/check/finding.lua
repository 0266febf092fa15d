--- Findings out of the rows of tcpki.cloud.rules.
-- @module tcpki.cloud.check.finding
-- @local

local rules = require "tcpki.cloud.rules"

local finding = {}

local function fill(text, values)
  return text and (text:gsub("{([%w_]+)}", function(word)
    return tostring(values[word])
  end))
end

--- A finding of a rule.
-- @tparam string code
-- @tparam ?table values for the {words} of its sentences
-- @tparam ?table where fields to add: `subject`, `place`, `serial`, `fingerprint`, `client`, `path`, `line`
-- @treturn table
function finding.of(code, values, where)
  local rule = rules.by_code[code]
  local made = {}
  for name, value in pairs(where or {}) do
    made[name] = value
  end
  values = values or {}
  made.code, made.severity, made.kind = code, rule.severity, rule.kind
  made.message, made.hint = fill(rule.message, values), fill(rule.hint, values)
  made.consequence = rules.kinds[rule.kind]
  made.who, made.note, made.source = rule.who, rule.note, rule.source
  return made
end

--- Where a certificate is, for its findings.
-- @tparam table facts
-- @tparam ?string place "certificate 2 of the bundle"
-- @tparam ?table more fields
-- @treturn table
function finding.at(facts, place, more)
  local where = { subject = facts.subject, place = place, serial = facts.certificate:serial(),
    fingerprint = facts.certificate:fingerprint() }
  for name, value in pairs(more or {}) do
    where[name] = value
  end
  return where
end

--- A span of time for people.
-- @tparam integer seconds
-- @treturn string
function finding.span(seconds)
  for _, unit in ipairs { { 86400, "day" }, { 3600, "hour" }, { 60, "minute" }, { 1, "second" } } do
    local number = seconds // unit[1]
    if number >= 2 or unit[1] == 1 or (number == 1 and unit[1] == 86400) then
      return ("%d %s%s"):format(number, unit[2], number == 1 and "" or "s")
    end
  end
end

return finding

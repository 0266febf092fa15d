--- From what was noted to findings: one for each cause, however often it was noted and whatever followed from it.
-- @module tcpki.pem.findings

local report = require "tcpki.report"
local rules = require "tcpki.pem.rules"

local findings = {}

local methods = {}
local metatable = { __index = methods }

--- Collects findings, part by part.
-- @treturn table with `add`, `part`, `report`
function findings.new()
  return setmetatable({ list = {}, parts = {} }, metatable)
end

--- Begins what belongs to one part of the text.
-- @tparam table part of pem.scan
function methods:part(part)
  self.current = { kind = part.kind, findings = {} }
  self.parts[#self.parts + 1] = self.current
  for word, mark in pairs(part.notes) do
    local row = rules.rows[word]
    if row and not (part.kind == "between" and word:find "^line_") then
      self:add { code = word, severity = row[1], message = row[2], who = row[3], hint = row[4], line = mark.line,
        column = mark.column, count = mark.count, at = mark.at }
    end
  end
end

--- Adds a finding to the current part.
-- @tparam table finding of tcpki.report, with `at` for its place among the others
function methods:add(finding)
  local list = self.current and self.current.findings or self.list
  list[#list + 1] = finding
end

--- Says that a note of the current part stops nobody after all.
-- @tparam string code
function methods:weaken(code)
  for _, finding in ipairs(self.current.findings) do
    if finding.code == code then
      finding.severity, finding.who, finding.hint = "info", nil, nil
    end
  end
end

--- What is added from here on belongs to no part, and stands after all parts.
function methods:together()
  self.current = { kind = "all", findings = {} }
  self.parts[#self.parts + 1] = self.current
end

-- Of the findings of one part those that follow from no other.
local function causes_of(part, hidden)
  local here = {}
  for _, finding in ipairs(part.findings) do
    for _, word in ipairs(rules.hides[finding.code] or {}) do
      hidden[word] = true
    end
    here[finding.code] = finding.line
  end
  for cause, line in pairs(here) do
    for _, word in ipairs(rules.hides_here[cause] or {}) do
      if word == "bad_content" or here[word] == line then
        hidden[word] = true
      end
    end
  end
  local causes = {}
  for _, finding in ipairs(part.findings) do
    if not hidden[finding.code] then
      causes[#causes + 1] = finding
    end
  end
  table.sort(causes, function(a, b)
    if (a.at or 0) ~= (b.at or 0) then
      return (a.at or 0) < (b.at or 0)
    end
    return a.code < b.code
  end)
  return causes
end

local MOST_LINES = 4 -- that are told; the others are counted

local function also_in(places)
  local told = {}
  for i = 2, math.min(#places, MOST_LINES + 1) do
    told[#told + 1] = tostring(places[i].line)
  end
  local rest = #places - 1 - #told
  return (", also in line%s %s%s"):format(#places > 2 and "s" or "", table.concat(told, ", "),
    rest > 0 and (" and %d more"):format(rest) or "")
end

--- The report: the findings in the order of the text, those of one kind put together at the first of their places.
-- @tparam[opt] table fields for each finding, such as `path`
-- @tparam[opt] boolean beneath whether the places of the parts are not those of the text as it was given
-- @treturn report
function methods:report(fields, beneath)
  local result, kinds = report.new(), {}
  local function put(finding)
    local key = finding.code .. "\0" .. finding.message
    local known = kinds[key]
    if known and finding.line then
      known.count = (known.count or 1) + (finding.count or 1)
      known.places[#known.places + 1] = { line = finding.line, column = finding.column }
      return
    end
    finding.places = finding.line and { { line = finding.line, column = finding.column } } or nil
    kinds[key] = finding
    result:add(finding)
  end
  local before = {}
  for _, finding in ipairs(self.list) do
    finding.message = finding.message .. (before[finding.code] and ", once more" or "")
    before[finding.code] = true
    result:add(finding)
  end
  local hidden_next = {}
  for _, part in ipairs(self.parts) do
    local hidden = hidden_next
    hidden_next = part.kind == "between" and hidden_next or {}
    for _, finding in ipairs(part.findings) do
      for _, word in ipairs(rules.hides_next[finding.code] or {}) do
        hidden_next[word] = true
      end
    end
    for _, finding in ipairs(causes_of(part, hidden)) do
      finding.beneath = beneath
      finding.note = beneath and finding.line and "the line is counted once the findings above are undone" or nil
      put(finding)
    end
  end
  for _, finding in ipairs(result) do
    if finding.places and #finding.places > 1 then
      finding.message = finding.message .. also_in(finding.places)
    end
    finding.at = nil
    for name, value in pairs(fields or {}) do
      finding[name] = value
    end
  end
  return result
end

return findings

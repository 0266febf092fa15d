--- Reports: arrays of findings, for programs and for people.
--
-- A finding is `{ code =, severity = "error"|"warning"|"info", message =, hint = }` and, where they exist,
-- `line`, `column`, `subject`, `who` (what stumbles over it), `source`.
-- @module tcpki.report

local report = {}

local WIDTH = 100

local methods = {}
local metatable = { __name = "tcpki.report", __index = methods }

--- Breaks a text into lines of at most 100 columns, the later ones indented.
-- @tparam string text
-- @tparam string first what the first line begins with
-- @tparam string rest what the others begin with
-- @treturn string
function report.wrap(text, first, rest)
  local lines, line = {}, first
  local empty = true
  for word in text:gmatch "%S+" do
    if not empty and utf8.len(line .. " " .. word, 1, -1, true) and utf8.len(line .. " " .. word, 1, -1,
      true) > WIDTH then
      lines[#lines + 1] = line
      line, empty = rest, true
    end
    line = line .. (empty and "" or " ") .. word
    empty = false
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n")
end

--- Makes an empty report.
-- @treturn report with `ok` (no error yet), `errors` and `warnings` (how many)
function report.new()
  return setmetatable({ ok = true, errors = 0, warnings = 0 }, metatable)
end

--- Adds a finding.
-- @tparam table finding
-- @treturn report itself
function methods:add(finding)
  self[#self + 1] = finding
  if finding.severity == "error" then
    self.errors = self.errors + 1
    self.ok = false
  elseif finding.severity == "warning" then
    self.warnings = self.warnings + 1
  end
  return self
end

--- The first finding of a code.
-- @tparam string code
-- @treturn ?table
function methods:find(code)
  for _, finding in ipairs(self) do
    if finding.code == code then
      return finding
    end
  end
end

local function place(finding)
  local parts = {}
  if finding.line then
    parts[1] = "line " .. finding.line .. (finding.column and finding.column > 1 and (":" .. finding.column) or "")
  end
  if finding.subject then
    parts[#parts + 1] = finding.subject
  end
  return #parts > 0 and (table.concat(parts, ", ") .. ": ") or ""
end

local function count(number, word)
  return ("%d %s%s"):format(number, word, number == 1 and "" or "s")
end

function metatable:__tostring()
  local lines = {}
  for _, finding in ipairs(self) do
    local head = ("%s%s: %s (%s)"):format(place(finding), finding.severity, finding.message, finding.code)
    lines[#lines + 1] = report.wrap(head, "", "  ")
    if finding.who then
      lines[#lines + 1] = report.wrap("stumbling over it: " .. finding.who, "  ", "  ")
    end
    if finding.hint then
      lines[#lines + 1] = report.wrap("do: " .. finding.hint, "  ", "  ")
    end
  end
  lines[#lines + 1] = #self == 0 and "nothing to report"
    or ("%s, %s"):format(count(self.errors, "error"), count(self.warnings, "warning"))
  return table.concat(lines, "\n")
end

return report

--- Reports: arrays of findings, for programs and for people.
--
-- A finding is `{ code =, severity = "error"|"warning"|"info", message =, hint = }` and, where they exist, `subject`,
-- `place`, `serial`, `fingerprint`, `client`, `path`, `line`, `column`, `count`, `who` (what stumbles over it), `kind`
-- and `consequence` (what follows from it, as a word and as a sentence), `note` and `source` (the document that the
-- rule comes from). docs/report.md describes each.
--
-- `tostring(report)` is for a terminal, grouped by certificate; `report:json()` is for other programs.
-- @module tcpki.report

local report = {}

--- The columns that a line takes at most, in `tostring` of reports, verdicts and results of a probe: 100. A program
-- that knows its terminal may set it.
report.columns = 100

local methods = {}
local metatable = { __name = "tcpki.report", __index = methods }

-- What takes two columns on a terminal: the East Asian blocks and emoji. First and last of each.
local WIDE = { 0x1100, 0x115f, 0x2e80, 0xa4cf, 0xac00, 0xd7a3, 0xf900, 0xfaff, 0xfe30, 0xfe6f, 0xff00, 0xff60,
  0xffe0, 0xffe6, 0x1f300, 0x1faff, 0x20000, 0x3fffd }

local function width(point)
  for i = 1, #WIDE, 2 do
    if point >= WIDE[i] and point <= WIDE[i + 1] then
      return 2
    end
  end
  return 1
end

-- The columns that a text takes; each byte is one where it is not UTF-8.
local function columns(text)
  local length = utf8.len(text)
  if length == #text or not length then
    return #text
  end
  local sum = 0
  for _, point in utf8.codes(text) do
    sum = sum + (point < 0x1100 and 1 or width(point))
  end
  return sum
end

-- How many bytes of a word fit into some columns, at least one letter.
local function fitting(word, room)
  local bytes, taken = 0, 0
  for letter in word:gmatch(utf8.len(word) and utf8.charpattern or ".") do
    local needed = columns(letter)
    if bytes > 0 and taken + needed > room then
      break
    end
    bytes, taken = bytes + #letter, taken + needed
  end
  return bytes
end

--- Breaks a text into lines of at most `columns`, the later ones indented. A word that is longer than a line is
-- broken, but for an address, which would be of no use in two pieces.
-- @tparam string text
-- @tparam string first what the first line begins with
-- @tparam string rest what the others begin with
-- @treturn string
function report.wrap(text, first, rest)
  local lines, line = {}, first
  local empty = true
  local function flush()
    lines[#lines + 1] = line
    line, empty = rest, true
  end
  for word in text:gmatch "%S+" do
    if not empty and columns(line) + 1 + columns(word) > report.columns then
      flush()
    end
    -- Of columns that are fewer than the margin, a letter a line.
    while word ~= "" and not word:find "^https?://"
        and columns(line) + (empty and 0 or 1) + columns(word) > report.columns do
      local bytes = fitting(word, report.columns - columns(line))
      line, word = line .. word:sub(1, bytes), word:sub(bytes + 1)
      flush()
    end
    if word ~= "" then
      line = line .. (empty and "" or " ") .. word
      empty = false
    end
  end
  if not empty or #lines == 0 then lines[#lines + 1] = line end
  return table.concat(lines, "\n")
end

--- Makes an empty report.
-- @tparam[opt] string good what `tostring` says where there is no finding; "nothing to report" by default
-- @treturn report with `ok` (no error yet), `errors` and `warnings` (how many); a check may add `unchecked`, an array
-- of words for what was not given to it
function report.new(good)
  return setmetatable({ ok = true, errors = 0, warnings = 0, good = good }, metatable)
end

--- @param value
-- @treturn boolean whether it is a report
function report.is(value)
  return getmetatable(value) == metatable
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

-- ---- for a terminal ----

-- Nothing that came from a certificate or a file moves the cursor of a terminal.
local function printable(text)
  return (text:gsub("[%c\x7f]", function(control)
    return control:find "%s" and " " or ("\\%02X"):format(control:byte())
  end):gsub("\xc2[\x80-\x9f]", function(control)
    return ("\\%02X"):format(control:byte(2))
  end))
end

local function count(number, word)
  return ("%d %s%s"):format(number, word, number == 1 and "" or "s")
end

local function line_of(finding)
  return finding.line
    and "line " .. finding.line .. (finding.column and finding.column > 1 and (":" .. finding.column) or "")
end

-- The heading of the group that a finding belongs to; nil where it is on no certificate.
local function heading(finding)
  if not (finding.subject or finding.client or finding.place) then
    return nil
  end
  local details = {}
  for _, detail in ipairs { finding.place or false, finding.path or false, line_of(finding) or false,
    finding.serial and "serial " .. finding.serial or false } do
    details[#details + 1] = detail or nil
  end
  local name = finding.subject
  if finding.client and finding.client ~= name then
    name = name and ("%s: %s"):format(finding.client, name) or finding.client
  end
  if not name then
    return table.concat(details, ", ")
  end
  return #details == 0 and name or ("%s (%s)"):format(name, table.concat(details, ", "))
end

local function add_finding(lines, finding, margin)
  local inner = margin .. "  "
  local before = margin == "" and line_of(finding)
  if margin == "" and finding.path then
    before = finding.path .. (before and ": " .. before or "")
  end
  local head = ("%s%s: %s (%s)"):format(before and before .. ": " or "", finding.severity, finding.message,
    finding.code)
  lines[#lines + 1] = report.wrap(printable(head), margin, inner)
  local function add(word, text)
    if text then
      lines[#lines + 1] = report.wrap(printable(word .. text), inner, inner .. "  ")
    end
  end
  add("", finding.consequence)
  add("", finding.note)
  add("stumbling over it: ", finding.who)
  add("do: ", finding.hint)
  add("see: ", finding.source)
end

-- Findings with a heading each under theirs; the groups in the order of their first finding.
local function grouped(self)
  local loose, groups, by_heading = {}, {}, {}
  for _, finding in ipairs(self) do
    local title = heading(finding)
    if not title then
      loose[#loose + 1] = finding
    elseif by_heading[title] then
      table.insert(by_heading[title], finding)
    else
      groups[#groups + 1] = { title = title, finding }
      by_heading[title] = groups[#groups]
    end
  end
  return loose, groups
end

function metatable:__tostring()
  local unchecked = self.unchecked and "; not checked: " .. table.concat(self.unchecked, ", ") or ""
  if #self == 0 then
    return report.wrap(printable((self.good or "nothing to report") .. unchecked), "", "  ")
  end
  local lines = {}
  local loose, groups = grouped(self)
  for _, finding in ipairs(loose) do
    add_finding(lines, finding, "")
  end
  for _, group in ipairs(groups) do
    lines[#lines + 1] = report.wrap(printable(group.title), "", "    ")
    for _, finding in ipairs(group) do
      add_finding(lines, finding, "  ")
    end
  end
  lines[#lines + 1] = ("%s, %s%s"):format(count(self.errors, "error"), count(self.warnings, "warning"), unchecked)
  return table.concat(lines, "\n")
end

-- ---- for programs ----

-- The fields of a finding in JSON, in their order; docs/report.schema.json is the other half of this.
local FIELDS = { "code", "severity", "kind", "message", "hint", "who", "note", "source", "client", "place", "subject",
  "serial", "fingerprint", "path", "line", "column", "count" }
local ORDER = { "schema", "ok", "errors", "warnings", "unchecked", "findings", table.unpack(FIELDS) }

-- JSON is UTF-8; what a text in the wild holds need not be.
local function clean(value)
  if type(value) ~= "string" or utf8.len(value) then
    return value
  end
  local parts, at = {}, 1
  while at <= #value do
    local _, bad = utf8.len(value, at)
    parts[#parts + 1] = value:sub(at, (bad or #value + 1) - 1)
    parts[#parts + 1] = bad and "\u{fffd}" or nil
    at = (bad or #value) + 1
  end
  return table.concat(parts)
end

--- The report as JSON: the same bytes for the same report. docs/report.md and docs/report.schema.json describe it.
-- It takes lua-cjson.
-- @treturn string with a final newline
function methods:json()
  local json = require "tcpki.json"
  local findings = {}
  for i, finding in ipairs(self) do
    findings[i] = {}
    for _, name in ipairs(FIELDS) do
      findings[i][name] = clean(finding[name])
    end
  end
  return json.write({ schema = 1, ok = self.ok, errors = self.errors, warnings = self.warnings,
    unchecked = self.unchecked, findings = findings }, ORDER, "  ") .. "\n"
end

return report

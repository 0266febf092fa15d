--- Why a certificate matches certificate filters or not, for programs and for people.
-- @module tcpki.cloud.explanation
-- @local

local pattern = require "tcpki.cloud.pattern"
local report = require "tcpki.report"

local explanation = {}

local metatable = { __name = "tcpki.cloud.explanation" }

-- A name in a certificate can be as long as its maker likes; how near it is can be told from this much of it.
local COMPARED = 128

-- Bytes to change, add or take away: the distance of Levenshtein.
local function distance(a, b)
  a, b = a:sub(1, COMPARED), b:sub(1, COMPARED)
  local row = {}
  for j = 0, #b do
    row[j] = j
  end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local above = row[j]
      local changed = diagonal + (a:byte(i) == b:byte(j) and 0 or 1)
      row[j] = math.min(changed, above + 1, row[j - 1] + 1)
      diagonal = above
    end
  end
  return row[#b]
end

-- What of a value a pattern looks at.
local function part(compiled, text)
  if compiled.kind == "prefix" then
    return text:sub(1, #compiled.text)
  elseif compiled.kind == "suffix" then
    return text:sub(-#compiled.text)
  end
  return text
end

--- The value that comes nearest to a pattern; of several the first.
-- @tparam table compiled
-- @tparam {string,…} values
-- @treturn ?string nil where there is no value
-- @treturn ?integer how far it is
function explanation.nearest(compiled, values)
  local nearest, least
  for _, value in ipairs(values) do
    local far = distance(compiled.text, part(compiled, pattern.fold(value)))
    if not least or far < least then
      nearest, least = value, far
    end
  end
  return nearest, least
end

--- Makes an explanation of a table.
-- @tparam table list see `filters:explain`
-- @treturn explanation
function explanation.new(list)
  return setmetatable(list, metatable)
end

-- Whatever a certificate holds goes to a terminal: no control characters.
local function quote(text)
  return '"' .. text:gsub('[%c"\\]', function(c)
    return c:find "%c" and ("\\%02X"):format(c:byte()) or "\\" .. c
  end) .. '"'
end

local function field_text(field)
  if field.matches then
    return ("%s %s matches"):format(field.word, quote(field.wanted))
  elseif not field.nearest then
    return ("%s: wanted %s, the certificate has none"):format(field.word, quote(field.wanted))
  end
  local among = #field.had > 1 and ("the nearest of its %d is"):format(#field.had) or "the certificate has"
  return ("%s: wanted %s, %s %s (%d character%s away)"):format(field.word, quote(field.wanted), among,
    quote(field.nearest), field.distance, field.distance == 1 and "" or "s")
end

--- Why no filter matches, in one sentence: what failed of each.
-- @tparam explanation list
-- @treturn string
function explanation.reason(list)
  local rows = {}
  for number, row in ipairs(list) do
    local words = {}
    for _, field in ipairs(row.fields) do
      words[#words + 1] = not field.matches and field_text(field) or nil
    end
    rows[number] = ("filter %d: %s"):format(number, table.concat(words, ", "))
  end
  return table.concat(rows, "; ")
end

function metatable:__tostring()
  if #self == 0 then
    return report.wrap(self.subject .. " is let in: there are no filters", "", "  ")
  elseif self.matches then
    local lines = { report.wrap(("%s is let in: filter %d matches"):format(self.subject, self.filter), "", "  ") }
    for _, field in ipairs(self[self.filter].fields) do
      lines[#lines + 1] = report.wrap(field_text(field), "  ", "    ")
    end
    return table.concat(lines, "\n")
  end
  local lines = { report.wrap(self.subject .. " is refused: no filter matches", "", "  ") }
  for number, row in ipairs(self) do
    for i, field in ipairs(row.fields) do
      local first = i == 1 and ("  filter %d: "):format(number) or "    "
      lines[#lines + 1] = report.wrap(field_text(field), first, "      ")
    end
  end
  return table.concat(lines, "\n")
end

return explanation

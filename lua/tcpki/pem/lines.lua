--- What happens to the lines of a PEM text on its way, and how it is undone.
--
-- Each function takes a text and gives the text without that one thing, and the place of its first sign; nil where
-- there is none, false and the place where there is one whose meaning is not certain. All look at each byte a bounded
-- number of times: a pattern with + before what may fail tries again at each place of a run, and none is used here.
-- @module tcpki.pem.lines

local lines = {}

local BEGIN = "%-%-%-%-%-BEGIN "

-- Lines by any line end; the byte behind the content, and behind the line end.
local function each_line(text)
  local at = 1
  return function()
    if at > #text then
      return nil
    end
    local first = at
    local stop = text:find("[\r\n]", at) or #text + 1
    at = text:sub(stop, stop + 1) == "\r\n" and stop + 2 or stop + 1
    return first, stop - 1, at
  end
end

--- A text without what of a class stands at its end.
-- @tparam string text
-- @tparam string class a pattern for one character, anchored
-- @treturn string
function lines.without_tail(text, class)
  local last = #text
  while last > 0 and text:find(class, last) do
    last = last - 1
  end
  return text:sub(1, last)
end

--- A text without the blanks around it.
-- @tparam string text
-- @treturn string
function lines.trim(text)
  return lines.without_tail(text:sub(text:find "%S" or 1), "^%s")
end

-- Changes line by line; the place of the first change.
local function edit(text, change)
  local first
  local at = 0
  local changed = text:gsub("([^\r\n]+)()", function(line, behind)
    local new = change(line)
    if new and new ~= line then
      at = behind - #line
      first = first or at
      return new
    end
  end)
  if first then
    return changed, first
  end
end

-- ---- armour ----

local known_label = {}
for _, label in ipairs {
  "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE", "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST",
  "X509 CRL", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "PUBLIC KEY",
  "EC PARAMETERS",
} do
  known_label[label] = true
  known_label[label:gsub(" ", "")] = label -- for what lost its blanks
end

local LONGEST_ARMOUR = 100 -- bytes

-- A line that is armour but for the number or the kind of its dashes, its case or its blanks: the true line.
local function mend_armour(line)
  if #line > LONGEST_ARMOUR then
    return nil
  end
  line = lines.trim(line)
  local before = line:match "^[%-=_ \t]*"
  local words = lines.without_tail(line:sub(#before + 1), "^[%-=_ \t]")
  local after = line:sub(#before + #words + 1)
  if #(before .. after):gsub("[ \t]", "") < 3 or not words:find "^%a[%a%d \t]*$" then
    return nil
  end
  words = words:upper():gsub("%s+", " ")
  for _, word in ipairs { "BEGIN", "END" } do
    local label = words:match("^" .. word .. " ?(.*)$")
    local known = label and (known_label[label] or known_label[label:gsub(" ", "")])
    if known then
      return ("-----%s %s-----"):format(word, known == true and label or known)
    end
  end
end

--- Armour that does not have five dashes on both sides, or is not in capitals.
function lines.armour(text)
  return edit(text, function(line)
    local mended = mend_armour(line)
    -- Blanks around are for the scanner to tell.
    return mended and lines.without_tail(line:match "^[ \t]*(.*)$", "^[ \t]") ~= mended and mended or nil
  end)
end

-- ---- characters that look like others ----

local zero_width = { "\xe2\x80[\x8b-\x8f]", "\xe2\x80[\xaa-\xae]", "\xe2\x81[\xa0-\xa9]", "\xef\xbb\xbf", "\xc2\xad" }
local wide_blanks = { "\xc2\xa0", "\xe2\x80[\x80-\x8a]", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80" }
local hyphens = {
  ["\xe2\x80\x90"] = "-", ["\xe2\x80\x91"] = "-", ["\xe2\x80\x92"] = "-", ["\xe2\x80\x93"] = "--",
  ["\xe2\x80\x94"] = "---", ["\xe2\x80\x95"] = "---", ["\xe2\x88\x92"] = "-",
}

local function replace(line, list, with)
  for _, item in ipairs(list) do
    line = line:gsub(item, with)
  end
  return line
end

local function without_dashes(line)
  line = line:gsub("\xe2[\x80\x88][\x90-\x95]", hyphens)
  return (line:gsub("\xef\xbc\x8d", "-"):gsub("\xef\xb9[\x98\xa3]", "-"))
end

-- Whether a line, rid of its lookalikes, is armour or base64: what stands in a comment is nobody's business.
local function concerns(line)
  local plain = replace(replace(line, zero_width, ""), wide_blanks, " ")
  if not plain:find "[^%w+/= \t]" then
    return true
  end
  plain = without_dashes(plain):upper()
  return plain:find("---", 1, true) ~= nil and (plain:find "BEGIN" or plain:find "END") ~= nil
end

local function lookalikes(text, list, change)
  if not text:find "[\xc2-\xef]" then
    return nil
  end
  local changed, first = edit(text, function(line)
    return line:find "[\xc2-\xef]" and concerns(line) and change(line) or nil
  end)
  if not changed then
    return nil
  end
  -- The place of the character, not that of its line.
  local line = text:match("^[^\r\n]*", first)
  local nearest = #line + 1
  for _, item in ipairs(list) do
    nearest = math.min(nearest, line:find(item) or nearest)
  end
  return changed, first + nearest - 1
end

--- Characters of no width. A byte-order mark before the text is for the scanner to tell.
function lines.zero_width(text)
  local mark = text:match "^\xef\xbb\xbf" or ""
  local rest = text:sub(#mark + 1)
  local changed, at = lookalikes(rest, zero_width, function(line) return replace(line, zero_width, "") end)
  if changed then
    return changed, at + #mark
  end
end

--- No-break and wide spaces.
function lines.wide_blanks(text)
  return lookalikes(text, wide_blanks, function(line)
    local plain = replace(line, wide_blanks, " ")
    if plain ~= line and plain:find "%-%-%-" then
      return lines.trim(plain)
    end
    return replace(line, wide_blanks, "")
  end)
end

local dashes = { "\xe2\x80[\x90-\x95]", "\xe2\x88\x92", "\xef\xbc\x8d", "\xef\xb9[\x98\xa3]" }

--- Dashes that are no hyphens.
function lines.smart_dashes(text)
  return lookalikes(text, dashes, function(line)
    local plain = without_dashes(line)
    return plain ~= line and (mend_armour(plain) or plain) or nil
  end)
end

-- ---- what stands before and behind every line ----

-- Walks the blocks whose BEGIN line has something around it that can be told apart, and strips their lines.
-- `around(line, at, behind)`: what stands at the other lines, from the BEGIN line, whose armour is at [at, behind).
-- `strip(line, extra)`: the line without it, or nil where it does not have it.
local function strip_blocks(text, around, strip)
  local out, from, first = {}, 1, nil
  local extra, kept, begun
  for start, stop, next in each_line(text) do
    local line = text:sub(start, stop)
    local at, behind = line:find(BEGIN .. "[%u%d ]-%-%-%-%-%-")
    if at then
      extra = around(line, at, behind)
      kept, begun = {}, start
    end
    if extra then
      local bare = strip(line, extra)
      if not bare then
        extra = nil
      else
        kept[#kept + 1] = bare .. text:sub(stop + 1, next - 1)
        if bare:find "^%-%-%-%-%-END " then
          if #kept > 2 then
            out[#out + 1] = text:sub(from, begun - 1) .. table.concat(kept)
            from, first = next, first or begun
          end
          extra = nil
        end
      end
    end
  end
  if first then
    out[#out + 1] = text:sub(from)
    return table.concat(out), first
  end
end

local LONGEST_EXTRA = 64 -- bytes; what stands before or behind a line of PEM is short

--- The same characters before every line of a block: indentation, quoting, comments.
function lines.prefix(text)
  return strip_blocks(text, function(line, at)
    return at > 1 and at <= LONGEST_EXTRA and line:sub(1, at - 1) or nil
  end, function(line, prefix)
    if line:sub(1, #prefix) == prefix then
      return line:sub(#prefix + 1)
    end
    return #line < #prefix and prefix:sub(1, #line) == line and "" or nil
  end)
end

--- The same characters behind every line of a block, such as the comma of a list.
function lines.suffix(text)
  return strip_blocks(text, function(line, at, behind)
    local rest = line:sub(behind + 1)
    return at == 1 and #rest <= LONGEST_EXTRA and rest:find "[^%w+/= \t]"
      and not rest:find "^\\+[\\rn]+$" and rest or nil -- that is an escape
  end, function(line, suffix)
    if line:sub(-#suffix) == suffix then
      return line:sub(1, -#suffix - 1)
    end
    local last = line:match "^%-%-%-%-%-END [%u%d ]-%-%-%-%-%-()"
    return last and suffix:sub(1, #line - last + 1) == line:sub(last) and line:sub(1, last - 1) or nil
  end)
end

--- A number before every line, counting them.
function lines.numbers(text)
  if not text:find("BEGIN", 1, true) then
    return nil
  end
  local out, expected = {}, nil
  for start, stop, next in each_line(text) do
    if stop < start then
      out[#out + 1] = text:sub(start, next - 1)
    else
      local number, behind = text:sub(start, math.min(stop, start + 20)):match "^[ \t]*(%d+)[:|.%)]?[ \t]()"
      if not number or #number > 9 or expected and tonumber(number) ~= expected then
        return nil
      end
      expected = tonumber(number) + 1
      out[#out + 1] = text:sub(start + behind - 1, stop):match "^[ \t]*(.*)$" .. text:sub(stop + 1, next - 1)
    end
  end
  if #out > 1 then
    return table.concat(out), 1
  end
end

-- ---- line ends ----

-- A line end that was meant, written as a separator: certain where lines of 64 digits stand between.
local function unseparate(text, separator)
  local plain = separator:gsub("%p", "%%%0")
  local pattern = "(%-%-%-%-%-BEGIN [%u%d ]-%-%-%-%-%-)" .. plain .. "([%w+/=]+)(%-%-%-%-%-END [%u%d ]-%-%-%-%-%-)"
  local first = text:find(pattern)
  if not first then
    return nil
  end
  local whole = true
  local fixed = text:gsub(pattern .. "([^\r\n%-]*)", function(head, body, foot, behind)
    local digits, at = {}, 1
    repeat
      local line = body:sub(at, at + 63)
      local next = body:sub(at + 64, at + 63 + #separator)
      if #line < 64 or next ~= separator then
        line, next = body:sub(at):match("^([%w+/=]-)" .. plain .. "$"), separator
        if not line or #line > 64 then
          whole = false
          return nil
        end
      end
      digits[#digits + 1] = line
      at = at + #line + #next
    until at > #body
    return head .. "\n" .. table.concat(digits, "\n") .. "\n" .. foot .. (behind == separator and "\n" or behind)
  end)
  return whole and fixed, first
end

local LONGEST_ESCAPE = 8 -- backslashes before an n; more are no nesting of quotes

local function is_escaped(text)
  return text:find(BEGIN .. "[%w ]+%-%-%-%-%-[ \t]*\\+[rn]") or text:find "%-%-%-%-%-\\+[rn]+%-%-%-%-%-BEGIN "
end

-- An escape behind so many digits that it is no word.
local function is_escaped_body(text)
  local DIGITS = 40
  local at = 1
  while true do
    local last = text:find("\\[rn][%w+/=]", at)
    if not last then
      return nil
    end
    local first = last
    while last - first < LONGEST_ESCAPE and text:byte(first - 1) == 92 do
      first = first - 1
    end
    local before = text:sub(math.max(1, first - DIGITS), first - 1)
    if #before == DIGITS and not before:find "[^%w+/=]" then
      return first
    end
    at = last + 2
  end
end

--- Line ends that are the two characters \n, once or twice escaped.
function lines.escapes(text)
  local at = is_escaped(text) or (text:find(BEGIN) and is_escaped_body(text))
  if at then
    local runs = ("\\"):rep(LONGEST_ESCAPE + 1)
    if text:find(runs, 1, true) then
      return false, at
    end
    local fixed = text:gsub("%f[\\]\\+r\\+n\r?\n?", "\n"):gsub("%f[\\]\\+n\r?\n?", "\n"):gsub("%f[\\]\\+r", "\r")
    return fixed, at
  end
end

--- Line ends that are /n, or the n that an unescaping shell leaves.
function lines.separators(text)
  for _, separator in ipairs { "/n", "n" } do
    local fixed, place = unseparate(text, separator)
    if fixed ~= nil then
      return fixed, place
    end
  end
end

local odd_ends = { "\v", "\f", "\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9" }

--- Line ends that no reader takes for one: VT, FF, U+0085, U+2028, U+2029.
function lines.odd_ends(text)
  for _, ending in ipairs(odd_ends) do
    local at = text:find(BEGIN .. "[%u%d ]-%-%-%-%-%-" .. ending .. "[%w+/]")
    if at then
      return text:gsub(ending, "\n"), at
    end
  end
end

--- A block on one line: armour on lines of its own, and the blanks between as line ends.
function lines.flattened(text)
  local first
  local headers = false
  local fixed = text:gsub("()(%-%-%-%-%-BEGIN [%u%d ]-%-%-%-%-%-)([^%-\r\n]*)(%-%-%-%-%-END [%u%d ]-%-%-%-%-%-)[ \t]*",
    function(at, head, body, foot)
      first = first or at
      if body:find ":" then
        headers = true -- those of an encrypted key need their own lines, which are lost
        return nil
      end
      return head .. "\n" .. lines.trim(body):gsub("[ \t]+", "\n") .. "\n" .. foot .. "\n"
    end)
  if first then
    return not headers and fixed, first
  end
end

--- Two line ends for each one, or LF CR: what a conversion made twice leaves.
function lines.doubled(text)
  local at = text:find "\n\r[^\n]"
  if at and not text:find "[^\n]\r" and not text:find "\n[^\r]" then
    return text:gsub("\n\r", "\n"), at
  end
end

return lines

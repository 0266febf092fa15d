--- Turns a mangled text into canonical PEM when, and only when, its meaning is certain.
-- @module tcpki.pem.repair

local core = require "tcpki.core"
local fault = require "tcpki.fault"
local kind = require "tcpki.pem.kind"
local layers = require "tcpki.pem.layers"
local options = require "tcpki.options"
local rules = require "tcpki.pem.rules"

-- Notes that no reader minds: a text that has only these is good as it is.
local harmless = {
  text = true, nul = true, control_z = true, non_ascii = true, begin_blanks = true, headers = true, line_crlf = true,
  line_lf = true, uneven = true, end_blanks = true, end_unterminated = true, wide_blank = true, zero_width = true,
  smart_dash = true,
}

-- Damage that canonical armour cures, because the content is whole.
local curable = {
  begin_indented = true, begin_prefixed = true, begin_tabs = true, blank_first = true, begin_trailed = true,
    line_cr = true, line_crcrlf = true,
  blank_inside = true, blank_last = true, leading_blanks = true, inner_blanks = true, trailing_spaces = true,
  trailing_tabs = true, end_indented = true, end_prefixed = true, end_trailed = true, end_glued = true,
  byte_order_mark = true,
}

local function uncertain(part, word, message)
  local mark = part.notes[word]
  return fault.fail {
    code = "not_certain",
    message = message or (rules[word] and rules[word][2]) or word,
    line = mark and mark.line or part.line,
    column = mark and mark.column,
    hint = "what was there cannot be known: get the text again from where it was made",
  }
end

-- The notes of a part in the order of their places.
local function notes_of(part)
  local words = {}
  for word in pairs(part.notes) do
    words[#words + 1] = word
  end
  table.sort(words, function(a, b)
    if part.notes[a].at ~= part.notes[b].at then
      return part.notes[a].at < part.notes[b].at
    end
    return a < b
  end)
  return words
end

-- Blanks that were plus signs: tried where the body does not decode, or not to one whole object, without them.
local function with_plus(text, part)
  local source = text:sub(part.first, part.last)
  local first, body, last = source:match "^(%-%-%-%-%-BEGIN [^\n]-%-%-%-%-%-)\r?\n(.-)(%-%-%-%-%-END .*)$"
  if not body or not body:find "[^\n] [^\n]" then
    return nil
  end
  local lines = {}
  for line in body:gmatch "[^\r\n]+" do
    lines[#lines + 1] = line:gsub(" ", "+")
  end
  local parts = core.pem.scan(first .. "\n" .. table.concat(lines, "\n") .. "\n" .. last)
  local der = parts and parts[1] and parts[1].der
  return der and kind.length(der) == #der and kind.label(der) and der or nil
end

-- The label and DER of one block, whether they differ from what stands there, and what was done.
local function mend_block(text, part, changes)
  local changed = false
  if not part.der or (part.notes.inner_blanks and not kind.label(part.der)) then
    local der = part.notes.inner_blanks and not part.notes.end_missing and with_plus(text, part)
    if der then
      part.der = der
      part.notes.bad_padding, part.notes.stray_bits = nil, nil
      changes[#changes + 1] = { line = part.notes.inner_blanks.line, code = "plus_signs",
        message = "blanks became plus signs" }
      changed = true
    end
  end
  for _, word in ipairs(notes_of(part)) do
    if curable[word] then
      changed = true
      changes[#changes + 1] = { line = part.notes[word].line, code = word, message = rules[word] and rules[word][2]
        or word }
    elseif not harmless[word] then
      return uncertain(part, word)
    end
  end
  if part.headers then
    if part.headers:find "ENCRYPTED" then
      if kind.family(part.label) ~= "key" then
        return uncertain(part, "headers", "the headers say that the block is encrypted, and it is no key")
      end
      return true, changed
    end
    changes[#changes + 1] = { line = part.notes.headers.line, code = "headers", message = "the headers were left out" }
    part.headers = nil
    changed = true
  end
  local label = kind.label(part.der)
  if not label then
    if kind.family(part.label) ~= "other" then
      return uncertain(part, "", ("what the block holds is not a %s"):format(part.label))
    end
    return true, changed
  end
  if label ~= part.label and part.label ~= "NEW CERTIFICATE REQUEST" then
    changes[#changes + 1] = { line = part.line, code = "label",
      message = ("the label %s became %s"):format(part.label, label) }
    part.label = label
    changed = true
  end
  return true, changed
end

local function between(part, changes)
  for _, word in ipairs(notes_of(part)) do
    if word == "orphan_end" or word == "like_armour" or word == "bare_base64" or word == "control" then
      return uncertain(part, word)
    end
  end
  if part.notes.text or part.notes.nul or part.notes.control_z then
    changes[#changes + 1] = { line = part.line, code = "text", message = "the text between the blocks was left out" }
  end
  return true
end

-- The text of a traditionally encrypted key: the headers are part of its meaning.
local function with_headers(part)
  local pem = core.pem.encode(part.label, part.der)
  local first, rest = pem:match "^([^\n]+\n)(.*)$"
  return first .. part.headers:gsub("\r\n?", "\n") .. "\n\n" .. rest
end

-- A text without armour: the content must say by itself what it is.
local function bare(text, changes)
  local der = kind.label(text) and text
  if not der then
    local parts = core.pem.scan("-----BEGIN CERTIFICATE-----\n" .. text:gsub("%s+", "\n"):gsub("^\n", "")
      .. "\n-----END CERTIFICATE-----\n")
    der = #parts == 1 and parts[1].der
  end
  local label = der and kind.label(der)
  if not label then
    return fault.fail { code = "not_certain",
      message = "there is no BEGIN line, and the text is no object by itself", line = 1,
      hint = "get the text again from where it was made" }
  end
  changes[#changes + 1] = { line = 1, code = "armour", message = ("armour for a %s was put around it"):format(label) }
  return core.pem.encode(label, der)
end

local function has_block(parts)
  for _, part in ipairs(parts) do
    if part.kind == "block" then
      return true
    end
  end
  return false
end

--- Repairs a text.
-- @tparam string text
-- @treturn[1] string canonical PEM (RFC 7468 strict), or the text itself where every client reads it as it is
-- @treturn[1] table the changes, in order: `{ line =, code =, message = }`
-- @treturn[2] nil
-- @treturn[2] fault `not_certain` with line and column, `empty`
return function(text)
  options.expect("tcpki.pem.repair", "text", text, "string")
  if not text:find "%S" then
    return fault.fail { code = "empty", message = text == "" and "it is empty" or "it holds only blanks",
      hint = "check what was to be written there" }
  end
  local changes = {}
  local beneath, peeled, stuck = layers.peel(text)
  if stuck then
    return fault.fail { code = "not_certain", message = stuck.layer.message .. ", and does not come off with certainty",
      line = stuck.line, hint = "get the text again from where it was made" }
  end
  for _, found in ipairs(peeled) do
    changes[#changes + 1] = { line = found.line, code = found.layer.code, message = found.layer.message }
  end
  local parts, err = core.pem.scan(beneath)
  if not parts then
    return nil, err
  end
  if not has_block(parts) then
    local pem
    pem, err = bare(beneath, changes)
    if not pem then
      return nil, err
    end
    return pem, changes
  end
  local out, dirty = {}, #peeled > 0
  local outside, nul = {}, nil
  for _, part in ipairs(parts) do
    local ok, changed
    if part.kind == "block" then
      ok, changed = mend_block(beneath, part, changes)
      if nul then
        changes[#changes + 1] = { line = nul.line, code = "nul", message = rules.nul[2] }
        changed = ok and true or changed
      end
      if ok then
        out[#out + 1] = part.headers and with_headers(part) or core.pem.encode(part.label, part.der)
      end
    else
      ok, changed = between(part, outside)
    end
    if not ok then
      return nil, changed
    end
    dirty = dirty or changed or false
    -- At the end of the text a NUL is nothing; before another block it ends the text for some.
    nul = part.notes.nul
  end
  if not dirty then
    return text, {}
  end
  table.move(outside, 1, #outside, #changes + 1, changes)
  return table.concat(out), changes
end

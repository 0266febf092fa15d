--- Turns a mangled text into canonical PEM when, and only when, its meaning is certain.
-- @module tcpki.pem.repair

local content = require "tcpki.pem.content"
local core = require "tcpki.core"
local encodings = require "tcpki.pem.encodings"
local fault = require "tcpki.fault"
local kind = require "tcpki.pem.kind"
local layers = require "tcpki.pem.layers"
local losses = require "tcpki.pem.losses"
local options = require "tcpki.options"
local rules = require "tcpki.pem.rules"

local function said(word)
  return rules.rows[word] and rules.rows[word][2] or word
end

local function uncertain(part, word, message)
  local mark = part.notes[word]
  return fault.fail {
    code = "not_certain",
    message = message or said(word),
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

-- The label and DER of one block, whether they differ from what stands there, and what was done.
local function mend_block(part, changes)
  local changed = false
  for _, word in ipairs(notes_of(part)) do
    if rules.curable[word] then
      changed = true
      changes[#changes + 1] = { line = part.notes[word].line, code = word, message = said(word) }
    elseif not rules.harmless[word] then
      return uncertain(part, word)
    end
  end
  if part.headers then
    if part.headers:find "ENCRYPTED" then
      if kind.family(part.label) ~= "key" or kind.label(part.der) then
        return uncertain(part, "headers", "the headers say that the block is encrypted, and it is not")
      end
      return true, changed
    end
    changes[#changes + 1] = { line = part.notes.headers.line, code = "headers", message = "the headers were left out" }
    part.headers = nil
    changed = true
  end
  local label = kind.label(part.der)
  if not label then
    if kind.is_told_apart(part.label) then
      return uncertain(part, "", ("what the block holds is not a %s"):format(kind.shown(part.label)))
    end
    return true, changed
  end
  if label ~= part.label and not (part.label == "NEW CERTIFICATE REQUEST" and label == "CERTIFICATE REQUEST") then
    changes[#changes + 1] = { line = part.line, code = "label",
      message = ("the label %s became %s"):format(kind.shown(part.label), label) }
    part.label = label
    changed = true
  end
  return true, changed
end

-- What stands outside of the blocks is left out, unless it may be an object.
local function between(part, source, changes)
  for _, word in ipairs { "orphan_end", "like_armour", "bare_base64" } do
    if part.notes[word] then
      return uncertain(part, word)
    end
  end
  if part.notes.control and kind.find(source) then
    return uncertain(part, "control", "bare DER stands beside the blocks")
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
  return first .. part.headers:gsub("[\r\n]+", "\n") .. "\n\n" .. rest
end

-- The bytes of base64 without armour: whole groups, each of which may end with padding.
local function from_base64(text)
  local digits = text:gsub("%s", "")
  local bytes = {}
  for group in digits:gmatch "[^=]+=*" do
    local piece = #group % 4 == 0 and encodings.base64(group)
    if not piece then
      return nil
    end
    bytes[#bytes + 1] = piece
  end
  return table.concat(bytes)
end

-- A text without armour: the content must say by itself what it is.
local function bare(text, changes)
  local objects = kind.objects(text)
  if not objects then
    local bytes = from_base64(text)
    objects = bytes and kind.objects(bytes)
  end
  if not objects then
    return fault.fail { code = "not_certain",
      message = "there is no BEGIN line, and the text is no object by itself", line = 1,
      hint = "get the text again from where it was made" }
  end
  local out = {}
  for i, object in ipairs(objects) do
    changes[#changes + 1] = { line = 1, code = "armour",
      message = ("armour for a %s was put around it"):format(object.label) }
    out[i] = core.pem.encode(object.label, object.der)
  end
  return table.concat(out)
end

local function has_block(parts)
  for _, part in ipairs(parts) do
    if part.kind == "block" then
      return true
    end
  end
  return false
end

local function repaired(text)
  local changes = {}
  local found, err = layers.peel(text)
  if not found then
    return nil, err
  end
  local parts, stuck = found.parts, found.stuck
  if stuck then
    return fault.fail { code = "not_certain", message = stuck.layer.message .. ", and does not come off with certainty",
      line = stuck.line, column = stuck.column, hint = "get the text again from where it was made" }
  end
  for _, one in ipairs(found.peeled) do
    changes[#changes + 1] = { line = one.line, code = one.layer.code, message = one.layer.message }
  end
  if not has_block(parts) then
    local pem
    pem, err = bare(found.text, changes)
    if not pem then
      return nil, err
    end
    return pem, changes
  end
  local out, dirty = {}, #found.peeled > 0
  local outside, nul = {}, nil
  for _, part in ipairs(parts) do
    local ok, changed
    if part.kind == "block" then
      ok, changed = mend_block(part, changes)
      if nul then
        changes[#changes + 1] = { line = nul.line, code = "nul", message = said "nul" }
        changed = ok and true or changed
      end
      if ok then
        out[#out + 1] = part.headers and with_headers(part) or core.pem.encode(part.label, part.der)
      end
    else
      ok, changed = between(part, found.text:sub(part.first, part.last), outside)
    end
    if not ok then
      return nil, changed
    end
    dirty = dirty or changed or false
    -- At the end of the text a NUL is nothing; before another block it ends the text for some.
    nul = part.notes.nul
  end
  if not dirty then
    local regained, failed = losses.regained(text, parts)
    if failed then
      return nil, failed
    elseif not regained then
      return text, {}
    end
    changes[#changes + 1] = { line = regained.line, code = "rewritten", message = losses.sentence(regained) }
  end
  table.move(outside, 1, #outside, #changes + 1, changes)
  return table.concat(out), changes
end

--- Repairs a text.
-- @tparam string text
-- @treturn[1] string canonical PEM (RFC 7468 strict), or the text itself where every client reads it as it is
-- @treturn[1] table the changes: `{ line =, code =, message = }`; what was wrapped around all, then the blocks in
-- order, then the text that was left out. The line of a block is that of the text without what was wrapped around it
-- @treturn[2] nil
-- @treturn[2] fault `not_certain` with line and column, `empty`, `out_of_memory`, `too_large` (more than 100 000
-- blocks)
return function(text)
  options.expect("tcpki.pem.repair", "text", text, "string")
  if not text:find "[^%s%z]" then
    return fault.fail { code = "empty", message = text == "" and "it is empty" or "it holds only blanks",
      hint = "check what was to be written there" }
  end
  return content.guarded(repaired, text)
end

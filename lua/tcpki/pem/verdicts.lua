--- What each reader of PEM makes of a text: how many certificates or keys it gets, and which it loses.
--
-- `pem.verdicts(text, { role = "chain"|"roots"|"key" })` is an array of verdicts, one a reader of tcpki.pem.readers in
-- their order, each also by the reader's name (`verdicts.go`):
--
--  * `reader`, `who` uses it, `version` and `source` of its rules;
--  * `got`: how many objects it has in the end; `blocks`: which, by their numbers in `held`;
--  * `lost`: the numbers of those that it does not get; `damaged`: of those that it hands on though they are damaged;
--  * `refused`: whether it refuses the text as a whole, so that somebody learns of it;
--  * `reason` and `code`: why it refuses or stops, and in which `line` the block is, where one was to blame.
--
-- Of the whole: `role`; `held`, the objects of that kind that stand in the text, `{ line =, first =, label = }`; `ok`,
-- whether all readers get all of them; `:silent_losses()`. `tostring` says it for people, a reader a line. Nothing
-- here shows what a key is.
-- @module tcpki.pem.verdicts

local content = require "tcpki.pem.content"
local kind = require "tcpki.pem.kind"
local options = require "tcpki.options"
local readers = require "tcpki.pem.readers"
local reading = require "tcpki.pem.reading"
local report = require "tcpki.report"

local methods = {}
local metatable = { __name = "tcpki.pem.verdicts", __index = methods }

local roles = { chain = "certificate", roots = "certificate", key = "key" }

local reasons = {
  not_ascii = "there are bytes that are not ASCII",
  nothing = "it finds none",
  nul = "the text ends for it at a NUL",
  end_missing = "the block does not end",
  end_wrong = "the END line is not what it expects",
  begin = "the BEGIN line is not what it expects",
  blank = "an empty line stands in the block",
  wide = "a line behind an empty one has more than 64 characters",
  short = "a line behind an empty one has fewer than 64 characters, and is not the last",
  base64 = "it is not base64 as it expects it",
  no_data = "nothing stands in the block, or behind its empty line",
  headers = "the block has headers",
  der = "what the block holds is not what it expects",
  encoding = "it is not UTF-8",
  stack = "so much white space fills its stack",
}

-- ---- what the text holds ---------------------------------------------------------------------

local function family_of(described, part)
  if part.der and described:certificate(part.der) then
    return "certificate"
  elseif part.der and described:key(part.der) then
    return "key"
  end
  return kind.family(part.label)
end

-- The objects of the blocks that the scanner sees, by family; damaged ones too.
local function held_in(described)
  local held = { certificate = {}, key = {} }
  for _, part in ipairs(described.parts) do
    local list = part.kind == "block" and held[family_of(described, part)]
    if list then
      list[#list + 1] = { line = part.line, first = part.first, last = part.last, label = part.label, der = part.der }
    end
  end
  return held
end

-- Whose numbers the objects of a reader have: of the block at their place, if it holds the same; else of the first that
-- does; else, damaged, of the block at their place. A whole object that the scanner saw no block for (bare DER, a text
-- without newlines) is held too, once for all readers.
local function claims(described, held, role)
  local by_bytes = {}
  local function know(object, bytes)
    object.bytes = bytes
    by_bytes[bytes] = by_bytes[bytes] or {}
    table.insert(by_bytes[bytes], object)
  end
  for _, object in ipairs(held) do
    local length = object.der and (role == "key" and #object.der or described:certificate(object.der))
    if length then
      know(object, object.der:sub(1, length))
    end
  end
  local function at_place(at)
    local low, high = 1, #held
    while low < high do
      local middle = (low + high + 1) // 2
      if held[middle].first <= at then low = middle else high = middle - 1 end
    end
    return held[low] and held[low].first <= at and at <= held[low].last and held[low] or nil
  end
  local found = {}
  local function owner_of(object, next_one)
    local here, same = at_place(object.at), by_bytes[object.der]
    if here and here.bytes == object.der or not same then
      return here
    end
    next_one[object.der] = (next_one[object.der] or 0) + 1
    return same[next_one[object.der]]
  end
  return function(objects)
    local next_one, mine = {}, {}
    for i, object in ipairs(objects) do
      local owner = owner_of(object, next_one)
      if not owner and (role == "key" or described:certificate(object.der)) then
        owner = { first = object.at, last = object.at, label = roles[role]:upper() }
        found[#found + 1] = owner
        know(owner, object.der)
      end
      mine[i] = owner or false
    end
    return mine
  end, found
end

-- The line of a place: of the part that it is in, and on from there.
local function line_of(described, at)
  local parts = described.parts
  local low, high = 1, #parts
  while low < high do
    local middle = (low + high + 1) // 2
    if parts[middle].first <= at then low = middle else high = middle - 1 end
  end
  if not parts[low] then
    return 1
  end
  local _, count = described.text:sub(parts[low].first, at - 1):gsub("\n", "")
  return parts[low].line + count
end

-- ---- a verdict -------------------------------------------------------------------------------

local function reason_of(described, reader, fault)
  if reader.text == "C string" and described.nul then
    return "nul", described.nul
  end
  return fault and fault.code, fault and fault.at
end

local function judge(described, reader, result, held, role)
  local verdict = {
    reader = reader.name, who = reader.who, version = reader.version, source = reader.source,
    got = #result.objects, blocks = {}, lost = {}, damaged = {}, refused = result.refused,
  }
  local has = {}
  for i, owner in ipairs(result.owners) do
    if owner then
      verdict.blocks[#verdict.blocks + 1] = owner.number
      has[owner] = true
      local der = result.objects[i].der
      if role ~= "key" and described:certificate(der) ~= #der or role == "key" and not described:key(der) then
        verdict.damaged[#verdict.damaged + 1] = owner.number
      end
    end
  end
  -- One key is asked for: whoever has one lacks none.
  for i, object in ipairs(role == "key" and verdict.got > 0 and {} or held) do
    if not has[object] then
      verdict.lost[#verdict.lost + 1] = i
    end
  end
  if verdict.refused or #verdict.lost > 0 then
    local code, at = reason_of(described, reader, result.fault)
    verdict.code, verdict.reason = code, reasons[code]
    verdict.line = at and line_of(described, at)
  end
  return verdict
end

--- The readers that get fewer objects than the text holds and raise no error.
-- @function silent_losses
-- @treturn {table,...} their verdicts; nobody asks for two keys, so of keys there are none
function methods:silent_losses()
  local list = {}
  for _, verdict in ipairs(self) do
    if not verdict.refused and #verdict.lost > 0 then
      list[#list + 1] = verdict
    end
  end
  return list
end

-- ---- for people ------------------------------------------------------------------------------

local function count(number, role)
  return ("%d %s%s"):format(number, roles[role], number == 1 and "" or "s")
end

-- "certificate 1 (line 1) and 2 (line 14)"; of many, how many.
local function named(numbers, held, role)
  if #numbers > 3 then
    return ("%s, the first in line %d"):format(count(#numbers, role), held[numbers[1]].line)
  end
  local words = {}
  for i, number in ipairs(numbers) do
    words[i] = ("%d (line %d)"):format(number, held[number].line)
  end
  return roles[role] .. " " .. table.concat(words, " and ")
end

local function sentence(self, verdict)
  local because = verdict.reason and ((verdict.line and "line %d: " or ""):format(verdict.line) .. verdict.reason)
  if verdict.refused then
    return ("refuses it: %s"):format(because)
  end
  local text = { count(verdict.got, self.role) }
  if #verdict.lost > 0 then
    text[#text + 1] = ("loses %s in silence%s"):format(named(verdict.lost, self.held, self.role),
      because and (" (%s)"):format(because) or "")
  end
  if #verdict.damaged > 0 then
    text[#text + 1] = ("hands on %s, which is damaged"):format(named(verdict.damaged, self.held, self.role))
  end
  return table.concat(text, "; ")
end

local NAME_WIDTH = 15

function metatable:__tostring()
  local lines = { ("the text holds %s"):format(count(#self.held, self.role)) }
  for _, verdict in ipairs(self) do
    local name = ("%-" .. NAME_WIDTH .. "s"):format(verdict.reader)
    local all = not verdict.refused and #verdict.lost == 0 and #verdict.damaged == 0
    local said = sentence(self, verdict) .. (all and "" or (" [%s]"):format(verdict.who))
    lines[#lines + 1] = report.wrap(said, name, (" "):rep(NAME_WIDTH))
  end
  return table.concat(lines, "\n")
end

-- ---- all of them -----------------------------------------------------------------------------

local function all_of(text, role)
  local described = content.describe(text)
  local families = held_in(described)
  role = role or (#families.key > 0 and #families.certificate == 0 and "key" or "chain")
  local held = families[roles[role]]
  local claim, found = claims(described, held, role)
  local results = {}
  for i, reader in ipairs(readers) do
    if reader[role] then
      local objects, fault, refused = reading.read(described, reader, role)
      results[i] = { objects = objects, fault = fault, refused = refused, owners = claim(objects) }
    end
  end
  table.move(found, 1, #found, #held + 1, held)
  table.sort(held, function(a, b)
    return a.first < b.first
  end)
  for i, object in ipairs(held) do
    object.number, object.line = i, object.line or line_of(described, object.first)
  end
  local self = setmetatable({ role = role, held = {}, ok = true }, metatable)
  for i, reader in ipairs(readers) do
    if results[i] then
      local verdict = judge(described, reader, results[i], held, role)
      self[#self + 1], self[verdict.reader] = verdict, verdict
      self.ok = self.ok and not verdict.refused and #verdict.lost == 0 and #verdict.damaged == 0
    end
  end
  for i, object in ipairs(held) do
    self.held[i] = { line = object.line, first = object.first, label = object.label }
  end
  return self
end

--- What each reader makes of a text.
-- @tparam string text
-- @tparam[opt] table given `role`: what the text is to be, "chain" (of the party itself), "roots" (to be trusted) or
-- "key"; without it "key" for a text that holds keys and no certificate, else "chain"
-- @treturn[1] verdicts
-- @treturn[2] nil
-- @treturn[2] fault `out_of_memory`, `too_large` (more than 100 000 blocks)
return function(text, given)
  options.expect("tcpki.pem.verdicts", "text", text, "string")
  given = options.check("tcpki.pem.verdicts", given, { role = "string" })
  if given.role and not roles[given.role] then
    error(("tcpki.pem.verdicts: option 'role' is '%s' (known: chain, key, roots)"):format(given.role), 2)
  end
  return content.guarded(all_of, text, given.role)
end

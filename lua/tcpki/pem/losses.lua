--- What is lost between a text and its readers, for lint and repair.
-- @module tcpki.pem.losses

local core = require "tcpki.core"
local content = require "tcpki.pem.content"
local verdicts = require "tcpki.pem.verdicts"

local losses = {}

local MOST_NAMED = 3

local function joined(words)
  if #words == 1 then
    return words[1]
  end
  return table.concat(words, ", ", 1, #words - 1) .. " and " .. words[#words]
end

local function message_of(loss)
  local numbers = #loss.numbers > MOST_NAMED and #loss.numbers .. " certificates are"
    or ("certificate%s %s"):format(#loss.numbers > 1 and "s" or "", joined(loss.numbers)
      .. (#loss.numbers > 1 and " are" or " is"))
  return ("%s lost without an error by %s"):format(numbers, joined(loss.readers))
end

local function silent(text, role)
  local list = {}
  if content.describe(text):is_plain() then
    return list
  end
  local given = assert(verdicts(text, { role = role }))
  local by_number = {}
  for _, verdict in ipairs(given:silent_losses()) do
    for _, number in ipairs(verdict.lost) do
      by_number[number] = by_number[number] or { readers = {}, who = {} }
      table.insert(by_number[number].readers, verdict.reader)
      table.insert(by_number[number].who, verdict.who)
    end
  end
  local by_readers = {}
  for number, object in ipairs(given.held) do
    local lost = by_number[number]
    if lost then
      local key = table.concat(lost.readers, " ")
      local loss = by_readers[key]
      if not loss then
        loss = { numbers = {}, readers = lost.readers, who = table.concat(lost.who, "; "), line = object.line }
        by_readers[key] = loss
        list[#list + 1] = loss
      end
      table.insert(loss.numbers, number)
    end
  end
  for _, loss in ipairs(list) do
    loss.message = message_of(loss)
  end
  return list
end

--- The certificates that are lost in silence, those together that the same readers lose.
-- @tparam string text
-- @tparam string role "chain" or "roots"
-- @treturn[1] {table,...} `{ numbers =, readers =, who =, line = (of the first), message = }`
-- @treturn[2] nil
-- @treturn[2] fault `out_of_memory`, `too_large` (more than 100 000 blocks)
function losses.silent(text, role)
  return content.guarded(silent, text, role)
end

-- No client of a Temporal service reads PEM with these; they mind comments that the others pass over.
local strangers = { jdk = true, python_cadata = true }

-- The blocks in the form that every reader takes; headers belong to what they stand before.
local function canonical(text, parts)
  local blocks = {}
  for _, part in ipairs(parts) do
    if part.headers then
      blocks[#blocks + 1] = text:sub(part.first, part.last)
    elseif part.der and #part.der > 0 then
      blocks[#blocks + 1] = core.pem.encode(part.label, part.der)
    end
  end
  return table.concat(blocks)
end

local function regained(text, parts)
  if content.describe(text):is_plain() then
    return false
  end
  local better
  for _, role in ipairs { "chain", "roots", "key" } do
    local before = assert(verdicts(text, { role = role }))
    if #before.held > 0 and not before.ok then
      better = better or canonical(text, parts)
      local after = assert(verdicts(better, { role = role }))
      for i, verdict in ipairs(before) do
        local gains = #after.held == #before.held and #after[i].lost < #verdict.lost
        if gains and not strangers[verdict.reader] then
          return { reader = verdict.reader, who = verdict.who, reason = verdict.reason,
            line = verdict.line or before.held[verdict.lost[1]].line }
        end
      end
    end
  end
  return false
end

--- What a client of a Temporal service does not read in a text and would in its canonical form.
-- @tparam string text
-- @tparam table parts of the scanner
-- @treturn[1] table|boolean false where nothing would be gained; `{ reader =, who =, reason =, line = }` of the first
-- that gains
-- @treturn[2] nil
-- @treturn[2] fault `out_of_memory`, `too_large` (more than 100 000 blocks)
function losses.regained(text, parts)
  return content.guarded(regained, text, parts)
end

--- Says it.
-- @tparam table gain of `regained`
-- @treturn string
function losses.sentence(gain)
  return ("%s would not read it%s"):format(gain.reader, gain.reason and ": " .. gain.reason or "")
end

return losses

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

--- The certificates that are lost in silence, those together that the same readers lose.
-- @tparam string text
-- @tparam string role "chain" or "roots"
-- @treturn {table,...} `{ numbers =, readers =, who =, line = (of the first), message = }`
function losses.silent(text, role)
  local list = {}
  if content.describe(text):is_plain() then
    return list
  end
  local given = verdicts(text, { role = role })
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

-- No client of a Temporal service reads PEM with these; they mind comments that the others pass over.
local strangers = { jdk = true, python_cadata = true }

-- The blocks in the form that every reader takes.
local function canonical(parts)
  local blocks = {}
  for _, part in ipairs(parts) do
    if part.der and #part.der > 0 and not part.headers then
      blocks[#blocks + 1] = core.pem.encode(part.label, part.der)
    end
  end
  return table.concat(blocks)
end

--- What a client of a Temporal service does not read in a text and would in its canonical form.
-- @tparam string text
-- @tparam table parts of the scanner
-- @treturn ?table nil where nothing would be gained; `{ reader =, who =, reason =, line = }` of the first that gains
function losses.regained(text, parts)
  if content.describe(text):is_plain() then
    return nil
  end
  local better
  for _, role in ipairs { "chain", "roots", "key" } do
    local before = verdicts(text, { role = role })
    if #before.held > 0 and not before.ok then
      better = better or canonical(parts)
      local after = verdicts(better, { role = role })
      for i, verdict in ipairs(before) do
        local gains = #after.held == #before.held and #after[i].lost < #verdict.lost
        if gains and not strangers[verdict.reader] then
          return { reader = verdict.reader, who = verdict.who, reason = verdict.reason,
            line = verdict.line or before.held[verdict.lost[1]].line }
        end
      end
    end
  end
end

--- Says it.
-- @tparam table regained of `regained`
-- @treturn string
function losses.sentence(regained)
  return ("%s would not read it%s"):format(regained.reader, regained.reason and ": " .. regained.reason or "")
end

return losses

--- What one reader takes from a text: the rows of tcpki.pem.readers, applied.
-- @module tcpki.pem.reading

local base64 = require "tcpki.pem.base64"
local framing = require "tcpki.pem.framing"

local reading = {}

-- By the words of `takes`: the bytes that are taken, or nil.
local extents = {
  whole = function(content, der) return content:certificate(der) == #der and der or nil end,
  prefix = function(content, der)
    local length = content:certificate(der)
    return length and der:sub(1, length) or nil
  end,
  auxiliary = function(content, der)
    local length = content:certificate(der)
    return length and (length == #der or content.is_auxiliary(der:sub(length + 1))) and der:sub(1, length) or nil
  end,
  unparsed = function(_, der) return der end,
}

local function fit(content, der, wanted, role)
  if extents[wanted] then
    return extents[wanted](content, der)
  end
  local key = content:key(der)
  local fits = key and (wanted == "any key" or wanted == key.form or wanted == key.type)
    and (not role.types or role.types[key.type])
    and (key.length == #der or not (role.trailing and role.trailing[key.form]))
    and (key.right_version or not (role.versions and role.versions[key.form]))
    and (key.whole or role.public_half == "ignored")
  return fits and der:sub(1, key.length) or nil
end

-- Whether a block that is not wanted is as the reader insists; else a code.
local function checked(content, block, rows)
  for _, row in ipairs(rows or {}) do
    if row.label == block.label or row.word and block.label:find(row.word, 1, true) then
      if #block.headers > (row.header_room or 0) or row.must_be == "key" and block.label == "ENCRYPTED PRIVATE KEY" then
        return block.headers == "" or block.headers:find "^Proc%-Type: 4,ENCRYPTED", "headers"
      elseif block.headers ~= "" then
        return false, "headers"
      elseif row.must_be == "crl" then
        return content.is_crl(block.der), "der"
      end
      local key = content:key(block.der)
      return key and key.whole and (row.types[block.label] or key.type) == key.type, "der"
    end
  end
  return true
end

local function is_wanted(takes, label)
  return takes[label] or takes["*"] or (" " .. label):sub(-12) == " PRIVATE KEY" and takes["* PRIVATE KEY"] or nil
end

-- What a block is for a role: the object; nil where it is passed over; nil, a code and what is done about it.
local function judged(content, block, role, count)
  local wanted = is_wanted(role.takes[math.min(count + 1, #role.takes)], block.label)
  if not wanted then
    local fine, code = checked(content, block, role.checks)
    return nil, not fine and code or nil, role.fault
  end
  if #block.headers > (role.header_room or 0) and role.headers then
    return nil, "headers", role.headers == "skipped" and "skips" or role.fault
  elseif role.encrypted == "refused" and ("\n" .. block.headers):find "\n%s*Proc%-Type%s*:" then
    return nil, "headers", role.fault
  end
  local der = fit(content, block.der, wanted, role)
  if not der then
    return nil, "der", role.fault
  end
  return { der = der, at = block.at }
end

-- ---- a role ----------------------------------------------------------------------------------

-- One way in which a reader tries: what it got, the fault that it met, and what that did ("refuses" or "ends").
local function try(content, next_block, role)
  local objects = {}
  while true do
    local block, fault = next_block()
    local object, code, does
    if block then
      -- Behind the one that was wanted only what cannot be read matters.
      if not (role.first_only and #objects == 1) then
        object, code, does = judged(content, block, role, #objects)
        fault = code and { code = code, at = block.at }
      end
    elseif not fault then
      return objects
    else
      -- a NUL at the start of a line is the end of a file, but not for what looks on behind every fault
      does = role.quietly and role.quietly[fault.code] and "ends"
        or fault.code == "nul" and role.fault ~= "skips" and "ends" or role.fault
    end
    if fault and does == "refuses" then
      return {}, fault, does
    elseif fault and does == "ends" then
      return objects, fault, does
    elseif object then
      objects[#objects + 1] = object
    end
    if role.first_only and #objects == 1 and not role.whole_text then
      return objects
    end
  end
end

--- What a reader takes from a text.
-- @tparam table content of tcpki.pem.content
-- @tparam table reader a row of tcpki.pem.readers
-- @tparam string role "chain", "roots" or "key"
-- @treturn table objects in order, `{ der =, at = (where its block begins) }`; none where the reader refuses
-- @treturn ?table the fault that it met: `{ code =, at = }`
-- @treturn boolean whether it refuses the text
function reading.read(content, reader, role)
  local text, plain = content.text, content.plain
  if reader.text == "ASCII" and not content.ascii then
    return {}, { code = "not_ascii", at = text:find "[\x80-\xff]" }, true
  elseif reader.text == "C string" and content.nul then
    text = text:sub(1, content.nul - 1)
  end
  local rules = role == "key" and reader.key_framing or reader.framing
  local input = {
    text = text, plain = plain, decode = function(body) return base64.decode(reader.base64, body) end,
  }
  local objects, fault, does, way
  for _, tried in ipairs(reader[role]) do
    way = tried
    objects, fault, does = try(content, framing[rules.way](input, rules), tried)
    if #objects > 0 then
      break
    end
  end
  if #objects == 0 and does ~= "refuses" and way.nothing ~= "accepted" then
    return objects, fault or { code = "nothing" }, true
  end
  return objects, fault, does == "refuses"
end

return reading

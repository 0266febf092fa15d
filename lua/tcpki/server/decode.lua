--- A tree of YAML as the server's types, with the rules and words of gopkg.in/yaml.v3: what is no bool there, that a
-- duration is never a number, that an empty item of a list is dropped.
-- @module tcpki.server.decode
-- @local

local base64 = require "tcpki.pem.base64"
local duration = require "tcpki.server.duration"
local fields = require "tcpki.server.fields"

-- How many maps may be merged into others: a few, unless somebody builds a bomb.
local MERGES = 1000

local PREFIX = "tag:yaml.org,2002:"
-- What !!binary holds.
local BINARY = { blanks = "[\r\n]", padding = "required" }

local nulls = { [""] = true, ["~"] = true, null = true, Null = true, NULL = true }
local bools = {
  ["true"] = true, True = true, TRUE = true, ["false"] = false, False = false, FALSE = false,
}
-- Only where a bool is wanted, and only without quotes or with them alike: they are texts.
local old_bools = {}
for word in ("y Y yes Yes YES on On ON"):gmatch "%a+" do
  old_bools[word] = true
end
for word in ("n N no No NO off Off OFF"):gmatch "%a+" do
  old_bools[word] = false
end

local infinities = {}
for word in (".inf .Inf .INF"):gmatch "%S+" do
  infinities[word], infinities["+" .. word], infinities["-" .. word] = true, true, true
end
for word in (".nan .NaN .NAN"):gmatch "%S+" do
  infinities[word] = true
end

local LARGEST = "18446744073709551615"

-- What strconv.ParseInt or ParseUint takes, whose base is that of the prefix; octal with a mere 0, too.
local function is_integer(text)
  local digits = text:match "^[-+]?([1-9]%d*)$"
  if digits then
    return #digits < #LARGEST or #digits == #LARGEST and digits <= LARGEST
  end
  digits = text:match "^[-+]?0[xX](%x+)$"
  return digits and #digits <= 16 or text:find "^[-+]?0[0-7]*$" or text:find "^[-+]?0[oO][0-7]+$"
    or text:find "^[-+]?0[bB][01]+$"
end

local function is_float(text)
  local number = text:gsub("^[-+]", "")
  local mantissa = number:match "^([%d.]+)[eE][-+]?%d+$" or number
  if not (mantissa:find "^%.%d+$" or mantissa:find "^%d+%.?%d*$") then
    return false
  end
  -- Out of range is no number.
  local value = tonumber(number)
  return value ~= nil and value ~= math.huge
end

-- What a scalar is, by its text.
local function natural(text)
  if nulls[text] then
    return "!!null"
  elseif bools[text] ~= nil then
    return "!!bool"
  elseif infinities[text] then
    return "!!float"
  elseif text == "<<" then
    return "!!merge"
  elseif text:find "^%." then
    return is_float(text) and "!!float" or "!!str"
  elseif not text:find "^[-+%d]" then
    return "!!str"
  elseif text:find "^%d%d%d%d%-%d%d?%-%d%d?$" or text:find "^%d%d%d%d%-%d%d?%-%d%d?[Tt ]%d" then
    return "!!timestamp"
  end
  local plain = text:gsub("_", "")
  return is_integer(plain) and "!!int" or is_float(plain) and "!!float" or "!!str"
end

local resolvable = { ["!!bool"] = true, ["!!int"] = true, ["!!float"] = true, ["!!null"] = true,
  ["!!timestamp"] = true }

local function stop(message, line)
  error({ message = message, line = line }, 0)
end

-- What a scalar is: what it says of itself, if it can be that, or what it looks like.
local function resolved(node)
  local tag = node.tag ~= "!" and node.tag or nil
  if tag and tag:sub(1, #PREFIX) == PREFIX then
    tag = "!!" .. tag:sub(#PREFIX + 1)
    if not resolvable[tag] then
      return tag
    end
    local found = natural(node.value)
    if found ~= tag and not (tag == "!!float" and found == "!!int") then
      stop(("cannot decode %s `%s` as a %s"):format(found, node.value, tag), node.line)
    end
    return tag
  elseif tag then
    return tag
  elseif not node.plain then
    return "!!str"
  end
  return natural(node.value)
end

local decoders

local function complain(state, node, tag, kind)
  local value = ""
  if node.kind == "scalar" then
    value = node.value
    value = #value > 10 and (" `%s...`"):format(value:sub(1, 7)) or (" `%s`"):format(value)
  end
  state.problems[#state.problems + 1] = { code = "wrong_type", line = node.line, place = state.place,
    wanted = fields.word(kind), says = ("cannot unmarshal %s%s into %s"):format(tag, value, fields.word(kind)) }
end

local function tag_of(node)
  return node.kind == "map" and "!!map" or node.kind == "list" and "!!seq" or resolved(node)
end

-- A scalar's value for a kind; nil where it is null or does not fit.
local function scalar(state, node, kind)
  local tag = tag_of(node)
  if tag == "!!null" then
    return nil
  elseif node.kind == "scalar" then
    local text = node.value
    if kind == "string" then
      return tag == "!!binary" and base64.decode(BINARY, text) or text
    elseif kind == "bool" then
      if tag == "!!bool" then
        return bools[text]
      elseif tag == "!!str" and old_bools[text] ~= nil then
        return old_bools[text]
      end
    elseif kind == "duration" and tag == "!!str" then
      local nanoseconds = duration.parse(text)
      if nanoseconds then
        return nanoseconds
      end
    end
  end
  complain(state, node, tag, kind)
end

-- Keys that stand in a map twice; each list or map counts as the same key.
local function has_duplicates(state, node)
  local seen, found = {}, false
  for _, entry in ipairs(node.entries) do
    local key = entry.key
    local name = key.kind == "scalar" and key.value or ""
    local former = seen[key.kind .. name]
    if former then
      found = true
      state.problems[#state.problems + 1] = { code = "duplicate_key", line = key.line, place = state.place,
        name = name, other = former.line,
        says = ('mapping key "%s" already defined at line %d'):format(name, former.line) }
    end
    seen[key.kind .. name] = former or key
  end
  return found
end

-- The entries of a map by their keys, those that are merged into it included; nil where a key stands there twice.
local function entries_of(state, node)
  local seen, list, merged = {}, {}, nil
  if has_duplicates(state, node) then
    return nil
  end
  for _, entry in ipairs(node.entries) do
    local key = entry.key
    if key.kind ~= "scalar" then
      complain(state, key, tag_of(key), "string")
    elseif key.value == "<<" and (not key.tag or key.tag == "!") then
      merged = entry.value
    elseif tag_of(key) ~= "!!null" then
      list[#list + 1] = { name = key.value, line = key.line, value = entry.value }
      seen[key.value] = key
    end
  end
  for _, other in ipairs(merged and (merged.kind == "list" and merged.items or { merged }) or {}) do
    if other.kind ~= "map" then
      stop("map merge requires map or sequence of maps as the value", other.line)
    end
    state.merges = state.merges + 1
    if state.merges > MERGES then
      stop("document contains excessive aliasing", other.line)
    end
    for _, entry in ipairs(entries_of(state, other) or {}) do
      if not seen[entry.name] then
        seen[entry.name] = entry
        list[#list + 1] = entry
      end
    end
  end
  return list
end

local function decode(state, node, kind)
  local decoder = type(kind) == "table" and decoders.map or decoders[kind] or decoders.type
  return decoder(state, node, kind)
end

-- Decodes what stands under a name.
local function under(state, name, entry, kind)
  local place = state.place
  state.place = place == "" and name or place .. "." .. name
  state.lines[state.place] = entry.line
  local value = decode(state, entry.value, kind)
  state.place = place
  return value
end

decoders = { string = scalar, bool = scalar, duration = scalar }

function decoders.strings(state, node)
  if node.kind ~= "list" then
    return scalar(state, node, "strings")
  end
  local values = {}
  for _, item in ipairs(node.items) do
    local value = scalar(state, item, "string")
    values[#values + 1] = value
    if value then
      state.lines[("%s[%d]"):format(state.place, #values)] = item.line
    elseif tag_of(item) == "!!null" then
      state.notes[#state.notes + 1] = { code = "item_dropped", line = item.line, place = state.place }
    end
  end
  return values
end

function decoders.map(state, node, kind)
  local values = {}
  if node.kind ~= "map" then
    scalar(state, node, kind)
    return values
  end
  for _, entry in ipairs(entries_of(state, node) or {}) do
    local value = under(state, entry.name, entry, kind.map)
    values[entry.name] = value
  end
  return values
end

function decoders.type(state, node, kind)
  local value = fields.zero(kind)
  if node.kind ~= "map" then
    scalar(state, node, kind)
    return value
  end
  local known = {}
  for _, row in ipairs(fields.types[kind]) do
    known[row.name] = row
  end
  for _, entry in ipairs(entries_of(state, node) or {}) do
    local row = known[entry.name]
    if row then
      local given = under(state, row.name, entry, row.kind)
      if given ~= nil then
        value[row.name] = given
      end
    elseif fields.types[kind].strays and fields.types[kind].strays[entry.name] then
      state.notes[#state.notes + 1] = { code = fields.types[kind].strays[entry.name], line = entry.line,
        name = entry.name, place = state.place }
    elseif not fields.types[kind].open then
      state.notes[#state.notes + 1] = { code = "unknown_field", line = entry.line, name = entry.name, kind = kind,
        place = state.place }
    end
  end
  return value
end

--- Decodes a tree.
-- @tparam ?table node as of `tcpki.server.yaml`
-- @tparam[opt="Config"] string kind one of `tcpki.server.fields`
-- @treturn table `config` (every field, with Go's zero values), `lines` (by the path of a field),
-- `problems` (what the server refuses: `code`, `line`, `place`, `says`), `notes` (what it does not say), `stopped`
-- (`message` and `line`, where it gives up in the middle)
return function(node, kind)
  local state = { place = "", lines = {}, problems = {}, notes = {}, merges = 0 }
  local ok, value = pcall(decode, state, node or { kind = "scalar", value = "", plain = true, line = 1 },
    kind or "Config")
  if ok then
    state.config = value
  elseif type(value) == "table" and value.message then
    state.config, state.stopped = fields.zero(kind or "Config"), value
  else
    error(value, 0)
  end
  return state
end

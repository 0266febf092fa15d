--- JSON: objects are written in a known order, so that two runs give the same bytes. It takes lua-cjson.
-- @module tcpki.json
-- @local

local fault = require "tcpki.fault"

local found, cjson = pcall(require, "cjson")
if not found then
  error(tostring(cjson):find "module 'cjson' not found" and "tcpki reads and writes JSON with lua-cjson, which is not "
    .. "installed: apt install lua-cjson, or luarocks install lua-cjson" or cjson, 0)
end
-- Of our own: what the program sets for itself must not change what is written here.
cjson = cjson.new()

local json = {}

--- The null of JSON.
json.null = cjson.null

-- cjson writes `\/` for a slash. Whatever else it writes with a backslash never ends before a slash: a backslash of
-- the text is two of them, and each slash has one of its own.
local function quote(text)
  return (cjson.encode(text):gsub("\\/", "/"))
end

local function keys_of(object, places)
  local keys = {}
  for key in pairs(object) do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b)
    local place_a, place_b = places[a] or math.huge, places[b] or math.huge
    if place_a ~= place_b then
      return place_a < place_b
    end
    return a < b
  end)
  return keys
end

local function append(out, value, places, indent, margin)
  if type(value) ~= "table" then
    out[#out + 1] = type(value) == "string" and quote(value) or cjson.encode(value)
    return
  end
  local list = value[1] ~= nil or next(value) == nil
  local keys = list and value or keys_of(value, places)
  if #keys == 0 then
    out[#out + 1] = "[]"
    return
  end
  local inner = margin .. indent
  out[#out + 1] = list and "[" or "{"
  for i, key in ipairs(keys) do
    out[#out + 1] = (i > 1 and "," or "") .. "\n" .. inner
    if list then
      append(out, key, places, indent, inner)
    else
      out[#out + 1] = quote(key) .. ": "
      append(out, value[key], places, indent, inner)
    end
  end
  out[#out + 1] = "\n" .. margin .. (list and "]" or "}")
end

--- Writes a value. An empty table is an empty array.
-- @param value of strings, numbers, booleans, arrays, and tables with names
-- @tparam {string,…} order of the names; others come after them, by the alphabet
-- @tparam[opt="    "] string indent
-- @treturn string without a line end
function json.write(value, order, indent)
  local places = {}
  for i, name in ipairs(order) do
    places[name] = i
  end
  local out = {}
  append(out, value, places, indent or "    ", "")
  return table.concat(out)
end

-- lua-cjson's names of what stands in a text.
local tokens = { T_OBJ_BEGIN = "{", T_OBJ_END = "}", T_ARR_BEGIN = "[", T_ARR_END = "]", T_STRING = "a string",
  T_NUMBER = "a number", T_BOOLEAN = "a boolean", T_NULL = "null", T_COLON = ":", T_COMMA = "a comma",
  T_END = "the end" }

--- Reads a text.
-- @tparam string text
-- @tparam string code of the fault
-- @tparam string what it should be, for the message: "certificate filters"
-- @tparam string hint
-- @treturn[1] value with `json.null` for null
-- @treturn[2] nil
-- @treturn[2] fault
function json.read(text, code, what, hint)
  if not utf8.len(text) then
    return fault.fail { code = code, message = ("not %s: the text is not UTF-8"):format(what), hint = hint }
  end
  local ok, value = pcall(cjson.decode, text)
  if ok then
    return value
  end
  local reason = tostring(value):gsub("^.-:%d+: ", ""):gsub("^%u", string.lower):gsub("T_[A-Z_]+", tokens)
  return fault.fail { code = code, message = ("not %s: %s"):format(what, reason), hint = hint }
end

--- What a value read from JSON is called there.
-- @param value
-- @treturn string
function json.kind(value)
  if value == cjson.null then
    return "null"
  elseif type(value) ~= "table" then
    return "a " .. type(value)
  end
  return (value[1] ~= nil or next(value) == nil) and "an array" or "an object"
end

return json

-- As much of JSON Schema as docs/*.schema.json use; a word that it does not know is an error.
--
--   local problems = schema.check(value, description)      -- an array of sentences

local cjson = require "cjson"

local schema = {}

local annotations = { ["$schema"] = true, ["$id"] = true, ["$defs"] = true, title = true, description = true }

local function is_array(value)
  return type(value) == "table" and (value[1] ~= nil or next(value) == nil)
end

local types = {
  object = function(value) return type(value) == "table" and (not is_array(value) or next(value) == nil) end,
  array = is_array,
  string = function(value) return type(value) == "string" end,
  boolean = function(value) return type(value) == "boolean" end,
  integer = function(value) return type(value) == "number" and math.tointeger(value) ~= nil end,
}

-- The few constructs of ECMAScript's patterns that occur, as Lua's.
local function matches(text, pattern)
  local lua = pattern:gsub("%[0%-9a%-f%]{64}", ("[0-9a-f]"):rep(64)):gsub("^%^%-%?", "^%%-?")
  assert(not lua:find "[{|\\]", "a pattern that is not understood: " .. pattern)
  return text:find(lua) ~= nil
end

local words = {}

function words.type(value, wanted) return types[wanted](value), "is not of type " .. wanted end

function words.const(value, wanted) return value == wanted, "is not " .. tostring(wanted) end

function words.enum(value, wanted)
  for _, one in ipairs(wanted) do
    if value == one then return true end
  end
  return false, ("is '%s', which is not listed"):format(tostring(value))
end

function words.minimum(value, wanted) return value >= wanted, "is too small" end

function words.minLength(value, wanted) return utf8.len(value) and utf8.len(value) >= wanted, "is too short" end

function words.pattern(value, wanted) return matches(value, wanted), ("'%s' is not like %s"):format(value, wanted) end

function words.required(value, wanted)
  for _, name in ipairs(wanted) do
    if value[name] == nil then return false, "has no " .. name end
  end
  return true
end

local function check(value, description, root, where, problems)
  if description["$ref"] then
    local name = description["$ref"]:match "^#/%$defs/(%w+)$"
    return check(value, root["$defs"][name], root, where, problems)
  end
  for word, wanted in pairs(description) do
    if words[word] then
      local ok, problem = words[word](value, wanted)
      if not ok then table.insert(problems, where .. " " .. problem) end
    elseif word == "properties" then
      for name, each in pairs(value) do
        if wanted[name] then
          check(each, wanted[name], root, where .. "." .. name, problems)
        elseif description.additionalProperties == false then
          table.insert(problems, ("%s has %s, which is not described"):format(where, name))
        end
      end
    elseif word == "items" then
      for i, each in ipairs(value) do
        check(each, wanted, root, ("%s[%d]"):format(where, i), problems)
      end
    elseif word ~= "additionalProperties" and not annotations[word] then
      error("a word that is not understood: " .. word)
    end
  end
  return problems
end

function schema.check(value, description)
  return check(value, description, description, "it", {})
end

function schema.read(path)
  local file = assert(io.open(path))
  local text = file:read "a"
  file:close()
  return cjson.decode(text)
end

return schema

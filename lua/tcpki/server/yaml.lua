--- YAML as the server reads it (gopkg.in/yaml.v3): a tree of nodes that know their lines. What is in it is read by
-- libyaml, through the events of lyaml; nothing is expanded, so that a small text cannot become a large tree.
-- @module tcpki.server.yaml
-- @local

local fault = require "tcpki.fault"

local yaml = {}

-- A configuration has a few kilobytes and hardly ten levels.
local TEXT_LIMIT, NODE_LIMIT, DEPTH_LIMIT = 1024 * 1024, 10000, 100

local function stop(message, line, column)
  error({ message = message, line = line, column = column }, 0)
end

local function next_of(state)
  local ok, event = pcall(state.next)
  if not ok then
    local message = tostring(event):gsub("%s+$", "")
    local words = message:match "^(.-) at document: %d+" or message
    local line, column = message:match "at document: %d+, line: (%d+), column: (%d+)"
    -- lyaml leaves the first line out.
    local in_document = message:find "at document: [1-9]"
    stop(words, math.tointeger(tonumber(line)) or in_document and 1 or nil, math.tointeger(tonumber(column)))
  end
  return event
end

local read

local function new_node(state, event, kind)
  state.count = state.count + 1
  local line = event.start_mark.line + 1
  if state.count > NODE_LIMIT then
    stop(("there are more than %d values in it"):format(NODE_LIMIT), line)
  elseif state.depth > DEPTH_LIMIT then
    stop(("it is nested deeper than %d levels"):format(DEPTH_LIMIT), line)
  end
  local node = { kind = kind, line = line, column = event.start_mark.column + 1, tag = event.tag }
  if event.anchor then
    state.anchors[event.anchor] = node
  end
  return node
end

local readers = {}

function readers.SCALAR(state, event)
  local node = new_node(state, event, "scalar")
  node.value, node.plain = event.value, event.style == "PLAIN"
  return node
end

function readers.ALIAS(state, event)
  local node = state.anchors[event.anchor]
  local line = event.start_mark.line + 1
  if not node then
    stop(("unknown anchor '%s' referenced"):format(event.anchor), line)
  elseif node.open then
    stop(("anchor '%s' value contains itself"):format(event.anchor), line)
  end
  return node
end

function readers.SEQUENCE_START(state, event)
  local node = new_node(state, event, "list")
  node.items, node.open = {}, true
  local item = read(state)
  while item do
    node.items[#node.items + 1] = item
    item = read(state)
  end
  node.open = nil
  return node
end

function readers.MAPPING_START(state, event)
  local node = new_node(state, event, "map")
  node.entries, node.open = {}, true
  local key = read(state)
  while key do
    node.entries[#node.entries + 1] = { key = key, value = read(state) }
    key = read(state)
  end
  node.open = nil
  return node
end

-- A node; nil at the end of a list or map.
function read(state)
  local event = next_of(state)
  local reader = readers[event.type]
  if not reader then
    return nil
  end
  state.depth = state.depth + 1
  local node = reader(state, event)
  state.depth = state.depth - 1
  return node
end

--- Reads the first document of a text, as the server does.
-- @tparam string text
-- @treturn[1] ?table the node, nil where there is no document: `kind` ("map", "list", "scalar"), `line`, `column`,
-- `tag`, and `entries` (of `key` and `value`), `items`, or `value` and `plain`; an alias is the very node that it names
-- @treturn[1] ?nil
-- @treturn[1] boolean whether more documents follow, which the server does not read
-- @treturn[2] nil
-- @treturn[2] fault `bad_yaml` with `line` and `column` where they are known, `too_large`
function yaml.parse(text)
  if #text > TEXT_LIMIT then
    return fault.fail { code = "too_large", message = ("the text has %d bytes; the limit is %d"):format(#text,
      TEXT_LIMIT) }
  end
  local state = { count = 0, depth = 0, anchors = {} }
  local ok, node, more = pcall(function()
    state.next = require "yaml".parser(text)
    local event = next_of(state)
    while event.type ~= "DOCUMENT_START" do
      if event.type == "STREAM_END" then
        return nil, false
      end
      event = next_of(state)
    end
    local root = read(state)
    next_of(state)
    -- What follows is not read: damage there does not count.
    local rest, behind = pcall(state.next)
    return root, not rest or behind.type ~= "STREAM_END"
  end)
  if ok then
    return node, nil, more
  elseif type(node) ~= "table" then
    error(node, 0)
  end
  return fault.fail { code = "bad_yaml", message = node.message, line = node.line, column = node.column,
    hint = "correct the text there; an editor that knows YAML shows more" }
end

-- ---- writing ----

--- A table whose names come in an order of their own, whoever walks over it with `pairs`: lyaml writes in that order,
-- which otherwise differs from run to run.
-- @tparam {string,…} names those without a value are passed over
-- @tparam table values by name
-- @treturn table
function yaml.ordered(names, values)
  local present = {}
  for _, name in ipairs(names) do
    if values[name] ~= nil then
      present[#present + 1] = name
    end
  end
  return setmetatable(values, {
    __pairs = function(self)
      local i = 0
      return function()
        i = i + 1
        return present[i], self[present[i]]
      end
    end,
  })
end

-- Words that a reader of YAML 1.1 or 1.2 takes for something else than a text.
local reserved = {}
for word in ("true false yes no on off y n null"):gmatch "%a+" do
  reserved[word] = true
end

-- Whether a text can stand without quotes for every reader: words, paths, base64, durations. lyaml quotes what this
-- gives back changed.
local function plain(text)
  if text:find "^%.?%.?[%a/][%w_./+=-]*$" and not reserved[text:lower()] and not text:find "^%.%a+$"
    or text:find "^%d[%dhms]*[hms]$" then
    return text
  end
end

--- Writes a table as YAML.
-- @tparam table value of tables, lists, strings, numbers and booleans
-- @treturn string
function yaml.dump(value)
  -- Without the marks of a document, which a configuration has no need of.
  local text = require "lyaml".dump({ value }, { implicit_scalar = plain })
  return (text:gsub("^%-%-%-\n", ""):gsub("\n%.%.%.\n$", "\n"))
end

return yaml

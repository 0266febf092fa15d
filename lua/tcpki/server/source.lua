--- The text of a configuration: what the server says of it, what it passes over in silence, and what is no YAML yet.
-- @module tcpki.server.source
-- @local

local fault = require "tcpki.fault"
local fields = require "tcpki.server.fields"

local source = {}

-- Names that differ in capitals or in the letters that people put between words.
local function bare(name)
  return (name:lower():gsub("[_%-]", ""))
end

local function likely(name, kind)
  for _, row in ipairs(fields.types[kind]) do
    if bare(row.name) == bare(name) or row.option and bare(row.option) == bare(name) then
      return ("write %s"):format(row.name)
    end
  end
  local known = {}
  for i, row in ipairs(fields.types[kind]) do
    known[i] = row.name
  end
  return "it knows " .. table.concat(known, ", ")
end

local cures = {
  ["time.Duration"] = "write a duration of Go: 30s, 10m, 720h; it knows no days, and takes no bare numbers, not even 0",
  bool = "write true or false, without quotes",
  ["[]string"] = "write a list: [a.pem, b.pem]",
}

local function short(place)
  return (place:gsub("^global%.tls%.", ""))
end

--- Adds what is wrong with the text, in the server's words, and what it passes over in silence.
-- @tparam table state of the check
-- @tparam table decoded
function source.add(state, decoded)
  for _, problem in ipairs(decoded.problems) do
    state.add(problem.code, { place = short(problem.place), line = problem.line, wanted = problem.wanted,
      name = problem.name, other = problem.other, cure = cures[problem.wanted] or "correct it",
      says = state.is_text and ("line %d: %s"):format(problem.line, problem.says) or problem.says })
  end
  if decoded.stopped then
    state.add("bad_yaml", { line = decoded.stopped.line, reason = decoded.stopped.message,
      says = "yaml: " .. decoded.stopped.message })
  end
  for _, note in ipairs(decoded.notes) do
    state.add(note.code, { place = short(note.place), line = note.line, name = note.name,
      cure = note.kind and likely(note.name, note.kind) })
  end
end

-- common/config/loader.go: only with such a comment the server fills in templates, and reads the rest as it is.
local function fills_in(text)
  for line in text:sub(1, 1024):gmatch "[^\n]+" do
    if line:find "^%s*#" and line:find("enable-template", 1, true) then
      return true
    end
  end
  return false
end

-- A template of Go, as in the server's own images: it is no YAML before it is rendered.
local function template_line(text)
  local number = 0
  for line in (text .. "\n"):gmatch "(.-)\r?\n" do
    number = number + 1
    if line:find "{{" and not line:find "^%s*#" then
      return number
    end
  end
end

--- The line of what is no UTF-8, which the parser does not say.
-- @tparam string text
-- @treturn ?integer
function source.unreadable_line(text)
  local _, place = utf8.len(text)
  return place and select(2, text:sub(1, place):gsub("\n", "")) + 1 or nil
end

-- What a template says of a variable, as sprig has it: `env "NAME"` and `env "NAME" | quote`. More is for the server.
local function variable_of(expression)
  local name, rest = expression:match '^%s*env%s+"([%w_]+)"%s*(.-)%s*$'
  if name and (rest == "" or rest:find "^|%s*quote$") then
    return name, rest ~= ""
  end
end

-- Puts in the variables of this process, where the server would put in its own.
local function with_variables(text)
  local missing, seen = {}, {}
  local filled = text:gsub("{{(.-)}}", function(expression)
    local name, quoted = variable_of(expression)
    if not name then
      return nil
    end
    local value = os.getenv(name)
    if not value and not seen[name] then
      seen[name] = true
      missing[#missing + 1] = name
    end
    value = value or ""
    return quoted and ('"%s"'):format(value:gsub('[\\"]', "\\%0"):gsub("\n", "\\n")) or value
  end)
  return filled, missing
end

--- A text as the server reads it. Of templates those are filled in that ask for a variable, as in the configuration
-- that the Helm chart makes.
-- @tparam string text
-- @tparam ?string path
-- @treturn[1] string
-- @treturn[1] {string,…} variables that are asked for, and not set here
-- @treturn[2] nil
-- @treturn[2] fault `template`
function source.rendered(text, path)
  local missing = {}
  local server_fills = fills_in(text)
  if server_fills then
    text, missing = with_variables(text)
  end
  local number = template_line(text)
  if number then
    return fault.fail { code = "template", path = path, line = number,
      message = server_fills and "the configuration is a template of Go, which the server fills from its environment"
        or "there is a template of Go, which the server leaves as it is, for no comment above it says "
        .. "'# enable-template': dockerize or helm may fill it in",
      hint = "check what comes out of it: temporal-server --config DIRECTORY --env NAME render-config; "
        .. "for the template of the images, tcpki.server.check_environment" }
  end
  return text, missing
end

return source

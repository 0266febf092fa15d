--- Writes PEM in the forms in which other files carry it, so that their readers get every byte back.
-- @module tcpki.pem.quote

local fault = require "tcpki.fault"
local options = require "tcpki.options"

local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64(text)
  local out = {}
  for i = 1, #text, 3 do
    local a, b, c = text:byte(i, i + 2)
    local group = a << 16 | (b or 0) << 8 | (c or 0)
    local function digit(shift)
      local at = (group >> shift & 63) + 1
      return alphabet:sub(at, at)
    end
    out[#out + 1] = digit(18) .. digit(12) .. (b and digit(6) or "=") .. (c and digit(0) or "=")
  end
  return table.concat(out)
end

local json_escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function escape_control(c)
  return json_escapes[c] or ("\\u%04x"):format(c:byte())
end

local forms = {}

local function has_nul(message)
  return fault.fail { code = "wrong_kind", message = message, hint = "use base64" }
end

-- For a shell and for .env files that a shell reads: single quotes keep every byte but themselves.
function forms.env(text)
  if text:find("\0", 1, true) then
    return has_nul "a shell word cannot hold a NUL"
  end
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function must_be_utf8(what)
  return fault.fail { code = "wrong_kind", message = ("%s holds characters, and the text is not UTF-8"):format(what),
    hint = "use base64" }
end

function forms.json(text)
  if not utf8.len(text) then
    return must_be_utf8 "a JSON string"
  end
  return '"' .. text:gsub('[%c"\\\127]', escape_control) .. '"'
end

-- Beyond ASCII YAML has line ends and characters that it does not print (YAML 1.1, section 5): all are escaped.
local function yaml_string(text)
  if not utf8.len(text) then
    return must_be_utf8 "a YAML string"
  end
  return '"' .. text:gsub('[%c"\\\127]', escape_control):gsub(utf8.charpattern, function(character)
    if #character > 1 then
      local code = utf8.codepoint(character)
      return (code > 0xffff and "\\U%08x" or "\\u%04x"):format(code)
    end
  end) .. '"\n'
end

-- A literal block with an explicit indentation and end: |2 keeps the one final newline, |2- has none, |2+ keeps all.
-- What a literal block cannot hold (a CR, a tab where YAML has none, other control characters) goes into a string; but
-- not a NUL, though YAML has an escape for it: lyaml ends the value there, in silence.
function forms.yaml(text, given)
  if text:find("\0", 1, true) then
    return has_nul "some readers of YAML end a value at its NUL, in silence"
  end
  local last = #text -- of the body: "\n*$" would try again at each place of a run
  while text:byte(last) == 10 do
    last = last - 1
  end
  if last == 0 or text:find "[^\n\32-\126]" then
    return yaml_string(text)
  end
  local body, ending = text:sub(1, last), text:sub(last + 1)
  local chomping = ending == "" and "-" or ending == "\n" and "" or "+"
  local margin = (" "):rep((given.indent or 0) + 2)
  return "|2" .. chomping .. "\n" .. body:gsub("([^\n]+)", margin .. "%1") .. (ending == "" and "\n" or ending)
end

-- For Kubernetes Secrets (data:) and the certData of a Temporal server: one line, padded.
forms.base64 = base64

--- Quotes a text.
-- @function quote
-- @tparam string text
-- @tparam string form "env" (a shell word), "json" (a string), "yaml" (a block for a key, its last line end included:
-- it goes right behind `key: `), "base64" (one line, for `data:` of a Kubernetes Secret and for the `certData`,
-- `keyData` and `clientCaData` of a Temporal server)
-- @tparam[opt] table given `indent`, for "yaml": how many blanks stand before the key (0)
-- @treturn[1] string
-- @treturn[2] nil
-- @treturn[2] fault `wrong_kind` where the form cannot carry the text: a NUL in a shell word or YAML, what is not
-- UTF-8 in JSON or YAML
return function(text, form, given)
  options.expect("tcpki.pem.quote", "text", text, "string")
  local write = forms[form]
  if not write then
    error(("tcpki.pem.quote: form is '%s' (known: base64, env, json, yaml)"):format(tostring(form)), 2)
  end
  given = options.check("tcpki.pem.quote", given, form == "yaml" and { indent = "integer" } or {})
  if given.indent and given.indent < 0 then
    error("tcpki.pem.quote: option 'indent' must not be negative", 2)
  end
  return write(text, given)
end

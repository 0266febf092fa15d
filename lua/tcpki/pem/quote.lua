--- Writes PEM in the forms in which other files carry it, so that their readers get every byte back.
-- @module tcpki.pem.quote

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

local forms = {}

-- For a shell and for .env files that a shell reads: single quotes keep every byte but themselves.
function forms.env(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

function forms.json(text)
  return '"' .. text:gsub('[%c"\\\127]', function(c)
    return json_escapes[c] or ("\\u%04x"):format(c:byte())
  end) .. '"'
end

-- A literal block with an explicit indentation and end: |2 keeps the one final newline, |2- has none, |2+ keeps all.
-- What a literal block cannot hold (a CR, a tab where YAML has none, other control characters) goes into a string.
function forms.yaml(text)
  if text == "" or text:find "[^\n\32-\126]" then
    return forms.json(text) .. "\n"
  end
  local last = #text -- of the body: "\n*$" would try again at each place of a run
  while text:byte(last) == 10 do
    last = last - 1
  end
  local body, ending = text:sub(1, last), text:sub(last + 1)
  local chomping = ending == "" and "-" or ending == "\n" and "" or "+"
  if body == "" then
    return forms.json(text) .. "\n"
  end
  local block = body:gsub("([^\n]+)", "  %1")
  return "|2" .. chomping .. "\n" .. block .. (ending == "" and "\n" or ending)
end

-- For Kubernetes Secrets (data:) and the certData of a Temporal server: one line, padded.
forms.base64 = base64

--- Quotes a text.
-- @function quote
-- @tparam string text
-- @tparam string form "env" (a shell word), "json" (a string), "yaml" (a block for a key at the left margin, its last
-- line end included: it goes right behind `key: `), "base64"
-- @treturn[1] string
-- @treturn[2] nil
-- @treturn[2] fault `bad_name` where the form cannot carry the text (a NUL in a shell word)
return function(text, form)
  options.expect("tcpki.pem.quote", "text", text, "string")
  local write = forms[form]
  if not write then
    error(("tcpki.pem.quote: form is '%s' (known: base64, env, json, yaml)"):format(tostring(form)), 2)
  end
  if form == "env" and text:find "\0" then
    return require("tcpki.fault").fail { code = "bad_name", message = "a shell word cannot hold a NUL",
      hint = "use base64" }
  end
  return write(text)
end

--- Commands for a POSIX shell, as text. Nothing is run here.
-- @module tcpki.shell

local fault = require "tcpki.fault"
local options = require "tcpki.options"

local shell = {}

--- A word for a POSIX shell: as it is where nothing in it means anything to a shell, else in single quotes.
-- @tparam string text
-- @treturn[1] string
-- @treturn[2] nil
-- @treturn[2] fault `bad_word` where the text holds a NUL, which no argument of a program can
function shell.quote(text)
  options.expect("tcpki.shell.quote", "text", text, "string")
  if text:find "\0" then
    return fault.fail { code = "bad_word", message = "an argument of a command cannot hold a NUL", hint = "remove it" }
  elseif text:find "^[A-Za-z0-9_@%%+:,./-][A-Za-z0-9_@%%+:,./=-]*$" then
    return text
  end
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- A command out of its words.
-- @tparam {string,...} words
-- @treturn[1] string
-- @treturn[2] nil
-- @treturn[2] fault `bad_word`
function shell.command(words)
  local quoted = {}
  for i, word in ipairs(words) do
    local err
    quoted[i], err = shell.quote(word)
    if not quoted[i] then
      return nil, err
    end
  end
  return table.concat(quoted, " ")
end

return shell

--- The values of certificate filters as patterns: whole, or with one * at the beginning or the end.
-- @module tcpki.cloud.pattern
-- @local

local pattern = {}

-- A table, since a function would be called for each letter of a thousand certificates.
local small = {}
for letter in ("ABCDEFGHIJKLMNOPQRSTUVWXYZ"):gmatch "." do
  small[letter] = string.char(letter:byte() + 32)
end

--- A text with the letters A to Z small. Not string.lower: what that does hangs on the locale of the program.
-- @tparam string text
-- @treturn string
function pattern.fold(text)
  return (text:gsub("[A-Z]", small))
end

--- Compiles a value.
-- @tparam string value
-- @treturn table `kind` ("whole", "prefix", "suffix") and `text`, folded
function pattern.compile(value)
  local text = pattern.fold(value)
  if text:sub(1, 1) == "*" then
    return { kind = "suffix", text = text:sub(2) }
  elseif text:sub(-1) == "*" then
    return { kind = "prefix", text = text:sub(1, -2) }
  end
  return { kind = "whole", text = text }
end

--- What is wrong with the * of a value.
-- @tparam string value
-- @treturn ?string nil where nothing is
-- @treturn ?string what to do
function pattern.fault(value)
  local _, stars = value:gsub("%*", "")
  if stars == 0 then
    return nil
  elseif value:find "^%s*%*%s*$" then
    return "a * alone is not allowed", "name what all your certificates have in common, or leave the field out"
  elseif stars > 1 then
    return "more than one *", "keep one, at the beginning or at the end"
  elseif value:sub(1, 1) ~= "*" and value:sub(-1) ~= "*" then
    return "the * is in the middle", "put it at the beginning or at the end"
  end
end

--- Whether a value of a certificate fits.
-- @tparam table compiled
-- @tparam string text the value, folded
-- @treturn boolean
function pattern.fits(compiled, text)
  local wanted = compiled.text
  if compiled.kind == "whole" then
    return text == wanted
  elseif compiled.kind == "prefix" then
    return text:sub(1, #wanted) == wanted
  end
  return #text >= #wanted and text:sub(#text - #wanted + 1) == wanted
end

return pattern

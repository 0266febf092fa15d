--- What a text may have been written in, and what was written: each function gives nil where that is not certain.
-- @module tcpki.pem.encodings

local core = require "tcpki.core"

local encodings = {}

--- Decodes base64 without blanks.
-- @tparam string text
-- @treturn ?string nil where it is not whole
function encodings.base64(text)
  if text == "" or text:find "[^%w+/=]" then
    return nil
  end
  local parts = core.pem.scan("-----BEGIN X-----\n" .. text .. "\n-----END X-----\n")
  return parts and parts[1] and parts[1].der
end

local units = {
  ["utf-16le"] = { "<I2", 2 }, ["utf-16be"] = { ">I2", 2 }, ["utf-32le"] = { "<I4", 4 }, ["utf-32be"] = { ">I4", 4 },
}

--- Decodes UTF-16 and UTF-32, with a byte-order mark or without.
-- @tparam string text
-- @treturn ?string UTF-8; nil where a surrogate stands alone, a character is cut off or there is none of that number
-- @treturn ?string the encoding, as pem.scan names it; nil where it is none of these
function encodings.wide(text)
  local name, mark = core.pem.encoding(text)
  local unit = units[name]
  if not unit then
    return nil, nil
  end
  local format, width = table.unpack(unit)
  if (#text - mark) % width ~= 0 then
    return nil, name
  end
  local out, high = {}, nil
  for at = mark + 1, #text, width do
    local code = string.unpack(format, text, at)
    if high then
      if code < 0xdc00 or code > 0xdfff then
        return nil, name
      end
      code, high = 0x10000 + ((high - 0xd800) << 10) + (code - 0xdc00), nil
    elseif code > 0x10ffff or (code >= 0xd800 and (width == 4 or code >= 0xdc00) and code <= 0xdfff) then
      return nil, name
    elseif code >= 0xd800 and code <= 0xdbff then
      high = code
    end
    if not high then
      out[#out + 1] = utf8.char(code)
    end
  end
  return not high and table.concat(out) or nil, name
end

-- Made at the first use: every pair of digits in every case, so that a gsub needs no function.
local hex_bytes
local function bytes_of_hex()
  if not hex_bytes then
    hex_bytes = {}
    for byte = 0, 255 do
      local pair = ("%02x"):format(byte)
      local high, low = pair:sub(1, 1), pair:sub(2, 2)
      for _, a in ipairs { high, high:upper() } do
        for _, b in ipairs { low, low:upper() } do
          hex_bytes[a .. b] = string.char(byte)
        end
      end
    end
  end
  return hex_bytes
end

--- Decodes pairs of hexadecimal digits.
-- @tparam string text
-- @treturn ?string nil where anything else is in it
function encodings.hex(text)
  if #text % 2 ~= 0 or text:find "%X" then
    return nil
  end
  return (text:gsub("%x%x", bytes_of_hex()))
end

local simple = { n = "\n", r = "\r", t = "\t", b = "\b", f = "\f", ["/"] = "/", ["\\"] = "\\", ['"'] = '"' }

--- Undoes the escapes of a JSON string (RFC 8259, section 7).
-- @tparam string body what stands between the quotes
-- @treturn ?string nil where it has what is no escape
function encodings.json(body)
  local certain = true
  local high, behind -- the first half of a pair of surrogates, and where the other half must stand
  -- In one pass: what an escaped backslash stands before is no escape.
  local text = body:gsub("()\\(u?)(.?)(%x?%x?%x?)", function(at, u, first, rest)
    local code = u == "u" and #rest == 3 and first:find "%x" and tonumber(first .. rest, 16)
    local low = code and code >= 0xdc00 and code <= 0xdfff
    if high then
      code = low and at == behind and 0x10000 + ((high - 0xd800) << 10) + (code - 0xdc00)
      high = nil
      certain = certain and code
    elseif code and code >= 0xd800 and code <= 0xdbff then
      high, behind = code, at + #"\\uXXXX"
      return ""
    elseif low then
      code = nil
    end
    if code then
      return utf8.char(code)
    elseif u == "" and simple[first] then
      return simple[first] .. rest
    end
    certain = false
  end)
  return certain and not high and text or nil
end

local entities = {
  amp = "&", plus = "+", equals = "=", sol = "/", hyphen = "-", dash = "-", nbsp = " ", NewLine = "\n", Tab = "\t",
  quot = '"', apos = "'", lt = "<", gt = ">", lowbar = "_",
}

-- The character of a number in digits, or nil where there is none.
local function character(digits, base)
  local significant = digits:gsub("^0+", "")
  local code = #significant <= 7 and tonumber("0" .. significant, base)
  return code and code <= 0x10ffff and utf8.char(code) or nil
end

--- Undoes the entities and the line breaks of HTML.
-- @tparam string text
-- @treturn string
function encodings.html(text)
  text = text:gsub("<[bB][rR]%s*/?>\r?\n?", "\n")
  text = text:gsub("&#[xX](%x+);", function(hex) return character(hex, 16) end)
  text = text:gsub("&#(%d+);", function(number) return character(number, 10) end)
  return (text:gsub("&(%a+);", entities))
end

--- Undoes the escapes of a URL. A plus sign is a blank in armour alone: in the body, an encoder that writes %2B writes
-- no bare one.
-- @tparam string text
-- @treturn string
function encodings.url(text)
  text = text:gsub("(%-%-%-%-%-)(%u+)%+([%u%d+]-)(%-%-%-%-%-)", function(before, word, label, after)
    return before .. word .. " " .. label:gsub("%+", " ") .. after
  end)
  local pairs_of = bytes_of_hex()
  return (text:gsub("%%(%x%x)", pairs_of))
end

return encodings

--- What readers take for base64: one decoder, driven by the dialect of a reader.
--
-- A dialect says
--
--  * `blanks`: a class of characters that are passed over, as in "[ \t\r\n]";
--  * `wide_blanks`: further ones, of several bytes in UTF-8, as a list; everything must then be UTF-8;
--  * `padding`: "required"; "optional" (all of it or none); "lossy": what has no whole group is lost, and data ends
--    with the first group that ends with =, whatever stands in it (io.netty.handler.codec.base64);
--  * `dash`: "ends" where - ends the data;
--  * `stray_bits`: "refused" where the bits behind the last byte must be zero.
-- @module tcpki.pem.base64

local core = require "tcpki.core"

local base64 = {}

-- Whole groups of digits, by the decoder of the core: it is asked for the one block of a text.
local function decode(digits)
  if digits == "" then
    return ""
  end
  local parts = assert(core.pem.scan("-----BEGIN X-----\n" .. digits .. "\n-----END X-----\n"))
  return parts[1].der, parts[1].notes.stray_bits
end

-- An = in the first two places counts as the digit A; in the third it leaves one byte of the group.
local function decode_lossy(digits)
  local out, done = {}, 1
  local equals = digits:find("=", 1, true)
  while equals do
    local group = equals - (equals - 1) % 4
    if group + 3 > #digits then
      break
    end
    local third, fourth = digits:sub(group + 2, group + 2), digits:sub(group + 3, group + 3)
    out[#out + 1] = decode(digits:sub(done, group - 1))
    out[#out + 1] = decode(digits:sub(group, group + 1):gsub("=", "A")
      .. (third == "=" and "==" or third .. fourth))
    done = group + 4
    if fourth == "=" then
      return table.concat(out)
    end
    equals = digits:find("=", done, true)
  end
  out[#out + 1] = decode(digits:sub(done, #digits - #digits % 4))
  return table.concat(out)
end

local pads = { [0] = "", [2] = "==", [3] = "=" }

--- Decodes the body of a block as a reader does.
-- @tparam table dialect
-- @tparam string body
-- @treturn ?string the bytes, perhaps none; nil where the reader refuses it
function base64.decode(dialect, body)
  if dialect.dash == "ends" then
    body = body:match "^[^-]*"
  end
  if dialect.wide_blanks and body:find "[\x80-\xff]" then
    if not utf8.len(body) then
      return nil
    end
    for _, blank in ipairs(dialect.wide_blanks) do
      body = body:gsub(blank, "")
    end
  end
  local digits = body:gsub(dialect.blanks, "")
  if dialect.padding == "lossy" then
    return decode_lossy(digits)
  end
  local first, padding = digits:match "^([A-Za-z0-9+/]*)(=*)$"
  local wanted = first and pads[#first % 4]
  if not wanted or padding ~= wanted and (padding ~= "" or dialect.padding == "required") then
    return nil
  end
  local bytes, stray = decode(first .. wanted)
  return not (stray and dialect.stray_bits == "refused") and bytes or nil
end

return base64

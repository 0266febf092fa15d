--- What people and programs wrap around PEM, and how it is undone: one row a layer.
--
-- A layer knows whether a text wears it and what is beneath. `undo` gives nil where the meaning is not certain.
-- Sources: facts of measured clients (pem.md), Temporal's connection guide ("whitespace sensitive"),
-- sdk-java#1825, sdk-rust#720, temporal-ruby#260.
-- @module tcpki.pem.layers

local kind = require "tcpki.pem.kind"

local layers = {}

local BEGIN = "%-%-%-%-%-BEGIN "

local digits = {}
do
  local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  for i = 1, 64 do
    digits[alphabet:byte(i)] = i - 1
  end
end

-- Base64 without blanks; nil where it is not whole.
local function decode_base64(text)
  local body, pads = text:match "^([%w+/]*)(=*)$"
  if not body or #pads > 2 or (#body + #pads) % 4 ~= 0 or #body == 0 then
    return nil
  end
  local out = {}
  local accumulator, bits = 0, 0
  for i = 1, #body do
    accumulator = (accumulator << 6 | digits[body:byte(i)]) & 0xffffff
    bits = bits + 6
    if bits >= 8 then
      bits = bits - 8
      out[#out + 1] = string.char(accumulator >> bits & 0xff)
    end
  end
  return table.concat(out)
end

-- The text without what of the class stands at its end. A pattern with + before $ tries again at each place of a run,
-- which makes it quadratic; here and below each run is looked at once.
local function without_tail(text, class)
  local last = #text
  while last > 0 and text:find(class, last) do
    last = last - 1
  end
  return text:sub(1, last)
end

local function line_of(text, at)
  local _, count = text:sub(1, at - 1):gsub("\n", "")
  return count + 1
end

-- UTF-16 with a byte-order mark, or with NULs where ASCII has its high bytes.
local function utf16_order(text)
  if text:sub(1, 2) == "\xff\xfe" or text:find("^%-%z%-%z%-%z") then
    return "little"
  elseif text:sub(1, 2) == "\xfe\xff" or text:find("^%z%-%z%-%z%-") then
    return "big"
  end
end

local function from_utf16(text)
  local order = utf16_order(text)
  local start = text:find("^[\xff\xfe]") and 3 or 1
  if (#text - start + 1) % 2 ~= 0 then
    return nil
  end
  local out = {}
  for i = start, #text - 1, 2 do
    local code = string.unpack(order == "little" and "<I2" or ">I2", text, i)
    if code >= 0xd800 and code <= 0xdfff then
      return nil
    end
    out[#out + 1] = utf8.char(code)
  end
  return table.concat(out)
end

local function unescape_json(body)
  local simple = { n = "\n", r = "\r", t = "\t", b = "\b", f = "\f", ["/"] = "/", ["\\"] = "\\", ['"'] = '"' }
  local certain = true
  -- In one pass: what an escaped backslash stands before is no escape.
  local text = body:gsub("\\(u?)(.?)(%x?%x?%x?)", function(u, first, rest)
    local code = u == "u" and #rest == 3 and first:find "%x" and tonumber(first .. rest, 16)
    if code and (code < 0xd800 or code > 0xdfff) then
      return utf8.char(code)
    elseif u == "" and simple[first] then
      return simple[first] .. rest
    end
    certain = false
  end)
  return certain and text or nil
end

local function hex_pairs(text)
  return (text:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

local entities = {
  amp = "&", plus = "+", equals = "=", sol = "/", hyphen = "-", dash = "-", nbsp = " ", NewLine = "\n", Tab = "\t",
  quot = '"', lt = "<", gt = ">", lowbar = "_",
}

-- The character of a number in digits, or nil where there is none.
local function character(digits_of_it, base)
  local significant = digits_of_it:gsub("^0+", "")
  local code = #significant <= 7 and tonumber("0" .. significant, base)
  return code and code <= 0x10ffff and utf8.char(code) or nil
end

local function undo_html(text)
  text = text:gsub("<[bB][rR]%s*/?>", "\n")
  text = text:gsub("&#[xX](%x+);", function(hex) return character(hex, 16) end)
  text = text:gsub("&#(%d+);", function(number) return character(number, 10) end)
  return (text:gsub("&(%a+);", entities))
end

-- The same characters before every line that is not empty, or a number that counts the lines.
local function common_prefix(text)
  local prefix
  for line in text:gmatch "[^\r\n]+" do
    if line:find "%S" then
      local own = line:match "^[ \t>|#*]*" -- what quotes, comments and indentation are made of
      if not prefix then
        prefix = own
      else
        local length = 0
        while length < #prefix and length < #own and prefix:byte(length + 1) == own:byte(length + 1) do
          length = length + 1
        end
        prefix = prefix:sub(1, length)
      end
      if prefix == "" then
        return nil
      end
    end
  end
  return prefix
end

local function is_numbered(text)
  local expected
  for line in text:gmatch "[^\r\n]+" do
    local number = line:match "^%s*(%d+)[:|.%)]?[ \t]"
    if not number then
      return false
    end
    if expected and tonumber(number) ~= expected then
      return false
    end
    expected = tonumber(number) + 1
  end
  return expected ~= nil
end

local zero_width = { "\xe2\x80\x8b", "\xe2\x80\x8c", "\xe2\x80\x8d", "\xe2\x81\xa0", "\xef\xbb\xbf", "\xc2\xad" }
local wide_blanks = { "\xc2\xa0", "\xe2\x80\xaf", "\xe3\x80\x80", "\xe2\x80\x82", "\xe2\x80\x83", "\xe2\x80\x89" }
local smart_dashes = {
  ["\xe2\x80\x90"] = "-", ["\xe2\x80\x91"] = "-", ["\xe2\x80\x92"] = "-", ["\xe2\x80\x93"] = "--",
  ["\xe2\x80\x94"] = "---", ["\xe2\x80\x95"] = "---", ["\xe2\x88\x92"] = "-", ["\xef\xbc\x8d"] = "-",
  ["\xef\xb9\xa3"] = "-",
}

local function find_any(text, list)
  local first
  for _, item in ipairs(list) do
    local at = text:find(item, 1, true)
    if at and (not first or at < first) then
      first = at
    end
  end
  return first
end

local function replace_all(text, list, with)
  for _, item in ipairs(list) do
    text = text:gsub(item, with)
  end
  return text
end

local labels = {
  "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE", "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST",
  "X509 CRL", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "PUBLIC KEY",
  "EC PARAMETERS",
}
local known_label = {}
for _, label in ipairs(labels) do
  known_label[label] = true
end

-- A line that is armour but for the number of its dashes, its case or its blanks: the true line.
local function mend_armour(line)
  if #line > 100 then
    return nil -- armour is short, and the pattern below is not linear
  end
  local before, word, label, after = line:match "^%s*(%-*)%s*(%a+)%s+([%a%d ]-)%s*(%-*)%s*$"
  if not word or #before + #after < 3 then
    return nil
  end
  word, label = word:upper(), label:upper():gsub("%s+", " ")
  if (word == "BEGIN" or word == "END") and known_label[label] then
    return ("-----%s %s-----"):format(word, label)
  end
end

local function damaged_armour(text)
  local at = 1
  for line, ending in text:gmatch "([^\n]*)(\n?)" do
    local bare = without_tail(line, "^\r")
    local mended = mend_armour(bare)
    if mended and mended ~= bare and bare:gsub("[ \t]+$", "") ~= mended then
      return at
    end
    at = at + #line + #ending
    if ending == "" then
      return nil
    end
  end
end

local function undo_armour(text)
  return (text:gsub("[^\n]*", function(line)
    local bare = without_tail(line, "^\r")
    local mended = mend_armour(bare)
    return mended and mended .. line:sub(#bare + 1) or nil
  end))
end

local function wears_escapes(text)
  return text:find(BEGIN .. "[%w ]+%-%-%-%-%-%s*\\+[rn]") or text:find(BEGIN .. "[%w ]+%-%-%-%-%-/n")
end

local function undo_escapes(text)
  if text:find(BEGIN .. "[%w ]+%-%-%-%-%-/n") then
    -- /n is no escape: between base64 digits it could be meant. Only whole lines of 64 make it certain.
    local fixed = text:gsub("(%-%-%-%-%-)/n", "%1\n"):gsub("/n(%-%-%-%-%-)", "\n%1")
    return (fixed:gsub("(" .. ("[%w+/]"):rep(64) .. ")/n", "%1\n"))
  end
  return (text:gsub("%f[\\]\\+r\\+n", "\n"):gsub("%f[\\]\\+n", "\n"):gsub("%f[\\]\\+r", "\r"))
end

local function trim(text)
  return without_tail(text:sub(text:find "%S" or 1), "^%s")
end

-- The lines of a flattened text: armour on lines of its own, and the blanks between as line ends.
local function unflatten(text)
  return (text:gsub("(%-%-%-%-%-BEGIN [%w ]-%-%-%-%-%-)([^%-]*)(%-%-%-%-%-END [%w ]-%-%-%-%-%-)[ \t]*",
    function(first, body, last)
    if body:find ":" then
      return nil -- the headers of an encrypted key need their own lines, which are lost
    end
    return first .. "\n" .. trim(body):gsub("[ \t]+", "\n") .. "\n" .. last .. "\n"
  end))
end

local function json_body(text)
  local body = trim(text)
  if body:sub(-1) == "," then
    body = trim(body:sub(1, -2))
  end
  return #body > 2 and body:sub(1, 1) == '"' and body:sub(-1) == '"' and body:sub(2, -2) or nil
end

local function quoted_body(text)
  local body = trim(text)
  local quote = body:sub(1, 1)
  local quoted = #body > 2 and quote:find "[\"'`]" and body:sub(-1) == quote
  return quoted and body:find "^.%s*%-%-%-%-%-" and body:sub(2, -2) or nil
end

-- Where the value begins of `NAME=` or `export NAME=` before PEM.
local function assigned(text)
  local at = text:match "^%s*export%s+[%a_][%w_]*%s*=%s*()" or text:match "^%s*[%a_][%w_]*%s*=%s*()"
  local armour = at and text:match("^[\"']?%s*()", at)
  return armour and text:find("^" .. BEGIN, armour) and at or nil
end

local function is_flat(text)
  return text:find(BEGIN .. "[%w ]-%-%-%-%-%-[ \t]*[%w+/]") ~= nil
end

--- The layers in the order in which they are looked for.
-- Each: `code`, `severity`, `message`, `who` (stumbles over it), `hint`, `find(text)` (the place of the first sign, or
-- nil), `undo(text)` (the text beneath, or nil).
layers.list = {
  {
    code = "utf16", severity = "error", message = "the text is UTF-16", who = "every reader",
    hint = "save it as UTF-8 without a byte-order mark",
    find = function(text) return utf16_order(text) and 1 end,
    undo = from_utf16,
  },
  {
    code = "base64_of_pem", severity = "error", message = "it is the base64 of a PEM text", who = "every reader",
    hint = "decode it once: base64 -d; Kubernetes encodes the values under data: by itself",
    find = function(text)
      local bare = text:gsub("[%s\"']", "")
      return #bare > 64 and (bare:find "^LS0tLS1CRUdJTi" or bare:find "^TFMwdExTMUNSVWRK") and 1 or nil
    end,
    undo = function(text) return decode_base64((text:gsub("[%s\"']", ""))) end,
  },
  {
    code = "hex", severity = "error", message = "it is the hexadecimal dump of DER", who = "every reader",
    hint = "write it as PEM",
    find = function(text) return text:find "^%s*30[:%s]?8%x[%x:%s]+$" end,
    undo = function(text)
      local bare = text:gsub("[:%s]", "")
      local der = #bare % 2 == 0 and hex_pairs(bare)
      return der and kind.length(der) == #der and der or nil
    end,
  },
  {
    code = "json_string", severity = "error", message = "it is a JSON string, with its quotes and escapes",
    who = "every reader", hint = "decode the JSON before the value is used: jq -r",
    find = function(text)
      local body = json_body(text)
      return body and body:find "\\[nru\"/]" and 1 or nil
    end,
    undo = function(text) return unescape_json(json_body(text)) end,
  },
  {
    code = "name_prefix", severity = "error", message = "a name and = stand before the PEM",
    who = "most readers lose the first block in silence", hint = "pass the value alone",
    find = function(text) return assigned(text) and 1 or nil end,
    undo = function(text) return text:sub(assigned(text)) end,
  },
  {
    code = "quotes", severity = "error", message = "quotes stand around the PEM",
    who = "OpenSSL, Go, rustls and gRPC lose the first block in silence", hint = "pass the value without its quotes",
    find = function(text) return quoted_body(text) and 1 or nil end,
    undo = quoted_body,
  },
  {
    code = "url_escapes", severity = "error", message = "it is URL-encoded", who = "every reader",
    hint = "decode it where the request is read",
    find = function(text)
      return text:find "%-%-%-%-%-BEGIN%%20" or text:find "%-%-%-%-%-BEGIN%+%u" or text:find "%-%-%-%-%-%%0[AaDd]"
        or text:find "^%%2[dD]%%2[dD]"
    end,
    undo = function(text)
      -- + is a space only in armour: in the body an encoder that writes %2B writes no bare +.
      text = text:gsub("(%-%-%-%-%-)(%u+)%+([%u%d+]-)(%-%-%-%-%-)", function(a, word, label, b)
        return a .. word .. " " .. label:gsub("%+", " ") .. b
      end)
      return (text:gsub("%%(%x%x)", function(pair) return string.char(tonumber(pair, 16)) end))
    end,
  },
  {
    code = "html_escapes", severity = "error", message = "it has HTML entities", who = "every reader",
    hint = "copy it as text, not as HTML",
    find = function(text)
      return text:find("-----", 1, true) and (text:find "&#?%w+;" or text:find "<[bB][rR]%s*/?>")
    end,
    undo = undo_html,
  },
  {
    code = "escaped_newlines", severity = "error", message = "every newline is the two characters \\n",
    who = "every reader", hint = "write real line ends: printf '%b' \"$VALUE\"; in .env files use a quoted value that "
      .. "the program unescapes",
    find = wears_escapes, undo = undo_escapes,
  },
  {
    code = "zero_width", severity = "error", message = "there are characters of no width in it",
    who = "OpenSSL, Go, rustls and gRPC; where one stands before BEGIN they lose the block in silence",
    hint = "paste it as plain text; remove them",
    find = function(text)
      if text:sub(1, 3) == "\xef\xbb\xbf" and not find_any(text:sub(4), zero_width) then
        return nil -- a byte-order mark, which has a row of its own
      end
      return find_any(text, zero_width)
    end,
    undo = function(text) return replace_all(text, zero_width, "") end,
  },
  {
    code = "byte_order_mark", severity = "error", message = "a byte-order mark stands before the text",
    who = "Go, rustls and gRPC lose the first block in silence",
    hint = "save it as UTF-8 without a byte-order mark",
    find = function(text) return text:sub(1, 3) == "\xef\xbb\xbf" and 1 or nil end,
    undo = function(text) return text:sub(4) end,
  },
  {
    code = "wide_blanks", severity = "error", message = "there are no-break or wide spaces in it",
    who = "Go, rustls and Java", hint = "paste it as plain text; replace them by nothing",
    find = function(text) return find_any(text, wide_blanks) end,
    undo = function(text) return replace_all(text, wide_blanks, " ") end,
  },
  {
    code = "smart_dashes", severity = "error", message = "the dashes are typographic, not hyphens",
    who = "every reader", hint = "paste it as plain text; armour has five hyphens",
    find = function(text)
      local list = {}
      for dash in pairs(smart_dashes) do
        list[#list + 1] = dash
      end
      table.sort(list)
      return find_any(text, list)
    end,
    undo = function(text)
      for dash, hyphens in pairs(smart_dashes) do
        text = text:gsub(dash, hyphens)
      end
      return text
    end,
  },
  {
    code = "line_numbers", severity = "error", message = "every line begins with its number", who = "every reader",
    hint = "copy it without the line numbers",
    find = function(text) return is_numbered(text) and 1 or nil end,
    undo = function(text)
      return (("\n" .. text):gsub("\n%s*", "\n"):gsub("\n%d+[:|.%)]?[ \t]+", "\n"):sub(2))
    end,
  },
  {
    code = "line_prefix", severity = "error", message = "every line begins with the same characters",
    who = "every reader", hint = "remove them; in YAML use a block (|) under the key",
    find = function(text) return common_prefix(text) and 1 or nil end,
    undo = function(text)
      local prefix = common_prefix(text)
      local plain = prefix:gsub("%p", "%%%0")
      return (("\n" .. text):gsub("\n" .. plain, "\n"):sub(2))
    end,
  },
  {
    code = "armour", severity = "error",
    message = "an armour line does not have five dashes on both sides, or is not in capitals",
    who = "every reader; most skip the block in silence",
    hint = "armour is five dashes, BEGIN or END, the label in capitals, five dashes",
    find = damaged_armour, undo = undo_armour,
  },
  {
    code = "flattened", severity = "error", message = "the newlines were lost, or became spaces", who = "every reader",
    hint = 'quote the variable: "$VALUE"; pass it as a file where that is possible',
    find = function(text) return is_flat(text) and text:find(BEGIN) or nil end,
    undo = function(text)
      local mended = unflatten(text)
      return mended ~= text and mended or nil
    end,
  },
}

--- Takes off every layer that a text wears.
-- @tparam string text
-- @treturn string what is beneath
-- @treturn table the layers that came off, in order: `{ layer =, line = }`
-- @treturn ?table the layer that could not be taken off with certainty, `{ layer =, line = }`
function layers.peel(text)
  local peeled = {}
  local limit = 2 * #layers.list
  local again = true
  while again and #peeled < limit do
    again = false
    for _, layer in ipairs(layers.list) do
      local at = layer.find(text)
      if at then
        local beneath = layer.undo(text)
        local found = { layer = layer, line = line_of(text, at) }
        if not beneath then
          return text, peeled, found
        end
        if beneath ~= text then
          text = beneath
          peeled[#peeled + 1] = found
          again = true
          break
        end
      end
    end
  end
  return text, peeled
end

return layers

--- What people and programs wrap around PEM, and how it is undone: one row a layer.
--
-- Sources: measured readers (test/readers/README.md), Temporal's connection guide ("whitespace sensitive"),
-- sdk-java#1825, sdk-rust#720, temporal-ruby#260.
-- @module tcpki.pem.layers

local core = require "tcpki.core"
local encodings = require "tcpki.pem.encodings"
local kind = require "tcpki.pem.kind"
local lines = require "tcpki.pem.lines"
local plus = require "tcpki.pem.plus"
local rules = require "tcpki.pem.rules"

local layers = {}

local SHORTEST_BASE64 = 64 -- digits; less than that is a word

local function take_wide(width)
  return function(text)
    local beneath, name = encodings.wide(text)
    if name and name:find(width, 1, true) then
      return beneath or false, 1
    end
  end
end

local function take_base64(text)
  local bare = text:gsub("[%s\"']", "")
  if #bare > SHORTEST_BASE64 and (bare:find "^LS0tLS1CRUdJTi" or bare:find "^TFMwdExTMUNSVWRK"
    or bare:find "^VEZNd2RFeFRNVU5TVldSS") then
    return encodings.base64(bare) or false, 1
  end
end

local function take_hex(text)
  local first = text:match "^%s*(%x%x[:%s]?%x%x)"
  first = first and first:gsub("[:%s]", "")
  if not first or not (first:find "^30[8]%x" or first == "2d2d" or first == "2D2D") or text:find "[^%x:%s]" then
    return nil
  end
  local bare = text:gsub("[:%s]", "")
  local bytes = encodings.hex(bare)
  return bytes and (first:find "^2" or kind.length(bytes) == #bytes) and bytes or false, 1
end

local function take_data_url(text)
  local body = text:sub(1, 200):match "^%s*data:[^,%s]*;base64,()"
  if body then
    return text:sub(body), 1
  end
end

local function take_json(text)
  local body = lines.trim(text)
  if body:sub(-1) == "," then
    body = lines.trim(body:sub(1, -2))
  end
  body = #body > 2 and body:sub(1, 1) == '"' and body:sub(-1) == '"' and body:sub(2, -2)
  if body and body:find "\\[nru\"/]" and not body:find "[\r\n]" then
    return encodings.json(body) or false, 1
  end
end

local LONGEST_NAME = 80 -- bytes of `export NAME = "`

-- Where the line begins that the byte is on; nil where that is farther away than a name may be long.
local function line_start(text, at)
  for i = at, math.max(1, at - LONGEST_NAME), -1 do
    if i == 1 or text:find("^[\r\n]", i - 1) then
      return i
    end
  end
end

-- Where a name begins that stands before armour, and where what it is the name of: `NAME=`, `export NAME=` or `name:`
-- on the line of the armour or, with a quote, on the line before.
local function name_before(text, armour)
  local stop = armour - 1
  if text:find("^[\"'][\r\n]", stop - 1) then
    stop = stop - 1
  end
  local start = stop > 0 and not text:find("^[\r\n]", stop) and line_start(text, stop)
  local line = start and text:sub(start, stop) or ""
  local name = line:match "^%s*export%s+[%a_][%w_%-.]*%s*=%s*" or line:match "^%s*[%a_][%w_%-.]*%s*[=:]%s*"
  if name and line:find("^[\"']?%s*$", #name + 1) then
    return start, start + #name
  end
end

local function take_name(text)
  local out, kept, first = {}, 1, nil
  local armour = text:find("-----BEGIN ", 1, true)
  while armour do
    local start, behind = name_before(text, armour)
    if start and start >= kept then
      out[#out + 1] = text:sub(kept, start - 1)
      kept, first = behind, first or start
    end
    armour = text:find("-----BEGIN ", armour + 1, true)
  end
  if first then
    out[#out + 1] = text:sub(kept)
    return table.concat(out), first
  end
end

-- The longer ones first.
local quotes = {
  { '"""', '"""' }, { "'''", "'''" }, { '"', '"' }, { "'", "'" }, { "`", "`" },
  { "\xe2\x80\x9c", "\xe2\x80\x9d" }, { "\xe2\x80\x98", "\xe2\x80\x99" }, { "\xc2\xab", "\xc2\xbb" },
}

local function take_quotes(text)
  local body = lines.trim(text)
  local head = body:match "^[bru]?" -- Python's prefixes
  for _, pair in ipairs(quotes) do
    local quote, shut = table.unpack(pair)
    if body:sub(#head + 1, #head + #quote) == quote and body:sub(-#shut) == shut
      and body:find("^%s*%-%-%-%-%-", #head + #quote + 1) then
      return body:sub(#head + #quote + 1, -#shut - 1), text:find "%S"
    end
  end
end

local url_signs = {
  "%-%-%-%-%-BEGIN%%20", "%-%-%-%-%-BEGIN%+%u", "%-%-%-%-%-%%0[AaDd]", "^%%2[dD]%%2[dD]", "[%w+/]%%[23][BFbfDd]",
}

local function take_url(text)
  if not text:find("%", 1, true) and not text:find("-----BEGIN+", 1, true) then
    return nil
  end
  for _, sign in ipairs(url_signs) do
    local at = text:find(sign)
    if at then
      return encodings.url(text), at
    end
  end
end

local function take_html(text)
  local at = text:find("-----", 1, true) and (text:find "&#?%w+;" or text:find "<[bB][rR]%s*/?>")
  if at then
    return encodings.html(text), at
  end
end

local function take_slashes(text)
  local at = text:find("-----BEGIN ", 1, true) and text:find("\\/", 1, true)
  if at then
    return text:gsub("\\/", "/"), at
  end
end

local function take_colours(text)
  local at = text:find "\27%[[%d;]*[mK]"
  if at then
    return text:gsub("\27%[[%d;]*[mK]", ""), at
  end
end

local function take_mark(text)
  if text:sub(1, 3) == "\xef\xbb\xbf" then
    return text:sub(4), 1
  end
end

--- The layers in the order in which they are looked for.
-- Each: `code`, `message`, `who` (stumbles over it), `hint`, `moves` (its undoing changes what is on which line), and
-- `take(text)`: the text beneath (false where that is not certain) and the place of the first sign; nil where the text
-- does not wear it.
layers.list = {
  {
    code = "utf16", message = "the text is UTF-16", who = "every reader", take = take_wide "utf-16",
    hint = "save it as UTF-8 without a byte-order mark",
  },
  {
    code = "utf32", message = "the text is UTF-32", who = "every reader", take = take_wide "utf-32",
    hint = "save it as UTF-8 without a byte-order mark",
  },
  {
    code = "data_url", message = "it is a data: URL", who = "every reader", take = take_data_url,
    hint = "decode what stands behind base64,",
  },
  {
    code = "base64_of_pem", message = "it is the base64 of a PEM text", who = "every reader", take = take_base64,
    moves = true, hint = "decode it once: base64 -d; Kubernetes encodes the values under data: by itself",
  },
  {
    code = "hex", message = "it is a hexadecimal dump", who = "every reader", take = take_hex, moves = true,
    hint = "write it as PEM: tcpki.pem.repair(text)",
  },
  {
    code = "colours", message = "there are the colour codes of a terminal in it", who = "every reader",
    take = take_colours, hint = "copy it from the file, not from the log",
  },
  {
    code = "zero_width", message = "there are characters of no width in it", take = lines.zero_width,
    who = "OpenSSL, Go, rustls and gRPC; where one stands before BEGIN they lose the block in silence",
    hint = "paste it as plain text; remove them",
  },
  {
    code = "byte_order_mark", message = "a byte-order mark stands before the text", take = take_mark,
    who = "Go, rustls and gRPC lose the first block in silence", hint = "save it as UTF-8 without a byte-order mark",
  },
  {
    code = "wide_blanks", message = "there are no-break or wide spaces in it", who = "Go, rustls and Java",
    take = lines.wide_blanks, hint = "paste it as plain text; remove them",
  },
  {
    code = "smart_dashes", message = "the dashes are typographic, not hyphens", who = "every reader",
    take = lines.smart_dashes, hint = "paste it as plain text; armour has five hyphens",
  },
  {
    code = "name_prefix", message = "a name and = or : stand before the PEM",
    who = "most readers lose the first block in silence", take = take_name, hint = "pass the value alone",
  },
  {
    code = "json_string", message = "it is a JSON string, with its quotes and escapes", who = "every reader",
    take = take_json, moves = true, hint = "decode the JSON before the value is used: jq -r",
  },
  {
    code = "line_prefix", message = "every line begins with the same characters, as in YAML, a quotation or a comment",
    who = "every reader; most lose the block in silence", take = lines.prefix,
    hint = "remove them; in YAML use a block (|) under the key",
  },
  {
    code = "quotes", message = "quotes stand around the PEM",
    who = "OpenSSL, Go, rustls and gRPC lose the first block in silence", take = take_quotes,
    hint = "pass the value without its quotes",
  },
  {
    code = "url_escapes", message = "it is URL-encoded", who = "every reader", take = take_url, moves = true,
    hint = "decode it where the request is read",
  },
  {
    code = "html_escapes", message = "it has HTML entities", who = "every reader", take = take_html, moves = true,
    hint = "copy it as text, not as HTML",
  },
  {
    code = "escaped_slashes", message = "slashes are escaped as \\/", who = "every reader", take = take_slashes,
    hint = "decode the JSON before the value is used: jq -r",
  },
  {
    code = "line_suffix", message = "every line ends with the same characters", who = "every reader",
    take = lines.suffix, hint = "remove them",
  },
  {
    code = "escaped_newlines", message = "every newline is the two characters \\n", who = "every reader",
    take = lines.escapes, moves = true,
    hint = "write real line ends: printf '%b' \"$VALUE\"; in .env files use a quoted value that the program unescapes",
  },
  {
    code = "escaped_newlines", message = "every newline is written as /n or n", who = "every reader",
    take = lines.separators, moves = true,
    hint = "write real line ends; something turned or dropped the backslash of \\n",
  },
  {
    code = "odd_line_ends", message = "lines end with a character that is no line end to any reader",
    who = "every reader", take = lines.odd_ends, moves = true, hint = "convert the line ends to LF",
  },
  {
    code = "line_lfcr", message = "lines end with LF CR", who = "every reader", take = lines.doubled, moves = true,
    hint = "convert the line ends: tr -d '\\r'",
  },
  {
    code = "line_numbers", message = "every line begins with its number", who = "every reader", take = lines.numbers,
    hint = "copy it without the line numbers",
  },
  {
    code = "armour",
    message = "an armour line does not have five dashes on both sides, or is not in capitals",
    who = "every reader; most skip the block in silence", take = lines.armour,
    hint = "armour is five dashes, BEGIN or END, the label in capitals, five dashes",
  },
  {
    code = "flattened", message = "the newlines were lost, or became spaces", who = "every reader",
    take = lines.flattened, moves = true,
    hint = 'quote the variable: "$VALUE"; pass it as a file where that is possible',
  },
  {
    code = "plus_signs", message = "blanks stand where plus signs were", who = "every reader", take = plus,
    hint = "encode the plus signs as %2B in URLs and forms",
  },
}

-- Where the line is of a byte, and its column.
local function place(text, at)
  local line, begin = 1, 1
  local behind = 1
  while true do
    local stop = text:find("[\r\n]", behind)
    if not stop or stop >= at then
      return line, at - begin + 1
    end
    behind = text:sub(stop, stop + 1) == "\r\n" and stop + 2 or stop + 1
    line, begin = line + 1, behind
  end
end

-- Whether every reader takes a text as it stands: then nothing in it is a sign of anything.
local function is_good(parts)
  local blocks = 0
  for _, part in ipairs(parts) do
    for word in pairs(part.notes) do
      if not (rules.harmless[word] or part.kind == "between" and word:find "^line_") then
        return false
      end
    end
    if part.kind == "block" then
      if not part.der then
        return false
      end
      blocks = blocks + 1
    end
  end
  return blocks > 0
end

local MOST_LAYERS = 12 -- that are taken off; more are nobody's accident

--- Takes off every layer that a text wears.
-- @tparam string text
-- @treturn[1] table `text` (what is beneath), `parts` (its description, as of pem.scan), `peeled` (the layers that came
-- off, in order: `{ layer =, line =, column = }`), `stuck` (the one that does not come off with certainty, or nil)
-- @treturn[2] nil
-- @treturn[2] fault `out_of_memory`
function layers.peel(text)
  local peeled = {}
  local parts, err = core.pem.scan(text)
  if not parts then
    return nil, err
  end
  local again = not is_good(parts)
  while again and #peeled < MOST_LAYERS do
    again = false
    for _, layer in ipairs(layers.list) do
      local beneath, at = layer.take(text)
      if at and beneath ~= text then
        local found = { layer = layer }
        found.line, found.column = place(text, at)
        if not beneath then
          return { text = text, parts = parts, peeled = peeled, stuck = found }
        end
        text = beneath
        parts, err = core.pem.scan(text)
        if not parts then
          return nil, err
        end
        peeled[#peeled + 1] = found
        again = not is_good(parts)
        break
      end
    end
  end
  return { text = text, parts = parts, peeled = peeled }
end

return layers

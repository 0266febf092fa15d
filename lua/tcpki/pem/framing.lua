--- How readers find the blocks of a text: the six ways that there are.
--
-- Each way is a function of what is read and of the rules of a reader (tcpki.pem.readers). It gives an iterator over
-- the blocks that the reader sees: `{ label =, headers =, der =, at = (where it begins) }`; or nil and a fault
-- `{ code =, at = }`; or nil alone at the end of the text. After a fault it can be called again: it goes on behind.
--
-- What is read has `text`; `plain`, the blocks of the scanner that all readers take for the same, by where they
-- begin (with `last`, where they end); and `decode(body)`, in the reader's base64.
--
-- All take time linear in the text, whatever it is: a search is never made twice over the same bytes.
-- @module tcpki.pem.framing

local kind = require "tcpki.pem.kind"

local framing = {}

local BEGIN, END, DASHES = "-----BEGIN ", "-----END ", "-----"
local MARK = "\xef\xbb\xbf"
local NOWHERE = math.maxinteger

-- A search for a string from growing positions, which remembers what it found.
local function finder(text, wanted)
  local found = 0
  return function(at)
    if found < at then
      found = text:find(wanted, at, true) or NOWHERE
    end
    return found
  end
end

-- The last position of a range where no byte of the class stands, or the one before the range.
local function trimmed(text, first, last, class)
  while last >= first and text:find(class, last) == last do
    last = last - 1
  end
  return last
end

local function failed(code, at)
  return nil, { code = code, at = at }
end

-- ---- PEM_read_bio, of OpenSSL and of BoringSSL ----------------------------------------------

-- The text in the pieces that BIO_gets gives: lines, and parts of those that are too long. Gives first and last
-- position without what counts as white space at the end, and whether it was cut off.
local function pieces(input, rules)
  local text = input.text
  local size, at = #text, 1
  local feed, nul = finder(text, "\n"), rules.nul == "ends a line" and finder(text, "\0")
  local self = {}
  local begun = 1

  function self.position()
    return at
  end

  function self.begun()
    return begun
  end

  function self.skip(to)
    at = to
  end

  -- nil at the end of the text, and where nothing stands before a NUL: a length of 0 is the end for the caller
  function self.next()
    if at > size then
      return nil
    end
    local first, last = at, math.min(feed(at), at + rules.piece - 1, size)
    begun, at = first, last + 1
    if nul and nul(first) <= last then
      last = nul(first) - 1
      if last < first then
        return nil
      end
    end
    local cut = last - first + 1 == rules.piece and text:byte(last) ~= 10
    return first, trimmed(text, first, last, "^[\0-\x20\x80-\xff]"), cut
  end

  return self
end

local function before_nul(text)
  local nul = text:find("\0", 1, true)
  return nul and text:sub(1, nul - 1) or text
end

function framing.openssl(input, rules)
  local text, plain = input.text, input.plain
  local piece, begin, colon = pieces(input, rules), finder(text, BEGIN), finder(text, ":")

  -- From BEGIN to END. What comes before the first empty line is headers, if there is such a line.
  local function block(start, label)
    local headers, body = {}, {}
    local into, data, short, cut_before, is_headers = headers, false, false, false, false
    while true do
      local first, last, cut = piece.next()
      if not first then
        return failed("end_missing", start)
      end
      local length, after_cut = last - first + 1, cut_before
      cut_before = cut
      is_headers = is_headers or rules.colon and not data and colon(first) <= last
      if length == 0 and not (data and rules.empty_line == "short line") then
        if not (after_cut and rules.after_cut == "ignored") then
          if data then
            return failed("blank", start)
          end
          data, into = true, body
        end
      elseif length >= #END and text:sub(first, first + #END - 1) == END then
        if text:sub(first + #END, last) ~= label .. DASHES then
          return failed("end_wrong", start)
        end
        if not data and not is_headers then
          headers, body = {}, headers
        end
        break
      elseif short then
        return failed("short", start)
      else
        into[#into + 1] = before_nul(text:sub(first, last) .. "\n")
        if data then
          if length > 64 then
            return failed("wide", start)
          end
          short = length < 64
        end
      end
    end
    body = table.concat(body)
    local der = body == "" and "" or input.decode(body)
    if not der then
      return failed("base64", start)
    elseif der == "" then
      return failed("no_data", start)
    end
    return { label = label, headers = table.concat(headers), der = der, at = start }
  end

  return function()
    local fresh = rules.byte_order_mark == "dropped"
    while begin(piece.position()) ~= NOWHERE do
      local known = plain[piece.position()]
      if known then
        piece.skip(known.last + 1)
        return known
      end
      local first, last = piece.next()
      if not first then
        return failed("nul", piece.begun())
      end
      if fresh and text:sub(first, first + 2) == MARK then
        first = first + 3
      end
      fresh = false
      if last - first + 1 >= #BEGIN + #DASHES and text:sub(first, first + #BEGIN - 1) == BEGIN
        and text:sub(last - 4, last) == DASHES then
        return block(first, before_nul(text:sub(first + #BEGIN, last - 5)))
      end
    end
    piece.skip(#text + 1)
  end
end

-- ---- encoding/pem of Go ----------------------------------------------------------------------

function framing.go(input)
  local text, plain = input.text, input.plain
  local size, rest = #text, 1
  local begin, stop, colon = finder(text, BEGIN), finder(text, "\n" .. END), finder(text, ":")
  local run_first, run_next = NOWHERE, 0

  -- The last byte of a line without its line end and blanks, and where the next line begins.
  local function line(at)
    local feed = text:find("\n", at, true) or size + 1
    local last = feed - 1
    if feed <= size and text:byte(last) == 13 and last >= at then
      last = last - 1
    end
    return trimmed(text, at, last, "^[ \t]"), math.min(feed, size) + 1
  end

  -- Where lines with a colon end. Those of one run are looked at once, though blocks may begin inside of it.
  local function after_headers(at)
    if at >= run_first and at < run_next then
      return run_next
    end
    run_first = at
    while at <= size do
      local last, next_line = line(at)
      if colon(at) > last then
        break
      end
      at = next_line
    end
    run_next = at
    return at
  end

  -- The block of a BEGIN and an END, or nil; false where the text ends.
  local function block(start, stop_at)
    local last, body = line(start + #BEGIN)
    if last - 4 < start + #BEGIN or text:sub(last - 4, last) ~= DASHES then
      return nil
    end
    local label = text:sub(start + #BEGIN, last - 5)
    local first = after_headers(body)
    if first > size then
      return false
    end
    local headers = first > body and text:sub(body, first - 1) or ""
    if headers ~= "" and stop_at < first then
      return nil
    end
    local foot = stop_at + 1 + #END
    local tail = foot + #label + #DASHES
    if text:sub(foot, tail - 1) ~= label .. DASHES or line(tail) >= tail then
      return nil
    end
    local der = stop_at > first and input.decode(text:sub(first, stop_at - 1)) or stop_at <= first and ""
    if der then
      local _, next_line = line(tail)
      rest = next_line
      return { label = label, headers = headers, der = der, at = start }
    end
  end

  return function()
    local at = rest
    while true do
      local stop_at = stop(at)
      if stop_at == NOWHERE then
        rest = size + 1
        return nil
      end
      local start
      local candidate = begin(at)
      while candidate < stop_at do
        start, candidate = candidate, begin(candidate + 1)
      end
      if start and (start == at or text:byte(start - 1) == 10) then
        if plain[start] then
          rest = plain[start].last + 1
          return plain[start]
        end
        local found = block(start, stop_at)
        if found then
          return found
        elseif found == false then
          rest = size + 1
          return nil
        end
      end
      at = stop_at + 1 + #END
    end
  end
end

-- ---- rustls-pki-types ------------------------------------------------------------------------

-- The label of a BEGIN line: before five dashes at its end, between and behind which spaces may stand.
local function rustls_label(text, first, last)
  local dashes, left = 0, last + 1
  for at = last, first, -1 do
    local byte = text:byte(at)
    if byte == 0x2d then
      dashes, left = dashes + 1, at
    elseif byte ~= 0x20 then
      break
    end
  end
  return dashes == 5 and text:sub(first + #BEGIN, left - 1) or nil
end

function framing.rustls(input, rules)
  local text, plain = input.text, input.plain
  local begin, stop, at = finder(text, BEGIN), finder(text, END), 1

  -- The next armour at the start of a line, and the last byte of that line.
  local function armour()
    while true do
      local found = math.min(begin(at), stop(at))
      if found == NOWHERE then
        return nil
      end
      at = found + 1
      local before = text:byte(found - 1)
      if found == 1 or before == 10 or before == 13 then
        return found, (text:find("[\r\n]", found) or #text + 1) - 1
      end
    end
  end

  return function()
    local label, start, body_first
    local body = {}
    while true do
      local first, last = armour()
      if not first then
        if label then
          return failed("end_missing", start)
        end
        return nil
      end
      if begin(first) == first then
        if plain[first] and not label then
          at = plain[first].last + 1
          return plain[first]
        end
        -- Inside a block it replaces the label, and what was collected stays.
        if label then
          body[#body + 1] = text:sub(body_first, first - 1)
        end
        label, start, body_first = rustls_label(text, first, last), first, last + 1
        if not label then
          return failed("begin", first)
        end
        at = last + 1
      elseif label and last - first + 1 >= #END + #label + #DASHES
        and text:sub(first, first + #END + #label + #DASHES - 1) == END .. label .. DASHES then
        at = last + 1
        if rules.known[label] then
          body[#body + 1] = text:sub(body_first, first - 1)
          local der = input.decode(table.concat(body))
          if not der then
            return failed("base64", start)
          end
          return { label = label, headers = "", der = der, at = start }
        end
        label, body = nil, {}
      end
    end
  end
end

-- ---- X509Factory of the JDK ------------------------------------------------------------------

function framing.jdk(input)
  local text, plain = input.text, input.plain
  local size, at = #text, 1

  local function der()
    local length = kind.length(text:sub(at, at + 5))
    local first = at
    if not length or at + length - 1 > size then
      return failed("der", first)
    end
    at = at + length
    return { label = "", headers = "", der = text:sub(first, at - 1), at = first }
  end

  return function()
    if text:byte(at) == 0x30 then
      return der()
    end
    local start = text:sub(at, at + 4) == DASHES and at
    if not start then
      local before = text:find("[\r\n]%-%-%-%-%-", at)
      if not before then
        at = size + 1
        return nil
      end
      start = before + 1
    end
    if plain[start] then
      at = plain[start].last + 1
      return plain[start]
    end
    local head_end = text:find("[\r\n]", start + 5)
    if not head_end or head_end == size and text:byte(head_end) == 13 then
      return failed("end_missing", start)
    end
    -- After a lone CR the next byte belongs to the body, even if it is a dash.
    local lone = text:byte(head_end) == 13 and text:byte(head_end + 1) ~= 10
    local body = head_end + (text:byte(head_end) == 13 and not lone and 2 or 1)
    local dash = text:find("-", lone and body + 1 or body, true)
    if not dash then
      return failed("end_missing", start)
    end
    local foot_end = text:find(lone and "[\r\n]" or "\n", dash) or size + 1
    at = foot_end + 1
    local head = text:sub(start, trimmed(text, start, head_end - 1, "^[\t-\r\x1c- ]"))
    local foot = text:sub(dash, foot_end - 1):gsub("\r", "")
    foot = foot:sub(1, trimmed(foot, 1, #foot, "^[\t-\r\x1c- ]"))
    if #head < #BEGIN + #DASHES or head:sub(1, #BEGIN) ~= BEGIN or head:sub(-5) ~= DASHES then
      return failed("begin", start)
    elseif #foot < #END + #DASHES or foot:sub(1, #END) ~= END or foot:sub(-5) ~= DASHES
      or head:sub(#BEGIN + 1, -6) ~= foot:sub(#END + 1, -6) then
      return failed("end_wrong", start)
    end
    local bytes = input.decode(text:sub(body, dash - 1))
    if not bytes then
      return failed("base64", start)
    end
    return { label = head:sub(#BEGIN + 1, -6), headers = "", der = bytes, at = start }
  end
end

-- ---- PemReader of Netty ----------------------------------------------------------------------

local SPACE = "[ \t-\r]"

-- Whether the label from a position has the words, and the position of the dash that must follow it. Only between the
-- two words of PRIVATE KEY may a line end stand.
local function netty_label(text, first, words)
  local stop = text:find("[-\r\n]", first)
  if stop and text:byte(stop) == 0x2d then
    return text:sub(first, stop - 1):find(words) and stop
  end
  local head, tail = words:match "^(%a+)(%[.*)$"
  if not stop or not head then
    return nil
  end
  local last = trimmed(text, first, stop - 1, "^" .. SPACE)
  if last - #head + 1 >= first and text:sub(last - #head + 1, last) == head then
    local _, after = text:find("^" .. tail, last + 1)
    stop = after and text:find("[-\r\n]", after + 1)
    return stop and text:byte(stop) == 0x2d and stop
  end
end

-- A search for armour: where it begins, and where the white space ends that follows it.
local function netty_search(text, word, words)
  local pattern = "%-" .. word .. SPACE
  return function(at)
    while true do
      local start, last = text:find(pattern, at)
      if not start then
        return nil
      end
      local dash = netty_label(text, last + 1, words)
      if dash then
        local _, dashes = text:find("^%-+", dash)
        local _, stop = text:find("^" .. SPACE .. "*", dashes + 1)
        if word == "END" or stop > dashes then
          return start, stop, stop - dashes
        end
      end
      at = start + 1
    end
  end
end

function framing.netty(input, rules)
  local text, plain, at = input.text, input.plain, 1
  local head, foot = netty_search(text, "BEGIN", rules.words), netty_search(text, "END", rules.words)

  return function()
    local start, body, blanks = head(at)
    if not start then
      at = #text + 1
      return nil
    end
    local known = plain[start - 4]
    if known and text:find("^" .. SPACE, known.last + 1) == nil then
      at = known.last + 1
      return known
    elseif blanks > rules.most_blanks then
      return failed("stack", start)
    end
    local first, last = text:find("[A-Za-z0-9+/=][A-Za-z0-9+/=\r\n]*", body + 1)
    local _, stop
    if first then
      _, stop, blanks = foot(last + 1)
    end
    if not stop then
      at = #text + 1
      return nil
    elseif blanks > rules.most_blanks then
      return failed("stack", start)
    end
    at = stop + 1
    return { label = "", headers = "", der = input.decode(text:sub(first, last)), at = start }
  end
end

-- ---- the crate pem, of Python's cryptography -------------------------------------------------

-- Behind the next marker. After a byte that does not match, the search goes on behind that byte.
local function behind(text, at, marker)
  local first = marker:sub(1, 1)
  while true do
    at = text:find(first, at, true)
    if not at then
      return nil
    end
    local matched = 1
    while matched < #marker and text:byte(at + matched) == marker:byte(matched + 1) do
      matched = matched + 1
    end
    if matched == #marker then
      return at + matched
    end
    at = at + matched + 1
  end
end

function framing.cryptography(input)
  local text, plain, at = input.text, input.plain, 1

  local function block(start, label, payload, foot)
    for _, blank in ipairs { "\n\n", "\r\n\r\n" } do
      local after = behind(payload, 1, blank)
      if after then
        return start, label, foot, payload:sub(1, after - #blank - 1), payload:sub(after)
      end
    end
    return start, label, foot, "", payload
  end

  local function judged(start, label, foot, headers, body)
    if label == "" or label ~= foot then
      return failed("end_wrong", start)
    elseif not utf8.len(label) or not utf8.len(headers) then
      return failed("encoding", start)
    end
    for line in headers:gmatch "[^\n]+" do
      if not line:find(":", 1, true) then
        return failed("headers", start)
      end
    end
    local der = input.decode(body)
    if not der then
      return failed("base64", start)
    end
    return { label = label, headers = headers, der = der, at = start }
  end

  return function()
    local first = behind(text, at, BEGIN)
    local start = first and first - #BEGIN
    if first and plain[start] then
      at = plain[start].last + 1
      return plain[start]
    end
    local second = first and behind(text, first, DASHES)
    local body = second and text:find("[^ \t\r\n]", second) or #text + 1
    local third = second and behind(text, body, END)
    local fourth = third and behind(text, third, DASHES)
    if not fourth then
      at = #text + 1
      return nil
    end
    at = fourth
    return judged(block(start, text:sub(first, second - 6), text:sub(body, third - #END - 1),
      text:sub(third, fourth - 6)))
  end
end

return framing

--- PEM_read_bio, of OpenSSL and of BoringSSL.
-- @module tcpki.pem.framing.openssl

local search = require "tcpki.pem.framing.search"

local BEGIN, END, DASHES = search.BEGIN, search.END, search.DASHES
local MARK = "\xef\xbb\xbf"

-- The text in the pieces that BIO_gets gives: lines, and parts of those that are too long. Gives first and last
-- position without what counts as white space at the end, and whether it was cut off.
local function pieces(input, rules)
  local text = input.text
  local size, at = #text, 1
  local feed, nul = search.finder(text, "\n"), rules.nul == "ends a line" and search.finder(text, "\0")
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
    return first, search.trimmed(text, first, last, "^[\0-\x20\x80-\xff]"), cut
  end

  return self
end

local function before_nul(text)
  local nul = text:find("\0", 1, true)
  return nul and text:sub(1, nul - 1) or text
end

return function(input, rules)
  local text, plain = input.text, input.plain
  local piece, begin, colon = pieces(input, rules), search.finder(text, BEGIN), search.finder(text, ":")

  -- From BEGIN to END. What comes before the first empty line is headers, if there is such a line.
  local function block(start, label)
    local headers, body = {}, {}
    local into, data, short, cut_before, is_headers = headers, false, false, false, false
    while true do
      local first, last, cut = piece.next()
      if not first then
        return search.failed("end_missing", start)
      end
      local length, after_cut = last - first + 1, cut_before
      cut_before = cut
      is_headers = is_headers or rules.colon and not data and colon(first) <= last
      if length == 0 and not (data and rules.empty_line == "short line") then
        if not (after_cut and rules.after_cut == "ignored") then
          if data then
            return search.failed("blank", start)
          end
          data, into = true, body
        end
      elseif length >= #END and text:sub(first, first + #END - 1) == END then
        if text:sub(first + #END, last) ~= label .. DASHES then
          return search.failed("end_wrong", start)
        end
        if not data and not is_headers then
          headers, body = {}, headers
        end
        break
      elseif short then
        return search.failed("short", start)
      else
        into[#into + 1] = before_nul(text:sub(first, last) .. "\n")
        if data then
          if length > 64 then
            return search.failed("wide", start)
          end
          short = length < 64
        end
      end
    end
    body = table.concat(body)
    local der = body == "" and "" or input.decode(body)
    if not der then
      return search.failed("base64", start)
    elseif der == "" then
      return search.failed("no_data", start)
    end
    return { label = label, headers = table.concat(headers), der = der, at = start }
  end

  return function()
    local fresh = rules.byte_order_mark == "dropped"
    while begin(piece.position()) ~= search.NOWHERE do
      local known = plain[piece.position()]
      if known then
        piece.skip(known.last + 1)
        return known
      end
      local first, last = piece.next()
      if not first then
        return search.failed("nul", piece.begun())
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

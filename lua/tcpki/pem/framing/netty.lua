--- PemReader of Netty: three regular expressions.
-- @module tcpki.pem.framing.netty

local search = require "tcpki.pem.framing.search"

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
  local last = search.trimmed(text, first, stop - 1, "^" .. SPACE)
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

return function(input, rules)
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
      return search.failed("stack", start)
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
      return search.failed("stack", start)
    end
    at = stop + 1
    return { label = "", headers = "", der = input.decode(text:sub(first, last)), at = start }
  end
end

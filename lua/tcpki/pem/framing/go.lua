--- encoding/pem of Go.
-- @module tcpki.pem.framing.go

local search = require "tcpki.pem.framing.search"

local BEGIN, END, DASHES = search.BEGIN, search.END, search.DASHES

return function(input)
  local text, plain = input.text, input.plain
  local size, rest = #text, 1
  local begin, stop, colon = search.finder(text, BEGIN), search.finder(text, "\n" .. END), search.finder(text, ":")
  local run_first, run_next = search.NOWHERE, 0

  -- The last byte of a line without its line end and blanks, and where the next line begins.
  local function line(at)
    local feed = text:find("\n", at, true) or size + 1
    local last = feed - 1
    if feed <= size and text:byte(last) == 13 and last >= at then
      last = last - 1
    end
    return search.trimmed(text, at, last, "^[ \t]"), math.min(feed, size) + 1
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
      if stop_at == search.NOWHERE then
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

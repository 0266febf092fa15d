--- The PEM of rustls-pki-types.
-- @module tcpki.pem.framing.rustls

local search = require "tcpki.pem.framing.search"

local BEGIN, END, DASHES = search.BEGIN, search.END, search.DASHES

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

return function(input, rules)
  local text, plain = input.text, input.plain
  local begin, stop, at = search.finder(text, BEGIN), search.finder(text, END), 1

  -- The next armour at the start of a line, and the last byte of that line.
  local function armour()
    while true do
      local found = math.min(begin(at), stop(at))
      if found == search.NOWHERE then
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
          return search.failed("end_missing", start)
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
          return search.failed("begin", first)
        end
        at = last + 1
      elseif label and last - first + 1 >= #END + #label + #DASHES
        and text:sub(first, first + #END + #label + #DASHES - 1) == END .. label .. DASHES then
        at = last + 1
        if rules.known[label] then
          body[#body + 1] = text:sub(body_first, first - 1)
          local der = input.decode(table.concat(body))
          if not der then
            return search.failed("base64", start)
          end
          return { label = label, headers = "", der = der, at = start }
        end
        label, body = nil, {}
      end
    end
  end
end

--- What the ways of finding blocks have alike.
-- @module tcpki.pem.framing.search

local search = { BEGIN = "-----BEGIN ", END = "-----END ", DASHES = "-----", NOWHERE = math.maxinteger }

--- A search for a string from growing positions, which remembers what it found.
function search.finder(text, wanted)
  local found = 0
  return function(at)
    if found < at then
      found = text:find(wanted, at, true) or search.NOWHERE
    end
    return found
  end
end

--- The last position of a range where no byte of the class stands, or the one before the range.
function search.trimmed(text, first, last, class)
  while last >= first and text:find(class, last) == last do
    last = last - 1
  end
  return last
end

--- What a way of framing gives where it finds a fault.
function search.failed(code, at)
  return nil, { code = code, at = at }
end

return search

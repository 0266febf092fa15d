--- The crate pem, of Python's cryptography.
-- @module tcpki.pem.framing.cryptography

local search = require "tcpki.pem.framing.search"

local BEGIN, END, DASHES = search.BEGIN, search.END, search.DASHES

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

return function(input)
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
      return search.failed("end_wrong", start)
    elseif not utf8.len(label) or not utf8.len(headers) then
      return search.failed("encoding", start)
    end
    for line in headers:gmatch "[^\n]+" do
      if not line:find(":", 1, true) then
        return search.failed("headers", start)
      end
    end
    local der = input.decode(body)
    if not der then
      return search.failed("base64", start)
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

--- X509Factory of the JDK.
-- @module tcpki.pem.framing.jdk

local kind = require "tcpki.pem.kind"
local search = require "tcpki.pem.framing.search"

local BEGIN, END, DASHES = search.BEGIN, search.END, search.DASHES

return function(input)
  local text, plain = input.text, input.plain
  local size, at = #text, 1

  local function der()
    local length = kind.length(text:sub(at, at + 5))
    local first = at
    if not length or at + length - 1 > size then
      return search.failed("der", first)
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
      return search.failed("end_missing", start)
    end
    -- After a lone CR the next byte belongs to the body, even if it is a dash.
    local lone = text:byte(head_end) == 13 and text:byte(head_end + 1) ~= 10
    local body = head_end + (text:byte(head_end) == 13 and not lone and 2 or 1)
    local dash = text:find("-", lone and body + 1 or body, true)
    if not dash then
      return search.failed("end_missing", start)
    end
    local foot_end = text:find(lone and "[\r\n]" or "\n", dash) or size + 1
    at = foot_end + 1
    local head = text:sub(start, search.trimmed(text, start, head_end - 1, "^[\t-\r\x1c- ]"))
    local foot = text:sub(dash, foot_end - 1):gsub("\r", "")
    foot = foot:sub(1, search.trimmed(foot, 1, #foot, "^[\t-\r\x1c- ]"))
    if #head < #BEGIN + #DASHES or head:sub(1, #BEGIN) ~= BEGIN or head:sub(-5) ~= DASHES then
      return search.failed("begin", start)
    elseif #foot < #END + #DASHES or foot:sub(1, #END) ~= END or foot:sub(-5) ~= DASHES
      or head:sub(#BEGIN + 1, -6) ~= foot:sub(#END + 1, -6) then
      return search.failed("end_wrong", start)
    end
    local bytes = input.decode(text:sub(body, dash - 1))
    if not bytes then
      return search.failed("base64", start)
    end
    return { label = head:sub(#BEGIN + 1, -6), headers = "", der = bytes, at = start }
  end
end

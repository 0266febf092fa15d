--- Where to connect: `host:port`, as Temporal clients write it.
-- @module tcpki.probe.address

local address = {}

--- The port of a Temporal frontend, for an address that names none.
address.default_port = 7233

local function refuse(message, hint)
  return nil, message, hint
end

local function port_of(text, host)
  if text == "" then return address.default_port end
  local digits = text:match "^:(%d+)$"
  local port = digits and #digits <= 5 and tonumber(digits)
  if port and port >= 1 and port <= 65535 then return port end
  return refuse(("the port in %q is not a number from 1 to 65535"):format(host .. text),
    ("write %s:%d"):format(host, address.default_port))
end

-- What is wrong with a text as a whole, before it is taken apart.
local function fault(text)
  if text == "" then
    return "the address is empty", "write host:port, such as namespace.account.tmprl.cloud:7233"
  end
  local scheme, rest = text:match "^(%a[%w+.-]*)://+([^/]*)"
  if not scheme then scheme, rest = text:match "^(%a[%w+.-]*):/*(.-:%d+)$" end
  if scheme and rest then
    return ("the address has a scheme, %s:"):format(scheme),
      ("write %s"):format(rest ~= "" and rest or "host:port")
  end
  if text:find "%s" then
    return "the address contains white space", ("write %s"):format((text:gsub("%s+", "")))
  end
  if text:find "[/?#]" then
    return "the address has a path", ("write %s"):format((text:match "^[^/?#]*"))
  end
  if text:find "@" then
    return "the address contains @", "write host:port, without a user"
  end
  if text:find "[^%g]" then
    return "the address contains characters that no host name has",
      "write an international name in its ASCII form (xn--...)"
  end
end

local function parse_ipv6(text)
  local host, rest = text:match "^%[([^%]]*)%](.*)$"
  if not host then return refuse("the address has a [ without its ]", "write [::1]:7233") end
  if not host:find "^[%x:.]+%%?[%w._-]*$" or not host:find ":" then
    return refuse(("[%s] is no IPv6 address"):format(host), "write [::1]:7233")
  end
  local port, message, hint = port_of(rest, "[" .. host .. "]")
  if not port then return nil, message, hint end
  return { host = host, port = port, text = ("[%s]:%d"):format(host, port) }
end

--- Takes an address apart.
-- @tparam string text `host`, `host:port`, `[ipv6]` or `[ipv6]:port`
-- @treturn[1] table `host` (string, without brackets), `port` (integer), `text` (host:port)
-- @treturn[2] nil
-- @treturn[2] string what is wrong
-- @treturn[2] string what to write instead
function address.parse(text)
  if text:find "^%[" then
    if text:find "[^%g]" then
      return refuse("the address contains white space", "write [::1]:7233")
    end
    return parse_ipv6(text)
  end
  if select(2, text:gsub(":", "")) > 1 and text:find "^[%x:.]+$" then
    return refuse("an IPv6 address without brackets: its port cannot be told",
      ("write [%s]:%d"):format(text, address.default_port))
  end
  local message, hint = fault(text)
  if message then return refuse(message, hint) end
  local host, rest = text:match "^([^:]*)(.*)$"
  if host == "" then
    return refuse("the address has no host", ("write localhost%s"):format(rest))
  end
  if not host:find "^[%w._-]+$" then
    return refuse(("%q is no host name"):format(host), "write host:port")
  end
  local port
  port, message, hint = port_of(rest, host)
  if not port then return nil, message, hint end
  return { host = host, port = port, text = ("%s:%d"):format(host, port) }
end

-- ---- numeric ones ----

local function is_ipv4(text)
  local count = 0
  for part in text:gmatch "[^.]+" do
    count = count + 1
    if not part:find "^%d%d?%d?$" or tonumber(part) > 255 then return false end
  end
  return count == 4 and text:find "^%d+%.%d+%.%d+%.%d+$" ~= nil
end

-- The groups of a part of an IPv6 address; nil where one is none. The last may be an IPv4 address, which is two.
local function groups_of(part, is_last)
  local count, rest = 0, part
  if is_last and rest:find "[%d.]+%.[%d.]+$" then
    if not is_ipv4(rest:match "[^:]*$") then return nil end
    count, rest = 2, rest:gsub(":?[^:]*$", "")
  end
  if rest == "" then return count end
  for group in (rest .. ":"):gmatch "([^:]*):" do
    if not group:find "^%x%x?%x?%x?$" then return nil end
    count = count + 1
  end
  return count
end

-- RFC 4291, 2.2; a link-local address may name its interface behind a % (RFC 4007, 11).
local function is_ipv6(text)
  local digits = text:gsub("%%[%w._-]+$", "")
  local before, after = digits:match "^(.-)::(.*)$"
  if not before then return groups_of(digits, true) == 8 end
  local one, other = groups_of(before, false), groups_of(after, true)
  return one ~= nil and other ~= nil and one + other <= 7
end

--- Takes a numeric address apart: `192.0.2.1`, `192.0.2.1:7233`, `2001:db8::1`, `[2001:db8::1]:7233`.
-- @tparam string text
-- @treturn ?table `text` (without brackets), `ipv6` (boolean), `port` (where it names one); nil where it is none
function address.parse_numeric(text)
  local host, port = text, nil
  if text:find "^%[" or is_ipv4(text:match "^[^:]*") then
    local where = address.parse(text)
    if not where then return nil end
    host = where.host
    port = text:find("[%d%]]:%d+$") and where.port or nil
  end
  if is_ipv4(host) then return { text = host, ipv6 = false, port = port } end
  return is_ipv6(host) and { text = host, ipv6 = true, port = port } or nil
end

--- A numeric address as gRPC core's URI.
-- @tparam string text numeric address, with the zone of a link-local one
-- @tparam boolean ipv6
-- @tparam integer port
-- @treturn string
function address.target(text, ipv6, port)
  if not ipv6 then return ("ipv4:%s:%d"):format(text, port) end
  return ("ipv6:[%s]:%d"):format((text:gsub("%%", "%%%%25")), port)
end

--- A numeric address and port as people write it.
-- @tparam string text
-- @tparam boolean ipv6
-- @tparam integer port
-- @treturn string
function address.join(text, ipv6, port)
  return (ipv6 and "[%s]:%d" or "%s:%d"):format(text, port)
end

return address

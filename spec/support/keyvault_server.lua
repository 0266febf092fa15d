-- The stand-in for a vault as a server of its own, over HTTPS: one connection, one request at a time.
--
--   lua5.4 spec/support/keyvault_server.lua DIRECTORY
--
-- DIRECTORY holds server.pem and server.key. Says `URL https://localhost:PORT`, then one line a request, and ends when
-- its standard input does.

local socket = require "socket"
local ssl = require "ssl"
local stand_in = require("spec.support.keyvault").stand_in

local directory = arg[1]

local place = {}
function place.path(_, name) return directory .. "/" .. name end
local counter = 0
function place:file(name, text)
  counter = counter + 1
  local path = self:path(name or "file" .. counter)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  return path
end

local listener = assert(socket.bind("127.0.0.1", 0))
local _, port = listener:getsockname()
local vault = stand_in(place)
vault.url = ("https://localhost:%d"):format(port)

local context = assert(ssl.newcontext { mode = "server", protocol = "any", options = { "all", "no_sslv3" },
  certificate = directory .. "/server.pem", key = directory .. "/server.key" })

local reasons = { [200] = "OK", [201] = "Created", [202] = "Accepted" }

local function read_request(connection)
  local first = connection:receive "*l"
  local method, path = (first or ""):match "^(%u+) (%S+) HTTP/1.1$"
  if not method then return nil end
  local headers = {}
  for line in function() return connection:receive "*l" end do
    local name, value = line:match "^([^:]+):%s*(.*)$"
    if not name then break end
    headers[name:lower()] = value
  end
  local length = tonumber(headers["content-length"])
  return { method = method, url = vault.url .. path, headers = { Authorization = headers.authorization },
    body = length and length > 0 and connection:receive(length) or nil }
end

-- The SDKs ask without a token first, and read from the refusal whose token is wanted.
local CHALLENGE = 'WWW-Authenticate: Bearer authorization="https://login.microsoftonline.com/0", '
  .. 'resource="https://vault.azure.net"\r\n'

local function serve(connection)
  local request = read_request(connection)
  if not request then return end
  local body = request.headers.Authorization and request.body or ""
  io.stdout:write(request.method, " ", request.url:sub(#vault.url + 1), " ", (body:gsub("\n", " ")), "\n"):flush()
  local response = vault.transport(request)
  connection:send(("HTTP/1.1 %d %s\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n"
    .. "Connection: close\r\n\r\n%s"):format(response.status, reasons[response.status] or "Refused",
    response.status == 401 and CHALLENGE or "", #response.body, response.body))
end

io.stdout:write("URL ", vault.url, "\n"):flush()
-- Ends with its parent: a read of standard input that returns is the sign.
listener:settimeout(0.2)
local input = { getfd = function() return 0 end, dirty = function() return false end }
while #socket.select({ input }, nil, 0) == 0 do
  local plain = listener:accept()
  if plain then
    plain:settimeout(10)
    local connection = ssl.wrap(plain, context)
    if connection and connection:dohandshake() then serve(connection) end
    if connection then connection:close() end
  end
end

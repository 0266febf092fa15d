--- A directory of certificates, and a frontend in a process of its own that asks for them.

local tcpki = require "tcpki"

local party = {}

local NAMESPACE = "payments.a1b2c"

local function shell(...)
  return assert(io.popen(string.format(...))):read "l"
end

--- @treturn table `address`, `port`, `server_name`, `namespace`, `files` (ca, certificate, key),
-- the same three as text, `stranger` with a certificate and a key that the frontend refuses (in `files`
-- as strange_certificate and strange_key), and `close()`
function party.start(lua)
  local directory = shell "mktemp -d"
  local ca = assert(tcpki.authority.new { subject = { CN = "Bench CA" } })
  local server = assert(ca:issue {
    common_name = "localhost", usage = "server", subject_alt_names = { "localhost" },
  })
  local client = assert(ca:issue { common_name = "worker", usage = "client" })
  local stranger = assert(tcpki.authority.new { subject = { CN = "Another CA" } }):issue {
    common_name = "worker", usage = "client",
  }
  local self = {
    address = "127.0.0.1", server_name = "localhost", namespace = NAMESPACE,
    roots = ca.certificate:pem(), certificate = client.chain:pem(), key = client.key:pem(),
    stranger = { certificate = stranger.chain:pem(), key = stranger.key:pem() },
    files = {
      ca = directory .. "/ca.pem", certificate = directory .. "/client.pem",
      key = directory .. "/client.key", strange_certificate = directory .. "/stranger.pem",
      strange_key = directory .. "/stranger.key",
    },
  }
  assert(ca.certificate:write(self.files.ca))
  assert(client:write(self.files.key, self.files.certificate))
  assert(stranger:write(self.files.strange_key, self.files.strange_certificate))
  assert(server:write(directory .. "/server.key", directory .. "/server.pem"))
  -- It ends when its input does, and so with us, however that comes about.
  local command = ("%s bench/frontend.lua %s %s"):format(lua, directory, NAMESPACE)
  local child = assert(io.popen(command, "w"))
  for _ = 1, 200 do
    local file = io.open(directory .. "/port")
    self.port = file and file:read "l"
    if file then file:close() end
    if self.port then break end
    os.execute "sleep 0.05"
  end
  assert(self.port, "the frontend did not start")
  function self.close()
    child:close()
    os.execute("rm -rf " .. directory)
  end
  return self
end

return party

-- frontend.lua DIRECTORY NAMESPACE: serves until its input ends.

local probe = require "tcpki.probe"

local directory, namespace = arg[1], arg[2]
local frontend = assert(probe.frontend {
  certificate_path = directory .. "/server.pem", key_path = directory .. "/server.key",
  client_ca_path = directory .. "/ca.pem", namespaces = { namespace },
})
local file = assert(io.open(directory .. "/port.new", "w"))
file:write(frontend:port(), "\n")
file:close()
assert(os.rename(directory .. "/port.new", directory .. "/port"))
io.read "a"
frontend:close()

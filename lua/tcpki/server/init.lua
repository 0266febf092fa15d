--- A Temporal server of your own: its TLS configuration made and checked as the server checks it, the certificates of a
-- whole cluster, and their rotation while it runs.
--
--     local server = require "tcpki.server"
--     print(assert(server.check "/etc/temporal/config.yaml"))
--     local tls = assert(server.tls { frontend = { server = { certificate_file = "frontend.pem", … } } })
--     assert(tls:write "tls.yaml")
--
-- A room is loaded when it is first used.
-- @module tcpki.server

-- Functions by the room that they live in.
local functions = {
  check = { "tcpki.server.check", "check" },
  check_environment = { "tcpki.server.environment", "check" },
  check_text = { "tcpki.server.check", "check_text" },
  client_only = { "tcpki.server.client_only", "client_only" },
  cluster = { "tcpki.server.cluster", "cluster" },
  rotate = { "tcpki.server.rotate", "rotate" },
  tls = { "tcpki.server.tls", "tls" },
}

local rooms = { layouts = "tcpki.server.layouts" }

return setmetatable({}, {
  __name = "tcpki.server",
  __index = function(server, name)
    local value
    if rooms[name] then
      value = require(rooms[name])
    elseif functions[name] then
      value = require(functions[name][1])[functions[name][2]]
    end
    server[name] = value
    return value
  end,
})

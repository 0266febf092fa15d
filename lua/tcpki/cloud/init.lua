--- Temporal Cloud: every rule before the upload, filters simulated, accepted CAs rotated without a gap.
--
--     local cloud = require "tcpki.cloud"
--     print(cloud.check_bundle(tcpki.bundle.read "ca-bundle.pem"))
--     print(cloud.check_client { chain_path = "payments.pem", key_path = "payments.key",
--       accepted_path = "ca-bundle.pem", namespace = "payments.a1b2c" })
--
-- Nothing here calls the Cloud. A room is loaded when it is first used.
-- @module tcpki.cloud

local rooms = {
  accepted = "tcpki.cloud.accepted",
  commands = "tcpki.cloud.commands",
  filters = "tcpki.cloud.filters",
  rotation = "tcpki.cloud.rotation",
  rules = "tcpki.cloud.rules",
}

-- Functions that live in a room without a name of its own here.
local functions = {
  authority = { "tcpki.cloud.issue", "authority" },
  check_bundle = { "tcpki.cloud.check.bundle" },
  check_client = { "tcpki.cloud.check.client", "one" },
  check_clients = { "tcpki.cloud.check.client", "many" },
  client = { "tcpki.cloud.issue", "client" },
  endpoint = { "tcpki.cloud.endpoint" },
}

return setmetatable({}, {
  __name = "tcpki.cloud",
  __index = function(cloud, name)
    local value
    if rooms[name] then
      value = require(rooms[name])
    elseif functions[name] then
      local room = require(functions[name][1])
      value = functions[name][2] and room[functions[name][2]] or room
    else
      return nil
    end
    cloud[name] = value
    return value
  end,
})

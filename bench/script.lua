-- What a user's script is: one probe, and its exit code. Without arguments it only loads.
local probe = require "tcpki.probe"

if arg[1] then
  local result = probe.run {
    address = arg[1], server_name = arg[2], namespace = arg[3], server_ca_path = arg[4],
    certificate_path = arg[5], key_path = arg[6],
  }
  print(result)
  os.exit(result.ok)
end

-- The CAs of a Temporal cluster, moved to new ones while it runs:
--
--   lua5.4 examples/temporal_rotation.lua DIRECTORY ADDRESS               -- as far as nobody has to change
--   lua5.4 examples/temporal_rotation.lua DIRECTORY ADDRESS withdraw      -- once all clients show the new certificates
--
-- DIRECTORY is what server.cluster wrote (see temporal_cluster.lua), ADDRESS the frontend of the server that runs on
-- it. It can be stopped at any moment and run again. Without arguments it makes a cluster of its own, with the
-- embedded frontend in the place of the server.

local probe = require "tcpki.probe"
local server = require "tcpki.server"

local function must(value, err)
  if not value then
    io.stderr:write(tostring(err), "\n")
    os.exit(1)
  end
  return value
end

if arg[2] then
  -- Here the directory would be brought to the server, where that reads another one.
  local function publish(step)
    print("  " .. step.title)
    return true
  end
  print(must(server.rotate { directory = arg[1], address = arg[2], withdraw = arg[3] == "withdraw",
    publish = publish }))
  os.exit(true)
end

if arg[1] then
  io.stderr:write "usage: temporal_rotation.lua DIRECTORY ADDRESS [withdraw]\n"
  os.exit(2)
end

local directory = assert(io.popen "mktemp -d"):read "l"
local path = directory .. "/temporal"
must(must(server.cluster { hosts = { "temporal.acme.example" }, clients = { "payments" } }):write(path))

local function content(name)
  local file = assert(io.open(path .. "/" .. name))
  local text = file:read "a"
  file:close()
  return text
end

-- The frontend reads what the server would read: its certificate and key, and the two slots of the clients' CA. A real
-- server looks at them by itself; this one is told to.
local function files()
  return { certificate = content "certs/frontend.pem", key = content "certs/frontend.key",
    client_ca = content "certs/client-ca-1.pem" .. content "certs/client-ca-2.pem" }
end

local frontend <close> = must(probe.frontend(files()))
local function publish(step)
  print("  " .. step.title)
  return frontend:reload(files())
end

local function show(before)
  print(("\n%s:"):format(before))
  print(probe.run { address = frontend:address(), server_name = "temporal.acme.example",
    certificate_path = path .. "/clients/payments/client.pem", key_path = path .. "/clients/payments/client.key",
    server_ca_path = path .. "/clients/payments/server-ca.pem" })
end

show "a client of the old CA"
print "\nthe next CAs come in:"
local given = { directory = path, address = frontend:address(), publish = publish, refresh_interval = 1 }
print(must(server.rotate(given)))
show "the same client, which has a certificate of the new CA by now"

print "\nall clients show their new certificates; the old CAs go:"
given.withdraw = true
local rotation = must(server.rotate(given))
print(rotation)
show "the client, at the end"
os.execute(("rm -r '%s'"):format(directory))
os.exit(rotation.done, true)

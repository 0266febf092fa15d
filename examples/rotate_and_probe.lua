-- A whole rotation of the CA of your workers, in front of a Temporal frontend with mutual TLS:
--
--   lua5.4 examples/rotate_and_probe.lua
--
-- The frontend is the embedded one; against your own, replace its address in `check`, and give the new
-- bundle to your server where `reload` stands. Everything is written to a directory of its own, which is
-- removed at the end.

local tcpki = require "tcpki"
local probe = require "tcpki.probe"

local directory = assert(io.popen "mktemp -d"):read "l"
local function path(name)
  return directory .. "/" .. name
end

local step = 0
local function say(...)
  step = step + 1
  print(("\n%d. "):format(step) .. string.format(...))
end

-- The certificate that the frontend shows: workers check it against server-ca.pem.
local server_ca = assert(tcpki.authority.new { subject = { O = "Acme", CN = "Acme Server CA" } })
local server = assert(server_ca:issue { common_name = "localhost", usage = "server",
  subject_alt_names = { "localhost" } })
assert(server_ca.certificate:write(path "server-ca.pem"))

local failures = 0

-- One probe with the files of a worker; `expected` is the cause that this step of a rotation wants.
local function check(address, name, expected)
  local result = probe.run {
    address = address,
    server_name = "localhost",
    namespace = "payments",
    certificate_path = path(name .. ".pem"),
    key_path = path(name .. ".key"),
    server_ca_path = path "server-ca.pem",
  }
  print(("\n   probe with %s.pem"):format(name))
  print((tostring(result):gsub("[^\n]+", "   | %0")))
  if result.cause ~= expected then
    failures = failures + 1
    print(("   ! expected %s"):format(expected))
  end
end

say "Make a CA for the workers, and the certificate of one of them."
local old_ca = assert(tcpki.authority.new { subject = { O = "Acme", CN = "Acme Worker CA 2026" }, days = 365 })
local old = assert(old_ca:issue { common_name = "payments-worker", usage = "client", days = 90 })
assert(old:write(path "old.key", path "old.pem"))
print("   " .. tostring(old_ca.certificate))
print("   " .. tostring(old.certificate))

say "The frontend accepts this CA: the worker is let in."
local frontend <close> = assert(probe.frontend {
  certificate = server.chain,
  key = server.key,
  client_ca = tcpki.bundle.new { old_ca.certificate },
  namespaces = { "payments" },
})
check(frontend:address(), "old", "ok")

say "Make the next CA, and a new certificate for the worker."
local new_ca = assert(tcpki.authority.new { subject = { O = "Acme", CN = "Acme Worker CA 2027" }, days = 365 })
local new = assert(new_ca:issue { common_name = "payments-worker", usage = "client", days = 90 })
assert(new:write(path "new.key", path "new.pem"))
print("   " .. tostring(new_ca.certificate))

say "Too early: the frontend does not know the new CA yet."
check(frontend:address(), "new", "client_ca_unknown")

say "Overlap: the frontend accepts both, so no worker is refused while they change over."
assert(frontend:reload { client_ca = tcpki.bundle.new { old_ca.certificate, new_ca.certificate } })
check(frontend:address(), "old", "ok")
check(frontend:address(), "new", "ok")

say "The old CA is removed: the new certificate is let in, the old one is refused."
assert(frontend:reload { client_ca = tcpki.bundle.new { new_ca.certificate } })
check(frontend:address(), "new", "ok")
check(frontend:address(), "old", "client_ca_unknown")

os.execute(("rm -r '%s'"):format(directory))
print(failures == 0 and "\nEvery step went as it should." or ("\n%d steps did not go as they should."):format(failures))
os.exit(failures == 0, true)

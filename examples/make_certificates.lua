-- A CA and the certificate of a worker, in the current directory:
--
--   lua5.4 examples/make_certificates.lua
--
-- ca.key and ca.pem stay with you; payments.key and payments.pem go to the worker; ca-bundle.pem goes to
-- Temporal. Run again, it says what is there already and changes nothing.

local tcpki = require "tcpki"

local ca = assert(tcpki.authority.new { subject = { CN = "Acme Temporal CA", O = "Acme" }, days = 3650 })
local leaf = assert(ca:issue { common_name = "payments.a1b2c", usage = "client", days = 90 })

local function write(ok, err)
  if not ok then
    io.stderr:write(tostring(err), "\n")
    os.exit(1)
  end
end

write(ca.key:write "ca.key")
write(ca.certificate:write "ca.pem")
write(leaf:write("payments.key", "payments.pem"))
write(tcpki.bundle.new({ ca.certificate }):write "ca-bundle.pem")

write(leaf.chain:verify { roots = { ca.certificate }, purpose = "client" })
print(("%s, valid for %d days"):format(leaf.certificate:subject(), leaf.certificate:expires_in() // 86400))

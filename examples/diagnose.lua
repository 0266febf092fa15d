-- Why does this worker not connect?
--
--   lua5.4 examples/diagnose.lua payments.a1b2c.tmprl.cloud:7233
--   lua5.4 examples/diagnose.lua payments.a1b2c.tmprl.cloud:7233 payments.pem payments.key [server-ca.pem]
--
-- What is not given is taken from the variables of the Temporal SDKs: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE,
-- TEMPORAL_TLS_CLIENT_CERT_PATH, TEMPORAL_TLS_CLIENT_KEY_PATH, TEMPORAL_TLS_SERVER_CA_CERT_PATH (each of the three also
-- as _DATA) and TEMPORAL_TLS_SERVER_NAME. Run it where the worker runs, as its user.
--
-- Connects, and says what is so and what to do. Where the certificate is let in, it also proves that the server would
-- refuse others. Exits with 0 where all is well, with 1 where not, with 2 where it does not know what to do.

local environment = require "tcpki.probe.environment"
local probe = require "tcpki.probe"
local report = require "tcpki.report"

local columns = tonumber(os.getenv "COLUMNS") or 0 -- 0 where the terminal did not say
report.columns = columns >= 40 and columns or 80

local settings, remarks = environment.read()
local given_address, given_certificate, given_key, given_server_ca = table.unpack(arg, 1, 4)

settings.address = given_address or settings.address
if not settings.address or #arg > 4 or #arg == 2 or settings.address:find "^%-" then
  io.stderr:write("usage: diagnose.lua HOST:PORT [CERTIFICATE KEY [SERVER_CA]]\n",
    "  What is not given is taken from TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE,\n",
    "  TEMPORAL_TLS_CLIENT_CERT_PATH and the other variables of the Temporal SDKs.\n")
  os.exit(2)
end
if given_certificate then
  settings.certificate, settings.certificate_path = nil, given_certificate
  settings.key, settings.key_path = nil, given_key
end
if given_server_ca then
  settings.server_ca, settings.server_ca_path = nil, given_server_ca
end

-- Of the variables there is nothing to say where the certificate is not taken from them.
if #remarks > 0 and not given_certificate then
  print "The variables of this process:"
  print((tostring(remarks):gsub("[^\n]+", "  %0")))
  print()
end

local has_certificate = settings.certificate or settings.certificate_path
local result = (has_certificate and probe.verify or probe.run)(settings)
print(result)
os.exit(result.ok and (given_certificate ~= nil or remarks.ok))

-- After a rotation, from cron or CI: is this worker's certificate let in?
--
--   TEMPORAL_ADDRESS=payments.a1b2c.tmprl.cloud:7233 TEMPORAL_NAMESPACE=payments.a1b2c \
--   TEMPORAL_TLS_CLIENT_CERT_PATH=payments.pem TEMPORAL_TLS_CLIENT_KEY_PATH=payments.key \
--     lua5.4 examples/smoke_test.lua
--
-- The variables are those of the Temporal SDKs. Exits with 0 where the server authenticated the client and
-- the namespace is there, with 1 where not, with 2 where a variable is missing. Where it fails, diagnose.lua
-- looks closer.

local environment = require "tcpki.probe.environment"
local probe = require "tcpki.probe"

local settings = environment.read()
if not settings.address or not (settings.certificate or settings.certificate_path) then
  io.stderr:write "TEMPORAL_ADDRESS, TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH must be set\n"
  os.exit(2)
end

local result = probe.run(settings)
print(result)
os.exit(result.ok)

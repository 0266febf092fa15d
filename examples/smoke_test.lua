-- After a rotation, from cron or CI: is this worker's certificate let in?
--
--   TEMPORAL_ADDRESS=payments.a1b2c.tmprl.cloud:7233 TEMPORAL_NAMESPACE=payments.a1b2c \
--   TEMPORAL_TLS_CLIENT_CERT_PATH=payments.pem TEMPORAL_TLS_CLIENT_KEY_PATH=payments.key \
--     lua5.4 examples/smoke_test.lua
--
-- The variables are those of the Temporal SDKs. Exits with 0 where the server authenticated the client and
-- the namespace is there, with 1 where not, with 2 where a variable is missing.

local probe = require "tcpki.probe"

local function environment(name, needed)
  local value = os.getenv(name)
  if needed and not value then
    io.stderr:write(("%s is not set\n"):format(name))
    os.exit(2)
  end
  return value
end

local result = probe.run {
  address = environment("TEMPORAL_ADDRESS", true),
  namespace = environment "TEMPORAL_NAMESPACE",
  certificate_path = environment("TEMPORAL_TLS_CLIENT_CERT_PATH", true),
  key_path = environment("TEMPORAL_TLS_CLIENT_KEY_PATH", true),
  server_ca_path = environment "TEMPORAL_TLS_SERVER_CA_CERT_PATH",
  server_name = environment "TEMPORAL_TLS_SERVER_NAME",
}

print(result)
os.exit(result.ok)

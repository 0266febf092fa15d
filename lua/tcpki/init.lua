--- Certificates for Temporal: made, checked and proven.
--
-- The one contract: a mistake in the program (a wrong type, an unknown option, a closed object)
-- throws; what the world can cause returns `nil, fault`, a table with `code`, `message`, `hint` and,
-- where they exist, `path`, `line`, `column`, `depth`, `subject` and `openssl`, that prints well.
--
-- A room is loaded when it is first used.
-- @module tcpki

local rooms = {
  authority = "tcpki.authority",
  bundle = "tcpki.bundle",
  certificate = "tcpki.certificate",
  certstrap = "tcpki.certstrap",
  chain = "tcpki.chain",
  cloud = "tcpki.cloud",
  crl = "tcpki.crl",
  csr = "tcpki.csr",
  fault = "tcpki.fault",
  file = "tcpki.file",
  istio = "tcpki.istio",
  keyvault = "tcpki.keyvault",
  key = "tcpki.key",
  lock = "tcpki.lock",
  pem = "tcpki.pem",
  pkcs12 = "tcpki.pkcs12",
  probe = "tcpki.probe",
  server = "tcpki.server",
}

return setmetatable({}, {
  __name = "tcpki",
  __index = function(tcpki, name)
    local room = rooms[name]
    if room then
      tcpki[name] = require(room)
      return tcpki[name]
    end
  end,
})

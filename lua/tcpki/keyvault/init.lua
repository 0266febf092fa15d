--- Azure Key Vault: a policy is made, the vault gives a CSR, our CA signs it, the result is merged or imported, and
-- the secret is fetched and turned into what a worker reads.
--
--     local keyvault = require "tcpki.keyvault"
--     local vault = keyvault.client{ vault = "acme-workers", transport = transport, token = token }
--     local policy = keyvault.policy{ subject = "CN=payments.a1b2c", usage = "client", content_type = "pem" }
--     local operation = assert(vault:create("payments", policy))
--     local leaf = assert(ca:sign(assert(operation:csr()), { usage = "requested", days = 365 }))
--     assert(vault:merge("payments", leaf.chain))
--     local secret = assert(vault:secret "payments")
--     assert(secret:write("payments.key", "payments.pem"))
--
-- HTTP is not ours: bodies, paths and commands are. The client takes a function that sends a request, so that any
-- library fits, and without one `commands` says what `az` and `curl` are to be told.
-- @module tcpki.keyvault

local rooms = {
  client = "tcpki.keyvault.client",
  commands = "tcpki.keyvault.commands",
  csr = "tcpki.keyvault.csr",
  import_body = "tcpki.keyvault.import",
  merge_body = "tcpki.keyvault.merge",
  policy = "tcpki.keyvault.policy",
  secret = "tcpki.keyvault.secret",
}

return setmetatable({}, {
  __name = "tcpki.keyvault",
  __index = function(keyvault, name)
    local room = rooms[name]
    if room then
      keyvault[name] = require(room)
      return keyvault[name]
    end
  end,
})

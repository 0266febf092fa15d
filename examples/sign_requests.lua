-- An authority in two levels that signs what others ask for, and takes it back:
--
--   lua5.4 examples/sign_requests.lua

local tcpki = require "tcpki"

local root = assert(tcpki.authority.new { subject = { O = "Acme", CN = "Acme Root" }, days = 7300, path_length = 1 })
local issuing = assert(root:subordinate {
  subject = { O = "Acme", CN = "Acme Issuing CA 1" },
  days = 1825,
  name_constraints = { permitted = { { type = "dns", value = "acme.example" } } },
})
local roots = tcpki.bundle.new { root.certificate }

-- What the owner of a server sends: the key stays with them.
local key = assert(tcpki.key.generate())
local request = assert(tcpki.csr.new {
  subject = { CN = "temporal.acme.example" },
  subject_alt_names = { "temporal.acme.example" },
  key = key,
})

local signed = assert(issuing:sign(request, { usage = "server", days = 60 }))
print(signed.chain)
assert(signed.chain:verify { roots = roots, purpose = "server", name = "temporal.acme.example" })
assert(key:matches(signed.certificate))

-- A name that the authority is not allowed to vouch for is refused now, not by a peer later.
local _, refused = issuing:issue { common_name = "x", usage = "server",
  subject_alt_names = { "temporal.other.example" } }
print(refused)

assert(issuing:revoke(signed.certificate, { reason = "superseded" }))
local crls = { assert(issuing:crl { days = 7 }), assert(root:crl { days = 30 }) }
local _, revoked = signed.chain:verify { roots = roots, purpose = "server", crls = crls }
print(revoked)
assert(revoked.code == "revoked" and revoked.depth == 0)

-- A depot as certstrap has it, kept in order from cron: checked, what ends soon renewed, what was stolen revoked.
--
--   lua5.4 examples/certstrap_depot.lua [DIRECTORY]
--
-- DIRECTORY is what certstrap calls --depot-path, `out` by default, as there. Where there is none, one is made.
-- CERTSTRAP_PASSPHRASE has the passphrase of the CA's key, where it has one.

local certstrap = require "tcpki.certstrap"
local cloud = require "tcpki.cloud"
local tcpki = require "tcpki"

local directory = arg[1] or "out"
local SOON = 30 * 24 * 60 * 60

local function must(value, ...)
  if not value then
    io.stderr:write(tostring(...), "\n")
    os.exit(1)
  end
  return value, ...
end

local passphrase = os.getenv "CERTSTRAP_PASSPHRASE" and { passphrase_env = "CERTSTRAP_PASSPHRASE" } or {}
local function with(options)
  for name, value in pairs(passphrase) do
    options[name] = value
  end
  return options
end

local depot, err = certstrap.open(directory)
if not depot then
  if err.code ~= "not_found" and err.code ~= "not_a_depot" then
    must(nil, err)
  end
  -- certstrap init --common-name "Acme CA" --curve P-256 --expires "5 years"
  depot = must(certstrap.init(directory, with { common_name = "Acme CA", curve = "P-256", expires = "5 years" }))
  -- certstrap request-cert --common-name payments --domain payments.acme.example
  -- certstrap sign payments --CA "Acme CA"
  for name, expires in pairs { payments = "1 year", billing = "20 days", ["a stolen one"] = "1 year" } do
    must(depot:request_cert { common_name = name, curve = "P-256", domain = name:gsub(" ", "-") .. ".acme.example" })
    must(depot:sign(name, with { expires = expires }))
  end
end

local list = must(depot:list())
print(list)

for _, entry in ipairs(list) do
  if entry.status == "valid" and not entry.ca and entry.certificate:not_after() < os.time() + SOON then
    must(depot:renew(entry.stem, with { expires = "90 days" }))
    print(("renewed %s: the same key and names, 90 days"):format(entry.stem))
  end
  if entry.stem == "a_stolen_one" and entry.status == "valid" then
    must(depot:revoke("a stolen one", with { reason = "key_compromise" }))
    print "revoked a_stolen_one"
  end
end

print(must(depot:verify()))

-- What a worker sends, beside its key; and what Temporal Cloud says of it under this CA.
for _, entry in ipairs(must(depot:list())) do
  if entry.status == "valid" and not entry.ca and entry.issuer then
    local chain = must(depot:chain(entry.stem, { root = true }))
    local report = must(cloud.check_client { chain = must(depot:chain(entry.stem)),
      key = must(tcpki.key.read(("%s/%s.key"):format(directory, entry.stem))),
      accepted = must(tcpki.bundle.new { chain[#chain] }) })
    print(("%s: %s"):format(entry.stem, report))
  end
end

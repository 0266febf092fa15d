-- The certificates of a worker for a namespace of Temporal Cloud, checked before anything is uploaded:
--
--   lua5.4 examples/cloud_certificates.lua [COMPANY [NAMESPACE [DIRECTORY]]]
--
-- The CA is made in the directory once and taken up from then on: ca.key stays there, ca-bundle.pem is what the
-- namespace is to accept. NAMESPACE.key and NAMESPACE.pem go to the worker; run again, they are renewed.
-- PFX_PASSPHRASE in the environment has NAMESPACE.pfx written as well, for what asks for one file.

local cloud = require "tcpki.cloud"
local tcpki = require "tcpki"

local company, namespace, directory = arg[1] or "Acme", arg[2] or "payments.a1b2c", arg[3] or "certificates"

local function must(value, err)
  if not value then
    io.stderr:write(tostring(err), "\n")
    os.exit(1)
  end
  return value
end

local ca = must(cloud.authority { company = company, directory = directory })
local client = must(cloud.client { authority = ca, namespace = namespace, days = 90 })
local accepted = must(ca:bundle())

for _, report in ipairs {
  cloud.check_bundle(accepted),
  must(cloud.check_client { chain = client.chain, key = client.key, accepted = accepted, namespace = namespace }),
} do
  print(report)
  if not report.ok then
    os.exit(1)
  end
end

local paths = must(client:write(directory, {
  overwrite = true,
  pfx = os.getenv "PFX_PASSPHRASE" and { passphrase_env = "PFX_PASSPHRASE", profile = "compatible" },
}))
local bundle_path = directory .. "/ca-bundle.pem"
must(accepted:write(bundle_path, { overwrite = true }))

print(("%s: %s, for %d days"):format(paths.certificate, client.certificate:subject(),
  (client.certificate:expires_in() + 43200) // 86400))
if paths.pfx then
  print(("%s: %s"):format(paths.pfx, must(tcpki.pkcs12.read(paths.pfx, { passphrase_env = "PFX_PASSPHRASE" }))))
end
print(("once: %s"):format(table.concat({ "tcld namespace accepted-client-ca add --namespace",
  must(cloud.commands.quote(namespace)), "--ca-certificate-file", must(cloud.commands.quote(bundle_path)) }, " ")))

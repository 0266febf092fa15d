-- Certificates that meet every rule of Temporal Cloud, and, with one field changed, break one.

local openssl = require "spec.support.openssl"
local tcpki = require "tcpki"

local cloud = { DAY = 24 * 60 * 60, now = os.time() }

cloud.key = assert(tcpki.key.generate())
cloud.ca_key = assert(tcpki.key.generate())

local function made(fields, changes)
  for name, value in pairs(changes or {}) do
    fields[name] = value
  end
  for name, value in pairs(fields) do
    fields[name] = value or nil -- false leaves a field out
  end
  return assert(tcpki.certificate.make(fields))
end

-- A root; `key` in changes is its private key.
function cloud.root(changes)
  changes = changes or {}
  local key = changes.key or cloud.ca_key
  local fields = { subject = { CN = "Acme Worker CA", O = "Acme" }, not_before = cloud.now - 30 * cloud.DAY,
    not_after = cloud.now + 3000 * cloud.DAY, public_key = key, issuer_key = key, basic_constraints = { ca = true },
    key_usage = { "key_cert_sign", "crl_sign" } }
  local rest = {}
  for name, value in pairs(changes) do
    if name ~= "key" then rest[name] = value end
  end
  return made(fields, rest)
end

-- What root (with the key ca_key) issues.
function cloud.leaf(root, changes)
  return made({ subject = { CN = "payments.a1b2c", O = "Acme" }, not_before = cloud.now - cloud.DAY,
    not_after = cloud.now + 200 * cloud.DAY, public_key = cloud.key, issuer = root, issuer_key = cloud.ca_key,
    basic_constraints = { ca = false }, key_usage = { "digital_signature" }, extended_key_usage = { "client_auth" } },
    changes)
end

-- What openssl issues under `root` (with the key ca_key), or self-signed without it, with just the extensions of a
-- configuration: certificate.make always writes basic constraints, in order.
function cloud.by_openssl(directory, extensions, root)
  local request = openssl.run(("req -new -key %s -subj /CN=one -config %s"):format(
    directory:file(nil, (root and cloud.key or cloud.ca_key):pem()), openssl.configuration(directory, "[dn]")))
  local words = { "x509 -req -days 90 -extfile", directory:file(nil, extensions .. "\n") }
  if root then
    words[#words + 1] = ("-CA %s -CAkey %s"):format(directory:file(nil, root:pem()),
      directory:file(nil, cloud.ca_key:pem()))
  else
    words[#words + 1] = "-signkey " .. directory:file(nil, cloud.ca_key:pem())
  end
  return assert(tcpki.certificate.parse(openssl.run(table.concat(words, " "), request)))
end

-- The codes of a report, in order: "expired same_name".
function cloud.codes(report)
  local codes = {}
  for i, finding in ipairs(report) do
    codes[i] = finding.code
  end
  return table.concat(codes, " ")
end

-- What `openssl verify -purpose sslclient` says of a chain: true where it is content.
function cloud.openssl_accepts(directory, chain_pem, roots_pem)
  local leaf, rest = chain_pem:match "^(.-%-%-%-%-%-END CERTIFICATE%-%-%-%-%-\n)(.*)$"
  local words = { "verify -purpose sslclient -no-CApath -no-CAstore -CAfile", directory:file(nil, roots_pem) }
  if #rest > 0 then
    words[#words + 1] = "-untrusted " .. directory:file(nil, rest)
  end
  words[#words + 1] = directory:file(nil, leaf)
  local ok, output, errors = openssl.try(table.concat(words, " "))
  return ok, output .. errors
end

return cloud

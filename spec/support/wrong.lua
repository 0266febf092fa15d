-- Certificates with a fault of one's choice: what no profile of tcpki.authority makes.

local certificate = require "tcpki.certificate"
local openssl = require "spec.support.openssl"
local tcpki = require "tcpki"

local wrong = {}

local day = 24 * 60 * 60

-- A client's leaf of an issuer ({ certificate =, key = }; nil: self-signed), valid since yesterday and until tomorrow:
-- options of certificate.make over that, `key` for its own; false takes one away.
function wrong.make(issuer, options)
  local now = os.time()
  local all = {
    subject = { CN = "worker" }, not_before = now - day, not_after = now + day, key_usage = { "digital_signature" },
    extended_key_usage = { "client_auth" },
  }
  for name, value in pairs(options or {}) do all[name] = value or nil end
  local key = all.key or assert(tcpki.key.generate())
  all.key, all.public_key = nil, key
  all.issuer, all.issuer_key = issuer and issuer.certificate, issuer and issuer.key or key
  local made = assert(certificate.make(all))
  return { certificate = made, key = key, chain = made }
end

-- A CA below an issuer, likewise.
function wrong.subordinate(issuer, options)
  local all = {
    subject = { CN = "Issuing CA" }, basic_constraints = { ca = true }, key_usage = { "key_cert_sign" },
    extended_key_usage = false,
  }
  for name, value in pairs(options or {}) do all[name] = value end
  return wrong.make(issuer, all)
end

-- What `openssl x509 -req` makes: version 1 without extensions, and version 3 with them (the text of a section).
-- directory is of spec.support.temporary.
function wrong.by_openssl(directory, name, issuer, extensions, days)
  local key = assert(tcpki.key.generate())
  local key_path = directory:file(nil, key:pem())
  local request = openssl.run(("req -new -key '%s' -subj '/CN=%s'"):format(key_path, name))
  local signing = issuer and ("-CA '%s' -CAkey '%s'"):format(directory:file(nil, issuer.certificate:pem()),
    directory:file(nil, issuer.key:pem())) or ("-signkey '%s'"):format(key_path)
  local file = extensions and ("-extfile '%s'"):format(directory:file(nil, extensions .. "\n")) or ""
  local text = openssl.run(("x509 -req -in '%s' %s %s -days %d"):format(directory:file(nil, request), signing, file,
    days or 2))
  local made = assert(certificate.parse(text))
  return { certificate = made, key = key, chain = made }
end

-- One of version 1: what tcpki makes is of version 3.
function wrong.version_1(directory, name, issuer)
  local made = wrong.by_openssl(directory, name, issuer)
  assert(made.certificate:version() == 1)
  return made
end

-- The PEM of several, in their order.
function wrong.pem(...)
  local text = ""
  for _, one in ipairs { ... } do text = text .. one.certificate:pem() end
  return text
end

return wrong

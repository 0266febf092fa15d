-- The openssl command: see README.md.

local party = require "test.interop.party"
local quote, run, hash = party.quote, party.run, party.hash

local readers = {}

local function passin(passphrase)
  return "-passin " .. quote("pass:" .. (passphrase or ""))
end

function readers.key(path, passphrase)
  return hash(("openssl pkey -in %s %s -pubout -outform DER"):format(path, passin(passphrase)))
end

function readers.csr(path)
  local said, message = run(("openssl req -in %s -verify -noout 2>&1"):format(path))
  if not said then return nil, message end
  return hash(("openssl req -in %s -noout -pubkey | openssl pkey -pubin -outform DER"):format(path))
end

function readers.certificates(path)
  return party.certificates(path, "openssl x509 -in %s -outform DER")
end

function readers.crl(path)
  local text, message = run(("openssl crl -in %s -noout -text"):format(path))
  return text and party.serials(text, "Serial Number: (%x+)"), message
end

function readers.pkcs12(path, passphrase)
  local text, message = run(("openssl pkcs12 -in %s -nodes %s"):format(path, passin(passphrase)))
  if not text then return nil, message end
  local own = os.tmpname()
  party.put(own, text)
  local value = readers.key(own)
  local certificates = readers.certificates(own)
  os.remove(own)
  return ("%s:%s"):format(value, certificates)
end

local kinds = {
  { "p256", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256", true },
  { "p384", "-algorithm EC -pkeyopt ec_paramgen_curve:P-384", true },
  { "p521", "-algorithm EC -pkeyopt ec_paramgen_curve:P-521", true },
  { "rsa2048", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048", true },
  { "rsa3072", "-algorithm RSA -pkeyopt rsa_keygen_bits:3072", true },
  { "rsa4096", "-algorithm RSA -pkeyopt rsa_keygen_bits:4096", true },
  { "ed25519", "-algorithm ED25519", false },
}

local configuration = [[
[ca]
default_ca = own
[own]
database = %s/index
crlnumber = %s/number
default_md = sha256
default_crl_days = 1
[req]
distinguished_name = dn
[dn]
]]

local function write(directory, put)
  local configuration_path = directory .. "/openssl.conf"
  party.put(configuration_path, configuration:format(directory, directory))
  party.put(directory .. "/index", "R\t300101000000Z\t260101000000Z\t0ABC\tunknown\t/CN=gone\n")
  party.put(directory .. "/index.attr", "unique_subject = no\n")
  party.put(directory .. "/number", "07\n")
  for _, kind in ipairs(kinds) do
    local name, how, traditional = kind[1], kind[2], kind[3]
    local function path(text) return ("%s/%s"):format(directory, text:format(name)) end
    local function must(command, ...)
      assert(run((command:format(...):gsub("^openssl", "OPENSSL_CONF=" .. configuration_path .. " openssl"))))
    end
    local key = path "key.%s.pkcs8"
    must("openssl genpkey %s -out %s", how, key)
    local value = assert(readers.key(key))
    put(("key.%s.pkcs8"):format(name), "key", nil, value)
    must("openssl pkcs8 -topk8 -in %s -out %s -passout pass:swordfish", key, path "key.%s.pkcs8-encrypted")
    put(("key.%s.pkcs8-encrypted"):format(name), "key", "swordfish", value)
    must("openssl pkcs8 -topk8 -v2 aes-256-cbc -scrypt -in %s -out %s -passout pass:swordfish", key,
      path "key.%s.scrypt")
    put(("key.%s.scrypt"):format(name), "key", "swordfish", value)
    if traditional then
      must("openssl pkey -traditional -in %s -out %s", key, path "key.%s.traditional")
      put(("key.%s.traditional"):format(name), "key", nil, value)
      must("openssl pkey -traditional -aes-256-cbc -passout pass:swordfish -in %s -out %s", key,
        path "key.%s.traditional-encrypted")
      put(("key.%s.traditional-encrypted"):format(name), "key", "swordfish", value)
    end
    must("openssl req -new -key %s -subj '/CN=worker %s' -out %s", key, name, path "csr.%s")
    put(("csr.%s"):format(name), "csr", nil, value)
    local certificate = path "certificates.%s"
    must("openssl req -new -x509 -key %s -subj '/CN=ca %s' -days 2 -addext keyUsage=critical,keyCertSign,cRLSign "
      .. "-out %s", key, name, certificate)
    local own = assert(readers.certificates(certificate))
    put(("certificates.%s"):format(name), "certificates", nil, own)
    must("openssl ca -gencrl -keyfile %s -cert %s -out %s -config %s", key, certificate, path "crl.%s",
      configuration_path)
    put(("crl.%s"):format(name), "crl", nil, "abc")
    for form, options in pairs {
      default = "-passout pass:swordfish",
      plain = "-passout pass: -keypbe NONE -certpbe NONE",
      no_mac = "-passout pass: -nomac",
      triple = "-passout pass:swordfish -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1",
    } do
      must("openssl pkcs12 -export -inkey %s -in %s %s -out %s", key, certificate, options, path("pkcs12.%s." .. form))
      put(("pkcs12.%s.%s"):format(name, form), "pkcs12", options:find "swordfish" and "swordfish" or nil,
        value .. ":" .. own)
    end
  end
end

party.main { readers = readers, write = write }

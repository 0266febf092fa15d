-- GnuTLS's certtool: see README.md.

local party = require "test.interop.party"
local quote, run, hash = party.quote, party.run, party.hash

local readers = {}

-- certtool takes an empty password for none at all unless it is named.
local function password(passphrase)
  return "--password " .. quote(passphrase or "")
end

local function key_of(path, passphrase)
  return hash(("certtool --load-privkey %s %s --pubkey-info --outder"):format(path,
    passphrase and password(passphrase) or ""))
end

function readers.key(path, passphrase)
  return key_of(path, passphrase)
end

function readers.csr(path)
  local said, message = run(("certtool --crq-info --infile %s"):format(path))
  if not said then
    return nil, message
  elseif not said:find "Self signature: verified" then
    return nil, "the signature does not hold"
  end
  return hash(("certtool --load-request %s --pubkey-info --outder"):format(path))
end

function readers.certificates(path)
  return party.certificates(path, "certtool --certificate-info --infile %s --outder")
end

function readers.crl(path)
  local text, message = run(("certtool --crl-info --infile %s"):format(path))
  return text and party.serials(text, "Serial Number %(hex%): (%x+)"), message
end

function readers.pkcs12(path, passphrase)
  local text, message = run(("certtool --p12-info --inder --infile %s %s"):format(path, password(passphrase)))
  if not text then return nil, message end
  local own = os.tmpname()
  party.put(own, text)
  local encrypted = text:find("BEGIN ENCRYPTED PRIVATE KEY", 1, true)
  local key_path = os.tmpname()
  party.put(key_path, text:match "(%-%-%-%-%-BEGIN [%u ]*PRIVATE KEY%-.-END [%u ]*PRIVATE KEY%-%-%-%-%-\n)" or "")
  local value
  value, message = key_of(key_path, encrypted and (passphrase or "") or nil)
  local certificates = readers.certificates(own)
  os.remove(own)
  os.remove(key_path)
  if not value then return nil, message end
  return ("%s:%s"):format(value, certificates)
end

local kinds = {
  { "p256", "--key-type ecdsa --curve secp256r1" }, { "p384", "--key-type ecdsa --curve secp384r1" },
  { "p521", "--key-type ecdsa --curve secp521r1" }, { "rsa2048", "--key-type rsa --bits 2048" },
  { "rsa3072", "--key-type rsa --bits 3072" }, -- it takes half a minute for 4096 bits
  { "ed25519", "--key-type ed25519" },
}

local function write(directory, put)
  local template = directory .. "/template"
  party.put(template, "cn = worker\nca\ncert_signing_key\ncrl_signing_key\nexpiration_days = 2\ncrl_next_update = 1\n"
    .. "crl_number = 7\n")
  for _, kind in ipairs(kinds) do
    local name, how = kind[1], kind[2]
    local function path(text) return ("%s/%s"):format(directory, text:format(name)) end
    local function must(command, ...) assert(run("certtool " .. command:format(...))) end
    local plain = path "key.%s.plain"
    must("--generate-privkey %s --no-text --outfile %s", how, plain)
    local value = assert(readers.key(plain))
    put(("key.%s.plain"):format(name), "key", nil, value)
    for _, cipher in ipairs { "aes-256", "3des-pkcs12" } do
      must("--load-privkey %s --to-p8 --pkcs-cipher %s --password swordfish --no-text --outfile %s", plain, cipher,
        path("key.%s." .. cipher))
      put(("key.%s.%s"):format(name, cipher), "key", "swordfish", value)
    end
    must("--generate-request --load-privkey %s --template %s --no-text --outfile %s", plain, template, path "csr.%s")
    put(("csr.%s"):format(name), "csr", nil, value)
    local certificate = path "certificates.%s"
    must("--generate-self-signed --load-privkey %s --template %s --no-text --outfile %s", plain, template, certificate)
    local own = assert(readers.certificates(certificate))
    put(("certificates.%s"):format(name), "certificates", nil, own)
    must("--generate-crl --load-ca-privkey %s --load-ca-certificate %s --load-certificate %s --template %s --no-text "
      .. "--outfile %s", plain, certificate, certificate, template, path "crl.%s")
    local serial = assert(run(("openssl x509 -noout -serial -in %s"):format(certificate)))
    put(("crl.%s"):format(name), "crl", nil, party.serials(serial, "=(%x+)"))
    for _, cipher in ipairs { "aes-256", "3des-pkcs12" } do
      must("--to-p12 --load-privkey %s --load-certificate %s --p12-name worker --password swordfish --pkcs-cipher %s "
        .. "--outder --outfile %s", plain, certificate, cipher, path("pkcs12.%s." .. cipher))
      put(("pkcs12.%s.%s"):format(name, cipher), "pkcs12", "swordfish", value .. ":" .. own)
    end
  end
end

party.main { readers = readers, write = write }

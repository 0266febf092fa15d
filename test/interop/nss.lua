-- NSS: certutil, pk12util and crlutil, each artefact in a database of its own: see README.md. It reads a private key
-- out of PKCS#12 only.

local party = require "test.interop.party"
local quote, run, hash = party.quote, party.run, party.hash

local function database()
  local handle = assert(io.popen "mktemp -d")
  local path = handle:read "l"
  handle:close()
  assert(run(("certutil -N -d sql:%s --empty-password"):format(path)))
  return setmetatable({ path = path }, { __close = function() os.execute("rm -rf " .. quote(path)) end })
end

local readers = {}

function readers.certificates(path)
  local values = {}
  for i, own in ipairs(party.blocks(path, "CERTIFICATE")) do
    local db <close> = database()
    local said, message = run(("certutil -A -d sql:%s -n one -t ,, -a -i %s"):format(db.path, own))
    os.remove(own)
    if not said then return nil, message end
    values[i], message = hash(("certutil -L -d sql:%s -n one -r"):format(db.path))
    if not values[i] then return nil, message end
  end
  return table.concat(values, ",")
end

function readers.crl(path)
  local db <close> = database()
  local der = db.path .. "/crl.der"
  assert(run(("openssl crl -in %s -outform DER -out %s"):format(path, der)))
  -- Its status is no sign: it fails on what it has shown.
  local text = assert(run(("crlutil -S -d sql:%s -i %s 2>&1 || true"):format(db.path, der)))
  if not text:find "CRL file contents" or text:find "SEC_ERROR" then return nil, text end
  local list = {}
  -- A short number as `2748 (0xabc)`, a long one as bytes on the lines below.
  for after in text:gmatch "Serial Number:(.-)Revocation Date" do
    list[#list + 1] = (after:match "%(0x(%x+)%)" or after:gsub("[^%x]", "")):gsub("^0+", "")
  end
  table.sort(list)
  return table.concat(list, ",")
end

function readers.pkcs12(path, passphrase)
  local db <close> = database()
  local word = db.path .. "/word"
  party.put(word, (passphrase or "") .. "\n")
  local said, message = run(("pk12util -i %s -d sql:%s -w %s -K ''"):format(path, db.path, word))
  if not said then return nil, message end
  local keys = run(("certutil -K -d sql:%s"):format(db.path)) or ""
  local name = keys:match "\n<%s*0>%s+%S+%s+%x+%s+(.-)%s*\n"
  if not name then return nil, "no key: " .. keys end
  name = quote(name:gsub("^NSS Certificate DB:", ""))
  local value = hash(("certutil -L -d sql:%s -n %s -a | openssl x509 -noout -pubkey | openssl pkey -pubin -outform DER")
    :format(db.path, name))
  local own = hash(("certutil -L -d sql:%s -n %s -r"):format(db.path, name))
  return ("%s:%s,-"):format(value, own)
end

local kinds = {
  { "p256", "-k ec -q nistp256" }, { "p384", "-k ec -q nistp384" }, { "p521", "-k ec -q nistp521" },
  { "rsa2048", "-k rsa -g 2048" }, { "rsa3072", "-k rsa -g 3072" }, { "rsa4096", "-k rsa -g 4096" },
}

local function write(directory, put)
  local noise = directory .. "/noise"
  party.put(noise, assert(run "head -c 64 /dev/urandom | base64"))
  for _, kind in ipairs(kinds) do
    local name, how = kind[1], kind[2]
    local db <close> = database()
    local function must(command, ...) return assert(run((command:format(...):gsub("DB", "-d sql:" .. db.path)))) end
    must("certutil -S DB -n own %s -s 'CN=worker %s' -x -t u,u,u -m 4097 -z %s --keyUsage digitalSignature,crlSigning,"
      .. "certSigning", how, name, noise)
    local certificate = ("%s/certificates.%s"):format(directory, name)
    must("certutil -L DB -n own -a > %s", certificate)
    local own = must("openssl x509 -in %s -outform DER | openssl dgst -sha256 -r", certificate):match "^%x+"
    local value = must("openssl x509 -in %s -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256 "
      .. "-r", certificate):match "^%x+"
    put("certificates." .. name, "certificates", nil, own)
    must("certutil -R DB -k own -s 'CN=worker %s' -a -o %s/csr.%s", name, directory, name)
    put("csr." .. name, "csr", nil, value)
    must("pk12util -o %s/pkcs12.%s DB -n own -W swordfish -K ''", directory, name)
    put("pkcs12." .. name, "pkcs12", "swordfish", value .. ":" .. own)
  end
end

party.main { readers = readers, write = write }

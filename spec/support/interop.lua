-- What tcpki writes, before every other party; and what they write, before tcpki: test/interop/README.md.
--
--   local artefacts = interop.artefacts(directory)              -- ours: { path =, name =, kind =, expected =, … }
--   local cells = interop.read(party, directory, artefacts)     -- by name: { state = "ok"|"error"|"none", text = }
--   local theirs = interop.written(party, directory)            -- { path, name, kind, passphrase, expected }

local server = require "spec.support.server"
local tcpki = require "tcpki"

local interop = {}

interop.keys = {
  { "p256", { curve = "P-256" } }, { "p384", { curve = "P-384" } }, { "p521", { curve = "P-521" } },
  { "rsa2048", { type = "rsa", bits = 2048 } }, { "rsa3072", { type = "rsa", bits = 3072 } },
  { "rsa4096", { type = "rsa", bits = 4096 } }, { "ed25519", { type = "ed25519" } },
}

-- In the order of the table: the name of the program, what it is, and what it writes.
interop.parties = {
  { name = "openssl", title = "OpenSSL 3", script = "test/interop/openssl.lua", writes = true },
  { name = "go", title = "Go", program = "go", writes = true },
  { name = "java", title = "Java 17, Netty", java = true, writes = true },
  { name = "node", title = "Node", node = true, writes = true },
  { name = "python", title = "Python", python = true, writes = true },
  { name = "rustls", title = "rustls", program = "rustls-party" },
  { name = "gnutls", title = "GnuTLS", script = "test/interop/gnutls.lua", writes = true },
  { name = "nss", title = "NSS", script = "test/interop/nss.lua", writes = true },
  { name = "xca", title = "XCA", xca = true },
}

local function command_of(party, directory)
  if party.script then
    return ("LUA_PATH='./?.lua;;' %s %s"):format(os.getenv "LUA" or "lua5.4", party.script)
  elseif party.java then
    return ("java --add-exports java.base/sun.security.tools.keytool=ALL-UNNAMED -cp '%s/java:%s/jars/*' Interop")
      :format(directory, directory)
  elseif party.node then
    return "node test/interop/node/interop.mjs"
  elseif party.python then
    return directory .. "/python/bin/python test/interop/python/interop.py"
  elseif party.xca then
    return "python3 test/interop/xca.py"
  end
  return directory .. "/" .. party.program
end

local function run(party, arguments)
  local directory = assert(server.counterpart "interop")
  local handle = assert(io.popen(("%s %s 2>/dev/null"):format(command_of(party, directory), arguments)))
  local output = handle:read "a"
  assert(handle:close(), party.name .. " failed: " .. output:sub(-500))
  return output
end

-- ---- ours ----

local function hashes(certificates)
  local list = {}
  for i, certificate in ipairs(certificates) do list[i] = certificate:fingerprint() end
  return table.concat(list, ",")
end

local function serials(list)
  local found = {}
  for i, entry in ipairs(list) do found[i] = entry.serial:gsub("^0+", "") end
  table.sort(found)
  return table.concat(found, ",")
end

-- Of each type of key: a CA with such a key, what it issued and revoked, and the key of a leaf in every form.
local function of_key(directory, name, how, add)
  local root = assert(tcpki.authority.new { common_name = "Acme Root " .. name })
  local ca = assert(root:subordinate { common_name = "Acme CA " .. name, key = how })
  local leaf = assert(ca:issue { common_name = "worker " .. name, usage = "peer", key = how,
    subject_alt_names = { "worker.example", "10.0.0.1" } })
  local certificate_path = directory:file("leaf." .. name, leaf.certificate:pem())
  local public = leaf.key:fingerprint()
  local traditional = name ~= "ed25519"
  local function key(form, options)
    add("key", name, form, assert(leaf.key:pem(options)), public, { passphrase = options.passphrase,
      certificate = certificate_path })
  end
  key("PKCS#8", {})
  key("PKCS#8, encrypted", { passphrase = "swordfish" })
  if traditional then
    key("traditional", { format = "traditional" })
    key("traditional, encrypted", { format = "traditional", passphrase = "swordfish" })
  end
  local csr = assert(tcpki.csr.new { key = leaf.key, subject = { CN = "worker", O = "Acme" },
    subject_alt_names = { "worker.example" } })
  add("csr", name, "", csr:pem(), public)
  add("certificates", name, "leaf", leaf.certificate:pem(), leaf.certificate:fingerprint())
  add("certificates", name, "chain", leaf.chain:pem(), hashes(leaf.chain))
  add("certificates", name, "bundle", assert(tcpki.bundle.new { ca.certificate, root.certificate }):pem(),
    hashes { ca.certificate, root.certificate })
  assert(ca:revoke(leaf.certificate, { reason = "key_compromise" }))
  assert(ca:revoke("0abc"))
  local crl = assert(ca:crl { days = 1 })
  add("crl", name, "", crl:pem(), serials(crl:entries()))
  local file = assert(tcpki.pkcs12.new { key = leaf.key, chain = leaf.chain, name = "worker" })
  for _, profile in ipairs { "modern", "compatible", "passwordless" } do
    local passphrase = profile ~= "passwordless" and "swordfish" or nil
    add("pkcs12", name, profile, assert(file:der { profile = profile, passphrase = passphrase }),
      public .. ":" .. hashes(leaf.chain), { passphrase = passphrase })
  end
end

function interop.artefacts(directory)
  local list = {}
  for _, key in ipairs(interop.keys) do
    of_key(directory, key[1], key[2], function(kind, key_name, form, text, expected, more)
      local artefact = { kind = kind, key = key_name, form = form, expected = expected }
      for name, value in pairs(more or {}) do artefact[name] = value end
      artefact.name = ("%s.%s.%s"):format(kind, key_name, form)
      artefact.path = directory:file(("%s.%s.%d"):format(kind, key_name, #list), text)
      list[#list + 1] = artefact
    end)
  end
  return list
end

-- ---- theirs ----

function interop.read(party, directory, artefacts)
  local lines, by_path, cells = {}, {}, {}
  for i, artefact in ipairs(artefacts) do
    by_path[artefact.path] = artefact
    lines[i] = table.concat({ artefact.path, artefact.kind, artefact.passphrase or "-", artefact.certificate or "-" },
      "\t")
  end
  local manifest = directory:file("manifest." .. party.name, table.concat(lines, "\n") .. "\n")
  for path, state, text in run(party, "read " .. manifest):gmatch "([^\t\n]*)\t(%l+)\t([^\n]*)" do
    cells[by_path[path].name] = { state = state, text = text }
  end
  return cells
end

function interop.written(party, directory)
  local list = {}
  for path, kind, passphrase, expected in run(party, "write " .. directory:path ""):gmatch
    "([^\t\n]*)\t(%S+)\t(%S+)\t(%S+)\n" do
    list[#list + 1] = { path = path, name = path:match "[^/]*$", kind = kind,
      passphrase = passphrase ~= "-" and passphrase or nil, expected = expected }
  end
  return list
end

local function parts(text)
  local set = {}
  for part in text:gmatch "[^,]+" do set[part] = true end
  return set
end

-- Whether what a party found is what is in it. Of what a party cannot tell it says `-`; the order of the certificates
-- behind the first is that of its store.
function interop.equal(kind, expected, value)
  if value == "-" then return true end
  if kind ~= "pkcs12" then return value == expected end
  local key, certificates = expected:match "^(.*):(.*)$"
  local found_key, found = value:match "^(.*):(.*)$"
  if found_key ~= key and found_key ~= "-" then return false end
  local wanted, seen = parts(certificates), parts(found)
  if seen["-"] then return seen[certificates:match "^[^,]*"] == true end
  for one in pairs(wanted) do
    if not seen[one] then return false end
    seen[one] = nil
  end
  return next(seen) == nil
end

local readers = {}

function readers.key(artefact)
  local key, err = tcpki.key.read(artefact.path, { passphrase = artefact.passphrase })
  return key and key:fingerprint(), err
end

function readers.csr(artefact)
  local csr, err = tcpki.csr.read(artefact.path)
  if not csr then return nil, err end
  assert(csr:verify())
  return assert(csr:public_key()):fingerprint()
end

function readers.certificates(artefact)
  local bundle, err = tcpki.bundle.read(artefact.path)
  return bundle and hashes(bundle), err
end

function readers.crl(artefact)
  local crl, err = tcpki.crl.read(artefact.path)
  return crl and serials(crl:entries()), err
end

function readers.pkcs12(artefact)
  local file, err = tcpki.pkcs12.read(artefact.path, { passphrase = artefact.passphrase })
  return file and ("%s:%s"):format(file.key:fingerprint(), hashes(file.chain)), err
end

-- What tcpki makes of it: the value, or nil and the fault.
function interop.ours(artefact)
  return readers[artefact.kind](artefact)
end

return interop

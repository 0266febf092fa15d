local child = require "spec.support.child"
local der = require "spec.support.der"
local expect = require "spec.support.expect"
local openssl = require "spec.support.openssl"
local temporary = require "spec.support.temporary"
local core = require "tcpki.core"
local tcpki = require "tcpki"

local pkcs12 = tcpki.pkcs12

local function runs(command)
  return os.execute(command .. " >/dev/null 2>&1 </dev/null") == true
end

local has_keytool = runs "keytool -help"

-- Output of a command, errors included, and whether it succeeded.
local function shell(command)
  local handle = assert(io.popen("exec 2>&1; " .. command))
  local output = handle:read "a"
  return output, handle:close() == true
end

-- The text with one value of DER put in the place of another, once, wherever it lies; the lengths around it follow.
local function replace(text, from, to)
  if text == from then return to, true end
  local tag, content, rest = der.read(text)
  local constructed = tag & 0x20 ~= 0
  -- The content of PKCS#7 data is DER in an octet string.
  if not constructed and not (tag == 0x04 and content:byte() == 0x30) then return text, false end
  local parts, found = der.parts(content), false
  for i, part in ipairs(parts) do
    if not found then parts[i], found = replace(part, from, to) end
  end
  return found and der.value(tag, table.concat(parts)) .. rest or text, found
end

-- The three parts of PFX (RFC 7292, section 4): version, authenticated safe, MAC.
local function parts_of(file)
  local _, content = der.read(file)
  return der.parts(content)
end

local function without_mac(file)
  local parts = parts_of(file)
  return der.sequence(parts[1], parts[2])
end

describe("tcpki.pkcs12", function()
  local directory, root, leaf, certificates, pem

  setup(function()
    directory = temporary.directory()
    root = assert(tcpki.authority.new { subject = { CN = "PFX Root" }, days = 300 })
    local middle = assert(root:subordinate { subject = { CN = "PFX Middle" }, days = 200 })
    leaf = assert(middle:issue { common_name = "worker", usage = "client", days = 30 })
    certificates = { leaf.certificate, middle.certificate, root.certificate }
    pem = {}
    for i, certificate in ipairs(certificates) do
      pem[i] = certificate:pem()
    end
    directory:file("key.pem", leaf.key:pem())
    directory:file("leaf.pem", pem[1])
    directory:file("above.pem", pem[2] .. pem[3])
  end)

  teardown(function()
    directory:remove()
  end)

  local function made(options)
    options = options or {}
    return assert(pkcs12.new { key = leaf.key, chain = certificates, name = options.name })
  end

  -- A file of openssl, by more arguments than the ones that every file has.
  local function exported(arguments, passphrase)
    local path = directory:path()
    openssl.run(("pkcs12 -export -inkey %s -in %s -certfile %s -passout 'pass:%s' -out %s %s"):format(
      directory:path "key.pem", directory:path "leaf.pem", directory:path "above.pem", passphrase or "secret",
      path, arguments))
    return path
  end

  local function same(file)
    assert.is_true(file.key == leaf.key)
    assert.is_true(file.certificate == leaf.certificate)
    assert.equal(3, #file.chain)
    for i, certificate in ipairs(certificates) do
      assert.is_true(file.chain[i] == certificate)
    end
    assert.equal(0, #file.others)
    return file
  end

  local profiles = {
    { name = "modern", passphrase = "secret", said = { "MAC: sha256, Iteration 100000", "salt length: 16",
      "PKCS7 Encrypted data: PBES2, PBKDF2, AES-256-CBC, Iteration 100000, PRF hmacWithSHA256",
      "Shrouded Keybag: PBES2, PBKDF2, AES-256-CBC, Iteration 100000, PRF hmacWithSHA256" } },
    { name = "compatible", passphrase = "secret", said = { "MAC: sha1, Iteration 2048",
      "PKCS7 Encrypted data: pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 2048",
      "Shrouded Keybag: pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 2048" } },
    { name = "passwordless", said = { "MAC: sha256, Iteration 2048", "PKCS7 Data", "Key bag" } },
  }

  describe("write", function()
    for _, profile in ipairs(profiles) do
      local options = { profile = profile.name, passphrase = profile.passphrase }

      it(("makes what openssl reads, without its legacy provider: %s"):format(profile.name), function()
        local path = directory:path()
        assert(made({ name = "payments" }):write(path, options))
        local open = ("pkcs12 -in %s -passin pass:%s "):format(path, profile.passphrase or "")
        local _, _, said = openssl.try(open .. "-info -noout")
        for _, line in ipairs(profile.said) do
          assert.is_truthy(said:find(line, 1, true), said)
        end
        local key = openssl.run(open .. "-nocerts -nodes")
        assert.is_truthy(key:find(leaf.key:pem(), 1, true))
        assert.is_truthy(key:find("friendlyName: payments", 1, true))
        local id = leaf.certificate:fingerprint "sha1":upper():gsub("..", "%0 ")
        assert.is_truthy(key:find("localKeyID: " .. id, 1, true), key)
        local all = openssl.run(open .. "-nokeys")
        local at = 0
        for _, text in ipairs(pem) do
          at = assert(all:find(text, at + 1, true), "the chain stands leaf first")
        end
        assert.is_truthy(all:find("localKeyID: " .. id, 1, true))
      end)

      it(("makes what it reads again: %s"):format(profile.name), function()
        local path = directory:path()
        assert(made({ name = "payments" }):write(path, options))
        assert.equal("600", temporary.mode(path))
        local file = same(assert(pkcs12.read(path, { passphrase = profile.passphrase })))
        assert.equal("payments", file.name)
        assert.equal("tcpki.pkcs12 (CN=worker, 3 certificates)", tostring(file))
      end)
    end

    for _, profile in ipairs { "modern", "compatible" } do
      it(("makes what the JDK takes over, and its copy is read: %s"):format(profile), function()
        if not has_keytool then
          pending "keytool is not on the PATH"
          return
        end
        local path, copy = directory:path(), directory:path()
        assert(made({ name = "Payments" }):write(path, { profile = profile, passphrase = "secret" }))
        local output, ok = shell(("keytool -importkeystore -noprompt -srckeystore %s -srcstorepass secret " ..
          "-deststoretype pkcs12 -destkeystore %s -deststorepass another"):format(path, copy))
        assert.is_true(ok, output)
        output = shell(("keytool -list -v -keystore %s -storepass another"):format(copy))
        assert.is_truthy(output:find("Certificate chain length: 3", 1, true), output)
        assert.equal("payments", same(assert(pkcs12.read(copy, { passphrase = "another" }))).name)
      end)
    end

    it("warns that Java finds nothing in a file without protection, which it does not", function()
      local path = directory:path()
      local done, warning = made():write(path, { profile = "passwordless" })
      assert.is_true(done)
      assert.is_true(warning.ok)
      assert.equal(1, warning.warnings)
      assert.is_truthy(tostring(warning):find("Java opens such a file without an error", 1, true))
      if has_keytool then
        local output = shell(("printf '\\n' | keytool -list -keystore %s"):format(path))
        assert.is_truthy(output:find("contains 0 entries", 1, true), output)
      end
      assert.is_nil(select(2, made():write(directory:path(), { passphrase = "secret" })))
    end)

    it("takes a passphrase beyond ASCII, which openssl reads, and warns that Java does not", function()
      for _, profile in ipairs { "modern", "compatible" } do
        local path = directory:path()
        local done, warning = made():write(path, { profile = profile, passphrase = "Schlüssel€" })
        assert.is_true(done)
        assert.equal("passphrase_not_ascii", warning[1].code)
        assert.is_truthy(openssl.run(("pkcs12 -in %s -passin 'pass:Schlüssel€' -nodes"):format(path))
          :find(leaf.key:pem(), 1, true))
        same(assert(pkcs12.read(path, { passphrase = "Schlüssel€" })))
        if has_keytool then
          local passphrase = directory:file(nil, "Schlüssel€")
          local output, ok = shell(("keytool -J-Dfile.encoding=UTF-8 -debug -list -keystore %s -storepass:file %s")
            :format(path, passphrase))
          assert.is_false(ok)
          assert.is_truthy(output:find("Password is not ASCII", 1, true), output)
        end
      end
    end)

    for _, kind in ipairs { { type = "rsa", bits = 2048 }, { curve = "P-521" }, { type = "ed25519" } } do
      it(("holds a key of the type %s"):format(kind.curve or kind.type), function()
        local other = assert(root:issue { common_name = "other", usage = "client", days = 9, key = kind })
        local path = directory:path()
        assert(assert(pkcs12.new { key = other.key, certificate = other.certificate })
          :write(path, { passphrase = "secret" }))
        local text = openssl.run(("pkcs12 -in %s -passin pass:secret -nocerts -nodes"):format(path))
        assert.is_truthy(text:find(other.key:pem(), 1, true))
        assert.is_true(assert(pkcs12.read(path, { passphrase = "secret" })).key == other.key)
      end)
    end

    it("takes as many iterations as it is told", function()
      local bytes = assert(made():der { passphrase = "secret", iterations = 12345 })
      assert.equal(12345, assert(pkcs12.parse(bytes, { passphrase = "secret" })).mac.iterations)
      expect.throws({ "option 'iterations' must be from 1 to", "0" }, made().der, made(),
        { passphrase = "secret", iterations = 0 })
      expect.throws("option 'iterations'", made().der, made(), { passphrase = "secret", iterations = 1 << 31 })
    end)

    it("keeps friendly names of all planes, as UTF-16", function()
      for name, utf16 in pairs { ["Größe"] = "\0G\0r\0\xf6\0\xdf\0e", ["名"] = "\x54\x0d",
        ["😀"] = "\xd8\x3d\xde\0" } do
        local bytes = assert(made({ name = name }):der { profile = "passwordless" })
        assert.is_truthy(bytes:find(der.value(0x1e, utf16), 1, true))
        assert.equal(name, assert(pkcs12.parse(bytes)).name)
      end
      expect.fault("bad_name", made({ name = "a\255b" }):der { passphrase = "x" })
      expect.fault("bad_name", made({ name = "a\0b" }):der { passphrase = "x" })
    end)

    it("does not overwrite unless asked, and is whole or not there", function()
      local path = directory:file("there.pfx", "mine")
      local err = expect.fault("already_exists", made():write(path, { passphrase = "x" }))
      assert.equal(path, err.path)
      assert.equal("mine", temporary.content(path))
      assert(made():write(path, { passphrase = "x", overwrite = true, iterations = 1 }))
      same(assert(pkcs12.read(path, { passphrase = "x" })))
      expect.fault("not_found", made():write(directory:path "no/such", { passphrase = "x", iterations = 1 }))
    end)

    it("asks for a passphrase that protects something", function()
      local err = expect.fault("passphrase_required", made():write(directory:path "no.pfx"))
      assert.is_truthy(err.hint:find("passwordless", 1, true))
      expect.fault("passphrase_required", made():der { passphrase = "" })
      expect.fault("passphrase_required", made():der { passphrase_env = "TCPKI_NOT_SET" })
      expect.fault("passphrase_required", made():der { passphrase = function() return nil end })
      expect.fault("bad_passphrase", made():der { passphrase = "a\0b" })
      expect.fault("bad_passphrase", made():der { passphrase = ("x"):rep(2000) })
      assert.is_nil(io.open(directory:path "no.pfx"))
      expect.throws('takes no passphrase', made().der, made(), { profile = "passwordless", passphrase = "x" })
      expect.throws({ "option 'profile'", '"modern"' }, made().der, made(), { profile = "strong" })
      expect.throws("unknown option 'pass'", made().der, made(), { pass = "x" })
    end)

    it("takes the passphrase from a file, an environment variable or a function", function()
      local path = directory:file("passphrase", "from a file\n")
      local bytes = assert(made():der { passphrase_file = path, iterations = 1 })
      same(assert(pkcs12.parse(bytes, { passphrase = "from a file" })))
      bytes = assert(made():der { passphrase_env = "HOME", iterations = 1 })
      same(assert(pkcs12.parse(bytes, { passphrase_env = "HOME" })))
      bytes = assert(made():der { passphrase = function() return "called" end, iterations = 1 })
      same(assert(pkcs12.parse(bytes, { passphrase = function() return "called" end })))
    end)
  end)

  describe("new", function()
    it("finds the leaf by the key, and keeps what is beside the chain in its order", function()
      local stranger = assert(tcpki.authority.new { subject = { CN = "Stranger" } }).certificate
      local another = assert(tcpki.authority.new { subject = { CN = "Another" } }).certificate
      local file = assert(pkcs12.new {
        key = leaf.key, chain = { certificates[3], stranger, certificates[1], another, certificates[2] },
      })
      assert.is_true(file.certificate == leaf.certificate)
      assert.equal(3, #file.chain)
      local bytes = assert(file:der { passphrase = "x", iterations = 1 })
      local again = assert(pkcs12.parse(bytes, { passphrase = "x" }))
      assert.equal(3, #again.chain)
      assert.is_true(again.others[1] == stranger)
      assert.is_true(again.others[2] == another)
      local types = {}
      for i, entry in ipairs(file:entries()) do types[i] = entry.type .. " " .. (entry.subject or entry.key) end
      assert.same({ "certificate CN=worker", "certificate CN=PFX Middle", "certificate CN=PFX Root",
        "certificate CN=Stranger", "certificate CN=Another", "key ec P-256" }, types)
    end)

    it("takes a chain and a bundle as well", function()
      assert.equal(2, #assert(pkcs12.new { key = leaf.key, chain = leaf.chain }).chain)
      local file = assert(pkcs12.new { key = leaf.key, chain = leaf.chain, others = { root.certificate } })
      assert.equal(3, #file.chain)
    end)

    it("refuses a key that no certificate is made for", function()
      expect.fault("key_mismatch", pkcs12.new { key = assert(tcpki.key.generate()), chain = leaf.chain })
      expect.fault("no_private_key", pkcs12.new { key = leaf.key:public(), chain = leaf.chain })
    end)

    it("throws on what is a mistake of the program", function()
      expect.throws("option 'key'", pkcs12.new, { chain = leaf.chain })
      expect.throws("pass chain or certificate", pkcs12.new, { key = leaf.key })
      expect.throws("not both", pkcs12.new, { key = leaf.key, chain = leaf.chain, certificate = leaf.certificate })
      expect.throws("option 'name' is empty", pkcs12.new, { key = leaf.key, chain = leaf.chain, name = "" })
      expect.throws("certificate 2", pkcs12.new, { key = leaf.key, chain = { leaf.certificate, 4 } })
      expect.throws("expected", pkcs12.read, directory:path "key.pem", 4)
      expect.throws("string", pkcs12.parse, 4)
    end)
  end)

  describe("read", function()
    local kinds = {
      { "the default of OpenSSL 3", "" },
      { "3DES and SHA-1", "-keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1" },
      { "only the key encrypted", "-certpbe NONE" },
      { "only the certificates encrypted", "-keypbe NONE" },
      { "without a MAC", "-nomac" },
      { "AES-128, and a MAC over SHA-512", "-keypbe AES-128-CBC -certpbe AES-128-CBC -macalg sha512" },
      { "one iteration", "-iter 1 -nomaciter" },
      { "names", "-name payments -caname one -caname two" },
    }
    for _, kind in ipairs(kinds) do
      it("reads what openssl wrote: " .. kind[1], function()
        local path = exported(kind[2])
        same(assert(pkcs12.read(path, { passphrase = "secret" })))
        same(assert(pkcs12.parse(temporary.content(path), { passphrase = "secret" })))
        local err = expect.fault("passphrase_required", pkcs12.read(path))
        assert.equal(path, err.path)
        err = expect.fault("bad_passphrase", pkcs12.read(path, { passphrase = "Secret" }))
        assert.equal(path, err.path)
        assert.is_nil(tostring(err):find("Secret", 1, true))
        expect.fault("bad_passphrase", pkcs12.read(path, { passphrase = "" }))
      end)
    end

    it("reads a file without protection, as the scripts of Temporal's samples make it, with any passphrase or none",
      function()
        for _, more in ipairs { "", "-nomac" } do
          local path = exported("-keypbe NONE -certpbe NONE " .. more, "")
          same(assert(pkcs12.read(path)))
          same(assert(pkcs12.read(path, { passphrase = "" })))
          same(assert(pkcs12.read(path, { passphrase = function() error "asked" end })))
        end
      end)

    -- Derived by openssl's own command from the bytes of a passphrase (in hex) as PKCS#12 takes them: the file of
    -- other writers, which no tool here makes.
    local function with_mac_of(file, bytes)
      local parts = parts_of(file)
      local mac = der.parts(select(2, der.read(parts[3])))
      local _, salt = der.read(mac[2])
      local hex = salt:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)
      local key = openssl.run(("kdf -binary -keylen 32 -kdfopt digest:SHA256 -kdfopt hexpass:%s -kdfopt hexsalt:%s " ..
        "-kdfopt iter:2048 -kdfopt id:3 PKCS12KDF"):format(bytes, hex))
      local _, content = der.read(der.parts(select(2, der.read(parts[2])))[2])
      local _, octets = der.read(content)
      local digest = openssl.run(("mac -binary -digest SHA256 -macopt hexkey:%s HMAC"):format(
        key:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)), octets)
      assert.equal(32, #digest)
      local sealed = der.parts(select(2, der.read(mac[1])))
      mac[1] = der.sequence(sealed[1], der.octets(digest))
      return der.sequence(parts[1], parts[2], der.sequence(mac[1], mac[2], mac[3]))
    end

    -- The MAC of RFC 9579 in the place of the file's own, computed by openssl's commands as well.
    local function with_pbmac1(file, passphrase, count, length)
      local parts = parts_of(file)
      local hmac = der.sequence(der.oid "1.2.840.113549.2.9", der.null())
      local key = openssl.run(("kdf -binary -keylen 32 -kdfopt digest:SHA256 -kdfopt 'pass:%s' " ..
        "-kdfopt salt:saltsalt -kdfopt iter:100 PBKDF2"):format(passphrase))
      local _, content = der.read(der.parts(select(2, der.read(parts[2])))[2])
      local _, octets = der.read(content)
      local digest = openssl.run(("mac -binary -digest SHA256 -macopt hexkey:%s HMAC"):format(
        key:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)), octets)
      local derivation = der.sequence(der.oid "1.2.840.113549.1.5.12", der.sequence(der.octets "saltsalt",
        der.integer(count or 100), length or der.integer(32), hmac))
      return der.sequence(parts[1], parts[2], der.sequence(der.sequence(
        der.sequence(der.oid "1.2.840.113549.1.5.14", der.sequence(derivation, hmac)), der.octets(digest)),
        der.octets "not used", der.integer(1)))
    end

    it("reads the MAC of RFC 9579, PBMAC1, which libcrypto knows from 3.4 on", function()
      for _, passphrase in ipairs { "secret", "Schlüssel" } do
        local bytes = temporary.content(exported("", passphrase))
        local file = same(assert(pkcs12.parse(with_pbmac1(bytes, passphrase), { passphrase = passphrase })))
        assert.same({ digest = "PBMAC1", iterations = 100 }, file.mac)
        expect.fault("bad_passphrase", pkcs12.parse(with_pbmac1(bytes, passphrase), { passphrase = "wrong" }))
        expect.fault("passphrase_required", pkcs12.parse(with_pbmac1(bytes, passphrase)))
        local err = expect.fault("bad_der", pkcs12.parse(with_pbmac1(bytes, "another"), { passphrase = passphrase }))
        assert.is_truthy(err.message:find("the passphrase is right, but the PKCS#12 file was changed", 1, true))
      end
      local plain = temporary.content(exported("-keypbe NONE -certpbe NONE", ""))
      local err = expect.fault("too_costly", pkcs12.parse(with_pbmac1(plain, "x", 2147483648)))
      assert.is_truthy(err.message:find("the MAC asks for 2147483648 iterations", 1, true))
      for _, length in ipairs { "", der.integer(0), der.integer(1 << 40) } do
        expect.fault("bad_der", pkcs12.parse(with_pbmac1(plain, "x", 100, length)))
      end
    end)

    it("reads both forms of no passphrase: empty, and none at all, as .NET has it", function()
      local bytes = temporary.content(exported("-keypbe NONE -certpbe NONE", ""))
      assert.equal(bytes, with_mac_of(bytes, "0000"))
      same(assert(pkcs12.parse(bytes)))
      local none = with_mac_of(bytes, "")
      assert.not_equal(bytes, none)
      same(assert(pkcs12.parse(none)))
      same(assert(pkcs12.parse(none, { passphrase = "" })))
      same(assert(pkcs12.read(exported("", ""))))
      same(assert(pkcs12.read(exported("-keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES", ""))))
    end)

    it("reads passphrases beyond ASCII in both encodings: of the text, and of each byte", function()
      for _, more in ipairs { "", "-keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1" } do
        for _, passphrase in ipairs { "Schlüssel", "名前", "😀" } do
          local path = exported(more, passphrase)
          same(assert(pkcs12.read(path, { passphrase = passphrase })))
          expect.fault("bad_passphrase", pkcs12.read(path, { passphrase = passphrase .. "é" }))
        end
      end
      -- "é" is U+00E9 in UTF-8 c3 a9; OpenSSL 1.0 took each byte for a character: U+00C3 U+00A9, which is "Ã©".
      same(assert(pkcs12.read(exported("-keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES", "Ã©"),
        { passphrase = "é" })))
      local bytes = temporary.content(exported("-keypbe NONE -certpbe NONE", ""))
      same(assert(pkcs12.parse(with_mac_of(bytes, "00e90000"), { passphrase = "é" })))
      same(assert(pkcs12.parse(with_mac_of(bytes, "00c300a90000"), { passphrase = "é" })))
      -- And in Latin-1, where the byte e9 is no UTF-8.
      same(assert(pkcs12.parse(with_mac_of(bytes, "00e90000"), { passphrase = "\xe9" })))
      -- The MAC by bytes, the encryption by PBKDF2, which takes the bytes in any case.
      bytes = temporary.content(exported("", "é"))
      same(assert(pkcs12.parse(with_mac_of(bytes, "00c300a90000"), { passphrase = "é" })))
    end)

    it("says what is inside, without secrets", function()
      local path = exported "-name payments -caname 'the middle'"
      local entries = assert(pkcs12.read(path, { passphrase = "secret" })):entries()
      local id = leaf.certificate:fingerprint "sha1"
      assert.same({ type = "certificate", name = "payments", local_key_id = id, subject = "CN=worker",
        fingerprint = leaf.certificate:fingerprint(), encryption = "AES-256-CBC, PBKDF2 with 2048 iterations",
      }, entries[1])
      assert.equal("the middle", entries[2].name)
      assert.same({ type = "key", name = "payments", local_key_id = id, key = "ec P-256",
        encryption = "AES-256-CBC, PBKDF2 with 2048 iterations" }, entries[#entries])
    end)

    it("finds the leaf by its key where the root stands first, as Azure Key Vault exports it", function()
      local bytes = assert(core.pkcs12.der {
        key = leaf.key, certificates = { certificates[3], certificates[2], certificates[1] },
        profile = "compatible", passphrase = "secret",
      })
      local file = same(assert(pkcs12.parse(bytes, { passphrase = "secret" })))
      assert.is_true(file.chain.reordered)
    end)

    it("takes the certificate that the file ties to the key, of two of the same key", function()
      local renewed = assert(root:issue { common_name = "renewed", usage = "client", days = 9, key = leaf.key })
      local bytes = assert(core.pkcs12.der {
        key = leaf.key, certificates = { renewed.certificate, leaf.certificate, certificates[2], certificates[3] },
        profile = "passwordless",
      })
      local file = assert(pkcs12.parse(bytes))
      assert.equal("CN=renewed", tostring(file.certificate:subject()))
      assert.equal(2, #file.chain)
      assert.equal(2, #file.others)
    end)

    it("has a key without its certificate, and certificates without a key", function()
      local path = directory:path()
      openssl.run(("pkcs12 -export -nocerts -inkey %s -passout pass:secret -out %s"):format(
        directory:path "key.pem", path))
      local file = assert(pkcs12.read(path, { passphrase = "secret" }))
      assert.is_true(file.key == leaf.key)
      assert.is_nil(file.certificate)
      expect.fault("key_mismatch", file:der { passphrase = "x" })
      path = directory:path()
      openssl.run(("pkcs12 -export -nokeys -in %s -passout pass:secret -out %s"):format(directory:path "above.pem",
        path))
      file = assert(pkcs12.read(path, { passphrase = "secret" }))
      assert.is_nil(file.key)
      assert.is_nil(file.chain)
      assert.equal(2, #file.others)
      assert.equal("tcpki.pkcs12 (no key, 2 certificates)", tostring(file))
      expect.fault("no_private_key", file:der { passphrase = "x" })
    end)

    it("asks which one where the JDK put several keys, and shows its other entries", function()
      if not has_keytool then
        pending "keytool is not on the PATH"
        return
      end
      local path = directory:path()
      for _, name in ipairs { "First", "Second" } do
        local output, ok = shell(("keytool -genkeypair -alias %s -keyalg EC -groupname secp256r1 -dname CN=%s " ..
          "-storetype PKCS12 -keystore %s -storepass secret"):format(name, name, path))
        assert.is_true(ok, output)
      end
      local err = expect.fault("several", pkcs12.read(path, { passphrase = "secret" }))
      assert.equal('it holds 2 keys: "first", "second"', err.message)
      local file = assert(pkcs12.read(path, { passphrase = "secret", name = "second" }))
      assert.equal("CN=Second", tostring(file.certificate:subject()))
      assert.equal(1, #file.others)
      err = expect.fault("not_found", pkcs12.read(path, { passphrase = "secret", name = "Second" }))
      assert.is_truthy(err.message:find('"second"', 1, true))
      assert.equal(path, err.path)
      assert(shell(("keytool -importcert -noprompt -alias anchor -file %s -keystore %s -storepass secret"):format(
        directory:path "above.pem", path)))
      assert(shell(("keytool -genseckey -alias hidden -keyalg AES -keysize 128 -keystore %s -storepass secret"):format(
        path)))
      file = assert(pkcs12.read(path, { passphrase = "secret", name = "first" }))
      local seen = {}
      for _, entry in ipairs(file:entries()) do
        seen[entry.name .. " " .. entry.type] = entry.trusted or false
      end
      assert.same({ ["first key"] = false, ["second key"] = false, ["first certificate"] = false,
        ["second certificate"] = false, ["anchor certificate"] = true, ["hidden secret"] = false }, seen)
    end)

    it("reads RC2-40 with the legacy provider only, and says so", function()
      local path = exported "-legacy"
      local err = expect.fault("unsupported_encryption", pkcs12.read(path, { passphrase = "secret" }))
      assert.is_truthy(err.message:find("RC2-40-CBC (pbeWithSHA1And40BitRC2-CBC)", 1, true))
      assert.is_truthy(err.message:find("only with its legacy provider, and that is not loaded", 1, true))
      assert.is_truthy(err.hint:find("openssl pkcs12 -legacy", 1, true))
      assert.equal(path, err.path)
      local configuration = directory:file(nil, table.concat({ "openssl_conf = init", "[init]",
        "providers = providers", "[providers]", "default = on", "legacy = on", "[on]", "activate = 1", "" }, "\n"))
      local ok, output = child.run(([[
        local file = assert(require "tcpki".pkcs12.read(%q, { passphrase = "secret" }))
        print(file, file:entries()[1].encryption)]]):format(path), { before = "OPENSSL_CONF=" .. configuration })
      assert.is_true(ok, output)
      assert.equal("tcpki.pkcs12 (CN=worker, 3 certificates)\tRC2-40-CBC, PKCS#12 with 2048 iterations\n", output)
    end)

    describe("tells a wrong passphrase from damage:", function()
      local bytes

      setup(function()
        bytes = temporary.content(exported "")
      end)

      local function flipped(text, at)
        return text:sub(1, at - 1) .. string.char(text:byte(at) ~ 1) .. text:sub(at + 1)
      end

      it("in the MAC itself", function()
        local parts = parts_of(bytes)
        local changed = flipped(bytes, #bytes - #parts[3] + 40)
        local err = expect.fault("bad_der", pkcs12.parse(changed, { passphrase = "secret" }))
        assert.is_truthy(err.message:find("the passphrase is right, but the PKCS#12 file was changed", 1, true))
        expect.fault("bad_passphrase", pkcs12.parse(changed, { passphrase = "wrong" }))
      end)

      it("in what is encrypted", function()
        local parts = parts_of(bytes)
        local at = #bytes - #parts[3] - 300 -- within the encrypted key or before it
        local err = expect.fault("bad_der", pkcs12.parse(flipped(bytes, at), { passphrase = "secret" }))
        assert.is_truthy(err.message:find("the passphrase is right", 1, true))
        expect.fault("bad_passphrase", pkcs12.parse(flipped(bytes, at), { passphrase = "wrong" }))
      end)

      it("where there is no MAC", function()
        local plain = without_mac(bytes)
        same(assert(pkcs12.parse(plain, { passphrase = "secret" })))
        expect.fault("bad_passphrase", pkcs12.parse(plain, { passphrase = "wrong" }))
        expect.fault("passphrase_required", pkcs12.parse(plain))
        -- Within the key: the certificates have been decrypted by then.
        local err = expect.fault("bad_der", pkcs12.parse(flipped(plain, #plain - 120), { passphrase = "secret" }))
        assert.is_truthy(err.message:find("private key", 1, true), err.message)
      end)

      it("where nothing is encrypted, both are named", function()
        local open = temporary.content(exported "-keypbe NONE -certpbe NONE")
        local err = expect.fault("bad_passphrase", pkcs12.parse(open, { passphrase = "wrong" }))
        assert.is_truthy(err.message:find("or the file was changed", 1, true))
      end)
    end)

    describe("bounds the work that a file can ask for:", function()
      local COUNT = der.integer(2048)

      it("the iterations of the MAC, before the first", function()
        local bytes = temporary.content(exported "")
        local parts = parts_of(bytes)
        for _, count in ipairs { 10000001, 2147483648, 4294967296 } do
          local mac, found = replace(parts[3], COUNT, der.integer(count))
          assert.is_true(found)
          local err = expect.fault("too_costly",
            pkcs12.parse(der.sequence(parts[1], parts[2], mac), { passphrase = "secret" }))
          assert.equal(("the MAC asks for %d iterations; at most 10000000 are computed"):format(count), err.message)
        end
        local mac = replace(parts[3], COUNT, der.integer(("\x7f"):rep(20)))
        local err = expect.fault("too_costly", pkcs12.parse(der.sequence(parts[1], parts[2], mac)))
        assert.is_truthy(err.message:find("more than 2^64 iterations", 1, true))
        for _, count in ipairs { der.integer(0), "\2\1\255" } do
          mac = replace(parts[3], COUNT, count)
          expect.fault("bad_der", pkcs12.parse(der.sequence(parts[1], parts[2], mac)))
        end
      end)

      for _, case in ipairs {
        { "the iterations of PBKDF2", "" },
        { "the iterations of PKCS#12's own derivation", "-keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES" },
      } do
        it(case[1], function()
          local bytes = without_mac(temporary.content(exported(case[2])))
          local costly, found = replace(bytes, COUNT, der.integer(2147483648))
          assert.is_true(found)
          local err = expect.fault("too_costly", pkcs12.parse(costly, { passphrase = "secret" }))
          assert.is_truthy(err.message:find("asks for 2147483648 iterations", 1, true), err.message)
        end)
      end

      it("of all parts together", function()
        local bytes, found = replace(temporary.content(exported("", "")), COUNT, der.integer(9999000))
        assert.is_true(found)
        local err = expect.fault("too_costly", pkcs12.parse(with_mac_of(bytes, "0000")))
        assert.equal("the file asks for 10001048 iterations in all; at most 10000000 are computed", err.message)
      end)

      it("a file of more than 64 MiB", function()
        expect.fault("too_large", pkcs12.parse("\x30" .. ("\0"):rep(100000000)))
        local path = directory:path()
        assert(os.execute(("truncate -s 100000000 %s"):format(path)))
        local err = expect.fault("too_large", pkcs12.read(path))
        assert.equal(path, err.path)
      end)

      it("a file of 30 MB that is one", function()
        local octets = der.octets(("x"):rep(30000000))
        local secret = der.sequence(der.oid "1.2.840.113549.1.12.10.1.5",
          der.value(0xa0, der.sequence(der.oid "1.2.3", der.value(0xa0, octets))))
        local function data(content)
          return der.sequence(der.oid "1.2.840.113549.1.7.1", der.value(0xa0, der.octets(content)))
        end
        local file = assert(pkcs12.parse(der.sequence(der.integer(3), data(der.sequence(data(der.sequence(secret)))))))
        assert.same({ { type = "secret" } }, file:entries())
      end)
    end)

    describe("says what it is, where it is no PKCS#12 file:", function()
      local bytes

      setup(function()
        bytes = temporary.content(exported "")
      end)

      local function refused(code, text, words)
        local err = expect.fault(code, pkcs12.parse(text, { passphrase = "secret" }))
        assert.is_truthy(err.message:find(words, 1, true), err.message)
        local path = directory:file(nil, text)
        assert.equal(path, expect.fault(code, pkcs12.read(path)).path)
        return err
      end

      it("base64, in one line or many, in armour, in JSON", function()
        local lines = openssl.run("base64 -e", bytes)
        local one = lines:gsub("\n", "")
        assert.is_truthy(refused("wrong_kind", lines, "it is base64 text").hint:find("base64 -d", 1, true))
        refused("wrong_kind", one, "it is base64 text")
        refused("wrong_kind", "-----BEGIN PKCS12-----\n" .. lines .. "-----END PKCS12-----\n", "it is PEM (PKCS12)")
        refused("wrong_kind", ('{ "value": "%s" }'):format(one), "it is JSON")
        refused("wrong_kind", '{"kty":"EC","crv":"P-256"}', "it is a JSON web key")
      end)

      it("PEM of any kind, and what openssl pkcs12 prints", function()
        refused("wrong_kind", pem[1], "it is PEM (CERTIFICATE)")
        refused("wrong_kind", leaf.key:pem(), "it is PEM (PRIVATE KEY)")
        refused("wrong_kind", "-----BEGIN OPENSSH PRIVATE KEY-----\nxx\n", "it is PEM (OPENSSH PRIVATE KEY)")
        refused("wrong_kind", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n", "it is PEM (PGP PRIVATE KEY BLOCK)")
        refused("wrong_kind", openssl.run("pkcs12 -nodes -passin pass:secret", bytes), "it is PEM (")
      end)

      it("DER of another kind, key stores of Java", function()
        refused("wrong_kind", leaf.certificate:der(), "a certificate, a CSR, a CRL or a key")
        refused("wrong_kind", leaf.key:der(), "a private key in DER")
        refused("wrong_kind", openssl.run("crl2pkcs7 -nocrl -outform DER -certfile " .. directory:path "above.pem"),
          "it is PKCS#7")
        refused("wrong_kind", "\xfe\xed\xfe\xed\0\0\0\2", "it is a Java key store")
        refused("wrong_kind", "\x89PNG\r\n\x1a\n", "it is not a PKCS#12 file")
        refused("empty", "", "it is empty")
      end)

      it("a file that is cut short anywhere, or goes on behind its end", function()
        for at = 1, #bytes - 1, 37 do
          local _, err = pkcs12.parse(bytes:sub(1, at), { passphrase = "secret" })
          assert.is_truthy(err and (err.code == "bad_der" or err.code == "wrong_kind"), tostring(err))
        end
        refused("bad_der", bytes:sub(1, -2), "damaged or cut short")
        refused("trailing_data", bytes .. "\n", "1 bytes follow the PKCS#12 file")
        refused("trailing_data", bytes .. bytes, "bytes follow the PKCS#12 file")
      end)

      it("a file that cannot be opened, and a passphrase that cannot be had", function()
        assert.equal("/no/such.pfx", expect.fault("not_found", pkcs12.read "/no/such.pfx").path)
        local path = directory:file(nil, bytes)
        local err = expect.fault("not_found", pkcs12.read(path, { passphrase_file = "/no/passphrase" }))
        assert.equal("/no/passphrase", err.path)
        expect.fault("passphrase_required", pkcs12.read(path, { passphrase_env = "TCPKI_NOT_SET" }))
        expect.fault("passphrase_required", pkcs12.read(path, { passphrase = function() return nil end }))
      end)
    end)

    it("keeps no object alive behind what it gives", function()
      local bytes = assert(made():der { passphrase = "x", iterations = 1 })
      collectgarbage()
      collectgarbage()
      local before = core.live().total
      do
        local file = assert(pkcs12.parse(bytes, { passphrase = "x" }))
        assert.is_true(core.live().total > before)
        assert.is_not_nil(file)
      end
      for _ = 1, 20 do
        pkcs12.parse(bytes, { passphrase = "y" })
      end
      collectgarbage()
      collectgarbage()
      assert.equal(before, core.live().total)
    end)
  end)
end)

local child = require "spec.support.child"
local der = require "spec.support.der"
local expect = require "spec.support.expect"
local openssl = require "spec.support.openssl"
local temporary = require "spec.support.temporary"
local tcpki = require "tcpki"

local key = tcpki.key

local RSA = "1.2.840.113549.1.1.1"
local EC = "1.2.840.10045.2.1"

-- Kinds that openssl makes by these arguments of genpkey, and what we are to say of them.
local kinds = {
  { name = "EC P-256", make = "EC -pkeyopt ec_paramgen_curve:P-256", type = "ec", bits = 256,
    curve = "P-256", traditional = "ec" },
  { name = "EC P-384", make = "EC -pkeyopt ec_paramgen_curve:P-384", type = "ec", bits = 384,
    curve = "P-384", traditional = "ec" },
  { name = "EC P-521", make = "EC -pkeyopt ec_paramgen_curve:P-521", type = "ec", bits = 521,
    curve = "P-521", traditional = "ec" },
  { name = "RSA 2048", make = "RSA -pkeyopt rsa_keygen_bits:2048", type = "rsa", bits = 2048,
    traditional = "rsa" },
  { name = "Ed25519", make = "ED25519", type = "ed25519", bits = 256 },
}

-- openssl pkey -outform DER writes the traditional form in OpenSSL 3.0.
local function pkcs8_der(text)
  return openssl.run("pkcs8 -topk8 -nocrypt -outform DER", text)
end

describe("tcpki.key", function()
  local directory

  setup(function()
    directory = temporary.directory()
    for _, kind in ipairs(kinds) do
      kind.pem = openssl.run("genpkey -algorithm " .. kind.make)
      kind.public = openssl.run("pkey -pubout", kind.pem)
    end
  end)

  teardown(function()
    directory:remove()
  end)

  local function same_key(kind, parsed)
    assert.equal(kind.type, parsed:type())
    assert.equal(kind.bits, parsed:bits())
    assert.equal(kind.curve, parsed:curve())
    assert.equal(kind.pem, parsed:pem())
    assert.is_true(parsed:is_private())
  end

  -- No piece of the private key may show: base64 lines of it, or its bytes in hex.
  local function shows_nothing(text, kind)
    for line in kind.pem:gmatch "[^\n]+" do
      if not line:find("-----", 1, true) then
        for i = 1, #line - 15 do
          assert.is_nil(text:find(line:sub(i, i + 15), 1, true), text)
        end
      end
    end
  end

  describe("generate", function()
    local generated = {
      { {}, "ec", 256, "P-256", "P%-256" },
      { { type = "ec", curve = "P-256" }, "ec", 256, "P-256", "P%-256" },
      { { curve = "P-384" }, "ec", 384, "P-384", "P%-384" },
      { { curve = "P-521" }, "ec", 521, "P-521", "P%-521" },
      { { type = "rsa", bits = 2048 }, "rsa", 2048, nil, "2048 bit" },
      { { type = "rsa" }, "rsa", 3072, nil, "3072 bit" },
      { { type = "ed25519" }, "ed25519", 256, nil, "ED25519" },
    }

    for _, case in ipairs(generated) do
      it(("makes a key that openssl finds sound: %s, %d bits"):format(case[2], case[3]), function()
        local made = assert(key.generate(case[1]))
        assert.equal(case[2], made:type())
        assert.equal(case[3], made:bits())
        assert.equal(case[4], made:curve())
        assert.is_nil(made:source())
        local text = openssl.run("pkey -check -noout -text", made:pem())
        assert.matches("Key is valid", text)
        assert.matches(case[5], text)
      end)
    end

    it("makes another key each time", function()
      assert.not_equal(key.generate():fingerprint(), key.generate():fingerprint())
    end)

    it("throws on what it cannot make, and lists what it can", function()
      expect.throws({ "'type'", "dsa", "ec, rsa, ed25519" }, key.generate, { type = "dsa" })
      expect.throws({ "'curve'", "P-224", "P-256, P-384, P-521" }, key.generate,
        { curve = "P-224" })
      expect.throws({ "'bits'", "2048 to 8192" }, key.generate, { type = "rsa", bits = 1024 })
      expect.throws({ "'bits'", "2048 to 8192" }, key.generate, { type = "rsa", bits = 8193 })
      expect.throws({ "'bits'", "rsa" }, key.generate, { bits = 2048 })
      expect.throws({ "'curve'", "ec" }, key.generate, { type = "rsa", curve = "P-256" })
      expect.throws({ "'bits'", "integer" }, key.generate, { type = "rsa", bits = "2048" })
      expect.throws({ "'bits'", "integer" }, key.generate, { type = "rsa", bits = 2048.5 })
      expect.throws({ "'type'", "string" }, key.generate, { type = 1 })
      expect.throws({ "unknown option 'size'", "type, curve, bits" }, key.generate, { size = 1 })
      expect.throws("table expected", key.generate, "rsa")
    end)
  end)

  for _, kind in ipairs(kinds) do
    describe("of " .. kind.name, function()
      it("is read from PKCS#8, PEM and DER", function()
        same_key(kind, assert(key.parse(kind.pem)))
        same_key(kind, assert(key.parse(pkcs8_der(kind.pem))))
      end)

      it("is read from every encryption of PKCS#8 that openssl writes", function()
        for _, cipher in ipairs {
          "-v2 aes-256-cbc", "-v2 aes-128-cbc -v2prf hmacWithSHA1", "-v2 des3",
          "-v2 aes-256-cbc -v2prf hmacWithSHA512", "-scrypt -scrypt_N 1024",
        } do
          local encrypted = openssl.run("pkcs8 -topk8 -passout pass:swordfish " .. cipher, kind.pem)
          assert.matches("BEGIN ENCRYPTED PRIVATE KEY", encrypted)
          same_key(kind, assert(key.parse(encrypted, { passphrase = "swordfish" })))
        end
        local encrypted = openssl.run(
          "pkcs8 -topk8 -outform DER -passout pass:swordfish -v2 aes-256-cbc", kind.pem)
        same_key(kind, assert(key.parse(encrypted, { passphrase = "swordfish" })))
      end)

      it("is written as what openssl reads, in every form", function()
        local parsed = assert(key.parse(kind.pem))
        assert.equal(kind.pem, openssl.run("pkey", parsed:pem { format = "pkcs8" }))
        assert.equal(pkcs8_der(kind.pem), parsed:der())
        assert.equal(kind.public, parsed:public():pem())
        assert.equal(openssl.run("pkey -pubout -outform DER", kind.pem), parsed:public():der())
        local encrypted = assert(parsed:pem { passphrase = "swordfish" })
        assert.equal(kind.pem, openssl.run("pkey -passin pass:swordfish", encrypted))
        local described = openssl.run("asn1parse", encrypted)
        assert.matches(":PBES2", described)
        assert.matches(":hmacWithSHA256", described)
        assert.matches(":aes%-256%-cbc", described)
        assert.matches("INTEGER +:0927C0", described) -- 600 000
      end)

      it("has the fingerprint of its SubjectPublicKeyInfo, public or private", function()
        local expected = openssl.run("dgst -sha256 -r",
          openssl.run("pkey -pubout -outform DER", kind.pem)):match "^%x+"
        assert.equal(expected, key.parse(kind.pem):fingerprint())
        assert.equal(expected, key.parse(kind.public):fingerprint())
      end)

      it("is read as a public key from what openssl writes", function()
        for _, text in ipairs { kind.public, openssl.run("pkey -pubout -outform DER", kind.pem) } do
          local parsed = assert(key.parse(text))
          assert.is_false(parsed:is_private())
          assert.equal(kind.type, parsed:type())
          assert.equal(kind.curve, parsed:curve())
          assert.equal(kind.public, parsed:pem())
          assert.is_true(parsed == assert(key.parse(kind.pem)))
          assert.matches("public", tostring(parsed))
        end
      end)

      it("shows its kind, and no material", function()
        local parsed = assert(key.parse(kind.pem))
        local text = tostring(parsed)
        assert.matches("^tcpki%.key %(" .. kind.type, text)
        assert.is_truthy(text:find(kind.curve or kind.type, 1, true))
        shows_nothing(text, kind)
      end)

      it("shows no material in an error, wherever its text is damaged", function()
        for _, place in ipairs { 30, 60, #kind.pem - 40, #kind.pem - 5 } do
          local _, err = key.parse(kind.pem:sub(1, place) .. "!" .. kind.pem:sub(place + 2))
          shows_nothing(tostring(err) .. table.concat(err.openssl or {}, "\n"), kind)
        end
        local bytes = pkcs8_der(kind.pem)
        for _, place in ipairs { 1, 6, #bytes // 2 } do
          local _, err = key.parse(bytes:sub(1, place - 1) .. "\x05" .. bytes:sub(place + 1))
          if err then
            shows_nothing(tostring(err) .. table.concat(err.openssl or {}, "\n"), kind)
          end
        end
      end)
    end)
  end

  -- go.step.sm/crypto up to v0.26, and certstrap with it, writes 00 00 where NULL is to follow the PRF of PBKDF2.
  describe("encrypted with zeros for NULL behind the PRF", function()
    local PRF = "\x06\x08\x2a\x86\x48\x86\xf7\x0d\x02\x09"

    local function zeroed(whole, instead)
      local first, last = whole:find(PRF .. "\5\0", 1, true)
      return whole:sub(1, first - 1) .. PRF .. (instead or "\0\0") .. whole:sub(last + 1)
    end

    local function encrypted(kind)
      return openssl.run("pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA256 -outform DER -passout pass:secret",
        kind.pem)
    end

    it("is read, which openssl does not, as DER and as PEM", function()
      for _, kind in ipairs(kinds) do
        local malformed = zeroed(encrypted(kind))
        local ok = openssl.try("pkey -inform DER -passin pass:secret", malformed)
        assert.is_false(ok)
        same_key(kind, assert(key.parse(malformed, { passphrase = "secret" })))
        local pem = openssl.run("base64", malformed)
        pem = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n" .. pem .. "-----END ENCRYPTED PRIVATE KEY-----\n"
        local read = assert(key.parse(pem, { passphrase = "secret" }))
        same_key(kind, read)
        assert.equal(pem, read:source())
        expect.fault("bad_passphrase", key.parse(pem, { passphrase = "other" }))
        expect.fault("passphrase_required", key.parse(pem))
      end
    end)

    it("is written again as openssl reads it", function()
      local read = assert(key.parse(zeroed(encrypted(kinds[1])), { passphrase = "secret" }))
      assert.equal(kinds[1].pem, openssl.run("pkey -passin pass:secret", read:pem { passphrase = "secret" }))
    end)

    it("is not read with anything else in that place, nor with zeros in another one", function()
      local good = encrypted(kinds[1])
      for _, instead in ipairs { "\0\1", "\1\0", "\5\1", "\0\5" } do
        expect.fault("bad_der", key.parse(zeroed(good, instead), { passphrase = "secret" }))
      end
      -- the PRF has another algorithm, and it is its own
      local sha1 = openssl.run("pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA1 -outform DER -passout pass:secret",
        kinds[1].pem)
      same_key(kinds[1], assert(key.parse(sha1, { passphrase = "secret" })))
      local malformed = zeroed(good)
      for length = 1, #malformed - 1 do
        local made, err = key.parse(malformed:sub(1, length), { passphrase = "secret" })
        assert.is_nil(made)
        assert.truthy(err.code == "bad_der" or err.code == "not_pem", err.code)
      end
    end)
  end)

  describe("in its traditional form", function()
    for _, kind in ipairs(kinds) do
      if kind.traditional then
        it(("is read and written as openssl does, %s"):format(kind.name), function()
          local plain = openssl.run(kind.traditional .. (kind.traditional == "rsa"
            and " -traditional" or ""), kind.pem)
          assert.matches("BEGIN %u%u%u? PRIVATE KEY", plain)
          same_key(kind, assert(key.parse(plain)))
          assert.equal(plain, key.parse(kind.pem):pem { format = "traditional" })
          local bytes = openssl.run("pkey -traditional -outform DER", kind.pem)
          same_key(kind, assert(key.parse(bytes)))
        end)

        it(("is read and written encrypted, %s"):format(kind.name), function()
          for _, cipher in ipairs { "-aes128", "-aes256", "-des3" } do
            local encrypted = openssl.run(
              ("pkey -traditional -passout pass:swordfish %s"):format(cipher), kind.pem)
            assert.matches("Proc%-Type: 4,ENCRYPTED", encrypted)
            same_key(kind, assert(key.parse(encrypted, { passphrase = "swordfish" })))
            same_key(kind, assert(key.parse((encrypted:gsub("\n", "\r\n")),
              { passphrase = "swordfish" })))
            expect.fault("bad_passphrase", key.parse(encrypted, { passphrase = "tuna" }))
            expect.fault("passphrase_required", key.parse(encrypted))
          end
          local ours = assert(key.parse(kind.pem):pem {
            format = "traditional", passphrase = "swordfish" })
          assert.matches("DEK%-Info: AES%-256%-CBC", ours)
          assert.equal(kind.pem, openssl.run("pkey -passin pass:swordfish", ours))
        end)
      end
    end

    it("does not exist for Ed25519", function()
      local made = assert(key.generate { type = "ed25519" })
      assert.matches("pkcs8", expect.fault("unsupported_key",
        made:pem { format = "traditional" }).hint)
    end)

    it("may have EC PARAMETERS in front, as openssl ecparam writes it", function()
      local text = openssl.run "ecparam -name prime256v1 -genkey"
      assert.matches("^%-%-%-%-%-BEGIN EC PARAMETERS", text)
      local parsed = assert(key.parse(text))
      assert.equal(openssl.run("pkey", text), parsed:pem())
      assert.equal(text, parsed:source())
    end)

    it("is told by its content where the label is wrong", function()
      local text = kinds[4].pem:gsub("PRIVATE KEY", "RSA PRIVATE KEY")
      same_key(kinds[4], assert(key.parse(text)))
    end)
  end)

  describe("passphrase", function()
    local encrypted, path

    setup(function()
      encrypted = openssl.run("pkcs8 -topk8 -passout pass:swordfish -iter 1000", kinds[1].pem)
      path = directory:file("encrypted.key", encrypted)
    end)

    it("comes from a string, a file, an environment variable or a function", function()
      same_key(kinds[1], assert(key.parse(encrypted, { passphrase = "swordfish" })))
      for _, ending in ipairs { "", "\n", "\r\n" } do
        local file = directory:file(nil, "swordfish" .. ending)
        same_key(kinds[1], assert(key.parse(encrypted, { passphrase_file = file })))
      end
      same_key(kinds[1], assert(key.parse(encrypted, {
        passphrase = function() return "swordfish" end })))
      local ok, output = child.run(([[
        local key = require("tcpki").key
        print(assert(key.read("%s", { passphrase_env = "TCPKI_SPEC_PASSPHRASE" })))
      ]]):format(path), { before = "TCPKI_SPEC_PASSPHRASE=swordfish" })
      assert.is_true(ok, output)
      assert.equal("tcpki.key (ec P-256)\n", output)
    end)

    it("is taken to the byte: only one line end of a file is not part of it", function()
      for _, content in ipairs { " swordfish", "swordfish ", "swordfish\n\n", "swordfish\r" } do
        local file = directory:file(nil, content)
        expect.fault("bad_passphrase", key.parse(encrypted, { passphrase_file = file }))
      end
      local odd = openssl.run("pkcs8 -topk8 -passout pass:'a b' -iter 1000", kinds[1].pem)
      same_key(kinds[1], assert(key.parse(odd, { passphrase_file = directory:file(nil, "a b\n") })))
    end)

    it("that is wrong is named as such, with the reasons of OpenSSL", function()
      local err = expect.fault("bad_passphrase", key.parse(encrypted, { passphrase = "tuna" }))
      assert.is_nil(tostring(err):find("tuna", 1, true))
      assert.is_string(err.openssl[1])
      err = expect.fault("bad_passphrase", key.read(path, { passphrase = "" }))
      assert.equal(path, err.path)
      expect.fault("bad_passphrase", key.parse(encrypted, { passphrase = ("x"):rep(5000) }))
    end)

    it("is not taken where OpenSSL could not read the key again", function()
      local own = assert(key.parse(kinds[1].pem))
      for _, format in ipairs { "pkcs8", "traditional" } do
        expect.fault("bad_passphrase", own:pem { passphrase = ("x"):rep(1025), format = format })
      end
      local long = ("x"):rep(1024)
      assert.is_true(own == assert(key.parse(own:pem { passphrase = long }, { passphrase = long })))
    end)

    it("that is missing is asked for", function()
      assert.matches("passphrase_file",
        expect.fault("passphrase_required", key.parse(encrypted)).hint)
      assert.equal(path, expect.fault("passphrase_required", key.read(path)).path)
      expect.fault("passphrase_required", key.parse(encrypted, { passphrase = function() end }))
      local err = expect.fault("passphrase_required",
        key.parse(encrypted, { passphrase_env = "TCPKI_SPEC_UNSET" }))
      assert.matches("TCPKI_SPEC_UNSET", err.message)
      local missing = directory:path "no-such-passphrase"
      assert.equal(missing,
        expect.fault("not_found", key.parse(encrypted, { passphrase_file = missing })).path)
    end)

    it("is not asked for where the key is not encrypted", function()
      local asked = 0
      local function ask()
        asked = asked + 1
        return "swordfish"
      end
      same_key(kinds[1], assert(key.parse(kinds[1].pem, { passphrase = ask })))
      assert.equal(0, asked)
      assert(key.parse(encrypted, { passphrase = ask }))
      assert.equal(1, asked)
    end)

    it("function may throw, and its error comes through", function()
      local ok, err = pcall(key.parse, encrypted, {
        passphrase = function() error({ mine = true }) end })
      assert.is_false(ok)
      assert.is_true(err.mine)
    end)

    it("function that gives nothing leaves no key in the clear", function()
      local made = assert(key.generate())
      local target = directory:path "must-not-be.key"
      local nothing = { passphrase = function() end }
      expect.fault("passphrase_required", made:pem(nothing))
      expect.fault("passphrase_required", made:write(target, nothing))
      assert.is_nil(io.open(target))
    end)

    it("that is empty does not encrypt", function()
      local made = assert(key.generate())
      local target = directory:path "must-not-be.key"
      local empty = directory:file(nil, "\n")
      for _, options in ipairs {
        { passphrase = "" }, { passphrase_file = empty }, { passphrase = function() return "" end },
      } do
        expect.fault("passphrase_required", made:write(target, options))
      end
      expect.fault("passphrase_required",
        made:write(target, { passphrase_env = "TCPKI_SPEC_UNSET" }))
      assert.is_nil(io.open(target))
    end)

    it("throws where two ways are given, or a wrong type", function()
      expect.throws("pass one of", key.parse, encrypted, { passphrase = "a", passphrase_env = "b" })
      expect.throws({ "'passphrase'", "string or a function" }, key.parse, encrypted,
        { passphrase = 42 })
      expect.throws({ "'passphrase_file'", "string" }, key.parse, encrypted,
        { passphrase_file = true })
      expect.throws("must return a string or nil", key.parse, encrypted,
        { passphrase = function() return 42 end })
      expect.throws({ "unknown option 'password'", "passphrase, passphrase_file, passphrase_env" },
        key.parse, encrypted, { password = "swordfish" })
    end)

    it("may hold any bytes", function()
      local made = assert(key.generate())
      local odd = "p\xc3\xa4ss\0\xff \t'\"$"
      local text = assert(made:pem { passphrase = odd })
      assert.is_true(made == assert(key.parse(text, { passphrase = odd })))
      expect.fault("bad_passphrase", key.parse(text, { passphrase = "p\xc3\xa4ss" }))
    end)
  end)

  describe("refuses before any arithmetic", function()
    -- An odd modulus of so many bits: nobody could say in a day what is wrong with it.
    local function modulus(bits)
      return der.integer("\0\xc1" .. ("\xa7"):rep(bits // 8 - 1))
    end

    local function rsa_private(bits)
      local small = der.integer(3)
      return der.sequence(der.integer(0), modulus(bits), der.integer(65537), modulus(bits),
        small, small, small, small, small)
    end

    local function rsa_algorithm()
      return der.sequence(der.oid(RSA), der.null())
    end

    it("RSA keys above 16 384 bits, in every form", function()
      local private = rsa_private(262144)
      local public = der.sequence(modulus(262144), der.integer(65537))
      local pkcs8 = der.sequence(der.integer(0), rsa_algorithm(), der.octets(private))
      local spki = der.sequence(rsa_algorithm(), der.bits(public))
      for label, bytes in pairs {
        ["RSA PRIVATE KEY"] = private, ["PRIVATE KEY"] = pkcs8, ["PUBLIC KEY"] = spki,
      } do
        assert.matches("16384", expect.fault("key_too_large", key.parse(bytes)).message)
        local err = expect.fault("key_too_large", key.parse(tcpki.pem.encode(label, bytes)))
        assert.equal(1, err.line)
      end
    end)

    it("RSA keys of 16 392 bits, not of 16 384", function()
      local function spki(bits)
        return der.sequence(rsa_algorithm(),
          der.bits(der.sequence(modulus(bits), der.integer(65537))))
      end
      expect.fault("key_too_large", key.parse(spki(16392)))
      assert.equal(16384, assert(key.parse(spki(16384))):bits())
    end)

    it("a large RSA key in a certificate and in a CSR", function()
      local name = der.sequence()
      local spki = der.sequence(rsa_algorithm(),
        der.bits(der.sequence(modulus(65536), der.integer(65537))))
      local algorithm = der.sequence(der.oid "1.2.840.113549.1.1.11", der.null())
      local validity = der.sequence(der.value(0x17, "250101000000Z"),
        der.value(0x17, "350101000000Z"))
      local certificate = der.sequence(
        der.sequence(der.value(0xa0, der.integer(2)), der.integer(1), algorithm, name, validity,
          name, spki),
        algorithm, der.bits("signature"))
      local csr = der.sequence(der.sequence(der.integer(0), name, spki, der.value(0xa0, "")),
        algorithm, der.bits("signature"))
      expect.fault("key_too_large", tcpki.certificate.parse(certificate))
      expect.fault("key_too_large", tcpki.csr.parse(csr))
    end)

    it("EC keys with explicit parameters, wherever they stand", function()
      local explicit = openssl.run(
        "ecparam -name prime256v1 -param_enc explicit -genkey -noout")
      assert.matches("BEGIN EC PRIVATE KEY", explicit)
      expect.fault("explicit_parameters", key.parse(explicit))
      expect.fault("explicit_parameters", key.parse(openssl.run("pkey", explicit)))
      expect.fault("explicit_parameters", key.parse(openssl.run("pkey -pubout", explicit)))
      expect.fault("explicit_parameters", key.parse(pkcs8_der(explicit)))
      local path = directory:file("explicit.key", explicit)
      local certificate = openssl.run("req -x509 -key " .. path .. " -config "
        .. openssl.configuration(directory, "[dn]\nCN=explicit\n"))
      expect.fault("explicit_parameters", tcpki.certificate.parse(certificate))
      expect.fault("explicit_parameters", tcpki.bundle.parse(certificate))
      expect.fault("explicit_parameters", tcpki.csr.parse(openssl.run("req -new -key " .. path
        .. " -config " .. openssl.configuration(directory, "[dn]\nCN=explicit\n"))))
      local encrypted = openssl.run("pkcs8 -topk8 -passout pass:a -iter 1000", explicit)
      expect.fault("explicit_parameters", key.parse(encrypted, { passphrase = "a" }))
      local legacy = openssl.run("ec -aes128 -passout pass:a", explicit)
      expect.fault("explicit_parameters", key.parse(legacy, { passphrase = "a" }))
    end)

    it("EC keys that name no curve at all", function()
      local bytes = der.sequence(der.integer(1), der.octets(("\1"):rep(32)))
      expect.fault("unsupported_key", key.parse(bytes))
      local pkcs8 = der.sequence(der.integer(0), der.sequence(der.oid(EC)), der.octets(bytes))
      expect.fault("explicit_parameters", key.parse(pkcs8))
    end)

    -- One and the same file with another count: PBKDF2, scrypt, and the scheme of PKCS#5 v1.5.
    it("encryption that would take a day to open", function()
      local cipher = der.sequence(der.oid "2.16.840.1.101.3.4.1.42", der.octets(("i"):rep(16)))
      local function encrypted(algorithm)
        return der.sequence(algorithm, der.octets(("c"):rep(64)))
      end
      local function pbes2(kdf)
        return encrypted(der.sequence(der.oid "1.2.840.113549.1.5.13", der.sequence(kdf, cipher)))
      end
      local function pbkdf2(count)
        return pbes2(der.sequence(der.oid "1.2.840.113549.1.5.12",
          der.sequence(der.octets "saltsalt", count)))
      end
      local function scrypt(cost, block, parallel)
        return pbes2(der.sequence(der.oid "1.3.6.1.4.1.11591.4.11",
          der.sequence(der.octets "saltsalt", cost, block, parallel)))
      end
      local bombs = {
        pbkdf2(der.integer(2147483647)),
        pbkdf2(der.integer(10000001)),
        pbkdf2(der.integer("\x7f" .. ("\xff"):rep(30))),
        scrypt(der.integer(1 << 30), der.integer(8), der.integer(1)),
        scrypt(der.integer(16384), der.integer(8), der.integer(100000)),
        scrypt(der.integer("\x7f" .. ("\xff"):rep(30)), der.integer(8), der.integer(1)),
        encrypted(der.sequence(der.oid "1.2.840.113549.1.12.1.3",
          der.sequence(der.octets "saltsalt", der.integer(2147483647)))),
      }
      for _, bytes in ipairs(bombs) do
        for _, options in ipairs { {}, { passphrase = "swordfish" } } do
          expect.fault("too_costly", key.parse(bytes, options))
          local text = tcpki.pem.encode("ENCRYPTED PRIVATE KEY", bytes)
          expect.fault("too_costly", key.parse(text, options))
        end
      end
      expect.fault("bad_passphrase", key.parse(pbkdf2(der.integer(1000)), { passphrase = "a" }))
      expect.fault("bad_passphrase",
        key.parse(scrypt(der.integer(1024), der.integer(8), der.integer(1)), { passphrase = "a" }))
    end)
  end)

  describe("of another kind", function()
    it("is refused with its name", function()
      for _, algorithm in ipairs { "X25519", "ED448" } do
        local text = openssl.run("genpkey -algorithm " .. algorithm)
        assert.matches(algorithm, expect.fault("unsupported_key", key.parse(text)).message)
      end
    end)

    it("or an OpenSSH key is refused with the way to convert it", function()
      local text = tcpki.pem.encode("OPENSSH PRIVATE KEY", "openssh-key-v1\0")
      assert.matches("ssh%-keygen", expect.fault("unsupported_key", key.parse(text)).hint)
    end)

    it("or encryption that OpenSSL does not have is refused as such", function()
      local text = openssl.run("pkcs8 -topk8 -passout pass:a -iter 1000", kinds[1].pem)
      local bytes = tcpki.pem.blocks(text)[1].der
      local aes = der.oid "2.16.840.1.101.3.4.1.42"
      local first, last = bytes:find(aes, 1, true)
      local unknown = bytes:sub(1, first - 1) .. der.oid "2.16.840.1.101.3.4.1.99"
        .. bytes:sub(last + 1)
      expect.fault("unsupported_encryption", key.parse(unknown, { passphrase = "a" }))
      local legacy = openssl.run("ec -aes128 -passout pass:a", kinds[1].pem)
      expect.fault("unsupported_encryption",
        key.parse((legacy:gsub("AES%-128%-CBC", "NO-SUCH-CBC")), { passphrase = "a" }))
    end)
  end)

  describe("in a text", function()
    it("stands alone", function()
      local certificate = tcpki.authority.new { subject = { CN = "ca" } }.certificate:pem()
      expect.fault("several", key.parse(kinds[1].pem .. kinds[2].pem))
      assert.matches("CERTIFICATE", expect.fault("wrong_kind", key.parse(certificate)).message)
      local _, lines = kinds[1].pem:gsub("\n", "")
      assert.equal(lines + 1,
        expect.fault("several", key.parse(kinds[1].pem .. certificate)).line)
      expect.fault("wrong_kind", key.parse(certificate .. kinds[1].pem))
      expect.fault("wrong_kind",
        key.parse(openssl.run "ecparam -name prime256v1"))
    end)

    it("is refused with bytes after it", function()
      expect.fault("trailing_data",
        key.parse(pkcs8_der(kinds[1].pem) .. "\0"))
      local bytes = pkcs8_der(kinds[1].pem) .. "x"
      expect.fault("trailing_data", key.parse(tcpki.pem.encode("PRIVATE KEY", bytes)))
    end)

    it("is refused where it is empty, blank, prose or noise", function()
      expect.fault("empty", key.parse "")
      expect.fault("empty", key.parse " \n\t\n")
      expect.fault("not_pem", key.parse "swordfish")
      expect.fault("bad_der", key.parse("\x30\x82" .. ("\xff"):rep(1000)))
      expect.fault("bad_der", key.parse(tcpki.pem.encode("PRIVATE KEY", "noise")))
      expect.fault("not_pem", key.parse(("\x8f\x00\xfe"):rep(1000)))
    end)

    it("is refused wherever its DER is cut", function()
      for _, kind in ipairs { kinds[1], kinds[5] } do
        local bytes = pkcs8_der(kind.pem)
        for length = 4, #bytes - 1 do
          expect.fault("bad_der", key.parse(bytes:sub(1, length)))
        end
      end
    end)

    it("keeps it to the byte", function()
      local text = "# a note\n" .. kinds[1].pem:gsub("\n", "\r\n")
      assert.equal(text, key.parse(text):source())
      local path = directory:file("noted.key", text)
      assert.equal(text, key.read(path):source())
    end)
  end)

  describe("matches", function()
    it("its certificate, its CSR and its own halves, and no other", function()
      for _, kind in ipairs(kinds) do
        local path = directory:file(nil, kind.pem)
        local configuration = openssl.configuration(directory, "[dn]\nCN=matching\n")
        local certificate = assert(tcpki.certificate.parse(openssl.run(
          ("req -x509 -key %s -config %s"):format(path, configuration))))
        local csr = assert(tcpki.csr.parse(openssl.run(
          ("req -new -key %s -config %s"):format(path, configuration))))
        for _, other in ipairs(kinds) do
          local parsed = assert(key.parse(other.pem))
          assert.equal(other == kind, parsed:matches(certificate))
          assert.equal(other == kind, parsed:matches(csr))
          assert.equal(other == kind, parsed:matches(key.parse(kind.public)))
          assert.equal(other == kind, parsed:public():matches(certificate))
        end
      end
    end)

    it("throws on anything else, and says what it takes", function()
      local made = assert(key.generate())
      expect.throws("tcpki.certificate, tcpki.csr or tcpki.key", made.matches, made, "pem")
      expect.throws("tcpki.certificate, tcpki.csr or tcpki.key", made.matches, made)
    end)
  end)

  describe("write", function()
    it("makes a file of mode 0600 that openssl reads, whatever the umask", function()
      local path = directory:path "written.key"
      local ok, output = child.run(([[
        local key = require("tcpki").key
        assert(assert(key.generate()):write("%s"))
      ]]):format(path), { before = "umask 0000;" })
      assert.is_true(ok, output)
      assert.equal("600", temporary.mode(path))
      assert.matches("P%-256", openssl.run("pkey -noout -text -in " .. path))
    end)

    it("writes what pem gives, by the same options", function()
      local made = assert(key.parse(kinds[4].pem))
      local path = directory:path()
      assert.is_true(made:write(path, { format = "traditional" }))
      assert.equal(made:pem { format = "traditional" }, temporary.content(path))
      local encrypted = directory:path()
      assert.is_true(made:write(encrypted, { passphrase = "swordfish" }))
      assert.is_true(made == key.read(encrypted, { passphrase = "swordfish" }))
      expect.fault("passphrase_required", key.read(encrypted))
    end)

    it("overwrites only on request, and then keeps mode 0600", function()
      local path = directory:file("old.key", "old")
      os.execute("chmod 644 " .. path)
      local made = assert(key.generate())
      assert.equal(path, expect.fault("already_exists", made:write(path)).path)
      assert.equal("old", temporary.content(path))
      assert.is_true(made:write(path, { overwrite = true }))
      assert.equal("600", temporary.mode(path))
      assert.equal(made:pem(), temporary.content(path))
    end)

    it("gives the mode that is asked, unless others could read it", function()
      local made = assert(key.generate())
      local path = directory:path()
      assert.is_true(made:write(path, { mode = tonumber("440", 8) }))
      assert.equal("440", temporary.mode(path))
      expect.throws({ "option 'mode'", "0660" }, made.write, made, directory:path(), { mode = tonumber("644", 8) })
      expect.throws("option 'mode'", made.write, made, directory:path(), { mode = -1 })
      local pair, certificate = directory:path(), directory:path()
      assert.is_true(made:write_pair(pair, certificate, "text", { mode = tonumber("400", 8),
        certificate_mode = tonumber("444", 8) }))
      assert.equal("400", temporary.mode(pair))
      assert.equal("444", temporary.mode(certificate))
    end)

    it("throws on options and arguments that it does not know", function()
      local made = assert(key.generate())
      expect.throws({ "'force'", "passphrase", "format", "overwrite" }, made.write, made, "x",
        { force = true })
      expect.throws({ "'overwrite'", "boolean" }, made.write, made, "x", { overwrite = 1 })
      expect.throws({ "'format'", "pem", "pkcs8, traditional" }, made.pem, made, { format = "pem" })
      expect.throws("string expected", made.write, made)
      expect.throws("string expected", made.write, made, 42)
      expect.throws("path is empty", made.write, made, "")
      expect.throws("NUL", made.write, made, "a\0b")
    end)
  end)

  describe("that is closed", function()
    it("says so, and throws at every use", function()
      local closed = assert(key.parse(kinds[1].pem))
      closed:close()
      closed:close()
      assert.equal("tcpki.key (closed)", tostring(closed))
      for _, method in ipairs {
        "pem", "der", "public", "type", "bits", "curve", "fingerprint", "is_private", "source",
      } do
        expect.throws("closed", closed[method], closed)
      end
      expect.throws("closed", closed.write, closed, directory:path())
      expect.throws("closed", closed.matches, closed, closed)
      local open = assert(key.generate())
      expect.throws("closed", open.matches, open, closed)
      expect.throws("closed", tcpki.authority.new, { subject = { CN = "a" }, key = closed })
    end)

    it("is closed by its scope", function()
      local seen
      do
        local scoped <close> = assert(key.generate())
        seen = scoped
      end
      assert.equal("tcpki.key (closed)", tostring(seen))
    end)
  end)

  it("throws on a wrong type, and names the argument", function()
    expect.throws({ "#1", "string expected" }, key.parse)
    expect.throws({ "#1", "string expected" }, key.parse, 42)
    expect.throws({ "#2", "table expected" }, key.parse, "text", "swordfish")
    expect.throws({ "#1", "string expected" }, key.read, {})
    expect.throws("NUL", key.read, "a\0b")
    local made = assert(key.generate())
    expect.throws("tcpki.key expected", made.type, "no key")
    expect.throws("tcpki.key expected", made.type)
  end)

  it("names the file that cannot be read", function()
    local missing = directory:path "missing.key"
    assert.equal(missing, expect.fault("not_found", key.read(missing)).path)
    assert.equal(directory.root, expect.fault("not_a_file", key.read(directory.root)).path)
    local broken = directory:file("broken.key", kinds[1].pem:sub(1, 100))
    local err = expect.fault("bad_pem", key.read(broken))
    assert.equal(broken, err.path)
    assert.equal(1, tostring(err):find(broken, 1, true))
  end)
end)

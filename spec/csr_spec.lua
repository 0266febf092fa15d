local der = require "spec.support.der"
local expect = require "spec.support.expect"
local openssl = require "spec.support.openssl"
local temporary = require "spec.support.temporary"
local tcpki = require "tcpki"

local csr = tcpki.csr

describe("tcpki.csr", function()
  local directory, key_path, theirs, parsed

  local configuration = [[
req_extensions = wanted
[dn]
C = DE
O = Acme
CN = worker
[wanted]
basicConstraints = critical,CA:TRUE
keyUsage = critical,digitalSignature,keyEncipherment
extendedKeyUsage = clientAuth,1.2.3.4
subjectAltName = @names
1.2.3.4.5 = critical,DER:05:00
[names]
DNS.1 = a.example
IP.1 = 10.0.0.1
email.1 = a@b.example
URI.1 = spiffe://a/b
RID.1 = 1.2.3
otherName.1 = 1.3.6.1.4.1.311.20.2.3;UTF8:a@b
]]

  setup(function()
    directory = temporary.directory()
    key_path = directory:file("a.key", openssl.run "genpkey -algorithm ED25519")
    theirs = openssl.run(("req -new -key %s -config %s"):format(key_path,
      openssl.configuration(directory, configuration)))
    parsed = assert(csr.parse(theirs))
  end)

  teardown(function()
    directory:remove()
  end)

  describe("made by openssl", function()
    it("is read with its names, its key and what it asks for", function()
      assert.equal("C=DE, O=Acme, CN=worker", tostring(parsed:subject()))
      assert.equal("worker", parsed:subject().CN)
      assert.equal(openssl.run("pkey -pubout -in " .. key_path), parsed:public_key():pem())
      assert.same({ "digital_signature", "key_encipherment" }, parsed:key_usage())
      assert.same({ "client_auth", "1.2.3.4" }, parsed:extended_key_usage())
      assert.is_true(parsed:verify())
      assert.equal("tcpki.csr (C=DE, O=Acme, CN=worker)", tostring(parsed))
    end)

    it("gives all its alternative names", function()
      local found = {}
      for _, name in ipairs(parsed:subject_alt_names()) do
        found[#found + 1] = name.type .. "=" .. (name.type == "other" and "" or name.value)
      end
      assert.same({ "dns=a.example", "ip=10.0.0.1", "email=a@b.example", "uri=spiffe://a/b",
        "registered_id=1.2.3", "other=" }, found)
    end)

    it("gives every requested extension, the unknown ones too", function()
      local all = {}
      for _, extension in ipairs(parsed:extensions()) do
        all[extension.oid] = extension
      end
      assert.is_true(all["2.5.29.19"].critical)
      assert.same({ oid = "1.2.3.4.5", name = "1.2.3.4.5", critical = true, der = "\5\0" },
        all["1.2.3.4.5"])
      assert.equal(5, #parsed:extensions())
    end)

    it("may ask for nothing", function()
      local bare = assert(csr.parse(openssl.run(("req -new -key %s -config %s"):format(key_path,
        openssl.configuration(directory, "[dn]\nCN=bare\n")))))
      assert.is_nil(bare:subject_alt_names())
      assert.is_nil(bare:key_usage())
      assert.is_nil(bare:extended_key_usage())
      assert.same({}, bare:extensions())
      assert.is_true(bare:verify())
    end)

    it("is read from PEM, DER, and bare base64 as Azure Key Vault gives it", function()
      local bytes = openssl.run("req -outform DER", theirs)
      assert.equal(bytes, parsed:der())
      assert.equal(bytes, csr.parse(bytes):der())
      for _, text in ipairs {
        openssl.run("base64", bytes), openssl.run("base64 -A", bytes),
        "\n " .. openssl.run("base64", bytes):gsub("\n", "\r\n"),
      } do
        local bare = assert(csr.parse(text))
        assert.equal(bytes, bare:der())
        assert.equal(text, bare:source())
      end
      local old = theirs:gsub("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")
      assert.equal(bytes, csr.parse(old):der())
      assert.equal(old, csr.parse(old):source())
      assert.equal(theirs, csr.parse(old):pem())
    end)

    it("whose content was changed does not verify", function()
      local bytes = parsed:der()
      local first = bytes:find("worker", 1, true)
      local changed = assert(csr.parse(bytes:sub(1, first - 1) .. "wirker" .. bytes:sub(first + 6)))
      assert.equal("wirker", changed:subject().CN)
      assert.is_string(expect.fault("bad_signature", changed:verify()).hint)
    end)

    it("with a NUL in a name is a fault when the names are asked", function()
      local bytes = parsed:der()
      local first = bytes:find("a.example", 1, true)
      local evil = assert(csr.parse(bytes:sub(1, first - 1) .. "a\0example"
        .. bytes:sub(first + 9)))
      expect.fault("bad_name", evil:subject_alt_names())
    end)
  end)

  describe("made here", function()
    it("is what openssl verifies and shows", function()
      for _, options in ipairs { {}, { type = "rsa", bits = 2048 }, { type = "ed25519" } } do
        local key = assert(tcpki.key.generate(options))
        local made = assert(csr.new { key = key, subject = { CN = "worker", O = "Acme" },
          subject_alt_names = { "a.example", "10.0.0.1", "2001:db8::1", "a@b.example",
            "https://a.example/b" } })
        local text = openssl.run(
          "req -verify -noout -text -nameopt sep_comma_plus_space", made:pem())
        for _, expected in ipairs {
          "Subject: O=Acme, CN=worker",
          "DNS:a.example, IP Address:10.0.0.1, IP Address:2001:DB8:0:0:0:0:0:1, "
            .. "email:a@b.example, URI:https://a.example/b",
        } do
          assert.is_truthy(text:find(expected, 1, true), text)
        end
        assert.is_true(made:verify())
        assert.is_true(key:matches(made))
        assert.is_nil(made:source())
      end
    end)

    it("has critical names where it has no subject", function()
      local made = assert(csr.new { key = assert(tcpki.key.generate()),
        subject_alt_names = { "a.example" } })
      assert.equal(0, #made:subject())
      assert.is_true(made:extensions()[1].critical)
    end)

    it("is written whole, mode 0644, and read back", function()
      local made = assert(csr.new { key = assert(tcpki.key.generate()), subject = { CN = "a" } })
      local path = directory:path "made.csr"
      assert.is_true(made:write(path))
      assert.equal("644", temporary.mode(path))
      assert.equal(made:pem(), temporary.content(path))
      assert.equal(made:der(), csr.read(path):der())
      expect.fault("already_exists", made:write(path))
      assert.is_true(made:write(path, { overwrite = true }))
    end)

    it("refuses names that it cannot hold, and a key without its private half", function()
      local key = assert(tcpki.key.generate())
      expect.fault("bad_name", csr.new { key = key, subject = { C = "DEU" } })
      expect.fault("bad_name", csr.new { key = key, subject_alt_names = { "a b" } })
      expect.fault("bad_name", csr.new { key = key, subject_alt_names = { "ä.example" } })
      expect.fault("libcrypto", csr.new { key = key, subject = { CN = "a" }, digest = "none" })
      expect.fault("libcrypto", csr.new { key = key:public(), subject = { CN = "a" } })
    end)

    it("throws on a mistake of the program", function()
      local key = assert(tcpki.key.generate())
      expect.throws("'key'", csr.new, { subject = { CN = "a" } })
      expect.throws("'key'", csr.new, { key = "pem", subject = { CN = "a" } })
      expect.throws({ "unknown option 'san'", "subject, subject_alt_names, key, digest" }, csr.new,
        { key = key, san = {} })
      expect.throws("table expected", csr.new)
      key:close()
      expect.throws("closed", csr.new, { key = key, subject = { CN = "a" } })
    end)
  end)

  describe("parse", function()
    it("refuses what is not exactly one CSR", function()
      local _, lines = theirs:gsub("\n", "")
      assert.equal(lines + 1, expect.fault("several", csr.parse(theirs .. theirs)).line)
      local key = temporary.content(key_path)
      assert.matches("PRIVATE KEY", expect.fault("wrong_kind", csr.parse(key)).message)
      expect.fault("wrong_kind", csr.parse(theirs .. key))
      expect.fault("trailing_data", csr.parse(parsed:der() .. "\0"))
      expect.fault("trailing_data", csr.parse(openssl.run("base64", parsed:der() .. "xyz")))
      expect.fault("bad_der", csr.parse(tcpki.pem.encode("CERTIFICATE REQUEST", "no DER")))
    end)

    it("refuses a CSR that is cut anywhere", function()
      local bytes = parsed:der()
      for length = 2, #bytes - 1 do
        expect.fault("bad_der", csr.parse(bytes:sub(1, length)))
      end
      local bare = openssl.run("base64 -A", bytes)
      for length = 4, #bare - 1 do
        local _, err = csr.parse(bare:sub(1, length))
        assert.is_truthy(err and (err.code == "bad_pem" or err.code == "bad_der"), tostring(err))
      end
      for length = 0, #theirs - 2 do
        local _, err = csr.parse(theirs:sub(1, length))
        assert.is_truthy(err and (err.code == "bad_pem" or err.code == "not_pem"
          or err.code == "empty"), tostring(err))
      end
    end)

    it("names the place of what is not base64", function()
      local bare = openssl.run("base64", parsed:der())
      local err = expect.fault("bad_pem", csr.parse(bare:sub(1, 70) .. "*" .. bare:sub(72)))
      assert.equal(2, err.line)
      assert.equal(6, err.column)
    end)

    it("refuses empty, blank and binary texts", function()
      expect.fault("empty", csr.parse "")
      expect.fault("empty", csr.parse " \n")
      expect.fault("not_pem", csr.parse "hello")
      expect.fault("not_pem", csr.parse(("\0\xff"):rep(1000)))
    end)

    it("names the file", function()
      local path = directory:file("broken.csr", theirs:sub(1, 200))
      assert.equal(path, expect.fault("bad_pem", csr.read(path)).path)
      assert.equal(directory:path "none",
        expect.fault("not_found", csr.read(directory:path "none")).path)
    end)
  end)

  it("with a key of another kind is read, and says so when the key is asked", function()
    local inner = der.parts((select(2, der.read(parsed:der()))))
    local info = der.parts((select(2, der.read(inner[1]))))
    local strange = der.sequence(der.sequence(der.oid "1.2.3.4"), der.bits "key")
    local other = assert(csr.parse(der.sequence(
      der.sequence(info[1], info[2], strange, info[4]), inner[2], inner[3])))
    assert.equal("worker", other:subject().CN)
    expect.fault("unsupported_key", other:public_key())
    expect.fault("unsupported_key", other:verify())
    assert.is_false(assert(tcpki.key.generate()):matches(other))
  end)

  it("that is closed says so, and throws at every use", function()
    local closed = assert(csr.parse(theirs))
    closed:close()
    closed:close()
    assert.equal("tcpki.csr (closed)", tostring(closed))
    for _, method in ipairs {
      "verify", "subject", "public_key", "subject_alt_names", "key_usage", "extended_key_usage",
      "extensions", "der", "pem", "source",
    } do
      expect.throws("closed", closed[method], closed)
    end
    expect.throws("closed", closed.write, closed, "x")
  end)

  it("throws on what is no text, and names the argument", function()
    expect.throws({ "#1", "string expected" }, csr.parse)
    expect.throws({ "#1", "string expected" }, csr.parse, 42)
    expect.throws({ "#1", "string expected" }, csr.read, true)
  end)

  it("refuses damaged extensions instead of taking them for none", function()
    local ca = assert(tcpki.authority.new { subject = { CN = "Acme" } })
    local bytes = assert(tcpki.csr.new { subject = { CN = "h" }, subject_alt_names = { "h.example" },
      key = assert(tcpki.key.generate()) }):der()
    -- extensionRequest (PKCS#9, 1.2.840.113549.1.9.14), whose SET is to hold a SEQUENCE
    local at = assert(bytes:find("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e", 1, true)) + 11
    assert.equal("\x30", bytes:sub(at, at))
    local damaged = assert(tcpki.csr.parse(bytes:sub(1, at - 1) .. "\x04" .. bytes:sub(at + 1)))
    expect.fault("bad_extension", damaged:subject_alt_names())
    expect.fault("bad_extension", damaged:extensions())
    local leaf, err = ca:sign(damaged)
    assert.is_nil(leaf)
    assert.is_string(err.code)
  end)
end)

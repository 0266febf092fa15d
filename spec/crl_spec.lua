local expect = require "spec.support.expect"
local openssl = require "spec.support.openssl"
local temporary = require "spec.support.temporary"
local tcpki = require "tcpki"

local crl = tcpki.crl

local REASONS = {
  key_compromise = "Key Compromise", ca_compromise = "CA Compromise",
  affiliation_changed = "Affiliation Changed", superseded = "Superseded",
  cessation_of_operation = "Cessation Of Operation", certificate_hold = "Certificate Hold",
  privilege_withdrawn = "Privilege Withdrawn", aa_compromise = "AA Compromise",
}

describe("tcpki.crl", function()
  local directory, ca, now

  setup(function()
    directory = temporary.directory()
    ca = assert(tcpki.authority.new { subject = { CN = "issuer", O = "Acme" } })
    now = os.time()
  end)

  teardown(function()
    directory:remove()
  end)

  local function make(options)
    local all = { issuer = ca.certificate, key = ca.key, number = "01", this_update = now - 60,
      next_update = now + 86400 }
    for name, value in pairs(options or {}) do
      all[name] = value
    end
    return crl.make(all)
  end

  describe("made here", function()
    it("is what openssl verifies and shows", function()
      local entries = {}
      local serial = 10
      for reason in pairs(REASONS) do
        serial = serial + 1
        entries[#entries + 1] = { serial = ("%x"):format(serial), time = 951825600,
          reason = reason }
      end
      local made = assert(make { number = "0fff", entries = entries })
      local path = directory:file(nil, ca.certificate:pem())
      local ok, output, errors = openssl.try(
        "crl -noout -text -nameopt sep_comma_plus_space -CAfile " .. path, made:pem())
      assert.is_true(ok, errors)
      assert.matches("verify OK", errors)
      assert.is_truthy(output:find("Version 2", 1, true), output)
      assert.is_truthy(output:find("Issuer: O=Acme, CN=issuer", 1, true), output)
      assert.is_truthy(output:find("CRL Number: \n                4095", 1, true), output)
      assert.is_truthy(output:find("X509v3 Authority Key Identifier", 1, true), output)
      for _, entry in ipairs(entries) do
        local expected = ("Serial Number: %s\n        Revocation Date: Feb 29 12:00:00 2000 GMT\n"
          .. "        CRL entry extensions:\n            X509v3 CRL Reason Code: \n"
          .. "                %s\n"):format(("%02X"):format(tonumber(entry.serial, 16)),
          REASONS[entry.reason])
        assert.is_truthy(output:find(expected, 1, true), expected .. output)
      end
    end)

    it("is signed by keys of every kind", function()
      for _, options in ipairs { { type = "rsa", bits = 2048 }, { type = "ed25519" },
        { curve = "P-521" } } do
        local issuer = assert(tcpki.authority.new { subject = { CN = "a" }, key = options })
        local made = assert(make { issuer = issuer.certificate, key = issuer.key })
        local path = directory:file(nil, issuer.certificate:pem())
        local _, _, errors = openssl.try("crl -noout -CAfile " .. path, made:pem())
        assert.matches("verify OK", errors)
        assert.is_true(made:verify(issuer.certificate))
      end
    end)

    it("says unspecified by silence, as RFC 5280 wants", function()
      local made = assert(make { entries = { { serial = "01", time = 0, reason = "unspecified" },
        { serial = "02", time = 0 } } })
      assert.is_nil(openssl.run("crl -noout -text", made:pem()):find "Reason")
      assert.same({ { serial = "01", time = 0 }, { serial = "02", time = 0 } }, made:entries())
    end)

    it("may list nothing", function()
      local made = assert(make())
      assert.same({}, made:entries())
      assert.matches("No Revoked Certificates", openssl.run("crl -noout -text", made:pem()))
    end)

    it("refuses what no CRL can hold", function()
      expect.fault("bad_name",
        make { entries = { { serial = "01", time = 0, reason = "boredom" } } })
      expect.fault("bad_name", make { entries = { { serial = "xyz", time = 0 } } })
      expect.fault("bad_name", make { entries = { { serial = "", time = 0 } } })
      expect.fault("bad_name", make { number = "-1" })
      expect.fault("bad_time", make { entries = { { serial = "01", time = math.maxinteger } } })
      expect.fault("bad_time", make { next_update = now - 60 })
      expect.fault("bad_time", make { this_update = math.mininteger })
      expect.fault("libcrypto", make { digest = "none" })
      expect.fault("libcrypto", make { key = ca.key:public() })
    end)

    it("throws on a mistake of the program", function()
      expect.throws("'number', 'this_update' and 'next_update'", crl.make, {})
      expect.throws("'issuer'", make, { issuer = "pem" })
      expect.throws("'key'", make, { key = ca.certificate })
      expect.throws({ "'entries'", "serial" }, make, { entries = { { time = 0 } } })
      expect.throws({ "'entries'", "time" }, make, { entries = { { serial = "01" } } })
      expect.throws({ "'entries'" }, make, { entries = { "01" } })
      expect.throws({ "'entries'" }, make,
        { entries = { { serial = "01", time = 0, reason = 1 } } })
      expect.throws({ "unknown option 'serial'", "next_update" }, make, { serial = "1" })
    end)

    it("is written whole, mode 0644", function()
      local made = assert(make())
      local path = directory:path "made.crl"
      assert.is_true(made:write(path))
      assert.equal("644", temporary.mode(path))
      assert.equal(made:pem(), temporary.content(path))
      expect.fault("already_exists", made:write(path))
      assert.equal(made:der(), crl.read(path):der())
      assert.equal(openssl.run("crl -outform DER", made:pem()), made:der())
    end)
  end)

  describe("made by openssl", function()
    local theirs, leaf

    setup(function()
      local root = directory.root
      leaf = assert(ca:issue { common_name = "leaf", usage = "client" }).certificate
      local other = assert(ca:issue { common_name = "other", usage = "client" }).certificate
      directory:file("ca.pem", ca.certificate:pem())
      directory:file("ca.key", ca.key:pem())
      directory:file("leaf.pem", leaf:pem())
      directory:file("other.pem", other:pem())
      directory:file("index.txt", "")
      directory:file("crlnumber", "0a1b\n")
      directory:file("ca.cnf", ([[
[ca]
default_ca = here
[here]
database = %s/index.txt
crlnumber = %s/crlnumber
certificate = %s/ca.pem
private_key = %s/ca.key
default_md = sha256
default_crl_days = 7
crl_extensions = more
[more]
authorityKeyIdentifier = keyid
]]):format(root, root, root, root))
      local base = ("ca -config %s/ca.cnf "):format(root)
      openssl.run(base .. ("-revoke %s/leaf.pem -crl_reason keyCompromise"):format(root))
      openssl.run(base .. ("-revoke %s/other.pem"):format(root))
      theirs = openssl.run(base .. "-gencrl")
    end)

    it("is read with its number, times, entries and issuer", function()
      local parsed = assert(crl.parse(theirs))
      assert.equal("0a1b", parsed:number())
      assert.equal(7 * 86400, parsed:next_update() - parsed:this_update())
      assert.equal("O=Acme, CN=issuer", tostring(parsed:issuer()))
      assert.equal("tcpki.crl (O=Acme, CN=issuer)", tostring(parsed))
      assert.is_true(parsed:verify(ca.certificate))
      local entries = parsed:entries()
      assert.equal(2, #entries)
      local entry = assert(parsed:lists(leaf))
      assert.equal(leaf:serial(), entry.serial)
      assert.equal("key_compromise", entry.reason)
      assert.is_true(entry.time >= now - 5 and entry.time <= parsed:this_update())
      assert.equal(theirs, parsed:source())
      assert.equal(openssl.run("crl -outform DER", theirs), parsed:der())
      assert.equal(parsed:der(), crl.parse(parsed:der()):der())
    end)

    it("does not list what it does not list", function()
      local third = assert(ca:issue { common_name = "third", usage = "client" }).certificate
      assert.is_false(crl.parse(theirs):lists(third))
    end)

    it("is not asked about certificates of another issuer", function()
      local elsewhere = assert(tcpki.authority.new { subject = { CN = "elsewhere" } })
      local parsed = assert(crl.parse(theirs))
      local foreign = assert(elsewhere:issue { common_name = "a", usage = "client" }).certificate
      expect.fault("issuer_mismatch", parsed:lists(foreign))
      expect.fault("issuer_mismatch", parsed:verify(elsewhere.certificate))
    end)

    it("is told from one that a twin of the issuer signed", function()
      local twin = assert(tcpki.authority.new { subject = { O = "Acme", CN = "issuer" } })
      expect.fault("bad_signature", crl.parse(theirs):verify(twin.certificate))
    end)

    it("whose signature was changed does not verify", function()
      local bytes = crl.parse(theirs):der()
      local changed = assert(crl.parse(bytes:sub(1, -2) .. string.char(bytes:byte(-1) ~ 1)))
      expect.fault("bad_signature", changed:verify(ca.certificate))
    end)

    it("is refused where it is cut, doubled, or something else", function()
      local bytes = crl.parse(theirs):der()
      for length = 2, #bytes - 1 do
        expect.fault("bad_der", crl.parse(bytes:sub(1, length)))
      end
      expect.fault("several", crl.parse(theirs .. theirs))
      expect.fault("trailing_data", crl.parse(bytes .. "\0"))
      assert.matches("CERTIFICATE", expect.fault("wrong_kind", crl.parse(leaf:pem())).message)
      expect.fault("wrong_kind", crl.parse(theirs .. leaf:pem()))
      expect.fault("bad_pem", crl.parse(theirs:sub(1, -20)))
      expect.fault("empty", crl.parse "")
      expect.fault("not_pem", crl.parse "hello")
      local path = directory:file("broken.crl", theirs:sub(1, 100))
      assert.equal(path, expect.fault("bad_pem", crl.read(path)).path)
    end)
  end)

  it("without number and next update has neither", function()
    local v1 = directory:file("v1.cnf", ([[
[ca]
default_ca = here
[here]
database = %s/index.txt
certificate = %s/ca.pem
private_key = %s/ca.key
default_md = sha256
default_crl_days = 7
]]):format(directory.root, directory.root, directory.root))
    local parsed = assert(crl.parse(openssl.run("ca -gencrl -config " .. v1)))
    local number, err = parsed:number()
    assert.is_nil(number)
    assert.is_nil(err)
  end)

  it("that is closed says so, and throws at every use", function()
    local closed = assert(make())
    closed:close()
    closed:close()
    assert.equal("tcpki.crl (closed)", tostring(closed))
    for _, method in ipairs {
      "issuer", "number", "this_update", "next_update", "entries", "der", "pem", "source",
    } do
      expect.throws("closed", closed[method], closed)
    end
    expect.throws("closed", closed.lists, closed, ca.certificate)
    expect.throws("closed", closed.verify, closed, ca.certificate)
    expect.throws("closed", closed.write, closed, "x")
  end)

  it("throws on a wrong type, and names the argument", function()
    expect.throws({ "#1", "string expected" }, crl.parse, 42)
    expect.throws({ "#1", "string expected" }, crl.read)
    local made = assert(make())
    expect.throws("tcpki.certificate expected", made.lists, made, "pem")
    expect.throws("tcpki.certificate expected", made.verify, made)
  end)
end)

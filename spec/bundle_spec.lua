local expect = require "spec.support.expect"
local openssl = require "spec.support.openssl"
local temporary = require "spec.support.temporary"
local tcpki = require "tcpki"

local bundle = tcpki.bundle

local DAY = 86400

describe("tcpki.bundle", function()
  local directory, one, two, three

  setup(function()
    directory = temporary.directory()
    local now = os.time()
    local function root(name, days)
      return assert(tcpki.authority.new { subject = { CN = name },
        not_after = now + days * DAY }).certificate
    end
    one, two, three = root("one", 30), root("two", 10), root("three", 20)
  end)

  teardown(function()
    directory:remove()
  end)

  local function names(list)
    local found = {}
    for i, certificate in ipairs(list) do
      found[i] = certificate:subject().CN
    end
    return table.concat(found, " ")
  end

  describe("as a set", function()
    it("keeps the order, and each certificate once", function()
      local made = bundle.new { two, one, two, three, one }
      assert.equal("two one three", names(made))
      assert.equal("two one", names(made.duplicates))
      assert.equal(3, #made)
      assert.is_true(made[2] == one)
      assert.equal("tcpki.bundle (3 certificates)", tostring(made))
      assert.equal("tcpki.bundle (1 certificate)", tostring(bundle.new { one }))
      assert.equal(0, #bundle.new())
      assert.is_true(bundle.is(made))
      assert.is_false(bundle.is {})
    end)

    it("adds what it does not have", function()
      local made = bundle.new { one }
      assert.is_true(made:add(two))
      assert.is_false(made:add(assert(tcpki.certificate.parse(two:pem()))))
      assert.equal("one two", names(made))
      assert.is_true(made:contains(two))
      assert.is_false(made:contains(three))
    end)

    it("removes by certificate, and by the fingerprints that openssl prints", function()
      for _, which in ipairs {
        two, two:fingerprint(), two:fingerprint "sha1", two:fingerprint():upper(),
        openssl.run("x509 -noout -fingerprint -sha256", two:pem()):match "=(%S+)",
        openssl.run("x509 -noout -fingerprint -sha1", two:pem()):match "=(%S+)",
      } do
        local made = bundle.new { one, two, three }
        assert.is_true(made:remove(which) == two)
        assert.equal("one three", names(made))
      end
    end)

    it("says what it does not have to remove", function()
      local made = bundle.new { one }
      assert.is_truthy(expect.fault("not_found", made:remove(two)).message
        :find(two:fingerprint(), 1, true))
      expect.fault("not_found", made:remove "00ff")
      expect.fault("not_found", made:remove "")
      expect.fault("not_found", made:remove(one:fingerprint():sub(1, 63)))
      assert.equal(1, #made)
    end)

    it("tells subjects, and what expires first", function()
      local made = bundle.new { one, two, three }
      assert.same({ "CN=one", "CN=two", "CN=three" }, made:subjects())
      local expiry = made:expiry()
      assert.equal(3, #expiry)
      for i, certificate in ipairs { two, three, one } do
        assert.is_true(expiry[i].certificate == certificate)
        assert.equal(certificate:not_after(), expiry[i].not_after)
      end
      assert.same({}, bundle.new():expiry())
    end)

    it("tells what must be done to become another", function()
      local difference = bundle.new { one, two }:difference(bundle.new { three, one })
      assert.equal("three", names(difference.added))
      assert.equal("two", names(difference.removed))
      difference = bundle.new { one, two }:difference(bundle.new { two, one })
      assert.same({ added = {}, removed = {} }, difference)
    end)

    it("goes by DER, not by subject", function()
      local twin = assert(tcpki.authority.new { subject = { CN = "one" } }).certificate
      local made = bundle.new { one, twin }
      assert.equal(2, #made)
      assert.equal("one", names(bundle.new { one }:difference(made).added))
      assert.is_true(made:remove(twin) == twin)
      assert.is_true(made[1] == one)
    end)
  end)

  describe("bytes", function()
    it("source is the text that was read, pem is canonical and openssl reads all of it", function()
      local text = "# roots\r\n" .. two:pem():gsub("\n", "\r\n") .. "\n" .. one:pem():sub(1, -2)
      local parsed = assert(bundle.parse(text))
      assert.equal(text, parsed:source())
      assert.equal(two:pem() .. one:pem(), parsed:pem())
      local path = directory:file("roots.pem", text)
      assert.equal(text, bundle.read(path):source())
      local listed = openssl.run(
        "storeutl -noout -certs -text " .. directory:file(nil, parsed:pem()))
      assert.matches("Subject: CN ?= ?two.*Subject: CN ?= ?one", listed)
      assert.matches("Total found: 2", listed)
      assert.is_nil(bundle.new { one }:source())
    end)

    it("write what was read changes nothing", function()
      local text = "# roots\r\n" .. two:pem():gsub("\n", "\r\n")
      local path = directory:path()
      assert.is_true(tcpki.file.write(path, assert(bundle.parse(text)):source()))
      assert.equal(text, temporary.content(path))
    end)

    it("of one DER certificate are read too", function()
      local parsed = assert(bundle.parse(one:der()))
      assert.equal(1, #parsed)
      assert.equal(one:der(), parsed:source())
    end)

    it("are written whole, mode 0644, and openssl verify takes them", function()
      local path = directory:path "written.pem"
      local made = bundle.new { one, two }
      assert.is_true(made:write(path))
      assert.equal(made:pem(), temporary.content(path))
      assert.equal("644", temporary.mode(path))
      assert.equal(path, expect.fault("already_exists", made:write(path)).path)
      assert.is_true(bundle.new { three }:write(path, { overwrite = true }))
      assert.equal(three:pem(), temporary.content(path))
      expect.fault("empty", bundle.new():write(directory:path "empty.pem"))
      assert.is_nil(io.open(directory:path "empty.pem"))
      expect.throws({ "unknown option 'mode'", "overwrite" }, made.write, made, path, { mode = 1 })
    end)
  end)

  describe("reading", function()
    it("refuses a key among the certificates, and shows none of it", function()
      local key = openssl.run "genpkey -algorithm ED25519"
      local _, lines = one:pem():gsub("\n", "")
      local err = expect.fault("wrong_kind", bundle.parse(one:pem() .. key .. two:pem()))
      assert.equal(lines + 1, err.line)
      assert.matches("PRIVATE KEY", err.message)
      assert.is_nil(tostring(err):find(key:match "\n(%S+)", 1, true))
    end)

    it("loses no certificate in silence", function()
      local first, second = one:pem(), two:pem()
      for _, text in ipairs {
        "  " .. first .. second,
        "\xef\xbb\xbf" .. first .. second,
        first .. " " .. second,
        first .. second:sub(2),
        first:sub(1, -2) .. second,
        first .. second:sub(1, 99) .. "?" .. second:sub(101),
        first .. second:sub(1, -30),
        (first:gsub("\n", "\\n")) .. "\n" .. second,
        (first:gsub("\n", "\r")) .. "\n" .. second,
        first .. second:gsub("BEGIN CERTIFICATE", "BEGIN  CERTIFICATE"),
        first .. second:gsub("CERTIFICATE", "X509 CERTIFICATE"),
        first .. second:gsub("CERTIFICATE", "TRUSTED CERTIFICATE"),
        first .. tcpki.pem.encode("CERTIFICATE", two:der() .. "\0"),
        first .. tcpki.pem.encode("CERTIFICATE", two:der():sub(1, -2)),
        one:der() .. two:der(),
      } do
        local parsed, err = bundle.parse(text)
        assert.is_nil(parsed, text)
        assert.is_string(err.code)
      end
    end)

    it("refuses what holds no certificate", function()
      expect.fault("empty", bundle.parse "")
      expect.fault("empty", bundle.parse "\n\n")
      expect.fault("not_pem", bundle.parse "hello")
      expect.fault("not_pem", bundle.parse(("\xff\0"):rep(100)))
    end)

    it("names the file and the line", function()
      local path = directory:file("cut.pem", one:pem() .. two:pem():sub(1, 200))
      local err = expect.fault("bad_pem", bundle.read(path))
      assert.equal(path, err.path)
      local _, lines = one:pem():gsub("\n", "")
      assert.is_true(err.line > lines)
      local missing = directory:path "missing.pem"
      assert.equal(missing, expect.fault("not_found", bundle.read(missing)).path)
    end)

    it("takes thousands", function()
      local blocks = {}
      local key = assert(tcpki.key.generate())
      for i = 1, 2000 do
        blocks[i] = assert(tcpki.certificate.make { subject = { CN = "root " .. i }, not_before = 0,
          not_after = 1, public_key = key, issuer_key = key }):pem()
      end
      local text = table.concat(blocks)
      local parsed = assert(bundle.parse(text))
      assert.equal(2000, #parsed)
      assert.equal(text, parsed:pem())
    end)
  end)

  it("throws on a mistake of the program", function()
    local made = bundle.new { one }
    expect.throws({ "certificates", "table" }, bundle.new, "pem")
    expect.throws({ "certificate 2", "tcpki.certificate", "string" }, bundle.new, { one, "pem" })
    expect.throws("certificate 1", bundle.new, { nil, one })
    expect.throws("certificate 2", bundle.new, { one, nil, "the fault of a read that failed" })
    expect.throws({ "#1", "string expected" }, bundle.parse, 42)
    expect.throws({ "#1", "string expected" }, bundle.read)
    expect.throws({ "certificate", "tcpki.certificate" }, made.add, made, "pem")
    expect.throws({ "certificate", "tcpki.certificate" }, made.contains, made)
    expect.throws({ "which", "tcpki.certificate or string" }, made.remove, made, 1)
    expect.throws({ "other", "tcpki.bundle" }, made.difference, made, { one })
  end)
end)

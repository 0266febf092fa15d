local der = require "spec.support.der"
local expect = require "spec.support.expect"
local openssl = require "spec.support.openssl"
local temporary = require "spec.support.temporary"
local tcpki = require "tcpki"

local certificate = tcpki.certificate

local function utc(text)
  local year, month, day, hour, minute, second = text:match
    "(%d+)-(%d+)-(%d+) (%d+):(%d+):(%d+)"
  return os.time { year = year, month = month, day = day, hour = hour, min = minute, sec = second }
    - os.time { year = 1970, month = 1, day = 1, hour = 0 }
end

local function hex(text)
  return (text:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

describe("tcpki.certificate", function()
  local directory, rich, rich_pem, plain, plain_key

  -- Everything that openssl can put into a certificate by name.
  local configuration = [[
x509_extensions = all
string_mask = utf8only
utf8 = yes
[dn]
C = DE
O = Acme GmbH
1.OU = first
2.OU = second
CN = Zo\xc3\xab, the \"great\"
emailAddress = zoe@acme.example
serialNumber = 42
1.1.3.6.1.4.1.99999.7 = of a private kind
[all]
basicConstraints = critical,CA:TRUE,pathlen:3
keyUsage = critical,keyCertSign,cRLSign,digitalSignature
extendedKeyUsage = serverAuth,clientAuth,1.3.6.1.4.1.99999.1
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
subjectAltName = @names
nameConstraints = @constraints
crlDistributionPoints = URI:http://crl.acme.example/one.crl,URI:http://crl.acme.example/two.crl
1.3.6.1.4.1.99999.2 = ASN1:UTF8String:unknown to all
1.3.6.1.4.1.99999.3 = critical,DER:05:00
[names]
DNS.1 = one.acme.example
IP.1 = 10.1.2.3
DNS.2 = *.two.acme.example
email.1 = zoe@acme.example
URI.1 = spiffe://acme.example/worker
IP.2 = 2001:db8::1
RID.1 = 1.2.3.4
otherName.1 = 1.3.6.1.4.1.311.20.2.3;UTF8:zoe@acme
dirName.1 = directory
DNS.3 = one.acme.example
[constraints]
permitted;DNS.1 = .acme.example
excluded;IP.1 = 10.0.0.0/255.0.0.0
excluded;email.1 = evil.example
[directory]
O = Acme
CN = in a directory
]]

  setup(function()
    directory = temporary.directory()
    configuration = configuration:gsub("\\x(%x%x)", function(c)
      return string.char(tonumber(c, 16))
    end)
    plain_key = directory:file("plain.key", openssl.run "genpkey -algorithm ED25519")
    rich_pem = openssl.run(("req -x509 -utf8 -newkey rsa:2048 -nodes -keyout /dev/null -sha384"
      .. " -set_serial 0x00f123456789abcdef -days 30 -config %s")
      :format(openssl.configuration(directory, configuration)))
    rich = assert(certificate.parse(rich_pem))
    plain = openssl.run(("req -x509 -key %s -days 30 -config %s -extensions none")
      :format(plain_key, openssl.configuration(directory, "[dn]\nCN=plain\n[none]\n")))
  end)

  teardown(function()
    directory:remove()
  end)

  -- Many fields want a certificate that no tool makes: this one is made of parts by hand.
  local function crafted(options)
    local outer = der.parts((select(2, der.read(openssl.run("x509 -outform DER", plain)))))
    -- A certificate without extensions is of version 1, and says so by silence.
    local serial, algorithm, issuer, validity, subject, key =
      table.unpack(der.parts((select(2, der.read(outer[1])))))
    return der.sequence(der.sequence(der.value(0xa0, der.integer(2)), options.serial or serial,
      algorithm, issuer, options.validity or validity, options.subject or subject, key,
      options.extensions and der.value(0xa3, der.sequence(table.unpack(options.extensions))) or ""),
      outer[2], outer[3])
  end

  local function extension(oid, value)
    return der.sequence(der.oid(oid), der.octets(value))
  end

  local function with_names(...)
    return crafted { extensions = { extension("2.5.29.17", der.sequence(...)) } }
  end

  describe("fields", function()
    local function shown(arguments)
      return (openssl.run("x509 -noout " .. arguments, rich_pem):gsub("%s+$", ""))
    end

    it("serial, version and algorithm are those that openssl shows", function()
      assert.equal(shown("-serial"):match("=(%x+)"):lower(), rich:serial())
      assert.equal("f123456789abcdef", rich:serial())
      assert.equal(3, rich:version())
      assert.equal(shown("-text"):match "Signature Algorithm: (%S+)", rich:signature_algorithm())
      assert.equal("sha384WithRSAEncryption", rich:signature_algorithm())
      assert.equal("SHA384", rich:signature_digest())
    end)

    it("the times are those that openssl shows, in seconds since the epoch", function()
      assert.equal(utc(shown "-startdate -dateopt iso_8601"), rich:not_before())
      assert.equal(utc(shown "-enddate -dateopt iso_8601"), rich:not_after())
      assert.equal(30 * 86400, rich:not_after() - rich:not_before())
      assert.equal(1000, rich:expires_in(rich:not_after() - 1000))
      assert.equal(-1, rich:expires_in(rich:not_after() + 1))
      assert.is_true(rich:expires_in() > 29 * 86400)
    end)

    it("times of every century are read, in either encoding", function()
      local cases = {
        { 0x17, "700101000000Z", 0 }, { 0x17, "491231235959Z", 2524607999 },
        { 0x17, "500101000000Z", -631152000 }, { 0x18, "20500101000000Z", 2524608000 },
        { 0x18, "99991231235959Z", 253402300799 }, { 0x17, "000229120000Z", 951825600 },
        { 0x18, "21000301000000Z", 4107542400 },
      }
      for _, case in ipairs(cases) do
        local time = der.value(case[1], case[2])
        local parsed = assert(certificate.parse(crafted { validity = der.sequence(time, time) }))
        assert.equal(case[3], parsed:not_before())
        assert.equal(case[3], parsed:not_after())
      end
    end)

    it("a time that is none is a fault", function()
      local time = der.value(0x17, "991332000000Z")
      local bad = crafted { validity = der.sequence(time, time) }
      local parsed, err = certificate.parse(bad)
      if parsed then
        expect.fault("bad_time", parsed:not_before())
        expect.fault("bad_time", parsed:expires_in(0))
      else
        expect.fault("bad_der", parsed, err)
      end
    end)

    it("subject and issuer are the ordered list, with its first values by name", function()
      local subject = rich:subject()
      local expected = {
        { "C", "DE" }, { "O", "Acme GmbH" }, { "OU", "first" }, { "OU", "second" },
        { "CN", 'Zoë, the "great"' }, { "emailAddress", "zoe@acme.example" },
        { "serialNumber", "42" }, { "1.3.6.1.4.1.99999.7", "of a private kind" },
      }
      assert.equal(#expected, #subject)
      for i, pair in ipairs(expected) do
        assert.equal(pair[1], subject[i].type)
        assert.equal(pair[2], subject[i].value)
      end
      assert.equal("first", subject.OU)
      assert.equal("Acme GmbH", subject.O)
      assert.is_nil(subject.ST)
      assert.same(subject, rich:issuer())
    end)

    it("a name prints in its encoded order, escaped, and harmless to a terminal", function()
      assert.equal([[C=DE, O=Acme GmbH, OU=first, OU=second, CN=Zoë\, the \"great\", ]]
        .. [[emailAddress=zoe@acme.example, serialNumber=42, ]]
        .. [[1.3.6.1.4.1.99999.7=of a private kind]], tostring(rich:subject()))
      assert.equal("tcpki.certificate (" .. tostring(rich:subject()) .. ")", tostring(rich))
      local evil = crafted { subject = der.sequence(der.set(der.sequence(der.oid "2.5.4.3",
        der.value(0x0c, "a\27[2Jb\nc")))) }
      local text = tostring(assert(certificate.parse(evil)):subject())
      assert.is_nil(text:find "%c")
      assert.equal("a\27[2Jb\nc", certificate.parse(evil):subject().CN)
    end)

    it("a name in old encodings comes as UTF-8", function()
      local function named(tag, bytes)
        local text = crafted { subject = der.sequence(der.set(der.sequence(der.oid "2.5.4.3",
          der.value(tag, bytes)))) }
        return assert(certificate.parse(text)):subject().CN
      end
      assert.equal("Zoë", named(0x1e, "\0Z\0o\0\xeb")) -- BMPString
      assert.equal("Zoë", named(0x14, "Zo\xeb")) -- T61String, read as Latin-1
      assert.equal("plain", named(0x13, "plain"))
      assert.equal("a\0b", named(0x0c, "a\0b"))
    end)

    it("a name without entries is empty", function()
      local parsed = assert(certificate.parse(crafted { subject = der.sequence() }))
      assert.equal(0, #parsed:subject())
      assert.equal("", tostring(parsed:subject()))
    end)

    it("a very long name is whole, also as text; cut, with a mark, only in what an object says it is", function()
      local long = ("ü"):rep(3000)
      local subject = der.sequence(der.set(der.sequence(der.oid "2.5.4.3", der.value(0x0c, long))))
      local names = der.sequence(der.value(0xa4, subject))
      local parsed = assert(certificate.parse(crafted { subject = subject,
        extensions = { extension("2.5.29.17", names) } }))
      assert.equal(long, parsed:subject().CN)
      assert.equal("CN=" .. long, tostring(parsed:subject()))
      assert.same({ { type = "directory", value = "CN=" .. long } }, parsed:subject_alt_names())
      local said = tostring(parsed)
      assert.matches("^tcpki.certificate %(CN=ü[^%w]+…%)$", said)
      assert.is_true(#said < 600)
      assert.is_truthy(utf8.len(said))
    end)

    it("public key is the key that openssl takes out", function()
      assert.equal(shown "-pubkey" .. "\n", rich:public_key():pem())
      assert.is_false(rich:public_key():is_private())
    end)

    it("key_usage and extended_key_usage are words, the unknown a dotted OID", function()
      assert.same({ "digital_signature", "key_cert_sign", "crl_sign" }, rich:key_usage())
      assert.same({ "server_auth", "client_auth", "1.3.6.1.4.1.99999.1" },
        rich:extended_key_usage())
    end)

    it("every key usage has its word", function()
      local words = {
        digitalSignature = "digital_signature", nonRepudiation = "content_commitment",
        keyEncipherment = "key_encipherment", dataEncipherment = "data_encipherment",
        keyAgreement = "key_agreement", keyCertSign = "key_cert_sign", cRLSign = "crl_sign",
        encipherOnly = "encipher_only", decipherOnly = "decipher_only",
      }
      for theirs, ours in pairs(words) do
        local text = openssl.run(("req -x509 -key %s -config %s -extensions usage"):format(
          plain_key, openssl.configuration(directory, "[dn]\nCN=a\n[usage]\nkeyUsage=" .. theirs)))
        assert.same({ ours }, certificate.parse(text):key_usage())
      end
    end)

    it("basic_constraints and the key identifiers", function()
      assert.same({ ca = true, path_length = 3 }, rich:basic_constraints())
      local identifier = shown("-ext subjectKeyIdentifier"):match("[%x:]+$"):gsub(":", ""):lower()
      assert.equal(40, #identifier)
      assert.equal(identifier, rich:subject_key_id())
      assert.equal(identifier, rich:authority_key_id())
    end)

    it("name_constraints and crl_distribution_points, in order", function()
      assert.same({
        permitted = { { type = "dns", value = ".acme.example" } },
        excluded = { { type = "ip", value = "10.0.0.0/255.0.0.0" },
          { type = "email", value = "evil.example" } },
      }, rich:name_constraints())
      assert.same({ { type = "uri", value = "http://crl.acme.example/one.crl" },
        { type = "uri", value = "http://crl.acme.example/two.crl" } },
        rich:crl_distribution_points())
    end)

    it("every extension, the unknown ones too, with its OID, criticality and DER", function()
      local all = rich:extensions()
      local by_oid = {}
      for _, found in ipairs(all) do
        by_oid[found.oid] = found
      end
      local unknown = by_oid["1.3.6.1.4.1.99999.2"]
      assert.equal("1.3.6.1.4.1.99999.2", unknown.name)
      assert.is_false(unknown.critical)
      assert.equal(der.value(0x0c, "unknown to all"), unknown.der)
      assert.same({ oid = "1.3.6.1.4.1.99999.3", name = "1.3.6.1.4.1.99999.3", critical = true,
        der = "\5\0" }, by_oid["1.3.6.1.4.1.99999.3"])
      assert.equal("basicConstraints", by_oid["2.5.29.19"].name)
      assert.is_true(by_oid["2.5.29.19"].critical)
      assert.is_false(by_oid["2.5.29.17"].critical)
      local _, count = shown("-text"):gsub("\n            %S[^\n]*:", "")
      assert.equal(10, #all)
      assert.is_true(count >= #all)
    end)

    it("that are absent are nil, without a fault", function()
      local parsed = assert(certificate.parse(plain))
      for _, field in ipairs {
        "key_usage", "extended_key_usage", "basic_constraints", "subject_alt_names",
        "name_constraints", "crl_distribution_points", "authority_key_id", "subject_key_id",
      } do
        local value, err = parsed[field](parsed)
        assert.is_nil(value)
        assert.is_nil(err)
      end
      assert.same({}, parsed:extensions())
    end)

    it("that are damaged are a fault, and the certificate still shows", function()
      for field, oid in pairs {
        key_usage = "2.5.29.15", extended_key_usage = "2.5.29.37",
        basic_constraints = "2.5.29.19", subject_alt_names = "2.5.29.17",
        name_constraints = "2.5.29.30", crl_distribution_points = "2.5.29.31",
        subject_key_id = "2.5.29.14", authority_key_id = "2.5.29.35",
      } do
        local broken = assert(certificate.parse(crafted {
          extensions = { extension(oid, "\x0f\x01x") } }))
        expect.fault("bad_extension", broken[field](broken))
        local twice = assert(certificate.parse(crafted {
          extensions = { extension(oid, "\5\0"), extension(oid, "\5\0") } }))
        assert.matches("twice", expect.fault("bad_extension", twice[field](twice)).message)
        assert.equal("\x0f\x01x", broken:extensions()[1].der)
        assert.is_truthy(broken:text())
      end
    end)

    it("serials of any sign and length are read", function()
      for bytes, expected in pairs {
        ["\0"] = "0", ["\1"] = "01", ["\0\xff"] = "ff", ["\xff"] = "-01",
        ["\x7f" .. ("\xee"):rep(40)] = "7f" .. ("ee"):rep(40),
      } do
        assert.equal(expected,
          certificate.parse(crafted { serial = der.integer(bytes) }):serial())
      end
    end)

    it("text is what openssl prints", function()
      local theirs = openssl.run("x509 -noout -text -nameopt oneline,-esc_msb", rich_pem)
      assert.equal(theirs, rich:text())
    end)
  end)

  describe("subject_alt_names", function()
    it("are all there, in order, the kinds without text too", function()
      local names = rich:subject_alt_names()
      assert.equal(10, #names)
      local expected = {
        { "dns", "one.acme.example" }, { "ip", "10.1.2.3" }, { "dns", "*.two.acme.example" },
        { "email", "zoe@acme.example" }, { "uri", "spiffe://acme.example/worker" },
        { "ip", "2001:db8::1" }, { "registered_id", "1.2.3.4" }, { "other" },
        { "directory", "O=Acme, CN=in a directory" }, { "dns", "one.acme.example" },
      }
      for _, pair in ipairs(expected) do
        local found = false
        for _, name in ipairs(names) do
          found = found or (name.type == pair[1] and (not pair[2] or name.value == pair[2]))
        end
        assert.is_true(found, pair[1] .. " " .. tostring(pair[2]))
      end
      -- openssl groups them by kind when it reads its configuration: compare with what it wrote.
      local shown = openssl.run("x509 -noout -ext subjectAltName", rich_pem)
      local position = 0
      for _, name in ipairs(names) do
        if name.type == "dns" or name.type == "email" or name.type == "uri" then
          position = assert(shown:find(name.value, position + 1, true), shown)
        end
      end
    end)

    it("of a kind without text are the whole DER in hex", function()
      for _, name in ipairs(rich:subject_alt_names()) do
        if name.type == "other" then
          assert.equal(hex(der.value(0xa0, der.oid "1.3.6.1.4.1.311.20.2.3"
            .. der.value(0xa0, der.value(0x0c, "zoe@acme")))), name.value)
          return
        end
      end
      error "no other name"
    end)

    it("keep their full length", function()
      local long = ("a"):rep(5000) .. ".example"
      local parsed = assert(certificate.parse(with_names(der.value(0x82, long))))
      assert.equal(long, parsed:subject_alt_names()[1].value)
    end)

    it("may be many", function()
      local names = {}
      for i = 1, 2000 do
        names[i] = der.value(0x82, ("host-%d.example"):format(i))
      end
      local read = assert(certificate.parse(with_names(table.unpack(names)))):subject_alt_names()
      assert.equal(2000, #read)
      assert.equal("host-2000.example", read[2000].value)
    end)

    it("with a NUL inside are a fault, whatever stands beside them", function()
      for _, tag in ipairs { 0x81, 0x82, 0x86 } do
        local parsed = assert(certificate.parse(with_names(der.value(0x82, "fine.example"),
          der.value(tag, "good.example\0.evil.example"))))
        assert.matches("NUL", expect.fault("bad_name", parsed:subject_alt_names()).message)
      end
    end)

    it("with an address of another length are a fault", function()
      for _, bytes in ipairs { "", "\1", "\1\2\3\4\5", ("\1"):rep(17) } do
        local parsed = assert(certificate.parse(with_names(der.value(0x87, bytes))))
        expect.fault("bad_name", parsed:subject_alt_names())
      end
    end)

    it("with an address and a mask are a fault: only name constraints have masks", function()
      local parsed = assert(certificate.parse(with_names(der.value(0x87, "\10\0\0\0\255\0\0\0"))))
      expect.fault("bad_name", parsed:subject_alt_names())
    end)

    it("that are an empty list are an empty table", function()
      assert.same({}, certificate.parse(with_names()):subject_alt_names())
    end)
  end)

  describe("bytes", function()
    it("der and pem are what openssl gives", function()
      assert.equal(openssl.run("x509 -outform DER", rich_pem), rich:der())
      assert.equal(rich_pem, rich:pem())
      assert.is_true(assert(certificate.parse(rich:der())) == rich)
    end)

    it("source is the text that was read", function()
      local text = "# mine\r\n" .. rich_pem:gsub("\n", "\r\n") .. "after"
      assert.equal(text, certificate.parse(text):source())
      local path = directory:file("noted.pem", text)
      assert.equal(text, certificate.read(path):source())
      assert.equal(rich:der(), certificate.parse(rich:der()):source())
    end)

    -- Lengths in two bytes where one would do: BER, as some tools wrote it.
    it("that are no strict DER stay as they were read", function()
      local inner = select(2, der.read(rich:der()))
      local loose = "\x30\x83" .. (">I3"):pack(#inner) .. inner
      local parsed = assert(certificate.parse(loose))
      assert.equal(loose, parsed:der())
      assert.equal(loose, parsed:source())
      assert.equal(tcpki.pem.encode("CERTIFICATE", loose), parsed:pem())
      local expected = openssl.run("dgst -sha256 -r", loose):match "^%x+"
      assert.equal(expected, parsed:fingerprint())
      assert.not_equal(rich:fingerprint(), parsed:fingerprint())
      local path = directory:path()
      assert.is_true(parsed:write(path))
      assert.equal(loose, certificate.read(path):der())
    end)

    it("decide equality, not the content alone", function()
      local inner = select(2, der.read(rich:der()))
      local loose = "\x30\x83" .. (">I3"):pack(#inner) .. inner
      assert.is_true(rich == assert(certificate.parse((rich_pem:gsub("\n", "\r\n")))))
      assert.is_false(rich == assert(certificate.parse(loose)))
      assert.is_true(certificate.parse(loose) == certificate.parse(loose))
      assert.is_false(rich == assert(certificate.parse(plain)))
      assert.is_false(rich == rich_pem)
    end)

    it("give the fingerprints of openssl", function()
      for _, digest in ipairs { "sha256", "sha1" } do
        local expected = openssl.run(("x509 -noout -fingerprint -%s"):format(digest), rich_pem)
          :match("=([%x:]+)"):gsub(":", ""):lower()
        assert.equal(expected, rich:fingerprint(digest))
      end
      assert.equal(rich:fingerprint "sha256", rich:fingerprint())
      expect.throws("md5", rich.fingerprint, rich, "md5")
    end)

    it("are written whole, mode 0644", function()
      local path = directory:path "written.pem"
      assert.is_true(rich:write(path))
      assert.equal(rich_pem, temporary.content(path))
      assert.equal("644", temporary.mode(path))
      expect.fault("already_exists", rich:write(path))
      assert.is_true(certificate.parse(plain):write(path, { overwrite = true }))
      assert.equal(plain, temporary.content(path))
      expect.throws({ "'mode'", "overwrite" }, rich.write, rich, path, { mode = 1 })
    end)
  end)

  describe("relations", function()
    local ca, leaf, other

    setup(function()
      ca = assert(tcpki.authority.new { subject = { CN = "issuer" } })
      leaf = assert(ca:issue { common_name = "leaf", usage = "client" }).certificate
      other = assert(tcpki.authority.new { subject = { CN = "issuer" } })
    end)

    it("issued_by is by name, key identifier and signature", function()
      assert.is_true(leaf:issued_by(ca.certificate))
      assert.is_false(leaf:issued_by(other.certificate))
      assert.is_false(ca.certificate:issued_by(leaf))
      assert.is_false(leaf:issued_by(leaf))
    end)

    it("issued_by sees a signature that does not hold", function()
      local bytes = leaf:der()
      local changed = bytes:sub(1, -2) .. string.char(bytes:byte(-1) ~ 1)
      assert.is_false(certificate.parse(changed):issued_by(ca.certificate))
    end)

    it("self_signed is by signature, not by name", function()
      assert.is_true(ca.certificate:self_signed())
      assert.is_true(certificate.parse(plain):self_signed())
      assert.is_false(leaf:self_signed())
      local posing = assert(other:issue { common_name = "issuer", usage = "client" }).certificate
      assert.equal(tostring(posing:subject()), tostring(posing:issuer()))
      assert.is_false(posing:self_signed())
    end)

    it("throw on what is no certificate", function()
      expect.throws("tcpki.certificate expected", leaf.issued_by, leaf, "pem")
      expect.throws("tcpki.certificate expected", leaf.permits, leaf)
    end)
  end)

  describe("parse", function()
    it("refuses what is not exactly one certificate", function()
      local _, lines = rich_pem:gsub("\n", "")
      local err = expect.fault("several", certificate.parse(rich_pem .. plain))
      assert.equal(lines + 1, err.line)
      assert.matches("bundle", err.hint)
      local key = temporary.content(plain_key)
      assert.matches("PRIVATE KEY", expect.fault("wrong_kind", certificate.parse(key)).message)
      err = expect.fault("wrong_kind", certificate.parse(rich_pem .. key))
      assert.is_nil(tostring(err):find(key:match "\n(%w+)", 1, true))
      expect.fault("wrong_kind",
        certificate.parse((rich_pem:gsub("CERTIFICATE", "TRUSTED CERTIFICATE"))))
      expect.fault("trailing_data", certificate.parse(rich:der() .. "\0"))
      expect.fault("trailing_data",
        certificate.parse(tcpki.pem.encode("CERTIFICATE", rich:der() .. "x")))
      expect.fault("bad_der", certificate.parse(tcpki.pem.encode("CERTIFICATE", "no DER")))
    end)

    it("refuses a certificate that is cut at any byte, PEM or DER", function()
      local bytes = openssl.run("x509 -outform DER", plain)
      for length = 0, #bytes - 1 do
        local code = length == 0 and "empty" or length == 1 and "not_pem" or "bad_der"
        expect.fault(code, certificate.parse(bytes:sub(1, length)))
      end
      for length = 0, #plain - 2 do
        local code = length == 0 and "empty" or length < #"-----" and "not_pem"
        local _, err = certificate.parse(plain:sub(1, length))
        -- Within the first line it is a matter of taste.
        expect.fault(code or (length < #"-----BEGIN " and err.code == "not_pem" and "not_pem")
          or "bad_pem", nil, err)
      end
      assert.is_truthy(certificate.parse(plain:sub(1, -2)))
    end)

    it("refuses empty, blank and binary texts, and says which", function()
      expect.fault("empty", certificate.parse "")
      expect.fault("empty", certificate.parse "\n \t")
      expect.fault("not_pem", certificate.parse "hello")
      expect.fault("not_pem", certificate.parse(("\0\xff"):rep(5000)))
      expect.fault("bad_der", certificate.parse("\x30\x84\xff\xff\xff\xff" .. ("\0"):rep(100)))
      expect.fault("bad_der", certificate.parse(("\x30\x80"):rep(50000)))
    end)

    it("takes no byte of a certificate as changed without a sign of it", function()
      local bytes = openssl.run("x509 -outform DER", plain)
      for place = 1, #bytes do
        local changed = bytes:sub(1, place - 1) .. string.char(bytes:byte(place) ~ 0x20)
          .. bytes:sub(place + 1)
        local parsed, err = certificate.parse(changed)
        if parsed then
          assert.equal(changed, parsed:der())
          assert.is_false(parsed:self_signed(), place)
        else
          assert.is_string(err.code)
        end
      end
    end)

    it("refuses 100 MB of anything in one go", function()
      local huge = ("\xaa"):rep(100 * 1024 * 1024)
      expect.fault("not_pem", certificate.parse(huge))
      huge = nil -- luacheck: ignore 311
      local path = directory:path "huge"
      assert(os.execute("truncate -s 100M " .. path))
      local err = expect.fault("too_large", certificate.read(path))
      assert.equal(path, err.path)
      expect.fault("too_large", tcpki.bundle.read(path))
      expect.fault("too_large", tcpki.key.read(path))
      expect.fault("too_large", tcpki.file.read(path))
    end)

    it("throws on what is no text, and names the argument", function()
      expect.throws({ "#1", "string expected" }, certificate.parse)
      expect.throws({ "#1", "string expected" }, certificate.parse, 1)
      expect.throws({ "#1", "string expected" }, certificate.read, {})
      expect.throws("path is empty", certificate.read, "")
    end)
  end)

  describe("parse_all", function()
    it("gives every certificate with its own block as source", function()
      local text = "one\n" .. rich_pem .. "two\n" .. plain
      local all = assert(certificate.parse_all(text))
      assert.equal(2, #all)
      assert.equal(rich_pem, all[1]:source())
      assert.equal(plain, all[2]:source())
      assert.equal(1, #assert(certificate.parse_all(rich:der())))
    end)
  end)

  describe("read", function()
    it("names the file in every fault", function()
      local missing = directory:path "missing.pem"
      assert.equal(missing, expect.fault("not_found", certificate.read(missing)).path)
      local broken = directory:file("broken.pem", rich_pem:sub(1, 300))
      local err = expect.fault("bad_pem", certificate.read(broken))
      assert.equal(broken, err.path)
      assert.is_truthy(tostring(err):find(broken, 1, true))
      expect.fault("not_a_file", certificate.read(directory.root))
    end)
  end)

  describe("make", function()
    local key

    setup(function()
      key = assert(tcpki.key.generate())
    end)

    local function make(options)
      local all = { subject = not options.subject_der and { CN = "made" } or nil, not_before = 0,
        not_after = 4000000000, public_key = key, issuer_key = key }
      for name, value in pairs(options) do
        all[name] = value
      end
      return certificate.make(all)
    end

    local function shown(made, arguments)
      return openssl.run("x509 -noout " .. arguments, made:pem())
    end

    it("puts in what is asked, as openssl shows it", function()
      local made = assert(make {
        subject = { { type = "C", value = "DE" }, { "O", "Acme" }, { "CN", "Zoë" } },
        serial = "0abc", not_before = 951825600, not_after = 253402300799, digest = "SHA512",
        subject_alt_names = { "a.example", "10.0.0.1", "2001:db8::1", "a@b.example",
          "spiffe://a/b", { type = "dns", value = "*.b.example" } },
        key_usage = { "digital_signature", "decipher_only" },
        extended_key_usage = { "client_auth", "1.2.3.4.5" },
        basic_constraints = { ca = true, path_length = 0 },
        name_constraints = { permitted = { "b.example", "10.0.0.0/8", "2001:db8::/32" },
          excluded = { { type = "email", value = ".c.example" } } },
        crl_distribution_points = { "http://crl.example/a.crl" },
        extensions = { { oid = "1.2.3.4", der = "\5\0", critical = true } },
      })
      assert.equal("0abc", made:serial())
      local text = shown(made, "-text -nameopt utf8,sep_comma_plus_space")
      for _, expected in ipairs {
        "Subject: C=DE, O=Acme, CN=Zoë", "ecdsa-with-SHA512", "Serial Number: 2748 (0xabc)",
        "Not Before: Feb 29 12:00:00 2000 GMT", "Not After : Dec 31 23:59:59 9999 GMT",
        "DNS:a.example, IP Address:10.0.0.1, IP Address:2001:DB8:0:0:0:0:0:1, "
          .. "email:a@b.example, URI:spiffe://a/b, DNS:*.b.example",
        "X509v3 Basic Constraints: critical\n                CA:TRUE, pathlen:0",
        "X509v3 Key Usage: critical\n                Digital Signature, Decipher Only",
        "TLS Web Client Authentication, 1.2.3.4.5", "DNS:b.example",
        "IP:10.0.0.0/255.0.0.0", "IP:2001:DB8:0:0:0:0:0:0/FFFF:FFFF:0:0:0:0:0:0",
        "email:.c.example", "URI:http://crl.example/a.crl", "1.2.3.4: critical",
      } do
        assert.is_truthy(text:find(expected, 1, true), expected .. " in " .. text)
      end
    end)

    it("puts the fields of a name in their customary order", function()
      local made = assert(make { subject = { CN = "a", C = "DE", OU = { "x", "y" }, O = "b",
        L = "c", ST = "d", DC = { "example", "acme" } } })
      assert.equal("DC=example, DC=acme, C=DE, ST=d, L=c, O=b, OU=x, OU=y, CN=a",
        tostring(made:subject()))
    end)

    it("takes a subject as DER, and keeps its bytes", function()
      -- PrintableString, as Go writes it, where we write UTF8String
      local printable = "\48\12\49\10\48\8\6\3\x55\4\3\19\1a"
      local made = assert(make { subject_der = printable })
      assert.equal(printable, made:subject_der())
      assert.equal(printable, made:issuer_der())
      assert.equal("subject=CN = a\n", shown(made, "-subject"))
      for _, damaged in ipairs { printable:sub(1, -2), printable .. "\0", "a", ("a"):rep(100000) } do
        expect.fault("bad_name", make { subject_der = damaged })
      end
    end)

    it("leaves basicConstraints out where it is false", function()
      assert.is_nil(assert(make { basic_constraints = false }):basic_constraints())
      expect.throws("basic_constraints", make, { basic_constraints = true })
      expect.throws("not both", certificate.make, { subject = { CN = "a" }, subject_der = "0", not_before = 0,
        not_after = 1, public_key = key, issuer_key = key })
    end)

    it("makes random serials of at most 159 bits", function()
      local seen = {}
      for _ = 1, 200 do
        local serial = make({}):serial()
        assert.is_nil(seen[serial])
        seen[serial] = true
        assert.is_true(#serial <= 40)
        assert.is_true(#serial < 40 or serial:byte() < ("8"):byte())
        assert.is_nil(serial:find "^-")
        assert.is_truthy(serial:find "[1-9a-f]")
      end
    end)

    it("refuses what no certificate can hold", function()
      for _, subject in ipairs {
        { C = "DEU" }, { CN = ("x"):rep(65) }, { CN = "" }, { CN = "a\0b" }, { CN = "\xff" },
        { { type = "no such field", value = "a" } },
      } do
        expect.fault("bad_name", make { subject = subject })
      end
      for _, name in ipairs {
        "", "a b", "ä.example", "a\0b", "10.0.0.0/8", { type = "ip", value = "10.0.0" },
        { type = "ip", value = "a.example" }, { type = "rid", value = "1.2.3" },
      } do
        expect.fault("bad_name", make { subject_alt_names = { name } })
      end
      for _, range in ipairs { "10.0.0.0/33", "10.0.0.0/x", "2001:db8::/129", "10.0.0.0/-1" } do
        expect.fault("bad_name", make { name_constraints = {
          permitted = { { type = "ip", value = range } } } })
      end
      for _, serial in ipairs { "", "xyz", "-1", "0x12", ("f"):rep(40), ("1"):rep(41), "12 " } do
        expect.fault("bad_name", make { serial = serial })
      end
      expect.fault("bad_time", make { not_before = 2, not_after = 1 })
      expect.fault("bad_time", make { not_after = 253402300800 })
      expect.fault("bad_time", make { not_before = math.mininteger })
      expect.fault("bad_time", make { not_after = math.maxinteger })
      expect.fault("bad_name", make { extended_key_usage = { "all" } })
      expect.fault("bad_name", make { extensions = { { oid = "x", der = "" } } })
      expect.fault("bad_extension", make { extensions = { { oid = "2.5.29.19", der = "\5\0" } } })
      expect.fault("libcrypto", make { digest = "no-such-digest" })
    end)

    it("throws on a mistake of the program, and names the option", function()
      expect.throws({ "unknown option 'sans'", "subject_alt_names" }, make, { sans = {} })
      expect.throws({ "'subject'", "table" }, make, { subject = "CN=a" })
      expect.throws({ "'subject'", "unknown field 'cn'", "CN" }, make, { subject = { cn = "a" } })
      expect.throws({ "'subject'" }, make, { subject = { CN = 42 } })
      expect.throws({ "'subject_alt_names'" }, make, { subject_alt_names = { 42 } })
      expect.throws({ "'subject_alt_names'" }, make, { subject_alt_names = { { type = "dns" } } })
      expect.throws("'sign' is not a key usage", make, { key_usage = { "sign" } })
      expect.throws({ "unknown option 'pathlen'", "ca, path_length" }, make,
        { basic_constraints = { pathlen = 1 } })
      expect.throws({ "'path_length'", "0 to 100" }, make,
        { basic_constraints = { ca = true, path_length = -1 } })
      expect.throws({ "'public_key'", "open tcpki.key" }, make, { public_key = "pem" })
      expect.throws({ "'issuer'", "open tcpki.certificate" }, make, { issuer = key })
      expect.throws({ "'extensions'" }, make, { extensions = { { oid = "1.2.3" } } })
      expect.throws({ "'not_before' and 'not_after'" }, certificate.make, {})
      expect.throws("table expected", certificate.make)
    end)

    it("needs the private half to sign", function()
      expect.fault("libcrypto", make { issuer_key = key:public() })
    end)
  end)

  describe("that is closed", function()
    it("says so, and throws at every use", function()
      local closed = assert(certificate.parse(plain))
      closed:close()
      closed:close()
      assert.equal("tcpki.certificate (closed)", tostring(closed))
      for _, method in ipairs {
        "subject", "issuer", "serial", "version", "not_before", "not_after", "expires_in",
        "signature_algorithm", "signature_digest", "subject_der", "issuer_der", "public_key",
        "key_usage", "extended_key_usage",
        "basic_constraints", "subject_alt_names", "subject_key_id", "authority_key_id",
        "name_constraints", "crl_distribution_points", "extensions", "fingerprint",
        "self_signed", "text", "der", "pem", "source",
      } do
        expect.throws("closed", closed[method], closed)
      end
      expect.throws("closed", closed.write, closed, "x")
      expect.throws("closed", rich.issued_by, rich, closed)
      expect.throws("closed", function() return closed == rich end)
      expect.throws("closed", tcpki.bundle.new, { closed })
      expect.throws("closed", tcpki.chain.new, { closed })
    end)

    it("is closed by its scope", function()
      local seen
      do
        local scoped <close> = assert(certificate.parse(plain))
        seen = scoped
      end
      assert.equal("tcpki.certificate (closed)", tostring(seen))
    end)
  end)

  describe("what names and signatures are in bytes", function()
    local function self_signed(words, lines)
      local path = os.tmpname()
      local file = assert(io.open(path, "w"))
      file:write("[req]\ndistinguished_name = dn\nprompt = no\n", lines or "", "[dn]\nCN = Acme\n")
      file:close()
      local pem = openssl.run(("req -x509 -nodes -keyout /dev/null -config %s %s"):format(path, words))
      os.remove(path)
      return assert(certificate.parse(pem))
    end

    it("tells the digest of a signature, also where its algorithm does not", function()
      for words, digest in pairs {
        ["-newkey rsa:2048 -sha512"] = "SHA512", ["-newkey rsa:2048 -sha1"] = "SHA1",
        ["-newkey rsa:2048 -sha384 -sigopt rsa_padding_mode:pss"] = "SHA384",
        ["-newkey ec -pkeyopt ec_paramgen_curve:P-256 -sha256"] = "SHA256",
      } do
        assert.equal(digest, self_signed(words):signature_digest(), words)
      end
      assert.is_nil(self_signed("-newkey ed25519"):signature_digest())
    end)

    it("gives a name as it stands in the certificate, whatever its string type", function()
      for mask, tag in pairs { utf8only = "\x0c", pkix = "\x13" } do
        local one = self_signed("-newkey ed25519", ("string_mask = %s\n"):format(mask))
        assert.equal("\x30\x0f\x31\x0d\x30\x0b\x06\x03\x55\x04\x03" .. tag .. "\x04Acme", one:subject_der())
        assert.equal(one:subject_der(), one:issuer_der())
        assert.is_truthy(one:der():find(one:subject_der(), 1, true))
      end
    end)
  end)
end)

local cjson = require "cjson"
local cloud = require "spec.support.cloud"
local expect = require "spec.support.expect"
local openssl = require "spec.support.openssl"
local rules = require "tcpki.cloud.rules"
local schema = require "spec.support.schema"
local tcpki = require "tcpki"
local temporary = require "spec.support.temporary"

local bundle, certificate, key = tcpki.bundle, tcpki.certificate, tcpki.key
local checks = tcpki.cloud
local codes, leaf, root = cloud.codes, cloud.leaf, cloud.root
local DAY, now = cloud.DAY, cloud.now

local description = schema.read "docs/report.schema.json"

-- The rules that some spec below has seen broken.
local seen = {}

-- Notes what was seen, and holds the report to what holds for each.
local function see(report)
  for _, finding in ipairs(report) do
    seen[finding.code] = true
    assert.is_string(finding.kind, finding.code)
  end
  assert.same({}, schema.check(cjson.decode(report:json()), description))
  for line in tostring(report):gmatch "[^\n]+" do
    assert.is_true(utf8.len(line) <= 100 or line:find "https://" ~= nil, line)
  end
  return report
end

describe("tcpki.cloud", function()
  local directory, ca, none

  setup(function()
    directory = temporary.directory()
    ca = root()
    -- A root store without any of ours: what the machine has must not change the outcome.
    none = directory:file("public.pem", root({ subject = { CN = "Public CA" }, key = key.generate() }):pem())
  end)

  teardown(function()
    directory:remove()
  end)

  local function check_bundle(given, how)
    how = how or {}
    how.roots_path = how.roots_path or none
    return see(assert(checks.check_bundle(given, how)))
  end

  local function check_client(given)
    return see(assert(checks.check_client(given)))
  end

  -- openssl with a configuration of its own: PEM of a certificate.
  local function self_signed(subject, words, configuration)
    return openssl.run(("req -x509 -nodes -keyout /dev/null -subj '%s' -days 90 %s -config %s"):format(subject, words,
      openssl.configuration(directory, ([[
[dn]
[ca]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
%s]]):format(configuration or ""))))
  end

  describe("check_bundle", function()
    it("finds nothing where every rule holds", function()
      local intermediate = leaf(ca, { subject = { CN = "Acme Sub CA" }, basic_constraints = { ca = true },
        key_usage = { "key_cert_sign" }, extended_key_usage = false })
      local good = {
        root = { ca },
        ["root and intermediate"] = { ca, intermediate },
        ["intermediate first"] = { intermediate, ca },
        ["an intermediate without key usage"] = { ca, leaf(ca, { subject = { CN = "Acme Sub CA" },
          basic_constraints = { ca = true }, key_usage = false, extended_key_usage = false }) },
        ["without key usage, as tls-simple makes it"] = { root { key_usage = false } },
        ["with digitalSignature"] = { root { key_usage = { "digital_signature", "key_cert_sign" } } },
        ["with clientAuth among its usages"] = { root { extended_key_usage = { "server_auth", "client_auth" } } },
        SHA512 = { root { digest = "SHA512" } },
        ["one that lives for ten days"] = { root { not_before = now - DAY, not_after = now + 9 * DAY } },
      }
      for name, made in pairs(good) do
        local report = check_bundle(made)
        assert.equal("", codes(report), name)
        assert.is_true(report.ok)
        assert.equal("", codes(check_bundle(assert(bundle.new(made)))), name)
        assert.equal("", codes(check_bundle(assert(bundle.new(made)):pem())), name)
      end
    end)

    it("finds nothing in roots of each kind that openssl makes", function()
      for _, words in ipairs {
        "-newkey rsa:2048 -sha256", "-newkey rsa:3072 -sha384", "-newkey rsa:2048 -sha256 -sigopt rsa_padding_mode:pss",
        "-newkey ec -pkeyopt ec_paramgen_curve:P-256", "-newkey ec -pkeyopt ec_paramgen_curve:P-384 -sha384",
        "-newkey ec -pkeyopt ec_paramgen_curve:P-521 -sha512",
      } do
        assert.equal("", codes(check_bundle(self_signed("/CN=Root", words .. " -extensions ca"))), words)
      end
    end)

    it("takes 16 certificates and 32 KB, and not one more", function()
      local many = {}
      for i = 1, 17 do
        many[i] = root { subject = { CN = "CA " .. i } }
      end
      local last = table.remove(many)
      assert.equal("", codes(check_bundle(many)))
      many[17] = last
      local report = check_bundle(many)
      assert.equal("too_many_certificates", codes(report))
      assert.equal("17 certificates: a namespace takes at most 16 (the documentation of 2022 said 25)",
        report[1].message)
      local pem = ca:pem()
      assert.equal("", codes(check_bundle(pem .. ("#"):rep(32768 - #pem - 1) .. "\n")))
      report = check_bundle(pem .. ("#"):rep(32768 - #pem) .. "\n")
      assert.equal("too_large", codes(report))
      assert.matches("^32769 bytes:", report[1].message)
      -- The text counts while the bundle is that of the text, and no longer.
      local read = assert(bundle.parse(pem .. ("#"):rep(32768) .. "\n"))
      assert.equal("too_large", codes(check_bundle(read)))
      read:add(many[1])
      assert.equal("", codes(check_bundle(read)))
    end)

    it("says of each certificate which rule it breaks, and of no other", function()
      local other_key = assert(key.generate())
      local sub = leaf(ca, { subject = { CN = "Acme Sub CA" }, basic_constraints = { ca = true },
        key_usage = { "key_cert_sign" }, extended_key_usage = false })
      local request = openssl.run(("req -new -nodes -newkey rsa:2048 -keyout %s -subj /CN=One -config %s"):format(
        directory:path "one.key", openssl.configuration(directory, "[dn]")))
      local version_1 = openssl.run("x509 -req -days 90 -signkey " .. directory:path "one.key", request)
      local broken = {
        { "not_version_3", certificate.parse(version_1) },
        { "not_an_authority", cloud.by_openssl(directory, "keyUsage = keyCertSign") },
        { "not_an_authority", cloud.by_openssl(directory, "subjectKeyIdentifier = hash") },
        { "not_an_authority", root { basic_constraints = { ca = false }, key_usage = false } },
        { "cannot_sign", root { key_usage = { "crl_sign" } } },
        { "excludes_clients", root { extended_key_usage = { "server_auth" } } },
        { "weak_signature", root { digest = "SHA1" } },
        { "weak_signature", certificate.parse(self_signed("/CN=Root", "-newkey rsa:2048 -md5 -extensions ca")) },
        { "weak_signature", certificate.parse(self_signed("/CN=Root",
          "-newkey rsa:2048 -sha1 -sigopt rsa_padding_mode:pss -extensions ca")) },
        { "weak_signature", certificate.parse(self_signed("/CN=Root", "-newkey rsa:2048 -sha224 -extensions ca")) },
        { "small_key", certificate.parse(self_signed("/CN=Root", "-newkey rsa:1024 -sha256 -extensions ca")) },
        { "key_algorithm", certificate.parse(self_signed("/CN=Root", "-newkey ed25519 -extensions ca")) },
        { "unknown_curve", certificate.parse(self_signed("/CN=Root",
          "-newkey ec -pkeyopt ec_paramgen_curve:secp256k1 -extensions ca")) },
        { "expired", root { not_after = now - 2 * DAY } },
        { "not_yet_valid", root { not_before = now + 2 * DAY } },
        { "expires_soon", root { not_after = now + 29 * DAY, not_before = now - 300 * DAY } },
        { "issuer_missing", sub },
        { "damaged_certificate", cloud.by_openssl(directory, "basicConstraints = DER:30:05") },
      }
      for _, row in ipairs(broken) do
        local code, one = row[1], assert(row[2])
        -- Among others, so that the right one is named.
        local beside = root { subject = { CN = "Beside" }, key = other_key }
        local report = check_bundle { beside, one }
        assert.equal(code, codes(report))
        assert.equal(tostring(one:subject()), report[1].subject)
        assert.equal("certificate 2 of the bundle", report[1].place)
        assert.equal(one:serial(), report[1].serial)
        assert.equal(one:fingerprint(), report[1].fingerprint)
        assert.equal(rules.by_code[code].source, report[1].source)
        assert.equal(rules.by_code[code].kind, report[1].kind)
        assert.is_nil((report[1].message .. report[1].hint):find "nil")
        assert.is_nil((report[1].message .. report[1].hint):find "{")
      end
    end)

    it("tells a leaf, a key, an empty text and one that is no bundle, each with one clear error", function()
      local report = check_bundle { ca, leaf(ca) }
      assert.equal("leaf_in_bundle", codes(report))
      assert.equal("upload the certificate of its issuer, O=Acme, CN=Acme Worker CA; this one goes to the worker",
        report[1].hint)
      report = check_bundle(ca:pem() .. cloud.key:pem())
      assert.equal("holds_key", codes(report))
      assert.is_true(report[1].line > 5)
      assert.is_nil(tostring(report):find(cloud.key:pem():sub(40, 80), 1, true))
      for _, text in ipairs { "", "\n \n", "hello", "\0\1\2", '{"filters": []}' } do
        report = check_bundle(text)
        assert.equal(1, report.errors, text)
      end
      assert.equal("empty", codes(check_bundle ""))
      assert.equal("empty", codes(check_bundle {}))
      assert.equal("empty", codes(check_bundle(bundle.new())))
    end)

    it("gives nil and the fault for a file that cannot be read, also where bundle.read met it", function()
      local err = expect.fault("not_found", checks.check_bundle(bundle.read(directory:path "none.pem")))
      assert.equal(directory:path "none.pem", err.path)
      local path = directory:file(nil, ca:pem() .. cloud.key:pem())
      assert.equal(path, expect.fault("wrong_kind", checks.check_bundle(bundle.read(path))).path)
      expect.throws("bundle", checks.check_bundle)
      expect.throws("bundle", checks.check_bundle, 42)
      expect.throws("certificate 1", checks.check_bundle, { "x" })
      expect.throws("soone", checks.check_bundle, {}, { soone = 1 })
    end)

    it("names the line of each certificate, and says what is wrong with the text", function()
      local old = root { subject = { CN = "Old" }, not_after = now - DAY }
      local text = "# ours\n" .. ca:pem() .. "# theirs\n" .. old:pem()
      local report = check_bundle(text)
      assert.equal("expired", codes(report))
      local _, before = text:sub(1, text:find("# theirs", 1, true)):gsub("\n", "")
      assert.equal(before + 2, report[1].line)
      report = check_bundle((text:gsub("%-%-%-%-%-BEGIN", " -----BEGIN", 1)))
      assert.equal("text", report[1].kind)
      assert.equal("error", report[1].severity)
      assert.equal("expired", report[#report].code)
      assert.equal("duplicate", codes(check_bundle(ca:pem() .. ca:pem())))
      assert.equal("duplicate", codes(check_bundle(assert(bundle.parse(ca:pem() .. ca:pem())))))
      assert.equal("duplicate", codes(check_bundle { ca, ca }))
    end)

    it("finds two names that differ in letter case only, beyond ASCII", function()
      for _, pair in ipairs {
        { { CN = "Acme CA" }, { CN = "ACME ca" } }, { { CN = "Été" }, { CN = "éTÉ" } },
        { { CN = "Ωμέγα" }, { CN = "ωΜΈΓΑ" } }, { { CN = "a  b" }, { CN = "A b" } },
        { { CN = "ЖУК" }, { CN = "жук" } },
      } do
        local report = check_bundle { root { subject = pair[1] }, root { subject = pair[2], key = key.generate() } }
        assert.equal("same_subject", codes(report))
        assert.equal("certificate 2 of the bundle", report[1].place)
        assert.matches("^certificate 1 ", report[1].message)
      end
      for _, pair in ipairs {
        { { CN = "a" }, { CN = "b" } }, { { CN = "a" }, { O = "a" } }, { { CN = "ab" }, { CN = "a b" } },
        { { CN = "É" }, { CN = "E" } }, { { { type = "O", value = "a" }, { type = "CN", value = "b" } },
          { { type = "CN", value = "b" }, { type = "O", value = "a" } } },
        { { { type = "O", value = "a" }, { type = "OU", value = "b" } },
          { { type = "O", value = "a" }, { type = "OU", value = "b", joined = true } } },
        { { CN = "a,O=1:b" }, { { type = "CN", value = "a" }, { type = "O", value = "b" } } },
        { { CN = "straße" }, { CN = "strasse" } },
      } do
        assert.equal("", codes(check_bundle { root { subject = pair[1] }, root { subject = pair[2] } }))
      end
    end)

    it("knows the well-known CAs of the root store, what they issued and renewed, and lets them be with filters",
      function()
        local path = directory:file(nil, "# junk\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
          .. ca:pem())
        local sub = leaf(ca, { subject = { CN = "Sub" }, basic_constraints = { ca = true },
          key_usage = { "key_cert_sign" }, extended_key_usage = false })
        local renewed = root { not_after = now + 2000 * DAY }
        for _, one in ipairs { ca, renewed } do
          local report = check_bundle({ one }, { roots_path = path })
          assert.equal("public_authority", codes(report))
          assert.is_false(report.ok)
        end
        assert.equal("public_authority issuer_missing", codes(check_bundle({ sub }, { roots_path = path })))
        assert.equal("", codes(check_bundle({ root { key = key.generate() } }, { roots_path = path })))
        local filters = assert(checks.filters.new { { organization = "Acme" } })
        local report = check_bundle({ ca }, { roots_path = path, filters = filters })
        assert.equal("public_authority_filtered", codes(report))
        assert.is_true(report.ok)
        report = check_bundle({ ca }, { roots_path = path, filters = assert(checks.filters.new {}) })
        assert.equal("public_authority", codes(report))
      end)

    it("says that it could not look, where there is no root store", function()
      for _, path in ipairs { directory:path "none.pem", directory:file(nil, ""), directory.root } do
        local report = check_bundle({ ca }, { roots_path = path })
        assert.equal("roots_unknown", codes(report))
        assert.is_true(report.ok)
        assert.is_truthy(report[1].message:find(path, 1, true), report[1].message)
      end
    end)

    it("finds a real public CA in the store of this system", function()
      local file = assert(io.open "/etc/ssl/certs/ca-certificates.crt", "Debian's ca-certificates is needed")
      local first = file:read "a":match "%-%-%-%-%-BEGIN.-%-%-%-%-%-END CERTIFICATE%-%-%-%-%-\n"
      file:close()
      local report = see(assert(checks.check_bundle(first)))
      assert.is_table(report:find "public_authority", codes(report))
    end)

    it("asks for the issuer of each certificate that is no root, by signature", function()
      local sub = { subject = { CN = "Sub" }, basic_constraints = { ca = true }, key_usage = { "key_cert_sign" },
        extended_key_usage = false }
      local twin = root { key = key.generate() }
      local report = check_bundle { twin, leaf(ca, sub) }
      assert.equal("issuer_missing", codes(report))
      assert.matches("did not sign it", report[1].message)
      report = check_bundle { leaf(ca, sub) }
      assert.matches("is not in the bundle", report[1].message)
      assert.equal("add the certificate of O=Acme, CN=Acme Worker CA to the bundle", report[1].hint)
    end)

    it("looks as far ahead as it is asked to, from the time that it is asked for", function()
      local short = root { not_before = now - 5 * DAY, not_after = now + 20 * DAY }
      assert.equal("", codes(check_bundle({ short }, { at = now })))
      assert.equal("expires_soon", codes(check_bundle({ short }, { at = now + 14 * DAY })))
      assert.equal("expires_soon", codes(check_bundle({ short }, { at = now, soon = 21 })))
      assert.equal("", codes(check_bundle({ short }, { at = now, soon = 19 })))
      assert.equal("", codes(check_bundle({ short }, { at = now + 19 * DAY, soon = 0 })))
      local report = check_bundle({ short }, { at = now + 21 * DAY })
      assert.equal("expired", codes(report))
      assert.matches("1 day ago", report[1].message)
      assert.equal("not_yet_valid", codes(check_bundle({ short }, { at = now - 6 * DAY })))
    end)
  end)

  describe("check_client", function()
    local accepted

    setup(function()
      accepted = assert(bundle.new { ca })
    end)

    local function check(given, more)
      local how = { chain = given, accepted = accepted }
      for name, value in pairs(more or {}) do
        how[name] = value or nil
      end
      return check_client(how)
    end

    it("finds nothing where every rule holds", function()
      local sub = leaf(ca, { subject = { CN = "Sub" }, basic_constraints = { ca = true }, not_after = now + 900 * DAY,
        key_usage = { "key_cert_sign" }, extended_key_usage = false, public_key = cloud.ca_key })
      local below = leaf(sub)
      local filters = assert(checks.filters.new { { common_name = "other" }, { common_name = "payments.*" } })
      local authority = assert(tcpki.authority.new { subject = { CN = "Ours" } })
      local issued = assert(authority:issue { common_name = "worker", usage = "client" })
      for name, how in pairs {
        leaf = { chain = leaf(ca) },
        ["with its root"] = { chain = leaf(ca):pem() .. ca:pem() },
        ["with an intermediate"] = { chain = below:pem() .. sub:pem() },
        ["whose intermediate is accepted"] = { chain = below, accepted = assert(bundle.new { ca, sub }) },
        ["whose intermediate alone is accepted"] = { chain = below, accepted = assert(bundle.new { sub }) },
        ["without extended key usage"] = { chain = leaf(ca, { extended_key_usage = false }) },
        ["for servers too"] = { chain = leaf(ca, { extended_key_usage = { "server_auth", "client_auth" } }) },
        ["with its key"] = { chain = leaf(ca), key = cloud.key },
        ["with the text of its key"] = { chain = leaf(ca), key = cloud.key:pem() },
        ["let in by a filter"] = { chain = leaf(ca), filters = filters },
        ["of a namespace"] = { chain = leaf(ca), namespace = "payments.a1b2c" },
        ["without anything to compare with"] = { chain = leaf(ca), accepted = false },
        ["with 90 days, 50 of them gone"] = { chain = leaf(ca, { not_before = now - 50 * DAY,
          not_after = now + 40 * DAY }) },
        ["of tcpki.authority"] = { chain = issued, key = issued.key, accepted = bundle.new { authority.certificate } },
      } do
        local report = check(nil, how)
        assert.equal("", codes(report), name)
        assert.is_true(report.ok)
      end
    end)

    it("says what it was not given, so that a read that failed does not pass for a clean key", function()
      local function unchecked(how) return table.concat(check_client(how).unchecked or {}, " ") end
      assert.equal("key accepted", unchecked { chain = leaf(ca), key = key.parse "junk" })
      assert.equal("key", unchecked { chain = leaf(ca), accepted = accepted })
      assert.equal("", unchecked { chain = leaf(ca), accepted = accepted, key = cloud.key })
      assert.matches("; not checked: key, accepted$", tostring(check_client { chain = leaf(ca) }))
      assert.same({ "accepted" }, checks.check_clients({ clients = { leaf(ca) } }).unchecked)
    end)

    it("says of a leaf which rule it breaks, and openssl verify says OK", function()
      local request = openssl.run(("req -new -nodes -newkey rsa:2048 -keyout %s -subj /CN=One -config %s"):format(
        directory:path "one.key", openssl.configuration(directory, "[dn]")))
      directory:file("ca.pem", ca:pem())
      directory:file("ca.key", cloud.ca_key:pem())
      local version_1 = openssl.run(("x509 -req -days 90 -CA %s -CAkey %s"):format(directory:path "ca.pem",
        directory:path "ca.key"), request)
      local small = key.parse(openssl.run "genrsa 1024")
      local k256 = key.parse(openssl.run "ecparam -name secp256k1 -genkey -noout")
      local broken = {
        { "leaf_not_version_3", certificate.parse(version_1), true },
        { "leaf_is_authority", leaf(ca, { basic_constraints = { ca = true },
          key_usage = { "digital_signature", "key_cert_sign" } }), true },
        { "leaf_without_constraints", cloud.by_openssl(directory, "keyUsage = digitalSignature", ca), true },
        { "leaf_without_key_usage", leaf(ca, { key_usage = false }), true },
        { "leaf_without_signature", leaf(ca, { key_usage = { "key_agreement" } }), true },
        { "leaf_without_client_auth", leaf(ca, { extended_key_usage = { "server_auth" } }) },
        { "outlives_issuer", leaf(ca, { not_after = ca:not_after() }), true },
        { "outlives_issuer", leaf(ca, { not_after = ca:not_after() + DAY }), true },
        { "same_name", leaf(ca, { subject = { O = "ACME", CN = "acme worker ca" } }), true },
        { "weak_signature", leaf(ca, { digest = "SHA224" }), true },
        { "key_algorithm", leaf(ca, { public_key = assert(key.generate { type = "ed25519" }):public() }), true },
        { "small_key", small and leaf(ca, { public_key = small:public() }), true },
        { "unknown_curve", k256 and leaf(ca, { public_key = k256:public() }), true },
        { "expired", leaf(ca, { not_after = now - 2 * 3600 }) },
        { "not_yet_valid", leaf(ca, { not_before = now + 2 * 3600 }) },
        { "expires_soon", leaf(ca, { not_before = now - 99 * DAY, not_after = now + 29 * DAY }), true },
        { "damaged_certificate", cloud.by_openssl(directory, "keyUsage = DER:03:05", ca) },
      }
      for _, row in ipairs(broken) do
        local code, one, openssl_is_content = row[1], assert(row[2], row[1]), row[3]
        local report = check(one)
        assert.equal(code, codes(report))
        assert.equal("the leaf", report[1].place)
        assert.equal(rules.by_code[code].severity, report[1].severity)
        assert.is_nil((report[1].message .. report[1].hint):find "nil")
        assert.is_nil((report[1].message .. report[1].hint):find "{")
        if openssl_is_content then
          local ok, output = cloud.openssl_accepts(directory, one:pem(), ca:pem())
          assert.is_true(ok, code .. ": " .. output)
        end
      end
    end)

    it("compares the distinguished names of the whole chain, where openssl does not", function()
      local sub_key = assert(key.generate())
      local sub = leaf(ca, { subject = { CN = "ÉTÉ" }, basic_constraints = { ca = true }, not_after = now + 900 * DAY,
        key_usage = { "key_cert_sign" }, extended_key_usage = false, public_key = sub_key })
      local below = leaf(sub, { subject = { CN = "été" }, issuer_key = sub_key })
      local report = check(below:pem() .. sub:pem())
      assert.equal("same_name", codes(report))
      assert.is_true(cloud.openssl_accepts(directory, below:pem() .. sub:pem(), ca:pem()))
      -- the intermediate and the root, which the client does not send
      local twin = leaf(ca, { subject = ca:subject(), basic_constraints = { ca = true }, not_after = now + 900 * DAY,
        key_usage = { "key_cert_sign" }, extended_key_usage = false, public_key = sub_key })
      below = leaf(twin, { issuer_key = sub_key })
      report = check(below:pem() .. twin:pem())
      assert.equal("same_name", codes(report))
      assert.equal("certificate 2 of the chain", report[1].place)
      assert.is_true(cloud.openssl_accepts(directory, below:pem() .. twin:pem(), ca:pem()))
      -- where openssl takes the leaf for its own root
      local csr_path = directory:file(nil, openssl.run(("req -new -key %s -subj '/O=ACME/CN=acme worker ca'"):format(
        directory:path "ca.key")))
      local old = openssl.run(("x509 -req -days 90 -set_serial 7 -in %s -CA %s -CAkey %s"):format(csr_path,
        directory:file(nil, ca:pem()), directory:path "ca.key"))
      assert.is_false(cloud.openssl_accepts(directory, old, ca:pem()))
      assert.equal("leaf_not_version_3 same_name", codes(check(old)))
      -- a leaf with the name of an issuer that is not at hand
      report = check_client { chain = leaf(ca, { subject = { O = "acme", CN = "ACME WORKER CA" } }) }
      assert.equal("same_name", codes(report))
    end)

    it("compares issuer and subject by their bytes, as Go does and openssl does not", function()
      local configuration = openssl.configuration(directory, "string_mask = pkix\n[dn]\n[ca]\n" ..
        "basicConstraints = critical, CA:true\nsubjectKeyIdentifier = hash\n")
      local function with_mask(mask)
        local path = configuration
        if mask ~= "pkix" then
          path = directory:file(nil, (temporary.content(configuration):gsub("pkix", mask)))
        end
        return assert(certificate.parse(openssl.run(("req -x509 -new -key %s -subj /CN=Acme -days 900 -config %s " ..
          "-extensions ca"):format(directory:path "ca.key", path))))
      end
      local utf8_root, printable_root = with_mask "utf8only", with_mask "pkix"
      assert.is_true(utf8_root:subject_der() ~= printable_root:subject_der())
      local one = leaf(printable_root)
      local report = check(one, { accepted = assert(bundle.new { utf8_root }) })
      assert.equal("names_encoded_differently", codes(report))
      assert.is_true(cloud.openssl_accepts(directory, one:pem(), utf8_root:pem()))
      assert.equal("", codes(check(one, { accepted = assert(bundle.new { printable_root }) })))
      report = check(one:pem() .. utf8_root:pem(), { accepted = assert(bundle.new { utf8_root }) })
      assert.equal("names_encoded_differently", codes(report))
    end)

    it("says why a chain does not reach the accepted bundle", function()
      local other = root { subject = { CN = "Other CA" }, key = key.generate() }
      local function why(chain, roots)
        local report = check(chain, { accepted = assert(bundle.new(roots)) })
        assert.equal("not_accepted", codes(report))
        return report[1].message
      end
      assert.matches("the issuer O=Acme, CN=Acme Worker CA is neither in it nor in the chain", why(leaf(ca), { other }),
        1, true)
      assert.matches("another key signed this", why(leaf(ca), { root { key = key.generate() } }))
      assert.matches("its root O=Acme, CN=Acme Worker CA is not in it", why(leaf(ca):pem() .. ca:pem(), { other }), 1,
        true)
      assert.matches("with another key", why(leaf(ca):pem() .. ca:pem(), { root { key = key.generate() } }))
      assert.matches("neither", why(leaf(ca), {}))
      -- a missing intermediate
      local sub = leaf(ca, { subject = { CN = "Sub" }, basic_constraints = { ca = true }, not_after = now + 900 * DAY,
        key_usage = { "key_cert_sign" }, extended_key_usage = false })
      assert.matches("the issuer CN=Sub is neither", why(leaf(sub), { ca }))
    end)

    it("judges the CAs of the chain, and what verification finds beyond the rules", function()
      local sub_key = assert(key.generate())
      local function below(changes)
        local fields = { subject = { CN = "Sub" }, basic_constraints = { ca = true }, not_after = now + 900 * DAY,
          key_usage = { "key_cert_sign" }, extended_key_usage = false, public_key = sub_key }
        for name, value in pairs(changes) do fields[name] = value end
        local sub = leaf(ca, fields)
        return leaf(sub, { issuer_key = sub_key, not_after = math.min(now + 200 * DAY, sub:not_after() - 60) }):pem()
          .. sub:pem()
      end
      for _, row in ipairs {
        { "not_an_authority", { basic_constraints = { ca = false }, key_usage = false } },
        { "cannot_sign", { key_usage = { "crl_sign" } } },
        { "excludes_clients", { extended_key_usage = { "server_auth" } } },
        { "expired", { not_after = now - 60, not_before = now - 90 * DAY } },
        { "weak_signature", { digest = "SHA1" } },
      } do
        local report = check(below(row[2]))
        local found
        for _, finding in ipairs(report) do
          if finding.code == row[1] and finding.place == "certificate 2 of the chain" then found = finding end
        end
        assert.is_table(found, row[1] .. ": " .. codes(report))
        assert.is_nil(report:find "not_verified", row[1])
        assert.is_nil(report:find "not_accepted", row[1])
      end
      -- the same of a root that is accepted
      local mute = root { key_usage = { "crl_sign" } }
      local muted = check(leaf(mute), { accepted = assert(bundle.new { mute }) })
      assert.equal("cannot_sign", codes(muted))
      assert.equal("certificate 1 of the accepted bundle", muted[1].place)
      -- a root that lets no CA be below it
      local narrow = root { basic_constraints = { ca = true, path_length = 0 } }
      local report = check(below {}, { accepted = assert(bundle.new { narrow }) })
      assert.equal("not_verified", codes(report))
      assert.matches("path length", report[1].message)
      report = check((below { not_before = now - 90 * DAY, not_after = now - 60 }),
        { accepted = assert(bundle.new { narrow }) })
      assert.is_table(report:find "expired")
      assert.is_table(report:find "not_verified", "what verification says is not hidden by another fault")
      -- in another order, where one of them may not sign
      local first, second = (below { key_usage = { "crl_sign" } }):match "^(.-END CERTIFICATE%-%-%-%-%-\n)(.*)$"
      assert.equal("chain_order cannot_sign", codes(check(first .. ca:pem() .. second)))
      assert.equal("cannot_sign", codes(check(first .. second .. ca:pem())))
      -- one that stands there twice is not two of one name
      report = check(leaf(mute):pem() .. mute:pem() .. mute:pem(), { accepted = assert(bundle.new { mute }) })
      assert.equal("duplicate cannot_sign", codes(report))
      -- a signature that is not one
      local bytes = leaf(ca):der()
      local tampered = assert(certificate.parse(bytes:sub(1, -2) .. string.char(bytes:byte(-1) ~ 1)))
      report = check(tampered)
      assert.equal("not_verified", codes(report))
    end)

    it("says where the text of the chain is out of order, or has more in it than the chain", function()
      local sub = leaf(ca, { subject = { CN = "Sub" }, basic_constraints = { ca = true }, not_after = now + 900 * DAY,
        key_usage = { "key_cert_sign" }, extended_key_usage = false, public_key = cloud.ca_key })
      local one = leaf(sub)
      assert.equal("chain_order", codes(check(sub:pem() .. one:pem())))
      assert.equal("chain_order", codes(check(assert(tcpki.chain.parse(sub:pem() .. one:pem())))))
      assert.equal("", codes(check(assert(tcpki.chain.new { sub, one })))) -- a chain without a text is in order
      local stray = root { subject = { CN = "Stray" }, key = key.generate() }
      local made = assert(tcpki.chain.new({ one, sub, stray }, { leaf = one }))
      local report
      for _, given in ipairs { made, one:pem() .. sub:pem() .. stray:pem() } do
        report = check(given)
        assert.equal("foreign_certificate", codes(report))
        assert.equal("CN=Stray", report[1].subject)
      end
      report = check(" " .. one:pem() .. sub:pem())
      assert.equal("text", report[1].kind)
      assert.equal("error", report[1].severity)
      report = check((leaf(ca):pem():gsub("\n", "\r\n")))
      assert.is_true(report.ok)
      assert.is_true(#report == 0 or report[1].severity == "info", codes(report))
      assert.equal("holds_key", codes(check(leaf(ca):pem() .. cloud.key:pem())))
    end)

    it("takes a leaf that is its own root for one certificate, not for two of one name", function()
      local own = root { key_usage = { "digital_signature", "key_cert_sign" } }
      assert.equal("leaf_is_authority", codes(check(own, { accepted = assert(bundle.new { own }) })))
    end)

    it("goes by the best certificate of a CA that was renewed with its key", function()
      local old = root { not_before = now - 900 * DAY, not_after = now - DAY }
      local fresh = root { not_after = now + 2000 * DAY }
      for _, both in ipairs { { old, fresh, ca }, { ca, fresh, old }, { fresh, ca, old } } do
        assert.equal("", codes(check(leaf(ca), { accepted = assert(bundle.new(both)) })))
      end
      -- clients still send the old one
      assert.equal("", codes(check(leaf(ca):pem() .. old:pem(), { accepted = assert(bundle.new { ca }) })))
      local report = check(leaf(ca):pem() .. old:pem(), { accepted = assert(bundle.new { old }) })
      assert.equal("outlives_issuer expired", codes(report))
    end)

    it("judges the key: the right one, in a form that the SDKs read", function()
      local one = leaf(ca)
      local function with(given) return check(one, { key = given }) end
      local report = with(assert(key.generate()))
      assert.equal("key_mismatch", codes(report))
      assert.equal("the key", report[1].place)
      assert.equal("key_mismatch", codes(with(cloud.ca_key:pem())))
      for _, format in ipairs { "pkcs8", "traditional" } do
        report = with(cloud.key:pem { passphrase = "secret", format = format })
        assert.equal("encrypted_key", codes(report))
        assert.equal("error", report[1].severity)
        assert.is_nil(tostring(report):find "secret")
      end
      report = with(cloud.key:pem { format = "traditional" })
      assert.equal("traditional_key", codes(report))
      assert.matches("Java", report[1].who)
      assert.is_true(report.ok)
      assert.equal("traditional_key", codes(with(assert(key.parse(cloud.key:pem { format = "traditional" })))))
      assert.equal("key_unreadable", codes(with(cloud.key:public())))
      assert.is_false(with("junk").ok)
      assert.is_false(with(one:pem()).ok)
    end)

    it("checks the namespace, and that a filter lets the client in", function()
      local report = check(leaf(ca), { namespace = "payments" })
      assert.equal("namespace_syntax", codes(report))
      assert.equal("namespace_syntax", codes(check(leaf(ca), { namespace = "Payments.a1b2c" })))
      local filters = assert(checks.filters.new { { common_name = "payment.a1b2c" }, { organization = "Other" } })
      report = check(leaf(ca), { filters = filters })
      assert.equal("locked_out", codes(report))
      assert.equal("no certificate filter lets it in (\"Request unauthorized.\"): filter 1: commonName: wanted "
        .. '"payment.a1b2c", the certificate has "payments.a1b2c" (1 character away); filter 2: organization: wanted '
        .. '"Other", the certificate has "Acme" (4 characters away)', report[1].message)
      -- what is asked for stays as it was written, blanks and length included
      local long = ("two  blanks "):rep(20)
      filters = assert(checks.filters.new { { common_name = "payments.*", organization = long } })
      report = check(leaf(ca), { filters = filters })
      assert.matches(('filter 1: organization: wanted "%s", the'):format(long), report[1].message, 1, true)
      assert.equal("", codes(check(leaf(ca), { filters = assert(checks.filters.new { { organization = "ACME" } }) })))
    end)

    it("reads files, and gives nil and the fault for one that it cannot read", function()
      local chain_path = directory:file("c.pem", leaf(ca):pem())
      local key_path = directory:file("c.key", cloud.key:pem())
      local accepted_path = directory:file("b.pem", ca:pem())
      local report = check_client { chain_path = chain_path, key_path = key_path, accepted_path = accepted_path }
      assert.equal("", codes(report))
      report = check_client { chain_path = chain_path, key_path = directory:file(nil, cloud.ca_key:pem()) }
      assert.equal("key_mismatch", codes(report))
      assert.is_string(report[1].path)
      local missing = directory:path "none"
      for _, how in ipairs { { chain_path = missing }, { chain_path = chain_path, key_path = missing },
        { chain_path = chain_path, accepted_path = missing } } do
        assert.equal(missing, expect.fault("not_found", checks.check_client(how)).path)
      end
      expect.fault("wrong_kind", checks.check_client { chain_path = chain_path, accepted = cloud.key:pem() })
      for _, text in ipairs { "", "junk", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" } do
        assert.is_false(check(text).ok, text)
      end
      expect.throws("pass chain or chain_path", checks.check_client, {})
      expect.throws("not both", checks.check_client, { chain = "", chain_path = "" })
      expect.throws("chian", checks.check_client, { chian = "" })
    end)
  end)

  describe("check_clients", function()
    it("judges each client, and what they share once", function()
      local old = root { not_after = now + 3 * DAY }
      local report = see(assert(checks.check_clients { accepted = assert(bundle.new { old }), clients = {
        leaf(old, { not_after = now + 2 * DAY, not_before = now - 30 * 60 }),
        { name = "orders", chain = leaf(old, { not_after = now + 2 * DAY, not_before = now - 30 * 60,
          key_usage = false }) },
        { name = "billing", chain = leaf(old, { not_after = now + DAY, not_before = now - 60 }):pem(),
          key = cloud.ca_key },
      } }))
      assert.equal("expires_soon leaf_without_key_usage key_mismatch", codes(report))
      assert.is_nil(report[1].client)
      assert.equal("certificate 1 of the accepted bundle", report[1].place)
      assert.equal("orders", report[2].client)
      assert.equal("billing", report[3].client)
      report = see(assert(checks.check_clients { clients = { leaf(ca), "junk" } }))
      assert.equal("client 2", report[1].client)
      expect.throws("client 2", checks.check_clients, { clients = { leaf(ca), 7 } })
      expect.throws("client 1", checks.check_clients, { clients = { { chian = 1 } } })
      expect.fault("not_found", checks.check_clients { clients = { { chain_path = directory:path "none" } } })
    end)

    it("says of each the same as check_client", function()
      local accepted = assert(bundle.new { ca })
      local clients = {}
      for i, changes in ipairs { {}, { key_usage = false }, { basic_constraints = { ca = true } },
        { digest = "SHA224" }, { subject = { CN = "acme worker ca", O = "acme" } },
        { extended_key_usage = { "server_auth" } } } do
        clients[i] = leaf(ca, changes)
      end
      local expected = {}
      for _, one in ipairs(clients) do
        for _, finding in ipairs(checks.check_client { chain = one, accepted = accepted }) do
          expected[#expected + 1] = finding.code
        end
      end
      assert.equal(table.concat(expected, " "),
        codes(checks.check_clients { clients = clients, accepted = accepted }))
    end)
  end)

  it("has seen every rule broken", function()
    local unseen = {}
    for _, rule in ipairs(rules) do
      if not seen[rule.code] then
        unseen[#unseen + 1] = rule.code
      end
    end
    assert.equal("", table.concat(unseen, " "))
  end)
end)

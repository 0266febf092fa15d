-- certstrap's depots and ours before the library calls that certstrap makes: crypto/x509, and go.step.sm/crypto of the
-- version that it pins (test/certstrap). The tool itself is not to be had from the Go module proxy, and was not run.

local cjson = require "cjson"
local expect = require "spec.support.expect"
local openssl = require "spec.support.openssl"
local producers = require "spec.support.producers"
local server = require "spec.support.server"
local temporary = require "spec.support.temporary"
local tcpki = require "tcpki"

local certstrap = require "tcpki.certstrap"

local PASSPHRASE = "open sesame"
local KINDS = { "rsa", "p-224", "p-256", "p-384", "p-521", "ed25519" }

-- Go's bits of KeyUsage.
local SIGNATURE, ENCIPHERMENT, DATA, AGREEMENT, CERTIFICATES, CRLS = 1, 4, 8, 16, 32, 64

describe("a depot before certstrap's library calls #producers", function()
  local directory, program, missing, golden

  setup(function()
    directory = temporary.directory()
    program, missing = server.counterpart "certstrap"
    if program then
      golden = directory:path "golden"
      assert(os.execute(("'%s' make '%s'"):format(program, golden)))
    end
  end)

  teardown(function()
    os.execute("chmod -R u+rwx " .. directory.root)
    directory:remove()
  end)

  local function it_with(name, run)
    it(name, function()
      if not program then
        producers.excuse(missing, pending)
        return
      end
      run()
    end)
  end

  local function try(...)
    local words = {}
    for i, word in ipairs { ... } do
      words[i] = ("'%s'"):format(word)
    end
    local handle = assert(io.popen(("'%s' %s 2>&1 </dev/null"):format(program, table.concat(words, " "))))
    local output = handle:read "a"
    return handle:close() == true, output
  end

  local function go(...)
    local ok, output = try(...)
    assert(ok, output)
    return output
  end

  local function read(depot, stem, passphrase)
    return cjson.decode(go("read", depot.directory, stem, passphrase or ""))
  end

  -- A golden depot of its own for a test that changes it.
  local function copy(name)
    local target = directory:path()
    assert(os.execute(("cp -pR '%s/%s' '%s'"):format(golden, name, target)))
    return assert(certstrap.open(target))
  end

  describe("as certstrap makes it", function()
    for _, kind in ipairs(KINDS) do
      for _, passphrase in ipairs { false, PASSPHRASE } do
        local name = kind .. (passphrase and "-encrypted" or "")
        it_with(("is read whole: %s"):format(name), function()
          local depot = assert(certstrap.open(golden .. "/" .. name))
          local state = passphrase and "encrypted" or "clear"
          local rows = {}
          for i, entry in ipairs(assert(depot:list())) do
            rows[i] = ("%s %s %s %s"):format(entry.stem, entry.status, entry.key, entry.issuer)
          end
          assert.same({ ("Acme_CA valid %s Acme_CA"):format(state), ("gone revoked %s Acme_CA"):format(state),
            ("worker valid %s Acme_CA"):format(state) }, rows)
          -- Keys that fit their certificates, opened with the passphrase.
          local report = assert(depot:verify(nil, { passphrase = passphrase or nil }))
          local codes = {}
          for _, finding in ipairs(report) do
            codes[finding.code .. " " .. finding.path] = true
          end
          assert.is_nil(codes["key_mismatch worker.key"])
          for _, code in ipairs { "revoked gone.crt", "crl_without_number Acme_CA.crl", "crl_repeats Acme_CA.crl",
            "no_basic_constraints worker.crt", "no_names gone.crt" } do
            assert.is_true(codes[code], code .. "\n" .. tostring(report))
          end
          assert.equal(kind ~= "rsa" or nil, codes["key_usage_of_others worker.crt"])
          for _, stem in ipairs { "Acme_CA", "worker", "gone" } do
            local key = assert(tcpki.key.read(("%s/%s.key"):format(depot.directory, stem), { passphrase = passphrase
              or nil }))
            assert.is_true(key:matches(assert(tcpki.certificate.read(("%s/%s.crt"):format(depot.directory, stem)))))
            if passphrase then
              -- openssl opens RSA, and not the others: what these keys are known for
              local ok = openssl.try(("pkey -noout -passin 'pass:%s' -in %s/%s.key"):format(passphrase,
                depot.directory, stem))
              assert.equal(kind == "rsa", ok)
            end
          end
        end)

        it_with(("is worked on: %s"):format(name), function()
          local depot = copy(name)
          local ours = { passphrase = passphrase or nil }
          -- P-224 is not made any more.
          assert(depot:request_cert { common_name = "new", domain = "new.example", curve = "P-256" })
          assert(depot:sign("new", ours))
          assert(depot:revoke("worker", ours))
          assert(depot:renew("gone", { passphrase = passphrase or nil, key = "new",
            key_passphrase = passphrase or nil }))
          assert(depot:renew("Acme CA", ours))
          for _, stem in ipairs { "new", "worker", "gone", "Acme_CA" } do
            local seen = read(depot, stem, passphrase or "")
            assert.is_nil(seen.faults, cjson.encode(seen))
            assert.is_true(seen.key_matches, stem)
          end
          local crl = read(depot, "Acme_CA", passphrase or "")
          assert.is_true(crl.crl_signed)
          assert.equal("1", crl.crl_number)
          assert.equal(2, #crl.revoked)
          for _, stem in ipairs { "new", "gone" } do
            local ok, said = openssl.verify(temporary.content(("%s/%s.crt"):format(depot.directory, stem)),
              temporary.content(depot.directory .. "/Acme_CA.crt"), nil,
              -- P-224 has 112 bits of security, and the root is signed with it.
              kind == "p-224" and "-auth_level 1" or nil)
            assert.is_true(ok, said)
          end
        end)
      end
    end

    it_with("shows the intermediate that nobody accepts, and the leaf below it", function()
      local depot = assert(certstrap.open(golden .. "/levels"))
      local errors = {}
      for _, finding in ipairs(assert(depot:verify())) do
        if finding.severity == "error" then
          errors[#errors + 1] = finding.code .. " " .. finding.path
        end
      end
      assert.same({ "no_room Narrow-Inner.crt", "path_length_exceeded narrow.crt" }, errors)
      assert.equal(3, #assert(depot:chain("wide", { root = true })))
    end)

    it_with("shows the request that was changed, and the name that is not permitted", function()
      local depot = copy "odd"
      local report = assert(depot:verify())
      assert.equal("forged.csr", report:find "request_unsigned".path)
      assert.equal("outside.crt", report:find "name_not_permitted".path)
      assert.equal(2, report.errors)
      assert(depot:sign "*.acme.example")
      local ok, said = try("sign", depot.directory, "*.acme.example", "Odd CA")
      assert.is_false(ok)
      assert.matches("no such file", said)
    end)
  end)

  describe("as tcpki makes it", function()
    local rows = {
      { name = "RSA", key = { key_bits = 2048 } },
      { name = "RSA, encrypted", key = { key_bits = 2048 }, passphrase = PASSPHRASE },
      { name = "P-256", key = { curve = "P-256" } },
      { name = "P-384, encrypted", key = { curve = "P-384" }, passphrase = PASSPHRASE },
      { name = "Ed25519", key = { curve = "Ed25519" } },
      { name = "Ed25519, encrypted", key = { curve = "Ed25519" }, passphrase = PASSPHRASE },
    }

    local function make(row, given)
      local all = { common_name = "Acme CA", organization = "Acme", passphrase = row.passphrase }
      for _, more in ipairs { row.key, given or {} } do
        for name, value in pairs(more) do
          all[name] = value
        end
      end
      return assert(certstrap.init(directory:path(), all))
    end

    local function request(depot, row, given)
      given.passphrase = row.passphrase
      for name, value in pairs(row.key) do
        given[name] = value
      end
      return assert(depot:request_cert(given))
    end

    for _, row in ipairs(rows) do
      it_with(("is read by it: %s"):format(row.name), function()
        local depot = make(row, { permit_domain = "example", path_length = 1 })
        request(depot, row, { common_name = "worker", domain = "a.example,b.example", ip = "10.0.0.1,2001:db8::1",
          uri = "spiffe://acme/worker" })
        assert(depot:sign("worker", { passphrase = row.passphrase }))
        local ca = read(depot, "Acme_CA", row.passphrase)
        assert.is_nil(ca.faults, cjson.encode(ca))
        assert.equal("CN=Acme CA,O=Acme", ca.subject)
        assert.same({ true, true, 1, CERTIFICATES | CRLS }, { ca.is_ca, ca.basic_constraints, ca.path_length,
          ca.key_usage })
        assert.same({ "example" }, ca.permitted)
        assert.is_true(ca.key_matches and ca.crl_signed)
        assert.equal("1", ca.crl_number)
        local leaf = read(depot, "worker", row.passphrase)
        assert.is_nil(leaf.faults, cjson.encode(leaf))
        assert.is_true(leaf.key_matches and leaf.csr_matches)
        assert.same({ "a.example", "b.example" }, leaf.domains)
        assert.same({ "10.0.0.1", "2001:db8::1" }, leaf.addresses)
        assert.same({ "spiffe://acme/worker" }, leaf.uris)
        assert.equal(ca.subject_key_id, leaf.issuer_key_id)
        assert.equal(SIGNATURE | (row.key.key_bits and ENCIPHERMENT or 0), leaf.key_usage)
        assert.is_true(leaf.basic_constraints)
      end)

      it_with(("is worked on by it, and read again: %s"):format(row.name), function()
        local depot = make(row)
        request(depot, row, { common_name = "ours", domain = "ours.example" })
        go("sign", depot.directory, "ours", "Acme CA", row.passphrase or "")
        go("request", depot.directory, "theirs", "P-256")
        assert(depot:sign("theirs", { passphrase = row.passphrase }))
        go("revoke", depot.directory, "ours", "Acme CA", row.passphrase or "")
        go("revoke", depot.directory, "ours", "Acme CA", row.passphrase or "")
        local _, already = assert(depot:revoke("ours", { passphrase = row.passphrase }))
        assert.is_true(already)
        local crl = assert(depot:revoke("theirs", { passphrase = row.passphrase }))
        assert.equal(2, #crl:entries())
        assert.is_nil(read(depot, "Acme_CA", row.passphrase).faults)
        assert.same({ "Acme_CA valid", "ours revoked", "theirs revoked" }, (function()
          local list = {}
          for i, entry in ipairs(assert(depot:list())) do
            list[i] = entry.stem .. " " .. entry.status
          end
          return list
        end)())
      end)
    end

    it_with("has certstrap's own profile where that is asked for, field by field", function()
      local row = { key = { curve = "P-256" } }
      local depot = make(row, { compatible = true, path_length = 1 })
      for _, name in ipairs { "ours", "theirs" } do
        request(depot, row, { common_name = name, domain = "a.example", ip = "10.0.0.1", uri = "spiffe://acme/a" })
        request(depot, row, { common_name = name .. " inner" })
      end
      assert(depot:sign("ours", { compatible = true }))
      assert(depot:sign("ours inner", { compatible = true, intermediate = true }))
      go("sign", depot.directory, "theirs", "Acme CA")
      go("intermediate", depot.directory, "theirs_inner", "Acme CA")
      for _, name in ipairs { "%s", "%s_inner" } do
        local ours, theirs = read(depot, name:format "ours"), read(depot, name:format "theirs")
        for _, seen in ipairs { ours, theirs } do
          assert.is_true(math.abs(seen.not_before - theirs.not_before) < 30)
          assert.is_true(math.abs(seen.not_after - theirs.not_after) < 30)
          assert.is_true(#seen.serial <= 32)
          seen.not_before, seen.not_after, seen.serial, seen.subject, seen.subject_key_id = nil, nil, nil, nil, nil
        end
        assert.same(theirs, ours)
      end
      assert.equal(SIGNATURE | ENCIPHERMENT | DATA | AGREEMENT, read(depot, "ours").key_usage)
      assert.is_false(read(depot, "ours").basic_constraints or false)
      assert.equal("1", read(depot, "Acme_CA").serial)
    end)

    it_with("has files that it refuses where they have another mode or form, as verify says", function()
      local depot = make { key = { curve = "P-256" } }
      request(depot, { key = { curve = "P-256" } }, { common_name = "worker" })
      local function refused(stem)
        return table.concat(read(depot, stem).faults or {}, "\n")
      end
      os.execute("chmod 644 " .. depot.directory .. "/Acme_CA.crt")
      assert.matches("too lax", refused "Acme_CA")
      assert.equal("Acme_CA.crt", assert(depot:verify()):find "mode_too_lax".path)
      local key = assert(tcpki.key.read(depot.directory .. "/worker.key"))
      os.remove(depot.directory .. "/worker.key")
      assert(key:write(depot.directory .. "/worker.key", { format = "traditional", mode = tonumber("440", 8) }))
      assert.matches("EC PRIVATE KEY", refused "worker")
      assert.equal("worker.key", assert(depot:verify()):find "key_form".path)
    end)
  end)

  it_with("has lifetimes that end when Go says", function()
    local expiry = require "tcpki.certstrap.expiry"
    local lines, wanted = {}, {}
    local generator = 20261121
    local function random(limit)
      generator = (generator * 1103515245 + 12345) % 2147483648
      return generator // 65536 % limit
    end
    for i = 1, 2000 do
      local now = random(32768) * 100000 + random(32768)
      local values = { random(300), random(40), random(1000), random(100), random(100), 1 + random(100) }
      lines[i] = now .. " " .. table.concat(values, " ")
      wanted[i] = expiry.ends("here", ("%d years %d months %d days %d hours %d minutes %d seconds"):format(
        table.unpack(values)), nil, now)
    end
    local i = 0
    for line in go("expiry", directory:file("lifetimes", table.concat(lines, "\n") .. "\n")):gmatch "[^\n]+" do
      i = i + 1
      assert.equal(math.tointeger(line), wanted[i], lines[i])
    end
    assert.equal(2000, i)
    expect.throws("expires", expiry.ends, "here", "2 weeks", nil, 0)
  end)
end)

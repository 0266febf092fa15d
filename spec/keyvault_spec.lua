-- Azure Key Vault: what goes to a vault and what comes from it, against openssl and a stand-in shaped by the published
-- API. Over HTTPS, and beside Microsoft's own SDK: spec/keyvault_https_spec.lua.

local cjson = require "cjson"
local expect = require "spec.support.expect"
local openssl = require "spec.support.openssl"
local stand_in = require("spec.support.keyvault").stand_in
local tcpki = require "tcpki"
local temporary = require "spec.support.temporary"

local keyvault = tcpki.keyvault

local function without(text, pattern)
  return (text:gsub(pattern, ""))
end

describe("keyvault", function()
  local directory, root, ca, leaf

  setup(function()
    directory = temporary.directory()
    root = assert(tcpki.authority.new { common_name = "Acme Root" })
    ca = assert(root:subordinate { common_name = "Acme Workers" })
    leaf = assert(ca:issue { common_name = "payments.a1b2c", usage = "client", key = { type = "rsa" } })
  end)

  teardown(function() directory:remove() end)

  describe("policy", function()
    -- spec/golden/keyvault holds what the specification and the tests of az write, in our words.
    for _, case in ipairs {
      { "client", { subject = "CN=payments.a1b2c" } },
      { "server", { subject = 'CN=front.example, O="Acme, Inc."', usage = "peer", months = 6, content_type = "pfx",
        subject_alt_names = { "front.example", { type = "email", value = "ops@example.com" } },
        key = { type = "rsa", bits = 4096 }, exportable = true, reuse_key = true, issuer = "Self",
        renew = { percentage = 80, action = "renew" } } },
      { "hardware", { subject = "CN=vaulted", key = { curve = "P-384", hardware = true },
        renew = { days_before = 90 } } },
    } do
      it("has the spelling of the API and of az: " .. case[1], function()
        local policy = keyvault.policy(case[2])
        for _, spelling in ipairs { "rest", "cli" } do
          local golden = temporary.content(("spec/golden/keyvault/policy_%s.%s.json"):format(case[1], spelling))
          assert.same(cjson.decode(golden), cjson.decode(policy[spelling](policy)))
          assert.equal(policy[spelling](policy), policy[spelling](policy))
        end
        assert.same(cjson.decode(policy:rest()), cjson.decode(policy:body()).policy)
      end)
    end

    it("throws on what no vault has, and says what there is", function()
      for _, case in ipairs {
        { { subject = "payments" }, "CN=payments.a1b2c" },
        { { subject = "CN=x", key = { type = "ed25519" } }, "ec and rsa, not ed25519" },
        { { subject = "CN=x", key = { bits = 1024 } }, "2048, 3072 and 4096" },
        { { subject = "CN=x", key = { type = "ec", curve = "P-224" } }, "P-256, P-384, P-521 and P-256K, not P-224" },
        { { subject = "CN=x", key = { type = "rsa", curve = "P-256" } }, "2048, 3072" },
        { { subject = "CN=x", key = { hardware = true }, exportable = true }, "not exportable" },
        { { subject = "CN=x", usage = "worker" }, "usage" },
        { { subject = "CN=x", content_type = "der" }, '"pem" or "pfx"' },
        { { subject = "CN=x", months = 0 }, "months" },
        { { subject = "CN=x", subject_alt_names = { { type = "ip", value = "10.0.0.1" } } }, "not ip" },
        { { subject = "CN=x", subject_alt_names = { "front.example", "10.0.0.1" } }, '2: "10.0.0.1" is no DNS name' },
        { { subject = "CN=x", subject_alt_names = { "spiffe://acme/ns/a" } }, "no DNS name" },
        { { subject = "CN=x", subject_alt_names = { "" } }, "alternative name 1 has no value" },
        { { subject = "CN=x", subject_alt_names = { dns = "front.example" } }, "expected a list" },
        { { subject = "CN=x", subject_alt_names = { 5 } }, "string or table, not integer" },
        { { subject = "CN=\xff" }, "CN=payments.a1b2c" }, -- no UTF-8, which JSON has to be
        { { subject = "CN=x", key = { kind = "ec" } }, "unknown option 'kind'" },
        { { subject = "CN=x", renew = { percentage = 80, action = "renew" } }, '"email"' },
        { { subject = "CN=x", renew = { percentage = 100 } }, "1 to 99" },
        { { subject = "CN=x", renew = { percentage = 1, days_before = 1 } }, "not both" },
        { { subject = "CN=x", renew = {} }, "percentage or days_before" },
        { { subject = "CN=x", digest = "SHA256" }, "unknown option 'digest'" },
        { {}, "subject" },
      } do
        -- Whoever calls is to blame, wherever in the policy it is found.
        expect.throws({ "keyvault_spec.lua", "tcpki.keyvault.policy", case[2] }, function()
          local policy = keyvault.policy(case[1])
          return policy
        end)
      end
    end)
  end)

  describe("csr", function()
    local pem, bare

    setup(function()
      pem = openssl.run "req -new -newkey rsa:2048 -nodes -keyout /dev/null -subj /CN=payments.a1b2c"
      bare = without(without(pem, "%-%-%-%-%-[^\n]*\n"), "\n")
    end)

    it("reads every form in which a vault's CSR is handed on", function()
      local armour = "-----BEGIN CERTIFICATE REQUEST-----\n%s\n-----END CERTIFICATE REQUEST-----\n"
      for name, text in pairs {
        ["bare base64"] = bare,
        ["bare base64 with a line end"] = bare .. "\r\n",
        ["one line in armour"] = armour:format(bare),
        ["ordinary PEM"] = pem,
        ["openssl's other label"] = without(pem, "\n$"):gsub("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"),
        ["DER"] = openssl.run("req -outform DER", pem),
        ["the operation of the API"] = cjson.encode { id = "x", status = "inProgress", csr = bare },
        ["the field of az in its quotes"] = cjson.encode(bare) .. "\n",
        ["the operation of az"] = cjson.encode { cancellationRequested = false, csr = bare, statusDetails = "Please" },
      } do
        local csr, err = keyvault.csr(text)
        assert(csr, ("%s: %s"):format(name, err))
        assert.equal("CN=payments.a1b2c", tostring(csr:subject()))
      end
    end)

    it("refuses more than one, as the recipe with >> leaves them", function()
      -- The DER of one with a key on P-256, of which the default policy makes some, has 200 bytes or more: it begins
      -- otherwise than longer and shorter ones do.
      for _, kind in ipairs { "rsa:2048", "ec -pkeyopt ec_paramgen_curve:P-256", "ec -pkeyopt ec_paramgen_curve:P-384",
        "ed25519" } do
        local one = openssl.run(("req -new -newkey %s -nodes -keyout /dev/null -subj /CN=payments"):format(kind))
        local two = openssl.run(("req -new -newkey %s -nodes -keyout /dev/null -subj /CN=payments"):format(kind))
        local one_bare = without(without(one, "%-%-%-%-%-[^\n]*\n"), "\n")
        local two_bare = without(without(two, "%-%-%-%-%-[^\n]*\n"), "\n")
        for _, text in ipairs { one .. two, one_bare .. "\n" .. two_bare, one_bare .. "\n" .. one_bare,
          "-----BEGIN CERTIFICATE REQUEST-----\n" .. one_bare .. "\n" .. two_bare
            .. "\n-----END CERTIFICATE REQUEST-----\n" } do
          assert.matches(">>", expect.fault("several", keyvault.csr(text)).hint, 1, true)
        end
      end
    end)

    it("refuses one whose own signature does not hold", function()
      local der = openssl.run("req -outform DER", pem)
      local changed = der:sub(1, -2) .. string.char(der:byte(-1) ~ 1)
      expect.fault("bad_signature", keyvault.csr(changed))
    end)

    it("says what else it is", function()
      local key = assert(tcpki.key.generate())
      local der = openssl.run("req -outform DER", pem)
      for what, case in pairs {
        ["only blanks"] = { "empty", " \n" },
        ["JSON (an array)"] = { "wrong_kind", '[{"csr":"MIIC"}]' },
        ["JSON (an object)"] = { "wrong_kind", '{"csr":null}' },
        ["an error of the vault"] = { "wrong_kind", '{"error":{"code":"Forbidden"}}' },
        ["a JSON web key"] = { "wrong_kind", '{"kty":"RSA","n":"x"}' },
        ["is completed"] = { "wrong_kind", '{"status":"completed"}' },
        ["an OpenSSH public key"] = { "not_pem", "ssh-rsa AAAAB3" },
        ["OPENSSH PRIVATE KEY"] = { "wrong_kind",
          "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n" },
        ["PGP PRIVATE KEY BLOCK"] = { "wrong_kind",
          "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nAAAA\n-----END PGP PRIVATE KEY BLOCK-----\n" },
        ["HTML or XML"] = { "not_pem", "<html></html>" },
        ["a PRIVATE KEY"] = { "wrong_kind", key:pem() },
        ["a PKCS#12 file"] = { "wrong_kind", assert(tcpki.pkcs12.new { key = leaf.key, chain = leaf.chain }):der {
          profile = "passwordless" } },
        ["2 bytes follow the CSR"] = { "trailing_data", der .. "\0\0" },
        ["damaged"] = { "bad_der", der:sub(1, -2) },
      } do
        assert.matches(what, expect.fault(case[1], keyvault.csr(case[2])).message, 1, true)
      end
      assert.matches("pending show", expect.fault("not_pem", keyvault.csr "<html></html>").hint, 1, true)
      expect.fault("bad_json", keyvault.csr '{"csr":')
      expect.throws("text", keyvault.csr, nil)
    end)
  end)

  describe("merge_body", function()
    it("is the chain, leaf first, each in one line of base64", function()
      local body = cjson.decode((assert(keyvault.merge_body(leaf.chain))))
      assert.equal(2, #body.x5c)
      for i, text in ipairs(body.x5c) do
        assert.equal(openssl.run("x509", leaf.chain[i]:pem()),
          openssl.run("x509 -inform DER", openssl.run("base64 -d -A", text)))
      end
      expect.throws("tcpki.chain", keyvault.merge_body, { leaf.certificate })
    end)

    it("refuses a certificate that the next one did not sign", function()
      -- Name and key identifier of the CA are copied, so that the order of a chain does not show it.
      local identifier = ca.certificate:subject_key_id():gsub("%x%x", ":%0"):sub(2):upper()
      local stranger = openssl.run(("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null "
        .. "-subj '/CN=Acme Workers' -addext subjectKeyIdentifier=%s"):format(identifier))
      local built = assert(tcpki.chain.parse(leaf.certificate:pem() .. stranger))
      assert.equal(2, #built)
      local err = expect.fault("issuer_mismatch", keyvault.merge_body(built))
      assert.equal(0, err.depth)
      assert.equal("CN=payments.a1b2c", err.subject)
    end)
  end)

  describe("import_body", function()
    it("is the PEM itself, or base64 of a PFX that openssl opens", function()
      local body = cjson.decode((assert(keyvault.import_body { key = leaf.key, chain = leaf.chain })))
      assert.equal(leaf.key:pem() .. leaf.chain:pem(), body.value)
      assert.matches("^%-%-%-%-%-BEGIN PRIVATE KEY", body.value)
      assert.is_nil(body.pwd)
      assert.equal("application/x-pem-file", body.policy.secret_props.contentType)
      for _, case in ipairs {
        { {}, "", "MAC: sha256", nil },
        { { passphrase = "swordfish" }, "swordfish", "MAC: sha1", "TripleDES" },
        { { passphrase = "swordfish", profile = "modern" }, "swordfish", "MAC: sha256", "AES%-256" },
      } do
        local given = { key = leaf.key, chain = leaf.chain, format = "pfx" }
        for name, value in pairs(case[1]) do given[name] = value end
        body = cjson.decode((assert(keyvault.import_body(given))))
        assert.equal(case[2], body.pwd)
        assert.equal("application/x-pkcs12", body.policy.secret_props.contentType)
        local path = directory:file(nil, openssl.run("base64 -d -A", body.value))
        local ok, out, said = openssl.try(("pkcs12 -in %s -nodes -info -passin pass:%s"):format(path, case[2]))
        assert(ok, said)
        assert.matches(case[3], said)
        if case[4] then assert.matches(case[4], said) end
        assert.equal(leaf.key:pem(), openssl.run("pkey", out))
      end
    end)

    it("refuses what a vault does not hold", function()
      local odd = assert(ca:issue { common_name = "a", usage = "client", key = { type = "ed25519" } })
      assert.matches("Ed25519", expect.fault("unsupported_key",
        keyvault.import_body { key = odd.key, chain = odd.chain }).message)
      local brainpool = assert(tcpki.key.parse(openssl.run
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:brainpoolP256r1"))
      local signed = assert(ca:issue { common_name = "a", usage = "client", key = brainpool })
      assert.matches("brainpoolP256r1", expect.fault("unsupported_key",
        keyvault.import_body { key = brainpool, chain = signed.chain }).message)
      expect.fault("bad_passphrase", keyvault.import_body { key = leaf.key, chain = leaf.chain, format = "pfx",
        passphrase = "\xe9t\xe9" })
      expect.fault("key_mismatch", keyvault.import_body { key = leaf.key, chain = assert(tcpki.chain.new {
        ca.certificate }) })
      local public = assert(tcpki.key.parse(openssl.run("pkey -pubout", leaf.key:pem())))
      expect.fault("no_private_key", keyvault.import_body { key = public, chain = leaf.chain })
    end)

    it("throws where options do not go together", function()
      local both = { key = leaf.key, chain = leaf.chain }
      local function given(more)
        for name, value in pairs(both) do more[name] = value end
        return more
      end
      expect.throws('format "pfx"', keyvault.import_body, given { passphrase = "x" })
      expect.throws("profile goes with a passphrase", keyvault.import_body, given { format = "pfx",
        profile = "modern" })
      expect.throws({ "x-pkcs12", "the format is pem" }, keyvault.import_body,
        given { policy = keyvault.policy { subject = "CN=x", content_type = "pfx" } })
      expect.throws({ "'key'", "tcpki.key" }, keyvault.import_body, { chain = leaf.chain })
    end)
  end)

  describe("secret", function()
    local heap

    setup(function()
      heap = directory:file(nil, root.certificate:pem() .. ca.certificate:pem() .. leaf.certificate:pem())
    end)

    local function export(options)
      local key_path = directory:file(nil, leaf.key:pem())
      local bytes = openssl.run(("pkcs12 -export -in %s -inkey %s %s"):format(heap, key_path, options))
      return (openssl.run("base64 -A", bytes))
    end

    local function holds(secret)
      assert.equal(leaf.key:pem(), secret.key:pem())
      assert.equal(leaf.certificate, secret.certificate)
      assert.equal(leaf.certificate:pem() .. ca.certificate:pem() .. root.certificate:pem(), secret.chain:pem())
    end

    it("finds the leaf by its key where the vault exports the root first", function()
      holds(assert(keyvault.secret(export "-passout pass: -keypbe NONE -certpbe NONE", "application/x-pkcs12")))
      holds(assert(keyvault.secret(export "-passout pass:")))
      holds(assert(keyvault.secret(export "-passout pass: -nomac")))
      holds(assert(keyvault.secret(root.certificate:pem() .. leaf.key:pem() .. leaf.certificate:pem()
        .. ca.certificate:pem(), "application/x-pem-file")))
    end)

    it("takes the JSON of the whole secret", function()
      holds(assert(keyvault.secret(cjson.encode { value = export "-passout pass:", contentType = "application/x-pkcs12",
        id = "https://acme.vault.azure.net/secrets/payments/1" })))
      holds(assert(keyvault.secret(cjson.encode(export "-passout pass:") .. "\n")))
      holds(assert(keyvault.secret(openssl.run("base64 -d -A", export "-passout pass:"))))
    end)

    it("writes what a worker reads, as a pair", function()
      local secret = assert(keyvault.secret(export "-passout pass:"))
      local key_path, chain_path = directory:path "worker.key", directory:path "worker.pem"
      assert(secret:write(key_path, chain_path))
      assert.equal(leaf.key:pem(), temporary.content(key_path))
      expect.fault("already_exists", secret:write(key_path, chain_path))
      assert.equal("tcpki.keyvault.secret (CN=payments.a1b2c)", tostring(secret))
    end)

    it("says what is wrong with another text", function()
      expect.fault("no_private_key", keyvault.secret(leaf.chain:pem()))
      local no_key = openssl.run(("pkcs12 -export -nokeys -in %s -passout pass:"):format(heap))
      assert.matches("exportable", expect.fault("no_private_key",
        keyvault.secret((openssl.run("base64 -A", no_key)))).hint)
      assert.matches("tcpki.pkcs12", expect.fault("passphrase_required",
        keyvault.secret(export "-passout pass:swordfish")).hint, 1, true)
      assert.matches("tcpki.key", expect.fault("passphrase_required",
        keyvault.secret(leaf.key:pem { passphrase = "swordfish" } .. leaf.chain:pem())).hint, 1, true)
      expect.fault("bad_base64", keyvault.secret((export "-passout pass:"):gsub("=*$", ""):sub(1, 101)))
      assert.matches("secret show", expect.fault("wrong_kind", keyvault.secret "swordfish!").hint)
      expect.fault("trailing_data", keyvault.secret(openssl.run("base64 -d -A", export "-passout pass:") .. "\0"))
      expect.fault("wrong_kind", keyvault.secret '{"kty":"EC"}')
      expect.fault("wrong_kind", keyvault.secret("x", "text/plain"))
      expect.fault("key_mismatch", keyvault.secret(leaf.key:pem() .. ca.certificate:pem()))
      expect.fault("wrong_kind", keyvault.secret((openssl.run("base64 -A", leaf.certificate:der()))))
      expect.throws("value", keyvault.secret, nil)
    end)

    it("shows nothing of a value that is in the wrong place", function()
      local err = expect.fault("wrong_kind", keyvault.secret("application/x-pem-file", leaf.key:pem()))
      assert.is_nil(tostring(err):find("PRIVATE KEY", 1, true))
      for _, text in ipairs { "swordfish!", '{"value":{"a":"swordfish"}}', '"swordfish"', '["swordfish"]',
        "-----BEGIN PRIVATE KEY-----\nswordfish\n", '{"value":"swordfish!","contentType":"application/x-pem-file"}' } do
        local none, refusal = keyvault.secret(text)
        assert.is_nil(none)
        assert.is_nil(tostring(refusal):find "swordfish")
      end
    end)

    it("takes JSON of any shape", function()
      for _, value in ipairs { "null", "5", "{}", "[]", "true", '""', '"x"', ("["):rep(2000) } do
        for _, kind in ipairs { "null", "5", "{}", '""', '"application/x-pkcs12"', '"application/x-pem-file"' } do
          for _, text in ipairs { ('{"value":%s,"contentType":%s}'):format(value, kind), ('{"csr":%s,"status":%s}')
            :format(value, kind), "[" .. value .. "]", '{"value":' .. value } do
            for _, read in ipairs { keyvault.secret, keyvault.csr } do
              local none, err = read(text)
              assert.is_nil(none)
              assert.is_string(err.code)
            end
          end
        end
      end
    end)

    it("takes any bytes", function()
      local good = export "-passout pass:"
      for length = 1, #good, 97 do
        local ok, secret, err = pcall(keyvault.secret, good:sub(1, length))
        assert(ok, secret)
        assert.is_nil(secret)
        assert.is_string(err.code)
      end
    end)
  end)

  describe("client", function()
    local vault, client

    before_each(function()
      vault = stand_in(directory)
      client = keyvault.client { vault = "acme-workers", transport = vault.transport, token = vault.token }
    end)

    for _, case in ipairs { { "pem", { type = "ec" } }, { "pfx", { type = "rsa" } } } do
      it("walks from the policy to what a worker reads: " .. case[1], function()
        local name = "payments-" .. case[1]
        local policy = keyvault.policy { subject = "CN=payments.a1b2c", content_type = case[1], key = case[2] }
        local operation = assert(client:create(name, policy))
        assert.equal("inProgress", operation.status)
        assert.matches("disabled secret", expect.fault("vault_refused", client:secret(name)).message)
        local csr = assert(assert(client:pending(name)):csr())
        local signed = assert(ca:sign(csr, { usage = "requested", days = 365 }))
        assert.same({ "client_auth" }, signed.certificate:extended_key_usage())
        local merged = assert(client:merge(name, signed.chain))
        assert.equal(signed.certificate, merged.certificate)
        local secret = assert(client:secret(name))
        assert.equal(signed.certificate, secret.certificate)
        assert.equal(signed.chain:pem(), secret.chain:pem())
        assert.is_true(secret.key:matches(signed.certificate))
        assert.equal("Unknown", assert(client:policy(name)).issuer.name)
      end)
    end

    it("imports a key with its chain and gets it back", function()
      for _, format in ipairs { "pem", "pfx" } do
        local imported = assert(client:import("imported", { key = leaf.key, chain = leaf.chain, format = format }))
        assert.equal(leaf.certificate, imported.certificate)
        local secret = assert(client:secret "imported")
        assert.equal(leaf.key:pem(), secret.key:pem())
        assert.equal(leaf.chain:pem(), secret.chain:pem())
      end
    end)

    it("says what the vault says, and what to do", function()
      local err = expect.fault("vault_refused", client:pending "nobody")
      assert.equal(404, err.status)
      assert.equal("PendingCertificateNotFound", err.vault_code)
      assert.matches("HTTP 404", err.message)
      local stranger = keyvault.client { vault = "acme-workers", transport = vault.transport, token = "wrong.token" }
      err = expect.fault("vault_refused", stranger:pending "nobody")
      assert.matches("https://vault.azure.net", err.hint, 1, true)
      assert.is_nil(tostring(err):find "wrong.token")
      assert(client:create("other", keyvault.policy { subject = "CN=a" }))
      assert.matches("public key", expect.fault("vault_refused", client:merge("other", leaf.chain)).message)
    end)

    it("tells a transport that fails, a proxy and nonsense apart", function()
      local function over(response, reason)
        return keyvault.client { vault = "acme-workers", transport = function() return response, reason end }
      end
      assert.matches("no route", expect.fault("transport_failed", over(nil, "no route"):pending "a").message)
      expect.fault("bad_response", over({ status = 200, body = "<html>" }):pending "a")
      local policy = keyvault.policy { subject = "CN=a" }
      for _, body in ipairs { "3", "null", "[]", "{}", "",
        '{"status":5,"value":{},"cer":"MIIB","secret_props":"x"}' } do
        for _, ask in ipairs { { "pending" }, { "secret" }, { "policy" }, { "cancel" }, { "create", policy },
          { "merge", leaf.chain }, { "import", { key = leaf.key, chain = leaf.chain } } } do
          local asked = over { status = 200, body = body }
          expect.fault("bad_response", asked[ask[1]](asked, "a", ask[2]))
        end
      end
      expect.fault("vault_refused", over({ status = 502, body = "<html>" }):pending "a")
      for _, body in ipairs { '{"error":null}', '{"error":{"code":5,"message":[]}}', '{"error":"x"}', "\xff" } do
        expect.fault("vault_refused", over({ status = 500, body = body }):pending "a")
      end
      local loud = expect.fault("vault_refused", over({ status = 400, body = cjson.encode { error = { code = "Bad",
        message = "a\27[2J\nb" .. ("é"):rep(100000) } } }):pending "a")
      assert.is_nil(tostring(loud):find "\27")
      assert.is_true(#loud.message < 2000)
      assert(utf8.len(loud.message))
      expect.fault("no_csr", over({ status = 200, body = '{"status":"completed"}' }):pending("a"):csr())
      for _, response in ipairs { {}, "OK", { status = "200", body = "{}" }, { status = 200, body = {} } } do
        expect.throws("integer status", over(response).pending, over(response), "a")
      end
      local no_token = keyvault.client { vault = "acme-workers", transport = print,
        token = function() return nil, "az is not there" end }
      assert.matches("az is not there", expect.fault("no_token", no_token:pending "a").message)
    end)

    it("sends no token that would end its header, and shows none", function()
      for _, token in ipairs { "a.token\n", "a.token\r\nX-More: 1", "a token", "" } do
        for _, given in ipairs { token, function() return token end } do
          local sent = 0
          local asked = keyvault.client { vault = "acme-workers", token = given,
            transport = function() sent = sent + 1 end }
          local err = expect.fault("bad_token", asked:pending "a")
          assert.equal(0, sent)
          assert.is_nil(tostring(err):find "a.token")
          assert.matches("TOKEN=$(az account get-access-token", err.hint, 1, true)
        end
      end
    end)

    it("asks for the version of a secret that it is told", function()
      assert(client:import("imported", { key = leaf.key, chain = leaf.chain }))
      assert.equal(leaf.certificate, assert(client:secret("imported", "7f1b")).certificate)
      assert.equal(404, expect.fault("vault_refused", client:secret("imported", "7f1c")).status)
    end)

    it("gives up an operation that waits", function()
      assert(client:create("waits", keyvault.policy { subject = "CN=a" }))
      assert.equal("inProgress", assert(client:cancel "waits").status)
      expect.fault("vault_refused", client:pending "waits")
    end)

    it("takes the URL as Azure writes it, with a slash, and none with a path or a user", function()
      local asked = keyvault.client { url = "https://acme-workers.vault.azure.net/", token = vault.token,
        transport = vault.transport }
      assert(asked:create("slash", keyvault.policy { subject = "CN=a" }))
      for _, url in ipairs { "https://acme.vault.azure.net/certificates", "https://me:secret@acme.vault.azure.net",
        "acme" } do
        expect.throws("'url'", keyvault.client, { url = url, transport = print })
      end
    end)

    it("throws on names that no vault has", function()
      expect.throws("letters, digits and hyphens", client.pending, client, "a/b")
      expect.throws("a version", client.secret, client, "a", "../b")
      expect.throws("vault", keyvault.client, { vault = "a.b", transport = print })
      expect.throws("not both", keyvault.client, { vault = "abc", url = "https://a.b", transport = print })
      expect.throws("transport", keyvault.client, { vault = "abc" })
      assert.is_nil(tostring(client):find(vault.token, 1, true))
    end)
  end)

  describe("commands", function()
    it("are what az and curl are told, quoted for a shell", function()
      local commands = keyvault.commands
      local place = { vault = "acme-workers", name = "payments" }
      local function with(more)
        for name, value in pairs(place) do more[name] = value end
        return more
      end
      local create = assert(commands.create(with { policy_path = "a b.json", body_path = "body.json" }))
      assert.equal("az keyvault certificate create --vault-name acme-workers --name payments --policy '@a b.json'",
        create.az)
      assert.matches("--data-binary @body.json 'https://acme-workers.vault.azure.net/certificates/payments/create"
        .. "?api-version=7.4'", create.curl, 1, true)
      local import = assert(commands.import(with { path = "payments.pfx", body_path = "body.json",
        passphrase_env = "PFX_PASSPHRASE" }))
      assert.matches(' --file payments.pfx --password "$PFX_PASSPHRASE"', import.az, 1, true)
      assert.matches("az keyvault certificate pending merge", assert(commands.merge(with { chain_path = "chain.pem",
        body_path = "b" })).az, 1, true)
      assert.matches("/certificates/payments/pending?api", assert(commands.pending(place)).curl, 1, true)
      assert.matches("--version 7f1b", assert(commands.secret(with { version = "7f1b" })).az, 1, true)
      expect.throws("passphrase_env", commands.import, with { path = "x", body_path = "b", passphrase_env = "$(id)" })
      expect.throws("policy_path", commands.create, with { body_path = "b" })
      expect.throws("unknown option 'version'", commands.pending, with { version = "7f1b" })
      expect.throws("a version", commands.secret, with { version = "../7f1b" })
      for _, given in ipairs { { vault = "a b", name = "c" }, { vault = "abc", name = "a/b" }, { vault = "abc" } } do
        expect.throws("keyvault_spec.lua", function()
          local told = commands.pending(given)
          return told
        end)
      end
      assert.matches("pending delete --vault-name acme-workers", assert(commands.cancel(place)).az, 1, true)
      assert.matches("--request DELETE", commands.cancel(place).curl, 1, true)
      -- A shell sees the words that were meant.
      local handle = assert(io.popen("curl() { cat; printf '%s\\n' \"$@\"; }; TOKEN=T; " .. create.curl))
      local words = handle:read "a"
      handle:close()
      assert.matches("^Authorization: Bearer T\n", words)
      assert.matches("\n--header\n@-\n--request\nPOST\n", words, 1, true)
      assert.is_nil(words:find("Bearer", 30, true), "the token is no argument")
    end)
  end)
end)

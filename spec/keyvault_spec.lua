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
        { { subject = "CN=x", renew = { percentage = 80, action = "renew" } }, '"email"' },
        { { subject = "CN=x", renew = { percentage = 100 } }, "1 to 99" },
        { { subject = "CN=x", renew = { percentage = 1, days_before = 1 } }, "not both" },
        { { subject = "CN=x", renew = {} }, "percentage or days_before" },
        { { subject = "CN=x", digest = "SHA256" }, "unknown option 'digest'" },
        { {}, "subject" },
      } do
        expect.throws({ "tcpki.keyvault.policy", case[2] }, keyvault.policy, case[1])
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
        ["the operation of az"] = cjson.encode { cancellationRequested = false, csr = bare, statusDetails = "Please" },
      } do
        local csr, err = keyvault.csr(text)
        assert(csr, ("%s: %s"):format(name, err))
        assert.equal("CN=payments.a1b2c", tostring(csr:subject()))
      end
    end)

    it("refuses more than one, as the recipe with >> leaves them", function()
      local other = openssl.run "req -new -newkey rsa:2048 -nodes -keyout /dev/null -subj /CN=other"
      local other_bare = without(without(other, "%-%-%-%-%-[^\n]*\n"), "\n")
      for _, text in ipairs { pem .. other, bare .. "\n" .. other_bare,
        "-----BEGIN CERTIFICATE REQUEST-----\n" .. bare .. "\n" .. other_bare
          .. "\n-----END CERTIFICATE REQUEST-----\n" } do
        assert.matches(">>", expect.fault("several", keyvault.csr(text)).hint, 1, true)
      end
    end)

    it("refuses one whose own signature does not hold", function()
      local der = openssl.run("req -outform DER", pem)
      local changed = der:sub(1, -2) .. string.char(der:byte(-1) ~ 1)
      expect.fault("bad_signature", keyvault.csr(changed))
    end)

    it("says what else it is", function()
      local key = assert(tcpki.key.generate())
      for what, text in pairs {
        ["an empty text"] = " \n",
        ["JSON of another kind"] = '{"a":1}',
        ["an error of the vault"] = '{"error":{"code":"Forbidden"}}',
        ["a JWK"] = '{"kty":"RSA","n":"x"}',
        ["an OpenSSH public key"] = "ssh-rsa AAAAB3",
        ["an OpenSSH key"] = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
        ["a GPG key"] = "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nAAAA\n-----END PGP PRIVATE KEY BLOCK-----\n",
        ["HTML or XML"] = "<html></html>",
      } do
        local err = expect.fault("wrong_kind", keyvault.csr(text))
        assert.matches(what, err.message, 1, true)
        assert.matches("pending show", err.hint, 1, true)
      end
      assert.matches("a private key", expect.fault("wrong_kind", keyvault.csr(key:pem())).message, 1, true)
      assert.matches("completed", expect.fault("wrong_kind", keyvault.csr '{"status":"completed"}').message, 1, true)
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
      expect.fault("passphrase_required", keyvault.secret(export "-passout pass:swordfish"))
      expect.fault("bad_base64", keyvault.secret "swordfish!")
      expect.fault("wrong_kind", keyvault.secret '{"kty":"EC"}')
      expect.fault("wrong_kind", keyvault.secret("x", "text/plain"))
      expect.fault("key_mismatch", keyvault.secret(leaf.key:pem() .. ca.certificate:pem()))
      expect.fault("wrong_kind", keyvault.secret((openssl.run("base64 -A", leaf.certificate:der()))))
      expect.throws("value", keyvault.secret, nil)
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
      expect.fault("bad_response", over({ status = 200, body = "3" }):pending "a")
      expect.fault("bad_response", over({ status = 200, body = "{}" }):secret "a")
      expect.fault("bad_response", over({ status = 200, body = "{}" }):merge("a", leaf.chain))
      expect.fault("vault_refused", over({ status = 502, body = "<html>" }):pending "a")
      expect.fault("no_csr", over({ status = 200, body = '{"status":"completed"}' }):pending("a"):csr())
      expect.throws("integer status", over({}).pending, over {}, "a")
      local no_token = keyvault.client { vault = "acme-workers", transport = print,
        token = function() return nil, "az is not there" end }
      assert.matches("az is not there", expect.fault("no_token", no_token:pending "a").message)
    end)

    it("throws on names that no vault has", function()
      expect.throws("letters, digits and hyphens", client.pending, client, "a/b")
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
      -- A shell sees the words that were meant.
      local handle = assert(io.popen((create.curl:gsub("^curl", "printf '%%s\\n'"):gsub("%$TOKEN", "T"))))
      local words = handle:read "a"
      handle:close()
      assert.matches("\nAuthorization: Bearer T\n--request\nPOST\n", words, 1, true)
    end)
  end)
end)

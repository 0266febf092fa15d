-- Key Vault over real HTTPS: the example as a user runs it, and Microsoft's own SDK beside ours, against one stand-in.

local child = require "spec.support.child"
local cjson = require "cjson"
local keyvault = require "spec.support.keyvault"
local openssl = require "spec.support.openssl"
local server = require "spec.support.server"
local tcpki = require "tcpki"
local temporary = require "spec.support.temporary"

local pwd = assert(io.popen "pwd")
local script = pwd:read "l" .. "/examples/keyvault_certificate.lua"
pwd:close()

describe("keyvault over HTTPS", function()
  local directory, worker, roots_path, vault

  setup(function()
    directory, worker = temporary.directory(), temporary.directory()
    local web = assert(tcpki.authority.new { common_name = "Web CA" })
    assert(assert(web:issue { common_name = "localhost", usage = "server", subject_alt_names = { "localhost" } })
      :write(directory:path "server.key", directory:path "server.pem"))
    roots_path = directory:file("roots.pem", web.certificate:pem())
    vault = keyvault.serve(directory)
  end)

  teardown(function()
    vault:close()
    directory:remove()
    worker:remove()
  end)

  local function example(environment, name)
    return child.run(("arg = { %q, %q } dofile %q"):format(vault.url, name, script),
      { before = ("cd %s; export %s;"):format(worker:path "", environment) })
  end

  it("is walked by the example, from the policy to the worker's files", function()
    local ok, output = example(("TOKEN=%s SSL_CERT_FILE=%s"):format(keyvault.TOKEN, roots_path), "payments")
    assert.is_true(ok, output)
    assert.matches("payments.key and payments.pem: CN=payments, valid until 20", output, 1, true)
    assert.equal("600", temporary.mode(worker:path "payments.key"))
    assert.equal(openssl.run("pkey -pubout -in " .. worker:path "payments.key"),
      openssl.run("x509 -noout -pubkey -in " .. worker:path "payments.pem"))
  end)

  it("hands the example no key where the server is another, or the token is", function()
    local stranger = directory:file(nil, assert(tcpki.authority.new { common_name = "Stranger" }).certificate:pem())
    local ok, output = example(("TOKEN=%s SSL_CERT_FILE=%s"):format(keyvault.TOKEN, stranger), "other")
    assert.is_false(ok)
    assert.matches("no_issuer", output, 1, true)
    assert.is_nil(vault:log():find("/certificates/other/", 1, true), "nothing was sent")
    ok, output = example(("TOKEN=%s SSL_CERT_FILE=%s"):format("no.such.token", roots_path), "other")
    assert.is_false(ok)
    assert.matches("HTTP 401", output, 1, true)
    assert.is_nil(output:find("no.such.token", 1, true))
  end)

  describe("beside Microsoft's SDK #producers", function()
    local ca, python

    setup(function()
      python = assert(server.counterpart "keyvault")
      ca = assert(tcpki.authority.new { common_name = "Acme Workers" })
    end)

    local function sdk(phase, path)
      local handle = assert(io.popen(("%s test/keyvault/sdk.py %s %s %s %s %s 2>&1"):format(python, vault.url,
        roots_path, keyvault.TOKEN, phase, path or "-")))
      local output = handle:read "a"
      assert.is_true(handle:close(), output)
      return cjson.decode(output)
    end

    it("makes the same of a policy, a merge and an import", function()
      local created = sdk "create"
      local policy = tcpki.keyvault.policy { subject = "CN=payments.a1b2c" }
      local theirs = vault:asked "/certificates/sdk/create"
      theirs.policy.x509_props.sans = nil -- it sends an empty object
      assert.same(theirs, cjson.decode(policy:body()))

      local leaf = assert(ca:sign(assert(tcpki.keyvault.csr(created.csr)), { usage = "requested", days = 365 }))
      local merged = sdk("merge", directory:file(nil, leaf.chain:pem()))
      assert.same(vault:asked "/certificates/sdk/pending/merge", cjson.decode((assert(
        tcpki.keyvault.merge_body(leaf.chain)))))
      local secret = assert(tcpki.keyvault.secret(merged.value, merged.contentType))
      assert.equal(leaf.certificate, secret.certificate)

      for _, format in ipairs { "pem", "pfx" } do
        local body = cjson.decode((assert(tcpki.keyvault.import_body { key = secret.key, chain = secret.chain,
          format = format })))
        local bytes = format == "pem" and body.value or openssl.run("base64 -d -A", body.value)
        local imported = sdk("import", directory:file(nil, bytes))
        local again = assert(tcpki.keyvault.secret(imported.value, imported.contentType))
        assert.equal(secret.key:pem(), again.key:pem())
        assert.equal(leaf.certificate, again.certificate)
        theirs = vault:asked "/certificates/sdk/import"
        -- It sends base64 of the PEM, where az and the SDK for .NET send the text, as we do: a vault takes both.
        assert.equal(openssl.run("base64 -d -A", theirs.value), bytes)
        assert.equal(theirs.pwd, body.pwd)
        assert.equal(theirs.policy.secret_props.contentType, body.policy.secret_props.contentType)
      end
    end)
  end)
end)

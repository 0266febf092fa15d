local child = require "spec.support.child"
local core = require "tcpki.core"
local temporary = require "spec.support.temporary"
local tcpki = require "tcpki"

describe("tcpki", function()
  it("gathers the rooms, each of which is a module of its own", function()
    for _, name in ipairs {
      "authority", "bundle", "certificate", "chain", "crl", "csr", "fault", "file", "key", "pem",
      "pkcs12",
    } do
      assert.is_table(tcpki[name])
      assert.is_true(rawequal(tcpki[name], require("tcpki." .. name)))
    end
    assert.is_nil(tcpki.no_such_room)
  end)

  it("loads a room when it is first used, and the probe only then", function()
    local ok, output = child.run [[
      local tcpki = require "tcpki"
      assert(tcpki.authority.new { common_name = "a" })
      for name in pairs(package.loaded) do
        assert(not name:find "probe", name)
      end
    ]]
    assert.is_true(ok, output)
  end)

  it("sets no global, and prints nothing", function()
    local ok, output = child.run [[
      setmetatable(_G, { __newindex = function(_, name) error("global " .. name) end })
      local tcpki = require "tcpki"
      local ca = assert(tcpki.authority.new { common_name = "a" })
      local leaf = assert(ca:issue { common_name = "b", usage = "client" })
      assert(leaf.chain:verify { roots = { ca.certificate } })
      assert(not tcpki.certificate.parse "noise")
    ]]
    assert.is_true(ok, output)
    assert.equal("", output)
  end)

  it("makes what its first example says", function()
    local directory = temporary.directory()
    local ok, output = child.run([[
      local tcpki = require "tcpki"
      local ca   = assert(tcpki.authority.new{ subject = { CN = "Acme Temporal CA", O = "Acme" },
                                               days = 3650 })
      local leaf = assert(ca:issue{ common_name = "payments.a1b2c", usage = "client", days = 90 })
      assert(leaf.key:write("payments.key"))
      assert(leaf.chain:write("payments.pem"))
      assert(tcpki.bundle.new{ ca.certificate }:write("ca-bundle.pem"))
    ]], { before = "cd " .. directory.root .. ";" })
    assert.is_true(ok, output)
    local verified = os.execute(("openssl verify -x509_strict -purpose sslclient -CAfile "
      .. "%s/ca-bundle.pem %s/payments.pem >/dev/null"):format(directory.root, directory.root))
    assert.is_true(verified)
    assert.equal("600", temporary.mode(directory:path "payments.key"))
    directory:remove()
  end)

  it("names the libcrypto that it runs on", function()
    assert.matches("^OpenSSL %d+%.%d+", core.openssl_version())
  end)

  it("holds no object longer than Lua does", function()
    local function objects()
      collectgarbage()
      collectgarbage()
      return core.live()
    end
    local before = objects()
    do
      local ca <const> = assert(tcpki.authority.new { common_name = "a" })
      local leaf = assert(ca:issue { common_name = "b", usage = "client" })
      local roots = tcpki.bundle.new { ca.certificate }
      local crl <const> = assert(ca:crl())
      assert.is_true(leaf.chain:verify { roots = roots, crls = { crl } })
      local csr <const> = assert(tcpki.csr.new { key = leaf.key, subject = { CN = "c" } })
      local during = core.live()
      assert.is_truthy(csr and crl and roots)
      for _, name in ipairs { "tcpki.key", "tcpki.certificate", "tcpki.csr", "tcpki.crl",
        "tcpki.store" } do
        assert.is_true(during[name] > before[name], name)
      end
      for _ = 1, 50 do
        assert.is_nil((tcpki.certificate.parse "noise"))
        assert.is_nil((tcpki.key.parse(ca.certificate:pem())))
        assert.is_nil((tcpki.bundle.parse(ca.certificate:pem() .. leaf.key:pem())))
      end
    end
    assert.same(before, objects())
  end)

  it("is left by its objects in any order when the state closes", function()
    local ok, output = child.run [[
      local tcpki = require "tcpki"
      local ca = assert(tcpki.authority.new { common_name = "a" })
      local leaf = assert(ca:issue { common_name = "b", usage = "client" })
      kept = { leaf, ca, leaf.chain, leaf.certificate:public_key(), tcpki.bundle.new(leaf.chain) }
      assert(leaf.chain:verify { roots = tcpki.bundle.new { ca.certificate } })
      leaf.certificate:close()
      os.exit(true, true)
    ]]
    assert.is_true(ok, output)
  end)
end)

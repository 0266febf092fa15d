local child = require "spec.support.child"
local expect = require "spec.support.expect"
local temporary = require "spec.support.temporary"
local tcpki = require "tcpki"

local fault = tcpki.fault

describe("tcpki.fault", function()
  describe("new", function()
    it("makes the table that it is given an error value", function()
      local fields = { code = "expired", message = "it is over" }
      local err = fault.new(fields)
      assert.is_true(rawequal(fields, err))
      assert.equal("tcpki.fault", getmetatable(err).__name)
      assert.equal("it is over (expired)", tostring(err))
    end)

    it("prints each part where it is known, in this order", function()
      assert.equal("a.pem: line 3, column 7: it is over (expired)\n"
        .. "  certificate: CN=a at depth 2\n  do: renew it", tostring(fault.new {
        code = "expired", message = "it is over", hint = "renew it", path = "a.pem", line = 3,
        column = 7, depth = 2, subject = "CN=a" }))
      assert.equal("line 3: it is over (expired)",
        tostring(fault.new { code = "expired", message = "it is over", line = 3 }))
      assert.equal("a.pem: it is over (expired)\n  do: renew it", tostring(fault.new {
        code = "expired", message = "it is over", path = "a.pem", hint = "renew it" }))
    end)

    it("throws without a code or a message", function()
      for _, fields in ipairs { {}, { code = "a" }, { message = "a" },
        { code = 1, message = "a" }, { code = "a", message = {} } } do
        expect.throws("needs code and message", fault.new, fields)
      end
      expect.throws("table expected", fault.new)
      expect.throws("table expected", fault.new, "expired")
    end)
  end)

  it("fail gives nil and the fault", function()
    local err = expect.fault("expired", fault.fail { code = "expired", message = "it is over" })
    assert.equal("it is over", err.message)
  end)

  it("is one type, whether C or Lua made it", function()
    local _, from_c = tcpki.certificate.parse ""
    local _, from_lua = tcpki.bundle.new():write "never"
    assert.equal(getmetatable(fault.new { code = "a", message = "b" }), getmetatable(from_c))
    assert.equal(getmetatable(from_c), getmetatable(from_lua))
  end)

  it("has only the fields that exist", function()
    local _, err = tcpki.certificate.parse ""
    for name in pairs(err) do
      assert.is_truthy(({ code = true, message = true, hint = true })[name], name)
    end
  end)

  it("keeps the reasons of OpenSSL as an array, and leaves none for the next fault", function()
    local _, first = tcpki.certificate.parse(tcpki.pem.encode("CERTIFICATE", "no DER"))
    assert.is_true(#first.openssl > 0)
    for _, reason in ipairs(first.openssl) do
      assert.is_string(reason)
      assert.is_nil(reason:find "\n")
    end
    local _, second = tcpki.file.read "/no/such/file"
    assert.is_nil(second.openssl)
    local _, third = tcpki.certificate.parse(tcpki.pem.encode("CERTIFICATE", "no DER"))
    assert.same(first.openssl, third.openssl)
  end)

  it("passes through assert, which the stand-alone Lua prints", function()
    local ok, output = child.run [[
      local tcpki = require "tcpki"
      assert(tcpki.certificate.read "/no/such/file.pem")
    ]]
    assert.is_false(ok)
    assert.is_truthy(output:find("/no/such/file.pem: cannot open it: No such file or directory "
      .. "(not_found)\n  do: check the path\n", 1, true), output)
    assert.is_nil(output:find "table:")
  end)

  it("names the place in the file when it is printed", function()
    local directory = temporary.directory()
    local pem = assert(tcpki.authority.new { common_name = "a" }).certificate:pem()
    local path = directory:file("a.pem", pem:sub(1, 99) .. "?" .. pem:sub(101))
    local ok, output = child.run(([[assert(require("tcpki").certificate.read "%s")]]):format(path))
    directory:remove()
    assert.is_false(ok)
    assert.is_truthy(output:find(path .. ": line 3, column ", 1, true), output)
    assert.is_truthy(output:find("(bad_pem)", 1, true), output)
  end)

  it("is caught by pcall as a value", function()
    -- In a child: busted's assert is not Lua's.
    local ok, output = child.run [[
      local ok, err = pcall(assert, require("tcpki").certificate.parse "")
      io.write(tostring(ok), " ", err.code)
    ]]
    assert.is_true(ok, output)
    assert.equal("false empty", output)
  end)

  -- What users match on is stable: a word that goes or changes breaks their programs.
  it("has the words that are promised", function()
    local words = {}
    for word in temporary.content("src/pki/fault.h"):gmatch 'X%([%u_]+,%s*"([%l_]+)"' do
      words[#words + 1] = word
    end
    table.sort(words)
    assert.equal("already_exists bad_der bad_extension bad_name bad_passphrase bad_pem "
      .. "bad_signature bad_time busy chain_too_long crl_unusable empty expired "
      .. "explicit_parameters input_output issuer_mismatch key_mismatch "
      .. "key_too_large libcrypto name_mismatch name_not_permitted no_issuer no_private_key "
      .. "no_space not_a_file not_an_authority not_found not_pem not_verified not_yet_valid "
      .. "out_of_memory outlives_issuer passphrase_required path_length_exceeded "
      .. "permission_denied revoked several several_leaves symbolic_link too_costly too_large "
      .. "trailing_data unsupported_encryption unsupported_key untrusted_root weak wrong_kind "
      .. "wrong_purpose", table.concat(words, " "))
  end)
end)

-- What people pass in place of a key or a certificate is named, in every room that reads one.

local child = require "spec.support.child"
local expect = require "spec.support.expect"
local openssl = require "spec.support.openssl"
local tcpki = require "tcpki"
local temporary = require "spec.support.temporary"

local rooms = { "key", "certificate", "csr", "crl", "chain", "bundle" }

describe("what is neither PEM nor DER", function()
  local directory

  setup(function() directory = temporary.directory() end)
  teardown(function() directory:remove() end)

  local texts = {
    ["a JSON web key"] = '\n {"kty":"EC","crv":"P-256","d":"AAAA"}',
    ["JSON"] = '{"value":"MIIB"}',
    ["HTML or XML"] = "<!DOCTYPE html><html></html>",
    ["an OpenSSH public key"] = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA somebody@somewhere",
    ["a key of PuTTY"] = "PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\n",
    ["a Java key store"] = "\xfe\xed\xfe\xed\0\0\0\2\0\0\0\0",
  }

  for name, text in pairs(texts) do
    it(("is named: %s"):format(name), function()
      for _, room in ipairs(rooms) do
        local err = expect.fault("not_pem", tcpki[room].parse(text))
        assert.equal(("it is %s, not PEM"):format(name), err.message, room)
        assert.is_string(err.hint)
      end
      assert.matches(("it is %s, not a PKCS#12 file"):format(name),
        expect.fault("wrong_kind", tcpki.pkcs12.parse(text)).message, 1, true)
    end)
  end

  it("is named where GPG wrote it, whose armour is not that of PEM", function()
    local text = "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQVYBGFh\n=abcd\n-----END PGP PRIVATE KEY BLOCK-----\n"
    for _, room in ipairs(rooms) do
      local err = expect.fault("wrong_kind", tcpki[room].parse(text))
      assert.matches("a PGP PRIVATE KEY BLOCK of GPG", err.message, 1, true)
      assert.equal(1, err.line)
    end
  end)

  it("is named where it is a PKCS#12 file, of whatever writer", function()
    local key = directory:file(nil, openssl.run "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256")
    local certificate = directory:file(nil, openssl.run(("req -x509 -new -key %s -subj /CN=a"):format(key)))
    local bytes = openssl.run(("pkcs12 -export -inkey %s -in %s -passout pass:x"):format(key, certificate))
    -- The same in BER, with lengths that are not stated, as older Java writes it.
    local type_at = assert(bytes:find("\6\9\x2a\x86\x48\x86\xf7\x0d\1\7", 1, true))
    local ber = "\x30\x80\2\1\3\x30\x80" .. bytes:sub(type_at)
    for _, room in ipairs(rooms) do
      for _, text in ipairs { bytes, ber } do
        local err = expect.fault("wrong_kind", tcpki[room].parse(text))
        assert.matches("^it is a PKCS#12 file, not a", err.message)
        assert.matches("tcpki.pkcs12", err.hint, 1, true)
      end
    end
  end)

  it("gives no word of itself away: it may be a secret", function()
    local ok, output = child.run([[
      local _, err = require("tcpki.key").parse('{"kty":"EC","d":"s3cret"}')
      io.write(tostring(err))]])
    assert.is_true(ok, output)
    assert.is_nil(output:find("s3cret", 1, true))
  end)
end)

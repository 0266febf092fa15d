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

  it("is named where the armour says another kind than the content is", function()
    local key = openssl.run "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256"
    local rsa = openssl.run "genrsa -traditional 2048"
    local path = directory:file(nil, key)
    local certificate = openssl.run(("req -x509 -new -key %s -subj /CN=a"):format(path))
    local request = openssl.run(("req -new -key %s -subj /CN=a"):format(path))
    -- OpenSSL before 3.4 makes it of version 1, and the list too.
    local old = openssl.run(("x509 -req -signkey %s"):format(path), request)
    local ca = directory:file(nil, certificate)
    local database = directory:file(nil, "")
    local config = directory:file(nil, ("[ca]\ndefault_ca = d\n[d]\ndatabase = %s\ndefault_md = sha256\n")
      :format(database))
    local list = openssl.run(("ca -gencrl -config %s -cert %s -keyfile %s -crldays 1"):format(config, ca, path))
    local kinds = {
      { "a key", key }, { "a key", rsa }, { "a key", openssl.run("ec", key) },
      { "a key", openssl.run("pkcs8 -topk8 -passout pass:swordfish", key) },
      { "a key", openssl.run("pkey -pubout", key) }, { "a certificate", certificate }, { "a certificate", old },
      { "a CSR", request },
      { "a CSR", openssl.run(("req -new -key %s -subj /CN=a -addext subjectAltName=DNS:a"):format(path)) },
      { "a CRL", list }, { "a CRL", assert(assert(tcpki.authority.new { common_name = "a" }):crl()):pem() },
      { "a PKCS#7 file", openssl.run("crl2pkcs7 -nocrl -certfile " .. ca) },
    }
    for _, reader in ipairs { { "a key", "key", "PRIVATE KEY" }, { "a certificate", "certificate", "CERTIFICATE" },
      { "a certificate", "bundle", "CERTIFICATE" }, { "a certificate", "chain", "CERTIFICATE" },
      { "a CSR", "csr", "CERTIFICATE REQUEST" }, { "a CRL", "crl", "X509 CRL" } } do
      local what, room, label = table.unpack(reader)
      for i, case in ipairs(kinds) do
        local kind, pem = table.unpack(case)
        local text = pem:gsub("(%-%-%-%-%-%u+) [%u%d ]+(%-%-%-%-%-)", "%1 " .. label .. "%2")
        local made, err = tcpki[room].parse(text)
        if kind == what then
          assert(made or err.code == "passphrase_required", ("%d: %s"):format(i, err))
        else
          assert.equal("wrong_kind", err and err.code, ("%s of %d: %s"):format(room, i, err))
          assert.equal(("it is %s, not %s"):format(kind, what), err.message)
          assert.equal(1, err.line)
        end
      end
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

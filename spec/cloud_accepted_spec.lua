local cjson = require "cjson"
local expect = require "spec.support.expect"
local go = require "spec.support.go"
local openssl = require "spec.support.openssl"
local temporary = require "spec.support.temporary"
local tcpki = require "tcpki"
local accepted = require "tcpki.cloud.accepted"

-- Lists a bundle of PEM as the command-line tool does: Go's names, times and JSON.
local LISTER = [[
package main

import (
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

type row struct {
	Fingerprint       string    `json:"fingerprint"`
	Issuer            string    `json:"issuer"`
	Subject           string    `json:"subject"`
	NotBefore         time.Time `json:"notBefore"`
	NotAfter          time.Time `json:"notAfter"`
	Base64EncodedData string    `json:"base64EncodedData"`
}

func main() {
	rest, _ := io.ReadAll(os.Stdin)
	rows := []row{}
	for {
		block, after := pem.Decode(rest)
		if block == nil {
			break
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		sum := sha1.Sum(certificate.Raw)
		text := strings.TrimSpace(string(rest[:len(rest)-len(after)]))
		rows = append(rows, row{hex.EncodeToString(sum[:]), certificate.Issuer.String(), certificate.Subject.String(),
			certificate.NotBefore, certificate.NotAfter, base64.StdEncoding.EncodeToString([]byte(text))})
		rest = after
	}
	writer := json.NewEncoder(os.Stdout)
	writer.SetEscapeHTML(false)
	writer.SetIndent("", "    ")
	_ = writer.Encode(rows)
}
]]

describe("tcpki.cloud.accepted", function()
  local directory, one, two, three

  local function root(subject, more)
    local settings = { subject = subject }
    for name, value in pairs(more or {}) do
      settings[name] = value
    end
    return assert(tcpki.authority.new(settings)).certificate
  end

  setup(function()
    directory = temporary.directory()
    one, two, three = root { CN = "One", O = "Acme" }, root { CN = "Two" }, root { CN = "Three" }
  end)

  teardown(function()
    directory:remove()
  end)

  local function names(list)
    local found = {}
    for i, certificate in ipairs(list) do
      found[i] = certificate:subject().CN
    end
    return table.concat(found, " ")
  end

  describe("listed", function()
    it("shows what the command-line tool shows, with the fingerprints of openssl", function()
      local rows = assert(accepted.list(tcpki.bundle.new { one, two }))
      assert.equal(2, #rows)
      assert.equal("CN=One,O=Acme", rows[1].subject)
      assert.equal(one:not_after(), rows[1].not_after)
      local shown = openssl.run("x509 -noout -fingerprint -sha1", one:pem()):match "=(%S+)"
      assert.equal(shown:gsub(":", ""):lower(), rows[1].fingerprint)
      local list = cjson.decode((accepted.json(tcpki.bundle.new { one, two })))
      assert.equal(rows[2].fingerprint, list[2].fingerprint)
      assert.equal(os.date("!%Y-%m-%dT%H:%M:%SZ", two:not_after()), list[2].notAfter)
      assert.equal("[]\n", accepted.json(tcpki.bundle.new()))
    end)

    it("is to the byte what Go writes, whatever the names", function()
      local program, reason = go.build(directory, LISTER)
      if not program then
        pending(reason)
        return
      end
      local certificates = {
        one,
        root { { type = "C", value = "DE" }, { type = "ST", value = "Bayern" }, { type = "L", value = "München" },
          { type = "street", value = "Weg 1" }, { type = "postalCode", value = "80331" },
          { type = "O", value = "A, B + C; <D> \"E\" \\ F" }, { type = "OU", value = "x" },
          { type = "OU", value = "y" }, { type = "CN", value = " both ends " },
          { type = "serialNumber", value = "7" } },
        root { { type = "CN", value = "#first" }, { type = "emailAddress", value = "ops@example.com" },
          { type = "DC", value = "example" }, { type = "DC", value = "com" }, { type = "UID", value = "u-1" } },
        root { { type = "title", value = "Dr. * & Co" }, { type = "GN", value = "Ada" },
          { type = "1.3.6.1.4.1.99999.300.2", value = "own" }, { type = "O", value = " " } },
        root { { type = "CN", value = "first" }, { type = "O", value = "between" }, { type = "CN", value = "last" } },
        root { { type = "O", value = "joined" }, { type = "CN", value = "with", joined = true },
          { type = "OU", value = ("long "):rep(12) .. "x" } },
        root({ { type = "description", value = ("d"):rep(200) }, { type = "CN", value = "far" } },
          { not_after = 4102444799 + 86400 * 400 }),
      }
      local bundle = tcpki.bundle.new(certificates)
      assert.equal(#certificates, #bundle)
      local wanted, written = program(bundle:pem()):gmatch "[^\n]*\n", assert(accepted.json(bundle))
      for line in written:gmatch "[^\n]*\n" do
        assert.equal(wanted(), line)
      end
      assert.is_nil(wanted())
      local leaf = assert(assert(tcpki.authority.new { subject = { CN = "I", DC = "d" } }):issue { usage = "client",
        common_name = "leaf" }).certificate
      assert.equal(program(leaf:pem()), (accepted.json(tcpki.bundle.new { leaf })))
    end)

    it("is read back, from either tool", function()
      local bundle = tcpki.bundle.new { one, two }
      local text = assert(accepted.json(bundle))
      assert.equal("One Two", names(assert(accepted.parse(text))))
      local other = text:gsub('"(%l)(%w+)":', function(first, rest)
        return '"' .. first:upper() .. rest .. '":'
      end)
      assert.equal("One Two", names(assert(accepted.parse(other))))
      assert.equal(0, #assert(accepted.parse "[]"))
      assert.equal(0, #assert(accepted.parse "null\n"))
    end)

    it("has one clear error for what is no such list", function()
      local good = assert(accepted.json(tcpki.bundle.new { one }))
      for text, words in pairs {
        [""] = "found the end", ["{}"] = "it is an object", ["3"] = "a number", ["[3]"] = "entry 1 is a number",
        ["[{}]"] = "entry 1 has no base64EncodedData", ["[[]]"] = "entry 1 has no base64EncodedData",
        ['[{"base64EncodedData":null}]'] = "has no base64EncodedData",
        ['[{"base64EncodedData":"LS0"}]'] = "not base64", [good:sub(1, #good // 2)] = "not a list",
        [(good:gsub('"fingerprint": "..', '"fingerprint": "zz'))] = "the fingerprint of entry 1",
      } do
        local err = expect.fault("bad_list", accepted.parse(text))
        assert.is_truthy(err.message:find(words, 1, true), err.message)
      end
      local _, err = accepted.parse '[{"base64EncodedData":"aGVsbG8="}]'
      assert.equal("not_pem", err.code)
      assert.is_truthy(err.message:find("entry 1", 1, true))
      local key = assert(tcpki.key.generate {})
      local data = tcpki.pem.quote(key:pem(), "base64")
      local leaked = select(2, accepted.parse(('[{"base64EncodedData":"%s"}]'):format(data)))
      assert.equal("wrong_kind", leaked.code)
      assert.is_nil(tostring(leaked):find(data:sub(50, 80), 1, true))
    end)
  end)

  describe("changed", function()
    it("adds, and leaves the bundle alone that it was given", function()
      local bundle = tcpki.bundle.new { one }
      assert.equal("One Two", names(assert(accepted.add(bundle, two))))
      assert.equal("One Two Three", names(assert(accepted.add(bundle, { two, three }))))
      assert.equal("One Two", names(assert(accepted.add(bundle, tcpki.bundle.new { two }))))
      assert.equal("One", names(bundle))
    end)

    it("says in the words of the command-line tool what cannot be added", function()
      local bundle = tcpki.bundle.new { one, two }
      local again = assert(tcpki.certificate.parse(two:pem():gsub("\n", "\r\n")))
      local err = expect.fault("already_exists", accepted.add(bundle, again))
      assert.equal(("certificate with fingerprint '%s' already exists"):format(two:fingerprint "sha1"), err.message)
      expect.fault("already_exists", accepted.add(bundle, { three, three }))
      assert.equal("nothing to change", expect.fault("nothing_to_change", accepted.add(bundle, {})).message)
    end)

    it("removes by certificate, and by the fingerprint that the tool lists", function()
      local bundle = tcpki.bundle.new { one, two, three }
      local fingerprint = accepted.list(bundle)[2].fingerprint
      assert.equal("One Three", names(assert(accepted.remove(bundle, fingerprint))))
      assert.equal("One Three", names(assert(accepted.remove(bundle, two))))
      assert.equal("Three", names(assert(accepted.remove(bundle, { fingerprint, one }))))
      assert.equal("One Two Three", names(bundle))
    end)

    it("says in the words of the command-line tool what cannot be removed", function()
      local bundle = tcpki.bundle.new { one }
      local err = expect.fault("not_found", accepted.remove(bundle, two))
      assert.equal(("certificate with fingerprint '%s' does not exist"):format(two:fingerprint "sha1"), err.message)
      assert.equal("certificate with fingerprint '00ff' does not exist",
        expect.fault("not_found", accepted.remove(bundle, "00ff")).message)
      assert.equal("cannot remove all certificates when mTLS is enabled",
        expect.fault("last_certificate", accepted.remove(bundle, one)).message)
      expect.fault("last_certificate", accepted.remove(tcpki.bundle.new { one, two }, { two, one }))
      expect.fault("nothing_to_change", accepted.remove(bundle, {}))
    end)

    it("sets, unless it is the same set", function()
      local bundle = tcpki.bundle.new { one, two }
      assert.equal("Three One", names(assert(accepted.set(bundle, { three, one }))))
      expect.fault("nothing_to_change", accepted.set(bundle, tcpki.bundle.new { two, one }))
      expect.fault("last_certificate", accepted.set(bundle, {}))
    end)

    it("tells the difference by DER", function()
      local before, after = tcpki.bundle.new { one, two }, tcpki.bundle.new { three, one }
      local difference = accepted.difference(before, after)
      assert.equal("Three", names(difference.added))
      assert.equal("Two", names(difference.removed))
      assert.is_truthy(tostring(difference):find("^%+ CN=Three %(SHA%-1 %x+, until %d+%-%d+%-%d+%)\n%- CN=Two "))
      local mangled = assert(tcpki.bundle.parse("\n\n" .. before:pem():gsub("\n", "\r\n")))
      assert.equal("nothing to change", tostring(accepted.difference(before, mangled)))
    end)

    it("throws on what is no bundle and no certificate", function()
      expect.throws("bundle must be tcpki.bundle", accepted.list, { one })
      expect.throws("bundle must be tcpki.bundle", accepted.add, one, two)
      expect.throws("certificate must be", accepted.add, tcpki.bundle.new { one }, "two.pem")
      expect.throws("certificate 1 must be", accepted.add, tcpki.bundle.new { one }, { "two.pem" })
      expect.throws("which must be", accepted.remove, tcpki.bundle.new { one }, 3)
      expect.throws("text must be string", accepted.parse, tcpki.bundle.new { one })
    end)
  end)

  describe("as a payload", function()
    it("is what base64 and Terraform make of the file", function()
      local bundle = tcpki.bundle.new { one, two }
      local path = directory:path "ca-bundle.pem"
      assert(bundle:write(path))
      local handle = assert(io.popen("base64 -w0 " .. path))
      assert.equal(handle:read "a", (accepted.payload(bundle)))
      handle:close()
      assert.equal(bundle:pem(), openssl.run("base64 -d -A", assert(accepted.payload(bundle))))
    end)

    it("is read back, however it was wrapped and ended", function()
      local payload = assert(accepted.payload(tcpki.bundle.new { one, two }))
      for _, text in ipairs { payload, payload .. "\n", (payload:gsub(("."):rep(76), "%0\n")),
        tcpki.pem.quote(one:pem() .. "\n\n" .. two:pem() .. "\n", "base64") } do
        assert.equal("One Two", names(assert(accepted.parse_payload(text))))
      end
      for _, text in ipairs { "", "-----BEGIN CERTIFICATE-----", payload:sub(1, -2), "====", "Zg=" } do
        expect.fault("bad_payload", accepted.parse_payload(text))
      end
      expect.fault("not_pem", accepted.parse_payload "Zg==")
    end)
  end)
end)

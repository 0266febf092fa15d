local tcpki = require "tcpki"
local host = require "tcpki.go.host"

local NOT = "x509: certificate is valid for %s, not %s"
local NO_ADDRESS = "x509: cannot validate certificate for %s because it doesn't contain any IP SANs"
local NONE = "x509: certificate is not valid for any names, but wanted to match %s"

-- Each row was given to Certificate.VerifyHostname of Go 1.26: names, addresses, what is asked for, what Go says.
local rows = {
  { { "a.example" }, {}, "a.example" },
  { { "A.Example" }, {}, "a.eXample" },
  { { "a.example" }, {}, "a.example." },
  { { "*.example" }, {}, "a.example" },
  { { "*.example" }, {}, "b.a.example", NOT:format("*.example", "b.a.example") },
  { { "*.example" }, {}, "example", NOT:format("*.example", "example") },
  { { "*.example" }, {}, "*.example" },
  { { "a.*" }, {}, "a.b", NOT:format("a.*", "a.b") },
  { { "a*.example" }, {}, "ab.example", NOT:format("a*.example", "ab.example") },
  { { "a_b.c" }, {}, "a_b.c" },
  { { "internode", "b.example" }, {}, "c", NOT:format("internode, b.example", "c") },
  { { "a.example" }, { "127.0.0.1" }, "127.0.0.1" },
  { { "a.example" }, { "127.0.0.1" }, "[127.0.0.1]" },
  { { "a.example" }, { "127.0.0.1" }, "10.0.0.1", NOT:format("127.0.0.1", "10.0.0.1") },
  { { "a.example" }, {}, "10.0.0.1", NO_ADDRESS:format "10.0.0.1" },
  { { "a.example" }, {}, "[::1]", NO_ADDRESS:format "::1" },
  { {}, { "2001:db8::1" }, "2001:DB8:0::1" },
  { {}, { "::1" }, "0:0:0:0:0:0:0:1" },
  { {}, { "::ffff:10.0.0.1" }, "10.0.0.1" },
  { {}, { "::ffff:10.0.0.1" }, "::1", NOT:format("10.0.0.1", "::1") },
  { {}, { "10.0.0.1" }, "::ffff:10.0.0.1" },
  { {}, { "::1" }, "1::2::3", NONE:format "1::2::3" },
  { {}, { "::1" }, "12345::1", NONE:format "12345::1" },
  { { "a.example" }, { "10.0.0.1" }, "010.0.0.1", NOT:format("a.example", "010.0.0.1") },
}

describe("a name that Go asks a certificate for", function()
  local authority = assert(tcpki.authority.new { subject = { CN = "CA" }, days = 3 })

  for i, row in ipairs(rows) do
    it(("%d: %s is %s"):format(i, row[3], row[4] and "refused" or "borne"), function()
      local names = {}
      for _, name in ipairs(row[1]) do
        names[#names + 1] = { type = "dns", value = name }
      end
      for _, address in ipairs(row[2]) do
        names[#names + 1] = { type = "ip", value = address }
      end
      local now = os.time()
      local certificate = assert(tcpki.certificate.make {
        subject = { CN = "a" }, public_key = authority.key, issuer = authority.certificate, issuer_key = authority.key,
        not_before = now - 60, not_after = now + 60, subject_alt_names = names,
      })
      local borne, reason = host(certificate, row[3])
      assert.equal(row[4] == nil, borne)
      assert.equal(row[4], reason)
    end)
  end

  it("stands in the common name alone", function()
    local now = os.time()
    local certificate = assert(tcpki.certificate.make {
      subject = { CN = "a.example" }, public_key = authority.key, issuer = authority.certificate,
      issuer_key = authority.key, not_before = now - 60, not_after = now + 60,
    })
    local borne, reason = host(certificate, "a.example")
    assert.is_false(borne)
    assert.equal("x509: certificate relies on legacy Common Name field, use SANs instead", reason)
    assert.equal(NONE:format "b.example", select(2, host(certificate, "b.example")))
  end)
end)

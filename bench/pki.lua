--- The objects, beside plain C on libcrypto and beside luaossl.

local tcpki = require "tcpki"
local compare = require "compare"
local report = require "report"
local plain = require "plain"

local root = assert(tcpki.authority.new { subject = { CN = "Bench Root", O = "Acme" } })
local issuing = assert(root:subordinate { common_name = "Bench Issuing CA", key = { type = "ec" } })
local names = {
  "worker-1.payments.example.com", "worker-2.payments.example.com", "worker.payments.svc",
  "worker.payments.svc.cluster.local", "payments.example.com", "payments.example.org", "localhost",
  "10.0.0.1", "2001:db8::1", "spiffe://example.com/ns/payments/sa/worker",
}
local key = assert(tcpki.key.generate())
local leaf = assert(issuing:issue {
  common_name = "payments.a1b2c", usage = "peer", subject_alt_names = names, key = key,
})
local leaf_pem, chain_pem = leaf.certificate:pem(), leaf.chain:pem()
local roots = assert(tcpki.bundle.parse(root.certificate:pem()))

-- Both sides work on what was parsed: libcrypto encodes a certificate that it made itself anew at
-- every look at its signature.
local certificate = assert(tcpki.certificate.parse(leaf_pem))
local chain = assert(tcpki.chain.parse(chain_pem))
local authority = assert(tcpki.authority.load(
  assert(tcpki.certificate.parse(issuing.certificate:pem())),
  assert(tcpki.key.parse(issuing.key:pem()))
))

local c = plain.new {
  chain = chain_pem, root = root.certificate:pem(), authority = issuing.certificate:pem(),
  authority_key = issuing.key:pem(), key = key:pem(),
}

-- ---- luaossl ----

local luaossl = {}

local function load_luaossl()
  local x509, pkey = require "openssl.x509", require "openssl.pkey"
  local store, stack = require "openssl.x509.store", require "openssl.x509.chain"
  local extension, name = require "openssl.x509.extension", require "openssl.x509.name"
  local bignum, rand = require "openssl.bignum", require "openssl.rand"
  local trusted = store.new():add(x509.new(root.certificate:pem()))
  local first, second = chain_pem:match "(.-%-%-%-%-%-END CERTIFICATE%-%-%-%-%-\n)(.*)"
  local parsed, untrusted = x509.new(first), stack.new():add(x509.new(second))
  local ca, ca_key = x509.new(issuing.certificate:pem()), pkey.new(issuing.key:pem())
  local leaf_key = pkey.new(key:pem())

  function luaossl.parse(n)
    for _ = 1, n do assert(x509.new(leaf_pem)) end
  end

  function luaossl.names(n)
    for _ = 1, n do
      local list = {}
      for kind, value in pairs(parsed:getSubjectAlt()) do
        list[#list + 1] = { type = kind, value = value }
      end
      assert(#list == #names)
    end
  end

  function luaossl.generate(n)
    for _ = 1, n do assert(pkey.new { type = "EC", curve = "prime256v1" }) end
  end

  -- Without an AKI, for which it wants the text of a configuration file.
  function luaossl.issue(n)
    for _ = 1, n do
      local made = x509.new()
      made:setVersion(3)
      made:setSerial(bignum.fromBinary(rand.bytes(19)))
      made:setSubject(name.new():add("CN", "payments.a1b2c"))
      made:setIssuer(ca:getSubject())
      made:setLifetime(os.time() - 600, os.time() + 90 * 86400)
      made:setBasicConstraints { CA = false }
      made:setBasicConstraintsCritical(true)
      made:setPublicKey(leaf_key)
      made:addExtension(extension.new("keyUsage", "critical,digitalSignature"))
      made:addExtension(extension.new("extendedKeyUsage", "clientAuth"))
      made:addExtension(extension.new("subjectKeyIdentifier", "hash", { subject = made }))
      made:sign(ca_key, "sha256")
    end
  end

  function luaossl.verify(n)
    for _ = 1, n do assert(trusted:verify(parsed, untrusted)) end
  end

  -- It reads the first block of a text only: the text is cut by hand.
  function luaossl.verify_text(n)
    for _ = 1, n do
      local blocks = {}
      for block in chain_pem:gmatch "%-%-%-%-%-BEGIN .-%-%-%-%-%-END CERTIFICATE%-%-%-%-%-" do
        blocks[#blocks + 1] = x509.new(block)
      end
      local rest = stack.new()
      for i = 2, #blocks do rest:add(blocks[i]) end
      assert(trusted:verify(blocks[1], rest))
    end
  end
end

local loaded, missing = pcall(load_luaossl)
local why = not loaded
  and (tostring(missing):find "module 'openssl" and "lua-luaossl is not installed" or missing)

-- ---- the cases ----

local cases = {
  {
    name = "parse a certificate (PEM)", aim = 0.95, peer = "parse",
    ours = function(n)
      for _ = 1, n do assert(tcpki.certificate.parse(leaf_pem)) end
    end,
    plain = function(n) plain.parse(c, leaf_pem, n) end,
  },
  {
    name = ("read all %d SANs"):format(#names), aim = 0.5, peer = "names",
    ours = function(n)
      for _ = 1, n do assert(#certificate:subject_alt_names() == #names) end
    end,
    plain = function(n) plain.names(c, #names, n) end,
  },
  {
    name = "generate a P-256 key", aim = 0.95, peer = "generate",
    ours = function(n)
      for _ = 1, n do assert(tcpki.key.generate()) end
    end,
    plain = function(n) plain.generate(c, n) end,
  },
  {
    name = "issue a leaf, P-256, key at hand", aim = 0.95, peer = "issue",
    ours = function(n)
      for _ = 1, n do
        assert(authority:issue { common_name = "payments.a1b2c", usage = "client", key = key })
      end
    end,
    plain = function(n) plain.issue(c, n) end,
  },
  {
    name = "verify a parsed chain", aim = 0.95, peer = "verify",
    ours = function(n)
      for _ = 1, n do assert(chain:verify { roots = roots, purpose = "client" }) end
    end,
    plain = function(n) plain.verify(c, n) end,
  },
  {
    name = "parse and verify a chain (PEM)", aim = 0.95, peer = "verify_text",
    ours = function(n)
      for _ = 1, n do
        assert(assert(tcpki.chain.parse(chain_pem)):verify { roots = roots, purpose = "client" })
      end
    end,
    plain = function(n) plain.verify_text(c, chain_pem, n) end,
  },
}

local rows = {}
for _, case in ipairs(cases) do
  if not arg[1] or case.peer:find(arg[1]) then
    local theirs = luaossl[case.peer]
    local results = compare.rounds {
      { name = "tcpki", run = case.ours },
      { name = "plain C", run = case.plain },
      { name = "luaossl", run = theirs, skipped = not theirs and why },
    }
    local ratio = results[2].cpu_ratio
    rows[#rows + 1] = {
      case.name, report.rate(results[1].cpu), report.rate(results[2].cpu), report.ratio(ratio),
      (">= %.2f"):format(case.aim), report.verdict(ratio.median >= case.aim),
      report.skipped(results[3]) or report.rate(results[3].cpu),
      results[3].cpu_ratio and report.ratio(results[3].cpu_ratio) or "",
    }
  end
end

report.print("Objects: operations per second of CPU; ratio = ours over theirs, more is better", {
  "", "tcpki", "plain C", "of plain C", "aim", "", "luaossl", "of luaossl",
}, rows)

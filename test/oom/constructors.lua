-- Every constructor and writer of the core, once each. The host makes memory fail under them.

local core = require "tcpki.core"
local tcpki = require "tcpki"

local directory = os.getenv "TCPKI_OOM_DIRECTORY" or "."
local now = 1800000000
local day = 24 * 60 * 60

local key = assert(tcpki.key.generate { type = "ec" })
local authority = assert(tcpki.authority.new {
  subject = { CN = "Root", O = "Acme" }, not_before = now, not_after = now + 300 * day,
})
local leaf = assert(authority:issue {
  common_name = "worker", usage = "peer", not_before = now, not_after = now + 30 * day,
  subject_alt_names = {
    { type = "dns", value = "worker.example" },
    { type = "ip", value = "10.0.0.1" },
  },
})
local certificate = leaf.certificate
local certificate_pem = certificate:pem()
local key_pem = key:pem()
local chain_pem = leaf.chain:pem() .. authority.certificate:pem()
-- EC P-256, PBKDF2 with 10 iterations, and 00 00 for NULL behind its PRF
local certstrap_der = assert(tcpki.file.read(
  (debug.getinfo(1, "S").source:match "^@(.*)test/oom/") .. "fuzz/corpus/key/ec-certstrap.der"))
local csr = assert(tcpki.csr.new {
  subject = { CN = "worker" },
  subject_alt_names = { { type = "dns", value = "worker.example" } },
  key = key,
})
local csr_pem = csr:pem()
local encrypted_pem = assert(key:pem { passphrase = "secret", format = "traditional" })
local crl_pem = assert(authority:crl { at = now, days = 30 }):pem()
local pfx = assert(tcpki.pkcs12.new { key = leaf.key, chain = leaf.chain, name = "worker" })
local pfx_options = { passphrase = "secret", iterations = 1, profile = "modern" }
local pfx_bytes = assert(pfx:der(pfx_options))
local bundle_pem = authority.certificate:pem() .. certificate_pem

local spaced_pem = bundle_pem:gsub("\n", " \n")
local spaced_verdicts = tostring(assert(tcpki.pem.verdicts(spaced_pem, { role = "roots" })))

-- Every field by itself: `a() and b()` would lose the fault of the first.
local function fields(object, ...)
  for _, name in ipairs { ... } do
    local value, fault = object[name](object)
    if value == nil then error(fault or name .. " gives nil without a fault", 0) end
  end
end

-- Each is a function without arguments that makes what it needs, and throws what it is given.
local cases = {
  { "key.generate ec", function() assert(tcpki.key.generate { type = "ec" }) end },
  { "key.generate ed25519", function() assert(tcpki.key.generate { type = "ed25519" }) end },
  { "key.parse", function() assert(tcpki.key.parse(key_pem)) end },
  { "key.parse encrypted", function()
    assert(tcpki.key.parse(encrypted_pem, { passphrase = "secret" }))
  end },
  { "key.parse encrypted as certstrap does", function()
    assert(tcpki.key.parse(certstrap_der, { passphrase = "secret" }))
  end },
  { "key fields", function()
    fields(key, "type", "bits", "curve", "fingerprint", "pem", "der", "public")
    assert(tostring(key))
  end },
  { "certificate.parse", function() assert(tcpki.certificate.parse(certificate_pem)) end },
  { "certificate fields", function()
    local parsed = assert(tcpki.certificate.parse(certificate_pem))
    fields(parsed, "subject", "issuer", "subject_der", "issuer_der", "signature_digest",
      "serial", "not_before", "not_after", "subject_alt_names",
      "key_usage", "extended_key_usage", "basic_constraints", "fingerprint", "pem", "der", "source")
    assert(tostring(parsed:subject()))
  end },
  { "certificate:issued_by", function() certificate:issued_by(authority.certificate) end },
  { "certificate:text", function() assert(certificate:text()) end },
  { "csr.new", function() assert(tcpki.csr.new { subject = { CN = "worker" }, key = key }) end },
  { "csr.parse", function() assert(tcpki.csr.parse(csr_pem)) end },
  { "csr:verify", function() assert(csr:verify()) end },
  { "crl.parse", function() assert(tcpki.crl.parse(crl_pem)) end },
  { "authority:crl", function()
    assert(authority:crl { at = now, days = 30 })
  end },
  { "chain.parse", function() assert(tcpki.chain.parse(chain_pem)) end },
  { "chain.new", function() assert(tcpki.chain.new { certificate, authority.certificate }) end },
  { "chain:verify", function()
    local roots = assert(tcpki.bundle.new { authority.certificate })
    assert(leaf.chain:verify { roots = roots, purpose = "client", at = now + day })
  end },
  { "pem.scan", function() assert(tcpki.pem.scan(encrypted_pem .. chain_pem)) end },
  { "pem.blocks", function() assert(tcpki.pem.blocks(chain_pem)) end },
  { "pem.lint", function() assert(tcpki.pem.lint(bundle_pem:gsub("\n", "\\n"), { expect = "chain" })) end },
  { "pem.verdicts", function()
    -- what could not be looked at must not count as nothing
    if tostring(assert(tcpki.pem.verdicts(spaced_pem, { role = "roots" }))) ~= spaced_verdicts then
      error("another verdict", 0)
    end
  end },
  { "pem.repair", function() assert(tcpki.pem.repair((chain_pem:gsub("\n", "\r")))) end },
  { "bundle.parse", function() assert(tcpki.bundle.parse(bundle_pem)) end },
  { "bundle.new", function()
    assert(assert(tcpki.bundle.new { certificate, authority.certificate }):pem())
  end },
  { "authority.new", function()
    assert(tcpki.authority.new {
      subject = { CN = "Root" }, not_before = now, not_after = now + 300 * day,
    })
  end },
  { "authority:issue like another", function()
    assert(authority:issue { like = certificate, usage = "client", not_before = now, not_after = now + 30 * day })
  end },
  { "authority:issue", function()
    assert(authority:issue {
      common_name = "worker", usage = "client", not_before = now, not_after = now + 30 * day,
    })
  end },
  { "file.write", function()
    assert(tcpki.file.write(directory .. "/file", "text", { overwrite = true }))
    assert(tcpki.file.read(directory .. "/file"))
  end },
  { "file.list", function() assert(tcpki.file.list(directory)) end },
  { "file.exchange", function()
    for _, name in ipairs { "/one", "/other" } do
      assert(tcpki.file.write(directory .. name, "text", { overwrite = true }))
    end
    assert(tcpki.file.exchange(directory .. "/one", directory .. "/other"))
    assert(tcpki.file.adopt(directory .. "/one", directory .. "/other"))
  end },
  { "lock.file", function()
    local held <close> = assert(tcpki.lock.file(directory .. "/locked", "purpose"))
    local again, fault = tcpki.lock.file(directory .. "/locked")
    if again ~= nil or fault.code ~= "busy" then error(fault, 0) end
    assert(tostring(held))
  end },
  { "key:write", function() assert(key:write(directory .. "/key", { overwrite = true })) end },
  { "pkcs12:der", function() assert(pfx:der(pfx_options)) end },
  { "pkcs12:der in the clear", function() assert(pfx:der { profile = "passwordless", iterations = 1 }) end },
  { "pkcs12:write", function()
    assert(pfx:write(directory .. "/pfx", { passphrase = "secret", iterations = 1, overwrite = true }))
  end },
  { "pkcs12.parse", function()
    assert(assert(tcpki.pkcs12.parse(pfx_bytes, { passphrase = "secret" })):entries())
  end },
  { "pkcs12.parse with another passphrase", function()
    local made, fault = tcpki.pkcs12.parse(pfx_bytes, { passphrase = "é" })
    if made ~= nil or fault.code ~= "bad_passphrase" then error(fault, 0) end
  end },
  { "a fault", function()
    local made, fault = tcpki.certificate.parse "nothing of the kind"
    if made ~= nil or fault.code ~= "not_pem" then error(fault, 0) end
  end },
}

cases.live = function() return core.live().total end

return cases

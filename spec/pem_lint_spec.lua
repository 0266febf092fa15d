local expect = require "spec.support.expect"
local manglings = require "spec.support.manglings"
local pem = require "tcpki.pem"
local tcpki = require "tcpki"

describe("tcpki.pem.lint", function()
  local ca = assert(tcpki.authority.new { subject = { CN = "Acme" } })
  local leaf = assert(ca:issue { common_name = "worker", usage = "client" })
  local chain = leaf.chain:pem() .. ca.certificate:pem()
  local key = leaf.key:pem()

  it("has nothing to say of a good text", function()
    for expected, text in pairs { chain = chain, key = key, bundle = ca.certificate:pem(),
      certificate = leaf.certificate:pem() } do
      local report = pem.lint(text, { expect = expected })
      assert.is_true(report.ok)
      assert.equal(0, #report, tostring(report))
      assert.equal("nothing to report", tostring(report))
    end
  end)

  -- what is wrapped around, by the mangling that does it
  local codes = {
    ["literal-n"] = "escaped_newlines", ["literal-n-twice"] = "escaped_newlines", ["slash-n"] = "escaped_newlines",
    ["spaces-for-newlines"] = "flattened", ["newlines-removed"] = "flattened",
    ["base64"] = "base64_of_pem", ["utf16le"] = "utf16", ["bom"] = "byte_order_mark",
    ["cr"] = "line_cr", ["crcrlf"] = "line_crcrlf", ["crlf"] = "line_crlf", ["double-newline"] = "blank_inside",
    ["indent-4"] = "line_prefix", ["quoted-mail"] = "line_prefix", ["double-quotes"] = "quotes",
    ["key-equals"] = "name_prefix", ["json"] = "json_string", ["url"] = "url_escapes", ["html"] = "html_escapes",
    ["plus-to-space"] = "plus_signs", ["trailing-space"] = "trailing_spaces", ["trailing-tab"] = "trailing_tabs",
    ["no-final-newline"] = "end_unterminated", ["bare-der"] = "der", ["twice"] = "duplicate",
    ["reversed"] = "chain_order",
  }

  for name, code in pairs(codes) do
    it(("names %s: %s"):format(name, code), function()
      local base = name == "bare-der" and leaf.certificate:pem() or chain
      local text = assert(manglings.named[name], name).apply(base)
      local report = pem.lint(text, { expect = "chain" })
      assert.is_truthy(report:find(code), tostring(report))
    end)
  end

  it("lets no mangling pass that repair would undo", function()
    for case in manglings.cases { { name = "chain", text = chain }, { name = "key", text = key } } do
      local report = pem.lint(case.text, { expect = case.base })
      if pem.repair(case.text) ~= case.text then
        assert.is_true(report.errors + report.warnings > 0, case.name)
      end
    end
  end)

  it("says each layer of several, the outermost first", function()
    local report = pem.lint('CERT="' .. chain:gsub("\n", "\\n") .. '"', { expect = "chain" })
    assert.equal("name_prefix", report[1].code)
    assert.equal("json_string", report[2].code)
    report = pem.lint("'" .. chain:gsub("\n", "\\n") .. "'", { expect = "chain" })
    assert.equal("quotes", report[1].code)
    assert.equal("escaped_newlines", report[2].code)
  end)

  it("tells where a fault is, who stumbles over it and what to do", function()
    local damaged = chain:gsub("\n", "\n\n", 3)
    local finding = pem.lint(damaged, { expect = "chain" }):find "blank_inside"
    assert.equal(4, finding.line)
    assert.is_truthy(finding.who:find "OpenSSL")
    assert.equal("remove it", finding.hint)
  end)

  it("finds a key among certificates, and never shows it", function()
    local report = pem.lint(chain .. key, { expect = "bundle" })
    assert.equal("error", report:find "holds_key".severity)
    for line in key:gmatch "[^\n]+" do
      if not line:find "^%-" then
        assert.is_nil(tostring(report):find(line, 1, true))
      end
    end
  end)

  it("finds a certificate where a key is expected", function()
    assert.equal("error", pem.lint(chain, { expect = "key" }):find "holds_certificate".severity)
  end)

  it("warns of keys in forms that some SDKs refuse", function()
    local traditional = assert(leaf.key:pem { format = "traditional" })
    assert.equal("warning", pem.lint(traditional, { expect = "key" }):find "traditional_key".severity)
    local encrypted = assert(leaf.key:pem { passphrase = "horse" })
    assert.equal("warning", pem.lint(encrypted, { expect = "key" }):find "encrypted_key".severity)
    local parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" .. traditional
    assert.is_truthy(pem.lint(parameters, { expect = "key" }):find "ec_parameters")
  end)

  it("finds several certificates where one is expected", function()
    assert.is_truthy(pem.lint(chain, { expect = "certificate" }):find "several")
    assert.is_nil(pem.lint(chain, { expect = "chain" }):find "several")
  end)

  it("finds labels that are wrong or known to OpenSSL alone", function()
    local wrong = chain:gsub("CERTIFICATE", "PRIVATE KEY", 2)
    assert.equal(1, pem.lint(wrong):find "wrong_label".line)
    assert.is_truthy(pem.lint((chain:gsub("CERTIFICATE", "TRUSTED CERTIFICATE"))):find "openssl_label")
  end)

  it("says of an empty text that it is empty", function()
    assert.equal("it is empty", pem.lint("")[1].message)
    assert.equal("it holds only blanks", pem.lint(" \n")[1].message)
  end)

  it("takes any bytes", function()
    for i = 0, 255 do
      assert.is_table(pem.lint(string.char(i):rep(100)))
    end
  end)

  it("leaves alone entities of no character", function()
    assert.is_table(pem.lint "-----&#99999999999999999999;&#xffffffffffffffff;&#x110000;")
    assert.is_truthy(pem.lint((chain:gsub("\n", "&#000000000010;"))):find "html_escapes")
  end)

  -- Were one of these quadratic, it would take minutes.
  it("takes long runs of anything in linear time", function()
    local first, last = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    local n = debug.gethook() and 2000 or 200000 -- under make stress each step of a loop costs a collection
    for _, text in ipairs {
      ("\r"):rep(n) .. "x", "a=" .. (" "):rep(n), "export a=" .. (" "):rep(n) .. "x",
      first .. "\\n" .. ("\\"):rep(n) .. "x", first .. " A" .. (" "):rep(n) .. "A" .. last,
      "1 " .. first .. ("\n"):rep(n), ("\n"):rep(n) .. "x", first .. (" "):rep(n) .. "x", ("1"):rep(n),
      "-----" .. ("&A"):rep(n), "-----<br" .. (" "):rep(n), "-----" .. ("A+"):rep(n), "30 82" .. (" 3"):rep(n) .. "x",
    } do
      assert.is_table(pem.lint(text))
      pem.repair(text)
    end
  end)

  it("throws on what it cannot expect", function()
    expect.throws({ "'expect' is 'pfx'", "bundle, certificate, chain, crl, csr, key" }, pem.lint, chain,
      { expect = "pfx" })
    expect.throws({ "text must be string" }, pem.lint, 42)
    expect.throws({ "unknown option 'expects'" }, pem.lint, chain, { expects = "chain" })
  end)
end)

local expect = require "spec.support.expect"
local manglings = require "spec.support.manglings"
local openssl = require "spec.support.openssl"
local pem = require "tcpki.pem"
local tcpki = require "tcpki"

local function ders(text)
  local list = {}
  for i, block in ipairs(assert(pem.blocks(text))) do
    list[i] = block.der
  end
  return list
end

describe("tcpki.pem.repair", function()
  local ca = assert(tcpki.authority.new { subject = { CN = "Acme" } })
  local leaf = assert(ca:issue { common_name = "worker", usage = "client" })
  local chain = leaf.chain:pem() .. ca.certificate:pem()
  local key = leaf.key:pem()

  it("changes nothing in a text that every client reads", function()
    for _, text in ipairs { chain, key, (chain:gsub("\n", "\r\n")), "a comment\n" .. chain, chain:sub(1, -2) } do
      local fixed, changes = assert(pem.repair(text))
      assert.equal(text, fixed)
      assert.same({}, changes)
    end
  end)

  it("gives the canonical text back, whatever was wrapped around it", function()
    for _, name in ipairs { "literal-n", "literal-n-twice", "slash-n", "spaces-for-newlines", "newlines-removed",
      "base64",
      "utf16le", "bom", "cr", "crcrlf", "double-newline", "indent-4", "quoted-mail", "double-quotes", "key-equals",
        "json",
      "url", "html", "plus-to-space", "trailing-space", "trailing-tab" } do
      local fixed, changes = pem.repair(manglings.named[name].apply(chain))
      assert.equal(chain, fixed, name .. ": " .. tostring(changes))
      assert.is_true(#changes > 0)
      assert.is_true(changes[1].line >= 1 and #changes[1].message > 0)
    end
  end)

  it("takes JSON escapes as JSON has them", function()
    assert.equal(chain, (assert(pem.repair('"# \\ud83d\\ude00\\n' .. chain:gsub("\n", "\\n") .. '"'))))
    expect.fault("not_certain", pem.repair('"# \\ud83d\\n' .. chain:gsub("\n", "\\n") .. '"'))
    assert.equal(chain, (assert(pem.repair('"' .. chain:gsub("\n", "\\u000a"):gsub("/", "\\/") .. '"'))))
    expect.fault("not_certain", pem.repair('"' .. chain:gsub("\n", "\\\\u000a") .. '"'))
  end)

  it("writes what openssl reads", function()
    local fixed = assert(pem.repair((leaf.certificate:pem():gsub("\n", "\\n"))))
    assert.equal(leaf.certificate:fingerprint(),
      openssl.run("x509 -noout -fingerprint -sha256", fixed):match "=(%S+)":gsub(":", ""):lower())
  end)

  local kept_one = { ["bare-base64-one-line"] = true, ["hex-of-der"] = true, ["bare-der-newline"] = true }
  local changing = { ["twice"] = true, ["first-twice"] = true, ["each-twice"] = true, reversed = true,
    ["first-lost"] = true }

  local function scanned(text)
    local list = {}
    for _, part in ipairs(pem.scan(text)) do
      list[#list + 1] = part.der
    end
    return list
  end

  -- What the manglings that change which objects there are leave of a text; all others leave all of it. The body of
  -- an encrypted key with headers may be anything.
  local function left_by(mangling, base)
    local whole = ders(base.text)
    if kept_one[mangling] then
      return { whole[1] }
    elseif changing[mangling] or mangling:find "^der%-changed" or mangling:find "^ec%-parameters"
      or mangling:find "^unknown%-block" then
      return scanned(manglings.named[mangling].apply(base.text))
    end
    return whole
  end

  local read = {}

  -- openssl finds in a repaired text as many objects as there are, and the same: each text once.
  local function assert_openssl_reads(text, name)
    if read[text] then return end
    read[text] = true
    for _, block in ipairs(pem.blocks(text)) do
      if block.label == "CERTIFICATE" then
        assert.equal(block.der, openssl.run("x509 -outform DER", block.source), name)
      elseif block.label == "ENCRYPTED PRIVATE KEY" then
        assert.is_true(openssl.try("pkey -noout -passin pass:horse", block.source), name)
      elseif block.label:find "PRIVATE KEY$" and not block.source:find "Proc%-Type" then
        assert.is_true(openssl.try("pkey -noout", block.source), name)
      end
    end
  end

  local bases = {
    { name = "chain", text = chain, pairs = not debug.gethook() }, { name = "key", text = key },
    { name = "sec1", text = assert(leaf.key:pem { format = "traditional" }), some = true },
    { name = "encrypted", text = assert(leaf.key:pem { passphrase = "horse" }), some = true },
    { name = "headers", text = assert(leaf.key:pem { passphrase = "horse", format = "traditional" }), opaque = true },
    { name = "both", text = leaf.certificate:pem() .. key, some = true },
  }
  -- Under make stress each line costs a collection: few there, and not the long ones.
  local few = debug.gethook() and 31 or 1
  for _, base in ipairs(bases) do
    it(("keeps what was in a mangled %s, in order, and adds nothing"):format(base.name), function()
      local repaired, refused, seen = 0, 0, 0
      for case in manglings.cases { base } do
        seen = seen + 1
        -- Of the pairs every eighth, of the other bases every third.
        if (#case.manglings > 1 and seen % 8 > 0) or (base.some and seen % 3 > 0)
          or (few > 1 and (seen % few > 0 or #case.text > 4000)) then
          goto continue
        end
        local fixed, changes = pem.repair(case.text)
        if fixed then
          repaired = repaired + 1
          local opaque = base.opaque and table.concat(scanned(case.text)) == table.concat(ders(fixed))
          if not opaque then assert.same(left_by(case.manglings[1], base), ders(fixed), case.name) end
          assert.equal(fixed == case.text, #changes == 0, case.name)
          for _, change in ipairs(changes) do
            assert.is_true(change.line >= 1 and #change.message > 0 and #change.code > 0, case.name)
          end
          if fixed ~= case.text then
            local again, more = assert(pem.repair(fixed))
            assert.equal(fixed, again, case.name)
            assert.same({}, more, case.name)
            local report = pem.lint(fixed)
            assert.is_true(report.ok, case.name .. ": " .. tostring(report))
          end
          assert_openssl_reads(fixed, case.name)
        else
          refused = refused + 1
          assert.is_true(changes.code == "not_certain" or changes.code == "empty", case.name)
          assert.is_true(changes.code == "empty" or changes.line >= 1, case.name)
          local report = pem.lint(case.text)
          assert.is_true(report.errors + report.warnings > 0, case.name)
        end
        ::continue::
      end
      assert.is_true(few > 1 or (repaired > 100 and refused > 30), ("%d, %d"):format(repaired, refused))
    end)
  end

  it("has for every text that openssl reads as it stands one that openssl reads as the same", function()
    local count = 0
    for case in manglings.cases { { name = "certificate", text = leaf.certificate:pem() } } do
      local fixed = #case.text < 20000 and pem.repair(case.text)
      if fixed and fixed ~= case.text and count < 60 then
        count = count + 1
        local ok, printed = openssl.try("x509 -noout -fingerprint -sha256", case.text)
        if ok then
          assert.equal(printed, openssl.run("x509 -noout -fingerprint -sha256", fixed), case.name)
        end
      end
    end
    assert.is_true(count > 30)
  end)

  it("does not guess", function()
    local uncertain = {
      chain:sub(1, -100),                               -- cut off
      chain:sub(1, 100) .. "!" .. chain:sub(102),       -- a damaged character
      (chain:gsub("%-%-%-%-%-END CERTIFICATE%-%-%-%-%-\n", "", 1)),
      (chain:gsub("%-%-%-%-%-BEGIN CERTIFICATE%-%-%-%-%-\n", "", 1)),
      pem.encode("CERTIFICATE", leaf.certificate:der() .. "tail"),
      leaf.certificate:der() .. chain,
      chain .. leaf.certificate:der(),
      (key:gsub("\n", "/n", 1):gsub("/n(.)", "/n%1=", 1)), -- a separator that may be digits
      '"' .. chain:gsub("\n", "\\q") .. '"',            -- no escape of JSON
      ("\xff\xfe" .. chain:gsub(".", "%0\0")):sub(1, -2),  -- half a character
      "\xff\xfe\x00\xd8" .. chain:gsub(".", "%0\0"),       -- half a pair of surrogates
      (assert(leaf.key:pem { format = "traditional", passphrase = "horse" }):gsub("\n", " ")), -- headers without lines
      "no certificate here\n",
    }
    for i, text in ipairs(uncertain) do
      local err = expect.fault("not_certain", pem.repair(text))
      assert.is_true(err.line >= 1, ("case %d"):format(i))
    end
  end)

  it("puts armour around what says by itself what it is", function()
    assert.equal(leaf.certificate:pem(), (assert(pem.repair(leaf.certificate:der()))))
    local body = leaf.certificate:pem():gsub("%-%-%-[^\n]*\n", "")
    assert.equal(leaf.certificate:pem(), (assert(pem.repair(body))))
    assert.equal(chain, (assert(pem.repair(leaf.certificate:der() .. ca.certificate:der()))))
    assert.equal(chain, (assert(pem.repair((chain:gsub("%-%-%-[^\n]*\n", ""))))))
    assert.equal(chain, (assert(pem.repair((chain:gsub("%-%-%-[^\n]*\n", ""):gsub("\n", ""))))))
  end)

  it("keeps the headers of an encrypted key, and leaves those of anything else out", function()
    local encrypted = assert(leaf.key:pem { format = "traditional", passphrase = "horse" })
    local fixed = assert(pem.repair((encrypted:gsub("\n", "\r"))))
    assert.equal(encrypted, fixed)
    local headed = leaf.certificate:pem():gsub("\n", "\nComment: mine\n\n", 1)
    assert.equal(leaf.certificate:pem(), (assert(pem.repair(headed))))
  end)

  it("takes nothing for a key that only begins like one", function()
    local parameters = openssl.run "ecparam -name prime256v1 -param_enc explicit"
    local fixed, changes = assert(pem.repair(parameters))
    assert.equal(parameters, fixed)
    assert.same({}, changes)
    expect.fault("not_certain", pem.repair(openssl.run("pkcs12 -export -passout pass:horse", key .. chain)))
    local six_numbers = "\x30\x12\2\1\0" .. ("\2\1\5"):rep(5) -- what a DSA key is made of
    assert.is_nil((pem.repair(six_numbers)))
    assert.is_nil((pem.repair(pem.encode("RSA PRIVATE KEY", six_numbers))))
  end)

  it("says of an empty text that it is empty", function()
    expect.fault("empty", pem.repair "")
    expect.throws("text must be string", pem.repair, nil)
  end)
end)

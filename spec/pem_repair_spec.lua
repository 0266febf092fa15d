local expect = require "spec.support.expect"
local kind = require "tcpki.pem.kind"
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
    assert.equal(chain, (assert(pem.repair('"' .. chain:gsub("\n", "\\u000a"):gsub("/", "\\/") .. '"'))))
    expect.fault("not_certain", pem.repair('"' .. chain:gsub("\n", "\\\\u000a") .. '"'))
  end)

  it("writes what openssl reads", function()
    local fixed = assert(pem.repair((leaf.certificate:pem():gsub("\n", "\\n"))))
    assert.equal(leaf.certificate:fingerprint(),
      openssl.run("x509 -noout -fingerprint -sha256", fixed):match "=(%S+)":gsub(":", ""):lower())
  end)

  it("is done after the first time, keeps every object in order and adds none", function()
    local repaired = 0
    for case in manglings.cases { { name = "chain", text = chain }, { name = "key", text = key } } do
      local fixed = pem.repair(case.text)
      if fixed then
        repaired = repaired + 1
        local again, changes = assert(pem.repair(fixed))
        assert.equal(fixed, again, case.name)
        assert.same({}, changes, case.name)
        -- What the scanner finds whole in the mangled text must be there, in order.
        local got, at = ders(fixed), 0
        for _, part in ipairs(pem.scan(case.text)) do
          if part.der and kind.label(part.der) then
            repeat
              at = at + 1
            until got[at] == part.der or at > #got
            assert.equal(part.der, got[at], case.name)
          end
        end
      end
    end
    assert.is_true(repaired > 500)
  end)

  it("does not guess", function()
    local uncertain = {
      chain:sub(1, -100),                               -- cut off
      chain:sub(1, 100) .. "!" .. chain:sub(102),       -- a damaged character
      (chain:gsub("%-%-%-%-%-END CERTIFICATE%-%-%-%-%-\n", "", 1)),
      (chain:gsub("%-%-%-%-%-BEGIN CERTIFICATE%-%-%-%-%-\n", "", 1)),
      pem.encode("CERTIFICATE", leaf.certificate:der() .. "tail"),
      leaf.certificate:der() .. chain,
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
  end)

  it("keeps the headers of an encrypted key, and leaves those of anything else out", function()
    local encrypted = assert(leaf.key:pem { format = "traditional", passphrase = "horse" })
    local fixed = assert(pem.repair((encrypted:gsub("\n", "\r"))))
    assert.equal(encrypted, fixed)
    local headed = leaf.certificate:pem():gsub("\n", "\nComment: mine\n\n", 1)
    assert.equal(leaf.certificate:pem(), (assert(pem.repair(headed))))
  end)

  it("says of an empty text that it is empty", function()
    expect.fault("empty", pem.repair "")
    expect.throws("text must be string", pem.repair, nil)
  end)
end)

local manglings = require "spec.support.manglings"
local pem = require "tcpki.pem"
local tcpki = require "tcpki"

-- The parts put together, once it is checked that they leave no gap.
local function together(text)
  local parts = assert(pem.scan(text))
  local pieces, at = {}, 1
  for i, part in ipairs(parts) do
    assert.equal(at, part.first)
    assert.is_true(part.last >= part.first)
    pieces[i], at = text:sub(part.first, part.last), part.last + 1
    for word, mark in pairs(part.notes) do
      assert.is_true(mark.at >= part.first and mark.at <= part.last + 1, word)
      assert.is_true(mark.count >= 1 and mark.line >= part.line and mark.column >= 1, word)
    end
  end
  return table.concat(pieces), parts
end

describe("tcpki.pem scan", function()
  local ca = assert(tcpki.authority.new { subject = { CN = "Acme" } })
  local leaf = assert(ca:issue { common_name = "worker", usage = "client" })
  local chain = leaf.chain:pem() .. ca.certificate:pem()

  it("describes every byte of every mangled text", function()
    local count = 0
    for case in manglings.cases { { name = "chain", text = chain },
      { name = "key", text = leaf.key:pem() } } do
      assert.equal(case.text, (together(case.text)), case.name)
      count = count + 1
    end
    assert.is_true(count > 500)
  end)

  it("describes every byte of pieces put together at random", function()
    local pieces = { "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----", "-----BEGIN ", "-----END ", "-----",
      "\n", "\r", "\r\n", " ", "\t", "AAAA", "=", "A", ":", "\0", "\26", "\xef\xbb\xbf", "x", chain:sub(1, 300), chain }
    local seed = 20261121
    local function random(limit)
      seed = (seed * 1103515245 + 12345) % 2147483648
      return seed // 65536 % limit + 1
    end
    for _ = 1, 2000 do
      local text = {}
      for i = 1, random(14) do
        text[i] = pieces[random(#pieces)]
      end
      text = table.concat(text)
      assert.equal(text, (together(text)))
    end
  end)

  it("gives nothing for an empty text", function()
    assert.same({}, pem.scan "")
  end)

  it("says where a block is, what it holds and how wide it is", function()
    local text = "a comment\n" .. leaf.certificate:pem()
    local _, parts = together(text)
    assert.equal(2, #parts)
    assert.equal("between", parts[1].kind)
    assert.equal("block", parts[2].kind)
    assert.equal("CERTIFICATE", parts[2].label)
    assert.equal(2, parts[2].line)
    assert.equal(64, parts[2].width)
    assert.equal(leaf.certificate:der(), parts[2].der)
    assert.equal(1, parts[1].notes.text.count)
  end)

  it("notes each kind of line end by its number", function()
    local function notes(ending)
      local _, parts = together((leaf.certificate:pem():gsub("\n", ending)))
      return parts[1].notes
    end
    local _, lines = leaf.certificate:pem():gsub("\n", "")
    assert.equal(lines, notes("\n").line_lf.count)
    assert.equal(lines, notes("\r\n").line_crlf.count)
    assert.equal(lines, notes("\r").line_cr.count)
    assert.equal(lines, notes("\r\r\n").line_crcrlf.count)
    assert.is_nil(notes("\r\n").line_lf)
  end)

  it("keeps no DER of a damaged body, and says where the damage is", function()
    local text = leaf.certificate:pem()
    local _, parts = together(text:sub(1, 40) .. "!" .. text:sub(42))
    assert.is_nil(parts[1].der)
    assert.same({ count = 1, line = 2, column = 13, at = 41 }, parts[1].notes.bad_character)
  end)

  it("counts the bytes behind the object in a block", function()
    local _, parts = together(pem.encode("CERTIFICATE", leaf.certificate:der() .. "tail"))
    assert.equal(4, parts[1].notes.der_trailing.count)
  end)

  it("finds both blocks where END is glued to BEGIN", function()
    local _, parts = together((chain:gsub("%-\n%-", "--")))
    assert.equal(2, #parts)
    assert.equal(1, parts[1].notes.end_glued.count)
    assert.equal(1, parts[2].notes.begin_prefixed.count)
    assert.equal(ca.certificate:der(), parts[2].der)
  end)
end)

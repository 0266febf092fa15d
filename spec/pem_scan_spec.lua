local expect = require "spec.support.expect"
local manglings = require "spec.support.manglings"
local openssl = require "spec.support.openssl"
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

  it("refuses what would take many times its size to describe, and so do those who ask it", function()
    local text = ("-----BEGIN A\n"):rep(100001)
    for _, name in ipairs { "scan", "lint", "repair", "verdicts" } do
      assert.equal(100001, expect.fault("too_large", pem[name](text)).line, name)
    end
    assert.equal(100000, #assert(pem.scan(text:sub(1, -14))))
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

  it("gives no part for an empty text", function()
    assert.same({ encoding = "ascii", byte_order_mark = 0 }, pem.scan "")
  end)

  it("says where a block is, what it holds and how wide it is", function()
    local text = "a comment\n" .. leaf.certificate:pem()
    local _, parts = together(text)
    assert.equal(2, #parts)
    assert.equal("between", parts[1].kind)
    assert.equal("block", parts[2].kind)
    assert.equal("CERTIFICATE", parts[2].label)
    assert.equal(2, parts[2].line)
    assert.equal(1, parts[2].column)
    assert.equal(64, parts[2].width)
    assert.equal("lf", parts[2].line_ends)
    assert.equal(0, parts[2].trailing)
    assert.equal(0, parts[2].pad_bits)
    assert.equal(#leaf.certificate:der() * -1 % 3, parts[2].padding)
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

  it("says in which column BEGIN stands, and on which line, whatever stands before it", function()
    local _, parts = together("one\ntwo\n  CERT=" .. leaf.certificate:pem())
    assert.same({ 3, 8 }, { parts[2].line, parts[2].column })
    _, parts = together((chain:gsub("%-\n%-", "--")))
    local _, lines = chain:match("^(.-%-\n)%-"):gsub("\n", "")
    assert.same({ lines, 26 }, { parts[2].line, parts[2].column })
  end)

  it("names the line ends of a block, and says where it has several kinds", function()
    local function ends(text)
      local _, parts = together(text)
      return parts[1].line_ends
    end
    assert.equal("crlf", ends((chain:gsub("\n", "\r\n"))))
    assert.equal("cr", ends((chain:gsub("\n", "\r"))))
    assert.equal("crcrlf", ends((chain:gsub("\n", "\r\r\n"))))
    assert.equal("mixed", ends((chain:gsub("\n", "\r\n", 3))))
    assert.is_nil(ends "no line end")
  end)

  it("gives the headers of an encrypted key by name, as openssl wrote them", function()
    local encrypted = openssl.run("ec -aes-256-cbc -passout pass:horse",
      assert(leaf.key:pem { format = "traditional" }))
    for _, ending in ipairs { "\n", "\r\n", "\r" } do
      local _, parts = together((encrypted:gsub("\n", ending)))
      assert.equal("4,ENCRYPTED", parts[1].fields["Proc-Type"])
      assert.equal(encrypted:match "DEK%-Info: (AES%-256%-CBC,%x+)\n", parts[1].fields["DEK-Info"])
    end
    -- RFC 1421, section 4.6: a value goes on in lines that begin with a blank.
    local _, parts = together((encrypted:gsub("CBC,", "CBC,\n ", 1):gsub("DEK", "Proc-Type: 5\nA:\nDEK", 1)))
    assert.same({ "4,ENCRYPTED", "", "AES-256-CBC,\n " }, { parts[1].fields["Proc-Type"], parts[1].fields["A"],
      parts[1].fields["DEK-Info"]:match "^(.-)%x+$" })
  end)

  it("counts what is padded, and gives the bits that stand behind the last byte", function()
    local function body(digits)
      local _, parts = together("-----BEGIN X-----\n" .. digits .. "\n-----END X-----\n")
      return { parts[1].der, parts[1].padding, parts[1].pad_bits }
    end
    assert.same({ "0\0\1", 0, 0 }, body "MAAB")
    assert.same({ "0\0", 1, 0 }, body "MAA=")
    assert.same({ "0\0", 1, 1 }, body "MAB=")
    assert.same({ "0", 2, 15 }, body "MP==")
  end)

  it("says how the characters are written", function()
    local function wide(format, mark)
      return (mark or "") .. chain:gsub(".", function(c) return format:pack(c:byte()) end)
    end
    for expected, text in pairs {
      ["ascii 0"] = chain, ["utf-8 3"] = "\xef\xbb\xbf" .. chain, ["utf-8 0"] = "# Größe\n" .. chain,
      ["utf-16le 2"] = wide("<I2", "\xff\xfe"), ["utf-16be 2"] = wide(">I2", "\xfe\xff"),
      ["utf-16le 0"] = wide "<I2", ["utf-16be 0"] = wide ">I2",
      ["utf-32le 4"] = wide("<I4", "\xff\xfe\0\0"), ["utf-32be 4"] = wide(">I4", "\0\0\xfe\xff"),
      ["other 0"] = leaf.certificate:der(),
    } do
      local parts = pem.scan(text)
      assert.equal(expected, parts.encoding .. " " .. parts.byte_order_mark)
    end
    -- not UTF-8: cut off, overlong, a surrogate, beyond Unicode, a lone continuation
    for _, text in ipairs { "a\xe2\x80", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80",
      "\xf8\x88\x80\x80\x80" } do
      assert.equal("other", pem.scan(text).encoding)
    end
  end)

  it("finds what looks like a blank, like a dash or like nothing, wherever it stands", function()
    local function notes(text, i)
      local _, parts = together(text)
      return parts[i or 1].notes
    end
    local text = leaf.certificate:pem()
    assert.same({ count = 1, line = 2, column = 4, at = 32 },
      notes(text:sub(1, 31) .. "\xc2\xa0" .. text:sub(32)).wide_blank)
    assert.same({ count = 1, line = 1, column = 1, at = 1 }, notes("\xe2\x80\x8b" .. text).zero_width)
    assert.same({ count = 2, line = 2, column = 3, at = 5 },
      notes("a\n  \xe2\x80\x94b\xe2\x88\x92\n" .. text).smart_dash)
    assert.is_nil(notes("\xef\xbb\xbf" .. text).zero_width)
    assert.equal(1, notes("\xef\xbb\xbf" .. text).byte_order_mark.count)
  end)
end)

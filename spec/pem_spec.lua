local expect = require "spec.support.expect"
local openssl = require "spec.support.openssl"
local tcpki = require "tcpki"

local pem = tcpki.pem

describe("tcpki.pem", function()
  local one, two, body

  local function armoured(changed)
    return "-----BEGIN CERTIFICATE-----\n" .. changed .. "-----END CERTIFICATE-----\n"
  end

  setup(function()
    local function certificate(name)
      return assert(tcpki.authority.new { subject = { CN = name } }).certificate:pem()
    end
    one, two = certificate "one", certificate "two"
    body = one:match "%-\n(.-)%-%-%-%-%-END"
  end)

  describe("blocks", function()
    -- What OpenSSL, Go, rustls, BoringSSL and Netty read alike: how many blocks, of which text.
    local accepted = {
      ["LF"] = function() return one .. two, 2 end,
      ["CRLF"] = function() return ((one .. two):gsub("\n", "\r\n")), 2 end,
      ["CRLF and LF mixed by line"] = function()
        local count = 0
        return ((one .. two):gsub("\n", function()
          count = count + 1
          return count % 2 == 0 and "\r\n" or "\n"
        end)), 2
      end,
      ["no final newline"] = function() return (one .. two):sub(1, -2), 2 end,
      ["blank lines around the blocks"] = function()
        return "\n\n" .. one .. "\n\n" .. two .. "\n", 2
      end,
      ["blanks after the armour"] = function() return (one:gsub("%-\n", "-  \n")), 1 end,
      ["an empty line after BEGIN"] = function() return (one:gsub("%-\n", "-\n\n", 1)), 1 end,
      ["the whole body on one line"] = function()
        return armoured(body:gsub("\n", "") .. "\n"), 1
      end,
      ["lines of one character"] = function()
        return armoured((body:gsub("%s", ""):gsub(".", "%0\n"))), 1
      end,
      ["text between the blocks"] = function()
        return "Bag Attributes\n    friendlyName: one\n" .. one .. "# the second\n" .. two, 2
      end,
      ["a NUL after the last block"] = function() return one:sub(1, -2) .. "\0", 1 end,
      ["a Ctrl-Z after the last block"] = function() return one .. "\x1a", 1 end,
      ["the same block twice"] = function() return one .. one, 2 end,
    }

    for name, make in pairs(accepted) do
      it("reads " .. name, function()
        local text, count = make()
        local blocks = assert(pem.blocks(text))
        assert.equal(count, #blocks)
        for i, block in ipairs(blocks) do
          local original = (i == 2 and text:find(two:sub(40, 80), 1, true)) and two or one
          assert.equal("CERTIFICATE", block.label)
          assert.equal(openssl.run("x509 -outform DER", original), block.der)
          assert.equal(text:sub(block.first, block.last), block.source)
        end
      end)
    end

    it("says where each block begins, and leaves out nothing of the text around them", function()
      local text = "first\n" .. one .. "between\n\n" .. two .. "after\n"
      local blocks = assert(pem.blocks(text))
      local _, lines = ("first\n" .. one .. "between\n\n"):gsub("\n", "")
      assert.equal(2, blocks[1].line)
      assert.equal(lines + 1, blocks[2].line)
      assert.equal("first\n", text:sub(1, blocks[1].first - 1))
      assert.equal("between\n\n", text:sub(blocks[1].last + 1, blocks[2].first - 1))
      assert.equal("after\n", text:sub(blocks[2].last + 1))
    end)

    it("gives the header-free DER and the label of any kind of block", function()
      local key = openssl.run "genpkey -algorithm ED25519"
      local blocks = assert(pem.blocks(key .. one))
      assert.equal("PRIVATE KEY", blocks[1].label)
      assert.equal(openssl.run("pkcs8 -topk8 -nocrypt -outform DER", key), blocks[1].der)
    end)

    -- What one reader or another would drop in silence, or read otherwise: fault, line, column.
    local refused = {
      { "an indented BEGIN line", function() return one .. "  " .. two end, "bad_pem", "two" },
      { "a quote before BEGIN", function() return '"' .. one end, "bad_pem", 1, 2 },
      { "an assignment before BEGIN", function() return "CERT=" .. one end, "bad_pem", 1, 6 },
      { "a byte-order mark", function() return "\xef\xbb\xbf" .. one end, "bad_pem", 1 },
      { "a zero-width space before BEGIN",
        function() return "\xe2\x80\x8b" .. one end, "bad_pem", 1, 4 },
      { "a NUL before BEGIN", function() return "\0" .. one end, "bad_pem", 1, 2 },
      { "a lost first dash", function() return one:sub(2) end, "bad_pem" },
      { "END glued to the next BEGIN", function() return one:sub(1, -2) .. two end, "bad_pem" },
      { "a NUL in place of the newline between blocks",
        function() return one:sub(1, -2) .. "\0" .. two end, "bad_pem" },
      { "the two characters \\n for newlines", function() return (one:gsub("\n", "\\n")) end,
        "bad_pem", 1, 28 },
      { "the characters /n for newlines",
        function() return (one:gsub("\n", "/n")) end, "bad_pem", 1, 28 },
      { "newlines turned to spaces", function() return (one:gsub("\n", " ")) end, "bad_pem", 1 },
      { "no newlines", function() return (one:gsub("\n", "")) end, "bad_pem", 1, 28 },
      { "CR alone as line end", function() return (one:gsub("\n", "\r")) end, "bad_pem", 1 },
      { "CR alone within the body", function() return armoured((body:gsub("\n", "\r", 1))) end,
        "bad_pem", 2, 65 },
      -- Go's decoder does not know such a line as armour, and skips the block.
      { "CR CR LF", function() return (one:gsub("\n", "\r\r\n")) end, "bad_pem", 1 },
      { "a blank line inside the body",
        function() return (one:gsub("\n", "\n\n"):gsub("\n\n", "\n", 1)) end,
        "bad_pem", 3 },
      { "indentation of every line",
        function() return (one:gsub("([^\n]+)", "  %1")) end, "bad_pem", 1, 3 },
      { "quoted lines", function() return (one:gsub("([^\n]+)", "> %1")) end, "bad_pem", 1, 3 },
      { "CR CR LF in the body alone", function() return armoured((body:gsub("\n", "\r\r\n"))) end,
        "bad_pem", 2, 65 },
      { "CR CR LF after END alone", function() return one:sub(1, -2) .. "\r\r\n" end, "bad_pem" },
      { "headers, which Go drops with the block",
        function() return armoured("X-Note: a\n\n" .. body) end,
        "bad_pem", 2, 1 },
      { "the headers of an encrypted key", function()
        return armoured("Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n" .. body)
      end, "bad_pem", 2, 1 },
      { "a character that is not base64", function()
        return armoured(body:sub(1, 69) .. "%2B%" .. body:sub(74))
      end, "bad_pem", 3, 5 },
      { "a second block that is damaged", function()
        return one .. two:sub(1, 99) .. "!!!!" .. two:sub(104)
      end, "bad_pem", "two" },
      { "a second block that is cut off", function() return one .. two:sub(1, 200) end, "bad_pem" },
      { "an END line without BEGIN",
        function() return one .. "-----END CERTIFICATE-----\n" end, "bad_pem" },
      { "a BEGIN within a block", function() return one:sub(1, 200) .. "\n" .. two end, "bad_pem" },
      { "labels that differ",
        function() return (one:gsub("END CERTIFICATE", "END TRUSTED")) end, "bad_pem" },
      { "an empty body", function() return "-----BEGIN X-----\n-----END X-----\n" end, "bad_pem" },
      { "bits after the padding",
        function() return "-----BEGIN X-----\nMAB=\n-----END X-----\n" end, "bad_pem" },
      { "base64 after its padding",
        function() return "-----BEGIN X-----\nMAA=MAA=\n-----END X-----\n" end,
        "bad_pem", 2 },
      { "an empty label",
        function() return "-----BEGIN -----\nMAA=\n-----END -----\n" end, "bad_pem", 1 },
      { "nothing", function() return "" end, "empty" },
      { "blanks", function() return " \t\r\n\n" end, "empty" },
      { "prose", function() return "this is no certificate\n" end, "not_pem", 1, 1 },
      { "UTF-16", function() return "\xff\xfe" .. one:gsub(".", "%0\0") end, "not_pem", 1, 1 },
      { "lower-case armour",
        function() return (one:gsub("BEGIN", "begin"):gsub("END", "end")) end, "bad_pem" },
      { "smart dashes", function() return (one:gsub("%-%-%-%-%-", "\xe2\x80\x94")) end, "bad_pem" },
    }

    for _, case in ipairs(refused) do
      it("refuses " .. case[1], function()
        local text = case[2]()
        local err = expect.fault(case[3], pem.blocks(text))
        if case[4] == "two" then
          local _, lines = one:gsub("\n", "")
          assert.is_true(err.line > lines, tostring(err))
        elseif case[4] then
          assert.equal(case[4], err.line)
        end
        if case[5] then assert.equal(case[5], err.column) end
        if case[3] == "bad_pem" then
          assert.is_true(err.line >= 1 and err.column >= 1)
        end
      end)
    end

    it("says what was done to a text that holds no block", function()
      local encoded = openssl.run("base64 -A", one)
      assert.matches("base64", expect.fault("not_pem", pem.blocks(encoded)).hint)
      assert.matches("DER",
        expect.fault("not_pem", pem.blocks(openssl.run("x509 -outform DER", one))).hint)
      assert.matches("UTF%-16", expect.fault("not_pem", pem.blocks("\xfe\xff\0-")).hint)
    end)

    it("refuses a text that is cut at any place", function()
      local closing = #one - #"\n"
      for length = 0, #one - 1 do
        local code = length == 0 and "empty" or length < #"-----" and "not_pem"
        local _, err = pem.blocks(one:sub(1, length))
        if length < closing then
          -- Within the first line it is a matter of taste.
          expect.fault(code or (length < #"-----BEGIN " and err.code == "not_pem" and "not_pem")
            or "bad_pem", nil, err)
        else
          assert.equal(1, #assert(pem.blocks(one:sub(1, length))))
        end
      end
    end)

    it("throws on what is no text, and names the argument", function()
      expect.throws({ "#1", "string expected" }, pem.blocks)
      expect.throws({ "#1", "string expected" }, pem.blocks, 42)
      expect.throws({ "#1", "string expected" }, pem.blocks, {})
    end)
  end)

  describe("encode", function()
    it("writes what openssl writes, for every length around the end of a line", function()
      for _, length in ipairs { 1, 2, 3, 46, 47, 48, 49, 95, 96, 97 } do
        local der = ("\x30\x82\xa5z"):rep(30):sub(1, length)
        local text = assert(pem.encode("X", der))
        assert.equal("-----BEGIN X-----\n" .. openssl.run("base64", der) .. "-----END X-----\n",
          text)
        assert.equal(der, assert(pem.blocks(text))[1].der)
      end
    end)

    it("gives the certificate that openssl gives, to the byte", function()
      assert.equal(openssl.run("x509", one),
        pem.encode("CERTIFICATE", openssl.run("x509 -outform DER", one)))
    end)

    it("throws on a label that could not be read back, and on nothing", function()
      expect.throws("label", pem.encode, "", "der")
      expect.throws("label", pem.encode, ("A"):rep(64), "der")
      expect.throws("label", pem.encode, "A-B", "der")
      expect.throws("label", pem.encode, "A\nB", "der")
      expect.throws("nothing to encode", pem.encode, "A", "")
      expect.throws("#1", pem.encode, 1, "der")
      expect.throws("#2", pem.encode, "A", 1)
    end)
  end)
end)

local expect = require "spec.support.expect"
local manglings = require "spec.support.manglings"
local openssl = require "spec.support.openssl"
local pem = require "tcpki.pem"
local tcpki = require "tcpki"
local temporary = require "spec.support.temporary"
local worst_pem = require "spec.support.worst_pem"

-- The codes of a report but for the infos, which stop nobody.
local function codes(report)
  local list = {}
  for _, finding in ipairs(report) do
    if finding.severity ~= "info" and finding.code ~= "silent_loss" then
      list[#list + 1] = finding.code
    end
  end
  return list
end

local function lines_of(text)
  return select(2, text:gsub("\n", ""))
end

-- The longest run of base64 of a text that is in another.
local function shown_of(secret, text)
  for at = 1, #secret - 11, 4 do
    local piece = secret:sub(at, at + 11)
    if not piece:find "[^%w+/=]" and text:find(piece, 1, true) then
      return piece
    end
  end
end

-- All cases; under make stress, where each line costs a collection, one in 61 of those that are not long.
local function some(cases)
  if not debug.gethook() then return cases end
  local count = 0
  return function()
    for case in cases do
      count = count + 1
      if count % 61 == 0 and #case.text < 4000 then return case end
    end
  end
end

describe("tcpki.pem.lint", function()
  local ca = assert(tcpki.authority.new { subject = { CN = "Acme" } })
  local leaf = assert(ca:issue { common_name = "worker", usage = "client" })
  local namesake = assert(tcpki.authority.new { subject = { CN = "Acme" } }).certificate
  local leaf_pem, ca_pem = leaf.certificate:pem(), ca.certificate:pem()
  local chain, key = leaf_pem .. ca_pem, leaf.key:pem()
  local sec1 = assert(leaf.key:pem { format = "traditional" })
  local pkcs1 = openssl.run("rsa -traditional", openssl.run "genrsa 2048")
  local damaged = leaf.key:der():sub(1, -6) .. "tails" -- the point is not on the curve
  local lines = lines_of(leaf_pem) -- of the first certificate
  local parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"

  local function mangled(name, base)
    return assert(manglings.named[name].apply(base or chain), name)
  end

  it("has nothing to say of a good text", function()
    for expected, text in pairs { chain = chain, key = key, bundle = ca_pem, certificate = leaf_pem,
      csr = assert(tcpki.csr.new { subject = { CN = "worker" }, key = leaf.key }):pem(),
      crl = assert(ca:crl { days = 1 }):pem() } do
      local report = pem.lint(text, { expect = expected })
      assert.is_true(report.ok)
      assert.equal(0, #report, tostring(report))
      assert.equal("nothing to report", tostring(report))
    end
  end)

  -- What issue and field have seen: what it is, the text, what is expected; then all findings, the line and column of
  -- the first, and a word of who stumbles over it.
  local items = {
    { "literal \\n", mangled "literal-n", "chain", { "escaped_newlines" }, 1, 1, "every reader" },
    { "literal \\\\n", mangled "literal-n-twice", "chain", { "escaped_newlines" }, 1, 1, "every reader" },
    { "literal \\r\\n", mangled "literal-r-n", "chain", { "escaped_newlines" }, 1, 1, "every reader" },
    { "/n", mangled "slash-n", "chain", { "escaped_newlines" }, 1, 1, "every reader" },
    { "an n for each newline", mangled "letter-n", "chain", { "escaped_newlines" }, 1, 1, "every reader" },
    { "newlines turned into spaces", mangled "spaces-for-newlines", "chain", { "flattened" }, 1, 1, "every reader" },
    { "newlines removed", mangled "newlines-removed", "chain", { "flattened" }, 1, 1, "every reader" },
    { "base64 of the PEM", mangled "base64", "chain", { "base64_of_pem" }, 1, 1, "every reader" },
    { "base64 of the PEM in lines", mangled "base64-wrapped", "chain", { "base64_of_pem" }, 1, 1, "every reader" },
    { "base64 twice", mangled "base64-twice", "chain", { "base64_of_pem", "base64_of_pem" }, 1, 1, "every reader" },
    { "UTF-16 LE", mangled "utf16le", "chain", { "utf16" }, 1, 1, "every reader" },
    { "UTF-16 BE", mangled "utf16be", "chain", { "utf16" }, 1, 1, "every reader" },
    { "UTF-16 LE without BOM", mangled "utf16le-no-bom", "chain", { "utf16" }, 1, 1, "every reader" },
    { "UTF-16 BE without BOM", mangled "utf16be-no-bom", "chain", { "utf16" }, 1, 1, "every reader" },
    { "UTF-32", mangled "utf32le", "chain", { "utf32" }, 1, 1, "every reader" },
    { "a byte-order mark", mangled "bom", "chain", { "byte_order_mark" }, 1, 1, "rustls" },
    { "CR alone", mangled "cr", "chain", { "line_cr" }, 1, 28, "Go" },
    { "CR alone before BEGIN", "\r" .. leaf_pem, "certificate", { "begin_after_cr" }, 2, 1, "silence" },
    { "CR CR LF", mangled "crcrlf", "chain", { "line_crcrlf" }, 1, 28, "Go" },
    { "LF CR", mangled "lfcr", "chain", { "line_lfcr" }, 1, 28, "every reader" },
    { "blank lines in the body", mangled "double-newline", "chain", { "blank_inside" }, 4, 1, "OpenSSL" },
    { "a blank line after BEGIN", mangled "blank-after-begin", "chain", { "blank_first" }, 2, 1, "OpenSSL" },
    { "a blank line before END", mangled "blank-before-end", "chain", { "blank_last" }, lines, 1, "OpenSSL" },
    { "indentation of every line", mangled "indent-4", "chain", { "line_prefix" }, 1, 1, "silence" },
    { "YAML, with its key", mangled "yaml-indented", "chain", { "line_prefix" }, 2, 1, "silence" },
    { "an indented body", mangled "body-indented", "chain", { "leading_blanks" }, 2, 1, "Netty" },
    { "double quotes", mangled "double-quotes", "chain", { "quotes" }, 1, 1, "silence" },
    { "single quotes", mangled "single-quotes", "chain", { "quotes" }, 1, 1, "silence" },
    { "smart quotes", mangled "smart-quotes", "chain", { "quotes" }, 1, 1, "silence" },
    { "KEY=", mangled "key-equals", "chain", { "name_prefix" }, 1, 1, "silence" },
    { "export KEY=", mangled "export", "chain", { "name_prefix" }, 1, 1, "silence" },
    { "a variable among others", "ADDRESS=a:7233\nCERT=" .. leaf_pem, "certificate", { "name_prefix" }, 2, 1,
      "silence" },
    { "KEY= and quotes", mangled "key-equals-quotes", "chain", { "name_prefix", "quotes" }, 1, 1, "silence" },
    { "key: of YAML", mangled "yaml-inline", "chain", { "name_prefix" }, 1, 1, "silence" },
    { "> of a mail", mangled "quoted-mail", "chain", { "line_prefix" }, 1, 1, "silence" },
    { "# of a comment", mangled "comment-hash", "chain", { "line_prefix" }, 1, 1, "silence" },
    { "line numbers", mangled "line-numbers", "chain", { "line_numbers" }, 1, 1, "every reader" },
    { "line numbers with colons", mangled "line-numbers-colon", "chain", { "line_numbers" }, 1, 1, "every reader" },
    { "commas behind the lines", mangled "comma-newline", "chain", { "line_suffix" }, 1, 1, "every reader" },
    { "string literals", mangled "lines-quoted", "chain", { "line_prefix", "line_suffix" }, 1, 1, "silence" },
    { "em dashes", mangled "em-dashes", "chain", { "smart_dashes" }, 1, 1, "every reader" },
    { "en dashes", mangled "en-dashes", "chain", { "smart_dashes" }, 1, 1, "every reader" },
    { "minus signs", mangled "minus-signs", "chain", { "smart_dashes" }, 1, 1, "every reader" },
    { "a zero-width space in front", mangled "front-zwsp", "chain", { "zero_width" }, 1, 1, "silence" },
    { "a zero-width space in the body", mangled "body-once-zwsp", "chain", { "zero_width" }, 2, 9, "silence" },
    { "no-break spaces at line ends", mangled "trailing-nbsp", "chain", { "wide_blanks" }, 1, 28, "Go" },
    { "four dashes", mangled "four-dash-armour", "chain", { "armour" }, 1, 1, "silence" },
    { "six dashes", mangled "six-dash-armour", "chain", { "armour" }, 1, 1, "silence" },
    { "a lost first dash", chain:sub(2), "chain", { "armour" }, 1, 1, "silence" },
    { "lower-case armour", mangled "lower-case-armour", "chain", { "armour" }, 1, 1, "silence" },
    { "END glued to BEGIN", mangled "concatenated-without-newline", "chain", { "end_glued" }, lines, 26, "rustls" },
    { "a missing END", chain:sub(1, -27), "chain", { "end_missing" }, nil, nil, "every reader" },
    { "a missing BEGIN", (leaf_pem:gsub("^[^\n]*\n", "")), "certificate", { "orphan_end" }, lines - 1, 1,
      "every reader" },
    { "text cut off in the body", chain:sub(1, -100), "chain", { "end_missing" }, nil, nil, "every reader" },
    { "a damaged character", chain:sub(1, 40) .. "!" .. chain:sub(42), "chain", { "bad_character" }, 2, 13,
      "every reader" },
    { "a lost character", mangled "last-character-lost", "chain", { "bad_padding" }, lines, 1, "every reader" },
    { "a lost line", mangled "last-line-lost", "chain", { "bad_content", "bad_content" }, 1, 1, "every reader" },
    { "URL escapes", mangled "url", "chain", { "url_escapes" }, 1, 1, "every reader" },
    { "URL escapes of the body", mangled "url-base64", "chain", { "url_escapes" }, nil, nil, "every reader" },
    { "HTML escapes", mangled "html", "chain", { "html_escapes" }, nil, nil, "every reader" },
    { "HTML line breaks", mangled "html-break", "chain", { "html_escapes" }, 1, 28, "every reader" },
    { "a JSON string", mangled "json", "chain", { "json_string" }, 1, 1, "every reader" },
    { "a JSON string twice", mangled "json-twice", "chain", { "json_string", "json_string" }, 1, 1, "every reader" },
    { "\\/ of JSON", mangled "json-unquoted", "chain", { "escaped_slashes" }, nil, nil, "every reader" },
    { "+ turned into space", mangled "plus-to-space", "chain", { "plus_signs" }, nil, nil, "every reader" },
    { "bare base64", mangled "bare-base64", "chain", { "bare_base64" }, 1, nil, "every reader" },
    { "bare DER", leaf.certificate:der(), "certificate", { "der" }, 1, nil, "every reader" },
    { "bare DER and a newline", mangled "bare-der-newline", "chain", { "der" }, 1, nil, "every reader" },
    { "DER behind PEM", mangled("pem-and-der", leaf_pem), "certificate", { "der" }, lines + 1, nil, "every reader" },
    { "hex", mangled "hex-of-der", "chain", { "hex" }, 1, 1, "every reader" },
    { "a path", "/etc/temporal/client.pem\n", "chain", { "path" }, 1, nil, "every reader" },
    { "a data: URL", mangled "data-url", "chain", { "data_url", "base64_of_pem" }, 1, 1, "every reader" },
    { "the colours of a terminal", mangled "ansi", "chain", { "colours" }, 1, 1, "every reader" },
    { "a wrong label", mangled("label-as-private-key", leaf_pem), "certificate", { "wrong_label" }, 1, 1,
      "most readers" },
    { "X509 CERTIFICATE", mangled "label-as-x509-certificate", "chain", { "openssl_label" }, 1, 1, "silence" },
    { "TRUSTED CERTIFICATE", mangled "label-as-trusted-certificate", "chain", { "openssl_label" }, 1, 1, "silence" },
    { "a key among certificates", chain .. key, "chain", { "holds_key" }, lines_of(chain) + 1, 1, "whoever" },
    { "a key alone for a chain", key, "chain", { "holds_key" }, 1, 1, "whoever" },
    { "a certificate for a key", leaf_pem, "key", { "holds_certificate" }, 1, 1 },
    { "a CSR for a certificate", assert(tcpki.csr.new { subject = { CN = "a" }, key = leaf.key }):pem(), "certificate",
      { "holds_csr" }, 1, 1 },
    { "a public key for a key", openssl.run("pkey -pubout", key), "key", { "holds_public_key" }, 1, 1 },
    { "only PKCS#7 for a chain", openssl.run("crl2pkcs7 -nocrl -certfile /dev/stdin", chain), "chain",
      { "holds_other" }, 1, 1 },
    { "only DH PARAMETERS for a bundle", pem.encode("DH PARAMETERS", "\x30\6\2\1\23\2\1\2"), "bundle",
      { "holds_other" }, 1, 1 },
    { "EC PARAMETERS without a key", parameters, "key", { "ec_parameters", "holds_other" }, 1, 1, "istiod" },
    { "a key of OpenSSH", pem.encode("OPENSSH PRIVATE KEY", "openssh-key-v1\0"), "key", { "foreign_key" }, 1, 1,
      "every client" },
    { "a DSA key", pem.encode("DSA PRIVATE KEY", "\x30\x12\2\1\0" .. ("\2\1\5"):rep(5)), "key",
      { "foreign_key" }, 1, 1, "every client" },
    { "a key of X25519", openssl.run "genpkey -algorithm x25519", "key", { "unusable_key" }, 1, 1, "every client" },
    { "a damaged key", pem.encode("PRIVATE KEY", damaged), "key", { "unusable_key" }, 1, 1, "every client" },
    { "a PKCS#12 file", openssl.run("pkcs12 -export -passout pass:horse", key .. leaf_pem), "chain", { "der" }, 1, nil,
      "every reader" },
    { "EC PARAMETERS in front", parameters .. key, "key", { "ec_parameters" }, 1, 1, "istiod" },
    { "SEC1", sec1, "key", { "traditional_key" }, 1, 1, "Java" },
    { "PKCS#1", pkcs1, "key", { "traditional_key" }, 1, 1, "Java" },
    { "an encrypted key", assert(leaf.key:pem { passphrase = "horse" }), "key", { "encrypted_key" }, 1, 1, "gRPC" },
    { "a key that certstrap encrypted", pem.encode("ENCRYPTED PRIVATE KEY", temporary.content(
      "fuzz/corpus/key/ec-certstrap.der")), "key", { "encrypted_key" }, 1, 1, "gRPC", "OpenSSL opens no such key" },
    { "an encrypted traditional key", assert(leaf.key:pem { passphrase = "horse", format = "traditional" }), "key",
      { "encrypted_key" }, 1, 1, "gRPC" },
    { "headers on a certificate", mangled "header", "chain", { "headers" }, 2, 1, "Go" },
    { "a duplicate", leaf_pem .. leaf_pem .. ca_pem, "bundle", { "duplicate" }, lines + 1, 1 },
    { "bytes behind the object", pem.encode("CERTIFICATE", leaf.certificate:der() .. "tail"), "certificate",
      { "der_trailing" }, nil, nil, "Go" },
    { "stray bits", "-----BEGIN DATA-----\nMAB=\n-----END DATA-----\n", nil, { "stray_bits" }, nil, nil,
      "cryptography" },
    { "a NUL before a block", "\0" .. leaf_pem, "certificate", { "begin_prefixed" }, 1, 2, "silence" },
    { "a NUL between blocks", leaf_pem .. "\0\n" .. ca_pem, "chain", { "nul" }, lines + 1, 1, "gRPC" },
    { "text on the line of BEGIN", "a " .. leaf_pem, "certificate", { "begin_prefixed" }, 1, 3, "silence" },
    { "blanks before BEGIN", " " .. leaf_pem, "certificate", { "begin_indented" }, 1, 2, "silence" },
    { "text behind END", (leaf_pem:gsub("\n$", " here\n")), "certificate", { "end_trailed" }, lines, nil, "Go" },
    { "several certificates for one", chain, "certificate", { "several" }, lines + 1, 1 },
    { "two keys", key .. sec1, "key", { "traditional_key", "several" }, nil, nil },
    { "the CA of the same name and another key", leaf_pem .. namesake:pem(), "chain", { "chain_issuer" }, lines + 1,
      nil, "verifies" },
    { "the chain in another order", ca_pem .. leaf_pem, "chain", { "chain_order" }, nil, nil, "leaf" },
    { "nothing", "", "chain", { "empty" } },
    { "blanks", " \n\t", "chain", { "empty" } },
    { "something else", "no PEM at all\n", "chain", { "no_armour" }, 1, nil, "every reader" },
  }

  for _, item in ipairs(items) do
    local name, text, expected, wanted, line, column, who, cure = table.unpack(item, 1, 8)
    it("says in one finding each: " .. name, function()
      local report = assert(pem.lint(text, { expect = expected }))
      assert.same(wanted, codes(report), tostring(report))
      local finding = report:find(wanted[1])
      if line then assert.equal(line, finding.line, tostring(report)) end
      if column then assert.equal(column, finding.column, tostring(report)) end
      if who then assert.matches(who, finding.who, 1, true) end
      if cure then assert.matches(cure, finding.hint, 1, true) end
      assert.is_true(#finding.message > 0 and #finding.hint > 0)
      for _, printed in ipairs { tostring(report), table.concat({ finding.message, finding.hint }, "\n") } do
        for row in printed:gmatch "[^\n]+" do
          assert.is_true(utf8.len(row) <= 100 or printed ~= tostring(report), row)
        end
      end
    end)
  end

  -- What stops nobody is said, and is no error.
  local infos = {
    { "CR LF", mangled "crlf", "line_crlf" }, { "mixed line ends", mangled "crlf-every-second", "mixed_line_ends" },
    { "no final newline", mangled "no-final-newline", "end_unterminated" },
    { "a Ctrl-Z at the end", chain .. "\26", "control_z" }, { "a NUL at the end", chain .. "\0", "nul" },
    { "blanks behind the armour", mangled "trailing-begin-space", "begin_blanks" },
  }
  for _, item in ipairs(infos) do
    it("mentions " .. item[1], function()
      local report = pem.lint(item[2], { expect = "chain" })
      assert.equal("info", assert(report:find(item[3]), tostring(report)).severity)
      assert.equal(0, report.errors + report.warnings, tostring(report))
    end)
  end

  it("leaves the comments of a good text alone, whatever they hold", function()
    for _, comment in ipairs { "# Größe — naïve\n", "# a&#43;b &amp; c\n", "\xe2\x80\x8b\n", "-- a %2B b\n",
      "\27[32mgreen\n", "C:\\new\n", "> quoted\n", "> a mail\n> of two lines\n", "1 one\n2 two\n",
      "CERT=here:\n", '"""\n', "\xff\xfe\n", "\f\n" } do
      local report = pem.lint(comment .. chain .. comment, { expect = "chain" })
      assert.same({}, codes(report), comment .. tostring(report))
      assert.equal(comment .. chain .. comment, (assert(pem.repair(comment .. chain .. comment))))
    end
  end)

  it("names the escape that stands for the newlines", function()
    for mangling, named in pairs { ["literal-n"] = "the two characters \\n", ["slash-n"] = "/n or n",
      ["letter-n"] = "/n or n" } do
      assert.matches(named, pem.lint((mangled(mangling))):find "escaped_newlines".message, 1, true)
    end
  end)

  it("lets no mangling pass that repair would undo", function()
    for case in some(manglings.cases { { name = "chain", text = chain }, { name = "key", text = key } }) do
      local report = pem.lint(case.text, { expect = case.base })
      if pem.repair(case.text) ~= case.text then
        assert.is_true(report.errors + report.warnings > 0, case.name)
      end
    end
  end)

  it("says each layer of several, the outermost first", function()
    local report = pem.lint('CERT="' .. chain:gsub("\n", "\\n") .. '"', { expect = "chain" })
    assert.same({ "name_prefix", "json_string" }, codes(report))
    report = pem.lint("'" .. chain:gsub("\n", "\\n") .. "'", { expect = "chain" })
    assert.same({ "quotes", "escaped_newlines" }, codes(report))
    report = pem.lint(pem.quote('"' .. chain:gsub("\n", "\\n") .. '"', "base64"), { expect = "chain" })
    assert.same("no_armour", codes(report)[1]) -- base64 of something that is no PEM
  end)

  it("says of a place in an encoded text that it is counted beneath", function()
    local report = pem.lint((chain:gsub("\n", "\n\n", 3):gsub("\n", "\\n")), { expect = "chain" })
    assert.same({ "escaped_newlines", "blank_inside" }, codes(report))
    assert.is_nil(report[1].beneath)
    assert.is_true(report[2].beneath)
    assert.matches("the line is counted once", tostring(report))
  end)

  it("tells the places of one kind together", function()
    local text = chain:gsub("(%-%-%-%-%-BEGIN CERTIFICATE%-%-%-%-%-)\n", "%1\n\n"):rep(8)
    local finding = pem.lint(text, { expect = "bundle" }):find "blank_first"
    assert.equal(16, #finding.places)
    assert.matches("also in lines %d+, %d+, %d+, %d+ and 11 more", finding.message)
  end)

  it("never shows a key, however it was mangled", function()
    local keys = { pkcs8 = key, sec1 = sec1, ed25519 = assert(tcpki.key.generate { type = "ed25519" }):pem(),
      encrypted = assert(leaf.key:pem { passphrase = "horse", format = "traditional" }) }
    for name, secret in pairs(keys) do
      for case in some(manglings.cases { { name = name, text = secret } }) do
        local said = { tostring(pem.lint(case.text)), tostring(pem.lint(case.text, { expect = "chain" })) }
        local fixed, changes = pem.repair(case.text)
        if fixed then
          for _, change in ipairs(changes) do
            said[#said + 1] = change.message
          end
        else
          said[#said + 1] = tostring(changes)
        end
        local all = table.concat(said, "\n")
        assert.is_nil(shown_of(secret, all), case.name)
        assert.is_nil(shown_of(case.text:gsub("%-%-%-%-%-[^%-]*%-%-%-%-%-", ""), all), case.name)
      end
    end
    -- armour without its end, and a key on its line
    local cut = "-----BEGIN PRIVATE KEY " .. keys.ed25519:match "\n([^\n]+)\n" .. "\n-----END PRIVATE KEY-----\n"
    for length = 24, #cut do
      assert.is_nil(shown_of(cut:sub(24), tostring(pem.lint(cut:sub(1, length) .. "-----"))))
    end
  end)

  it("says of a cut-off object how much of it is there", function()
    local der = leaf.certificate:der()
    local finding = pem.lint(pem.encode("CERTIFICATE", der:sub(1, 100))):find "bad_content"
    assert.matches(("100 of its %d bytes"):format(#der), finding.message)
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

  -- Counted in steps of Lua, not in seconds; bench/pem.lua has the seconds. Were a pattern quadratic, the whole would
  -- take minutes.
  it("takes four times the work for four times the text, whatever the text", function()
    if debug.gethook() then return end -- under make stress the hook is taken, and each step costs a collection
    local function work(run, text)
      local steps = 0
      debug.sethook(function() steps = steps + 1 end, "", 100)
      run(text)
      debug.sethook()
      return steps
    end
    for _, case in ipairs(worst_pem) do
      for name, run in pairs { lint = pem.lint, repair = pem.repair } do
        local small, large = work(run, case.make(5000)), work(run, case.make(20000))
        assert.is_true(large <= 5 * small + 100, ("%s of %s: %d, %d"):format(name, case.name, small, large))
      end
      pem.repair(case.make(50000))
    end
  end)

  describe("of a file", function()
    local directory

    setup(function() directory = temporary.directory() end)
    teardown(function() directory:remove() end)

    it("gives the findings with the path", function()
      local path = directory:file("both.pem", chain .. key)
      local report = assert(pem.lint_file(path, { expect = "chain" }))
      assert.equal(path, report:find "holds_key".path)
      assert.is_truthy(tostring(report):find(path, 1, true))
      assert.is_true(pem.lint_file(directory:file("chain.pem", chain), { expect = "chain" }).ok)
    end)

    it("gives nil and a fault with the path for a directory and for what is not there", function()
      local path = directory:path "not-there.pem"
      assert.equal(path, expect.fault("not_found", pem.lint_file(path)).path)
      assert.equal(directory.root, expect.fault("not_a_file", pem.lint_file(directory.root)).path)
    end)
  end)

  it("throws on what it cannot expect", function()
    expect.throws({ "'expect' is 'pfx'", "bundle, certificate, chain, crl, csr, key" }, pem.lint, chain,
      { expect = "pfx" })
    expect.throws({ "text must be string" }, pem.lint, 42)
    expect.throws({ "unknown option 'expects'" }, pem.lint, chain, { expects = "chain" })
    expect.throws({ "lint_file: path must be string" }, pem.lint_file, 42)
  end)
end)

local manglings = require "spec.support.manglings"
local pem = require "tcpki.pem"
local readers = require "tcpki.pem.readers"
local tcpki = require "tcpki"

-- Whatever a value holds, as one string.
local function everything(value, seen)
  seen = seen or {}
  if type(value) ~= "table" then
    return tostring(value)
  elseif seen[value] then
    return ""
  end
  seen[value] = true
  local words = { tostring(value) }
  for name, field in pairs(value) do
    words[#words + 1] = everything(name, seen)
    words[#words + 1] = everything(field, seen)
  end
  return table.concat(words, "\n")
end

describe("tcpki.pem verdicts", function()
  local ca = assert(tcpki.authority.new { subject = { CN = "Acme" } })
  local leaf = assert(ca:issue { common_name = "worker", usage = "client" })
  local first, second = leaf.certificate:pem(), ca.certificate:pem()
  local chain = first .. second

  local function mangled(name, text)
    return (assert(manglings.named[name].apply(text or chain), name))
  end

  local function names_of(list)
    local names = {}
    for i, verdict in ipairs(list) do
      names[i] = verdict.reader
    end
    return names
  end

  it("are one a reader, with who uses it and where its rules come from", function()
    local verdicts = pem.verdicts(chain, { role = "roots" })
    assert.equal(#readers, #verdicts)
    for i, verdict in ipairs(verdicts) do
      assert.equal(readers[i].name, verdict.reader)
      assert.equal(verdict, verdicts[verdict.reader])
      for _, field in ipairs { "who", "version", "source" } do
        assert.is_true(#verdict[field] > 0, field)
      end
    end
  end)

  it("are the same for all where a text is as it should be", function()
    for _, text in ipairs { chain, (chain:gsub("\n", "\r\n")), "the certificates of a worker\n" .. chain,
      first .. "\n\n" .. second, (chain:gsub("\n$", "")) } do
      for _, role in ipairs { "chain", "roots" } do
        local verdicts = pem.verdicts(text, { role = role })
        assert.is_true(verdicts.ok, tostring(verdicts))
        assert.same({}, verdicts:silent_losses())
        for _, verdict in ipairs(verdicts) do
          assert.same({ 1, 2 }, verdict.blocks)
          assert.same({}, verdict.lost)
          assert.is_nil(verdict.reason)
        end
      end
    end
  end)

  it("name who loses the first certificate behind a byte-order mark", function()
    local verdicts = pem.verdicts("\xef\xbb\xbf" .. chain)
    assert.is_false(verdicts.ok)
    assert.same({ "grpc", "go", "rustls" }, names_of(verdicts:silent_losses()))
    assert.same({ 2 }, verdicts.go.blocks)
    assert.same({ 1 }, verdicts.go.lost)
    assert.equal(1, verdicts.go.got)
    assert.is_false(verdicts.go.refused)
    assert.equal(2, verdicts.openssl.got)
    assert.is_true(verdicts.jdk.refused)
    assert.equal("begin", verdicts.jdk.code)
    assert.same({ 1, 2 }, verdicts.jdk.lost)
  end)

  it("tell a refusal from a loss where the second certificate is damaged", function()
    local damaged = first .. second:gsub("\nMII", "\n*II")
    local verdicts = pem.verdicts(damaged)
    for _, name in ipairs { "openssl", "python", "node", "rustls", "jdk", "cryptography" } do
      assert.is_true(verdicts[name].refused, name)
      assert.equal("base64", verdicts[name].code, name)
      assert.equal(#leaf.certificate:pem():gsub("[^\n]", "") + 1, verdicts[name].line, name)
    end
    for _, name in ipairs { "grpc", "grpc_openssl", "go" } do
      assert.is_false(verdicts[name].refused, name)
      assert.same({ 2 }, verdicts[name].lost, name)
    end
  end)

  it("say who hands on what it has not looked at", function()
    local verdicts = pem.verdicts(mangled "der-plus-3-last")
    assert.same({ 2 }, verdicts.go.damaged)
    assert.same({ 2 }, verdicts.rustls.damaged)
    assert.same({ 1, 2 }, verdicts.openssl.blocks)
    assert.same({}, verdicts.openssl.damaged)
    assert.is_true(verdicts.jdk.refused)
    assert.is_false(verdicts.ok)
  end)

  it("know where the text ends at a NUL: in files, in C strings, or nowhere", function()
    local verdicts = pem.verdicts(first .. "\0\n" .. second)
    local lost = names_of(verdicts:silent_losses())
    assert.same({ "openssl", "python", "grpc", "grpc_openssl" }, lost)
    for _, name in ipairs(lost) do
      assert.equal("nul", verdicts[name].code)
    end
    -- within a line a reader of files goes on with the next one; a C string is over
    verdicts = pem.verdicts(first .. "text\0text\n" .. second)
    assert.same({ "grpc", "grpc_openssl" }, names_of(verdicts:silent_losses()))
    assert.is_true(pem.verdicts(chain .. "\0").ok)
  end)

  it("see what only one reader sees", function()
    local flat = pem.verdicts((chain:gsub("\n", " ")))
    assert.equal(2, #flat.held)
    assert.same({ 1, 2 }, flat.cryptography.blocks)
    for _, name in ipairs { "openssl", "go", "rustls", "netty", "jdk", "grpc", "node" } do
      assert.is_true(flat[name].refused, name)
    end
    local der = pem.verdicts(leaf.certificate:der() .. ca.certificate:der())
    assert.equal(2, #der.held)
    assert.same({ 1, 2 }, der.jdk.blocks)
    assert.is_true(der.openssl.refused)
  end)

  it("count each of several equal certificates", function()
    local verdicts = pem.verdicts(first .. first .. second .. first)
    assert.equal(4, #verdicts.held)
    assert.same({ 1, 2, 3, 4 }, verdicts.netty.blocks)
    assert.is_true(verdicts.ok)
  end)

  it("pass over what the role does not ask for, and say who does not", function()
    local verdicts = pem.verdicts(leaf.key:pem() .. chain)
    assert.equal("chain", verdicts.role)
    assert.equal(2, #verdicts.held)
    assert.same({ "jdk" }, (function()
      local refusing = {}
      for _, verdict in ipairs(verdicts) do
        if verdict.refused then refusing[#refusing + 1] = verdict.reader end
      end
      return refusing
    end)())
    local key = pem.verdicts(leaf.key:pem() .. chain, { role = "key" })
    assert.is_true(key.ok, tostring(key))
    assert.is_nil(key.jdk)
  end)

  it("take a text of keys alone for a key, and know the forms that each reader takes", function()
    local good = pem.verdicts(leaf.key:pem())
    assert.equal("key", good.role)
    assert.is_true(good.ok, tostring(good))
    local traditional = pem.verdicts(leaf.key:pem { format = "traditional" })
    assert.is_true(traditional.netty.refused)
    assert.equal("der", traditional.netty.code)
    assert.equal(1, traditional.go.got)
    for _, verdict in ipairs(pem.verdicts(leaf.key:pem { passphrase = "secret" })) do
      assert.is_true(verdict.refused, verdict.reader)
    end
    local ed25519 = assert(tcpki.key.generate { type = "ed25519" })
    assert.is_true(pem.verdicts(ed25519:pem()).netty.refused)
    assert.equal(1, pem.verdicts(ed25519:pem()).rustls.got)
  end)

  it("show nothing of a key", function()
    for _, text in ipairs { leaf.key:pem(), leaf.key:pem { format = "traditional" }, "x" .. leaf.key:pem(),
      leaf.key:pem() .. chain, mangled("newlines-removed", leaf.key:pem()) } do
      for _, role in ipairs { "key", "chain", "roots" } do
        local shown = everything(pem.verdicts(text, { role = role }))
        for line in leaf.key:pem():gmatch "[^\n]+" do
          if not line:find "^%-" then
            assert.is_nil(shown:find(line:sub(1, 12), 1, true))
          end
        end
        assert.is_nil(shown:find(leaf.key:der():sub(36, 60), 1, true))
      end
    end
  end)

  it("read as one line a reader, in at most 100 columns", function()
    local text = tostring(pem.verdicts("\xef\xbb\xbf" .. chain))
    assert.truthy(text:find("the text holds 2 certificates\nopenssl        2 certificates\n", 1, true))
    assert.truthy(text:find("\ngo             1 certificate; loses certificate 1 (line 1) in silence", 1, true))
    assert.truthy(text:find("\njdk            refuses it: line ", 1, true))
    for line in text:gmatch "[^\n]+" do
      assert.is_true(#line <= 100, line)
    end
    local many = {}
    for i = 1, 9 do many[i] = " " .. first end
    text = tostring(pem.verdicts(table.concat(many) .. second))
    assert.truthy(text:find("loses 9 certificates, the first in line 1 in silence", 1, true), text)
  end)

  it("are there for any bytes at all", function()
    local pieces = { "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----", "-----BEGIN ", "-----END ", "-----",
      "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "-BEGIN PRIVATE", "KEY", "-END", "CERTIFICATE",
      "\n", "\r", "\r\n", " ", "\t", "AAAA", "=", "A", ":", "\0", "0\x82", "\xef\xbb\xbf", "\xc2\xa0", "x",
      first:sub(1, 300), first, leaf.key:pem(), ("a"):rep(254) }
    local seed = 20261121
    local function random(limit)
      seed = (seed * 1103515245 + 12345) % 2147483648
      return seed // 65536 % limit + 1
    end
    for _ = 1, debug.gethook() and 10 or 500 do -- under make stress each line costs a collection
      local text = {}
      for i = 1, random(16) do
        text[i] = pieces[random(#pieces)]
      end
      text = table.concat(text)
      for _, role in ipairs { "chain", "roots", "key" } do
        local verdicts = pem.verdicts(text, { role = role })
        assert.is_true(#tostring(verdicts) > 0)
        for _, verdict in ipairs(verdicts) do
          assert.is_true(not verdict.refused or verdict.got == 0 and verdict.reason ~= nil, verdict.reader)
          assert.is_true(role == "key" or #verdict.blocks + #verdict.lost >= #verdicts.held, verdict.reader)
        end
      end
    end
    for _, text in ipairs { "", "\n", "\0", "no certificate here" } do
      local verdicts = pem.verdicts(text)
      assert.equal(0, #verdicts.held)
      assert.is_false(verdicts.ok)
      assert.same({}, verdicts:silent_losses())
    end
  end)

  it("find no loss in what repair made", function()
    local repaired, seen = 0, 0
    local every = debug.gethook() and 101 or 1
    for case in manglings.cases { { name = "chain", text = chain } } do
      seen = seen + 1
      local fixed = seen % every == 0 and pem.repair(case.text)
      if fixed then
        repaired = repaired + 1
        for _, role in ipairs { "chain", "roots" } do
          assert.same({}, names_of(pem.verdicts(fixed, { role = role }):silent_losses()), case.name)
        end
      end
    end
    assert.is_true(repaired > 500 // every, repaired)
  end)

  it("throw on what is no text and on an unknown role", function()
    assert.has_error(function() pem.verdicts(nil) end, "tcpki.pem.verdicts: text must be string, not nil")
    assert.has_error(function() pem.verdicts("", { role = "leaf" }) end,
      "tcpki.pem.verdicts: option 'role' is 'leaf' (known: chain, key, roots)")
    assert.has_error(function() pem.verdicts("", { reader = "go" }) end)
  end)
end)

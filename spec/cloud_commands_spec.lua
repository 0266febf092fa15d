local expect = require "spec.support.expect"
local openssl = require "spec.support.openssl"
local temporary = require "spec.support.temporary"
local tcpki = require "tcpki"
local accepted = require "tcpki.cloud.accepted"
local commands = require "tcpki.cloud.commands"
local filters = require "tcpki.cloud.filters"

describe("tcpki.cloud.commands", function()
  local directory, one, two

  setup(function()
    directory = temporary.directory()
    one = assert(tcpki.authority.new { common_name = "One" }).certificate
    two = assert(tcpki.authority.new { common_name = "Two" }).certificate
    -- What a command-line tool would get: each argument, and nothing else.
    for _, tool in ipairs { "tcld", "temporal" } do
      directory:file(tool, "#!/bin/sh\nprintf '%s\\0' \"${0##*/}\" \"$@\"\n")
      os.execute(("chmod +x '%s'"):format(directory:path(tool)))
    end
  end)

  teardown(function()
    directory:remove()
  end)

  -- Runs a command in a real shell, with a tool that says what it got.
  local function run(command)
    local script = directory:file(nil, ("PATH='%s':$PATH\n%s\n"):format(directory.root, command))
    local handle = assert(io.popen(("sh '%s'"):format(script)))
    local words = {}
    for word in handle:read "a":gmatch "([^\0]*)\0" do
      words[#words + 1] = word
    end
    handle:close()
    return words
  end

  it("quotes any text for a shell", function()
    for _, text in ipairs { "plain-1.2_x/y:z@w,v+u=", "", "a b", "it's", "''", "'", '"$HOME"', "`id`", "$(id)", "\\",
      "*", "~", "#x", "=x", "a\nb\n", "-n", "ünï", "!!", "&|;<>(){}[]?", "\t", "\1\127\255" } do
      local quoted = assert(commands.quote(text))
      local handle = assert(io.popen("printf '%s' " .. quoted))
      assert.equal(text, handle:read "a")
      handle:close()
    end
    assert.equal("plain=", commands.quote "plain=")
    expect.fault("bad_word", commands.quote "a\0b")
    expect.throws("text must be string", commands.quote, nil)
  end)

  describe("for accepted client CAs", function()
    local function change(tool, before, after, namespace)
      return commands.accepted { tool = tool, namespace = namespace or "payments.a1b2c",
        before = tcpki.bundle.new(before), after = tcpki.bundle.new(after) }
    end

    it("adds before it removes, with tcld", function()
      local list = assert(change("tcld", { one }, { two }))
      assert.equal(2, #list)
      local words = run(list[1])
      assert.equal(accepted.payload(tcpki.bundle.new { two }), table.remove(words))
      assert.same({ "tcld", "namespace", "accepted-client-ca", "add", "--namespace", "payments.a1b2c",
        "--ca-certificate" }, words)
      local fingerprint = openssl.run("x509 -noout -fingerprint -sha1", one:pem()):match "=(%S+)"
      assert.same({ "tcld", "namespace", "accepted-client-ca", "remove", "--namespace", "payments.a1b2c",
        "--ca-certificate-fingerprint", (fingerprint:gsub(":", ""):lower()) }, run(list[2]))
    end)

    it("adds before it removes, with temporal cloud", function()
      local list = assert(change("temporal cloud", { one }, { two }))
      assert.equal(2, #list)
      for i, part in ipairs { { "create", two }, { "delete", one } } do
        local words = run(list[i])
        assert.equal(part[2]:pem(), openssl.run("base64 -d -A", table.remove(words)))
        assert.same({ "temporal", "cloud", "namespace", "mtls", "cert-ca", part[1], "--namespace", "payments.a1b2c",
          "--ca-certificate" }, words)
      end
    end)

    it("names a file of what is added, where there is one", function()
      for _, tool in ipairs { "tcld", "temporal cloud" } do
        local list = assert(commands.accepted { tool = tool, namespace = "payments.a1b2c", added_path = "new ca.pem",
          before = tcpki.bundle.new { one }, after = tcpki.bundle.new { two } })
        local words = run(list[1])
        assert.same({ "--ca-certificate-file", "new ca.pem" }, { table.unpack(words, #words - 1) })
        assert.equal(change(tool, { one }, { two })[2], list[2])
      end
    end)

    it("quotes a namespace that nobody should have", function()
      local words = run(assert(change("tcld", { one }, { one, two }, "it's; rm -rf $HOME"))[1])
      assert.equal("it's; rm -rf $HOME", words[6])
    end)

    it("has nothing to do for the same set, and does not empty it", function()
      assert.same({}, assert(change("tcld", { one, two }, { two, one })))
      assert.same({}, assert(change("temporal cloud", { one }, { one })))
      expect.fault("last_certificate", change("tcld", { one }, {}))
    end)

    it("throws on a tool that does not exist, and on what is missing", function()
      expect.throws({ '"tcld" or "temporal cloud"', "kubectl" }, change, "kubectl", { one }, { two })
      expect.throws("option 'namespace' must be string", commands.accepted, { tool = "tcld" })
      expect.throws("option 'after' must be tcpki.bundle", commands.accepted,
        { tool = "tcld", namespace = "a", before = tcpki.bundle.new { one } })
    end)
  end)

  describe("for certificate filters", function()
    local before, after

    setup(function()
      before = assert(filters.new { { common_name = "keep" }, { common_name = "it's gone" } })
      after = assert(filters.new { { common_name = "keep" }, { organization = "O'Neil & \"Sons\" $HOME",
        organizational_unit = "a b", subject_alternative_name = "*.example.com" } })
    end)

    it("imports all at once with tcld, in JSON that reads back", function()
      local list = assert(commands.filters { tool = "tcld", namespace = "n.a1b2c", before = before, after = after })
      assert.equal(1, #list)
      local words = run(list[1])
      local json = table.remove(words)
      assert.same({ "tcld", "namespace", "certificate-filters", "import", "--namespace", "n.a1b2c",
        "--certificate-filter-input" }, words)
      assert.equal(after:json(), assert(filters.parse(json)):json())
      assert.is_nil(json:find "\n")
    end)

    it("creates before it deletes, with temporal cloud", function()
      local list = assert(commands.filters { tool = "temporal cloud", namespace = "n.a1b2c", before = before,
        after = after })
      local base = { "temporal", "cloud", "namespace", "mtls", "cert-filter" }
      local function words(...)
        return table.move({ ... }, 1, select("#", ...), 6, { table.unpack(base) })
      end
      assert.equal(2, #list)
      assert.same(words("create", "--namespace", "n.a1b2c", "--organization", "O'Neil & \"Sons\" $HOME",
        "--organizational-unit", "a b", "--subject-alternative-name", "*.example.com"), run(list[1]))
      assert.same(words("delete", "--namespace", "n.a1b2c", "--common-name", "it's gone"), run(list[2]))
    end)

    it("clears, and has nothing to do where nothing changes", function()
      assert.same({ "tcld namespace certificate-filters clear --namespace n.a1b2c" },
        assert(commands.filters { tool = "tcld", namespace = "n.a1b2c", before = before }))
      for _, tool in ipairs { "tcld", "temporal cloud" } do
        assert.same({}, assert(commands.filters { tool = tool, namespace = "n", before = before, after = before }))
        assert.same({}, assert(commands.filters { tool = tool, namespace = "n" }))
      end
    end)
  end)
end)

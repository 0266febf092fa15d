local manglings = require "spec.support.manglings"
local pem = require "tcpki.pem"
local tcpki = require "tcpki"

describe("a certificate that a reader loses in silence", function()
  local ca = assert(tcpki.authority.new { subject = { CN = "Acme" } })
  local leaf = assert(ca:issue { common_name = "worker", usage = "client" })
  local first, second = leaf.certificate:pem(), ca.certificate:pem()
  local chain = first .. second

  it("is an error of lint, with the readers, their users and the line", function()
    local finding = assert(pem.lint("\xef\xbb\xbf" .. chain, { expect = "chain" }):find "silent_loss")
    assert.equal("error", finding.severity)
    assert.equal(1, finding.line)
    assert.equal("certificate 1 is lost without an error by grpc, go and rustls", finding.message)
    assert.truthy(finding.who:find("the Temporal server", 1, true))
    assert.truthy(finding.who:find("the TypeScript, Python, .NET, Ruby and Rust SDKs", 1, true))
    assert.truthy(finding.hint:find("repair", 1, true))
  end)

  it("is told once for those that the same readers lose", function()
    local indented = (chain:gsub("%-%-%-%-%-BEGIN", " %0"))
    local report = pem.lint(indented .. chain, { expect = "bundle" })
    local messages = {}
    for _, finding in ipairs(report) do
      if finding.code == "silent_loss" then messages[#messages + 1] = finding.message end
    end
    assert.equal(1, #messages, tostring(report))
    assert.truthy(messages[1]:find("^certificates 1 and 2 are lost without an error by openssl, python, "), messages[1])
  end)

  it("is found where nothing else is wrong", function()
    for _, name in ipairs { "trailing-end-nul-last", "width-253-last" } do
      local text = manglings.named[name].apply(chain)
      assert.truthy(pem.lint(text, { expect = "chain" }):find "silent_loss", name)
    end
  end)

  it("has a refusal beside it, where a reader minds what lint does not", function()
    local finding = assert(pem.lint(chain .. (" "):rep(4096)):find "refused")
    assert.equal("netty would not read it: so much white space fills its stack", finding.message)
    assert.equal("the Java SDK", finding.who)
  end)

  it("is found in a file too, with its path", function()
    local path = os.tmpname()
    assert(tcpki.file.write(path, first .. "\0\n" .. second, { overwrite = true }))
    local report = assert(pem.lint_file(path, { expect = "bundle" }))
    os.remove(path)
    local finding = assert(report:find "silent_loss")
    assert.equal(path, finding.path)
    assert.equal("certificate 2 is lost without an error by openssl, python, grpc and grpc_openssl", finding.message)
  end)

  it("is not looked for in good texts, nor where a key is expected", function()
    for _, text in ipairs { chain, "a worker\n" .. chain, (chain:gsub("\n", "\r\n")), first } do
      assert.is_nil(pem.lint(text):find "silent_loss")
      assert.is_nil(pem.lint(text, { expect = "chain" }):find "silent_loss")
    end
    assert.is_nil(pem.lint("\xef\xbb\xbf" .. leaf.key:pem(), { expect = "key" }):find "silent_loss")
    assert.is_nil(pem.lint("\xef\xbb\xbf" .. leaf.key:pem()):find "silent_loss")
  end)

  it("comes back by repair, which says for whom", function()
    for name, reader in pairs { ["trailing-end-nul-last"] = "go", ["width-253-last"] = "grpc",
      ["width-253"] = "grpc", ["back-4096-spaces"] = "netty" } do
      local text = manglings.named[name].apply(chain)
      local fixed, changes = pem.repair(text)
      assert.equal(chain, fixed, name)
      assert.equal("rewritten", changes[#changes].code)
      assert.truthy(changes[#changes].message:find("^" .. reader .. " would not read it"), changes[#changes].message)
    end
    local same, changes = pem.repair("# a comment\n" .. chain)
    assert.equal("# a comment\n" .. chain, same)
    assert.same({}, changes)
  end)
end)

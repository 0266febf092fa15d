local child = require "spec.support.child"
local expect = require "spec.support.expect"
local temporary = require "spec.support.temporary"

local file = require "tcpki.file"
local tcpki = require "tcpki"

describe("directories", function()
  local directory

  before_each(function() directory = temporary.directory() end)
  after_each(function() directory:remove() end)

  it("are made once", function()
    assert.is_true(file.make_directory(directory:path "new"))
    assert.same({ "new" }, directory:names())
    local err = expect.fault("already_exists", file.make_directory(directory:path "new"))
    assert.equal(directory:path "new", err.path)
    assert.equal("choose another path, or move away what is there", err.hint)
    expect.fault("not_found", file.make_directory(directory:path "a/b"))
  end)

  it("are not made where that is not allowed", function()
    local _, output = child.run(([[
      local ok, err = require "tcpki.file".make_directory(%q)
      print(ok, err.code)]]):format(directory:path "new"), { as_nobody = true })
    assert.equal("nil\tpermission_denied\n", output)
  end)

  it("list what lies in them, with kinds and modes", function()
    assert(file.write(directory:path "key", "text", { mode = 384 }))
    assert(file.make_directory(directory:path ".below"))
    assert(os.execute(("ln -s key %s && mkfifo %s"):format(directory:path "link", directory:path "pipe")))
    local found = {}
    for _, entry in ipairs(assert(file.list(directory.root))) do
      found[entry.name] = entry.kind .. (entry.kind == "file" and (" %o"):format(entry.mode) or "")
    end
    assert.same({ key = "file 600", [".below"] = "directory", link = "link", pipe = "other" }, found)
    assert.same({}, file.list(directory:path ".below"))
    expect.fault("not_found", file.list(directory:path "none"))
    expect.fault("not_found", file.list(directory:path "key"))
  end)

  it("exchange their names", function()
    for _, name in ipairs { "a", "b" } do
      assert(file.make_directory(directory:path(name)))
      assert(file.write(directory:path(name .. "/file"), name))
    end
    assert.is_true(file.exchange(directory:path "a", directory:path "b"))
    assert.equal("b", temporary.content(directory:path "a/file"))
    assert.equal("a", temporary.content(directory:path "b/file"))
    expect.fault("not_found", file.exchange(directory:path "a", directory:path "none"))
    assert.equal("b", temporary.content(directory:path "a/file"))
    assert.same({ "a", "b" }, directory:names())
  end)

  it("take the owner and the mode of what they replace", function()
    assert(file.write(directory:path "former", "text", { mode = 416 }))
    assert(file.write(directory:path "new", "text", { mode = 384 }))
    if child.is_root() then assert(os.execute("chown 7:8 " .. directory:path "former")) end
    assert.is_true(file.adopt(directory:path "new", directory:path "former"))
    assert.equal("640", temporary.mode(directory:path "new"))
    assert.equal(temporary.owner(directory:path "former"), temporary.owner(directory:path "new"))
    expect.fault("not_found", file.adopt(directory:path "new", directory:path "none"))
    expect.fault("not_found", file.adopt(directory:path "none", directory:path "former"))
  end)

  it("refuse a path that is no path", function()
    for _, name in ipairs { "make_directory", "list", "exchange", "adopt" } do
      expect.throws("#1", file[name], 42)
      expect.throws("#1", file[name], "a\0b")
    end
  end)
end)

describe("a signature", function()
  it("is told by the key alone, whatever the names say", function()
    local one = assert(tcpki.authority.new { common_name = "Root" })
    local other = assert(tcpki.authority.new { common_name = "Root" })
    local renamed = assert(tcpki.authority.new { common_name = "Another", key = one.key })
    local leaf = assert(one:issue { common_name = "leaf", usage = "client" })
    assert.is_true(leaf.certificate:signed_by(one.key))
    assert.is_true(leaf.certificate:signed_by(renamed.certificate:public_key()))
    assert.is_false(leaf.certificate:issued_by(renamed.certificate))
    assert.is_false(leaf.certificate:signed_by(other.key))
    local crl = assert(one:crl())
    assert.is_true(crl:signed_by(renamed.key))
    assert.is_false(crl:signed_by(other.key))
    expect.throws("#2", leaf.certificate.signed_by, leaf.certificate, "key")
  end)
end)

local child = require "spec.support.child"
local expect = require "spec.support.expect"
local temporary = require "spec.support.temporary"
local tcpki = require "tcpki"

local file = tcpki.file

describe("tcpki.file", function()
  local directory

  before_each(function()
    directory = temporary.directory()
  end)

  after_each(function()
    os.execute("chmod -R u+rwx " .. directory.root)
    directory:remove()
  end)

  -- Runs a write in a child, and gives the code of its fault, or "ok".
  local function code_in_child(write, options)
    local ok, output = child.run(([[
      local tcpki = require "tcpki"
      local done, err = %s
      io.write(done and "ok" or err.code .. " " .. tostring(err.path))
    ]]):format(write), options)
    assert.is_true(ok, output)
    return output
  end

  describe("write", function()
    it("writes the whole content with the mode that is asked", function()
      for name, content in pairs {
        empty = "", binary = ("\0\xff\r\n"):rep(1000), large = ("x"):rep(5 * 1024 * 1024),
      } do
        local path = directory:path(name)
        assert.is_true(file.write(path, content, { mode = 384 }))
        assert.equal(content, temporary.content(path))
        assert.equal("600", temporary.mode(path))
      end
      assert.is_true(file.write(directory:path "plain", "a"))
      assert.equal("644", temporary.mode(directory:path "plain"))
      assert.same({ "binary", "empty", "large", "plain" }, directory:names())
    end)

    it("gives the mode that is asked, whatever the umask", function()
      local path = directory:path "a"
      assert.equal("ok", code_in_child(
        ('tcpki.file.write("%s", "a", { mode = 420 })'):format(path), { before = "umask 077;" }))
      assert.equal("644", temporary.mode(path))
    end)

    it("takes a path of every form", function()
      local root = directory.root
      local name = root:match "[^/]+$"
      for i, path in ipairs {
        root .. "/a", root .. "//b", root .. "/../" .. name .. "/c", root .. "/with blank 'quotes'",
        root .. "/" .. ("n"):rep(200), root .. "/-dash", root .. "/ü",
      } do
        assert.is_true(file.write(path, tostring(i)), path)
        assert.equal(tostring(i), temporary.content(path))
      end
      assert.equal("ok", code_in_child([[tcpki.file.write("relative", "a")]],
        { before = "cd " .. root .. ";" }))
      assert.equal("a", temporary.content(root .. "/relative"))
    end)

    it("does not overwrite unless it is asked", function()
      local path = directory:file("a", "old")
      local err = expect.fault("already_exists", file.write(path, "new"))
      assert.equal(path, err.path)
      assert.matches("overwrite", err.hint)
      assert.equal("old", temporary.content(path))
      assert.is_true(file.write(path, "new", { overwrite = true }))
      assert.equal("new", temporary.content(path))
      assert.is_true(file.write(directory:path "b", "new", { overwrite = true }))
      assert.same({ "a", "b" }, directory:names())
    end)

    it("keeps the owner of what it overwrites", function()
      if not child.is_root() then
        pending "only root can give a file to another owner"
        return
      end
      local path = directory:file("a.key", "old")
      assert(os.execute("chown 65534:65533 " .. path))
      assert.is_true(assert(tcpki.key.generate()):write(path, { overwrite = true }))
      assert.equal("65534:65533", temporary.owner(path))
      assert.equal("600", temporary.mode(path))
    end)

    it("leaves the other names of what it overwrites as they were", function()
      local path = directory:file("a", "old")
      assert(os.execute(("ln %s %s"):format(path, directory:path "b")))
      assert.is_true(file.write(path, "new", { overwrite = true }))
      assert.equal("old", temporary.content(directory:path "b"))
    end)

    it("refuses a symbolic link, whatever it points to", function()
      local target = directory:file("target", "old")
      for _, to in ipairs { target, directory:path "nowhere", directory.root } do
        local link = directory:path()
        assert(os.execute(("ln -s %s %s"):format(to, link)))
        for _, overwrite in ipairs { false, true } do
          local err = expect.fault("symbolic_link",
            file.write(link, "new", { overwrite = overwrite }))
          assert.equal(link, err.path)
        end
      end
      assert.equal("old", temporary.content(target))
      assert.is_nil(io.open(directory:path "nowhere"))
    end)

    it("follows a symbolic link to its directory", function()
      assert(os.execute(("mkdir %s && ln -s %s %s"):format(directory:path "real",
        directory:path "real", directory:path "link")))
      assert.is_true(file.write(directory:path "link/a", "new"))
      assert.equal("new", temporary.content(directory:path "real/a"))
    end)

    it("refuses what is no regular file", function()
      local fifo = directory:path "fifo"
      assert(os.execute(("mkfifo %s && mkdir %s"):format(fifo, directory:path "sub")))
      expect.fault("not_a_file", file.write(fifo, "a", { overwrite = true }))
      expect.fault("not_a_file", file.write(directory:path "sub", "a", { overwrite = true }))
      expect.fault("not_a_file", file.write(directory.root .. "/", "a"))
      expect.fault("not_a_file", file.write(directory.root .. "/.", "a"))
      expect.fault("not_a_file", file.write(directory.root .. "/sub/..", "a"))
      expect.fault("not_a_file", file.write("/dev/null", "a", { overwrite = true }))
    end)

    it("names the path where there is no such directory", function()
      local path = directory:path "none/a"
      assert.equal(path, expect.fault("not_found", file.write(path, "a")).path)
      local plain = directory:file("plain", "a")
      expect.fault("not_found", file.write(plain .. "/a", "a"))
    end)

    it("cannot write into a directory that is not writable", function()
      assert(os.execute("chmod 555 " .. directory.root))
      local path = directory:path "a"
      for _, write in ipairs {
        [[tcpki.file.write("%s", "a")]], [[tcpki.file.write("%s", "a", { overwrite = true })]],
        [[assert(tcpki.key.generate()):write("%s")]],
        [[assert(tcpki.authority.new { common_name = "a" }).certificate:write("%s")]],
      } do
        assert.equal("permission_denied " .. path,
          code_in_child(write:format(path), { as_nobody = true }))
      end
      assert.same({}, directory:names())
    end)

    it("leaves the target as it was where the directory is not writable", function()
      local path = directory:file("a", "old")
      assert(os.execute(("chmod 666 %s && chmod 555 %s"):format(path, directory.root)))
      assert.equal("permission_denied " .. path, code_in_child(
        ([[tcpki.file.write("%s", "new", { overwrite = true })]]):format(path),
        { as_nobody = true }))
      assert.equal("old", temporary.content(path))
    end)

    -- A limit on the size of files gives EFBIG on every system, where ENOSPC needs a disk.
    it("leaves the old file and nothing else where the content does not fit", function()
      local path = directory:file("a", "old")
      local code = code_in_child(([[(function()
        return tcpki.file.write("%s", ("x"):rep(100000), { overwrite = true })
      end)()]]):format(path), { before = "trap '' XFSZ; ulimit -f 4;" })
      assert.equal("no_space " .. path, code)
      assert.equal("old", temporary.content(path))
      assert.same({ "a" }, directory:names())
    end)

    it("leaves the old file and nothing else on a disk that is full", function()
      local disk = directory:path "disk"
      if not (child.is_root() and os.execute(("mkdir %s && mount -t tmpfs -o size=64k none %s "
        .. "2>/dev/null"):format(disk, disk))) then
        pending "needs the right to mount a small disk"
        return
      end
      local path = disk .. "/a"
      local ok, message = pcall(function()
        assert.is_true(file.write(path, "old"))
        local err = expect.fault("no_space", file.write(path, ("x"):rep(200000),
          { overwrite = true }))
        assert.equal(path, err.path)
        assert.equal("old", temporary.content(path))
        assert.same({ "a" }, directory:names "disk")
        assert.is_true(file.write(disk .. "/fill", ("x"):rep(56 * 1024)))
        local authority = assert(tcpki.authority.new { common_name = "a" })
        local leaf = assert(authority:issue { usage = "server",
          subject_alt_names = { { type = "uri", value = "a://" .. ("x"):rep(8000) } } })
        expect.fault("no_space", leaf:write(disk .. "/a.key", disk .. "/a.pem"))
        assert.same({ "a", "fill" }, directory:names "disk")
      end)
      os.execute("umount " .. disk)
      assert.is_true(ok, tostring(message))
    end)

    it("says of a file system that is read-only that it is, and not of owners and modes", function()
      local disk = directory:path "disk"
      if not (child.is_root() and os.execute(("mkdir %s && mount -t tmpfs -o ro none %s 2>/dev/null"):format(disk,
        disk))) then
        pending "needs the right to mount a disk"
        return
      end
      local _, err = file.write(disk .. "/a", "text")
      local _, busy = tcpki.lock.directory(disk)
      os.execute("umount " .. disk)
      for _, one in ipairs { err, busy } do
        assert.equal("permission_denied", one.code)
        assert.matches("^mount the file system for writing", one.hint)
      end
      assert.equal(disk, busy.path)
    end)

    it("is old or new, and whole, whenever it is killed", function()
      local path = directory:file("a", ("0"):rep(300000))
      local code = ([[
        local file = require("tcpki").file
        ready()
        while true do
          for digit = 0, 9 do
            assert(file.write("%s", tostring(digit):rep(300000), { overwrite = true }))
          end
        end
      ]]):format(path)
      local alive = 0
      for _ = 1, 25 do
        alive = alive + (child.kill_after(math.random() * 0.02, code) and 1 or 0)
        local content = temporary.content(path)
        assert.equal(300000, #content)
        assert.equal(content:sub(1, 1):rep(300000), content)
      end
      assert.equal(25, alive)
      -- What a killed writer leaves is beside the target, under a name that nothing reads.
      for _, name in ipairs(directory:names()) do
        assert.is_truthy(name == "a" or name:match "^%.tcpki%-%x+$", name)
      end
    end)

    it("throws on a mistake of the program, and names the argument", function()
      expect.throws({ "#1", "string expected" }, file.write)
      expect.throws({ "#2", "string expected" }, file.write, "a")
      expect.throws({ "#2", "string expected" }, file.write, "a", 42)
      expect.throws({ "#1", "path is empty" }, file.write, "", "a")
      expect.throws({ "#1", "NUL" }, file.write, "a\0b", "a")
      expect.throws({ "unknown option 'append'", "mode, overwrite" }, file.write, "a", "b",
        { append = true })
      expect.throws({ "'mode'", "0777" }, file.write, "a", "b", { mode = 512 })
      expect.throws({ "'mode'", "integer" }, file.write, "a", "b", { mode = "600" })
      expect.throws({ "'overwrite'", "boolean" }, file.write, "a", "b", { overwrite = 1 })
      expect.throws({ "#3", "table expected" }, file.write, "a", "b", true)
    end)
  end)

  describe("read", function()
    it("gives the bytes that are there", function()
      for _, content in ipairs { "", "a", ("\0\xff\r\n"):rep(50000) } do
        assert.equal(content, file.read(directory:file("a", content)))
      end
    end)

    it("reads what has no size: pipes and devices", function()
      local ok, output = child.run([[io.write(#require("tcpki").file.read("/dev/stdin"))]],
        { before = "head -c 100000 /dev/zero |" })
      assert.is_true(ok, output)
      assert.equal("100000", output)
      assert.equal("", file.read "/dev/null")
    end)

    it("stops at 64 MiB, whatever the size claims", function()
      local path = directory:path "huge"
      assert(os.execute("truncate -s 67108865 " .. path))
      assert.equal(path, expect.fault("too_large", file.read(path)).path)
      assert(os.execute("truncate -s 67108864 " .. path))
      assert.equal(67108864, #assert(file.read(path)))
      assert.equal("/dev/zero", expect.fault("too_large", file.read "/dev/zero").path)
    end)

    it("says so where the memory does not suffice", function()
      if (os.getenv "BUILD" or ""):find "asan" then
        pending "the address sanitizer needs more address space than any limit leaves"
        return
      end
      local path = directory:path "large"
      assert(os.execute("truncate -s 60M " .. path))
      assert.matches("^out_of_memory", code_in_child(([[tcpki.file.read("%s")]]):format(path),
        { before = "ulimit -v 50000;" }))
    end)

    it("names the path that it cannot read", function()
      local missing = directory:path "missing"
      assert.equal(missing, expect.fault("not_found", file.read(missing)).path)
      expect.fault("not_a_file", file.read(directory.root))
      expect.fault("not_found", file.read(directory:file("plain", "a") .. "/a"))
      local loop = directory:path "loop"
      assert(os.execute(("ln -s loop %s"):format(loop)))
      expect.fault("symbolic_link", file.read(loop))
      local secret = directory:file("secret", "a")
      assert(os.execute("chmod 000 " .. secret))
      assert.equal("permission_denied " .. secret,
        code_in_child(([[tcpki.file.read("%s")]]):format(secret), { as_nobody = true }))
      expect.fault("input_output", file.read "/proc/self/mem")
    end)

    it("throws on a mistake of the program", function()
      expect.throws({ "#1", "string expected" }, file.read)
      expect.throws({ "#1", "path is empty" }, file.read, "")
      expect.throws({ "#1", "NUL" }, file.read, "a\0b")
    end)
  end)
end)

describe("a pair of key and certificate", function()
  local directory, ca, old, new, key_path, chain_path

  setup(function()
    ca = assert(tcpki.authority.new { common_name = "ca" })
    old = assert(ca:issue { common_name = "old", usage = "client" })
    new = assert(ca:issue { common_name = "new", usage = "client" })
  end)

  before_each(function()
    directory = temporary.directory()
    key_path, chain_path = directory:path "a.key", directory:path "a.pem"
  end)

  after_each(function()
    directory:remove()
  end)

  local function is_pair(leaf)
    assert.equal(leaf.key:pem(), temporary.content(key_path))
    assert.equal(leaf.chain:pem(), temporary.content(chain_path))
    assert.same({ "a.key", "a.pem" }, directory:names())
  end

  local function put(names)
    local texts = { old = old, new = new }
    for name, which in pairs(names) do
      local leaf = texts[which]
      directory:file(name, name:match "^a%.key" and leaf.key:pem() or leaf.chain:pem())
    end
  end

  -- The states that a writer leaves who is killed after so many of the steps of src/pki/pair.c.
  -- In a renewal the old pair comes back until the last step, with which the new one is there.
  local renewals = {
    { { ["a.key"] = "old", ["a.pem"] = "old", ["a.key.tcpki-new"] = "new" }, "undone", "old" },
    { { ["a.key"] = "old", ["a.pem"] = "old", ["a.key.tcpki-new"] = "new",
      ["a.pem.tcpki-new"] = "new" }, "undone", "old" },
    { { ["a.key"] = "old", ["a.pem"] = "old", ["a.key.tcpki-new"] = "new",
      ["a.pem.tcpki-new"] = "new", ["a.key.tcpki-old"] = "old" }, "undone", "old" },
    { { ["a.key"] = "old", ["a.pem"] = "old", ["a.key.tcpki-new"] = "new",
      ["a.pem.tcpki-new"] = "new", ["a.key.tcpki-old"] = "old", ["a.pem.tcpki-old"] = "old" },
      "undone", "old" },
    { { ["a.key"] = "new", ["a.pem"] = "old", ["a.pem.tcpki-new"] = "new",
      ["a.key.tcpki-old"] = "old", ["a.pem.tcpki-old"] = "old" }, "undone", "old" },
    { { ["a.key"] = "new", ["a.pem"] = "new", ["a.key.tcpki-old"] = "old",
      ["a.pem.tcpki-old"] = "old" }, nil, "new" },
    { { ["a.key"] = "new", ["a.pem"] = "new", ["a.pem.tcpki-old"] = "old" }, nil, "new" },
    { { ["a.key"] = "new", ["a.pem"] = "new" }, nil, "new" },
  }

  for steps, case in ipairs(renewals) do
    it(("is whole again after a renewal was killed, state %d"):format(steps), function()
      put(case[1])
      local done, found = tcpki.key.mend_pair(key_path, chain_path)
      assert.is_true(done)
      assert.equal(case[2], found)
      is_pair(case[3] == "old" and old or new)
      done, found = tcpki.key.mend_pair(key_path, chain_path)
      assert.is_true(done)
      assert.is_nil(found)
    end)

    it(("is renewed by the next run after one was killed, state %d"):format(steps), function()
      put(case[1])
      local third = assert(ca:issue { common_name = "third", usage = "client" })
      local done, found = third:write(key_path, chain_path, { overwrite = true })
      assert.is_true(done)
      assert.equal(case[2], found)
      is_pair(third)
    end)
  end

  it("whose undoing was killed too comes back all the same", function()
    -- After the old key has its name back: the certificate still has its own.
    for _, names in ipairs {
      { ["a.key"] = "old", ["a.pem"] = "old", ["a.pem.tcpki-new"] = "new",
        ["a.pem.tcpki-old"] = "old" },
      { ["a.key"] = "old", ["a.pem"] = "old", ["a.pem.tcpki-new"] = "new" },
      { ["a.key"] = "old", ["a.pem"] = "old", ["a.key.tcpki-new"] = "new",
        ["a.pem.tcpki-new"] = "new", ["a.pem.tcpki-old"] = "old" },
    } do
      put(names)
      local done, found = tcpki.key.mend_pair(key_path, chain_path)
      assert.is_true(done)
      assert.equal("undone", found)
      is_pair(old)
    end
  end)

  it("written for the first time is undone or finished", function()
    for _, case in ipairs {
      { { ["a.key.tcpki-new"] = "new" }, "undone" },
      { { ["a.key.tcpki-new"] = "new", ["a.pem.tcpki-new"] = "new" }, "undone" },
      -- as a mender leaves it who is killed in turn
      { { ["a.pem.tcpki-new"] = "new" }, "undone" },
      { { ["a.key"] = "new", ["a.pem.tcpki-new"] = "new" }, "finished" },
    } do
      put(case[1])
      local done, found = tcpki.key.mend_pair(key_path, chain_path)
      assert.is_true(done)
      assert.equal(case[2], found)
      if case[2] == "finished" then
        is_pair(new)
      else
        assert.same({}, directory:names())
      end
    end
  end)

  it("that lacks a half is not taken for one, nor written over", function()
    directory:file("a.key", "of something else")
    local err = expect.fault("already_exists",
      new:write(key_path, chain_path, { overwrite = true }))
    assert.equal(key_path, err.path)
    assert.equal("of something else", temporary.content(key_path))
    assert.same({ "a.key" }, directory:names())
    os.remove(key_path)
    directory:file("a.pem", "of something else")
    assert.equal(chain_path, expect.fault("already_exists",
      new:write(key_path, chain_path, { overwrite = true })).path)
    assert.same({ "a.pem" }, directory:names())
  end)

  it("is mended where there is nothing at all", function()
    local done, found = tcpki.key.mend_pair(key_path, chain_path)
    assert.is_true(done)
    assert.is_nil(found)
    expect.fault("not_found", tcpki.key.mend_pair(directory:path "none/a.key", chain_path))
    expect.throws({ "#2", "string expected" }, tcpki.key.mend_pair, key_path)
  end)

  it("is one that fits whenever the writer is killed", function()
    assert.is_true(old:write(key_path, chain_path))
    local code = ([[
      local tcpki = require "tcpki"
      local ca = assert(tcpki.authority.new { common_name = "ca" })
      local leaves = {}
      for i = 1, 4 do
        leaves[i] = assert(ca:issue { common_name = "leaf " .. i, usage = "client" })
      end
      ready()
      while true do
        for i = 1, 4 do
          assert(leaves[i]:write("%s", "%s", { overwrite = true }))
        end
      end
    ]]):format(key_path, chain_path)
    local alive = 0
    for _ = 1, 50 do
      alive = alive + (child.kill_after(math.random() * 0.02, code) and 1 or 0)
      -- Before anything is mended the old or the new pair can be had: under the names, or with
      -- the one half that was kept beside.
      local key = assert(tcpki.key.read(key_path))
      local kept = tcpki.key.read(key_path .. ".tcpki-old")
      local chain = assert(tcpki.chain.read(chain_path))
      assert.is_true(key:matches(chain[1]) or kept ~= nil and kept:matches(chain[1]))
      local done, found = tcpki.key.mend_pair(key_path, chain_path)
      assert.is_true(done)
      assert.is_true(found == nil or found == "undone")
      key = assert(tcpki.key.read(key_path))
      assert.is_true(key:matches(assert(tcpki.chain.read(chain_path))[1]))
      assert.equal("600", temporary.mode(key_path))
      assert.same({ "a.key", "a.pem" }, directory:names())
    end
    assert.equal(50, alive)
  end)

  it("has one writer at a time", function()
    assert.is_true(old:write(key_path, chain_path))
    local ok, output = child.run(([[
      local tcpki = require "tcpki"
      local leaf = assert(assert(tcpki.authority.new { common_name = "ca" })
        :issue { common_name = "a", usage = "client" })
      local done, err = leaf:write("%s", "%s", { overwrite = true })
      io.write(done and "ok" or err.code)
      done, err = tcpki.key.mend_pair("%s", "%s")
      io.write(" ", done and "ok" or err.code)
    ]]):format(key_path, chain_path, key_path, chain_path),
      { before = ("exec 9<%s; flock -x 9;"):format(directory.root) })
    assert.is_true(ok, output)
    assert.equal("busy busy", output)
    is_pair(old)
  end)

  it("may have its halves in two directories", function()
    assert(os.execute(("mkdir %s %s"):format(directory:path "keys", directory:path "certificates")))
    local key, chain = directory:path "keys/a", directory:path "certificates/a"
    for _, leaf in ipairs { old, new } do
      assert.is_true(leaf:write(key, chain, { overwrite = true }))
      assert.equal(leaf.key:pem(), temporary.content(key))
      assert.equal(leaf.chain:pem(), temporary.content(chain))
    end
    assert.same({ "a" }, directory:names "keys")
    assert.same({ "a" }, directory:names "certificates")
  end)

  it("cannot be one file", function()
    expect.fault("already_exists", new:write(key_path, key_path))
    expect.fault("already_exists",
      new:write(key_path, directory.root .. "/./a.key", { overwrite = true }))
    assert.same({}, directory:names())
  end)

  it("is not written through a symbolic link", function()
    assert.is_true(old:write(key_path, chain_path))
    local link = directory:path "link"
    assert(os.execute(("ln -s %s %s"):format(chain_path, link)))
    expect.fault("symbolic_link", new:write(key_path, link, { overwrite = true }))
    assert.equal(old.key:pem(), temporary.content(key_path))
    assert.same({ "a.key", "a.pem", "link" }, directory:names())
  end)

  it("keeps its owner, and the mode of a key", function()
    if not child.is_root() then
      pending "only root can give a file to another owner"
      return
    end
    assert.is_true(old:write(key_path, chain_path))
    assert(os.execute(("chown 65534:65533 %s %s && chmod 644 %s"):format(key_path, chain_path,
      key_path)))
    assert.is_true(new:write(key_path, chain_path, { overwrite = true }))
    assert.equal("65534:65533", temporary.owner(key_path))
    assert.equal("65534:65533", temporary.owner(chain_path))
    assert.equal("600", temporary.mode(key_path))
  end)

  it("stays as it was where the disk has no room for the new one", function()
    assert.is_true(old:write(key_path, chain_path))
    local ok, output = child.run(([[
      local tcpki = require "tcpki"
      local leaf = assert(assert(tcpki.authority.new { common_name = "ca" }):issue {
        usage = "server",
        subject_alt_names = { { type = "uri", value = "a://" .. ("x"):rep(9000) } } })
      local done, err = leaf:write("%s", "%s", { overwrite = true })
      io.write(done and "ok" or err.code .. " " .. err.path)
    ]]):format(key_path, chain_path), { before = "trap '' XFSZ; ulimit -f 4;" })
    assert.is_true(ok, output)
    assert.equal("no_space " .. chain_path, output)
    is_pair(old)
  end)
end)

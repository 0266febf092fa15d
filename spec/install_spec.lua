-- The rock, built from this tree into a clean one and loaded from there.

describe("the rock #install", function()
  local directory

  -- Without the paths of this run, under which the modules of the working tree would be found.
  local function run(command)
    local handle = assert(io.popen(
      "exec </dev/null 2>&1; unset LUA_PATH LUA_CPATH BUILD; " .. command))
    local output = handle:read "a"
    local ok = handle:close()
    return ok, output
  end

  local function in_tree(tree, statement)
    return run(([[LUA_PATH='%s/share/lua/5.4/?.lua;%s/share/lua/5.4/?/init.lua' ]] ..
      [[LUA_CPATH='%s/lib/lua/5.4/?.so' lua5.4 -e '%s']]):format(tree, tree, tree, statement))
  end

  -- What the rock depends on is there from the distribution's packages, of which LuaRocks knows nothing.
  local function make(tree, environment)
    return run(("MAKEFLAGS=-j2 %s luarocks --lua-version 5.4 make --deps-mode none --tree %s tcpki-scm-1.rockspec")
      :format(environment or "", tree))
  end

  setup(function()
    directory = os.tmpname()
    os.remove(directory)
    assert(os.execute("mkdir " .. directory))
  end)

  teardown(function()
    os.execute("rm -rf " .. directory)
  end)

  it("has a rockspec without lint", function()
    local ok, output = run "luarocks --lua-version 5.4 lint tcpki-scm-1.rockspec"
    assert.is_true(ok, output)
  end)

  it("builds into a clean tree, from which both modules load", function()
    local tree = directory .. "/whole"
    local ok, output = make(tree, "PROBE=yes")
    assert.is_true(ok, output)
    ok, output = in_tree(tree, [[
      local tcpki = require "tcpki"
      assert(tcpki.key.generate{ type = "ec" })
      assert(type(require "tcpki.probe".run) == "function")
      print(package.searchpath("tcpki.core", package.cpath))
      print(package.searchpath("tcpki.probe.core", package.cpath))
    ]])
    assert.is_true(ok, output)
    assert.equal(("%s/lib/lua/5.4/tcpki/core.so\n%s/lib/lua/5.4/tcpki/probe/core.so\n")
      :format(tree, tree), output)
  end)

  it("writes JSON with lua-cjson, and says what to install where that is missing", function()
    local tree = directory .. "/whole"
    local statement = [[
      local report = require "tcpki.report".new():add { code = "a", severity = "info", message = "b" }
      print(pcall(report.json, report))
    ]]
    local ok, output = in_tree(tree, statement)
    assert.is_true(ok, output)
    assert.matches("^false\t.*apt install lua%-cjson", output)
    ok, output = run(([[LUA_PATH='%s/share/lua/5.4/?.lua;;' LUA_CPATH='%s/lib/lua/5.4/?.so;;' lua5.4 -e '%s']])
      :format(tree, tree, statement))
    assert.is_true(ok, output)
    assert.matches('^true\t{.*"code": "a"', output)
  end)

  it("installs every Lua file of the tree", function()
    local ok, output = run(("diff -r lua %s/whole/share/lua/5.4"):format(directory))
    assert.is_true(ok, output)
  end)

  it("leaves no file behind when it is removed", function()
    local ok, output = run(("luarocks --lua-version 5.4 remove --tree %s/whole tcpki")
      :format(directory))
    assert.is_true(ok, output)
    ok, output = run(("find %s/whole -path '*tcpki*'"):format(directory))
    assert.is_true(ok)
    assert.equal("", output)
  end)

  it("says that it leaves the probe out, and the rest works, where gRPC is missing", function()
    local tree = directory .. "/core"
    local ok, output = make(tree, "PROBE=auto PROTOC_C=protoc-c-that-is-not-here")
    assert.is_true(ok, output)
    assert.matches("tcpki.probe is not built", output, 1, true)
    ok, output = in_tree(tree, [[
      assert(require "tcpki".key.generate{ type = "ec" })
      assert(not pcall(require, "tcpki.probe"))
    ]])
    assert.is_true(ok, output)
  end)
end)

local child = require "spec.support.child"
local expect = require "spec.support.expect"
local temporary = require "spec.support.temporary"
local tcpki = require "tcpki"

local lock = tcpki.lock

describe("tcpki.lock", function()
  local directory

  before_each(function()
    directory = temporary.directory()
  end)

  after_each(function()
    os.execute("chmod -R u+rwx " .. directory.root)
    directory:remove()
  end)

  -- What a second process says to the lock: "ok" or the fault.
  local function other(call, options)
    local _, output = child.run(([[
      local held, err = require "tcpki".lock.%s
      io.write(held and "ok" or tostring(err))
    ]]):format(call), options)
    return output
  end

  -- Holds the file by the flock command until the function that is returned is called.
  local function hold_by_flock(path)
    local there, pid = directory:path "there", directory:path "pid"
    os.execute(("flock '%s' sh -c 'touch %s; exec sleep 60' >/dev/null 2>&1 & echo $! >%s"):format(path, there, pid))
    while not tcpki.file.read(there) do os.execute "sleep 0.01" end
    return function() os.execute(("pkill -P $(cat %s)"):format(pid)) end
  end

  local function is_free_for_flock(path)
    return os.execute(("flock -n '%s' true"):format(path)) == true
  end

  it("lets one process in, and tells the other who is in, since when and what for", function()
    local held <close> = assert(lock.directory(directory.root, "renew payments"))
    local said = other(("directory %q"):format(directory.root))
    assert.matches("another run holds the lock: process %d+ on %S+ since %d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d UTC, "
      .. "renew payments", said)
    assert.matches("%(busy%)", said)
    assert.matches("a run that was killed holds no lock", said)
    assert.matches(directory.root .. "/.tcpki-lock", said, 1, true)
    assert.equal("tcpki.lock (" .. directory.root .. "/.tcpki-lock)", tostring(held))
    local handle = assert(io.popen "echo $PPID")
    local process = handle:read "l"
    handle:close()
    assert.truthy(said:find("process " .. process .. " on", 1, true), said)
  end)

  it("holds the file so that the flock command sees it too", function()
    local held = assert(lock.directory(directory.root))
    local path = directory:path ".tcpki-lock"
    assert.is_false(is_free_for_flock(path))
    held:release()
    assert.same({}, directory:names())
    assert.equal("tcpki.lock (released)", tostring(held))
    held:release()
    local release = hold_by_flock(path)
    expect.fault("busy", lock.directory(directory.root))
    release()
  end)

  it("is busy for a second one in the same process too", function()
    local held = assert(lock.file(directory:path "state.json"))
    local err = expect.fault("busy", lock.file(directory:path "state.json"))
    assert.equal(directory:path "state.json.lock", err.path)
    held:release()
    assert(lock.file(directory:path "state.json")):release()
  end)

  it("is released by the end of its scope, by an error and by the collector", function()
    do
      local held <close> = assert(lock.directory(directory.root))
      assert.equal("userdata", type(held))
    end
    pcall(function()
      local held <close> = assert(lock.directory(directory.root))
      error(held)
    end)
    local function take_and_forget() assert(lock.directory(directory.root)) end
    take_and_forget()
    collectgarbage()
    assert.equal("ok", other(("directory %q"):format(directory.root)))
    assert.same({}, directory:names())
  end)

  it("is released by a kill, and the file that is left holds nobody up", function()
    assert.is_true(child.kill_after(0.05, ([[
      local held = assert(require "tcpki".lock.directory(%q, "the killed one"))
      ready()
      while held do end
    ]]):format(directory.root)))
    assert.same({ ".tcpki-lock" }, directory:names())
    local held <close> = assert(lock.directory(directory.root, "the next"))
    assert.matches("the next\n$", temporary.content(directory:path ".tcpki-lock"))
    assert.equal("userdata", type(held))
  end)

  it("lets one of several in at a time, however often they come and go", function()
    local counter = directory:file("counter", "0")
    local code = ([[
      local tcpki = require "tcpki"
      local done = 0
      while done < 100 do
        local held, err = tcpki.lock.file(%q)
        if held then
          local count = assert(tcpki.file.read(%q))
          local file = assert(io.open(%q, "w"))
          file:write(tostring(math.tointeger(count) + 1))
          file:close()
          held:release()
          done = done + 1
        elseif err.code ~= "busy" then
          error(err)
        end
      end
    ]]):format(counter, counter, counter)
    local commands = {}
    for _ = 1, 3 do
      commands[#commands + 1] = "(" .. child.command(code) .. ") &"
    end
    assert(os.execute(table.concat(commands, "\n") .. "\nwait"))
    assert.equal("300", temporary.content(counter))
    assert.same({ "counter" }, directory:names())
  end)

  it("names what is in the way where it cannot be taken", function()
    assert.equal(directory:path "nowhere", expect.fault("not_found", lock.directory(directory:path "nowhere")).path)
    expect.fault("not_found", lock.directory(directory:file("plain", "")))
    os.execute("ln -s elsewhere " .. directory:path "state.lock")
    assert.equal(directory:path "state.lock", expect.fault("symbolic_link", lock.file(directory:path "state")).path)
    os.execute("mkfifo " .. directory:path "pipe.lock")
    expect.fault("not_a_file", lock.file(directory:path "pipe"))
    os.execute("chmod a-w " .. directory.root)
    local said = other(("directory %q"):format(directory.root), { as_nobody = true })
    assert.matches(directory.root .. ": cannot open the lock: Permission denied (permission_denied)", said, 1, true)
    assert.same({ "pipe.lock", "plain", "state.lock" }, directory:names())
  end)

  it("leaves no file where there is no space to say who holds it", function()
    os.execute("chmod 777 " .. directory.root)
    local said = other(("directory %q"):format(directory.root), { before = "ulimit -f 0; trap '' XFSZ;" })
    assert.matches("%(no_space%)", said)
    assert.same({}, directory:names())
  end)

  it("reports no control characters that someone put into the file", function()
    local path = directory:path "state.lock"
    directory:file("state.lock", "process 1\27[31m\nmore")
    local release = hold_by_flock(path)
    local err = expect.fault("busy", lock.file(directory:path "state"))
    assert.equal("another run holds the lock: process 1", err.message)
    release()
  end)

  it("throws for what is no path", function()
    expect.throws("path", lock.directory, 42)
    expect.throws("purpose", lock.file, "a", {})
    expect.throws("NUL", lock.file, "a\0b")
  end)
end)

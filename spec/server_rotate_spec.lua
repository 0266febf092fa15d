local child = require "spec.support.child"
local cluster_state = require "spec.support.cluster_state"
local expect = require "spec.support.expect"
local temporary = require "spec.support.temporary"

local probe = require "tcpki.probe"
local server = require "tcpki.server"
local tcpki = require "tcpki"

local HOST = "temporal.acme.example"

local function always()
  return true
end

describe("the rotation of a cluster", function()
  local directory, path

  local function make(given)
    given = given or {}
    given.hosts, given.clients = given.hosts or { HOST }, given.clients or { "payments", "orders" }
    return assert(assert(server.cluster(given)):write(directory:path "temporal"))
  end

  local function rotate(given)
    given.directory = path
    given.verify = given.verify or (not given.address and always) or nil
    return server.rotate(given)
  end

  local function text(name)
    return temporary.content(path .. "/" .. name)
  end

  local function slots(name)
    return { text(("certs/%s-1.pem"):format(name)), text(("certs/%s-2.pem"):format(name)) }
  end

  local function anchor(name)
    return assert(tcpki.certificate.read(path .. "/" .. name)):pem()
  end

  before_each(function()
    directory = temporary.in_memory()
    path = make()
  end)
  after_each(function() directory:remove() end)

  it("goes as far as nobody has to change, and to the end once it is told to", function()
    local a = { servers = anchor "authority/server-ca.pem", clients = anchor "authority/client-ca.pem" }
    local seen = {}
    local rotation = assert(rotate { verify = function(step)
      seen[#seen + 1] = step.name
      assert.is_nil(cluster_state.wrong(path, HOST))
      return true
    end })
    assert.is_nil(cluster_state.wrong_for_openssl(path, HOST))
    local report = assert(server.check(path .. "/config/tls.yaml", { root = path }))
    assert.equal(0, #report, tostring(report))
    assert.same({ "trust", "clients", "leaves" }, seen)
    assert.is_false(rotation.done)
    assert.equal("withdraw", rotation.waiting)
    local b = { servers = anchor "next/server-ca.pem", clients = anchor "next/client-ca.pem" }
    assert.same({ a.clients, b.clients }, slots "client-ca")
    assert.same({ a.servers, b.servers }, slots "server-ca")

    seen = {}
    rotation = assert(rotate { withdraw = true, verify = function(step)
      seen[#seen + 1] = step.name
      assert.is_nil(cluster_state.wrong(path, HOST))
      return true
    end })
    assert.is_true(rotation.done)
    assert.same({ "leaves", "withdraw", "forget" }, seen)
    assert.same({ b.clients, b.clients }, slots "client-ca")
    assert.same({ b.servers, b.servers }, slots "server-ca")
    assert.equal(b.servers, text "clients/orders/server-ca.pem")
    assert.equal(b.clients, anchor "authority/client-ca.pem")
    report = assert(server.check(path .. "/config/tls.yaml", { root = path }))
    assert.equal(0, #report, tostring(report))
    assert.same({ "authority", "certs", "clients", "config" }, directory:names "temporal")
    assert.is_nil(cluster_state.wrong_for_openssl(path, HOST))
    local words = tostring(rotation)
    assert.matches("client%-ca: CN=Temporal client CA %x+ %-> CN=Temporal client CA %x+", words)
    assert.matches("the rotation is over", words, 1, true)
  end)

  it("keeps names, usage, kind of key and life of what it issues again", function()
    path = assert(assert(server.cluster { hosts = { HOST }, clients = { "payments" }, organization = "Acme",
      key = { curve = "P-384" }, days = 47 }):write(directory:path "other"))
    local function facts(name)
      local certificate = assert(tcpki.certificate.read(("%s/%s.pem"):format(path, name)))
      local names = {}
      for i, entry in ipairs(certificate:subject_alt_names() or {}) do names[i] = entry.type .. entry.value end
      return { tostring(certificate:subject()), names, certificate:extended_key_usage(), certificate:key_usage(),
        certificate:public_key():type(), certificate:public_key():curve(),
        (certificate:not_after() - certificate:not_before() + 43200) // 86400 }
    end
    local all = { "certs/internode", "certs/frontend", "certs/system-worker", "clients/payments/client" }
    local before, serials = {}, {}
    for _, name in ipairs(all) do
      before[name], serials[name] = facts(name), assert(tcpki.chain.read(("%s/%s.pem"):format(path, name)))[1]:serial()
    end
    assert(rotate { withdraw = true })
    for _, name in ipairs(all) do
      local certificate = assert(tcpki.chain.read(("%s/%s.pem"):format(path, name)))[1]
      assert(tcpki.file.write(("%s/%s.pem"):format(path, name), certificate:pem(), { overwrite = true }))
      assert.same(before[name], facts(name))
      assert.not_equal(serials[name], certificate:serial())
    end
  end)

  it("carries over who trusts the old server CA alone", function()
    local roots = directory:file("old.pem", text "clients/payments/server-ca.pem")
    assert(rotate { withdraw = true })
    for _, name in ipairs { "frontend", "internode" } do
      local pair = ("%s/certs/%s.pem"):format(path, name)
      local chain = assert(tcpki.chain.read(pair))
      assert.equal(2, #chain)
      assert(chain:verify { roots = assert(tcpki.bundle.read(roots)), purpose = "server" })
      assert(chain:verify { roots = assert(tcpki.bundle.read(path .. "/certs/server-ca-1.pem")), purpose = "server" })
    end
    -- And again, with the next: nobody was restarted since.
    for _ = 1, 2 do
      assert(rotate { withdraw = true })
      assert.is_nil(cluster_state.wrong(path, HOST))
      local chain = assert(tcpki.chain.read(path .. "/certs/internode.pem"))
      assert(chain:verify { roots = assert(tcpki.bundle.read(roots)), purpose = "server" })
    end
    assert.equal(4, #assert(tcpki.chain.read(path .. "/certs/internode.pem")))
    for _ = 1, 3 do
      assert(rotate { withdraw = true })
    end
    assert.equal(5, #assert(tcpki.chain.read(path .. "/certs/internode.pem")))
    assert.is_nil(cluster_state.wrong_for_openssl(path, HOST))
  end)

  it("carries over who trusts the root above the old server CA", function()
    local root = assert(tcpki.authority.new { common_name = "Root" })
    path = assert(assert(server.cluster { hosts = { HOST }, clients = { "payments" },
      server_authority = assert(root:subordinate { common_name = "Servers" }) }):write(directory:path "two"))
    assert(rotate { withdraw = true })
    local chain = assert(tcpki.chain.read(path .. "/certs/internode.pem"))
    assert(chain:verify { roots = { root.certificate }, purpose = "server" })
    assert.is_nil(cluster_state.wrong_for_openssl(path, HOST))
  end)

  it("takes no step before the one before was seen", function()
    local order = { "trust", "clients", "leaves", "withdraw", "forget" }
    for _, name in ipairs(order) do
      for _ = 1, 2 do
        local last
        local err = expect.fault("not_verified", rotate { withdraw = true, verify = function(step)
          last = step.name
          return step.name ~= name, "not yet"
        end })
        assert.equal(name, last)
        assert.matches(name .. "' was not verified: not yet", err.message, 1, true)
        assert.is_nil(cluster_state.wrong(path, HOST))
      end
    end
    assert.is_true(assert(rotate { withdraw = true }).done)
    assert.is_nil(cluster_state.wrong_for_openssl(path, HOST))
  end)

  it("is brought to where the server is, step by step", function()
    local published = {}
    expect.fault("not_verified", rotate { publish = function(step)
      published[#published + 1] = step.name
      return step.name ~= "clients", "no route"
    end })
    assert.same({ "trust", "clients" }, published)
    assert(rotate { publish = function(step) published[#published + 1] = step.name return true end })
    assert.same({ "trust", "clients", "clients", "leaves" }, published)
  end)

  it("can be of one CA alone, and of one that exists", function()
    local servers = text "authority/server-ca.pem"
    local frontend = text "certs/frontend.pem"
    local to = assert(tcpki.authority.new { common_name = "Clients from now on" })
    assert(rotate { authorities = { "client-ca" }, to = { ["client-ca"] = to } })
    -- Another one is not begun meanwhile, and this one is not changed.
    local err = expect.fault("busy", rotate { authorities = { "server-ca" } })
    assert.matches("another rotation is under way: of client-ca", err.message, 1, true)
    expect.fault("busy", rotate { to = { ["client-ca"] = assert(tcpki.authority.new { common_name = "x" }) } })
    assert(rotate { withdraw = true })
    assert.equal(servers, text "authority/server-ca.pem")
    assert.equal(frontend, text "certs/frontend.pem")
    assert.equal(to.certificate:pem(), text "certs/client-ca-1.pem")
    assert.equal("CN=Clients from now on",
      tostring(assert(tcpki.certificate.read(path .. "/clients/payments/client.pem")):issuer()))
    expect.fault("not_found", rotate { authorities = { "other-ca" } })
    expect.fault("not_found", rotate { authorities = { "client-ca" }, to = { ["server-ca"] = to } })
    local below = assert(to:subordinate { common_name = "Below" })
    expect.fault("wrong_kind", rotate { to = { ["server-ca"] = below } })
  end)

  it("is told where a directory is none that server.cluster wrote", function()
    local err = expect.fault("not_found", server.rotate { directory = "spec", address = "127.0.0.1:1" })
    assert.matches("no directory that server.cluster wrote", err.message, 1, true)
  end)

  it("is not begun where the old server CA may not sign the new one", function()
    local narrow = assert(tcpki.authority.new { common_name = "Narrow", path_length = 0 })
    path = assert(assert(server.cluster { hosts = { HOST }, server_authority = narrow }):write(directory:path "narrow"))
    local err = expect.fault("path_length_exceeded", rotate {})
    assert.matches("the old server CA cannot sign the new one", err.message, 1, true)
    assert.is_nil(io.open(path .. "/next/rotation.json"))
    assert(rotate { authorities = { "client-ca" }, withdraw = true })
  end)

  it("tells the roles of one CA that has all of them", function()
    local one = assert(tcpki.authority.new { common_name = "One for all" })
    path = assert(assert(server.cluster { hosts = { HOST }, clients = { "payments" }, server_authority = one,
      client_authority = one }):write(directory:path "one"))
    assert(rotate { authorities = { "client-ca" }, verify = function()
      assert.is_nil(cluster_state.wrong(path, HOST))
      return true
    end })
    assert(rotate { withdraw = true })
    assert.is_nil(cluster_state.wrong_for_openssl(path, HOST))
    assert.same({ one.certificate:pem(), one.certificate:pem() }, slots "server-ca")
    assert(rotate { withdraw = true })
    assert.is_nil(cluster_state.wrong_for_openssl(path, HOST))
    assert.not_equal(slots "client-ca"[1], slots "server-ca"[1])
  end)

  it("goes from CAs that have ended, which sign nothing any more #server", function()
    local now = os.time()
    local ended = assert(tcpki.authority.new { common_name = "Ended", not_before = now - 90, not_after = now + 5 })
    path = assert(assert(server.cluster { hosts = { HOST }, clients = { "payments" }, server_authority = ended,
      client_authority = ended }):write(directory:path "ended"))
    while os.time() < now + 6 do os.execute "sleep 0.5" end
    local to = {}
    for _, name in ipairs { "server-ca", "client-ca" } do
      to[name] = assert(tcpki.authority.new { common_name = name })
    end
    assert(rotate { withdraw = true, to = to })
    assert.is_nil(cluster_state.wrong_for_openssl(path, HOST))
    assert.is_true(assert(tcpki.certificate.read(path .. "/clients/payments/client.pem")):not_after() > now + 60)
  end)

  it("leaves the clients of another host with their own CA", function()
    path = assert(assert(server.cluster { hosts = { HOST, { name = "b.example", clients = { "ledger" } } },
      clients = { "payments" } }):write(directory:path "two"))
    assert(rotate { withdraw = true })
    local function issuer(name)
      return tostring(assert(tcpki.certificate.read(("%s/clients/%s/client.pem"):format(path, name))):issuer())
    end
    assert.matches("^CN=Temporal client CA of b.example %x+$", issuer "ledger")
    assert.matches("^CN=Temporal client CA %x+$", issuer "payments")
    assert(rotate { withdraw = true, authorities = { "b.example-client-ca" } })
    assert.equal(tostring(assert(tcpki.certificate.read(path .. "/certs/b.example-client-ca-2.pem")):subject()),
      issuer "ledger")
  end)

  it("is begun only when it is due", function()
    local before = text "authority/server-ca.pem"
    local rotation = assert(rotate { due = 30, withdraw = true, verify = error })
    assert.is_true(rotation.done)
    assert.matches("nothing is rotated: the first of the certificates ends in 36%d days", tostring(rotation))
    assert.equal(before, text "authority/server-ca.pem")
    assert(rotate { due = 366 })
    -- One that is under way is carried on.
    assert.is_true(assert(rotate { due = 0, withdraw = true }).done)
    assert.not_equal(before, text "authority/server-ca.pem")
  end)

  it("keeps the mode and the owner of every file", function()
    local files = { "certs/internode.key", "certs/frontend.pem", "clients/payments/client.key" }
    for _, name in ipairs(files) do
      assert(os.execute(("chmod 640 %s/%s"):format(path, name)))
      if child.is_root() then assert(os.execute(("chown 11:12 %s/%s"):format(path, name))) end
    end
    local owner = temporary.owner(path .. "/" .. files[1])
    assert(rotate { withdraw = true })
    for _, name in ipairs(files) do
      assert.equal("640", temporary.mode(path .. "/" .. name))
      assert.equal(owner, temporary.owner(path .. "/" .. name))
    end
  end)

  it("is for one run at a time", function()
    local err
    assert(rotate { verify = function(step)
      if step.name == "trust" then
        err = select(2, rotate {})
      end
      return true
    end })
    assert.equal("busy", err.code)
    -- What is thrown by who was asked does not keep it locked.
    expect.throws("oh", rotate, { withdraw = true, verify = function() error "oh" end })
    assert(rotate { withdraw = true })
  end)

  it("says what is missing or damaged, and changes nothing", function()
    local function attempt(code, file, change)
      path = assert(assert(server.cluster { hosts = { HOST }, clients = { "payments" } })
        :write(directory:path(("broken-%d"):format(math.random(1 << 40)))))
      change(path .. "/" .. file)
      local before = directory:names(path:match "[^/]+$" .. "/certs")
      local err = expect.fault(code, rotate { verify = error })
      assert.equal(path .. "/" .. file, err.path)
      assert.same(before, directory:names(path:match "[^/]+$" .. "/certs"))
      assert.is_nil(io.open(path .. "/next/rotation.json"))
    end
    local function put(content)
      return function(file) assert(tcpki.file.write(file, content, { overwrite = true })) end
    end
    local key = assert(tcpki.key.generate())
    for _, name in ipairs { "authority/server-ca.pem", "authority/client-ca.key", "certs/client-ca-2.pem",
      "certs/frontend.key", "certs/internode.pem", "clients/payments/client.key", "clients/payments/server-ca.pem",
      "config/tls.yaml" } do
      if name == "config/tls.yaml" then
        path = assert(assert(server.cluster { hosts = { HOST } }):write(directory:path "no-configuration"))
        os.remove(path .. "/" .. name)
        local err = expect.fault("not_found", rotate { address = "127.0.0.1:1" })
        assert.matches("pass refresh_interval", err.hint, 1, true)
      else
        attempt("not_found", name, os.remove)
      end
    end
    attempt("key_mismatch", "certs/frontend.key", put(key:pem()))
    attempt("key_mismatch", "clients/payments/client.key", put(key:pem()))
    attempt("several", "certs/client-ca-1.pem", put(anchor "certs/client-ca-1.pem" .. anchor "certs/server-ca-1.pem"))
    attempt("not_pem", "certs/server-ca-2.pem", put "nothing")
    path = directory:path "none"
    local err = expect.fault("not_found", rotate {})
    assert.equal(path, err.path:sub(1, #path))
    path = directory.root
    err = expect.fault("not_found", rotate {})
    assert.matches("no directory of a cluster", err.message, 1, true)
  end)

  it("does not go on with a state that does not fit", function()
    assert(rotate {})
    local state = text "next/rotation.json"
    local function refused(change)
      assert(tcpki.file.write(path .. "/next/rotation.json", change(state), { overwrite = true }))
      expect.fault("bad_state", rotate { withdraw = true, verify = error })
    end
    refused(function() return "" end)
    refused(function() return "[]" end)
    refused(function(kept) return kept:sub(1, -20) end)
    refused(function(kept) return kept:gsub('"version": 1', '"version": 2') end)
    refused(function(kept) return kept:gsub('"to": "%x', '"to": "g', 1) end)
    refused(function(kept) return kept:gsub('"from": "%x', '"from": "g', 1) end)
    refused(function(kept) return kept:gsub('"client%-ca"', '"other-ca"') end)
    assert(tcpki.file.write(path .. "/next/rotation.json", state, { overwrite = true }))
    assert(rotate { withdraw = true })
  end)

  it("finds what somebody else changed meanwhile, and loses nothing of it", function()
    -- A certificate of the old CA, given to somebody after the step for the clients.
    local old = assert(tcpki.authority.load(assert(tcpki.certificate.read(path .. "/authority/client-ca.pem")),
      assert(tcpki.key.read(path .. "/authority/client-ca.key"))))
    assert(rotate {})
    local leaf = assert(old:issue { common_name = "late", usage = "client" })
    assert(os.execute(("cp -R %s/clients/payments %s/clients/late"):format(path, path)))
    assert(leaf:write(path .. "/clients/late/client.key", path .. "/clients/late/client.pem", { overwrite = true }))
    assert(rotate { withdraw = true })
    assert.is_nil(cluster_state.wrong_for_openssl(path, HOST))
    assert.not_equal(assert(leaf.chain:pem()), text "clients/late/client.pem")
  end)

  it("exchanges nothing that is changed in that moment", function()
    local exchange = tcpki.file.exchange
    local before
    finally(function() tcpki.file.exchange = exchange end)
    tcpki.file.exchange = function(first, second)
      if not before then
        before = text "certs/frontend.pem" .. "# renewed by hand\n"
        assert(tcpki.file.write(path .. "/certs/frontend.pem", before, { overwrite = true }))
      end
      return exchange(first, second)
    end
    local err = expect.fault("busy", rotate {})
    assert.equal(path .. "/certs", err.path)
    assert.equal(before, text "certs/frontend.pem")
    assert.same({ "authority", "certs", "clients", "config", "next" }, directory:names "temporal")
    assert(rotate { withdraw = true })
    assert.is_nil(cluster_state.wrong_for_openssl(path, HOST))
  end)

  it("leaves everything as it was where it cannot write", function()
    local function attempt(options)
      local _, output = child.run(([[
        package.path, package.cpath = package.path .. ";" .. %q, package.cpath .. ";" .. %q
        local rotation, err = require "tcpki.server".rotate { directory = %q, verify = error }
        print(rotation, err.code)]]):format(package.path, package.cpath, path), options)
      return output
    end
    assert.equal("nil\tno_space\n", attempt { before = "trap '' XFSZ; ulimit -f 0;" })
    if child.is_root() then
      assert(os.execute(("chmod -R a+rX %s"):format(path)))
      assert.equal("nil\tpermission_denied\n", attempt { as_nobody = true })
    end
    assert.same({ "authority", "certs", "clients", "config" }, directory:names "temporal")
    assert.is_nil(cluster_state.wrong(path, HOST))
  end)

  describe("is seen at a server that follows:", function()
    local frontend, node

    -- What the server reads, as it lies on the disk.
    local function load(leaf, name)
      return { certificate_path = ("%s/certs/%s.pem"):format(path, leaf), key_path = ("%s/certs/%s.key"):format(path,
        leaf), client_ca = table.concat(slots(name)) }
    end

    before_each(function()
      frontend = assert(probe.frontend(load("frontend", "client-ca")))
      node = assert(probe.frontend(load("internode", "server-ca")))
    end)
    after_each(function()
      frontend:close()
      node:close()
    end)

    local function watch(given)
      given.address, given.internode = frontend:address(), node:address()
      given.timeout = 1
      return rotate(given)
    end

    it("the next step waits for it", function()
      local published = {}
      local function publish(step)
        published[#published + 1] = step.name
        return frontend:reload(load("frontend", "client-ca")) and node:reload(load("internode", "server-ca"))
      end
      assert.is_false(assert(watch { publish = publish }).done)
      assert.is_true(assert(watch { publish = publish, withdraw = true }).done)
      assert.same({ "trust", "clients", "leaves", "leaves", "withdraw", "forget" }, published)
    end)

    it("one that stands still ends it, and it is carried on", function()
      local function stuck(name)
        return watch { withdraw = true, publish = function(step)
          if step.name ~= name then
            assert(frontend:reload(load("frontend", "client-ca")))
            assert(node:reload(load("internode", "server-ca")))
          end
          return true
        end }
      end
      -- Not begun at all where nobody of this directory is let in.
      local stranger = assert(tcpki.authority.new { common_name = "Stranger" })
      assert(frontend:reload { client_ca = stranger.certificate })
      local err = expect.fault("not_verified", watch {})
      assert.matches("is not what this directory says", err.message, 1, true)
      assert.same({ "authority", "certs", "clients", "config" }, directory:names "temporal")
      assert(frontend:reload(load("frontend", "client-ca")))

      err = expect.fault("not_verified", stuck "trust")
      assert.matches("a certificate of CN=Temporal client CA %x+ should be let in, but the probe says: not auth",
        err.message)
      err = expect.fault("not_verified", stuck "leaves")
      assert.matches("should show a certificate of the new CA", err.message, 1, true)
      err = expect.fault("not_verified", stuck "withdraw")
      assert.matches("a certificate of CN=Temporal client CA %x+ should be refused, but the probe says: ", err.message)
      assert.is_true(assert(stuck "nothing").done)
    end)

    it("one that is gone is none", function()
      local gone = assert(probe.frontend(load("internode", "server-ca")))
      local address = gone:address()
      local err = expect.fault("not_verified", rotate { address = frontend:address(), internode = address, timeout = 1,
        publish = function()
          gone:close()
          return frontend:reload(load("frontend", "client-ca"))
        end })
      assert.matches("a node with a certificate of", err.message, 1, true)
    end)

    it("each host of it, and each CA beside the others, is looked at by itself", function()
      path = assert(assert(server.cluster { hosts = { HOST, "reports.acme.example" }, clients = { "payments" } })
        :write(directory:path "two"))
      assert(tcpki.file.write(path .. "/certs/partner-ca.pem", assert(tcpki.authority.new {
        common_name = "Partner" }).certificate:pem()))
      assert(frontend:reload(load("frontend", "client-ca")))
      assert(node:reload(load("internode", "server-ca")))
      -- The embedded frontend shows one certificate to all: for the other host it is the wrong name.
      local err = expect.fault("not_verified", watch {})
      assert.matches("asked for reports.acme.example,", err.message, 1, true)
      assert.matches("name_mismatch", err.message, 1, true)
    end)
  end)

  it("needs a server that looks for new files", function()
    local configuration = text "config/tls.yaml"
    for _, value in ipairs { "0s", "0", "never", "-1m" } do
      assert(tcpki.file.write(path .. "/config/tls.yaml", (configuration:gsub("refreshInterval: 60s",
        "refreshInterval: " .. value)), { overwrite = true }))
      local err = expect.fault("not_verified", rotate { address = "127.0.0.1:1", timeout = 1 })
      assert.matches("never looks for new files", err.message, 1, true)
    end
    assert.is_nil(io.open(path .. "/next"))
  end)

  it("leaves each directory as it was where the disk is full, and goes on when it is not", function()
    local write = tcpki.file.write
    finally(function() tcpki.file.write = write end)
    local left
    tcpki.file.write = function(...)
      left = left - 1
      if left < 0 then
        return tcpki.fault.fail { code = "no_space", message = "no space left" }
      end
      return write(...)
    end
    local writes = 0
    local rotation, err
    repeat
      left = writes
      rotation, err = rotate { withdraw = true }
      assert.is_true(rotation ~= nil or err.code == "no_space", tostring(err))
      assert.is_nil(cluster_state.wrong(path, HOST))
      for _, name in ipairs(directory:names "temporal") do
        assert.is_truthy(("authority certs clients config next"):find(name, 1, true), name)
      end
      writes = writes + 5
    until rotation
    assert.is_true(rotation.done)
    assert.is_true(writes > 15)
  end)

  it("exchanges no link for a directory", function()
    assert(os.execute(("cd %s && mv certs elsewhere && ln -s elsewhere certs"):format(path)))
    local before = directory:names "temporal/elsewhere"
    local err = expect.fault("symbolic_link", rotate {})
    assert.equal(path .. "/certs", err.path)
    assert.same(before, directory:names "temporal/elsewhere")
  end)

  it("throws on options that mean nothing", function()
    expect.throws("pass address or verify", server.rotate, { directory = path })
    expect.throws("pass address or verify", server.rotate, { directory = path, address = "a", verify = always })
    expect.throws("option 'directory'", server.rotate, { verify = always })
    expect.throws("unknown option 'dir'", server.rotate, { dir = path, verify = always })
    expect.throws("option 'to', 'client-ca'", server.rotate, { directory = path, verify = always,
      to = { ["client-ca"] = 1 } })
    expect.throws("option 'address', entry 1", server.rotate, { directory = path, address = { 1 } })
    expect.throws("option 'address' is empty", server.rotate, { directory = path, address = {} })
  end)

  -- Calls the hook before every change that is made on the disk, of which each is one step of the system.
  local function watch_changes(hook)
    local undo = {}
    for _, place in ipairs {
      { tcpki.file, "write", "exchange", "make_directory", "adopt" }, { os, "rename", "remove" },
    } do
      for i = 2, #place do
        local name, original = place[i], place[1][place[i]]
        place[1][name] = function(subject, ...)
          hook(name, subject)
          return original(subject, ...)
        end
        undo[#undo + 1] = function() place[1][name] = original end
      end
    end
    return function()
      for _, one in ipairs(undo) do one() end
    end
  end

  it("is consistent between any two changes on the disk", function()
    local count, looked = 0, true
    local undo = watch_changes(function(name, subject)
      count = count + 1
      if looked then
        local err = cluster_state.wrong(path, HOST)
        assert(not err, err)
      end
      -- What only fills or empties a directory that has no name yet, or no longer, changes nothing that is read.
      looked = name == "exchange" or name == "rename" or not subject:find("/.tcpki-", 1, true)
    end)
    finally(undo)
    assert(rotate { withdraw = true })
    assert.is_true(count > 100)
  end)

  it("is carried on after an end between any two changes on the disk #server", function()
    local place = 0
    local done
    repeat
      local left = place
      local undo = watch_changes(function()
        left = left - 1
        if left < 0 then error("killed", 0) end
      end)
      local ok, err = pcall(rotate, { withdraw = true })
      undo()
      assert.is_true(ok or err == "killed", tostring(err))
      done = ok
      assert.is_nil(cluster_state.wrong(path, HOST), place)
      assert.is_true(assert(rotate { withdraw = true }).done)
      assert.is_nil(cluster_state.wrong(path, HOST), place)
      assert.same({ "authority", "certs", "clients", "config" }, directory:names "temporal")
      assert.same({ "orders", "payments" }, directory:names "temporal/clients")
      place = place + 1
    until done
    assert.is_true(place > 100)
  end)

  -- Kills runs at any moment; each is followed by one that ends what was begun.
  local function kill(times)
    local code = ([[
      local server = require "tcpki.server"
      ready()
      assert(server.rotate { directory = %q, withdraw = true, verify = function() return true end })]]):format(path)
    local begun = os.clock()
    assert(rotate { withdraw = true })
    -- Of the processor, of which the child has no more; so most kills come in the middle.
    local span = 1.5 * (os.clock() - begun)
    local halfway = 0
    for round = 1, times do
      child.kill_after(math.random() * span, code)
      local err = cluster_state.wrong(path, HOST)
      assert.is_nil(err, ("round %d: %s"):format(round, tostring(err)))
      halfway = halfway + (io.open(path .. "/next/rotation.json") and 1 or 0)
      local rotation = assert(rotate { withdraw = true })
      assert.is_true(rotation.done)
      err = cluster_state.wrong(path, HOST)
      assert.is_nil(err, ("round %d, mended: %s"):format(round, tostring(err)))
      assert.same({ "authority", "certs", "clients", "config" }, directory:names "temporal")
      assert.same({ "orders", "payments" }, directory:names "temporal/clients")
      for _, name in ipairs { "client-ca", "server-ca" } do
        local both = slots(name)
        assert.equal(both[1], both[2])
        assert.equal(both[1], anchor(("authority/%s.pem"):format(name)))
      end
    end
    assert.is_nil(cluster_state.wrong_for_openssl(path, HOST))
    return halfway
  end

  it("is carried on after a kill", function()
    kill(4)
  end)

  it("is carried on after a kill at any of 200 moments #server", function()
    assert.is_true(kill(200) > 60)
  end)
end)

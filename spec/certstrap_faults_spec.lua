-- What is wrong with a depot, and what happens to one when something goes wrong.

local child = require "spec.support.child"
local expect = require "spec.support.expect"
local openssl = require "spec.support.openssl"
local temporary = require "spec.support.temporary"
local tcpki = require "tcpki"

local certstrap = require "tcpki.certstrap"

local DAY = 86400

describe("a certstrap depot", function()
  local directory, depot

  local function path(name)
    return directory:path("out/" .. name)
  end

  local function content(name)
    return temporary.content(path(name))
  end

  local function snapshot()
    local all = {}
    for _, name in ipairs(directory:names "out") do
      all[name] = content(name)
    end
    return all
  end

  local function replace(name, text, mode)
    os.remove(path(name))
    directory:file("out/" .. name, text)
    assert(os.execute(("chmod %s '%s'"):format(mode or (name:find "key$" and "440" or "444"), path(name))))
  end

  before_each(function()
    directory = temporary.directory()
    depot = assert(certstrap.init(directory:path "out", { common_name = "Acme CA", curve = "P-256" }))
    assert(depot:request_cert { common_name = "worker", domain = "worker.example", curve = "P-256" })
    assert(depot:sign "worker")
  end)

  after_each(function()
    os.execute("chmod -R u+rwx " .. directory.root)
    directory:remove()
  end)

  describe("is checked: it", function()
    -- "code path", sorted as they come
    local function found(report)
      local list = {}
      for i, finding in ipairs(report) do
        list[i] = ("%s %s"):format(finding.code, finding.path)
      end
      return list
    end

    local function findings(...)
      return found(assert(depot:verify(...)))
    end

    it("is in order as it is made, whole or by a name", function()
      local report = assert(depot:verify())
      assert.equal(directory:path "out" .. ": in order", tostring(report))
      assert.is_true(report.ok)
      assert.same({}, findings "worker")
      assert.same({}, findings("worker", { purpose = "client" }))
      assert.same({ "wrong_purpose Acme_CA.crt" }, found((function()
        local root = assert(tcpki.authority.new { common_name = "only a server" })
        local leaf = assert(root:issue { common_name = "a", usage = "server", subject_alt_names = { "a" } })
        replace("other.crt", root.certificate:pem())
        replace("Acme_CA.crt", leaf.certificate:pem())
        os.remove(path "Acme_CA.key")
        return assert(depot:verify("Acme CA", { purpose = "client" }))
      end)()))
      expect.fault("not_found", depot:verify "nobody")
    end)

    it("has what was revoked, which is an error of the certificate and none of the depot", function()
      assert(depot:revoke "worker")
      local report = assert(depot:verify())
      assert.same({ "revoked worker.crt" }, found(report))
      assert.is_true(report.ok)
      assert.is_false(assert(depot:verify "worker").ok)
    end)

    it("has ended, or not begun, or lacks the issuer", function()
      local at = os.time() + 400 * DAY
      assert.same({}, findings(nil, { at = at }))
      at = os.time() + 700 * DAY
      assert.same({ "expired Acme_CA.crt", "crl_ended Acme_CA.crl", "expired worker.crt" }, findings(nil, { at = at }))
      assert.same({ "not_yet_valid worker.crt" }, findings("worker", { at = os.time() - DAY }))
      os.remove(path "Acme_CA.crt")
      assert.same({ "half Acme_CA.key", "no_issuer worker.crt" }, findings())
    end)

    it("has keys and requests that belong to nothing", function()
      local other = assert(tcpki.key.generate())
      os.remove(path "worker.key")
      assert(other:write(path "worker.key", { mode = tonumber("440", 8) }))
      assert.same({ "key_mismatch worker.key" }, findings())
      replace("worker.csr", assert(tcpki.csr.new { subject = { CN = "worker" }, key = other }):pem())
      assert.same({ "request_differs worker.csr", "key_mismatch worker.key" }, findings())
      local der = assert(tcpki.csr.read(path "worker.csr")):der()
      replace("worker.csr", "-----BEGIN CERTIFICATE REQUEST-----\n" .. openssl.run("base64", der:sub(1, -2)
        .. string.char(der:byte(-1) ~ 1)) .. "-----END CERTIFICATE REQUEST-----\n")
      assert.same({ "request_unsigned worker.csr", "key_mismatch worker.key" }, findings())
    end)

    it("has files that cannot be read, with their fault and line", function()
      replace("worker.crt", content "worker.crt":sub(1, 300))
      local report = assert(depot:verify())
      assert.same({ "unreadable worker.crt" }, found(report))
      assert.matches("it cannot be read", report[1].message)
      replace("Acme_CA.crl", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n")
      assert.same({ "unreadable Acme_CA.crl", "unreadable worker.crt" }, findings())
      replace("Acme_CA.key", "")
      assert.same({ "unreadable Acme_CA.key", "unreadable Acme_CA.crl", "unreadable worker.crt" }, findings())
    end)

    it("has modes with which certstrap reads nothing, and keys that everybody reads", function()
      os.execute(("chmod 644 %s && chmod 640 %s"):format(path "worker.crt", path "worker.key"))
      assert.same({ "mode_too_lax worker.crt", "mode_too_lax worker.key" }, findings())
      os.execute("chmod 444 " .. path "worker.key")
      local report = assert(depot:verify "worker")
      assert.same({ "mode_too_lax worker.crt", "key_open worker.key" }, found(report))
      assert.is_false(report.ok)
      assert.matches("0444", report:find "key_open".message)
    end)

    it("has blocks that certstrap does not read", function()
      local key = assert(tcpki.key.read(path "worker.key"))
      replace("worker.key", key:pem { format = "traditional" })
      replace("worker.crt", openssl.run("x509 -trustout", content "worker.crt"))
      assert.same({ "label worker.crt", "key_form worker.key" }, (function()
        local list = {}
        for _, one in ipairs(findings "worker") do
          list[#list + 1] = not one:find "unreadable" and one or nil
        end
        return list
      end)())
    end)

    it("has CRLs that have ended, repeat themselves or are another CA's", function()
      local root = assert(tcpki.certificate.read(path "Acme_CA.crt"))
      local key = assert(tcpki.key.read(path "Acme_CA.key"))
      local now = os.time()
      local twice = { { serial = "05", time = now }, { serial = "05", time = now } }
      replace("Acme_CA.crl", assert(tcpki.crl.make { issuer = root, key = key, number = "01",
        this_update = now - 9 * DAY, next_update = now - DAY, entries = twice }):pem())
      assert.same({ "crl_ended Acme_CA.crl", "crl_repeats Acme_CA.crl" }, findings())
      local other = assert(tcpki.authority.new { common_name = "other" })
      replace("Acme_CA.crl", assert(other:crl()):pem())
      assert.same({ "crl_forged Acme_CA.crl" }, findings())
      os.remove(path "Acme_CA.crl")
      assert.same({ "crl_missing Acme_CA.crt" }, findings())
    end)

    it("compares encrypted keys where their passphrase is given", function()
      local other = assert(tcpki.key.generate())
      os.remove(path "worker.key")
      assert(other:write(path "worker.key", { mode = tonumber("440", 8), passphrase = "secret" }))
      assert.same({}, findings())
      assert.same({ "key_mismatch worker.key" }, findings(nil, { passphrase = "secret" }))
    end)

    it("finds nothing that has no row, and each row has a message", function()
      for _, row in ipairs(require "tcpki.certstrap.rules") do
        assert.truthy(row.code and row.severity and row.message and row.hint, row.code)
      end
    end)
  end)

  describe("that is none", function()
    it("is refused with what to do", function()
      expect.fault("not_found", certstrap.open(directory:path "nowhere"))
      expect.fault("not_found", certstrap.open(directory:file("plain", "")))
      os.execute("mkdir " .. directory:path "empty")
      local err = expect.fault("not_a_depot", certstrap.open(directory:path "empty"))
      assert.matches("--depot-path", err.hint, 1, true)
      directory:file("empty/readme.txt", "")
      expect.fault("not_a_depot", certstrap.open(directory:path "empty"))
      expect.throws("directory", certstrap.open, nil)
    end)

    it("becomes none by an init that fails", function()
      expect.fault("not_found", certstrap.init(directory:path "a/b", { common_name = "a", curve = "P-256" }))
      expect.fault("bad_name", certstrap.init(directory:path "new", { common_name = "a", country = "Britain",
        curve = "P-256" }))
      expect.fault("not_found", certstrap.init(directory:file("plain", ""), { common_name = "a", curve = "P-256" }))
      assert.same({ "out", "plain" }, directory:names())
    end)
  end)

  -- Each change that a depot can go through, to be stopped.
  local changes = {
    init = [[depot:init { common_name = "Second CA", curve = "P-256" }]],
    request_cert = [[depot:request_cert { common_name = "second", curve = "P-256" }]],
    sign = [[depot:sign("asked", { passphrase = phrase })]],
    renew = [[depot:renew("worker", { passphrase = phrase })]],
    ["renew with a new key"] = [[depot:renew("worker", { key = "new", passphrase = phrase })]],
    revoke = [[depot:revoke("worker", { passphrase = phrase })]],
    crl = [[depot:crl { passphrase = phrase }]],
  }
  local order = { "init", "request_cert", "sign", "renew", "renew with a new key", "revoke", "crl" }

  -- In a process of its own: "ok" or the fault.
  local function in_child(change, options)
    local _, output = child.run(([[
      local depot = assert(require "tcpki.certstrap".open(%q))
      local phrase
      local done, err = %s
      io.write(done and "ok" or tostring(err))
    ]]):format(directory:path "out", changes[change]), options)
    return output
  end

  describe("stays as it was", function()
    before_each(function()
      assert(depot:request_cert { common_name = "asked", curve = "P-256" })
    end)

    it("while another run has it, and says who", function()
      local held = assert(tcpki.lock.directory(directory:path "out", "certstrap sign payments"))
      local before = snapshot()
      for _, change in ipairs(order) do
        local said = in_child(change)
        assert.matches("another run holds the lock: process %d+ on %S+ since .* UTC, certstrap sign payments %(busy%)",
          said)
      end
      assert.same(before, snapshot())
      assert.equal(2, #assert(depot:list()) - 1)
      assert.is_true(assert(depot:verify()).ok)
      held:release()
      assert.equal("ok", in_child "sign")
    end)

    it("in a directory that cannot be written", function()
      local before = snapshot()
      os.execute(("chown -R 65534 %s; chmod 555 %s"):format(directory:path "out", directory:path "out"))
      for _, change in ipairs(order) do
        assert.matches("%(permission_denied%)", in_child(change, { as_nobody = true }), change)
      end
      assert.same(before, snapshot())
    end)

    it("on a full disk", function()
      local disk = directory:path "disk"
      if not (child.is_root() and os.execute(("mkdir %s && mount -t tmpfs -o size=128k none %s 2>/dev/null"):format(
        disk, disk))) then
        pending "needs the right to mount a small disk"
        return
      end
      local ok, message = pcall(function()
        local out = directory:path "out"
        os.execute(("cp -p %s/* %s; rm -r %s; ln -s %s %s"):format(out, disk, out, disk, out))
        local before = snapshot()
        -- To the last byte: also with one page left, and two, in which some of the files find room.
        for pages = 0, 2, 2 do
          os.execute(("head -c %d /dev/zero >%s/keep; cat /dev/zero >%s/fill 2>/dev/null; rm -f %s/keep"):format(
            4096 * pages, disk, disk, disk))
          for _, change in ipairs(order) do
            local said = in_child(change)
            if said ~= "ok" then
              assert.matches("%(no_space%)", said, change)
              os.remove(disk .. "/fill")
              assert.same(before, snapshot(), change)
            end
            os.execute(("rm -f %s/fill %s/Second_CA.* %s/second.*"):format(disk, disk, disk))
            for name, text in pairs(before) do
              replace(name, text)
            end
            if not before["asked.crt"] then os.remove(disk .. "/asked.crt") end
            os.execute(("head -c %d /dev/zero >%s/keep; cat /dev/zero >%s/fill 2>/dev/null; rm -f %s/keep"):format(
              4096 * pages, disk, disk, disk))
          end
          os.remove(disk .. "/fill")
        end
      end)
      os.execute("umount " .. disk)
      assert.is_true(ok, tostring(message))
    end)

    it("where somebody else changes it meanwhile, as certstrap does without a lock", function()
      -- The passphrase of the CA is asked for between reading and writing.
      local function encrypted()
        local key = assert(tcpki.key.read(path "Acme_CA.key"))
        os.remove(path "Acme_CA.key")
        assert(key:write(path "Acme_CA.key", { mode = tonumber("440", 8), passphrase = "secret" }))
      end
      encrypted()
      local rows = {
        { changed = "Acme_CA.crl", change = "revoke" },
        { changed = "worker.crt", change = "renew" },
        { changed = "worker.crt", change = "renew", key = "new" },
      }
      for _, row in ipairs(rows) do
        local before = snapshot()
        local theirs = before[row.changed] .. "# theirs\n"
        local err = expect.fault("changed_meanwhile", depot[row.change](depot, "worker", { key = row.key,
          passphrase = function()
            replace(row.changed, theirs)
            return "secret"
          end }))
        assert.equal(path(row.changed), err.path)
        assert.equal(theirs, content(row.changed))
        replace(row.changed, before[row.changed])
        assert.same(before, snapshot())
      end
      local err = expect.fault("already_exists", depot:sign("asked", { passphrase = function()
        replace("asked.crt", "theirs")
        return "secret"
      end }))
      assert.equal(path "asked.crt", err.path)
      assert.equal("theirs", content "asked.crt")
    end)

    it("where its files are links to elsewhere", function()
      local elsewhere = directory:file("elsewhere", content "Acme_CA.crl")
      os.remove(path "Acme_CA.crl")
      os.execute(("ln -s %s %s"):format(elsewhere, path "Acme_CA.crl"))
      expect.fault("symbolic_link", depot:revoke "worker")
      assert.equal(temporary.content(elsewhere), content "Acme_CA.crl")
    end)
  end)

  describe("whose run is killed", function()
    it("is whole, or says what is half, and goes on", function()
      assert(depot:request_cert { common_name = "asked", curve = "P-256" })
      local code = ([[
        local tcpki = require "tcpki"
        local depot = assert(require "tcpki.certstrap".open(%q))
        ready()
        for i = 1, 100 do
          assert(depot:renew("worker", { key = "new" }))
          local name = ("w%%08x"):format(math.random(0, 0x7fffffff))
          assert(depot:request_cert { common_name = name, curve = "P-256" })
          assert(depot:sign(name))
          assert(depot:revoke(name))
        end
      ]]):format(directory:path "out")
      for round = 1, 8 do
        child.kill_after(0.001 + round * 0.006, code)
        local report = assert(depot:verify())
        for _, finding in ipairs(report) do
          -- A key whose request was not written yet; the pair of a renewal, and its request, until it is mended.
          assert.truthy(({ half = true, revoked = true, no_names = true, key_mismatch = true, request_differs = true })
            [finding.code], tostring(report))
        end
        assert(depot:renew "worker")
        local list = assert(depot:verify "worker")
        for _, finding in ipairs(list) do
          assert.equal("request_differs", finding.code, tostring(list))
        end
        assert.is_true((openssl.verify(content "worker.crt", content "Acme_CA.crt")))
        assert.equal(openssl.run("x509 -noout -pubkey -in " .. path "worker.crt"),
          openssl.run("pkey -pubout -in " .. path "worker.key"))
        openssl.run("crl -noout -CAfile " .. path "Acme_CA.crt" .. " -in " .. path "Acme_CA.crl")
      end
    end)
  end)

  describe("that several runs change at once", function()
    it("loses nothing of any of them", function()
      local code = ([[
        local depot = assert(require "tcpki.certstrap".open(%q))
        local function insist(call)
          while true do
            local done, err = call()
            if done then return done end
            if err.code ~= "busy" then error(err) end
          end
        end
        for i = 1, 4 do
          local name = "w-RUN-" .. i
          insist(function() return depot:request_cert { common_name = name, curve = "P-256" } end)
          insist(function() return depot:sign(name) end)
          insist(function() return depot:revoke(name) end)
        end
      ]]):format(directory:path "out")
      local commands = {}
      for i = 1, 3 do
        commands[i] = "(" .. child.command((code:gsub("RUN", i))) .. ") &"
      end
      assert(os.execute(table.concat(commands, "\n") .. "\nwait"))
      local crl = assert(tcpki.crl.read(path "Acme_CA.crl"))
      assert.equal(12, #crl:entries())
      assert.equal("0d", crl:number())
      for i = 1, 3 do
        for j = 1, 4 do
          assert.is_true(crl:lists(assert(tcpki.certificate.read(path(("w-%d-%d.crt"):format(i, j))))) ~= nil)
        end
      end
      assert.is_nil(tcpki.file.read(path ".tcpki-lock"))
    end)
  end)
end)

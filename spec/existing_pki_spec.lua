-- CAs that other tools made, taken over: make test-producers.
--
-- step, easy-rsa, minica and mkcert make a CA and a leaf as users call them (test/producers). tcpki orders, completes
-- and verifies what they wrote, goes on issuing under their keys, and says what is in the way where something is.
-- openssl, crypto/x509 and the step command judge what comes out.

local cloud = require "tcpki.cloud"
local expect = require "spec.support.expect"
local openssl = require "spec.support.openssl"
local producers = require "spec.support.producers"
local server = require "spec.support.server"
local tcpki = require "tcpki"
local temporary = require "spec.support.temporary"

-- `ca`, `key`, `leaf` and `above` are files of the case. What they deserve:
-- - `verify`: the fault of chain:verify, and words of its message; openssl's strict checks say the same, without them
--   the chain is good
-- - `crl`: the fault of authority:crl
-- - `cloud`: what tcpki.cloud has against a client that tcpki issues under the CA
-- - `room`: false where the CA allows no CA below it
local cases = {
  step = {
    documented = { ca = "bundle.pem", key = "ca.key", leaf = "chain.pem" },
    intermediate = { ca = "intermediate.pem", key = "intermediate.key", leaf = "chain.pem", above = { "root.pem" },
      room = false },
    rsa = { ca = "bundle.pem", key = "ca.key", leaf = "chain.pem" },
    ed25519 = { ca = "bundle.pem", key = "ca.key", leaf = "chain.pem", cloud = "weak_signature key_algorithm" },
  },
  ["easy-rsa"] = {
    client = { ca = "pki/ca.crt", key = "pki/private/ca.key", leaf = "pki/issued/worker.crt",
      verify = { "not_verified", "Basic Constraints of CA cert not marked critical" } },
    elliptic = { ca = "pki/ca.crt", key = "pki/private/ca.key", leaf = "pki/issued/worker.crt",
      verify = { "not_verified", "Basic Constraints of CA cert not marked critical" } },
    subordinate = { ca = "below/ca.crt", key = "below/private/ca.key", leaf = "below/issued/worker.crt",
      above = { "root/ca.crt" }, verify = { "not_verified", "Basic Constraints of CA cert not marked critical" } },
  },
  -- Neither lets its CA sign CRLs.
  minica = {
    client = { ca = "cacert.crt", key = "cakey.key", leaf = "worker.crt",
      crl = { "not_an_authority", "its key usage does not have cRLSign" } },
  },
  mkcert = {
    client = { ca = "../.root/rootCA.pem", key = "../.root/rootCA-key.pem", leaf = "chain.pem", room = false,
      crl = { "not_an_authority", "its key usage does not have cRLSign" } },
  },
}

local function keys_of(map)
  local names = {}
  for name in pairs(map) do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- All orders of a few things.
local function orders(things, first, all)
  first, all = first or {}, all or {}
  if #things == 0 then
    all[#all + 1] = first
  end
  for i = 1, #things do
    local rest = { table.unpack(things) }
    local one = table.remove(rest, i)
    local longer = { table.unpack(first) }
    longer[#longer + 1] = one
    orders(rest, longer, all)
  end
  return all
end

local function join(texts)
  return table.concat(texts)
end

for _, producer in ipairs(keys_of(cases)) do
  describe(("a CA of %s #producers"):format(producer), function()
    local parent, directory, missing

    setup(function()
      parent = temporary.directory()
      directory, missing = producers.make(producer, parent.root)
    end)

    teardown(function()
      parent:remove()
    end)

    local function it_with(name, test)
      it(name, function()
        if not directory then return producers.excuse(missing, pending) end
        test()
      end)
    end

    -- The files of a case as certificates: leaf, CA, what is above it.
    local function read(case, row)
      local function path(name)
        return ("%s/%s/%s"):format(directory, case, name)
      end
      local found = { path = path, key = assert(tcpki.key.read(path(row.key))),
        leaf = assert(tcpki.certificate.parse_all(temporary.content(path(row.leaf))))[1],
        ca = assert(tcpki.certificate.read(path(row.ca))), above = {} }
      for i, name in ipairs(row.above or {}) do
        found.above[i] = assert(tcpki.certificate.read(path(name)))
      end
      found.root = found.above[#found.above] or found.ca
      found.all = { found.leaf, found.ca, table.unpack(found.above) }
      found.texts = {}
      for i, certificate in ipairs(found.all) do found.texts[i] = certificate:pem() end
      return found
    end

    for _, case in ipairs(keys_of(cases[producer])) do
      local row = cases[producer][case]

      describe(("(%s)"):format(case), function()
        it_with("is put in order, whatever lies among it", function()
          local found = read(case, row)
          local foreign = assert(tcpki.authority.new { common_name = "foreign" }).certificate
          for _, order in ipairs(orders(found.texts)) do
            local built = assert(tcpki.chain.parse(join(order)))
            assert.equal(join(found.texts), built:pem())
            assert.is_nil(built.missing)
            built = assert(tcpki.chain.parse(foreign:pem() .. join(order) .. order[1], { leaf = found.leaf }))
            assert.equal(join(found.texts), built:pem())
            assert.equal(1, #built.foreign)
            assert.equal(1, #built.duplicates)
          end
        end)

        it_with("is missed by its name, and completes the chain of its leaf", function()
          local found = read(case, row)
          local alone = assert(tcpki.chain.new { found.leaf })
          assert.equal(tostring(found.ca:subject()), alone.missing)
          assert.matches(tostring(found.ca:subject()), alone:lacks().message, 1, true)
          local complete = assert(tcpki.chain.new({ table.unpack(found.all) }, { leaf = found.leaf }))
          assert.is_nil(complete:lacks())
        end)

        it_with("is verified as openssl verifies it", function()
          local found = read(case, row)
          local built = assert(tcpki.chain.new { table.unpack(found.all) })
          local ok, err = built:verify { roots = { found.root }, purpose = "client" }
          local untrusted = #found.above > 0 and found.ca:pem() or nil
          local strict, said = openssl.verify(found.leaf:pem(), found.root:pem(), untrusted, "-purpose sslclient")
          if row.verify then
            expect.fault(row.verify[1], ok, err)
            assert.truthy(err.message:find(row.verify[2], 1, true), tostring(err))
            assert.is_false(strict)
            assert.truthy(said:find(row.verify[2], 1, true), said)
            -- What the strict checks are there for: plain openssl takes it.
            local roots, leaf, between = parent:file(nil, found.root:pem()), parent:file(nil, found.leaf:pem()),
              parent:file(nil, untrusted or "")
            openssl.run(("verify -CAfile %s %s -purpose sslclient %s"):format(roots,
              untrusted and "-untrusted " .. between or "", leaf))
          else
            assert.is_true(ok, tostring(err))
            assert.is_true(strict, said)
          end
        end)

        it_with("issues under its own key, to whom Go and openssl and Temporal Cloud agree", function()
          local found = read(case, row)
          local authority = assert(tcpki.authority.load(found.ca, found.key, { chain = found.above }))
          local client = assert(authority:issue { common_name = "payments", usage = "client", days = 30 })
          local frontend = assert(authority:issue { common_name = "frontend", usage = "server", days = 30,
            subject_alt_names = { "frontend.example" } })
          assert.equal(#found.above > 0 and 2 or 1, #client.chain)
          local roots = parent:file(nil, found.root:pem())
          local triples = {}
          for i, leaf in ipairs { client, frontend } do
            local purpose = i == 1 and "client" or "server"
            triples[i] = { parent:file(nil, leaf.chain:pem()), roots, purpose }
            local more = ("-untrusted %s -purpose ssl%s"):format(triples[i][1], purpose)
            openssl.run(("verify -CAfile %s %s %s"):format(roots, more, triples[i][1]))
            if not row.verify then
              openssl.run(("verify -x509_strict -CAfile %s %s %s"):format(roots, more, triples[i][1]))
              assert(leaf.chain:verify { roots = { found.root }, purpose = purpose })
            end
          end
          local verdicts, no_go = producers.verify(triples)
          if not verdicts then return producers.excuse(no_go, pending) end
          assert.same({ "ok", "ok" }, verdicts)

          local report = assert(cloud.check_client { chain = client.chain, key = client.key,
            accepted = assert(tcpki.bundle.new { found.root }) })
          local codes = {}
          for i, finding in ipairs(report) do
            codes[i] = finding.code
            assert.truthy(finding.message and finding.hint and finding.subject, finding.code)
          end
          assert.equal(row.cloud or "", table.concat(codes, " "))
        end)

        it_with("has another CA below it, or the fault says that there is no room", function()
          local found = read(case, row)
          local authority = assert(tcpki.authority.load(found.ca, found.key, { chain = found.above }))
          local below, err = authority:subordinate { common_name = "below", days = 30 }
          if row.room == false then
            expect.fault("path_length_exceeded", below, err)
            return
          end
          assert.is_nil(err)
          local leaf = assert(below:issue { common_name = "leaf", usage = "client", days = 10 })
          local ok, said = openssl.try(("verify -CAfile %s -untrusted %s %s"):format(parent:file(nil,
            found.root:pem()), parent:file(nil, leaf.chain:pem()), parent:file(nil, leaf.certificate:pem())))
          assert.is_true(ok, said)
        end)

        it_with("signs a CRL, or the fault says why it may not", function()
          local found = read(case, row)
          local authority = assert(tcpki.authority.load(found.ca, found.key, { chain = found.above }))
          assert.is_true(authority:revoke(found.leaf))
          local crl, err = authority:crl()
          if row.crl then
            expect.fault(row.crl[1], crl, err)
            assert.truthy(err.message:find(row.crl[2], 1, true), err.message)
            return
          end
          local leaf, ca = parent:file(nil, found.leaf:pem()), parent:file(nil, join { table.unpack(found.texts, 2) })
          local ok, _, said = openssl.try(("verify -crl_check -CRLfile %s -CAfile %s %s"):format(
            parent:file(nil, crl:pem()), ca, leaf))
          assert.is_false(ok)
          assert.matches("certificate revoked", said)
        end)
      end)
    end

    if producer == "easy-rsa" then
      it_with("hands on what it has revoked: its CRL is carried on, with the next number", function()
        local path = directory .. "/client/"
        local easyrsa = os.execute "command -v easyrsa >/dev/null" and "easyrsa" or "/usr/share/easy-rsa/easyrsa"
        for _, command in ipairs { "revoke worker", "gen-crl" } do
          assert(os.execute(("EASYRSA_BATCH=1 EASYRSA_PKI='%spki' %s %s >>'%s/said.txt' 2>&1 </dev/null"):format(path,
            easyrsa, command, directory)))
        end
        local theirs = assert(tcpki.crl.read(path .. "pki/crl.pem"))
        local ca = assert(tcpki.certificate.read(path .. "pki/ca.crt"))
        local authority = assert(tcpki.authority.load(ca, assert(tcpki.key.read(path .. "pki/private/ca.key")),
          { crl = theirs }))
        local worker = assert(tcpki.certificate.parse_all(temporary.content(path .. "chain.pem")))[1]
        local ours = assert(authority:crl())
        assert.equal(1, #ours:entries())
        assert.is_true(ours:lists(worker) ~= nil)
        assert.is_true(tonumber(ours:number(), 16) > tonumber(theirs:number() or "0", 16))
        local ok, _, said = openssl.try(("verify -crl_check -CRLfile %s -CAfile %s %s"):format(
          parent:file(nil, ours:pem()), path .. "pki/ca.crt", parent:file(nil, worker:pem())))
        assert.is_false(ok)
        assert.matches("certificate revoked", said)
      end)
    end

    if producer == "step" then
      local function step(arguments)
        local program = assert(server.counterpart "step")
        local handle = assert(io.popen(("exec 2>&1 </dev/null; STEPPATH='%s/.step' '%s' %s"):format(directory, program,
          arguments)))
        local output = handle:read "a"
        return handle:close() == true, output
      end

      it_with("opens with the passphrase that step encrypted its key with", function()
        local secret = parent:file(nil, "open sesame")
        local ca, key = parent:path "encrypted.pem", parent:path "encrypted.key"
        for _, kind in ipairs { "EC", "RSA", "OKP" } do
          local ok, said = step(("certificate create 'Acme CA' %s %s --profile root-ca --kty %s --force "
            .. "--password-file %s"):format(ca, key, kind, secret))
          assert.is_true(ok, said)
          expect.fault("passphrase_required", tcpki.key.read(key))
          expect.fault("bad_passphrase", tcpki.key.read(key, { passphrase = "other" }))
          local authority = assert(tcpki.authority.load(assert(tcpki.certificate.read(ca)),
            assert(tcpki.key.read(key, { passphrase_file = secret }))))
          assert(authority:issue { common_name = "a", usage = "client", days = 1 })
        end
      end)

      it_with("issues what step verifies", function()
        for _, case in ipairs(keys_of(cases.step)) do
          local found = read(case, cases.step[case])
          local authority = assert(tcpki.authority.load(found.ca, found.key, { chain = found.above }))
          local leaf = assert(authority:issue { common_name = "worker", usage = "peer", days = 30,
            subject_alt_names = { "worker.example" } })
          local ok, said = step(("certificate verify %s --roots %s --host worker.example"):format(
            parent:file(nil, leaf.chain:pem()), parent:file(nil, found.root:pem())))
          assert.is_true(ok, said)
          ok = step(("certificate verify %s --roots %s --host other.example"):format(
            parent:file(nil, leaf.chain:pem()), parent:file(nil, found.root:pem())))
          assert.is_false(ok)
        end
      end)
    end
  end)
end

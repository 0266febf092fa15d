local der = require "spec.support.der"
local expect = require "spec.support.expect"
local openssl = require "spec.support.openssl"
local temporary = require "spec.support.temporary"
local tcpki = require "tcpki"

local certificate, chain = tcpki.certificate, tcpki.chain

local DAY = 86400

describe("tcpki.chain", function()
  local directory, now, root, middle, lower, leaf, key

  setup(function()
    directory = temporary.directory()
    now = os.time()
    key = assert(tcpki.key.generate())
    root = assert(tcpki.authority.new { subject = { CN = "root" }, days = 3650 })
    middle = assert(root:subordinate { subject = { CN = "middle" }, days = 1000 })
    lower = assert(middle:subordinate { subject = { CN = "lower" }, days = 900 })
    leaf = assert(lower:issue { common_name = "leaf", usage = "peer", days = 30,
      subject_alt_names = { "a.example", "*.wild.example", "10.0.0.1", "2001:db8::1",
        "ops@a.example", "f*.partial.example" } })
  end)

  teardown(function()
    directory:remove()
  end)

  local function all()
    return { leaf.certificate, lower.certificate, middle.certificate, root.certificate }
  end

  local function names(certificates)
    local list = {}
    for i, one in ipairs(certificates) do
      list[i] = one:subject().CN
    end
    return table.concat(list, " ")
  end

  -- A certificate of any kind, right or wrong, under an issuer.
  local function make(issuer, options)
    local made = { subject = { CN = "made" }, not_before = now - 60, not_after = now + DAY,
      public_key = key, issuer = issuer and issuer.certificate,
      issuer_key = issuer and issuer.key or key, key_usage = { "digital_signature" },
      basic_constraints = { ca = false } }
    for name, value in pairs(options) do
      made[name] = value or nil
    end
    return assert(certificate.make(made))
  end

  local function make_authority(issuer, options)
    local made = { subject = { CN = "ca" }, basic_constraints = { ca = true },
      key_usage = { "key_cert_sign", "crl_sign" } }
    for name, value in pairs(options) do
      made[name] = value
    end
    return { certificate = make(issuer, made), key = options.public_key or key }
  end

  describe("building", function()
    it("finds the order, whatever order the heap has", function()
      local heap = all()
      local count = 0
      local function permute(first)
        if first == 4 then
          count = count + 1
          local built = assert(chain.new(heap))
          assert.equal("leaf lower middle root", names(built))
          assert.equal(4, #built)
          assert.is_true(built[1] == leaf.certificate)
          assert.is_true(built:leaf() == leaf.certificate)
          assert.is_nil(built.missing)
          assert.is_nil(built:lacks())
          assert.equal(names(heap) ~= names(built), built.reordered)
        end
        for i = first, 4 do
          heap[first], heap[i] = heap[i], heap[first]
          permute(first + 1)
          heap[first], heap[i] = heap[i], heap[first]
        end
      end
      permute(1)
      assert.equal(24, count)
    end)

    it("says which issuer is missing", function()
      local built = assert(chain.new { lower.certificate, leaf.certificate })
      assert.equal("leaf lower", names(built))
      assert.equal("CN=middle", built.missing)
      local err = built:lacks()
      assert.equal("no_issuer", err.code)
      assert.equal(1, err.depth)
      assert.equal("CN=lower", err.subject)
      assert.is_truthy(tostring(err):find("CN=middle", 1, true))
      built = assert(chain.new({ leaf.certificate, middle.certificate, root.certificate },
        { leaf = leaf.certificate }))
      assert.equal("leaf", names(built))
      assert.equal("CN=lower", built.missing)
      assert.equal("middle root", names(built.foreign))
    end)

    it("sets duplicates and foreign certificates aside, and loses none", function()
      local elsewhere = assert(tcpki.authority.new { subject = { CN = "elsewhere" } })
      local heap = { root.certificate, elsewhere.certificate, leaf.certificate, root.certificate,
        lower.certificate, leaf.certificate, middle.certificate }
      local built = assert(chain.new(heap, { leaf = leaf.certificate }))
      assert.equal("leaf lower middle root", names(built))
      assert.equal("elsewhere", names(built.foreign))
      assert.equal("root leaf", names(built.duplicates))
      assert.equal(#heap, #built + #built.foreign + #built.duplicates)
    end)

    it("wants to know the leaf where there can be several", function()
      local second = assert(lower:issue { common_name = "second", usage = "client" }).certificate
      local heap = { leaf.certificate, second, lower.certificate }
      local err = expect.fault("several_leaves", chain.new(heap))
      assert.matches("CN=leaf", err.message)
      assert.matches("CN=second", err.message)
      local built = assert(chain.new(heap, { leaf = second }))
      assert.equal("second lower", names(built))
      assert.equal("leaf", names(built.foreign))
      built = assert(chain.new({ lower.certificate }, { leaf = second }))
      assert.equal("second lower", names(built))
    end)

    it("takes no twin for the issuer: the same name, another key", function()
      local twin = assert(root:subordinate { subject = { CN = "middle" } })
      for _, heap in ipairs {
        { leaf.certificate, lower.certificate, twin.certificate, middle.certificate },
        { leaf.certificate, lower.certificate, middle.certificate, twin.certificate },
      } do
        local built = assert(chain.new(heap, { leaf = leaf.certificate }))
        assert.equal("leaf lower middle", names(built))
        assert.is_true(built[3] == middle.certificate)
        assert.is_true(built.foreign[1] == twin.certificate)
      end
      local built = assert(chain.new({ leaf.certificate, lower.certificate, twin.certificate },
        { leaf = leaf.certificate }))
      assert.equal("leaf lower", names(built))
      assert.equal("CN=middle", built.missing)
    end)

    it("refuses a heap that would take the square of its size in signatures", function()
      -- Without key identifiers nothing but the signature tells authorities of one name apart: each
      -- of these signed the one before it.
      local outer = der.parts((select(2, der.read(root.certificate:der()))))
      local fields = der.parts((select(2, der.read(outer[1]))))
      local heap = {}
      local own = assert(tcpki.key.generate())
      for i = 1, 50 do
        local issuer_key = assert(tcpki.key.generate())
        fields[7] = assert(own:public()):der()
        local body = der.sequence(der.integer(i), table.unpack(fields, 3, 7))
        local signature = openssl.run("dgst -sha256 -sign " .. directory:file(nil, issuer_key:pem()), body)
        heap[i] = assert(tcpki.certificate.parse(der.sequence(body, outer[2], der.bits(signature))))
        own = issuer_key
      end
      assert.is_true(heap[1]:issued_by(heap[2]))
      assert.equal(9, #assert(chain.new { table.unpack(heap, 1, 9) }))
      for _, given in ipairs { {}, { leaf = heap[1] } } do
        local err = expect.fault("too_costly", chain.new(heap, given))
        assert.matches("50 certificates", err.message)
        assert.matches("one chain", err.hint)
      end
    end)

    it("comes to an end where two authorities certify each other", function()
      local one = make_authority(nil, { subject = { CN = "one" } })
      local other_key = assert(tcpki.key.generate())
      local other = make_authority(nil, { subject = { CN = "two" }, public_key = other_key,
        issuer_key = other_key })
      local crossed = {
        make_authority(other, { subject = { CN = "one" } }).certificate,
        make_authority(one, { subject = { CN = "two" }, public_key = other_key }).certificate,
      }
      local made = make(one, { subject = { CN = "crossed leaf" } })
      local built = assert(chain.new({ made, table.unpack(crossed) }, { leaf = made }))
      assert.equal(3, #built)
      assert.is_string(built.missing)
      expect.fault("several_leaves", chain.new(crossed))
    end)

    it("needs a certificate", function()
      expect.fault("empty", chain.new {})
      expect.fault("empty", chain.parse "")
      expect.fault("not_pem", chain.parse "hello")
    end)

    it("throws on a mistake of the program", function()
      expect.throws({ "certificates", "table" }, chain.new, "pem")
      expect.throws({ "certificate 2", "tcpki.certificate", "string" }, chain.new,
        { leaf.certificate, "pem" })
      expect.throws({ "unknown option 'root'", "leaf" }, chain.new, all(), { root = true })
      expect.throws({ "'leaf'", "tcpki.certificate" }, chain.new, all(), { leaf = 1 })
    end)

    it("throws on a hole: what follows it must not be lost", function()
      expect.throws("certificate 1", chain.new, { nil, leaf.certificate })
      expect.throws("certificate 2", chain.new, { leaf.certificate, nil, root.certificate })
    end)
  end)

  describe("bytes", function()
    it("pem is canonical and leaf first, source the text that was read", function()
      local text = "# shuffled\r\n" .. root.certificate:pem() .. leaf.certificate:pem()
        .. middle.certificate:pem():gsub("\n", "\r\n") .. lower.certificate:pem()
      local built = assert(chain.parse(text))
      assert.equal(text, built:source())
      assert.equal(leaf.certificate:pem() .. lower.certificate:pem() .. middle.certificate:pem()
        .. root.certificate:pem(), built:pem())
      local path = directory:file("shuffled.pem", text)
      assert.equal(text, chain.read(path):source())
      assert.is_nil(chain.new(all()):source())
      assert.equal("tcpki.chain (CN=leaf, 4 certificates)", tostring(built))
    end)

    it("are written whole, mode 0644", function()
      local path = directory:path "chain.pem"
      assert.is_true(leaf.chain:write(path))
      assert.equal(leaf.chain:pem(), temporary.content(path))
      assert.equal("644", temporary.mode(path))
      expect.fault("already_exists", leaf.chain:write(path))
      assert.is_true(leaf.chain:write(path, { overwrite = true }))
      expect.throws({ "unknown option 'mode'", "overwrite" }, leaf.chain.write, leaf.chain, path,
        { mode = 1 })
    end)

    it("that are damaged are a fault with the path and the line", function()
      local text = leaf.certificate:pem() .. lower.certificate:pem():sub(1, 100)
      local path = directory:file("cut.pem", text)
      local err = expect.fault("bad_pem", chain.read(path))
      assert.equal(path, err.path)
      local _, lines = leaf.certificate:pem():gsub("\n", "")
      assert.is_true(err.line > lines)
      expect.fault("wrong_kind", chain.parse(leaf.chain:pem() .. leaf.key:pem()))
    end)
  end)

  describe("verification", function()
    local roots

    setup(function()
      roots = tcpki.bundle.new { root.certificate }
    end)

    local function verify(one, options)
      local request = { roots = roots }
      for name, value in pairs(options or {}) do
        request[name] = value
      end
      return one:verify(request)
    end

    local function under(issuer, options)
      return assert(chain.new({ make(issuer, options), lower.certificate, middle.certificate },
        { leaf = nil }))
    end

    -- What was made wrong, by which certificates, and what is to be said of it; openssl agrees.
    local function refused(code, depth, one, options, more)
      local err = expect.fault(code, verify(one, options))
      assert.equal(depth, err.depth)
      assert.is_string(err.subject)
      assert.equal(1, #err.openssl)
      local untrusted = ""
      for i = 2, #one do
        untrusted = untrusted .. one[i]:pem()
      end
      local anchors = options and options.roots or roots
      local ok, output = openssl.verify(one[1]:pem(), anchors:pem(),
        untrusted ~= "" and untrusted, more)
      assert.is_false(ok, output)
      assert.is_truthy(output:find(err.openssl[1], 1, true), err.openssl[1] .. " in " .. output)
      assert.is_truthy(output:find("at " .. depth .. " depth", 1, true), output)
      return err
    end

    it("accepts what openssl verify -x509_strict accepts", function()
      assert.is_true(verify(leaf.chain))
      assert.is_true(verify(assert(chain.new(all()))))
      assert.is_true(verify(leaf.chain, { roots = { root.certificate } }))
      local ok, output = openssl.verify(leaf.certificate:pem(), root.certificate:pem(),
        lower.certificate:pem() .. middle.certificate:pem())
      assert.is_true(ok, output)
    end)

    it("accepts a root alone, where it is trusted", function()
      assert.is_true(verify(chain.new { root.certificate }))
    end)

    it("names the missing issuer", function()
      local err = refused("no_issuer", 0, assert(chain.new { leaf.certificate }))
      assert.equal("CN=leaf", err.subject)
      assert.matches("CN=lower", err.hint)
      err = refused("no_issuer", 1, assert(chain.new { leaf.certificate, lower.certificate }))
      assert.equal("CN=lower", err.subject)
      assert.matches("CN=middle", err.hint)
      expect.fault("no_issuer", verify(leaf.chain, { roots = {} }))
    end)

    it("tells an untrusted root from a missing one", function()
      local elsewhere = tcpki.bundle.new {
        assert(tcpki.authority.new { subject = { CN = "elsewhere" } }).certificate }
      local err = refused("untrusted_root", 3, assert(chain.new(all())), { roots = elsewhere })
      assert.equal("CN=root", err.subject)
      refused("untrusted_root", 0, chain.new { root.certificate }, { roots = elsewhere })
    end)

    it("is not misled by a trusted root of the same name", function()
      local twin = assert(tcpki.authority.new { subject = { CN = "root" } })
      local err = expect.fault("no_issuer", verify(leaf.chain, { roots = { twin.certificate } }))
      assert.equal(2, err.depth)
      assert.is_true(verify(leaf.chain, { roots = { twin.certificate, root.certificate } }))
    end)

    it("names what has expired or is not yet valid, at its depth", function()
      local one = leaf.chain
      local function at(seconds)
        return { at = seconds }, "-attime " .. seconds
      end
      local after = leaf.certificate:not_after() + 1
      assert.equal("CN=leaf", refused("expired", 0, one, at(after)).subject)
      assert.is_true(verify(one, { at = leaf.certificate:not_after() - 1 }))
      local before = leaf.certificate:not_before() - 1
      local err = expect.fault("not_yet_valid", verify(one, { at = before }))
      assert.is_true(err.depth >= 0)
      assert.is_true(verify(one, { at = leaf.certificate:not_before() }))
      local long = under(lower, { not_after = now + 5000 * DAY })
      err = refused("expired", 1, long, at(lower.certificate:not_after() + 1))
      assert.equal("CN=lower", err.subject)
    end)

    it("asks the purpose that it is told to ask", function()
      local function of(usage)
        return under(lower, { extended_key_usage = { usage } })
      end
      assert.is_true(verify(of "client_auth", { purpose = "client" }))
      assert.is_true(verify(of "server_auth", { purpose = "server" }))
      assert.is_true(verify(of "client_auth", { purpose = "any" }))
      assert.is_true(verify(of "client_auth"))
      assert.is_true(verify(leaf.chain, { purpose = "client" }))
      assert.is_true(verify(leaf.chain, { purpose = "server" }))
      refused("wrong_purpose", 0, of "server_auth", { purpose = "client" }, "-purpose sslclient")
      refused("wrong_purpose", 0, of "client_auth", { purpose = "server" }, "-purpose sslserver")
      expect.throws({ "'purpose'", "email", "any, client, server" }, verify, leaf.chain,
        { purpose = "email" })
    end)

    it("finds the name among the alternative names, by its kind", function()
      local one = leaf.chain
      for _, name in ipairs {
        "a.example", "A.EXAMPLE", "b.wild.example", "10.0.0.1", "2001:db8::1",
        "2001:0db8:0:0:0:0:0:1", "ops@a.example", { type = "dns", value = "a.example" },
        { type = "ip", value = "10.0.0.1" }, { type = "email", value = "ops@a.example" },
      } do
        assert.is_true(verify(one, { name = name }))
      end
      for _, name in ipairs {
        "b.example", "x.a.example", "wild.example", "a.b.wild.example", "10.0.0.2", "2001:db8::2",
        "dev@a.example", { type = "dns", value = "10.0.0.1" },
        { type = "dns", value = "ops@a.example" },
      } do
        local err = expect.fault("name_mismatch", verify(one, { name = name }))
        assert.equal(0, err.depth)
        assert.is_truthy(err.message:find(type(name) == "table" and name.value or name, 1, true))
      end
    end)

    it("takes no name of a whole domain", function()
      expect.fault("bad_name", verify(leaf.chain, { name = ".example" }))
    end)

    it("takes no partial wildcard", function()
      expect.fault("name_mismatch", verify(leaf.chain, { name = "foo.partial.example" }))
    end)

    it("never takes the common name for a host name", function()
      local bare = under(lower, { subject = { CN = "host.example" } })
      expect.fault("name_mismatch", verify(bare, { name = "host.example" }))
      local ok = openssl.verify(bare[1]:pem(), root.certificate:pem(), lower.certificate:pem()
        .. middle.certificate:pem(), "-verify_hostname host.example")
      assert.is_true(ok, "openssl itself would take it")
    end)

    it("throws on a name that is none", function()
      expect.throws("'name'", verify, leaf.chain, { name = { type = "uri", value = "a://b" } })
      expect.throws("'name'", verify, leaf.chain, { name = { value = 1 } })
      expect.throws("'name'", verify, leaf.chain, { name = 42 })
      expect.throws("NUL", verify, leaf.chain, { name = "a.example\0.evil" })
      expect.throws("'name'", verify, leaf.chain, { name = "spiffe://a/b" })
      expect.fault("bad_name", verify(leaf.chain, { name = { type = "ip", value = "a.example" } }))
    end)

    it("refuses an empty name rather than ask for none", function()
      for _, kind in ipairs { "dns", "email", "ip" } do
        expect.fault("bad_name", verify(leaf.chain, { name = { type = kind, value = "" } }))
      end
      expect.fault("bad_name", verify(leaf.chain, { name = "" }))
    end)

    it("refuses a signature that does not hold", function()
      local bytes = leaf.certificate:der()
      local changed = assert(certificate.parse(bytes:sub(1, -2)
        .. string.char(bytes:byte(-1) ~ 1)))
      local one = assert(chain.new({ changed, lower.certificate, middle.certificate },
        { leaf = changed }))
      local err = expect.fault("bad_signature", verify(one))
      assert.equal(0, err.depth)
      assert.equal("CN=leaf", err.subject)
    end)

    it("refuses an issuer that is no authority", function()
      local posing = { certificate = make(root, { subject = { CN = "posing" },
        extended_key_usage = { "client_auth" } }), key = key }
      local made = make(posing, { subject = { CN = "victim" } })
      local one = assert(chain.new({ made, posing.certificate }, { leaf = made }))
      -- Building already leaves it aside: it is put back, as a peer would send it.
      assert.equal("posing", names(one.foreign))
      one[2] = posing.certificate
      refused("not_an_authority", 1, one)
    end)

    it("keeps path lengths", function()
      local short = make_authority(root, { subject = { CN = "short" },
        basic_constraints = { ca = true, path_length = 0 } })
      local below = make_authority(short, { subject = { CN = "below" } })
      local made = make(below, {})
      local err = refused("path_length_exceeded", 2,
        assert(chain.new { made, below.certificate, short.certificate }))
      assert.equal("CN=short", err.subject)
      assert.is_true(verify(assert(chain.new { make(short, {}), short.certificate })))
    end)

    it("keeps name constraints", function()
      local bound = make_authority(root, { subject = { CN = "bound" },
        name_constraints = { permitted = { { type = "dns", value = "in.example" } },
          excluded = { { type = "dns", value = "not.in.example" } } } })
      local function named(name)
        return assert(chain.new { make(bound, { subject_alt_names = { name } }),
          bound.certificate })
      end
      assert.is_true(verify(named "a.in.example"))
      refused("name_not_permitted", 0, named "a.out.example")
      refused("name_not_permitted", 0, named "a.not.in.example")
    end)

    it("refuses weak keys and digests, at security level 2", function()
      local weak_key = assert(tcpki.key.parse(openssl.run
        "genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:1024"))
      local err = expect.fault("weak", verify(under(lower, { public_key = weak_key })))
      assert.equal(0, err.depth)
      local weak_root = make_authority(nil, { subject = { CN = "weak" }, public_key = weak_key,
        issuer_key = weak_key })
      expect.fault("weak", verify(assert(chain.new { make(weak_root, {}) }),
        { roots = { weak_root.certificate } }))
      err = expect.fault("weak", verify(under(lower, { digest = "SHA1" })))
      assert.matches("signature", err.openssl[1])
    end)

    it("gives OpenSSL's own words for what has no word here", function()
      local err = refused("not_verified", 0, under(lower, {
        extensions = { { oid = "1.2.3.4", der = "\5\0", critical = true } } }))
      assert.matches("critical extension", err.message)
      local bare = make_authority(root, { subject = { CN = "bare" }, key_usage = {} })
      err = refused("not_verified", 1,
        assert(chain.new { make(bare, {}), bare.certificate }))
      assert.equal("CN=bare", err.subject)
    end)

    it("asks every issuer's CRL where CRLs are passed", function()
      local function crls()
        return { assert(root:crl()), assert(middle:crl()), assert(lower:crl()) }
      end
      assert.is_true(verify(leaf.chain, { crls = crls() }))
      local one = assert(lower:issue { common_name = "revoked", usage = "client" })
      assert.is_true(lower:revoke(one.certificate, { reason = "key_compromise" }))
      local err = expect.fault("revoked", verify(one.chain, { crls = crls() }))
      assert.equal(0, err.depth)
      assert.equal("CN=revoked", err.subject)
      assert.is_true(verify(one.chain))
      assert.is_true(verify(leaf.chain, { crls = crls() }))
      local below = assert(middle:subordinate { subject = { CN = "revoked lower" } })
      local doomed = assert(below:issue { common_name = "doomed", usage = "client" })
      assert.is_true(middle:revoke(below.certificate))
      local lists = crls()
      lists[#lists + 1] = assert(below:crl())
      assert.equal(1, expect.fault("revoked", verify(doomed.chain, { crls = lists })).depth)
    end)

    it("agrees with openssl verify -crl_check_all", function()
      local one = assert(lower:issue { common_name = "revoked", usage = "client" })
      assert.is_true(lower:revoke(one.certificate))
      local text = ""
      for _, authority in ipairs { root, middle, lower } do
        text = text .. assert(authority:crl()):pem()
      end
      local more = "-crl_check_all -CRLfile " .. directory:file(nil, text)
      local untrusted = lower.certificate:pem() .. middle.certificate:pem()
      local ok, output = openssl.verify(one.certificate:pem(), root.certificate:pem(), untrusted,
        more)
      assert.is_false(ok)
      assert.matches("certificate revoked", output)
      ok, output = openssl.verify(leaf.certificate:pem(), root.certificate:pem(), untrusted, more)
      assert.is_true(ok, output)
    end)

    it("refuses CRLs that are missing, old, of the future or of a twin", function()
      local err = expect.fault("crl_unusable", verify(leaf.chain, { crls = {} }))
      assert.equal(0, err.depth)
      expect.fault("crl_unusable",
        verify(leaf.chain, { crls = { assert(root:crl()), assert(middle:crl()) } }))
      local function with(options)
        local fields = { issuer = lower.certificate, key = lower.key, number = "01",
          this_update = now - DAY, next_update = now + DAY }
        for name, value in pairs(options) do
          fields[name] = value
        end
        return { crls = { assert(root:crl()), assert(middle:crl()),
          assert(tcpki.crl.make(fields)) } }
      end
      assert.is_true(verify(leaf.chain, with {}))
      expect.fault("crl_unusable", verify(leaf.chain, with { next_update = now - 1000 }))
      expect.fault("crl_unusable", verify(leaf.chain, with { this_update = now + 1000 }))
      expect.fault("crl_unusable", verify(leaf.chain, with { key = key }))
    end)

    it("accepts an intermediate as anchor only with partial", function()
      local anchors = { roots = { middle.certificate } }
      expect.fault("no_issuer", verify(leaf.chain, anchors))
      anchors.partial = true
      assert.is_true(verify(leaf.chain, anchors))
      local ok, output = openssl.verify(leaf.certificate:pem(), middle.certificate:pem(),
        lower.certificate:pem(), "-partial_chain")
      assert.is_true(ok, output)
      assert.is_true(verify(leaf.chain, { roots = { leaf.certificate }, partial = true }))
    end)

    it("keeps the depth that it is given", function()
      assert.is_true(verify(leaf.chain, { depth = 2 }))
      expect.fault("chain_too_long", verify(leaf.chain, { depth = 1 }))
      expect.throws("'depth'", verify, leaf.chain, { depth = -1 })
    end)

    it("finds the path that holds where another does not", function()
      -- lower, certified by an authority that nobody trusts any more and by the root.
      local gone = assert(tcpki.authority.new { subject = { CN = "gone" } })
      local function crossed(issuer)
        return assert(certificate.make { subject = { CN = "lower" }, not_before = now - 60,
          not_after = now + 100 * DAY, public_key = lower.key, issuer = issuer.certificate,
          issuer_key = issuer.key, basic_constraints = { ca = true },
          key_usage = { "key_cert_sign", "crl_sign" } })
      end
      local to_gone, to_root = crossed(gone), crossed(root)
      for _, heap in ipairs {
        { leaf.certificate, to_gone, gone.certificate, to_root },
        { leaf.certificate, to_root, to_gone, gone.certificate },
        { gone.certificate, to_gone, to_root, leaf.certificate },
      } do
        local one = assert(chain.new(heap, { leaf = leaf.certificate }))
        assert.is_true(verify(one))
        assert.is_true(verify(one, { roots = { gone.certificate } }))
      end
    end)

    it("comes to an end on a heap of certificates that certify each other", function()
      local heap = {}
      local ring = {}
      for i = 1, 8 do
        ring[i] = { certificate = nil, key = assert(tcpki.key.generate()) }
        ring[i].certificate = make_authority(nil, { subject = { CN = "ring " .. i },
          public_key = ring[i].key, issuer_key = ring[i].key }).certificate
      end
      for i = 1, 8 do
        for j = 1, 8 do
          if i ~= j then
            heap[#heap + 1] = make_authority(ring[j], { subject = { CN = "ring " .. i },
              public_key = ring[i].key }).certificate
          end
        end
      end
      local made = make(ring[1], { subject = { CN = "victim" } })
      local one = assert(chain.new({ made, table.unpack(heap) }, { leaf = made }))
      local value, err = verify(one)
      assert.is_nil(value)
      assert.is_string(err.code)
      assert.is_true(verify(one, { roots = { ring[8].certificate } }))
    end)

    it("sees a bundle change", function()
      local changing = tcpki.bundle.new {}
      expect.fault("no_issuer", verify(leaf.chain, { roots = changing }))
      changing:add(root.certificate)
      assert.is_true(verify(leaf.chain, { roots = changing }))
      changing:remove(root.certificate)
      expect.fault("no_issuer", verify(leaf.chain, { roots = changing }))
      changing[#changing + 1] = root.certificate
      assert.is_true(verify(leaf.chain, { roots = changing }))
    end)

    it("throws on a mistake of the program, and lists the options", function()
      expect.throws({ "'roots'", "tcpki.bundle" }, leaf.chain.verify, leaf.chain)
      expect.throws({ "'roots'" }, leaf.chain.verify, leaf.chain, { roots = "pem" })
      expect.throws({ "unknown option 'root'", "roots", "purpose", "partial" }, leaf.chain.verify,
        leaf.chain, { root = roots })
      expect.throws({ "certificate 1" }, verify, leaf.chain, { roots = { "pem" } })
      expect.throws({ "'at'", "integer" }, verify, leaf.chain, { at = "now" })
      expect.throws({ "'crls'" }, verify, leaf.chain, { crls = { "pem" } })
      expect.throws({ "'partial'", "boolean" }, verify, leaf.chain, { partial = 1 })
      local closed = assert(lower:crl())
      closed:close()
      expect.throws("closed", verify, leaf.chain, { crls = { closed } })
    end)
  end)
end)

local child = require "spec.support.child"
local expect = require "spec.support.expect"
local openssl = require "spec.support.openssl"
local temporary = require "spec.support.temporary"

local core = require "tcpki.core"
local file = require "tcpki.file"
local istio = require "tcpki.istio"
local lyaml = require "lyaml"
local tcpki = require "tcpki"

local EC = { type = "ec" }
local DAY = 86400

local function extensions(certificate)
  local critical = {}
  for _, extension in ipairs(certificate:extensions()) do
    critical[extension.oid] = extension.critical
  end
  return critical
end

-- All that is in a directory, by name: to see that nothing changed.
local function contents(path)
  local texts = {}
  for _, entry in ipairs(assert(file.list(path))) do
    local below = path .. "/" .. entry.name
    texts[entry.name] = entry.kind == "directory" and contents(below) or temporary.content(below)
  end
  return texts
end

describe("the CA files of Istio's makefiles", function()
  local directory, root, cluster

  setup(function()
    root = assert(istio.root { key = EC })
    cluster = assert(istio.cluster(root, "east", { key = EC }))
  end)
  before_each(function() directory = temporary.directory() end)
  after_each(function() directory:remove() end)

  it("have a room of tcpki", function() assert.equal(istio, tcpki.istio) end)

  it("are written with the names and modes of the makefiles", function()
    local certs = directory:path "certs"
    assert.is_true(root:write(certs))
    assert.equal(certs .. "/east", cluster:write(certs))
    assert.same({ "east", "root-cert.pem", "root-key.pem" }, directory:names "certs")
    assert.same({ "ca-cert.pem", "ca-crl.pem", "ca-key.pem", "cert-chain.pem", "root-cert.pem" },
      directory:names "certs/east")
    assert.equal("600", temporary.mode(certs .. "/root-key.pem"))
    assert.equal("600", temporary.mode(certs .. "/east/ca-key.pem"))
    assert.equal("644", temporary.mode(certs .. "/east/ca-cert.pem"))
    assert.equal(temporary.content(certs .. "/root-cert.pem"), temporary.content(certs .. "/east/root-cert.pem"))
    local report = assert(istio.check(certs .. "/east"))
    assert.equal("nothing to report", tostring(report))
  end)

  it("have the subjects, lifetimes and extensions of the makefiles, and may sign CRLs", function()
    assert.equal("O=Istio, CN=Root CA", tostring(root.certificate:subject()))
    assert.equal("O=Istio, CN=Intermediate CA, L=east", tostring(cluster.certificate:subject()))
    assert.same({ { type = "dns", value = "istiod.istio-system.svc" } }, cluster.certificate:subject_alt_names())
    assert.same({ ca = true }, root.certificate:basic_constraints())
    assert.same({ ca = true, path_length = 0 }, cluster.certificate:basic_constraints())
    for _, one in ipairs { root, cluster } do
      assert.same({ "key_cert_sign", "crl_sign" }, one.certificate:key_usage())
      assert.is_nil(one.certificate:extended_key_usage())
      assert.equal(3650, (one.certificate:not_after() - os.time() + DAY // 2) // DAY)
      local critical = extensions(one.certificate)
      assert.is_true(critical["2.5.29.19"])
      assert.is_true(critical["2.5.29.15"])
    end
    assert.is_true(cluster.certificate:not_after() < root.certificate:not_after())
    local ok, said = openssl.verify(cluster.certificate:pem(), root.certificate:pem())
    assert.is_true(ok, said)
  end)

  it("are of RSA with 4096 bits unless told otherwise", function()
    local rsa = assert(istio.root())
    assert.equal("rsa", rsa.key:type())
    assert.equal(4096, rsa.key:bits())
    assert.equal("P-384", assert(istio.root { key = { curve = "P-384" } }).key:curve())
    local mixed = assert(istio.cluster(rsa, "west", { key = EC }))
    assert(mixed:write(directory.root))
    assert.equal("nothing to report", tostring(istio.check(directory:path "west")))
  end)

  it("are for any number of clusters, from a root that is taken up again", function()
    assert(root:write(directory.root))
    local again = assert(istio.load(directory.root))
    for _, name in ipairs { "one", "two", "three" } do
      assert(assert(istio.cluster(again, name, { key = EC })):write(directory.root))
      local report = assert(istio.check(directory:path(name)))
      assert.equal("nothing to report", tostring(report))
    end
    assert.same({ "one", "root-cert.pem", "root-key.pem", "three", "two" }, directory:names())
  end)

  it("have a CRL of every CA, which OpenSSL takes for the whole chain", function()
    assert(cluster:write(directory.root))
    local workload = assert(cluster:workload { namespace = "shop" })
    local text = temporary.content(directory:path "east/ca-crl.pem")
    local _, count = text:gsub("BEGIN X509 CRL", "")
    assert.equal(2, count)
    local check = "-crl_check_all -CRLfile " .. directory:path "east/ca-crl.pem"
    local chain = temporary.content(directory:path "east/cert-chain.pem")
    local ok, said = openssl.verify(workload.certificate:pem(), root.certificate:pem(), chain, check)
    assert.is_true(ok, said)
    assert(cluster.authority:revoke(workload.certificate))
    assert(cluster:write(directory.root, { overwrite = true }))
    ok, said = openssl.verify(workload.certificate:pem(), root.certificate:pem(), chain, check)
    assert.is_false(ok)
    assert.is_truthy(said:find "revoked")
    assert.is_true(istio.check(directory:path "east").ok)
  end)

  it("number their CRLs upwards from one run to the next", function()
    assert(root:write(directory.root))
    local function number()
      local again = assert(istio.load(directory.root))
      return tonumber(assert(again.authority:crl()):number(), 16)
    end
    assert.is_true(number() >= os.time())
    local last = assert(assert(istio.load(directory.root)).authority:crl())
    local carried = assert(istio.load(directory.root, { crl = last }))
    assert.equal(tonumber(last:number(), 16) + 1, tonumber(assert(carried.authority:crl()):number(), 16))
  end)

  it("leave the CRL out, and put the root into the chain, as asked", function()
    local other = assert(istio.cluster(root, "other", { key = EC, crl = false, root_in_chain = true }))
    assert(other:write(directory.root))
    assert.same({ "ca-cert.pem", "ca-key.pem", "cert-chain.pem", "root-cert.pem" }, directory:names "other")
    assert.equal(other.certificate:pem() .. root.certificate:pem(),
      temporary.content(directory:path "other/cert-chain.pem"))
    assert.is_true(istio.check(directory:path "other").ok)
    local with_both = assert(istio.cluster(root, "both", { key = EC, root_in_chain = true, crl_days = 7 }))
    assert(with_both:write(directory.root))
    assert.is_true(istio.check(directory:path "both").ok)
    local crl = assert(core.crl.parse(temporary.content(directory:path "both/ca-crl.pem"):match "^.-END.-\n"))
    assert.equal(7, (crl:next_update() - os.time() + DAY // 2) // DAY)
  end)

  it("take other names and lifetimes", function()
    local own = assert(istio.root { key = EC, organization = "Acme", common_name = "Mesh root", days = 100 })
    assert.equal("O=Acme, CN=Mesh root", tostring(own.certificate:subject()))
    local below = assert(istio.cluster(own, "a", { key = EC, subject = { { "CN", "A" } }, subject_alt_names = {} }))
    assert.equal("CN=A", tostring(below.certificate:subject()))
    assert.is_nil(below.certificate:subject_alt_names())
    assert.is_true(below.certificate:not_after() < own.certificate:not_after())
    expect.fault("outlives_issuer", istio.cluster(own, "a", { key = EC, days = 200 }))
    expect.throws("common_name", istio.root, { subject = { CN = "a" }, common_name = "b" })
    expect.throws("unknown option 'bits'", istio.root, { bits = 4096 })
    expect.throws("root must be tcpki.istio.root", istio.cluster, {}, "a")
    expect.throws("name must be string", istio.cluster, root)
    expect.fault("path_length_exceeded", istio.cluster(assert(istio.load(root:write(directory.root)
      and directory.root)), "a", { key = EC, path_length = 0 }).authority:subordinate { common_name = "b", key = EC })
  end)

  it("are named by what can be a directory", function()
    for _, name in ipairs { "a/b", "/etc", "..", ".", "", "a\nb", "a\0b" } do
      local err = expect.fault("bad_name", istio.cluster(root, name, { key = EC }))
      assert.is_nil(err.message:find "%c")
    end
    local wild = assert(istio.cluster(root, "a 'b' $(c)", { key = EC }))
    assert.equal(directory:path "a 'b' $(c)", wild:write(directory.root))
  end)

  it("are certificates of workloads with a SPIFFE ID", function()
    local workload = assert(cluster:workload {
      namespace = "shop", service_account = "cart", trust_domain = "acme.example" })
    assert.equal("spiffe://acme.example/ns/shop/sa/cart", workload.identity)
    assert.same({ { type = "uri", value = workload.identity } }, workload.certificate:subject_alt_names())
    assert.same({ "server_auth", "client_auth" }, workload.certificate:extended_key_usage())
    assert.equal("O=Istio, CN=Workload, L=shop", tostring(workload.certificate:subject()))
    assert.equal(1, (workload.certificate:not_after() - os.time() + DAY // 2) // DAY)
    assert.equal(directory:path "shop", workload:write(directory.root))
    assert.same({ "key.pem", "root-cert.pem", "workload-cert-chain.pem", "workload-cert.pem" }, directory:names "shop")
    assert.equal("600", temporary.mode(directory:path "shop/key.pem"))
    for _, purpose in ipairs { "sslclient", "sslserver" } do
      local ok, said = openssl.verify(temporary.content(directory:path "shop/workload-cert.pem"),
        temporary.content(directory:path "shop/root-cert.pem"),
        temporary.content(directory:path "shop/workload-cert-chain.pem"), "-purpose " .. purpose)
      assert.is_true(ok, said)
    end
    for _, wrong in ipairs { { namespace = "a/b" }, { namespace = "" }, { namespace = "a", service_account = ".." },
      { namespace = "a", trust_domain = "x y" } } do
      expect.fault("bad_name", cluster:workload(wrong))
    end
    expect.throws("namespace", cluster.workload, cluster, {})
  end)

  it("say nothing of a key when they are printed", function()
    local key = cluster.key:pem():match "\n(.-)\n"
    for _, object in ipairs { root, cluster, assert(cluster:workload { namespace = "shop" }) } do
      assert.is_truthy(tostring(object):find("^tcpki.istio.%a+ %(O=Istio, CN="))
      assert.is_nil(tostring(object):find(key, 1, true))
    end
  end)

  it("are not written over what is there", function()
    assert(cluster:write(directory.root))
    local before = contents(directory.root)
    local other = assert(istio.cluster(root, "east", { key = EC }))
    local err = expect.fault("already_exists", other:write(directory.root))
    assert.equal(directory:path "east", err.path)
    assert.same(before, contents(directory.root))
    assert(other:write(directory.root, { overwrite = true }))
    assert.equal(other.certificate:pem(), temporary.content(directory:path "east/ca-cert.pem"))
    assert.same({ "east" }, directory:names())
    assert(root:write(directory.root))
    expect.fault("already_exists", istio.root({ key = EC }):write(directory.root))
    assert.equal(root.certificate:pem(), temporary.content(directory:path "root-cert.pem"))
  end)

  it("are not written into half a directory, and the fault says what is missing", function()
    assert(cluster:write(directory.root))
    os.remove(directory:path "east/ca-key.pem")
    local before = contents(directory.root)
    local err = expect.fault("already_exists", cluster:write(directory.root))
    assert.is_truthy(err.message:find("ca-key.pem is missing", 1, true))
    assert.same(before, contents(directory.root))
    local incomplete = istio.check(directory:path "east"):find "incomplete"
    assert.equal("failed to create an istiod CA: incomplete signing CA bundle detected", incomplete.istiod)
    assert(cluster:write(directory.root, { overwrite = true }))
    assert.is_true(istio.check(directory:path "east").ok)
  end)

  it("never replace what is not theirs", function()
    assert(cluster:write(directory.root))
    directory:file("east/notes.txt", "mine")
    local before = contents(directory.root)
    local err = expect.fault("already_exists", cluster:write(directory.root, { overwrite = true }))
    assert.is_truthy(err.message:find("notes.txt", 1, true))
    assert.same(before, contents(directory.root))
    directory:file("west", "a file")
    expect.fault("already_exists", istio.cluster(root, "west", { key = EC }):write(directory.root,
      { overwrite = true }))
    assert.equal("a file", temporary.content(directory:path "west"))
  end)

  it("give way to a change that somebody else makes meanwhile", function()
    assert(cluster:write(directory.root))
    local exchange = core.file.exchange
    core.file.exchange = function(...)
      core.file.exchange = exchange
      directory:file("east/root-cert.pem", "another root")
      return exchange(...)
    end
    local err = expect.fault("busy", cluster:write(directory.root, { overwrite = true }))
    assert.equal(directory:path "east", err.path)
    assert.same({ "east" }, directory:names())
    assert.equal("another root", temporary.content(directory:path "east/root-cert.pem"))
    assert.equal(cluster.certificate:pem(), temporary.content(directory:path "east/ca-cert.pem"))
  end)

  it("are those of one writer where two write at once", function()
    local code = ([[
      local istio = require "tcpki.istio"
      local root = assert(istio.root { key = { type = "ec" } })
      local cluster = assert(istio.cluster(root, "east", { key = { type = "ec" } }))
      local ok, err = cluster:write(%q)
      print(ok and cluster.certificate:fingerprint() or err.code)]]):format(directory.root)
    for _ = 1, 5 do
      local handles, said = {}, {}
      for i = 1, 4 do
        handles[i] = assert(io.popen("exec 2>&1 </dev/null; " .. child.command(code)))
      end
      for i, handle in ipairs(handles) do
        said[i] = handle:read "l"
        handle:close()
      end
      table.sort(said, function(a, b) return #a > #b end)
      assert.same({ "already_exists", "already_exists", "already_exists" }, { table.unpack(said, 2) })
      assert.is_true(istio.check(directory:path "east").ok)
      assert.equal(said[1], core.certificate.read(directory:path "east/ca-cert.pem"):fingerprint())
      assert.same({ "east" }, directory:names())
      assert(os.execute("rm -r " .. directory:path "east"))
    end
  end)

  it("leave nothing behind where they cannot be written", function()
    expect.fault("not_found", cluster:write(directory:path "a/b"))
    expect.fault("not_found", root:write(directory:path "a/b"))
    assert.same({}, directory:names())
    local _, output = child.run(([[
      local istio = require "tcpki.istio"
      local root = assert(istio.root { key = { type = "ec" } })
      local cluster = assert(istio.cluster(root, "east", { key = { type = "ec" } }))
      for _, object in ipairs { root, cluster } do
        local ok, err = object:write(%q)
        print(ok, err.code)
      end]]):format(directory.root), { as_nobody = true })
    assert.equal("nil\tpermission_denied\nnil\tpermission_denied\n", output)
    assert.same({}, directory:names())
  end)

  it("are whole or not there when a disk is full", function()
    local ok, output = child.run(([[
      local istio = require "tcpki.istio"
      local root = assert(istio.root { key = { type = "ec" } })
      local cluster = assert(istio.cluster(root, "east", { key = { type = "ec" } }))
      local ok, err = cluster:write(%q)
      print(ok, err.code)]]):format(directory.root), { before = "trap '' XFSZ; ulimit -f 0;" })
    assert.is_true(ok, output)
    assert.equal("nil\tno_space\n", output)
    assert.same({}, directory:names())
  end)

  it("are whole in either state wherever a replacement is killed", function()
    assert(root:write(directory.root))
    assert(cluster:write(directory.root))
    local code = ([[
      local istio = require "tcpki.istio"
      local root = assert(istio.load(%q))
      local cluster = assert(istio.cluster(root, "east", { key = { type = "ec" } }))
      ready()
      while true do assert(cluster:write(%q, { overwrite = true })) end]]):format(directory.root, directory.root)
    for round = 1, 12 do
      assert.is_true(child.kill_after(round * 0.0037, code))
      local report = assert(istio.check(directory:path "east"))
      assert.is_true(report.ok, tostring(report))
    end
    assert(cluster:write(directory.root, { overwrite = true }))
    assert.is_true(istio.check(directory:path "east").ok)
  end)

  it("refuse to take up what is no root", function()
    expect.fault("not_found", istio.load(directory.root))
    assert(root:write(directory.root))
    local other = assert(istio.root { key = EC })
    assert(file.write(directory:path "root-cert.pem", other.certificate:pem(), { overwrite = true }))
    expect.fault("key_mismatch", istio.load(directory.root))
    local leaf = assert(root.authority:issue { common_name = "leaf", usage = "client" })
    assert(file.write(directory:path "root-cert.pem", leaf.certificate:pem(), { overwrite = true }))
    local err = expect.fault("not_an_authority", istio.load(directory.root))
    assert.equal(directory:path "root-cert.pem", err.path)
  end)
end)

describe("the Secret of istiod", function()
  local directory, root, path

  setup(function()
    directory = temporary.directory()
    root = assert(istio.root { key = EC })
    path = assert(assert(istio.cluster(root, "east", { key = EC })):write(directory.root))
  end)
  teardown(function() directory:remove() end)

  local function decoded(data)
    return openssl.run("base64 -d -A", data .. "\n")
  end

  it("holds every file to the byte", function()
    local secret = assert(istio.secret(path))
    local manifest = lyaml.load(secret.manifest)
    assert.same({ "Secret", "v1", "Opaque" }, { manifest.kind, manifest.apiVersion, manifest.type })
    assert.same({ name = "cacerts", namespace = "istio-system" }, manifest.metadata)
    local texts = {}
    for name, data in pairs(manifest.data) do
      texts[name] = decoded(data)
    end
    assert.same(contents(path), texts)
    assert.equal(secret.manifest, assert(istio.secret(path)).manifest)
  end)

  it("comes with the command that makes it", function()
    local secret = assert(istio.secret(path, { namespace = "mesh" }))
    assert.equal(("kubectl create secret generic cacerts --namespace mesh --from-file=%s/ca-cert.pem "
      .. "--from-file=%s/ca-crl.pem --from-file=%s/ca-key.pem --from-file=%s/cert-chain.pem "
      .. "--from-file=%s/root-cert.pem"):format(path, path, path, path, path), secret.command)
    -- What a shell makes of it, with a kubectl that prints its arguments.
    local odd = directory:path "it's $(here)"
    assert(os.execute(('cp -r %s "%s"'):format(path, (odd:gsub("%$", "\\$")))))
    local handle = assert(io.popen("kubectl() { printf '%s\\n' \"$@\"; }; " .. assert(istio.secret(odd)).command))
    assert.is_truthy(handle:read "a":find("--from-file=" .. odd .. "/ca-key.pem\n", 1, true))
    handle:close()
  end)

  it("can be one of kubernetes.io/tls, and back", function()
    expect.fault("crl_unusable", istio.secret(path, { layout = "kubernetes" }))
    local plain = assert(assert(istio.cluster(root, "plain", { key = EC, crl = false, root_in_chain = true }))
      :write(directory.root))
    local secret = assert(istio.secret(plain, { layout = "kubernetes" }))
    assert.equal("kubernetes.io/tls", secret.type)
    assert.is_nil(secret.command)
    local data = lyaml.load(secret.manifest).data
    local tls = directory:path "tls"
    assert(file.make_directory(tls))
    for name, text in pairs(data) do
      assert(file.write(tls .. "/" .. name, decoded(text), { mode = 384 }))
    end
    assert.same({ "ca.crt", "tls.crt", "tls.key" }, directory:names "tls")
    local report = assert(istio.check(tls))
    assert.equal("kubernetes", report.layout)
    assert.equal("nothing to report", tostring(report))
    assert.is_truthy(assert(istio.secret(tls)).command:find("--type=kubernetes.io/tls", 1, true))
    local back = lyaml.load(assert(istio.secret(tls, { layout = "istio" })).manifest).data
    local again = directory:path "again"
    assert(file.make_directory(again))
    for name, text in pairs(back) do
      assert(file.write(again .. "/" .. name, decoded(text), { mode = 384 }))
    end
    assert.equal("nothing to report", tostring(istio.check(again)))
    assert.equal(contents(plain)["ca-cert.pem"], contents(again)["ca-cert.pem"])
  end)

  it("is not made of what istiod would refuse", function()
    local broken = directory:path "broken"
    assert(os.execute(("cp -r %s %s"):format(path, broken)))
    assert(file.write(broken .. "/ca-key.pem", core.key.generate(EC):pem(), { overwrite = true }))
    local err = expect.fault("not_verified", istio.secret(broken))
    assert.is_truthy(err.message:find("ca-key.pem", 1, true))
    expect.fault("not_found", istio.secret(directory:path "none"))
    expect.fault("bad_name", istio.secret(path, { namespace = "Not A Name" }))
    expect.throws("layout", istio.secret, path, { layout = "other" })
  end)

  it("shows its key only in the manifest, which is written for its owner alone", function()
    local secret = assert(istio.secret(path))
    assert.equal("tcpki.istio.secret (istio-system/cacerts, 5 files)", tostring(secret))
    assert(secret:write(directory:path "cacerts.yaml"))
    assert.equal("600", temporary.mode(directory:path "cacerts.yaml"))
    assert.equal(secret.manifest, temporary.content(directory:path "cacerts.yaml"))
    expect.fault("already_exists", secret:write(directory:path "cacerts.yaml"))
    for name, value in pairs(secret) do
      if name ~= "manifest" then
        assert.is_nil(tostring(value):find("BEGIN", 1, true))
      end
    end
  end)
end)

local temporary = require "spec.support.temporary"

local core = require "tcpki.core"
local istio = require "tcpki.istio"

-- The makefiles that came with the module which test/istio is built of, run as they stand.
describe("Istio's own makefiles #istio", function()
  local directory

  local function run(command)
    local handle = assert(io.popen("exec 2>&1 </dev/null; " .. command))
    local output = handle:read "a"
    assert(handle:close(), output)
    return output
  end

  setup(function()
    directory = temporary.directory()
    local module = run "cd test/istio && go mod download istio.io/istio && go list -m -f '{{.Dir}}' istio.io/istio"
      :match "([^\n]+)\n$"
    run(("cd %s && make -f %s/tools/certs/Makefile.selfsigned.mk root-ca east-cacerts shop-certs"):format(
      directory.root, module))
  end)
  teardown(function() directory:remove() end)

  local function certificate(path)
    return assert(core.certificate.read(directory:path(path)))
  end

  it("make files that are checked without an error, and the same warnings every time", function()
    local report = assert(istio.check(directory:path "east"))
    assert.is_true(report.ok, tostring(report))
    local codes = {}
    for i, finding in ipairs(report) do
      codes[i] = finding.code
    end
    table.sort(codes)
    -- The intermediate is made some seconds after the root, for as many days.
    assert.same({ "no_crl_sign", "no_crl_sign", "outlives_issuer", "root_in_chain" }, codes)
  end)

  it("make a root that is taken up, and clusters below it with the same profile", function()
    local root = assert(istio.load(directory.root))
    local ours = assert(istio.cluster(root, "west", { key = { type = "ec" }, crl = false, root_in_chain = true }))
    assert(ours:write(directory.root))
    assert.same(directory:names "east", directory:names "west")
    local theirs, made = certificate "east/ca-cert.pem", certificate "west/ca-cert.pem"
    assert.equal(tostring(theirs:subject()), (tostring(made:subject()):gsub("west", "east")))
    for _, field in ipairs { "basic_constraints", "subject_alt_names", "extended_key_usage", "authority_key_id" } do
      assert.same(theirs[field](theirs), made[field](made), field)
    end
    local own = assert(istio.root { key = { type = "ec" } })
    assert.equal(tostring(certificate "root-cert.pem":subject()), tostring(own.certificate:subject()))
    assert.same(certificate "root-cert.pem":basic_constraints(), own.certificate:basic_constraints())
    -- The root of the makefiles may not sign a CRL, and that is said before one is made.
    local with_crl = assert(istio.cluster(root, "north", { key = { type = "ec" } }))
    local ok, err = with_crl:write(directory.root)
    assert.is_nil(ok)
    assert.equal("not_an_authority", err.code)
    assert.is_nil(io.open(directory:path "north"))
  end)

  it("make certificates of workloads with the same profile", function()
    local root = assert(istio.load(directory.root))
    local workload = assert(assert(istio.cluster(root, "south", { key = { type = "ec" } }))
      :workload { namespace = "shop" })
    local theirs = certificate "shop/workload-cert.pem"
    assert.equal(tostring(theirs:subject()), tostring(workload.certificate:subject()))
    for _, field in ipairs { "subject_alt_names", "extended_key_usage", "basic_constraints" } do
      assert.same(theirs[field](theirs), workload.certificate[field](workload.certificate), field)
    end
  end)
end)

-- The CA files of two Istio clusters under one root, checked as istiod checks them, and the steps to another root:
--
--   lua5.4 examples/istio_cacerts.lua [DIRECTORY]
--
-- Everything goes into DIRECTORY, istio-certs by default. Run again, it says what is there already and changes nothing.

local istio = require "tcpki.istio"

local directory = arg[1] or "istio-certs"

local function must(value, err)
  if not value then
    io.stderr:write(tostring(err), "\n")
    os.exit(1)
  end
  return value
end

-- ECDSA; without `key` the keys are of RSA with 4096 bits, as Istio's own makefiles have them.
local key = { type = "ec" }
local root = must(istio.root { key = key, organization = "Acme", common_name = "Acme mesh root 2026" })
must(root:write(directory))

for _, name in ipairs { "east", "west" } do
  local cluster = must(istio.cluster(root, name, { key = key }))
  local path = must(cluster:write(directory))
  local report = must(istio.check(path))
  assert(report.ok, report)
  print(must(istio.secret(path)).command)

  -- A virtual machine outside of the cluster gets a certificate of its own.
  local workload = must(cluster:workload { namespace = "shop-" .. name, service_account = "cart", days = 7 })
  must(workload:write(directory))
  print(workload.identity)
end

-- A certificate of a server in the place of the CA: what istiod would say, and which file it means.
local leaf = must(root.authority:issue { common_name = "a server", usage = "server",
  subject_alt_names = { "mesh.acme.example" } })
must(leaf.certificate:write(directory .. "/east/ca-cert.pem", { overwrite = true }))
print(must(istio.check(directory .. "/east")))

-- The next root. Each step is written once the one before is everywhere; the plan is made anew from the two
-- directories whenever this runs, and plan:current says where the cluster is.
local next_root = must(istio.root { key = key, organization = "Acme", common_name = "Acme mesh root 2036" })
must(next_root:write(directory .. "/next"))
must(must(istio.cluster(next_root, "west", { key = key })):write(directory .. "/next"))
must(os.execute(("cp -Rp '%s/west' '%s/west-live'"):format(directory, directory)))
local plan = must(istio.rotate { from = directory .. "/west", to = directory .. "/next/west" })
print(plan)
for _, step in ipairs(plan) do
  must(step:write(directory .. "/west-live"))
  assert(plan:current(directory .. "/west-live") == step.number)
end

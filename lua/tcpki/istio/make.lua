--- The files of Istio's certificate makefiles (tools/certs): a root, intermediates for clusters, and certificates for
-- workloads outside of them.
--
-- Names, subjects, lifetimes and path lengths are those of the makefiles. What differs is what was wrong there: the CAs
-- may sign CRLs, their key usage is that of a CA and nothing else (RFC 3279 wants no keyEncipherment beside it), and
-- no certificate outlives its issuer.
-- @module tcpki.istio

local authority = require "tcpki.authority"
local bundle = require "tcpki.bundle"
local core = require "tcpki.core"
local fault = require "tcpki.fault"
local file = require "tcpki.file"
local layout = require "tcpki.istio.layout"
local options = require "tcpki.options"
local store = require "tcpki.istio.store"

local make = {}

local DAY = 86400
local ROOT_DAYS, CLUSTER_DAYS, WORKLOAD_DAYS = 3650, 3650, 1
local RSA = { type = "rsa", bits = 4096 }
local CERTIFICATE_MODE = 420 -- 0644
local TRUST_DOMAIN = "cluster.local"

local root_methods, cluster_methods, workload_methods = {}, {}, {}
local root_metatable = { __name = "tcpki.istio.root", __index = root_methods }
local cluster_metatable = { __name = "tcpki.istio.cluster", __index = cluster_methods }
local workload_metatable = { __name = "tcpki.istio.workload", __index = workload_methods }

for _, metatable in ipairs { root_metatable, cluster_metatable, workload_metatable } do
  function metatable:__tostring()
    return ("%s (%s)"):format(metatable.__name, self.certificate:subject())
  end
end

-- The name of a directory of ours, and L in a subject.
local function check_name(where, name)
  if name == "" or name == "." or name == ".." or name:find "[/%c]" then
    return fault.fail {
      code = "bad_name",
      message = ("'%s' cannot be the name of a %s"):format((name:gsub("%c", "?")), where),
      hint = "it becomes the name of a directory: no slash, no control characters, not . or ..",
    }
  end
  return true
end

-- A list, for the order of the fields counts in a subject.
local function subject_of(given, organization, common_name, locality)
  if given.subject then
    return given.subject
  end
  local subject = {
    { type = "O", value = given.organization or organization },
    { type = "CN", value = given.common_name or common_name },
  }
  if locality then
    subject[3] = { type = "L", value = locality }
  end
  return subject
end

local function no_subject_twice(where, given)
  options.exclude(where, given, { { "subject", "organization" }, { "subject", "common_name" } }, 4)
end

-- RFC 5280, section 5.2.3: the numbers of CRLs grow, from one run to the next as well, and nothing here keeps the last.
local function number_crls(self)
  if self.crl_number == "0" then
    self.crl_number = ("%x"):format(os.time())
  end
  return self
end

local function root_of(made)
  return setmetatable({ authority = number_crls(made), certificate = made.certificate, key = made.key }, root_metatable)
end

local root_options = {
  subject = "table", organization = "string", common_name = "string", key = "tcpki.key|table", days = "integer",
  not_before = "integer", not_after = "integer",
}

--- Makes a root for clusters to share.
-- @function root
-- @tparam[opt] table given `key` (a private key, or options for `tcpki.key.generate`; RSA with 4096 bits by default, as
-- in the makefiles; `{ type = "ec" }` is much faster), `organization` ("Istio"), `common_name` ("Root CA") or
-- `subject`, `days` (3650), `not_before`, `not_after`
-- @treturn[1] root with `certificate`, `key` and `authority` (a `tcpki.authority`, to revoke with)
-- @treturn[2] nil
-- @treturn[2] fault
function make.root(given)
  given = options.check("tcpki.istio.root", given, root_options)
  no_subject_twice("tcpki.istio.root", given)
  local made, err = authority.new {
    subject = subject_of(given, "Istio", "Root CA"),
    key = given.key or RSA,
    days = given.days or (not given.not_after and ROOT_DAYS or nil),
    not_before = given.not_before,
    not_after = given.not_after,
  }
  if not made then
    return nil, err
  end
  return root_of(made)
end

--- Takes up the root that `root:write` or the makefiles wrote: root-cert.pem and root-key.pem.
-- @function load
-- @tparam string directory
-- @tparam[opt] table given `crl` (the last CRL of the root: number and entries are carried on)
-- @treturn[1] root
-- @treturn[2] nil
-- @treturn[2] fault `not_found`, `key_mismatch`, `not_an_authority`, …
function make.load(directory, given)
  options.expect("tcpki.istio.load", "directory", directory, "string")
  given = options.check("tcpki.istio.load", given, { crl = "tcpki.crl" })
  local certificate_path, key_path = layout.at(directory, "root-cert.pem"), layout.at(directory, "root-key.pem")
  local certificate, key, made, err
  certificate, err = core.certificate.read(certificate_path)
  if certificate then
    key, err = core.key.read(key_path)
  end
  if key then
    made, err = authority.load(certificate, key, { crl = given.crl })
  end
  if not made then
    err.path = err.path or certificate_path
    return nil, err
  end
  return root_of(made)
end

--- Writes root-cert.pem and root-key.pem (mode 0600) into a directory, which is made where it is not there: both or
-- neither.
-- @function root:write
-- @tparam string directory
-- @tparam[opt] table given `overwrite` (false by default)
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault `already_exists`, …
function root_methods:write(directory, given)
  options.expect("root:write", "directory", directory, "string")
  given = options.check("root:write", given, { overwrite = "boolean" })
  local made = false
  local ok, err = file.list(directory)
  if not ok and err.code == "not_found" then
    ok, err = file.make_directory(directory)
    made = ok
  end
  if not ok then
    return nil, err
  end
  ok, err = self.key:write_pair(layout.at(directory, "root-key.pem"), layout.at(directory, "root-cert.pem"),
    self.certificate:pem(), { overwrite = given.overwrite })
  if not ok then
    if made then
      os.remove(directory)
    end
    return nil, err
  end
  return true
end

local cluster_options = {
  subject = "table", organization = "string", common_name = "string", key = "tcpki.key|table", days = "integer",
  not_before = "integer", not_after = "integer", subject_alt_names = "table", path_length = "integer",
  root_in_chain = "boolean", crl = "boolean", crl_days = "integer",
}

--- Makes the CA of a cluster: an intermediate below a root.
-- @function cluster
-- @tparam root root as of `root` or `load`
-- @tparam string name of the cluster: its directory, and L in the subject
-- @tparam[opt] table given as for `root` (`common_name` is "Intermediate CA"; `days` 3650, but never beyond the root),
-- and `subject_alt_names` ({ "istiod.istio-system.svc" } by default, as in the makefiles; {} for none), `path_length`
-- (0), `root_in_chain` (true: cert-chain.pem ends with the root, as in the makefiles; every version of istiod takes it
-- either way, and with it every workload sends the root in every handshake), `crl` (false: no ca-crl.pem), `crl_days`
-- (how long the CRLs are good; by default as long as their CAs, for Envoy refuses everything under one that ended)
-- @treturn[1] cluster with `name`, `certificate`, `key` and `authority`
-- @treturn[2] nil
-- @treturn[2] fault `bad_name`, `outlives_issuer`, `path_length_exceeded`, …
function make.cluster(root, name, given)
  options.expect("tcpki.istio.cluster", "root", root, "tcpki.istio.root")
  options.expect("tcpki.istio.cluster", "name", name, "string")
  given = options.check("tcpki.istio.cluster", given, cluster_options)
  no_subject_twice("tcpki.istio.cluster", given)
  options.exclude("tcpki.istio.cluster", given, { { "days", "not_after" } })
  local ok, err = check_name("cluster", name)
  if not ok then
    return nil, err
  end
  local not_after = given.not_after
  if not given.days and not not_after then
    not_after = math.min(os.time() + CLUSTER_DAYS * DAY, root.certificate:not_after() - 1)
  end
  local names = given.subject_alt_names or { "istiod.istio-system.svc" }
  local made
  made, err = root.authority:subordinate {
    subject = subject_of(given, "Istio", "Intermediate CA", name),
    subject_alt_names = #names > 0 and names or nil,
    key = given.key or RSA,
    path_length = given.path_length or 0,
    days = given.days,
    not_before = given.not_before,
    not_after = not_after,
  }
  if not made then
    return nil, err
  end
  return setmetatable({
    name = name, root = root, authority = number_crls(made), certificate = made.certificate, key = made.key,
    root_in_chain = given.root_in_chain or false, with_crl = given.crl ~= false, crl_days = given.crl_days,
  }, cluster_metatable)
end

local function crl_of(issuer, days)
  local at = math.max(os.time() - 600, issuer.certificate:not_before())
  return issuer:crl { at = at, days = days or math.max((issuer.certificate:not_after() - at) // DAY, 1) }
end

--- New CRLs of the cluster's CA and of its root, as ca-crl.pem has them: Envoy wants one of every CA of a chain or none
-- at all.
-- @function cluster:crls
-- @treturn[1] string PEM
-- @treturn[2] nil
-- @treturn[2] fault
function cluster_methods:crls()
  local texts = {}
  for i, issuer in ipairs { self.authority, self.root.authority } do
    local crl, err = crl_of(issuer, self.crl_days)
    if not crl then
      return nil, err
    end
    texts[i] = crl:pem()
  end
  return table.concat(texts)
end

local function certificate_file(name, ...)
  local text, err = bundle.new({ ... }):pem()
  return text and { name = name, text = text, mode = CERTIFICATE_MODE }, err
end

-- Entries may be nil where they are not wanted; a nil with a fault ends it.
local function write_all(parent, name, files, given, where)
  options.expect(where, "directory", parent, "string")
  given = options.check(where, given, { overwrite = "boolean" }, 4)
  return store.write(parent, name, files, given.overwrite)
end

--- Writes the directory of the cluster: ca-cert.pem, ca-key.pem (mode 0600), cert-chain.pem, root-cert.pem and, unless
-- told otherwise, ca-crl.pem. All of them or none: the directory gets its name when it is whole, and is exchanged as
-- a whole where it is replaced.
-- @function cluster:write
-- @tparam string directory where the directory of the cluster is to be; it is made where it is not there
-- @tparam[opt] table given `overwrite` (false by default; only files of ours are replaced)
-- @treturn[1] string the path of the directory
-- @treturn[2] nil
-- @treturn[2] fault `already_exists`, `busy` where somebody else changed it meanwhile, `permission_denied`, `no_space`
function cluster_methods:write(directory, given)
  local root = self.root.certificate
  local files = {
    certificate_file("ca-cert.pem", self.certificate),
    { name = "ca-key.pem", key = self.key },
    certificate_file("cert-chain.pem", self.certificate, self.root_in_chain and root or nil),
    certificate_file("root-cert.pem", root),
  }
  if self.with_crl then
    local text, err = self:crls()
    if not text then
      return nil, err
    end
    files[#files + 1] = { name = layout.CRL, text = text, mode = CERTIFICATE_MODE }
  end
  return write_all(directory, self.name, files, given, "cluster:write")
end

local workload_options = {
  namespace = "string", service_account = "string", trust_domain = "string", common_name = "string",
  organization = "string", key = "tcpki.key|table", days = "integer", not_before = "integer", not_after = "integer",
}

-- A segment of the path of a SPIFFE ID (SPIFFE-ID, section 2.2).
local function check_segment(what, value)
  if value == "." or value == ".." or value == "" or value:find "[^%w%.%-_]" then
    return fault.fail { code = "bad_name", hint = "use letters, digits, dots, dashes and underscores",
      message = ("'%s' cannot be a %s of a SPIFFE ID"):format((value:gsub("%c", "?")), what) }
  end
  return true
end

--- Issues a certificate for a workload outside of the mesh, with a SPIFFE ID, as the makefiles do for virtual machines.
-- @function cluster:workload
-- @tparam table given `namespace`, `service_account` ("default"), `trust_domain` ("cluster.local"), `days` (1),
-- `common_name` ("Workload"), `organization` ("Istio"), `key` (of the kind of the CA by default, RSA with 2048 bits or
-- ECDSA), `not_before`, `not_after`
-- @treturn[1] workload with `identity` (the SPIFFE ID), `certificate`, `chain` and `key`
-- @treturn[2] nil
-- @treturn[2] fault `bad_name`, `outlives_issuer`, …
function cluster_methods:workload(given)
  given = options.check("cluster:workload", given, workload_options)
  local namespace = options.expect("cluster:workload", "option 'namespace'", given.namespace, "string")
  local account, domain = given.service_account or "default", given.trust_domain or TRUST_DOMAIN
  for _, part in ipairs { { "namespace", namespace }, { "service account", account }, { "trust domain", domain } } do
    local ok, err = check_segment(part[1], part[2])
    if not ok then
      return nil, err
    end
  end
  local key = given.key
  if not key then
    local type = self.key:type()
    key = type == "ec" and { type = "ec", curve = self.key:curve() } or type == "rsa" and { type = "rsa", bits = 2048 }
      or { type = type }
  end
  local identity = ("spiffe://%s/ns/%s/sa/%s"):format(domain, namespace, account)
  local leaf, err = self.authority:issue {
    usage = "peer",
    subject = subject_of(given, "Istio", "Workload", namespace),
    subject_alt_names = { { type = "uri", value = identity } },
    key = key,
    days = given.days or (not given.not_after and WORKLOAD_DAYS or nil),
    not_before = given.not_before,
    not_after = given.not_after,
  }
  if not leaf then
    return nil, err
  end
  return setmetatable({
    identity = identity, namespace = namespace, cluster = self, certificate = leaf.certificate, chain = leaf.chain,
    key = leaf.key,
  }, workload_metatable)
end

--- Writes the directory of the workload, with the name of its namespace: workload-cert.pem, key.pem (mode 0600),
-- workload-cert-chain.pem and root-cert.pem.
-- @function workload:write
-- @tparam string directory where that directory is to be
-- @tparam[opt] table given `overwrite`
-- @treturn[1] string the path of the directory
-- @treturn[2] nil
-- @treturn[2] fault as for `cluster:write`
function workload_methods:write(directory, given)
  local root = self.cluster.root.certificate
  local chain = { table.unpack(self.chain) }
  chain[#chain + 1] = self.cluster.root_in_chain and root or nil
  return write_all(directory, self.namespace, {
    certificate_file("workload-cert.pem", self.certificate),
    { name = "key.pem", key = self.key },
    certificate_file("workload-cert-chain.pem", table.unpack(chain)),
    certificate_file("root-cert.pem", root),
  }, given, "workload:write")
end

return make

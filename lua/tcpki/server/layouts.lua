--- The trees of certificates of Temporal's samples (temporalio/samples-server, tls/tls-simple and tls/tls-full): the
-- same files, subjects and names, with leaves that keep the rules; or, to compare with what one has, as published.
--
--     local tree = assert(server.layouts.tls_full("certs"))
--     assert(tree.tls:write "tls.yaml")
-- @module tcpki.server.layouts

local authority = require "tcpki.authority"
local core = require "tcpki.core"
local directory = require "tcpki.directory"
local layout = require "tcpki.server.layout"
local options = require "tcpki.options"
local pkcs12 = require "tcpki.pkcs12"
local server_tls = require "tcpki.server.tls"

local layouts = {}

local DAY = 86400
local DAYS = 365
local MODE, KEY_MODE = 420, 384
local RSA = { type = "rsa", bits = 4096 }

local metatable = { __name = "tcpki.server.layout" }

function metatable:__tostring()
  return ("tcpki.server.layout (%s: %s)"):format(self.name, self.directory)
end

-- Key usage digitalSignature, keyEncipherment, keyCertSign and cRLSign, not critical, in DER.
local NOT_CRITICAL = { { oid = "2.5.29.15", der = "\3\2\1\xa6" } }
local SIGNS = { "digital_signature", "crl_sign", "key_cert_sign" }

-- A certificate each: `issuer` (none: a root), `path_length` or `usage`, `names`; `published` is what the sample puts
-- into it in their place. The files are `at` with an ending each.
local simple = {
  { name = "ca", at = "ca", files = { cert = true, key = true }, subject = { O = "Test CA, Inc." }, authority = true,
    published = { basic_constraints = { ca = true } } },
  { name = "cluster", at = "cluster", files = { pem = true, key = true, csr = true }, issuer = "ca",
    subject = { O = "Test Cluster, Inc.", CN = "tls-sample" }, names = { "tls-sample", "::1" }, usage = "peer" },
  { name = "client", at = "client", files = { pem = true, key = true, csr = true, pfx = true }, issuer = "ca",
    subject = { O = "Test Client, Inc.", CN = "localhost" }, names = { "localhost", "::1", "127.0.0.1" },
    usage = "client" },
}

local function contoso(common_name)
  return { O = "Contoso, Inc.", CN = common_name }
end

local function root(name, at, common_name)
  return { name = name, at = at, files = { pem = true, key = true }, subject = contoso(common_name),
    authority = true, path_length = 1,
    published = { basic_constraints = { ca = true, path_length = 1 }, key_usage = SIGNS } }
end

local function intermediate(name, at, common_name, issuer)
  return { name = name, at = at, files = { pem = true, key = true }, subject = contoso(common_name),
    authority = true, path_length = 0, issuer = issuer,
    published = { basic_constraints = { ca = true, path_length = 0 }, extensions = NOT_CRITICAL } }
end

local function leaf(name, at, common_name, issuer, usage, published)
  return { name = name, at = at, files = { pem = true, key = true, chain = true, pfx = true }, issuer = issuer,
    subject = contoso(common_name), names = { common_name }, usage = usage, published = published }
end

local full = {
  root("server-root-ca", "cluster/ca/server-root-ca", "contoso.com"),
  intermediate("server-intermediate-ca", "cluster/ca/server-intermediate-ca", "cluster-x.contoso.com",
    "server-root-ca"),
  leaf("cluster-internode", "cluster/internode/cluster-internode", "internode.cluster-x.contoso.com",
    "server-intermediate-ca", "peer", { key_usage = { "digital_signature" } }),
  leaf("cluster-accounting", "cluster/accounting/cluster-accounting", "accounting.cluster-x.contoso.com",
    "server-intermediate-ca", "server"),
  leaf("cluster-development", "cluster/development/cluster-development", "development.cluster-x.contoso.com",
    "server-intermediate-ca", "server"),
  root("client-root-ca", "client/ca/client-root-ca", "hq.contoso.com"),
  intermediate("client-intermediate-ca-accounting", "client/ca/client-intermediate-ca-accounting",
    "accounting.ca.contoso.com", "client-root-ca"),
  intermediate("client-intermediate-ca-development", "client/ca/client-intermediate-ca-development",
    "development.ca.contoso.com", "client-root-ca"),
  leaf("client-accounting-namespace", "client/accounting/client-accounting-namespace",
    "accounting.client.contoso.com", "client-intermediate-ca-accounting", "client"),
  leaf("client-development-namespace", "client/development/client-development-namespace",
    "development.client.contoso.com", "client-intermediate-ca-development", "client"),
}

-- ---- making ----

local function subject_of(row)
  local subject = { { type = "C", value = "US" }, { type = "ST", value = "WA" },
    { type = "O", value = row.subject.O } }
  subject[4] = row.subject.CN and { type = "CN", value = row.subject.CN } or nil
  return subject
end

-- As the scripts of the sample have openssl make it.
local function publish(row, above, key, days)
  local what = { subject = subject_of(row), subject_alt_names = row.names, public_key = key, not_before = os.time(),
    not_after = os.time() + days * DAY, issuer = above and above.certificate, issuer_key = above and above.key or key,
    basic_constraints = false }
  for name, value in pairs(row.published or {}) do
    what[name] = value
  end
  local certificate, err = core.certificate.make(what)
  if not certificate then
    return nil, err
  end
  return { certificate = certificate, chain = { certificate, above and above.certificate } }
end

-- By the rules: no leaf outlives its CA, each says what it is and what it is for.
local function issue(row, above, key, days)
  if row.authority then
    local what = { subject = subject_of(row), key = key, path_length = row.path_length }
    local made, err
    if above then
      what.not_after = math.min(os.time() + days * DAY, above.certificate:not_after() - 1)
      made, err = above.authority:subordinate(what)
    else
      what.days = days
      made, err = authority.new(what)
    end
    return made and { certificate = made.certificate, authority = made }, err
  end
  local made, err = above.authority:issue { subject = subject_of(row), subject_alt_names = row.names, key = key,
    usage = row.usage, not_after = math.min(os.time() + days * DAY, above.certificate:not_after() - 1) }
  return made and { certificate = made.certificate, chain = { made.certificate, above.certificate } }, err
end

local function add(files, name, text, mode)
  files[#files + 1] = { name = name, text = text, mode = mode or MODE }
end

local function add_files(files, row, made, published)
  local wanted, at = row.files, row.at
  files[#files + 1] = { name = at .. ".key", key = made.key }
  add(files, at .. (wanted.cert and ".cert" or ".pem"), made.certificate:pem())
  if wanted.chain then
    add(files, at .. "-chain.pem", layout.pem(made.chain))
  end
  if wanted.csr then
    local csr, err = core.csr.new { subject = subject_of(row), subject_alt_names = row.names, key = made.key }
    if not csr then
      return nil, err
    end
    add(files, at .. ".csr", csr:pem())
  end
  if wanted.pfx then
    local chain = published and { made.certificate } or wanted.chain and made.chain or { made.certificate }
    local made_file, err = pkcs12.new { key = made.key, chain = chain }
    local bytes
    if made_file then
      bytes, err = made_file:der { profile = "passwordless" }
    end
    if not bytes then
      return nil, err
    end
    add(files, at .. ".pfx", bytes, KEY_MODE)
  end
  return true
end

local known = { as_published = "boolean", key = "table", days = "integer", path = "string", overwrite = "boolean" }

local function write(where, name, rows, target, given, tls_of)
  options.expect(where, "directory", target, "string")
  given = options.check(where, given, known, 4)
  local days = given.days or DAYS
  if days < 1 then
    error(where .. ": option 'days' must be at least 1", 3)
  end
  local made, files = {}, {}
  for _, row in ipairs(rows) do
    local key, err = core.key.generate(given.key or (given.as_published and RSA or nil))
    local one
    if key then
      one, err = (given.as_published and publish or issue)(row, made[row.issuer], key, days)
    end
    if not one then
      return nil, err
    end
    one.key, made[row.name] = key, one
    local ok
    ok, err = add_files(files, row, one, given.as_published)
    if not ok then
      return nil, err
    end
  end
  table.sort(files, function(a, b) return a.name < b.name end)
  local prefix = given.path or target
  local tls, err = server_tls.tls(tls_of(function(relative) return directory.at(prefix, relative) end,
    given.as_published))
  local ok = tls
  if tls then
    ok, err = directory.write(target, files, { overwrite = given.overwrite })
  end
  if not ok then
    return nil, err
  end
  return setmetatable({ name = name, directory = target, tls = tls }, metatable)
end

-- ---- the configurations of the samples ----

local function server_of(certificate, key, ...)
  return { certificate_file = certificate, key_file = key, client_ca_files = { ... },
    require_client_certificate = true }
end

-- Without these the server looks at its files once, and says nothing before they end.
local function mend(options_of_tls, published)
  if not published then
    options_of_tls.refresh_interval = 60
    options_of_tls.expiration_checks = { warning_window = "720h", error_window = "168h", check_interval = "1h" }
  end
  return options_of_tls
end

local function simple_tls(at, published)
  local server = server_of(at "cluster.pem", at "cluster.key", at "ca.cert")
  local client = { server_name = "tls-sample", root_ca_files = { at "ca.cert" } }
  return mend({ internode = { server = server, client = client }, frontend = { server = server, client = client } },
    published)
end

local function full_tls(at, published)
  local internode = server_of(at "cluster/internode/cluster-internode.pem",
    at "cluster/internode/cluster-internode.key", at "cluster/ca/server-intermediate-ca.pem")
  local function host(name)
    local base = ("cluster/%s/cluster-%s"):format(name, name)
    return server_of(at(base .. "-chain.pem"), at(base .. ".key"),
      at(("client/ca/client-intermediate-ca-%s.pem"):format(name)))
  end
  local client = { server_name = "internode.cluster-x.contoso.com",
    root_ca_files = { at "cluster/ca/server-intermediate-ca.pem" } }
  return mend({
    internode = { server = internode, client = client },
    -- The sample has a frontend of its own for the system worker, which without a client here dials in plaintext.
    frontend = { server = internode, client = not published and client or nil, host_overrides = {
      ["accounting.cluster-x.contoso.com"] = host "accounting",
      ["development.cluster-x.contoso.com"] = host "development",
    } },
  }, published)
end

--- Writes the tree of tls-simple: one CA for all, `ca.cert` and `ca.key`; `cluster.pem`, `.key`, `.csr` of the server,
-- name tls-sample; `client.pem`, `.key`, `.csr`, `.pfx`.
-- @function tls_simple
-- @tparam string target the directory, `certs` in the sample; all of it is written or nothing
-- @tparam[opt] table given
--
-- * `as_published`: with the faults of the sample (no key usage in the CA, no basic constraints and no usage in the
--   leaves, which outlive their CA; RSA with 4096 bits), to compare with what one has
-- * `key`: options for `tcpki.key.generate`; EC P-256 by default
-- * `days` (365 by default), `overwrite`
-- * `path`: the directory as the server sees it, in `tls`; by default the one that is written
-- @treturn[1] layout `directory`, and `tls`: the section global.tls that the sample has for it, as of `server.tls`,
-- with what it lacks unless it is as published
-- @treturn[2] nil
-- @treturn[2] fault `already_exists`, `permission_denied`, `no_space`, …
function layouts.tls_simple(target, given)
  return write("tcpki.server.layouts.tls_simple", "tls-simple", simple, target, given, simple_tls)
end

--- Writes the tree of tls-full, `cluster` and `client` with a root and intermediates each: an intermediate for the
-- servers, and one for the clients of each of two namespaces, accounting and development. Each namespace has a host of
-- its own, which accepts its clients alone. What is trusted are intermediates: Go and gRPC take that, `openssl verify`
-- only with -partial_chain, Node not.
-- @function tls_full
-- @tparam string target as for `tls_simple`
-- @tparam[opt] table given as for `tls_simple`
-- @treturn[1] layout
-- @treturn[2] nil
-- @treturn[2] fault
function layouts.tls_full(target, given)
  return write("tcpki.server.layouts.tls_full", "tls-full", full, target, given, full_tls)
end

return layouts

-- Directories of CA files, right and wrong: rows of { name, code, make }. `code` is that of the first error of
-- istio.check, or false where istiod starts; `make` changes the files of a good directory.
--
--   for _, case in ipairs(cases.rows) do local files = cases.files(case) … end

local core = require "tcpki.core"
local openssl = require "spec.support.openssl"
local temporary = require "spec.support.temporary"

local cases = { rows = {} }

local DAY = 86400
local now = os.time()

local function make(given)
  local key = given.key or assert(core.key.generate { type = "ec" })
  local issuer = given.issuer
  local certificate = assert(core.certificate.make {
    subject = given.subject, issuer = issuer and issuer.certificate, issuer_key = issuer and issuer.key or key,
    public_key = key, not_before = given.not_before or now - DAY, not_after = given.not_after or now + 1000 * DAY,
    basic_constraints = given.basic_constraints, key_usage = given.key_usage, digest = given.digest,
    extended_key_usage = given.extended_key_usage, subject_alt_names = given.subject_alt_names,
    name_constraints = given.name_constraints, extensions = given.extensions,
  })
  return { certificate = certificate, key = key, pem = certificate:pem(), key_pem = key:pem() }
end

local ROOT = { { type = "O", value = "Istio" }, { type = "CN", value = "Root CA" } }
local CLUSTER = { { type = "O", value = "Istio" }, { type = "CN", value = "Intermediate CA" },
  { type = "L", value = "east" } }
local SIGN = { "key_cert_sign", "crl_sign" }

local function merge(base, more)
  local all = {}
  for name, value in pairs(base) do
    all[name] = value
  end
  for name, value in pairs(more or {}) do
    all[name] = value or nil
  end
  return all
end

local function root(more)
  return make(merge({ subject = ROOT, basic_constraints = { ca = true }, key_usage = SIGN }, more))
end

local function cluster(issuer, more)
  return make(merge({ subject = CLUSTER, issuer = issuer, basic_constraints = { ca = true, path_length = 0 },
    key_usage = SIGN, subject_alt_names = { { type = "dns", value = "istiod.istio-system.svc" } } }, more))
end

local function crl(issuer, more)
  return assert(core.crl.make(merge({ issuer = issuer.certificate, key = issuer.key, number = "1",
    this_update = now - DAY, next_update = now + 30 * DAY, entries = {} }, more))):pem()
end

local function files_of(above, below)
  return { ["root-cert.pem"] = above.pem, ["ca-cert.pem"] = below.pem, ["ca-key.pem"] = below.key_pem,
    ["cert-chain.pem"] = below.pem .. above.pem }
end

local function kubernetes(above, below)
  return { ["tls.crt"] = below.pem, ["tls.key"] = below.key_pem, ["ca.crt"] = above.pem }
end

local shared

-- What certificate.make does not make: the key of the cluster, signed by the root with extensions as they are given.
local function signed_by_openssl(set, arguments, extensions)
  local directory = temporary.directory()
  local request = openssl.run(("req -new -key %s -subj /CN=other -config %s"):format(
    directory:file("key", set.cluster.key_pem), openssl.configuration(directory, "[dn]\n")))
  local pem = openssl.run(("x509 -req -days 30 -CA %s -CAkey %s -extfile %s %s"):format(
    directory:file("root", set.root.pem), directory:file("root-key", set.root.key_pem),
    directory:file("extensions", extensions), arguments), request)
  directory:remove()
  return pem
end

-- Made at the first use: keys take their time.
local function base()
  if not shared then
    shared = { root = root() }
    shared.cluster = cluster(shared.root)
    shared.other_root = root()
    shared.other = cluster(shared.other_root)
  end
  return shared
end

local function row(name, code, change)
  table.insert(cases.rows, { name = name, code = code, make = change })
end

--- The files of a case; of two, those of the first after the second was done to them.
function cases.files(case, other)
  local set = base()
  local files = files_of(set.root, set.cluster)
  files = case.make(files, set) or files
  return other and other.make(files, set) or files
end

-- Writes the files of a case into a directory of its own.
function cases.write(case, directory)
  assert(os.execute("mkdir -p " .. directory.root .. "/" .. case.number))
  for name, text in pairs(cases.files(case)) do
    directory:file(case.number .. "/" .. name, text)
  end
  return directory:path(tostring(case.number))
end

local function with(name, text)
  return function(files) files[name] = text or nil end
end


local function below(more)
  return function(_, set) return files_of(set.root, cluster(set.root, more)) end
end

local function above(more)
  return function()
    local top = root(more)
    return files_of(top, cluster(top))
  end
end

local function relabel(text, from, to)
  return (text:gsub("(%-%-%-%-%-%u+ )" .. from .. "%-", "%1" .. to .. "-"))
end

-- ---- what istiod takes -----------------------------------------------------------------------

row("as the makefiles lay it out", false, function() end)
row("the root left out of the chain", false, function(files, set) files["cert-chain.pem"] = set.cluster.pem end)
row("a root for two meshes", false, function(files, set)
  files["root-cert.pem"] = set.other_root.pem .. set.root.pem
end)
row("CRLs of all, in any order", false, function(files, set)
  files["ca-crl.pem"] = crl(set.root) .. crl(set.other_root) .. crl(set.cluster)
end)
row("an ended CRL", false, function(files, set)
  files["ca-crl.pem"] = crl(set.root) .. crl(set.cluster, { next_update = now - 3600 })
end)
row("an empty CRL", false, with("ca-crl.pem", ""))
row("CAs of the makefiles, without cRLSign", false, function()
  local usage = { "digital_signature", "content_commitment", "key_encipherment", "key_cert_sign" }
  local top = root { key_usage = usage }
  return files_of(top, cluster(top, { key_usage = usage }))
end)
row("CAs without key usage", false, function()
  local top = root { key_usage = false }
  return files_of(top, cluster(top, { key_usage = false }))
end)
row("a root that signs itself for the workloads", false, function(_, set)
  local files = files_of(set.root, set.root)
  files["cert-chain.pem"] = ""
  return files
end)
row("three levels", false, function(_, set)
  local middle = cluster(set.root, { basic_constraints = { ca = true }, subject = { CN = "Middle" } })
  local files = files_of(set.root, cluster(middle))
  files["cert-chain.pem"] = files["ca-cert.pem"] .. middle.pem .. set.root.pem
  return files
end)
row("a chain from the root down", false, function(files, set) files["cert-chain.pem"] = set.root.pem
  .. set.cluster.pem end)
row("a chain without the CA", false, function(files, set) files["cert-chain.pem"] = set.root.pem end)
row("the whole chain in ca-cert.pem", false, function(files, set) files["ca-cert.pem"] = set.cluster.pem
  .. set.root.pem end)
row("text around the blocks, and CR LF", false, function(files)
  for _, name in ipairs { "ca-cert.pem", "ca-key.pem", "root-cert.pem", "cert-chain.pem" } do
    files[name] = "subject=Istio\r\n" .. files[name]:gsub("\n", "\r\n") .. "\r\n"
  end
end)
row("a block that Go passes over among the roots", false, function(files, set)
  files["root-cert.pem"] = relabel(set.other_root.pem, "CERTIFICATE", "TRUSTED CERTIFICATE") .. set.root.pem
end)
row("serverAuth in the CA", false, below { extended_key_usage = { "server_auth", "client_auth" } })
row("a traditional key", false, function(files, set)
  files["ca-key.pem"] = set.cluster.key:pem { format = "traditional" }
end)
row("an RSA key in PKCS#1", false, function(_, set)
  local key = assert(core.key.generate { type = "rsa", bits = 2048 })
  local files = files_of(set.root, cluster(set.root, { key = key }))
  files["ca-key.pem"] = key:pem { format = "traditional" }
  return files
end)
row("an Ed25519 CA", false, function(_, set)
  return files_of(set.root, cluster(set.root, { key = assert(core.key.generate { type = "ed25519" }) }))
end)
row("a CA of an RSA root", false, function()
  local top = root { key = assert(core.key.generate { type = "rsa", bits = 2048 }) }
  return files_of(top, cluster(top))
end)
row("a CA that outlives its root", false, above { not_after = now + 100 * DAY })
row("a CA that ends next week", false, below { not_after = now + 7 * DAY })
row("another key identifier than the root's", false, function(files, set)
  files["ca-cert.pem"] = signed_by_openssl(set, "", "authorityKeyIdentifier=none\nbasicConstraints=CA:true\n"
    .. "2.5.29.35=DER:30:06:80:04:01:02:03:04\n")
end)
row("names that the root permits", false, above {
  name_constraints = { permitted = { { type = "dns", value = "svc" } } } })
row("the layout of a kubernetes.io/tls Secret", false, function(_, set)
  return kubernetes(set.root, set.cluster)
end)
row("tls.crt with its chain, and without a last line end", false, function(_, set)
  local files = kubernetes(set.root, set.cluster)
  files["tls.crt"] = (files["tls.crt"] .. set.other.pem):gsub("\n$", "")
  return files
end)
row("both layouts at once, the one that counts being right", false, function(files, set)
  return merge(files, merge(kubernetes(set.root, set.cluster), { ["ca-key.pem"] = set.other.key_pem,
    ["ca-crl.pem"] = crl(set.root) }))
end)

-- A byte of some DER exchanged; `at` is counted from a mark, or from the end where it is negative.
local function patched(der, mark, at)
  local place = (mark and assert(der:find(mark, 1, true)) or #der + 1) + at
  return der:sub(1, place - 1) .. string.char(der:byte(place) ~ 1) .. der:sub(place + 1)
end

row("a key whose public half is damaged: Go computes it", false, function(files, set)
  files["ca-key.pem"] = core.pem.encode("PRIVATE KEY", patched(set.cluster.key:der(), nil, -5))
end)

-- ---- what istiod refuses ---------------------------------------------------------------------

for _, name in ipairs { "ca-cert.pem", "ca-key.pem", "root-cert.pem", "cert-chain.pem" } do
  row(name .. " is not there", "incomplete", with(name, false))
end
row("ca.crt is not there", "incomplete", function(_, set)
  return merge(kubernetes(set.root, set.cluster), { ["ca.crt"] = false })
end)
row("tls.key is not there, though ca-key.pem is", "incomplete", function(files, set)
  return merge(files, merge(kubernetes(set.root, set.cluster), { ["tls.key"] = false }))
end)
row("ca-cert.pem is empty", "certificate_not_pem", with("ca-cert.pem", ""))
row("ca-cert.pem is no PEM", "certificate_not_pem", with("ca-cert.pem", "not a certificate\n"))
row("a letter of ca-cert.pem was lost", "certificate_not_pem", function(files)
  files["ca-cert.pem"] = files["ca-cert.pem"]:gsub("\nMII", "\nMI", 1)
end)
row("the key stands first in ca-cert.pem", "certificate_unreadable", function(files)
  files["ca-cert.pem"] = files["ca-key.pem"] .. files["ca-cert.pem"]
end)
row("the certificate has bytes behind it", "certificate_unreadable", function(files, set)
  files["ca-cert.pem"] = core.pem.encode("CERTIFICATE", set.cluster.certificate:der() .. "\0\0")
end)
row("the certificate is cut off", "certificate_unreadable", function(files, set)
  files["ca-cert.pem"] = core.pem.encode("CERTIFICATE", set.cluster.certificate:der():sub(1, -9))
end)
row("the serial number is negative", "certificate_unreadable", function(files, set)
  files["ca-cert.pem"] = signed_by_openssl(set, "-set_serial -5", "basicConstraints=CA:true\n")
end)
row("the key identifier is critical", "certificate_unreadable", function(files, set)
  files["ca-cert.pem"] = signed_by_openssl(set, "", "basicConstraints=CA:true\nsubjectKeyIdentifier=critical,hash\n")
end)
row("root-cert.pem is another root", "no_issuer", function(files)
  files["root-cert.pem"] = make({ subject = { CN = "Other" }, basic_constraints = { ca = true } }).pem
  files["cert-chain.pem"] = files["ca-cert.pem"]
end)
row("root-cert.pem is empty", "no_root", with("root-cert.pem", ""))
row("the root has a label of OpenSSL's own", "no_root", function(files)
  files["root-cert.pem"] = relabel(files["root-cert.pem"], "CERTIFICATE", "X509 CERTIFICATE")
end)
row("the root has headers", "no_root", function(files)
  files["root-cert.pem"] = files["root-cert.pem"]:gsub("CERTIFICATE%-%-%-%-%-\n", "%0Name: root\n\n", 1)
end)
row("the root was renewed with another key", "bad_signature", function(files, set)
  files["root-cert.pem"] = set.other_root.pem
end)
row("the RSA root was renewed with another key", "bad_signature", function()
  local rsa = { type = "rsa", bits = 2048 }
  local first, second = root { key = assert(core.key.generate(rsa)) }, root { key = assert(core.key.generate(rsa)) }
  local files = files_of(first, cluster(first))
  files["root-cert.pem"] = second.pem
  return files
end)
row("the root is of another kind than the signature", "bad_signature", function(files)
  files["root-cert.pem"] = root({ key = assert(core.key.generate { type = "rsa", bits = 2048 }) }).pem
end)
row("the CA in the middle is not there", "no_issuer", function(_, set)
  local middle = cluster(set.root, { basic_constraints = { ca = true }, subject = { CN = "Middle" } })
  return files_of(set.root, cluster(middle))
end)
row("the name of the root is written in other bytes", "issuer_name_differs", function()
  local key = assert(core.key.generate { type = "ec" })
  local first = root { key = key, subject = { CN = "Root ca" } }
  local second = root { key = key, subject = { CN = "ROOT CA" } }
  local files = files_of(second, cluster(first))
  files["cert-chain.pem"] = files["ca-cert.pem"]
  return files
end)
row("the CA has ended", "expired", below { not_after = now - 3600 })
row("the root has ended", "expired", above { not_after = now - 3600 })
row("the CA begins tomorrow", "not_yet_valid", below { not_before = now + DAY })
row("the CA in the middle has ended", "expired", function(_, set)
  local middle = cluster(set.root, { basic_constraints = { ca = true }, subject = { CN = "Middle" },
    not_after = now - 60 })
  local files = files_of(set.root, cluster(middle))
  files["cert-chain.pem"] = files["ca-cert.pem"] .. middle.pem
  return files
end)
row("the CA is for clients only", "wrong_purpose", below { extended_key_usage = { "client_auth" } })
row("the root is for clients only", "wrong_purpose", above { extended_key_usage = { "client_auth" } })
row("the root allows no CA below it", "path_length_exceeded", function()
  local top = root { basic_constraints = { ca = true, path_length = 0 } }
  local middle = cluster(top, { basic_constraints = { ca = true }, subject = { CN = "Middle" } })
  local files = files_of(top, cluster(middle))
  files["cert-chain.pem"] = files["ca-cert.pem"] .. middle.pem
  return files
end)
row("the root may not sign certificates", "issuer_cannot_sign", above { key_usage = { "digital_signature" } })
row("the root is of version 1 in spirit", "issuer_cannot_sign", above { basic_constraints = false })
row("the root is no CA", "issuer_cannot_sign", above { basic_constraints = { ca = false }, key_usage = false })
row("the CA was signed with SHA-1", "weak", below { digest = "SHA1" })
row("the CA has a critical extension of somebody's own", "unknown_critical_extension", below {
  extensions = { { oid = "1.3.6.1.4.1.99999.1", der = "\x05\0", critical = true } } })
row("the root has one", "unknown_critical_extension", above {
  extensions = { { oid = "1.3.6.1.4.1.99999.1", der = "\x05\0", critical = true } } })
row("the root permits other names", "name_not_permitted", above {
  name_constraints = { permitted = { { type = "dns", value = "example.com" } } } })
row("the key is empty", "key_not_pem", with("ca-key.pem", ""))
row("the key is encrypted", "key_encrypted", function(files, set)
  files["ca-key.pem"] = set.cluster.key:pem { passphrase = "secret" }
end)
row("the key is encrypted as of old", "key_encrypted", function(files, set)
  files["ca-key.pem"] = set.cluster.key:pem { passphrase = "secret", format = "traditional" }
end)
row("EC PARAMETERS stand before the key", "key_parameters", function(_, set)
  local written = openssl.run "ecparam -genkey -name prime256v1"
  local files = files_of(set.root, cluster(set.root, { key = assert(core.key.parse(written)) }))
  files["ca-key.pem"] = written
  return files
end)
row("a certificate stands where the key should", "key_label", function(files)
  files["ca-key.pem"] = files["ca-cert.pem"]
end)
row("the key is PKCS#8 under the label of SEC1", "key_unreadable", function(files)
  files["ca-key.pem"] = relabel(files["ca-key.pem"], "PRIVATE KEY", "EC PRIVATE KEY")
end)
row("the key is SEC1 under the label of PKCS#8", "key_unreadable", function(files, set)
  files["ca-key.pem"] = relabel(set.cluster.key:pem { format = "traditional" }, "EC PRIVATE KEY", "PRIVATE KEY")
end)
row("the key is damaged", "key_unreadable", function(files)
  files["ca-key.pem"] = core.pem.encode("PRIVATE KEY", "\x30\x03\2\1\0")
end)
row("the key is that of another cluster", "key_mismatch", function(files, set)
  files["ca-key.pem"] = set.other.key_pem
end)
row("the key is of another kind", "key_mismatch", function(files)
  files["ca-key.pem"] = assert(core.key.generate { type = "ed25519" }):pem()
end)
row("the certificate has a label of OpenSSL's own", "certificate_label", function(files)
  files["ca-cert.pem"] = relabel(files["ca-cert.pem"], "CERTIFICATE", "TRUSTED CERTIFICATE")
end)
row("a CRL of the CA alone, with the root in the chain", "crl_missing", function(files, set)
  files["ca-crl.pem"] = crl(set.cluster)
end)
row("CRLs of another mesh", "crl_missing", function(files, set)
  files["ca-crl.pem"] = crl(set.other_root) .. crl(set.other)
end)
row("CRLs of CAs that may not sign any", "crl_missing", function()
  local usage = { "key_cert_sign" }
  local top = root { key_usage = usage }
  local lower = cluster(top, { key_usage = usage })
  local files = files_of(top, lower)
  -- The CRL names no extension of its issuer: a certificate of the same key that may sign makes it.
  files["ca-crl.pem"] = crl(root { key = top.key }) .. crl(cluster(top, { key = lower.key }))
  return files
end)
row("a text where the CRL should be", "crl_missing", with("ca-crl.pem", "no CRL yet\n"))
row("a certificate where the CRL should be", "crl_unreadable", function(files)
  files["ca-crl.pem"] = files["ca-cert.pem"]
end)
row("a CRL, and a key in the chain", "chain_unreadable", function(files, set)
  files["cert-chain.pem"] = files["cert-chain.pem"] .. set.other.key_pem
  files["ca-crl.pem"] = crl(set.root) .. crl(set.cluster)
end)
row("the certificate is that of a server", "not_an_authority", below {
  basic_constraints = { ca = false }, key_usage = { "digital_signature" }, extended_key_usage = { "server_auth" } })
row("the certificate says nothing of being a CA", "not_an_authority", below { basic_constraints = false })
row("the chain is no PEM", "chain_not_pem", with("cert-chain.pem", "none\n"))
row("the chain begins with a key", "chain_not_pem", function(files)
  files["cert-chain.pem"] = files["ca-key.pem"] .. files["cert-chain.pem"]
end)
row("the chain begins with what has ended", "chain_expired", function(files, set)
  files["cert-chain.pem"] = cluster(set.root, { not_after = now - 60 }).pem .. files["cert-chain.pem"]
end)
row("tls.crt has no last line end", "run_together", function(_, set)
  local files = kubernetes(set.root, set.cluster)
  files["tls.crt"] = files["tls.crt"]:gsub("\n$", "")
  return files
end)
row("the key of tls.key is another one", "key_mismatch", function(_, set)
  return merge(kubernetes(set.root, set.cluster), { ["tls.key"] = set.other.key_pem })
end)
row("the private half of the key is damaged, the public one is not", "key_mismatch", function(files, set)
  files["ca-key.pem"] = core.pem.encode("PRIVATE KEY", patched(set.cluster.key:der(), "\2\1\1\4\32", 20))
end)
row("the public key of the CA is not on its curve", "certificate_unreadable", function(files, set)
  files["ca-cert.pem"] = core.pem.encode("CERTIFICATE", patched(set.cluster.certificate:der(), "\3\66\0\4", 40))
end)
row("the root says twice how it is signed, and differently", "no_root", function(files, set)
  -- ecdsa-with-SHA256 outside becomes ecdsa-with-SHA384.
  local der = set.root.certificate:der()
  local at = #der - (der:reverse():find("\2\3\4\x3d\xce\x48\x86\x2a", 1, true) - 1)
  files["root-cert.pem"] = core.pem.encode("CERTIFICATE", patched(der, nil, at - #der - 1))
end)
row("the CRL is of no version that there is", "crl_unreadable", function(files, set)
  local blocks = core.pem.blocks(crl(set.root))
  files["ca-crl.pem"] = core.pem.encode("X509 CRL", patched(blocks[1].der, "\2\1\1\48", 2)) .. crl(set.cluster)
end)
row("ca.crt is another root", "bad_signature", function(_, set)
  return kubernetes(set.other_root, set.cluster)
end)

for number, case in ipairs(cases.rows) do
  case.number = number
end

return cases

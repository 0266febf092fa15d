--- certstrap's depots: the same files, made right.
--
--     local certstrap = require "tcpki.certstrap"
--     local depot = assert(certstrap.init("out", { common_name = "Acme CA", curve = "P-256" }))
--     assert(depot:request_cert { common_name = "payments", domain = "payments.acme.example" })
--     assert(depot:sign("payments", { ca = "Acme CA" }))
--     print(assert(depot:list()))
--
--     local depot = assert(certstrap.open "out")            -- one that certstrap made
--     print(assert(depot:verify()))
--     assert(depot:renew("payments", { key = "new" }))
--     assert(depot:revoke("gone", { reason = "key_compromise" }))
--     assert(assert(depot:chain "payments"):write "payments.pem")
--
-- A depot is a directory with NAME.crt, NAME.csr, NAME.key and, for a CA, NAME.crl. Options have certstrap's names with
-- `_` for `-`, and its defaults: RSA with 4096 bits for a CA and 2048 for a request, 18 months and 2 years, path length
-- 0. certstrap reads what is written here, and what it wrote is read, its encrypted EC and Ed25519 keys included, which
-- OpenSSL does not open. docs/certstrap.md says what differs.
--
-- What writes holds a lock (`busy` while another run has it), and writes all or nothing. The files are of mode 0444 and
-- 0440, since certstrap reads no others.
-- @module tcpki.certstrap

local fault = require "tcpki.fault"
local file = require "tcpki.file"
local look = require "tcpki.certstrap.look"
local make = require "tcpki.certstrap.make"
local options = require "tcpki.options"
local renew = require "tcpki.certstrap.renew"
local revoke = require "tcpki.certstrap.revoke"
local sign = require "tcpki.certstrap.sign"
local store = require "tcpki.certstrap.store"

local certstrap = {}

local methods = {}
local metatable = { __name = "tcpki.certstrap.depot", __index = methods }

function metatable:__tostring()
  return ("tcpki.certstrap.depot (%s)"):format(self.directory)
end

local function new(directory)
  return setmetatable({ directory = directory, known = {} }, metatable)
end

--- Opens a depot that exists.
-- @tparam string directory
-- @treturn[1] depot
-- @treturn[2] nil
-- @treturn[2] fault `not_a_depot` where nothing in the directory is of a depot; `not_found`, `permission_denied`, …
function certstrap.open(directory)
  options.expect("tcpki.certstrap.open", "directory", directory, "string")
  local found, stems = store.scan(directory)
  if not found then
    return nil, stems
  elseif #stems == 0 then
    return fault.fail { code = "not_a_depot", path = directory,
      message = "there is no .crt, .csr, .key or .crl in the directory",
      hint = "name the directory that certstrap wrote to (--depot-path, by default out), or make a CA in this one: "
        .. "tcpki.certstrap.init(directory, { common_name = … })" }
  end
  return new(directory)
end

--- Makes a CA in a directory, which is made if it is not there: `certstrap init`.
-- @tparam string directory
-- @tparam table given `common_name` (needed), `organization`, `organizational_unit`, `country`, `province`, `locality`;
-- `expires` ("18 months" by default), `years` (added to it); `key_bits` (4096 by default), `curve` ("P-256", "P-384",
-- "P-521", "Ed25519") or `key` (a key, or the path of one); `permit_domain` (a DNS name or several), `path_length` (0
-- by default) or `exclude_path_length`; `passphrase`, `passphrase_file`, `passphrase_env` (to encrypt the key with);
-- `compatible` (true: certstrap's own profile, with the serial number 1)
-- @treturn[1] depot
-- @treturn[1] table the CA: `name`, `stem` (of its files), `certificate`, `key`, `crl`
-- @treturn[2] nil
-- @treturn[2] fault `already_exists`, `bad_name` (a slash), `busy`, `permission_denied`, `no_space`, …: nothing is left
function certstrap.init(directory, given)
  options.expect("tcpki.certstrap.init", "directory", directory, "string")
  local depot, made = new(directory), nil
  local ca, err = make.init(depot, "tcpki.certstrap.init", given, function()
    local refused
    made, refused = file.make_directory(directory)
    return made or refused.code == "already_exists" or nil, refused
  end)
  if not ca then
    if made then
      os.remove(directory)
    end
    return nil, err
  end
  return depot, ca
end

--- Makes another CA in the depot: `certstrap init`.
-- @tparam table given as for `tcpki.certstrap.init`
-- @treturn[1] table the CA: `name`, `stem`, `certificate`, `key`, `crl`
-- @treturn[2] nil
-- @treturn[2] fault
function methods:init(given)
  local ca, err = make.init(self, "depot:init", given)
  return ca, err
end

--- Makes a key and a certificate request: `certstrap request-cert`. The common name is no alternative name by itself.
-- @tparam table given `common_name` (by default the first domain, or else the first URI; left out of the subject where
-- that has more than 64 letters), `organization`, …, `key_bits` (2048 by default), `curve` or `key`, `passphrase`, … as
-- for `init`; `domain`, `ip`, `uri` (lists, or texts with commas); `csr` (a path for the request in place of the depot)
-- @treturn[1] table `name`, `stem`, `csr`, `key`
-- @treturn[2] nil
-- @treturn[2] fault `already_exists`, `bad_name`, `busy`, …
function methods:request_cert(given)
  local made, err = make.request_cert(self, given)
  return made, err
end

--- Signs a request, once its own signature was checked: `certstrap sign`.
-- @tparam string name
-- @tparam[opt] table given `ca` (its name; by default the only one that has its key here), `expires` ("2 years" by
-- default), `years`; `passphrase`, `passphrase_file`, `passphrase_env` (of the CA's key); `usage` ("peer" by default
-- where the request has alternative names, else "client"; "server"); `intermediate` (true: a CA, with `path_length`, 0
-- by default); `csr` (a request, or its path, in place of the depot's), `certificate` (a path in place of the depot);
-- `compatible` (true: certstrap's own profile). It never ends after the CA, whatever was asked for.
-- @treturn[1] table `name`, `stem`, `certificate`, `chain` (without the root), and `crl` of a new intermediate whose
-- key is in the depot and not encrypted
-- @treturn[2] nil
-- @treturn[2] fault `already_exists`, `bad_signature`, `path_length_exceeded`, `name_not_permitted`,
-- `passphrase_required`, `expired`, `busy`, …
function methods:sign(name, given)
  return sign.sign(self, name, given)
end

--- Issues a certificate of the depot anew: the same subject and names to the byte, the same key unless a new one is
-- asked for, and as long as before. A CA keeps its key, and what it issued stays good.
-- @tparam string name
-- @tparam[opt] table given `key` ("same", the default, or "new": of the same type, with a new request),
-- `key_passphrase` (for a new key; needed where the old one was encrypted), `expires`, `years`, `usage`, and the CA's
-- `passphrase`, …
-- @treturn[1] table `name`, `stem`, `certificate`, `chain`, `key` (a new one), `former` (the certificate of before,
-- which `revoke` takes)
-- @treturn[2] nil
-- @treturn[2] fault `no_issuer`, `changed_meanwhile`, `wrong_kind` (a CA with a new key), `revoked` (for the key's
-- sake, and `key` is "same"), `busy`, …
function methods:renew(name, given)
  return renew.renew(self, name, given)
end

--- Revokes a certificate: `certstrap revoke`. Its CA's next CRL lists it; what is revoked already stays as it is.
-- @tparam string|certificate which a name, or a certificate that is no longer in the depot
-- @tparam[opt] table given `ca` (found by the signature by default), `reason` ("key_compromise", "superseded", …),
-- `at`, `days` (until the next CRL; by default to the end of the CA), and the CA's `passphrase`, …
-- @treturn[1] crl
-- @treturn[1] boolean whether it was revoked before
-- @treturn[2] nil
-- @treturn[2] fault `issuer_mismatch`, `no_issuer`, `not_found` (the CRL of a root), `bad_signature` (of the last CRL),
-- `changed_meanwhile`, `busy`, …
function methods:revoke(which, given)
  return revoke.revoke(self, which, given)
end

--- Signs the CRL of a CA anew, before it ends; the first one of an intermediate, too, or of a root that lost its own.
-- @tparam[opt] table given `ca`, `days`, and its `passphrase`, …
-- @treturn[1] crl
-- @treturn[2] nil
-- @treturn[2] fault
function methods:crl(given)
  return revoke.crl(self, given)
end

--- What is in the depot. `tostring` of it is a table for a terminal.
-- @tparam[opt] table given `at` (seconds since the epoch; now by default)
-- @treturn[1] {table,…} sorted: `stem`, `status` ("valid", "expired", "not yet valid", "revoked", "requested", "half"
-- or "damaged"), `certificate`, `ca` and `root` (booleans), `issuer` (its stem), `revoked` (`{ serial =, time =, reason
-- = }`), `key` ("clear", "encrypted" or "damaged"), `files` (the mode of each), `fault` (of a damaged certificate)
-- @treturn[2] nil
-- @treturn[2] fault
function methods:list(given)
  return look.list(self, given)
end

--- The chain of a certificate, leaf first: what a TLS peer is to send.
-- @tparam string name
-- @tparam[opt] table given `root` (true: with the root)
-- @treturn[1] chain
-- @treturn[2] nil
-- @treturn[2] fault `not_found`, `no_issuer`
function methods:chain(name, given)
  return look.chain(self, name, given)
end

--- Checks one name or the whole depot: files, keys, requests, certificates up to their roots, CRLs, and what certstrap
-- itself would not read. docs/certstrap.md lists the findings.
-- @tparam[opt] string name
-- @tparam[opt] table given `at`, `purpose` ("client" or "server"), `passphrase`, … (to compare encrypted keys, too)
-- @treturn[1] report findings have `path`, the name of the file
-- @treturn[2] nil
-- @treturn[2] fault
function methods:verify(name, given)
  return require "tcpki.certstrap.verify"(self, name, given)
end

return certstrap

--- Certificates anew, which certstrap does not have.
-- @module tcpki.certstrap.renew
-- @local

local authorities = require "tcpki.certstrap.authorities"
local chain = require "tcpki.chain"
local core = require "tcpki.core"
local expiry = require "tcpki.certstrap.expiry"
local fault = require "tcpki.fault"
local leaf = require "tcpki.certstrap.leaf"
local limits = require "tcpki.authority.limits"
local lock = require "tcpki.lock"
local options = require "tcpki.options"
local store = require "tcpki.certstrap.store"

local renew = {}

local NAME_CONSTRAINTS, SUBJECT_ALT_NAME = "2.5.29.30", "2.5.29.17"

local renew_options = store.with_passphrase({ key = "string", key_passphrase = "string|function" }, leaf.options)

-- Options of `tcpki.key.generate` for a key like another. Where that is too weak to be made, the next that is not.
local function kind_like(key)
  local kind = key:type()
  if kind == "rsa" then
    return { type = "rsa", bits = math.min(math.max(key:bits(), 2048), 8192) }
  elseif kind == "ec" then
    local curve = key:curve()
    return { type = "ec", curve = options.has({ "P-256", "P-384", "P-521" }, curve) and curve or "P-256" }
  end
  return { type = "ed25519" }
end

local function raw_of(certificate)
  local list = {}
  for _, extension in ipairs(certificate:extensions() or {}) do
    if extension.oid == SUBJECT_ALT_NAME or extension.oid == NAME_CONSTRAINTS then
      list[#list + 1] = { oid = extension.oid, der = extension.der, critical = extension.critical }
    end
  end
  return list
end

-- The name keeps its bytes, by which Go finds it as the issuer of what it signed before.
local function renewed_root(former, key, not_after)
  local certificate, err = core.certificate.make {
    subject_der = former:subject_der(), not_before = os.time() - limits.BACKDATED, not_after = not_after,
    basic_constraints = { ca = true, path_length = former:basic_constraints().path_length },
    key_usage = { "key_cert_sign", "crl_sign" }, extensions = raw_of(former), public_key = key, issuer_key = key,
  }
  return certificate and { certificate = certificate, chain = chain.of_path { certificate } }, err
end

-- Where an old key was encrypted, a new one is not to lie there in the clear.
local function key_passphrase(depot, stem, given)
  local _, err = core.key.read(store.path(depot, stem, "key"))
  if err and err.code == "passphrase_required" and not given.key_passphrase then
    err.hint = "pass key_passphrase: the new key is encrypted with it"
    return nil, err
  end
  return { passphrase = given.key_passphrase }
end

local function plan_renewal(where, former, given)
  leaf.check_usage(where, given)
  if given.key and given.key ~= "same" and given.key ~= "new" then
    error(("%s: option 'key' is '%s' (known: same, new)"):format(where, given.key), 3)
  end
  if given.expires or given.years then
    local not_after = expiry.ends(where, given.expires or "", given.years, os.time())
    return not_after
  end
  return os.time() + former:not_after() - former:not_before()
end

-- A key that somebody else has gets no new certificate.
local function check_key(depot, issuer, former, given)
  local entry = given.key ~= "new" and not former:self_signed() and authorities.revocations(depot)(issuer, former)
  if entry and entry.reason == "key_compromise" then
    return fault.fail { code = "revoked", subject = tostring(former:subject()),
      message = "it was revoked because others have its key, which a renewal would keep",
      hint = 'pass key = "new"' }
  end
  return true
end

-- The new certificate, of the same names, and the new key if there is to be one.
local function make_anew(depot, all, former, given, not_after)
  local ca = authorities.is_one(former)
  local fresh, err
  if given.key == "new" then
    if ca then
      return fault.fail { code = "wrong_kind", subject = tostring(former:subject()),
        message = "it is a CA: with another key, what it issued would be worth nothing",
        hint = "make another CA, and move to it: README, rotation" }
    end
    local old
    old, err = former:public_key()
    fresh = old
    if old then
      fresh, err = core.key.generate(kind_like(old))
    end
    if not fresh then
      return nil, err
    end
  end
  local issuer = authorities.issuer_of(all, former)
  if not issuer then
    return fault.fail { code = "no_issuer", subject = tostring(former:subject()),
      message = ("its issuer %s is not in the depot"):format(former:issuer()), hint = "renew it where its CA is" }
  end
  local ok
  ok, err = check_key(depot, issuer, former, given)
  local loaded
  if ok then
    loaded, err = authorities.load(depot, all, issuer, store.passphrase(given))
  end
  if not loaded then
    return nil, err
  end
  if former:self_signed() then
    return renewed_root(former, loaded.key, not_after)
  end
  local names
  names, err = former:subject_alt_names()
  if err then
    return nil, err
  end
  local issued
  issued, err = loaded:issue { like = former, key = fresh, not_after = leaf.within(issuer.certificate, not_after),
    usage = ca and "ca" or given.usage or leaf.usage_of(names, former:extended_key_usage()),
    path_length = ca and former:basic_constraints().path_length or nil }
  return issued, err
end

local function write_pair(depot, stem, issued, passphrase)
  local form = store.key_form(issued.key, passphrase)
  form.overwrite, form.certificate_mode = true, store.modes.crt
  return issued.key:write_pair(store.path(depot, stem, "key"), store.path(depot, stem, "crt"),
    issued.certificate:pem(), form)
end

-- The request of before is for another key.
local function replace_csr(depot, stem, issued)
  if not store.exists(depot, stem, "csr") then
    return true
  end
  local former, err = store.read(depot, stem, "csr")
  if not former then
    return nil, err
  end
  local csr
  csr, err = core.csr.new { subject = assert(issued.certificate:subject()), key = issued.key,
    subject_alt_names = issued.certificate:subject_alt_names() }
  if not csr then
    return nil, err
  end
  return store.replace(depot, stem, "csr", csr, former:source())
end

--- Issues a certificate anew, for the same names.
-- @tparam depot depot
-- @tparam string name
-- @tparam table given
-- @treturn[1] table `name`, `stem`, `certificate`, `chain`, `former` (the certificate of before) and, where it is a new
-- one, `key`
-- @treturn[2] nil
-- @treturn[2] fault
function renew.renew(depot, name, given)
  local where = "depot:renew"
  options.expect(where, "name", name, "string")
  given = options.check(where, given, renew_options)
  local held <close>, busy = lock.directory(depot.directory, "certstrap renew " .. name)
  if not held then
    return nil, busy
  end
  local stem, err = store.find(depot, name, "crt")
  local former, all, issued, passphrase
  if stem then
    -- A run that was killed between the two files of a pair.
    local ok
    ok, err = core.key.mend_pair(store.path(depot, stem, "key"), store.path(depot, stem, "crt"))
    if ok then
      former, err = store.read(depot, stem, "crt")
    end
  end
  if former then
    all, err = authorities.all(depot)
  end
  if not all then
    return nil, err
  end
  local not_after = plan_renewal(where, former, given)
  issued, err = make_anew(depot, all, former, given, not_after)
  if issued and issued.key then
    passphrase, err = key_passphrase(depot, stem, given)
  end
  if not issued or issued.key and not passphrase then
    return nil, err
  end
  local ok
  ok, err = store.unchanged(depot, stem, "crt", former:source())
  if ok and issued.key then
    ok, err = write_pair(depot, stem, issued, passphrase)
    if ok then
      ok, err = replace_csr(depot, stem, issued)
    end
  elseif ok then
    ok, err = store.replace(depot, stem, "crt", issued.certificate, former:source())
  end
  if not ok then
    return nil, err
  end
  return { name = name, stem = stem, certificate = issued.certificate, chain = issued.chain, key = issued.key,
    former = former }
end

return renew

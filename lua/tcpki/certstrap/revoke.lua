--- Revocation: the CRLs of a depot, each with a number, replaced in one step.
-- @module tcpki.certstrap.revoke
-- @local

local authorities = require "tcpki.certstrap.authorities"
local fault = require "tcpki.fault"
local file = require "tcpki.file"
local lock = require "tcpki.lock"
local options = require "tcpki.options"
local revocation = require "tcpki.authority.revocation"
local store = require "tcpki.certstrap.store"

local core = require "tcpki.core"

local revoke = {}

local DAY = 86400

local revoke_options = store.with_passphrase { ca = "string", reason = "string", at = "integer", days = "integer" }
local crl_options = store.with_passphrase { ca = "string", days = "integer" }

--- How long a CRL of a CA holds: to the end of the CA, as the one that certstrap makes with it, for nobody comes back
-- to an offline CA each month.
-- @tparam certificate certificate
-- @treturn integer days, at least one
function revoke.days_of(certificate)
  return math.max(1, (certificate:not_after() - os.time()) // DAY)
end

-- The last CRL of a CA and its text; nothing of both where it has none, as certstrap's intermediates.
local function last_of(depot, stem)
  local text, err = file.read(store.path(depot, stem, "crl"))
  if not text then
    if err.code == "not_found" then
      return true
    end
    return nil, err
  end
  local crl
  crl, err = core.crl.parse(text)
  if not crl then
    err.path = store.path(depot, stem, "crl")
    return nil, err
  end
  return true, crl, text
end

local function lists(crl, serial)
  for _, entry in ipairs(crl and crl:entries() or {}) do
    if entry.serial == serial then
      return entry
    end
  end
end

-- certstrap makes the CRL of a root with it: what is not there was taken away, with all that it had listed.
local function lost(depot, one)
  return fault.fail { code = "not_found", path = store.path(depot, one.stem, "crl"),
    message = ("the CRL of '%s' is not in the depot: what it listed would be forgotten"):format(one.stem),
    hint = ("bring it back; where nothing was revoked so far, begin a new one: depot:crl { ca = '%s' }"):format(
      one.stem) }
end

-- Signs the next CRL of a CA after `change` of its authority, and puts it in the place of the last.
local function replace(depot, all, one, given, change)
  local ok, crl, text = last_of(depot, one.stem)
  if not ok then
    return nil, crl
  end
  local loaded, err = authorities.load(depot, all, one, store.passphrase(given), crl)
  if not loaded then
    return nil, err
  end
  ok, err = change(loaded)
  if not ok then
    return nil, err
  end
  local next_one
  next_one, err = loaded:crl { days = given.days or revoke.days_of(one.certificate) }
  if next_one then
    ok, err = store.replace(depot, one.stem, "crl", next_one, text)
  end
  if not next_one or not ok then
    return nil, err
  end
  return next_one
end

-- The certificate that is meant, and the CA that issued it.
local function find(depot, which, given)
  local all, err = authorities.all(depot)
  if not all then
    return nil, err
  end
  local certificate = which
  if type(which) == "string" then
    local stem
    stem, err = store.find(depot, which, "crt")
    certificate = stem
    if stem then
      certificate, err = store.read(depot, stem, "crt")
    end
    if not certificate then
      return nil, err
    end
  end
  local subject = tostring(certificate:subject())
  if certificate:self_signed() then
    return fault.fail { code = "issuer_mismatch", subject = subject,
      message = "the certificate is a root: no CA can revoke it, and its own CRL would not be believed",
      hint = "take it out of the roots of whoever trusts it" }
  end
  local issuer = authorities.issuer_of(all, certificate)
  if given.ca then
    issuer, err = authorities.choose(depot, all, given.ca)
    if not issuer then
      return nil, err
    elseif not certificate:issued_by(issuer.certificate) then
      return fault.fail { code = "issuer_mismatch", subject = subject,
        message = ("the certificate was not issued by '%s'"):format(given.ca),
        hint = "leave ca out: its issuer is found by the signature" }
    end
  elseif not issuer then
    return fault.fail { code = "no_issuer", subject = subject, message = "no CA of the depot issued the certificate",
      hint = "revoke it where its CA is" }
  end
  return all, issuer, certificate
end

--- Revokes a certificate. What is revoked already stays as it is, and nothing is written.
-- @tparam depot depot
-- @tparam string|certificate which
-- @tparam table given
-- @treturn[1] crl the one that lists it
-- @treturn[1] boolean whether it was revoked before
-- @treturn[2] nil
-- @treturn[2] fault
function revoke.revoke(depot, which, given)
  options.expect("depot:revoke", "which", which, "string|tcpki.certificate")
  given = options.check("depot:revoke", given, revoke_options)
  revocation.check_reason("depot:revoke", given.reason, 3)
  local held <close>, busy = lock.directory(depot.directory, "certstrap revoke " .. tostring(which))
  if not held then
    return nil, busy
  end
  local all, issuer, certificate = find(depot, which, given)
  if not all then
    return nil, issuer
  end
  local ok, last = last_of(depot, issuer.stem)
  if not ok then
    return nil, last
  end
  if not last and issuer.certificate:self_signed() then
    return lost(depot, issuer)
  elseif last and lists(last, certificate:serial()) then
    local err
    ok, err = last:verify(issuer.certificate)
    if not ok then
      err.path = store.path(depot, issuer.stem, "crl")
      return nil, err
    end
    return last, true
  end
  local crl, err = replace(depot, all, issuer, given, function(loaded)
    return loaded:revoke(certificate, { reason = given.reason, at = given.at })
  end)
  if not crl then
    return nil, err
  end
  return crl, false
end

--- Signs the CRL of a CA anew, with the next number and the same entries.
-- @tparam depot depot
-- @tparam table given
-- @treturn[1] crl
-- @treturn[2] nil
-- @treturn[2] fault
function revoke.crl(depot, given)
  given = options.check("depot:crl", given, crl_options)
  local held <close>, busy = lock.directory(depot.directory, "certstrap crl")
  if not held then
    return nil, busy
  end
  local all, err = authorities.all(depot)
  local one
  if all then
    one, err = authorities.choose(depot, all, given.ca)
  end
  if not one then
    return nil, err
  end
  return replace(depot, all, one, given, function()
    return true
  end)
end

return revoke

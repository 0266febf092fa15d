--- Certificates for requests: certstrap's `sign`.
-- @module tcpki.certstrap.sign
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
local profiles = require "tcpki.certstrap.profiles"
local revoke = require "tcpki.certstrap.revoke"
local store = require "tcpki.certstrap.store"

local sign = {}

local sign_options = store.with_passphrase({ ca = "string", intermediate = "boolean", path_length = "integer",
  csr = "string|tcpki.csr", certificate = "string", compatible = "boolean" }, leaf.options)

local function check_sign(given)
  local where = "depot:sign"
  leaf.check_usage(where, given)
  if given.path_length and not given.intermediate then
    error(where .. ": option 'path_length' goes with intermediate = true", 3)
  end
  options.exclude(where, given, { { "intermediate", "usage" }, { "compatible", "usage" } }, 4)
  -- No tail calls here: the levels of errors count the frames.
  local not_after = expiry.ends(where, given.expires or "2 years", given.years, os.time())
  return not_after
end

local function read_signed(path)
  local csr, err = core.csr.read(path)
  local ok
  if csr then
    ok, err = csr:verify()
  end
  if not ok then
    err.path = path
    return nil, err
  end
  return csr
end

-- And its stem, where it lies in the depot.
local function csr_of(depot, name, given)
  if type(given.csr) == "userdata" then
    return given.csr
  elseif given.csr then
    return read_signed(given.csr)
  end
  local stem, err = store.find(depot, name, "csr")
  local csr
  if stem then
    csr, err = read_signed(store.path(depot, stem, "csr"))
  end
  return csr, csr and stem or err
end

local function compatible_leaf(loaded, csr, given, not_after)
  local path_length
  local ok, err = csr:verify()
  if ok then
    ok, path_length = limits.room(loaded)
  end
  if ok and given.intermediate then
    ok, path_length = limits.path_length(loaded, given.path_length or 0)
  end
  if not ok then
    return nil, err or path_length
  end
  local certificate
  certificate, err = profiles.issue(loaded, csr, { ca = given.intermediate, path_length = path_length,
    not_after = math.min(not_after, loaded.certificate:not_after()) })
  if not certificate then
    return nil, err
  end
  return { certificate = certificate, chain = chain.of_path({ certificate, table.unpack(loaded.sent) },
    loaded.missing) }
end

local function issue(loaded, csr, given, not_after)
  if given.compatible then
    return compatible_leaf(loaded, csr, given, not_after)
  end
  local usage = "ca"
  if not given.intermediate then
    local names, err = csr:subject_alt_names()
    if err then
      return nil, err
    end
    usage = given.usage or leaf.usage_of(names)
  end
  return loaded:issue { csr = csr, usage = usage, not_after = leaf.within(loaded.certificate, not_after),
    path_length = given.intermediate and (given.path_length or 0) or nil }
end

-- A CA has path length 0 unless it was told otherwise, and that stays: who asks for an intermediate under it needs
-- another root.
local function explain_room(err, given)
  if err.code == "path_length_exceeded" and given.intermediate then
    err.hint = ("by default a CA has path length 0: make one with room, depot:init { path_length = %d, … }, and sign "
      .. "under that"):format((given.path_length or 0) + 1)
  end
end

-- certstrap makes no CRL for an intermediate, and can then revoke nothing of it.
local function first_crl(depot, stem, issued, loaded)
  if store.exists(depot, stem, "crl") then
    return nil
  end
  local key = core.key.read(store.path(depot, stem, "key"))
  if not key or not key:is_private() or not key:matches(issued.certificate) then
    return nil
  end
  local authority = require "tcpki.authority"
  local own = authority.load(issued.certificate, key, { chain = { table.unpack(loaded.chain) } })
  return own and own:crl { days = revoke.days_of(issued.certificate) }
end

--- Signs a request.
-- @tparam depot depot
-- @tparam string name
-- @tparam table given
-- @treturn[1] table `name`, `stem`, `certificate`, `chain` and, for an intermediate whose key is at hand in the clear,
-- `crl`
-- @treturn[2] nil
-- @treturn[2] fault
function sign.sign(depot, name, given)
  options.expect("depot:sign", "name", name, "string")
  given = options.check("depot:sign", given, sign_options)
  local not_after = check_sign(given)
  local held <close>, busy = lock.directory(depot.directory, "certstrap sign " .. name)
  if not held then
    return nil, busy
  end
  local csr, stem = csr_of(depot, name, given)
  if not csr then
    return nil, stem
  end
  if not stem then
    local err
    stem, err = require "tcpki.certstrap.names".of_request(name)
    if not stem then
      return nil, err
    end
  end
  if not given.certificate and store.exists(depot, stem, "crt") then
    return fault.fail { code = "already_exists", path = store.path(depot, stem, "crt"),
      message = ("there is a certificate of '%s' already"):format(name),
      hint = ("renew it: depot:renew('%s')"):format(name) }
  end
  local all, err = authorities.all(depot)
  local issuer, loaded, issued
  if all then
    issuer, err = authorities.choose(depot, all, given.ca)
  end
  if issuer then
    loaded, err = authorities.load(depot, all, issuer, store.passphrase(given))
  end
  if loaded then
    issued, err = issue(loaded, csr, given, not_after)
  end
  if not issued then
    explain_room(err, given)
    return nil, err
  end
  local crl = given.intermediate and not given.compatible and first_crl(depot, stem, issued, loaded)
  local files = { { stem = stem, kind = "crt", object = issued.certificate, path = given.certificate } }
  if crl then
    table.insert(files, 1, { stem = stem, kind = "crl", object = crl })
  end
  local ok
  ok, err = store.put(depot, files)
  if not ok then
    return nil, err
  end
  return { name = name, stem = stem, certificate = issued.certificate, chain = issued.chain, crl = crl or nil }
end

return sign

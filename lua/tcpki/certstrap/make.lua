--- New CAs and new requests: certstrap's `init` and `request-cert`.
--
-- What calls this is not to do so by a tail call: the levels of errors count its frame.
-- @module tcpki.certstrap.make
-- @local

local authority = require "tcpki.authority"
local core = require "tcpki.core"
local expiry = require "tcpki.certstrap.expiry"
local fault = require "tcpki.fault"
local lock = require "tcpki.lock"
local names = require "tcpki.certstrap.names"
local options = require "tcpki.options"
local profiles = require "tcpki.certstrap.profiles"
local revoke = require "tcpki.certstrap.revoke"
local store = require "tcpki.certstrap.store"

local make = {}

local subject_options = {
  common_name = "string", organization = "string", organizational_unit = "string", country = "string",
  province = "string", locality = "string", key_bits = "integer", curve = "string", key = "tcpki.key|string",
}

local init_options = store.with_passphrase({ expires = "string", years = "integer", permit_domain = "string|table",
  path_length = "integer", exclude_path_length = "boolean", compatible = "boolean" }, subject_options)
local request_options = store.with_passphrase({ ip = "string|table", domain = "string|table", uri = "string|table",
  csr = "string" }, subject_options)

-- In the order in which Go writes them.
local SUBJECT = { { "C", "country" }, { "O", "organization" }, { "OU", "organizational_unit" }, { "L", "locality" },
  { "ST", "province" }, { "CN", "common_name" } }

local function subject_of(given)
  local subject = {}
  for _, row in ipairs(SUBJECT) do
    if given[row[2]] and given[row[2]] ~= "" then
      subject[#subject + 1] = { type = row[1], value = given[row[2]] }
    end
  end
  return subject
end

-- A comma list, as on a command line, or an array.
local function list_of(given)
  local list = {}
  if type(given) == "table" then
    return given
  end
  for value in (given or ""):gmatch "[^,]+" do
    list[#list + 1] = value:match "^%s*(.-)%s*$"
  end
  return list
end

local CURVES = "P-256, P-384, P-521, Ed25519"

-- What is to be generated: certstrap's words as options of `tcpki.key.generate`.
local function kind_of_key(where, given, bits)
  options.exclude(where, given, { { "key", "curve" }, { "key", "key_bits" }, { "curve", "key_bits" } }, 5)
  local curve = given.curve
  if curve == "Ed25519" then
    return { type = "ed25519" }
  elseif curve == "P-224" then
    error(("%s: option 'curve' is P-224, which TLS in Go, and so Temporal, does not have (known: %s)"):format(where,
      CURVES), 4)
  elseif curve and not (", " .. CURVES .. ","):find(", " .. curve .. ",", 1, true) then
    error(("%s: option 'curve' is %s (known: %s)"):format(where, curve, CURVES), 4)
  elseif curve then
    return { type = "ec", curve = curve }
  end
  bits = given.key_bits or bits
  if bits < 2048 or bits > 8192 then
    error(("%s: option 'key_bits' must be from 2048 to 8192, not %d"):format(where, bits), 4)
  end
  return { type = "rsa", bits = bits }
end

local function key_of(given, kind, passphrase)
  if type(given.key) == "string" then
    return core.key.read(given.key, passphrase)
  end
  return given.key or core.key.generate(kind)
end

local function check_private(key)
  if key:is_private() then
    return true
  end
  return fault.fail { code = "no_private_key", message = "the key has no private half", hint = "pass a private key" }
end

local function refuse_present(depot, stem, kinds, message)
  local present = {}
  for _, kind in ipairs(kinds) do
    if store.exists(depot, stem, kind) then
      present[#present + 1] = ("%s.%s"):format(stem, kind)
    end
  end
  if #present == 0 then
    return true
  elseif kinds[1] == "crt" and present[1] ~= stem .. ".crt" then
    return fault.fail { code = "already_exists", path = depot.directory,
      message = "a run that was cut off left files without a certificate: " .. table.concat(present, ", "),
      hint = "move them away; if it is the key of a CA that exists, bring its certificate back" }
  end
  return fault.fail { code = "already_exists", path = depot.directory,
    message = ("%s: %s"):format(message, table.concat(present, ", ")),
    hint = "choose another name, or move the files away; depot:list() shows whether they are whole" }
end

-- ---- init ----

local function path_length_of(where, given)
  options.exclude(where, given, { { "path_length", "exclude_path_length" } }, 5)
  if given.exclude_path_length then
    return nil
  end
  local length = given.path_length or 0
  if length < 0 or length > 100 then
    error(("%s: option 'path_length' must be from 0 to 100, not %d"):format(where, length), 4)
  end
  return length
end

local function root_of(given, key, plan)
  local domains = list_of(given.permit_domain)
  local constraints
  if #domains > 0 then
    constraints = { permitted = {} }
    for i, domain in ipairs(domains) do
      constraints.permitted[i] = { type = "dns", value = domain }
    end
  end
  local profile = { subject = subject_of(given), key = key, not_after = plan.not_after,
    path_length = plan.path_length, name_constraints = constraints }
  if not given.compatible then
    return authority.new(profile)
  end
  local certificate, err = profiles.root(profile)
  if not certificate then
    return nil, err
  end
  return authority.load(certificate, key)
end

--- Makes a CA: its key, its certificate and an empty CRL.
-- @tparam depot depot
-- @tparam string where the function that was called, for messages
-- @tparam table given
-- @tparam[opt] function prepare called once the options are known to be right; returns nil and a fault to stop
-- @treturn[1] table `name`, `stem`, `certificate`, `key`, `crl`
-- @treturn[2] nil
-- @treturn[2] fault
function make.init(depot, where, given, prepare)
  given = options.check(where, given, init_options, 4)
  if not given.common_name or given.common_name == "" then
    error(where .. ": a CA needs a common_name", 3)
  end
  local kind = kind_of_key(where, given, 4096)
  local plan = {
    not_after = expiry.ends(where, given.expires or "18 months", given.years, os.time()),
    path_length = path_length_of(where, given),
  }
  local stem, err = names.of_authority(given.common_name)
  local ok = stem
  if ok and prepare then
    ok, err = prepare()
  end
  if not ok then
    return nil, err
  end
  local held <close>, busy = lock.directory(depot.directory, "certstrap init " .. stem)
  if not held then
    return nil, busy
  end
  ok, err = refuse_present(depot, stem, { "crt", "key", "crl" }, ("there is a CA '%s' already"):format(
    given.common_name))
  if not ok then
    return nil, err
  end
  local passphrase = store.passphrase(given)
  local key
  key, err = key_of(given, kind, passphrase)
  if not key then
    return nil, err
  end
  local root
  ok, err = check_private(key)
  if ok then
    root, err = root_of(given, key, plan)
  end
  local crl
  if root then
    crl, err = root:crl { days = revoke.days_of(root.certificate) }
  end
  if not crl then
    return nil, err
  end
  -- The certificate last: what has one is whole.
  ok, err = store.put(depot, { { stem = stem, kind = "key", object = key, passphrase = passphrase },
    { stem = stem, kind = "crl", object = crl }, { stem = stem, kind = "crt", object = root.certificate } })
  if not ok then
    return nil, err
  end
  return { name = given.common_name, stem = stem, certificate = root.certificate, key = key, crl = crl }
end

-- ---- request-cert ----

-- A common name has at most 64 letters (RFC 5280, appendix A.1); a longer name stands among the alternative ones.
local LONGEST_COMMON_NAME = 64

local function names_of(given)
  local list, first = {}, nil
  for _, row in ipairs { { "dns", "domain" }, { "ip", "ip" }, { "uri", "uri" } } do
    for _, value in ipairs(list_of(given[row[2]])) do
      if row[1] ~= "ip" then
        first = first or value
      end
      list[#list + 1] = { type = row[1], value = value }
    end
  end
  return list, first
end

--- Makes a key and a request for it.
-- @tparam depot depot
-- @tparam table given
-- @treturn[1] table `name`, `stem`, `csr`, `key`
-- @treturn[2] nil
-- @treturn[2] fault
function make.request_cert(depot, given)
  local where = "depot:request_cert"
  given = options.check(where, given, request_options, 4)
  local kind = kind_of_key(where, given, 2048)
  local alternative, first = names_of(given)
  local name = given.common_name ~= "" and given.common_name or first
  if not name then
    error(where .. ": a request needs a common_name, a domain or a uri", 3)
  end
  local stem, err = names.of_request(name)
  if not stem then
    return nil, err
  end
  local held <close>, busy = lock.directory(depot.directory, "certstrap request-cert " .. stem)
  if not held then
    return nil, busy
  end
  local ok
  ok, err = refuse_present(depot, stem, { "csr", "key" }, ("there is a request of '%s' already"):format(name))
  if not ok then
    return nil, err
  end
  local passphrase = store.passphrase(given)
  local key
  key, err = key_of(given, kind, passphrase)
  if key then
    ok, err = check_private(key)
  end
  if not key or not ok then
    return nil, err
  end
  local subject = subject_of(given)
  if (given.common_name or "") == "" and #name <= LONGEST_COMMON_NAME then
    subject[#subject + 1] = { type = "CN", value = name }
  end
  local csr
  csr, err = core.csr.new { subject = subject, subject_alt_names = #alternative > 0 and alternative or nil, key = key }
  if not csr then
    return nil, err
  end
  ok, err = store.put(depot, { { stem = stem, kind = "key", object = key, passphrase = passphrase },
    { stem = stem, kind = "csr", object = csr, path = given.csr } })
  if not ok then
    return nil, err
  end
  return { name = name, stem = stem, csr = csr, key = key }
end

return make

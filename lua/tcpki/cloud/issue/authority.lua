--- A CA for the clients of Temporal Cloud.
-- @module tcpki.cloud.issue.authority
-- @local

local authority = require "tcpki.authority"
local bundle = require "tcpki.bundle"
local core = require "tcpki.core"
local fault = require "tcpki.fault"
local files = require "tcpki.cloud.issue.files"
local key_rules = require "tcpki.cloud.issue.keys"
local names = require "tcpki.cloud.issue.names"
local options = require "tcpki.options"

local WHERE = "tcpki.cloud.authority"
local CERTIFICATE, KEY = "ca.pem", "ca.key"

local methods = {}
local metatable = { __name = "tcpki.cloud.authority", __index = methods }

function metatable:__tostring()
  return ("tcpki.cloud.authority (%s)"):format(self.certificate:subject())
end

local function wrap(inner, company)
  return setmetatable({
    authority = inner,
    certificate = inner.certificate,
    key = inner.key,
    chain = inner.chain,
    company = company or inner.certificate:subject().O,
  }, metatable)
end

local passphrase_options = { "passphrase", "passphrase_file", "passphrase_env" }

local function passphrase_of(given)
  local taken = {}
  for _, name in ipairs(passphrase_options) do
    taken[name] = given[name]
  end
  return taken
end

local known = {
  company = "string", name = "string", days = "integer", not_before = "integer", not_after = "integer",
  key = "tcpki.key|table", path_length = "integer", directory = "string", certificate_path = "string",
  key_path = "string", passphrase = "string|function", passphrase_file = "string", passphrase_env = "string",
}
-- What goes into a new certificate, and means nothing for one that exists.
local only_new = { "name", "days", "not_before", "not_after", "key", "path_length" }

local function make(given)
  local ok, err = names.check_text("company", given.company)
  if not ok then
    return nil, err
  end
  local key = given.key
  if type(key) ~= "userdata" then
    ok, err = key_rules.check_wanted(key, "the CA")
    if not ok then
      return nil, err
    end
    key, err = core.key.generate(key)
    if not key then
      return nil, err
    end
  end
  ok, err = key_rules.check(key, "the CA")
  if not ok then
    return nil, err
  end
  local tag = names.tag(key)
  -- Each CA has a name of its own: a bundle with two of one name is refused, and a rotation needs both.
  local name = given.name or ("Temporal Cloud client CA " .. tag)
  ok, err = names.check_text("name", name)
  if not ok then
    return nil, err
  end
  local inner
  inner, err = authority.new {
    subject = { { type = "O", value = given.company }, { type = "CN", value = name } },
    subject_alt_names = { { type = "dns", value = names.host("root", given.company, tag) } },
    key = key,
    days = given.days,
    not_before = given.not_before,
    not_after = given.not_after,
    path_length = given.path_length or 0,
  }
  if not inner then
    return nil, err
  end
  return wrap(inner, given.company)
end

local function at_path(err, path)
  err.path = err.path or path
  return nil, err
end

-- The certificate of the key out of a file that may hold those above it as well, in any order.
local function load(certificate_path, key_path, given)
  local key, err = core.key.read(key_path, passphrase_of(given))
  if not key then
    return nil, err
  end
  local text
  text, err = core.file.read(certificate_path)
  if not text then
    return nil, err
  end
  local certificates
  certificates, err = core.certificate.parse_all(text)
  if not certificates then
    return at_path(err, certificate_path)
  end
  local own
  for _, certificate in ipairs(certificates) do
    own = own or (key:matches(certificate) and certificate or nil)
  end
  if not own then
    return fault.fail {
      code = "key_mismatch",
      message = ("none of its certificates is that of the key in %s"):format(key_path),
      path = certificate_path,
    }
  end
  local inner
  inner, err = authority.load(own, key, { chain = certificates })
  if not inner then
    return at_path(err, certificate_path)
  end
  for _, certificate in ipairs(inner.chain) do
    local public = certificate:public_key()
    local ok
    ok, err = key_rules.check(public, "the CA")
    if not ok then
      err.subject = tostring(certificate:subject())
      return at_path(err, certificate_path)
    end
  end
  local company = inner.certificate:subject().O
  if given.company and company and given.company ~= company then
    return fault.fail {
      code = "already_exists",
      message = ("the CA is of the company %q, not %q"):format(company, given.company),
      path = certificate_path,
      hint = "name another directory, or leave company out",
    }
  end
  return wrap(inner, company or given.company)
end

-- Makes the CA of a directory once, and takes it up from then on.
local function from_directory(given)
  local directory = given.directory
  local certificate_path, key_path = files.path(directory, CERTIFICATE), files.path(directory, KEY)
  -- A first writing that was interrupted is carried to its end, or taken back.
  local found, err = files.any(directory, { CERTIFICATE, KEY, CERTIFICATE .. ".tcpki-new", KEY .. ".tcpki-new" })
  local ok
  if found then
    ok, err = core.key.mend_pair(key_path, certificate_path)
    if not ok then
      return nil, err
    end
    found, err = files.any(directory, { CERTIFICATE, KEY })
  end
  if err then
    return nil, err
  end
  if found then
    return load(certificate_path, key_path, given)
  end
  if not given.company then
    return fault.fail {
      code = "not_found",
      message = "there is no CA in the directory",
      path = certificate_path,
      hint = "pass company to have one made there",
    }
  end
  local made
  made, err = make(given)
  if not made then
    return nil, err
  end
  ok, err = made:write(directory, passphrase_of(given))
  if not ok then
    return nil, err
  end
  return made
end

--- Writes `ca.pem` (the certificate, and those above it) and `ca.key` (PKCS#8, mode 0600) as a pair.
-- @function authority:write
-- @tparam string directory made where it is missing
-- @tparam[opt] table given `passphrase`, `passphrase_file` or `passphrase_env` to encrypt the key, `overwrite`
-- @treturn[1] table paths: `certificate`, `key`, and `mended` where an interrupted write of before was mended first
-- @treturn[2] nil
-- @treturn[2] fault `already_exists`, …
function methods:write(directory, given)
  files.expect_directory("authority:write", directory)
  given = options.check("authority:write", given, {
    passphrase = "string|function", passphrase_file = "string", passphrase_env = "string", overwrite = "boolean",
  })
  local ok, err = files.make_directory(directory)
  if not ok then
    return nil, err
  end
  local pem = {}
  for i, certificate in ipairs(self.chain) do
    pem[i], err = certificate:pem()
    if not pem[i] then
      return nil, err
    end
  end
  local paths = { certificate = files.path(directory, CERTIFICATE), key = files.path(directory, KEY) }
  local how = passphrase_of(given)
  how.overwrite = given.overwrite
  local mended
  ok, mended = self.key:write_pair(paths.key, paths.certificate, table.concat(pem), how)
  if not ok then
    return nil, mended
  end
  paths.mended = mended
  return paths
end

--- What is to be uploaded to the namespace: the CA and those above it.
-- @function authority:bundle
-- @treturn bundle
function methods:bundle()
  return bundle.new(self.chain)
end

--- `cloud.client` under this CA.
-- @function authority:client
-- @tparam table given as for `cloud.client`, without `authority`
function methods:client(given)
  local all = { authority = self }
  for name, value in pairs(given or {}) do
    all[name] = value
  end
  return require "tcpki.cloud.issue.client"(all)
end

--- Makes a CA, or takes one up.
-- @function authority
-- @tparam table given see `tcpki.cloud.issue`
return function(given)
  given = options.check(WHERE, given, known)
  options.exclude(WHERE, given, { { "directory", "certificate_path" }, { "directory", "key_path" } })
  if (given.certificate_path == nil) ~= (given.key_path == nil) then
    error(WHERE .. ": pass certificate_path and key_path together", 2)
  end
  if given.certificate_path then
    for _, name in ipairs(only_new) do
      options.exclude(WHERE, given, { { "certificate_path", name } })
    end
    return load(given.certificate_path, given.key_path, given)
  end
  if given.directory then
    files.expect_directory(WHERE, given.directory)
    return from_directory(given)
  end
  if not given.company then
    error(WHERE .. ": pass company (or directory, or certificate_path and key_path)", 2)
  end
  for _, name in ipairs(passphrase_options) do
    if given[name] ~= nil then
      error(("%s: option '%s' goes with directory or key_path; pass it to :write"):format(WHERE, name), 2)
    end
  end
  return make(given)
end

--- The certificate of a client of Temporal Cloud.
-- @module tcpki.cloud.issue.client
-- @local

local files = require "tcpki.cloud.issue.files"
local key_rules = require "tcpki.cloud.issue.keys"
local names = require "tcpki.cloud.issue.names"
local date = require "tcpki.date"
local options = require "tcpki.options"
local pkcs12 = require "tcpki.pkcs12"
local fault = require "tcpki.fault"

local WHERE = "tcpki.cloud.client"
local DAY = 86400
-- What Temporal's own generators give.
local DAYS = 365

local methods = {}
local metatable = { __name = "tcpki.cloud.client", __index = methods }

function metatable:__tostring()
  return ("tcpki.cloud.client (%s, %s)"):format(self.name, self.certificate:subject())
end

local known = {
  authority = "tcpki.cloud.authority|tcpki.authority", namespace = "string", name = "string", company = "string",
  common_name = "string", organizational_unit = "string", subject_alt_names = "table", days = "integer",
  not_before = "integer", not_after = "integer", key = "tcpki.key|table", csr = "tcpki.csr",
}

-- The texts of the subject, each looked at, and the name of the files.
local function check_names(given, company)
  local reached, err
  if given.namespace then
    reached, err = require "tcpki.cloud.endpoint" { namespace = given.namespace }
    if not reached then
      return nil, err
    end
  end
  local ok
  ok, err = names.check_file(given.name or given.namespace)
  if not ok then
    return nil, err
  end
  for _, field in ipairs {
    { "company", company }, { "common name", given.common_name },
    { "organizational unit", given.organizational_unit },
  } do
    if field[2] then
      ok, err = names.check_text(field[1], field[2])
      if not ok then
        return nil, err
      end
    end
  end
  return true
end

-- O and CN as Temporal's generator asks for them; the namespace, where it is known, since filters name it.
local function subject_of(given, company)
  local common = given.common_name or given.namespace or ("%s client %s"):format(company, given.name)
  if not given.common_name and utf8.len(common) > 64 then
    common = given.name
  end
  local subject = { { type = "O", value = company } }
  if given.organizational_unit then
    subject[#subject + 1] = { type = "OU", value = given.organizational_unit }
  end
  subject[#subject + 1] = { type = "CN", value = common }
  return subject
end

local function alternatives_of(given, company, key)
  if given.subject_alt_names then
    return given.subject_alt_names
  end
  local list = { { type = "dns", value = names.host("endentity", company, names.tag(key)) } }
  if given.namespace then
    list[#list + 1] = { type = "dns", value = given.namespace }
  end
  return list
end

-- The key, or the public half in a CSR, once it is one that Temporal Cloud takes.
local function key_of(given)
  local key, err
  if given.csr then
    key, err = given.csr:public_key()
  elseif type(given.key) == "userdata" then
    key = given.key
  else
    local ok
    ok, err = key_rules.check_wanted(given.key, "the client")
    if not ok then
      return nil, err
    end
    key, err = require "tcpki.key".generate(given.key)
  end
  if not key then
    return nil, err
  end
  local ok
  ok, err = key_rules.check(key, "the client")
  if not ok then
    return nil, err
  end
  if not given.csr and not key:is_private() then
    return fault.fail { code = "no_private_key", message = "the key has no private half",
      hint = "pass a private key, or a CSR" }
  end
  return key
end

-- When the first of the CAs ends: each has to outlive the client.
local function ending_of(chain)
  local ending = math.maxinteger
  for _, certificate in ipairs(chain) do
    ending = math.min(ending, certificate:not_after())
  end
  return ending
end

local function check_ending(certificate, chain)
  for depth, issuer in ipairs(chain) do
    if certificate:not_after() >= issuer:not_after() then
      return fault.fail {
        code = "outlives_issuer",
        message = ("the certificate would end on %s, a CA above it ends on %s"):format(
          date.minute(certificate:not_after()), date.minute(issuer:not_after())),
        subject = tostring(issuer:subject()),
        depth = depth,
      }
    end
  end
  return true
end

-- What a CSR says of itself stays, unless it is said otherwise.
local function issue(authority, given, company, key)
  local how = {
    days = given.days, not_before = given.not_before, not_after = given.not_after,
    subject = subject_of(given, company), subject_alt_names = alternatives_of(given, company, key),
  }
  if not given.days and not given.not_after then
    local ending = ending_of(authority.chain)
    -- Of a CA that has expired nothing is asked: the fault that says so comes from issuing.
    how.not_after = ending > os.time() and math.min((given.not_before or os.time()) + DAYS * DAY, ending - 1) or nil
  end
  if not given.csr then
    how.usage, how.key = "client", key
    return authority:issue(how)
  end
  local subject, err = given.csr:subject()
  if not subject then
    return nil, err
  end
  if #subject > 0 and not given.common_name then
    how.subject = nil
  end
  local alternatives
  alternatives, err = given.csr:subject_alt_names()
  if err then
    return nil, err
  end
  if alternatives and #alternatives > 0 and not given.subject_alt_names then
    how.subject_alt_names = nil
  end
  return authority:sign(given.csr, how)
end

--- Writes `NAME.pem` (the chain, leaf first) and `NAME.key` (PKCS#8, mode 0600) as a pair, and `NAME.pfx` where asked.
-- Of a client that was made for a CSR, `NAME.pem` alone.
-- @function client:write
-- @tparam string directory made where it is missing
-- @tparam[opt] table given `overwrite`; `pfx`: true for one without a passphrase, as Temporal's generator makes it, or
-- the options of `tcpki.pkcs12`'s write, `{ passphrase_env = "…", profile = "compatible" }`
-- @treturn[1] table paths: `certificate`, `key`, `pfx`, and `mended` where an interrupted write was mended first
-- @treturn[1] ?report what is to be known of the PKCS#12 profile
-- @treturn[2] nil
-- @treturn[2] fault `already_exists`, …
function methods:write(directory, given)
  files.expect_directory("client:write", directory)
  given = options.check("client:write", given, { overwrite = "boolean", pfx = "boolean|table" })
  if given.pfx and not self.key then
    return fault.fail {
      code = "no_private_key",
      message = "the private key is not here: the certificate was made for a CSR",
      hint = "make the PKCS#12 file where the key is: tcpki.pkcs12.new{ key =, chain = }",
    }
  end
  local ok, err = files.make_directory(directory)
  if not ok then
    return nil, err
  end
  local paths = { certificate = files.path(directory, self.name .. ".pem") }
  if not self.key then
    ok, err = self.chain:write(paths.certificate, { overwrite = given.overwrite })
    if not ok then
      return nil, err
    end
    return paths
  end
  paths.key = files.path(directory, self.name .. ".key")
  local warning
  if given.pfx then
    -- First: where it cannot be written, nothing is. The pair is whole by itself whatever comes.
    paths.pfx = files.path(directory, self.name .. ".pfx")
    if not given.overwrite then
      ok, err = files.check_free(directory, { self.name .. ".pem", self.name .. ".key", self.name .. ".pfx" })
      if not ok then
        return nil, err
      end
    end
    ok, warning = self:write_pfx(paths.pfx, given.pfx == true and { profile = "passwordless" } or given.pfx,
      given.overwrite)
    if not ok then
      return nil, warning
    end
  end
  local mended
  ok, mended = self.leaf:write(paths.key, paths.certificate, { overwrite = given.overwrite })
  if not ok then
    if paths.pfx and not given.overwrite then
      os.remove(paths.pfx)
    end
    return nil, mended
  end
  paths.mended = mended
  return paths, warning
end

--- Writes key and chain as PKCS#12.
-- @function client:write_pfx
-- @local
function methods:write_pfx(path, given, overwrite)
  local made, err = pkcs12.new { key = self.key, chain = self.chain, name = self.name }
  if not made then
    return nil, err
  end
  local how = { overwrite = overwrite }
  for name, value in pairs(given) do
    how[name] = value
  end
  return made:write(path, how)
end

--- Issues the certificate of a client.
-- @function client
-- @tparam table given see `tcpki.cloud.issue`
return function(given)
  given = options.check(WHERE, given, known)
  local authority = options.expect(WHERE, "option 'authority'", given.authority,
    "tcpki.cloud.authority|tcpki.authority")
  options.exclude(WHERE, given, { { "key", "csr" }, { "days", "not_after" } })
  if not given.name and not given.namespace then
    error(WHERE .. ": pass namespace or name", 2)
  end
  local inner = authority.authority or authority
  local company = given.company or authority.company or inner.certificate:subject().O
  if not company then
    error(WHERE .. ": pass company: the CA has no organization (O) to take it from", 2)
  end
  local ok, err = check_names(given, company)
  if not ok then
    return nil, err
  end
  for _, certificate in ipairs(inner.chain) do
    ok, err = key_rules.check(certificate:public_key(), "the CA")
    if not ok then
      err.subject = tostring(certificate:subject())
      return nil, err
    end
  end
  local key
  key, err = key_of(given)
  if not key then
    return nil, err
  end
  local leaf
  leaf, err = issue(inner, given, company, key)
  if not leaf then
    return nil, err
  end
  ok, err = check_ending(leaf.certificate, inner.chain)
  if not ok then
    return nil, err
  end
  ok, err = names.check_unique(leaf.certificate, inner.chain)
  if not ok then
    return nil, err
  end
  return setmetatable({
    name = given.name or given.namespace, namespace = given.namespace, company = company, leaf = leaf,
    key = leaf.key, certificate = leaf.certificate, chain = leaf.chain,
  }, metatable)
end

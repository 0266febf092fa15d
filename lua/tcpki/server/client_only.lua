--- A CA and the certificates of clients, in the files of Temporal's certificate generator (temporalio/samples-server,
-- tls/client-only; the image temporalio/client-certificate-generation): what it asks for are options here.
-- @module tcpki.server

local authority = require "tcpki.authority"
local core = require "tcpki.core"
local directory = require "tcpki.directory"
local fault = require "tcpki.fault"
local file = require "tcpki.file"
local limits = require "tcpki.authority.limits"
local lock = require "tcpki.lock"
local names = require "tcpki.server.names"
local options = require "tcpki.options"
local pkcs12 = require "tcpki.pkcs12"

local WHERE = "tcpki.server.client_only"
local DAY, DAYS = 86400, 365
local at = directory.at

local client_only = {}

local metatable = { __name = "tcpki.server.client_only" }

function metatable:__tostring()
  return ("tcpki.server.client_only (%s: %s)"):format(self.directory, table.concat(self.names, ", "))
end

-- The generator takes the company as it is, though a DNS name has neither spaces nor dots of its own.
local function label_of(company)
  local label = company:lower():gsub("[^a-z0-9]+", "-"):sub(1, 40):gsub("^%-+", ""):gsub("%-+$", "")
  return label ~= "" and label or "company"
end

local function read_authority(path)
  local certificate, err = core.certificate.read(at(path, "ca.pem"))
  local key
  if certificate then
    key, err = core.key.read(at(path, "ca.key"))
  end
  local made
  if key then
    made, err = authority.load(certificate, key)
  end
  if not made then
    err.path = err.path or at(path, "ca.pem")
    return nil, err
  end
  return made
end

local function make_authority(path, given)
  if not given.company then
    return fault.fail { code = "not_found", path = at(path, "ca.pem"), message = "there is no CA to issue under",
      hint = "name the directory that has one; or pass company, to make a new one" }
  end
  return authority.new { subject = { O = given.company }, path_length = 0, days = given.authority_days or DAYS,
    key = given.key }
end

-- The CA in the directory, or a new one, and whether it is new.
local function authority_of(path, there, given)
  if not there["ca.pem"] and not there["ca.key"] then
    local made, err = make_authority(path, given)
    return made, err, true
  end
  local made, err = read_authority(path)
  local owner = made and made.certificate:subject().O
  if made and given.company and owner ~= given.company then
    return fault.fail { code = "already_exists", path = at(path, "ca.pem"),
      message = ("the CA is that of %s"):format(tostring(made.certificate:subject())),
      hint = "leave company out to issue under it, or choose another directory" }
  end
  return made, err, false
end

local function issue(issuer, name, given)
  local company = (issuer.certificate:subject().O or "company"):lower()
  local key, err = core.key.generate(given.key)
  if not key then
    return nil, err
  end
  local common_name = ("%s client %s"):format(company, name)
  local leaf
  leaf, err = issuer:issue {
    usage = "client", key = key,
    subject = { { type = "O", value = company },
      { type = "CN", value = utf8.len(common_name) and utf8.len(common_name) <= 64 and common_name or name } },
    subject_alt_names = { ("client.endentity.%s.%s"):format(label_of(company), key:fingerprint():sub(1, 4)) },
    days = given.days,
    not_after = not given.days and math.min(os.time() + DAYS * DAY, issuer.certificate:not_after() - 1) or nil,
  }
  return leaf, err
end

local function write_leaf(path, name, leaf, written)
  local made, err = pkcs12.new { key = leaf.key, chain = leaf.chain, name = name }
  local ok
  if made then
    ok, err = made:write(at(path, name .. ".pfx"), { profile = "passwordless" })
  end
  if not ok then
    return nil, err
  end
  written[#written + 1] = at(path, name .. ".pfx")
  ok, err = leaf:write(at(path, name .. ".key"), at(path, name .. ".pem"))
  if not ok then
    return nil, err
  end
  written[#written + 1] = at(path, name .. ".key")
  written[#written + 1] = at(path, name .. ".pem")
  return true
end

local function write_all(path, issuer, is_new, leaves, list, written)
  if is_new then
    local ok, err = issuer.key:write_pair(at(path, "ca.key"), at(path, "ca.pem"), issuer.certificate:pem())
    if not ok then
      return nil, err
    end
    written[1], written[2] = at(path, "ca.key"), at(path, "ca.pem")
  end
  for _, name in ipairs(list) do
    local ok, err = write_leaf(path, name, leaves[name], written)
    if not ok then
      return nil, err
    end
  end
  return true
end

local function check_names(given)
  for _, name in ipairs(given.names) do
    local ok, err = names.check_file("a client", name)
    if not ok then
      return nil, err
    elseif name:lower() == "ca" then
      return fault.fail { code = "bad_name", hint = "choose another name",
        message = "'ca' cannot be the name of a client: these are the files of the CA" }
    end
  end
  if given.company then
    return names.check_text("a company", given.company)
  end
  return true
end

local function there_of(path)
  local entries, err = file.list(path)
  if not entries then
    return nil, err
  end
  local there = {}
  for _, entry in ipairs(entries) do
    there[entry.name] = true
  end
  return there
end

local function run(path, given)
  local there, err = there_of(path)
  if not there then
    return nil, err
  end
  for _, name in ipairs(given.names) do
    for _, ending in ipairs { ".pem", ".key", ".pfx" } do
      if there[name .. ending] then
        return fault.fail { code = "already_exists", path = at(path, name .. ending), message = "it is there already",
          hint = "choose another name" }
      end
    end
  end
  local issuer, is_new
  issuer, err, is_new = authority_of(path, there, given)
  if not issuer then
    return nil, err
  end
  local leaves = {}
  for _, name in ipairs(given.names) do
    leaves[name], err = issue(issuer, name, given)
    if not leaves[name] then
      return nil, err
    end
  end
  local written = {}
  local ok
  ok, err = write_all(path, issuer, is_new, leaves, given.names, written)
  if not ok then
    for _, name in ipairs(written) do
      os.remove(name)
    end
    return nil, err
  end
  return setmetatable({ directory = path, authority = issuer, clients = leaves, names = given.names }, metatable)
end

local known = { directory = "string", company = "string", names = "table", days = "integer",
  authority_days = "integer", key = "table" }

--- Makes the CA `ca.pem`, `ca.key` in a directory, or takes up the one that is there, and issues `NAME.pem`, `NAME.key`
-- and `NAME.pfx` (without a passphrase) for each client: all of them or none. Subjects and names are those of the
-- generator; but its leaves are X.509 version 1 without any extension, these are version 3 and say what they are.
-- @function client_only
-- @tparam table given
--
-- * `directory`: made where it is missing
-- * `company`: O of the CA; without it there has to be one
-- * `names`: of the clients, and of their files
-- * `days` (365 by default, but less than the CA has left), `authority_days` of a new CA (365)
-- * `key`: options for `tcpki.key.generate`; EC P-256 by default, the generator has `{ type = "rsa", bits = 4096 }`
-- @treturn[1] table `authority`, `clients` (leaves by name), `names`, `directory`
-- @treturn[2] nil
-- @treturn[2] fault `bad_name`, `already_exists`, `busy`, `not_found` (half a CA, or none and no company),
-- `permission_denied`, …
function client_only.client_only(given)
  given = options.check(WHERE, given, known)
  local path = options.expect(WHERE, "option 'directory'", given.directory, "string")
  options.expect(WHERE, "option 'names'", given.names, "table")
  limits.days(WHERE, given)
  limits.days(WHERE, given, "authority_days")
  options.list(WHERE, "option 'names', entry", given.names, "string")
  local ok, err = check_names(given)
  if not ok then
    return nil, err
  end
  local made
  made, err = file.make_directory(path)
  if not made and err.code ~= "already_exists" then
    return nil, err
  end
  local held
  held, err = lock.directory(path, "issue for clients")
  if not held then
    if made then
      os.remove(path)
    end
    return nil, err
  end
  local called, result
  called, result, err = pcall(run, path, given)
  held:release()
  if made and not (called and result) then
    os.remove(path)
  end
  if not called then
    error(result, 0)
  end
  return result, err
end

return client_only

--- Where a namespace of Temporal Cloud is reached, and by which server name.
--
--     local e = assert(require "tcpki.cloud".endpoint { namespace = "payments.a1b2c", private_link = "vpce-0123" })
--     probe.run { address = e.address, server_name = e.server_name, namespace = e.namespace, … }
--
-- - The endpoint of the namespace, `<name>.<account>.tmprl.cloud`: its own server name.
-- - The endpoint of a region: with a certificate `<cloud>-<region>.region.tmprl.cloud`, server name of the namespace
-- endpoint; with an API key `<region>.<cloud>.api.temporal.io`, its own server name.
-- - A private endpoint, a namespace in one region: with a certificate the server name of the namespace endpoint, with
-- an API key `<region>.<cloud>.api.temporal.io`.
-- - A private endpoint, a namespace with replicas: `<cloud>-<region>.region.tmprl.cloud` of the active region.
--
-- @module tcpki.cloud.endpoint

local address = require "tcpki.probe.address"
local fault = require "tcpki.fault"
local options = require "tcpki.options"

local known = { namespace = "string", region = "string", private_link = "string", auth = "string",
  multi_region = "boolean" }

local metatable = { __name = "tcpki.cloud.endpoint" }

function metatable:__tostring()
  local lines = { ("%s, server name %s"):format(self.address, self.server_name) }
  for _, note in ipairs(self.notes) do
    lines[#lines + 1] = "  " .. note
  end
  return table.concat(lines, "\n")
end

local SYNTAX = "write <name>.<account>, such as payments.a1b2c"

local function refuse(part, message, hint)
  return fault.fail { code = "bad_" .. part, part = part, message = message, hint = hint }
end

local name_hint = "2 to 39 characters: lower-case letters, digits and hyphens; a letter first, a letter or digit last"
local account_hint = "the account is the part behind the dot of the namespace: at least 5 lower-case letters and digits"

-- What is wrong with the name of a namespace, the part before the dot.
local function name_fault(name)
  if name == "" then
    return "is empty"
  elseif name:find "%u" then
    return "has capital letters"
  elseif name:find "[^a-z0-9-]" then
    return ("has the character %q"):format(name:match "[^a-z0-9-]")
  elseif not name:find "^%l" then
    return "does not begin with a letter"
  elseif name:find "-$" then
    return "ends with a hyphen"
  elseif #name < 2 then
    return "has one character"
  elseif #name > 64 then
    return ("has %d characters"):format(#name)
  end
end

local function account_fault(account)
  if account == "" then
    return "is empty"
  elseif account:find "%u" then
    return "has capital letters"
  elseif account:find "[^a-z0-9]" then
    return ("has the character %q"):format(account:match "[^a-z0-9]")
  elseif #account < 5 then
    return ("has %d characters"):format(#account)
  end
end

local function parse_namespace(text, notes)
  local shorter = text:match "^(.*)%.tmprl%.cloud$" or text:match "^(.*)%.tmprl%.cloud:%d+$"
  if shorter then
    return refuse("namespace", ("%q is an address, not a namespace"):format(text), "write " .. shorter)
  end
  local name, account = text:match "^([^.]*)%.([^.]*)$"
  if not name then
    local dots = select(2, text:gsub("%.", ""))
    return refuse("namespace", dots == 0 and ("the namespace %q has no account"):format(text)
      or ("the namespace %q has %d dots"):format(text, dots), SYNTAX)
  end
  local wrong = name_fault(name)
  if wrong then
    return refuse("namespace", ("the name %q of the namespace %s"):format(name, wrong), name_hint)
  end
  wrong = account_fault(account)
  if wrong then
    return refuse("account", ("the account %q %s"):format(account, wrong), account_hint)
  end
  if #name > 39 then
    notes[#notes + 1] = ("The name has %d characters; the documentation allows 39, the Terraform provider 64.")
      :format(#name)
  end
  return name, account
end

local function parse_region(text)
  local cloud, region = text:match "^(%l+)-(%l[%l%d-]*[%l%d])$"
  if not cloud or not (cloud == "aws" or cloud == "gcp" or cloud == "azure") then
    if text:find "^%l[%l%d-]*[%l%d]$" then
      return refuse("region", ("the region %q does not name its cloud"):format(text),
        ("write aws-%s, gcp-%s or azure-%s"):format(text, text, text))
    end
    return refuse("region", ("%q is not a region"):format(text), "write <cloud>-<region>, such as aws-us-east-1")
  end
  return cloud, region
end

--- Finds address and server name.
-- @function endpoint
-- @tparam table settings
-- @tparam string settings.namespace `name.account`
-- @tparam[opt] string settings.region `cloud-region`, as in `aws-us-east-1`
-- @tparam[opt] string settings.private_link the host, or host:port, of a VPC endpoint or a Private Service Connect
-- endpoint without private DNS; with it, `region` is that of the namespace
-- @tparam[opt="mtls"] string settings.auth "mtls" or "api_key"
-- @tparam[opt] boolean settings.multi_region true: the namespace has replicas; `region` is the active one
-- @treturn[1] table `address` (host:port), `host`, `port`, `server_name`, `namespace`, `account`, and `notes`, an array
-- of sentences; for the probe: `probe.run{ endpoint = e, … }`
-- @treturn[2] nil
-- @treturn[2] fault `bad_namespace`, `bad_account`, `bad_region`, `bad_private_link`, with the `part` that is wrong
-- @raise on an unknown option, a wrong type, a missing namespace, another `auth`
return function(settings)
  local where = "tcpki.cloud.endpoint"
  options.check(where, settings, known)
  settings = settings or {}
  options.expect(where, "option 'namespace'", settings.namespace, "string")
  local auth = settings.auth or "mtls"
  if auth ~= "mtls" and auth ~= "api_key" then
    error(("%s: option 'auth' must be \"mtls\" or \"api_key\", not %q"):format(where, auth), 2)
  end
  local notes = {}
  local name, account = parse_namespace(settings.namespace, notes)
  if not name then
    return nil, account
  end
  local own = settings.namespace .. ".tmprl.cloud"
  local regional, regional_api
  if settings.region then
    local cloud, region = parse_region(settings.region)
    if not cloud then
      return nil, region
    end
    regional = ("%s-%s.region.tmprl.cloud"):format(cloud, region)
    regional_api = ("%s.%s.api.temporal.io"):format(region, cloud)
  end
  local host, server_name = own, own
  if settings.private_link then
    local needs = (settings.multi_region or auth == "api_key") and not settings.region
    if needs then
      return refuse("region", "the server name behind this private endpoint is that of the region",
        "pass region, such as aws-us-east-1")
    end
    server_name = settings.multi_region and regional or auth == "api_key" and regional_api or own
    notes[#notes + 1] = "With another server name the connection is reset, though the port is open."
    if settings.multi_region and auth == "mtls" then
      notes[#notes + 1] = "The documentation has two answers here: if this server name is refused, try " .. own .. "."
    end
    host = settings.private_link
  elseif settings.region then
    host = auth == "api_key" and regional_api or regional
    server_name = auth == "api_key" and regional_api or own
    if auth == "mtls" then
      notes[#notes + 1] = "The server name is that of the namespace endpoint, not of the region."
    end
  elseif auth == "api_key" then
    notes[#notes + 1] = "A namespace that takes certificates too does not take an API key here: pass region."
  end
  local parsed, message, hint = address.parse(host)
  if not parsed then
    return refuse("private_link", message, hint)
  end
  return setmetatable({ address = parsed.text, host = parsed.host, port = parsed.port, server_name = server_name,
    namespace = settings.namespace, account = account, notes = notes }, metatable)
end

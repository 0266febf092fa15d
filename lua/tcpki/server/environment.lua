--- The TLS configuration that the server makes of its environment, as in its images: a template of its own, built in,
-- where no file is named.
-- @module tcpki.server

local options = require "tcpki.options"

local environment = {}

local PREFIX = "TEMPORAL_TLS_"

-- common/config/config_template_embedded.yaml of 1.31: where each variable, without the prefix, stands. Two items of a
-- list are there only where the first variable is set.
local SECTIONS = {
  { "", { refreshInterval = "REFRESH_INTERVAL" } },
  { "expirationChecks", { warningWindow = "EXPIRATION_CHECKS_WARNING_WINDOW",
    errorWindow = "EXPIRATION_CHECKS_ERROR_WINDOW", checkInterval = "EXPIRATION_CHECKS_CHECK_INTERVAL" } },
  { "internode.server", { requireClientAuth = "REQUIRE_CLIENT_AUTH", certFile = "SERVER_CERT", keyFile = "SERVER_KEY",
    certData = "SERVER_CERT_DATA", keyData = "SERVER_KEY_DATA", clientCaFiles = { "SERVER_CA_CERT" },
    clientCaData = { "SERVER_CA_CERT_DATA" } } },
  { "internode.client", { serverName = "INTERNODE_SERVER_NAME",
    disableHostVerification = "INTERNODE_DISABLE_HOST_VERIFICATION", rootCaFiles = { "SERVER_CA_CERT" },
    rootCaData = { "SERVER_CA_CERT_DATA" } } },
  { "frontend.server", { requireClientAuth = "REQUIRE_CLIENT_AUTH", certFile = "FRONTEND_CERT",
    keyFile = "FRONTEND_KEY", certData = "FRONTEND_CERT_DATA", keyData = "FRONTEND_KEY_DATA",
    clientCaFiles = { "CLIENT1_CA_CERT", "CLIENT2_CA_CERT" },
    clientCaData = { "CLIENT1_CA_CERT_DATA", "CLIENT2_CA_CERT_DATA" } } },
  { "frontend.client", { serverName = "FRONTEND_SERVER_NAME",
    disableHostVerification = "FRONTEND_DISABLE_HOST_VERIFICATION", rootCaFiles = { "SERVER_CA_CERT" },
    rootCaData = { "SERVER_CA_CERT_DATA" } } },
}

-- Names of clients, of other tools and of compose files, which the server does not read.
local FOREIGN = { "CA", "CA_DATA", "CERT", "CERT_DATA", "KEY", "KEY_DATA", "SERVER_NAME", "DISABLE_HOST_VERIFICATION",
  "ENABLE_HOST_VERIFICATION", "CERTS_DIR", "CLIENT_CERT_PATH", "CLIENT_KEY_PATH", "SERVER_CA_CERT_PATH" }

-- What else the connections to the frontend depend on.
local OTHERS = { "USE_INTERNAL_FRONTEND", "TEMPORAL_AUTH_AUTHORIZER", "TEMPORAL_AUTH_CLAIM_MAPPER", "BIND_ON_IP",
  "PUBLIC_FRONTEND_ADDRESS", "FRONTEND_GRPC_PORT" }

local SECOND = { "CLIENT2_CA_CERT", "CLIENT2_CA_CERT_DATA" }

local KNOWN = { root = "string", at = "integer" }

local function each_variable(visit)
  for _, section in ipairs(SECTIONS) do
    local names = {}
    for field in pairs(section[2]) do
      names[#names + 1] = field
    end
    table.sort(names)
    for _, field in ipairs(names) do
      local variables = section[2][field]
      visit(section[1], field, type(variables) == "table" and variables or { variables }, type(variables) == "table")
    end
  end
end

-- The names that the server reads, as a set.
local function known_names()
  local known = {}
  each_variable(function(_, _, variables)
    for _, variable in ipairs(variables) do
      known[PREFIX .. variable] = true
    end
  end)
  for _, name in ipairs(OTHERS) do
    known[name] = true
  end
  return known
end

-- The variables of this process.
local function of_process()
  local values = {}
  local known = known_names()
  for _, name in ipairs(FOREIGN) do
    known[PREFIX .. name] = true
  end
  for name in pairs(known) do
    values[name] = os.getenv(name)
  end
  return values
end

-- By what variable each field is set, each item of a list, and what belongs to a section.
local function variables_by_place()
  local by_place = {}
  local function add(place, variable)
    by_place[place] = (by_place[place] and by_place[place] .. ", " or "") .. PREFIX .. variable
  end
  each_variable(function(section, field, variables)
    local place = section == "" and field or section .. "." .. field
    for i, variable in ipairs(variables) do
      add(place, variable)
      add(("%s[%d]"):format(place, i), variable)
      if section ~= "" then
        add(section, variable)
      end
    end
  end)
  return by_place
end

-- The text that comes out of the template, as far as TLS goes. Values stand there as they are, without quotes, as they
-- do in the template.
local function rendered(values)
  local lines = { "global:", "  tls:" }
  local function value_of(variable)
    local value = values[PREFIX .. variable]
    return value ~= "" and value or nil
  end
  local last
  local function open(section)
    local group, inner = section:match "^(%w+)%.?(%w*)$"
    if group and group ~= last then
      lines[#lines + 1] = ("    %s:"):format(group)
    end
    if inner and inner ~= "" then
      lines[#lines + 1] = ("      %s:"):format(inner)
    end
    last = group
  end
  local opened
  each_variable(function(section, field, variables, is_list)
    local first = value_of(variables[1])
    if not first then
      return
    end
    if opened ~= section then
      open(section)
      opened = section
    end
    local indent = section == "" and "    " or section:find "%." and "        " or "      "
    lines[#lines + 1] = ("%s%s:%s"):format(indent, field, is_list and "" or " " .. first)
    for _, variable in ipairs(is_list and variables or {}) do
      if value_of(variable) then
        lines[#lines + 1] = ("%s  - %s"):format(indent, value_of(variable))
      end
    end
  end)
  local function is_set(name)
    return (values[name] or "") ~= ""
  end
  local inner = is_set "USE_INTERNAL_FRONTEND"
  lines[#lines + 1] = "services: { frontend: {}, matching: {}, history: {}, worker: {}"
    .. (inner and ", internal-frontend: {} }" or " }")
  if not inner and (is_set "TEMPORAL_AUTH_AUTHORIZER" or is_set "TEMPORAL_AUTH_CLAIM_MAPPER") then
    lines[#lines + 1] = ('publicClient: { hostPort: "%s" }'):format(values.PUBLIC_FRONTEND_ADDRESS
      or ("%s:%s"):format(values.BIND_ON_IP or "127.0.0.1", values.FRONTEND_GRPC_PORT or "7233"))
  end
  return table.concat(lines, "\n") .. "\n"
end

-- What the template makes of the variables, without a word.
local function add_variables(report, values)
  local rules = require "tcpki.server.rules".by_code
  local function add(code, name, other)
    local rule = rules[code]
    local function fill(text)
      return (text:gsub("{(%w+)}", { name = name, other = other }))
    end
    report:add { code = code, severity = rule.severity, source = rule.source, message = fill(rule.message),
      hint = fill(rule.hint), place = name }
  end
  for _, second in ipairs(SECOND) do
    local first = second:gsub("2", "1")
    if (values[PREFIX .. second] or "") ~= "" and (values[PREFIX .. first] or "") == "" then
      add("variable_alone", PREFIX .. second, PREFIX .. first)
    end
  end
  local known, strangers = known_names(), {}
  for name in pairs(values) do
    if name:find("^" .. PREFIX) and not known[name] then
      strangers[#strangers + 1] = name
    end
  end
  table.sort(strangers)
  for _, name in ipairs(strangers) do
    add("variable_unknown", name)
  end
end

--- Checks what the server makes of the variables `TEMPORAL_TLS_…` where no file of configuration is named, as in its
-- images, and says which variables it passes over.
-- @function check_environment
-- @tparam[opt] {[string]=string} variables by their names; those of this process by default
-- @tparam[opt] table given as of `check`
-- @treturn[1] report as of `check`; in `place` the variable stands behind the field, or those of a section
-- @treturn[2] nil
-- @treturn[2] fault as of `check`
function environment.check(variables, given)
  local where = "tcpki.server.check_environment"
  if variables ~= nil then
    options.expect(where, "variables", variables, "table")
    for name, value in pairs(variables) do
      options.expect(where, "the name of a variable", name, "string")
      options.expect(where, name, value, "string")
    end
  end
  local values = variables or of_process()
  local report, err = require "tcpki.server.check".of_values(rendered(values), options.check(where, given, KNOWN))
  if not report then
    return nil, err
  end
  local by_place = variables_by_place()
  for _, finding in ipairs(report) do
    local variable = by_place[finding.place]
    finding.place = variable and ("%s (%s)"):format(finding.place, variable) or finding.place
    if finding.code == "no_tls" then
      finding.hint = ("set %sFRONTEND_CERT, %sFRONTEND_KEY and the others of docs/server.md"):format(PREFIX, PREFIX)
    end
  end
  add_variables(report, values)
  return report
end

return environment

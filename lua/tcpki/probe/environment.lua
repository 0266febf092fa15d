--- The variables of the Temporal SDKs, as options of the probe, and what an SDK makes of them that a user may not.
--
--     local environment = require "tcpki.probe.environment"
--     local settings, report = environment.read()
--     if not report.ok then print(report) end
--     print(probe.run(settings))
--
-- An SDK that finds neither a certificate nor an API key among them speaks plaintext, to a port that speaks TLS; and
-- it passes over a variable of an older tool without a word. The probe always speaks TLS: what is wrong with the
-- variables is in the report, not in its result.
-- Source: temporalio/sdk-go contrib/envconfig, temporalio/cli cliext; documentation, environment configuration.
-- @module tcpki.probe.environment

local copy = require "tcpki.probe.copy"
local kinds = require "tcpki.probe.kinds"
local options = require "tcpki.options"
local printable = require("tcpki.probe.words").printable
local reports = require "tcpki.report"

local environment = {}

local PREFIX = "TEMPORAL_TLS_"

-- The variables that become an option of the probe: as a path, or as PEM text.
local files = {
  certificate = { "CLIENT_CERT_PATH", "CLIENT_CERT_DATA" }, key = { "CLIENT_KEY_PATH", "CLIENT_KEY_DATA" },
  server_ca = { "SERVER_CA_CERT_PATH", "SERVER_CA_CERT_DATA" },
}
local file_order = { "certificate", "key", "server_ca" }

-- The names of other tools, and what the SDKs read in their place.
local foreign = {
  { "TEMPORAL_TLS_CERT", "TEMPORAL_TLS_CLIENT_CERT_PATH" },
  { "TEMPORAL_TLS_CERT_DATA", "TEMPORAL_TLS_CLIENT_CERT_DATA" },
  { "TEMPORAL_TLS_KEY", "TEMPORAL_TLS_CLIENT_KEY_PATH" },
  { "TEMPORAL_TLS_KEY_DATA", "TEMPORAL_TLS_CLIENT_KEY_DATA" },
  { "TEMPORAL_TLS_CA", "TEMPORAL_TLS_SERVER_CA_CERT_PATH" },
  { "TEMPORAL_TLS_CA_DATA", "TEMPORAL_TLS_SERVER_CA_CERT_DATA" },
  { "TEMPORAL_CLI_ADDRESS", "TEMPORAL_ADDRESS" },
  { "TEMPORAL_CLI_NAMESPACE", "TEMPORAL_NAMESPACE" },
  { "TEMPORAL_CLI_TLS_CERT", "TEMPORAL_TLS_CLIENT_CERT_PATH" },
  { "TEMPORAL_CLI_TLS_KEY", "TEMPORAL_TLS_CLIENT_KEY_PATH" },
  { "TEMPORAL_CLI_TLS_CA", "TEMPORAL_TLS_SERVER_CA_CERT_PATH" },
  { "TEMPORAL_CLI_TLS_SERVER_NAME", "TEMPORAL_TLS_SERVER_NAME" },
  { "TEMPORAL_CLIENT_CERT_PATH", "TEMPORAL_TLS_CLIENT_CERT_PATH" },
  { "TEMPORAL_CLIENT_KEY_PATH", "TEMPORAL_TLS_CLIENT_KEY_PATH" },
  { "TEMPORAL_SERVER_ROOT_CA_CERT_PATH", "TEMPORAL_TLS_SERVER_CA_CERT_PATH" },
  { "TEMPORAL_SERVER_NAME_OVERRIDE", "TEMPORAL_TLS_SERVER_NAME" },
  { "TEMPORAL_MTLS_TLS_CERT", "TEMPORAL_TLS_CLIENT_CERT_PATH" },
  { "TEMPORAL_MTLS_TLS_KEY", "TEMPORAL_TLS_CLIENT_KEY_PATH" },
}

local function is_on(value)
  value = (value or ""):lower()
  if value == "1" or value == "true" then return true end
  if value == "0" or value == "false" then return false end
end

-- PEM text that bears the name of its variable in the messages of the probe.
local function text(name, value)
  local function itself() return value end
  return { label = "$" .. name, source = itself, pem = itself }
end

-- ---- what an SDK would do with them ----

local function finder(report, severity)
  return function(code, message, hint, more)
    report:add(copy({ code = code, severity = severity, message = message, hint = hint }, more))
  end
end

local function check_tls(get, settings, mistake)
  local on = is_on(get "TEMPORAL_TLS")
  local key = get "TEMPORAL_API_KEY"
  local has_tls = on or key or settings.server_name
  for _, name in ipairs(file_order) do has_tls = has_tls or settings[name] or settings[name .. "_path"] end
  if on == false or not has_tls then
    mistake("tls_off",
      on == false and "TEMPORAL_TLS switches TLS off: an SDK that reads these variables speaks plaintext"
        or "no variable switches TLS on: an SDK that reads them speaks plaintext",
      on == false and "unset TEMPORAL_TLS, or set it to true"
        or "set TEMPORAL_TLS=true, or the certificate and the key of the client",
      { who = "a port that speaks TLS: \"error reading server preface: EOF\", or \"connection reset by peer\"",
        source = "https://github.com/temporalio/cli/issues/810" })
  end
  if key and (settings.certificate or settings.certificate_path) then
    mistake("two_credentials", "TEMPORAL_API_KEY is set beside a client certificate",
      "unset one of them: a namespace of Temporal Cloud takes certificates or API keys, each at an endpoint of its own",
      { who = "Temporal Cloud: \"cannot create namespace with provided auth method\", \"Jwt is missing\"",
        source = "https://github.com/temporalio/terraform-provider-temporalcloud/issues/340" })
  end
end

local function check_pair(settings, mistake)
  local has_certificate = settings.certificate or settings.certificate_path
  local has_key = settings.key or settings.key_path
  if has_key and not has_certificate then
    mistake("key_alone", "there is a key, and no certificate for it",
      "set TEMPORAL_TLS_CLIENT_CERT_PATH, or TEMPORAL_TLS_CLIENT_CERT_DATA", { who = "every SDK" })
  elseif has_certificate and not has_key then
    mistake("certificate_alone", "there is a certificate, and no key for it",
      "set TEMPORAL_TLS_CLIENT_KEY_PATH, or TEMPORAL_TLS_CLIENT_KEY_DATA", { who = "every SDK" })
  elseif settings.certificate and settings.key_path or settings.certificate_path and settings.key then
    mistake("path_and_data", "one of certificate and key comes from a file, the other from a variable",
      "give both by _PATH, or both by _DATA",
      { who = "the SDKs and the temporal command: \"cannot have client key/cert path with data\"" })
  end
end

local function check_foreign(get, warn)
  for _, pair in ipairs(foreign) do
    local old, new = pair[1], pair[2]
    if get(old) and not get(new) then
      warn("foreign_variable", ("%s is set, and no SDK reads it"):format(old), ("set %s"):format(new),
        { note = "the temporal command, or an older tool or sample, may read it" })
    end
  end
end

-- ---- reading ----

-- What no server can be asked for: a value that was copied with what stood beside it.
local function drop_unusable(settings, mistake)
  for _, option in ipairs { "namespace", "server_name" } do
    local value = settings[option]
    if value and not kinds.name[1](value) then
      local name = option == "namespace" and "TEMPORAL_NAMESPACE" or PREFIX .. "SERVER_NAME"
      local message = '%s is "%s", which holds white space or letters beyond ASCII'
      mistake("bad_value", message:format(name, printable(value)),
        "write the name alone, without quotes or a line end behind it", { who = "every SDK, which asks for that name" })
      settings[option] = nil
    end
  end
end

local function read_files(get, settings, mistake)
  for _, option in ipairs(file_order) do
    local path_name, data_name = PREFIX .. files[option][1], PREFIX .. files[option][2]
    local path, data = get(path_name), get(data_name)
    if path and data then
      mistake("path_and_data", ("%s and %s are both set"):format(path_name, data_name), "unset one of them",
        { who = "the SDKs and the temporal command, which refuse both together" })
    end
    if path then
      settings[option .. "_path"] = path
    elseif data then
      settings[option] = text(data_name, data)
    end
  end
end

--- Reads the variables.
-- @tparam[opt] function|table variables from a name to its value; by default `os.getenv`
-- @treturn table options of `probe.run`: `address`, `namespace`, `certificate` or `certificate_path`, `key` or
-- `key_path`, `server_ca` or `server_ca_path`, `server_name`, each where its variable is set; a key without a
-- certificate is left out
-- @treturn report findings `tls_off`, `two_credentials`, `key_alone`, `certificate_alone`, `path_and_data`,
-- `foreign_variable`, `empty_variable`, `bad_value` (left out of the options), `verification_off`
function environment.read(variables)
  options.expect("tcpki.probe.environment.read", "variables", variables or os.getenv, "function|table")
  local report = reports.new()
  local mistake, warn = finder(report, "error"), finder(report, "warning")
  local function get(name)
    local value
    if type(variables) == "table" then value = variables[name] else value = (variables or os.getenv)(name) end
    return value ~= "" and value or nil, value == ""
  end
  local settings = {
    address = get "TEMPORAL_ADDRESS", namespace = get "TEMPORAL_NAMESPACE", server_name = get(PREFIX .. "SERVER_NAME"),
  }
  drop_unusable(settings, mistake)
  for _, name in ipairs { "TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", PREFIX .. "SERVER_NAME" } do
    if select(2, get(name)) then
      warn("empty_variable", ("%s is set, and empty"):format(name), "unset it, or give it a value",
        { note = "for an SDK it replaces what its configuration file says" })
    end
  end
  read_files(get, settings, mistake)
  check_tls(get, settings, mistake)
  check_pair(settings, mistake)
  check_foreign(get, warn)
  if is_on(get(PREFIX .. "DISABLE_HOST_VERIFICATION")) then
    warn("verification_off", "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION lets every server pass for the right one",
      "unset it, and pass the server's CA; this probe always verifies")
  end
  if not (settings.certificate or settings.certificate_path) then settings.key, settings.key_path = nil, nil end
  return settings, report
end

return environment

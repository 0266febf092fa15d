--- The section `global.tls` of a Temporal server's configuration.
-- @module tcpki.server

local base64 = require "tcpki.pem.base64"
local duration = require "tcpki.server.duration"
local fault = require "tcpki.fault"
local fields = require "tcpki.server.fields"
local file = require "tcpki.file"
local options = require "tcpki.options"
local quote = require "tcpki.pem.quote"
local rules = require "tcpki.server.rules"
local sorted = require "tcpki.sorted"
local validate = require "tcpki.server.validate"
local yaml = require "tcpki.server.yaml"

local WHERE = "tcpki.server.tls"

-- encoding/base64, StdEncoding.
local DIALECT = { blanks = "[\r\n]", padding = "required" }

-- What each option of some data may be given as.
local data_types = {
  certificate_data = "string|tcpki.certificate|tcpki.chain", key_data = "string|tcpki.key",
  client_ca_data = "table|tcpki.bundle|tcpki.certificate", root_ca_data = "table|tcpki.bundle|tcpki.certificate",
}

local types = { string = "string", bool = "boolean", duration = "string|integer", strings = "table" }

-- Ends the building with a fault.
local function refuse(fields_of_fault)
  error(fault.new(fields_of_fault), 0)
end

local function name_of(place, name)
  return place == "" and name or place .. "." .. name
end

-- ---- values ----

-- PEM or an object as the base64 that the server wants; what is base64 already stays as it is.
local function encoded(place, value)
  local text = value
  if type(value) ~= "string" then
    if value.is_private and not value:is_private() then
      refuse { code = "no_private_key", message = place .. " is a public key", hint = "pass the private key" }
    end
    local err
    text, err = value:pem()
    if not text then
      refuse { code = err.code, message = ("%s: %s"):format(place, err.message), hint = err.hint }
    end
  elseif not value:find("-----BEGIN ", 1, true) then
    -- An empty item is for the server's own rules.
    if value:find "%S" and not base64.decode(DIALECT, value) then
      refuse { code = "bad_base64", message = place .. " is neither PEM nor base64",
        hint = rules.by_code.bad_base64.hint }
    end
    return value
  end
  return quote(text, "base64")
end

-- Each CA is an item of its own: of an item the server compares only the first certificate when it loads anew.
local function encoded_list(place, values)
  local metatable = getmetatable(values)
  local list = metatable and metatable.__name == "tcpki.certificate" and { values } or values
  if not metatable then
    options.list(WHERE, place, list, "string|tcpki.certificate")
  end
  local items = {}
  for i, value in ipairs(list) do
    items[i] = encoded(("%s[%d]"):format(place, i), value)
  end
  return items
end

local function as_duration(place, value)
  if type(value) == "number" then
    return ("%ds"):format(value), value * 1000000000
  end
  local nanoseconds, reason = duration.parse(value)
  if not nanoseconds then
    refuse { code = "wrong_type", message = ("%s: %s"):format(place, reason),
      hint = "write a duration of Go: 30s, 10m, 720h; it knows no days" }
  end
  return value, nanoseconds
end

-- ---- sections ----

local build

local function build_map(place, given, kind)
  options.expect(WHERE, place, given, "table")
  local values, written, names = {}, {}, {}
  for name, section in pairs(given) do
    options.expect(WHERE, "a name in " .. place, name, "string")
    options.expect(WHERE, name_of(place, name), section, "table")
    values[name], written[name] = build(name_of(place, name), section, kind)
    names[#names + 1] = name
  end
  table.sort(names)
  return values, next(written) and yaml.ordered(names, written) or nil
end

-- One value: as the validation wants it, and as it is written.
local function build_value(place, row, value)
  if type(row.kind) == "table" then
    return build_map(place, value, row.kind.map)
  elseif fields.types[row.kind] then
    return build(place, value, row.kind)
  elseif row.kind == "duration" then
    local text, nanoseconds = as_duration(place, value)
    return nanoseconds, text
  elseif row.option:find "_data$" then
    value = row.kind == "strings" and encoded_list(place, value) or encoded(place, value)
  elseif row.kind == "strings" then
    options.list(WHERE, place, value, "string")
    value = { table.unpack(value) }
  end
  if type(value) == "table" and #value == 0 then
    return value, nil
  end
  return value, value
end

-- A section: with every field for the validation, and with those that are given, in their order, to be written. An
-- empty one is left out: lyaml would write it as a list.
function build(place, given, kind)
  local known = {}
  for _, row in ipairs(fields.types[kind]) do
    known[row.option] = data_types[row.option] or types[row.kind] or "table"
  end
  options.check(place == "" and WHERE or ("%s: %s"):format(WHERE, place), given, known, 0)
  local section, written, names = fields.zero(kind), {}, {}
  for i, row in ipairs(fields.types[kind]) do
    names[i] = row.name
    if given[row.option] ~= nil then
      section[row.name], written[row.name] = build_value(name_of(place, row.option), row, given[row.option])
    end
  end
  return section, next(written) and yaml.ordered(names, written) or nil
end

-- What the server would panic at, or find only when it loads the files.
local function add_halves(problems, place, section)
  local certificate = section.certFile ~= "" or section.certData ~= ""
  local key = section.keyFile ~= "" or section.keyData ~= ""
  if certificate ~= key then
    local code = certificate and "key_missing" or "certificate_missing"
    problems[#problems + 1] = { code = code, place = place, says = rules.by_code[code].message }
  end
end

local function check(tls)
  local problems = validate(tls)
  add_halves(problems, "internode.server", tls.internode.server)
  add_halves(problems, "frontend.server", tls.frontend.server)
  for _, host in ipairs(sorted(tls.frontend.hostOverrides)) do
    add_halves(problems, "frontend.hostOverrides." .. host, tls.frontend.hostOverrides[host])
  end
  add_halves(problems, "systemWorker", tls.systemWorker)
  return problems[1]
end

-- ---- the object ----

local methods = {}
local metatable = { __name = "tcpki.server.tls", __index = methods }

function metatable:__tostring()
  local names = {}
  for name in pairs(self.written) do
    names[#names + 1] = name
  end
  return ("tcpki.server.tls (%s)"):format(table.concat(names, ", "))
end

local function copied(value)
  if type(value) ~= "table" then
    return value
  end
  local copy, names = {}, {}
  for name, inner in pairs(value) do
    copy[name] = copied(inner)
    names[#names + 1] = name
  end
  return #value > 0 and copy or yaml.ordered(names, copy)
end

--- What stands under `global.tls`, with the names of the server, for a configuration of your own. `pairs` gives the
-- fields in the order of the server's source, and so does lyaml.
-- @function tls:table
-- @treturn table a copy
function methods:table()
  return copied(self.written)
end

--- The section as YAML, from `global:` on: a file of its own beside the rest (`base.yaml` and `NAME.yaml` of a
-- directory of configuration are put together by the server), or to be copied into one.
-- @function tls:yaml
-- @treturn string the same for the same options
function methods:yaml()
  if next(self.written) == nil then
    return "global:\n  tls:\n"
  end
  return yaml.dump { global = { tls = self.written } }
end

local function has_key(section)
  for name, value in pairs(section) do
    if name == "keyData" or type(value) == "table" and has_key(value) then
      return true
    end
  end
  return false
end

--- Writes the section to a file: of mode 0600 where a private key is in it, else 0644.
-- @function tls:write
-- @tparam string path
-- @tparam[opt] table given `overwrite` (false by default)
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault `already_exists`, `no_space`, …
function methods:write(path, given)
  options.expect("tls:write", "path", path, "string")
  given = options.check("tls:write", given, { overwrite = "boolean" })
  return file.write(path, self:yaml(), { mode = has_key(self.written) and 384 or 420, overwrite = given.overwrite })
end

local tls = {}

--- Makes the section `global.tls` and refuses what the server would refuse at its start. Nothing is read: what is in
-- the files, `server.check` says of the result.
--
--     server.tls {
--       internode = {
--         server = { certificate_file = "internode.pem", key_file = "internode.key", require_client_certificate = true,
--           client_ca_files = { "server-ca.pem" } },
--         client = { server_name = "internode.example.com", root_ca_files = { "server-ca.pem" } },
--       },
--       frontend = { server = { … }, client = { … }, host_overrides = { ["payments.example.com"] = { … } } },
--       refresh_interval = "1m",
--     }
--
-- Every file has its twin in base64: `certificate_data`, `key_data`, `client_ca_data`, `root_ca_data` take PEM, base64
-- of PEM, or objects (a chain or certificate, a key, a bundle or a list).
-- @function tls
-- @tparam table given `internode` and `frontend` (`server`: `certificate_file`, `key_file`, `client_ca_files`,
-- `certificate_data`, `key_data`, `client_ca_data`, `require_client_certificate`; `client`: `server_name`,
-- `disable_host_verification`, `root_ca_files`, `root_ca_data`, `force_tls`; `host_overrides`: host to what `server`
-- takes), `system_worker` (`certificate_file`, `key_file`, `certificate_data`, `key_data`, `client`), `remote_clusters`
-- (host to what `frontend` takes), `expiration_checks` (`warning_window`, `error_window`, `check_interval`),
-- `refresh_interval`; durations are texts of Go ("1h30m") or seconds
-- @treturn[1] tls
-- @treturn[2] nil
-- @treturn[2] fault with the server's words: `file_and_data`, `empty_item`, `host_name_empty`, `negative_interval`,
-- `wrong_type` (a duration), `bad_base64`, `certificate_missing`, `key_missing`
function tls.tls(given)
  options.expect(WHERE, "the argument", given, "table")
  local ok, section, written = pcall(build, "", given, "RootTLS")
  if not ok then
    if type(section) == "string" then
      -- Blame the caller, not this file.
      error((section:gsub("^[^:]+:%d+: ", "")), 2)
    end
    return nil, section
  end
  local problem = check(section)
  if problem then
    local rule = rules.by_code[problem.code]
    return fault.fail { code = problem.code, message = ("%s: %s"):format(problem.place, problem.says),
      hint = rule.hint }
  end
  return setmetatable({ written = written or yaml.ordered({}, {}) }, metatable)
end

return tls

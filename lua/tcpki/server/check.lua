--- What the Temporal server would make of a configuration and of the certificates named in it, found without the
-- server: what it refuses, with its words, and what it does not see and others do.
-- @module tcpki.server

local advise = require "tcpki.server.advice"
local decode = require "tcpki.server.decode"
local dial = require "tcpki.server.dial"
local fields = require "tcpki.server.fields"
local file = require "tcpki.file"
local load = require "tcpki.server.load"
local options = require "tcpki.options"
local report = require "tcpki.report"
local rules = require "tcpki.server.rules"
local source = require "tcpki.server.source"
local sorted = require "tcpki.sorted"
local validate = require "tcpki.server.validate"
local yaml = require "tcpki.server.yaml"

local PREFIX = "global.tls."

local function fill(template, values)
  return (template:gsub("{(%w+)}", function(name)
    return tostring(values[name] or "")
  end))
end

-- The line of a field, or of what it stands in.
local function line_of(lines, place)
  place = PREFIX .. place
  while place and place ~= "" do
    if lines[place] then
      return lines[place]
    end
    place = place:match "^(.*)%[%d+%]$" or place:match "^(.*)%.[^.]*$"
  end
end

-- Adds a finding: `values` has what the sentence needs, and `place` (under global.tls), `view` (the certificate),
-- `path` and `line` (of the file at fault, the configuration by default), `says` (the server's words).
local function add(state, code, values)
  local rule = rules.by_code[code]
  local view = values.view
  local finding = {
    code = code, severity = values.severity or rule.severity, source = rule.source,
    message = fill(rule.message, values), hint = fill(rule.hint, values), place = values.place or view and view.place,
  }
  if view then
    finding.subject, finding.serial = view.text, view.certificate:serial()
    finding.fingerprint = view.certificate:fingerprint()
    finding.path = values.path or view.path
    -- The first line says nothing.
    finding.line = finding.path and view.line and view.line > 1 and view.line or nil
  elseif values.path then
    finding.path, finding.line = values.path, values.line
  else
    finding.path, finding.line = state.path, values.line or finding.place and line_of(state.lines, finding.place)
  end
  if values.says then
    finding.server = values.says
    finding.who = ('the server: "%s"'):format(values.says)
    state.report.server = state.report.server or values.says
  end
  state.report:add(finding)
end

local function new_state(path, given)
  local state = {
    path = path, root = given.root, now = given.at or os.time(), report = report.new(), lines = {}, pairs = {},
    pools = {}, pool_places = {}, loaded = {}, several = {}, modes = {}, seen = {},
  }
  function state.add(code, values)
    add(state, code, values)
  end
  -- Whether something was found of a certificate already.
  function state.known(view, code)
    return state.seen[code .. view.der] or false
  end
  -- The same of the same certificate is said once.
  function state.once(view, code, values)
    if not state.known(view, code) then
      state.seen[code .. view.der] = true
      add(state, code, values)
    end
  end
  function state.unchecked(word)
    state.report.unchecked = state.report.unchecked or {}
    table.insert(state.report.unchecked, word)
  end
  return state
end

-- ---- what it says ----

-- Config.Validate, as far as it is about TLS.
local function check_public_client(state, config)
  local public = config.publicClient
  local reason, cure
  if config.services["internal-frontend"] and (public.hostPort ~= "" or public.forceTLSConfig ~= ""
    or public.httpHostPort ~= "") then
    reason, cure = "when using internal-frontend, publicClient must be empty", "remove publicClient"
  elseif not options.has({ "", "internode", "frontend" }, public.forceTLSConfig) then
    reason = ('invalid value for publicClient.forceTLSConfig: "%s"'):format(public.forceTLSConfig)
    cure = "write internode or frontend, or leave it out"
  end
  if reason then
    state.add("bad_public_client", { line = state.lines["publicClient.forceTLSConfig"] or state.lines.publicClient,
      reason = reason, cure = cure, says = reason })
  end
end

-- The first field of a server's section that says something.
local function first_given(section)
  for _, row in ipairs(fields.types.ServerTLS) do
    local value = section[row.name]
    if value == true or type(value) == "string" and value ~= "" or type(value) == "table" and #value > 0 then
      return row.name
    end
  end
end

local function check_server(state, place, section, dials)
  local certificate = section.certFile ~= "" or section.certData ~= ""
  if not dial.listens(section) then
    local name = first_given(section)
    if name and not (certificate and dials) then
      state.add("tls_off", { place = place, name = name })
    end
    return
  end
  if not certificate then
    state.add("certificate_missing", { place = place,
      says = "panic: runtime error: invalid memory address or nil pointer dereference" })
  end
  load.pair(state, place, section)
  local authorities = load.authorities(state, place, section, "client")
  if section.requireClientAuth and authorities == nil then
    state.add("client_ca_missing", { place = place })
  elseif not section.requireClientAuth then
    state.add(authorities ~= nil and "client_ca_ignored" or "client_not_required", { place = place })
  end
end

local function check_host(state, tls, host, section, seen)
  local place = "frontend.hostOverrides." .. host
  local lower = host:lower()
  if seen[lower] then
    state.add("host_twice", { place = place, name = lower })
  elseif host:find "*" then
    state.add("host_pattern", { place = place, name = host })
  elseif host:find ":" or host:find "^%d+%.%d+%.%d+%.%d+$" then
    -- Who connects to an address asks for no name, and gets frontend.server; with a port somebody meant a name.
    local is_name = host:find "^[^:]+:%d+$"
    state.add("host_never_asked", { place = place, name = host, severity = not is_name and "warning" or nil })
  end
  seen[lower] = true
  if section.certFile == "" and section.certData == "" then
    state.add("override_without_certificate", { place = place, name = host })
    return
  end
  local loaded = load.pair(state, place, section)
  local authorities = load.authorities(state, place, section, "client")
  if not section.requireClientAuth then
    if tls.frontend.server.requireClientAuth then
      state.add("override_open", { place = place, name = host })
    elseif authorities ~= nil then
      state.add("client_ca_ignored", { place = place })
    end
  elseif authorities == nil then
    state.add("client_ca_missing", { place = place })
  end
  local view = loaded and loaded.views[1]
  if view and not host:find "*" and not require "tcpki.go.host"(view.certificate, host) then
    state.add("host_not_in_certificate", { view = view, place = place, name = host })
  end
end

local function check_sections(state, tls)
  local internode, frontend = tls.internode, tls.frontend
  check_server(state, "internode.server", internode.server, dial.dials(internode.client))
  check_server(state, "frontend.server", frontend.server, false)
  local seen = {}
  for _, host in ipairs(sorted(frontend.hostOverrides)) do
    check_host(state, tls, host, frontend.hostOverrides[host], seen)
  end
  if next(internode.hostOverrides) then
    state.add("overrides_ignored", { place = "internode.hostOverrides" })
  end
  for _, name in ipairs(sorted(tls.remoteClusters)) do
    if next(tls.remoteClusters[name].hostOverrides) then
      state.add("overrides_ignored", { place = ("remoteClusters.%s.hostOverrides"):format(name) })
    end
  end
  local worker = tls.systemWorker
  if not dial.explicit(worker) and (worker.client.serverName ~= "" or worker.keyFile ~= "" or worker.keyData ~= "") then
    state.add("worker_ignored", { place = "systemWorker" })
  end
  local nodes, clients = dial.listens(internode.server), dial.listens(frontend.server)
  if nodes and not clients and not first_given(frontend.server) then
    state.add("frontend_plaintext", { place = "frontend" })
  elseif clients and not nodes and not first_given(internode.server) then
    state.add("internode_plaintext", { place = "internode" })
  end
end

-- Whether anything is said about TLS at all.
local function is_empty(value)
  if type(value) ~= "table" then
    return value == "" or value == false or value == 0
  end
  for _, inner in pairs(value) do
    if not is_empty(inner) then
      return false
    end
  end
  return true
end

local function check_tree(state, node, more)
  local decoded = decode(node)
  state.lines = decoded.lines
  source.add(state, decoded)
  if more then
    state.add("several_documents", {})
  end
  local config = decoded.config
  local tls = config.global.tls
  if #decoded.problems == 0 and not decoded.stopped then
    check_public_client(state, config)
    for _, problem in ipairs(validate(tls)) do
      state.add(problem.code, problem)
    end
    if state.report.ok and is_empty { tls.internode, tls.frontend, tls.systemWorker, tls.remoteClusters } then
      state.add("no_tls", {})
      return
    elseif state.report.ok then
      check_sections(state, tls)
      dial.check(state, config)
      advise(state, tls)
      return
    end
  end
  state.unchecked "the certificates: correct the configuration first"
end

-- Parses and checks.
local function check_yaml(state, text)
  local node, err, more = yaml.parse(text)
  if err and err.code == "bad_yaml" then
    -- The server's parser says most things with the same words, but not what it had expected.
    state.add("bad_yaml", { line = err.line or source.unreadable_line(text), reason = err.message,
      says = not err.message:find "^did not find expected" and err.message or nil })
    state.unchecked "everything else: correct the text first"
  elseif err then
    err.path = state.path
    return nil, err
  else
    check_tree(state, node, more)
  end
  return state.report
end

local function check_parsed(state, text)
  local rendered, missing = source.rendered(text, state.path)
  if not rendered then
    return nil, missing
  elseif #missing > 0 then
    state.unchecked("what depends on variables that are not set here: " .. table.concat(missing, ", "))
  end
  state.is_text = true
  return check_yaml(state, rendered)
end

local KNOWN = { root = "string", at = "integer" }

local check = {}

--- Checks the text of a configuration.
-- @function check_text
-- @tparam string text YAML
-- @tparam[opt] table given as of `check`
-- @treturn[1] report as of `check`
-- @treturn[2] nil
-- @treturn[2] fault
function check.check_text(text, given)
  options.expect("tcpki.server.check_text", "text", text, "string")
  given = options.check("tcpki.server.check_text", given, KNOWN)
  return check_parsed(new_state(nil, given), text)
end

--- Checks a text that nobody wrote: its lines mean nothing.
-- @local
-- @tparam string text
-- @tparam table given
-- @treturn ?report
-- @treturn ?fault
function check.of_values(text, given)
  local found, err = check_yaml(new_state(nil, given), text)
  for _, finding in ipairs(found or {}) do
    finding.line = finding.path and finding.line or nil
  end
  return found, err
end

--- Checks a configuration of the Temporal server: what it refuses at its start, quoted, with the line or the file at
-- fault; whether the nodes, the system worker and the frontend let each other in with these certificates; and what the
-- server does not see. Nothing is changed, and no connection is made.
--
-- The messages are those of Temporal 1.31. Of the configuration only `global.tls`, `services`, `publicClient` and
-- `clusterMetadata` are looked at.
-- @function check
-- @tparam string|table config the path of the file, the whole configuration as a table with the server's own names, or
-- what `server.tls` made
-- @tparam[opt] table given `root`: the directory that the server is started in, from which relative names of
-- certificates count (this one by default); `at`: the time to check for, seconds since the epoch (now)
-- @treturn[1] report with `server` (what the server says first, nil where it says nothing); findings have `place` (the
-- field under global.tls, or the certificate's), `path`, `line`, `server` (what the server says, or how it begins)
-- @treturn[2] nil
-- @treturn[2] fault `not_found`, `permission_denied`, `not_a_file`, `too_large`; `template` where the text is a
-- template, with the line
function check.check(config, given)
  options.expect("tcpki.server.check", "config", config, "string|table|tcpki.server.tls")
  given = options.check("tcpki.server.check", given, KNOWN)
  if type(config) == "string" then
    local text, err = file.read(config)
    if not text then
      return nil, err
    end
    return check_parsed(new_state(config, given), text)
  end
  local is_tls = (getmetatable(config) or {}).__name == "tcpki.server.tls"
  return check.of_values(is_tls and config:yaml() or yaml.dump(config), given)
end

return check

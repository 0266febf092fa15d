--- Who connects to whom in a cluster, and whether they let each other in: nodes to nodes, the system worker to the
-- frontend, this cluster to others. With Go's path validation, and what the server's log then says.
-- @module tcpki.server.dial
-- @local

local date = require "tcpki.date"
local host = require "tcpki.go.host"
local load = require "tcpki.server.load"
local path = require "tcpki.go.path"
local sorted = require "tcpki.sorted"

local dial = {}

--- Whether a group listens with TLS (GroupTLS.IsServerEnabled).
-- @tparam table section a server's
-- @treturn boolean
function dial.listens(section)
  return section.keyFile ~= "" or section.keyData ~= ""
end

--- Whether a group dials with TLS (GroupTLS.IsClientEnabled).
-- @tparam table section a client's
-- @treturn boolean
function dial.dials(section)
  return #section.rootCaFiles > 0 or #section.rootCaData > 0 or section.forceTLS
end

--- Whether the system worker has settings of its own (isSystemWorker).
-- @tparam table worker
-- @treturn boolean
function dial.explicit(worker)
  return worker.certData ~= "" or worker.certFile ~= "" or dial.dials(worker.client)
end

-- crypto/tls: what a server answers with to a certificate that it does not take.
local function alert_of(reason)
  if reason:find "unknown authority" then
    return "unknown certificate authority"
  elseif reason:find "has expired or is not yet valid" then
    return "expired certificate"
  end
  return "bad certificate"
end

-- A time that is over, or not yet come: of whichever certificate of the path.
local function add_time(state, reason, culprit, says)
  local later = reason:find " is before "
  state.once(culprit, later and "not_yet_valid" or "expired", { view = culprit, says = says,
    date = date.minute(later and culprit.certificate:not_before() or culprit.certificate:not_after()) })
end

local function intermediates_of(loaded)
  return { table.unpack(loaded.views, 2) }
end

local function has_addresses(certificate)
  for _, name in ipairs(certificate:subject_alt_names() or {}) do
    if name.type == "ip" then
      return true
    end
  end
  return false
end

local function check_name(state, connection, view)
  local wanted = connection.section.serverName ~= "" and connection.section.serverName or connection.dialled
  local says = "tls: failed to verify certificate: "
  local values = { view = view, who = connection.who, other = connection.other, name = wanted }
  if wanted then
    local bears, reason = host(view.certificate, wanted)
    if not bears then
      values.says = says .. reason
      state.add("name_not_in_certificate", values)
    end
  elseif not has_addresses(view.certificate) then
    state.add("no_server_name", { place = connection.place, who = connection.who, other = connection.other,
      says = says .. "x509: cannot validate certificate for" })
  end
end

-- Whether the one that dials believes the server.
local function check_server(state, connection)
  local section, server = connection.section, connection.server
  if section.disableHostVerification then
    state.add("verification_disabled", { place = connection.place .. ".disableHostVerification" })
    return
  end
  local roots = load.authorities(state, connection.place, section, "root")
  if not server.pair then
    return
  end
  local view = server.pair.views[1]
  -- Go looks at the times of the certificate itself, at the name, and then for a way to a root.
  local chain, reason, culprit
  if roots then
    chain, reason, culprit = path.verify(view, roots, intermediates_of(server.pair), state.now)
  end
  local is_over = reason and reason:find "current time" and culprit.der == view.der
  if not is_over then
    check_name(state, connection, view)
  end
  if roots == nil then
    state.unchecked(("whether the system knows the CA that %s wants"):format(connection.place))
  elseif roots then
    -- The server names its own time.
    local says = not chain and "tls: failed to verify certificate: " .. reason:gsub(": current time .*$", "")
    if not chain and reason:find "current time" then
      add_time(state, reason, culprit, says)
    elseif not chain then
      state.once(view, reason:find "incompatible key usage" and "server_usage" or "server_unknown", { view = view,
        who = connection.who, other = connection.other, place = connection.place,
        reason = reason:gsub("^x509: ", ""), says = says })
    end
  end
  if is_over then
    check_name(state, connection, view)
  end
end

local function cure_of(reason, view, server)
  if reason:find "unknown authority" and not reason:find "possibly because" then
    return ("name in %s.clientCaFiles the CA %s, or give it a certificate of a CA that is there"):format(server.place,
      tostring(view.certificate:issuer()))
  end
  return "have the certificate reissued by a CA that is named in " .. server.place
end

-- Whether the server lets in the one that dials.
local function check_client(state, connection)
  local server = connection.server
  if not server.section.requireClientAuth then
    return
  end
  local roots = load.authorities(state, server.place, server.section, "client")
  local loaded = connection.pair
  if not loaded then
    if not connection.has_certificate then
      state.add("no_client_certificate", { place = connection.certificate_place, who = connection.who,
        other = connection.other, says = "client auth required, but no certificate provided" })
    end
    return
  elseif not roots then
    return
  end
  local view = loaded.views[1]
  local chain, reason, culprit = path.verify(view, roots, intermediates_of(loaded), state.now, "client_auth")
  if chain then
    return
  end
  local says = "remote error: tls: " .. alert_of(reason)
  if reason:find "current time" then
    add_time(state, reason, culprit, says)
    return
  end
  state.add(reason:find "incompatible key usage" and "client_usage" or "client_unknown", { view = view,
    who = connection.who, other = connection.other, reason = reason:gsub("^x509: ", ""),
    cure = cure_of(reason, view, server), says = says })
end

local function connect(state, connection)
  local server = connection.server
  if server.on and not connection.on then
    state.add("plaintext_client", { place = connection.place, who = connection.who, other = connection.other,
      says = "error reading server preface: EOF" })
  elseif connection.on and not server.on then
    state.add("plaintext_server", { place = server.place, who = connection.who, other = connection.other,
      says = "tls: first record does not look like a TLS handshake" })
  elseif server.on then
    check_server(state, connection)
    check_client(state, connection)
  end
end

local function has_certificate(section)
  return section.certFile ~= "" or section.certData ~= ""
end

-- One half is enough: that the other is missing was found already.
local function has_half(section)
  return has_certificate(section) or dial.listens(section)
end

-- What listens at the frontend for a name: an override may stand in for it.
local function frontend_for(state, tls, name)
  local frontend = tls.frontend.server
  local server = { place = "frontend.server", section = frontend, on = dial.listens(frontend) }
  for override, section in pairs(tls.frontend.hostOverrides) do
    if name and override:lower() == name:lower() and has_certificate(section) and server.on then
      server.place, server.section = "frontend.hostOverrides." .. override, section
    end
  end
  server.pair = server.on and load.pair(state, server.place, server.section) or nil
  return server
end

local function check_nodes(state, tls)
  local section = tls.internode.server
  local loaded = load.pair(state, "internode.server", section)
  connect(state, {
    who = "a node", other = "another node", place = "internode.client", section = tls.internode.client,
    on = dial.dials(tls.internode.client), pair = loaded, has_certificate = has_half(section),
    certificate_place = "internode.server",
    server = { place = "internode.server", section = section, on = dial.listens(section), pair = loaded },
  })
end

-- Whose settings the connections to the frontend take (common/resource/fx.go).
local function check_worker(state, config, tls)
  local inner = config.services["internal-frontend"] ~= nil
  local forced = config.publicClient.forceTLSConfig
  local explicit = dial.explicit(tls.systemWorker)
  local client = { who = "the system worker", other = "the frontend" }
  client.dialled = config.publicClient.hostPort:match "^([^/:]+):%d+$"
  if forced == "internode" or forced == "" and inner then
    local because = inner and "the service internal-frontend" or "publicClient.forceTLSConfig"
    if explicit then
      state.add("worker_not_used", { place = "systemWorker", other = because })
    end
    if inner then
      return
    end
    client.place, client.section, client.on = "internode.client", tls.internode.client, dial.dials(tls.internode.client)
    client.pair_place, client.pair_section = "internode.server", tls.internode.server
  elseif explicit then
    client.place, client.section, client.on = "systemWorker.client", tls.systemWorker.client, true
    client.pair_place, client.pair_section = "systemWorker", tls.systemWorker
    if dial.dials(tls.frontend.client) or tls.frontend.client.serverName ~= "" then
      state.add("frontend_client_ignored", { place = "frontend.client" })
    end
  else
    client.place, client.section, client.on = "frontend.client", tls.frontend.client, dial.dials(tls.frontend.client)
    client.pair_place, client.pair_section = "internode.server", tls.internode.server
  end
  client.pair = load.pair(state, client.pair_place, client.pair_section)
  client.has_certificate, client.certificate_place = has_half(client.pair_section), client.pair_place
  if next(config.services) and not config.services.worker then
    state.unchecked "whether the system worker reaches the frontend: there is no service worker"
    load.authorities(state, client.place, client.section, "root")
    return
  end
  local name = client.section.serverName ~= "" and client.section.serverName or client.dialled
  client.server = frontend_for(state, tls, name)
  connect(state, client)
end

local function check_clusters(state, tls)
  for _, name in ipairs(sorted(tls.remoteClusters)) do
    local group = tls.remoteClusters[name]
    local place = "remoteClusters." .. name
    if name:find ":%d+$" then
      state.add("remote_key", { place = place, name = name })
    end
    local certificate = has_certificate(group.server)
    if not dial.dials(group.client) then
      if certificate or group.client.serverName ~= "" then
        state.add("plaintext_client", { place = place .. ".client", who = "this cluster", other = name })
      end
    else
      load.authorities(state, place .. ".client", group.client, "root")
      local loaded = load.pair(state, place .. ".server", group.server)
      if group.client.disableHostVerification then
        state.add("verification_disabled", { place = place .. ".client.disableHostVerification" })
      end
      if loaded and not group.server.requireClientAuth then
        state.add("remote_certificate_kept", { place = place .. ".server" })
      elseif not certificate and group.server.requireClientAuth then
        state.add("no_client_certificate", { place = place .. ".server", who = "this cluster", other = name,
          says = "client auth required, but no certificate provided" })
      end
    end
  end
end

--- Looks at all connections.
-- @tparam table state of the check
-- @tparam table config the whole of it
function dial.check(state, config)
  local tls = config.global.tls
  check_nodes(state, tls)
  check_worker(state, config, tls)
  check_clusters(state, tls)
end

return dial

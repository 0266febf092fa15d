--- What the server does not see, or says only in its log when it is late: ends, anchors, modes, reloading.
-- @module tcpki.server.advice
-- @local

local date = require "tcpki.date"
local duration = require "tcpki.server.duration"
local file = require "tcpki.file"

local DAY = 86400
local SOON = 30 * DAY

-- The permission bits of a file; nil where it is none, or a link, as in a mounted Secret.
local function mode_of(state, path)
  local directory, name = path:match "^(.-)([^/]+)$"
  directory = directory == "" and "." or directory
  local modes = state.modes[directory]
  if not modes then
    modes = {}
    for _, entry in ipairs(file.list(directory) or {}) do
      modes[entry.name] = entry.kind == "file" and entry.mode or nil
    end
    state.modes[directory] = modes
  end
  return modes[name]
end

local function advise_modes(state)
  for _, loaded in ipairs(state.loaded) do
    local path = loaded.key.path
    local mode = path and mode_of(state, path)
    if mode and mode & 63 ~= 0 and not state.seen[path] then
      state.seen[path] = true
      state.add("key_readable", { place = loaded.key.where, path = path, file = loaded.key.name,
        mode = ("%04o"):format(mode) })
    end
  end
  local inline = false
  for _, loaded in ipairs(state.loaded) do
    inline = inline or not loaded.key.path and loaded.key.where
  end
  local mode = inline and state.path and mode_of(state, state.path)
  if mode and mode & 63 ~= 0 then
    state.add("key_inline", { place = inline, file = state.path, mode = ("%04o"):format(mode) })
  end
end

-- How long before its end a certificate is worth a word: the server's own window, where it has one.
local function window_of(checks)
  local window = checks.warningWindow > 0 and checks.warningWindow or checks.errorWindow
  return window > 0 and duration.seconds(window) or nil
end

-- Else thirty days; less for those that live for weeks.
local function soon(certificate)
  return math.min(SOON, (certificate:not_after() - certificate:not_before()) // 3)
end

local function advise_end(state, view, window, is_authority)
  local last = view.certificate:not_after()
  if last < state.now then
    if not state.known(view, "expired") then
      state.once(view, is_authority and "authority_expired" or "expired", { view = view, date = date.minute(last) })
    end
  elseif last - state.now < (window or soon(view.certificate)) then
    state.once(view, "expires_soon", { view = view, date = date.minute(last) })
  end
end

-- The issuer of a certificate, and whether it is trusted: among the CAs that are named anywhere, else among what is
-- sent behind the leaf. Of two certificates of one CA it is the one that ends later.
local function issuer_of(state, view, own)
  local pools = {}
  for i, place in ipairs(state.pool_places) do
    pools[i] = state.pools[place] or {}
  end
  local found
  local function look(pool)
    for _, other in ipairs(pool) do
      if other.subject == view.issuer and other.der ~= view.der and other.key
        and view.certificate:signed_by(other.key)
        and not (found and found.certificate:not_after() >= other.certificate:not_after()) then
        found = other
      end
    end
  end
  for _, pool in ipairs(pools) do
    look(pool)
  end
  if found then
    return found, true
  end
  look(own)
  return found, false
end

-- What a leaf is verified by here: from it up to a CA that is trusted. What else lies behind it is for others, such as
-- the way to a CA that was left behind, and may end when it likes.
local function way_up(state, loaded)
  local way = { loaded.views[1] }
  for i = 2, #loaded.views do
    local above, trusted = issuer_of(state, way[i - 1], loaded.views)
    if not above or trusted then
      break
    end
    way[i] = above
  end
  return way
end

local function advise_certificates(state, tls)
  local window = window_of(tls.expirationChecks)
  for _, loaded in ipairs(state.loaded) do
    local view = loaded.views[1]
    if view.version == 1 then
      state.once(view, "version_1", { view = view })
    end
    for _, other in ipairs(way_up(state, loaded)) do
      advise_end(state, other, window, false)
    end
  end
  for _, place in ipairs(state.pool_places) do
    for _, view in ipairs(state.pools[place] or {}) do
      if not view.ca and view.version == 3 then
        state.once(view, "not_an_authority", { view = view })
      elseif not view.certificate:self_signed() then
        state.once(view, "intermediate_anchor", { view = view, name = tostring(view.certificate:issuer()) })
      end
      advise_end(state, view, window, true)
    end
  end
end

local function advise_life(state)
  local function look(view, own)
    local above = issuer_of(state, view, own)
    local last, other = view.certificate:not_after(), above and above.certificate:not_after()
    if above and last > other then
      -- A leaf made with its CA may outlive it by seconds.
      local shown = date.minute(last) ~= date.minute(other) and date.minute or date.rfc3339
      state.once(view, "outlives_issuer", { view = view, name = above.text, date = shown(last), other = shown(other) })
    end
  end
  for _, loaded in ipairs(state.loaded) do
    for _, view in ipairs(way_up(state, loaded)) do
      look(view, loaded.views)
    end
  end
  for _, place in ipairs(state.pool_places) do
    for _, view in ipairs(state.pools[place] or {}) do
      look(view, {})
    end
  end
end

-- What those ask for that are not in the configuration: clients, and other clusters.
local function advise_purposes(state)
  for _, loaded in ipairs(state.loaded) do
    local view = loaded.views[1]
    local purposes = view.purposes
    if purposes and next(purposes) and not purposes.any then
      if loaded.place:find "^frontend%." and not purposes.server_auth then
        state.once(view, "server_usage", { view = view, who = "a client" })
      elseif loaded.place:find "^remoteClusters%." and not purposes.client_auth then
        state.add("client_usage", { view = view, who = "this cluster",
          other = loaded.place:match "^%w+%.(.*)%.server$" })
      end
    end
  end
end

local function advise_reload(state, tls)
  local from_file = false
  for _, loaded in ipairs(state.loaded) do
    from_file = from_file or loaded.certificate.path ~= nil
  end
  for _, values in ipairs(state.several) do
    state.add("several_in_file", values)
  end
  if tls.refreshInterval == 0 and from_file then
    state.add("no_refresh", { place = "refreshInterval" })
  end
  local checks = tls.expirationChecks
  local windows = checks.warningWindow ~= 0 or checks.errorWindow ~= 0
  if checks.checkInterval == 0 or not windows then
    state.add("no_expiration_checks", { place = "expirationChecks",
      name = checks.checkInterval ~= 0 and "warningWindow or errorWindow" or "checkInterval",
      severity = (windows or checks.checkInterval ~= 0) and "warning" or nil })
  elseif checks.errorWindow > checks.warningWindow and checks.warningWindow > 0 then
    state.add("error_window_wider", { place = "expirationChecks.errorWindow" })
  end
end

--- Adds the advice.
-- @tparam table state of the check, after all connections were looked at
-- @tparam table tls
return function(state, tls)
  advise_certificates(state, tls)
  advise_life(state)
  advise_purposes(state)
  advise_modes(state)
  advise_reload(state, tls)
end

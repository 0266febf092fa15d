--- What istiod does not look at, and others stumble over: the warnings of `istio.check`.
-- @module tcpki.istio.advice
-- @local

local date = require "tcpki.date"
local layout = require "tcpki.istio.layout"

local DAY = 86400
local SOON = 30 * DAY

local function advise_files(state)
  local texts = state.texts
  if texts["tls.crt"] and (texts["ca-cert.pem"] or texts["ca-key.pem"]) then
    state.add("two_layouts")
  end
  if texts[layout.GENERATED] then
    state.add("istio_generated", layout.GENERATED)
  end
  if texts[layout.CRL] and not state.names.crl then
    state.add("crl_ignored", layout.CRL)
  end
  local mode = state.modes[state.names.key]
  if mode and mode & 63 ~= 0 then
    state.add("key_readable", state.names.key, { mode = ("%04o"):format(mode) })
  end
end

local function advise_blocks(state)
  local names = state.names
  if names.name == "istio" and #state.blocks[names.certificate] > 1 then
    state.add("several_certificates", names.certificate, { count = #state.blocks[names.certificate] })
  end
  for _, where in ipairs { names.root, names.chain[1] } do
    for _, block in ipairs(state.skipped[where] or {}) do
      state.add("passed_over", where, { label = block.label, line = block.line })
    end
  end
  if state.run_together and state.chain_blocks[1] then
    state.add("run_together", names.chain[1], { severity = "warning" })
  end
end

local function advise_chain(state)
  local view, where = state.certificate, state.names.chain[1]
  local is_root = false
  for _, root in ipairs(state.roots) do
    is_root = is_root or root.der == view.der
  end
  if is_root then
    state.add("root_signs", state.names.certificate, { view = view })
  end
  local place, root_at
  for i, other in ipairs(state.intermediates) do
    place = place or other.der == view.der and i
    for _, root in ipairs(state.roots) do
      root_at = root_at or root.der == other.der and other
    end
  end
  if not place and not is_root then
    state.add("chain_lacks_certificate", where, { view = view })
  elseif place and place > 1 then
    state.add("chain_order", where, { view = state.intermediates[1] })
  end
  -- In the other layout the root is in the chain whatever anybody does.
  if root_at and not is_root and #state.names.chain == 1 then
    state.add("root_in_chain", where, { view = root_at, line = root_at.line })
  end
end

local function kind_of(key)
  local type = key:type()
  if type == "rsa" then
    return key:bits() < 2048 and ("RSA with %d bits"):format(key:bits()) or nil
  elseif type == "ec" then
    local curve = key:curve()
    return curve ~= "P-256" and curve ~= "P-384" and "ECDSA " .. curve or nil
  end
  return type == "ed25519" and "Ed25519" or type
end

local function advise_path(state)
  for i, view in ipairs(state.path) do
    local where, line = state.file_of(view)
    local certificate = view.certificate
    local usage = view.key_usage
    if view.ca and usage and next(usage) and not usage.crl_sign then
      state.add("no_crl_sign", where, { view = view, line = line })
    end
    if view.key and kind_of(view.key) then
      state.add("weak_key", where, { view = view, line = line, kind = kind_of(view.key) })
    end
    local last, above = certificate:not_after(), state.path[i + 1]
    if above and last > above.certificate:not_after() then
      state.add("outlives_issuer", where, { view = view, line = line, date = date.minute(last),
        other = date.minute(above.certificate:not_after()) })
    end
    if last - state.now < SOON then
      state.add("expires_soon", where, { view = view, line = line, date = date.minute(last),
        count = (last - state.now) // DAY })
    end
  end
end

--- Adds the warnings.
-- @tparam table state of the check: what it has read, `add(code, file, values)` and `file_of(view)`
return function(state)
  if state.blocks[state.names.certificate] then
    advise_blocks(state)
  end
  if state.certificate then
    advise_chain(state)
  end
  if state.path then
    advise_path(state)
  end
  advise_files(state)
end

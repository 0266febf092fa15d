--- `tcpki.cloud.check_client` and `check_clients`: the rules on a client, its leaf, chain and key, and whether the
-- namespace lets it in.
-- @module tcpki.cloud.check.client

local accepted = require "tcpki.cloud.check.accepted"
local bundle = require "tcpki.bundle"
local check_chain = require "tcpki.cloud.check.chain"
local check_key = require "tcpki.cloud.check.key"
local check_path = require "tcpki.cloud.check.path"
local core = require "tcpki.core"
local finding = require "tcpki.cloud.check.finding"
local options = require "tcpki.options"
local report = require "tcpki.report"

local client = {}

local CHAIN = "tcpki.chain|tcpki.certificate|tcpki.leaf|string"

local about_one = {
  chain = CHAIN, chain_path = "string", key = "tcpki.key|string", key_path = "string",
}
local about_all = {
  accepted = "tcpki.bundle|string", accepted_path = "string", filters = "tcpki.cloud.filters", namespace = "string",
  at = "integer", soon = "number",
}

local function union(...)
  local all = {}
  for _, known in ipairs { ... } do
    for name, kind in pairs(known) do
      all[name] = kind
    end
  end
  return all
end

local one_known = union(about_one, about_all)
local many_known = union(about_all, { clients = "table" })
local client_known = union(about_one, { name = "string" })

local function check_one(state, given)
  state.path = given.chain_path
  local made = check_chain(state, given.chain)
  if made then
    check_path(state, made, made.foreign or {})
  end
  if given.key then
    check_key(state.report, given.key, made and made[1], { client = state.client, place = "the key",
      path = given.key_path })
  end
end

-- Reads the files of one client.
local function load_one(where, given)
  options.exclude(where, given, { { "chain", "chain_path" }, { "key", "key_path" } }, 4)
  if given.chain == nil and given.chain_path == nil then
    error(where .. ": pass chain or chain_path (a chain that is nil comes from a read that failed: look at its fault)",
      4)
  end
  local loaded = { chain = given.chain, key = given.key, chain_path = given.chain_path, key_path = given.key_path }
  for _, name in ipairs { "chain", "key" } do
    local path = given[name .. "_path"]
    if path then
      local content, err = core.file.read(path)
      if not content then
        return nil, err
      end
      loaded[name] = content
    end
  end
  return loaded
end

local function check_namespace(findings, namespace)
  local reached, err = require "tcpki.cloud.endpoint" { namespace = namespace }
  if not reached then
    findings:add(finding.of("namespace_syntax", { reason = err.message, cure = err.hint }))
  end
end

-- The accepted CAs out of a bundle, a text or a file.
local function load_accepted(where, how)
  options.exclude(where, how, { { "accepted", "accepted_path" } }, 4)
  local given, err = how.accepted, nil
  if how.accepted_path then
    given, err = bundle.read(how.accepted_path)
  elseif type(given) == "string" then
    given, err = bundle.parse(given)
  end
  if err then
    return nil, err
  end
  return given
end

local function open(where, how)
  local certificates, err = load_accepted(where, how)
  if err then
    return nil, err
  end
  local state = {
    report = report.new(), at = how.at or os.time(), soon = how.soon, filters = how.filters,
    authorities = {}, judged = {}, judged_names = {}, judged_bytes = {}, bad = {},
    accepted_fingerprints = {},
  }
  if certificates then
    state.accepted, err = accepted.of(certificates, how.at)
    if not state.accepted then
      return nil, err
    end
    for _, one in ipairs(state.accepted) do
      local fingerprint = one.certificate:fingerprint()
      state.accepted_fingerprints[fingerprint] = true
      state.authorities[fingerprint] = one
    end
  end
  if how.namespace then
    check_namespace(state.report, how.namespace)
  end
  return state
end

--- Checks the certificate of a client by every rule of Temporal Cloud.
-- @function check_client
-- @tparam table how `chain` (a chain, a certificate, a leaf of an authority, or PEM text) or `chain_path`; `key` (a
-- key, or its text, which may be encrypted) or `key_path`; `accepted` (the bundle of the namespace, or its PEM text) or
-- `accepted_path`; `filters`; `namespace` (`<name>.<account>`); `at` (seconds since the epoch; now by default); `soon`
-- (days before its end that a certificate is reported; by default 30, or a third of its lifetime). All but the chain
-- may be left out, and what depends on it is not checked; a key and a bundle that are missing are named at the end of
-- the report, since `key = tcpki.key.read(path)` is nil where the read fails: `key_path` says why. The bundle itself is
-- for `check_bundle`.
-- @treturn[1] report
-- @treturn[2] nil
-- @treturn[2] fault of a file that cannot be read, or of an accepted bundle that is none
function client.one(how)
  local where = "tcpki.cloud.check_client"
  how = options.check(where, how, one_known)
  local given, err = load_one(where, how)
  if not given then
    return nil, err
  end
  local state
  state, err = open(where, how)
  if not state then
    return nil, err
  end
  check_one(state, given)
  local unchecked = { not given.key and "key" or nil }
  unchecked[#unchecked + 1] = not state.accepted and "accepted" or nil
  state.report.unchecked = #unchecked > 0 and unchecked or nil
  state.report.good = "the client: Temporal Cloud has nothing to refuse"
  return state.report
end

--- Checks many clients against one bundle: what they share is judged, and reported, once.
-- @function check_clients
-- @tparam table how `clients`: an array of chains, certificates, leaves, PEM texts, or tables of `name` and `chain` or
-- `chain_path`, `key` or `key_path`; the rest as for `check_client`
-- @treturn[1] report whose findings on a leaf or a key have `client`: its name, or "client 7"
-- @treturn[2] nil
-- @treturn[2] fault of a file that cannot be read, or of an accepted bundle that is none
function client.many(how)
  local where = "tcpki.cloud.check_clients"
  how = options.check(where, how, many_known)
  options.expect(where, "clients", how.clients, "table")
  options.list(where, "client", how.clients, "table|" .. CHAIN)
  local state, err = open(where, how)
  if not state then
    return nil, err
  end
  for number, one in ipairs(how.clients) do
    local plain = type(one) == "table" and getmetatable(one) == nil
    local given = { chain = one }
    if plain then
      options.check(("%s: client %d"):format(where, number), one, client_known)
      given, err = load_one(where, one)
      if not given then
        return nil, err
      end
    end
    state.client = plain and one.name or ("client %d"):format(number)
    check_one(state, given)
  end
  state.report.unchecked = not state.accepted and { "accepted" } or nil
  state.report.good = ("%d client%s: Temporal Cloud has nothing to refuse"):format(#how.clients,
    #how.clients == 1 and "" or "s")
  return state.report
end

return client

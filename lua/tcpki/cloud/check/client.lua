--- The rules on a client: its leaf, its chain, its key, and whether the namespace lets it in.
-- @module tcpki.cloud.check.client
-- @local

local accepted = require "tcpki.cloud.check.accepted"
local bundle = require "tcpki.bundle"
local certificate = require "tcpki.cloud.check.certificate"
local chain = require "tcpki.chain"
local check_key = require "tcpki.cloud.check.key"
local core = require "tcpki.core"
local facts = require "tcpki.cloud.check.facts"
local finding = require "tcpki.cloud.check.finding"
local names = require "tcpki.cloud.check.names"
local options = require "tcpki.options"
local people = require "tcpki.cloud.clients"
local report = require "tcpki.report"
local rules = require "tcpki.cloud.rules"
local text = require "tcpki.cloud.check.text"

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

-- ---- one client ----

-- What a finding on a certificate of the client carries. Its fingerprint and serial are read only where one is made.
local function place_of(state, one, depth)
  local place = depth == 0 and "the leaf"
    or one.accepted and ("certificate %d of the accepted bundle"):format(one.accepted)
    or ("certificate %d of the chain"):format(depth + 1)
  return finding.at(one, place, depth == 0 and { client = state.client, path = state.path } or nil)
end

local function adder(state, one, depth)
  local where
  return function(code, values)
    where = where or place_of(state, one, depth)
    local found = state.found
    found[#found + 1] = finding.of(code, values, where)
  end
end

-- The facts on a certificate above a leaf: clients share these.
local function authority_facts(state, one)
  local fingerprint = one:fingerprint()
  local known = state.authorities[fingerprint]
  if not known then
    known = facts.of(one)
    state.authorities[fingerprint] = known
  end
  return known
end

-- From the leaf upwards: the chain as it was given, then what the accepted bundle has above it.
local function path_of(state, leaf, certificates)
  local path = { leaf }
  for i = 2, #certificates do
    path[i] = authority_facts(state, certificates[i])
  end
  local last = path[#path]
  if state.accepted then
    local seen = {}
    repeat
      seen[last] = true
      local above = #path == 1 and state.verified and state.accepted:issuer_of_verified(last)
        or state.accepted:issuer_of(last)
      if above and not seen[above] then
        path[#path + 1] = above
      end
      last = above
    until not last or seen[last]
  end
  return path
end

-- A certificate in the chain that is accepted itself is the same as that one.
local function check_names(state, path)
  local leaf = path[1]
  local seen = {}
  for depth, one in ipairs(path) do
    local before = seen[one.name_key]
    if not before then
      seen[one.name_key] = one
    elseif before.certificate ~= one.certificate then
      local add = adder(state, before, before == leaf and 0 or depth - 2)
      if before == leaf or not state.judged_names[before] then
        state.judged_names[before] = before ~= leaf
        add("same_name", { other = one.subject .. (one.accepted and " (accepted)" or "") })
      end
    end
  end
end

-- The names above the path, too, are names of its chain: that of the last issuer is known where the certificate is not.
local function check_last_name(state, path)
  local last = path[#path]
  if last:is_self_issued() or last.damage then
    return
  end
  local issuer = last.certificate:issuer()
  local key = issuer and names.key(issuer)
  for depth, one in ipairs(path) do
    if one.name_key == key and (depth == 1 or not state.judged_names[one]) then
      state.judged_names[one] = depth > 1
      adder(state, one, depth - 1)("same_name", { other = ("the issuer %s"):format(issuer) })
      return
    end
  end
end

local function check_bytes(state, path)
  for depth = 1, #path - 1 do
    local one, above = path[depth], path[depth + 1]
    if one.issuer_der ~= above.subject_der and (depth == 1 or not state.judged_bytes[one])
      and one.certificate:issued_by(above.certificate) then
      state.judged_bytes[one] = depth > 1
      adder(state, one, depth - 1)("names_encoded_differently", { issuer = above.subject })
    end
  end
end

local function check_lifetime(state, path)
  local leaf, issuer = path[1], path[2]
  if issuer and leaf.not_after and issuer.not_after and leaf.not_after >= issuer.not_after then
    adder(state, leaf, 0)("outlives_issuer", { date = finding.date(leaf.not_after), issuer = issuer.subject,
      issuer_date = finding.date(issuer.not_after) })
  end
end

local function check_authorities(state, path)
  for depth = 2, #path do
    local one = path[depth]
    if not state.judged[one] then
      state.judged[one] = true
      local before = #state.found
      certificate.judge_authority(one, state, adder(state, one, depth - 1))
      for i = before + 1, #state.found do
        state.bad[one] = state.bad[one] or state.found[i].severity == "error"
      end
    end
  end
end

-- Why no certificate of the accepted bundle issued the last one of the chain, and the cure.
local function stranger(state, last)
  local issuer = tostring(last.certificate:issuer())
  local namesakes = state.accepted.by_bytes[last.issuer_der] or {}
  if last:is_self_issued() then
    local same = state.accepted.by_name[last.name_key]
    return ("its root %s is not in it%s"):format(last.subject,
      same and "; one of that name is, with another key" or ""), ("add %s to the accepted CAs"):format(last.subject)
  elseif #namesakes > 0 then
    return ("it has a CA with the name of the issuer, %s, but another key signed this"):format(issuer),
      ("add the CA certificate %s that belongs to the key that signed this"):format(issuer)
  end
  return ("the issuer %s is neither in it nor in the chain"):format(issuer),
    ("add %s to the accepted CAs, or to the chain where its own issuer is accepted"):format(issuer)
end

local covered = { expired = true, not_yet_valid = true, weak = true, wrong_purpose = true, not_an_authority = true }

-- After a chain that did not verify: what no other rule has said.
local function check_verification(state, path, err)
  local last = path[#path]
  local reached = false
  for _, one in ipairs(path) do
    reached = reached or one.accepted or state.accepted_fingerprints[one.certificate:fingerprint()]
  end
  if not reached then
    local reason, cure = stranger(state, last)
    adder(state, path[1], 0)("not_accepted", { reason = reason, cure = cure })
    return
  end
  for _, found in ipairs(state.found) do
    if found.severity == "error" and (covered[err.code] or found.code == "damaged_certificate") then
      return
    end
  end
  for _, one in ipairs(path) do
    if state.bad[one] and covered[err.code] then
      return
    end
  end
  adder(state, path[1], 0)("not_verified", { reason = err.message .. (err.subject and err.depth and err.depth > 0
    and (" (%s)"):format(err.subject) or ""), cure = err.hint or "have the chain issued again" })
end

local function check_access(state, leaf)
  if not state.filters or #state.filters == 0 or leaf.damage then
    return
  end
  local matches = state.filters:matches(leaf.certificate)
  if not matches then
    local why = state.filters:explain(leaf.certificate)
    local reason = why and tostring(why):gsub("^.-: no filter matches\n", ""):gsub("%s+", " ") or "its names"
    adder(state, leaf, 0)("locked_out", { reason = reason })
  end
end

local function by_rule(a, b)
  local place_a, place_b = rules.by_code[a.code].place, rules.by_code[b.code].place
  return place_a < place_b
end

-- Findings by certificate in the order of the path, and for each in the order of the rules.
local function flush(state)
  local found = state.found
  local groups, order = {}, {}
  for _, one in ipairs(found) do
    local group = groups[one.fingerprint]
    if not group then
      group = {}
      groups[one.fingerprint] = group
      order[#order + 1] = group
    end
    group[#group + 1] = one
  end
  for _, group in ipairs(order) do
    table.sort(group, by_rule)
    for _, one in ipairs(group) do
      state.report:add(one)
    end
  end
end

local function judge(state, certificates, foreign)
  state.found = {}
  local leaf = facts.of(certificates[1])
  local err
  state.verified = nil
  if state.accepted then
    local sent = #foreign == 0 and certificates or table.move(foreign, 1, #foreign, #certificates + 1,
      { table.unpack(certificates) })
    state.verified, err = state.accepted:verify(sent)
  end
  local path = path_of(state, leaf, certificates)
  certificate.judge_leaf(leaf, state, adder(state, leaf, 0))
  check_names(state, path)
  check_last_name(state, path)
  check_bytes(state, path)
  check_lifetime(state, path)
  check_authorities(state, path)
  for _, one in ipairs(foreign) do
    adder(state, facts.of(one), 0)("foreign_certificate")
  end
  if state.accepted and not state.verified then
    check_verification(state, path, err)
  end
  check_access(state, leaf)
  if #state.found > 0 then
    flush(state)
  end
end

-- ---- what was given ----

-- The certificates of a client: an object with them in order and what was found beside them. nil where the text holds
-- none that can be read, which has been said then.
local function chain_of(state, given)
  local where = { client = state.client, path = state.path }
  if type(given) == "string" then
    local bad = text.lint(state.report, given, "chain", where)
    local made, err = chain.parse(given)
    if not made and not bad then
      state.report:add(finding.of("not_verified", { reason = err.message, cure = err.hint or "export it again" },
        where))
    end
    return made
  end
  local made = people.chain_of(given)
  local source = given.source and given:source()
  if source and not (not made.reordered and text.is_plain(source, #made + #(made.foreign or {}))) then
    text.lint(state.report, source, "chain", where)
  end
  return made
end

local function check_one(state, given)
  state.path = given.chain_path
  local made = chain_of(state, given.chain)
  if made then
    judge(state, made, made.foreign or {})
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
-- may be left out, and what depends on it is not checked.
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
  state.report.good = ("%d client%s: Temporal Cloud has nothing to refuse"):format(#how.clients,
    #how.clients == 1 and "" or "s")
  return state.report
end

return client

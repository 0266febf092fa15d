--- The rules on the path of certificates from a leaf to the accepted bundle.
-- @module tcpki.cloud.check.path
-- @local

local certificate = require "tcpki.cloud.check.certificate"
local explanation = require "tcpki.cloud.explanation"
local facts = require "tcpki.cloud.check.facts"
local finding = require "tcpki.cloud.check.finding"
local names = require "tcpki.cloud.check.names"
local rules = require "tcpki.cloud.rules"
local date = require "tcpki.date"

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

-- The next certificate of a path: what was sent, unless the accepted bundle has another one of that name which issued
-- the last one as well, such as a CA that was renewed and whose old certificate clients still send.
local function above(state, path, certificates)
  local last, all = path[#path], state.accepted
  local sent = certificates and certificates[#path + 1]
  sent = sent and authority_facts(state, sent)
  if sent and not (all and not sent.accepted and all.by_bytes[last.issuer_der]) then
    return sent, true
  elseif sent then
    local issuer = all:issuer_of(last)
    return issuer or sent, not issuer
  elseif all then
    return #path == 1 and state.verified and all:issuer_of_verified(last) or all:issuer_of(last)
  end
end

-- From the leaf upwards: the chain as it was sent, then what the accepted bundle has above it.
local function path_of(state, leaf, certificates)
  local path, seen = { leaf }, { [leaf] = true }
  local one, is_sent = above(state, path, certificates)
  while one and (is_sent or not seen[one]) do
    seen[one] = true
    path[#path + 1] = one
    one, is_sent = above(state, path, is_sent and certificates or nil)
  end
  return path
end

-- The next certificate of a path with the name of the one at a place. One that is its own root stands there twice, and
-- is no namesake.
local function namesake(path, place)
  local one = path[place]
  for i = place + 1, #path do
    if path[i].name_key == one.name_key and path[i].certificate ~= one.certificate then
      return path[i]
    end
  end
end

local function check_names(state, path)
  for place, one in ipairs(path) do
    local other = namesake(path, place)
    if other and (place == 1 or not state.judged_names[one]) then
      state.judged_names[one] = place > 1
      adder(state, one, place - 1)("same_name", { other = other.subject .. (other.accepted and " (accepted)" or "") })
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
    local one, issuer = path[depth], path[depth + 1]
    if one.issuer_der ~= issuer.subject_der and (depth == 1 or not state.judged_bytes[one])
      and one.certificate:issued_by(issuer.certificate) then
      state.judged_bytes[one] = depth > 1
      adder(state, one, depth - 1)("names_encoded_differently", { issuer = issuer.subject })
    end
  end
end

-- A self-signed leaf cannot end before itself: that it is no CA's leaf is said elsewhere.
local function check_lifetime(state, path)
  local leaf, issuer = path[1], path[2]
  if issuer and leaf.not_after and issuer.not_after and leaf.not_after >= issuer.not_after
    and not leaf.certificate:self_signed() then
    adder(state, leaf, 0)("outlives_issuer", { date = date.minute(leaf.not_after), issuer = issuer.subject,
      issuer_date = date.minute(issuer.not_after) })
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

-- Whether a certificate names, by key identifier, one that did not sign it as it stands.
local function is_changed(one, namesakes)
  local identifier = one.certificate:authority_key_id()
  for _, other in ipairs(namesakes) do
    if identifier and identifier == other.certificate:subject_key_id() and other.version == 3 then
      return true
    end
  end
  return false
end

-- Why no certificate of the accepted bundle issued the last one of the chain, and the cure.
local function stranger(state, last)
  local issuer = last:issuer()
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

-- The rules on a leaf for which libcrypto, too, refuses it.
local explaining = { damaged_certificate = true, expired = true, not_yet_valid = true, weak_signature = true,
  small_key = true, key_algorithm = true, unknown_curve = true, leaf_without_signature = true,
  leaf_without_client_auth = true }

-- What no rule says of a certificate by itself.
local never_explained = { path_length_exceeded = true, name_not_permitted = true }

-- libcrypto takes a certificate with the name of its issuer, letter case aside, for its own root.
local function is_explained(state, path, err)
  if never_explained[err.code] then
    return false
  end
  for _, found in ipairs(state.found) do
    if explaining[found.code] or (found.code == "same_name" and err.code == "untrusted_root") then
      return true
    end
  end
  for _, one in ipairs(path) do
    if state.bad[one] then
      return true
    end
  end
  return false
end

-- After a chain that did not verify: what no other rule has said.
local function check_verification(state, path, err)
  local last = path[#path]
  local reached = false
  for _, one in ipairs(path) do
    reached = reached or one.accepted or state.accepted_fingerprints[one.certificate:fingerprint()]
  end
  if not reached then
    local add = adder(state, path[1], 0)
    if is_changed(last, state.accepted.by_bytes[last.issuer_der] or {}) then
      add("not_verified", { reason = ("the signature of %s is not that of its issuer"):format(last.subject),
        cure = "export it again: it was changed after it was signed" })
    else
      local reason, cure = stranger(state, last)
      add("not_accepted", { reason = reason, cure = cure })
    end
    return
  end
  if is_explained(state, path, err) then
    return
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
    adder(state, leaf, 0)("locked_out", { reason = why and explanation.reason(why) or "its names cannot be read" })
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

--- Judges a chain.
-- @tparam table state of the whole check: `report`, `at`, `soon`, `filters`, `accepted`, what was judged before; of
-- this client `client` and `path`
-- @tparam {certificate,…} certificates leaf first
-- @tparam {certificate,…} foreign what stood beside them
return function(state, certificates, foreign)
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
  if state.accepted and not state.verified and not leaf.damage then
    check_verification(state, path, err)
  end
  check_access(state, leaf)
  if #state.found > 0 then
    flush(state)
  end
end

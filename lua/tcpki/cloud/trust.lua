--- Whether a namespace lets a client in: as Temporal Cloud judges, with each certificate of the bundle as a root.
--
-- Temporal Cloud verifies with Go. All paths from the client to the bundle are looked at, each is verified by
-- libcrypto, and what Go does otherwise is done here: the issuer must stand in a certificate with the very bytes of the
-- subject of its CA; each CA on the path, the root too, must allow clients where it has an extended key usage at all,
-- and "any" allows them; a path length counts every CA below. libcrypto goes without its strict checks, which refuse
-- what Go takes, such as a CA without key usage. What Go takes and this does not: an authority key identifier that is
-- not that of the CA (a CA issued again, with the same key, by a tool that hashes keys in another way).
-- @module tcpki.cloud.trust
-- @local

local core = require "tcpki.core"

local trust = {}

-- A heap that somebody made could hold very many paths.
local OTHERS_LIMIT, PATHS_LIMIT = 8, 64

-- A bundle as Go's pool of roots: by the bytes of the subject. Built once, and again after a change of the array.
local pools = setmetatable({}, { __mode = "k" })

local function is_of(pool, bundle)
  if #pool ~= #bundle then
    return false
  end
  for i, certificate in ipairs(bundle) do
    if not rawequal(pool[i], certificate) then
      return false
    end
  end
  return true
end

local function pool_of(bundle)
  local pool = pools[bundle]
  if not (pool and is_of(pool, bundle)) then
    pool = { by_subject = {} }
    for i, certificate in ipairs(bundle) do
      local subject = assert(certificate:subject_der())
      pool.by_subject[subject] = pool.by_subject[subject] or {}
      table.insert(pool.by_subject[subject], certificate)
      pool[i] = certificate
    end
    pools[bundle] = pool
  end
  return pool
end

local function others_of(chain)
  local others = table.move(chain, 2, #chain, 1, {})
  table.move(chain.foreign, 1, #chain.foreign, #others + 1, others)
  return table.move(others, 1, math.min(#others, OTHERS_LIMIT), 1, {})
end

-- All paths, by name, from the leaf to a certificate of the bundle, which is the last of each. Whether the signatures
-- on one are right is asked where it is judged.
local function paths_of(chain, bundle)
  local pool, others, paths, path, seen = pool_of(bundle), others_of(chain), {}, {}, {}
  local function grow(certificate)
    path[#path + 1] = certificate
    local subject, issuer = certificate:subject_der(), certificate:issuer_der()
    for _, root in ipairs(pool.by_subject[subject] or {}) do
      if root == certificate then
        paths[#paths + 1] = { table.unpack(path) }
      end
    end
    for _, root in ipairs(pool.by_subject[issuer] or {}) do
      if #paths < PATHS_LIMIT and root ~= certificate then
        paths[#paths + 1] = { table.unpack(path) }
        table.insert(paths[#paths], root)
      end
    end
    for i, other in ipairs(others) do
      if not seen[i] and #paths < PATHS_LIMIT and other:subject_der() == issuer and other ~= certificate then
        seen[i] = true
        grow(other)
        seen[i] = nil
      end
    end
    path[#path] = nil
  end
  grow(chain[1])
  return paths
end

local function is_signed(path)
  for i = 1, #path - 1 do
    if not path[i]:issued_by(path[i + 1]) then
      return false
    end
  end
  return true
end

--- Until when the bundle lets a chain in.
-- @tparam chain chain as the client sends it
-- @tparam bundle bundle
-- @treturn ?integer seconds since the epoch: the end of the path that lasts longest; nil where there is no path
function trust.ends(chain, bundle)
  local latest
  for _, path in ipairs(paths_of(chain, bundle)) do
    if is_signed(path) then
      local ends = math.maxinteger
      for _, certificate in ipairs(path) do
        ends = math.min(ends, certificate:not_after())
      end
      latest = math.max(latest or ends, ends)
    end
  end
  return latest
end

-- The faults of libcrypto in words about a bundle.
local words = {
  expired = "%s has expired",
  not_yet_valid = "%s is not valid yet",
  wrong_purpose = "%s may not be used by a client",
  weak = "%s has a weak key or signature",
  bad_signature = "the signature on %s is wrong",
  not_an_authority = "%s is not a CA",
  path_length_exceeded = "the path length of %s does not allow the chain below it",
}

local function reason_of(err, chain)
  local form = words[err.code]
  if form and err.subject then
    return form:format(err.subject)
  elseif form or err.code == "no_issuer" or err.code == "untrusted_root" then
    return ("%s, its issuer, is not in the bundle"):format(chain[#chain]:issuer())
  end
  return err.message
end

local function allows_clients(certificate)
  local usages, err = certificate:extended_key_usage()
  if not usages then
    return not err
  end
  for _, usage in ipairs(usages) do
    if usage == "client_auth" or usage == "any" then
      return true
    end
  end
  return false
end

-- What libcrypto asks in another way than Go, about one path.
local function check_path(path)
  for place, certificate in ipairs(path) do
    local constraints = certificate:basic_constraints()
    local code
    if not allows_clients(certificate) then
      code = "wrong_purpose"
    elseif place > 1 and constraints and constraints.path_length and place - 2 > constraints.path_length then
      code = "path_length_exceeded"
    end
    if code then
      return { code = code, reason = words[code]:format(certificate:subject()) }
    end
  end
end

-- One store a root: a path is judged by its own root, not by another one that libcrypto would rather take.
local stores = setmetatable({}, { __mode = "k" })

local function store_of(certificate)
  local err
  if not stores[certificate] then
    stores[certificate], err = core.chain.store { certificate }
  end
  return stores[certificate], err
end

local strong = { SHA256 = true, SHA384 = true, SHA512 = true }

-- libcrypto goes by names without letter case, where neither a key usage nor a key identifier tells better (in a
-- certificate of version 1, say): it takes a certificate with the name of its issuer for its own root, and a CA further
-- up with that name for the issuer. Go tries on. The place in the path of a certificate that libcrypto did not follow;
-- nil where it is another fault, or a path with name constraints, which are only checked along a whole one.
local confusions = { untrusted_root = true, bad_signature = true }

local function place_of_namesake(path, err)
  local place = confusions[err.code] and err.depth and err.depth + 1 or #path
  local one, issuer = path[place], path[place + 1]
  if not issuer then
    return nil
  end
  for i = place + 1, #path do
    if path[i]:name_constraints() then
      return nil
    end
  end
  local constraints, digest = issuer:basic_constraints(), one:signature_digest()
  return constraints and constraints.ca and (not digest or strong[digest]) and one:issued_by(issuer) and place
end

local function verify(path, at)
  local store, err = store_of(path[#path])
  if not store then
    return nil, err
  end
  local fine
  fine, err = core.chain.verify { store = store, untrusted = path, at = at, partial = true, lax = true }
  local place = not fine and place_of_namesake(path, err)
  if not place then
    return fine, err
  end
  fine, err = verify({ table.unpack(path, 1, place) }, at)
  if not fine then
    return nil, err
  end
  return verify({ table.unpack(path, place + 1) }, at)
end

-- nil where the path is good, else why not; a fault where it cannot be judged.
local function judge_path(path, chain, at)
  local fine, err = verify(path, at)
  if fine then
    return check_path(path)
  elseif err.code == "out_of_memory" then
    return nil, err
  end
  return { code = err.code, reason = reason_of(err, chain) }
end

-- Without a path: nearly always an issuer that is not there, else one that only libcrypto would find.
local function judge_pathless(chain, bundle, at)
  local store, err = bundle:store()
  if not store then
    return nil, err
  end
  local untrusted = table.move(chain.foreign, 1, #chain.foreign, #chain + 1, { table.unpack(chain) })
  local fine
  fine, err = core.chain.verify { store = store, untrusted = untrusted, at = at, partial = true, lax = true }
  if fine then
    return false, { code = "issuer_bytes",
      reason = "the name of its issuer is not byte for byte the subject of the CA, as Go asks" }
  elseif err.code == "out_of_memory" then
    return nil, err
  end
  return false, { code = err.code, reason = reason_of(err, chain) }
end

local strangers = { no_issuer = true, bad_signature = true, untrusted_root = true }

--- Whether the bundle lets a chain in.
-- @tparam chain chain as the client sends it
-- @tparam bundle bundle
-- @tparam integer at seconds since the epoch
-- @treturn[1] boolean true
-- @treturn[2] boolean false
-- @treturn[2] table `code` and `reason`
-- @treturn[3] nil
-- @treturn[3] fault where it cannot be judged
function trust.judge(chain, bundle, at)
  local best
  for _, path in ipairs(paths_of(chain, bundle)) do
    local why, err = judge_path(path, chain, at)
    if err then
      return nil, err
    elseif not why then
      return true
    end
    -- A CA that only bears the name of the issuer says less than what is wrong with the true one.
    if not best or (strangers[best.code] and not strangers[why.code]) then
      best = why
    end
  end
  if best then
    return false, best
  end
  return judge_pathless(chain, bundle, at)
end

--- Whether the bundle and the filters let a client in.
-- @tparam table client of tcpki.cloud.clients
-- @tparam bundle bundle
-- @tparam ?filters filters
-- @tparam integer at
-- @treturn[1] boolean
-- @treturn[1] ?table where false: `code` and `reason`, and where a filter refuses `explanation`
-- @treturn[2] nil
-- @treturn[2] fault
function trust.admits(client, bundle, filters, at)
  local fine, why = trust.judge(client.chain, bundle, at)
  if not fine or not filters then
    return fine, why
  end
  local matched, err = filters:matches(client.chain)
  if matched then
    return true
  elseif matched == nil then
    return nil, err
  end
  local explanation
  explanation, err = filters:explain(client.chain)
  if not explanation then
    return nil, err
  end
  return false, { code = "no_filter", reason = "no certificate filter matches", explanation = explanation }
end

return trust

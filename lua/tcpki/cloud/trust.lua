--- Whether a namespace lets a client in: as Temporal Cloud judges, with each certificate of the bundle as a root.
--
-- The judge is libcrypto, without its strict checks: it takes what Go takes and the strict checks refuse, such as a CA
-- without key usage. What libcrypto takes and Go does not is asked here: that the issuer stands in a certificate with
-- the very bytes of the subject of its CA.
-- @module tcpki.cloud.trust
-- @local

local core = require "tcpki.core"

local trust = {}

-- Whether one certificate can be the issuer of another for Go: the same bytes, and a signature that is right.
local function issued(certificate, issuer)
  return certificate:issuer_der() == issuer:subject_der() and certificate:issued_by(issuer)
end

-- Walks all paths from a certificate to the bundle; `visit` gets the end of the path's life.
local function walk(certificate, others, bundle, seen, ends, visit)
  ends = math.min(ends, certificate:not_after())
  if bundle:contains(certificate) then
    visit(ends)
  end
  for _, root in ipairs(bundle) do
    if issued(certificate, root) then
      visit(math.min(ends, root:not_after()))
    end
  end
  for i, other in ipairs(others) do
    if not seen[i] and issued(certificate, other) then
      seen[i] = true
      walk(other, others, bundle, seen, ends, visit)
      seen[i] = nil
    end
  end
end

-- Depth first over a heap that somebody made: enough for any real chain.
local OTHERS_LIMIT = 8

local function others_of(chain)
  local others = table.move(chain, 2, #chain, 1, {})
  table.move(chain.foreign, 1, #chain.foreign, #others + 1, others)
  return table.move(others, 1, math.min(#others, OTHERS_LIMIT), 1, {})
end

--- Until when the bundle lets a chain in.
-- @tparam chain chain as the client sends it
-- @tparam bundle bundle
-- @treturn ?integer seconds since the epoch: the end of the path that lasts longest; nil where there is no path
function trust.ends(chain, bundle)
  local latest
  walk(chain[1], others_of(chain), bundle, {}, math.maxinteger, function(ends)
    latest = math.max(latest or ends, ends)
  end)
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
  local store, err = bundle:store()
  if not store then
    return nil, err
  end
  local untrusted = table.move(chain.foreign, 1, #chain.foreign, #chain + 1, { table.unpack(chain) })
  local fine
  fine, err = core.chain.verify { store = store, untrusted = untrusted, purpose = "client", at = at, partial = true,
    lax = true }
  if not fine then
    if err.code == "out_of_memory" then
      return nil, err
    end
    return false, { code = err.code, reason = reason_of(err, chain) }
  elseif not trust.ends(chain, bundle) then
    return false, { code = "issuer_bytes", reason =
      "the name of its issuer is not byte for byte the subject of the CA, as Go asks" }
  end
  return true
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

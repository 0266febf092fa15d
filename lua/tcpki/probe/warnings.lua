--- What is wrong beside a success: one row a warning.
--
-- `word` is stable. `find` looks at a result and gives what the {fields} of `message` and `hint` stand for, or nil.
-- @module tcpki.probe.warnings

local date = require "tcpki.date"
local later = require "tcpki.probe.later"
local fill = require("tcpki.probe.words").fill
local options = require "tcpki.options"
local path = require "tcpki.probe.path"
local roots = require "tcpki.probe.roots"
local span = require("tcpki.probe.report").span

local warnings = {}

local DAY = 24 * 60 * 60
-- Temporal Cloud writes its first mail 15 days ahead; of a certificate that lives shorter, a fifth of its life.
local SOON = 15 * DAY
local SHARE = 5
-- temporal-worker-controller refuses a certificate that ends within these: clientpool.go.
local BUFFER = 5 * 60

-- ---- dates ----

local function expires_soon(certificate, now)
  local ends = certificate:not_after()
  local life = ends - certificate:not_before()
  return ends - now < math.min(SOON, life // SHARE)
end

local function ending(certificate, now)
  local left = certificate:not_after() - now
  return { subject = tostring(certificate:subject()), date = date.minute(certificate:not_after()),
    left = left > 0 and "in " .. span(left) or "now", left_seconds = left }
end

-- The first of the certificates from a place on that ends soon. A root that is sent counts for nothing.
local function ends_soon(certificates, first, last, now)
  for i = first, math.min(last, #certificates) do
    local certificate = certificates[i]
    local counts = i == 1 or not path.is_self_issued(certificate)
    if counts and expires_soon(certificate, now) then return ending(certificate, now) end
  end
end

local function client_expires_soon(seen)
  local fields = ends_soon(seen.certificates, 1, 1, seen.now)
  if fields then
    fields.buffer = fields.left_seconds < BUFFER
      and "; temporal-worker-controller refuses it already, for it ends within 5 minutes" or ""
  end
  return fields
end

-- ---- what others refuse ----

local function finding(seen, word)
  for _, one in ipairs(seen.findings) do
    if one.word == word then return { subject = one.subject, detail = one.detail } end
  end
end

-- OpenSSL completes the chain that it sends out of the CAs that it trusts, and so does gRPC core over it.
local function chain_completed(seen)
  local way = seen.findings.way
  local first = way and not way.is_whole and way.beyond[1]
  if not first or first.where ~= seen.roots_name or way.is_root_below then return nil end
  return { subject = tostring(first.certificate:subject()), where = first.where }
end

local function verifier_refuses(seen)
  local refused, reason = {}, nil
  local someone
  for _, verdict in ipairs(seen.findings.verdicts or {}) do
    someone = someone or verdict.ok
    if not verdict.ok then
      refused[#refused + 1] = verdict.title
      reason = reason or verdict.reason
    end
  end
  if not someone or #refused == 0 then return nil end
  return { who = table.concat(refused, " and "), reason = reason, subject = tostring(seen.certificates[1]:subject()) }
end

-- The server trusts somebody whom the accepted CAs do not name: a CA that was taken away, and is still there.
local function accepted_differs(seen)
  local verdicts = seen.findings.verdicts
  if not verdicts then return nil end
  for _, verdict in ipairs(verdicts) do
    if verdict.ok then return nil end
  end
  return { subject = tostring(seen.certificates[1]:subject()), issuer = tostring(seen.certificates[1]:issuer()),
    reason = verdicts.go.reason }
end

local function server_sends_root(seen)
  for i = 2, #seen.peer do
    if path.is_self_issued(seen.peer[i]) then return { subject = tostring(seen.peer[i]:subject()) } end
  end
end

local function server_common_name(seen)
  local leaf = seen.peer[1]
  local names = leaf and leaf:subject_alt_names()
  if not leaf or names and #names > 0 then return nil end
  return { subject = tostring(leaf:subject()), name = seen.server_name }
end

local function roots_are_intermediates(seen)
  if #seen.roots == 0 then return nil end
  for _, root in ipairs(seen.roots) do
    if path.is_self_issued(root) then return nil end
  end
  return { subject = tostring(seen.roots[1]:subject()) }
end

-- A slim image with gRPC core's package in it: the probe trusts what that brings along, and an SDK finds nothing.
local function system_roots_missing(seen)
  return #seen.roots == 0 and #seen.peer > 0 and not roots.system() and {} or nil
end

local function not_asked(seen)
  local trace = seen.trace
  if #seen.certificates == 0 or not trace or not trace.timings.tls or trace.certificate_requested then return nil end
  return {}
end

local function addresses_differ(seen)
  local bad, good = {}, 0
  for _, one in ipairs(seen.addresses or {}) do
    -- What is well is not like the others as well where most are not well.
    local is_other = one.ok and options.has(one.differs or {}, "certificate")
    if one.ok then good = good + 1 end
    if is_other or not one.ok and not one.no_route then
      bad[#bad + 1] = ("%s (%s)"):format(one.peer_address or one.address,
        is_other and "another certificate" or one.cause)
    end
  end
  if #bad == 0 or good == 0 then return nil end
  return { which = table.concat(bad, ", "), good = good }
end

-- ---- the rows ----

local addresses_row = {
  word = "addresses_differ", find = addresses_differ,
  message = "Not every address of the name is like the others: {which}.",
  hint = "Look at these backends: a balancer sends a share of the workers to them.",
}

warnings.rows = {
  { word = "client_expires_soon", find = client_expires_soon,
    message = "The certificate {subject} expires {left}, on {date}{buffer}.",
    hint = "Renew it, and restart or reload what uses it." },
  { word = "client_intermediate_expires_soon",
    find = function(seen) return ends_soon(seen.certificates, 2, math.huge, seen.now) end,
    message = "{subject}, a CA in the client's chain, expires {left}, on {date}: the certificates under it end with "
      .. "it.",
    hint = "Renew that CA, and append its new certificate in the place of the old one." },
  { word = "server_expires_soon", find = function(seen) return ends_soon(seen.peer, 1, 1, seen.now) end,
    message = "The server's certificate {subject} expires {left}, on {date}.",
    hint = "Tell who runs the server to renew it." },
  { word = "server_intermediate_expires_soon",
    find = function(seen) return ends_soon(seen.peer, 2, math.huge, seen.now) end,
    message = "{subject}, a CA in the server's chain, expires {left}, on {date}.",
    hint = "Tell who runs the server to renew it." },
  { word = "client_version_1", find = function(seen) return finding(seen, "client_version_1") end,
    message = "The certificate {subject} is not X.509 version 3: this server takes it, the SDKs over rustls (Python, "
      .. "TypeScript, .NET, Ruby, Rust) refuse it.",
    hint = "Issue it again as version 3: openssl x509 -req with -extfile FILE -extensions SECTION." },
  { word = "client_weak_signature", find = function(seen) return finding(seen, "client_weak_signature") end,
    message = "The certificate {subject} is accepted here, but {detail}: most servers refuse it.",
    hint = "Issue it again with SHA-256 and a key of 2048 bits (RSA) or 256 bits (EC)." },
  { word = "client_wrong_usage", find = function(seen) return finding(seen, "client_wrong_usage") end,
    message = "The certificate {subject} is accepted here, but {detail}: servers that look at the usage refuse it.",
    hint = "Issue it again with extended key usage clientAuth and key usage digitalSignature." },
  { word = "chain_order", find = function(seen) return finding(seen, "chain_order") end,
    message = "The certificates above the leaf are not in the order of the chain: the stacks that were tried sort "
      .. "them, and TLS 1.2 does not ask them to (RFC 5246, 7.4.2).",
    hint = "Put each certificate before the one that issued it; tcpki.chain.read does, and :write writes it." },
  { word = "client_intermediate_missing", find = chain_completed,
    message = "{subject} is not in the file of the certificate: gRPC core took it from {where} and sent it. Other "
      .. "clients (Go, rustls, Java) send the file as it is, and are refused.",
    hint = "Append the certificate of {subject} to the file (leaf first)." },
  { word = "duplicate", find = function(seen) return finding(seen, "duplicate") end,
    message = "The certificate {subject} is sent more than once.",
    hint = "Leave it in the file once." },
  { word = "foreign", find = function(seen) return finding(seen, "foreign") end,
    message = "The certificate {subject} is sent, and is no part of the leaf's chain.",
    hint = "Take it out of the file." },
  { word = "bad_pem", find = function(seen) return finding(seen, "bad_pem") end,
    message = "gRPC core reads the file of the certificate, others may not: {detail}.",
    hint = "See what tcpki.pem.lint and tcpki.pem.repair say of it." },
  { word = "key_traditional",
    find = function(seen) return seen.key_traditional and { form = seen.key_traditional } end,
    message = "The private key is in the traditional form (SEC1 or PKCS#1): the Java SDK and tcld refuse it, and so do "
      .. "older SDKs over rustls.",
    hint = "Convert it: openssl pkcs8 -topk8 -nocrypt -in FILE -out FILE.pkcs8" },
  { word = "verifier_refuses", find = verifier_refuses,
    message = "With the accepted CAs, {who} would refuse {subject}: {reason}.",
    hint = "Issue the certificate, or give the CAs, so that all of them accept it." },
  { word = "accepted_differs", find = accepted_differs,
    message = "The server let in {subject}, issued by {issuer}, for which the accepted CAs do not vouch: {reason}.",
    hint = "Where that CA was taken away, the server has not loaded the change; otherwise accepted is not what it "
      .. "trusts, or it does not look." },
  { word = "server_sends_root", find = server_sends_root,
    message = "The server sends its root, {subject}: nobody needs it, and it costs each handshake its bytes.",
    hint = "Take the root out of the server's certificate file." },
  { word = "server_common_name", find = server_common_name,
    message = "The server's certificate {subject} has no subject alternative names, and bears {name} in its common "
      .. "name only: gRPC core takes that, Go and rustls refuse it.",
    hint = "Reissue the server's certificate with the name in its SANs." },
  { word = "roots_are_intermediates", find = roots_are_intermediates,
    message = "server_ca holds no root, only {subject} or the like: gRPC core and Go trust an intermediate as it is, "
      .. "Node and other users of OpenSSL do not.",
    hint = "Pass the root above it." },
  { word = "system_roots_missing", find = system_roots_missing,
    message = "This machine has no bundle of CAs: gRPC core trusts the server by the one that it brought along, and "
      .. "the SDKs over rustls and Go find none.",
    hint = "Install the bundle (ca-certificates on Debian and Alpine, also in a container's image)." },
  { word = "not_asked", find = not_asked,
    message = "The server never asked for the certificate: that it answered proves nothing about it.",
    hint = "Have the server require client certificates, and prove it with control = true." },
  addresses_row,
}

local function add(list, row, seen)
  local fields = row.find(seen)
  if fields then
    list[#list + 1] = { word = row.word, message = fill(row.message, fields), hint = fill(row.hint, fields) }
  end
end

--- What is to be warned of.
-- @tparam table seen `certificates` (of the client, the leaf first), `peer` (of the server), `roots` (given for the
-- server) and `roots_name` (what the findings call them), `findings`, `now`; where they are known `trace`,
-- `server_name`, `key_traditional`, `addresses`
-- @treturn {table,…} of `word`, `message`, `hint`, in the order of the rows
function warnings.of(seen)
  local list = {}
  for _, row in ipairs(warnings.rows) do add(list, row, seen) end
  return list
end

--- Adds to a result what its addresses say: they are compared when each has its own result.
-- @tparam table result with `addresses` and `warnings`
-- @treturn table result
function warnings.add_addresses(result)
  local before = result.warnings or {}
  result.warnings = later.list(function()
    local list = table.move(before, 1, #before, 1, {})
    add(list, addresses_row, { addresses = result.addresses })
    return list
  end)
  return result
end

return warnings

--- The judgement of one's own certificate: what about it would make a server refuse it, or stumble.
--
-- A finding is a table: `word` (of a cause, or one of the notes below), `subject` of the certificate, `detail` (a part
-- of a sentence), `path` (of the file, where it came from one). The likeliest come first. Beside these `sure`: every
-- server that looks at certificates refuses this one; and `instead`: words of what it could be in its place.
--
-- Notes explain no refusal by themselves: `chain_order` (a wrong order that a key does not give away), `duplicate`,
-- `foreign` (a certificate that is no part of the chain), `bad_pem` (what some readers stumble over).
-- @module tcpki.probe.findings

local copy = require "tcpki.probe.copy"
local date = require "tcpki.date"
local options = require "tcpki.options"
local path = require "tcpki.probe.path"
local verifiers = require "tcpki.probe.verifiers"

local findings = {}

-- ---- the issuer, and the CAs that the server accepts ----

local function listed_names(trace)
  if not trace or not trace.certificate_requested or trace.ca_name_count == 0 then return nil end
  local set = {}
  for _, name in ipairs(trace.ca_names or {}) do set[name] = true end
  return set
end

-- Whether the issuers that are at hand lead from the end of the file to a CA that the server names.
local function reaches(judged, names)
  for _, step in ipairs(judged.way.beyond) do
    local certificate = step.certificate
    if names[tostring(certificate:subject())] or names[tostring(certificate:issuer())] then return true end
  end
  return false
end

local function gap_of(judged, way)
  if #judged.certificates == 1 then
    return ("only the leaf; its issuer %s is not in the file"):format(way.missing)
  end
  return ("%d certificates; %s, the issuer of %s, is not in the file"):format(#judged.certificates, way.missing,
    tostring(way.top:subject()))
end

local function missing_intermediate(judged, more)
  local way = judged.way
  return copy({ word = "client_intermediate_missing", detail = gap_of(judged, way) }, more)
end

local function unknown_issuer(judged, more)
  local root = judged.way.root
  return copy({ word = "client_ca_unknown",
    detail = ("%s is not one of the CAs that the server accepts"):format(root and tostring(root:subject())
      or tostring(judged.leaf:issuer())) }, more)
end

-- No issuer in the file is one that the server names: which of the two mistakes is it?
local function of_strange_issuer(judged, names)
  local way = judged.way
  if way.is_whole then return unknown_issuer(judged, { sure = true }) end
  local first = way.beyond[1]
  if reaches(judged, names) and first and not way.is_root_below then
    return missing_intermediate(judged, { sure = true,
      detail = ("%s (it is in %s)"):format(gap_of(judged, way), first.where) })
  elseif way.is_root_below or way.root then
    return unknown_issuer(judged, { sure = true })
  elseif path.sounds_intermediate(way.missing) then
    return missing_intermediate(judged, { instead = { "client_ca_unknown" } })
  end
  return unknown_issuer(judged, { instead = { "client_intermediate_missing" } })
end

-- What the server's own list of CA names says.
local function issuer_by_names(judged)
  local names = listed_names(judged.trace)
  if not names or judged.trace.issuer_listed then return nil end
  -- What is accepted and not named is another matter: the server has not loaded it.
  local is_accepted = judged.verdicts and (judged.verdicts.go.ok or judged.verdicts.rustls.ok)
  if is_accepted and not reaches(judged, names) then return nil end
  if judged.way.is_whole and judged.way.top == judged.leaf then
    return { word = "client_self_signed", detail = "it is its own issuer", sure = true }
  end
  return of_strange_issuer(judged, names)
end

-- What the accepted CAs say that the user gave.
local function issuer_by_accepted(judged)
  if not judged.verdicts then return nil end
  local go, rustls = judged.verdicts.go, judged.verdicts.rustls
  if go.ok or rustls.ok then return nil end
  if rustls.word == "twin" and go.word ~= "weak_signature" then
    return { word = "client_ca_twin", sure = true,
      detail = "the accepted CA of the issuer's name has another key than the one that made the signature" }
  elseif go.word ~= "issuer_unknown" then
    return nil
  elseif judged.way.is_whole and judged.way.top == judged.leaf then
    return { word = "client_self_signed", detail = "it is its own issuer, and is not accepted", sure = true }
  end
  local names = {}
  for _, accepted in ipairs(judged.accepted) do names[tostring(accepted:subject())] = true end
  return of_strange_issuer(judged, names)
end

-- A self-signed certificate says enough by itself, where nothing says that it is accepted.
local function self_signed(judged)
  if judged.way.is_whole and judged.way.top == judged.leaf and not listed_names(judged.trace)
      and not judged.verdicts then
    return { word = "client_self_signed", detail = "it is its own issuer", instead = { "client_refused" } }
  end
end

-- ---- dates ----

local function expired(judged)
  local after = judged.leaf:not_after()
  if judged.at <= after then return nil end
  return { word = "client_expired", sure = true, detail = "it expired on " .. date.minute(after) }
end

local function not_yet_valid(judged)
  for i, certificate in ipairs(judged.way.chain) do
    if judged.at < certificate:not_before() then
      return { word = "client_not_yet_valid", sure = true, of = certificate,
        detail = ("%s is not valid before %s"):format(i == 1 and "it" or "its issuer",
          date.minute(certificate:not_before())) }
    end
  end
end

-- A root in the file counts for nothing: a server takes its own.
local function intermediate_expired(judged)
  local chain = judged.way.chain
  for i = 2, #chain do
    local is_root = i == #chain and judged.way.is_whole
    if not is_root and judged.at > chain[i]:not_after() then
      return { word = "client_intermediate_expired", sure = true, of = chain[i],
        detail = "it expired on " .. date.minute(chain[i]:not_after()) }
    end
  end
end

-- ---- what it may be used for, how it is signed ----

local function allows_clients(certificate)
  local usage = certificate:extended_key_usage()
  return not usage or options.has(usage, "client_auth") or options.has(usage, "any"), usage
end

-- Only GnuTLS passes over it; and over the key usage so do Go and rustls.
local function wrong_usage(judged)
  for _, certificate in ipairs(judged.way.chain) do
    local fine, usage = allows_clients(certificate)
    if not fine then
      return { word = "client_wrong_usage", of = certificate, sure = true,
        detail = ("its extended key usage is %s"):format(table.concat(usage, ", ")) }
    end
  end
  local usage = judged.leaf:key_usage()
  if usage and not options.has(usage, "digital_signature") then
    return { word = "client_wrong_usage",
      detail = ("its key usage, %s, lacks digital_signature"):format(table.concat(usage, ", ")) }
  end
end

local weak_digests = { MD5 = true, SHA1 = true, MD4 = true, MD2 = true }

local function weak_signature(judged)
  local chain = judged.way.chain
  for i, certificate in ipairs(chain) do
    local is_root = i == #chain and judged.way.is_whole and i > 1
    local digest, key = certificate:signature_digest(), certificate:public_key()
    local detail
    if not is_root and weak_digests[digest] then
      detail = "it is signed with " .. digest
    elseif key and key:type() == "rsa" and key:bits() < 2048 then
      detail = ("its RSA key has %d bits"):format(key:bits())
    end
    if detail then return { word = "client_weak_signature", of = certificate, detail = detail } end
  end
end

local function version_1(judged)
  for _, certificate in ipairs(judged.way.chain) do
    if certificate:version() ~= 3 then
      return { word = "client_version_1", of = certificate, version = certificate:version(),
        detail = ("it is X.509 version %d"):format(certificate:version()) }
    end
  end
end

-- ---- notes ----

local function order(judged)
  if not judged.way.chain.reordered or #judged.way.chain.foreign > 0 then return nil end
  return { word = "chain_order", note = true, detail = "the certificates above the leaf are not in their order" }
end

local function duplicate(judged)
  local again = judged.way.chain.duplicates[1]
  if not again then return nil end
  return { word = "duplicate", note = true, of = again, detail = "it is in the file more than once" }
end

local function foreign(judged)
  local other = judged.way.chain.foreign[1]
  if not other then return nil end
  return { word = "foreign", note = true, of = other, detail = "it is no part of the leaf's chain" }
end

-- Of lint: what is judged above, on the certificates themselves.
local judged_already = { chain_issuer = true, chain_order = true, duplicate = true, several = true, silent_loss = true,
  refused = true }

-- What readers of PEM stumble over, of a text that gRPC core reads.
local function pem_fault(text)
  -- A file that holds the key as well is not what lint expects of a chain, and yet fine.
  if text:find("PRIVATE KEY-----", 1, true) then return nil end
  local pem = require "tcpki.pem"
  for _, fault in ipairs(pem.lint(text, { expect = "chain" })) do
    if fault.severity ~= "info" and fault.line and fault.who and not judged_already[fault.code] then
      return { word = "bad_pem", note = true, line = fault.line,
        detail = ("line %d: %s; stumbling over it: %s"):format(fault.line, fault.message, fault.who) }
    end
  end
end

local rules = {
  issuer_by_accepted, issuer_by_names, self_signed, expired, intermediate_expired, not_yet_valid, wrong_usage,
  weak_signature, version_1, order, duplicate, foreign,
}

--- Judges the certificate that a probe sends.
-- @tparam table given `certificates` (the leaf first); where known `trace`, `accepted` (the CAs that the server trusts
-- for clients), `groups` (other certificates at hand, as for `tcpki.probe.path`), `file` (the path)
-- @tparam integer at seconds since the epoch
-- @treturn table array of findings, the likeliest first, with `way` (of `tcpki.probe.path`), `gap` (what is missing in
-- the file, as a part of a sentence) and, where there are accepted CAs, `verdicts`
function findings.judge(given, at)
  local found = {}
  local leaf = given.certificates[1]
  if not leaf then return found end
  local judged = {
    certificates = given.certificates, leaf = leaf, trace = given.trace, accepted = given.accepted, at = at,
    way = path.of(given.certificates, given.groups or {}),
    verdicts = given.accepted and verifiers.judge(given.certificates, given.accepted, at),
  }
  local has = {}
  for _, rule in ipairs(rules) do
    local one = rule(judged)
    if one and not has[one.word] then
      has[one.word] = true
      one.subject, one.path, one.of = tostring((one.of or leaf):subject()), given.file, nil
      found[#found + 1] = one
    end
  end
  found.way, found.verdicts = judged.way, judged.verdicts
  found.gap = judged.way.missing and gap_of(judged, judged.way)
  return found
end

--- Adds what is to be said of the text: a note, which no judgement of a refusal asks for.
-- @tparam table found of `findings.judge`
-- @tparam ?string text PEM of the file
-- @tparam ?string file its path
-- @treturn table found
function findings.add_text(found, text, file)
  if not text or found.has_text then return found end
  found.has_text = true
  local one = pem_fault(text)
  if one then
    one.subject, one.path = tostring(found.way.chain[1]:subject()), file
    found[#found + 1] = one
  end
  return found
end

--- The findings as a result shows them: without what only the judgement of a refusal uses.
-- @tparam table found of `findings.judge`
-- @treturn {table,…} of `word`, `subject`, `detail`, `path`
function findings.shown(found)
  local shown = {}
  for i, one in ipairs(found) do
    shown[i] = { word = one.word, subject = one.subject, detail = one.detail, path = one.path, note = one.note }
  end
  return shown
end

return findings

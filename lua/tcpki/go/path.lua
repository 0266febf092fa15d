--- Path validation as Go's crypto/x509 does it, with its words: what it asks for differs from RFC 5280 and from
-- OpenSSL, and istiod and the Temporal server say what Go says.
--
-- Names are compared byte by byte, key usage counts only where a signature is checked, the extended key usages of CAs
-- bind those below, serverAuth is implied where nobody asks for a purpose, and a trusted certificate is an anchor
-- whatever it is. Certificate policies are not looked at.
-- @module tcpki.go.path
-- @local

local date = require "tcpki.date"

local path = {}

-- The most signatures that are looked at for one verdict (maxChainSignatureChecks).
local SIGNATURES = 100

-- What crypto/x509 can verify: digests and kinds of keys by the words of Go.
local insecure = { MD5 = "MD5", SHA1 = "SHA1" }
local digests = { SHA256 = true, SHA384 = true, SHA512 = true }
local kinds = {
  rsa = { word = "RSA", type = "*rsa.PublicKey", failure = "crypto/rsa: verification error" },
  ec = { word = "ECDSA", type = "*ecdsa.PublicKey", failure = "x509: ECDSA verification failure" },
  ed25519 = { word = "Ed25519", type = "ed25519.PublicKey", failure = "x509: Ed25519 verification failure" },
}

local CANNOT_SIGN = "x509: invalid signature: parent certificate cannot sign this kind of certificate"
local UNIMPLEMENTED = "x509: cannot verify signature: algorithm unimplemented"

local function kind_of_signature(algorithm)
  local word = algorithm:lower()
  return word:find "rsa" and "rsa" or word:find "ecdsa" and "ec" or word:find "ed25519" and "ed25519" or nil
end

-- Why Go would not even look at the numbers of a signature, or nil.
local function unusable(algorithm, digest, key, sha1_allowed)
  local kind = kind_of_signature(algorithm)
  if kind ~= "ed25519" and insecure[digest] and not (digest == "SHA1" and sha1_allowed) then
    return "x509: cannot verify signature: insecure algorithm "
      .. (kind == "ec" and "ECDSA-" .. digest or digest .. "-RSA")
  elseif not kind or not (kind == "ed25519" or digests[digest] or digest == "SHA1") or not kinds[key:type()] then
    return UNIMPLEMENTED
  elseif kind ~= key:type() then
    return ("x509: signature algorithm specifies an %s public key, but have public key of type %s"):format(
      kinds[kind].word, kinds[key:type()].type)
  elseif kind == "rsa" and key:bits() < 1024 then
    return ("crypto/rsa: %d-bit keys are insecure (see https://go.dev/pkg/crypto/rsa#hdr-Minimum_key_size)"):format(
      key:bits())
  end
end

-- Certificate.CheckSignatureFrom: nil, or what is wrong.
local function signature_fault(view, parent)
  if parent.version == 3 and not parent.constraints or parent.constraints and not parent.ca
    or parent.key_usage and next(parent.key_usage) and not parent.key_usage.key_cert_sign then
    return CANNOT_SIGN
  elseif not parent.key then
    return UNIMPLEMENTED
  end
  local certificate = view.certificate
  return unusable(certificate:signature_algorithm(), certificate:signature_digest(), parent.key)
    or (not certificate:signed_by(parent.key) and kinds[parent.key:type()].failure)
    or nil
end

--- Whether Go takes a CRL for signed by a certificate (RevocationList.CheckSignatureFrom). The name of the issuer
-- does not count.
-- @tparam crl crl
-- @tparam table view of the certificate, as by tcpki.go
-- @treturn boolean
function path.signed(crl, view)
  if view.version == 3 and not view.constraints or view.constraints and not view.ca
    or view.key_usage and next(view.key_usage) and not view.key_usage.crl_sign then
    return false
  end
  return view.key ~= nil and crl:signed_by(view.key)
end

-- Certificate.isValid: nil, or what is wrong. `below` is how many certificates are under it, the leaf included.
local function invalid(view, role, below, now)
  local not_before, not_after = view.certificate:not_before(), view.certificate:not_after()
  if view.unknown_critical then
    return "x509: unhandled critical extension"
  elseif now < not_before then
    return ("x509: certificate has expired or is not yet valid: current time %s is before %s"):format(date.rfc3339(now),
      date.rfc3339(not_before))
  elseif now > not_after then
    return ("x509: certificate has expired or is not yet valid: current time %s is after %s"):format(date.rfc3339(now),
      date.rfc3339(not_after))
  elseif role == "intermediate" and not view.ca then
    return "x509: certificate is not authorized to sign other certificates"
  elseif view.path_length and below - 1 > view.path_length then
    return "x509: too many intermediates for path length constraint"
  end
end

-- Those of a pool that could be the issuer, the likeliest first (CertPool.findPotentialParents).
local function candidates(pool, view)
  local ranks = { {}, {}, {} }
  for _, parent in ipairs(pool) do
    if parent.subject == view.issuer then
      local one, other = parent.subject_key_id, view.authority_key_id
      local rank = one == other and 1 or (one == nil) ~= (other == nil) and 2 or 3
      table.insert(ranks[rank], parent)
    end
  end
  local found = ranks[1]
  for rank = 2, 3 do
    table.move(ranks[rank], 1, #ranks[rank], #found + 1, found)
  end
  return found
end

-- The same subject, key and alternative names count as the same certificate (alreadyInChain).
local function repeated(view, chain)
  for _, other in ipairs(chain) do
    if other.subject == view.subject and other.key_der == view.key_der and other.names == view.names then
      return true
    end
  end
  return false
end

local function quoted(text)
  return '"' .. text:gsub('[\\"]', "\\%0") .. '"'
end

local function unknown_authority(hint)
  local message = "x509: certificate signed by unknown authority"
  if not hint then
    return message
  end
  local subject = hint.view.certificate:subject()
  local name = subject.CN ~= "" and subject.CN or subject.O or "serial:" .. hint.view.certificate:serial()
  return ("%s (possibly because of %s while trying to verify candidate authority certificate %s)"):format(message,
    quoted(hint.reason), quoted(name))
end

-- Certificate.buildChains: the chains, or nil, what is wrong, and the certificate at fault. Go says of a candidate
-- that is invalid what is wrong with it, of one that did not sign only in brackets behind "unknown authority".
local function build(search, chain)
  local view = chain[#chain]
  local chains, hint, failure, culprit = {}, nil, nil, nil
  for _, pool in ipairs { { "root", search.roots }, { "intermediate", search.intermediates } } do
    local role = pool[1]
    for _, parent in ipairs(candidates(pool[2], view)) do
      search.signatures = search.signatures + 1
      if search.signatures > SIGNATURES then
        return nil, "x509: signature check attempts limit reached while verifying certificate chain"
      end
      if parent.key and not repeated(parent, chain) then
        local reason = signature_fault(view, parent)
        if not reason then
          reason = invalid(parent, role, #chain, search.now)
          failure, culprit = reason, parent
        end
        if reason then
          -- It is not the issuer's fault that its signature is weak.
          local weak = reason:find "insecure algorithm"
          hint = hint or { reason = reason, view = parent, culprit = weak and view or parent }
        else
          local longer = { table.unpack(chain) }
          longer[#longer + 1] = parent
          if role == "root" then
            chains[#chains + 1] = longer
          else
            local more, why, who = build(search, longer)
            failure, culprit = why, who
            if more then
              failure = nil
              table.move(more, 1, #more, #chains + 1, chains)
            end
          end
        end
      end
    end
  end
  if #chains > 0 then
    return chains
  end
  if failure then
    return nil, failure, culprit
  end
  return nil, unknown_authority(hint), hint and hint.culprit or view
end

-- Whether every certificate of a chain that says for what it is says the purpose (checkChainForKeyUsage).
local function fit_for(chain, purpose)
  for _, view in ipairs(chain) do
    if view.purposes and next(view.purposes) and not (view.purposes.any or view.purposes[purpose]) then
      return false, view
    end
  end
  return true
end

-- Name constraints bind the names of all that stand below; nil, or what is wrong.
local function names_fault(chain)
  for i, issuer in ipairs(chain) do
    for j = 1, issuer.name_constraints and i - 1 or 0 do
      local child = chain[j].certificate
      if chain[j].names and not issuer.certificate:permits(child) then
        local detail
        for _, name in ipairs(child:subject_alt_names() or {}) do
          if name.type == "dns" then
            detail = ('DNS name "%s" is not permitted by any constraint'):format(name.value)
          end
        end
        return "x509: a root or intermediate certificate is not authorized to sign for this name: " .. (detail or ""),
          issuer
      end
    end
  end
end

--- Verifies a certificate as Go does.
-- @tparam table view the certificate, as by tcpki.go
-- @tparam {table,…} roots
-- @tparam {table,…} intermediates
-- @tparam integer now seconds since the epoch
-- @tparam[opt="server_auth"] string purpose what the certificate is to be good for; where nobody says, Go means servers
-- @treturn[1] {table,…} a chain, from the certificate to its root
-- @treturn[2] nil
-- @treturn[2] string what Go says
-- @treturn[2] ?table the view of the certificate at fault
function path.verify(view, roots, intermediates, now, purpose)
  local reason = invalid(view, "leaf", 0, now)
  if reason then
    return nil, reason, view
  end
  local chains = { { view } }
  local trusted = false
  for _, root in ipairs(roots) do
    trusted = trusted or root.der == view.der
  end
  if not trusted then
    local culprit
    chains, reason, culprit = build({ roots = roots, intermediates = intermediates, now = now, signatures = 0 },
      { view })
    if not chains then
      return nil, reason, culprit
    end
  end
  local constrained, constrainer, unfit
  for _, chain in ipairs(chains) do
    local fits, who = fit_for(chain, purpose or "server_auth")
    local why, issuer
    if fits then
      why, issuer = names_fault(chain)
    end
    if fits and not why then
      return chain
    end
    unfit = unfit or who
    if why and not constrained then
      constrained, constrainer = why, issuer
    end
  end
  if constrained then
    return nil, constrained, constrainer
  end
  return nil, "x509: certificate specifies an incompatible key usage", unfit
end

return path

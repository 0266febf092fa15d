--- The rules on one certificate: any, that of an authority, that of a client.
-- @module tcpki.cloud.check.certificate
-- @local

local finding = require "tcpki.cloud.check.finding"
local rules = require "tcpki.cloud.rules"
local date = require "tcpki.date"

local certificate = {}

local DAY = 24 * 60 * 60

local digests = { SHA256 = true, SHA384 = true, SHA512 = true }
-- What Go's TLS has; libcrypto's words.
local curves = { ["P-224"] = true, ["P-256"] = true, ["P-384"] = true, ["P-521"] = true, secp224r1 = true }

-- Whether an algorithm is RSA or ECDSA, by libcrypto's names; found out once.
local accepted = setmetatable({}, {
  __index = function(known, algorithm)
    known[algorithm] = (algorithm:find "[rR][sS][aA]" or algorithm:find "^ecdsa") and true or false
    return known[algorithm]
  end,
})

local function signed_well(facts)
  local algorithm, digest = facts.certificate:signature_algorithm(), facts.certificate:signature_digest()
  return digests[digest] and accepted[algorithm], algorithm, digest
end

-- Which rule the key breaks, and the words for its sentence.
local function key_fault(facts)
  local key, err = facts.certificate:public_key()
  if not key then
    return "key_algorithm", { key = "of a kind that cannot be read (" .. err.message .. ")" }
  end
  local kind = key:type()
  if kind == "rsa" then
    local bits = key:bits()
    return bits < rules.limits.rsa_bits and "small_key", { bits = bits }
  elseif kind == "ec" then
    local curve = key:curve()
    return not curves[curve] and "unknown_curve", { curve = curve }
  end
  return "key_algorithm", { key = kind == "ed25519" and "Ed25519" or "neither" }
end

local consequences = {
  authority = ", and with it every certificate that it issued",
  leaf = "",
}

local cures = {
  authority = "add its successor to the bundle, move the clients to certificates of that one, then remove this one",
  leaf = "renew it, and restart the clients that cannot read it again",
}

-- How long before its end a certificate is about to expire.
local function soon_of(facts, soon)
  if soon then
    return soon * DAY
  end
  return math.min(rules.SOON_DAYS * DAY, (facts.not_after - facts.not_before) // 3)
end

-- role: "authority" or "leaf". add(code, values) takes what is broken.
local function judge_time(facts, role, state, add)
  local at = state.at
  if at > facts.not_after then
    add("expired", { date = date.minute(facts.not_after), time = finding.span(at - facts.not_after),
      consequence = consequences[role], cure = cures[role] })
  elseif at < facts.not_before then
    add("not_yet_valid", { date = date.minute(facts.not_before), time = finding.span(facts.not_before - at),
      consequence = role == "authority" and ", and until then nor is what it issued" or "" })
  elseif facts.not_after - at < soon_of(facts, state.soon) then
    add("expires_soon", { date = date.minute(facts.not_after), time = finding.span(facts.not_after - at),
      cure = cures[role] })
  end
end

local function judge_any(facts, role, state, add)
  if facts.damage then
    add("damaged_certificate", { reason = facts.damage.message })
    return
  end
  local fine, algorithm, digest = signed_well(facts)
  -- The key decides first: what signs with Ed25519 has an Ed25519 key, and one finding is enough.
  local code, values = key_fault(facts)
  if not fine and not (code == "key_algorithm" and facts:is_self_issued()) then
    add("weak_signature", { algorithm = digest and algorithm == "rsassaPss" and "RSASSA-PSS and " .. digest
      or algorithm })
  end
  if code then
    add(code, values)
  end
  judge_time(facts, role, state, add)
end

--- The rules for a CA.
-- @tparam table facts
-- @tparam table state `at`, `soon`
-- @tparam function add of a code and the values for its sentence
function certificate.judge_authority(facts, state, add)
  if facts.damage then
    add("damaged_certificate", { reason = facts.damage.message })
    return
  elseif facts.version ~= 3 then
    add("not_version_3", { version = facts.version })
  elseif not facts:is_authority() then
    add("not_an_authority", {
      reason = facts.constraints and "it says CA:false" or "it has no basic constraints",
    })
  else
    if facts.usage and not facts:has_usage "key_cert_sign" then
      add "cannot_sign"
    end
    if facts.extended and not (facts:has_extended "client_auth" or facts:has_extended "any") then
      add("excludes_clients", { usages = table.concat(facts.extended, ", ") })
    end
  end
  judge_any(facts, "authority", state, add)
end

--- The rules for the certificate of a client.
-- @tparam table facts
-- @tparam table state `at`, `soon`
-- @tparam function add of a code and the values for its sentence
function certificate.judge_leaf(facts, state, add)
  if facts.damage then
    add("damaged_certificate", { reason = facts.damage.message })
    return
  elseif facts.version ~= 3 then
    add("leaf_not_version_3", { version = facts.version })
  else
    if not facts.constraints then
      add "leaf_without_constraints"
    elseif facts.constraints.ca then
      add "leaf_is_authority"
    end
    if not facts.usage then
      add "leaf_without_key_usage"
    elseif not facts:has_usage "digital_signature" then
      add("leaf_without_signature", { usages = table.concat(facts.usage, ", ") })
    end
    if facts.extended and not facts:has_extended "client_auth" then
      add("leaf_without_client_auth", { usages = table.concat(facts.extended, ", ") })
    end
  end
  judge_any(facts, "leaf", state, add)
end

return certificate

--- `tcpki.cloud.check_bundle`: the rules on a bundle of CA certificates, before it is uploaded.
-- @module tcpki.cloud.check.bundle

local bundle = require "tcpki.bundle"
local certificate = require "tcpki.cloud.check.certificate"
local core = require "tcpki.core"
local facts = require "tcpki.cloud.check.facts"
local finding = require "tcpki.cloud.check.finding"
local options = require "tcpki.options"
local public = require "tcpki.cloud.check.public_authorities"
local report = require "tcpki.report"
local rules = require "tcpki.cloud.rules"
local text = require "tcpki.cloud.check.text"

local WHERE = "tcpki.cloud.check_bundle"

local known = { filters = "tcpki.cloud.filters", soon = "number", at = "integer", roots_path = "string",
  path = "string" }

local function check_size(findings, count, source, where)
  local limits = rules.limits
  if count > limits.certificates then
    findings:add(finding.of("too_many_certificates",
      { count = count, limit = limits.certificates, old_limit = limits.old_certificates }, where))
  end
  if #source > limits.bytes then
    findings:add(finding.of("too_large", { bytes = #source, limit = limits.bytes }, where))
  end
end

-- Whether it looks like the certificate of a client, put there by mistake, and not like a CA that was made badly.
local function is_leaf(one)
  return not one:is_authority() and not one:has_usage "key_cert_sign" and not one:is_self_issued()
end

-- Who may have issued a certificate of the bundle, and why it is missing where nobody did.
local function issuer_fault(one, all)
  if one:is_self_issued() then
    return not one.certificate:self_signed()
      and "it names itself as its issuer, but another key signed it: a CA of the same name"
  end
  local namesake
  for _, other in ipairs(all) do
    if other ~= one and other.subject_der == one.issuer_der then
      if one.certificate:issued_by(other.certificate) then
        return nil
      end
      namesake = other
    elseif other ~= one and one.certificate:issued_by(other.certificate) then
      return nil
    end
  end
  return namesake and "the CA of the bundle that has the name of its issuer did not sign it"
    or "its issuer is not in the bundle"
end

local function judge(one, all, state, add)
  if not one.damage and is_leaf(one) then
    -- What else is wrong with it, as a CA, is of no interest.
    add("leaf_in_bundle", { issuer = one:issuer() })
    return
  end
  certificate.judge_authority(one, state, add)
  local reason = state.roots and public.reason(state.roots, one)
  if reason then
    add(state.filtered and "public_authority_filtered" or "public_authority", { reason = reason })
  end
  reason = not one.damage and issuer_fault(one, all)
  if reason then
    add("issuer_missing", { reason = reason, issuer = one:issuer() })
  end
end

-- The other certificate with the same name that stands before it, as words.
local function namesake(one, all)
  for i, other in ipairs(all) do
    if other == one then
      return nil
    elseif other.name_key == one.name_key then
      return ("certificate %d%s"):format(i, other.subject == one.subject and "" or (" (%s)"):format(other.subject))
    end
  end
end

-- The line that each certificate of a text begins in, by DER, and how many there are.
local function lines_of(source)
  local lines, count = {}, 0
  for _, part in ipairs(core.pem.scan(source) or {}) do
    if part.der and not lines[part.der] then
      lines[part.der] = part.line
      count = count + 1
    end
  end
  return lines, count
end

-- The text that a bundle was read from, while it still holds just that.
local function source_of(certificates)
  local source = certificates:source()
  if source and source:byte() ~= 0x30 then -- DER is not what is uploaded
    local lines, count = lines_of(source)
    for _, one in ipairs(certificates) do
      count = count - (lines[one:der()] and 1 or math.huge)
    end
    return count == 0 and source or nil
  end
end

local function in_order(found)
  table.sort(found, function(a, b)
    return rules.by_code[a.code].place < rules.by_code[b.code].place
  end)
end

local function check_certificates(findings, certificates, source, state)
  local all, lines = {}, source and lines_of(source) or {}
  for i, one in ipairs(certificates) do
    all[i] = facts.of(one)
  end
  for i, one in ipairs(all) do
    local found, where = {}, nil
    local function add(code, values)
      where = where or finding.at(one, ("certificate %d of the bundle"):format(i),
        { path = state.path, line = lines[one.certificate:der()] })
      found[#found + 1] = finding.of(code, values, where)
    end
    judge(one, all, state, add)
    local other = namesake(one, all)
    if other then
      add("same_subject", { other = other })
    end
    in_order(found)
    for _, each in ipairs(found) do
      findings:add(each)
    end
  end
  for _, one in ipairs(source and {} or certificates.duplicates or {}) do
    findings:add(finding.of("duplicate", nil, finding.at(facts.of(one), nil, { path = state.path })))
  end
end

-- The certificates of a text that is no bundle as a whole, as far as they can be read: so that a key in a bundle does
-- not hide what is wrong with its certificates.
local function readable(source)
  local certificates = {}
  for _, part in ipairs(core.pem.scan(source) or {}) do
    local one = part.der and core.certificate.parse(part.der)
    certificates[#certificates + 1] = one
  end
  return assert(bundle.new(certificates))
end

local function check_text(findings, source, state)
  local where = { path = state.path }
  local certificates, err = bundle.parse(source)
  if certificates and text.is_plain(source, #certificates) then
    return certificates
  end
  local bad = text.lint(findings, source, "bundle", where)
  if certificates then
    return certificates
  elseif not bad then
    findings:add(finding.of("damaged_certificate", { reason = err.message },
      { path = state.path, line = err.line }))
  end
  return readable(source)
end

local function is_fault(value)
  local metatable = getmetatable(value)
  return type(metatable) == "table" and metatable.__name == "tcpki.fault"
end

--- Checks a bundle of CA certificates by every rule of Temporal Cloud.
-- @function check_bundle
-- @tparam bundle|string|{certificate,…} given a bundle, or its PEM text
-- @tparam[opt] table how `filters` (those of the namespace: they permit well-known public CAs), `soon` (days before
-- its end that a certificate is reported; by default 30, or a third of its lifetime), `at` (seconds since the epoch;
-- now by default), `roots_path` (a file of public roots in place of the system's), `path` (of the file, for the
-- findings)
-- @treturn[1] report
-- @treturn[2] nil
-- @treturn[2] fault where the first argument is nil and the second a fault: what `bundle.read` says of a bad file
-- passes through
return function(given, how)
  if given == nil and is_fault(how) then
    return nil, how
  end
  options.expect(WHERE, "bundle", given, "tcpki.bundle|string|table")
  how = options.check(WHERE, how, known)
  local findings = report.new()
  local state = { at = how.at or os.time(), soon = how.soon, path = how.path,
    filtered = how.filters ~= nil and #how.filters > 0 }
  local certificates, source = given, nil
  if type(given) == "string" then
    certificates, source = check_text(findings, given, state), given
  elseif bundle.is(given) then
    source = source_of(given)
    if source and not text.is_plain(source, #given) then
      text.lint(findings, source, "bundle", { path = state.path })
    end
  else
    options.list(WHERE, "certificate", given, "tcpki.certificate")
    local err
    certificates, err = bundle.new(given)
    if not certificates then
      return nil, err
    end
  end
  if #certificates == 0 then
    if findings.ok then
      findings:add(finding.of("empty", nil, { path = state.path }))
    end
    return findings
  end
  local reason
  state.roots, reason = public.open(how.roots_path)
  if not state.roots then
    findings:add(finding.of("roots_unknown", { reason = reason }))
  end
  local pem, err = source
  if not pem then
    pem, err = certificates:pem()
    if not pem then
      return nil, err
    end
  end
  check_size(findings, #certificates, pem, { path = state.path })
  check_certificates(findings, certificates, source, state)
  findings.good = ("%d certificate%s: Temporal Cloud has nothing to refuse"):format(#certificates,
    #certificates == 1 and "" or "s")
  return findings
end

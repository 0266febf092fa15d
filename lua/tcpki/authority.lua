--- Certificate authorities: they issue, sign, and revoke.
--
-- What an authority may not do is refused before it is done: a leaf never outlives its issuer, and the path
-- length and the name constraints of the whole chain above are kept (RFC 5280, sections 4.2.1.9 and 4.2.1.10).
-- @module tcpki.authority

local chain = require "tcpki.chain"
local core = require "tcpki.core"
local fault = require "tcpki.fault"
local options = require "tcpki.options"

local authority = {}

local DAY = 86400
-- Clocks of other machines run behind: a certificate is good from ten minutes ago.
local BACKDATED = 600

--- What each usage puts into a certificate, and how long it lives where nobody says.
local profiles = {
  client = { extended_key_usage = { "client_auth" }, days = 90 },
  server = { extended_key_usage = { "server_auth" }, days = 90, named = true },
  peer = { extended_key_usage = { "server_auth", "client_auth" }, days = 90, named = true },
  ca = { ca = true, key_usage = { "key_cert_sign", "crl_sign" }, days = 1825 },
}

-- The times that a certificate or CRL can hold: 1900 to 9999.
local EARLIEST, LATEST = -2208988800, 253402300799

local SUBJECT_ALT_NAME = "2.5.29.17"

local leaf_methods = {}
local leaf_metatable = { __name = "tcpki.leaf", __index = leaf_methods }

function leaf_metatable:__tostring()
  return ("tcpki.leaf (%s)"):format(self.certificate:subject())
end

local methods = {}
local metatable = { __name = "tcpki.authority", __index = methods }

function metatable:__tostring()
  return ("tcpki.authority (%s)"):format(self.certificate:subject())
end

-- Leaf keys of RSA also decipher the key exchange of TLS 1.2; RFC 5246, section 7.4.2.
local function key_usage_of(profile, public_key)
  if profile.key_usage then
    return profile.key_usage
  end
  if public_key:type() == "rsa" then
    return { "digital_signature", "key_encipherment" }
  end
  return { "digital_signature" }
end

local function subject_of(where, given)
  if given.common_name and given.subject then
    error(("%s: pass common_name or subject, not both"):format(where), 3)
  end
  return given.subject or (given.common_name and { CN = given.common_name })
end

-- The key that was passed, or a new one by the options that were passed in its place.
local function key_of(given)
  if type(given) == "userdata" then
    return given
  end
  return core.key.generate(given)
end

local function date(seconds)
  return os.date("!%Y-%m-%d %H:%M UTC", seconds)
end

-- A thousand years: more would leave the times that a certificate can hold, or the integers.
local DAYS_LIMIT = 365250

local function check_days(where, given)
  if given.days and (given.days < 1 or given.days > DAYS_LIMIT) then
    error(("%s: option 'days' must be from 1 to %d, not %d"):format(where, DAYS_LIMIT, given.days), 3)
  end
  return given
end

-- not_before and not_after: as asked, or by the profile and within the life of the issuer.
local function validity_of(where, given, default_days, issuer)
  options.exclude(where, given, { { "days", "not_after" } }, 4)
  local now = os.time()
  local not_before = given.not_before or (now - BACKDATED)
  local not_after = given.not_after or (now + (given.days or default_days) * DAY)
  if not issuer then
    return not_before, not_after
  end
  local limit = issuer:not_after()
  if limit <= now then
    return fault.fail {
      code = "expired",
      message = ("the authority expired on %s"):format(date(limit)),
      subject = tostring(issuer:subject()),
      hint = "renew the authority, or issue under another one",
    }
  end
  if not given.not_before and not_before < issuer:not_before() then
    not_before = issuer:not_before()
  end
  -- Temporal Cloud asks that a leaf ends before its CA, not with it.
  if not_after >= limit then
    if given.days or given.not_after then
      return fault.fail {
        code = "outlives_issuer",
        message = ("the certificate would end on %s, its issuer ends on %s"):format(date(not_after), date(limit)),
        subject = tostring(issuer:subject()),
        hint = ("ask for at most %d days, or renew the authority"):format((limit - 1 - now) // DAY),
      }
    end
    not_after = limit - 1
  end
  return not_before, not_after
end

-- How many authorities may still follow under the first of some: the least that any of them allows. One that has
-- its issuer's name is not counted (RFC 5280, section 4.2.1.9). Nil where nothing is said.
local function room_below(certificates)
  local room
  local between = 0
  for _, certificate in ipairs(certificates) do
    local constraints = certificate:basic_constraints()
    local path_length = constraints and constraints.path_length
    if path_length then
      local left = path_length - between
      room = room and math.min(room, left) or left
    end
    if tostring(certificate:subject()) ~= tostring(certificate:issuer()) then
      between = between + 1
    end
  end
  return room
end

-- The path length of a new authority, or the fault that there is no room for it.
local function path_length_below(self, wanted)
  local room = self.room
  if not room then
    return true, wanted
  end
  if room < 1 or (wanted and wanted > room - 1) then
    return fault.fail {
      code = "path_length_exceeded",
      message = room < 1 and "the path length of the authority allows no authority below it"
        or ("the path length of the authority allows at most %d below it"):format(room - 1),
      subject = tostring(self.certificate:subject()),
      hint = "issue under an authority with a greater path length",
    }
  end
  return true, wanted or room - 1
end

-- Whether the authority itself stands where the ones above allow none.
local function check_room(self)
  if self.room and self.room < 0 then
    return fault.fail {
      code = "path_length_exceeded",
      message = "the path length of an authority above does not allow this one",
      subject = tostring(self.certificate:subject()),
      hint = "have it issued by an authority with a greater path length",
    }
  end
  return true
end

-- RFC 5280, sections 4.1.2.6 and 4.2.1.6: who has no subject has alternative names, and an authority has a subject.
local function check_named(certificate, usage)
  local profile = profiles[usage]
  local names, err = certificate:subject_alt_names()
  if err then
    return nil, err
  end
  local subject
  subject, err = certificate:subject()
  if not subject then
    return nil, err
  end
  if profile.named and not names then
    return fault.fail {
      code = "bad_name",
      message = ("a certificate for usage %s needs a subject alternative name"):format(usage),
      hint = 'pass the names that clients dial: subject_alt_names = { "temporal.example", "10.0.0.1" }',
    }
  end
  if #subject == 0 and (profile.ca or not names) then
    return fault.fail {
      code = "bad_name",
      message = profile.ca and "an authority needs a subject" or "a certificate needs a subject or alternative names",
      hint = "pass common_name or subject",
    }
  end
  return true
end

local function check_names(self, certificate)
  for depth, issuer in ipairs(self.chain) do
    local ok, err = issuer:permits(certificate)
    if not ok then
      err.depth, err.subject = depth, tostring(issuer:subject())
      return nil, err
    end
  end
  return true
end

-- Leaf first, without the root: what a TLS peer is to send.
local function chain_of(self, certificate)
  return chain.of_path({ certificate, table.unpack(self.sent) }, self.missing)
end

-- The names and the key of a CSR whose own signature holds. The names come through as they are encoded, kinds
-- that have no text included.
local function from_csr(csr)
  local ok, err = csr:verify()
  if not ok then
    return nil, err
  end
  local public_key
  public_key, err = csr:public_key()
  if not public_key then
    return nil, err
  end
  local subject
  subject, err = csr:subject()
  if not subject then
    return nil, err
  end
  local names
  names, err = csr:subject_alt_names()
  if err then
    return nil, err
  end
  local raw
  if names and #names > 0 then
    for _, extension in ipairs(csr:extensions()) do
      if extension.oid == SUBJECT_ALT_NAME then
        raw = { oid = SUBJECT_ALT_NAME, der = extension.der }
      end
    end
  end
  return { public_key = public_key, subject = subject, names = raw }
end

local common_options = {
  subject = "table",
  common_name = "string",
  subject_alt_names = "table",
  days = "integer",
  not_before = "integer",
  not_after = "integer",
  serial = "string",
  digest = "string",
  crl_distribution_points = "table",
}

local function with(more)
  local known = {}
  for name, kind in pairs(common_options) do
    known[name] = kind
  end
  for name, kind in pairs(more) do
    known[name] = kind
  end
  return known
end

local new_options = with { key = "tcpki.key|table", path_length = "integer", name_constraints = "table" }
local issue_options = with {
  key = "tcpki.key|table",
  csr = "tcpki.csr",
  usage = "string",
  path_length = "integer",
  name_constraints = "table",
}
local sign_options = with { usage = "string" }
local load_options = { chain = "table|tcpki.chain|tcpki.bundle", crl = "tcpki.crl" }

local function make_authority(certificate, key, above)
  local self = setmetatable({ certificate = certificate, key = key, chain = { certificate } }, metatable)
  table.move(above, 1, #above, 2, self.chain)
  -- What goes into the chains of what it issues. Found out once, for it takes a look at every signature.
  self.sent = {}
  for _, issuer in ipairs(self.chain) do
    if not issuer:self_signed() then
      table.insert(self.sent, issuer)
    end
  end
  local last = self.sent[#self.sent]
  self.missing = tostring(last and last:issuer() or certificate:subject())
  self.room = room_below(self.chain)
  self.revocations = {}
  self.crl_number = "0"
  return self
end

--- Makes a root: a new key (or the given one) and a self-signed certificate with critical basicConstraints
-- CA:true and critical keyUsage keyCertSign and cRLSign.
-- @tparam table given `subject` (or `common_name`), `days` (3650 by default), `key` (a private key, or options for
-- `tcpki.key.generate`; P-256 by default), `path_length`, `name_constraints` ({permitted =, excluded =}),
-- `not_before`, `not_after`, `serial`, `digest`, `subject_alt_names`, `crl_distribution_points`
-- @treturn[1] authority with `certificate`, `key` and `chain`
-- @treturn[2] nil
-- @treturn[2] fault `bad_name`, `bad_time`, …
function authority.new(given)
  given = check_days("tcpki.authority.new", options.check("tcpki.authority.new", given, new_options))
  local subject = subject_of("tcpki.authority.new", given)
  if not subject then
    error("tcpki.authority.new: an authority needs a subject", 2)
  end
  local key, err = key_of(given.key)
  if not key then
    return nil, err
  end
  if not key:is_private() then
    return fault.fail { code = "no_private_key", message = "the key has no private half", hint = "pass a private key" }
  end
  local not_before, not_after = validity_of("tcpki.authority.new", given, 3650)
  local certificate
  certificate, err = core.certificate.make {
    subject = subject,
    subject_alt_names = given.subject_alt_names,
    not_before = not_before,
    not_after = not_after,
    serial = given.serial,
    digest = given.digest,
    basic_constraints = { ca = true, path_length = given.path_length },
    key_usage = profiles.ca.key_usage,
    name_constraints = given.name_constraints,
    crl_distribution_points = given.crl_distribution_points,
    public_key = key,
    issuer_key = key,
  }
  if not certificate then
    return nil, err
  end
  local ok
  ok, err = check_named(certificate, "ca")
  if not ok then
    return nil, err
  end
  return make_authority(certificate, key, {})
end

local function has(list, word)
  for _, other in ipairs(list) do
    if other == word then
      return true
    end
  end
  return false
end

local function check_is_authority(certificate)
  local constraints = certificate:basic_constraints()
  local usage = certificate:key_usage()
  local lack
  if not (constraints and constraints.ca) then
    lack = "it does not have basicConstraints CA:true"
  elseif usage and not has(usage, "key_cert_sign") then
    lack = "its key usage does not have keyCertSign"
  end
  if lack then
    return fault.fail {
      code = "not_an_authority",
      message = "the certificate cannot issue: " .. lack,
      subject = tostring(certificate:subject()),
    }
  end
  return true
end

-- The certificates above, from the issuer to the root, out of a heap.
local function above_of(certificate, heap)
  local built, err = chain.new({ table.unpack(heap) }, { leaf = certificate })
  if not built then
    return nil, err
  end
  return table.move(built, 2, #built, 1, {})
end

-- Adds one to a hexadecimal number of any length.
local function increment(hex)
  local digits = {}
  local carry = 1
  for i = #hex, 1, -1 do
    local digit = tonumber(hex:sub(i, i), 16) + carry
    carry = digit // 16
    table.insert(digits, 1, ("%x"):format(digit % 16))
  end
  return (carry == 1 and "1" or "") .. table.concat(digits)
end

--- Takes up an authority that exists.
-- @tparam certificate certificate with CA:true and keyCertSign
-- @tparam key key its private key
-- @tparam[opt] table given `chain` (certificates above it, in any order: their constraints count, and they go into
-- the chains of what it issues), `crl` (its last CRL: number and entries are carried on)
-- @treturn[1] authority
-- @treturn[2] nil
-- @treturn[2] fault `not_an_authority`, `key_mismatch`, `no_private_key`, `issuer_mismatch`
function authority.load(certificate, key, given)
  options.expect("tcpki.authority.load", "certificate", certificate, "tcpki.certificate")
  options.expect("tcpki.authority.load", "key", key, "tcpki.key")
  given = options.check("tcpki.authority.load", given, load_options)
  local ok, err = check_is_authority(certificate)
  if not ok then
    return nil, err
  end
  if not key:matches(certificate) then
    return fault.fail {
      code = "key_mismatch",
      message = "the key is not the key of the certificate",
      subject = tostring(certificate:subject()),
    }
  end
  if not key:is_private() then
    return fault.fail { code = "no_private_key", message = "the key has no private half" }
  end
  local above
  above, err = above_of(certificate, given.chain or {})
  if not above then
    return nil, err
  end
  local self = make_authority(certificate, key, above)
  if given.crl then
    ok, err = given.crl:verify(certificate)
    if not ok then
      return nil, err
    end
    local entries
    entries, err = given.crl:entries()
    if not entries then
      return nil, err
    end
    self.revocations = entries
    self.crl_number = given.crl:number() or "0"
  end
  return self
end

-- Whether a subject, as a list or by its fields, has no entry.
local function is_empty(subject)
  for field in pairs(subject) do
    if field ~= "text" then
      return false
    end
  end
  return true
end

-- What a certificate is for: the key, the names and where they come from.
local function content_of(where, given)
  if given.csr and given.key then
    error(("%s: pass key or csr, not both"):format(where), 3)
  end
  local subject = subject_of(where, given)
  if given.csr then
    local content, err = from_csr(given.csr)
    if not content then
      return nil, err
    end
    content.subject = subject or content.subject
    if given.subject_alt_names then
      content.names = nil
    elseif content.names then
      content.names.critical = is_empty(content.subject)
    end
    return content
  end
  if not subject and not given.subject_alt_names then
    error(("%s: a certificate needs a common_name, a subject or subject_alt_names"):format(where), 3)
  end
  local key, err = key_of(given.key)
  if not key then
    return nil, err
  end
  return { key = key, public_key = key, subject = subject or {} }
end

local function issue(self, where, given)
  local usage = given.usage or (given.csr and "client")
  local profile = usage and profiles[usage]
  if not profile then
    error(("%s: option 'usage' is %s (known: ca, client, peer, server)"):format(where, tostring(usage)), 3)
  end
  if not profile.ca and (given.path_length or given.name_constraints) then
    error(("%s: path_length and name_constraints go with usage \"ca\""):format(where), 3)
  end
  local content, err = content_of(where, given)
  if not content then
    return nil, err
  end
  local not_before, not_after = validity_of(where, given, profile.days, self.certificate)
  if not not_before then
    return nil, not_after
  end
  local ok, path_length = check_room(self)
  if ok and profile.ca then
    ok, path_length = path_length_below(self, given.path_length)
  end
  if not ok then
    return nil, path_length
  end
  local certificate
  certificate, err = core.certificate.make {
    subject = content.subject,
    subject_alt_names = given.subject_alt_names,
    not_before = not_before,
    not_after = not_after,
    serial = given.serial,
    digest = given.digest,
    basic_constraints = { ca = profile.ca or false, path_length = path_length },
    key_usage = key_usage_of(profile, content.public_key),
    extended_key_usage = profile.extended_key_usage,
    name_constraints = given.name_constraints,
    crl_distribution_points = given.crl_distribution_points,
    extensions = content.names and { content.names } or nil,
    public_key = content.public_key,
    issuer = self.certificate,
    issuer_key = self.key,
  }
  if not certificate then
    return nil, err
  end
  ok, err = check_named(certificate, usage)
  if ok then
    ok, err = check_names(self, certificate)
  end
  if not ok then
    return nil, err
  end
  local issued = chain_of(self, certificate)
  local key = content.key and content.key:is_private() and content.key or nil
  return setmetatable({ key = key, certificate = certificate, chain = issued }, leaf_metatable)
end

--- Issues a certificate: for a new key, a given one, or a CSR.
-- @tparam table given `usage` ("client", "server", "peer" for both, or "ca"), `common_name` or `subject`,
-- `subject_alt_names` (needed for server and peer), `days` (90 by default), `key` (a key, or options for
-- `tcpki.key.generate`), or `csr` (its names come through in full), `not_before`, `not_after`, `serial`, `digest`,
-- `crl_distribution_points`; for "ca" also `path_length` and `name_constraints`
-- @treturn[1] leaf with `certificate`, `chain` (leaf first, without the root) and, where the private key is known,
-- `key`
-- @treturn[2] nil
-- @treturn[2] fault `outlives_issuer`, `path_length_exceeded`, `name_not_permitted`, `bad_signature`, `bad_name`, …
function methods:issue(given)
  given = check_days("authority:issue", options.check("authority:issue", given, issue_options))
  return issue(self, "authority:issue", given)
end

--- Signs a CSR, after a check of its own signature. Its subject and names are kept unless others are given.
-- @tparam csr csr
-- @tparam[opt] table given as for `issue`, without `key`; `usage` is "client" by default
-- @treturn[1] leaf without a key
-- @treturn[2] nil
-- @treturn[2] fault as for `issue`
function methods:sign(csr, given)
  options.expect("authority:sign", "csr", csr, "tcpki.csr")
  given = check_days("authority:sign", options.check("authority:sign", given, sign_options))
  local all = { csr = csr }
  for name, value in pairs(given) do
    all[name] = value
  end
  return issue(self, "authority:sign", all)
end

--- Makes an authority under this one.
-- @tparam table given `common_name` or `subject`, `days` (1825 by default), `key`, `path_length` (by default one less
-- than this one has), `name_constraints`, …
-- @treturn[1] authority
-- @treturn[2] nil
-- @treturn[2] fault `path_length_exceeded`, `outlives_issuer`, …
function methods:subordinate(given)
  given = check_days("authority:subordinate", options.check("authority:subordinate", given, new_options))
  local all = { usage = "ca" }
  for name, value in pairs(given) do
    all[name] = value
  end
  local issued, err = issue(self, "authority:subordinate", all)
  if not issued then
    return nil, err
  end
  if not issued.key then
    return fault.fail { code = "no_private_key", message = "the key has no private half", hint = "pass a private key" }
  end
  return make_authority(issued.certificate, issued.key, self.chain)
end

-- RFC 5280, section 5.3.1.
local reasons = {
  "aa_compromise", "affiliation_changed", "ca_compromise", "certificate_hold", "cessation_of_operation",
  "key_compromise", "privilege_withdrawn", "remove_from_crl", "superseded", "unspecified",
}

-- The form that `certificate:serial` gives: lowercase, whole bytes, no more zeros than that.
local function serial_of(text)
  local digits = text:gsub("[:%s]", ""):lower():gsub("^0+", "")
  if not text:find "%x" or digits:find "%X" then
    return fault.fail {
      code = "bad_name",
      message = ("'%s' is not a serial number"):format(text),
      hint = "pass the certificate, or its serial number in hex",
    }
  end
  return (#digits == 0 and "0") or (#digits % 2 == 1 and "0" .. digits) or digits
end

-- What a CRL cannot hold would be found only by the next one, and by every one after it.
local function check_entry(serial, at)
  if serial:find "%X" or #serial > 40 or (#serial == 40 and serial:find "^[89a-f]") then
    return fault.fail {
      code = "bad_name",
      message = ("the serial number %s is negative, or has more than 159 bits"):format(serial),
      hint = "RFC 5280, section 4.1.2.2: a serial number is positive and has at most 20 octets",
    }
  end
  if at < EARLIEST or at > LATEST then
    return fault.fail { code = "bad_time", message = ("%d is not a time between 1900 and 9999"):format(at),
      hint = "pass seconds since the epoch" }
  end
  return true
end

--- Notes a certificate as revoked; the next `crl` lists it. Revoking twice changes nothing.
-- @tparam certificate|string which a certificate of this authority, or its serial number in hex
-- @tparam[opt] table given `reason` ("key_compromise", "superseded", …; unspecified by default), `at` (seconds since
-- the epoch; now by default)
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault `issuer_mismatch`, `bad_name` for a serial number that is none, `bad_time`
function methods:revoke(which, given)
  options.expect("authority:revoke", "which", which, "tcpki.certificate|string")
  given = options.check("authority:revoke", given, { reason = "string", at = "integer" })
  if given.reason and not has(reasons, given.reason) then
    error(("authority:revoke: option 'reason' is '%s' (known: %s)"):format(given.reason, table.concat(reasons,
      ", ")), 2)
  end
  local serial, err
  if type(which) == "string" then
    serial, err = serial_of(which)
    if not serial then
      return nil, err
    end
  else
    if not which:issued_by(self.certificate) then
      return fault.fail {
        code = "issuer_mismatch",
        message = "the certificate was not issued by this authority",
        subject = tostring(which:subject()),
      }
    end
    serial = which:serial()
  end
  local at = given.at or os.time()
  local ok
  ok, err = check_entry(serial, at)
  if not ok then
    return nil, err
  end
  for _, entry in ipairs(self.revocations) do
    if entry.serial == serial then
      return true
    end
  end
  table.insert(self.revocations, { serial = serial, time = at, reason = given.reason })
  return true
end

--- Makes and signs the next CRL.
-- @tparam[opt] table given `days` until the next one (30 by default), `at` (seconds since the epoch; ten minutes ago by
-- default), `digest`
-- @treturn[1] crl
-- @treturn[2] nil
-- @treturn[2] fault `bad_time`, `not_an_authority` where the key usage lacks cRLSign, …
function methods:crl(given)
  given = options.check("authority:crl", given, { days = "integer", at = "integer", digest = "string" })
  check_days("authority:crl", given)
  local usage = self.certificate:key_usage()
  if usage and not has(usage, "crl_sign") then
    return fault.fail {
      code = "not_an_authority",
      message = "the certificate cannot issue a CRL: its key usage does not have cRLSign",
      subject = tostring(self.certificate:subject()),
    }
  end
  local at = given.at or (os.time() - BACKDATED)
  local number = increment(self.crl_number)
  local crl, err = core.crl.make {
    issuer = self.certificate,
    key = self.key,
    number = number,
    this_update = at,
    next_update = at + (given.days or 30) * DAY,
    entries = self.revocations,
    digest = given.digest,
  }
  if not crl then
    return nil, err
  end
  self.crl_number = number
  return crl
end

--- Writes key and chain as a pair. A crash between the two leaves the old pair usable: it is put back, or the new one
-- completed, by the next call, which says so.
-- @tparam string key_path mode 0600
-- @tparam string chain_path mode 0644
-- @tparam[opt] table write_options `overwrite` (false by default), `passphrase`, `passphrase_file`, `passphrase_env`,
-- `format`
-- @treturn[1] boolean true
-- @treturn[1] ?string "undone" or "finished" where an interrupted write of before was mended first
-- @treturn[2] nil
-- @treturn[2] fault `already_exists`, `no_private_key`, `busy`, …
function leaf_methods:write(key_path, chain_path, write_options)
  if not self.key then
    return fault.fail {
      code = "no_private_key",
      message = "the private key is not here: the certificate was made for a CSR or a public key",
      hint = "write the chain alone: leaf.chain:write(path)",
    }
  end
  local pem, err = self.chain:pem()
  if not pem then
    return nil, err
  end
  return self.key:write_pair(key_path, chain_path, pem, write_options)
end

return authority

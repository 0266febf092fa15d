--- What an authority has revoked: its list, and the CRLs that say so.
-- @module tcpki.authority.revocation

local core = require "tcpki.core"
local fault = require "tcpki.fault"
local limits = require "tcpki.authority.limits"
local options = require "tcpki.options"

local revocation = {}

-- The times that a certificate or CRL can hold: 1900 to 9999.
local EARLIEST, LATEST = -2208988800, 253402300799

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

--- Begins the list of an authority: empty, or where its last CRL ended.
-- @tparam authority self
-- @tparam[opt] crl last
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault `bad_signature`, …; what the next CRL could not hold: `bad_name`, `bad_time`
function revocation.begin(self, last)
  self.revocations, self.crl_number = {}, "0"
  if not last then
    return true
  end
  local ok, err = last:verify(self.certificate)
  if not ok then
    return nil, err
  end
  local entries
  entries, err = last:entries()
  if not entries then
    return nil, err
  end
  for _, entry in ipairs(entries) do
    ok, err = check_entry(entry.serial, entry.time)
    if not ok then
      return nil, err
    end
  end
  self.revocations, self.crl_number = entries, last:number() or "0"
  return true
end

-- Ten minutes ago, for readers whose clocks run behind; but not before a revocation that the CRL lists (RFC 5280,
-- sections 5.1.2.4 and 5.1.2.6), so far as that is no time to come.
local function date_of(entries)
  local now = os.time()
  local at = now - limits.BACKDATED
  for _, entry in ipairs(entries) do
    if entry.time > at and entry.time <= now then
      at = entry.time
    end
  end
  return at
end

--- Throws where a reason is none that a CRL knows.
-- @tparam string where the function that was called
-- @tparam ?string reason
-- @tparam integer level of the error, counted from here
function revocation.check_reason(where, reason, level)
  if reason and not options.has(reasons, reason) then
    error(("%s: option 'reason' is '%s' (known: %s)"):format(where, reason, table.concat(reasons, ", ")), level)
  end
end

--- Gives authorities their methods `revoke` and `crl`.
-- @tparam table methods
function revocation.add_methods(methods)
  --- Notes a certificate as revoked; the next `crl` lists it. Revoking twice changes nothing.
  -- @tparam certificate|string which a certificate of this authority, or its serial number in hex
  -- @tparam[opt] table given `reason` ("key_compromise", "superseded", …; unspecified by default), `at` (seconds since
  -- the epoch; ten minutes ago by default, as the CRL that lists it is dated)
  -- @treturn[1] boolean true
  -- @treturn[2] nil
  -- @treturn[2] fault `issuer_mismatch`, `bad_name` for a serial number that is none, `bad_time`
  function methods:revoke(which, given)
    options.expect("authority:revoke", "which", which, "tcpki.certificate|string")
    given = options.check("authority:revoke", given, { reason = "string", at = "integer" })
    revocation.check_reason("authority:revoke", given.reason, 3)
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
    local at = given.at or (os.time() - limits.BACKDATED)
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
  -- @tparam[opt] table given `days` until the next one (30 by default), `at` (seconds since the epoch; by default ten
  -- minutes ago, or the last revocation where that is later), `digest`
  -- @treturn[1] crl
  -- @treturn[2] nil
  -- @treturn[2] fault `bad_time`, `not_an_authority` where the key usage lacks cRLSign, …
  function methods:crl(given)
    given = options.check("authority:crl", given, { days = "integer", at = "integer", digest = "string" })
    limits.days("authority:crl", given)
    local usage = self.certificate:key_usage()
    if usage and not options.has(usage, "crl_sign") then
      return fault.fail {
        code = "not_an_authority",
        message = "the certificate cannot issue a CRL: its key usage does not have cRLSign",
        subject = tostring(self.certificate:subject()),
      }
    end
    local at = given.at or date_of(self.revocations)
    local number = increment(self.crl_number)
    local crl, err = core.crl.make {
      issuer = self.certificate,
      key = self.key,
      number = number,
      this_update = at,
      next_update = at + (given.days or 30) * limits.DAY,
      entries = self.revocations,
      digest = given.digest,
    }
    if not crl then
      return nil, err
    end
    self.crl_number = number
    return crl
  end
end

return revocation

--- The client CAs that a namespace accepts: what `accepted-client-ca list|add|remove|set` does, offline, on a bundle.
--
--     local accepted = require "tcpki.cloud.accepted"
--     local listed = io.popen "tcld namespace accepted-client-ca list --namespace payments.a1b2c":read "a"
--     local bundle = assert(accepted.parse(listed))
--     local after = assert(accepted.add(bundle, new_ca))
--     print(accepted.difference(bundle, after))
--
-- No function changes the bundle that it is given. Certificates are the same where their DER is, because the API
-- changes the white space of what it is sent. The messages of faults are those of the command-line tool.
-- @module tcpki.cloud.accepted

local date = require "tcpki.date"
local base64 = require "tcpki.pem.base64"
local bundles = require "tcpki.bundle"
local core = require "tcpki.core"
local fault = require "tcpki.fault"
local go_name = require "tcpki.go.name"
local json = require "tcpki.json"
local options = require "tcpki.options"
local quote = require "tcpki.pem.quote"

local accepted = {}

local order = { "fingerprint", "issuer", "subject", "notBefore", "notAfter", "base64EncodedData" }

local function expect_bundle(where, name, value)
  if not bundles.is(value) then
    options.expect(where, name, value, "tcpki.bundle")
  end
  options.list(where, "certificate", value, "tcpki.certificate")
end

local function name_of(certificate, which)
  local entries, err = certificate[which](certificate)
  local der
  if entries then
    der, err = certificate[which .. "_der"](certificate)
  end
  if not der then
    return nil, err
  end
  return go_name(entries, der)
end

local function row_of(certificate)
  local fingerprint, err = certificate:fingerprint "sha1"
  local pem, issuer, subject
  if fingerprint then
    pem, err = certificate:pem()
  end
  if pem then
    issuer, err = name_of(certificate, "issuer")
  end
  if issuer then
    subject, err = name_of(certificate, "subject")
  end
  if not subject then
    return nil, err
  end
  return { fingerprint = fingerprint, issuer = issuer, subject = subject, not_before = certificate:not_before(),
    not_after = certificate:not_after(), base64_encoded_data = quote(pem:match "^(.-)%s*$", "base64") }
end

--- The certificates as the command-line tool lists them.
-- @tparam bundle bundle
-- @treturn[1] {table,…} `{ fingerprint = (SHA-1, lowercase hex), issuer =, subject = (as Go prints names),
-- not_before =, not_after = (seconds), base64_encoded_data = (of the PEM) }`
-- @treturn[2] nil
-- @treturn[2] fault
function accepted.list(bundle)
  expect_bundle("tcpki.cloud.accepted.list", "bundle", bundle)
  local rows = {}
  for i, certificate in ipairs(bundle) do
    local err
    rows[i], err = row_of(certificate)
    if not rows[i] then
      return nil, err
    end
  end
  return rows
end

--- The list as the JSON that `tcld namespace accepted-client-ca list` prints.
-- @tparam bundle bundle
-- @treturn[1] string with a line end
-- @treturn[2] nil
-- @treturn[2] fault
function accepted.json(bundle)
  local rows, err = accepted.list(bundle)
  if not rows then
    return nil, err
  end
  local objects = {}
  for i, row in ipairs(rows) do
    objects[i] = { fingerprint = row.fingerprint, issuer = row.issuer, subject = row.subject,
      notBefore = date.rfc3339(row.not_before), notAfter = date.rfc3339(row.not_after),
      base64EncodedData = row.base64_encoded_data }
  end
  return json.write(objects, order) .. "\n"
end

local LIST_HINT = "pass what 'tcld namespace accepted-client-ca list' prints"

local function bad_list(message)
  return fault.fail { code = "bad_list", message = "not a list of accepted client CAs: " .. message, hint = LIST_HINT }
end

local DIALECT = { blanks = "[ \t\r\n]", padding = "required" }

local function decode(text)
  return base64.decode(DIALECT, text)
end

-- One tool writes base64EncodedData, the other Base64EncodedData.
local function member(object, name)
  local value = object[name]
  if value == nil then
    value = object[name:gsub("^%l", string.upper)]
  end
  return value
end

local function certificate_of(object, number)
  if type(object) ~= "table" then
    return bad_list(("entry %d is %s"):format(number, json.kind(object)))
  end
  local data = member(object, "base64EncodedData")
  if type(data) ~= "string" then
    return bad_list(("entry %d has no base64EncodedData"):format(number))
  end
  local pem = decode(data)
  if not pem then
    return bad_list(("the base64EncodedData of entry %d is not base64"):format(number))
  end
  local certificate, err = core.certificate.parse(pem)
  if not certificate then
    err.message = ("entry %d: %s"):format(number, err.message)
    return nil, err
  end
  local fingerprint = member(object, "fingerprint")
  if fingerprint ~= nil and fingerprint ~= certificate:fingerprint "sha1" then
    return bad_list(("the fingerprint of entry %d is not that of its certificate"):format(number))
  end
  return certificate
end

--- Reads the JSON of `list`, of either command-line tool.
-- @tparam string text
-- @treturn[1] bundle
-- @treturn[2] nil
-- @treturn[2] fault `bad_list`, and what reading a certificate gives
function accepted.parse(text)
  options.expect("tcpki.cloud.accepted.parse", "text", text, "string")
  local list, err = json.read(text, "bad_list", "a list of accepted client CAs", LIST_HINT)
  if list == nil then
    return nil, err
  end
  if list == json.null then
    list = {}
  elseif not text:find "^%s*%[" then
    return bad_list("it is " .. (type(list) == "table" and "an object" or json.kind(list)))
  end
  local certificates = {}
  for number, object in ipairs(list) do
    certificates[number], err = certificate_of(object, number)
    if not certificates[number] then
      return nil, err
    end
  end
  return bundles.new(certificates)
end

-- A certificate, or an array or bundle of them.
local function several(where, name, value)
  options.expect(where, name, value, "tcpki.certificate|tcpki.bundle|tcpki.chain|table")
  local list = type(value) == "table" and value or { value }
  return options.list(where, name, list, "tcpki.certificate")
end

--- Adds certificates.
-- @tparam bundle bundle
-- @tparam certificate|{certificate,…} what
-- @treturn[1] bundle another one
-- @treturn[2] nil
-- @treturn[2] fault `already_exists`, `nothing_to_change`
function accepted.add(bundle, what)
  local where = "tcpki.cloud.accepted.add"
  expect_bundle(where, "bundle", bundle)
  local list = several(where, "certificate", what)
  local after, err = bundles.new(bundle)
  if not after then
    return nil, err
  end
  for _, certificate in ipairs(list) do
    if not after:add(certificate) then
      return fault.fail { code = "already_exists", subject = tostring(certificate:subject()),
        message = ("certificate with fingerprint '%s' already exists"):format(certificate:fingerprint "sha1"),
        hint = "leave it out" }
    end
  end
  if #list == 0 then
    return fault.fail { code = "nothing_to_change", message = "nothing to change", hint = "name a certificate to add" }
  end
  return after
end

local function nothing_left()
  return fault.fail { code = "last_certificate", message = "cannot remove all certificates when mTLS is enabled",
    hint = "add the new CA first; a namespace without one lets nobody in with a certificate" }
end

local function names_of(where, which)
  if type(which) == "string" then
    return { which }
  end
  options.expect(where, "which", which, "tcpki.certificate|string|tcpki.bundle|table")
  local list = type(which) == "table" and which or { which }
  return options.list(where, "certificate", list, "tcpki.certificate|string")
end

--- Removes certificates.
-- @tparam bundle bundle
-- @tparam certificate|string|{certificate|string,…} which certificates, or fingerprints as `list` shows them (SHA-1;
-- SHA-256 will do, and so will colons)
-- @treturn[1] bundle another one
-- @treturn[2] nil
-- @treturn[2] fault `not_found`, `last_certificate`, `nothing_to_change`
function accepted.remove(bundle, which)
  local where = "tcpki.cloud.accepted.remove"
  expect_bundle(where, "bundle", bundle)
  local list = names_of(where, which)
  local after, err = bundles.new(bundle)
  if not after then
    return nil, err
  end
  for _, name in ipairs(list) do
    if not after:remove(name) then
      local fingerprint = type(name) == "string" and name or name:fingerprint "sha1"
      return fault.fail { code = "not_found",
        message = ("certificate with fingerprint '%s' does not exist"):format(fingerprint),
        hint = "the fingerprints are those of 'accepted-client-ca list'" }
    end
  end
  if #list == 0 then
    return fault.fail { code = "nothing_to_change", message = "nothing to change",
      hint = "name a certificate to remove" }
  end
  if #after == 0 then
    return nothing_left()
  end
  return after
end

--- Puts other certificates in the place of all.
-- @tparam bundle bundle
-- @tparam bundle|{certificate,…} what
-- @treturn[1] bundle another one
-- @treturn[2] nil
-- @treturn[2] fault `nothing_to_change`, `last_certificate`
function accepted.set(bundle, what)
  local where = "tcpki.cloud.accepted.set"
  expect_bundle(where, "bundle", bundle)
  local after, err = bundles.new(several(where, "certificate", what))
  if not after then
    return nil, err
  elseif #after == 0 then
    return nothing_left()
  end
  local difference = bundle:difference(after)
  if #difference.added == 0 and #difference.removed == 0 then
    return fault.fail { code = "nothing_to_change", message = "nothing to change",
      hint = "these certificates are accepted already" }
  end
  return after
end

local difference_metatable = { __name = "tcpki.cloud.difference" }

function difference_metatable:__tostring()
  local lines = {}
  for _, part in ipairs { { "+", self.added }, { "-", self.removed } } do
    for _, certificate in ipairs(part[2]) do
      lines[#lines + 1] = ("%s %s (SHA-1 %s, until %s)"):format(part[1], certificate:subject(),
        certificate:fingerprint "sha1", date.day(certificate:not_after()))
    end
  end
  return #lines > 0 and table.concat(lines, "\n") or "nothing to change"
end

--- What must be done to one bundle to get another.
-- @tparam bundle before
-- @tparam bundle after
-- @treturn table `{ added = {certificate,…}, removed = {certificate,…} }`; `tostring` gives a line each
function accepted.difference(before, after)
  expect_bundle("tcpki.cloud.accepted.difference", "before", before)
  expect_bundle("tcpki.cloud.accepted.difference", "after", after)
  return setmetatable(before:difference(after), difference_metatable)
end

--- The value of `accepted_client_ca` for Terraform, of `--ca-certificate`, and of the API over HTTP: the base64 of the
-- PEM. Over gRPC the API takes the PEM itself, `bundle:pem()`.
-- @tparam bundle bundle
-- @treturn[1] string without a line end
-- @treturn[2] nil
-- @treturn[2] fault
function accepted.payload(bundle)
  expect_bundle("tcpki.cloud.accepted.payload", "bundle", bundle)
  local pem, err = bundle:pem()
  if not pem then
    return nil, err
  end
  return quote(pem, "base64")
end

--- Reads such a value, white space around it and line ends at its end included.
-- @tparam string text
-- @treturn[1] bundle
-- @treturn[2] nil
-- @treturn[2] fault `bad_payload`, and what reading the certificates gives
function accepted.parse_payload(text)
  options.expect("tcpki.cloud.accepted.parse_payload", "text", text, "string")
  local pem = decode(text)
  if not pem or pem == "" then
    return fault.fail { code = "bad_payload", message = "not the base64 of a CA bundle",
      hint = "base64 -w0 ca-bundle.pem" }
  end
  return bundles.parse(pem)
end

return accepted

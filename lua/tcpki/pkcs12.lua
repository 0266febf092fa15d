--- PKCS#12 (.pfx, .p12): a key with its chain in one file, read and written.
--
--     local file = assert(tcpki.pkcs12.new{ key = leaf.key, chain = leaf.chain, name = "payments" })
--     assert(file:write("payments.pfx", { passphrase_env = "PFX_PASSPHRASE" }))
--     local again = assert(tcpki.pkcs12.read("payments.pfx", { passphrase_env = "PFX_PASSPHRASE" }))
--     print(again.certificate:subject(), #again.chain, again.name)
--
-- What was read is told by its key, not by its place: `key`, `certificate` (the one of the key), `chain` (leaf
-- first), `others` (certificates beside the chain, in the order of the file), `name` (the friendly name), `mac`
-- (`{ digest =, iterations = }`, nil where there is none). A file without a key, such as a trust store, has neither
-- `key` nor `certificate` nor `chain`; its certificates are the `others`.
--
-- The profiles of `write`:
--
-- * `modern`, the default: AES-256-CBC, PBKDF2-HMAC-SHA256 and a MAC over SHA-256, each with 100 000 iterations. Read
--   by OpenSSL 1.1, Java 12 (8u301, 11.0.12), Go, .NET on Windows Server 2019 and later.
-- * `compatible`: 3DES and SHA-1, 2048 iterations: what older Windows, macOS and Azure Key Vault read. OpenSSL 3
--   reads it without its legacy provider. It protects little; treat the file as the key itself.
-- * `passwordless`: nothing is encrypted, and the MAC is over the empty passphrase, as the scripts of Temporal's
--   samples write it (`-keypbe NONE -certpbe NONE -passout pass:`). Java opens such a file and finds nothing in it.
--
-- Reading bounds the work: a file that asks for more than 10 000 000 iterations in all is the fault `too_costly`.
-- @module tcpki.pkcs12

local chain = require "tcpki.chain"
local core = require "tcpki.core"
local fault = require "tcpki.fault"
local options = require "tcpki.options"
local report = require "tcpki.report"

local pkcs12 = {}

-- What is to be known of a file by who writes it.
local UNPROTECTED = {
  code = "unprotected",
  severity = "warning",
  message = "the key is not encrypted, and Java opens such a file without an error but finds no entry in it",
  hint = 'where Java is to read it, use profile = "compatible" or "modern" with a passphrase',
}
local NOT_ASCII = {
  code = "passphrase_not_ascii",
  severity = "warning",
  message = "the passphrase is not ASCII: Java reads no file with such a one, and OpenSSL before 1.1 took its bytes "
    .. "for characters",
  hint = "where these are to read it, use a passphrase of ASCII",
}

local profile_names = { modern = true, compatible = true, passwordless = true }
-- A third of what reading allows: the MAC, the certificates and the key take as many each.
local ITERATIONS_LIMIT = 10000000 // 3

local methods = {}
local metatable = { __name = "tcpki.pkcs12", __index = methods }

function metatable:__tostring()
  local count = #(self.chain or {}) + #self.others
  return ("tcpki.pkcs12 (%s, %d certificate%s)"):format(
    self.certificate and tostring(self.certificate:subject()) or self.key and "a key" or "no key",
    count, count == 1 and "" or "s")
end

local function is_profile(value)
  return profile_names[value] == true
end

local passphrase_options = {
  passphrase = "string|function",
  passphrase_file = "string",
  passphrase_env = "string",
}

local function with_passphrase(known)
  for name, kind in pairs(passphrase_options) do
    known[name] = kind
  end
  return known
end

local new_options = {
  key = "tcpki.key",
  chain = "tcpki.chain|tcpki.bundle|table",
  certificate = "tcpki.certificate",
  others = "table",
  name = "string",
}
local read_options = with_passphrase { name = "string" }
local write_options = with_passphrase {
  profile = { is_profile, '"modern", "compatible" or "passwordless"' },
  iterations = "integer",
  overwrite = "boolean",
}

-- The chain of a key out of a heap of certificates: the first of those that are the key's begins it.
local function arrange(self, certificates, leaf)
  for _, certificate in ipairs(certificates) do
    if not leaf and self.key:matches(certificate) then
      leaf = certificate
    end
  end
  if not leaf then
    self.others = certificates
    return self
  end
  local built, err = chain.new(certificates, { leaf = leaf })
  if not built then
    return nil, err
  end
  self.certificate, self.chain, self.others = leaf, built, built.foreign
  return self
end

--- Puts a key and its certificates together.
-- @tparam table given `key` (private), `chain` (a chain, a bundle or an array of certificates, in any order: the
-- leaf is the one of the key) or `certificate`, `others` (an array: certificates that are to stand beside the
-- chain), `name` (the friendly name, which Java takes as the alias)
-- @treturn[1] pkcs12
-- @treturn[2] nil
-- @treturn[2] fault `key_mismatch`, `no_private_key`
function pkcs12.new(given)
  given = options.check("tcpki.pkcs12.new", given, new_options)
  options.expect("tcpki.pkcs12.new", "option 'key'", given.key, "tcpki.key")
  options.exclude("tcpki.pkcs12.new", given, { { "chain", "certificate" } })
  local certificates = given.chain or { given.certificate }
  if #certificates == 0 then
    error("tcpki.pkcs12.new: pass chain or certificate", 2)
  end
  options.list("tcpki.pkcs12.new", "certificate", certificates, "tcpki.certificate")
  options.list("tcpki.pkcs12.new", "other certificate", given.others or {}, "tcpki.certificate")
  if given.name == "" then
    error("tcpki.pkcs12.new: option 'name' is empty", 2)
  end
  if not given.key:is_private() then
    return fault.fail { code = "no_private_key", message = "the key has no private half", hint = "pass a private key" }
  end
  local heap = table.move(certificates, 1, #certificates, 1, {})
  table.move(certificates.foreign or {}, 1, #(certificates.foreign or {}), #heap + 1, heap)
  table.move(given.others or {}, 1, #(given.others or {}), #heap + 1, heap)
  local self, err = arrange(setmetatable({ key = given.key, name = given.name }, metatable), heap)
  if not self then
    return nil, err
  end
  if not self.certificate then
    return fault.fail {
      code = "key_mismatch",
      message = "none of the certificates is the key's",
      subject = tostring(certificates[1]:subject()),
    }
  end
  return self
end

local function label(entry)
  return entry.name and ("%q"):format(entry.name)
    or entry.local_key_id and "one without a name, of the localKeyID " .. entry.local_key_id
    or "one without a name"
end

-- The one key of the entries, or of those with the name.
local function choose_key(entries, name)
  local chosen, several
  local labels = {}
  for _, entry in ipairs(entries) do
    if entry.type == "key" then
      labels[#labels + 1] = label(entry)
      if name == nil or entry.name == name then
        several = several or (chosen and chosen.key ~= entry.key)
        chosen = chosen or entry
      end
    end
  end
  local list = table.concat(labels, ", ")
  if several then
    return fault.fail {
      code = "several",
      message = ("it holds %d keys: %s"):format(#labels, list),
      hint = "say which one: name = NAME",
    }
  end
  if name and not chosen then
    return fault.fail {
      code = "not_found",
      message = ("it holds no key of the name %q (it holds: %s)"):format(name, list == "" and "none" or list),
      hint = "pass one of these names, as it is written there; Java's tools write them in lower case",
    }
  end
  return chosen or false
end

-- Of several certificates of one key, the one that the file itself ties to it.
local function leaf_of(entries, chosen)
  for _, entry in ipairs(entries) do
    if entry.certificate and chosen.local_key_id and entry.local_key_id == chosen.local_key_id
      and chosen.key:matches(entry.certificate) then
      return entry.certificate
    end
  end
end

local function from_entries(content, name)
  local chosen, err = choose_key(content.entries, name)
  if err then
    return nil, err
  end
  local certificates = {}
  for _, entry in ipairs(content.entries) do
    certificates[#certificates + 1] = entry.certificate
  end
  local self = setmetatable({ content = content.entries, mac = content.mac, others = certificates }, metatable)
  if not chosen then
    return self
  end
  self.key, self.name = chosen.key, chosen.name
  return arrange(self, certificates, leaf_of(content.entries, chosen))
end

local function passphrase_of(given)
  return {
    passphrase = given.passphrase,
    passphrase_file = given.passphrase_file,
    passphrase_env = given.passphrase_env,
  }
end

local function open(where, reader, source, given)
  given = options.check(where, given, read_options, 4)
  local content, err = reader(source, passphrase_of(given))
  if not content then
    return nil, err
  end
  return from_entries(content, given.name)
end

--- Reads the bytes of a PKCS#12 file (DER).
-- @tparam string bytes
-- @tparam[opt] table given `passphrase` (a string, or a function that returns one; asked for only where the empty
-- passphrase and none do not open the file), `passphrase_file`, `passphrase_env`, `name` (of the one key to take,
-- where there are several)
-- @treturn[1] pkcs12
-- @treturn[2] nil
-- @treturn[2] fault `passphrase_required`, `bad_passphrase`, `bad_der` (damaged, though the passphrase is right where
-- the message says so), `wrong_kind` (it is something else; the message says what), `several`, `not_found`,
-- `too_costly`, `unsupported_encryption`, `trailing_data`, …
function pkcs12.parse(bytes, given)
  options.expect("tcpki.pkcs12.parse", "bytes", bytes, "string")
  return open("tcpki.pkcs12.parse", core.pkcs12.parse, bytes, given)
end

--- Reads a PKCS#12 file.
-- @tparam string path
-- @tparam[opt] table given as for `parse`
-- @treturn[1] pkcs12
-- @treturn[2] nil
-- @treturn[2] fault with the path
function pkcs12.read(path, given)
  local self, err = open("tcpki.pkcs12.read", core.pkcs12.read, path, given)
  if not self then
    err.path = err.path or path
    return nil, err
  end
  return self
end

local function plan(self, where, given)
  given = options.check(where, given, write_options, 4)
  local profile = given.profile or "modern"
  if profile == "passwordless" and (given.passphrase or given.passphrase_file or given.passphrase_env) then
    error(where .. ': profile "passwordless" takes no passphrase', 3)
  end
  if given.iterations and (given.iterations < 1 or given.iterations > ITERATIONS_LIMIT) then
    error(("%s: option 'iterations' must be from 1 to %d, not %d"):format(where, ITERATIONS_LIMIT,
      given.iterations), 3)
  end
  if not self.certificate then
    return fault.fail {
      code = self.key and "key_mismatch" or "no_private_key",
      message = self.key and "it holds no certificate of its key" or "it holds no key",
      hint = "make one: tcpki.pkcs12.new{ key =, chain = }",
    }
  end
  local what = passphrase_of(given)
  what.key, what.name, what.profile = self.key, self.name, profile
  what.iterations, what.overwrite = given.iterations, given.overwrite
  what.certificates = table.move(self.chain, 1, #self.chain, 1, {})
  table.move(self.others, 1, #self.others, #what.certificates + 1, what.certificates)
  return what
end

local function warning_of(what, ascii)
  local finding = what.profile == "passwordless" and UNPROTECTED or not ascii and NOT_ASCII
  return finding and report.new():add(finding) or nil
end

--- Writes the file with mode 0600: whole or not at all, the chain leaf first, then the others.
-- @tparam string path
-- @tparam table given `passphrase`, `passphrase_file` or `passphrase_env`; `profile` ("modern" by default,
-- "compatible", "passwordless", which takes no passphrase), `iterations` (those of the profile by default),
-- `overwrite` (false by default)
-- @treturn[1] boolean true
-- @treturn[1] ?report what readers will make of it: `unprotected`, `passphrase_not_ascii`
-- @treturn[2] nil
-- @treturn[2] fault `passphrase_required`, `bad_name`, `already_exists`, …
function methods:write(path, given)
  local what, err = plan(self, "pkcs12:write", given)
  if not what then
    return nil, err
  end
  local done, ascii = core.pkcs12.write(what, path)
  if not done then
    return nil, ascii
  end
  return true, warning_of(what, ascii)
end

--- The bytes of the file, as `write` writes them.
-- @tparam table given as for `write`, without `overwrite`
-- @treturn[1] string
-- @treturn[1] ?report
-- @treturn[2] nil
-- @treturn[2] fault
function methods:der(given)
  local what, err = plan(self, "pkcs12:der", given)
  if not what then
    return nil, err
  end
  local bytes, ascii = core.pkcs12.der(what)
  if not bytes then
    return nil, ascii
  end
  return bytes, warning_of(what, ascii)
end

local function describe_key(key)
  local kind, size = key:type(), key:curve() or key:bits()
  return kind == "ed25519" and kind or ("%s %s"):format(kind, size)
end

--- What is inside, without secrets: an array in the order of the file. Each has `type` ("key", "certificate", "crl",
-- "secret" or "other") and, where they exist, `name`, `local_key_id` (hex), `encryption` (in words; nil: in the
-- clear), `key` (in words, "ec P-256"), `subject`, `fingerprint` (SHA-256), `trusted` (marked as Java's trust
-- anchor), `oid`. Of what was not read but made: what `write` would put there, without `encryption`.
-- @treturn {table,…}
function methods:entries()
  local content = self.content
  if not content then
    content = {}
    for _, list in ipairs { self.chain, self.others } do
      for _, certificate in ipairs(list) do
        content[#content + 1] = { type = "certificate", certificate = certificate,
          name = certificate == self.certificate and self.name or nil }
      end
    end
    content[#content + 1] = { type = "key", key = self.key, name = self.name }
  end
  local entries = {}
  for i, entry in ipairs(content) do
    entries[i] = {
      type = entry.type,
      name = entry.name,
      local_key_id = entry.local_key_id,
      encryption = entry.encryption,
      trusted = entry.trusted,
      oid = entry.oid,
      key = entry.key and describe_key(entry.key),
      subject = entry.certificate and tostring(entry.certificate:subject()),
      fingerprint = entry.certificate and entry.certificate:fingerprint(),
    }
  end
  return entries
end

return pkcs12

--- What the user gave, read and cross-checked before anything is sent: gRPC core turns a key that
-- does not match, or a CA file full of rubbish, into the words "empty address list".
-- @module tcpki.probe.input

local bundle = require "tcpki.bundle"
local core = require "tcpki.core"
local digest = require("tcpki.probe.core").digest
local kinds = require "tcpki.probe.kinds"
local text = require "tcpki.probe.text"

local input = {}

--- The options of a certificate and its key, as `tcpki.options.check` takes them.
input.pair = {
  certificate = kinds.pem, certificate_path = kinds.path, key = kinds.pem, key_path = kinds.path,
  passphrase = "string|function", passphrase_file = kinds.path, passphrase_env = "string",
}

--- Which of them exclude each other.
input.exclusive = {
  { "certificate", "certificate_path" }, { "key", "key_path" }, { "passphrase", "passphrase_file" },
  { "passphrase", "passphrase_env" }, { "passphrase_file", "passphrase_env" },
}

local PATH_CURE = "Check the path and its permissions"

-- What lint need not name, because no reader of files minds it.
local NUL = { message = "it contains a NUL" }

-- What was found good is not judged again: a row of probes with the same credentials spends its
-- time on the wire. Only digests of the texts are kept, never a key.
local known, known_count = {}, 0
local MOST_KNOWN = 64

local function remember(id, list)
  if known_count == MOST_KNOWN then known, known_count = {}, 0 end
  known[id], known_count = list, known_count + 1
  return list
end

-- A fault of the input: the word of a cause, and what its {fields} stand for.
local function refuse(word, fields)
  return nil, { word = word, fields = fields }
end

-- Whether a path is none, but what belongs into the file, also as base64: nothing of it may be shown.
local function is_content(path)
  return path:find("-----BEGIN", 1, true) ~= nil or #path >= 64 and path:find "^[ML][IS][%w+/=%s]+$" ~= nil
end

local function refuse_path(path, name, label, err)
  if is_content(path) then
    return refuse("file_missing", { what = "The path of " .. label, detail = "it is no path, but the text itself",
      cure = ("Pass it as %s, not as %s_path; in the variables of the SDKs, as _DATA, not as _PATH")
        :format(name, name) })
  elseif err.code == "empty" then
    return refuse("file_empty", { what = path })
  end
  return refuse("file_missing", { what = path, detail = (err.message:gsub("^cannot open it: ", "")), cure = PATH_CURE })
end

-- The text of `NAME` or `NAME_path`, and what to call it in a message. An object gives the text
-- that it was read from, where there is one: these are the worker's own bytes; and it may say what to call it.
local function text_of(settings, name, label)
  local value, path = settings[name], settings[name .. "_path"]
  if path then
    local content, err = core.file.read(path)
    if not content then return refuse_path(path, name, label, err) end
    return content, path
  elseif type(value) == "string" then
    return value, label
  elseif value ~= nil then
    local source = value.source and value:source()
    if not source or not source:find("-----BEGIN", 1, true) then source = value:pem() end
    return source, type(value) == "table" and rawget(value, "label") or label
  end
end

local function has_label(given, pattern)
  return given:find("%-%-%-%-%-BEGIN " .. pattern .. "%-%-%-%-%-") ~= nil
end

-- The blocks of one label, as gRPC core picks them out of a text that holds others as well.
local function blocks(given, label)
  local found = {}
  for begin, block in given:gmatch "()(%-%-%-%-%-BEGIN .-%-%-%-%-%-END [^\n]-%-%-%-%-%-[^\n]*\n?)" do
    if begin and block:find("^%-%-%-%-%-BEGIN " .. label .. "%-%-%-%-%-") then
      found[#found + 1] = block
    end
  end
  return table.concat(found)
end

-- Bytes that are no PEM, though our own parsers would read them.
local function is_binary(given)
  return given:byte() == 0x30 and not given:find("-----BEGIN", 1, true) or given:find("\0", 1, true) ~= nil
end

-- Why a text is refused; expect is what it should be, for tcpki.pem.lint.
local function refuse_text(given, what, expect, err)
  return refuse(text.judge(given, what, expect, err))
end

-- The certificates of a text, in its order; role is what they are to gRPC core, "chain" or "roots".
local function certificates_of(given, what, role)
  local expect = role == "roots" and "bundle" or "chain"
  if is_binary(given) then return refuse_text(given, what, expect, NUL) end
  local list, err = core.certificate.parse_all(given)
  if not list and err.code == "wrong_kind" and has_label(given, "CERTIFICATE") then
    list, err = core.certificate.parse_all(blocks(given, "CERTIFICATE"))
  end
  if not list or not has_label(given, "CERTIFICATE") or text.loses_certificates(given, role, #list) then
    return refuse_text(given, what, expect, err)
  end
  return list
end

local passphrase_sources = { "passphrase", "passphrase_file", "passphrase_env" }

local key_words = {
  passphrase_required = "key_encrypted",
  bad_passphrase = "bad_passphrase",
}

local function is_encrypted(given)
  return has_label(given, "ENCRYPTED PRIVATE KEY") or given:find("Proc-Type: 4,ENCRYPTED", 1, true) ~= nil
end

-- The key of a text, and the text that gRPC core is to read: the same bytes, or, of an encrypted
-- key, the decrypted one, since gRPC core cannot ask for a passphrase.
local function key_of(given, what, settings)
  if is_binary(given) then return refuse_text(given, what, "key", NUL) end
  local options = {}
  for _, source in ipairs(passphrase_sources) do options[source] = settings[source] end
  local key, err = core.key.parse(given, options)
  if not key and (err.code == "wrong_kind" or err.code == "several") and has_label(given, "[%u ]*PRIVATE KEY") then
    key, err = core.key.parse(blocks(given, "[%u ]*PRIVATE KEY"), options)
  end
  if not key and key_words[err.code] then
    local variable = options.passphrase_env
    return refuse(key_words[err.code], { what = what,
      unset = variable and (" (the variable %s is not set, or is empty)"):format(variable) or "" })
  elseif not key and err.path then
    return refuse("file_missing",
      { what = err.path, detail = (err.message:gsub("^cannot open it: ", "")), cure = PATH_CURE })
  elseif key and not key:is_private() then
    return refuse("bad_pem", { what = what, detail = "it holds a public key", cure = "Pass the private key" })
  elseif not key or text.loses_key(given) then
    return refuse_text(given, what, "key", err)
  end
  return key, is_encrypted(given) and key:pem() or given
end

local function check_pair(material, key, what, key_what)
  local leaf = material.certificates[1]
  if key:matches(leaf) then return true end
  for _, other in ipairs(material.certificates) do
    if key:matches(other) then
      return refuse("chain_order", { what = what, subject = tostring(leaf:subject()) })
    end
  end
  return refuse("key_mismatch", { what = key_what, subject = tostring(leaf:subject()) })
end

-- The pair, parsed and matched: sets certificate, key and certificates.
local function check_texts(material, settings, given, what, key_text, key_what)
  local list, fault = certificates_of(given, what, "chain")
  if not list then return nil, fault end
  material.certificate, material.certificates = given, list
  if not key_text then
    if not has_label(given, "[%u ]*PRIVATE KEY") then return refuse("key_missing", { what = what }) end
    key_text, key_what = given, what
  end
  local key, usable = key_of(key_text, key_what, settings)
  if not key then return nil, usable end
  material.key = usable
  return check_pair(material, key, what, key_what)
end

local function load_pair(material, settings)
  local given, what = text_of(settings, "certificate", "the certificate")
  if not given then
    if what then return nil, what end
    return true -- a probe without a certificate is a probe too
  end
  local key_text, key_what = text_of(settings, "key", "the key")
  if not key_text and key_what then return nil, key_what end
  local id = digest(("pair %d %s%s"):format(#given, given, key_text or ""))
  if known[id] then
    material.certificate, material.key, material.certificates = given, key_text or given, known[id]
    return true
  end
  local fine, fault = check_texts(material, settings, given, what, key_text, key_what)
  -- A key that had to be decrypted is asked for anew, with its passphrase.
  if fine and material.key == (key_text or given) then remember(id, material.certificates) end
  return fine, fault
end

local function load_roots(material, settings)
  local given, what = text_of(settings, "server_ca", "the server CA")
  if not given then
    if what then return nil, what end
    return true
  end
  local id = digest("roots " .. given)
  local list, fault = known[id]
  if not list then
    list, fault = certificates_of(given, what, "roots")
    if not list then return nil, fault end
    remember(id, list)
  end
  material.roots, material.root_certificates = given, list
  return true
end

--- Reads the certificates of one option.
-- @tparam table settings
-- @tparam string name of the option, which is PEM text or an object; its path is in `NAME_path`
-- @tparam string label of the text, for messages
-- @treturn[1] {certificate,…} in the order of the text
-- @treturn[2] nil
-- @treturn[2] table `word` of the cause and its `fields`
function input.certificates(settings, name, label)
  local given, what = text_of(settings, name, label)
  if not given then return nil, what end
  return certificates_of(given, what, "roots")
end

-- The CAs that the server is said to accept clients of: for the judgement alone, nothing of it is sent.
local function load_accepted(material, settings)
  if settings.accepted == nil and settings.accepted_path == nil then return true end
  local list, fault = input.certificates(settings, "accepted", "the list of accepted CAs")
  if not list then return nil, fault end
  material.accepted = assert(bundle.new(list))
  return true
end

--- Reads and checks certificate, key, server CA and accepted CAs.
-- @tparam table settings the options of `probe.run`
-- @treturn[1] table `certificate`, `key`, `roots`: PEM as gRPC core gets them, or nil;
-- `certificates`, `root_certificates`: arrays of certificate objects in the order of the text;
-- `accepted`: a bundle; `key_traditional`: whether the key is in the form SEC1 or PKCS#1; `paths`: of `certificate`,
-- `key`, `server_ca`, where they came from files
-- @treturn[2] nil
-- @treturn[2] table `word` of the cause and its `fields`
function input.load(settings)
  local material = { certificates = {} }
  material.paths = {
    certificate = settings.certificate_path, key = settings.key_path, server_ca = settings.server_ca_path,
  }
  local fine, fault = load_pair(material, settings)
  if fine then fine, fault = load_roots(material, settings) end
  if fine then fine, fault = load_accepted(material, settings) end
  if not fine then return nil, fault end
  -- SEC1 or PKCS#1: gRPC core reads it, the Java SDK and older SDKs over rustls do not.
  local key = material.key
  material.key_traditional = key ~= nil and (has_label(key, "EC PRIVATE KEY") or has_label(key, "RSA PRIVATE KEY"))
  return material
end

return input

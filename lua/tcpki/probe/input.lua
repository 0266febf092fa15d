--- What the user gave, read and cross-checked before anything is sent: gRPC core turns a key that
-- does not match, or a CA file full of rubbish, into the words "empty address list".
-- @module tcpki.probe.input

local core = require "tcpki.core"
local digest = require("tcpki.probe.core").digest

local input = {}

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

-- The text of `NAME` or `NAME_path`, and what to call it in a message. An object gives the text
-- that it was read from, where there is one: these are the worker's own bytes.
local function text_of(settings, name, label)
  local value, path = settings[name], settings[name .. "_path"]
  if path then
    local text, err = core.file.read(path)
    if not text then
      return refuse(err.code == "empty" and "file_empty" or "file_missing",
        { what = path, detail = err.message })
    end
    return text, path
  elseif type(value) == "string" then
    return value, label
  elseif value ~= nil then
    local text = value.source and value:source()
    if not text or not text:find("-----BEGIN", 1, true) then text = value:pem() end
    return text, label
  end
end

local function has_label(text, pattern)
  return text:find("-----BEGIN " .. pattern .. "-----") ~= nil
end

-- The blocks of one label, as gRPC core picks them out of a text that holds others as well.
local function blocks(text, label)
  local found = {}
  for begin, block in text:gmatch "()(%-%-%-%-%-BEGIN .-%-%-%-%-%-END [^\n]-%-%-%-%-%-[^\n]*\n?)" do
    if begin and block:find("^%-%-%-%-%-BEGIN " .. label .. "%-%-%-%-%-") then
      found[#found + 1] = block
    end
  end
  return table.concat(found)
end

-- What is wrong with a text at first sight, before it is parsed; tool is openssl's for its kind.
local function shape(text, what, tool)
  if text == "" then return refuse("file_empty", { what = what }) end
  if text:find("^\x30[\x01-\x1f\x80-\x84]") then
    return refuse("file_is_der", { what = what, tool = tool })
  end
  if text:find("\\n", 1, true) and text:find("-----BEGIN", 1, true) then
    return refuse("pem_literal_newlines", { what = what })
  end
  if text:find("\0", 1, true) then
    return refuse("bad_pem", {
      what = what, detail = "it contains a NUL", cure = "Export it again" })
  end
  return true
end

local function bad_pem(what, err)
  local place = err.line and ("line %d: "):format(err.line) or ""
  return refuse("bad_pem", {
    what = what, detail = place .. err.message,
    cure = (err.hint or "Export it again"):gsub("^%l", string.upper),
  })
end

-- The certificates of a text, in its order.
local function certificates_of(text, what)
  local fine, fault = shape(text, what, "x509")
  if not fine then return nil, fault end
  if not has_label(text, "CERTIFICATE") and has_label(text, "[%u ]*PRIVATE KEY") then
    return refuse("file_holds_key", { what = what })
  end
  local list, err = core.certificate.parse_all(text)
  if not list and err.code == "wrong_kind" and has_label(text, "CERTIFICATE") then
    list, err = core.certificate.parse_all(blocks(text, "CERTIFICATE"))
  end
  if not list then return bad_pem(what, err) end
  return list
end

local passphrase_sources = { "passphrase", "passphrase_file", "passphrase_env" }

local key_words = {
  passphrase_required = "key_encrypted",
  bad_passphrase = "bad_passphrase",
}

-- The key of a text, and the text that gRPC core is to read: the same bytes, or, of an encrypted
-- key, the decrypted one, since gRPC core cannot ask for a passphrase.
local function key_of(text, what, settings)
  local fine, fault = shape(text, what, "pkey")
  if not fine then return nil, fault end
  if not has_label(text, "[%u ]*PRIVATE KEY") and has_label(text, "CERTIFICATE") then
    return refuse("file_holds_certificate", { what = what })
  end
  local options = {}
  for _, source in ipairs(passphrase_sources) do options[source] = settings[source] end
  local key, err = core.key.parse(text, options)
  if not key and (err.code == "wrong_kind" or err.code == "several") then
    key, err = core.key.parse(blocks(text, "[%u ]*PRIVATE KEY"), options)
  end
  if not key then
    if key_words[err.code] then return refuse(key_words[err.code], { what = what }) end
    if err.path then return refuse("file_missing", { what = err.path, detail = err.message }) end
    return bad_pem(what, err)
  end
  if not key:is_private() then
    return refuse("bad_pem", {
      what = what, detail = "it holds a public key", cure = "Pass the private key" })
  end
  local encrypted = text:find("ENCRYPTED", 1, true) ~= nil
  return key, encrypted and key:pem() or text
end

local function check_pair(material, key, what)
  local leaf = material.certificates[1]
  if key:matches(leaf) then return true end
  for _, other in ipairs(material.certificates) do
    if key:matches(other) then
      return refuse("chain_order", { what = what, subject = tostring(leaf:subject()) })
    end
  end
  return refuse("key_mismatch", { subject = tostring(leaf:subject()) })
end

-- The pair, parsed and matched: sets certificate, key and certificates.
local function check_texts(material, settings, text, what, key_text, key_what)
  local list, fault = certificates_of(text, what)
  if not list then return nil, fault end
  material.certificate, material.certificates = text, list
  if not key_text then
    if not has_label(text, "[%u ]*PRIVATE KEY") then return refuse("key_missing", {}) end
    key_text, key_what = text, what
  end
  local key, usable = key_of(key_text, key_what, settings)
  if not key then return nil, usable end
  material.key = usable
  return check_pair(material, key, what)
end

local function load_pair(material, settings)
  local text, what = text_of(settings, "certificate", "the certificate")
  if not text then
    if what then return nil, what end
    return true -- a probe without a certificate is a probe too
  end
  local key_text, key_what = text_of(settings, "key", "the key")
  if not key_text and key_what then return nil, key_what end
  local id = digest(("pair %d %s%s"):format(#text, text, key_text or ""))
  if known[id] then
    material.certificate, material.key, material.certificates = text, key_text or text, known[id]
    return true
  end
  local fine, fault = check_texts(material, settings, text, what, key_text, key_what)
  -- A key that had to be decrypted is asked for anew, with its passphrase.
  if fine and material.key == (key_text or text) then remember(id, material.certificates) end
  return fine, fault
end

local function load_roots(material, settings)
  local text, what = text_of(settings, "server_ca", "the server CA")
  if not text then
    if what then return nil, what end
    return true
  end
  local id = digest("roots " .. text)
  local list, fault = known[id]
  if not list then
    list, fault = certificates_of(text, what)
    if not list then return nil, fault end
    remember(id, list)
  end
  material.roots, material.root_certificates = text, list
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
  local text, what = text_of(settings, name, label)
  if not text then return nil, what end
  return certificates_of(text, what)
end

--- Reads and checks certificate, key and server CA.
-- @tparam table settings the options of `probe.run`
-- @treturn[1] table `certificate`, `key`, `roots`: PEM as gRPC core gets them, or nil;
-- `certificates`, `root_certificates`: arrays of certificate objects in the order of the text
-- @treturn[2] nil
-- @treturn[2] table `word` of the cause and its `fields`
function input.load(settings)
  local material = { certificates = {} }
  local fine, fault = load_pair(material, settings)
  if fine then fine, fault = load_roots(material, settings) end
  if not fine then return nil, fault end
  return material
end

return input

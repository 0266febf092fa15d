--- Certificates, keys and CAs as the server loads them (localStoreCertProvider), with its words.
-- @module tcpki.server.load
-- @local

local base64 = require "tcpki.pem.base64"
local file = require "tcpki.file"
local go = require "tcpki.go"
local pair = require "tcpki.go.pair"

local load = {}

-- encoding/base64, StdEncoding: line ends are passed over.
local DIALECT = { blanks = "[\r\n]", padding = "required" }

-- What os.ReadFile says, by the codes of our faults.
local reasons = {
  not_found = "open %s: no such file or directory", permission_denied = "open %s: permission denied",
  not_a_file = "read %s: is a directory",
}

--- A path as the server sees it.
-- @tparam table state of the check: `root`
-- @tparam string path
-- @treturn string
function load.path(state, path)
  if path:sub(1, 1) == "/" or not state.root then
    return path
  end
  return state.root:sub(-1) == "/" and state.root .. path or state.root .. "/" .. path
end

-- What a field names: `text`, `where` (the field), `path` (of a file) and `name` (for a sentence); nil where it cannot
-- be had, which is then found. `before` is what the server says before its fault.
local function read(state, where, value, is_file, before)
  local source = { where = where, name = is_file and value or where }
  if not is_file then
    source.text = base64.decode(DIALECT, value)
    if not source.text then
      state.add("bad_base64", { place = where, says = before .. "illegal base64 data at input byte" })
      return nil
    end
    return source
  end
  source.path = load.path(state, value)
  local err
  source.text, err = file.read(source.path)
  if source.text then
    return source
  end
  state.add("unreadable", { place = where, path = source.path, file = value, reason = err.message,
    says = reasons[err.code] and before .. reasons[err.code]:format(value) })
end

-- The certificate ("cert") or the key ("key") of a section; nil where it has none, false where it cannot be had.
local function half(state, place, section, word, undecoded)
  local name = section[word .. "File"] ~= "" and "File" or "Data"
  local value = section[word .. name]
  if value == "" then
    return nil
  end
  return read(state, ("%s.%s%s"):format(place, word, name), value, name == "File", name == "File" and "" or undecoded)
    or false
end

local of_key = { key_not_pem = true, key_encrypted = true, key_unreadable = true, key_mismatch = true }

local function load_pair(state, place, section)
  local certificate = half(state, place, section, "cert", "TLS public certificate could not be decoded: ")
  if certificate == nil then
    return nil
  end
  local key = half(state, place, section, "key", "TLS private key could not be decoded: ")
  if key == nil then
    state.add("key_missing", { place = place,
      says = "loading tls certificate failed: tls: failed to find any PEM data in key input" })
  end
  if not (certificate and key) then
    return nil
  end
  local views, code, says, seen = pair(certificate.text, key.text)
  if not views then
    local source = (of_key[code] or says:find("PEM for the private key", 1, true)) and key or certificate
    state.add(code, { place = source.where, path = source.path, file = source.name,
      view = code == "key_mismatch" and seen[1] or nil, says = "loading tls certificate failed: " .. says })
    return nil
  end
  local loaded = { place = place, views = {}, certificate = certificate, key = key }
  for _, view in ipairs(views) do
    if view then
      view.place, view.path = certificate.where, certificate.path
      loaded.views[#loaded.views + 1] = view
    end
  end
  state.loaded[#state.loaded + 1] = loaded
  return loaded
end

--- Loads the certificate and the key of a section, once.
-- @tparam table state
-- @tparam string place "frontend.server"
-- @tparam table section certFile, keyFile, …
-- @treturn ?table `place`, `views` (the leaf first), `certificate` and `key` (where they come from); nil where there is
-- none, or none that can be used
function load.pair(state, place, section)
  if state.pairs[place] == nil then
    state.pairs[place] = load_pair(state, place, section) or false
  end
  return state.pairs[place] or nil
end

-- One file or text of CAs, into a pool; whether the server takes it.
local function add_authorities(state, pool, source, word)
  local views, skipped = go.pool(source.text)
  local at = { place = source.where, path = source.path, file = source.name }
  if #views == 0 then
    at.says = "unknown failure constructing cert pool for ca"
    state.add("authority_unreadable", at)
    return false
  end
  for _, block in ipairs(skipped) do
    local values = { place = source.where, path = source.path, file = source.name, line = block.line,
      label = block.label }
    if block.label == "CERTIFICATE" and block.line < views[1].line and not go.certificate(block.der) then
      values.says = "failed to parse x509 certificate: "
      state.add("first_unreadable", values)
      return false
    end
    state.add("passed_over", values)
  end
  for _, view in ipairs(views) do
    view.place, view.path, view.several = source.where, source.path, #views > 1
    pool[#pool + 1] = view
  end
  -- Roots are read once, at the first dial: how many a file has makes no difference.
  if #views > 1 and word == "client" then
    at.count = #views
    state.several[#state.several + 1] = at
  end
  return true
end

--- Loads a list of CAs, once.
-- @tparam table state
-- @tparam string place "frontend.client"
-- @tparam table section
-- @tparam string word "root" or "client"
-- @treturn ?{table,…} views; false where there are some, but none that can be used; nil where the list is empty
function load.authorities(state, place, section, word)
  local key = place .. word
  if state.pools[key] ~= nil then
    return state.pools[key]
  end
  local name = #section[word .. "CaFiles"] > 0 and word .. "CaFiles" or word .. "CaData"
  if #section[name] == 0 then
    return nil
  end
  local pool, whole = {}, true
  for i, item in ipairs(section[name]) do
    local source = read(state, ("%s.%s[%d]"):format(place, name, i), item, name == word .. "CaFiles",
      "failed to decode ca cert: ")
    whole = source and add_authorities(state, pool, source, word) and whole or false
  end
  state.pools[key] = whole and pool
  state.pool_places[#state.pool_places + 1] = key
  return state.pools[key]
end

return load

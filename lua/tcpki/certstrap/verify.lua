--- The check of a depot: each file by itself, each certificate up to its root, and what certstrap would make of it.
-- @module tcpki.certstrap.verify
-- @local

local authorities = require "tcpki.certstrap.authorities"
local bundle = require "tcpki.bundle"
local chain = require "tcpki.chain"
local core = require "tcpki.core"
local date = require "tcpki.date"
local file = require "tcpki.file"
local limits = require "tcpki.authority.limits"
local options = require "tcpki.options"
local pem = require "tcpki.pem"
local report = require "tcpki.report"
local rules = require "tcpki.certstrap.rules"
local store = require "tcpki.certstrap.store"

local labels = {
  crt = { ["CERTIFICATE"] = true }, csr = { ["CERTIFICATE REQUEST"] = true }, crl = { ["X509 CRL"] = true },
  key = { ["RSA PRIVATE KEY"] = true, ["PRIVATE KEY"] = true, ["ENCRYPTED PRIVATE KEY"] = true },
}

-- Key usages that the type of a key cannot have, and where that stands.
local foreign_usages = {
  ec = { key_encipherment = true, data_encipherment = true, source = "https://www.rfc-editor.org/rfc/rfc8813" },
  ed25519 = { key_encipherment = true, data_encipherment = true, key_agreement = true,
    source = "https://www.rfc-editor.org/rfc/rfc9295" },
}

-- ---- one file ----

local function octal(mode)
  return ("%04o"):format(mode)
end

local function check_form(state, stem, kind, mode)
  local place = stem .. "." .. kind
  if kind == "key" and mode & 4 ~= 0 then
    state:add("key_open", { mode = octal(mode) }, { path = place })
  elseif mode & ~store.modes[kind] ~= 0 then
    state:add("mode_too_lax", { mode = octal(mode), most = octal(store.modes[kind]) }, { path = place })
  end
  local text = file.read(store.path(state.depot, stem, kind))
  local blocks = text and pem.blocks(text)
  local label = blocks and blocks[1] and blocks[1].label
  if label and not labels[kind][label] then
    state:add(kind == "key" and "key_form" or "label", { label = label, wanted = next(labels[kind]) },
      { path = place })
  end
end

local function unreadable(state, stem, kind, err)
  state:add("unreadable", { reason = err.message, hint = err.hint or "" }, { path = stem .. "." .. kind,
    line = err.line })
end

local function read_all(state, stem, files)
  local read = {}
  for _, kind in ipairs(store.kinds) do
    if files[kind] then
      check_form(state, stem, kind, files[kind])
      local object, err
      if kind == "key" then
        object, err = core.key.read(store.path(state.depot, stem, kind), state.passphrase)
      else
        object, err = store.read(state.depot, stem, kind)
      end
      if not object and err.code ~= "passphrase_required" then
        unreadable(state, stem, kind, err)
      end
      read[kind] = object or nil
    end
  end
  return read
end

-- ---- what belongs together ----

local function check_request(state, stem, read)
  local ok = read.csr:verify()
  local place = stem .. ".csr"
  if not ok then
    state:add("request_unsigned", {}, { path = place })
  elseif read.crt and read.csr:public_key() ~= read.crt:public_key() then
    state:add("request_differs", {}, { path = place })
  end
end

local function check_profile(state, certificate, about)
  local key, usage = certificate:public_key(), certificate:key_usage()
  if not authorities.is_one(certificate) then
    if not certificate:basic_constraints() then
      state:add("no_basic_constraints", {}, about)
    end
    if not certificate:subject_alt_names() then
      state:add("no_names", {}, about)
    end
  end
  local foreign, found = key and foreign_usages[key:type()], {}
  for _, word in ipairs(foreign and usage or {}) do
    if foreign[word] then
      found[#found + 1] = word
    end
  end
  if #found > 0 then
    state:add("key_usage_of_others", { usages = table.concat(found, ", "), type = key:type(),
      source = foreign.source }, about)
  end
end

local function check_path(state, certificate, about)
  local heap = { certificate }
  for _, one in ipairs(state.all) do
    heap[#heap + 1] = one.certificate
  end
  local built, err = chain.new(heap, { leaf = certificate })
  local ok
  if built then
    ok, err = built:verify { roots = state.roots, at = state.at, purpose = state.purpose }
  end
  if not ok then
    -- The fault of a CA above stands at that CA, too.
    state:add("not_verified", { reason = err.message, hint = err.hint or "" }, { subject = about.subject,
      path = about.path, code = err.code })
  end
  if built and #built > 1 and authorities.is_one(certificate) and not certificate:self_signed()
    and (limits.room_below({ table.unpack(built, 2) }) or 1) < 1 then
    state:add("no_room", {}, about)
  end
end

local function check_issuer(state, certificate, about)
  local issuer = authorities.issuer_of(state.all, certificate)
  if not issuer or certificate:self_signed() then
    return
  end
  if certificate:not_after() > issuer.certificate:not_after() then
    state:add("outlives_issuer", { date = date.minute(certificate:not_after()), issuer = issuer.stem }, about)
  end
  local entry = state.revoked(issuer, certificate)
  if entry then
    -- An answer to who asks for this one; nothing is wrong with a depot that has revoked something.
    state:add("revoked", { date = date.minute(entry.time) }, { path = about.path, subject = about.subject,
      severity = not state.named and "info" or nil })
  end
end

local function check_crl(state, stem, certificate, crl)
  local about = { path = stem .. ".crl" }
  local ok, err = crl:verify(certificate)
  if not ok then
    state:add("crl_forged", { reason = err.message }, about)
    return
  end
  local ends = crl:next_update()
  if ends and ends < state.at then
    state:add("crl_ended", { date = date.minute(ends), ca = stem }, about)
  end
  if not crl:number() then
    state:add("crl_without_number", { ca = stem }, about)
  end
  local count, seen, counted = 0, {}, {}
  for _, entry in ipairs(crl:entries() or {}) do
    if seen[entry.serial] and not counted[entry.serial] then
      counted[entry.serial] = true
      count = count + 1
    end
    seen[entry.serial] = true
  end
  if count > 0 then
    state:add("crl_repeats", { count = tostring(count), ca = stem }, about)
  end
end

local function check_stem(state, stem, files)
  local read = read_all(state, stem, files)
  if not files.crt and not files.csr then
    local present = {}
    for _, kind in ipairs(store.kinds) do
      present[#present + 1] = files[kind] and stem .. "." .. kind or nil
    end
    state:add("half", { present = table.concat(present, " and ") }, { path = present[1] })
  end
  if read.csr then
    check_request(state, stem, read)
  end
  if not read.crt then
    return
  end
  local about = { path = stem .. ".crt", subject = tostring(read.crt:subject()) }
  if read.key and not read.key:matches(read.crt) then
    state:add("key_mismatch", {}, { path = stem .. ".key", subject = about.subject })
  end
  check_path(state, read.crt, about)
  check_issuer(state, read.crt, about)
  check_profile(state, read.crt, about)
  if authorities.is_one(read.crt) then
    if read.crl then
      check_crl(state, stem, read.crt, read.crl)
    elseif not files.crl and files.key then
      state:add("crl_missing", { ca = stem }, about)
    end
  end
end

-- ---- the whole ----

local methods = {}

function methods:add(code, words, fields)
  words.stem = fields.path:match "^(.*)%."
  self.report:add(rules.finding(code, words, fields))
end

local function roots_of(all)
  local roots = {}
  for _, one in ipairs(all) do
    if one.certificate:self_signed() then
      roots[#roots + 1] = one.certificate
    end
  end
  return bundle.new(roots)
end

local purposes = { "any", "client", "server" }
local verify_options = store.with_passphrase { at = "integer", purpose = "string" }

--- Checks one name, or all that is in the depot.
-- @tparam depot depot
-- @tparam ?string name
-- @tparam table given
-- @treturn[1] report
-- @treturn[2] nil
-- @treturn[2] fault
return function(depot, name, given)
  options.expect("depot:verify", "name", name, "string|nil")
  given = options.check("depot:verify", given, verify_options)
  if given.purpose and not options.has(purposes, given.purpose) then
    error(("depot:verify: option 'purpose' is '%s' (known: %s)"):format(given.purpose, table.concat(purposes, ", ")), 2)
  end
  local found, stems = store.scan(depot.directory)
  if not found then
    return nil, stems
  end
  if name then
    local stem, err = store.find(depot, name, "crt")
    if not stem and err.code == "not_found" then
      stem, err = store.find(depot, name, "csr")
    end
    if not stem then
      return nil, err
    end
    stems = { stem }
  end
  local all, err = authorities.all(depot)
  if not all then
    return nil, err
  end
  local roots
  roots, err = roots_of(all)
  if not roots then
    return nil, err
  end
  local state = setmetatable({ depot = depot, named = name ~= nil, all = all, roots = roots,
    revoked = authorities.revocations(depot),
    at = given.at or os.time(), purpose = given.purpose, passphrase = store.passphrase(given),
    report = report.new(("%s: in order"):format(name or depot.directory)) }, { __index = methods })
  for _, stem in ipairs(stems) do
    check_stem(state, stem, found[stem])
  end
  return state.report
end

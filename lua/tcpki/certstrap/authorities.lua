--- The CAs of a depot, taken up as authorities.
-- @module tcpki.certstrap.authorities
-- @local

local authority = require "tcpki.authority"
local core = require "tcpki.core"
local fault = require "tcpki.fault"
local file = require "tcpki.file"
local store = require "tcpki.certstrap.store"

local authorities = {}

--- @tparam certificate certificate
-- @treturn boolean
function authorities.is_one(certificate)
  local constraints = certificate:basic_constraints()
  return constraints ~= nil and constraints.ca == true
end

-- The certificate of a stem if it is a CA's. A depot has many more of others, so each text is parsed once a handle, and
-- again where the caller closed what came of it. What is damaged issues nothing; `verify` names it.
local function authority_of(depot, stem)
  local text = file.read(store.path(depot, stem, "crt"))
  local known = depot.known[stem]
  if not known or known.text ~= text or known.certificate and tostring(known.certificate):find "%(closed%)$" then
    local certificate = text and core.certificate.parse(text)
    known = { text = text, certificate = certificate and authorities.is_one(certificate) and certificate or nil }
    depot.known[stem] = known
  end
  return known.certificate
end

--- All certificates of CAs, by the stems of their files.
-- @tparam depot depot
-- @treturn[1] {{stem=,certificate=,key=},…} sorted; `key`: whether there is a file for it
-- @treturn[2] nil
-- @treturn[2] fault
function authorities.all(depot)
  local found, stems = store.scan(depot.directory)
  if not found then
    return nil, stems
  end
  local list = {}
  for _, stem in ipairs(stems) do
    if found[stem].crt then
      local certificate = authority_of(depot, stem)
      if certificate then
        list[#list + 1] = { stem = stem, certificate = certificate, key = found[stem].key ~= nil }
      end
    end
  end
  return list
end

--- The issuer of a certificate: a CA of the depot that signed it.
-- @tparam {{stem=,certificate=},…} all
-- @tparam certificate certificate
-- @treturn ?table of `all`
function authorities.issuer_of(all, certificate)
  for _, one in ipairs(all) do
    if certificate:issued_by(one.certificate) then
      return one
    end
  end
end

-- The only CA that has a key.
local function only(depot, all)
  local with_keys, listed = {}, {}
  for _, one in ipairs(all) do
    if one.key then
      with_keys[#with_keys + 1] = one
      listed[#listed + 1] = one.stem
    end
  end
  if #with_keys == 1 then
    return with_keys[1]
  end
  if #with_keys == 0 and #all > 0 then
    for i, one in ipairs(all) do
      listed[i] = one.stem .. ".key"
    end
    return fault.fail { code = "not_found", path = depot.directory,
      message = "no CA of the depot has its key there: " .. table.concat(listed, ", "),
      hint = "bring the key, or sign where it is kept" }
  end
  return fault.fail {
    code = #with_keys == 0 and "not_found" or "several", path = depot.directory,
    message = #with_keys == 0 and "there is no CA in the depot"
      or "there are several CAs in the depot: " .. table.concat(listed, ", "),
    hint = #with_keys == 0 and "make one: depot:init { common_name = … }" or "say which one: ca = …",
  }
end

local function named(depot, all, name)
  local stem, err = store.find(depot, name, "crt")
  if not stem then
    return nil, err
  end
  for _, one in ipairs(all) do
    if one.stem == stem then
      return one
    end
  end
  local certificate
  certificate, err = store.read(depot, stem, "crt")
  if not certificate then
    return nil, err
  end
  return { stem = stem, certificate = certificate }
end

--- Which CA is meant.
-- @tparam depot depot
-- @tparam {{stem=,certificate=},…} all
-- @tparam ?string name without it, the only one there is
-- @treturn[1] table of `all`
-- @treturn[2] nil
-- @treturn[2] fault `not_found`, `several`
function authorities.choose(depot, all, name)
  if name then
    return named(depot, all, name)
  end
  return only(depot, all)
end

--- What the CAs of a depot have revoked, by their CRLs, as far as they signed them. Each is read once: it may be long.
-- @tparam depot depot
-- @treturn function of one of `all` and a certificate: its entry, or nil
function authorities.revocations(depot)
  local by_stem = {}
  return function(issuer, certificate)
    local entries = by_stem[issuer.stem]
    if not entries then
      entries = {}
      by_stem[issuer.stem] = entries
      local crl = store.read(depot, issuer.stem, "crl")
      for _, entry in ipairs(crl and crl:verify(issuer.certificate) and crl:entries() or {}) do
        entries[entry.serial] = entries[entry.serial] or entry
      end
    end
    return entries[certificate:serial()]
  end
end

-- certstrap adds one entry each time that a certificate is revoked.
local function without_repeats(entries)
  local list, seen = {}, {}
  for _, entry in ipairs(entries) do
    if not seen[entry.serial] then
      seen[entry.serial] = true
      list[#list + 1] = entry
    end
  end
  return list
end

--- Takes up a CA with its key and, where they are asked for, its revocations.
-- @tparam depot depot
-- @tparam {{stem=,certificate=},…} all
-- @tparam table one of them
-- @tparam table passphrase the options of its passphrase
-- @tparam[opt] crl crl its last one
-- @treturn[1] authority
-- @treturn[2] nil
-- @treturn[2] fault `not_an_authority`, `bad_passphrase`, `key_mismatch`, …
function authorities.load(depot, all, one, passphrase, crl)
  local key, err = store.read_key(depot, one.stem, passphrase)
  if not key then
    return nil, err
  end
  local heap = {}
  for i, other in ipairs(all) do
    heap[i] = other.certificate
  end
  local loaded
  loaded, err = authority.load(one.certificate, key, { chain = heap, crl = crl })
  if not loaded then
    -- What is wrong with signatures and issuers, once the key fits, is wrong with the CRL.
    local of_crl = crl and (err.code == "bad_signature" or err.code == "issuer_mismatch")
    err.path = err.path or store.path(depot, one.stem, of_crl and "crl" or "crt")
    return nil, err
  end
  loaded.revocations = without_repeats(loaded.revocations)
  return loaded
end

return authorities

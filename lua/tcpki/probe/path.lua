--- Where the certificates of a client's file lead: the path from the leaf up, what is missing on it, and whether what
-- is missing is at hand elsewhere.
-- @module tcpki.probe.path
-- @local

local chain = require "tcpki.chain"

local path = {}

local function is_self_issued(certificate)
  return certificate:subject_der() == certificate:issuer_der()
end

-- An issuer of a certificate among some groups, and what to call the group that it is in.
local function find_issuer(certificate, groups)
  for _, group in ipairs(groups) do
    for _, other in ipairs(group.certificates) do
      if other ~= certificate and certificate:issued_by(other) then return other, group.name end
    end
  end
end

-- Goes on from the last certificate of a path with those that are at hand.
local function climb(made, groups)
  local certificate = made.top
  while not is_self_issued(certificate) and #made.beyond < 8 do
    local issuer, where = find_issuer(certificate, groups)
    if not issuer then return end
    made.beyond[#made.beyond + 1] = { certificate = issuer, where = where }
    certificate = issuer
  end
end

--- Follows the certificates of a file, and beyond.
-- @tparam {certificate,…} certificates of the file, in its order, the leaf first
-- @tparam {table,…} groups what is at hand beside them: `name` and `certificates` of each
-- @treturn table `chain` (of the leaf, as the file allows), `top` (its last certificate), `is_whole` (whether that one
-- is self-signed), `missing` (the name of the issuer that is not in the file), `beyond` (an array of
-- `{ certificate =, where = }`: the issuers above `top` that are at hand), `root` (the self-signed end, where it is
-- known), `is_root_below` (true where the missing issuer is known to be a root, false where it is known to be none, nil
-- where that is open)
function path.of(certificates, groups)
  local built = assert(chain.new(certificates, { leaf = certificates[1] }))
  local top = built[#built]
  local made = { chain = built, top = top, is_whole = is_self_issued(top), beyond = {} }
  if made.is_whole then
    made.root = top
    return made
  end
  made.missing = tostring(top:issuer())
  climb(made, groups)
  local first, last = made.beyond[1], made.beyond[#made.beyond]
  if last and is_self_issued(last.certificate) then made.root = last.certificate end
  if first then
    made.is_root_below = is_self_issued(first.certificate)
  elseif path.names_own_issuer(top) then
    made.is_root_below = true
  end
  return made
end

--- Whether the authority key identifier says that the issuer is its own issuer, and so a root: RFC 5280, 4.2.1.1 has
-- the name and serial number of the issuer's certificate there, and the name is that of the issuer's issuer.
-- @tparam certificate certificate
-- @treturn boolean false where it does not say so
function path.names_own_issuer(certificate)
  for _, extension in ipairs(certificate:extensions() or {}) do
    if extension.oid == "2.5.29.35" then
      return extension.der:find(certificate:issuer_der(), 1, true) ~= nil
    end
  end
  return false
end

--- Whether a name is one that people give to a CA in the middle.
-- @tparam string name
-- @treturn boolean
function path.sounds_intermediate(name)
  local text = " " .. name:lower():gsub("[^%w]+", " ") .. " "
  for _, word in ipairs { "issuing", "intermediate", "subordinate", "signing", "sub", "ica", "subca", "sub ca" } do
    if text:find(" " .. word .. " ", 1, true) then return true end
  end
  return false
end

return path

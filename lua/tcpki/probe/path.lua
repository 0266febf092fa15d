--- Where the certificates of a client's file lead: the path from the leaf up, what is missing on it, and whether what
-- is missing is at hand elsewhere.
-- @module tcpki.probe.path
-- @local

local chain = require "tcpki.chain"

local path = {}

--- Whether a certificate names itself as its issuer.
-- @tparam certificate certificate
-- @treturn boolean
function path.is_self_issued(certificate)
  return certificate:subject_der() == certificate:issuer_der()
end

-- What a server sends, or somebody put into a file, could be very many certificates of one name, each with a key that
-- is slow to verify with.
local MOST_CERTIFICATES, MOST_NAMESAKES = 64, 16

-- An issuer of a certificate among some groups, and what to call the group that it is in.
local function find_issuer(certificate, groups)
  local name, tried = certificate:issuer_der(), 0
  for _, group in ipairs(groups) do
    local certificates = group.certificates
    if type(certificates) == "function" then certificates = certificates() or {} end
    for _, other in ipairs(certificates) do
      if other ~= certificate and other:subject_der() == name and tried < MOST_NAMESAKES then
        tried = tried + 1
        if certificate:issued_by(other) then return other, group.name end
      end
    end
  end
end

-- Goes on from the last certificate of a path with those that are at hand.
local function climb(top, groups)
  local beyond, certificate = {}, top
  while not path.is_self_issued(certificate) and #beyond < 8 do
    local issuer, where = find_issuer(certificate, groups)
    if not issuer then break end
    beyond[#beyond + 1] = { certificate = issuer, where = where }
    certificate = issuer
  end
  return beyond
end

-- What only some ask for, and takes a look at all that is at hand.
local function look_beyond(made)
  local beyond = climb(made.top, made.groups)
  made.groups, made.beyond = nil, beyond
  local first, last = beyond[1], beyond[#beyond]
  if made.is_whole then
    made.root = made.top
  elseif last and path.is_self_issued(last.certificate) then
    made.root = last.certificate
  end
  if first then
    made.is_root_below = path.is_self_issued(first.certificate)
  elseif not made.is_whole and path.names_own_issuer(made.top) then
    made.is_root_below = true
  end
end

local seen_beyond = { beyond = true, root = true, is_root_below = true }

local metatable = {
  __index = function(made, name)
    if not seen_beyond[name] or not made.groups then return nil end
    look_beyond(made)
    return rawget(made, name)
  end,
}

--- The chain of a file's leaf; of a file of very many certificates, that of the first.
-- @tparam {certificate,…} certificates the leaf first
-- @treturn chain
function path.chain(certificates)
  local most = math.min(#certificates, MOST_CERTIFICATES)
  return assert(chain.new(table.move(certificates, 1, most, 1, {}), { leaf = certificates[1] }))
end

--- Follows the certificates of a file, and beyond.
-- @tparam {certificate,…} certificates of the file, in its order, the leaf first
-- @tparam {table,…} groups what is at hand beside them: `name` and `certificates` of each, an array or a function
-- that gives one
-- @treturn table `chain` (of the leaf, as the file allows), `top` (its last certificate), `is_whole` (whether that one
-- is self-signed), `missing` (the name of the issuer that is not in the file), `beyond` (an array of
-- `{ certificate =, where = }`: the issuers above `top` that are at hand), `root` (the self-signed end, where it is
-- known), `is_root_below` (true where the missing issuer is known to be a root, false where it is known to be none, nil
-- where that is open)
function path.of(certificates, groups)
  local built = path.chain(certificates)
  local top = built[#built]
  local made = { chain = built, top = top, is_whole = path.is_self_issued(top), groups = groups }
  made.missing = not made.is_whole and tostring(top:issuer()) or nil
  return setmetatable(made, metatable)
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

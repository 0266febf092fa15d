--- The well-known public CAs: those of the system's root store.
-- @module tcpki.cloud.check.public_authorities
-- @local

local core = require "tcpki.core"

local public = {}

-- Debian, Fedora, Alpine and macOS, SUSE, FreeBSD.
local PATHS = {
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/cert.pem",
  "/etc/ssl/ca-bundle.pem",
  "/usr/local/share/certs/ca-root-nss.crt",
}

-- The DER of each block of a text. Few of them are ever looked at, so that parsing them all would be a waste.
local function read(text)
  local store = {}
  for _, part in ipairs(core.pem.scan(text) or {}) do
    store[#store + 1] = part.der
  end
  return store
end

-- The certificates of the store with a subject. A block that cannot be read is no reason to do without the others.
local function named(store, subject)
  local found = {}
  for _, der in ipairs(store) do
    if der:find(subject, 1, true) then
      local one = core.certificate.parse(der)
      if one and one:subject_der() == subject then
        found[#found + 1] = one
      end
    end
  end
  return found
end

--- Opens the root store.
-- @tparam ?string path the system's by default
-- @treturn[1] table to pass to `reason`
-- @treturn[2] nil
-- @treturn[2] string why there is none
function public.open(path)
  local why
  for _, candidate in ipairs(path and { path } or PATHS) do
    local text, err = core.file.read(candidate)
    if text then
      local store = read(text)
      if #store > 0 then
        return store
      end
      why = candidate .. " holds no certificate"
    elseif path or err.code ~= "not_found" then
      why = tostring(err.path or candidate) .. ": " .. err.message
    end
  end
  return nil, why or "this system has no root store where it is looked for"
end

--- Why a certificate counts as a well-known public CA.
-- @tparam table store
-- @tparam table facts
-- @treturn ?string nil where it does not
function public.reason(store, facts)
  local key = facts.certificate:public_key()
  for _, root in ipairs(named(store, facts.subject_der)) do
    if root == facts.certificate then
      return "is a well-known public CA (it is in the root store of this system)"
    elseif key and key:matches(root) then
      return "is a well-known public CA (one of that name and key is in the root store of this system)"
    end
  end
  for _, root in ipairs(facts:is_self_issued() and {} or named(store, facts.issuer_der)) do
    if facts.certificate:issued_by(root) then
      return ("is issued by a well-known public CA (%s)"):format(root:subject())
    end
  end
end

return public

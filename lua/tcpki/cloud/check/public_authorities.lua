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

-- The stores that were read, by the text of the file, for as long as anybody needs them.
local read = setmetatable({}, { __mode = "v" })

-- Subject (DER) to the certificates with it. A block that cannot be read is no reason to do without the others.
local function index(text)
  local store = { count = 0 }
  for _, part in ipairs(core.pem.scan(text) or {}) do
    local certificate = part.der and core.certificate.parse(part.der)
    local subject = certificate and certificate:subject_der()
    if subject then
      store[subject] = store[subject] or {}
      table.insert(store[subject], certificate)
      store.count = store.count + 1
    end
  end
  return store
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
      local store = read[text] or index(text)
      read[text] = store
      if store.count > 0 then
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
  for _, root in ipairs(store[facts.subject_der] or {}) do
    if root == facts.certificate then
      return "is a well-known public CA (it is in the root store of this system)"
    elseif key and key:matches(root) then
      return "is a well-known public CA (one of that name and key is in the root store of this system)"
    end
  end
  for _, root in ipairs(store[facts.issuer_der] or {}) do
    if facts.certificate:issued_by(root) then
      return ("is issued by a well-known public CA (%s)"):format(root:subject())
    end
  end
end

return public

--- A certificate and its key as Go's tls.X509KeyPair takes them, with its words.
-- @module tcpki.go.pair
-- @local

local go = require "tcpki.go"
local kind = require "tcpki.pem.kind"

local function ends_with(text, ending)
  return text:sub(-#ending) == ending
end

local function types(labels)
  return "[" .. table.concat(labels, " ") .. "]"
end

-- All blocks CERTIFICATE; or nil, a code and what Go says.
local function certificates_of(text)
  local found, labels = {}, {}
  for _, block in ipairs(go.blocks(text)) do
    if block.label == "CERTIFICATE" then
      found[#found + 1] = block
    else
      labels[#labels + 1] = block.label
    end
  end
  if #found > 0 then
    return found
  elseif #labels == 0 then
    return nil, "certificate_not_pem", "tls: failed to find any PEM data in certificate input"
  elseif #labels == 1 and ends_with(labels[1], "PRIVATE KEY") then
    return nil, "switched", "tls: failed to find certificate PEM data in certificate input, but did find a private "
      .. "key; PEM inputs may have been switched"
  end
  return nil, "certificate_not_pem", 'tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping '
    .. "PEM blocks of the following types: " .. types(labels)
end

-- The first block of a private key, whatever stands before it; or nil, a code and what Go says.
local function key_of(text)
  local labels = {}
  for _, block in ipairs(go.blocks(text)) do
    if block.label == "PRIVATE KEY" or ends_with(block.label, " PRIVATE KEY") then
      return block
    end
    labels[#labels + 1] = block.label
  end
  if #labels == 0 then
    return nil, "key_not_pem", "tls: failed to find any PEM data in key input"
  elseif #labels == 1 and labels[1] == "CERTIFICATE" then
    return nil, "switched", "tls: found a certificate rather than a key in the PEM for the private key"
  end
  return nil, "key_not_pem", 'tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input after '
    .. "skipping PEM blocks of the following types: " .. types(labels)
end

-- What a key file holds whose key Go does not read.
local function why_unread(block)
  local encrypted = block.headers:find "ENCRYPTED" or kind.label(block.der) == "ENCRYPTED PRIVATE KEY"
  return encrypted and "key_encrypted" or "key_unreadable"
end

--- Puts a certificate and a key together.
-- @tparam string certificate PEM
-- @tparam string key PEM
-- @treturn[1] {table,…} views as of `tcpki.go`, the leaf first, each with `line`; false for a block that Go does not
-- read
-- @treturn[2] nil
-- @treturn[2] string `certificate_not_pem`, `certificate_unreadable`, `key_not_pem`, `key_encrypted`, `key_unreadable`,
-- `key_mismatch`, `switched`
-- @treturn[2] string what Go says, or its beginning
-- @treturn[2] table the views, as far as they were read
return function(certificate, key)
  local blocks, code, says = certificates_of(certificate)
  if not blocks then
    return nil, code, says, {}
  end
  local block
  block, code, says = key_of(key)
  local views, first = {}, nil
  for i, other in ipairs(blocks) do
    local view, reason = go.certificate(other.der)
    if view then
      view.line = other.line
    elseif i == 1 then
      first = reason or "x509: "
    end
    views[i] = view or false
  end
  if not block then
    return nil, code, says, views
  elseif first then
    return nil, "certificate_unreadable", first, views
  end
  -- The label does not count here: all forms are tried.
  local form = kind.label(block.der)
  local private = form and go.key(form, block.der)
  if not private then
    return nil, why_unread(block), "tls: failed to parse private key", views
  end
  local public = views[1].key
  if not public then
    return nil, "certificate_unreadable", "tls: unknown public key algorithm", views
  elseif private:type() ~= public:type() then
    return nil, "key_mismatch", "tls: private key type does not match public key type", views
  elseif not private:matches(views[1].certificate) then
    return nil, "key_mismatch", "tls: private key does not match public key", views
  end
  return views
end

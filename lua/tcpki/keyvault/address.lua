--- Where things are in a vault: its name, its URL, the paths of the operations.
-- @module tcpki.keyvault.address
-- @local

local address = {}

-- The version of the API that bodies and paths are those of.
local API_VERSION = "7.4"

--- The URL of a vault of the public cloud.
-- @tparam string where the function, for the message
-- @tparam string name 3 to 24 letters, digits and hyphens
-- @tparam[opt=3] integer level whom to blame, as for `error`
-- @treturn string
function address.of_vault(where, name, level)
  if type(name) ~= "string" or not name:find "^%a[%w-]*%w$" or #name < 3 or #name > 24 then
    error(("%s: option 'vault' must be the name of a vault (3 to 24 letters, digits and hyphens), not %q"):format(where,
      tostring(name)), level or 3)
  end
  return ("https://%s.vault.azure.net"):format(name:lower())
end

--- Throws on a name that no certificate can have (certificates.json: `^[0-9a-zA-Z-]+$`).
-- @tparam string where
-- @tparam string name
-- @tparam[opt=3] integer level whom to blame, as for `error`
-- @treturn string
function address.name(where, name, level)
  if type(name) ~= "string" or not name:find "^[%w-]+$" or #name > 127 then
    error(("%s: a certificate of a vault has a name of up to 127 letters, digits and hyphens, not %q"):format(where,
      tostring(name)), level or 3)
  end
  return name
end

--- Throws on what is no version of a secret: it goes into a path.
-- @tparam string where
-- @tparam ?string version
-- @tparam[opt=3] integer level whom to blame, as for `error`
-- @treturn ?string
function address.version(where, version, level)
  if version ~= nil and (type(version) ~= "string" or not version:find "^%w+$") then
    error(("%s: a version is letters and digits, such as 7f1b0a…, not %q"):format(where, tostring(version)),
      level or 3)
  end
  return version
end

local paths = {
  create = { "POST", "/certificates/%s/create" },
  pending = { "GET", "/certificates/%s/pending" },
  merge = { "POST", "/certificates/%s/pending/merge" },
  cancel = { "DELETE", "/certificates/%s/pending" },
  import = { "POST", "/certificates/%s/import" },
  policy = { "GET", "/certificates/%s/policy" },
  secret = { "GET", "/secrets/%s" },
}

--- Method and URL of an operation.
-- @tparam string url of the vault
-- @tparam string operation `create`, `pending`, `merge`, `cancel`, `import`, `policy` or `secret`
-- @tparam string name
-- @tparam ?string version of a secret
-- @treturn string method
-- @treturn string URL
function address.of(url, operation, name, version)
  local method, path = table.unpack(paths[operation])
  return method, ("%s%s%s?api-version=%s"):format(url, path:format(name), version and "/" .. version or "", API_VERSION)
end

return address

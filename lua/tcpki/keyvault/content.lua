--- What a text is, in a word for a person, where something else was expected.
-- @module tcpki.keyvault.content
-- @local

local content = {}

-- In order: the first that fits names it. A text is looked at, never parsed: it goes into a message.
local rows = {
  { "^%s*$", "an empty text" },
  { "^\0", "binary data" },
  { "^0[\x80-\x84]", "DER, which the vault writes as base64" },
  { "%-%-%-%-%-BEGIN OPENSSH PRIVATE KEY", "an OpenSSH key" },
  { "%-%-%-%-%-BEGIN PGP", "a GPG key" },
  { "^ssh%-", "an OpenSSH public key" },
  { "^%s*{.*\"kty\"", "a JWK" },
  { "%-%-%-%-%-BEGIN CERTIFICATE REQUEST", "a CSR" },
  { "%-%-%-%-%-BEGIN NEW CERTIFICATE REQUEST", "a CSR" },
  { "%-%-%-%-%-BEGIN [%u ]*PRIVATE KEY", "a private key" },
  { "%-%-%-%-%-BEGIN CERTIFICATE", "a certificate" },
  { "^%s*{.*\"contentType\"%s*:%s*\"application/x%-p", "a secret of the vault" },
  { "^%s*{.*\"x5t\"", "a certificate of the vault" },
  { "^%s*{.*\"error\"", "an error of the vault" },
  { "^%s*{", "JSON of another kind" },
  { "^%s*<", "HTML or XML" },
}

--- @tparam string text
-- @treturn ?string such as "a JWK", nil where it cannot be told
function content.name(text)
  local head = text:sub(1, 65536)
  for _, row in ipairs(rows) do
    if head:find(row[1]) then
      return row[2]
    end
  end
end

return content

--- The clients of a namespace, in the forms in which a program has them.
-- @module tcpki.cloud.clients
-- @local

local chain = require "tcpki.chain"
local options = require "tcpki.options"

local clients = {}

local FORMS = "tcpki.certificate|tcpki.chain|tcpki.leaf"

local known = { name = "string", certificate = FORMS, chain = "tcpki.chain", replacement = FORMS }

-- The name in a metatable: a plain table has none.
local function kind(value)
  local metatable = getmetatable(value)
  return type(metatable) == "table" and metatable.__name or type(value)
end

--- The certificate at the front of whatever holds one.
-- @tparam certificate|chain|leaf holder
-- @treturn certificate
function clients.leaf_of(holder)
  local form = kind(holder)
  return form == "tcpki.chain" and holder[1] or form == "tcpki.leaf" and holder.certificate or holder
end

--- The chain that whatever holds a certificate would send.
-- @tparam certificate|chain|leaf holder
-- @treturn chain
function clients.chain_of(holder)
  local form = kind(holder)
  return form == "tcpki.chain" and holder or form == "tcpki.leaf" and holder.chain or chain.of_path { holder }
end

local function name_of(certificate)
  local subject = certificate:subject()
  if not subject or #subject == 0 then
    return "certificate " .. certificate:serial()
  end
  -- A name goes to a terminal.
  return subject.CN and subject.CN:gsub("%c", function(c)
    return ("\\%02X"):format(c:byte())
  end) or tostring(subject)
end

local function client_of(where, number, value)
  local given = value
  if kind(value) ~= "table" then
    given = { certificate = value }
  end
  options.check(("%s: client %d"):format(where, number), given, known, 4)
  local holder = given.chain or given.certificate
  if holder == nil then
    error(("%s: client %d has no certificate"):format(where, number), 4)
  end
  local certificate = clients.leaf_of(holder)
  return {
    name = given.name or name_of(certificate),
    certificate = certificate,
    chain = clients.chain_of(holder),
    replacement = given.replacement and clients.chain_of(given.replacement),
  }
end

--- Brings a list of clients into one form.
-- @tparam string where the function, for messages
-- @tparam {client,…} list certificates, chains, leaves of an authority, or tables with `certificate` or `chain`, and
-- perhaps `name` and `replacement`
-- @treturn {table,…} `{ name =, certificate =, chain =, replacement = }`
-- @raise on anything else
function clients.list(where, list)
  options.expect(where, "clients", list, "table")
  options.list(where, "client", list, "table|" .. FORMS)
  local out = {}
  for number, value in ipairs(list) do
    out[number] = client_of(where, number, value)
  end
  return out
end

return clients

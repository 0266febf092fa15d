-- The programs of test/readers, and what they say of the cases of test/readers/manglings.lua.

local here = debug.getinfo(1, "S").source:match "^@(.*)/spec/support/" or "."
package.path = package.path .. ";" .. here .. "/test/readers/?.lua"

local bases = require "bases"
local core = require "tcpki.core"
local manglings = require "manglings"
local outcomes = require "outcomes"

local support = { outcome = outcomes.of }

-- A column of the outcomes: the reader and the role that it is in our table.
support.columns = {}
for _, row in ipairs {
  { "openssl", "openssl", "chain", "roots", "key" },
  { "python-ssl", "python", "chain", "roots", "key" },
  { "python-ssl", "python_cadata", "cadata" },
  { "node", "node", "chain", "roots", "key" },
  { "grpc-boringssl", "grpc", "chain", "roots", "key" },
  { "grpc-openssl", "grpc_openssl", "chain", "roots", "key" },
  { "go", "go", "chain", "roots", "key" },
  { "rustls", "rustls", "chain", "roots", "key" },
  { "netty", "netty", "chain", "roots", "key" },
  { "jdk", "jdk", "chain", "roots" },
  { "cryptography", "cryptography", "chain", "key" },
} do
  for i = 3, #row do
    local name = row[1] .. " " .. row[i]
    table.insert(support.columns, {
      name = name, reader = row[2], role = row[i] == "cadata" and "roots" or row[i], is_set = outcomes.sets[name],
      -- These show the bytes of a key; the others its public half.
      is_raw = row[1] == "rustls" or row[1] == "netty",
    })
  end
end

-- Of the pairs of manglings every so many-th is enough where the time matters; none is ever left out alone.
local EVERY = 11

--- Has all readers read all cases; without `all` a part of the pairs.
-- @treturn table `cases`, `columns`, `remove()`
function support.ask(all)
  local directory = outcomes.directory()
  assert(os.execute(("mkdir -p '%s/keys'"):format(directory)))
  local list = bases.make(directory .. "/keys")
  local cases, pairs_seen = {}, 0
  for case in manglings.cases(list) do
    pairs_seen = pairs_seen + (#case.manglings > 1 and 1 or 0)
    if all or #case.manglings == 1 or pairs_seen % EVERY == 0 then
      cases[#cases + 1] = case
    end
  end
  local columns = outcomes.ask(list, cases, directory)
  for _, base in ipairs(list) do
    base.ders = {}
    for _, part in ipairs(core.pem.scan(base.text)) do
      if (part.label == "CERTIFICATE") == not base.key then
        table.insert(base.ders, part.der)
      elseif part.label == "PRIVATE KEY" then
        base.beside = part.der
      end
    end
  end
  return {
    cases = cases, columns = columns,
    remove = function() os.execute(("rm -rf '%s'"):format(directory)) end,
  }
end

local function public(der)
  local key = core.key.parse(der)
  return key and key:public():der()
end

--- Whether some bytes are the key of the good text of a case, as the reader of a column shows it.
function support.is_key_of(case, column, der)
  local good = case.good[case.base][column.name]
  local own = case.from.beside or case.from.ders[1]
  if not good or good:find "error: " then
    return false -- no reader can be seen to give the right one
  end
  return der == own or not column.is_raw and own ~= nil and public(der) ~= nil and public(der) == public(own)
end

--- The places of certificates in the good text of a case, as in test/readers/outcomes.lua.
function support.places(case, column, objects)
  local places = {}
  for i, object in ipairs(objects) do
    places[i] = "?"
    for place, der in ipairs(case.from.ders) do
      if der == object.der and not case.from.key then
        places[i] = tostring(place)
      end
    end
  end
  if column.is_set then
    table.sort(places)
    for i = #places, 2, -1 do
      if places[i] == places[i - 1] then
        table.remove(places, i)
      end
    end
  end
  return #places > 0 and table.concat(places, ",") or "-"
end

return support

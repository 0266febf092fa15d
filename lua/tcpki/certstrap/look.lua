--- What is in a depot: its list, and the chains of its certificates.
-- @module tcpki.certstrap.look
-- @local

local authorities = require "tcpki.certstrap.authorities"
local chain = require "tcpki.chain"
local core = require "tcpki.core"
local date = require "tcpki.date"
local fault = require "tcpki.fault"
local options = require "tcpki.options"
local store = require "tcpki.certstrap.store"

local look = {}

local list_metatable = { __name = "tcpki.certstrap.list" }

local function columns(rows)
  local widths, lines = {}, {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do
      widths[i] = math.max(widths[i] or 0, utf8.len(cell) or #cell)
    end
  end
  for _, row in ipairs(rows) do
    local line = {}
    for i, cell in ipairs(row) do
      line[i] = cell .. (i < #row and (" "):rep(widths[i] - (utf8.len(cell) or #cell)) or "")
    end
    lines[#lines + 1] = (table.concat(line, "  "):gsub("%c", "?"))
  end
  return table.concat(lines, "\n")
end

function list_metatable:__tostring()
  if #self == 0 then
    return "nothing in the depot"
  end
  local rows = { { "NAME", "STATUS", "ENDS", "KEY", "ISSUER" } }
  for _, entry in ipairs(self) do
    local role = entry.certificate and (entry.ca and (entry.root and "root" or "intermediate") or "leaf") or "-"
    rows[#rows + 1] = { entry.stem, entry.status .. (role ~= "-" and " " .. role or ""),
      entry.certificate and date.day(entry.certificate:not_after()) or "-", entry.key or "-",
      entry.root and "itself" or entry.issuer or "-" }
  end
  return columns(rows)
end

local function key_state(depot, stem)
  local key, err = core.key.read(store.path(depot, stem, "key"))
  return key and "clear" or err.code == "passphrase_required" and "encrypted" or "damaged", key or nil
end

local function status_of(entry, at)
  local certificate = entry.certificate
  if entry.fault then
    return "damaged"
  elseif not certificate then
    return entry.files.csr and "requested" or "half"
  elseif entry.revoked then
    return "revoked"
  elseif certificate:not_after() < at then
    return "expired"
  end
  return certificate:not_before() > at and "not yet valid" or "valid"
end

local function entry_of(depot, all, revoked, stem, files, at)
  local entry = { stem = stem, files = files }
  if files.crt then
    local certificate, err = store.read(depot, stem, "crt")
    entry.certificate, entry.fault = certificate, err
    if certificate then
      local issuer = authorities.issuer_of(all, certificate)
      entry.ca, entry.root = authorities.is_one(certificate), certificate:self_signed()
      entry.issuer = issuer and issuer.stem
      entry.revoked = issuer and not entry.root and revoked(issuer, certificate) or nil
    end
  end
  if files.key then
    entry.key = key_state(depot, stem)
  end
  entry.status = status_of(entry, at)
  return entry
end

--- All that is in a depot.
-- @tparam depot depot
-- @tparam table given
-- @treturn[1] {table,…} sorted by `stem`
-- @treturn[2] nil
-- @treturn[2] fault
function look.list(depot, given)
  given = options.check("depot:list", given, { at = "integer" })
  local found, stems = store.scan(depot.directory)
  if not found then
    return nil, stems
  end
  local all, err = authorities.all(depot)
  if not all then
    return nil, err
  end
  local list, revoked = {}, authorities.revocations(depot)
  for i, stem in ipairs(stems) do
    list[i] = entry_of(depot, all, revoked, stem, found[stem], given.at or os.time())
  end
  return setmetatable(list, list_metatable)
end

--- The chain of a certificate: leaf first, up to its root or to where the depot ends.
-- @tparam depot depot
-- @tparam string name
-- @tparam table given
-- @treturn[1] chain
-- @treturn[2] nil
-- @treturn[2] fault
function look.chain(depot, name, given)
  options.expect("depot:chain", "name", name, "string")
  given = options.check("depot:chain", given, { root = "boolean" })
  local stem, err = store.find(depot, name, "crt")
  local certificate, all
  if stem then
    certificate, err = store.read(depot, stem, "crt")
  end
  if certificate then
    all, err = authorities.all(depot)
  end
  if not all then
    return nil, err
  end
  local heap = { certificate }
  for _, one in ipairs(all) do
    heap[#heap + 1] = one.certificate
  end
  local built
  built, err = chain.new(heap, { leaf = certificate })
  if not built then
    return nil, err
  elseif built.missing then
    return fault.fail { code = "no_issuer", path = store.path(depot, stem, "crt"), depth = #built - 1,
      message = ("the chain ends before its root: %s is not in the depot"):format(built.missing),
      hint = "put its certificate there, as a file of mode 0444 that ends in .crt" }
  end
  local path = { table.unpack(built) }
  if not given.root and #path > 1 then
    table.remove(path)
  end
  return chain.of_path(path, path[#path]:self_signed() and nil or tostring(path[#path]:issuer()))
end

return look

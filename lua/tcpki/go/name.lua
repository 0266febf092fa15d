--- Distinguished names as Go prints them, and so istiod and the command-line tools of the Cloud.
--
-- Go (crypto/x509/pkix, Name.String) does not print a name as it stands: it sorts the usual fields into one fixed
-- order, joins the values of a field with +, keeps one common name and one serial number (the last), prints all that
-- from the back, and then the fields that it has no name for, by OID and as the DER of their values.
-- @module tcpki.go.name
-- @local

-- In the order in which Go puts them together.
local usual = {
  { oid = "2.5.4.6", word = "C" },
  { oid = "2.5.4.8", word = "ST" },
  { oid = "2.5.4.7", word = "L" },
  { oid = "2.5.4.9", word = "STREET" },
  { oid = "2.5.4.17", word = "POSTALCODE" },
  { oid = "2.5.4.10", word = "O" },
  { oid = "2.5.4.11", word = "OU" },
  { oid = "2.5.4.3", word = "CN", single = true },
  { oid = "2.5.4.5", word = "SERIALNUMBER", single = true },
}

local is_usual = {}
for _, field in ipairs(usual) do
  is_usual[field.oid] = true
end

-- The content of the DER element at a place, and the place behind it. The bytes are a name that libcrypto has read.
local function element(der, at)
  local length = der:byte(at + 1)
  local start = at + 2
  if length >= 0x80 then
    local octets = length & 0x7f
    length = string.unpack(">I" .. octets, der, start)
    start = start + octets
  end
  return der:sub(start, start + length - 1), start + length
end

local function dotted(octets)
  local arcs, arc = {}, 0
  for i = 1, #octets do
    local octet = octets:byte(i)
    arc = arc << 7 | octet & 0x7f
    if octet < 0x80 then
      arcs[#arcs + 1] = arc
      arc = 0
    end
  end
  local first = math.min(arcs[1] // 40, 2)
  arcs[1] = ("%d.%d"):format(first, arcs[1] - first * 40)
  return table.concat(arcs, ".")
end

-- The OID of each field, in the order of the name.
local function oids_of(der)
  local oids = {}
  local sequence = element(der, 1)
  local at = 1
  while at <= #sequence do
    local set
    set, at = element(sequence, at)
    local inner = 1
    while inner <= #set do
      local field
      field, inner = element(set, inner)
      oids[#oids + 1] = dotted((element(field, 1)))
    end
  end
  return oids
end

local function escape(value)
  local text = value:gsub('[,+"\\<>;]', "\\%0"):gsub("^[ #]", "\\%0")
  return #value > 1 and text:gsub(" $", "\\ ") or text
end

-- What Go's asn1.Marshal makes of the value: PrintableString where it can be one, else UTF8String.
local function hex_of(value)
  local tag = value:find "^[%w '()+,./:=?-]*$" and "\x13" or "\x0c"
  local length = #value < 0x80 and string.char(#value) or #value < 0x100 and string.pack(">BB", 0x81, #value)
    or string.pack(">BI2", 0x82, #value)
  return ((tag .. length .. value):gsub(".", function(octet)
    return ("%02x"):format(octet:byte())
  end))
end

--- Prints a name.
-- @tparam table entries `certificate:subject()` or `:issuer()`
-- @tparam string der `certificate:subject_der()` or `:issuer_der()`
-- @treturn string
return function(entries, der)
  local oids = oids_of(der)
  local values, parts = {}, {}
  for i, entry in ipairs(entries) do
    local oid = oids[i]
    if is_usual[oid] then
      values[oid] = values[oid] or {}
      table.insert(values[oid], entry.value)
    else
      parts[#parts + 1] = oid .. "=#" .. hex_of(entry.value)
    end
  end
  for _, field in ipairs(usual) do
    local list = values[field.oid] or {}
    if field.single then
      list = { list[#list] }
    end
    local words = {}
    for _, value in ipairs(list) do
      if value ~= "" or not field.single then
        words[#words + 1] = field.word .. "=" .. escape(value)
      end
    end
    if #words > 0 then
      parts[#parts + 1] = table.concat(words, "+")
    end
  end
  local reversed = {}
  for i = #parts, 1, -1 do
    reversed[#reversed + 1] = parts[i]
  end
  return table.concat(reversed, ",")
end

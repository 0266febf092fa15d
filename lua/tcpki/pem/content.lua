--- What a text holds, and what the bytes in it are: looked at once, for all readers of tcpki.pem.readers.
-- @module tcpki.pem.content

local core = require "tcpki.core"
local kind = require "tcpki.pem.kind"

local content = {}
local methods = {}
local metatable = { __index = methods }

--- Calls a function, and gives the fault that was thrown inside of it, however deep, because memory ran out or the
-- text is too large: what a reader makes of bytes that could not be looked at is not known, and is not "nothing".
-- @tparam function f
-- @return[1] what it gives
-- @treturn[2] nil
-- @treturn[2] fault `out_of_memory`, `too_large`
function content.guarded(f, ...)
  local results = table.pack(pcall(f, ...))
  if results[1] then
    return table.unpack(results, 2, results.n)
  elseif type(results[2]) == "table" and results[2].code then
    return nil, results[2]
  end
  error(results[2], 0)
end

-- What a parser says of some bytes, or nil.
local function parsed(parse, der)
  local object, err = parse(der)
  if not object and err.code == "out_of_memory" then
    error(err, 0)
  end
  return object
end

-- Notes on a block that no reader minds.
local plain_notes = { line_lf = true, line_crlf = true, end_unterminated = true, der_trailing = true }
-- OpenSSL cuts longer lines; armour has at most 76.
local PLAIN_WIDTH = 76

local function is_plain(part)
  if not part.der or part.headers or part.width > PLAIN_WIDTH then
    return false
  end
  for word in pairs(part.notes) do
    if not plain_notes[word] then
      return false
    end
  end
  return true
end

--- Describes a text.
-- @tparam string text
-- @treturn table with `text`, `parts` (of the scanner), `plain` (the blocks that all readers take for the same, by
-- where they begin), `nul` (where the first one is) and `ascii`; and the methods of this module
function content.describe(text)
  local parts = assert(core.pem.scan(text))
  local plain = {}
  for _, part in ipairs(parts) do
    if is_plain(part) then
      plain[part.first] = { label = part.label, headers = "", der = part.der, at = part.first, last = part.last }
    end
  end
  return setmetatable({
    text = text, parts = parts, plain = plain, certificates = {}, keys = {},
    nul = text:find("\0", 1, true), ascii = not text:find "[\x80-\xff]",
  }, metatable)
end

-- Netty matches white space by recursion.
local MOST_BLANKS = 300

local function has_long_blanks(text)
  for first, stop in text:gmatch "()%s+()" do
    if stop - first > MOST_BLANKS then
      return true
    end
  end
  return false
end

--- Whether surely every reader finds the same blocks: nothing is there but plain ones, each at the start of its line,
-- and ordinary text that is not like armour.
-- @treturn boolean
function methods:is_plain()
  for _, part in ipairs(self.parts) do
    local known = self.plain[part.first]
    if part.kind == "block" and not (known and (part.first == 1 or self.text:byte(part.first - 1) == 10)) then
      return false
    elseif part.kind ~= "block" then
      local text = self.text:sub(part.first, part.last)
      if text:find "[^\t\r\n -~]" or text:find "%-BEGIN" or text:find "%-END" or has_long_blanks(text) then
        return false
      end
    end
  end
  return true
end

-- The first element of some bytes, where it is whole.
local function first_of(der)
  local length = kind.length(der)
  return length and length <= #der and der:sub(1, length) or nil
end

--- The length of the certificate that some bytes begin with.
-- @tparam string der
-- @treturn integer|boolean false where there is none
function methods:certificate(der)
  local length = self.certificates[der]
  if length == nil then
    local first = first_of(der)
    length = first and parsed(core.certificate.parse, first) and #first or false
    self.certificates[der] = length
  end
  return length
end

--- Whether some bytes begin with a CRL.
-- @tparam string der
-- @treturn boolean
function methods.is_crl(der)
  local first = first_of(der)
  return first and parsed(core.crl.parse, first) and true or false
end

local function value(tag, bytes)
  return tag .. (#bytes < 0x80 and string.pack("s1", bytes) or "\x82" .. string.pack(">s2", bytes))
end

-- The elements of a range, as `{ tag =, first =, content =, stop = }`; nil where they do not fill it.
local function elements(der, at, stop)
  local list = {}
  while at < stop do
    local tag, inside, next_one = kind.element(der, at)
    if not tag or next_one > stop then
      return nil
    end
    list[#list + 1] = { tag = tag, first = at, content = inside, stop = next_one }
    at = next_one
  end
  return list
end

-- A PKCS#8 EC key without the public key that may stand in it (RFC 5915): the JDK does not look there, as long as it
-- is an element at all.
local function private_half(der)
  local _, inside, stop = kind.element(der, 1)
  local outer = elements(der, inside, stop)
  local octets = outer and outer[3]
  local wrapped = octets and elements(der, octets.content, octets.stop)
  if not wrapped or #wrapped ~= 1 or wrapped[1].tag ~= 0x30 then
    return nil
  end
  local inner = elements(der, wrapped[1].content, wrapped[1].stop)
  if not inner or #inner < 2 then
    return nil
  end
  local half = der:sub(inner[1].first, inner[2].stop - 1)
  return value("\x30", der:sub(outer[1].first, octets.first - 1) .. value("\x04", value("\x30", half)))
end

local forms = { ["PRIVATE KEY"] = "pkcs8", ["RSA PRIVATE KEY"] = "pkcs1", ["EC PRIVATE KEY"] = "sec1" }
local right_versions = { pkcs8 = "[\0\1]", pkcs1 = "\0", sec1 = "\1" }

local function describe_key(der)
  local first = first_of(der)
  local form = first and forms[kind.label(first)]
  if not form then
    return false
  end
  local _, version = kind.element(first, 1)
  local key = parsed(core.key.parse, first)
  local whole = key ~= nil
  if not key and form == "pkcs8" then
    local half = private_half(first)
    key = half and parsed(core.key.parse, half)
  end
  return key and {
    length = #first, form = form, type = key:type(), whole = whole,
    right_version = first:find("^\2\1" .. right_versions[form], version) ~= nil,
  } or false
end

--- What private key some bytes begin with; an encrypted one counts as none.
-- @tparam string der
-- @treturn table|boolean `{ length =, form = "pkcs8"|"pkcs1"|"sec1", type =, right_version =, whole = (false where its
-- public half is damaged) }`, or false
function methods:key(der)
  local key = self.keys[der]
  if key == nil then
    key = describe_key(der)
    self.keys[der] = key
  end
  return key
end

-- A SEQUENCE of optional elements in this order (openssl: crypto/x509/x_x509a.c).
local AUXILIARY_TAGS = "^\x30?\xa0?\x0c?\x04?\xa1?$"

--- Whether some bytes are what OpenSSL writes behind the certificate in a TRUSTED CERTIFICATE.
-- @tparam string der
-- @treturn boolean
function methods.is_auxiliary(der)
  local first = first_of(der)
  if not first then
    return false
  end
  local _, inside, stop = kind.element(first, 1)
  local tags = elements(first, inside, stop)
  for i = 1, tags and #tags or 0 do
    tags[i] = string.char(tags[i].tag)
  end
  return tags ~= nil and table.concat(tags):find(AUXILIARY_TAGS) ~= nil
end

return content

-- DER by hand, for what no tool writes: each function gives the bytes of one value.

local der = {}

local function length_of(count)
  if count < 0x80 then return string.char(count) end
  local digits = ""
  while count > 0 do
    digits = string.char(count & 0xff) .. digits
    count = count >> 8
  end
  return string.char(0x80 | #digits) .. digits
end

function der.value(tag, content)
  return string.char(tag) .. length_of(#content) .. content
end

function der.sequence(...)
  return der.value(0x30, table.concat { ... })
end

function der.set(...)
  return der.value(0x31, table.concat { ... })
end

-- Of a small number, or of bytes as they are.
function der.integer(value)
  if type(value) == "string" then return der.value(0x02, value) end
  local digits = ""
  repeat
    digits = string.char(value & 0xff) .. digits
    value = value >> 8
  until value == 0
  if digits:byte() >= 0x80 then digits = "\0" .. digits end
  return der.value(0x02, digits)
end

function der.octets(content)
  return der.value(0x04, content)
end

function der.bits(content)
  return der.value(0x03, "\0" .. content)
end

function der.null()
  return "\x05\0"
end

function der.oid(text)
  local numbers = {}
  for number in text:gmatch "%d+" do
    numbers[#numbers + 1] = math.tointeger(tonumber(number))
  end
  local bytes = string.char(numbers[1] * 40 + numbers[2])
  for i = 3, #numbers do
    local number = numbers[i]
    local part = string.char(number & 0x7f)
    number = number >> 7
    while number > 0 do
      part = string.char(0x80 | number & 0x7f) .. part
      number = number >> 7
    end
    bytes = bytes .. part
  end
  return der.value(0x06, bytes)
end

-- The tag, the content and what follows, of the value that a text begins with.
function der.read(text)
  local tag, length = text:byte(1, 2)
  local first = 3
  if length >= 0x80 then
    local count = length & 0x7f
    length = 0
    for i = 1, count do
      length = length << 8 | text:byte(2 + i)
    end
    first = 3 + count
  end
  return tag, text:sub(first, first + length - 1), text:sub(first + length)
end

-- The values within the content of a constructed one.
function der.parts(content)
  local parts = {}
  while #content > 0 do
    local _, _, rest = der.read(content)
    parts[#parts + 1] = content:sub(1, #content - #rest)
    content = rest
  end
  return parts
end

return der

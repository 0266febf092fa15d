-- What the parties that are commands have in common: see README.md. Each gives `readers` (kind to function of path,
-- passphrase, certificate, which returns a value, or nil and a message) and `write` (function of directory and put).

local party = {}

function party.quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- What a command prints; nil and what it said where it fails.
function party.run(command)
  local said = os.tmpname()
  local handle = assert(io.popen(("%s 2>%s </dev/null"):format(command, said)))
  local output = handle:read "a"
  local ok = handle:close()
  local file = assert(io.open(said, "rb"))
  local errors = file:read "a"
  file:close()
  os.remove(said)
  if ok then return output, errors end
  return nil, (errors .. output):gsub("%s+", " ")
end

-- SHA-256 of what a command prints.
function party.hash(command)
  local output, message = party.run(("set -o pipefail; %s | openssl dgst -sha256 -r"):format(command))
  if not output then return nil, message end
  return output:match "^%x+"
end

-- popen's shell is dash, which has no pipefail.
local run = party.run
function party.run(command)
  return run("bash -c " .. party.quote(command))
end

function party.content(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "a"
  file:close()
  return text
end

function party.put(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

-- The blocks of a PEM file as files of their own.
function party.blocks(path, label)
  local paths = {}
  local dashes = "%-%-%-%-%-"
  local pattern = ("(%sBEGIN %s%s.-%sEND %s%s\n)"):format(dashes, label, dashes, dashes, label, dashes)
  for block in party.content(path):gmatch(pattern) do
    local own = os.tmpname()
    party.put(own, block)
    paths[#paths + 1] = own
  end
  return paths
end

-- The value of the kind `certificates`, by a command that writes the certificate of a PEM file as DER.
function party.certificates(path, command)
  local values = {}
  for i, own in ipairs(party.blocks(path, "CERTIFICATE")) do
    local message
    values[i], message = party.hash(command:format(own))
    os.remove(own)
    if not values[i] then return nil, message end
  end
  return table.concat(values, ",")
end

-- Serial numbers out of a text, by a pattern with one capture; sorted, without leading zeros.
function party.serials(text, pattern)
  local list = {}
  for serial in text:gmatch(pattern) do
    list[#list + 1] = serial:lower():gsub("[^%x]", ""):gsub("^0+", "")
  end
  table.sort(list)
  return table.concat(list, ",")
end

function party.main(made)
  local command, place = arg[1], arg[2]
  if command == "write" then
    return made.write(place, function(name, kind, passphrase, value)
      io.stdout:write(("%s/%s\t%s\t%s\t%s\n"):format(place, name, kind, passphrase or "-", value))
    end)
  end
  for line in io.lines(place) do
    local path, kind, passphrase, certificate = line:match "^([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)$"
    local reader = made.readers[kind]
    local value, message
    if reader then
      value, message = reader(path, passphrase ~= "-" and passphrase or nil, certificate ~= "-" and certificate or nil)
    end
    io.stdout:write(path, "\t", not reader and "none\t-" or value and "ok\t" .. value
      or "error\t" .. tostring(message):gsub("[\t\n]", " "), "\n")
  end
end

return party

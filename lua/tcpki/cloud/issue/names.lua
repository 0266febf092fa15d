--- The names that certificates for Temporal Cloud and their files get.
-- @module tcpki.cloud.issue.names
-- @local

local fault = require "tcpki.fault"
local key_of_name = require "tcpki.cloud.check.names".key

local names = {}

-- RFC 5280, appendix A: ub-common-name, ub-organization-name and ub-organizational-unit-name.
local LONGEST = 64
local LABEL = 40
-- Without digits: a host name whose last label is a number passes for an address with some readers, and pkilint wants a
-- letter at its end.
local LETTERS = "abcdefghijklmnopqrstuvwxyz"

local function refuse(message, hint)
  return fault.fail { code = "bad_name", message = message, hint = hint }
end

--- Whether a text can stand in a subject.
-- @tparam string what it is, for messages
-- @tparam string text
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault `bad_name`
function names.check_text(what, text)
  if not text:find "%S" then
    return refuse(("the %s is empty"):format(what), "pass the name as it is to stand in the certificate")
  elseif not utf8.len(text) then
    return refuse(("the %s is not UTF-8"):format(what), "pass it in UTF-8")
  elseif text:find "%c" then
    return refuse(("the %s holds a control character"):format(what), "take line ends and the like out of it")
  elseif utf8.len(text) > LONGEST then
    return refuse(("the %s has %d characters; a certificate takes %d"):format(what, utf8.len(text), LONGEST),
      "pass a shorter one")
  end
  return true
end

--- Whether a name can be that of files: of one directory, of any file system, and not of the CA's own files.
-- @tparam string name
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault `bad_name`
function names.check_file(name)
  local wrong
  if name == "" then
    wrong = "it is empty"
  elseif name:find "[/\\]" then
    wrong = "it has a slash, and would lead to another directory"
  elseif name:find "[^%w._-]" then
    wrong = ("it has the character %q"):format(name:match(utf8.len(name) and "[^%w._-][\x80-\xbf]*" or "[^%w._-]"))
  elseif not name:find "^[%w_]" then
    wrong = "it does not begin with a letter or digit"
  elseif name:find "%.%." then
    wrong = "it has two dots in a row"
  elseif #name > 128 then
    wrong = ("it has %d characters"):format(#name)
  elseif name:lower() == "ca" then
    wrong = "these are the files of the CA"
  end
  if wrong then
    return refuse(("%q cannot be the name of the files: %s"):format(name, wrong),
      "use letters, digits, dots, hyphens and underscores, such as payments-worker")
  end
  return true
end

-- The company as one label of a host name; empty where nothing of it can be one.
local function label(company)
  local text = company:gsub("%u", function(letter)
    return string.char(letter:byte() + 32) -- not string.lower, which hangs on the locale
  end):gsub("[^a-z0-9]+", "-")
  return (text:sub(1, LABEL):gsub("^%-+", ""):gsub("%-+$", ""))
end

--- Four letters that tell certificates of one name apart. Taken from the key, which is random, and the
-- time, since a key may get a second certificate; not from math.random, which a program may have seeded.
-- @tparam key key
-- @treturn string
function names.tag(key)
  local number = tonumber(key:fingerprint():sub(1, 12), 16) + os.time()
  local tag = ""
  for _ = 1, 4 do
    local place = number % #LETTERS + 1
    tag = tag .. LETTERS:sub(place, place)
    number = number // #LETTERS
  end
  return tag
end

--- The alternative name that Temporal's own generators give: `client.root.<company>.<tag>`.
-- @tparam string role "root" or "endentity"
-- @tparam string company
-- @tparam string tag
-- @treturn string
function names.host(role, company, tag)
  local middle = label(company)
  return table.concat({ "client", role, middle ~= "" and middle or "company", tag }, ".")
end

--- Temporal Cloud wants each distinguished name once along the chain, letter case aside.
-- @tparam certificate certificate
-- @tparam {certificate,…} above
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault `bad_name`
function names.check_unique(certificate, above)
  local subject = certificate:subject()
  local key = key_of_name(subject)
  for _, other in ipairs(above) do
    if key_of_name(other:subject()) == key then
      return fault.fail {
        code = "bad_name",
        message = "a CA of its chain has the same distinguished name, which Temporal Cloud refuses, letter case aside",
        subject = tostring(subject),
        hint = "give the client a common name of its own",
      }
    end
  end
  return true
end

return names

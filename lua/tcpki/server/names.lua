--- The names that hosts, clients and authorities of a cluster can have: they become names of files, and stand in
-- certificates.
-- @module tcpki.server.names
-- @local

local fault = require "tcpki.fault"

local names = {}

-- RFC 5280, appendix A: ub-common-name.
local LONGEST = 64
-- RFC 1035, section 2.3.4; and what leaves a name of 255 bytes room for "-client-ca-1.pem".
local LONGEST_LABEL, LONGEST_HOST = 63, 239

local function shown(name)
  return (name:gsub("[^\x20-\x7e]", "?"))
end

local function refuse(what, name, wrong, hint)
  return fault.fail { code = "bad_name", hint = hint,
    message = ("'%s' cannot be the name of %s: %s"):format(shown(name), what, wrong) }
end

--- Whether a name can be that of files, in any file system.
-- @tparam string what it names, for the message: "a client"
-- @tparam string name
-- @tparam[opt] integer longest the length of a common name by default
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault `bad_name`
function names.check_file(what, name, longest)
  local wrong
  if name == "" then
    wrong = "it is empty"
  elseif name:find "[/\\]" then
    wrong = "it has a slash, and would lead to another directory"
  elseif name:find "[^%w._-]" then
    wrong = ("it has the character '%s'"):format(shown(name:match "[^%w._-]"))
  elseif not name:find "^[%w_]" then
    wrong = "it does not begin with a letter or digit"
  elseif #name > (longest or LONGEST) then
    wrong = ("it has %d characters, and may have %d"):format(#name, longest or LONGEST)
  end
  if wrong then
    return refuse(what, name, wrong, "use letters, digits, dots, hyphens and underscores, such as payments-worker")
  end
  return true
end

--- Whether a name can be that of a host. The balancers of clouds have names that are too long for a common name.
-- @tparam string name
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault `bad_name`
function names.check_host(name)
  for label in name:gmatch "[^.]+" do
    if #label > LONGEST_LABEL then
      return refuse("a host", name, ("a part of it has %d characters, and may have %d"):format(#label, LONGEST_LABEL),
        "name the host as clients ask for it")
    end
  end
  return names.check_file("a host", name, LONGEST_HOST)
end

--- Whether a text can stand in a subject.
-- @tparam string what
-- @tparam string text
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault `bad_name`
function names.check_text(what, text)
  local wrong
  if not text:find "%S" then
    wrong = "it is empty"
  elseif not utf8.len(text) then
    wrong = "it is not UTF-8"
  elseif text:find "%c" then
    wrong = "it has a control character"
  elseif utf8.len(text) > LONGEST then
    wrong = ("it has %d characters, a certificate takes %d"):format(utf8.len(text), LONGEST)
  end
  if wrong then
    return refuse(what, text, wrong, "pass it in UTF-8, as it is to stand in the certificates")
  end
  return true
end

--- What a host is called in the subject of its certificate; clients look at the alternative names.
-- @tparam string name
-- @tparam string otherwise where it is too long
-- @treturn string
function names.of_host(name, otherwise)
  return #name <= LONGEST and name or otherwise
end

--- A name of its own for each CA: what finds an issuer by its subject must not take one for the other.
-- @tparam string base
-- @tparam key key
-- @treturn string
function names.of_authority(base, key)
  return ("%s %s"):format(base:gsub(" %x%x%x%x%x%x$", ""), key:fingerprint():sub(1, 6))
end

return names

--- How certstrap makes file names of names.
--
-- request-cert writes `_` for every run of what is not a letter, a digit or one of `._-`; init, sign and revoke look
-- for a name with `_` for each blank, and so miss what request-cert wrote for `*.example.com`. Here each is found.
-- @module tcpki.certstrap.names
-- @local

local fault = require "tcpki.fault"

local names = {}

-- Of a file name, with the suffix and what is beside it while it is written.
local LONGEST = 255 - #".crt.tcpki-new"

local function refuse(name, what)
  return fault.fail { code = "bad_name", message = ("'%s' cannot name files: %s"):format(name:gsub("%c", "?"), what),
    hint = "choose a name of letters, digits, blanks and ._-" }
end

-- Whether a stem can stand in a directory and nowhere else.
local function check(name, stem)
  if stem:find "/" then
    return refuse(name, "it has a slash")
  elseif stem:find "%c" then
    return refuse(name, "it has a control character")
  elseif stem == "" then
    return refuse(name, "it is empty")
  elseif #stem > LONGEST then
    return refuse(name, ("it has more than %d bytes"):format(LONGEST))
  end
  return stem
end

--- The stem of the files of a CA: blanks become `_`.
-- @tparam string name
-- @treturn[1] string
-- @treturn[2] nil
-- @treturn[2] fault `bad_name`
function names.of_authority(name)
  return check(name, (name:gsub(" ", "_")))
end

--- The stem of the files of a request: all but letters, digits and `._-` becomes `_`.
-- @tparam string name
-- @treturn[1] string
-- @treturn[2] nil
-- @treturn[2] fault `bad_name`
function names.of_request(name)
  return check(name, (name:gsub("[^%w._-]+", "_")))
end

--- The stem under which a name has a file, by either rule.
-- @tparam string name
-- @tparam function exists of a stem
-- @treturn[1] string the stem; the one of `of_authority` where there is none
-- @treturn[1] boolean whether there is one
-- @treturn[2] nil
-- @treturn[2] fault `bad_name`
function names.find(name, exists)
  local first, err = names.of_authority(name)
  if first and exists(first) then
    return first, true
  end
  local second = names.of_request(name)
  if second and exists(second) then
    return second, true
  end
  if not first then
    return nil, err
  end
  return first, false
end

return names

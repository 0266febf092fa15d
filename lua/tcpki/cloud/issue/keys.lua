--- The keys that Temporal Cloud takes: RSA with 2048 bits or more, and ECDSA.
-- @module tcpki.cloud.issue.keys
-- @local

local fault = require "tcpki.fault"

local keys = {}

local CURVES = { ["P-256"] = true, ["P-384"] = true, ["P-521"] = true }

local function refuse(owner, what)
  return fault.fail {
    code = "unsupported_key",
    message = ("the key of %s is %s; Temporal Cloud takes RSA and ECDSA"):format(owner, what),
    hint = "use an EC key on P-256, or an RSA key of 2048 bits or more",
  }
end

--- Whether a key may be used.
-- @tparam key key
-- @tparam string owner for messages
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault `unsupported_key`, `weak`
function keys.check(key, owner)
  local kind, err = key:type()
  if not kind then
    return nil, err
  end
  if kind == "rsa" then
    local bits = key:bits()
    if bits < 2048 then
      return fault.fail {
        code = "weak",
        message = ("the RSA key of %s has %d bits"):format(owner, bits),
        hint = "use an RSA key of 2048 bits or more, or an EC key",
      }
    end
    return true
  elseif kind == "ec" then
    return CURVES[key:curve()] or refuse(owner, "on the curve " .. tostring(key:curve()))
  end
  return refuse(owner, kind == "ed25519" and "Ed25519" or "of another kind")
end

--- The same of one that is still to be made.
-- @tparam ?table wanted options of `tcpki.key.generate`
-- @tparam string owner for messages
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault `unsupported_key`
function keys.check_wanted(wanted, owner)
  if wanted and wanted.type == "ed25519" then
    return refuse(owner, "to be Ed25519")
  end
  return true
end

return keys

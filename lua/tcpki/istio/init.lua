--- CA files for Istio: made as its certificate makefiles make them, but right; checked as istiod checks them; packed
-- into the Secret that it reads; and moved from one root to the next.
--
--     local istio = require "tcpki.istio"
--     local root = assert(istio.root())
--     assert(root:write "certs")
--     assert(assert(istio.cluster(root, "cluster1")):write "certs")
--     print(assert(istio.check "certs/cluster1"))
--     print(assert(istio.secret "certs/cluster1").command)
-- @module tcpki.istio

local layout = require "tcpki.istio.layout"
local make = require "tcpki.istio.make"
local options = require "tcpki.options"

local istio = { root = make.root, load = make.load, cluster = make.cluster }

--- Checks a directory of CA files as istiod does when it starts, in its order and with its messages, and adds as
-- warnings what istiod does not look at and others stumble over. Nothing is changed.
--
-- A directory with `tls.crt` is read as a kubernetes.io/tls Secret (tls.crt, tls.key, ca.crt), any other one as
-- ca-cert.pem, ca-key.pem, root-cert.pem, cert-chain.pem and, if it is there, ca-crl.pem.
--
-- The messages are those of istiod from 1.27. Certificate policies, and what of a damaged object Go says in detail, are
-- not followed.
-- @tparam string directory
-- @tparam[opt] table given `at`: the time to check for, seconds since the epoch; now by default
-- @treturn[1] report with `layout` ("istio" or "kubernetes"), `istiod` (what istiod says first, nil where it starts)
-- and `open` (true where Go says more behind it); findings have `path` (the name of the file at fault), `istiod` and
-- `source`
-- @treturn[2] nil
-- @treturn[2] fault `not_found` where it is no such directory, `permission_denied`, …
function istio.check(directory, given)
  options.expect("tcpki.istio.check", "directory", directory, "string")
  given = options.check("tcpki.istio.check", given, { at = "integer" })
  local found, err = layout.read(directory)
  if not found then
    return nil, err
  end
  return require "tcpki.istio.check"(found, given.at)
end

-- Rarely needed, and YAML with one of them.
local rooms = {
  secret = "tcpki.istio.secret", rotate = "tcpki.istio.rotate", check_update = "tcpki.istio.rotate",
}

return setmetatable(istio, {
  __index = function(self, name)
    if rooms[name] then
      self[name] = require(rooms[name])[name]
      return self[name]
    end
  end,
})

--- What signing and renewing have in common: what a certificate is for, and when it ends.
-- @module tcpki.certstrap.leaf
-- @local

local options = require "tcpki.options"

local leaf = {}

--- The options of both.
leaf.options = { expires = "string", years = "integer", usage = "string" }

--- When a certificate ends: not beyond the issuer, whatever was asked for; and a moment before it, since Temporal Cloud
-- asks for that.
-- @tparam certificate issuer
-- @tparam integer not_after
-- @treturn integer
function leaf.within(issuer, not_after)
  return math.min(not_after, issuer:not_after() - 1)
end

--- What a certificate is for. With no alternative name it is of no use to a server: nobody finds a host name in it.
-- @tparam ?{table,…} names its alternative names
-- @tparam ?{string,…} extended its extended key usage
-- @treturn string "client", "server" or "peer"
function leaf.usage_of(names, extended)
  if not names or #names == 0 then
    return "client"
  elseif not extended then
    return "peer"
  end
  local server, client = options.has(extended, "server_auth"), options.has(extended, "client_auth")
  return server and client and "peer" or server and "server" or "client"
end

local usages = { "client", "server", "peer" }

--- Throws where the option `usage` is none.
-- @tparam string where the function that was called
-- @tparam table given its options
function leaf.check_usage(where, given)
  if given.usage and not options.has(usages, given.usage) then
    error(("%s: option 'usage' is '%s' (known: %s)"):format(where, given.usage, table.concat(usages, ", ")), 4)
  end
end

return leaf

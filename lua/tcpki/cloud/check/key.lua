--- The rules on the key of a client.
-- @module tcpki.cloud.check.key
-- @local

local core = require "tcpki.core"
local finding = require "tcpki.cloud.check.finding"
local text = require "tcpki.cloud.check.text"

--- Adds what is wrong with a key.
-- @tparam report report
-- @tparam key|string key a key, or its text, which may be encrypted
-- @tparam certificate leaf
-- @tparam table where fields to add: `client`, `path`
return function(report, key, leaf, where)
  local source = type(key) == "string" and key or key:source()
  local bad = source and text.lint(report, source, "key", where)
  if type(key) == "string" then
    local err
    key, err = core.key.parse(key)
    if not key then
      if not bad then
        report:add(finding.of("key_unreadable", { reason = err.message, cure = err.hint or "export it again" }, where))
      end
      return
    end
  end
  if not key:is_private() then
    report:add(finding.of("key_unreadable", { reason = "it is a public key", cure = "pass the private key" }, where))
  elseif leaf and not key:matches(leaf) then
    report:add(finding.of("key_mismatch", nil, where))
  end
end

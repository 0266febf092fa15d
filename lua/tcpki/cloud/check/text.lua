--- How the PEM is written: the findings of tcpki.pem, with what they mean for Temporal Cloud.
-- @module tcpki.cloud.check.text
-- @local

local core = require "tcpki.core"
local rules = require "tcpki.cloud.rules"

local text = {}

-- What no reader minds, so that a text with only these need not be looked at closer.
local harmless = { line_lf = true }

--- Whether a text is nothing but certificates as `openssl x509` writes them, one after the other.
-- @tparam string source
-- @tparam integer count of certificates that were read from it
-- @treturn boolean
function text.is_plain(source, count)
  local parts = core.pem.scan(source)
  if not parts or #parts ~= count then
    return false
  end
  for _, part in ipairs(parts) do
    if part.label ~= "CERTIFICATE" or part.headers then
      return false
    end
    for note in pairs(part.notes) do
      if not harmless[note] then
        return false
      end
    end
  end
  return true
end

--- Adds the findings on a text.
-- @tparam report report
-- @tparam string source
-- @tparam string expect as for tcpki.pem.lint
-- @tparam ?table where fields to add: `path`, `client`
-- @tparam ?table without codes to leave out, as a set
-- @treturn boolean whether an error is among them
function text.lint(report, source, expect, where, without)
  local bad = false
  for _, found in ipairs(require "tcpki.pem".lint(source, { expect = expect })) do
    if not (without and without[found.code]) then
      local rule = rules.by_code[found.code]
      found.kind = "text"
      if rule then
        found.kind, found.severity, found.source, found.hint = rule.kind, rule.severity, rule.source, rule.hint
        found.who, found.consequence = rule.who or found.who, rules.kinds[rule.kind]
      end
      for name, value in pairs(where or {}) do
        found[name] = value
      end
      bad = bad or found.severity == "error"
      report:add(found)
    end
  end
  return bad
end

return text

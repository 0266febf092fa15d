--- The chain of a client out of what was given, and how its text is written.
-- @module tcpki.cloud.check.chain
-- @local

local chain = require "tcpki.chain"
local core = require "tcpki.core"
local finding = require "tcpki.cloud.check.finding"
local names = require "tcpki.cloud.check.names"
local people = require "tcpki.cloud.clients"
local text = require "tcpki.cloud.check.text"

-- The chain of the first certificate by names alone, where signatures do not tell: the certificates on it, whether they
-- stand in another order, and the others.
local function order_by_names(certificates)
  local path, foreign, place_of_last, disorder = { certificates[1] }, {}, 1, false
  local used = { [certificates[1]] = true }
  local function next_of(last)
    local issuer = last:issuer()
    local wanted = issuer and names.key(issuer)
    for i, one in ipairs(certificates) do
      local subject = not used[one] and one:subject()
      if subject and names.key(subject) == wanted then
        disorder = disorder or i ~= place_of_last + 1
        place_of_last = i
        return one
      end
    end
  end
  local one = next_of(path[1])
  while one do
    used[one] = true
    path[#path + 1] = one
    one = next_of(one)
  end
  for _, other in ipairs(certificates) do
    if not used[other] then
      foreign[#foreign + 1] = other
    end
  end
  return path, disorder, foreign
end

-- What pem.lint says of the order by signatures is said here by names: a CA that may not sign is no matter of order.
local left_out = { chain_order = true }

-- The chain of a text; nil where there is none that can be read, which has been said then.
local function chain_of_text(state, source, where)
  local made = chain.parse(source)
  if made and text.is_plain(source, #made + #made.foreign) then
    return made, made.reordered
  end
  local bad = text.lint(state.report, source, "chain", where, left_out)
  if made then
    return made, made.reordered
  end
  local certificates, err = core.certificate.parse_all(source)
  if certificates then
    local path, disorder, foreign = order_by_names(certificates)
    made = chain.of_path(path)
    made.foreign = foreign
    return made, disorder
  end
  if not bad then
    state.report:add(finding.of("not_verified", { reason = err.message, cure = err.hint or "export it again" }, where))
  end
end

--- The certificates of a client, leaf first.
-- @tparam table state `report`, `client`, `path`
-- @tparam chain|certificate|leaf|string given
-- @treturn ?{certificate,…} with what was found beside them in `foreign`; nil for a text that holds none that can be
-- read, which the report says then
return function(state, given)
  local where = { client = state.client, path = state.path }
  local made, disorder
  if type(given) == "string" then
    made, disorder = chain_of_text(state, given, where)
  else
    made = people.chain_of(given)
    local source = given.source and given:source()
    if source and source:byte() == 0x30 then
      source = nil -- DER: it never was the text of a file for a client
    end
    disorder = source and made.reordered
    if source and not text.is_plain(source, #made + #(made.foreign or {})) then
      text.lint(state.report, source, "chain", where, left_out)
    end
  end
  if disorder then
    state.report:add(finding.of("chain_order", nil, where))
  end
  return made
end

--- The Cloud mode of the embedded frontend: which certificate may see which namespace, from the option `cloud` of
-- `probe.frontend` to the rules that its thread, where no Lua runs, judges by.
-- @module tcpki.probe.cloud
-- @local

local input = require "tcpki.probe.input"
local kinds = require "tcpki.probe.kinds"
local options = require "tcpki.options"
local probe_core = require "tcpki.probe.core"

local cloud = {}

local namespace_options = {
  accepted = kinds.pem, accepted_path = kinds.path, filters = "tcpki.cloud.filters",
}

--- @tparam table given
-- @treturn {string,…} its names, sorted
function cloud.names(given)
  local names = {}
  for name in pairs(given) do
    names[#names + 1] = type(name) == "string" and name or tostring(name)
  end
  table.sort(names)
  return names
end

--- Throws on anything that is no table from names of namespaces to their options.
-- @tparam string where the function, for messages
-- @tparam table given
-- @tparam boolean whole whether each namespace must say what it accepts
-- @tparam integer level whom to blame, as for `error`
function cloud.check(where, given, whole, level)
  if next(given) == nil then
    error(("%s: 'cloud' has no namespace"):format(where), level)
  end
  for _, name in ipairs(cloud.names(given)) do
    local namespace = given[name]
    if not kinds.name[1](name) or not namespace then
      error(("%s: 'cloud' must be a table from the names of namespaces to their options"):format(where), level)
    end
    local place = ("%s: cloud[%q]"):format(where, name)
    if type(namespace) ~= "table" then
      error(("%s must be a table of options, not %s"):format(place, type(namespace)), level)
    end
    options.check(place, namespace, namespace_options, level + 1)
    options.exclude(place, namespace, { { "accepted", "accepted_path" } }, level + 1)
    if whole and not namespace.accepted and not namespace.accepted_path then
      error(("%s: 'accepted' is missing"):format(place), level)
    end
  end
end

--- What is given before what was: each namespace, and of each its accepted CAs and its filters, for itself.
-- @tparam table fresh as checked by `check`
-- @tparam table former
-- @treturn table
function cloud.merge(fresh, former)
  local merged = {}
  for name, namespace in pairs(former) do merged[name] = namespace end
  for name, namespace in pairs(fresh) do
    local known = former[name] or {}
    local source = (namespace.accepted or namespace.accepted_path) and namespace or known
    merged[name] = {
      accepted = source.accepted, accepted_path = source.accepted_path,
      filters = namespace.filters or known.filters,
    }
  end
  return merged
end

--- Reads the accepted CAs and makes the rules.
-- @tparam table given as checked by `check`
-- @treturn[1] table `namespaces` (names, in order), `client_ca` (PEM of every CA that any of them accepts) and
-- `admission`, the rules, for one frontend
-- @treturn[2] nil
-- @treturn[2] table `word` of a cause and its `fields`
function cloud.load(given)
  local names, all, seen, rules = cloud.names(given), {}, {}, {}
  for i, name in ipairs(names) do
    local namespace = given[name]
    local list, fault = input.certificates(namespace, "accepted", "the accepted CAs of " .. name)
    if not list then return nil, fault end
    local accepted = {}
    for j, certificate in ipairs(list) do
      local pem, id = certificate:pem(), certificate:fingerprint()
      accepted[j] = pem
      if not seen[id] then
        seen[id] = true
        all[#all + 1] = pem
      end
    end
    local filters = namespace.filters
    rules[i] = {
      name = name, accepted = table.concat(accepted), filters = filters and #filters > 0 and filters or nil,
    }
  end
  return { namespaces = names, client_ca = table.concat(all), admission = probe_core.admission(rules) }
end

return cloud

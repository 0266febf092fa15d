--- The commands that carry out a change of a namespace, for the two command-line tools, quoted for a shell.
--
-- Nothing is run here. Certificates go as base64 in the command itself, so that no file has to lie beside it, unless a
-- file is named.
--
-- tcld asks before it removes a CA or imports filters; from cron, set AUTO_CONFIRM=true in its environment (or write
-- `tcld --auto-confirm`). `temporal cloud` asks before it deletes a CA and before any change of filters; its releases
-- before `namespace mtls` (0.0.2) have other commands.
-- @module tcpki.cloud.commands

local accepted = require "tcpki.cloud.accepted"
local bundles = require "tcpki.bundle"
local fault = require "tcpki.fault"
local fields = require "tcpki.cloud.fields"
local options = require "tcpki.options"
local shell = require "tcpki.shell"

local commands = {}

--- A word for a POSIX shell, as `tcpki.shell.quote` makes it.
-- @function quote
commands.quote = shell.quote

-- The rows of words as commands.
local function lines(rows)
  local list = {}
  for i, words in ipairs(rows) do
    local err
    list[i], err = shell.command(words)
    if not list[i] then
      return nil, err
    end
  end
  return list
end

local function join(first, ...)
  return table.move({ ... }, 1, select("#", ...), #first + 1, { table.unpack(first) })
end

local function filter_words(first, row)
  local words = { table.unpack(first) }
  for _, field in ipairs(fields) do
    if row[field.name] then
      words[#words + 1] = field.flag
      words[#words + 1] = row[field.name]
    end
  end
  return words
end

-- What stands in one filters object and not in the other.
local function only_in(these, others)
  local known, rows = {}, {}
  for _, row in ipairs(others) do
    known[fields.key(row)] = true
  end
  for _, row in ipairs(these) do
    if not known[fields.key(row)] then
      rows[#rows + 1] = row
    end
  end
  return rows
end

local tools = { tcld = {}, ["temporal cloud"] = {} }

-- What a command takes certificates by.
local function certificate_words(certificates, path)
  if path then
    return "--ca-certificate-file", path
  end
  return "--ca-certificate", accepted.payload(certificates)
end

-- app/namespace.go: add takes a bundle of PEM, remove takes one fingerprint a call.
function tools.tcld.accepted(namespace, added, removed, added_path)
  local rows = {}
  local base = { "tcld", "namespace", "accepted-client-ca" }
  if #added > 0 then
    rows[1] = join(base, "add", "--namespace", namespace, certificate_words(added, added_path))
  end
  for _, certificate in ipairs(removed) do
    rows[#rows + 1] = join(base, "remove", "--namespace", namespace, "--ca-certificate-fingerprint",
      certificate:fingerprint "sha1")
  end
  return rows
end

function tools.tcld.filters(namespace, before, after)
  local base = { "tcld", "namespace", "certificate-filters" }
  if #only_in(after, before) == 0 and #only_in(before, after) == 0 then
    return {}
  elseif #after == 0 then
    return { join(base, "clear", "--namespace", namespace) }
  end
  local json = after:json():gsub("\n%s*", " "):gsub(" $", "")
  return { join(base, "import", "--namespace", namespace, "--certificate-filter-input", json) }
end

tools["temporal cloud"].accepted = function(namespace, added, removed, added_path)
  local rows = {}
  for _, part in ipairs { { "create", added, added_path }, { "delete", removed } } do
    if #part[2] > 0 then
      rows[#rows + 1] = { "temporal", "cloud", "namespace", "mtls", "cert-ca", part[1], "--namespace", namespace,
        certificate_words(part[2], part[3]) }
    end
  end
  return rows
end

-- One filter a command. First what lets somebody in, then what does not any more.
tools["temporal cloud"].filters = function(namespace, before, after)
  local rows = {}
  for _, part in ipairs { { "create", only_in(after, before) }, { "delete", only_in(before, after) } } do
    for _, row in ipairs(part[2]) do
      rows[#rows + 1] = filter_words({ "temporal", "cloud", "namespace", "mtls", "cert-filter", part[1],
        "--namespace", namespace }, row)
    end
  end
  return rows
end

local function tool_of(where, change)
  local tool = tools[change.tool]
  if not tool then
    error(("%s: option 'tool' must be \"tcld\" or \"temporal cloud\", not %s"):format(where, tostring(change.tool)), 3)
  end
  return tool
end

local function namespace_of(where, change)
  return options.expect(where, "option 'namespace'", change.namespace, "string")
end

--- The commands that make one bundle of accepted client CAs into another: first what is added, then what is removed.
-- @tparam table change `tool` ("tcld" or "temporal cloud"), `namespace`, `before` and `after` (bundles), and perhaps
-- `added_path`: a file with the PEM of what is added, to be named instead of its base64
-- @treturn[1] {string,…} none where there is nothing to change
-- @treturn[2] nil
-- @treturn[2] fault `last_certificate` where nothing would be left; `bad_word`
function commands.accepted(change)
  local where = "tcpki.cloud.commands.accepted"
  options.check(where, change, { tool = "string", namespace = "string", before = "tcpki.bundle",
    after = "tcpki.bundle", added_path = "string" })
  local tool, namespace = tool_of(where, change), namespace_of(where, change)
  options.expect(where, "option 'before'", change.before, "tcpki.bundle")
  options.expect(where, "option 'after'", change.after, "tcpki.bundle")
  if #change.after == 0 and #change.before > 0 then
    return fault.fail { code = "last_certificate", message = "cannot remove all certificates when mTLS is enabled",
      hint = "add the new CA first" }
  end
  local difference = change.before:difference(change.after)
  local added, err = bundles.new(difference.added)
  local removed
  if added then
    removed, err = bundles.new(difference.removed)
  end
  if not removed then
    return nil, err
  end
  return lines(tool.accepted(namespace, added, removed, change.added_path))
end

--- The commands that make one set of certificate filters into another.
--
-- `temporal cloud` changes one filter at a time: where the namespace has no filters yet, or ends with none, who is let
-- in between two of its commands is not who is let in before or after. tcld changes all at once.
-- @tparam table change `tool`, `namespace`, `before` and `after` (filters; nil: none)
-- @treturn[1] {string,…} none where there is nothing to change
-- @treturn[2] nil
-- @treturn[2] fault `bad_word`
function commands.filters(change)
  local where = "tcpki.cloud.commands.filters"
  options.check(where, change, { tool = "string", namespace = "string", before = "tcpki.cloud.filters",
    after = "tcpki.cloud.filters" })
  local tool, namespace = tool_of(where, change), namespace_of(where, change)
  return lines(tool.filters(namespace, change.before or {}, change.after or {}))
end

return commands

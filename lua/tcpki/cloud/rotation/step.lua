--- The steps of a rotation: what each is called, what it says, and how it prints.
-- @module tcpki.cloud.rotation.step
-- @local

local commands = require "tcpki.cloud.commands"
local date = require "tcpki.date"
local report = require "tcpki.report"

local step = {}

local metatable = { __name = "tcpki.cloud.step" }

--- How long Temporal Cloud keeps a connection, in seconds: about.
step.CONNECTION = 300

local WIDTH = 100

--- What each action is, in order. `notes` are sentences for people; sources: the documentation on certificates and on
-- updating certificates of running workers (documentation 5032), temporal-worker-cert-rotation.
step.actions = {
  make_room = {
    title = "Remove the CAs that have expired",
    notes = { "An expired CA lets nobody in. Without it both CAs fit." },
  },
  overlap = {
    title = "Accept the new CA beside the old one",
    notes = { "No worker has to be touched: the old certificates stay good. Wait until the operation is done." },
  },
  roll_over = {
    title = "Give the clients certificates of the new CA",
    notes = {
      "Temporal Cloud closes connections after about five minutes. Most SDKs read certificate and key once: "
        .. "a worker goes on showing the old one at each connection until it is restarted or told.",
      "Without a restart: Go with GetClientCertificate, Java with AdvancedTlsX509KeyManager; Python, .NET and Ruby "
        .. "by setting worker.client, TypeScript (1.15.0 or later) by setting worker.connection. PHP and Rust need a "
        .. "restart.",
    },
  },
  remove = {
    title = "Stop accepting the old CA",
    notes = { "Before: rotation.check with the certificates then in use, and a probe with one of the new ones. "
      .. "Not sooner than five minutes after the last client changed." },
  },
}

-- Whoever copies a command gets all of it: a line ends with a \ before an option, or is too long.
local function broken(command)
  local line = "  $ " .. command
  if #line <= WIDTH or command:find("'", 1, true) then
    return line
  end
  return (line:gsub(" %-%-", " \\\n      --"))
end

local function add_bundle(lines, self)
  local difference = self.before:difference(self.bundle)
  for _, part in ipairs { { "+", difference.added }, { "-", difference.removed } } do
    for _, certificate in ipairs(part[2]) do
      lines[#lines + 1] = report.wrap(("%s %s, until %s"):format(part[1], certificate:subject(),
        date.day(certificate:not_after())), "  ", "      ")
    end
  end
  if #difference.added + #difference.removed > 0 then
    lines[#lines + 1] = ("  the bundle then has %d certificate%s"):format(#self.bundle, #self.bundle == 1 and "" or "s")
  end
end

local SHOWN = 10

local function add_people(lines, list, words)
  for i = 1, math.min(#list, SHOWN) do
    lines[#lines + 1] = report.wrap(words(list[i]), "  ", "      ")
  end
  if #list > SHOWN then
    lines[#lines + 1] = ("  … and %d more"):format(#list - SHOWN)
  end
end

local ADDED_PATH = "added.pem"

-- The base64 of certificates is no line for people: with a file in its place.
local function add_commands(lines, self)
  local list = self.namespace and assert(commands.accepted { tool = "tcld", namespace = self.namespace,
    before = self.before, after = self.bundle, added_path = ADDED_PATH }) or {}
  if #self.before:difference(self.bundle).added > 0 and #list > 0 then
    lines[#lines + 1] = report.wrap(("With what is added in %s (without a file: the commands in step.commands):")
      :format(ADDED_PATH), "  ", "  ")
  end
  for _, command in ipairs(list) do
    lines[#lines + 1] = broken(command)
  end
end

function metatable:__tostring()
  local action = step.actions[self.action]
  local title = self.issuer and ("%s (now of %s)"):format(action.title, self.issuer) or action.title
  local lines = { report.wrap(("%d. %s%s"):format(self.number, title,
    self.done and (" [done %s]"):format(date.minute(self.done.at)) or ""), "", "   ") }
  lines[#lines + 1] = ("  from %s%s"):format(date.minute(self.earliest),
    self.latest and (" until " .. date.minute(self.latest)) or "")
  add_bundle(lines, self)
  add_people(lines, self.clients, function(client)
    return ("%s, by %s"):format(client.name, date.minute(client.deadline))
  end)
  if not self.done then
    if #self.refused > 0 then
      lines[#lines + 1] = "  done now, these would be refused:"
      add_people(lines, self.refused, function(client)
        return ("! %s: %s"):format(client.name, client.reason)
      end)
    end
    for _, note in ipairs(action.notes) do
      lines[#lines + 1] = report.wrap(note, "  ", "  ")
    end
    add_commands(lines, self)
  elseif self.done.evidence then
    lines[#lines + 1] = report.wrap(self.done.evidence, "  ", "  ")
  end
  return table.concat(lines, "\n")
end

--- Makes a step: gives it its title, its notes and, where the namespace is known, its commands.
-- @tparam table fields `number`, `action`, `earliest`, `latest`, `before`, `bundle`, `clients`, `refused`, `issuer`
-- @tparam ?string namespace
-- @treturn[1] step
-- @treturn[2] nil
-- @treturn[2] fault
function step.new(fields, namespace)
  fields.title, fields.notes = step.actions[fields.action].title, step.actions[fields.action].notes
  fields.date, fields.namespace = fields.earliest, namespace
  if namespace then
    fields.commands = {}
    for _, tool in ipairs { "tcld", "temporal cloud" } do
      local list, err = commands.accepted { tool = tool, namespace = namespace, before = fields.before,
        after = fields.bundle }
      if not list then
        return nil, err
      end
      fields.commands[tool] = list
    end
  end
  return setmetatable(fields, metatable)
end

return step

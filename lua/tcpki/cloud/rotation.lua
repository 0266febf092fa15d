--- Rotates the CA of a namespace's clients without a gap: which steps, when, who would be refused, and what is done.
--
--     local rotation = require "tcpki.cloud".rotation
--     local plan = assert(rotation.plan { current = old_bundle, next = new_ca, clients = { … },
--                                         namespace = "payments.a1b2c" })
--     for _, step in ipairs(plan) do print(step) end
--     assert(plan:save "rotation.json")
--
--     local plan = assert(rotation.resume "rotation.json")          -- the next night, from cron
--     local report = assert(plan:check { … the certificates now in use … })
--     print(report)
--     if report.ok then … carry out plan:next().commands.tcld … assert(plan:done("cron, operation 4711")) end
--
-- A plan is an array of steps: perhaps `make_room`, then `overlap`, a `roll_over` for each issuer of certificates in
-- use, `remove`. A step has
--
-- - `number`, `action`, `title`, `notes` (sentences)
-- - `earliest`, `latest` (seconds since the epoch; nil where nothing presses) and `date`, when to do it
-- - `before` and `bundle`: what is accepted before and after it
-- - `clients` of a roll-over, the most urgent first: `{ name =, certificate =, deadline = }`; `issuer`: of what they
--   show now
-- - `refused`: who would be refused if it were done now: `{ name =, certificate =, code =, reason = }`
-- - `commands`, where the namespace was given: by tool ("tcld", "temporal cloud") an array of shell commands
-- - `done`, once it is: `{ at =, evidence = }`
--
-- `tostring` of a plan, a step or a report is for a terminal, at most 100 columns.
-- @module tcpki.cloud.rotation

local check = require "tcpki.cloud.rotation.check"
local date = require "tcpki.date"
local fault = require "tcpki.fault"
local make = require "tcpki.cloud.rotation.plan"
local options = require "tcpki.options"
local people = require "tcpki.cloud.clients"
local state = require "tcpki.cloud.rotation.state"
local step = require "tcpki.cloud.rotation.step"

local rotation = {}

local methods = {}
local metatable = { __name = "tcpki.cloud.rotation", __index = methods }

--- Plans a rotation.
-- @tparam table settings
-- @tparam bundle settings.current what is accepted today
-- @param settings.next the new CA: a certificate, several, or a bundle
-- @tparam[opt] {client,…} settings.clients in use: certificates, chains, leaves of an authority, or tables with
-- `certificate` or `chain` (what it sends), and perhaps `name` and `replacement` (its next certificate or chain)
-- @param[opt] settings.retire which of the current CAs go: by default all that are not in `next`
-- @tparam[opt] filters settings.filters of the namespace
-- @tparam[opt] string settings.namespace for the commands
-- @tparam[opt=7] number settings.margin days before a certificate ends in which nothing is left to the last moment
-- @tparam[opt] integer settings.now
-- @treturn[1] plan also `report`: findings on the fullest bundle and on replacements; `refused_already`: who is not let
-- in today; `current`, `final` (bundles), `created`, `namespace`
-- @treturn[2] nil
-- @treturn[2] fault `does_not_fit` (with `unused`: subjects of CAs that no client needs), `nothing_to_change`,
-- `last_certificate`, `not_an_authority`, `expired`
function rotation.plan(settings)
  local plan, err = make(settings)
  if not plan then
    return nil, err
  end
  return setmetatable(plan, metatable)
end

--- Whether a change is safe today: who of these clients is let in before it and refused after.
-- @tparam bundle before
-- @tparam bundle after
-- @tparam {client,…} clients as for `plan`, with what they show now
-- @tparam[opt] table how `filters` (in force before and after) or `filters_before` and `filters_after`; `at`
-- @treturn[1] report `ok`: it is safe. `refused`: `{ name =, certificate =, code =, reason =, accepted_before = }`,
-- `accepted`: how many are let in after. Findings: `locked_out`, `does_not_fit`, `last_certificate`, `no_clients`
-- (errors), `refused_already` (a warning), and in the end `safe` or `not_safe`
-- @treturn[2] nil
-- @treturn[2] fault
function rotation.check(before, after, clients, how)
  return check.run(before, after, clients, how)
end

--- Reads the state of a rotation from its file.
-- @tparam string path
-- @treturn[1] plan whose steps are as they were saved
-- @treturn[2] nil
-- @treturn[2] fault `bad_state` with the path: the file was cut off or edited wrongly
function rotation.resume(path)
  options.expect("tcpki.cloud.rotation.resume", "path", path, "string")
  local plan, err = state.read(path)
  if not plan then
    return nil, err
  end
  return setmetatable(plan, metatable)
end

--- The first step that is not done.
-- @treturn ?step nil where all are
function methods:next()
  for _, one in ipairs(self) do
    if not one.done then
      return one
    end
  end
end

-- The clients without those that a later roll-over is for.
local function without_later(self, one, clients)
  local later, list = {}, {}
  for number = one.number + 1, #self do
    if self[number].issuer then
      later[self[number].issuer] = true
    end
  end
  for _, client in ipairs(clients) do
    if not later[tostring(client.certificate:issuer())] then
      list[#list + 1] = { name = client.name, chain = client.chain }
    end
  end
  return list
end

--- Whether the next step can be called done or be taken, with what the clients show now: for a roll-over whether
-- all that it is for have changed, for the others whether nobody is locked out.
-- @tparam {client,…} clients
-- @tparam[opt] table how `at`
-- @treturn[1] report as of `rotation.check`; also `too_early` (a warning) before the `earliest` of the step
-- @treturn[2] nil
-- @treturn[2] fault `nothing_to_change` where all steps are done
function methods:check(clients, how)
  how = options.check("plan:check", how, { at = "integer" })
  local one = self:next()
  if not one then
    return fault.fail { code = "nothing_to_change", message = "every step is done", hint = "plan the next rotation" }
  end
  local at = how.at or os.time()
  local after, concerned = one.bundle, clients
  if one.action == "roll_over" then
    concerned = without_later(self, one, people.list("plan:check", clients))
    -- Where the others are all there are, nothing is left to be refused.
    if #concerned > 0 or #clients == 0 then
      after = self.final
    end
  end
  local report, err = check.run(one.before, after, concerned, { at = at, filters = self.filters })
  if report and at < one.earliest then
    report:add { code = "too_early", severity = "warning",
      message = ("step %d is for %s or later"):format(one.number, date.minute(one.earliest)),
      hint = "wait until then" }
  end
  return report, err
end

--- Marks the next step as done, and saves where the plan has a file.
-- @tparam[opt] string evidence what shows it: an operation, a ticket, the output of a probe
-- @tparam[opt] table how `at`
-- @treturn[1] step
-- @treturn[2] nil
-- @treturn[2] fault `nothing_to_change` where all are done; of writing, and then nothing is marked
function methods:done(evidence, how)
  options.expect("plan:done", "evidence", evidence, "string|nil")
  how = options.check("plan:done", how, { at = "integer" })
  local one = self:next()
  if not one then
    return fault.fail { code = "nothing_to_change", message = "every step is done", hint = "plan the next rotation" }
  end
  local after = self[one.number + 1]
  local earliest = after and after.earliest
  one.done = { at = how.at or os.time(), evidence = evidence }
  if one.action == "roll_over" and after then
    after.earliest = math.max(after.earliest, one.done.at + (after.action == "remove" and step.CONNECTION or 0))
    after.date = after.earliest
  end
  if self.path then
    local saved, err = state.write(self, self.path, self.saved)
    if not saved then
      one.done = nil
      if after then
        after.earliest, after.date = earliest, earliest
      end
      return nil, err
    end
    self.saved = saved
  end
  return one
end

--- Writes the state to a file: JSON that a person can read, whole or not at all. `done` writes it again.
-- @tparam string path which must not exist
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault
function methods:save(path)
  options.expect("plan:save", "path", path, "string")
  local saved, err = state.write(self, path)
  if not saved then
    return nil, err
  end
  self.path, self.saved = path, saved
  return true
end

function metatable:__tostring()
  local lines = {}
  if self.namespace then
    lines[1] = "Rotation of the client CAs of " .. self.namespace
  end
  for _, client in ipairs(self.refused_already or {}) do
    lines[#lines + 1] = ("! refused already: %s: %s"):format(client.name, client.reason)
  end
  for _, one in ipairs(self) do
    lines[#lines + 1] = tostring(one)
  end
  if self.report and not self.report.ok then
    lines[#lines + 1] = tostring(self.report)
  end
  return table.concat(lines, "\n\n")
end

return rotation

-- Rotates the client CA of a Temporal Cloud namespace, one step a run, as cron would call it:
--
--   lua5.4 examples/cloud_rotation.lua plan.json old-ca-bundle.pem new-ca.pem payments.a1b2c clients/*.pem
--
-- The first run plans and writes plan.json. Each later run reads it, looks at the certificates that the clients show
-- now, and either says what the next step waits for, or prints the commands that carry it out and marks it done.
-- Run them instead of printing them once you trust them: os.execute(command).
--
-- Without arguments it makes CAs and certificates of its own in a temporary directory, and plays a whole rotation.

local tcpki = require "tcpki"
local filters = require "tcpki.cloud.filters"
local rotation = require "tcpki.cloud.rotation"

local function read_clients(paths)
  local clients = {}
  for i, path in ipairs(paths) do
    clients[i] = { name = path:match "([^/]+)%.pem$" or path, chain = assert(tcpki.chain.read(path)) }
  end
  return clients
end

-- One run: true as long as something remains to be done.
local function run(state, old, new, namespace, paths, at)
  local clients = read_clients(paths)
  local plan, err = rotation.resume(state)
  if not plan then
    assert(err.code == "not_found", err)
    plan = assert(rotation.plan { current = assert(tcpki.bundle.read(old)), next = assert(tcpki.bundle.read(new)),
      clients = clients, namespace = namespace, now = at })
    assert(plan:save(state))
    print(plan)
    return true
  end
  local step = plan:next()
  if not step then
    print "The rotation is done."
    return false
  end
  local report = assert(plan:check(clients, { at = at }))
  if not report.ok then
    print(("Step %d, %s, waits:\n%s"):format(step.number, step.title, report))
    return true
  elseif at < step.earliest then
    print(("Step %d, %s, is too early."):format(step.number, step.title))
    return true
  end
  for _, command in ipairs(step.commands.tcld) do
    print("$ " .. command)
  end
  assert(plan:done(("%d of %d clients checked"):format(report.accepted, #clients), { at = at }))
  print(("Step %d, %s: done."):format(step.number, step.title))
  return true
end

if arg[1] then
  assert(arg[5], "usage: cloud_rotation.lua plan.json old-ca-bundle.pem new-ca.pem namespace.account client.pem…")
  run(arg[1], arg[2], arg[3], arg[4], table.move(arg, 5, #arg, 1, {}), os.time())
  return
end

local directory = assert(io.popen "mktemp -d"):read "l"
local function path(name)
  return directory .. "/" .. name
end

local old_ca = assert(tcpki.authority.new { subject = { O = "Acme", CN = "Acme Worker CA 2026" }, days = 120 })
local new_ca = assert(tcpki.authority.new { subject = { O = "Acme", CN = "Acme Worker CA 2027" }, days = 365 })
assert(tcpki.bundle.new { old_ca.certificate }:write(path "old.pem"))
assert(tcpki.bundle.new { new_ca.certificate }:write(path "new.pem"))

local workers = { "billing", "payments" }
local paths = {}
for i, name in ipairs(workers) do
  paths[i] = path(name .. ".pem")
  assert(assert(old_ca:issue { common_name = name, usage = "client", days = 30 }).chain:write(paths[i]))
end

-- Would the filters of the namespace let everybody in? Better asked before they are changed than after.
local wanted = assert(filters.new { { common_name = "payments*" } })
for _, client in ipairs(assert(wanted:locks_out(read_clients(paths)))) do
  print(("These filters would lock out %s:\n%s\n"):format(client.name, client.explanation))
end

local now = os.time()
local day = 0
while run(path "plan.json", path "old.pem", path "new.pem", "payments.a1b2c", paths, now + day * 86400) do
  day = day + 1
  print(("\n-- day %d"):format(day))
  -- Somebody gives the workers their new certificates, one a day.
  local name = day > 2 and workers[day - 2]
  if name then
    local leaf = assert(new_ca:issue { common_name = name, usage = "client", days = 30 })
    assert(leaf.chain:write(path(name .. ".pem"), { overwrite = true }))
    print(("%s has a certificate of the new CA."):format(name))
  end
end
os.execute(("rm -r '%s'"):format(directory))

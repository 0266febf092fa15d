--- One probe, from its settings to its result.
-- @module tcpki.probe.run
-- @local

local address = require "tcpki.probe.address"
local addresses = require "tcpki.probe.addresses"
local control = require "tcpki.probe.control"
local probe_core = require "tcpki.probe.core"
local input = require "tcpki.probe.input"
local ladder = require "tcpki.probe.ladder"
local result = require "tcpki.probe.result"

local run = {}

local TIMEOUT = 10

local temporal_service = "temporal.api.workflowservice.v1.WorkflowService"

local function service_of(health)
  if health == true then return temporal_service end
  return health or nil
end

local resolve_details = {
  timeout = "the resolver did not answer in time",
  busy = "too many lookups that hang are still under way",
}

local function resolve_cause(fault)
  local is_unknown = fault.word == "unknown"
  return "unknown_host", {
    detail = resolve_details[fault.word] or fault.message, certain = is_unknown,
    cure = is_unknown and "Check the spelling; a Temporal Cloud name is NAMESPACE.ACCOUNT.tmprl.cloud"
      or "Try again; look at the resolver of this machine or container (/etc/resolv.conf): it gave no answer",
  }
end

-- What is to be done, with all that is given read; or nil and the result that says why it cannot be.
local function prepare(settings)
  local task = {
    now = probe_core.now, started = probe_core.now(), trace = settings.trace or "on_failure", limits = settings.limits,
  }
  local where, message, hint = address.parse(settings.address)
  if not where then
    return nil, result.early(settings, task, "bad_address",
      { detail = message, cure = hint:gsub("^%l", string.upper) })
  end
  task.address, task.host, task.port = where.text, where.host, where.port
  -- An SNI has no zone, and no dot at its end (RFC 6066, 3): Go's and Java's servers end the handshake at one.
  task.server_name = (settings.server_name or where.host:gsub("%%.*", "")):gsub("(.)%.$", "%1")
  task.namespace, task.health = settings.namespace, service_of(settings.health)
  local material, fault = input.load(settings)
  if material and settings.control then
    task.controls, fault = control.tasks(settings, material)
    material = task.controls and material
  end
  if not material then return nil, result.early(settings, task, fault.word, fault.fields) end
  task.material, task.input_seconds = material, probe_core.now() - task.started
  -- From here on: to open an encrypted key takes a time of its own, and none of the network's.
  task.deadline = probe_core.now() + (settings.timeout or TIMEOUT)
  return task
end

--- Probes.
-- @tparam table settings as `probe.run` has checked them
-- @treturn table the result
function run.probe(settings)
  local task, early = prepare(settings)
  if not task then return early end
  task.given, task.every = addresses.chosen(settings.addresses)
  local list, fault = ladder.resolve(task)
  if not list then return result.early(settings, task, resolve_cause(fault)) end
  -- One climb over some of the addresses, with another certificate where the control says so.
  local function climb(how, where)
    return result.of(settings, how, ladder.climb(how, where))
  end
  local function probe(how, where)
    return how.controls and control.run(how, where, climb) or climb(how, where)
  end
  if task.every then return addresses.probe(task, list, probe) end
  return probe(task, list)
end

return run

--- The state of a rotation as a file: JSON that a person can read, and every mistake in it found when it is read.
--
-- Certificates stand once each, at the end; steps name them by SHA-256 fingerprint, and say in `changes` what that
-- means. Nothing in it is secret.
-- @module tcpki.cloud.rotation.state
-- @local

local bundles = require "tcpki.bundle"
local core = require "tcpki.core"
local date = require "tcpki.date"
local fault = require "tcpki.fault"
local filters = require "tcpki.cloud.filters"
local json = require "tcpki.json"
local lock = require "tcpki.lock"
local step = require "tcpki.cloud.rotation.step"

local state = {}

local KIND, VERSION = "tcpki rotation", 1

local order = { "kind", "version", "namespace", "created", "filters", "steps", "number", "action", "issuer", "earliest",
  "latest", "changes", "clients", "refused", "name", "deadline", "code", "reason", "done", "at", "evidence", "before",
  "bundle", "fingerprint", "subject", "notAfter", "pem", "certificates" }

-- ---- times ----

local function write_time(seconds)
  return seconds and date.rfc3339(seconds)
end

-- Days since the epoch of a date of the Gregorian calendar. Years begin in March, so that a leap day is their last.
local function days_of(year, month, day)
  local y = month <= 2 and year - 1 or year
  local day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
  return y * 365 + y // 4 - y // 100 + y // 400 + day_of_year - 719468
end

local function read_time(text)
  local fields = { text:match "^(%d%d%d%d)-(%d%d)-(%d%d)T(%d%d):(%d%d):(%d%d)Z$" }
  if #fields == 0 then
    return nil
  end
  for i, field in ipairs(fields) do
    fields[i] = tonumber(field)
  end
  local year, month, day, hour, minute, second = table.unpack(fields)
  local seconds = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second
  return write_time(seconds) == text and seconds or nil
end

-- ---- writing ----

local function fingerprints(list)
  local words = {}
  for i, certificate in ipairs(list) do
    words[i] = certificate:fingerprint()
  end
  return words
end

local function changes_of(before, after)
  local difference, lines = before:difference(after), {}
  for _, part in ipairs { { "+ ", difference.added }, { "- ", difference.removed } } do
    for _, certificate in ipairs(part[2]) do
      lines[#lines + 1] = part[1] .. tostring(certificate:subject())
    end
  end
  return lines
end

local function object_of_step(one)
  local clients, refused = {}, {}
  for i, client in ipairs(one.clients) do
    clients[i] = { name = client.name, deadline = write_time(client.deadline) }
  end
  for i, client in ipairs(one.refused) do
    refused[i] = { name = client.name, code = client.code, reason = client.reason }
  end
  return { number = one.number, action = one.action, issuer = one.issuer, earliest = write_time(one.earliest),
    latest = write_time(one.latest), changes = changes_of(one.before, one.bundle), clients = clients,
    refused = refused, before = fingerprints(one.before), bundle = fingerprints(one.bundle),
    done = one.done and { at = write_time(one.done.at), evidence = one.done.evidence } }
end

local function text_of(plan)
  local object = { kind = KIND, version = VERSION, namespace = plan.namespace, created = write_time(plan.created),
    filters = plan.filters and plan.filters:rows(), steps = {}, certificates = {} }
  local seen = {}
  for number, one in ipairs(plan) do
    object.steps[number] = object_of_step(one)
    for _, bundle in ipairs { one.before, one.bundle } do
      for _, certificate in ipairs(bundle) do
        local fingerprint = certificate:fingerprint()
        if not seen[fingerprint] then
          seen[fingerprint] = true
          table.insert(object.certificates, { fingerprint = fingerprint, subject = tostring(certificate:subject()),
            notAfter = write_time(certificate:not_after()), pem = certificate:pem() })
        end
      end
    end
  end
  return json.write(object, order, "  ") .. "\n"
end

--- Writes the state.
-- @tparam plan plan
-- @tparam string path
-- @tparam ?string saved what the file held when it was last read or written: it must hold that still. Without it there
-- must be no file
-- @treturn[1] string what it holds now
-- @treturn[2] nil
-- @treturn[2] fault `changed_meanwhile`, `busy` while another run writes it, `bad_state`, and those of writing
function state.write(plan, path, saved)
  local text = text_of(plan)
  if not utf8.len(text) then
    return fault.fail { code = "bad_state", path = path, message = "a name or the evidence is not UTF-8",
      hint = "write it as UTF-8" }
  end
  -- What is compared and what is replaced is one and the same.
  local locked <close>, busy = lock.file(path, "rotation")
  if not locked then
    return nil, busy
  end
  if saved then
    local held, err = core.file.read(path)
    if not held then
      return nil, err
    elseif held ~= saved then
      return fault.fail { code = "changed_meanwhile", path = path, message = "the file was changed by someone else",
        hint = "resume it again" }
    end
  end
  local written, err = core.file.write(path, text, { overwrite = saved ~= nil })
  if not written then
    err.hint = err.code == "already_exists" and "resume the rotation that is in it, or choose another path" or err.hint
    return nil, err
  end
  return text
end

-- ---- reading ----

-- What a reader throws: only ever caught in `read`, below.
local function refuse(where, message)
  error(fault.new { code = "bad_state", message = ("not the state of a rotation: %s%s"):format(
    where ~= "" and where .. ": " or "", message), hint = "restore the file, or plan the rotation again" }, 0)
end

local readers = {}

function readers.string(value, where)
  if type(value) ~= "string" then
    refuse(where, "must be a string, not " .. json.kind(value))
  end
  return value
end

function readers.time(value, where)
  local seconds = read_time(readers.string(value, where))
  return seconds or refuse(where, ("%q is no time such as 2026-11-21T06:30:00Z"):format(value))
end

function readers.number(value, where)
  if type(value) ~= "number" then
    refuse(where, "must be a number, not " .. json.kind(value))
  end
  return value
end

-- The fields of an object, each by its reader; a ? makes one that may be missing.
local function read_object(value, where, fields)
  if type(value) ~= "table" or (json.kind(value) ~= "an object" and next(value) ~= nil) then
    refuse(where, "must be an object, not " .. json.kind(value))
  end
  local names = {}
  for name in pairs(value) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    if not fields[name] then
      refuse(where, ("there is no field '%s'"):format(name))
    end
  end
  names = {}
  for name in pairs(fields) do
    names[#names + 1] = name
  end
  table.sort(names)
  local read = {}
  for _, name in ipairs(names) do
    local kind, optional = fields[name], false
    if type(kind) == "string" then
      optional = kind:sub(-1) == "?"
      kind = readers[kind:gsub("%?$", "")]
    end
    local inner = where == "" and name or where .. "." .. name
    if value[name] ~= nil then
      read[name] = kind(value[name], inner)
    elseif not optional then
      refuse(inner, "is missing")
    end
  end
  return read
end

-- A reader of arrays, by the reader of one element.
local function array_of(reader)
  return function(value, where)
    if type(value) ~= "table" or json.kind(value) ~= "an array" then
      refuse(where, "must be an array, not " .. json.kind(value))
    end
    local list = {}
    for i, element in ipairs(value) do
      list[i] = reader(element, ("%s[%d]"):format(where, i))
    end
    return list
  end
end

local function reader_of(fields)
  return function(value, where)
    return read_object(value, where, fields)
  end
end

local read_strings = array_of(readers.string)

local done_fields = { at = "time", evidence = "string?" }
readers.done = reader_of(done_fields)

local step_fields = { number = "number", action = "string", issuer = "string?", earliest = "time", latest = "time?",
  changes = read_strings, before = read_strings, bundle = read_strings, done = "done?",
  clients = array_of(reader_of { name = "string", deadline = "time" }),
  refused = array_of(reader_of { name = "string", code = "string", reason = "string" }) }

function readers.filters(value, where)
  local rows = array_of(reader_of { common_name = "string?", organization = "string?", organizational_unit = "string?",
    subject_alternative_name = "string?" })(value, where)
  local made, err = filters.new(rows)
  return made or refuse(where, err.message)
end

local file_fields = { kind = "string", version = "number", namespace = "string?", created = "time",
  filters = "filters?", steps = array_of(reader_of(step_fields)),
  certificates = array_of(reader_of { fingerprint = "string", subject = "string", notAfter = "time",
    pem = "string" }) }

local function certificates_of(rows)
  local by_fingerprint = {}
  for i, row in ipairs(rows) do
    local where = ("certificates[%d]"):format(i)
    local certificate, err = core.certificate.parse(row.pem)
    if not certificate then
      refuse(where .. ".pem", err.message)
    elseif certificate:fingerprint() ~= row.fingerprint then
      refuse(where .. ".fingerprint", "is not that of the certificate")
    elseif tostring(certificate:subject()) ~= row.subject or certificate:not_after() ~= row.notAfter then
      refuse(where, "subject or notAfter is not that of the certificate")
    end
    by_fingerprint[row.fingerprint] = certificate
  end
  return by_fingerprint
end

local function bundle_of(names, certificates, where)
  local list = {}
  for i, fingerprint in ipairs(names) do
    list[i] = certificates[fingerprint]
      or refuse(("%s[%d]"):format(where, i), "no certificate has the fingerprint " .. fingerprint)
  end
  local bundle, err = bundles.new(list)
  if not bundle then
    error(err, 0)
  elseif #bundle.duplicates > 0 then
    refuse(where, "a certificate is named twice")
  end
  return bundle
end

local function check_step(fields, number, previous, where)
  if fields.number ~= number then
    refuse(where .. ".number", ("must be %d"):format(number))
  elseif not step.actions[fields.action] then
    refuse(where .. ".action", ("there is no action '%s'"):format(fields.action))
  elseif fields.latest and fields.latest < fields.earliest then
    refuse(where .. ".latest", "is before earliest")
  elseif fields.done and previous and not previous.done then
    refuse(where .. ".done", ("step %d is not done"):format(number - 1))
  elseif table.concat(fields.changes, "\n") ~= table.concat(changes_of(fields.before, fields.bundle), "\n") then
    refuse(where .. ".changes", "does not fit before and bundle")
  elseif previous and (#previous.bundle ~= #fields.before or #changes_of(previous.bundle, fields.before) > 0) then
    refuse(where .. ".before", ("is not the bundle of step %d"):format(number - 1))
  end
end

local function plan_of(text)
  local object, err = json.read(text, "bad_state", "the state of a rotation",
    "restore the file, or plan the rotation again")
  if object == nil then
    error(err, 0)
  end
  -- What is no state at all should not be told that a field is missing.
  if type(object) ~= "table" or object.kind ~= KIND then
    refuse("", ("there is no \"kind\": %q"):format(KIND))
  end
  local read = read_object(object, "", file_fields)
  if read.version ~= VERSION then
    refuse("version", ("is %s; this is for %d"):format(tostring(read.version), VERSION))
  end
  local certificates = certificates_of(read.certificates)
  local plan = { namespace = read.namespace, created = read.created, filters = read.filters }
  for number, fields in ipairs(read.steps) do
    local where = ("steps[%d]"):format(number)
    fields.before = bundle_of(fields.before, certificates, where .. ".before")
    fields.bundle = bundle_of(fields.bundle, certificates, where .. ".bundle")
    check_step(fields, number, plan[number - 1], where)
    fields.changes = nil
    plan[number], err = step.new(fields, plan.namespace)
    if not plan[number] then
      refuse(where, err.message)
    end
  end
  if #plan == 0 then
    refuse("steps", "there is none")
  end
  plan.current, plan.final = plan[1].before, plan[#plan].bundle
  return plan
end

--- Reads the state.
-- @tparam string path
-- @treturn[1] table the plan, without its methods
-- @treturn[2] nil
-- @treturn[2] fault `bad_state` with the path; those of reading
function state.read(path)
  local text, err = core.file.read(path)
  if not text then
    return nil, err
  end
  local ok, plan = pcall(plan_of, text)
  if not ok then
    if type(plan) == "string" then
      error(plan, 0)
    end
    plan.path = path
    return nil, plan
  end
  plan.path, plan.saved = path, text
  return plan
end

return state

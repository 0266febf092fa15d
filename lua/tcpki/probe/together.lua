--- Several climbs at once: each is a function with waits in it, as if it were alone.
--
-- A wait inside of `together.run` gives the others their turn; outside it simply waits, without a thread of its own.
-- @module tcpki.probe.together
-- @local

local probe_core = require "tcpki.probe.core"

local together = {}

-- The coroutines that `run` has started; those of the host are not ours to suspend.
local members = setmetatable({}, { __mode = "k" })

-- Until one of the boxes is over, or the moment has come. It may come back early: look, and wait again.
local function pause(boxes, moment)
  if members[coroutine.running()] then
    coroutine.yield(boxes, moment)
  else
    probe_core.any(boxes, math.max(moment - probe_core.now(), 0))
  end
end

-- What the box gives once it is over, or nil where it is not by the moment.
local function rest(box, moment)
  while true do
    local got = box:wait(0)
    if got ~= nil or probe_core.now() >= moment then return got end
    pause({ box }, moment)
  end
end

--- As `client:wait`.
-- @tparam client client
-- @tparam number seconds
-- @treturn string "ready", "failed" or "connecting"
function together.wait(client, seconds)
  if not members[coroutine.running()] then return client:wait(seconds) end
  local errand <close> = probe_core.errand(client, "wait", seconds)
  return rest(errand, math.huge)
end

--- As `client:ask`.
-- @tparam client client
-- @tparam string method
-- @tparam ?string subject
-- @tparam number seconds
-- @treturn table
function together.ask(client, method, subject, seconds)
  if not members[coroutine.running()] then return client:ask(method, subject, seconds) end
  local errand <close> = probe_core.errand(client, method, subject, seconds)
  return rest(errand, math.huge)
end

--- As `trace:wait`.
-- @tparam trace tracer
-- @tparam number seconds
-- @treturn ?table
function together.trace(tracer, seconds)
  if not members[coroutine.running()] then return tracer:wait(seconds) end
  return rest(tracer, probe_core.now() + seconds)
end

--- Waits for the client, but no longer than until the trace beside it has seen enough.
-- @tparam client client
-- @tparam trace tracer
-- @tparam number seconds
-- @tparam function is_enough of the record of the trace, whether to leave the client
-- @treturn string as `client:wait`
function together.wait_beside(client, tracer, seconds, is_enough)
  local moment = probe_core.now() + seconds
  local errand <close> = probe_core.errand(client, "wait", seconds)
  local record
  while true do
    local state = errand:wait(0)
    if state or probe_core.now() >= moment then return state or "connecting" end
    if not record then
      record = tracer:wait(0)
      if record and is_enough(record) then return "connecting" end
    end
    pause(record and { errand } or { errand, tracer }, moment)
  end
end

--- Pauses.
-- @tparam number seconds
function together.sleep(seconds)
  local moment = probe_core.now() + seconds
  while probe_core.now() < moment do pause({}, moment) end
end

-- ---- the row of climbs ----

local function close_all(row)
  for _, entry in pairs(row) do coroutine.close(entry.thread) end
end

-- Lets one go on to its next wait. True once it is through.
local function go_on(entry, results)
  local fine, boxes, moment = coroutine.resume(entry.thread)
  if not fine then
    coroutine.close(entry.thread)
    error(boxes, 0)
  end
  if coroutine.status(entry.thread) == "dead" then
    results[entry.index] = boxes
    return true
  end
  entry.boxes, entry.moment = boxes, moment
end

local function wait_for(row, count)
  local boxes, first = {}, math.huge
  for i = 1, count do
    if row[i] then
      for _, box in ipairs(row[i].boxes) do boxes[#boxes + 1] = box end
      first = math.min(first, row[i].moment)
    end
  end
  pause(boxes, first)
end

--- Runs functions at once, and gives what each returned.
-- @tparam {function,…} functions
-- @tparam[opt] table how `most`: how many at once; `stop`, a function of the results so far: true ends the others
-- @treturn table by the number of the function; nil of one that was ended
function together.run(functions, how)
  how = how or {}
  local results, count, started, live = {}, #functions, 0, 0
  if count == 1 then return { functions[1]() } end
  local row <close> = setmetatable({}, { __close = close_all })
  local function step(i)
    if not go_on(row[i], results) then return false end
    row[i], live = nil, live - 1
    return how.stop ~= nil and how.stop(results) == true
  end
  while true do
    while started < count and live < (how.most or count) do
      started, live = started + 1, live + 1
      local thread = coroutine.create(functions[started])
      members[thread] = true
      row[started] = { thread = thread, index = started }
      if step(started) then return results end
    end
    if live == 0 then return results end
    wait_for(row, started)
    for i = 1, started do
      -- Each looks for itself whether it was meant.
      if row[i] and step(i) then return results end
    end
  end
end

return together

-- The helper of `make stress`: a full collection before every line of tcpki's Lua, of the specs
-- and of the examples. Lines of busted, Penlight and luassert run as they are: a collection there
-- cannot come between two lines that handle an object of ours, and there are a hundred times as
-- many of them. A line that runs again and again (a loop over every byte of a certificate) gets its
-- collection the first 8 times in each spec file, and every 211th time from then on: what a
-- collection can break, it breaks by where it comes, not by how often. What C does between two lines
-- is the business of `make oom`.
local first, every = 8, 211

local ours = { "^@lua/", "/lua/tcpki/", "^@spec/", "/spec/", "^@examples/", "/examples/" }

local known = {}
local function is_ours(source)
  local answer = known[source]
  if answer == nil then
    answer = false
    for _, pattern in ipairs(ours) do
      answer = answer or source:find(pattern) ~= nil
    end
    known[source] = answer
  end
  return answer
end

local getinfo, collect = debug.getinfo, collectgarbage

local times = {} -- source -> line -> how often it ran

local function hook(_, line)
  local source = getinfo(2, "S").source
  if not is_ours(source) then return end
  local lines = times[source]
  if not lines then
    lines = {}
    times[source] = lines
  end
  local count = (lines[line] or 0) + 1
  lines[line] = count
  if count <= first or count % every == 0 then collect() end
end

debug.sethook(hook, "l")

-- A hook belongs to one coroutine.
local create, wrap = coroutine.create, coroutine.wrap
local function hooked(f)
  return function(...)
    debug.sethook(hook, "l")
    return f(...)
  end
end
function coroutine.create(f) return create(hooked(f)) end
function coroutine.wrap(f) return wrap(hooked(f)) end

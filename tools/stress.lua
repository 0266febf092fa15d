-- The helper of `make stress`: a full collection before every line of tcpki's Lua, of the specs
-- and of the examples. Lines of busted, Penlight and luassert run as they are: a collection there
-- cannot come between two lines that handle an object of ours, and there are a hundred times as
-- many of them. What C does between two lines is the business of `make oom`.
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

local function hook()
  if is_ours(getinfo(2, "S").source) then collect() end
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

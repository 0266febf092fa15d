--- fuzz/lint.lua SECONDS [SEED]: texts changed at random, through lint and repair. What does not hold stops the run,
-- with the seed, and the text in fuzz-lint.found. Under the sanitizers, after `make asan`:
--
--    export LUA_PATH="lua/?.lua;lua/?/init.lua;./?.lua;;" LUA_CPATH="build/asan/?.so;;"
--    PATH="tools/asan:$PATH" lua5.4 fuzz/lint.lua 60
--
-- The libFuzzer targets beside it see the branches of the C alone; the layers of lint are Lua.

require "spec.support.manglings" -- finds the next one
local kind = require "tcpki.pem.kind"
local manglings = require "manglings"
local pem = require "tcpki.pem"
local tcpki = require "tcpki"
local worst_pem = require "spec.support.worst_pem"

local seconds, seed = tonumber(arg[1]) or 60, tonumber(arg[2]) or os.time()
math.randomseed(seed)

local authority = assert(tcpki.authority.new { subject = { CN = "Acme" } })
local leaf = assert(authority:issue { common_name = "worker", usage = "client" })
local bases = {
  leaf.chain:pem() .. authority.certificate:pem(), leaf.key:pem(), assert(leaf.key:pem { format = "traditional" }),
  assert(leaf.key:pem { format = "traditional", passphrase = "horse" }), leaf.certificate:pem(),
}

local pieces = { "\n", "\r", "\r\n", "\\n", "\\", '"', "'", " ", "\t", "=", "-", "-----", "-----BEGIN ", "-----END ",
  "CERTIFICATE", "PRIVATE KEY-----", ":", "%", "%2B", "&#43;", "&plus;", "<br>", "\0", "\26", "\xff\xfe",
  "\xef\xbb\xbf",
  "\xe2\x80\x8b", "\xe2\x80\x94", "\xc2\xa0", "> ", "1 ", "CERT=", "{", ",", "A", "MII", "0\x82\1\0", "LS0t", "\27[0m" }

local function pick(list)
  return list[math.random(#list)]
end

local changes = {
  function(text) -- one byte for another
    local at = math.random(#text + 1)
    return text:sub(1, at - 1) .. string.char(math.random(0, 255)) .. text:sub(at + 1)
  end,
  function(text) -- a piece put in
    local at = math.random(0, #text)
    return text:sub(1, at) .. pick(pieces) .. text:sub(at + 1)
  end,
  function(text) -- a range taken out, or put elsewhere
    local from = math.random(#text + 1)
    local to = math.min(#text, from + math.random(0, 80))
    local rest = text:sub(1, from - 1) .. text:sub(to + 1)
    local at = math.random(0, #rest)
    return math.random(2) == 1 and rest or rest:sub(1, at) .. text:sub(from, to) .. rest:sub(at + 1)
  end,
  function(text) -- every piece of a kind for another
    local from, to = pick(pieces):gsub("%p", "%%%0"):gsub("%z", "%%z"), pick(pieces):gsub("%%", "%%%%")
    return #text < 20000 and (text:gsub(from, to)) or text
  end,
  function(text) -- a mangling
    local mangling = pick(manglings.list)
    local ok, changed = pcall(mangling.apply, text)
    return ok and changed and #changed < 40000 and changed or text
  end,
  function(text) return text .. pick(bases) end,
  function(text) return text .. pick(worst_pem).make(math.random(200)) end,
  function(text) return text:sub(1, math.random(0, #text)) end,
}

local function ders(text)
  local list = {}
  for _, part in ipairs(assert(pem.scan(text))) do
    list[#list + 1] = part.der
  end
  return list
end

local function is_within(few, many)
  local at = 0
  for _, der in ipairs(few) do
    repeat
      at = at + 1
    until many[at] == der or at > #many
    if at > #many then
      return false
    end
  end
  return true
end

-- What is an object in a text before anything is undone.
local function objects(text)
  local list = {}
  for _, part in ipairs(pem.scan(text)) do
    list[#list + 1] = part.der and kind.label(part.der) and part.der
  end
  return list
end

local function check(text)
  local at = 1
  for _, part in ipairs(assert(pem.scan(text))) do
    assert(part.first == at and part.last >= part.first, "a gap between the parts")
    at = part.last + 1
  end
  assert(at == #text + 1, "the parts are not the text")
  local report = assert(pem.lint(text, { expect = pick { "chain", "bundle", "certificate", "key", "csr", "crl" } }))
  for _, finding in ipairs(report) do
    assert(finding.code and finding.message and (finding.severity == "info" or finding.severity == "warning"
      or finding.severity == "error"), "an odd finding")
  end
  assert(#tostring(report) > 0)
  local fixed, made = pem.repair(text)
  if not fixed then
    assert(made.code == "not_certain" or made.code == "empty", made.code)
    return false
  end
  assert((fixed == text) == (#made == 0), "changes that are none, or none that are")
  local again, more = assert(pem.repair(fixed))
  assert(again == fixed and #more == 0, "repaired twice is not repaired once")
  if fixed ~= text then
    local after = pem.lint(fixed)
    assert(after.ok, "what was repaired is not good: " .. tostring(after))
  end
  assert(#ders(fixed) > 0, "nothing in it")
  assert(is_within(objects(text), ders(fixed)), "an object is gone, or stands elsewhere")
  return true
end

local runs, repaired = 0, 0
local stop = os.time() + seconds
while os.time() < stop do
  local text = pick(bases)
  for _ = 1, math.random(4) do
    text = pick(changes)(text)
  end
  runs = runs + 1
  local ok, result = xpcall(check, debug.traceback, text)
  if not ok then
    local file = assert(io.open("fuzz-lint.found", "wb"))
    file:write(text)
    file:close()
    io.stderr:write(("seed %d, run %d: %s\n"):format(seed, runs, result))
    os.exit(1)
  end
  repaired = repaired + (result and 1 or 0)
end
print(("%d texts, %d of them repaired or good: nothing found (seed %d)"):format(runs, repaired, seed))

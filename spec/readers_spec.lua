-- Against the real readers of PEM: make test-readers. Every mangled text is read by programs that use OpenSSL, Node,
-- Python, gRPC's BoringSSL, Go, rustls, Netty, the JDK and cryptography, and by our table of them.

local content = require "tcpki.pem.content"
local pem = require "tcpki.pem"
local readers = require "tcpki.pem.readers"
local reading = require "tcpki.pem.reading"

local support = require "spec.support.readers"

local by_name = {}
for _, reader in ipairs(readers) do
  by_name[reader.name] = reader
end

-- Our outcome in the words of test/readers/outcomes.lua, without the message of an error.
local function ours(column, case)
  local reader = by_name[column.reader]
  local described = content.describe(case.text)
  local objects, fault, refused = reading.read(described, reader, column.role)
  if refused then
    return "!", fault
  elseif column.role == "key" then
    return support.is_key_of(case, column, objects[1].der) and "key" or "key?"
  end
  return support.places(case, column, objects)
end

-- What the verdict says must be what the reading gave.
local function counted(column, case, outcome)
  local verdict = pem.verdicts(case.text, { role = column.role })[column.reader]
  local _, commas = outcome:gsub(",", "")
  local count = (outcome == "!" or outcome == "-") and 0 or commas + 1
  return verdict.refused == (outcome == "!") and (verdict.got == count or column.is_set)
end

describe("the readers of PEM #readers", function()
  local asked

  -- lazily: with --run=TAG busted would set up what it then passes over
  lazy_setup(function()
    asked = support.ask(os.getenv "READERS_ALL" == "yes")
  end)

  lazy_teardown(function()
    if asked then asked.remove() end
  end)

  it("are all asked, about thousands of texts", function()
    assert.is_true(#asked.cases > 10000, #asked.cases)
    local expected = {}
    for _, column in ipairs(support.columns) do
      expected[column.name] = true
    end
    for _, name in ipairs(asked.columns) do
      -- new X509Certificate(buffer) of Node reads one certificate, which is no role of a client
      assert.is_true(expected[name] or name == "node one", name)
      expected[name] = nil
    end
    assert.same({}, expected)
  end)

  for _, column in ipairs(support.columns) do
    it(("agree with the verdict: %s"):format(column.name), function()
      local compared, wrong = 0, {}
      for _, case in ipairs(asked.cases) do
        local theirs = support.outcome(case, column.name)
        if theirs ~= "" then
          local short = theirs:find "!" and "!" or theirs:gsub(" as .*", "")
          local mine, fault = ours(column, case)
          compared = compared + 1
          if mine ~= short then
            wrong[#wrong + 1] = ("%s: theirs %s, ours %s%s"):format(case.name, theirs:sub(1, 100), mine,
              fault and " (" .. fault.code .. ")" or "")
          elseif not counted(column, case, mine) then
            wrong[#wrong + 1] = ("%s: the verdict is not %s"):format(case.name, mine)
          end
        end
      end
      assert.is_true(compared > 1000, compared)
      local first = table.concat(wrong, "\n", 1, math.min(#wrong, 40))
      assert.equal("", first, ("%d of %d disagree"):format(#wrong, compared))
    end)
  end
end)

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
local function ours(column, case, described)
  local objects, fault, refused = reading.read(described, by_name[column.reader], column.role)
  if refused then
    return "!", fault.code
  elseif column.role == "key" then
    return support.is_key_of(case, column, objects[1].der) and "key" or "key?"
  end
  return support.places(case, column, objects)
end

-- Whether a verdict says what the reading gave.
local function is_said(column, outcome, verdict)
  local _, commas = outcome:gsub(",", "")
  local count = (outcome == "!" or outcome == "-") and 0 or commas + 1
  return verdict.refused == (outcome == "!") and (verdict.got == count or column.is_set)
end

-- What is wrong in each column, a text a disagreement; and how often it was compared.
local function compare(cases)
  local wrong, compared = {}, {}
  for _, column in ipairs(support.columns) do
    wrong[column.name], compared[column.name] = {}, 0
  end
  for _, case in ipairs(cases) do
    local described, verdicts = content.describe(case.text), {}
    for _, column in ipairs(support.columns) do
      local theirs = support.outcome(case, column.name)
      if theirs ~= "" then
        compared[column.name] = compared[column.name] + 1
        local short = theirs:find "!" and "!" or theirs:gsub(" as .*", "")
        local mine, code = ours(column, case, described)
        verdicts[column.role] = verdicts[column.role] or pem.verdicts(case.text, { role = column.role })
        if mine ~= short then
          table.insert(wrong[column.name], ("%s: theirs %s, ours %s%s"):format(case.name, theirs:sub(1, 100), mine,
            code and " (" .. code .. ")" or ""))
        elseif not is_said(column, mine, verdicts[column.role][column.reader]) then
          table.insert(wrong[column.name], ("%s: the verdict is not %s"):format(case.name, mine))
        end
      end
    end
  end
  return wrong, compared
end

describe("the readers of PEM #readers", function()
  local asked, wrong, compared

  -- lazily: with --run=TAG busted would set up what it then passes over
  lazy_setup(function()
    asked = support.ask(os.getenv "READERS_ALL" == "yes")
    wrong, compared = compare(asked.cases)
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
      local list, count = wrong[column.name], compared[column.name]
      assert.is_true(count > 1000, count)
      assert.equal("", table.concat(list, "\n", 1, math.min(#list, 40)), ("%d of %d disagree"):format(#list, count))
    end)
  end

  it("were compared with the verdicts in hundreds of thousands of cases", function()
    local sum = 0
    for _, count in pairs(compared) do
      sum = sum + count
    end
    print(("%d readings of %d texts compared"):format(sum, #asked.cases))
    assert.is_true(sum > 100000, sum)
  end)
end)

-- Everything that tcpki writes, before the other readers that there are, and the reverse: make test-interop. What a
-- party is known not to do is a row of test/interop/limits.lua; our own failures: none.

local interop = require "spec.support.interop"
local limits = require "test.interop.limits"
local table_of = require "spec.support.interop_table"
local temporary = require "spec.support.temporary"

local PAGE = "docs/interop.md"

local function limit_of(party, artefact, message)
  for i, limit in ipairs(limits) do
    if limit.party == party.name and artefact.name:find(limit.artefact) and message:find(limit.message, 1, true) then
      return i
    end
  end
end

describe("interoperability #interop", function()
  local directory, artefacts
  local read, written = {}, {}

  setup(function()
    directory = temporary.directory()
    artefacts = interop.artefacts(directory)
  end)

  teardown(function() directory:remove() end)

  it("makes each kind with each type of key", function()
    assert.equal(82, #artefacts)
  end)

  for _, party in ipairs(interop.parties) do
    it("lets " .. party.title .. " read what tcpki writes", function()
      local cells, wrong, count = interop.read(party, directory, artefacts), {}, 0
      for _, artefact in ipairs(artefacts) do
        local cell = assert(cells[artefact.name], artefact.name .. " was not answered")
        if cell.state == "ok" and interop.equal(artefact.kind, artefact.expected, cell.text) then
          count = count + 1
        elseif cell.state == "ok" then
          wrong[#wrong + 1] = ("%s: it found %s, and there is %s"):format(artefact.name, cell.text, artefact.expected)
        elseif cell.state == "error" then
          cell.limit = limit_of(party, artefact, cell.text)
          if not cell.limit then wrong[#wrong + 1] = artefact.name .. ": " .. cell.text end
        end
      end
      assert.equal("", table.concat(wrong, "\n"))
      assert.is_true(count > 0)
      read[party.name] = cells
    end)
  end

  for _, party in ipairs(interop.parties) do
    if party.writes then
      it("reads what " .. party.title .. " writes", function()
        local own <close> = temporary.directory()
        local wrong, list = {}, interop.written(party, own)
        assert.is_true(#list > 15, "it wrote too little")
        for _, artefact in ipairs(list) do
          local value, err = interop.ours(artefact)
          artefact.good = value ~= nil and interop.equal(artefact.kind, artefact.expected, value)
          if not artefact.good then
            wrong[#wrong + 1] = ("%s: %s, and there is %s"):format(artefact.name, tostring(value or err),
              artefact.expected)
          end
        end
        assert.equal("", table.concat(wrong, "\n"))
        written[party.name] = list
      end)
    end
  end

  it("meets every limit that is listed", function()
    local met = {}
    for _, cells in pairs(read) do
      for _, cell in pairs(cells) do
        if cell.limit then met[cell.limit] = true end
      end
    end
    for i, limit in ipairs(limits) do
      assert.is_true(met[i], ("%s does %s now: take the row out"):format(limit.party, limit.artefact))
    end
  end)

  it("is what the page says", function()
    local page = table_of(artefacts, read, written)
    if os.getenv "INTEROP" == "write" then
      local file = assert(io.open(PAGE, "wb"))
      file:write(page)
      file:close()
    end
    assert.equal(page, temporary.content(PAGE), "run INTEROP=write make test-interop")
  end)
end)

-- Against servers of every TLS stack: make test-stacks. Each cell of spec/stacks_matrix.lua is run; who is let in is
-- told by other clients (gRPC core with BoringSSL, and Python's ssl), and never by our own result.
--
-- STACKS_TIMES is how often the verdict alone is run over the whole matrix (10); make test-stacks STACKS_TIMES=100.

local matrix = require "spec.stacks_matrix"
local options = require "tcpki.options"
local party = require "spec.support.probe_party"

local pki -- spec.support.stacks_pki: dozens of certificates, which other suites that load this file do not need

local TIMES = tonumber(os.getenv "STACKS_TIMES" or "") or 10

local client_cells = matrix.cells(matrix.client)
table.move(matrix.cells(matrix.client12), 1, 1000, #client_cells + 1, client_cells)
local tls_only = { openssl13 = true, openssl12 = true, gnutls = true, gnutls12 = true }

-- Whether the truth is among the first two, where nothing decides.
local function is_among_two(result, word)
  local candidates = result.candidates or {}
  return not result.certain and (candidates[1] == word or candidates[2] == word)
end

local function is_among_candidates(result, word)
  return not result.certain and options.has(result.candidates or {}, word)
end

-- For each mark: whether a result is what it asks for.
local holds = {
  ok = function(result) return result.ok and result.cause == "ok" end,
  tls = function(result) return not result.ok and result.cause == "not_grpc" and result.certain end,
  ["="] = function(result, word) return not result.ok and result.cause == word and result.certain end,
  ["?"] = function(result, word) return not result.ok and is_among_two(result, word) end,
  ["??"] = function(result, word) return not result.ok and is_among_candidates(result, word) end,
}

local function describe_cell(cell, result)
  local trace = result.trace
  return ("%s before %s should be %s %s, and is %s %s (%s)%s\n%s"):format(cell.fault, cell.stack, cell.mark, cell.word,
    result.certain and "=" or "?", result.cause, table.concat(result.candidates or {}, ", "),
    trace and (" after %s at %s"):format(trace.ended, trace.stage) or "", tostring(result))
end

-- Of all refusals that were judged: `named`, the cause was the word of the row; `misled`, it was not, and certain.
local tally = { refused = 0, named = 0, misled = 0 }

local function count(cell, result)
  local is_named = result.cause == cell.word
  tally.refused = tally.refused + 1
  tally.named = tally.named + (is_named and 1 or 0)
  tally.misled = tally.misled + (result.certain and not is_named and 1 or 0)
end

-- Adds a text to `wrong` where a result is not what its cell asks for.
local function judge(wrong, cell, result)
  if cell.mark ~= "ok" and cell.mark ~= "tls" then count(cell, result) end
  if not holds[cell.mark](result, cell.word) then wrong[#wrong + 1] = describe_cell(cell, result) end
end

local function assert_none(wrong)
  assert(#wrong == 0, #wrong .. " cells are wrong:\n" .. table.concat(wrong, "\n"))
end

-- The cells of each fault, in the order of the table.
local function by_fault(cells)
  local list, rows = {}, {}
  for _, cell in ipairs(cells) do
    if not rows[cell.fault] then
      rows[cell.fault] = { fault = cell.fault, word = cell.word }
      list[#list + 1] = rows[cell.fault]
    end
    table.insert(rows[cell.fault], cell)
  end
  return list
end

describe("TLS stacks #stacks", function()
  local set

  -- lazily: with --run=TAG busted would set up what it then passes over
  lazy_setup(function()
    pki = require "spec.support.stacks_pki"
    set = assert(require("spec.support.stacks").start())
  end)

  lazy_teardown(function()
    if set then set:stop() end
  end)

  it("let in, before other clients than ours, whom the matrix says", function()
    local questions, wrong = {}, {}
    for i, cell in ipairs(client_cells) do
      questions[i] = {
        stack = cell.stack, shown = pki.client[cell.fault], way = tls_only[cell.stack] and "tls" or "grpc",
      }
    end
    local answers = set:ask(questions)
    for i, cell in ipairs(client_cells) do
      local expected = (cell.mark == "ok" or cell.mark == "tls") and "accepted" or "refused"
      if answers[i] ~= expected then
        wrong[#wrong + 1] = ("%s before %s: %s"):format(cell.fault, cell.stack, answers[i])
      end
    end
    assert_none(wrong)
  end)

  describe("are each told the truth of a client's certificate:", function()
    for _, row in ipairs(by_fault(client_cells)) do
      it(("%s is %s"):format(row.fault, row.word), function()
        local wrong = {}
        for _, cell in ipairs(row) do
          judge(wrong, cell, set:probe(cell.stack, pki.client[cell.fault]))
        end
        assert_none(wrong)
      end)
    end
  end)

  it("are told it with more certainty where the accepted CAs are given", function()
    local wrong = {}
    for _, cell in ipairs(matrix.cells(matrix.accepted)) do
      judge(wrong, cell, set:probe(cell.stack, pki.client[cell.fault], { accepted = pki.client_ca }))
    end
    assert_none(wrong)
  end)

  it("let in what others would refuse, and we warn of it", function()
    local wrong = {}
    local function look(cell, shown, more)
      local expected = matrix.warnings[cell.fault]
      if cell.mark ~= "ok" or not expected or cell.stack == "open" then return end
      local result = set:probe(cell.stack, shown, more)
      local warned, words = expected == "" and #result.warnings == 0, {}
      for i, warning in ipairs(result.warnings) do
        words[i] = warning.word
        if warning.word == expected then warned = true end
      end
      if not warned then
        wrong[#wrong + 1] = ("%s before %s: %s"):format(cell.fault, cell.stack, table.concat(words, ", "))
      end
    end
    for _, cell in ipairs(client_cells) do look(cell, pki.client[cell.fault]) end
    for _, cell in ipairs(matrix.cells(matrix.server)) do
      look(cell, pki.client.good, { server_name = cell.fault, server_ca = pki.server_ca })
    end
    assert_none(wrong)
  end)

  it("are known by the algorithms that they ask for", function()
    local known = require "tcpki.probe.stacks"
    for stack, name in pairs {
      temporal = "go", grpcio = "boringssl", node13 = "openssl", node12 = "openssl", nginx = "openssl",
      haproxy = "openssl", openssl13 = "openssl", openssl12 = "openssl", rustls = "rustls", jsse = "jsse",
      gnutls = "gnutls",
    } do
      local result = set:probe(stack, pki.client.good, { trace = "always" })
      local row = known.of(result.trace)
      assert(row and row.name == name, stack .. " is " .. (row and row.name or "not known") .. ": "
        .. table.concat(result.trace.signature_algorithms, " "))
    end
  end)

  it("never see what is found before anything is sent", function()
    local wrong = {}
    for fault, word in pairs(matrix.unsent) do
      for _, stack in pairs(matrix.columns) do
        local result = set:probe(stack, pki.client[fault])
        judge(wrong, { fault = fault, word = word, stack = stack, mark = "=" }, result)
        assert.equal("input", result.stage, tostring(result))
      end
    end
    assert_none(wrong)
  end)

  describe("are each told the truth of their own certificate:", function()
    for _, row in ipairs(by_fault(matrix.cells(matrix.server))) do
      it(("%s is %s"):format(row.fault, row.word), function()
        local wrong = {}
        for _, cell in ipairs(row) do
          judge(wrong, cell, set:probe(cell.stack, pki.client.good,
            { server_name = cell.fault, server_ca = pki.server_ca }))
        end
        assert_none(wrong)
      end)
    end
  end)

  it("are told from one whose CA was mixed up with the client's", function()
    local wrong = {}
    for _, cell in ipairs(matrix.cells(matrix.swapped)) do
      judge(wrong, cell, set:probe(cell.stack, pki.client.good, { server_ca = pki.client_ca }))
    end
    assert_none(wrong)
  end)

  it("are told from those that are set up wrongly, and these from each other", function()
    local wrong = {}
    for _, row in ipairs(matrix.rows(matrix.faulty)) do
      judge(wrong, row, set:probe(row.stack, pki.client.good))
    end
    assert_none(wrong)
  end)

  it("are told from those that do not enforce what they ask for, by a control", function()
    local wrong = {}
    for _, row in ipairs(matrix.rows(matrix.control)) do
      judge(wrong, row, set:probe(row.stack, pki.client.good, { control = true }))
    end
    assert_none(wrong)
  end)

  it("are told from servers that are none", function()
    local wrong = {}
    for _, row in ipairs(matrix.rows(matrix.odd)) do
      local server <close> = party.odd(row.stack)
      set.address[row.stack] = server.address
      -- who never answers is waited for
      judge(wrong, row, set:probe(row.stack, pki.client.good, { timeout = row.stack == "silent" and 1 or nil }))
    end
    assert_none(wrong)
  end)

  it("are refused for what we name in more than nine cases of ten, and where certain for nothing else", function()
    if tally.refused == 0 then return pending "no cell was judged" end
    local figures = ("%d refused, %d named, %d misled"):format(tally.refused, tally.named, tally.misled)
    assert.is_true(tally.named > 0.9 * tally.refused, figures)
    assert.equal(0, tally.misled, figures)
  end)

  it("are told the same word of a refusal 20 times of 20 by the real Temporal server, 5 of 5 by the others", function()
    local wrong = {}
    for _, cell in ipairs(client_cells) do
      if cell.mark ~= "ok" and cell.mark ~= "tls" then
        local first
        for attempt = 1, cell.stack == "temporal" and 20 or 5 do
          local result = set:probe(cell.stack, pki.client[cell.fault])
          local said = ("%s %s"):format(result.cause, table.concat(result.candidates or {}, ","))
          first = first or said
          if said ~= first then
            wrong[#wrong + 1] = ("%s before %s, attempt %d: %s, and %s before"):format(cell.fault, cell.stack, attempt,
              said, first)
          end
        end
      end
    end
    assert_none(wrong)
  end)

  it(("refuse and accept as our verdict says, %d times over the whole matrix"):format(TIMES), function()
    local wrong, refused, accepted = {}, 0, 0
    for round = 1, TIMES do
      for _, cell in ipairs(client_cells) do
        -- The verdict is gRPC core's alone: a trace explains, and takes no part in it.
        local result = set:probe(cell.stack, pki.client[cell.fault], { trace = "never" })
        local is_accepted = cell.mark == "ok"
        if is_accepted then accepted = accepted + 1 else refused = refused + 1 end
        if result.ok ~= is_accepted or result.authenticated ~= is_accepted then
          wrong[#wrong + 1] = ("round %d: %s"):format(round, describe_cell(cell, result))
        end
      end
    end
    assert_none(wrong)
    assert.is_true(refused > TIMES * 50 and accepted > TIMES * 50, ("%d, %d"):format(refused, accepted))
  end)
end)

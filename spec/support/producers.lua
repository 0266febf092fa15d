-- The makers, linters and verifiers of test/producers: other parties that the #producers specs need.
--
--   local directory, missing = producers.make("step", parent)   DIRECTORY/CASE/{bundle.pem,chain.pem,client.key}
--   producers.verify { { chain, roots, "client" }, … }          crypto/x509: an array of "ok" or what is wrong
--   producers.zlint(paths, sources), producers.pkilint(lines)   arrays of arrays of "severity code"
--
-- Where a program is not there, nil and what is missing. In CI that is no excuse: see producers.excuse.

local cjson = require "cjson"
local server = require "spec.support.server"

local producers = {}

local function run(command)
  local handle = assert(io.popen("exec </dev/null 2>&1; " .. command))
  local output = handle:read "a"
  local ok, _, code = handle:close()
  return ok == true, output, code
end

-- Lines through a program: its output, errors aside.
local function through(command, lines)
  local input = os.tmpname()
  local file = assert(io.open(input, "w"))
  file:write(table.concat(lines, "\n"), "\n")
  file:close()
  local handle = assert(io.popen(("%s <'%s'"):format(command, input)))
  local output = handle:read "a"
  local ok = handle:close()
  os.remove(input)
  assert(ok, ("%s: %s"):format(command, output))
  return output
end

-- Ends a test whose program is missing: as pending at home, as a failure where everything is installed.
-- `pending` is the test's own: busted gives it to specs, and to nobody else.
function producers.excuse(missing, pending)
  assert(not os.getenv "CI", missing)
  pending(missing)
end

function producers.make(name, parent)
  local directory = ("%s/%s"):format(parent, name)
  local ok, output, code = run(("test/producers/run '%s' '%s'"):format(name, directory))
  if ok then return directory end
  if code == 3 then return nil, (output:gsub("%s+$", "")) end
  error(("test/producers/run %s: %s"):format(name, output))
end

function producers.verify(triples)
  local go, missing = server.counterpart "go"
  if not go then return nil, missing end
  local lines = {}
  for i, triple in ipairs(triples) do lines[i] = table.concat(triple, "\t") end
  local verdicts = {}
  for line in through(("'%s' verify"):format(go), lines):gmatch "[^\n]+" do verdicts[#verdicts + 1] = line end
  assert(#verdicts == #triples)
  return verdicts
end

-- What zlint has against certificates and CRLs, one answer a path; and how many of its lints applied to each.
function producers.zlint(paths, sources)
  local program, missing = server.counterpart "zlint"
  if not program then return nil, missing end
  local answers, applied = {}, {}
  for line in through(("xargs '%s' -includeSources=%s"):format(program, sources), paths):gmatch "[^\n]+" do
    local findings, count = {}, 0
    for lint, answer in pairs(cjson.decode(line)) do
      if answer.result ~= "NA" and answer.result ~= "NE" then count = count + 1 end
      if answer.result ~= "NA" and answer.result ~= "NE" and answer.result ~= "pass" then
        findings[#findings + 1] = answer.result .. " " .. lint
      end
    end
    table.sort(findings)
    answers[#answers + 1], applied[#applied + 1] = findings, count
  end
  assert(#answers == #paths, ("zlint gave %d answers for %d files"):format(#answers, #paths))
  return answers, applied
end

-- What pkilint has against them. Lines: "certificate\tPATH", "crl\tPATH", "pair\tISSUER\tSUBJECT".
function producers.pkilint(lines)
  local python, missing = server.counterpart "pkilint"
  if not python then return nil, missing end
  local answers = {}
  for line in through(("'%s' test/producers/linters.py"):format(python), lines):gmatch "[^\n]+" do
    answers[#answers + 1] = cjson.decode(line)
  end
  assert(#answers == #lines, ("pkilint gave %d answers to %d lines"):format(#answers, #lines))
  return answers
end

return producers

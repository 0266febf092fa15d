--- Every cause that a probe can name: one row a cause.
--
-- `word` is stable and part of the interface. `stage` is the rung of the ladder on which it
-- stands. `sentence` says what is so and `cure` what to do, both with {fields} that the diagnosis
-- fills. `needs` says what it takes to be certain of it. `source` is where the knowledge comes from.
-- The rows stand in `tcpki/probe/causes/`, a file for each stretch of the ladder; docs/causes.md shows them all.
-- @module tcpki.probe.causes

local fill = require("tcpki.probe.words").fill

local rows = {}
for _, stretch in ipairs { "input", "network", "tls", "settings", "rpc" } do
  for _, row in ipairs(require("tcpki.probe.causes." .. stretch)) do rows[#rows + 1] = row end
end

local causes = { rows = rows }
for _, row in ipairs(rows) do causes[row.word] = row end

--- The message and the hint of a cause.
-- @tparam string word
-- @tparam table fields what the {fields} stand for
-- @treturn string message
-- @treturn string hint
function causes.describe(word, fields)
  local row = assert(causes[word], word)
  -- "the key" is a phrase of ours; a path keeps its letters.
  local message = fill(row.sentence, fields):gsub("%s+$", ""):gsub("^the ", "The "):gsub("%. the ", ". The ")
  return message, fill(row.cure, fields)
end

return causes

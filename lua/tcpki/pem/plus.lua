--- Blanks that were plus signs: what a form or a URL makes of base64.
-- @module tcpki.pem.plus

local core = require "tcpki.core"
local kind = require "tcpki.pem.kind"

-- The block with a plus sign for each blank within a line, where it holds one whole object so.
local function mend(source)
  local first, body, last = source:match "^(%-%-%-%-%-BEGIN [^\r\n]-%-%-%-%-%-\r?\n)([^%-]*)(%-%-%-%-%-END .*)$"
  if not body or body:find ":" then
    return nil
  end
  local mended = first .. body:gsub(" ", "+") .. last
  local parts = core.pem.scan(mended)
  local der = parts and parts[1] and parts[1].der
  return der and kind.length(der) == #der and kind.label(der) and mended or nil
end

--- Puts the plus signs back, where a block holds an object with them and none without.
-- @tparam string text
-- @treturn ?string nil where no block is such a one
-- @treturn ?integer the place of the first blank
return function(text)
  if not text:find(" ", 1, true) then
    return nil
  end
  local out, from, first = {}, 1, nil
  for _, part in ipairs(core.pem.scan(text) or {}) do
    local blanks = part.notes.inner_blanks or part.notes.leading_blanks or part.notes.trailing_spaces
    if blanks and part.kind == "block" and not part.notes.end_missing and not (part.der and kind.label(part.der)) then
      local mended = mend(text:sub(part.first, part.last))
      if mended then
        out[#out + 1] = text:sub(from, part.first - 1) .. mended
        from, first = part.last + 1, first or blanks.at
      end
    end
  end
  if first then
    out[#out + 1] = text:sub(from)
    return table.concat(out), first
  end
end

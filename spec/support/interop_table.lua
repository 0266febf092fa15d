-- The table of docs/interop.md out of a run.

local interop = require "spec.support.interop"
local limits = require "test.interop.limits"

local titles = { key = "private key", csr = "CSR", certificates = "certificates", crl = "CRL", pkcs12 = "PKCS#12" }

local key_titles = { p256 = "P-256", p384 = "P-384", p521 = "P-521", rsa2048 = "RSA 2048", rsa3072 = "RSA 3072",
  rsa4096 = "RSA 4096", ed25519 = "Ed25519" }

-- The rows of the first table: kind and form, in the order of the artefacts.
local function rows_of(artefacts)
  local rows, by_name = {}, {}
  for _, artefact in ipairs(artefacts) do
    local name = titles[artefact.kind] .. (artefact.form ~= "" and ", " .. artefact.form or "")
    if not by_name[name] then
      by_name[name] = { name = name, artefacts = {} }
      rows[#rows + 1] = by_name[name]
    end
    table.insert(by_name[name].artefacts, artefact)
  end
  return rows
end

local function key_list(artefacts)
  local names = {}
  for i, artefact in ipairs(artefacts) do names[i] = key_titles[artefact.key] end
  return table.concat(names, ", ")
end

local function cell_text(row, cells)
  local missing, notes, seen, none, untold = {}, {}, {}, 0, 0
  for _, artefact in ipairs(row.artefacts) do
    local cell = cells[artefact.name]
    if cell.state == "none" then none = none + 1 end
    if cell.state == "ok" and cell.text == "-" then untold = untold + 1 end
    if cell.state == "error" then
      missing[#missing + 1] = artefact
      if cell.limit and not seen[cell.limit] then
        seen[cell.limit] = true
        notes[#notes + 1] = ("[%d]"):format(cell.limit)
      end
    end
  end
  local marks = #notes > 0 and " " .. table.concat(notes, " ") or ""
  if none == #row.artefacts then
    return "–"
  elseif #missing == 0 then
    return untold == 0 and "yes" or "read"
  elseif #missing == #row.artefacts then
    return "no" .. marks
  end
  return ("not %s%s"):format(key_list(missing), marks)
end

local intro = [[
# Interoperability

Written by `make test-interop`, from its last run; do not edit it by hand (`INTEROP=write make test-interop` does).

Each artefact is made with keys of EC P-256, P-384, P-521, RSA 2048, 3072, 4096 and Ed25519. *yes*: read, and found to
be the same (public key, fingerprints, serial numbers) for every key; *read*: without an error, by a party that tells
nothing of what is in it; *–*: the party has no reader for such a thing.

## What tcpki writes

]]

local function markdown_row(cells)
  return "| " .. table.concat(cells, " | ") .. " |\n"
end

local function heading(parties)
  local titles_of, rules = { "" }, { "---" }
  for i, party in ipairs(parties) do titles_of[i + 1], rules[i + 1] = party.title, "---" end
  return markdown_row(titles_of) .. markdown_row(rules)
end

-- What the parties write, by kind: how many of how many tcpki reads.
local function written_table(written)
  local parties = {}
  for _, party in ipairs(interop.parties) do
    if party.writes then parties[#parties + 1] = party end
  end
  local text = heading(parties)
  for _, kind in ipairs { "key", "csr", "certificates", "crl", "pkcs12" } do
    local cells = { titles[kind] }
    for _, party in ipairs(parties) do
      local count, good = 0, 0
      for _, artefact in ipairs(written[party.name] or {}) do
        if artefact.kind == kind then
          count = count + 1
          if artefact.good then good = good + 1 end
        end
      end
      cells[#cells + 1] = count == 0 and "–" or ("%d of %d"):format(good, count)
    end
    text = text .. markdown_row(cells)
  end
  return text
end

return function(artefacts, read, written)
  local text = intro .. heading(interop.parties)
  for _, row in ipairs(rows_of(artefacts)) do
    local cells = { row.name }
    for i, party in ipairs(interop.parties) do cells[i + 1] = cell_text(row, read[party.name]) end
    text = text .. markdown_row(cells)
  end
  text = text .. "\nWhat the others are known not to do, and what they say:\n\n"
  for i, limit in ipairs(limits) do
    text = text .. ("%d. %s: `%s`\n"):format(i, limit.why, limit.message)
  end
  return text .. "\n## What the others write, before tcpki\n\n" .. written_table(written)
end

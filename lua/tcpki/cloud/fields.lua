--- The fields of a certificate filter: their names, and the values that a certificate has of each.
-- @module tcpki.cloud.fields
-- @local

-- As the documentation of Temporal Cloud lists them. `word` is the name in JSON, `flag` that of `temporal cloud`,
-- `attribute` the field of the subject.
local fields = {
  { name = "common_name", word = "commonName", flag = "--common-name", attribute = "CN" },
  { name = "organization", word = "organization", flag = "--organization", attribute = "O" },
  { name = "organizational_unit", word = "organizationalUnit", flag = "--organizational-unit", attribute = "OU" },
  { name = "subject_alternative_name", word = "subjectAlternativeName", flag = "--subject-alternative-name" },
}

--- The words of JSON, in order.
fields.words = {}

--- The fields by their word.
fields.by_word = {}

for i, field in ipairs(fields) do
  fields.words[i] = field.word
  fields.by_word[field.word] = field
end

local named_types = { dns = true, email = true, uri = true, ip = true }

-- The values that a certificate has of a field.
local function values_of(certificate, field)
  local values = {}
  local entries, err
  if field.attribute then
    entries, err = certificate:subject()
  else
    entries, err = certificate:subject_alt_names()
    if not entries and not err then
      return values
    end
  end
  if not entries then
    return nil, err
  end
  for _, entry in ipairs(entries) do
    if entry.type == field.attribute or (not field.attribute and named_types[entry.type]) then
      values[#values + 1] = entry.value
    end
  end
  return values
end

--- A function from a field to its values that reads each field of a certificate once.
-- @tparam certificate certificate
-- @treturn function
function fields.reader(certificate)
  local read = {}
  return function(field)
    local err
    if not read[field] then
      read[field], err = values_of(certificate, field)
    end
    return read[field], err
  end
end

--- What is alike for filters with the same values, and for no others.
-- @tparam table row from name to value
-- @treturn string
function fields.key(row)
  local values = {}
  for i, field in ipairs(fields) do
    values[i] = row[field.name] or ""
  end
  return table.concat(values, "\0")
end

return fields

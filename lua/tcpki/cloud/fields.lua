--- The fields of a certificate filter: their names, and the values that a certificate has of each.
-- @module tcpki.cloud.fields
-- @local

local pattern = require "tcpki.cloud.pattern"

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

-- The values of a field among the entries of a name, or of the alternative names.
local function values_of(entries, field)
  local values = {}
  for _, entry in ipairs(entries) do
    if entry.type == field.attribute or (not field.attribute and named_types[entry.type]) then
      values[#values + 1] = entry.value
    end
  end
  return values
end

--- A function from a field to its values, and to the same in small letters, that reads a certificate once: a thousand
-- certificates are held against 25 filters.
-- @tparam certificate certificate
-- @treturn function
function fields.reader(certificate)
  local read, folded, subject = {}, {}, nil
  return function(field)
    if not read[field] then
      local entries, err = subject, nil
      if not field.attribute then
        entries, err = certificate:subject_alt_names()
      elseif not entries then
        entries, err = certificate:subject()
        subject = entries
      end
      if err then
        return nil, err
      end
      read[field], folded[field] = values_of(entries or {}, field), {}
      for i, value in ipairs(read[field]) do
        folded[field][i] = pattern.fold(value)
      end
    end
    return read[field], folded[field]
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

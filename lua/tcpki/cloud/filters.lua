--- Certificate filters of a Temporal Cloud namespace: read, checked, written, and simulated.
--
--     local filters = assert(require "tcpki.cloud.filters".read "filters.json")
--     print(filters:explain(leaf))
--
-- A certificate is let in where at least one filter matches; a filter matches where all its fields do. A field is
-- compared with every value that the certificate has of it (each OU of the subject; of the subject alternative names
-- those of type dns, email, uri and ip), as a whole, or up to the one `*` at its beginning or end, which also stands
-- for nothing. No filters at all let every certificate in.
--
-- The case of the letters A to Z does not count. How the Cloud compares other letters is not documented: here they
-- count as they are written, so that a match that depends on it is not promised.
--
-- The object is an array of tables with the fields that are set, in the order of the file: `filters[1].common_name`.
-- Make another one rather than change it.
-- @module tcpki.cloud.filters

local core = require "tcpki.core"
local explanation = require "tcpki.cloud.explanation"
local fault = require "tcpki.fault"
local fields = require "tcpki.cloud.fields"
local json = require "tcpki.json"
local options = require "tcpki.options"
local pattern = require "tcpki.cloud.pattern"
local people = require "tcpki.cloud.clients"

local filters = {}

--- The most filters that a namespace takes.
filters.LIMIT = 25

local methods = {}
local metatable = { __name = "tcpki.cloud.filters", __index = methods }

local known = {}
for _, field in ipairs(fields) do
  known[field.name] = "string"
end

local function refuse(code, number, message, hint)
  return fault.fail { code = code, message = ("filter %d: %s"):format(number, message), hint = hint, filter = number }
end

local function check_row(row, number)
  for _, field in ipairs(fields) do
    local value = row[field.name]
    if value and not utf8.len(value) then
      return refuse("bad_filters", number, field.word .. " is not UTF-8", "write it as UTF-8")
    end
    local message, hint = pattern.fault(value or "")
    if message then
      return refuse("bad_wildcard", number, ("%s %q: %s"):format(field.word, value, message), hint)
    end
  end
  if next(row) == nil then
    return refuse("empty_filter", number, "certificate filter must have at least one field set",
      "set at least one of " .. table.concat(fields.words, ", ") .. ", or remove the filter")
  end
  return true
end

-- rows: arrays of tables from field to string. A blank value is one that is not set.
local function make(rows)
  local self, seen = setmetatable({ compiled = {} }, metatable), {}
  for number, given in ipairs(rows) do
    local row, patterns = {}, {}
    for _, field in ipairs(fields) do
      local value = given[field.name]
      if value and value:find "%S" then
        row[field.name] = value
        table.insert(patterns, { field = field, wanted = value, pattern = pattern.compile(value) })
      end
    end
    local fine, err = check_row(row, number)
    if not fine then
      return nil, err
    end
    local key = fields.key(row)
    if seen[key] then
      return refuse("duplicate_filter", number, ("it is the same as filter %d"):format(seen[key]), "remove one of them")
    end
    seen[key] = number
    self[number], self.compiled[number] = row, patterns
  end
  if #self > filters.LIMIT then
    return fault.fail { code = "too_many_filters",
      message = ("%d filters; a namespace takes at most %d"):format(#self, filters.LIMIT),
      hint = "let one filter stand for several with a * at the end of a value" }
  end
  return self
end

--- @param value
-- @treturn boolean whether it is a filters object
function filters.is(value)
  return getmetatable(value) == metatable
end

--- Makes filters.
-- @tparam {table,…} rows each with at least one of `common_name`, `organization`, `organizational_unit` and
-- `subject_alternative_name`; a blank string counts as not set
-- @treturn[1] filters
-- @treturn[2] nil
-- @treturn[2] fault with `filter`, the number of it: `empty_filter`, `duplicate_filter`, `bad_wildcard`,
-- `bad_filters`; `too_many_filters`
-- @raise on an unknown field or a value that is no string
function filters.new(rows)
  options.expect("tcpki.cloud.filters.new", "filters", rows, "table")
  options.list("tcpki.cloud.filters.new", "filter", rows, "table")
  for number, row in ipairs(rows) do
    options.check(("tcpki.cloud.filters.new: filter %d"):format(number), row, known)
  end
  return make(rows)
end

local SHAPE = [[write { "filters": [ { "commonName": "payments-*" } ] }]]

local function not_filters(message, hint)
  return fault.fail { code = "bad_filters", message = "not certificate filters: " .. message, hint = hint or SHAPE }
end

-- Go's reader takes a name in any case, and drops a name that it does not know without a word.
local function unknown(number, name)
  local hint = "the fields are " .. table.concat(fields.words, ", ")
  for _, word in ipairs(fields.words) do
    if pattern.fold(word) == pattern.fold(name):gsub("[_-]", "") then
      hint = "write " .. word
    end
  end
  return refuse("unknown_field", number, ("there is no field '%s'"):format(name), hint)
end

local function row_of(object, number)
  if json.kind(object) ~= "an object" then
    if type(object) == "table" and next(object) == nil then
      return {} -- {} and [] look alike here, and both lack every field
    end
    return not_filters(("filter %d is %s"):format(number, json.kind(object)))
  end
  local row = {}
  local names = {}
  for name in pairs(object) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local field, value = fields.by_word[name], object[name]
    if not field then
      return unknown(number, name)
    elseif type(value) ~= "string" then
      return refuse("bad_filters", number, ("%s must be a string, not %s"):format(name, json.kind(value)), SHAPE)
    end
    row[field.name] = value
  end
  return row
end

--- Reads the JSON of the command-line tools: `{ "filters": [ { "commonName": … } ] }`. Stricter than they are: a
-- field that they would drop without a word is a fault.
-- @tparam string text
-- @treturn[1] filters none where the array is empty or null, and of `{}`, which tcld exports where there are none
-- @treturn[2] nil
-- @treturn[2] fault as for `new`, and `unknown_field`; `bad_filters` where it is not JSON or not filters
function filters.parse(text)
  options.expect("tcpki.cloud.filters.parse", "text", text, "string")
  local object, err = json.read(text, "bad_filters", "certificate filters", SHAPE)
  if object == nil then
    return nil, err
  end
  if not text:find "^%s*{" then
    return not_filters(("it is %s"):format(json.kind(object)))
  end
  for name in pairs(object) do
    if name ~= "filters" then
      return not_filters(object.filters == nil and "it has no \"filters\""
        or ("there is a '%s' beside \"filters\""):format(name))
    end
  end
  local list = object.filters
  if list == nil or list == json.null then
    list = {} -- tcld exports {} from a namespace without filters
  elseif json.kind(list) ~= "an array" then
    return not_filters(("\"filters\" must be an array, not %s"):format(json.kind(list)))
  end
  local rows = {}
  for number, item in ipairs(list) do
    rows[number], err = row_of(item, number)
    if not rows[number] then
      return nil, err
    end
  end
  return make(rows)
end

--- Reads a file of the command-line tools.
-- @tparam string path
-- @treturn[1] filters
-- @treturn[2] nil
-- @treturn[2] fault with the path
function filters.read(path)
  local text, err = core.file.read(path)
  if not text then
    return nil, err
  end
  local self
  self, err = filters.parse(text)
  if not self then
    err.path = path
    return nil, err
  end
  return self
end

--- The JSON of the command-line tools. Fields that are not set are left out.
-- @treturn string with a line end
function methods:json()
  local rows = {}
  for number, row in ipairs(self) do
    local object = {}
    for _, field in ipairs(fields) do
      object[field.word] = row[field.name]
    end
    rows[number] = object
  end
  return json.write({ filters = rows }, fields.words) .. "\n"
end

--- The filters as `filters.new` takes them.
-- @treturn {table,…}
function methods:rows()
  local rows = {}
  for number, row in ipairs(self) do
    rows[number] = {}
    for name, value in pairs(row) do
      rows[number][name] = value
    end
  end
  return rows
end

--- Writes the JSON to a file of mode 0644: whole or not at all.
-- @tparam string path
-- @tparam[opt] table write_options `overwrite`
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault
function methods:write(path, write_options)
  write_options = options.check("filters:write", write_options, { overwrite = "boolean" })
  return core.file.write(path, self:json(), { overwrite = write_options.overwrite })
end

function metatable:__tostring()
  return ("tcpki.cloud.filters (%d filter%s)"):format(#self, #self == 1 and "" or "s")
end

local function match(patterns, read)
  for _, condition in ipairs(patterns) do
    local values, folded = read(condition.field)
    if not values then
      return nil, folded
    end
    local found = false
    for _, text in ipairs(folded) do
      found = found or pattern.fits(condition.pattern, text)
    end
    if not found then
      return false
    end
  end
  return true
end

local CERTIFICATE = "tcpki.certificate|tcpki.chain|tcpki.leaf"

--- Whether the filters let a certificate in.
-- @tparam certificate|chain|leaf leaf
-- @treturn[1] boolean
-- @treturn[1] ?integer the number of the first filter that matches
-- @treturn[2] nil
-- @treturn[2] fault where the names of the certificate cannot be read
function methods:matches(leaf)
  options.expect("filters:matches", "leaf", leaf, CERTIFICATE)
  if #self == 0 then
    return true
  end
  local read = fields.reader(people.leaf_of(leaf))
  for number, patterns in ipairs(self.compiled) do
    local matched, err = match(patterns, read)
    if matched == nil then
      return nil, err
    elseif matched then
      return true, number
    end
  end
  return false
end

--- Says which filter matched, or which fields of each did not and how near they were.
-- @tparam certificate|chain|leaf leaf
-- @treturn[1] explanation `matches` (boolean), `filter` (the number of the first that matches), `subject`, and one
-- table a filter, in order: `matches` and `fields`, an array of `{ field =, word =, wanted =, matches =, had = {…},
-- nearest =, distance = }` (`distance`: the bytes to change, add or take away from the nearest value that the
-- certificate has); `tostring` is for a terminal
-- @treturn[2] nil
-- @treturn[2] fault where the names of the certificate cannot be read
function methods:explain(leaf)
  options.expect("filters:explain", "leaf", leaf, CERTIFICATE)
  local certificate = people.leaf_of(leaf)
  local read = fields.reader(certificate)
  local list = { subject = tostring(certificate:subject()), matches = #self == 0 }
  for number, patterns in ipairs(self.compiled) do
    local row = { matches = true, fields = {} }
    for _, condition in ipairs(patterns) do
      local values, folded = read(condition.field)
      if not values then
        return nil, folded
      end
      local field = { field = condition.field.name, word = condition.field.word, wanted = condition.wanted,
        had = values, matches = false }
      for _, text in ipairs(folded) do
        field.matches = field.matches or pattern.fits(condition.pattern, text)
      end
      if not field.matches then
        row.matches = false
        field.nearest, field.distance = explanation.nearest(condition.pattern, values)
      end
      table.insert(row.fields, field)
    end
    list[number] = row
    if row.matches then
      list.matches = true
      list.filter = list.filter or number
    end
  end
  return explanation.new(list)
end

--- Which clients a change of filters would lock out: those that the filters before let in and the filters after do
-- not.
-- @tparam ?filters before nil: none
-- @tparam ?filters after nil: none
-- @tparam {client,…} clients certificates, chains, or tables with `name` and `certificate` or `chain`
-- @treturn[1] {table,…} `{ name =, certificate =, explanation = }`, in the order of the clients
-- @treturn[2] nil
-- @treturn[2] fault where the names of a certificate cannot be read
function filters.locked_out(before, after, clients)
  local where = "tcpki.cloud.filters.locked_out"
  options.expect(where, "before", before, "tcpki.cloud.filters|nil")
  options.expect(where, "after", after, "tcpki.cloud.filters|nil")
  before, after = before or make {}, after or make {}
  local out = {}
  for _, client in ipairs(people.list(where, clients)) do
    local was, err = before:matches(client.certificate)
    local is
    if was then
      is, err = after:matches(client.certificate)
    end
    if err and (was == nil or is == nil) then
      return nil, err
    end
    if was and not is then
      local why
      why, err = after:explain(client.certificate)
      if not why then
        return nil, err
      end
      table.insert(out, { name = client.name, certificate = client.certificate, explanation = why })
    end
  end
  return out
end

--- Which clients these filters would lock out, in the place of others.
-- @tparam {client,…} clients as for `locked_out`
-- @tparam[opt] filters before
-- @treturn[1] {table,…} as for `locked_out`
-- @treturn[2] nil
-- @treturn[2] fault
function methods:locks_out(clients, before)
  return filters.locked_out(before, self, clients)
end

return filters

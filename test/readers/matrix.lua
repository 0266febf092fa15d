--- Runs every reader over every mangling, and writes a table of what each made of it.
--
--    lua5.4 test/readers/matrix.lua [--single] [--only PATTERN] [--keep DIRECTORY] TABLE.tsv
--
-- A row a case (BASE/MANGLING or BASE/MANGLING+MANGLING), a column a reader and kind. In a field:
-- `1,2` the certificates of the good text that were got, by their place in it, in the order in
-- which they came (a set where the API gives no order: see test/readers/run); `?` one that is not
-- in the good text; `key` the key of the good text, `key?` another; `-` nothing and no complaint;
-- nothing at all, not asked;
-- `!MESSAGE` an error, after what had been read before it.
--
-- --single leaves out the pairs. --only takes the cases whose name matches a Lua pattern. --keep
-- writes the cases to a directory that stays: NNNNN.pem, index.tsv (file, case) and keys.
-- The lines on standard output are a summary.

local here = arg[0]:match "^(.*)/" or "."
package.path = here .. "/?.lua;" .. package.path

local bases = require "bases"
local manglings = require "manglings"

local options = {}
do
    local i = 1
    while arg[i] do
        local option = arg[i]:match "^%-%-(%l+)$"
        if option == "single" then
            options.single = true
        elseif option then
            i = i + 1
            options[option] = arg[i]
        else
            options.table = arg[i]
        end
        i = i + 1
    end
end
if not options.table then
    io.stderr:write "usage: matrix.lua [--single] [--only PATTERN] [--keep DIRECTORY] TABLE.tsv\n"
    os.exit(2)
end

local directory = options.keep
if not directory then
    local pipe = assert(io.popen "mktemp -d")
    directory = pipe:read "l"
    pipe:close()
end
assert(os.execute(("mkdir -p '%s/keys'"):format(directory)))

local function write(path, text)
    local file = assert(io.open(path, "wb"))
    assert(file:write(text))
    assert(file:close())
end

-- ---- the cases -----------------------------------------------------------------------------

local list = bases.make(directory .. "/keys")
local by_name = {}
for _, base in ipairs(list) do
    by_name[base.name] = base
    base.places = {}
    for place, hash in ipairs(base.certificates) do
        base.places[hash] = place
    end
    if options.single then
        base.pairs = false
    end
end

local cases, files, index = {}, {}, {}
for case in manglings.cases(list) do
    -- the good text itself is the reference for keys
    if not options.only or case.name:find(options.only) or case.manglings[1] == "none" then
        local path = ("%s/%05d.pem"):format(directory, #cases + 1)
        write(path, case.text)
        case.results, cases[#cases + 1], files[path] = {}, case, case
        index[#cases] = ("%05d.pem\t%s\n"):format(#cases, case.name)
    end
end
write(directory .. "/index.tsv", table.concat(index))

-- ---- the readers ---------------------------------------------------------------------------

local paths = {}
for i = 1, #cases do
    -- Reading certificates as keys and the reverse is slow in OpenSSL 3, and soon known.
    local base = by_name[cases[i].base]
    paths[i] = ("%s/%05d.pem%s\n"):format(directory, i,
        base.both and #cases[i].manglings == 1 and "" or base.key and "\tkey" or "\tcertificates")
end
write(directory .. "/list", table.concat(paths))

local columns, known = {}, {}
local pipe = assert(io.popen(("READERS_KEYS='%s/keys' '%s/run' < '%s/list'"):format(
    directory, here, directory)))
for line in pipe:lines() do
    local reader, path, kind, result = line:match "^([^\t]+)\t([^\t]+)\t([^\t]+)\t(.*)$"
    if not reader then
        error("not a line of a reader: " .. line)
    end
    local column = reader .. " " .. kind
    if not known[column] then
        known[column] = true
        columns[#columns + 1] = column
    end
    local case = files[path]
    case.results[column] = result
end
assert(pipe:close(), "a reader failed")

-- ---- the table -----------------------------------------------------------------------------

-- The key that each reader got from the good text, as it prints it.
local key_of = {}
for _, case in ipairs(cases) do
    if case.manglings[1] == "none" then
        key_of[case.base] = case.results
    end
end

local function outcome(case, column)
    local result = case.results[column]
    if not result then
        return ""
    end
    local got, message = result, nil
    local at = result:find "error: "
    if at then
        got, message = result:sub(1, at - 1), result:sub(at + 7)
    end
    local kind, hash = got:match "^(%w+):(%x+)"
    if kind then
        -- A reader that does not parse the key, as rustls, may see the same bytes by another name.
        local good = key_of[case.base][column]
        local same = good and good:match ":(%x+)" == hash
        got = same and (good:match "^%w+" == kind and "key" or "key as " .. kind) or "key?"
    else
        got = got:gsub(" ", ""):gsub("%x+", function(digest)
            return tostring(by_name[case.base].places[digest] or "?")
        end)
        -- sets, in the order of the good text
        if column == "node roots" or column == "python-ssl roots" or
            column == "python-ssl cadata" then
            local places = {}
            for place in got:gmatch "[^,]+" do
                places[#places + 1] = place
            end
            table.sort(places)
            got = table.concat(places, ",")
        end
    end
    if message then
        return (got ~= "" and got .. " " or "") .. "!" .. message:gsub("[%c]", " ")
    end
    return got ~= "" and got or "-"
end

local out = assert(io.open(options.table, "wb"))
out:write("case\t", table.concat(columns, "\t"), "\n")
local behaviours, distinct, agreed, lost = {}, 0, 0, {}

-- How many certificates a plain outcome is, or nothing for an error.
local function count(plain)
    if plain:find "!" then
        return nil
    end
    local _, commas = plain:gsub(",", "")
    return plain == "-" and 0 or commas + 1
end

for _, case in ipairs(cases) do
    local fields, plain, most, first, unanimous = {}, {}, 0, nil, true
    for i, column in ipairs(columns) do
        local got = outcome(case, column)
        fields[i] = got
        plain[i] = got:gsub("[^ ]* ?!.*", "!")
        if got ~= "" and not column:find "key$" and not column:find "one$" then
            most = math.max(most, count(plain[i]) or 0)
        end
    end
    for i, column in ipairs(columns) do
        local compared = plain[i] ~= "" and not column:find "one$" and
            (by_name[case.base].key and true or false) == (column:find "key$" ~= nil)
        if compared then
            first = first or plain[i]
            unanimous = unanimous and plain[i] == first
            if not by_name[case.base].key and (count(plain[i]) or most) < most then
                lost[column] = (lost[column] or 0) + 1
            end
        end
    end
    out:write(case.name, "\t", table.concat(fields, "\t"), "\n")
    agreed = agreed + (unanimous and 1 or 0)
    local behaviour = table.concat(plain, "\t")
    if not behaviours[behaviour] then
        behaviours[behaviour] = case.name
        distinct = distinct + 1
    end
end
assert(out:close())

local counts = "%d cases of %d manglings, %d columns; %d distinct rows; all agree on %d cases"
print(counts:format(#cases, #manglings.list, #columns, distinct, agreed))
print "fewer certificates than another reader got, without an error:"
for _, column in ipairs(columns) do
    if lost[column] then
        print(("  %-24s %d"):format(column, lost[column]))
    end
end

-- How many different readers there are: columns that agree on every case are one.
local groups, group_of = {}, {}
for i, column in ipairs(columns) do
    local vector = {}
    for j, case in ipairs(cases) do
        vector[j] = outcome(case, column):gsub("[^ ]* ?!.*", "!")
    end
    local signature = table.concat(vector, "\n")
    if not group_of[signature] then
        group_of[signature] = {}
        groups[#groups + 1] = group_of[signature]
    end
    table.insert(group_of[signature], columns[i])
end
print(("%d distinct readers:"):format(#groups))
for _, group in ipairs(groups) do
    print("  " .. table.concat(group, " = "))
end

if not options.keep then
    assert(os.execute(("rm -rf '%s'"):format(directory)))
end

--- Runs every reader over every mangling, and writes a table of what each made of it.
--
--    lua5.4 test/readers/matrix.lua [--single] [--only PATTERN] [--keep DIRECTORY] TABLE.tsv
--
-- A row a case (BASE/MANGLING or BASE/MANGLING+MANGLING), a column a reader and kind; the fields
-- are described in outcomes.lua.
--
-- --single leaves out the pairs. --only takes the cases whose name matches a Lua pattern. --keep
-- writes the cases to a directory that stays: NNNNN.pem, index.tsv (file, case) and keys.
-- The lines on standard output are a summary.

local here = arg[0]:match "^(.*)/" or "."
package.path = here .. "/?.lua;" .. package.path

local bases = require "bases"
local manglings = require "manglings"
local outcomes = require "outcomes"

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

local directory = options.keep or outcomes.directory()
assert(os.execute(("mkdir -p '%s/keys'"):format(directory)))

-- ---- the cases -----------------------------------------------------------------------------

local list = bases.make(directory .. "/keys")
local by_name = {}
for _, base in ipairs(list) do
    by_name[base.name] = base
    if options.single then
        base.pairs = false
    end
end

local cases = {}
for case in manglings.cases(list) do
    -- the good text itself is the reference for keys
    if not options.only or case.name:find(options.only) or case.manglings[1] == "none" then
        cases[#cases + 1] = case
    end
end
local columns = outcomes.ask(list, cases, directory)
local outcome = outcomes.of

-- ---- the table -----------------------------------------------------------------------------

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

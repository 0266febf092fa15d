--- What the readers make of cases, in words that can be compared.
--
--    local outcomes = require "outcomes"
--    local columns = outcomes.ask(list, cases, directory)   -- list of bases.lua, cases of manglings.lua
--    outcomes.of(case, "go chain")
--
-- An outcome: `1,2` the certificates of the good text that were got, by their place in it, in the
-- order in which they came (a set where the API gives no order: see run); `?` one that is not in
-- the good text; `key` the key of the good text, `key?` another; `-` nothing and no complaint;
-- nothing at all, not asked; `!MESSAGE` an error, after what had been read before it.

local outcomes = {}

local here = debug.getinfo(1, "S").source:match "^@(.*)/" or "."

-- Those whose API gives a set: they are in the order of the good text.
outcomes.sets = { ["node roots"] = true, ["python-ssl roots"] = true, ["python-ssl cadata"] = true }

local function write(path, text)
    local file = assert(io.open(path, "wb"))
    assert(file:write(text))
    assert(file:close())
end

--- A directory of its own.
function outcomes.directory()
    local pipe = assert(io.popen "mktemp -d")
    local directory = pipe:read "l"
    pipe:close()
    return directory
end

--- Has every reader read every case, a process a reader. The directory also holds the keys of
-- the bases (`keys`) and, when this returns, NNNNN.pem and index.tsv (file, case).
-- @treturn {string,...} the columns: a reader, a blank and what was asked of it
function outcomes.ask(list, cases, directory)
    local by_name, good = {}, {}
    for _, base in ipairs(list) do
        by_name[base.name] = base
        base.places = {}
        for place, hash in ipairs(base.certificates) do
            base.places[hash] = place
        end
    end
    local files, index, paths = {}, {}, {}
    for i, case in ipairs(cases) do
        local base = by_name[case.base]
        local path = ("%s/%05d.pem"):format(directory, i)
        write(path, case.text)
        files[path], case.results, case.from, case.good = case, {}, base, good
        if case.manglings[1] == "none" then
            good[case.base] = case.results
        end
        index[i] = ("%05d.pem\t%s\n"):format(i, case.name)
        -- Reading certificates as keys and the reverse is slow in OpenSSL 3, and soon known.
        paths[i] = ("%s%s\n"):format(path,
            base.both and #case.manglings == 1 and "" or base.key and "\tkey" or "\tcertificates")
    end
    write(directory .. "/index.tsv", table.concat(index))
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
    return columns
end

--- The outcome of a case in a column.
function outcomes.of(case, column)
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
        local good = case.good[case.base] and case.good[case.base][column]
        local same = good and good:match ":(%x+)" == hash
        got = same and (good:match "^%w+" == kind and "key" or "key as " .. kind) or "key?"
    else
        got = got:gsub(" ", ""):gsub("%x+", function(digest)
            return tostring(case.from.places[digest] or "?")
        end)
        if outcomes.sets[column] then
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

return outcomes

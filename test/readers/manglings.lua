--- What happens to PEM on its way: named functions from a good text to a mangled one.
--
--    local manglings = require "manglings"
--    manglings.list                      -- { {name=, description=, layer=, apply=function}, ... }
--    manglings.named["crlf"].apply(text) -- the mangled text, or nil where it does not apply
--    for case in manglings.cases(bases) do print(case.name, #case.text) end
--
-- `bases` is a list of {name=, text=}; each text is canonical (LF, 64 columns, nothing between the
-- blocks). A mangling of the layer "block" needs a canonical text; one of the layer "text" takes
-- any, so that pairs are a block mangling and then one of the text.

local manglings = { list = {}, named = {} }

-- ---- base64, without a library -------------------------------------------------------------

local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local value_of = {}
for i = 1, 64 do
    value_of[alphabet:byte(i)] = i - 1
end

local function encode(bytes)
    local out = {}
    for at = 1, #bytes, 3 do
        local a, b, c = bytes:byte(at, at + 2)
        local n = a << 16 | (b or 0) << 8 | (c or 0)
        for i, shift in ipairs { 18, 12, 6, 0 } do
            local index = (n >> shift & 63) + 1
            out[#out + 1] = (i == 3 and not b or i == 4 and not c) and "="
                or alphabet:sub(index, index)
        end
    end
    return table.concat(out)
end

local function decode(text)
    local out, n, bits = {}, 0, 0
    for i = 1, #text do
        local value = value_of[text:byte(i)]
        if value then
            n, bits = (n << 6 | value) & 0xffffff, bits + 6
            if bits >= 8 then
                bits = bits - 8
                out[#out + 1] = string.char(n >> bits & 255)
            end
        end
    end
    return table.concat(out)
end

manglings.encode, manglings.decode = encode, decode

-- ---- a canonical text, in parts ------------------------------------------------------------

local function wrap(text, width)
    local lines = {}
    for at = 1, #text, width do
        lines[#lines + 1] = text:sub(at, at + width - 1)
    end
    return lines
end

-- A list of blocks. `headers` are the lines from BEGIN to a blank line, that line included.
local function parse(text)
    local blocks = {}
    local armoured = "%-%-%-%-%-BEGIN ([^\n]-)%-%-%-%-%-\n(.-)%-%-%-%-%-END [^\n]-\n"
    for label, inner in text:gmatch(armoured) do
        local headers, body = inner:match "^(.-\n\n)(.*)$"
        local lines = {}
        for line in (body or inner):gmatch "([^\n]+)\n" do
            lines[#lines + 1] = line
        end
        blocks[#blocks + 1] = {
            label = label, headers = headers or "", lines = lines,
            head = "-----BEGIN " .. label .. "-----\n", foot = "-----END " .. label .. "-----\n",
            before = "", after = "",
        }
    end
    return blocks
end

manglings.parse = parse

local function body(block)
    return table.concat(block.lines)
end

local function render(block)
    local inner = block.inner
    if not inner then
        inner = #block.lines > 0 and table.concat(block.lines, "\n") .. "\n" or ""
    end
    return block.before .. block.head .. block.headers .. inner .. block.foot .. block.after
end

local function render_all(blocks)
    local out = {}
    for i, block in ipairs(blocks) do
        out[i] = render(block)
    end
    return table.concat(out)
end

-- ---- how manglings are added ---------------------------------------------------------------

local function add(layer, name, description, apply)
    assert(not manglings.named[name], name)
    local mangling = { name = name, description = description, layer = layer, apply = apply }
    manglings.list[#manglings.list + 1] = mangling
    manglings.named[name] = mangling
end

local function text(name, description, apply)
    add("text", name, description, apply)
end

-- The whole list of blocks.
local function blocks(name, description, edit)
    add("block", name, description, function(whole)
        local list = parse(whole)
        local result = edit(list)
        if result == false then
            return nil
        end
        return type(result) == "string" and result or render_all(result or list)
    end)
end

-- One block: the only one or all; in a text of several also the first, and the last.
local function each(name, description, edit)
    local function on(chosen)
        return function(list)
            if chosen ~= "all" and #list < 2 then
                return false
            end
            for i, block in ipairs(list) do
                if chosen == "all" or chosen == "first" and i == 1 or
                    chosen == "last" and i == #list then
                    if edit(block) == false then
                        return false
                    end
                end
            end
        end
    end
    blocks(name, description, on "all")
    blocks(name .. "-first", description .. ", the first block only", on "first")
    blocks(name .. "-last", description .. ", the last block only", on "last")
end

-- A change of every line, given without its newline.
local function lines(name, description, edit)
    text(name, description, function(whole)
        local n = 0
        return (whole:gsub("([^\n]*)\n", function(line)
            n = n + 1
            return edit(line, n) .. "\n"
        end))
    end)
end

local function escape(set, format)
    return function(whole)
        return (whole:gsub(set, function(character)
            return format:format(character:byte())
        end))
    end
end

local BOM = "\xef\xbb\xbf"
local NBSP = "\xc2\xa0"
local ZWSP = "\xe2\x80\x8b"
local WORD_JOINER = "\xe2\x81\xa0"

text("none", "nothing at all", function(whole) return whole end)

-- ---- line ends -----------------------------------------------------------------------------

for _, form in ipairs {
    { "literal-n", "\\n", "the two characters \\n for every newline" },
    { "literal-n-twice", "\\\\n", "the three characters \\\\n for every newline" },
    { "literal-r-n", "\\r\\n", "the four characters \\r\\n for every newline" },
    { "slash-n", "/n", "the two characters /n for every newline" },
    { "letter-n", "n", "the letter n for every newline, as an unescaping shell leaves it" },
    { "spaces-for-newlines", " ", "a space for every newline" },
    { "tabs-for-newlines", "\t", "a tab for every newline" },
    { "newlines-removed", "", "no newlines" },
    { "literal-n-and-newline", "\\n\n", "\\n before every newline, which stays" },
    { "crlf", "\r\n", "CR LF" },
    { "cr", "\r", "lone CR" },
    { "lfcr", "\n\r", "LF CR" },
    { "crcrlf", "\r\r\n", "CR CR LF" },
    { "crcr", "\r\r", "CR CR" },
    { "double-newline", "\n\n", "a blank line after every line" },
    { "triple-newline", "\n\n\n", "two blank lines after every line" },
    { "blank-lines-with-space", "\n \n", "a line of one space after every line" },
    { "vertical-tab", "\v", "VT for every newline" },
    { "form-feed", "\f", "FF for every newline" },
    { "next-line", "\xc2\x85", "U+0085 for every newline" },
    { "line-separator", "\xe2\x80\xa8", "U+2028 for every newline" },
    { "html-break", "<br>", "<br> for every newline" },
    { "html-break-and-newline", "<br>\n", "<br> before every newline" },
    { "backslash-newline", "\\\n", "a backslash before every newline" },
    { "dollar-newline", "$\n", "$ before every newline, as cat -A shows it" },
    { "comma-newline", ",\n", "a comma before every newline" },
    { "semicolon-newline", ";\n", "a semicolon before every newline" },
    { "nul-newline", "\0\n", "NUL before every newline" },
} do
    text(form[1], form[3], function(whole) return (whole:gsub("\n", form[2])) end)
end

lines("crlf-every-second", "CR LF and LF by turns", function(line, n)
    return n % 2 == 0 and line .. "\r" or line
end)
lines("crlf-first-line", "CR LF after the first line", function(line, n)
    return n == 1 and line .. "\r" or line
end)
lines("crlf-but-first-line", "LF after the first line, CR LF after the others", function(line, n)
    return n > 1 and line .. "\r" or line
end)
each("crlf-block", "CR LF in a block", function(block)
    block.inner = table.concat(block.lines, "\r\n") .. "\r\n"
    block.head, block.foot = block.head:gsub("\n", "\r\n"), block.foot:gsub("\n", "\r\n")
end)
each("cr-block", "lone CR in a block", function(block)
    block.inner = table.concat(block.lines, "\r") .. "\r"
    block.head, block.foot = block.head:gsub("\n", "\r"), block.foot:gsub("\n", "\r")
end)
each("cr-body", "lone CR in the body, LF after the armour", function(block)
    block.inner = table.concat(block.lines, "\r") .. "\n"
end)
each("cr-after-begin", "lone CR after BEGIN", function(block)
    block.head = block.head:gsub("\n", "\r")
end)
each("cr-before-end", "lone CR before END", function(block)
    block.inner = table.concat(block.lines, "\n") .. "\r"
end)
each("cr-after-end", "lone CR after END", function(block)
    block.foot = block.foot:gsub("\n", "\r")
end)
text("no-final-newline", "no newline at the end", function(whole)
    return (whole:gsub("\r?\n$", ""))
end)
text("final-cr", "CR for the newline at the end", function(whole)
    return (whole:gsub("\n$", "\r"))
end)
text("final-newlines", "three newlines at the end", function(whole) return whole .. "\n\n\n" end)
text("leading-newline", "a newline in front", function(whole) return "\n" .. whole end)
text("leading-crlf", "CR LF in front", function(whole) return "\r\n" .. whole end)
text("leading-cr", "CR in front", function(whole) return "\r" .. whole end)
text("flattened-quoted", "one line, spaces for newlines, in quotes", function(whole)
    return '"' .. whole:gsub("\n", " ") .. '"\n'
end)
each("body-spaces", "the body on one line, with spaces for its newlines", function(block)
    block.inner = table.concat(block.lines, " ") .. "\n"
end)
each("body-literal-n", "\\n for the newlines of the body", function(block)
    block.inner = table.concat(block.lines, "\\n") .. "\n"
end)
each("begin-glued", "no newline after BEGIN", function(block)
    block.head = block.head:gsub("\n", "")
end)
each("end-glued", "no newline before END", function(block)
    block.inner = table.concat(block.lines, "\n")
end)
each("begin-and-end-glued", "no newline after BEGIN and before END", function(block)
    block.head = block.head:gsub("\n", "")
    block.inner = table.concat(block.lines, "\n")
end)
each("begin-space-body", "a space for the newline after BEGIN", function(block)
    block.head = block.head:gsub("\n", " ")
end)
each("body-space-end", "a space for the newline before END", function(block)
    block.inner = table.concat(block.lines, "\n") .. " "
end)
each("armour-and-body-on-one-line", "a whole block on one line, with spaces", function(block)
    block.head = block.head:gsub("\n", " ")
    block.inner = body(block) .. " "
end)
blocks("concatenated-without-newline", "END and the next BEGIN on one line", function(list)
    if #list < 2 then
        return false
    end
    return (render_all(list):gsub("%-%-%-%-%-\n%-%-%-%-%-BEGIN", "----------BEGIN"))
end)
blocks("concatenated-with-space", "END, a space and the next BEGIN on one line", function(list)
    if #list < 2 then
        return false
    end
    return (render_all(list):gsub("%-%-%-%-%-\n%-%-%-%-%-BEGIN", "----- -----BEGIN"))
end)
blocks("concatenated-with-cr", "CR between END and the next BEGIN", function(list)
    if #list < 2 then
        return false
    end
    return (render_all(list):gsub("%-%-%-%-%-\n%-%-%-%-%-BEGIN", "-----\r-----BEGIN"))
end)
blocks("concatenated-with-literal-n", "\\n between END and the next BEGIN", function(list)
    if #list < 2 then
        return false
    end
    return (render_all(list):gsub("%-%-%-%-%-\n%-%-%-%-%-BEGIN", "-----\\n-----BEGIN"))
end)
blocks("concatenated-with-comma", "a comma between END and the next BEGIN", function(list)
    if #list < 2 then
        return false
    end
    return (render_all(list):gsub("%-%-%-%-%-\n%-%-%-%-%-BEGIN", "-----,-----BEGIN"))
end)

-- ---- blank lines ---------------------------------------------------------------------------

for _, form in ipairs {
    { "", "\n", "a blank line" },
    { "two-", "\n\n", "two blank lines" },
    { "spaced-", " \t\n", "a line of blanks" },
    { "crlf-", "\r\n", "a line of CR LF" },
} do
    local prefix, blank, what = table.unpack(form)
    each(prefix .. "blank-after-begin", what .. " after BEGIN", function(block)
        block.head = block.head .. blank
    end)
    each(prefix .. "blank-in-body", what .. " in the body", function(block)
        local half = #block.lines // 2
        block.inner = table.concat(block.lines, "\n", 1, half) .. "\n" .. blank ..
            table.concat(block.lines, "\n", half + 1) .. "\n"
    end)
    each(prefix .. "blank-before-end", what .. " before END", function(block)
        block.foot = blank .. block.foot
    end)
end
each("blank-after-begin-and-before-end", "a blank line after BEGIN and before END", function(block)
    block.head, block.foot = block.head .. "\n", "\n" .. block.foot
end)
each("blank-before-begin", "a blank line before BEGIN", function(block) block.before = "\n" end)
each("blank-after-end", "a blank line after END", function(block) block.after = "\n" end)
each("blank-before-last-line", "a blank line before the last line of the body", function(block)
    if #block.lines < 2 then
        return false
    end
    table.insert(block.lines, #block.lines, "")
end)
each("blank-after-first-line", "a blank line after the first line of the body", function(block)
    if #block.lines < 2 then
        return false
    end
    table.insert(block.lines, 2, "")
end)

-- ---- encodings of the whole ----------------------------------------------------------------

text("base64", "base64 of the text", function(whole) return encode(whole) end)
text("base64-newline", "base64 of the text, and a newline", function(whole)
    return encode(whole) .. "\n"
end)
text("base64-wrapped", "base64 of the text, 76 columns", function(whole)
    return table.concat(wrap(encode(whole), 76), "\n") .. "\n"
end)
text("base64-twice", "base64 of base64 of the text", function(whole)
    return encode(encode(whole))
end)
text("base64-of-der", "base64 of each DER as the body's content", function(whole)
    local out = {}
    for i, block in ipairs(parse(whole)) do
        block.lines = wrap(encode(body(block)), 64)
        out[i] = render(block)
    end
    return #out > 0 and table.concat(out) or nil
end)
local function utf16(little, mark)
    return function(whole)
        local unit = little and "<I2" or ">I2"
        local out = { mark and unit:pack(0xfeff) or "" }
        for i = 1, #whole do
            out[#out + 1] = unit:pack(whole:byte(i))
        end
        return table.concat(out)
    end
end
text("utf16le", "UTF-16LE with byte-order mark", utf16(true, true))
text("utf16be", "UTF-16BE with byte-order mark", utf16(false, true))
text("utf16le-no-bom", "UTF-16LE without byte-order mark", utf16(true, false))
text("utf16be-no-bom", "UTF-16BE without byte-order mark", utf16(false, false))
text("utf32le", "UTF-32LE with byte-order mark", function(whole)
    return ("<I4"):pack(0xfeff) .. whole:gsub(".", "%0\0\0\0")
end)
text("bom", "UTF-8 byte-order mark", function(whole) return BOM .. whole end)
text("bom-twice", "two UTF-8 byte-order marks", function(whole) return BOM .. BOM .. whole end)
text("bom-newline", "UTF-8 byte-order mark on a line of its own", function(whole)
    return BOM .. "\n" .. whole
end)
each("bom-block", "a UTF-8 byte-order mark before BEGIN", function(block) block.before = BOM end)
each("bom-body", "a UTF-8 byte-order mark at the body", function(block)
    block.head = block.head .. BOM
end)
each("bom-end", "a UTF-8 byte-order mark before END", function(block)
    block.foot = BOM .. block.foot
end)
text("url", "URL escapes", escape("[^%w%-._~]", "%%%02X"))
text("url-plus", "URL escapes, + for space", function(whole)
    return (escape("[^%w%-._~ ]", "%%%02X")(whole):gsub(" ", "+"))
end)
text("url-base64", "URL escapes of + / = only", escape("[+/=]", "%%%02X"))
text("html", "HTML escapes of + / = and newlines", escape("[+/=\n]", "&#%d;"))
text("html-base64", "HTML escapes of + / = only", escape("[+/=]", "&#x%X;"))
text("json", "a JSON string", function(whole)
    return '"' .. whole:gsub('[\\"]', "\\%0"):gsub("\n", "\\n") .. '"'
end)
text("json-slashes", "a JSON string with \\/ ", function(whole)
    return '"' .. whole:gsub('[\\"/]', "\\%0"):gsub("\n", "\\n") .. '"'
end)
text("json-twice", "a JSON string in a JSON string", function(whole)
    local once = '"' .. whole:gsub("\n", "\\n") .. '"'
    return '"' .. once:gsub('[\\"]', "\\%0") .. '"'
end)
text("json-unquoted", "a JSON string without its quotes, newlines kept", function(whole)
    return (whole:gsub("/", "\\/"))
end)
text("quoted-printable", "quoted-printable", function(whole)
    return (whole:gsub("=", "=3D"):gsub("([^\n]*)\n", function(line)
        return #line > 60 and line:sub(1, 60) .. "=\n" .. line:sub(61) .. "\n" or line .. "\n"
    end))
end)
text("plus-to-space", "a space for every +", function(whole) return (whole:gsub("%+", " ")) end)
text("plus-removed", "no +", function(whole) return (whole:gsub("%+", "")) end)
text("base64url", "the URL-safe alphabet", function(whole)
    return (whole:gsub("[+/]", { ["+"] = "-", ["/"] = "_" }))
end)
text("hex", "hexadecimal of the text", escape(".", "%02x"))
text("data-url", "a data: URL", function(whole)
    return "data:application/x-pem-file;base64," .. encode(whole)
end)
blocks("bare-base64", "the bodies without armour", function(list)
    local out = {}
    for i, block in ipairs(list) do
        out[i] = table.concat(block.lines, "\n") .. "\n"
    end
    return table.concat(out)
end)
blocks("bare-base64-one-line", "the first body alone, on one line", function(list)
    return body(list[1])
end)
blocks("bare-der", "DER, one after the other", function(list)
    local out = {}
    for i, block in ipairs(list) do
        out[i] = decode(body(block))
    end
    return table.concat(out)
end)
blocks("bare-der-newline", "DER and a newline", function(list)
    return decode(body(list[1])) .. "\n"
end)
blocks("der-and-pem", "DER of the first block, then the other blocks", function(list)
    if #list < 2 then
        return false
    end
    local first = table.remove(list, 1)
    return decode(body(first)) .. render_all(list)
end)
blocks("pem-and-der", "the text, then DER of the first block", function(list)
    return render_all(list) .. decode(body(list[1]))
end)
blocks("hex-of-der", "hexadecimal of the first DER", function(list)
    return escape(".", "%02x")(decode(body(list[1]))) .. "\n"
end)
each("hex-body", "hexadecimal in the armour", function(block)
    block.lines = wrap(escape(".", "%02x")(decode(body(block))), 64)
end)
each("der-body", "raw DER in the armour", function(block)
    block.inner = decode(body(block)) .. "\n"
end)

-- ---- spaces --------------------------------------------------------------------------------

for _, form in ipairs {
    { "indent-1", " ", "one space" }, { "indent-2", "  ", "two spaces" },
    { "indent-4", "    ", "four spaces" }, { "indent-tab", "\t", "a tab" },
    { "indent-nbsp", NBSP, "a no-break space" },
    { "quoted-mail", "> ", "'> '" }, { "comment-hash", "# ", "'# '" },
    { "comment-slashes", "// ", "'// '" }, { "diff-plus", "+", "'+'" },
    { "pipe", "| ", "'| '" }, { "asterisk", " * ", "' * '" },
} do
    lines(form[1], form[3] .. " in front of every line", function(line) return form[2] .. line end)
end
for _, form in ipairs {
    { "space", " ", "a space" }, { "tab", "\t", "a tab" }, { "nbsp", NBSP, "a no-break space" },
    { "zwsp", ZWSP, "a zero-width space" }, { "nul", "\0", "a NUL" },
    { "vt", "\v", "a vertical tab" }, { "ctrl-a", "\1", "a control character" },
    { "cr", "\r", "a CR" }, { "ideographic", "\xe3\x80\x80", "an ideographic space" },
    { "soft-hyphen", "\xc2\xad", "a soft hyphen" }, { "delete", "\x7f", "a DEL" },
    { "latin1-nbsp", "\xa0", "a no-break space in Latin-1" },
} do
    local name, bytes, what = table.unpack(form)
    lines("trailing-" .. name, what .. " at the end of every line", function(line)
        return line .. bytes
    end)
    each("leading-begin-" .. name, what .. " before BEGIN", function(block)
        block.before = bytes
    end)
    each("trailing-begin-" .. name, what .. " after the BEGIN line", function(block)
        block.head = block.head:gsub("\n", bytes .. "\n")
    end)
    each("leading-end-" .. name, what .. " before END", function(block)
        block.foot = bytes .. block.foot
    end)
    each("trailing-end-" .. name, what .. " after the END line", function(block)
        block.foot = block.foot:gsub("\n", bytes .. "\n")
    end)
    each("body-lead-" .. name, what .. " before every line of the body", function(block)
        for i, line in ipairs(block.lines) do
            block.lines[i] = bytes .. line
        end
    end)
    each("body-trail-" .. name, what .. " after every line of the body", function(block)
        for i, line in ipairs(block.lines) do
            block.lines[i] = line .. bytes
        end
    end)
    each("body-inside-" .. name, what .. " inside every line of the body", function(block)
        for i, line in ipairs(block.lines) do
            block.lines[i] = line:sub(1, 8) .. bytes .. line:sub(9)
        end
    end)
    each("body-once-" .. name, what .. " inside one line of the body", function(block)
        block.lines[1] = block.lines[1]:sub(1, 8) .. bytes .. block.lines[1]:sub(9)
    end)
    each("label-" .. name, what .. " for the space after BEGIN and END", function(block)
        block.head = block.head:gsub("BEGIN ", "BEGIN" .. bytes)
        block.foot = block.foot:gsub("END ", "END" .. bytes)
    end)
    each("label-inside-" .. name, what .. " in the label", function(block)
        block.head = block.head:gsub("(BEGIN %u)", "%1" .. bytes)
        block.foot = block.foot:gsub("(END %u)", "%1" .. bytes)
    end)
    each("label-after-" .. name, what .. " between label and dashes", function(block)
        block.head = block.head:gsub("%-%-%-%-%-\n", bytes .. "-----\n")
        block.foot = block.foot:gsub("%-%-%-%-%-\n", bytes .. "-----\n")
    end)
    each("label-after-begin-" .. name, what .. " before the last dashes of BEGIN", function(block)
        block.head = block.head:gsub("%-%-%-%-%-\n", bytes .. "-----\n")
    end)
    each("label-after-end-" .. name, what .. " between label and dashes of END", function(block)
        block.foot = block.foot:gsub("%-%-%-%-%-\n", bytes .. "-----\n")
    end)
    text("front-" .. name, what .. " in front", function(whole) return bytes .. whole end)
    text("back-" .. name, what .. " behind the text", function(whole) return whole .. bytes end)
end
text("front-word-joiner", "a word joiner in front", function(whole) return WORD_JOINER .. whole end)
text("back-ctrl-z", "Ctrl-Z behind", function(whole) return whole .. "\26" end)
text("back-high-bytes", "bytes above 127 behind", function(whole) return whole .. "\xff\xfe\n" end)
text("back-text", "a line of text behind", function(whole) return whole .. "the end\n" end)
text("back-4096-spaces", "4096 spaces behind", function(whole) return whole .. (" "):rep(4096) end)
text("front-4096-newlines", "4096 newlines in front", function(whole)
    return ("\n"):rep(4096) .. whole
end)
text("nul-padded", "padded with NUL to a multiple of 4096", function(whole)
    return whole .. ("\0"):rep(-#whole % 4096)
end)
text("nul-between-lines", "a NUL alone on the line before the last block", function(whole)
    local at = whole:match ".*()%-%-%-%-%-BEGIN "
    return at and at > 1 and whole:sub(1, at - 1) .. "\0\n" .. whole:sub(at) or nil
end)
each("double-space-label", "two spaces after BEGIN and END", function(block)
    block.head = block.head:gsub("BEGIN ", "BEGIN  ")
    block.foot = block.foot:gsub("END ", "END  ")
end)
each("no-space-label", "no space after BEGIN and END", function(block)
    block.head = block.head:gsub("BEGIN ", "BEGIN")
    block.foot = block.foot:gsub("END ", "END")
end)
each("spaced-dashes", "spaces between the dashes", function(block)
    block.head = block.head:gsub("%-%-%-%-%-", "- - - - -")
    block.foot = block.foot:gsub("%-%-%-%-%-", "- - - - -")
end)
each("spaces-every-4", "the body in groups of four", function(block)
    for i, line in ipairs(block.lines) do
        block.lines[i] = line:gsub("....", "%0 ")
    end
end)
each("body-indented", "the body indented by two spaces", function(block)
    for i, line in ipairs(block.lines) do
        block.lines[i] = "  " .. line
    end
end)
each("armour-indented", "the armour indented by two spaces", function(block)
    block.head, block.foot = "  " .. block.head, "  " .. block.foot
end)
each("all-but-begin-indented", "all but BEGIN indented by two spaces", function(block)
    for i, line in ipairs(block.lines) do
        block.lines[i] = "  " .. line
    end
    block.foot = "  " .. block.foot
end)

-- ---- what is put around --------------------------------------------------------------------

for _, form in ipairs {
    { "double-quotes", '"', '"', "double quotes around" },
    { "single-quotes", "'", "'", "single quotes around" },
    { "back-quotes", "`", "`", "back quotes around" },
    { "smart-quotes", "\xe2\x80\x9c", "\xe2\x80\x9d", "smart quotes around" },
    { "triple-quotes", '"""', '"""', "triple quotes around" },
    { "triple-quotes-newline", '"""\n', '"""\n', "triple quotes around, on their own lines" },
    { "key-equals", "CERT=", "", "KEY= in front" },
    { "export", "export CERT=", "", "export KEY= in front" },
    { "key-equals-quotes", 'CERT="', '"\n', 'KEY="…"' },
    { "key-equals-newline", 'CERT="\n', '"\n', 'KEY="…", text on its own lines' },
    { "yaml-inline", "cert: ", "", "KEY: in front" },
    { "yaml-block", "cert: |\n", "", "a YAML key in front, not indented" },
    { "xml", "<cert>", "</cert>\n", "XML tags around" },
    { "xml-newline", "<cert>\n", "</cert>\n", "XML tags around, on their own lines" },
    { "cdata", "<![CDATA[", "]]>\n", "CDATA around" },
    { "fence", "```\n", "```\n", "a Markdown fence around" },
    { "heredoc", "cat <<EOF\n", "EOF\n", "a here-document" },
    { "python-bytes", "b'", "'\n", "b'…'" },
    { "brackets", "[", "]\n", "brackets around" },
    { "front-letter", "x", "", "a letter in front" },
    { "front-dash", "-", "", "a dash in front" },
    { "front-text-line", "here it is:\n", "", "a line of text in front" },
    { "mail-headers", "From: a@example\nSubject: certificate\n\n", "", "mail headers in front" },
    { "ansi", "\27[32m", "\27[0m\n", "ANSI colours around" },
    { "http-headers", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n", "",
        "an HTTP answer's head in front" },
} do
    text(form[1], form[4], function(whole) return form[2] .. whole .. form[3] end)
end
lines("line-numbers", "line numbers in front of every line", function(line, n)
    return ("%6d\t%s"):format(n, line)
end)
lines("line-numbers-colon", "N: in front of every line", function(line, n)
    return ("%d: %s"):format(n, line)
end)
lines("lines-quoted", "every line in quotes", function(line) return '"' .. line .. '"' end)
lines("lines-quoted-joined", "every line a string literal with \\n", function(line)
    return '"' .. line .. '\\n" +'
end)
text("yaml-indented", "a YAML key in front, text indented", function(whole)
    return "cert: |\n" .. whole:gsub("[^\n]+", "  %0")
end)
text("yaml-folded", "what a folded YAML scalar (>) leaves", function(whole)
    return (whole:gsub("\n(.)", " %1"))
end)

-- ---- armour --------------------------------------------------------------------------------

local places = {
    { "begin-left", "head", "^%-%-%-%-%-" }, { "begin-right", "head", "%-%-%-%-%-\n$", "\n" },
    { "end-left", "foot", "^%-%-%-%-%-" }, { "end-right", "foot", "%-%-%-%-%-\n$", "\n" },
}
for _, place in ipairs(places) do
    local name, field, pattern, tail = table.unpack(place)
    for _, form in ipairs {
        { "no-dashes", "", "no dashes" }, { "three-dashes", "---", "three dashes" },
        { "four-dashes", "----", "four dashes" }, { "six-dashes", "------", "six dashes" },
        { "ten-dashes", "----------", "ten dashes" },
        { "em-dash", "\xe2\x80\x94\xe2\x80\x94-", "em dashes" },
    } do
        each(form[1] .. "-" .. name, form[3] .. " at " .. name:gsub("%-", ", "), function(block)
            block[field] = block[field]:gsub(pattern, form[2] .. (tail or ""))
        end)
    end
end
for _, form in ipairs {
    { "four-dash-armour", "----", "four dashes everywhere" },
    { "six-dash-armour", "------", "six dashes everywhere" },
    { "en-dashes", ("\xe2\x80\x93"):rep(5), "en dashes" },
    { "em-dashes", "\xe2\x80\x94\xe2\x80\x94-", "em dashes, as editors replace them" },
    { "minus-signs", ("\xe2\x88\x92"):rep(5), "minus signs" },
    { "no-break-hyphens", ("\xe2\x80\x91"):rep(5), "no-break hyphens" },
    { "hyphens", ("\xe2\x80\x90"):rep(5), "U+2010 hyphens" },
    { "full-width-hyphens", ("\xef\xbc\x8d"):rep(5), "full-width hyphens" },
    { "equals-signs", "=====", "equals signs" },
    { "underscores", "_____", "underscores" },
    { "ssh2-armour", "----", "---- BEGIN … ----", " " },
} do
    each(form[1], form[3], function(block)
        local space = form[4] or ""
        block.head = block.head:gsub("^%-%-%-%-%-", form[2] .. space)
            :gsub("%-%-%-%-%-\n", space .. form[2] .. "\n")
        block.foot = block.foot:gsub("^%-%-%-%-%-", form[2] .. space)
            :gsub("%-%-%-%-%-\n", space .. form[2] .. "\n")
    end)
end
each("lower-case-armour", "the armour in lower case", function(block)
    block.head, block.foot = block.head:lower(), block.foot:lower()
end)
each("lower-case-label", "the label in lower case", function(block)
    block.head = block.head:gsub("BEGIN (.*)", function(rest) return "BEGIN " .. rest:lower() end)
    block.foot = block.foot:gsub("END (.*)", function(rest) return "END " .. rest:lower() end)
end)
each("lower-case-begin", "begin and end in lower case", function(block)
    block.head, block.foot = block.head:gsub("BEGIN", "begin"), block.foot:gsub("END", "end")
end)
each("no-begin", "no BEGIN line", function(block) block.head = "" end)
each("no-end", "no END line", function(block) block.foot = "" end)
each("begin-only", "the BEGIN line alone", function(block) block.inner, block.foot = "", "" end)
each("end-only", "the END line alone", function(block) block.inner, block.head = "", "" end)
each("begin-twice", "BEGIN twice", function(block) block.head = block.head .. block.head end)
each("end-twice", "END twice", function(block) block.foot = block.foot .. block.foot end)
each("other-end", "another label in END", function(block)
    block.foot = "-----END CERTIFICATE REQUEST-----\n"
end)
each("longer-end", "a longer label in END", function(block)
    block.foot = block.foot:gsub("%-%-%-%-%-\n", "S-----\n")
end)
each("end-without-label", "no label in END", function(block) block.foot = "-----END -----\n" end)
each("empty-label", "no label at all", function(block)
    block.head, block.foot = "-----BEGIN -----\n", "-----END -----\n"
end)
each("text-after-begin", "text after the BEGIN line", function(block)
    block.head = block.head:gsub("\n", " here\n")
end)
each("text-after-end", "text after the END line", function(block)
    block.foot = block.foot:gsub("\n", " here\n")
end)
each("letter-after-end", "a letter right after the END line", function(block)
    block.foot = block.foot:gsub("\n", "x\n")
end)
each("comma-after-end", "a comma right after the END line", function(block)
    block.foot = block.foot:gsub("\n", ",\n")
end)
each("text-before-begin", "text before BEGIN, on its line", function(block)
    block.before = "it: "
end)
each("text-before-end", "text before END, on its line", function(block)
    block.foot = "it: " .. block.foot
end)
each("begin-split", "the BEGIN line in two", function(block)
    block.head = block.head:gsub("BEGIN ", "BEGIN \n")
end)
each("end-split", "the END line in two", function(block)
    block.foot = block.foot:gsub("END ", "END \n")
end)
each("end-before-body", "END, then the body", function(block)
    block.inner, block.foot = "", block.foot .. table.concat(block.lines, "\n") .. "\n"
end)
each("stray-end", "an END line before BEGIN", function(block)
    block.before = "-----END CERTIFICATE-----\n"
end)
each("stray-end-other", "an END line of something else before BEGIN", function(block)
    block.before = "-----END SOMETHING-----\n"
end)
each("stray-begin", "a BEGIN line of something else before BEGIN", function(block)
    block.before = "-----BEGIN SOMETHING-----\n"
end)
each("stray-begin-illegal", "a BEGIN line without its last dashes before BEGIN", function(block)
    block.before = "-----BEGIN SOMETHING\n"
end)
each("stray-begin-text", "'-----BEGIN ' in a line of text before BEGIN", function(block)
    block.before = "it starts with -----BEGIN and so on\n"
end)
each("stray-begin-line-start", "a line of text that starts with '-----BEGIN '", function(block)
    block.before = "-----BEGIN of the text\n"
end)
each("stray-end-line-start", "a line of text that starts with '-----END '", function(block)
    block.before = "-----END of the text\n"
end)
blocks("begin-end-nested", "a whole block in the body of the first", function(list)
    local first = list[1]
    local inner = render(list[#list])
    table.insert(first.lines, #first.lines // 2 + 1, (inner:gsub("\n$", "")))
end)

-- ---- body ----------------------------------------------------------------------------------

for _, width in ipairs {
    1, 2, 3, 4, 5, 16, 60, 63, 65, 72, 75, 76, 77, 80, 100, 128, 252, 253, 254, 255, 256, 257, 512,
} do
    each("width-" .. width, ("%d columns"):format(width), function(block)
        block.lines = wrap(body(block), width)
    end)
end
each("one-line", "the body on one line", function(block) block.lines = { body(block) } end)
each("ragged", "lines of all lengths", function(block)
    local whole, out, n = body(block), {}, 0
    while #whole > 0 do
        n = n % 40 + 7
        out[#out + 1], whole = whole:sub(1, n), whole:sub(n + 1)
    end
    block.lines = out
end)
each("width-76-blank-after-begin", "76 columns and a blank line after BEGIN", function(block)
    block.lines = wrap(body(block), 76)
    block.head = block.head .. "\n"
end)
each("width-60-blank-after-begin", "60 columns and a blank line after BEGIN", function(block)
    block.lines = wrap(body(block), 60)
    block.head = block.head .. "\n"
end)
each("one-line-blank-after-begin", "one line and a blank line after BEGIN", function(block)
    block.lines = { body(block) }
    block.head = block.head .. "\n"
end)
each("spaces-10000-in-body", "10000 spaces in a line of the body", function(block)
    block.lines[1] = block.lines[1]:sub(1, 20) .. (" "):rep(10000) .. block.lines[1]:sub(21)
end)
for _, count in ipairs { 190, 254, 300 } do
    each("spaces-" .. count .. "-after-line", count .. " spaces after a line", function(block)
        block.lines[1] = block.lines[1] .. (" "):rep(count)
    end)
    each("spaces-" .. count .. "-after-begin", count .. " spaces after BEGIN", function(block)
        block.head = block.head:gsub("\n", (" "):rep(count) .. "\n")
    end)
    each("spaces-" .. count .. "-after-end", count .. " spaces after END", function(block)
        block.foot = block.foot:gsub("\n", (" "):rep(count) .. "\n")
    end)
    each("text-" .. count .. "-before-begin", count .. " letters before BEGIN", function(block)
        block.before = ("x"):rep(count)
    end)
end
each("letters-253-before-begin", "253 letters before BEGIN on its line", function(block)
    block.before = ("x"):rep(253)
end)
each("line-10000-before", "a line of 10000 letters before BEGIN", function(block)
    block.before = ("x"):rep(10000) .. "\n"
end)
local function cut(name, description, keep)
    each(name, description, function(block)
        local whole = body(block)
        block.lines = wrap(whole:sub(1, keep(whole)), 64)
    end)
end
cut("half-body", "half the body", function(whole) return #whole // 8 * 4 end)
cut("half-body-mid-quad", "half the body and one character", function(whole)
    return #whole // 8 * 4 + 1
end)
cut("last-character-lost", "the last character lost", function(whole) return #whole - 1 end)
cut("last-two-characters-lost", "the last two characters lost", function(whole)
    return #whole - 2
end)
cut("last-quad-lost", "the last four characters lost", function(whole) return #whole - 4 end)
cut("one-character", "one character of the body", function() return 1 end)
cut("two-characters", "two characters of the body", function() return 2 end)
cut("four-characters", "four characters of the body", function() return 4 end)
cut("empty-body", "no body", function() return 0 end)
each("truncated-text", "cut in the middle of the body, no END", function(block)
    block.lines = wrap(body(block):sub(1, #body(block) // 2), 64)
    block.foot = ""
end)
each("truncated-in-end", "cut in the middle of the END line", function(block)
    block.foot = "-----END CERT"
end)
each("truncated-in-last-dashes", "the last two dashes of END cut off", function(block)
    block.foot = block.foot:gsub("%-%-\n", "")
end)
each("first-line-lost", "the first line of the body lost", function(block)
    table.remove(block.lines, 1)
end)
each("middle-line-lost", "a line in the middle of the body lost", function(block)
    if #block.lines < 3 then
        return false
    end
    table.remove(block.lines, #block.lines // 2 + 1)
end)
each("last-line-lost", "the last line of the body lost", function(block)
    table.remove(block.lines)
end)
each("line-twice", "a line of the body twice", function(block)
    table.insert(block.lines, 2, block.lines[1])
end)
each("ellipsis", "... for the middle of the body", function(block)
    block.lines = { block.lines[1], "...", block.lines[#block.lines] }
end)
each("masked", "asterisks for the body", function(block) block.lines = { ("*"):rep(20) } end)
for _, form in ipairs {
    { "asterisk", "*" }, { "dash", "-" }, { "underscore", "_" }, { "colon", ":" }, { "hash", "#" },
    { "equals", "=" }, { "dot", "." }, { "letter", "A" }, { "nul", "\0" }, { "high", "\xe9" },
    { "less-than", "<" }, { "quote", '"' }, { "backslash", "\\" }, { "five-dashes", "-----" },
} do
    local name, character = table.unpack(form)
    for _, where in ipairs { "start", "middle", "end" } do
        for _, how in ipairs { "for", "plus" } do
            each(("body-%s-%s-%s"):format(how, name, where),
                ("'%s' %s a character at the %s of the body"):format(
                    name, how == "for" and "for" or "before", where),
                function(block)
                    -- Good base64 inside the DER: what comes of it is no matter of PEM.
                    if name == "letter" and how == "for" and where ~= "start" then
                        return false
                    end
                    local whole = body(block)
                    local at = where == "start" and 1 or where == "middle" and #whole // 2 or #whole
                    local skip = how == "for" and 1 or 0
                    local changed = whole:sub(1, at - 1) .. character .. whole:sub(at + skip)
                    block.lines = wrap(changed, 64)
                end)
        end
    end
end
each("no-padding", "the padding lost", function(block)
    local whole = body(block)
    if not whole:find "=" then
        return false
    end
    block.lines = wrap(whole:gsub("=", ""), 64)
end)
each("half-padding", "one of two padding characters lost", function(block)
    local whole = body(block)
    if not whole:find "==$" then
        return false
    end
    block.lines = wrap(whole:gsub("==$", "="), 64)
end)
for _, count in ipairs { 1, 2, 3, 4 } do
    each("padding-plus-" .. count, count .. " padding characters too many", function(block)
        block.lines = wrap(body(block) .. ("="):rep(count), 64)
    end)
end
each("padding-on-own-line", "the padding on a line of its own", function(block)
    local whole = body(block)
    local padding = whole:match "=+$"
    if not padding then
        return false
    end
    block.lines = wrap(whole:gsub("=+$", ""), 64)
    block.lines[#block.lines + 1] = padding
end)
each("spaced-padding", "a space before the padding", function(block)
    local whole = body(block)
    if not whole:find "=$" then
        return false
    end
    block.lines = wrap(whole:gsub("(=+)$", " %1"), 64)
end)
each("crc24", "an OpenPGP checksum line", function(block)
    block.lines[#block.lines + 1] = "=abcd"
end)
each("pad-bits", "pad bits that are not zero", function(block)
    local whole = body(block)
    local kept, last, padding = whole:match "^(.*)([^=])(=+)$"
    if not kept then
        return false
    end
    local value = value_of[last:byte()] | 1
    block.lines = wrap(kept .. alphabet:sub(value + 1, value + 1) .. padding, 64)
end)
for _, form in ipairs {
    { "der-plus-nul", "\0", "a NUL after the DER" },
    { "der-plus-newline", "\n", "LF after the DER" },
    { "der-plus-3", "\0\0\0", "three NULs after the DER" },
    { "der-plus-null", "\5\0", "an ASN.1 NULL after the DER" },
    { "der-plus-48", ("\0"):rep(48), "48 NULs after the DER" },
} do
    each(form[1], form[3], function(block)
        block.lines = wrap(encode(decode(body(block)) .. form[2]), 64)
    end)
end
each("der-minus-1", "the last byte of the DER lost", function(block)
    block.lines = wrap(encode(decode(body(block)):sub(1, -2)), 64)
end)
each("der-front-nul", "a NUL before the DER", function(block)
    block.lines = wrap(encode("\0" .. decode(body(block))), 64)
end)
each("der-twice", "the DER twice in one body", function(block)
    local der = decode(body(block))
    block.lines = wrap(encode(der .. der), 64)
end)
each("base64-twice-in-body", "the base64 twice in one body", function(block)
    local whole = body(block)
    block.lines = wrap(whole .. whole, 64)
end)
blocks("all-der-in-one", "the DER of all blocks in one body", function(list)
    if #list < 2 then
        return false
    end
    local out = {}
    for i, block in ipairs(list) do
        out[i] = decode(body(block))
    end
    list[1].lines = wrap(encode(table.concat(out)), 64)
    return render(list[1])
end)
blocks("all-base64-in-one", "the bodies of all blocks in one block", function(list)
    if #list < 2 then
        return false
    end
    local out = {}
    for _, block in ipairs(list) do
        table.move(block.lines, 1, #block.lines, #out + 1, out)
    end
    list[1].lines = out
    return render(list[1])
end)
each("der-garbage", "good base64 of no DER", function(block)
    block.lines = { encode "this is not DER at all" }
end)
each("der-empty-sequence", "an empty SEQUENCE", function(block)
    block.lines = { encode "\48\0" }
end)
each("der-changed", "one byte inside the DER changed", function(block)
    local der = decode(body(block))
    local at = 5
    block.lines = wrap(encode(der:sub(1, at - 1) .. string.char(der:byte(at) ~ 0x10) ..
        der:sub(at + 1)), 64)
end)
each("swapped-case", "upper and lower case swapped", function(block)
    for i, line in ipairs(block.lines) do
        block.lines[i] = line:gsub("%a", function(letter)
            return letter == letter:upper() and letter:lower() or letter:upper()
        end)
    end
end)
each("body-inserted-text", "a line of text in the body", function(block)
    table.insert(block.lines, 2, "continued on the next page")
end)
each("body-comment", "a comment line in the body", function(block)
    table.insert(block.lines, 2, "# comment")
end)
each("body-dash-line", "a line '-- ' in the body", function(block)
    table.insert(block.lines, 2, "-- ")
end)
each("body-dash-last", "a line '-' before END", function(block)
    block.lines[#block.lines + 1] = "-"
end)
each("body-five-dashes-last", "a line '-----' before END", function(block)
    block.lines[#block.lines + 1] = "-----"
end)
each("body-dash-text-last", "a line '- text' before END", function(block)
    block.lines[#block.lines + 1] = "- text that is no base64!"
end)
each("body-five-dashes-first", "a line '-----' after BEGIN", function(block)
    table.insert(block.lines, 1, "-----")
end)

-- ---- headers -------------------------------------------------------------------------------

each("header", "a header and a blank line", function(block)
    block.headers = "Comment: made by hand\n\n"
end)
each("header-no-blank", "a header without a blank line", function(block)
    block.headers = "Comment: made by hand\n"
end)
each("header-continued", "a header of two lines and a blank line", function(block)
    block.headers = "Comment: made\n  by hand\n\n"
end)
each("header-empty-value", "a header without value and a blank line", function(block)
    block.headers = "Comment:\n\n"
end)
each("header-after-blank", "a blank line, then a header", function(block)
    block.headers = "\nComment: made by hand\n"
end)
each("header-clear", "Proc-Type: 4,CLEAR and a blank line", function(block)
    block.headers = "Proc-Type: 4,CLEAR\n\n"
end)
each("header-encrypted", "Proc-Type: 4,ENCRYPTED of nothing", function(block)
    if block.headers ~= "" then
        return false
    end
    block.headers = "Proc-Type: 4,ENCRYPTED\n" ..
        "DEK-Info: AES-256-CBC,000102030405060708090A0B0C0D0E0F\n\n"
end)
each("header-crlf", "a header and a blank line, CR LF", function(block)
    block.headers = "Comment: made by hand\r\n\r\n"
end)
each("header-width-76", "a header, a blank line and 76 columns", function(block)
    block.headers = "Comment: made by hand\n\n"
    block.lines = wrap(body(block), 76)
end)
each("headers-lost", "the headers of an encrypted key lost", function(block)
    if block.headers == "" then
        return false
    end
    block.headers = ""
end)
each("headers-blank-lost", "the blank line after the headers lost", function(block)
    if block.headers == "" then
        return false
    end
    block.headers = block.headers:gsub("\n\n$", "\n")
end)

-- ---- labels --------------------------------------------------------------------------------

for _, label in ipairs {
    "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE", "NEW CERTIFICATE",
    "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST", "CERTIFICATE CHAIN", "MY CERTIFICATE",
    "CERTIFICATES", "Certificate", "PUBLIC KEY", "PRIVATE KEY", "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
    "DSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "ANY PRIVATE KEY", "OPENSSH PRIVATE KEY",
    "MY PRIVATE KEY", "ED25519 PRIVATE KEY", "PRIVATE  KEY", "KEY", "PKCS7", "PKCS #7 SIGNED DATA",
    "CMS", "X509 CRL",
    "EC PARAMETERS", "UNKNOWN",
} do
    each("label-as-" .. label:lower():gsub("[^%w]+", "-") ..
        (label == "Certificate" and "-title" or label:find "  " and "-spaced" or ""),
        "the label " .. label, function(block)
            if block.label == label then
                return false
            end
            block.head = "-----BEGIN " .. label .. "-----\n"
            block.foot = "-----END " .. label .. "-----\n"
        end)
end

-- ---- company -------------------------------------------------------------------------------

local parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
local unknown = "-----BEGIN UNKNOWN-----\nAAAA\n-----END UNKNOWN-----\n"
local text_dump = [[
Certificate:
    Data:
        Version: 3 (0x2)
        Serial Number: 1 (0x1)
        Signature Algorithm: ecdsa-with-SHA256
        Issuer: CN = authority
        Validity
            Not Before: Jan  1 00:00:00 2024 GMT
            Not After : Jan  1 00:00:00 2034 GMT
        X509v3 extensions:
            X509v3 Basic Constraints: critical
                CA:TRUE
    Signature Value:
        30:45:02:21:00:b5:0a:9f:8c:6e:0d:40:4d:87:1f:3c:0b:0a:
        44:02:20:11
]]
local bag = "Bag Attributes\n    friendlyName: worker\n    localKeyID: 54 69 6D 65 20\n" ..
    "subject=CN = worker\n\nissuer=CN = authority\n\n"
for _, form in ipairs {
    { "ec-parameters", parameters, "an EC PARAMETERS block" },
    { "unknown-block", unknown, "a block of an unknown label" },
    { "unknown-block-bad", unknown:gsub("AAAA", "*"), "an unknown block that is no base64" },
    { "unknown-block-no-end", "-----BEGIN UNKNOWN-----\nAAAA\n", "an unknown block without END" },
    { "unknown-block-empty", unknown:gsub("AAAA\n", ""), "an unknown block that is empty" },
    { "key-block-no-end", "-----BEGIN PRIVATE KEY-----\nAAAA\n", "a key block without END" },
    { "key-block-bad", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "a key block that is no key" },
    { "crl-block-bad", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
        "a CRL block that is no CRL" },
    { "certificate-block-bad", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "a certificate block that is no certificate" },
    { "certificate-block-damaged", "-----BEGIN CERTIFICATE-----\n****\n-----END CERTIFICATE-----\n",
        "a certificate block that is no base64" },
    { "certificate-block-empty", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        "an empty certificate block" },
    { "certificate-block-blank", "-----BEGIN CERTIFICATE-----\n\n-----END CERTIFICATE-----\n",
        "a certificate block of a blank line" },
    { "pgp", "-----BEGIN PGP MESSAGE-----\n\nAAAA\n=abcd\n-----END PGP MESSAGE-----\n",
        "a PGP block" },
    { "text", "some text\n", "a line of text" },
    { "colon-text", "subject: someone\n", "a line of text with a colon" },
    { "dump", text_dump, "the dump of openssl x509 -text" },
    { "bag", bag, "Bag Attributes" },
    { "comment", "# a comment\n", "a comment" },
    { "dash", "- a list\n", "a line that starts with a dash" },
    { "dashes", "-----\n", "a line of five dashes" },
    { "ten-dashes", "----------\n", "a line of ten dashes" },
    { "dashes-text", "----- the next one -----\n", "a line of text between dashes" },
    { "base64-text", "AAAA\n", "a line that might be base64" },
    { "sequence-text", "0 is a digit\n", "a line that starts with 0, as a DER SEQUENCE does" },
    { "utf8-text", "\xc3\xa9\xe2\x82\xac\n", "a line of UTF-8" },
    { "latin1-text", "\xe9\n", "a line that is no UTF-8" },
    { "nul-line", "\0\n", "a line of NUL" },
    { "ctrl-z-line", "\26\n", "a line of Ctrl-Z" },
    { "long-line", ("y"):rep(10000) .. "\n", "a line of 10000 letters" },
} do
    local name, company, what = table.unpack(form)
    blocks(name .. "-before", what .. " in front", function(list) list[1].before = company end)
    blocks(name .. "-between", what .. " before each block but the first", function(list)
        if #list < 2 then
            return false
        end
        for i = 2, #list do
            list[i].before = company
        end
    end)
    blocks(name .. "-after", what .. " behind", function(list) list[#list].after = company end)
end
each("dump-each", "the dump of openssl x509 -text before each", function(block)
    block.before = text_dump
end)
each("bag-each", "Bag Attributes before each", function(block) block.before = bag end)
blocks("twice", "the whole text twice", function(list)
    return render_all(list) .. render_all(list)
end)
blocks("first-twice", "the first block twice", function(list)
    return render(list[1]) .. render_all(list)
end)
blocks("each-twice", "every block twice", function(list)
    local out = {}
    for _, block in ipairs(list) do
        out[#out + 1] = render(block) .. render(block)
    end
    return table.concat(out)
end)
blocks("reversed", "the blocks in reverse", function(list)
    if #list < 2 then
        return false
    end
    local out = {}
    for i, block in ipairs(list) do
        out[#list - i + 1] = block
    end
    return out
end)
blocks("first-lost", "the first block lost", function(list)
    if #list < 2 then
        return false
    end
    table.remove(list, 1)
end)
for _, form in ipairs {
    { "nothing", "", "an empty text" }, { "only-newline", "\n", "a newline" },
    { "only-space", " ", "a space" }, { "only-text", "no certificate here\n", "a line of text" },
    { "only-bom", BOM, "a byte-order mark" }, { "only-nul", "\0", "a NUL" },
    { "only-null-word", "null", "the word null" }, { "only-path", "/etc/ssl/client.pem", "a path" },
    { "only-dashes", "-----", "five dashes" }, { "only-begin", "-----BEGIN ", "the word BEGIN" },
    { "only-zero", "0", "the byte that starts a SEQUENCE" },
} do
    blocks(form[1], form[3], function() return form[2] end)
end

-- ---- cases ---------------------------------------------------------------------------------

-- What follows a first mangling in pairs: how texts travel, whatever happened to them before.
manglings.seconds = {
    "crlf", "cr", "bom", "no-final-newline", "trailing-space", "front-text-line",
}

-- Manglings of the layer "text" that are worth a second one.
manglings.text_firsts = {
    "literal-n", "literal-n-twice", "spaces-for-newlines", "newlines-removed", "crlf", "cr",
    "double-newline", "base64", "json", "url", "html", "bom", "indent-4", "quoted-mail",
    "double-quotes", "key-equals", "key-equals-quotes", "plus-to-space", "trailing-space",
    "trailing-tab", "no-final-newline", "utf16le",
}

--- Every mangling of every base, and pairs on the bases that say `pairs = true`. A case is
-- {name=, base=, manglings=, text=}; cases that do not apply or repeat a text are left out.
function manglings.cases(bases)
    return coroutine.wrap(function()
        for _, base in ipairs(bases) do
            local seen = {}
            local function case(names, whole)
                if whole and not seen[whole] then
                    seen[whole] = true
                    coroutine.yield {
                        name = base.name .. "/" .. table.concat(names, "+"), base = base.name,
                        manglings = names, text = whole,
                    }
                end
            end
            for _, mangling in ipairs(manglings.list) do
                case({ mangling.name }, mangling.apply(base.text))
            end
            for _, first in ipairs(base.pairs and manglings.list or {}) do
                -- those of all blocks: one of the first or the last is enough alone
                local wanted = first.layer == "block" and
                    not (first.name:find "%-first$" or first.name:find "%-last$")
                for _, name in ipairs(manglings.text_firsts) do
                    wanted = wanted or name == first.name
                end
                local once = wanted and first.apply(base.text)
                for _, second in ipairs(once and manglings.seconds or {}) do
                    case({ first.name, second }, manglings.named[second].apply(once))
                end
            end
        end
    end)
end

return manglings

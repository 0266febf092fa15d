--- Findings on a text that is to be PEM: what it is, where, who stumbles over it, and the cure.
-- @module tcpki.pem.lint

local content = require "tcpki.pem.content"
local core = require "tcpki.core"
local findings = require "tcpki.pem.findings"
local kind = require "tcpki.pem.kind"
local layers = require "tcpki.pem.layers"
local losses = require "tcpki.pem.losses"
local options = require "tcpki.options"

local lint = {}

local names = {
  certificate = "certificate", csr = "certificate request", crl = "CRL", key = "private key",
  ["public key"] = "public key",
}

-- What is expected: its name, the family of its blocks, and whether there may be more than one.
local expectations = {
  certificate = { "certificate", "certificate" }, chain = { "chain", "certificate", several = true },
  bundle = { "bundle", "certificate", several = true }, key = { "private key", "key" },
  csr = { "certificate request", "csr" }, crl = { "CRL", "crl" },
}

local known_to_openssl_only = { ["X509 CERTIFICATE"] = "CERTIFICATE", ["TRUSTED CERTIFICATE"] = "CERTIFICATE" }

-- What a label may say beside the one that the content deserves.
local synonyms = { ["NEW CERTIFICATE REQUEST"] = "CERTIFICATE REQUEST" }

local function lint_label(add, part, label)
  if known_to_openssl_only[part.label] then
    add("openssl_label", "error", ("only OpenSSL knows the label %s"):format(part.label),
      ("write it as %s"):format(known_to_openssl_only[part.label]),
      "Go, rustls and Java pass over the block in silence")
  elseif label and label ~= part.label and label ~= synonyms[part.label] then
    add("wrong_label", "error", ("the label says %s, the content is a %s"):format(kind.shown(part.label), label),
      ("label it %s"):format(label), "most readers")
  elseif not label and part.headers == nil and kind.is_told_apart(part.label) then
    local length = part.der and kind.length(part.der)
    if length and length > #part.der then
      add("bad_content", "error", ("the object in the block is cut off: %d of its %d bytes are there")
        :format(#part.der, length), "copy the text again, whole", "every reader")
    else
      add("bad_content", "error", ("what the block holds is not a %s"):format(kind.shown(part.label)),
        "copy the text again, whole", "every reader")
    end
  end
end

-- Headers say that a traditional key is encrypted; on anything else they make readers pass over the block.
local function lint_headers(add, part)
  if part.headers and not (part.family == "key" and part.headers:find "ENCRYPTED") then
    add("headers", "error", "the block has headers", "remove the lines up to the empty one",
      "Go passes over a certificate with headers in silence; rustls and Java refuse it", part.notes.headers)
  end
end

-- The PRF of PBKDF2 with 00 00 for NULL behind it: go.step.sm/crypto up to v0.26, and with it certstrap, wrote that.
local ZEROS_FOR_NULL = "0\12\6\8%*\134H\134\247\r\2[\7-\13]\0\0"

local function lint_key(add, part, label)
  if label == "EC PRIVATE KEY" or label == "RSA PRIVATE KEY" then
    add("traditional_key", "warning",
      ("the key is in the traditional form (%s)"):format(label == "EC PRIVATE KEY" and "SEC1" or "PKCS#1"),
      "convert it to PKCS#8: openssl pkcs8 -topk8 -nocrypt -in FILE", "the Java SDK, older rustls-based SDKs, tcld")
  elseif label == "ENCRYPTED PRIVATE KEY" or part.headers then
    add("encrypted_key", "warning", "the key is encrypted",
      part.der and part.der:find(ZEROS_FOR_NULL)
        and "decrypt it for the worker with tcpki.key.read and key:write: OpenSSL opens no such key of certstrap's"
        or "decrypt it for the worker: openssl pkcs8 -topk8 -nocrypt; keep the file at mode 0600",
      "gRPC core and every Temporal SDK: none can ask for a passphrase")
  end
end

-- Whether the key that is expected is one that a client can use: beside certificates it is a mistake anyway.
local function lint_use(add, part, label)
  if not label and part.der and not kind.is_told_apart(part.label) then
    add("foreign_key", "error", ("no client takes a key under the label %s"):format(kind.shown(part.label)),
      "make a key of EC, RSA or Ed25519 in PKCS#8: openssl genpkey; ssh-keygen -p -m PKCS8 converts RSA and EC",
      "every client of a Temporal service")
  elseif label and label ~= "ENCRYPTED PRIVATE KEY" and not part.headers then
    local key, err = core.key.parse(part.der)
    if not key and err.code == "out_of_memory" then
      error(err, 0)
    elseif not key then
      add("unusable_key", "error", err.message, err.hint, "every client of a Temporal service")
    end
  end
end

-- A text whose blocks are all of some other use, such as DH PARAMETERS: beside what is expected they would stop nobody.
local function lint_absence(add, blocks, expected)
  local name, family = table.unpack(expected)
  for _, part in ipairs(blocks) do
    if part.family ~= "other" or not part.der or (family == "key" and part.label ~= "EC PARAMETERS") then
      return
    end
  end
  local label = blocks[1].label
  add("holds_other", "error", ("there is a %s where a %s is expected"):format(kind.shown(label), name),
    (label == "PKCS7" or label == "CMS") and "take the certificates out of it: openssl pkcs7 -print_certs"
      or ("pass the file that holds the %s"):format(name), nil, blocks[1])
end

local function lint_expectation(add, part, expected)
  local name, family = table.unpack(expected)
  if part.family == family or (family == "key" and part.label == "EC PARAMETERS") then
    return
  elseif part.family == "key" then
    add("holds_key", "error", ("there is a private key where a %s is expected"):format(name),
      "remove it; if it went to somebody else, replace it", "it becomes known to whoever reads this")
  elseif names[part.family] then
    add("holds_" .. part.family:gsub(" ", "_"), "error",
      ("there is a %s where a %s is expected"):format(names[part.family], name),
      ("pass the file that holds the %s"):format(name))
  elseif family == "key" then
    add("holds_other", "error", ("there is a %s where a private key is expected"):format(kind.shown(part.label)),
      "pass the file that holds the private key")
  end
end

-- What lies between two blocks, or around them, and is an object all the same.
local function lint_between(collected, add, part, source)
  local at, label
  if part.notes.control then
    at, label = kind.find(source)
    if not at then
      collected:weaken "control"
    end
  end
  if label then
    add("der", "error", ("the bare DER of a %s stands beside the blocks"):format(label),
      "write it as PEM: openssl x509 -inform DER", "every reader passes over it",
      { line = part.line, at = part.first + at - 1 })
  end
end

local function lint_block(add, part, expected)
  local label = part.der and kind.label(part.der)
  part.family = kind.family(label or part.label)
  lint_label(add, part, label)
  lint_headers(add, part)
  if part.family == "key" then
    lint_key(add, part, label)
  end
  if part.family == "key" and expected and expected[2] == "key" then
    lint_use(add, part, label)
  end
  if part.label == "EC PARAMETERS" then
    add("ec_parameters", "warning", "EC PARAMETERS stands before the key",
      "remove the block: openssl pkcs8 -topk8 writes none", "istiod, and readers that take the first block")
  end
  if expected then
    lint_expectation(add, part, expected)
  end
end

local function or_throw(value, err)
  if err then
    error(err, 0)
  end
  return value
end

-- A CA that may not sign, and did, is no matter of what stands where.
local function in_order(this, behind)
  if or_throw(this:issued_by(behind)) then
    return true
  end
  local key = behind:public_key()
  return key and this:signed_by(key) and tostring(or_throw(this:issuer())) == tostring(or_throw(behind:subject()))
end

local function lint_order(add, certificates)
  for i = 1, #certificates - 1 do
    local this, behind = certificates[i].object, certificates[i + 1].object
    if not in_order(this, behind) then
      local place = { line = certificates[i + 1].line }
      if tostring(or_throw(this:issuer())) == tostring(or_throw(behind:subject())) then
        add("chain_issuer", "error",
          ("certificate %d names certificate %d as its issuer, and was not issued by it"):format(i, i + 1),
          "take the CA certificate whose key signed it, as a renewed CA may keep its name; or get a damaged one again",
          "every reader that verifies", place)
      else
        add("chain_order", "error",
          ("certificate %d is not issued by certificate %d: the leaf comes first, then its issuer, and so on")
            :format(i, i + 1), "let tcpki.chain.parse(text):pem() order it",
          "readers that take the first certificate for the leaf: all", place)
      end
      return
    end
  end
end

-- What is wrong with blocks that are good each by itself.
local function lint_together(add, blocks, expect, expected)
  local seen, certificates, wanted = {}, {}, {}
  for _, part in ipairs(blocks) do
    if part.der and kind.label(part.der) then
      if seen[part.der] then
        add("duplicate", "warning", ("the block is the same as the one in line %d"):format(seen[part.der]), "remove it",
          nil, part)
      else
        seen[part.der] = part.line
        if part.family == "certificate" then
          certificates[#certificates + 1] = { object = or_throw(core.certificate.parse(part.der)), line = part.line }
        end
      end
    end
    if expected and part.family == expected[2] then
      wanted[#wanted + 1] = part
    end
  end
  if expected and not expected.several and #wanted > 1 then
    add("several", "error", ("there are %d of them where one %s is expected"):format(#wanted, expected[1]),
      "keep one; most readers take the first and pass over the rest", nil, wanted[2])
  end
  if expected and #wanted == 0 then
    lint_absence(add, blocks, expected)
  end
  if expect == "chain" or expect == "certificate" then
    lint_order(add, certificates)
  end
end

-- A text that is DER, whole or with something behind it.
local function lint_der(add, text)
  local objects = kind.objects(text)
  local at, label = 1, objects and objects[1].label
  if not objects then
    at, label = kind.find(text)
  end
  if not objects and kind.length(text) == #text then
    add("der", "error", "it is DER, and neither a certificate nor a request, a CRL or a key",
      "of a .p12 or .pfx: tcpki.pkcs12.read; of a .p7b: openssl pkcs7 -inform DER -print_certs", "every reader of PEM",
      { line = 1 })
    return true
  elseif at ~= 1 or not label then
    return false
  end
  add("der", "error", ("it is the bare DER of a %s%s, not PEM"):format(label, objects and "" or
    " with other bytes behind it"), objects and "write it as PEM: tcpki.pem.repair(text)"
    or "take the object alone, and write it as PEM", "every reader of PEM", { line = 1 })
  return true
end

-- A text without any block: what it is instead.
local function lint_bare(add, text, parts)
  for _, part in ipairs(parts) do
    if part.notes.orphan_end or part.notes.like_armour then
      return
    end
  end
  if #text < 4096 and not text:find "[\r\n%z]." and (text:find "^%s*[~.]?%.?/" or text:find "%.%l%l%l%s*$") then
    return add("path", "error", "it is the name of a file, not what is in it",
      "read the file, or use the option that takes a path", "every reader", { line = 1 })
  end
  if text:find "^%s*MI" and not text:find "[^%w+/=%s]" then
    return add("bare_base64", "error", "it is base64 without its BEGIN and END lines",
      "put the armour around it: tcpki.pem.repair(text)", "every reader", { line = 1 })
  end
  add("no_armour", "error", "there is no BEGIN line", "copy the text again, whole", "every reader", { line = 1 })
end

local function lint_parts(collected, add, found, expect)
  local blocks = {}
  for i, part in ipairs(found.parts) do
    collected:part(part)
    if part.kind == "block" then
      blocks[#blocks + 1] = part
      local notes = part.notes
      if notes.line_lf and notes.line_crlf then
        add("mixed_line_ends", "info", "some lines end with LF, some with CR LF", nil, nil,
          notes.line_lf.at < notes.line_crlf.at and notes.line_crlf or notes.line_lf)
      end
      lint_block(function(code, severity, message, hint, who, place)
        add(code, severity, message, hint, who, place or { line = part.line, column = part.column, at = part.first })
      end, part, expectations[expect])
    else
      lint_between(collected, add, part, found.text:sub(part.first, part.last))
    end
    if i == #found.parts then
      collected:weaken "nul" -- at the end of a text it is nothing; before a block it ends the text for some
    end
  end
  collected:together()
  lint_together(add, blocks, expect, expectations[expect])
end

-- Which certificates some reader loses without an error, in the text as it was given; and, where nothing else is
-- wrong, who would refuse what it would read in canonical form.
local function lint_losses(result, text, parts, expect, fields)
  local function add(finding)
    for name, value in pairs(fields or {}) do
      finding[name] = value
    end
    result:add(finding)
  end
  if not expect or expectations[expect][2] == "certificate" then
    local silent, err = losses.silent(text, expect == "bundle" and "roots" or "chain")
    if not silent then
      return nil, err
    end
    for _, loss in ipairs(silent) do
      add { code = "silent_loss", severity = "error", line = loss.line, message = loss.message, who = loss.who,
        hint = "undo what is named above: tcpki.pem.repair(text), where the meaning is certain; "
          .. "tcpki.pem.verdicts(text) tells the rest" }
    end
  end
  local refused, err = false, nil
  if result.errors + result.warnings == 0 then
    refused, err = losses.regained(text, parts)
  end
  if err then
    return nil, err
  elseif refused then
    add { code = "refused", severity = "error", line = refused.line, message = losses.sentence(refused),
      who = refused.who, hint = "write it in canonical form: tcpki.pem.repair(text)" }
  end
  return result
end

local function describe(text, given, fields)
  local collected = findings.new()
  local function add(code, severity, message, hint, who, place)
    place = place or {}
    collected:add { code = code, severity = severity, message = message, hint = hint, who = who, line = place.line,
      column = place.column, at = place.at }
  end
  if not text:find "[^%s%z]" then
    add("empty", "error", text == "" and "it is empty" or "it holds only blanks", "check what was to be written there")
    return collected:report(fields)
  end
  local found, err = layers.peel(text)
  if not found then
    return nil, err
  end
  local peeled = found.peeled
  peeled[#peeled + 1] = found.stuck
  local moved
  for _, one in ipairs(peeled) do
    local layer = one.layer
    collected:add { code = layer.code, severity = "error", message = layer.message, who = layer.who, hint = layer.hint,
      line = one.line, column = one.column, beneath = moved }
    moved = moved or layer.moves
  end
  local has_block = false
  for _, part in ipairs(found.parts) do
    has_block = has_block or part.kind == "block"
  end
  if has_block then
    lint_parts(collected, add, found, given.expect)
  elseif not (found.stuck or #peeled > 0 and kind.objects(found.text) or lint_der(add, found.text)) then
    for i, part in ipairs(found.parts) do
      part.notes.bare_base64 = nil -- said below, if it is an object
      collected:part(part)
      if i == #found.parts then
        collected:weaken "nul"
      end
    end
    collected:together()
    lint_bare(add, found.text, found.parts)
  end
  local result = collected:report(fields, moved)
  return lint_losses(result, text, found.parts, given.expect, fields)
end

local function check_options(where, given)
  given = options.check(where, given, { expect = "string" }, 4)
  if given.expect and not expectations[given.expect] then
    error(("%s: option 'expect' is '%s' (known: bundle, certificate, chain, crl, csr, key)")
      :format(where, given.expect), 3)
  end
  return given
end

--- Describes what is wrong with a text.
-- @tparam string text
-- @tparam[opt] table given `expect`: "certificate", "chain", "bundle", "key", "csr" or "crl"
-- @treturn[1] report of findings with `code`, `severity`, `message`, `who`, `hint`, `line`, `column` (in bytes),
-- `places` (all of them, where it was found more than once); `beneath` where line and column are those of the text that
-- is left once the findings before it are undone
-- @treturn[2] nil
-- @treturn[2] fault `out_of_memory`, `too_large` (more than 100 000 blocks)
function lint.text(text, given)
  options.expect("tcpki.pem.lint", "text", text, "string")
  return content.guarded(describe, text, check_options("tcpki.pem.lint", given))
end

--- Describes what is wrong with a file.
-- @tparam string path
-- @tparam[opt] table given as for `lint`
-- @treturn[1] report as of `lint`; each finding also has the `path`
-- @treturn[2] nil
-- @treturn[2] fault: with the path `not_found`, `not_a_file`, `io_error`, …; those of `lint`
function lint.file(path, given)
  options.expect("tcpki.pem.lint_file", "path", path, "string")
  given = check_options("tcpki.pem.lint_file", given)
  local text, err = core.file.read(path)
  if not text then
    return nil, err
  end
  return content.guarded(describe, text, given, { path = path })
end

return lint

--- Findings on a text that is to be PEM: what it is, where, who stumbles over it, and the cure.
-- @module tcpki.pem.lint

local core = require "tcpki.core"
local kind = require "tcpki.pem.kind"
local layers = require "tcpki.pem.layers"
local options = require "tcpki.options"
local report = require "tcpki.report"
local rules = require "tcpki.pem.rules"

local expectations = { certificate = true, chain = true, bundle = true, key = true, csr = true, crl = true }

local known_to_openssl_only = { ["X509 CERTIFICATE"] = "CERTIFICATE", ["TRUSTED CERTIFICATE"] = "CERTIFICATE" }

local function add_notes(findings, part)
  local noted = {}
  for word, mark in pairs(part.notes) do
    if rules[word] and not (part.kind == "between" and word:find "^line_") then
      noted[#noted + 1] = { word = word, mark = mark }
    end
  end
  table.sort(noted, function(a, b)
    if a.mark.at ~= b.mark.at then
      return a.mark.at < b.mark.at
    end
    return a.word < b.word
  end)
  for _, note in ipairs(noted) do
    local severity, message, who, hint = table.unpack(rules[note.word])
    findings:add {
      code = note.word, severity = severity, message = message, who = who, hint = hint,
      line = note.mark.line, column = note.mark.column, count = note.mark.count,
    }
  end
end

local function add(findings, part, code, severity, message, hint, who)
  findings:add { code = code, severity = severity, message = message, hint = hint, who = who, line = part.line }
end

local function lint_label(findings, part, label)
  if known_to_openssl_only[part.label] then
    add(findings, part, "openssl_label", "error", ("only OpenSSL knows the label %s"):format(part.label),
      ("write it as %s"):format(known_to_openssl_only[part.label]),
        "Go, rustls and Java pass over the block in silence")
  elseif label and label ~= part.label and not (part.label == "NEW CERTIFICATE REQUEST"
    and label == "CERTIFICATE REQUEST") then
    add(findings, part, "wrong_label", "error", ("the label says %s, the content is a %s"):format(part.label, label),
      ("label it %s"):format(label), "most readers")
  elseif not label and part.headers == nil and kind.family(part.label) ~= "other" then
    add(findings, part, "bad_content", "error", ("what the block holds is not a %s"):format(part.label),
      "copy the text again, whole", "every reader")
  end
end

-- Headers say that a traditional key is encrypted; on anything else they make readers pass over the block.
local function lint_headers(findings, part)
  if part.headers and not (part.family == "key" and part.headers:find "ENCRYPTED") then
    findings:add { code = "headers", severity = "error", message = "the block has headers",
      line = part.notes.headers.line,
      who = "Go passes over a certificate with headers in silence; rustls and Java refuse it",
      hint = "remove the lines up to the empty one" }
  end
end

local function lint_key(findings, part, label)
  if label == "EC PRIVATE KEY" or label == "RSA PRIVATE KEY" then
    add(findings, part, "traditional_key", "warning",
      ("the key is in the traditional form (%s)"):format(label == "EC PRIVATE KEY" and "SEC1" or "PKCS#1"),
      "convert it to PKCS#8: openssl pkcs8 -topk8 -nocrypt -in FILE", "the Java SDK, older rustls-based SDKs, tcld")
  elseif label == "ENCRYPTED PRIVATE KEY" or part.headers then
    add(findings, part, "encrypted_key", "warning", "the key is encrypted",
      "decrypt it for the worker: openssl pkcs8 -topk8 -nocrypt; keep the file at mode 0600",
      "gRPC core and every Temporal SDK: none can ask for a passphrase")
  end
end

local function lint_expectation(findings, part, family, expect)
  if family == "key" and expect ~= "key" then
    add(findings, part, "holds_key", "error", ("there is a private key where a %s is expected"):format(expect),
      "remove it; if it went to somebody else, replace it", "it becomes known to whoever reads this")
  elseif expect == "key" and family ~= "key" and part.label ~= "EC PARAMETERS" then
    add(findings, part, "holds_" .. family:gsub(" ", "_"), "error",
      ("there is a %s where a key is expected"):format(family), "pass the file that holds the private key")
  elseif expect ~= "key" and family ~= "other" and family ~= "key" then
    local wanted = (expect == "chain" or expect == "bundle") and "certificate" or expect
    if family ~= wanted then
      add(findings, part, "holds_" .. family:gsub(" ", "_"), "error",
        ("there is a %s where a %s is expected"):format(family, wanted),
          ("pass the file that holds the %s"):format(wanted))
    end
  end
end

local single = { certificate = "certificate", key = "key", csr = "csr", crl = "crl" }

local function lint_together(findings, blocks, expect)
  local seen, certificates = {}, {}
  local wanted = 0
  for _, part in ipairs(blocks) do
    if part.der then
      if seen[part.der] then
        add(findings, part, "duplicate", "warning",
          ("the block is the same as the one in line %d"):format(seen[part.der]),
          "remove it")
      else
        seen[part.der] = part.line
        if part.family == "certificate" then
          certificates[#certificates + 1] = core.certificate.parse(part.der)
        end
      end
    end
    if expect and part.family == single[expect] then
      wanted = wanted + 1
      if wanted == 2 then
        add(findings, part, "several", "error", ("there is more than one %s"):format(expect),
          "keep one; most readers take the first and pass over the rest")
      end
    end
    if part.label == "EC PARAMETERS" then
      add(findings, part, "ec_parameters", "warning", "EC PARAMETERS stands before the key",
        "remove the block: openssl pkcs8 -topk8 writes none", "istiod, and readers that take the first block")
    end
  end
  if (expect == "chain" or expect == "certificate") and #certificates > 1 then
    for i = 1, #certificates - 1 do
      if not certificates[i]:issued_by(certificates[i + 1]) then
        findings:add {
          code = "chain_order", severity = "error",
          message = ("certificate %d is not issued by certificate %d: the leaf comes first, then its issuer, and so on")
            :format(i, i + 1),
          hint = "let tcpki.chain.parse(text):pem() order it",
          who = "readers that take the first certificate for the leaf: all",
        }
        break
      end
    end
  end
end

--- Describes what is wrong with a text.
-- @tparam string text
-- @tparam[opt] table given `expect`: "certificate", "chain", "bundle", "key", "csr" or "crl"
-- @treturn report of findings with `code`, `severity`, `message`, `who`, `hint`, `line`, `column`
return function(text, given)
  options.expect("tcpki.pem.lint", "text", text, "string")
  given = options.check("tcpki.pem.lint", given, { expect = "string" })
  local expect = given.expect
  if expect and not expectations[expect] then
    error(("tcpki.pem.lint: option 'expect' is '%s' (known: bundle, certificate, chain, crl, csr, key)")
      :format(expect), 2)
  end
  local findings = report.new()
  if not text:find "%S" then
    findings:add { code = "empty", severity = "error", message = text == "" and "it is empty" or "it holds only blanks",
      hint = "check what was to be written there" }
    return findings
  end
  local beneath, peeled, stuck = layers.peel(text)
  if stuck then
    peeled[#peeled + 1] = stuck
  end
  for _, found in ipairs(peeled) do
    local layer = found.layer
    findings:add { code = layer.code, severity = layer.severity, message = layer.message, who = layer.who,
      hint = layer.hint, line = found.line }
  end
  local parts = assert(core.pem.scan(beneath))
  local blocks, mixed = {}, nil
  for _, part in ipairs(parts) do
    if part.kind == "block" then
      blocks[#blocks + 1] = part
      mixed = mixed or (part.notes.line_lf and part.notes.line_crlf and part)
    end
  end
  if #blocks == 0 then
    local label = kind.label(beneath)
    if label then
      findings:add { code = "der", severity = "error", message = ("it is the bare DER of a %s, not PEM"):format(label),
        who = "every reader of PEM", hint = "write it as PEM: tcpki.pem.repair(text)" }
    else
      local bare = beneath:gsub("%s", ""):find "^MI[%w+/]+=*$"
      findings:add { code = bare and "bare_base64" or "no_armour", severity = "error",
        message = bare and "it is base64 without its BEGIN and END lines" or "there is no BEGIN line", line = 1,
        who = "every reader", hint = bare and "put the armour around it: tcpki.pem.repair(text)"
          or "copy the text again, whole" }
    end
    return findings
  end
  for _, part in ipairs(parts) do
    add_notes(findings, part)
    if part.kind == "block" then
      local label = part.der and kind.label(part.der)
      part.family = kind.family(label or part.label)
      lint_label(findings, part, label)
      lint_headers(findings, part)
      if part.family == "key" then
        lint_key(findings, part, label)
      end
      if expect then
        lint_expectation(findings, part, part.family, expect)
      end
    end
  end
  if mixed then
    findings:add { code = "mixed_line_ends", severity = "info", message = "some lines end with LF, some with CR LF",
      line = mixed.line }
  end
  lint_together(findings, blocks, expect)
  return findings
end

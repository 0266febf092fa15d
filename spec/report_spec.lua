local cjson = require "cjson"
local report = require "tcpki.report"
local schema = require "spec.support.schema"

local function lines_of(text)
  local lines = {}
  for line in text:gmatch "[^\n]+" do
    lines[#lines + 1] = line
  end
  return lines
end

describe("tcpki.report", function()
  it("is good without an error, and counts", function()
    local findings = report.new()
    assert.is_true(findings.ok)
    findings:add { code = "a", severity = "info", message = "one" }
    findings:add { code = "b", severity = "warning", message = "two" }
    assert.is_true(findings.ok)
    findings:add { code = "c", severity = "error", message = "three" }
    assert.is_false(findings.ok)
    assert.equal(1, findings.errors)
    assert.equal(1, findings.warnings)
    assert.equal("two", findings:find "b".message)
    assert.is_nil(findings:find "d")
    assert.is_true(report.is(findings))
    assert.is_false(report.is {})
  end)

  it("reads on a terminal of 100 columns", function()
    local findings = report.new()
    findings:add { code = "long", severity = "error", message = ("word "):rep(60), hint = ("deed "):rep(60),
      line = 3, column = 7 }
    local text = tostring(findings)
    for _, line in ipairs(lines_of(text)) do
      assert.is_true(#line <= 100, line)
    end
    assert.is_truthy(text:find("line 3:7: error: word", 1, true))
    assert.is_truthy(text:find("\n  do: deed", 1, true))
    assert.is_truthy(text:find "1 error, 0 warnings$")
  end)

  it("says what is good where there is nothing to report", function()
    assert.equal("nothing to report", tostring(report.new()))
    assert.equal("all is well", tostring(report.new "all is well"))
    local partial = report.new "all is well"
    partial.unchecked = { "key", "accepted" }
    assert.equal("all is well; not checked: key, accepted", tostring(partial))
    partial:add { code = "a", severity = "info", message = "m" }
    assert.equal("info: m (a)\n0 errors, 0 warnings; not checked: key, accepted", tostring(partial))
    local value = cjson.decode(partial:json())
    assert.same({ "key", "accepted" }, value.unchecked)
    assert.same({}, schema.check(value, schema.read "docs/report.schema.json"))
  end)

  it("groups findings by certificate, in the order in which they come first", function()
    local findings = report.new()
    findings:add { code = "a1", severity = "error", message = "m", subject = "CN=A", place = "the leaf", serial = "0a" }
    findings:add { code = "b1", severity = "warning", message = "m", subject = "CN=B", line = 12, path = "b.pem" }
    findings:add { code = "whole", severity = "info", message = "m", line = 2 }
    findings:add { code = "a2", severity = "error", message = "m", subject = "CN=A", place = "the leaf", serial = "0a" }
    findings:add { code = "k", severity = "error", message = "m", client = "payments", place = "the key" }
    findings:add { code = "c", severity = "error", message = "m", client = "orders", subject = "CN=A" }
    assert.same({
      "line 2: info: m (whole)",
      "CN=A (the leaf, serial 0a)",
      "  error: m (a1)",
      "  error: m (a2)",
      "CN=B (b.pem, line 12)",
      "  warning: m (b1)",
      "payments (the key)",
      "  error: m (k)",
      "orders: CN=A",
      "  error: m (c)",
      "4 errors, 1 warning",
    }, lines_of(tostring(findings)))
  end)

  it("says all that a finding has, each on a line of its own", function()
    local findings = report.new():add { code = "c", severity = "error", message = "it is wrong", subject = "CN=A",
      consequence = "refused", note = "some tool does this", who = "everybody", hint = "mend it",
      source = "https://example.com/rules" }
    assert.same({ "CN=A", "  error: it is wrong (c)", "    refused", "    some tool does this",
      "    stumbling over it: everybody", "    do: mend it", "    see: https://example.com/rules",
      "1 error, 0 warnings" }, lines_of(tostring(findings)))
  end)

  it("keeps to the columns that a program says", function()
    finally(function() report.columns = 100 end)
    local findings = report.new()
    findings:add { code = "a", severity = "error", message = ("word "):rep(60), hint = ("cure "):rep(60) }
    for _, columns in ipairs { 40, 80, 132 } do
      report.columns = columns
      local widest = 0
      for _, line in ipairs(lines_of(tostring(findings))) do widest = math.max(widest, #line) end
      assert.is_true(widest <= columns and widest > columns - 10, ("%d: %d"):format(columns, widest))
    end
  end)

  it("loses no letter, and ends, where there are fewer columns than the margin takes", function()
    finally(function() report.columns = 100 end)
    for _, columns in ipairs { -1, 0, 1, 4, 5 } do
      report.columns = columns
      local text = report.wrap("ab cde https://x.example f", "  ", "    ")
      assert.equal("abcdehttps://x.examplef", (text:gsub("%s", "")))
      assert.not_matches("\n *\n", text)
    end
  end)

  it("keeps to 100 columns with words and letters of any width", function()
    for _, word in ipairs { ("x"):rep(300), ("é"):rep(300), ("漢"):rep(150), ("\xff"):rep(300), ("ab "):rep(100),
      "漢 " .. ("é"):rep(97) .. " x" } do
      local text = tostring(report.new():add { code = "c", severity = "error", message = word, subject = word,
        hint = word })
      local letters = 0
      for _, line in ipairs(lines_of(text)) do
        local wide = select(2, line:gsub("漢", ""))
        local columns = (utf8.len(line) or #line) + wide
        assert.is_true(columns <= 100, ("%d: %s"):format(columns, line))
        letters = letters + select(2, line:gsub("漢", ""))
      end
      if word:find "^漢漢" then assert.equal(450, letters) end
    end
    -- an address in two pieces would be of no use
    local address = "https://example.com/" .. ("a"):rep(120)
    assert.is_truthy(tostring(report.new():add { code = "c", severity = "error", message = "m", source = address })
      :find(address, 1, true))
  end)

  it("lets no control character of a name or a file reach the terminal", function()
    local text = tostring(report.new():add { code = "c", severity = "error", message = "a\27[2Jb\0c\127d\u{9b}e",
      subject = "CN=\27]0;x\7", path = "\r\27[A", client = "\8", hint = "x\ny" })
    assert.is_nil(text:find "[%z\1-\9\11-\31\127]")
    assert.is_nil(text:find "\u{9b}")
    assert.is_truthy(text:find("a\\1B[2Jb\\00c\\7Fd\\9Be", 1, true))
    assert.equal(4, #lines_of(text))
  end)

  describe("as JSON", function()
    local description = schema.read "docs/report.schema.json"

    local function whole()
      return report.new():add { code = "one_1", severity = "error", kind = "refused", message = "a / b \\/ \"c\"",
        hint = "h", who = "w", note = "n", source = "https://example.com/", client = "c", place = "the leaf",
        subject = "CN=É", serial = "0af1", fingerprint = ("0f"):rep(32), path = "/a/b", line = 3, column = 1, count = 2,
        consequence = "not in it" }:add { code = "two", severity = "info", message = "m" }
    end

    it("is what docs/report.schema.json describes, and nothing is lost", function()
      for _, findings in ipairs { report.new(), whole() } do
        local text = findings:json()
        local value = cjson.decode(text)
        assert.same({}, schema.check(value, description))
        assert.equal(#findings, #value.findings)
        assert.equal(findings.ok, value.ok)
        assert.equal(findings.errors, value.errors)
        for i, finding in ipairs(findings) do
          finding.consequence = nil
          assert.same(finding, value.findings[i])
        end
      end
    end)

    it("has every field that the schema describes", function()
      local value = cjson.decode(whole():json())
      for name in pairs(description["$defs"].finding.properties) do
        assert.is_not_nil(value.findings[1][name], name)
      end
    end)

    it("is the same to the byte each time, the fields in the order of docs/report.md", function()
      local text = whole():json()
      for _ = 1, 20 do
        assert.equal(text, whole():json())
      end
      local last = 0
      for _, name in ipairs { "schema", "ok", "errors", "warnings", "findings", "code", "severity", "kind", "message",
        "hint", "who", "note", "source", "client", "place", "subject", "serial", "fingerprint", "path", "line",
        "column", "count" } do
        local at = text:find('"' .. name .. '": ', 1, true)
        assert.is_true(at > last, name)
        last = at
      end
      assert.equal("\n", text:sub(-1))
      assert.equal('{\n  "schema": 1,\n  "ok": true,\n  "errors": 0,\n  "warnings": 0,\n  "findings": []\n}\n',
        report.new():json())
    end)

    it("is UTF-8 whatever a name holds", function()
      local text = report.new():add { code = "c", severity = "error", message = "a\xffb\xc3", subject = "\xe9t\xe9" }
        :json()
      assert.is_truthy(utf8.len(text))
      local finding = cjson.decode(text).findings[1]
      assert.equal("a\u{fffd}b\u{fffd}", finding.message)
      assert.equal("\u{fffd}t\u{fffd}", finding.subject)
    end)

    it("is not changed by what the program does with its cjson", function()
      local before = whole():json()
      cjson.encode_number_precision(1)
      local after = whole():json()
      cjson.encode_number_precision(14)
      assert.equal(before, after)
    end)

    it("tells the schema apart from what is no report", function()
      local good = cjson.decode(whole():json())
      assert.same({}, schema.check(good, description))
      good.findings[1].severity = "fatal"
      good.findings[1].surprise = 1
      good.findings[2].code = nil
      good.errors = -1
      assert.equal(4, #schema.check(good, description))
    end)
  end)
end)

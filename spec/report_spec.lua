local report = require "tcpki.report"

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
  end)

  it("reads on a terminal of 100 columns", function()
    local findings = report.new()
    findings:add { code = "long", severity = "error", message = ("word "):rep(60), hint = ("deed "):rep(60),
      line = 3, column = 7 }
    local text = tostring(findings)
    for line in text:gmatch "[^\n]+" do
      assert.is_true(#line <= 100, line)
    end
    assert.is_truthy(text:find("line 3:7: error: word", 1, true))
    assert.is_truthy(text:find("\n  do: deed", 1, true))
    assert.is_truthy(text:find "1 error, 0 warnings$")
  end)
end)

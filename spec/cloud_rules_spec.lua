local rules = require "tcpki.cloud.rules"

local severities = { error = true, warning = true, info = true }
local kinds = { refused = true, documented = true, sdk = true, advice = true }
local concerns = { bundle = true, authority = true, certificate = true, leaf = true, chain = true, key = true,
  access = true }

describe("tcpki.cloud.rules", function()
  it("has a code, a severity, a kind, a sentence, a cure and a document in each row", function()
    for _, rule in ipairs(rules) do
      assert.matches("^[%l_]+%d?$", rule.code)
      assert.is_true(severities[rule.severity], rule.code)
      assert.is_true(kinds[rule.kind], rule.code)
      assert.is_true(concerns[rule.concerns], rule.code)
      assert.is_true(#rule.message > 0 and #rule.hint > 0, rule.code)
      assert.matches("^https://[%w.-]+/%S+$", rule.source)
      assert.is_true(#rule.source <= 90, rule.source) -- an address is not broken, and a line has 100 columns
    end
  end)

  it("has each code once, and finds it by its word", function()
    local count = 0
    for code, rule in pairs(rules.by_code) do
      count = count + 1
      assert.equal(code, rule.code)
      assert.equal(rule, rules[rule.place])
    end
    assert.equal(#rules, count)
  end)

  it("tells what is refused from what is unwise", function()
    for code, kind in pairs { expired = "refused", weak_signature = "refused", same_name = "refused",
      leaf_without_key_usage = "documented", leaf_not_version_3 = "documented", leaf_without_constraints = "documented",
      encrypted_key = "sdk", traditional_key = "sdk", expires_soon = "advice", duplicate = "advice" } do
      assert.equal(kind, rules.by_code[code].kind, code)
    end
    for _, rule in ipairs(rules) do
      if rule.kind == "refused" then assert.equal("error", rule.severity, rule.code) end
    end
  end)

  it("names the official tool where one makes what the documentation forbids", function()
    for _, code in ipairs { "leaf_not_version_3", "leaf_without_constraints", "leaf_without_key_usage" } do
      assert.is_string(rules.by_code[code].note, code)
    end
  end)

  it("has the numbers of the documentation", function()
    assert.equal(16, rules.limits.certificates)
    assert.equal(25, rules.limits.old_certificates)
    assert.equal(32768, rules.limits.bytes)
    assert.same({ 15, 10, 5 }, rules.limits.mails)
  end)
end)

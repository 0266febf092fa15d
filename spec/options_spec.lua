local expect = require "spec.support.expect"
local options = require "tcpki.options"
local tcpki = require "tcpki"

describe("tcpki.options", function()
  local known = { days = "integer", key = "tcpki.key|table", name = "string", flag = "boolean" }

  local function check(given)
    return options.check("the.function", given, known)
  end

  describe("check", function()
    it("gives the options back, and an empty table for none", function()
      local given = { days = 1, name = "a", flag = false, key = {} }
      assert.is_true(rawequal(given, check(given)))
      assert.same({}, check(nil))
      assert.same({}, check {})
    end)

    it("takes objects by their name, and derived tables as tables", function()
      assert(check { key = assert(tcpki.key.generate()) })
      assert(check { key = setmetatable({}, { __name = "mine" }) })
    end)

    it("throws on an unknown option, and lists the known ones in order", function()
      expect.throws({ "the.function", "unknown option 'day'", "(known: days, flag, key, name)" },
        check, { day = 1 })
      expect.throws({ "unknown option '1'" }, check, { "positional" })
      expect.throws({ "unknown option 'true'" }, check, { [true] = 1 })
    end)

    it("throws on a wrong type, and says both types", function()
      expect.throws({ "the.function", "'days'", "integer", "not string" }, check, { days = "1" })
      expect.throws({ "'days'", "not number" }, check, { days = 1.5 })
      expect.throws({ "'key'", "tcpki.key or table", "not boolean" }, check, { key = true })
      local certificate = assert(tcpki.authority.new { common_name = "a" }).certificate
      expect.throws({ "'key'", "not tcpki.certificate" }, check, { key = certificate })
      expect.throws({ "expected a table of options", "not string" }, check, "days")
    end)

    it("blames the line of the caller", function()
      local function public(given)
        given = options.check("the.function", given, known)
        return given
      end
      local function caller()
        public { day = 1 }
      end
      local _, message = pcall(caller)
      local line = debug.getinfo(caller, "S").linedefined + 1
      assert.is_truthy(message:find("options_spec.lua:" .. line .. ":", 1, true), message)
    end)
  end)

  describe("the options of the core", function()
    local function certificate(given)
      return tcpki.certificate.make(given)
    end

    it("may be inherited", function()
      local key = assert(tcpki.key.generate())
      local made = assert(certificate(setmetatable({ serial = "07" }, { __index = {
        subject = { CN = "a" }, not_before = 0, not_after = 1, public_key = key, issuer_key = key } })))
      assert.equal("07", made:serial())
    end)

    it("may be made anew at each look, or closed at one", function()
      local key = assert(tcpki.key.generate())
      local made = assert(certificate(setmetatable({}, { __index = function(_, name)
        collectgarbage()
        return ({ serial = ("1"):rep(32), subject = { CN = "a" }, not_before = 0, not_after = 1,
          public_key = key, issuer_key = key })[name]
      end })))
      assert.equal(("1"):rep(32), made:serial())
      expect.throws({ "'public_key'" }, certificate, { public_key = key, issuer_key = key, not_before = 0,
        not_after = 1, subject = setmetatable({}, { __index = function() key:close() end }) })
    end)
  end)

  it("blames whoever called what called it, where it is told so", function()
    local function judged(judge, ...)
      judge(...)
      return true
    end
    local function public(...)
      local checked = judged(...)
      return checked
    end
    for _, case in ipairs { { options.expect, "f", "count", "1", "integer", 4 },
      { options.list, "f", "number", { "1" }, "integer", 4 },
      { options.list, "f", "number", { a = 1 }, "integer", 4 } } do
      local function caller()
        public(table.unpack(case))
      end
      local _, message = pcall(caller)
      local line = debug.getinfo(caller, "S").linedefined + 1
      assert.is_truthy(message:find("options_spec.lua:" .. line .. ":", 1, true), message)
    end
  end)

  describe("expect", function()
    it("gives the value back, or throws with the name of the argument", function()
      assert.equal(1, options.expect("the.function", "count", 1, "integer"))
      expect.throws({ "the.function", "count", "integer or string", "not nil" }, options.expect,
        "the.function", "count", nil, "integer|string")
    end)
  end)

  describe("list", function()
    it("gives the array back, or throws on the first value that does not fit", function()
      local values = { 1, 2, 3, other = "field" }
      assert.is_true(rawequal(values, options.list("the.function", "number", values, "integer")))
      assert.same({}, options.list("the.function", "number", {}, "integer"))
      expect.throws({ "the.function", "number 2", "integer", "not string" }, options.list,
        "the.function", "number", { 1, "2" }, "integer")
    end)

    it("throws on a hole, however far the array goes on behind it", function()
      expect.throws({ "number 1", "not nil" }, options.list, "f", "number", { nil, 2 }, "integer")
      expect.throws({ "number 2", "not nil" }, options.list, "f", "number", { 1, nil, 3 },
        "integer")
      expect.throws({ "number 2" }, options.list, "f", "number", { 1, [1000] = 3 }, "integer")
      expect.throws({ "f: expected a list", "'path'" }, options.list, "f", "number", { path = "x" }, "integer")
      local object = setmetatable({ text = "x" }, {})
      assert.equal(object, options.list("f", "number", object, "integer"))
    end)
  end)
end)

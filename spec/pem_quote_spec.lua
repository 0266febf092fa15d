local cjson = require "cjson"
local expect = require "spec.support.expect"
local lyaml = require "lyaml"
local pem = require "tcpki.pem"
local tcpki = require "tcpki"

-- What a program writes, given its input in a file of its own.
local function output(command, input)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(input)
  file:close()
  local pipe = assert(io.popen(command:format(path)))
  local text = pipe:read "a"
  pipe:close()
  os.remove(path)
  return text
end

describe("tcpki.pem.quote", function()
  local certificate = assert(tcpki.authority.new { subject = { CN = "Acme" } }).certificate:pem()
  local texts = { certificate, certificate:sub(1, -2), certificate .. "\n", (certificate:gsub("\n", "\r\n")),
    "a'b\"c\\n$d`e",
    "  indented\n", "\n", "", "tab\there\n", "# no comment\n" }

  it("writes shell words that a shell reads back", function()
    for _, text in ipairs(texts) do
      assert.equal(text, output("sh '%s'", "VALUE=" .. pem.quote(text, "env") .. "\nprintf %s \"$VALUE\"\n"))
    end
    expect.fault("bad_name", pem.quote("a\0b", "env"))
  end)

  it("writes JSON strings that a JSON reader reads back", function()
    for _, text in ipairs(texts) do
      assert.equal(text, cjson.decode('{"value":' .. pem.quote(text, "json") .. "}").value)
    end
    assert.equal("a\0b\127", cjson.decode('["a\\u0000b\\u007f"]')[1])
    assert.equal("a\0b\127", cjson.decode("[" .. pem.quote("a\0b\127", "json") .. "]")[1])
  end)

  it("writes YAML that a YAML reader reads back", function()
    for _, text in ipairs(texts) do
      assert.equal(text, lyaml.load("value: " .. pem.quote(text, "yaml") .. "next: 1\n").value)
    end
    assert.is_truthy(pem.quote(certificate, "yaml"):find "^|2\n  %-%-%-%-%-BEGIN")
  end)

  it("takes long runs of newlines in linear time", function()
    local n = debug.gethook() and 2000 or 200000 -- under make stress each step of a loop costs a collection
    for _, text in ipairs { ("\n"):rep(n) .. "x", "x" .. ("\n"):rep(n) .. "x" } do
      assert.equal("x\n", pem.quote(text, "yaml"):sub(-2))
    end
  end)

  it("writes base64 that base64 -d reads back", function()
    for _, text in ipairs(texts) do
      assert.equal(text, output("base64 -d '%s'", pem.quote(text, "base64")))
    end
  end)

  it("throws on a form that does not exist", function()
    expect.throws("form is 'toml' (known: base64, env, json, yaml)", pem.quote, "a", "toml")
  end)
end)

local cjson = require "cjson"
local expect = require "spec.support.expect"
local lyaml = require "lyaml"
local pem = require "tcpki.pem"
local tcpki = require "tcpki"
local temporary = require "spec.support.temporary"

local directory

-- What a program writes, given its input in a file of its own.
local function output(command, input)
  local path = directory:file("input", input)
  local pipe = assert(io.popen(command:format(path)))
  local text = pipe:read "a"
  pipe:close()
  return text
end

local function has(program)
  return os.execute(("command -v %s >/dev/null 2>&1"):format(program)) == true
end

-- Each prints the base64 of every value of an array, a line each.
local json_readers = {
  { "node", [[node -e 'for (const value of JSON.parse(require("fs").readFileSync("%s", "utf8")))
    console.log(Buffer.from(value).toString("base64"))']] },
  { "python3", [[python3 -c 'import base64, json
for value in json.load(open("%s", encoding="utf-8")): print(base64.b64encode(value.encode()).decode())']] },
  { "jq", "jq -r '.[] | @base64' '%s'" },
}

local yaml_reader = [[python3 -c 'import base64, yaml
for value in yaml.safe_load(open("%s", encoding="utf-8")): print(base64.b64encode(value["key"].encode()).decode())']]

-- What of some texts is not what a program printed of them; nil where all is.
local function difference(texts, printed)
  local i = 0
  for line in printed:gmatch "([^\n]*)\n" do
    i = i + 1
    if line ~= pem.quote(texts[i] or "", "base64") then
      return ("text %d: %q"):format(i, texts[i])
    end
  end
  return i ~= #texts and ("%d of %d texts"):format(i, #texts) or nil
end

describe("tcpki.pem.quote", function()
  local certificate = assert(tcpki.authority.new { subject = { CN = "Acme" } }).certificate:pem()
  local texts = { certificate, certificate:sub(1, -2), certificate .. "\n", certificate .. "\n\n\n",
    "\n\n" .. certificate,
    (certificate:gsub("\n", "\r\n")), (certificate:gsub("\n", " \n")), (certificate:gsub("\n", "\r")),
    (certificate:gsub("[^\n]+", "  %0")), certificate .. "  \n", certificate .. "  ", " \n" .. certificate, "   \n\n",
    "a'b\"c\\n$d`e$(f)${g}!h", "'", "''", "\\", '"', "$", "  indented\n", "\n", "", " ", "\t", "tab\there\n",
    "# no comment\n", "---\n", "...\n", "- a\n", "key: value\n", "%s %d", "null", "1", "a\127b", "a\27[0mb\n",
    "Größe — 日本語 😀\n", "\xef\xbb\xbf" .. certificate, "a\xc2\x85b\xe2\x80\xa8c\xe2\x80\xa9d\xc2\xa0e\n" }

  setup(function() directory = temporary.directory() end)
  teardown(function() directory:remove() end)

  for _, shell in ipairs { "sh", "bash", "dash" } do
    it("writes files that a shell sources: " .. shell, function()
      if not has(shell) then
        pending(shell .. " is not installed")
        return
      end
      local file, script = {}, { ". '" .. directory:path "env" .. "'" }
      for i, text in ipairs(texts) do
        file[i] = ("VALUE_%d=%s"):format(i, pem.quote(text, "env"))
        script[i + 1] = ("printf '%%s\\0' \"$VALUE_%d\""):format(i)
      end
      directory:file("env", table.concat(file, "\n") .. "\n")
      assert.equal(table.concat(texts, "\0") .. "\0", output(shell .. " '%s'", table.concat(script, "\n") .. "\n"))
    end)
  end

  for _, reader in ipairs(json_readers) do
    it("writes JSON strings that are read back: " .. reader[1], function()
      if not has(reader[1]) then
        pending(reader[1] .. " is not installed")
        return
      end
      local values = {}
      for i, text in ipairs(texts) do
        values[i] = pem.quote(text, "json")
      end
      assert.is_nil(difference(texts, output(reader[2], "[" .. table.concat(values, ",\n") .. "]")))
    end)
  end

  it("writes JSON strings that lua-cjson reads back, NUL included", function()
    for _, text in ipairs(texts) do
      assert.equal(text, cjson.decode('{"value":' .. pem.quote(text, "json") .. "}").value)
    end
    assert.equal("a\0b\127", cjson.decode("[" .. pem.quote("a\0b\127", "json") .. "]")[1])
  end)

  it("writes YAML that is read back: lyaml", function()
    for i, text in ipairs(texts) do
      assert.equal(text, lyaml.load("value: " .. pem.quote(text, "yaml") .. "next: 1\n").value, "text " .. i)
      local nested = lyaml.load("a:\n  b:\n    c: " .. pem.quote(text, "yaml", { indent = 4 }) .. "    d: 1\n")
      assert.same({ c = text, d = 1 }, nested.a.b, "text " .. i)
    end
    assert.is_truthy(pem.quote(certificate, "yaml"):find "^|2\n  %-%-%-%-%-BEGIN")
  end)

  it("writes YAML that is read back: Python's yaml", function()
    if not os.execute "python3 -c 'import yaml' 2>/dev/null" then
      pending "Python's yaml is not installed"
      return
    end
    local values = {}
    for i, text in ipairs(texts) do
      values[i] = "- key: " .. pem.quote(text, "yaml", { indent = 2 }) .. "  next: 1\n"
    end
    assert.is_nil(difference(texts, output(yaml_reader, table.concat(values))))
  end)

  it("writes base64 that is read back: base64 -d", function()
    for _, text in ipairs(texts) do
      assert.equal(text, output("base64 -d '%s'", pem.quote(text, "base64")))
    end
    assert.equal("a\0b\xff", output("base64 -d '%s'", pem.quote("a\0b\xff", "base64")))
  end)

  -- The two places of a manifest: data: holds base64, stringData: the text. And the server's configuration, of which
  -- the values are base64 (common/config, RootTLS).
  it("writes what a Kubernetes Secret and a Temporal server carry", function()
    local secret = lyaml.load(([[
apiVersion: v1
kind: Secret
metadata:
  name: temporal-client
type: kubernetes.io/tls
data:
  tls.crt: %s
stringData:
  ca.crt: %s]]):format(pem.quote(certificate, "base64"), pem.quote(certificate, "yaml", { indent = 2 })))
    assert.equal(certificate, secret.stringData["ca.crt"])
    assert.equal(certificate, output("base64 -d '%s'", secret.data["tls.crt"]))
    local server = lyaml.load(([[
global:
  tls:
    frontend:
      server:
        certData: %s
        clientCaData:
          - %s
]]):format(pem.quote(certificate, "base64"), pem.quote(certificate, "base64")))
    local given = server.global.tls.frontend.server
    assert.equal(certificate, output("base64 -d '%s'", given.certData))
    assert.equal(certificate, output("base64 -d '%s'", given.clientCaData[1]))
  end)

  it("refuses what a form cannot carry, and says which one can", function()
    assert.equal("a", lyaml.load('"a\\0b"')) -- why YAML takes no NUL
    expect.fault("wrong_kind", pem.quote("a\0b", "yaml"))
    for form, text in pairs { env = "a\0b", json = "a\xffb", yaml = "a\xffb" } do
      local err = expect.fault("wrong_kind", pem.quote(text, form))
      assert.matches("base64", err.hint)
    end
  end)

  it("takes long runs of newlines in linear time", function()
    local n = debug.gethook() and 2000 or 200000 -- under make stress each step of a loop costs a collection
    for _, text in ipairs { ("\n"):rep(n) .. "x", "x" .. ("\n"):rep(n) .. "x" } do
      assert.equal("x\n", pem.quote(text, "yaml"):sub(-2))
    end
  end)

  it("throws on a form that does not exist, and on options that a form does not have", function()
    expect.throws("form is 'toml' (known: base64, env, json, yaml)", pem.quote, "a", "toml")
    expect.throws("unknown option 'indent'", pem.quote, "a", "json", { indent = 2 })
    expect.throws("must not be negative", pem.quote, "a", "yaml", { indent = -1 })
  end)
end)

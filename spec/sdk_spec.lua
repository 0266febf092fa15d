-- What tcpki writes, in the hands of the Temporal SDKs, on the real server: each in the form that its documentation
-- asks for. make test-interop.

local interop = require "spec.support.interop"
local server = require "spec.support.server"
local tcpki = require "tcpki"
local temporary = require "spec.support.temporary"

describe("the Temporal SDKs on the real server #interop", function()
  local temporal, directory, programs, python, version

  setup(function()
    directory = temporary.directory()
    temporal = assert(server.start())
    programs = assert(server.counterpart "sdk")
    python = assert(server.counterpart "python")
    version = server.versions().TEMPORAL_SERVER:sub(2)
  end)

  teardown(function()
    if temporal then temporal:remove() end
    directory:remove()
  end)

  -- The first word of the command line is the SDK; what follows it are ADDRESS SERVER_CA FIRST SECOND.
  local commands = {
    go = function() return programs .. "/go" end,
    java = function() return ("java -cp '%s/java:%s/jars/*' Sdk"):format(programs, programs) end,
    python = function() return python .. " test/sdk/python/sdk.py" end,
    typescript_client = function()
      return ("TEMPORAL_SDK=%s/typescript node test/sdk/typescript/sdk.mjs"):format(programs)
    end,
    typescript_worker = function()
      return ("CONNECTION=worker TEMPORAL_SDK=%s/typescript node test/sdk/typescript/sdk.mjs"):format(programs)
    end,
  }

  local function connect(sdk, first, second)
    local handle = assert(io.popen(("%s %s %s %s %s 2>/dev/null"):format(commands[sdk](), temporal.address,
      temporal:path "server-ca.pem", first, second)))
    local output = handle:read "a"
    handle:close()
    -- The Go SDK logs in front of it.
    return ("\n" .. output):match "\n(ok [^\n]*)" or ("\n" .. output):match "\n(error [^\n]*)" or output
  end

  -- The forms of a leaf: which two files an SDK is given.
  local forms = {
    ["PKCS#8"] = function(leaf, name)
      local key, chain = directory:path(name .. ".key"), directory:path(name .. ".pem")
      assert(leaf:write(key, chain))
      return chain, key
    end,
    traditional = function(leaf, name)
      local key, chain = directory:path(name .. ".traditional.key"), directory:path(name .. ".traditional.pem")
      assert(leaf:write(key, chain, { format = "traditional" }))
      return chain, key
    end,
  }
  for _, profile in ipairs { "modern", "compatible" } do
    forms["PKCS#12, " .. profile] = function(leaf, name)
      local path = directory:path(("%s.%s.pfx"):format(name, profile))
      local word = directory:file(nil, "swordfish\n")
      local file = assert(tcpki.pkcs12.new { key = leaf.key, chain = leaf.chain, name = "worker" })
      assert(file:write(path, { profile = profile, passphrase_file = word }))
      return path, word
    end
  end

  -- `keys`: those that the SDK cannot use, of those that tcpki makes: docs/interop.md.
  local cases = {
    { "go", "PKCS#8", {} }, { "go", "traditional", { ed25519 = true } },
    { "java", "PKCS#8", { ed25519 = true } }, { "java", "PKCS#12, modern", { ed25519 = true } },
    { "java", "PKCS#12, compatible", { ed25519 = true } },
    { "python", "PKCS#8", { p521 = true } }, { "python", "traditional", { ed25519 = true, p521 = true } },
    { "typescript_client", "PKCS#8", {} }, { "typescript_client", "traditional", { ed25519 = true } },
    { "typescript_worker", "PKCS#8", { p521 = true } },
  }
  local leaves = {}

  local function leaf_of(name, how)
    leaves[name] = leaves[name] or assert(temporal.authority:issue { common_name = "worker " .. name,
      usage = "client", key = how })
    return leaves[name]
  end

  for _, case in ipairs(cases) do
    local sdk, form, not_for = table.unpack(case)
    it(("let %s in with %s"):format(sdk, form), function()
      for _, key in ipairs(interop.keys) do
        local name, how = key[1], key[2]
        -- One size of RSA is like another to an SDK: the table of docs/interop.md has them all.
        if not not_for[name] and name ~= "rsa3072" and name ~= "rsa4096" then
          local said = connect(sdk, forms[form](leaf_of(name, how), ("%s.%s.%s"):format(sdk, #form, name)))
          assert.equal(("ok %s temporal-system"):format(version), said, ("%s, %s"):format(name, form))
        end
      end
    end)
  end

  it("let nobody in with a certificate of another CA", function()
    local stranger = assert(tcpki.authority.new { common_name = "Stranger" })
    local leaf = assert(stranger:issue { common_name = "worker", usage = "client" })
    local chain, key = forms["PKCS#8"](leaf, "stranger")
    for sdk in pairs(commands) do
      assert.matches("^error ", connect(sdk, chain, key), sdk)
    end
  end)
end)

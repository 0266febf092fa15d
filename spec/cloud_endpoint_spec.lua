local expect = require "spec.support.expect"
local endpoint = require "tcpki.cloud.endpoint"
local probe = require "tcpki.probe"
local tcpki = require "tcpki"

describe("tcpki.cloud.endpoint", function()
  -- address and server name, as Temporal's documentation has them
  local rows = {
    { "the namespace", {}, "payments.a1b2c.tmprl.cloud:7233", "payments.a1b2c.tmprl.cloud" },
    { "the namespace with an API key", { auth = "api_key" }, "payments.a1b2c.tmprl.cloud:7233",
      "payments.a1b2c.tmprl.cloud" },
    { "a region with a certificate", { region = "aws-us-east-1" }, "aws-us-east-1.region.tmprl.cloud:7233",
      "payments.a1b2c.tmprl.cloud" },
    { "a region with an API key", { region = "aws-us-east-1", auth = "api_key" },
      "us-east-1.aws.api.temporal.io:7233", "us-east-1.aws.api.temporal.io" },
    { "a region of Google", { region = "gcp-us-central1", auth = "api_key" },
      "us-central1.gcp.api.temporal.io:7233", "us-central1.gcp.api.temporal.io" },
    { "a region of Azure", { region = "azure-eastus" }, "azure-eastus.region.tmprl.cloud:7233",
      "payments.a1b2c.tmprl.cloud" },
    { "a private endpoint with a certificate", { private_link = "vpce-0123.amazonaws.com" },
      "vpce-0123.amazonaws.com:7233", "payments.a1b2c.tmprl.cloud" },
    { "a private endpoint with a port", { private_link = "10.1.2.3:443", region = "aws-us-east-1" },
      "10.1.2.3:443", "payments.a1b2c.tmprl.cloud" },
    { "a private endpoint with an API key",
      { private_link = "vpce-0123.amazonaws.com", region = "aws-us-east-1", auth = "api_key" },
      "vpce-0123.amazonaws.com:7233", "us-east-1.aws.api.temporal.io" },
    { "a private endpoint of several regions",
      { private_link = "vpce-0123.amazonaws.com", region = "aws-us-east-1", multi_region = true },
      "vpce-0123.amazonaws.com:7233", "aws-us-east-1.region.tmprl.cloud" },
  }

  for _, row in ipairs(rows) do
    it("knows " .. row[1], function()
      local settings = { namespace = "payments.a1b2c" }
      for name, value in pairs(row[2]) do
        settings[name] = value
      end
      local found = assert(endpoint(settings))
      assert.equal(row[3], found.address)
      assert.equal(row[4], found.server_name)
      assert.equal(row[3], ("%s:%d"):format(found.host, found.port))
      assert.equal("a1b2c", found.account)
      assert.equal("payments.a1b2c", found.namespace)
      assert.is_truthy(tostring(found):find(row[3] .. ", server name " .. row[4], 1, true))
    end)
  end

  it("says which part of the namespace is wrong, and how it is written", function()
    for namespace, wanted in pairs {
      ["payments"] = { "bad_namespace", "no account", "payments.a1b2c" },
      [""] = { "bad_namespace", "no account" },
      ["a.b.c"] = { "bad_namespace", "2 dots" },
      [".a1b2c"] = { "bad_namespace", "is empty" },
      ["p.a1b2c"] = { "bad_namespace", "one character" },
      ["Payments.a1b2c"] = { "bad_namespace", "capital" },
      ["1payments.a1b2c"] = { "bad_namespace", "begin with a letter" },
      ["payments-.a1b2c"] = { "bad_namespace", "ends with a hyphen" },
      ["pay_ments.a1b2c"] = { "bad_namespace", '"_"' },
      [("p"):rep(65) .. ".a1b2c"] = { "bad_namespace", "65 characters" },
      ["payments."] = { "bad_account", "is empty" },
      ["payments.a1b2"] = { "bad_account", "4 characters" },
      ["payments.A1B2C"] = { "bad_account", "capital" },
      ["payments.a1-b2c"] = { "bad_account", '"-"' },
      ["payments.a1b2c.tmprl.cloud"] = { "bad_namespace", "an address", "write payments.a1b2c" },
      ["payments.a1b2c.tmprl.cloud:7233"] = { "bad_namespace", "an address", "write payments.a1b2c" },
    } do
      local err = expect.fault(wanted[1], endpoint { namespace = namespace })
      assert.is_truthy(err.message:find(wanted[2], 1, true), err.message)
      assert.is_truthy(err.hint:find(wanted[3] or "", 1, true), err.hint)
      assert.equal(wanted[1], "bad_" .. err.part)
    end
  end)

  it("takes the shortest and the longest names, and says where the documents disagree", function()
    assert.same({}, assert(endpoint { namespace = "pa.abcde" }).notes)
    assert.same({}, assert(endpoint { namespace = ("p"):rep(39) .. ".12345" }).notes)
    assert.is_truthy(assert(endpoint { namespace = ("p"):rep(40) .. ".12345" }).notes[1]:find("39", 1, true))
  end)

  it("says what is wrong with a region or a private endpoint", function()
    local function fault(code, settings)
      settings.namespace = "payments.a1b2c"
      return expect.fault(code, endpoint(settings))
    end
    assert.is_truthy(fault("bad_region", { region = "us-east-1" }).hint:find("aws-us-east-1", 1, true))
    fault("bad_region", { region = "AWS us-east-1" })
    fault("bad_region", { region = "" })
    fault("bad_region", { private_link = "vpce-1", auth = "api_key" })
    fault("bad_region", { private_link = "vpce-1", multi_region = true })
    fault("bad_private_link", { private_link = "https://vpce-1" })
    fault("bad_private_link", { private_link = "" })
    fault("bad_private_link", { private_link = "vpce-1:99999" })
  end)

  it("leads the probe through a private endpoint, whose certificate bears the name of the namespace", function()
    local ca = assert(tcpki.authority.new { common_name = "Server CA" })
    local server = assert(ca:issue { common_name = "server", usage = "server",
      subject_alt_names = { "payments.a1b2c.tmprl.cloud" } })
    local frontend <close> = assert(probe.frontend { certificate = server.chain, key = server.key,
      namespaces = { "payments.a1b2c" }, require_client_certificate = false })
    local found = assert(endpoint { namespace = "payments.a1b2c", private_link = frontend:address() })
    local result = probe.run { endpoint = found, server_ca = ca.certificate }
    assert.is_true(result.ok, tostring(result))
    assert.equal("payments.a1b2c.tmprl.cloud", result.server_name)
    assert.equal("payments.a1b2c", result.namespace.name)
    assert.equal("namespace_not_found",
      probe.run { endpoint = found, server_ca = ca.certificate, namespace = "other.a1b2c" }.cause)
    assert.equal("server_name_mismatch",
      probe.run { address = found.address, server_ca = ca.certificate }.cause)
    for _, name in ipairs { "address", "server_name" } do
      expect.throws({ "endpoint", name }, probe.run, { endpoint = found, [name] = "127.0.0.1" })
    end
    expect.throws("endpoint", probe.run, { endpoint = { address = found.address } })
  end)

  it("throws on what only a program gets wrong", function()
    expect.throws("option 'namespace' must be string", endpoint, {})
    expect.throws({ "auth", '"mtls" or "api_key"' }, endpoint, { namespace = "payments.a1b2c", auth = "jwt" })
    expect.throws("unknown option 'zone'", endpoint, { namespace = "payments.a1b2c", zone = "a" })
  end)
end)

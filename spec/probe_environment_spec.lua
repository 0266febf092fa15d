-- The variables of the Temporal SDKs, as the probe takes them.

local environment = require "tcpki.probe.environment"
local expect = require "spec.support.expect"
local pki = require "spec.support.probe_pki"
local probe = require "tcpki.probe"

-- The codes of a report, in their order.
local function codes(variables)
  local _, report = environment.read(variables)
  local list = {}
  for i, finding in ipairs(report) do list[i] = finding.code end
  return table.concat(list, " "), report
end

describe("the variables of the SDKs", function()
  it("are the options of a probe", function()
    local settings, report = environment.read {
      TEMPORAL_ADDRESS = "localhost:7233", TEMPORAL_NAMESPACE = "payments", TEMPORAL_TLS_SERVER_NAME = "frontend",
      TEMPORAL_TLS_CLIENT_CERT_PATH = "a.pem", TEMPORAL_TLS_CLIENT_KEY_PATH = "a.key",
      TEMPORAL_TLS_SERVER_CA_CERT_PATH = "ca.pem",
    }
    assert.same({
      address = "localhost:7233", namespace = "payments", server_name = "frontend", certificate_path = "a.pem",
      key_path = "a.key", server_ca_path = "ca.pem",
    }, settings)
    assert.is_true(report.ok)
    assert.equal(0, #report)
    assert.same({}, (environment.read {}))
  end)

  it("are those of this process where none are given", function()
    local settings = environment.read()
    assert.equal(os.getenv "TEMPORAL_ADDRESS", settings.address)
    assert.same(settings, (environment.read(os.getenv)))
    expect.throws("variables must be function or table", environment.read, "TEMPORAL_ADDRESS=x")
  end)

  it("that hold no name are named, and no option: a probe would throw at them", function()
    for _, value in ipairs { "a b", "payments\n", "zahlungen-\195\164" } do
      for name, option in pairs { TEMPORAL_NAMESPACE = "namespace", TEMPORAL_TLS_SERVER_NAME = "server_name" } do
        local variables = { TEMPORAL_TLS = "true", [name] = value }
        local found, report = codes(variables)
        assert.equal("bad_value", found)
        assert.matches("^" .. name .. ' is "', report[1].message)
        assert.not_matches("\n", report[1].message)
        assert.is_nil((environment.read(variables))[option])
      end
    end
  end)

  it("that hold PEM reach the server to the byte, and are called by their names where they are damaged", function()
    local server <close> = assert(probe.frontend {
      certificate = pki.server.chain, key = pki.server.key, client_ca = pki.client_ca.certificate,
    })
    local variables = {
      TEMPORAL_ADDRESS = server:address(), TEMPORAL_TLS_CLIENT_CERT_DATA = pki.good.chain:pem(),
      TEMPORAL_TLS_CLIENT_KEY_DATA = pki.good.key:pem(),
      TEMPORAL_TLS_SERVER_CA_CERT_DATA = pki.server_ca.certificate:pem(),
    }
    local settings, report = environment.read(variables)
    assert.is_true(report.ok)
    local result = probe.run(settings)
    assert.is_true(result.ok, tostring(result))
    for name, value in pairs(variables) do
      if name:find "DATA" then
        variables[name] = value:gsub("\n", "\\n")
        result = probe.run((environment.read(variables)))
        assert.equal("pem_literal_newlines", result.cause)
        assert.matches("$" .. name .. " holds", result.message, 1, true)
        variables[name] = value
      end
    end
  end)

  it("switch TLS on, or leave an SDK speaking plaintext", function()
    assert.equal("tls_off", (codes {}))
    assert.equal("tls_off", (codes { TEMPORAL_ADDRESS = "payments.a1b2c.tmprl.cloud:7233" }))
    for _, value in ipairs { "0", "false", "False" } do
      assert.equal("tls_off", (codes { TEMPORAL_TLS = value, TEMPORAL_API_KEY = "x" }))
    end
    for _, variables in ipairs {
      { TEMPORAL_TLS = "1" }, { TEMPORAL_TLS = "TRUE" }, { TEMPORAL_API_KEY = "x" },
      { TEMPORAL_TLS_SERVER_CA_CERT_PATH = "ca.pem" }, { TEMPORAL_TLS_SERVER_NAME = "x" },
    } do
      assert.equal("", (codes(variables)))
    end
  end)

  it("are both halves of a pair, from the same place", function()
    local both = { TEMPORAL_TLS_CLIENT_CERT_PATH = "a.pem" }
    assert.equal("certificate_alone", (codes(both)))
    both.TEMPORAL_TLS_CLIENT_KEY_DATA = "x"
    assert.equal("path_and_data", (codes(both)))
    both.TEMPORAL_TLS_CLIENT_KEY_PATH = "a.key"
    assert.equal("path_and_data", (codes(both)))
    local settings, report = environment.read { TEMPORAL_TLS_CLIENT_KEY_PATH = "a.key" }
    assert.is_not_nil(report:find "key_alone")
    assert.is_nil(settings.key_path, "probe.run takes no key without a certificate")
  end)

  it("name one way to authenticate", function()
    local found, report = codes {
      TEMPORAL_API_KEY = "secret", TEMPORAL_TLS_CLIENT_CERT_PATH = "a.pem", TEMPORAL_TLS_CLIENT_KEY_PATH = "a.key",
    }
    assert.equal("two_credentials", found)
    assert.not_matches("secret", tostring(report), 1, true)
  end)

  it("of other tools are named with what the SDKs read in their place", function()
    local found, report = codes {
      TEMPORAL_TLS = "true", TEMPORAL_TLS_CERT = "a.pem", TEMPORAL_CLI_TLS_KEY = "a.key", TEMPORAL_NAMESPACE = "",
      TEMPORAL_TLS_DISABLE_HOST_VERIFICATION = "true",
    }
    assert.equal("empty_variable foreign_variable foreign_variable verification_off", found)
    assert.is_true(report.ok)
    assert.matches("set TEMPORAL_TLS_CLIENT_CERT_PATH", tostring(report), 1, true)
    assert.equal("", (codes { TEMPORAL_TLS_CERT = "a.pem", TEMPORAL_TLS_CLIENT_CERT_PATH = "a.pem",
      TEMPORAL_TLS_CLIENT_KEY_PATH = "a.key" }))
  end)
end)

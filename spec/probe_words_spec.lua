-- The words of the probe: each stands in the documentation, and each is provoked by a spec before a real counterpart.

local causes = require "tcpki.probe.causes"
local temporary = require "spec.support.temporary"
local warnings = require "tcpki.probe.warnings"

-- Where each cause is provoked: a spec, and the word is in it. The matrix is run by spec/stacks_spec.lua.
local provoked = {
  probe_spec = "ok key_mismatch key_missing key_encrypted file_empty bad_pem pem_literal_newlines file_is_der "
    .. "file_holds_key file_holds_certificate file_missing chain_order bad_passphrase unknown_host refused "
    .. "silent_before_tls silent_after_tls closed_at_once reset plaintext_server tls_failed server_ca_untrusted "
    .. "server_expired server_name_mismatch no_h2 tls_version no_client_certificate client_ca_unknown client_expired "
    .. "client_not_yet_valid client_wrong_usage client_refused namespace_not_found bad_address",
  probe_causes_spec = "silent_rpc unauthenticated api_key_endpoint unimplemented resource_exhausted unavailable "
    .. "rpc_failed proxy_refused not_grpc http_400_certificate server_self_signed server_not_yet_valid "
    .. "server_wrong_usage server_no_san server_intermediate_missing server_weak_signature no_alpn sni_refused "
    .. "closed_after_tls unreachable client_weak_signature tls_to_wrong_port",
  probe_refusals_spec = "client_ca_twin client_self_signed client_intermediate_missing client_intermediate_expired "
    .. "rotation_not_loaded filter_mismatch permission_denied",
  probe_control_spec = "ok_not_enforced ok_not_asked",
  reported_failures_spec = "client_revoked client_ca_as_server_root system_roots_missing",
  stacks_matrix = "client_version_1",
}

describe("the causes", function()
  it("are all provoked by a spec, and no others are", function()
    local where = {}
    for file, words in pairs(provoked) do
      local text = temporary.content("spec/" .. file .. ".lua")
      for word in words:gmatch "%S+" do
        assert(not where[word], word .. " is listed twice")
        assert(causes[word], word .. " is no cause")
        assert(text:find("%f[%w_]" .. word .. "%f[^%w_]"), word .. " is not in " .. file)
        where[word] = file
      end
    end
    for _, row in ipairs(causes.rows) do assert(where[row.word], row.word .. " is provoked by no spec") end
  end)

  it("have a word, a stage, a sentence, a cure, what makes them certain, and a source each, once", function()
    local seen = {}
    for _, row in ipairs(causes.rows) do
      assert(not seen[row.word], row.word)
      seen[row.word] = true
      for _, name in ipairs { "word", "stage", "sentence", "cure", "needs", "source" } do
        assert(type(row[name]) == "string" and row[name] ~= "", row.word .. ": " .. name)
      end
      assert.matches("^[%l%d_]+$", row.word)
    end
  end)
end)

describe("docs/causes.md", function()
  local text
  setup(function() text = temporary.content "docs/causes.md" end)

  it("is what the tables say", function()
    local handle = assert(io.popen((os.getenv "LUA" or "lua5.4") .. " tools/causes.lua"))
    local printed = handle:read "a"
    assert(handle:close())
    assert(printed == text, "docs/causes.md is out of date: lua5.4 tools/causes.lua >docs/causes.md")
  end)

  it("has every word, and no other", function()
    local documented = {}
    for kind, word in text:gmatch "\n### (%l*:? ?)`([%l%d_]+)`\n" do documented[kind .. word] = true end
    for _, row in ipairs(causes.rows) do
      assert(documented[row.word], row.word)
      documented[row.word] = nil
    end
    for _, row in ipairs(warnings.rows) do
      assert(documented["warning: " .. row.word], row.word)
      documented["warning: " .. row.word] = nil
    end
    assert.is_nil((next(documented)))
  end)
end)

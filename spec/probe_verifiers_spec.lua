-- Our judgement of a client's chain against the accepted CAs, beside those whose rules it follows: Go, the openssl
-- command, and rustls (with the servers of make test-stacks).

local go = require "spec.support.go"
local openssl = require "spec.support.openssl"
local tcpki = require "tcpki"
local temporary = require "spec.support.temporary"
local verifiers = require "tcpki.probe.verifiers"
local wrong = require "spec.support.wrong"

local day, now = 24 * 60 * 60, os.time()

-- ---- certificates with one fault each ----

local function authority(name, ends)
  return assert(tcpki.authority.new {
    subject = { CN = name }, not_before = now - 90 * day, not_after = now + (ends or 90) * day,
  })
end

local root, other, twin = authority "Root", authority "Other", authority "Root"
local past = authority("Past Root", -1)

local function make(options) return wrong.make(root, options) end
local function under(issuer, options) return wrong.make(issuer, options) end
local function subordinate(options) return wrong.subordinate(root, options) end
local version_1 = wrong.version_1

-- Name, chain as sent, accepted CAs.
local function cases_of(directory)
  local good, own = make {}, wrong.make(nil)
  local sub = subordinate()
  local past_sub = subordinate { not_before = now - 9 * day, not_after = now - day }
  local server_sub = subordinate { extended_key_usage = { "server_auth" } }
  local any_sub = subordinate { extended_key_usage = { "any" } }
  local no_ca = subordinate { basic_constraints = false }
  local short = subordinate { basic_constraints = { ca = true, path_length = 0 } }
  local too_deep = wrong.subordinate(short, { subject = { CN = "Deep CA" } })
  local weak_sub = subordinate { digest = "SHA1" }
  local old, old_sub = version_1(directory, "worker", root), version_1(directory, "Old CA", root)
  local old_root = version_1(directory, "Old Root")
  return {
    { "a good leaf", { good }, { root } },
    { "a good leaf with its root", { good, root }, { root } },
    { "a leaf of another CA", { under(other) }, { root } },
    { "a leaf of a CA of the same name", { under(twin) }, { root } },
    { "a leaf of one of two CAs of one name", { good }, { twin, root } },
    { "a self-signed leaf", { own }, { root } },
    { "a self-signed leaf that is accepted", { own }, { own } },
    { "a leaf that is accepted itself", { good }, { good } },
    { "an expired leaf", { make { not_before = now - 9 * day, not_after = now - day } }, { root } },
    { "a leaf of the future", { make { not_before = now + day, not_after = now + 2 * day } }, { root } },
    { "a leaf for servers", { make { extended_key_usage = { "server_auth" } } }, { root } },
    { "a leaf for anything", { make { extended_key_usage = { "any" } } }, { root } },
    { "a leaf without extended key usage", { make { extended_key_usage = false } }, { root } },
    { "a leaf whose key may not sign", { make { key_usage = { "key_encipherment" } } }, { root } },
    { "a leaf without key usage", { make { key_usage = false } }, { root } },
    { "a leaf over SHA-1", { make { digest = "SHA1" } }, { root } },
    { "a leaf that is a CA", { make { basic_constraints = { ca = true },
      key_usage = { "digital_signature", "key_cert_sign" } } }, { root } },
    { "a leaf of version 1", { old }, { root } },
    { "a leaf with an RSA key of 1024 bits", { make { key = assert(tcpki.key.parse(openssl.run "genrsa 1024")) } },
      { root } },
    { "a leaf with an Ed25519 key", { make { key = assert(tcpki.key.generate { type = "ed25519" }) } }, { root } },
    { "a leaf with a critical extension that nobody knows",
      { make { extensions = { { oid = "1.2.3.4", critical = true, der = "\5\0" } } } }, { root } },
    { "a chain", { under(sub), sub }, { root } },
    { "a chain without its intermediate", { under(sub) }, { root } },
    { "a leaf whose intermediate is accepted, without a root", { under(sub) }, { sub } },
    { "a chain whose intermediate is accepted, without a root", { under(sub), sub }, { sub } },
    { "a chain over an expired intermediate", { under(past_sub), past_sub }, { root } },
    { "a chain over an expired intermediate that is accepted", { under(past_sub) }, { past_sub } },
    { "a chain over an intermediate for servers", { under(server_sub), server_sub }, { root } },
    { "a chain over an intermediate for anything", { under(any_sub), any_sub }, { root } },
    { "a chain over what is no CA", { under(no_ca), no_ca }, { root } },
    { "a chain over an intermediate too many", { under(too_deep), too_deep, short }, { root } },
    { "a chain over an intermediate too many, out of order", { under(too_deep), short, too_deep }, { root } },
    { "a chain over an intermediate signed with SHA-1", { under(weak_sub), weak_sub }, { root } },
    { "a chain over an intermediate of version 1", { under(old_sub), old_sub }, { root } },
    { "a leaf under a root of version 1", { under(old_root) }, { old_root } },
    { "a leaf under an expired root", { under(past) }, { past } },
  }
end

-- A heap that chance made: two roots, three CAs below them, a leaf, each with or without a fault; some are sent, in any
-- order, and some are accepted.
local function heap_of(random)
  local function one_of(...) return (select(random(select("#", ...)), ...)) end
  local function options(subject)
    local chance = random(20)
    return {
      subject = { CN = subject }, not_before = now + (chance == 1 and day or -9 * day),
      not_after = now + (chance == 2 and -day or 9 * day), digest = random(15) == 1 and "SHA1" or nil,
      extended_key_usage = one_of(false, false, { "client_auth" }, { "client_auth", "server_auth" }, { "server_auth" },
        { "any" }),
    }
  end
  local function ca(issuer, subject)
    local all = options(subject)
    all.basic_constraints = one_of(false, { ca = true }, { ca = true }, { ca = true, path_length = random(0, 1) })
    all.key_usage = one_of(false, { "key_cert_sign" }, { "key_cert_sign", "crl_sign" }, { "digital_signature" })
    return wrong.make(issuer, all)
  end
  local heap = { ca(nil, one_of("A", "B")), ca(nil, one_of("A", "B")) }
  for i = 3, 5 do heap[i] = ca(heap[random(i - 1)], one_of("C", "D", "E")) end
  local all = options "worker"
  all.key_usage = one_of(false, { "digital_signature" }, { "key_encipherment" })
  local sent, accepted = { wrong.make(heap[random(5)], all) }, {}
  for _, one in ipairs(heap) do
    if random(3) > 1 then table.insert(sent, random(2, #sent + 1), one) end
    if random(2) == 1 then accepted[#accepted + 1] = one end
  end
  return { "a heap", sent, #accepted > 0 and accepted or { heap[1] } }
end

local function certificates_of(list)
  local certificates, text = {}, ""
  for i, one in ipairs(list) do
    certificates[i] = one.certificate
    text = text .. one.certificate:pem()
  end
  return certificates, text
end

-- ---- the others ----

-- One process judges all: for each case the CAs, a line of dashes, the chain, a line of equals signs.
local go_source = [[
package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"strings"
)

func judge(roots, chain string) error {
	pool, between := x509.NewCertPool(), x509.NewCertPool()
	parse := func(text string) ([]*x509.Certificate, error) {
		var list []*x509.Certificate
		rest := []byte(text)
		for {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				return list, nil
			}
			one, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, err
			}
			list = append(list, one)
		}
	}
	anchors, err := parse(roots)
	if err != nil {
		return err
	}
	for _, one := range anchors {
		pool.AddCert(one)
	}
	sent, err := parse(chain)
	if err != nil {
		return err
	}
	for _, one := range sent[1:] {
		between.AddCert(one)
	}
	_, err = sent[0].Verify(x509.VerifyOptions{
		Roots: pool, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err
}

func main() {
	text, _ := io.ReadAll(os.Stdin)
	for _, one := range strings.Split(string(text), "======\n") {
		if parts := strings.Split(one, "------\n"); len(parts) == 2 {
			if err := judge(parts[0], parts[1]); err != nil {
				fmt.Println(strings.ReplaceAll(err.Error(), "\n", " "))
			} else {
				fmt.Println("accepted")
			}
		}
	}
}
]]

local function openssl_accepts(directory, accepted, chain, leaf)
  local command = ("openssl verify -purpose sslclient -auth_level 2 -no-CApath -no-CAstore -CAfile '%s' "
    .. "-untrusted '%s' '%s' 2>&1"):format(directory:file(nil, accepted), directory:file(nil, chain),
      directory:file(nil, leaf))
  local handle = assert(io.popen(command))
  local said = handle:read "a"
  handle:close()
  return said:find ": OK\n$" ~= nil, said
end

local function assert_same(case, name, expected, verdict, said)
  assert(verdict.ok == expected, ("%s: %s says %q, and we %s"):format(case[1], name, said,
    verdict.ok and "accept it" or "refuse it: " .. verdict.word))
end

describe("the judgement of a chain against the accepted CAs", function()
  local directory, cases
  lazy_setup(function()
    directory = temporary.directory()
    cases = cases_of(directory)
  end)
  lazy_teardown(function() directory:remove() end)

  -- How many openssl accepts.
  local function compare_with_openssl(list)
    local accepted = 0
    for _, case in ipairs(list) do
      local certificates, text = certificates_of(case[2])
      local roots, roots_text = certificates_of(case[3])
      local expected, said = openssl_accepts(directory, roots_text, text, certificates[1]:pem())
      assert_same(case, "openssl", expected, verifiers.judge(certificates, roots, os.time()).openssl, said)
      accepted = accepted + (expected and 1 or 0)
    end
    return accepted
  end

  it("is the openssl command's where it stands for OpenSSL", function()
    local accepted = compare_with_openssl(cases)
    assert.is_true(accepted > 8 and #cases - accepted > 15, tostring(accepted))
  end)

  -- How many Go accepts.
  local function compare_with_go(program, list)
    local input = {}
    for i, case in ipairs(list) do
      local _, text = certificates_of(case[2])
      local _, roots_text = certificates_of(case[3])
      input[i] = roots_text .. "------\n" .. text .. "======\n"
    end
    local i, accepted = 0, 0
    for said in program(table.concat(input)):gmatch "[^\n]+" do
      i = i + 1
      local certificates, roots = certificates_of(list[i][2]), certificates_of(list[i][3])
      assert_same(list[i], "Go", said == "accepted", verifiers.judge(certificates, roots, os.time()).go, said)
      accepted = accepted + (said == "accepted" and 1 or 0)
    end
    assert.equal(#list, i)
    return accepted
  end

  it("is Go's where it stands for Go", function()
    local program, reason = go.build(directory, go_source)
    if not program then return pending(reason) end
    local accepted = compare_with_go(program, cases)
    assert.is_true(accepted > 10 and #cases - accepted > 15, tostring(accepted))
  end)

  it("says why it refuses, with a word and a reason for each", function()
    for _, case in ipairs(cases) do
      local certificates, roots = certificates_of(case[2]), certificates_of(case[3])
      local verdicts = verifiers.judge(certificates, roots, os.time())
      assert.equal(3, #verdicts)
      for _, verdict in ipairs(verdicts) do
        assert.equal(verdict, verdicts[verdict.name])
        assert(verdict.ok or verdict.word and verdict.reason, case[1] .. ": " .. verdict.name)
      end
    end
  end)

  it("tells the reasons of a refusal apart", function()
    local words = {}
    for _, case in ipairs(cases) do
      local verdicts = verifiers.judge(certificates_of(case[2]), certificates_of(case[3]), os.time())
      words[case[1]] = ("%s %s %s"):format(verdicts.go.word, verdicts.openssl.word, verdicts.rustls.word)
    end
    for name, expected in pairs {
      ["a leaf of another CA"] = "issuer_unknown issuer_unknown issuer_unknown",
      ["a leaf of a CA of the same name"] = "issuer_unknown issuer_unknown twin",
      ["an expired leaf"] = "expired expired expired",
      ["a leaf of the future"] = "not_yet_valid not_yet_valid not_yet_valid",
      ["a leaf for servers"] = "wrong_usage wrong_usage wrong_usage",
      ["a leaf over SHA-1"] = "weak_signature weak_signature weak_signature",
      ["a leaf of version 1"] = "nil nil version_1",
      ["a leaf whose intermediate is accepted, without a root"] = "nil issuer_unknown nil",
    } do
      assert.equal(expected, words[name], name)
    end
  end)

  -- How many rustls accepts.
  local function compare_with_rustls(built, list)
    local accepted = 0
    for _, case in ipairs(list) do
      local certificates, text = certificates_of(case[2])
      local roots, roots_text = certificates_of(case[3])
      local handle = assert(io.popen(("'%s/rustls-server' verify '%s' '%s' %d 2>&1"):format(built,
        directory:file(nil, roots_text), directory:file(nil, text), os.time())))
      local said = handle:read "l"
      assert(handle:close(), said)
      assert_same(case, "rustls", said == "accepted", verifiers.judge(certificates, roots, os.time()).rustls, said)
      accepted = accepted + (said == "accepted" and 1 or 0)
    end
    return accepted
  end

  local function built_stacks()
    local handle = assert(io.popen "tools/counterparts path stacks 2>&1")
    local built = handle:read "l"
    return handle:close() and built, built
  end

  it("is rustls' where it stands for rustls #stacks", function()
    local built, reason = built_stacks()
    if not built then return pending(reason) end
    local accepted = compare_with_rustls(built, cases)
    assert.is_true(accepted > 8 and #cases - accepted > 15, tostring(accepted))
  end)

  it("is that of all three of heaps that chance made #stacks", function()
    local built, reason = built_stacks()
    local program = built and go.build(directory, go_source)
    if not program then return pending(reason) end
    local seed = tonumber(os.getenv "TCPKI_SEED" or "") or 20260101
    math.randomseed(seed)
    local list = {}
    for i = 1, 150 do
      list[i] = heap_of(math.random)
      list[i][1] = ("heap %d of TCPKI_SEED=%d"):format(i, seed)
    end
    local accepted = { compare_with_go(program, list), compare_with_openssl(list), compare_with_rustls(built, list) }
    -- Most heaps have a fault; some must have none.
    assert.is_true(accepted[1] + accepted[2] + accepted[3] > 10, table.concat(accepted, ", "))
  end)
end)

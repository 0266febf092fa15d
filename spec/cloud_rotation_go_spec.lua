-- Who would be refused, foretold by rotation.check and told by Go's crypto/x509, the verifier of Temporal Cloud.

local cjson = require "cjson"
local go = require "spec.support.go"
local openssl = require "spec.support.openssl"
local temporary = require "spec.support.temporary"
local tcpki = require "tcpki"
local rotation = require "tcpki.cloud.rotation"

local DAY = 86400

-- Verifies each chain against each bundle as a TLS server with ClientCAs does.
local VERIFIER = [[
package main

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"os"
	"time"
)

type task struct {
	Bundles []string
	Chains  []string
	At      int64
}

func read(text string) (list []*x509.Certificate) {
	for rest := []byte(text); ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			return
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			panic(err)
		}
		list = append(list, certificate)
	}
}

func main() {
	text, _ := io.ReadAll(os.Stdin)
	var given task
	if err := json.Unmarshal(text, &given); err != nil {
		panic(err)
	}
	verdicts := [][]string{}
	for _, bundle := range given.Bundles {
		roots := x509.NewCertPool()
		for _, certificate := range read(bundle) {
			roots.AddCert(certificate)
		}
		row := []string{}
		for _, chain := range given.Chains {
			certificates := read(chain)
			intermediates := x509.NewCertPool()
			for _, certificate := range certificates[1:] {
				intermediates.AddCert(certificate)
			}
			_, err := certificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates,
				CurrentTime: time.Unix(given.At, 0), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
			if err != nil {
				row = append(row, err.Error())
			} else {
				row = append(row, "")
			}
		}
		verdicts = append(verdicts, row)
	}
	_ = json.NewEncoder(os.Stdout).Encode(verdicts)
}
]]

describe("tcpki.cloud.rotation beside Go", function()
  local directory, program, reason, now

  setup(function()
    directory = temporary.directory()
    program, reason = go.build(directory, VERIFIER)
    now = os.time()
  end)

  teardown(function()
    directory:remove()
  end)

  local function pick(list)
    return list[math.random(#list)]
  end

  -- An authority out of given dice, under another one or under itself.
  local function authority(name, key, issuer, traits)
    traits = traits or {}
    return { key = key, certificate = assert(tcpki.certificate.make {
      subject = { O = "Acme", CN = name }, public_key = key, not_before = traits.not_before or now - DAY,
      not_after = traits.not_after or now + 300 * DAY, basic_constraints = { ca = true,
        path_length = traits.path_length }, key_usage = not traits.mute and { "key_cert_sign", "crl_sign" } or nil,
      extended_key_usage = traits.extended, issuer = issuer and issuer.certificate,
      issuer_key = issuer and issuer.key or key }), parent = issuer }
  end

  -- Roots and intermediates of all sorts: renewed with the same key, named alike with another key, signed by two
  -- roots, expired, not yet valid, for servers only, with a path length, without key usage.
  local function universe()
    local keys = {}
    for i = 1, 6 do
      keys[i] = assert(tcpki.key.generate {})
    end
    local sorts = { {}, {}, {}, { not_after = now - 3600 }, { not_before = now + 3600 }, { mute = true },
      { path_length = 0 }, { path_length = 1 }, { extended = { "server_auth" } },
      { extended = { "client_auth" } }, { extended = { "any" } } }
    local roots, all = {}, {}
    for i = 1, 5 do
      roots[i] = authority("Root " .. math.random(3), pick(keys), nil, pick(sorts))
      all[i] = roots[i]
    end
    for _ = 1, 6 do
      all[#all + 1] = authority("Issuer " .. math.random(3), pick(keys), pick(all), pick(sorts))
    end
    return all
  end

  local function client(all)
    local issuer = pick(all)
    local usages = { { "client_auth" }, { "client_auth" }, { "server_auth" }, { "client_auth", "server_auth" } }
    local leaf = assert(tcpki.certificate.make { subject = { CN = "client " .. math.random(1000000) },
      public_key = assert(tcpki.key.generate {}), issuer = issuer.certificate, issuer_key = issuer.key,
      not_before = now - 600, not_after = math.random(6) == 1 and now - 60 or now + 30 * DAY,
      basic_constraints = math.random(4) > 1 and { ca = false } or nil,
      key_usage = math.random(3) > 1 and { "digital_signature" } or nil,
      extended_key_usage = math.random(3) > 1 and pick(usages) or nil })
    -- The whole chain, some of it, or strangers too.
    local sent = { leaf }
    local above = issuer
    while above do
      if math.random(5) > 1 then
        sent[#sent + 1] = above.certificate
      end
      above = above.parent
    end
    if math.random(3) == 1 then
      sent[#sent + 1] = pick(all).certificate
    end
    return { name = leaf:subject().CN, chain = assert(tcpki.chain.new(sent, { leaf = leaf })), sent = sent }
  end

  local function subset(all)
    local list = {}
    for _, one in ipairs(all) do
      if math.random(2) == 1 then
        list[#list + 1] = one.certificate
      end
    end
    return tcpki.bundle.new(#list > 0 and list or { pick(all).certificate })
  end

  local function pem_of(certificates)
    local blocks = {}
    for i, certificate in ipairs(certificates) do
      blocks[i] = certificate:pem()
    end
    return table.concat(blocks)
  end

  it("foretells for each client what Go says of it, before and after", function()
    if not program then
      pending(reason)
      return
    end
    math.randomseed(tonumber(os.getenv "TCPKI_SEED") or 5)
    local rounds = tonumber(os.getenv "TCPKI_ROUNDS") or 12
    local seen = { locked_out = 0, refused_already = 0, let_in = 0 }
    for _ = 1, rounds do
      local all = universe()
      local clients, chains = {}, {}
      for i = 1, 25 do
        clients[i] = client(all)
        chains[i] = pem_of(clients[i].sent)
        clients[i].sent = nil
      end
      local before, after = subset(all), subset(all)
      local verdicts = cjson.decode(program(cjson.encode { At = now, Chains = chains,
        Bundles = { before:pem(), after:pem() } }))
      local report = assert(rotation.check(before, after, clients, { at = now }))
      local refused = {}
      for _, row in ipairs(report.refused) do
        refused[row.name] = row
      end
      for i, one in ipairs(clients) do
        local was, is = verdicts[1][i] == "", verdicts[2][i] == ""
        local row = refused[one.name]
        local words = ("%s\nGo before: %s\nGo after: %s\nours: %s\n%s\n-- before\n%s\n-- after\n%s"):format(one.name,
          verdicts[1][i], verdicts[2][i], row and row.reason or "accepted", chains[i], before:pem(), after:pem())
        assert.equal(is, row == nil, words)
        if row then
          assert.equal(was, row.accepted_before, words)
        end
        local kind = is and "let_in" or was and "locked_out" or "refused_already"
        seen[kind] = seen[kind] + 1
      end
    end
    for kind, count in pairs(seen) do
      assert.is_true(count >= 3, ("%s: %d"):format(kind, count))
    end
    if os.getenv "TCPKI_ROUNDS" then
      print(seen.locked_out, seen.refused_already, seen.let_in)
    end
  end)

  it("tells names apart that only OpenSSL takes for the same, as Go does", function()
    if not program then
      pending(reason)
      return
    end
    local key = assert(tcpki.key.generate {})
    local upper, lower = authority("Case", key), authority("CASE", key)
    local leaf = assert(tcpki.certificate.make { subject = { CN = "client" }, public_key = key,
      issuer = upper.certificate, issuer_key = key, not_before = now - 60, not_after = now + DAY })
    local before, after = tcpki.bundle.new { upper.certificate }, tcpki.bundle.new { lower.certificate }
    assert.is_true(leaf:issued_by(lower.certificate))
    local verdicts = cjson.decode(program(cjson.encode { At = now, Chains = { leaf:pem() },
      Bundles = { before:pem(), after:pem() } }))
    assert.equal("", verdicts[1][1])
    assert.is_truthy(verdicts[2][1]:find("unknown authority", 1, true))
    local report = assert(rotation.check(before, after, { leaf }, { at = now }))
    assert.is_false(report.ok)
    assert.equal("issuer_bytes", report.refused[1].code)
  end)

  it("counts a CA below another of the same name, as Go does and OpenSSL does not", function()
    if not program then
      pending(reason)
      return
    end
    local keys = { assert(tcpki.key.generate {}), assert(tcpki.key.generate {}), assert(tcpki.key.generate {}) }
    local top = authority("Same", keys[1], nil, { path_length = 0 })
    local below = authority("Same", keys[2], top)
    local leaf = assert(tcpki.certificate.make { subject = { CN = "client" }, public_key = keys[3],
      issuer = below.certificate, issuer_key = keys[2], not_before = now - 60, not_after = now + DAY })
    local bundle = tcpki.bundle.new { top.certificate }
    local chain = assert(tcpki.chain.new({ leaf, below.certificate }, { leaf = leaf }))
    assert(chain:verify { roots = bundle })
    local verdicts = cjson.decode(program(cjson.encode { At = now, Chains = { leaf:pem() .. below.certificate:pem() },
      Bundles = { bundle:pem() } }))
    assert.is_truthy(verdicts[1][1]:find("too many intermediates", 1, true), verdicts[1][1])
    local report = assert(rotation.check(bundle, bundle, { chain }, { at = now }))
    assert.equal("path_length_exceeded", report.refused[1].code)
  end)

  it("lets a client in that has the name of its CA, which OpenSSL takes for its own root, as Go does", function()
    if not program then
      pending(reason)
      return
    end
    local keys = {}
    for i = 1, 4 do
      keys[i] = assert(tcpki.key.generate {})
    end
    local function mute(name, key, issuer)
      return authority(name, key, issuer, { mute = true })
    end
    local top, other = mute("Same", keys[1]), mute("Same", keys[2])
    local below = mute("same", keys[3], top)
    -- Without extensions, version 1, as openssl x509 -req makes them.
    local function chain(issuer, name, digest, ...)
      local request = assert(tcpki.csr.new { subject = { O = "Acme", CN = name }, key = keys[4] })
      local pem = openssl.run(("x509 -req -days 1 -set_serial 7 -%s -in %s -CA %s -CAkey %s"):format(digest,
        directory:file(nil, request:pem()), directory:file(nil, issuer.certificate:pem()),
        directory:file(nil, issuer.key:pem())))
      local leaf = assert(tcpki.certificate.parse(pem))
      assert.equal(1, leaf:version())
      return assert(tcpki.chain.new({ leaf, ... }, { leaf = leaf }))
    end
    local chains = { chain(top, "Same", "sha256"), chain(top, "SAME", "sha384"),
      chain(below, "SAME", "sha256", below.certificate), chain(below, "else", "sha256", below.certificate) }
    local good = #chains
    table.move({ chain(other, "Same", "sha256"), chain(top, "SAME", "sha1"), chain(below, "SAME", "sha256") }, 1, 3,
      good + 1, chains)
    local bundle, pems = tcpki.bundle.new { top.certificate }, {}
    for i, one in ipairs(chains) do
      pems[i] = pem_of(one)
    end
    local _, err = chains[1]:verify { roots = bundle }
    assert.equal("untrusted_root", err.code)
    for _, at in ipairs { now + 60, now + 3 * DAY } do
      local verdicts = cjson.decode(program(cjson.encode { At = at, Chains = pems, Bundles = { bundle:pem() } }))
      for i, one in ipairs(chains) do
        local let_in = i <= good and at < now + DAY
        assert.equal(let_in, verdicts[1][i] == "", ("%d: %s"):format(i, verdicts[1][i]))
        local report = assert(rotation.check(bundle, bundle, { one }, { at = at }))
        assert.equal(let_in and 1 or 0, report.accepted, ("%d: %s"):format(i, report))
      end
    end
  end)
end)

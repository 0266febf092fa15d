-- Certificates that other tools make, as users call them: make test-producers.
--
-- Each row is a case of test/producers: what openssl, crypto/x509 and chain:verify (with the checks of RFC 5280 that
-- openssl leaves out by default) make of its chain under its bundle, and what tcpki.cloud finds in the bundle and in
-- the client. A finding is its code, with "?" for a warning and "~" for an information.

local cloud = require "tcpki.cloud"
local openssl = require "spec.support.openssl"
local producers = require "spec.support.producers"
local tcpki = require "tcpki"
local temporary = require "spec.support.temporary"

-- What node-forge writes ends its lines as MIME does; in what keytool writes only the base64 does.
local CRLF = "line_crlf~"

local cases = {
  openssl = {
    -- whole recipes that are published
    ["client-only"] = {
      -- Both live 365 days, and the CA was made first.
      openssl = "ok", go = "ok", bundle = "", client = "leaf_not_version_3 outlives_issuer",
    },
    ["tls-simple"] = {
      openssl = "ok", go = "ok", verify = "not_verified", bundle = "",
      client = "leaf_without_constraints leaf_without_key_usage?",
    },
    ["tls-full"] = {
      openssl = "ok", go = "ok", bundle = "",
      client = "leaf_without_constraints leaf_without_key_usage? outlives_issuer",
    },
    ["tls-full-anchor"] = {
      openssl = "unable to get issuer certificate", go = "ok", verify = "no_issuer", bundle = "issuer_missing",
      client = "leaf_without_constraints leaf_without_key_usage? outlives_issuer",
    },
    ["guide-subject"] = {
      openssl = "ok", go = "ok", bundle = "", client = "leaf_is_authority leaf_without_key_usage?",
      subject = "OU=Payments, C=UK",
    },
    bare = { openssl = "ok", go = "ok", verify = "not_verified", bundle = "", client = "leaf_not_version_3" },
    ["version-1-ca"] = {
      openssl = "ok", go = "ok", verify = "not_verified", bundle = "not_version_3", client = "not_version_3",
    },
    ["self-signed"] = { openssl = "ok", go = "ok", bundle = "", client = "leaf_is_authority leaf_without_key_usage?" },
    ["same-name"] = { openssl = "ok", go = "ok", bundle = "", client = "same_name" },
    ["same-name-folded"] = { openssl = "ok", go = "ok", bundle = "", client = "same_name" },
    ["leaf-by-req-x509"] = {
      openssl = "ok", go = "ok", verify = "not_verified", bundle = "",
      client = "leaf_is_authority leaf_without_key_usage?",
    },
    ["openssl-ca"] = { openssl = "ok", go = "ok", bundle = "", client = "leaf_without_key_usage?" },

    -- one mistake each
    right = { openssl = "ok", go = "ok", bundle = "", client = "" },
    ["no-basic-constraints"] = { openssl = "ok", go = "ok", bundle = "", client = "leaf_without_constraints" },
    ["key-encipherment-only"] = {
      openssl = "unsuitable certificate purpose", go = "ok", verify = "wrong_purpose", bundle = "",
      client = "leaf_without_signature",
    },
    ["server-auth-only"] = {
      openssl = "unsuitable certificate purpose", go = "incompatible key usage", verify = "wrong_purpose", bundle = "",
      client = "leaf_without_client_auth",
    },
    ["sha1-leaf"] = {
      openssl = "ok", go = "insecure algorithm", verify = "weak", bundle = "", client = "weak_signature",
    },
    -- Nobody verifies the signature of a root.
    ["sha1-ca"] = { openssl = "ok", go = "ok", bundle = "weak_signature", client = "weak_signature" },
    ["md5-leaf"] = {
      openssl = "ok", go = "insecure algorithm", verify = "weak", bundle = "", client = "weak_signature",
    },
    ["rsa-1024-leaf"] = { openssl = "ok", go = "ok", verify = "weak", bundle = "", client = "small_key" },
    ["rsa-1024-ca"] = { openssl = "ok", go = "ok", verify = "weak", bundle = "small_key", client = "small_key" },
    ed25519 = {
      openssl = "ok", go = "ok", bundle = "key_algorithm", client = "weak_signature key_algorithm key_algorithm",
    },
    ["outlives-ca"] = { openssl = "ok", go = "ok", bundle = "", client = "outlives_issuer" },
    ["expired-leaf"] = {
      openssl = "certificate has expired", go = "has expired", verify = "expired", bundle = "", client = "expired",
    },
    ["intermediate-is-no-ca"] = {
      openssl = "key usage does not include certificate signing", go = "cannot sign this kind of certificate",
      read = "several_leaves",
      bundle = "leaf_in_bundle", client = "not_an_authority",
    },
    ["renewed-ca"] = {
      openssl = "unable to get local issuer certificate", go = "unknown authority", verify = "no_issuer", bundle = "",
      client = "not_accepted",
    },
    ["two-cas-one-name"] = { openssl = "ok", go = "ok", bundle = "same_subject", client = "" },

    -- the files around a right certificate
    ["key-in-bundle"] = { openssl = "ok", go = "ok", bundle = "holds_key", client = "fault wrong_kind" },
    ["leaf-in-bundle"] = { openssl = "ok", go = "ok", bundle = "leaf_in_bundle", client = "" },
    ["twice-in-bundle"] = { openssl = "ok", go = "ok", bundle = "duplicate?", client = "" },
    ["ca-before-leaf"] = { openssl = "unsuitable certificate purpose", go = "ok", bundle = "", client = "chain_order" },
    ["key-of-the-ca"] = { openssl = "ok", go = "ok", bundle = "", client = "key_mismatch" },
    ["encrypted-key"] = { openssl = "ok", go = "ok", bundle = "", client = "encrypted_key" },
    ["sec1-key"] = { openssl = "ok", go = "ok", bundle = "", client = "ec_parameters? traditional_key?" },
    ["text-before"] = { openssl = "ok", go = "ok", bundle = "", client = "" },
    ["trusted-label"] = {
      openssl = "ok", go = "unknown authority", bundle = "openssl_label der_trailing", client = "fault wrong_kind",
    },
  },

  go = {
    tcld = { openssl = "ok", go = "ok", bundle = "", client = "leaf_without_key_usage?" },
    ["tcld-named"] = { openssl = "ok", go = "ok", bundle = "", client = "leaf_without_key_usage?" },
    ["tcld-rsa"] = { openssl = "ok", go = "ok", bundle = "", client = "leaf_without_key_usage?" },
    certstrap = { openssl = "ok", go = "ok", bundle = "", client = "leaf_without_constraints" },
    ["dotnet-sample"] = {
      openssl = "ok", go = "ok", bundle = "", client = "leaf_without_constraints leaf_without_key_usage?",
    },
    ["self-signed"] = {
      openssl = "unsuitable certificate purpose", go = "incompatible key usage", verify = "wrong_purpose",
      bundle = "excludes_clients",
      client = "leaf_is_authority leaf_without_client_auth",
    },
    right = { openssl = "ok", go = "ok", bundle = "", client = "traditional_key?" },
  },

  step = {
    documented = { openssl = "ok", go = "ok", bundle = "", client = "leaf_without_constraints traditional_key?" },
    intermediate = { openssl = "ok", go = "ok", bundle = "", client = "leaf_without_constraints traditional_key?" },
    rsa = { openssl = "ok", go = "ok", bundle = "", client = "leaf_without_constraints traditional_key?" },
    ed25519 = {
      openssl = "ok", go = "ok", bundle = "key_algorithm",
      client = "weak_signature key_algorithm leaf_without_constraints key_algorithm",
    },
    ["self-signed"] = {
      openssl = "ok", go = "ok", bundle = "not_an_authority",
      client = "not_an_authority leaf_without_constraints traditional_key?",
    },
  },

  ["easy-rsa"] = {
    client = { openssl = "ok", go = "ok", verify = "not_verified", bundle = "", client = "" },
    elliptic = { openssl = "ok", go = "ok", verify = "not_verified", bundle = "", client = "" },
    server = {
      openssl = "unsuitable certificate purpose", go = "incompatible key usage", verify = "wrong_purpose", bundle = "",
      client = "leaf_without_client_auth",
    },
    -- A CA below lives as long as any other certificate: 825 days.
    subordinate = { openssl = "ok", go = "ok", verify = "not_verified", bundle = "", client = "outlives_issuer" },
  },

  -- Every certificate of minica ends on the same day.
  minica = {
    client = { openssl = "ok", go = "ok", bundle = "", client = "outlives_issuer traditional_key?" },
    server = { openssl = "ok", go = "ok", bundle = "", client = "outlives_issuer traditional_key?" },
  },

  mkcert = {
    client = { openssl = "ok", go = "ok", bundle = "", client = "leaf_without_constraints" },
    elliptic = { openssl = "ok", go = "ok", bundle = "", client = "leaf_without_constraints" },
    server = {
      openssl = "unsuitable certificate purpose", go = "incompatible key usage", verify = "wrong_purpose", bundle = "",
      client = "leaf_without_constraints leaf_without_client_auth",
    },
  },

  keytool = {
    bare = {
      openssl = "ok", go = "ok", bundle = "mixed_line_ends~ not_an_authority",
      client = "mixed_line_ends~ not_an_authority leaf_without_constraints leaf_without_key_usage?",
    },
    ["certificate-authority"] = {
      openssl = "ok", go = "ok", bundle = "mixed_line_ends~",
      client = "mixed_line_ends~ leaf_without_constraints leaf_without_key_usage?",
    },
    client = {
      openssl = "ok", go = "ok", bundle = "mixed_line_ends~", client = "mixed_line_ends~",
    },
  },

  node = {
    ["front-page"] = {
      openssl = "ok", go = "ok", bundle = CRLF .. " weak_signature",
      -- of the leaf, and of the CA that is the same certificate
      client = CRLF .. " weak_signature weak_signature leaf_is_authority traditional_key? " .. CRLF,
    },
    ["no-extensions"] = {
      openssl = "ok", go = "insecure algorithm", verify = "not_verified", bundle = CRLF,
      client = CRLF .. " weak_signature leaf_without_constraints leaf_without_key_usage? traditional_key? " .. CRLF,
    },
    client = { openssl = "ok", go = "ok", verify = "not_verified", bundle = CRLF, client = CRLF .. " " .. CRLF },
    ["issuer-in-other-bytes"] = {
      openssl = "ok", go = "unknown authority", verify = "not_verified", bundle = CRLF,
      client = CRLF .. " names_encoded_differently " .. CRLF,
    },
  },
}

local function keys_of(map)
  local names = {}
  for name in pairs(map) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local MARKS = { error = "", warning = "?", info = "~" }

local function codes_of(report, err)
  if not report then return "fault " .. err.code end
  local codes = {}
  for i, finding in ipairs(report) do codes[i] = finding.code .. MARKS[finding.severity] end
  return table.concat(codes, " ")
end

local function fingerprints(certificates)
  local all = {}
  for i, one in ipairs(certificates) do all[i] = one:fingerprint() end
  return table.concat(all, "\n")
end

-- The certificates of a file in the order in which they stand there, by openssl's own reading.
local function blocks_of(path)
  local blocks = {}
  for block in temporary.content(path):gmatch "%-%-%-%-%-BEGIN CERTIFICATE.-END CERTIFICATE%-%-%-%-%-\r?\n" do
    blocks[#blocks + 1] = block
  end
  return blocks
end

for _, producer in ipairs(keys_of(cases)) do
  describe(("what %s makes #producers"):format(producer), function()
    local parent, directory, missing
    local rows = cases[producer]
    local ours

    setup(function()
      ours = assert(tcpki.authority.new { subject = { O = "Acme", CN = "Acme Mended CA" }, days = 3650 })
      parent = temporary.directory()
      directory, missing = producers.make(producer, parent.root)
    end)

    teardown(function()
      parent:remove()
    end)

    local function it_with(name, test)
      it(name, function()
        if not directory then return producers.excuse(missing, pending) end
        test()
      end)
    end

    local function paths_of(case)
      local root = ("%s/%s/"):format(directory, case)
      return { bundle = root .. "bundle.pem", chain = root .. "chain.pem", key = root .. "client.key" }
    end

    it_with("is judged in full: no case is without a row", function()
      local made = {}
      for _, name in ipairs(parent:names(producer)) do
        if not name:find "^%." and name ~= "said.txt" then made[#made + 1] = name end
      end
      assert.same(keys_of(rows), made)
    end)

    it_with("is verified as crypto/x509 verifies it", function()
      local names, triples = keys_of(rows), {}
      for i, case in ipairs(names) do
        local paths = paths_of(case)
        local chain = paths.chain
        if case == "ca-before-leaf" then -- which Go's own TLS would not get to see in order
          chain = parent:file(nil, table.concat({ blocks_of(chain)[2], blocks_of(chain)[1] }))
        end
        triples[i] = { chain, paths.bundle, "client" }
      end
      local verdicts, absent = producers.verify(triples)
      if not verdicts then return producers.excuse(absent, pending) end
      for i, case in ipairs(names) do
        assert.matches(rows[case].go, verdicts[i], 1, true, case)
      end
    end)

    for _, case in ipairs(keys_of(rows)) do
      local row = rows[case]

      it_with(("%s: is read in order, and taken by openssl for %s"):format(case,
        row.openssl == "ok" and "good" or "bad"), function()
        local paths = paths_of(case)
        local ok, output, errors = openssl.try(
          ("verify -purpose sslclient -no-CApath -no-CAstore -CAfile %s -untrusted %s %s"):format(
            paths.bundle, paths.chain, paths.chain))
        assert.matches(row.openssl, ok and "ok" or output .. errors, 1, true)

        if row.read then
          local chain, err = tcpki.chain.read(paths.chain)
          assert.is_nil(chain)
          assert.equal(row.read, err.code)
          return
        end
        local first = openssl.run("x509 -noout -fingerprint -sha256", blocks_of(paths.chain)[case == "ca-before-leaf"
          and 2 or 1]):match "=(.*)\n":gsub(":", ""):lower()
        local chain = assert(tcpki.chain.read(paths.chain))
        assert.equal(first, chain[1]:fingerprint())
        assert.equal(#blocks_of(paths.chain), #chain + #(chain.foreign or {}))
        if row.subject then assert.equal(row.subject, tostring(chain[1]:subject())) end
        local trusted = tcpki.bundle.read(paths.bundle)
        if trusted then
          local verified, err = chain:verify { roots = trusted, purpose = "client" }
          assert.equal(row.verify or "ok", verified and "ok" or err.code, tostring(err))
        end
        -- in any order of the file
        local blocks = blocks_of(paths.chain)
        table.sort(blocks)
        assert.equal(fingerprints(chain), fingerprints(assert(tcpki.chain.parse(table.concat(blocks)))))
      end)

      it_with(("%s: has the findings that it deserves"):format(case), function()
        local paths = paths_of(case)
        assert.equal(row.bundle, codes_of(cloud.check_bundle(temporary.content(paths.bundle))))
        assert.equal(row.client, codes_of(cloud.check_client {
          chain_path = paths.chain, key_path = paths.key, accepted_path = paths.bundle,
        }))
      end)

      if not row.read and row.client ~= "" then
        it_with(("%s: is repaired by one call"):format(case), function()
          local paths = paths_of(case)
          local former = assert(tcpki.chain.read(paths.chain))[1]
          local key_at_fault = row.client:find "key_algorithm" or row.client:find "small_key"
            or row.client:find "key_mismatch" or row.client:find "encrypted_key"
          local leaf = assert(ours:issue { like = former, usage = "client", key = key_at_fault and {} or nil })
          -- What key:write puts into a file.
          local key = assert(tcpki.key.parse((leaf.key or assert(tcpki.key.read(paths.key))):pem()))
          local report = cloud.check_client { chain = leaf.chain, key = key,
            accepted = assert(tcpki.bundle.new { ours.certificate }) }
          assert.equal("", codes_of(report), tostring(report))
          assert.equal(openssl.run("pkey -pubout", key:pem()), openssl.run("x509 -noout -pubkey",
            leaf.certificate:pem()))
          assert.equal(openssl.run("x509 -noout -subject -nameopt RFC2253,show_type", former:pem()),
            openssl.run("x509 -noout -subject -nameopt RFC2253,show_type", leaf.certificate:pem()))
          local roots = parent:file(nil, ours.certificate:pem())
          openssl.run(("verify -x509_strict -purpose sslclient -CAfile %s %s"):format(roots,
            parent:file(nil, leaf.certificate:pem())))
        end)
      end
    end
  end)
end

describe("what openssl finds nothing in #producers", function()
  it("is refused by us, case after case", function()
    local good, refused = 0, 0
    for _, rows in pairs(cases) do
      for _, row in pairs(rows) do
        if row.openssl == "ok" then
          good = good + 1
          if (row.bundle .. " " .. row.client .. " "):find "[%l%d] " then refused = refused + 1 end
        end
      end
    end
    assert.is_true(refused > good / 2, ("%d of %d"):format(refused, good))
  end)
end)

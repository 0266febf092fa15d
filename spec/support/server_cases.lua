-- Configurations of a Temporal server, right and wrong, and what is to be found in them.
--
--   cases.write(directory)     the certificates that they name
--   cases.rows                 { name =, tls = (YAML, the value of global.tls), found = { codes }, worker =, lives = }
--
-- `worker`: there is a system worker, and what is wrong shows once it dials. `lives`: the server starts, and logs
-- nothing of the matter, or logs it later. `words`: what it says where we do not quote it.

local openssl = require "spec.support.openssl"
local tcpki = require "tcpki"

local cases = {}

local DAY = 86400

local function leaf(directory, authority, name, usage, names, more)
  local request = { common_name = name, usage = usage, subject_alt_names = names, days = 60 }
  for option, value in pairs(more or {}) do
    request[option] = value or nil
  end
  local issued = assert(authority:issue(request))
  assert(issued.key:write(directory:path(name .. ".key")))
  assert(issued.chain:write(directory:path(name .. ".pem")))
  return issued
end

function cases.write(directory)
  local now = os.time()
  local function authority(name, more)
    local options = { subject = { CN = name }, days = 365 }
    for option, value in pairs(more or {}) do
      options[option] = value or nil
    end
    return assert(tcpki.authority.new(options))
  end
  local server, client = authority "Server CA", authority "Client CA"
  local function certificate(name, ...)
    local blocks = {}
    for i, part in ipairs { ... } do
      blocks[i] = type(part) == "string" and part or part:pem()
    end
    directory:file(name, table.concat(blocks))
  end
  leaf(directory, server, "internode", "peer", { "internode" })
  leaf(directory, server, "server-only", "server", { "internode" })
  leaf(directory, server, "client-only", "client", { "internode" })
  leaf(directory, server, "frontend", "server", { "localhost", { type = "ip", value = "127.0.0.1" } })
  leaf(directory, server, "payments", "server", { "payments.example.com" })
  leaf(directory, client, "worker", "client")
  local old = authority("Old CA", { not_before = now - 400 * DAY, not_after = now - 10 * DAY, days = false })
  certificate("old-ca.pem", old.certificate)
  local carried = leaf(directory, server, "carried", "peer", { "internode" })
  certificate("carried.pem", carried.chain, assert(tcpki.certificate.make {
    subject = { CN = "Server CA" }, public_key = server.key, issuer = old.certificate, issuer_key = old.key,
    not_before = now - 300 * DAY, not_after = now + 50 * DAY, basic_constraints = { ca = true },
    key_usage = { "key_cert_sign", "crl_sign" },
  }), old.certificate)
  leaf(directory, server, "ended", "peer", { "internode" },
    { not_before = now - 100, not_after = now - 10, days = false })
  leaf(directory, server, "tomorrow", "peer", { "internode" },
    { not_before = now + DAY, not_after = now + 50 * DAY, days = false })
  -- As the recipes without -extfile make them.
  openssl.run(("req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=old -keyout %s -out %s"):format(
    directory:path "old.key", directory:path "old.csr"))
  assert(server.key:write(directory:path "server-ca.key"))
  certificate("server-ca.pem", server.certificate)
  openssl.run(("x509 -req -days 60 -in %s -CA %s -CAkey %s -CAcreateserial -out %s"):format(directory:path "old.csr",
    directory:path "server-ca.pem", directory:path "server-ca.key", directory:path "old.pem"))
  directory:file("damaged.key", tcpki.pem.encode("PRIVATE KEY", "no DER"))
  certificate("client-ca.pem", client.certificate)
  certificate("both-ca.pem", server.certificate, client.certificate)
  local intermediate = assert(server:subordinate { subject = { CN = "Issuing CA" }, days = 200 })
  certificate("issuing-ca.pem", intermediate.certificate)
  leaf(directory, intermediate, "issued", "peer", { "internode" })
  local key = assert(tcpki.key.generate())
  assert(key:write(directory:path "outlives.key"))
  certificate("outlives.pem", assert(tcpki.certificate.make {
    public_key = key, subject = { CN = "outlives" }, issuer = server.certificate, issuer_key = server.key,
    not_before = now - 60, not_after = now + 3000 * DAY, subject_alt_names = { "internode" },
  }))
  local damaged = tcpki.pem.encode("CERTIFICATE", "no DER")
  certificate("damaged.pem", damaged)
  certificate("damaged-first.pem", damaged, server.certificate)
  certificate("damaged-last.pem", server.certificate, damaged)
  directory:file("garbage.pem", "hello\n")
  -- The parameters of the curve before the key, as `openssl ecparam -genkey` writes them.
  directory:file("parameters.key", openssl.run "ecparam -name prime256v1"
    .. openssl.run("ec -in " .. directory:path "internode.key"))
  leaf(directory, server, "rsa", "peer", { "internode" }, { key = { type = "rsa", bits = 2048 } })
  directory:file("traditional.key", openssl.run("rsa -traditional -in " .. directory:path "rsa.key"))
  openssl.run(("pkcs8 -topk8 -passout pass:secret -in %s -out %s"):format(directory:path "internode.key",
    directory:path "encrypted.key"))
  os.execute(("cd '%s' && mkdir folder && chmod 600 *.key && cp internode.key open.key && chmod 644 open.key")
    :format(directory.root))
end

local GOOD = {
  I = "    internode:\n      server: { certFile: internode.pem, keyFile: internode.key, requireClientAuth: true, "
    .. "clientCaFiles: [server-ca.pem] }\n      client: { serverName: internode, rootCaFiles: [server-ca.pem] }\n",
  F = "    frontend:\n      server: { certFile: frontend.pem, keyFile: frontend.key, requireClientAuth: true, "
    .. "clientCaFiles: [server-ca.pem, client-ca.pem] }\n      client: { serverName: localhost, "
    .. "rootCaFiles: [server-ca.pem] }\n",
  R = "    refreshInterval: 1m\n    expirationChecks: { warningWindow: 24h, checkInterval: 1h }\n",
}

local rows = {}
cases.rows = rows

-- `$I`, `$F` and `$R` are sections without a fault.
local function row(name, tls, found, more)
  local case = { name = name, found = found, tls = (tls:gsub("%$(%u)", GOOD)) }
  for option, value in pairs(more or {}) do
    case[option] = value
  end
  rows[#rows + 1] = case
end

-- A server's section of internode with something else in it, and the rest right.
local function node(name, server, found, more)
  row(name, ("    internode:\n      server: { %s }\n      client: { serverName: internode, rootCaFiles: "
    .. "[server-ca.pem] }\n$F$R"):format(server), found, more)
end

local OWN = "certFile: internode.pem, keyFile: internode.key, "
local LET_IN = "requireClientAuth: true, clientCaFiles: [server-ca.pem]"
local BOTH = OWN .. LET_IN

row("right", "$I$F$R", {}, { worker = true })

-- The server does not start: types.
row("a number for a section", "    internode: 5\n", { "wrong_type" })
row("a text for a list", "    internode: { server: { clientCaFiles: server-ca.pem } }\n", { "wrong_type" })
row("a list for a text", "    internode: { server: { certFile: [internode.pem] } }\n", { "wrong_type" })
row("a quoted bool", "    internode: { server: { requireClientAuth: 'true' } }\n", { "wrong_type" })
row("a number for a bool", "    internode: { server: { requireClientAuth: 1 } }\n", { "wrong_type" })
row("a duration in days", "    refreshInterval: 1d\n", { "wrong_type" })
row("a duration without a unit", "    refreshInterval: 60\n", { "wrong_type" })
row("no duration but zero", "    refreshInterval: 0\n", { "wrong_type" })
row("an empty duration", "    refreshInterval: ''\n", { "wrong_type" })
row("a duration that is too long", "    refreshInterval: 9999999h\n", { "wrong_type" })
row("several wrong types", "    internode: { server: [1], client: [2] }\n    refreshInterval: x\n",
  { "wrong_type", "wrong_type", "wrong_type" })
row("a key twice", "    internode: { server: { certFile: a, certFile: b } }\n", { "duplicate_key" })
row("an unknown anchor", "    internode: *nobody\n", { "bad_yaml" })
row("a tab", "    internode:\n\t server: {}\n", { "bad_yaml" })
row("an open bracket", "    internode: { server: [\n", { "bad_yaml" }, { words = "did not find expected" })
row("a merge of a number", "    internode: { <<: 5 }\n", { "bad_yaml" })

-- The server does not start: validation.
node("certFile and certData", OWN .. LET_IN .. ", certData: YQ==", { "file_and_data" })
node("keyFile and keyData", OWN .. LET_IN .. ", keyData: YQ==", { "file_and_data" })
node("clientCaFiles and clientCaData", OWN .. LET_IN .. ", clientCaData: [YQ==]", { "file_and_data" })
node("an empty item", OWN .. "requireClientAuth: true, clientCaFiles: [server-ca.pem, '']", { "empty_item" })
node("a blank item", OWN .. "requireClientAuth: true, clientCaData: ['  ']", { "empty_item" })
row("rootCaFiles and rootCaData", "    internode: { client: { rootCaFiles: [a], rootCaData: [YQ==] } }\n",
  { "file_and_data" })
row("an empty root", "$I    frontend: { client: { rootCaFiles: [''] } }\n", { "empty_item" })
row("empty root data", "    systemWorker: { client: { rootCaData: [''] } }\n", { "empty_item" })
row("a worker with two certificates", "    systemWorker: { certFile: a, certData: YQ== }\n", { "file_and_data" })
row("a worker with two keys", "    systemWorker: { keyFile: a, keyData: YQ== }\n", { "file_and_data" })
row("a host without a name", "    frontend: { hostOverrides: { '': { certFile: a } } }\n", { "host_name_empty" })
row("a host with two certificates", "    frontend: { hostOverrides: { a: { certFile: a, certData: YQ== } } }\n",
  { "file_and_data" })
row("a negative refreshInterval", "    refreshInterval: -1s\n$I", { "negative_interval" })
row("a negative checkInterval", "$I    expirationChecks: { warningWindow: 1h, checkInterval: -1s }\n",
  { "negative_interval" })

-- The server does not start: files.
node("no certificate file", "certFile: nobody.pem, keyFile: internode.key, " .. LET_IN, { "unreadable" })
node("no key file", "certFile: internode.pem, keyFile: nobody.key, " .. LET_IN, { "unreadable" })
node("no CA file", OWN .. "requireClientAuth: true, clientCaFiles: [nobody.pem]", { "unreadable" })
node("a directory", "certFile: folder, keyFile: internode.key, " .. LET_IN, { "unreadable" })
node("no PEM", "certFile: garbage.pem, keyFile: internode.key, " .. LET_IN, { "certificate_not_pem" })
node("no PEM in the key", "certFile: internode.pem, keyFile: garbage.pem, " .. LET_IN, { "key_not_pem" })
node("a damaged certificate", "certFile: damaged.pem, keyFile: internode.key, " .. LET_IN, { "certificate_unreadable" })
node("another key", "certFile: internode.pem, keyFile: frontend.key, " .. LET_IN, { "key_mismatch" })
node("an encrypted key", "certFile: internode.pem, keyFile: encrypted.key, " .. LET_IN, { "key_encrypted" })
node("a damaged key", "certFile: internode.pem, keyFile: damaged.key, " .. LET_IN, { "key_unreadable" })
node("a key of another kind", "certFile: internode.pem, keyFile: rsa.key, " .. LET_IN, { "key_mismatch" })
node("a request for a certificate", "certFile: old.csr, keyFile: old.key, " .. LET_IN, { "certificate_not_pem" })
node("a request for a key", "certFile: internode.pem, keyFile: old.csr, " .. LET_IN, { "key_not_pem" })
node("certificate and key switched", "certFile: internode.key, keyFile: internode.pem, " .. LET_IN, { "switched" })
node("a certificate for a key", "certFile: internode.pem, keyFile: internode.pem, " .. LET_IN, { "switched" })
node("a key without a certificate", "keyFile: internode.key, " .. LET_IN, { "certificate_missing" })
node("a certificate without a key", "certFile: internode.pem, " .. LET_IN,
  { "key_missing", "plaintext_server" })
node("certificate data that is no base64", "certData: '%%%%', keyFile: internode.key, " .. LET_IN, { "bad_base64" })
node("key data that is no base64", "certFile: internode.pem, keyData: '%%%%', " .. LET_IN, { "bad_base64" })
node("CA data that is no base64", OWN .. "requireClientAuth: true, clientCaData: ['%%%%']", { "bad_base64" })
node("no PEM in a CA file", OWN .. "requireClientAuth: true, clientCaFiles: [garbage.pem]", { "authority_unreadable" })
node("a damaged CA first", OWN .. "requireClientAuth: true, clientCaFiles: [damaged-first.pem]", { "first_unreadable" })
row("no file of a worker", "$I$F$R    systemWorker: { certFile: nobody.pem, keyFile: worker.key, client: { serverName: "
  .. "localhost, rootCaFiles: [server-ca.pem] } }\n", { "frontend_client_ignored", "unreadable" })

-- The server starts, and its parts do not reach each other.
node("a node for servers only", "certFile: server-only.pem, keyFile: server-only.key, " .. LET_IN,
  { "client_usage", "client_usage" }, { worker = true })
node("a node for clients only", "certFile: client-only.pem, keyFile: client-only.key, " .. LET_IN, { "server_usage" },
  { worker = true })
node("a node that has ended", "certFile: ended.pem, keyFile: ended.key, " .. LET_IN, { "expired" }, { worker = true })
node("a node of tomorrow", "certFile: tomorrow.pem, keyFile: tomorrow.key, " .. LET_IN, { "not_yet_valid" },
  { worker = true })
row("another name of the nodes", ("    internode: { server: { %s }, client: { serverName: nobody, rootCaFiles: "
  .. "[server-ca.pem] } }\n$F$R"):format(BOTH), { "name_not_in_certificate" }, { worker = true })
row("another name and another root of the nodes", ("    internode: { server: { %s }, client: { serverName: nobody, "
  .. "rootCaFiles: [client-ca.pem] } }\n$F$R"):format(BOTH), { "name_not_in_certificate", "server_unknown" },
  { worker = true })
row("no name of the nodes", ("    internode: { server: { %s }, client: { rootCaFiles: [server-ca.pem] } }\n$F$R")
  :format(BOTH), { "no_server_name" }, { worker = true })
row("another root of the nodes", ("    internode: { server: { %s }, client: { serverName: internode, rootCaFiles: "
  .. "[client-ca.pem] } }\n$F$R"):format(BOTH), { "server_unknown" }, { worker = true })
row("no root of the nodes", ("    internode: { server: { %s } }\n$F$R"):format(BOTH), { "plaintext_client" },
  { worker = true })
node("another CA of the nodes", OWN .. "requireClientAuth: true, clientCaFiles: [client-ca.pem]", { "client_unknown" },
  { worker = true })
row("nodes that dial with TLS only", "    internode: { client: { serverName: internode, rootCaFiles: "
  .. "[server-ca.pem] } }\n    frontend: { server: { certFile: frontend.pem, keyFile: frontend.key, "
  .. LET_IN .. " }, client: { "
  .. "serverName: localhost, rootCaFiles: [server-ca.pem] } }\n$R",
  { "internode_plaintext", "plaintext_server", "no_client_certificate" }, { worker = true })
row("a frontend without the CA of the nodes", "$I    frontend:\n      server: { certFile: frontend.pem, keyFile: "
  .. "frontend.key, requireClientAuth: true, clientCaFiles: [client-ca.pem] }\n      client: { serverName: localhost, "
  .. "rootCaFiles: [server-ca.pem] }\n$R", { "client_unknown" }, { worker = true })
row("a worker in plaintext", "$I    frontend:\n      server: { certFile: frontend.pem, keyFile: frontend.key, "
  .. "requireClientAuth: true, clientCaFiles: [server-ca.pem] }\n      client: { serverName: localhost }\n$R",
  { "plaintext_client" }, { worker = true })
row("a worker without a certificate", "$I    frontend:\n      server: { certFile: frontend.pem, keyFile: frontend.key, "
  .. "requireClientAuth: true, clientCaFiles: [client-ca.pem] }\n    systemWorker: { client: { serverName: localhost, "
  .. "rootCaFiles: [server-ca.pem] } }\n$R", { "no_client_certificate" }, { worker = true })
row("a worker that wants another name", "$I    frontend:\n      server: { certFile: frontend.pem, keyFile: "
  .. "frontend.key, requireClientAuth: true, clientCaFiles: [server-ca.pem] }\n      client: { serverName: "
  .. "nobody, rootCaFiles: "
  .. "[server-ca.pem] }\n$R", { "name_not_in_certificate" }, { worker = true })

-- The server says nothing.
row("a worker of its own", "$I    frontend:\n      server: { certFile: frontend.pem, keyFile: frontend.key, "
  .. "requireClientAuth: true, clientCaFiles: [client-ca.pem] }\n    systemWorker: { certFile: worker.pem, keyFile: "
  .. "worker.key, client: { serverName: localhost, rootCaFiles: [server-ca.pem] } }\n$R", {}, { lives = true })
row("unknown fields", "$I$F$R    frontnd: {}\n    refresh_interval: 1m\n", { "unknown_field", "unknown_field" },
  { lives = true })
row("an item that nobody filled in", "$I    frontend:\n      server:\n        certFile: frontend.pem\n        keyFile: "
  .. "frontend.key\n        requireClientAuth: true\n        clientCaFiles:\n          - server-ca.pem\n          - \n"
  .. "      client: { serverName: localhost, rootCaFiles: [server-ca.pem] }\n$R", { "item_dropped" }, { lives = true })
row("nothing but intervals", "$R", { "no_tls" }, { lives = true })
row("no key at all", "    frontend: { server: { certFile: frontend.pem, requireClientAuth: true } }\n$R", { "tls_off" },
  { lives = true })
row("clients that are not required", "$I    frontend:\n      server: { certFile: frontend.pem, keyFile: frontend.key, "
  .. "clientCaFiles: [client-ca.pem] }\n      client: { serverName: localhost, rootCaFiles: [server-ca.pem] }\n$R",
  { "client_ca_ignored" }, { lives = true })
row("no clients' CA", "$I    frontend:\n      server: { certFile: frontend.pem, keyFile: frontend.key }\n"
  .. "      client: { serverName: localhost, rootCaFiles: [server-ca.pem] }\n$R", { "client_not_required" },
  { lives = true })
row("the CAs of the system for clients", "$I    frontend:\n      server: { certFile: frontend.pem, keyFile: "
  .. "frontend.key, requireClientAuth: true }\n      client: { serverName: localhost, rootCaFiles: "
  .. "[server-ca.pem] }\n$R",
  { "client_ca_missing" }, { lives = true })
node("several CAs in a file", OWN .. "requireClientAuth: true, clientCaFiles: [both-ca.pem]", { "several_in_file" },
  { lives = true })
row("several roots in a file", ("    internode: { server: { %s }, client: { serverName: internode, rootCaFiles: "
  .. "[both-ca.pem] } }\n$F$R"):format(BOTH), {}, { lives = true })
node("a damaged CA last", OWN .. "requireClientAuth: true, clientCaFiles: [damaged-last.pem]", { "passed_over" },
  { lives = true })
node("a CA that has ended", OWN .. "requireClientAuth: true, clientCaFiles: [server-ca.pem, old-ca.pem]",
  { "authority_expired" }, { lives = true })
node("a key behind its parameters", "certFile: internode.pem, keyFile: parameters.key, " .. LET_IN, {},
  { lives = true })
node("a traditional key", "certFile: rsa.pem, keyFile: traditional.key, " .. LET_IN, {}, { lives = true })
node("a readable key", "certFile: internode.pem, keyFile: open.key, " .. LET_IN, { "key_readable" }, { lives = true })
node("a way to a CA that was left behind, and has ended", "certFile: carried.pem, keyFile: carried.key, " .. LET_IN, {},
  { lives = true })
node("a leaf that outlives its CA", "certFile: outlives.pem, keyFile: outlives.key, " .. LET_IN, { "outlives_issuer" },
  { lives = true })
row("an intermediate as the anchor", "    internode:\n      server: { certFile: issued.pem, keyFile: issued.key, "
  .. "requireClientAuth: true, clientCaFiles: [issuing-ca.pem] }\n      client: { serverName: internode, rootCaFiles: "
  .. "[issuing-ca.pem] }\n$F$R", { "intermediate_anchor" }, { lives = true })
row("a leaf among the CAs", "    internode:\n      server: { " .. OWN .. "requireClientAuth: true, clientCaFiles: "
  .. "[internode.pem] }\n      client: { serverName: internode, rootCaFiles: [internode.pem] }\n$F$R",
  { "not_an_authority" }, { lives = true })
row("no verification", ("    internode: { server: { %s }, client: { disableHostVerification: true, rootCaFiles: "
  .. "[server-ca.pem] } }\n$F$R"):format(BOTH), { "verification_disabled" }, { lives = true })
row("a certificate of version 1", "$I    frontend:\n      server: { certFile: old.pem, keyFile: old.key, "
  .. "requireClientAuth: true, clientCaFiles: [server-ca.pem] }\n      client: { disableHostVerification: true, "
  .. "rootCaFiles: [server-ca.pem] }\n$R", { "verification_disabled", "version_1" }, { lives = true })
row("no refresh and no checks", "$I$F", { "no_refresh", "no_expiration_checks" }, { lives = true })
row("checks without an interval", "$I$F    refreshInterval: 1m\n    expirationChecks: { warningWindow: 24h }\n",
  { "no_expiration_checks" }, { lives = true })
row("an error window beyond the warning", "$I$F    refreshInterval: 1m\n    expirationChecks: { warningWindow: 24h, "
  .. "errorWindow: 48h, checkInterval: 1h }\n", { "error_window_wider" }, { lives = true })
row("nodes alone", "$I$R", { "frontend_plaintext" }, { lives = true })

local function host(name, hosts, found)
  row(name, "$I$F" .. "      hostOverrides:\n" .. hosts .. "$R", found, { lives = true })
end

local PAYMENTS = "certFile: payments.pem, keyFile: payments.key, requireClientAuth: true, "
  .. "clientCaFiles: [client-ca.pem]"
host("a host of its own", ("        payments.example.com: { %s }\n"):format(PAYMENTS), {})
host("a host that the certificate does not bear", ("        accounts.example.com: { %s }\n"):format(PAYMENTS),
  { "host_not_in_certificate" })
host("a host with a leaf that outlives its CA", "        internode: { certFile: outlives.pem, keyFile: outlives.key, "
  .. "requireClientAuth: true, clientCaFiles: [client-ca.pem] }\n", { "outlives_issuer" })
host("a host with a certificate for clients", "        internode: { certFile: client-only.pem, keyFile: "
  .. "client-only.key, requireClientAuth: true, clientCaFiles: [client-ca.pem] }\n", { "server_usage" })
host("a pattern of hosts", ("        '*.example.com': { %s }\n"):format(PAYMENTS), { "host_pattern" })
host("a host with a port", ("        'payments.example.com:7233': { %s }\n"):format(PAYMENTS),
  { "host_never_asked", "host_not_in_certificate" })
host("a host in capitals and without", ("        payments.example.com: { %s }\n        Payments.example.com: { %s }\n")
  :format(PAYMENTS, PAYMENTS), { "host_twice" })
host("an open host", "        payments.example.com: { certFile: payments.pem, keyFile: payments.key }\n",
  { "override_open" })
host("a host without a certificate", "        payments.example.com: { requireClientAuth: true }\n",
  { "override_without_certificate" })
row("hosts of the nodes", ("$I      hostOverrides: { payments.example.com: { %s } }\n$F$R"):format(PAYMENTS),
  { "overrides_ignored" }, { lives = true })
row("a worker that is passed over", "$I$F$R    systemWorker: { client: { serverName: localhost } }\n",
  { "worker_ignored" }, { lives = true })
row("another cluster", "$I$F$R    remoteClusters:\n      other.example.com: { server: { certFile: worker.pem, keyFile: "
  .. "worker.key, requireClientAuth: true }, client: { serverName: other.example.com, rootCaFiles: "
  .. "[server-ca.pem] } }\n", {}, { lives = true })
row("another cluster, with a certificate for servers", "$I$F$R    remoteClusters:\n      other.example.com: { "
  .. "server: { certFile: payments.pem, keyFile: payments.key, requireClientAuth: true }, client: { rootCaFiles: "
  .. "[server-ca.pem] } }\n", { "client_usage" }, { lives = true })
row("another cluster with a port", "$I$F$R    remoteClusters:\n      'other.example.com:7233': { client: { "
  .. "rootCaFiles: [server-ca.pem] } }\n", { "remote_key" }, { lives = true })
row("another cluster in plaintext", "$I$F$R    remoteClusters:\n      other.example.com: { client: { serverName: "
  .. "other.example.com } }\n", { "plaintext_client" }, { lives = true })
row("a certificate that another cluster never sees", "$I$F$R    remoteClusters:\n      other.example.com: { server: { "
  .. "certFile: worker.pem, keyFile: worker.key }, client: { rootCaFiles: [server-ca.pem] } }\n",
  { "remote_certificate_kept" }, { lives = true })

return cases

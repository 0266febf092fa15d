-- Servers of every TLS stack that stands in front of a Temporal frontend somewhere, each of which requires a client
-- certificate of `stacks_pki.client_ca`; and servers with a fault. Built by tools/counterparts stacks.
--
--   local set = assert(stacks.start())
--   set:probe("nginx", pki.client.expired, { timeout = 5 })     a result
--   set:ask { { stack = "nginx", way = "grpc", shown = pki.client.expired } }    who is let in, by other clients
--   set:stop()

local pki = require "spec.support.stacks_pki"
local probe = require "tcpki.probe"
local server = require "spec.support.server"
local temporary = require "spec.support.temporary"

local stacks = {}

local methods = {}
local metatable = { __index = methods }

-- ---- processes ----

-- The shell holds the reading end of a pipe from us, and stops the program when the pipe ends: when it is closed, and
-- also when this process dies, however it dies.
local keeper = [[
cd '%s' || exit 1
(exec %s) >%s.log 2>&1 </dev/null &
pid=$!
cat >/dev/null
kill "$pid" 2>/dev/null
wait
]]

local function keep(self, name, command)
  self.handles[#self.handles + 1] = assert(io.popen(keeper:format(self.directory.root, command, name), "w"))
end

local function log_of(self, name)
  local file = io.open(self.directory:path(name .. ".log"))
  if not file then return "" end
  local text = file:read "a"
  file:close()
  return text
end

local patience = 300

-- What a program says in its log, once it says it.
local function wait_for(self, name, pattern)
  for _ = 1, patience do
    local said = log_of(self, name)
    if said:find(pattern) then return said end
    server.sleep(0.1)
  end
  error(("%s did not start: %s"):format(name, log_of(self, name)))
end

local function take_ports(self, said)
  for label, port in said:gmatch "LISTEN (%S+) (%d+)" do
    self.address[label] = "127.0.0.1:" .. port
  end
end

-- ---- those that choose their ports themselves ----

local function sorted(list)
  local names = {}
  for name in pairs(list) do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- The hosts that are served with a certificate of their own: one a fault.
local hosts = {}
for _, name in ipairs(sorted(pki.server)) do
  if name ~= "server" then hosts[#hosts + 1] = name end
end

local function write_files(self)
  self.directory:file("client-ca.pem", pki.client_ca)
  self.directory:file("crl.pem", pki.crl)
  self.directory:file("trust.pem", pki.client_ca .. pki.crl) -- s_server -CRL takes one list only
  for name, shown in pairs(pki.server) do
    self.directory:file(name .. ".pem", shown.certificate)
    self.directory:file(name .. ".key", shown.key)
    self.directory:file(name .. ".both.pem", shown.certificate .. shown.key)
  end
end

local function start_programs(self)
  local list = table.concat(hosts, " ")
  keep(self, "python", ("'%s' '%s/test/stacks/python/server.py' ."):format(self.python, self.here))
  keep(self, "node", ("node '%s/test/stacks/node/server.mjs' . %s"):format(self.here, list))
  keep(self, "rustls", ("'%s/rustls-server' . %s"):format(self.built, list))
  keep(self, "java", ("java -Xshare:auto -XX:TieredStopAtLevel=1 -cp '%s/java' Server . %s"):format(self.built, list))
end

local function await_programs(self)
  take_ports(self, wait_for(self, "python", "LISTEN plaintext_grpcio"))
  take_ports(self, wait_for(self, "node", "LISTEN node_plaintext"))
  take_ports(self, wait_for(self, "rustls", "LISTEN rustls_sni"))
  take_ports(self, wait_for(self, "java", "LISTEN jsse_sni"))
end

-- ---- OpenSSL and GnuTLS: TLS alone, and an answer that is no HTTP/2 ----

local s_servers = {
  openssl13 = "-tls1_3 -alpn h2",
  openssl12 = "-tls1_2 -alpn h2",
  openssl_no_alpn = "",
  openssl_no_crl = "-alpn h2",
  openssl_http1 = "-alpn http/1.1",
  openssl_tls11 = "-tls1_1 -alpn h2 -cipher DEFAULT@SECLEVEL=0",
  openssl_sni = "-alpn h2 -servername nobody.test -servername_fatal -cert2 server.pem -key2 server.key",
}

local s_server = "openssl s_server -accept 127.0.0.1:0 -cert server.pem -cert_chain server.pem -key server.key -rev "
  .. "-Verify 5 -verify_return_error -crl_check "

local gnutls = {
  gnutls = "--alpn h2",
  gnutls12 = "--alpn h2 --priority NORMAL:-VERS-ALL:+VERS-TLS1.2",
  gnutls_no_alpn = "",
  gnutls_http1 = "--alpn http/1.1 --alpn-fatal",
  gnutls_tls11 = "--alpn h2 --priority NORMAL:-VERS-ALL:+VERS-TLS1.1",
  gnutls_sni = "--alpn h2 --sni-hostname nobody.test --sni-hostname-fatal",
}

local gnutls_serv = "gnutls-serv --port %s --x509cafile client-ca.pem --x509crlfile crl.pem --x509certfile server.pem "
  .. "--x509keyfile server.key --require-client-cert --verify-client-cert --echo "

local function start_tls_only(self)
  for _, name in ipairs(sorted(s_servers)) do
    local trust = name == "openssl_no_crl" and "client-ca" or "trust"
    keep(self, name, ("env OPENSSL_CONF=/dev/null %s -CAfile %s.pem %s"):format(s_server, trust, s_servers[name]))
  end
  local ports = server.free_ports(#sorted(gnutls))
  for i, name in ipairs(sorted(gnutls)) do
    keep(self, name, gnutls_serv:format(ports[i]) .. gnutls[name])
    self.address[name] = "127.0.0.1:" .. ports[i]
  end
end

local function await_tls_only(self)
  for _, name in ipairs(sorted(s_servers)) do
    self.address[name] = "127.0.0.1:" .. wait_for(self, name, "ACCEPT 127"):match "ACCEPT [%d.]+:(%d+)"
  end
  for _, name in ipairs(sorted(gnutls)) do
    wait_for(self, name, "listening on IPv4.*done")
  end
end

-- ---- proxies in front of a Temporal server without TLS ----

local nginx_server = [[
  server {
    listen 127.0.0.1:$port $listen;
    server_name $name;
    ssl_certificate $certificate.pem;
    ssl_certificate_key $certificate.key;
    ssl_client_certificate client-ca.pem;
    ssl_crl crl.pem;
    ssl_verify_client $verify;
    ssl_verify_depth 5;
    $more
    location / { grpc_pass grpc://$upstream; }
  }
]]

local nginx_listeners = {
  nginx = { listen = "ssl http2", more = "ssl_protocols TLSv1.2 TLSv1.3;" },
  nginx12 = { listen = "ssl http2", more = "ssl_protocols TLSv1.2;" },
  nginx_optional = { listen = "ssl http2", verify = "optional" },
  nginx_alone = { listen = "ssl http2", upstream = "127.0.0.1:1" },
  nginx_http1 = { listen = "ssl" },
  nginx_sni = { listen = "ssl http2", more = "ssl_reject_handshake on;" },
  nginx_tls11 = { listen = "ssl http2", more = "ssl_protocols TLSv1.1; ssl_ciphers DEFAULT@SECLEVEL=0;" },
}

local function fill(text, values)
  return (text:gsub("%$(%l+)", function(name) return values[name] end))
end

local function nginx_configuration(self, ports)
  local parts = { [[
daemon off;
master_process off;
pid nginx.pid;
error_log stderr info;
events { worker_connections 512; }
http {
  access_log off;
]] }
  for _, name in ipairs { "client_body", "proxy", "fastcgi", "uwsgi", "scgi" } do
    parts[#parts + 1] = ("  %s_temp_path temp;\n"):format(name)
  end
  for i, label in ipairs(sorted(nginx_listeners)) do
    local listener = nginx_listeners[label]
    self.address[label] = "127.0.0.1:" .. ports[i]
    local values = {
      port = ports[i], listen = listener.listen, more = listener.more or "", verify = listener.verify or "on",
      upstream = listener.upstream or self.address.temporal_plaintext,
    }
    for _, name in ipairs { "server", table.unpack(label == "nginx" and hosts or {}) } do
      values.name, values.certificate = name == "server" and "_" or name, name
      parts[#parts + 1] = fill(nginx_server, values)
    end
  end
  return table.concat(parts) .. "}\n"
end

local haproxy_listeners = {
  haproxy = "crt-list hosts.list alpn h2",
  haproxy12 = "crt server.both.pem alpn h2 ssl-max-ver TLSv1.2",
  haproxy_alone = "crt server.both.pem alpn h2",
  haproxy_optional = "crt server.both.pem alpn h2 verify optional",
  haproxy_no_alpn = "crt server.both.pem",
  haproxy_http1 = "crt server.both.pem alpn http/1.1",
  haproxy_sni = "crt mismatch.test.both.pem strict-sni alpn h2",
  haproxy_tls11 = "crt server.both.pem alpn h2 ssl-min-ver TLSv1.1 ssl-max-ver TLSv1.1 ciphers DEFAULT@SECLEVEL=0",
}

local function haproxy_configuration(self, ports)
  local lines = { "server.both.pem" }
  for _, host in ipairs(hosts) do lines[#lines + 1] = ("%s.both.pem %s"):format(host, host) end
  self.directory:file("hosts.list", table.concat(lines, "\n") .. "\n")
  local parts = { [[
global
  maxconn 200
defaults
  mode http
  timeout connect 10s
  timeout client 60s
  timeout server 60s
backend temporal
  server temporal $upstream proto h2
backend alone
frontend all
  use_backend alone if { dst_port $alone }
  default_backend temporal
]] }
  for i, label in ipairs(sorted(haproxy_listeners)) do
    self.address[label] = "127.0.0.1:" .. ports[i]
    parts[#parts + 1] = ("  bind %s ssl verify required ca-file client-ca.pem crl-file crl.pem %s\n"):format(
      self.address[label], haproxy_listeners[label])
  end
  return fill(table.concat(parts), {
    upstream = self.address.temporal_plaintext, alone = self.address.haproxy_alone:match "%d+$",
  })
end

local function start_proxies(self)
  local count = #sorted(nginx_listeners)
  local ports = server.free_ports(count + #sorted(haproxy_listeners))
  self.directory:file("nginx.conf", nginx_configuration(self, ports))
  self.directory:file("haproxy.cfg", haproxy_configuration(self, { table.unpack(ports, count + 1) }))
  keep(self, "nginx", [[env PATH="$PATH:/usr/sbin" nginx -p "$PWD" -c "$PWD/nginx.conf" -e stderr]])
  keep(self, "haproxy", [[env PATH="$PATH:/usr/sbin" haproxy -db -f haproxy.cfg]])
end

-- ---- the Temporal server ----

local function start_temporal(self)
  local overrides = {}
  for _, host in ipairs(hosts) do
    local shown = pki.server[host]
    overrides[host] = { certificate = shown.certificate, key = shown.key, client_ca = pki.client_ca }
  end
  local kinds = {
    temporal = { client_ca = pki.client_ca, host_overrides = overrides },
    open = { client_auth = false },
    temporal_plaintext = { plaintext = true },
  }
  for name, options in pairs(kinds) do
    local made = assert(server.start(options))
    self.temporal[#self.temporal + 1] = made
    self.address[name], self.roots[name] = made.address, made.server_ca
  end
  self.address.host = self.address.temporal
end

-- ---- all together ----

-- The names by which the stacks are asked for where it is not localhost.
local names = { host = "chain.test" }

local function is_listening(self, stack)
  return self:probe(stack, pki.client.good, { trace = "never" }).cause ~= "refused"
end

--- Starts them all, and waits until each listens.
-- @treturn[1] table `address` of each by name
-- @treturn[2] nil
-- @treturn[2] string what has to be built
function stacks.start()
  local built, missing = server.counterpart "stacks"
  if not built then return nil, missing end
  local handle = assert(io.popen "pwd")
  local self = setmetatable({
    directory = temporary.directory(), built = built, python = built .. "/python/bin/python", here = handle:read "l",
    handles = {}, temporal = {}, address = {}, roots = {},
  }, metatable)
  handle:close()
  write_files(self)
  start_programs(self)
  start_tls_only(self)
  start_temporal(self)
  start_proxies(self)
  await_programs(self)
  await_tls_only(self)
  for _, stack in ipairs(sorted(self.address)) do
    for attempt = 1, patience do
      if is_listening(self, stack) then break end
      assert(attempt < patience, stack .. " does not listen")
      server.sleep(0.1)
    end
  end
  return self
end

--- Probes a stack with what a client shows.
function methods:probe(stack, shown, options)
  local all = {
    address = assert(self.address[stack], stack), server_name = names[stack] or "localhost",
    server_ca = not names[stack] and self.roots[stack] or pki.server_ca,
    certificate = shown.certificate, key = shown.key, timeout = 60, -- far from any verdict
  }
  for name, value in pairs(options or {}) do all[name] = value or nil end
  return probe.run(all)
end

--- Has other clients ask: `way` is grpc or tls, as in test/stacks/python/ask.py.
-- @treturn table for each question: accepted or refused
function methods:ask(questions)
  local lines, answers = {}, {}
  for i, question in ipairs(questions) do
    local stack, shown = question.stack, question.shown
    local function file(what, text)
      return text and self.directory:file(("ask-%d-%s"):format(i, what), text) or ""
    end
    local roots = not names[stack] and self.roots[stack] or pki.server_ca
    lines[i] = table.concat({
      question.way, self.address[stack], names[stack] or "localhost", file("roots", roots),
      file("certificate", shown.certificate), file("key", shown.key),
    }, "\t")
  end
  local command = ("GRPC_VERBOSITY=NONE '%s' '%s/test/stacks/python/ask.py' 2>'%s' <'%s'"):format(self.python,
    self.here, self.directory:path "ask.log", self.directory:file("questions", table.concat(lines, "\n") .. "\n"))
  local handle = assert(io.popen(command))
  for line in handle:lines() do answers[#answers + 1] = line end
  assert(handle:close() and #answers == #questions, log_of(self, "ask"))
  return answers
end

function methods:log(name)
  return log_of(self, name)
end

function methods:stop()
  for _, handle in ipairs(self.handles) do handle:close() end
  for _, made in ipairs(self.temporal) do made:remove() end
  self.handles, self.temporal = {}, {}
  self.directory:remove()
end

metatable.__close = methods.stop

return stacks

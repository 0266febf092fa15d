--- A TLS connection of our own, that tells what gRPC core hides.
--
-- It reads before it writes, so that a server that refuses a certificate over TLS 1.3 gets its alert through; it proves
-- nothing. `result.trace` of `tcpki.probe.run` is its record.
-- @module tcpki.probe.trace

local copy = require "tcpki.probe.copy"
local probe_core = require "tcpki.probe.core"
local roots = require "tcpki.probe.roots"
local words = require "tcpki.probe.words"

local trace = {}

--- What a traced connection showed. What was not seen is nil.
--
-- Where it ended:
--
-- - `stage`: `connect`, `tls` or `settings`, the last one entered
-- - `ended`: `settings` (the server spoke HTTP/2: all is well), `alert` (it sent a fatal one), `closed`, `reset`,
--   `silent` (no more until the time was up), `unreached` (no TCP connection: `system`), `untrusted` (we refused its
--   certificate: `verification`), `stranger` (it is trusted and bears another name, or did not agree on HTTP/2:
--   `name_matches`, `alpn`), `broken` (what came was no TLS that we speak: `openssl`), `data` (application data
--   that is not HTTP/2), `flood` (more than any honest server sends), `local` (our own OpenSSL refused the certificate
--   or the key: `openssl`), `cancelled`
-- - `ended_by`: `alert`, `close_notify`, `fin`, `rst`, `silence`, or `us`; `ended_after`: seconds since TLS was done,
--   or, where it was not, since the connection stood
-- - `timings` in seconds: `connect`, `tls` (of completed stages), `settings` (until it ended), `total`
-- - `spoke_first`: the server kept quiet after TLS, so that we sent our preface for it to answer
--
-- TLS:
--
-- - `version`, `cipher`, `group`, `alpn`; `server_name`: the SNI that was sent; `session_resumed`: always false
-- - `chain`: PEM, as the server sent it; `verification`: `ok`, and where it is false `error` (an X509_V_ERR number),
--   `message`, `depth` and `subject` of the certificate to blame
-- - `name_matches`: the server's certificate bears the name; `name_in`: `san`, or `common_name`, where gRPC core still
--   looks if there are no alternative names (Go and rustls do not)
-- - `certificate_requested`; `ca_names`: those of the request, as text (64 at most); `ca_name_count`: of all;
--   `signature_algorithms`: the request's, by their names in the IANA registry
-- - `issuer_listed`: a certificate that we have to send is one of the `ca_names` or issued by one
-- - `certificate_sent`: SHA-256 fingerprint of the leaf that was sent, or false
-- - `alerts`: of both sides, in order: `from` (`server`, `client`), `number`, `name`, `level` (1 warning, 2 fatal),
--   `stage`; our own good-bye is not one
--
-- What came:
--
-- - `first_bytes`: 32 at most, as they came over TCP; `answer_bytes`: 32 at most, decrypted
-- - `http`: `status` and `body` (the first 1024 bytes) of a server that answers in HTTP what it should in gRPC: nginx
--   says "400 No required SSL certificate was sent" there
-- - `openssl`, `openssl_code`: the first error of OpenSSL's queue
-- - `system` (`refused`, `timeout`, `reset`, `unreachable`), `system_message`: why there is no connection
-- @table record
-- @field stage string
-- @field ended string
-- @field ended_by string
-- @field ended_after number
-- @field timings table
-- @field certificate_sent string|boolean
-- @field alerts table
-- @field verification table
-- @field http table

--- Starts one, in a thread of its own.
-- @tparam table options `address` (numeric), `port`, `server_name`, `seconds`; PEM: `roots` (those of this machine
-- without it), `certificate`, `key`; `ask_http`: also to send a request; limits within `seconds`: `connect_seconds`,
-- `tls_seconds`, `settings_seconds`
-- @treturn userdata `:wait(seconds)` gives the record, or nil while it runs; `:close()`
-- @raise on a wrong option
function trace.start(options)
  if options.roots then return probe_core.trace(options) end
  return probe_core.trace(copy(options, { roots_path = roots.installed() }))
end

--- Whether an answer of gRPC core hides one in HTTP, which a trace would get to see.
-- @tparam ?table answer of `client:ask`
-- @treturn boolean
function trace.is_http(answer)
  return answer ~= nil and answer.message ~= nil and answer.message:find("http2 header with status", 1, true) ~= nil
end

--- Names the alerts of a record.
-- @tparam ?table record
-- @treturn ?table the same
function trace.named(record)
  for _, alert in ipairs(record and record.alerts or {}) do alert.name = words.alert[alert.number] end
  return record
end

return trace

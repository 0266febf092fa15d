--- The probe: a real mutual-TLS connection and RPC through gRPC core, and, where it fails, why.
--
--     local probe = require "tcpki.probe"
--     local result = probe.run {
--       address = "payments.a1b2c.tmprl.cloud:7233", namespace = "payments.a1b2c",
--       certificate_path = "payments.pem", key_path = "payments.key",
--     }
--     print(result)
--     os.exit(result.ok)
--
-- A mistake in the program throws. Whatever the world does is a result: its `cause` is a word of
-- `tcpki.probe.causes`, and stays the same from release to release.
--
-- gRPC core starts its threads at the first probe, and keeps them. Start other programs with
-- `os.execute` and `io.popen`; a bare `fork` after the first probe is not supported by gRPC core.
-- @module tcpki.probe

local options = require "tcpki.options"
local input = require "tcpki.probe.input"
local kinds = require "tcpki.probe.kinds"
local causes = require "tcpki.probe.causes"
local copy = require "tcpki.probe.copy"
local rotation = require "tcpki.probe.rotation"
local run = require "tcpki.probe.run"
local server = require "tcpki.probe.server"

local probe = {}

--- The rows of all causes, also by word: `probe.causes.client_expired.cure`.
probe.causes = causes

-- Those of every probe, whatever certificate it shows.
local common_options = {
  address = "string", endpoint = "tcpki.cloud.endpoint", namespace = kinds.name,
  server_ca = kinds.pem, server_ca_path = kinds.path, server_name = kinds.name,
  timeout = kinds.seconds, health = kinds.service, trace = kinds.trace, limits = "table",
  addresses = kinds.addresses, control = kinds.control, accepted = kinds.pem, accepted_path = kinds.path,
}

local run_options = copy(common_options, input.pair)

local limit_options = {
  resolve = kinds.seconds, connect = kinds.seconds, tls = kinds.seconds, settings = kinds.seconds, rpc = kinds.seconds,
}

local exclusive = {
  { "server_ca", "server_ca_path" }, { "accepted", "accepted_path" }, { "endpoint", "address" },
  { "endpoint", "server_name" },
}

-- The settings with what an endpoint of Temporal Cloud says in their place.
local function at_endpoint(settings)
  local endpoint = settings.endpoint
  if not endpoint then return settings end
  local filled = copy(settings, {
    address = endpoint.address, server_name = endpoint.server_name,
    namespace = settings.namespace or endpoint.namespace,
  })
  filled.endpoint = nil
  return filled
end

local function has_certificate(settings)
  return settings.certificate ~= nil or settings.certificate_path ~= nil
end

-- A certificate and its key in a table of their own.
local function check_pair(where, given, level)
  options.check(where, given, input.pair, level + 1)
  options.exclude(where, given, input.exclusive, level + 1)
  if not has_certificate(given) then error(where .. ": the option 'certificate' is missing", level) end
end

local function check_parts(where, settings)
  if settings.limits then options.check(where .. ": limits", settings.limits, limit_options, 5) end
  if not settings.control then return end
  if not has_certificate(settings) then
    error(where .. ": a control without a certificate: there is nothing that it could prove", 4)
  end
  if settings.control ~= true then
    check_pair(where .. ": control", settings.control, 5)
  end
end

-- Level 4 is who called the function of the module.
local function check(where, settings)
  settings = options.check(where, settings, run_options, 4)
  options.exclude(where, settings, input.exclusive, 4)
  options.exclude(where, settings, exclusive, 4)
  settings = at_endpoint(settings)
  if not settings.address then error(where .. ": the option 'address' is missing", 3) end
  if (settings.key or settings.key_path) and not has_certificate(settings) then
    error(where .. ": a key without a certificate", 3)
  end
  check_parts(where, settings)
  return settings
end

--- Probes a Temporal frontend.
--
-- The result is a table, whatever happened; `tostring` of it is a short report.
--
-- - `ok`: gRPC core's handshake, with exactly the bytes given, was accepted, and GetSystemInfo
--   and what else was asked were answered well
-- - `authenticated`: the server answered an RPC with any status, so it let the client in; with a control only where
--   it lets in nobody else
-- - `stage`: `input`, `resolve`, `connect`, `tls`, `settings`, `rpc` or `namespace`
-- - `cause`: the stable word; `certain`: false where the wire cannot tell, with `candidates` in
--   order; `message` and `hint` for people
-- - `findings`: what about one's own certificate would explain a refusal, or trip a server: an array of `{ word =,
--   subject =, detail =, path = }`, the likeliest first; those that explain no refusal have `note`
-- - `warnings`: what is wrong beside a success: an array of `{ word =, message =, hint = }`, rows of
--   `tcpki.probe.warnings`. Both are made at the first look, an index, `#`, `ipairs` or `pairs`: look once before
--   something reads them raw, as `next` and lua-cjson do
-- - `accepted_by`: with `accepted`, what Go, OpenSSL and rustls make of the certificate: see `tcpki.probe.verifiers`
-- - `grpc`: `code`, `name`, `message`, `detail_type`, `detail`
-- - `server_version`, `capabilities`, `health`; `namespace`: `name`, `state`, `description`,
--   `owner_email`, `id`, `retention` (seconds), `active_cluster`, `is_global`
-- - `ladder`: a rung for each stage, in order and also by its name (`result.ladder.tls`): `stage`, `state` ("ok",
--   "failed" or "skipped"), `seconds`, `evidence` (text). The stage of the cause is the one that failed. Without a
--   trace the time of connect, tls and settings is known in one only: it stands at settings, with `since = "connect"`
-- - `timings` in seconds: `input`, `resolve`, `ready` (TCP, TLS and the server's SETTINGS; or `tried`, where that
--   failed or came to no end), `rpc`, `namespace`, `health`, `total`
-- - `address`, `peer_address` (numeric), `server_name`, `attempts` (one an address that was tried)
-- - `certificate`: `subject`, `issuer`, `serial`, `fingerprint`, `not_before`, `not_after`,
--   `expires_in` of the leaf that was sent; `peer`: `certificates` and `pem` of the server
-- - `trace`: what a TLS connection of our own saw; `disagreement`: a text where it tells another
--   story than gRPC core
-- - `control`, where one was made: `without` (no certificate) and `stranger` (another one), each with `outcome`
--   ("refused", "let_in" or "unclear"), `who`, `cause`, `stage`, `grpc`, `ladder`, `trace`, `seconds`, `certificate`
-- - `addresses`, where each was probed: their results in the resolver's order, each also with `server_certificate`
--   (SHA-256 fingerprint), `differs` (what most others have otherwise: "outcome", "certificate"), and `no_route` where
--   this machine cannot reach such addresses at all, which does not count. `ok` and `authenticated` are true where all
--   are; the rest is that of the first address that is not well, or of the first
--
-- @tparam table settings
-- @tparam string settings.address `host:port`, `[ipv6]:port`; without a port 7233
-- @tparam[opt] cloud.endpoint settings.endpoint what `tcpki.cloud.endpoint` gave, in place of `address` and
-- `server_name`; its namespace is described unless another is named
-- @tparam[opt] string settings.namespace to describe
-- @param[opt] settings.certificate PEM text, the leaf first, or an object with `:pem()`
-- @tparam[opt] string settings.certificate_path
-- @param[opt] settings.key PEM text or a key
-- @tparam[opt] string settings.key_path
-- @param[opt] settings.passphrase string or function; or `passphrase_file`, `passphrase_env`
-- @param[opt] settings.server_ca PEM text or an object; the system's roots without it
-- @tparam[opt] string settings.server_ca_path
-- @param[opt] settings.accepted PEM text or an object: the CAs that the server trusts for clients. It is not sent: the
-- certificate is judged against it, as Go, OpenSSL and rustls do, which tells causes apart that look alike on the wire
-- @tparam[opt] string settings.accepted_path
-- @tparam[opt] string settings.server_name SNI and the name to verify; the host without it
-- @tparam[opt=10] number settings.timeout seconds for all that goes over the network
-- @tparam[opt] table settings.limits seconds that a stage may take of these: `resolve`, `connect`, `tls`, `settings`,
-- `rpc` (each RPC); a stage that hangs longer is the cause. gRPC core does not tell where it hangs: without a trace
-- those of connect, tls and settings hold for the three together
-- @param[opt="first"] settings.addresses "first": those of the name in turn, until one is connected to; "all": each of
-- them, at once; or an array of numeric ones in their place, perhaps with a port, to probe a backend behind a balancer
-- with the name's SNI and authority: `{ "10.0.0.1", "10.0.0.2:7243", "[fd00::1]:7243" }`
-- @param[opt=false] settings.control true: also connects without a certificate, and with one that only looks like the
-- true one, which the server must refuse both: else the cause is `ok_not_asked` or `ok_not_enforced`. A table with
-- `certificate` or `certificate_path`, `key` or `key_path` takes that second certificate (an expired one, a revoked
-- one, one of another namespace). Where a control comes to no end twice, nothing is proven: `ok_not_enforced`, not
-- certain
-- @param[opt] settings.health true, or the service to check with grpc.health.v1
-- @tparam[opt="on_failure"] string settings.trace `on_failure`, `always` or `never`
-- @treturn table
-- @raise on unknown options, wrong types, a missing address
function probe.run(settings)
  return run.probe(check("probe.run", settings))
end

--- Probes, and proves that the answer means something: `probe.run` with `control = true` and `trace = "always"`,
-- where these are not given. The server's answer counts where it refuses a client without a certificate and one with a
-- certificate that nobody should accept.
-- @tparam table settings as for `probe.run`; a certificate is needed
-- @treturn table as `probe.run`; `ok_not_enforced`, `ok_not_asked`
-- @raise as `probe.run`
function probe.verify(settings)
  settings = options.check("probe.verify", settings, run_options)
  local all = copy(settings)
  if all.control == nil then all.control = true end
  all.trace = all.trace or "always"
  return run.probe(check("probe.verify", all))
end

local rotation_options = copy(common_options, {
  old = "table|tcpki.leaf", new = "table|tcpki.leaf", wait = kinds.seconds,
  step = {
    function(value) return rotation.step_name(value) ~= nil end,
    "before, make_room, overlap, roll_over, remove or after, or a step of a plan",
  },
})

-- Certificate and key of one side.
local function pair_of(name, given)
  if getmetatable(given) then return { certificate = given.chain, key = given.key } end -- a leaf
  check_pair("probe.rotation: " .. name, given, 4)
  return given
end

--- Probes with the old and the new certificate of a rotation, and says whether each is let in or refused as its step
-- wants it.
--
--     local rotated = probe.rotation {
--       address = "temporal.example:7233", server_ca_path = "server-ca.pem", step = "overlap", wait = 60,
--       old = { certificate_path = "old.pem", key_path = "old.key" },
--       new = { certificate_path = "new.pem", key_path = "new.key" },
--     }
--     if not rotated.ok then print(rotated) end
--
-- | step, once it is done | old | new |
-- |---|---|---|
-- | `before`, `make_room` | accepted | refused |
-- | `overlap`, `roll_over` | accepted | accepted |
-- | `remove`, `after` | refused | accepted |
--
-- The names are those of `tcpki.cloud.rotation`. The cause is `ok`, `rotation_not_loaded` (the server still refuses
-- the new certificate, or still accepts the old one), `ok_not_asked` or `ok_not_enforced` (it lets in whoever comes),
-- or what a probe says of a certificate that is refused for a reason of its own.
--
-- The result: `ok`, `cause`, `stage`, `certain`, `candidates`, `message`, `hint` as of `probe.run`; `step`; `old` and
-- `new`: `wanted`, `seen` ("accepted", "refused", "unclear", or "mixed" where several addresses differ), `as_wanted`,
-- `result` (of the probe); `control`; `tries`, `waited` (seconds). `tostring` of it is a short report.
-- @tparam table settings those of `probe.run`, but for certificate and key
-- @tparam table settings.old `certificate` or `certificate_path`, `key` or `key_path`, and the passphrase's options; or
-- a leaf of `authority:issue`
-- @tparam table settings.new the same
-- @param settings.step its name, or a step of a plan: that one also says what the server trusts once it is done, as
-- `accepted` does, which makes the verdict on a refusal certain
-- @tparam[opt] number settings.wait seconds in which it may become so; without it there is one look
-- @param[opt=true] settings.control as for `probe.run`, with one of the certificates that are accepted
-- @treturn table
-- @raise on unknown options, wrong types, missing options
function probe.rotation(settings)
  settings = options.check("probe.rotation", settings, rotation_options)
  for _, name in ipairs { "step", "old", "new" } do
    if not settings[name] then error(("probe.rotation: the option '%s' is missing"):format(name), 2) end
  end
  local common = copy(settings)
  common.old, common.new, common.step, common.wait, common.control = nil, nil, nil, nil, nil
  if type(settings.step) == "table" and common.accepted == nil and common.accepted_path == nil then
    common.accepted = settings.step.bundle -- what the server trusts once the step is done
  end
  local old, new = pair_of("old", settings.old), pair_of("new", settings.new)
  return rotation.check {
    common = check("probe.rotation", common), old = old, new = new, step = rotation.step_name(settings.step),
    wait = settings.wait, control = settings.control,
  }
end

--- Starts the embedded frontend: see `tcpki.probe.server`.
-- @function frontend
probe.frontend = server.start

return probe
